/* Link (RFC 8288), as far as relations between resources of a CA need it. */
#include "acme/flow.h"

static void skip(struct str *rest, const char *set)
{
	while (rest->n && strchr(set, rest->p[0]) && rest->p[0])
		*rest = str_from(*rest, 1);
}

static struct str take_until(struct str *rest, const char *set)
{
	size_t n = 0;
	while (n < rest->n && !(rest->p[n] && strchr(set, rest->p[n])))
		n++;
	const struct str taken = str_head(*rest, n);
	*rest = str_from(*rest, n);
	return taken;
}

/* A token, or a quoted string without its quotes; a backslash is not looked into: no relation has
 * one. */
static struct str take_value(struct str *rest)
{
	if (!rest->n || rest->p[0] != '"')
		return str_trim(take_until(rest, ";,\n"));
	*rest = str_from(*rest, 1);
	const struct str value = take_until(rest, "\"\n");
	take_until(rest, ";,\n");
	return value;
}

/* RFC 8288 3.3: a list of relations, separated by spaces; the first rel counts. */
static bool names(struct str relations, const char *relation)
{
	struct str one;
	while (str_split(&relations, ' ', &one))
		if (str_eq_nocase(one, str_c(relation)))
			return true;
	return false;
}

static bool has_relation(struct str *rest, const char *relation)
{
	bool seen = false, has = false;
	while (rest->n && rest->p[0] == ';') {
		*rest = str_from(*rest, 1);
		const struct str key = str_trim(take_until(rest, "=;,\n"));
		struct str value = STR_NONE;
		if (rest->n && rest->p[0] == '=') {
			*rest = str_from(*rest, 1);
			skip(rest, " \t");
			value = take_value(rest);
		}
		if (seen || !str_eq_nocase(key, STR("rel")))
			continue;
		seen = true;
		has = names(value, relation);
	}
	return has;
}

bool acme_next_link(struct str *rest, const char *relation, struct str *ret_target)
{
	while (rest->n) {
		skip(rest, " \t,\n");
		if (!rest->n || rest->p[0] != '<') {
			take_until(rest, ",\n");
			continue;
		}
		*rest = str_from(*rest, 1);
		const struct str target = take_until(rest, ">\n");
		if (!rest->n || rest->p[0] != '>')
			continue;
		*rest = str_from(*rest, 1);
		skip(rest, " \t");
		if (!has_relation(rest, relation))
			continue;
		*ret_target = target;
		return true;
	}
	return false;
}
