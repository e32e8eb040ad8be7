/* everseal(1)'s sections on commands and options, in scdoc. */
#include "cli/words.h"

static void add_use(struct buf *out, enum option o, bool required)
{
	const struct option_words *w = &options[o];
	buf_printf(out, required ? " --%s" : " [--%s", w->word);
	if (w->value)
		buf_printf(out, " _%s_", w->value);
	if (!required)
		buf_add_char(out, ']');
	if (o == OPTION_NAME)
		buf_add_c(out, "…");
}

/* Help is plain text: what scdoc would take as marks is escaped. */
static void add_plain(struct buf *out, struct str line)
{
	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '*' || line.p[i] == '_' || line.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, line.p[i]);
	}
}

static void add_paragraphs(struct buf *out, const char *text)
{
	struct str rest = str_c(text), line;
	while (str_split(&rest, '\n', &line)) {
		buf_add_c(out, line.n ? "\t" : "");
		add_plain(out, line);
		buf_add_char(out, '\n');
	}
	buf_add_char(out, '\n');
}

void cli_manual_commands(struct buf *out)
{
	for (enum verb v = 0; v < VERB_COUNT; v++) {
		buf_printf(out, "*everseal %s*", verbs[v].words);
		if (verbs[v].operands)
			buf_printf(out, " %s", verbs[v].operands);
		for (enum option o = 0; o < OPTION_COUNT; o++)
			if (verbs[v].options & UINT64_C(1) << o && o != OPTION_CONFIG &&
			        o != OPTION_STATE)
				add_use(out, o, verbs[v].required & UINT64_C(1) << o);
		buf_add_char(out, '\n');
		add_paragraphs(out, verbs[v].help);
	}
}

void cli_manual_options(struct buf *out)
{
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		buf_printf(out, "*--%s*", options[o].word);
		if (options[o].value)
			buf_printf(out, " _%s_", options[o].value);
		buf_add_char(out, '\n');
		add_paragraphs(out, options[o].help);
	}
}

bool cli_manual_complete(void)
{
	for (enum verb v = 0; v < VERB_COUNT; v++)
		if (!verbs[v].words || !verbs[v].summary || !verbs[v].help || !verbs[v].help[0])
			return false;
	for (enum option o = 0; o < OPTION_COUNT; o++)
		if (!options[o].help || !options[o].help[0])
			return false;
	return true;
}
