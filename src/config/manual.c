/* everseal.conf(5)'s section on directives, from the rows that also read the file. */
#include "config/parts.h"

static const char *const headings[SCOPE_COUNT] = {
	[SCOPE_TOP] = "TOP LEVEL",
	[SCOPE_SITE] = "IN A SITE",
	[SCOPE_ROUTE] = "IN A ROUTE",
	[SCOPE_PROXY] = "IN A PROXY",
	[SCOPE_HEALTH] = "IN A HEALTH CHECK",
	[SCOPE_ISSUER] = "IN AN ISSUER",
	[SCOPE_PORTS] = "IN CHALLENGE-PORTS",
	[SCOPE_LISTENER] = "IN HTTP AND HTTPS",
	[SCOPE_DNS] = "IN DNS-CHALLENGE",
	[SCOPE_DEMAND] = "IN ON-DEMAND",
	[SCOPE_NOTIFY] = "IN NOTIFY",
};

static const char *const type_params[] = {
#define X(name, text) [SETTING_##name] = text,
	SETTING_TYPES(X)
#undef X
};

/* The words that stand for something are set in italics, the others as they are typed. */
static void add_params(struct buf *out, const char *params)
{
	struct str rest = params[0] ? str_c(params) : STR_NONE, word;
	while (str_split(&rest, ' ', &word)) {
		buf_add_c(out, " ");
		for (size_t i = 0; i < word.n; i++) {
			if (word.p[i] == '*' || word.p[i] == '_' || word.p[i] == '\\')
				buf_add_char(out, '\\');
			buf_add_char(out, word.p[i]);
		}
	}
}

static void add_bounds(struct buf *out, const struct setting *s)
{
	if (s->type != SETTING_COUNT && s->type != SETTING_SIZE && s->type != SETTING_DURATION)
		return;
	if (s->least <= 0 && s->most == INT64_MAX)
		return;
	buf_add_c(out, s->most == INT64_MAX ? "\tAt least " : "\tFrom ");
	config_value_show(s->type, s->least, out);
	if (s->most != INT64_MAX) {
		buf_add_c(out, " to ");
		config_value_show(s->type, s->most, out);
	}
	buf_add_c(out, ".\n\n");
}

static void add_row(struct buf *out, const struct setting *s)
{
	buf_printf(out, "*%s*", s->name);
	add_params(out, s->params ? s->params : type_params[s->type]);
	buf_printf(out, "\n\t%s\n\n", s->help);
	add_bounds(out, s);
	if (s->fallback[0])
		buf_printf(out, "\tDefault: %s\n\n", s->fallback);
	if (s->restart)
		buf_add_c(out, "\tA change takes effect when Everseal is started anew.\n\n");
}

static void add_rows(struct buf *out, struct config_rows rows)
{
	for (size_t i = 0; i < rows.count; i++)
		add_row(out, &rows.at[i]);
}

void config_manual(const struct config_source *rows, struct buf *out)
{
	for (enum scope scope = SCOPE_TOP; scope < SCOPE_COUNT; scope++) {
		buf_printf(out, "## %s\n\n", headings[scope]);
		for (size_t i = 0; i < config_blocks[scope].count; i++)
			add_row(out, &config_blocks[scope].rows[i].setting);
		if (scope == SCOPE_TOP && rows->extra.count)
			buf_add_c(out, "## LIMITS, AT TOP LEVEL\n\n");
		if (scope == SCOPE_TOP)
			add_rows(out, rows->extra);
		else if (scope == SCOPE_PROXY)
			add_rows(out, rows->proxy);
		else if (scope == SCOPE_HEALTH)
			add_rows(out, rows->health);
	}
}

static bool number_fits(const struct setting *s, struct err *err)
{
	int64_t value;
	if (s->least > s->most)
		return err_set(err, ERR_INPUT, "`%s` has a least value above its most.", s->name);
	return !s->fallback[0] || config_value_bounded(s, str_c(s->fallback), &value, err) ||
	       err_prefix(err, "The default of `%s`: ", s->name);
}

static bool row_fits(const struct setting *s, struct err *err)
{
	if (!s->help || !s->help[0])
		return err_set(err, ERR_INPUT, "`%s` has no text for the manual.", s->name);
	if (!s->fallback)
		return err_set(err, ERR_INPUT, "`%s` does not say its default.", s->name);
	switch (s->type) {
	case SETTING_COUNT:
	case SETTING_SIZE:
	case SETTING_DURATION:
		return number_fits(s, err);
	case SETTING_SPECIAL:
		return s->params ||
		       err_set(err, ERR_INPUT, "`%s` does not say its parameters.", s->name);
	case SETTING_YES_NO:
	case SETTING_TEXT:
		break;
	}
	return err_set(err, ERR_INPUT, "`%s` is of a type that nobody reads.", s->name);
}

static bool rows_fit(struct config_rows rows, struct err *err)
{
	for (size_t i = 0; i < rows.count; i++) {
		if (rows.at[i].type == SETTING_SPECIAL)
			return err_set(err, ERR_INPUT, "`%s` has no parser.", rows.at[i].name);
		if (!row_fits(&rows.at[i], err))
			return false;
	}
	return true;
}

static bool have_defaults(struct config_rows rows, struct err *err)
{
	for (size_t i = 0; i < rows.count; i++)
		if (!rows.at[i].fallback[0])
			return err_set(err, ERR_INPUT, "`%s` has no default.", rows.at[i].name);
	return true;
}

bool config_manual_complete(const struct config_source *rows, struct err *err)
{
	for (enum scope scope = SCOPE_TOP; scope < SCOPE_COUNT; scope++)
		for (size_t i = 0; i < config_blocks[scope].count; i++)
			if (!row_fits(&config_blocks[scope].rows[i].setting, err))
				return false;
	return rows_fit(rows->extra, err) && have_defaults(rows->extra, err) &&
	       rows_fit(rows->proxy, err) && rows_fit(rows->health, err);
}
