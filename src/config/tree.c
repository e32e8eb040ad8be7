/* Text → words → directives. A broken word costs its directive, not the file: reading goes on
 * behind it, so that all errors are found at once. */
#include "config/parts.h"

enum { DEPTH_MOST = 8 };
enum token { TOKEN_WORD, TOKEN_BROKEN, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_END, TOKEN_EOF };

struct lexer {
	struct arena *arena;
	struct problems *problems;
	struct str text;
	size_t pos;
	struct config_at at; /* of pos */
	bool held;           /* `token` is to be given once more */
	enum token token;
	struct word word; /* of TOKEN_WORD; its `at` is every token's */
	bool too_deep;
};

static char peek(const struct lexer *l)
{
	return l->pos < l->text.n ? l->text.p[l->pos] : '\0';
}

static bool at_end(const struct lexer *l)
{
	return l->pos >= l->text.n;
}

/* One character; columns count characters, not bytes. */
static void skip(struct lexer *l)
{
	const unsigned char c = (unsigned char)l->text.p[l->pos++];
	if (c == '\n') {
		l->at.line++;
		l->at.column = 1;
	} else if ((c & 0xc0) != 0x80) {
		l->at.column++;
	}
	while (!at_end(l) && c >= 0xc0 && ((unsigned char)peek(l) & 0xc0) == 0x80)
		l->pos++;
}

static void skip_line(struct lexer *l)
{
	while (!at_end(l) && peek(l) != '\n')
		skip(l);
}

/* CR counts as white space before LF only: a file may come from Windows. */
static bool is_blank(const struct lexer *l)
{
	const char c = peek(l);
	if (c == '\r')
		return l->pos + 1 == l->text.n || l->text.p[l->pos + 1] == '\n';
	return c == ' ' || c == '\t';
}

/* Whether what stands here may be part of a word; tells why not. */
static bool character_fits(struct lexer *l)
{
	const unsigned char c = (unsigned char)peek(l);
	const bool c1 = str_starts(str_from(l->text, l->pos), STR("\xc2")) &&
	                str_utf8(str_from(l->text, l->pos)) == 2 &&
	                (unsigned char)l->text.p[l->pos + 1] < 0xa0;
	if ((c < ' ' && c != '\t') || c == 0x7f || c1) {
		config_problem(l->problems, l->at,
		        "A control character (0x%02x) stands here: remove it.", c);
		return false;
	}
	if (str_utf8(str_from(l->text, l->pos)) == 0) {
		config_problem(l->problems, l->at,
		        "This byte (0x%02x) is not UTF-8: save the file in that encoding.", c);
		return false;
	}
	return true;
}

static bool ends_bare_word(const struct lexer *l)
{
	const char c = peek(l);
	return at_end(l) || is_blank(l) || c == '\n' || c == '{' || c == '}' || c == ';';
}

static bool read_bare(struct lexer *l)
{
	const size_t start = l->pos;
	while (!ends_bare_word(l)) {
		if (peek(l) == '"' || peek(l) == '\'') {
			config_problem(l->problems, l->at,
			        "A quote begins inside a word: quote the whole word.");
			return false;
		}
		if (!character_fits(l))
			return false;
		skip(l);
	}
	l->word.text = str_n(l->text.p + start, l->pos - start);
	return true;
}

/* Inside "…": \" and \\ and nothing else, so that a mistyped Windows path is noticed. */
static bool read_escape(struct lexer *l, struct buf *out)
{
	const struct config_at at = l->at;
	skip(l);
	if (peek(l) != '"' && peek(l) != '\\') {
		config_problem(l->problems, at,
		        "A backslash in \"…\" stands before \" or \\ only: write \\\\ for one, or "
		        "use '…'.");
		return false;
	}
	buf_add_char(out, peek(l));
	skip(l);
	return true;
}

static bool read_quoted_into(struct lexer *l, char quote, struct buf *out)
{
	while (peek(l) != quote || at_end(l)) {
		if (at_end(l) || peek(l) == '\n') {
			config_problem(
			        l->problems, l->word.at, "This quote is not closed on its line.");
			return false;
		}
		if (quote == '"' && peek(l) == '\\') {
			if (!read_escape(l, out))
				return false;
			continue;
		}
		if (!character_fits(l))
			return false;
		const size_t start = l->pos;
		skip(l);
		buf_add(out, str_n(l->text.p + start, l->pos - start));
	}
	return true;
}

static bool read_quoted(struct lexer *l)
{
	const char quote = peek(l);
	skip(l);
	BUF_AUTO content = BUF_INIT(CONFIG_FILE_MOST);
	if (!read_quoted_into(l, quote, &content))
		return false;
	skip(l);
	if (!ends_bare_word(l)) {
		config_problem(l->problems, l->at, "After the closing quote a space is missing.");
		return false;
	}
	l->word.text = arena_str(l->arena, buf_str(&content));
	return true;
}

static enum token read_word(struct lexer *l)
{
	if (peek(l) == '"' || peek(l) == '\'') {
		if (read_quoted(l))
			return TOKEN_WORD;
		skip_line(l);
		return TOKEN_BROKEN;
	}
	if (read_bare(l))
		return TOKEN_WORD;
	while (!ends_bare_word(l))
		skip(l);
	return TOKEN_BROKEN;
}

static enum token next_token(struct lexer *l)
{
	if (l->held) {
		l->held = false;
		return l->token;
	}
	while (!at_end(l) && is_blank(l))
		skip(l);
	if (peek(l) == '#')
		skip_line(l);
	l->word.at = l->at;
	if (at_end(l))
		return l->token = TOKEN_EOF;
	switch (peek(l)) {
	case '\n':
	case ';':
		skip(l);
		return l->token = TOKEN_END;
	case '{':
		skip(l);
		return l->token = TOKEN_OPEN;
	case '}':
		skip(l);
		return l->token = TOKEN_CLOSE;
	default:
		return l->token = read_word(l);
	}
}

static void read_children(struct lexer *l, struct node *parent, unsigned depth);

static void read_block(struct lexer *l, struct node *n, unsigned depth)
{
	n->block = true;
	n->block_at = l->word.at;
	if (depth == DEPTH_MOST) {
		config_problem(l->problems, l->word.at, "Blocks stand more than %d deep here.",
		        DEPTH_MOST);
		l->too_deep = true;
		return;
	}
	read_children(l, n, depth + 1);
}

/* Behind the directive's name: parameters, perhaps a block. */
static void read_rest(struct lexer *l, struct node *n, unsigned depth)
{
	for (;;) {
		switch (next_token(l)) {
		case TOKEN_WORD:
			LIST_PUSH(l->arena, n->params, n->param_count, l->word);
			break;
		case TOKEN_BROKEN:
			n->broken = true;
			break;
		case TOKEN_OPEN:
			read_block(l, n, depth);
			return;
		case TOKEN_CLOSE:
		case TOKEN_EOF:
			l->held = true;
			return;
		case TOKEN_END:
			return;
		}
	}
}

static struct node *add_child(struct lexer *l, struct node *parent)
{
	struct node *n = arena_new(l->arena, struct node);
	n->name = l->word;
	if (parent->last)
		parent->last->next = n;
	else
		parent->children = n;
	parent->last = n;
	return n;
}

static void read_stray_block(struct lexer *l, unsigned depth)
{
	config_problem(
	        l->problems, l->word.at, "A { stands on the line of its directive: move it there.");
	struct node nobody = { 0 };
	read_block(l, &nobody, depth);
}

static void read_children(struct lexer *l, struct node *parent, unsigned depth)
{
	while (!l->too_deep) {
		switch (next_token(l)) {
		case TOKEN_WORD:
			read_rest(l, add_child(l, parent), depth);
			break;
		case TOKEN_BROKEN:
			read_rest(l, arena_new(l->arena, struct node), depth);
			break;
		case TOKEN_OPEN:
			read_stray_block(l, depth);
			break;
		case TOKEN_CLOSE:
			if (depth > 0)
				return;
			config_problem(
			        l->problems, l->word.at, "This } closes nothing: remove it.");
			break;
		case TOKEN_END:
			break;
		case TOKEN_EOF:
			if (depth > 0)
				config_problem(l->problems, parent->block_at,
				        "The block that opens here is not closed: add a }.");
			l->held = true;
			return;
		}
	}
}

struct node *config_tree(struct arena *a, struct str text, struct problems *p)
{
	struct lexer l = { .arena = a, .problems = p, .text = text, .at = { 1, 1 } };
	if (str_starts(text, STR("\xef\xbb\xbf")))
		l.pos = 3;
	struct node *top = arena_new(a, struct node);
	read_children(&l, top, 0);
	return top;
}
