/* Help texts for terminals. */
#include "cli/command.h"

enum { WIDTH = 80 };

/* The text's words, filled into lines that begin with `indent` spaces. */
static void add_filled(struct buf *out, struct str text, int indent)
{
	struct str word;
	int column = 0;
	while (str_split(&text, ' ', &word)) {
		if (column && column + 1 + (int)word.n > WIDTH) {
			buf_add_char(out, '\n');
			column = 0;
		}
		if (!column)
			buf_printf(out, "%*s", indent, "");
		else
			buf_add_char(out, ' ');
		column = (column ? column + 1 : indent) + (int)word.n;
		buf_add(out, word);
	}
	buf_add_char(out, '\n');
}

static void add_paragraphs(struct buf *out, const char *text)
{
	struct str rest = str_c(text), line;
	while (str_split(&rest, '\n', &line)) {
		if (line.n)
			add_filled(out, line, 0);
		else
			buf_add_char(out, '\n');
	}
}

static void add_option(struct buf *out, enum option o)
{
	const struct option_words *w = &options[o];
	buf_printf(out, "  --%s%s%s\n", w->word, w->value ? " " : "", w->value ? w->value : "");
	add_filled(out, str_c(w->help), 6);
}

static void add_usage(struct buf *out, enum verb verb)
{
	const struct verb_words *v = &verbs[verb];
	buf_printf(out, "Usage: everseal %s", v->words);
	if (v->operands)
		buf_printf(out, " %s", v->operands);
	for (enum option o = 0; o < OPTION_COUNT; o++)
		if (v->required & UINT64_C(1) << o)
			buf_printf(out, " --%s %s", options[o].word, options[o].value);
	buf_add_c(out, v->options & ~v->required ? " [options]\n" : "\n");
}

void help_verb(enum verb verb, struct buf *out)
{
	add_usage(out, verb);
	buf_add_char(out, '\n');
	add_paragraphs(out, verbs[verb].help);
	if (verbs[verb].options)
		buf_add_c(out, "\nOptions:\n");
	for (enum option o = 0; o < OPTION_COUNT; o++)
		if (verbs[verb].options & UINT64_C(1) << o)
			add_option(out, o);
}

static void add_verbs(struct buf *out, struct str start)
{
	for (enum verb v = 0; v < VERB_COUNT; v++)
		if (str_starts(str_c(verbs[v].words), start))
			buf_printf(out, "  %-23s%s\n", verbs[v].words, verbs[v].summary);
}

void help_group(struct str group, struct buf *out)
{
	buf_printf(out, "Usage: everseal %.*s COMMAND [options]\n\nCommands:\n", STR_ARG(group));
	add_verbs(out, group);
	buf_printf(out, "\n`everseal help %.*s COMMAND` explains one of them.\n", STR_ARG(group));
}

void help_all(struct buf *out)
{
	buf_add_c(out, "Everseal gives a web application HTTPS that looks after itself.\n\n"
	               "Usage: everseal COMMAND [options]\n\nCommands:\n");
	add_verbs(out, STR(""));
	buf_add_c(out, "\n`everseal help COMMAND` explains one of them. Manual pages: everseal(1), "
	               "everseal.conf(5).\n");
}
