#include "certs/pattern.h"

bool pattern_covers(struct str pattern, struct str name)
{
	if (str_eq_nocase(pattern, name))
		return true;
	if (!str_starts(pattern, STR("*.")))
		return false;
	size_t dot = str_find(name, '.');
	return dot > 0 && dot < name.n && str_eq_nocase(str_from(pattern, 1), str_from(name, dot));
}

bool pattern_allows(struct str pattern, struct str name)
{
	if (!str_starts(pattern, STR("**.")))
		return pattern_covers(pattern, name);
	struct str parent = str_from(pattern, 2);
	return name.n > parent.n && str_eq_nocase(str_from(name, name.n - parent.n), parent);
}

static bool is_label(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < 'a' || s.p[i] > 'z') && (s.p[i] < '0' || s.p[i] > '9') &&
		        s.p[i] != '-')
			return false;
	return s.n > 0 && s.n < 64 && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

static bool is_number(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* RFC 1035 2.3.4 */
bool name_is_host(struct str name)
{
	struct str rest = name, label = STR_NONE;
	size_t labels = 0;
	if (name.n == 0 || name.n > 253 || name.p[name.n - 1] == '.')
		return false;
	while (str_split(&rest, '.', &label)) {
		if (!is_label(label))
			return false;
		labels++;
	}
	return labels > 1 && !is_number(label);
}
