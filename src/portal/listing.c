/* Lists that are paged: what the query asks for, and the frame of the answer. */
#include "portal/call.h"

enum { LIMIT = 50, LIMIT_MOST = 200 };

static bool read_number(struct str text, const char *what, size_t *ret, struct err *err)
{
	uint64_t n;
	if (!text.n)
		return true;
	if (!str_to_u64(text, &n) || n > UINT32_MAX)
		return err_set(err, ERR_INPUT, "`%s` is not one of a list's.", what);
	*ret = (size_t)n;
	return true;
}

bool listing_begin(struct listing *l, struct call *c, struct err *err)
{
	*l = (struct listing){ .call = c, .limit = LIMIT };
	l->search = call_query(c, "search");
	l->state = call_query(c, "state");
	l->issuer = call_query(c, "issuer");
	l->sort = call_query(c, "sort");
	l->descending = str_starts(l->sort, STR("-"));
	if (l->descending)
		l->sort = str_from(l->sort, 1);
	if (!read_number(call_query(c, "limit"), "limit", &l->limit, err) ||
	        !read_number(call_query(c, "cursor"), "cursor", &l->from, err))
		return false;
	if (!l->limit || l->limit > LIMIT_MOST)
		return err_set(err, ERR_INPUT, "`limit` is a number from 1 to %d.", LIMIT_MOST);
	call_object(c, &l->w);
	json_write_array(&l->w, "items");
	return true;
}

bool listing_next(struct listing *l)
{
	size_t index = l->total++;
	return index >= l->from && index - l->from < l->limit;
}

static void write_cursor(struct listing *l, const char *key, bool is, size_t at)
{
	char text[24];
	snprintf(text, sizeof text, "%zu", at);
	json_write_c(&l->w, key, is ? text : NULL);
}

void listing_items_end(struct listing *l)
{
	json_write_end(&l->w);
	bool more = l->total > l->from && l->total - l->from > l->limit;
	json_write_int(&l->w, "total", (int64_t)l->total);
	json_write_int(&l->w, "from", (int64_t)l->from + (l->from < l->total));
	write_cursor(l, "next", more, l->from + l->limit);
	write_cursor(l, "previous", l->from > 0, l->from > l->limit ? l->from - l->limit : 0);
}

void listing_end(struct listing *l)
{
	json_write_end(&l->w);
	call_answer(l->call, 200);
}

bool listing_has(struct str text, struct str search)
{
	for (size_t i = 0; i + search.n <= text.n; i++)
		if (str_eq_nocase(str_head(str_from(text, i), search.n), search))
			return true;
	return false;
}
