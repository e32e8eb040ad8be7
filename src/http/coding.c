#include "http/coding.h"

/* "q=0", "q=0.0…": not wanted. */
static bool is_wanted(struct str params)
{
	struct str param;
	while (str_split(&params, ';', &param)) {
		param = str_trim(param);
		if (!str_eq_nocase(str_head(param, 2), STR("q=")))
			continue;
		for (size_t i = 2; i < param.n; i++)
			if (param.p[i] >= '1' && param.p[i] <= '9')
				return true;
		return false;
	}
	return true;
}

bool http_accepts(const struct headers *h, struct str coding)
{
	bool any = false;
	for (size_t i = 0; i < h->count; i++) {
		struct str list = h->at[i].value, item;
		if (!str_eq(h->at[i].name, STR("accept-encoding")))
			continue;
		while (str_split(&list, ',', &item)) {
			size_t end = str_find(item, ';');
			struct str name = str_trim(str_head(item, end)), rest = str_from(item, end);
			if (str_eq_nocase(name, coding))
				return is_wanted(rest);
			if (str_eq(name, STR("*")))
				any = is_wanted(rest);
		}
	}
	return any;
}

static bool is_one_of(struct str type, const char *const *all)
{
	while (*all && !str_eq_nocase(type, str_c(*all)))
		all++;
	return *all != NULL;
}

bool http_type_compresses(struct str type)
{
	static const char *const others[] = { "application/json", "application/javascript",
		"application/xml", "application/wasm", "application/x-javascript",
		"application/graphql-response+json", "application/x-ndjson",
		"application/vnd.ms-fontobject", "font/ttf", "font/otf", NULL };
	type = str_trim(str_head(type, str_find(type, ';')));
	struct str tail = str_from(type, type.n > 5 ? type.n - 5 : 0);
	return str_eq_nocase(str_head(type, 5), STR("text/")) || is_one_of(type, others) ||
	       str_eq_nocase(tail, STR("+json")) || str_eq_nocase(str_from(tail, 1), STR("+xml"));
}
