#include "cli/command.h"

#include "config/config.h"
#include "config/nearest.h"

#include <errno.h>

#define CONFIG_DEFAULT "/etc/everseal/everseal.conf"

bool command_has(const struct command *c, enum option o)
{
	return c->values[o] != NULL;
}

struct str command_value(const struct command *c, enum option o)
{
	return str_c(c->values[o]);
}

const char *command_config(const struct command *c)
{
	return command_has(c, OPTION_CONFIG) ? c->values[OPTION_CONFIG] : CONFIG_DEFAULT;
}

struct str command_absolute(struct command *c, const char *path)
{
	char here[4096];
	if (path[0] == '/' || !path[0] || !getcwd(here, sizeof here))
		return str_c(path);
	return arena_printf(&c->arena, "%s/%s", here, path);
}

struct str command_escaped(struct command *c, struct str text)
{
	BUF_AUTO out = BUF_INIT(64 << 10);
	for (size_t i = 0; i < text.n; i++) {
		const unsigned char b = (unsigned char)text.p[i];
		const bool plain = (b >= '0' && b <= '9') ||
		                   ((b | 0x20) >= 'a' && (b | 0x20) <= 'z') ||
		                   (b && strchr("-._~*", b));
		buf_printf(&out, plain ? "%c" : "%%%02X", b);
	}
	return arena_str(&c->arena, buf_str(&out));
}

bool command_state(struct command *c, struct str *ret_state, struct err *err)
{
	if (command_has(c, OPTION_STATE))
		*ret_state = command_absolute(c, c->values[OPTION_STATE]);
	else if (command_has(c, OPTION_CONFIG) && access(command_config(c), R_OK) != 0)
		return err_sys(err, ERR_NOT_FOUND, errno,
		        "The configuration file \"%s\" cannot be read", command_config(c));
	else
		*ret_state = config_state_of(command_config(c), &c->arena);
	return true;
}

int command_fail(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return EXIT_FAILED;
}

int command_usage(const struct err *err)
{
	fprintf(stderr, "%s\n", err->text);
	return EXIT_USAGE;
}

/* ---- options ---- */

struct words { /* of the command line */
	char **at;
	int left;
};

static enum option find_option(struct str word)
{
	enum option o = 0;
	while (o < OPTION_COUNT && !str_eq_c(word, options[o].word))
		o++;
	return o;
}

static bool refuse_option(struct str word, struct err *err)
{
	struct nearest nearest = { .typed = word };
	for (enum option o = 0; o < OPTION_COUNT; o++)
		nearest_try(&nearest, options[o].word);
	const bool close = nearest_is_close(&nearest);
	return err_set(err, ERR_INPUT,
	        "There is no option --%.*s%s%s; `everseal help` lists the commands.",
	        STR_ARG(str_head(word, 80)), close ? ": the nearest is --" : "",
	        close ? nearest.word : "");
}

static bool take_value(struct words *w, enum option o, const char **ret_value, struct err *err)
{
	if (w->left == 0 || !strncmp(w->at[0], "--", 2))
		return err_set(err, ERR_INPUT, "--%s needs a value: --%s %s.", options[o].word,
		        options[o].word, options[o].value);
	*ret_value = *w->at++;
	w->left--;
	return true;
}

static bool keep_option(struct command *c, enum option o, const char *value, struct err *err)
{
	if (o == OPTION_NAME)
		c->names[c->name_count++] = value;
	else if (c->values[o] && options[o].value)
		return err_set(
		        err, ERR_INPUT, "--%s was given twice: give it once.", options[o].word);
	c->values[o] = value;
	return true;
}

/* --word VALUE, --word=VALUE, or --word alone. */
static bool read_option(struct command *c, const char *text, struct words *w, struct err *err)
{
	const struct str whole = str_c(text + 2);
	const size_t equals = str_find(whole, '=');
	const enum option o = find_option(str_head(whole, equals));
	const char *value = equals < whole.n ? whole.p + equals + 1 : NULL;
	if (o == OPTION_COUNT)
		return refuse_option(str_head(whole, equals), err);
	if (!options[o].value && value)
		return err_set(err, ERR_INPUT, "--%s takes no value.", options[o].word);
	if (!options[o].value)
		return keep_option(c, o, "", err);
	if (!value && !take_value(w, o, &value, err))
		return false;
	return keep_option(c, o, value, err);
}

/* ---- commands ---- */

static struct str first_word(struct str words)
{
	return str_head(words, str_find(words, ' '));
}

bool command_is_group(struct str word)
{
	for (enum verb v = 0; v < VERB_COUNT; v++) {
		const struct str words = str_c(verbs[v].words);
		if (str_has(words, ' ') && str_eq(first_word(words), word))
			return true;
	}
	return false;
}

static void add_group(struct buf *out, struct str group)
{
	for (enum verb v = 0; v < VERB_COUNT; v++) {
		const struct str words = str_c(verbs[v].words);
		if (!str_has(words, ' ') || !str_eq(first_word(words), group))
			continue;
		buf_add_c(out, out->n ? ", " : "");
		buf_add(out, str_from(words, group.n + 1));
	}
}

static struct str last_word(struct str words)
{
	for (size_t space; (space = str_find(words, ' ')) < words.n;)
		words = str_from(words, space + 1);
	return words;
}

/* One that is right but for the group it is in is meant rather than one that is written alike. */
bool command_unknown(struct str words, struct err *err)
{
	struct nearest nearest = { .typed = words };
	bool close = false;
	for (enum verb v = 0; v < VERB_COUNT && !close; v++) {
		close = str_eq(last_word(words), last_word(str_c(verbs[v].words)));
		if (close)
			nearest.word = verbs[v].words;
		else
			nearest_try(&nearest, verbs[v].words);
	}
	close = close || nearest_is_close(&nearest);
	return err_set(err, ERR_INPUT,
	        "There is no command \"%.*s\"%s%s%s; `everseal help` lists all.",
	        STR_ARG(str_head(words, 80)), close ? ": the nearest is `" : "",
	        close ? nearest.word : "", close ? "`" : "");
}

/* The first word or two are the command; moves `positional` behind them. */
static bool find_verb(struct command *c, struct words *positional, struct err *err)
{
	if (positional->left == 0)
		return true;
	struct str words = str_c(positional->at[0]);
	const bool group = command_is_group(words);
	if (group)
		c->group = words;
	if (group && positional->left > 1)
		words = arena_printf(&c->arena, "%s %s", positional->at[0], positional->at[1]);
	enum verb v = 0;
	while (v < VERB_COUNT && !str_eq_c(words, verbs[v].words))
		v++;
	c->verb = v;
	if (v == VERB_COUNT && group && positional->left == 1) {
		BUF_AUTO known = BUF_INIT(400);
		add_group(&known, words);
		return command_has(c, OPTION_HELP) ||
		       err_set(err, ERR_INPUT, "`everseal %.*s` needs one of: %s.", STR_ARG(words),
		               buf_c(&known));
	}
	if (v == VERB_COUNT)
		return command_unknown(words, err);
	positional->at += group ? 2 : 1;
	positional->left -= group ? 2 : 1;
	return true;
}

static bool options_fit(const struct command *c, struct err *err)
{
	const struct verb_words *v = &verbs[c->verb];
	if (command_has(c, OPTION_HELP) || command_has(c, OPTION_VERSION))
		return true;
	for (enum option o = 0; o < OPTION_COUNT; o++) {
		if (command_has(c, o) && !(v->options & UINT64_C(1) << o))
			return err_set(err, ERR_INPUT,
			        "`everseal %s` takes no --%s; see `everseal help %s`.", v->words,
			        options[o].word, v->words);
		if (!command_has(c, o) && v->required & UINT64_C(1) << o)
			return err_set(err, ERR_INPUT,
			        "`everseal %s` needs --%s %s; see `everseal help %s`.", v->words,
			        options[o].word, options[o].value ? options[o].value : "",
			        v->words);
	}
	return true;
}

static bool take_operands(struct command *c, const struct words *positional, struct err *err)
{
	const struct verb_words *v = &verbs[c->verb];
	for (int i = 0; i < positional->left; i++) {
		if (c->operand_count == v->operands_most)
			return err_set(err, ERR_INPUT,
			        "\"%.80s\" is one word too many; see `everseal help %s`.",
			        positional->at[i], v->words);
		c->operands[c->operand_count++] = str_c(positional->at[i]);
	}
	return true;
}

bool command_parse(struct command *c, int argc, char **argv, struct err *err)
{
	struct words all = { argv + 1, argc > 0 ? argc - 1 : 0 };
	struct words positional = { arena_array(&c->arena, char *, (size_t)all.left + 1), 0 };
	c->names = arena_array(&c->arena, const char *, (size_t)all.left + 1);
	c->verb = VERB_COUNT;
	bool options_end = false;
	while (all.left > 0) {
		char *text = *all.at++;
		all.left--;
		if (options_end || text[0] != '-' || !text[1])
			positional.at[positional.left++] = text;
		else if (!strcmp(text, "--"))
			options_end = true;
		else if (!strcmp(text, "-h"))
			c->values[OPTION_HELP] = "";
		else if (text[1] != '-')
			return err_set(err, ERR_INPUT,
			        "There is no option %.80s: options have two hyphens; `everseal "
			        "help` lists the commands.",
			        text);
		else if (!read_option(c, text, &all, err))
			return false;
	}
	if (!find_verb(c, &positional, err))
		return false;
	return c->verb == VERB_COUNT || (options_fit(c, err) && take_operands(c, &positional, err));
}
