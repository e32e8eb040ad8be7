/* Conditional requests (RFC 9110 13). */
#include "files/parts.h"

#include "base/clock.h"

static bool is_weak(struct str tag)
{
	return str_starts(tag, STR("W/"));
}

static struct str opaque(struct str tag)
{
	return is_weak(tag) ? str_from(tag, 2) : tag;
}

/* The entity tag at the beginning of the list, which moves behind it. False: there is none. */
static bool take_tag(struct str *list, struct str *ret_tag)
{
	while (list->n && (list->p[0] == ',' || list->p[0] == ' ' || list->p[0] == '\t'))
		*list = str_from(*list, 1);
	size_t start = is_weak(*list) ? 2 : 0;
	struct str quoted = str_from(*list, start);
	if (!str_starts(quoted, STR("\"")))
		return false;
	size_t end = str_find(str_from(quoted, 1), '"') + 2;
	if (end > quoted.n)
		return false;
	*ret_tag = str_head(*list, start + end);
	*list = str_from(*list, start + end);
	return true;
}

/* RFC 9110 8.8.3.2 */
static bool matches(struct str a, struct str b, bool strongly)
{
	return str_eq(opaque(a), opaque(b)) && !(strongly && (is_weak(a) || is_weak(b)));
}

static bool list_matches(const struct headers *h, struct str name, struct str etag, bool strongly)
{
	for (size_t i = 0; i < h->count; i++) {
		struct str list = h->at[i].value, tag;
		if (!str_eq(h->at[i].name, name))
			continue;
		if (str_eq(str_trim(list), STR("*")))
			return true;
		while (take_tag(&list, &tag))
			if (matches(tag, etag, strongly))
				return true;
	}
	return false;
}

static bool has(const struct headers *h, struct str name)
{
	return headers_find(h, name).p != NULL;
}

/* A date that is none is ignored (RFC 9110 13.1.3). */
static bool read_date(const struct headers *h, struct str name, int64_t *ret_wall)
{
	struct str text = headers_find(h, name);
	return text.p && clock_from_http_date(text, ret_wall);
}

/* RFC 9110 13.1.5: a date counts only as a strong validator (8.8.2.2). */
static bool range_may_be_had(const struct headers *h, const struct file *f, int64_t now)
{
	struct str given = headers_find(h, STR("if-range")), list = given, tag;
	int64_t date;
	if (!given.p)
		return true;
	if (take_tag(&list, &tag))
		return list.n == 0 && matches(tag, f->etag, /* strongly= */ true);
	return clock_from_http_date(given, &date) && date == f->modified &&
	       now - f->modified >= 60 * SECOND;
}

enum verdict file_condition(const struct request *r, const struct file *f, int64_t now)
{
	const struct headers *h = &r->headers;
	int64_t date;
	if (has(h, STR("if-match"))) {
		if (!list_matches(h, STR("if-match"), f->etag, /* strongly= */ true))
			return VERDICT_FAILED;
	} else if (read_date(h, STR("if-unmodified-since"), &date) && f->modified > date) {
		return VERDICT_FAILED;
	}
	if (has(h, STR("if-none-match"))) {
		if (list_matches(h, STR("if-none-match"), f->etag, /* strongly= */ false))
			return VERDICT_NOT_MODIFIED;
	} else if (read_date(h, STR("if-modified-since"), &date) && f->modified <= date) {
		return VERDICT_NOT_MODIFIED;
	}
	bool range = str_eq(r->method, STR("GET")) && has(h, STR("range"));
	return range && range_may_be_had(h, f, now) ? VERDICT_RANGE : VERDICT_SEND;
}
