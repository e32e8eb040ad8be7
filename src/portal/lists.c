#include "portal/lists.h"

enum { CURSOR_MOST = 2048 };

/* ---- what is asked for ---- */

static bool read_limit(struct list_page *l, struct str text, struct err *err)
{
	uint64_t n = LIST_LIMIT;
	if (text.n && (!str_to_u64(text, &n) || !n || n > LIST_LIMIT_MOST))
		return err_set(
		        err, ERR_INPUT, "`limit` is a number from 1 to %d.", LIST_LIMIT_MOST);
	l->limit = (size_t)n;
	return true;
}

static bool read_sort(
        struct list_page *l, struct str text, const char *const *sorts, struct err *err)
{
	BUF_AUTO known = BUF(400);
	l->descending = str_starts(text, STR("-"));
	if (l->descending)
		text = str_from(text, 1);
	for (l->sort = 0; sorts[l->sort]; l->sort++) {
		if (!text.n || str_eq_c(text, sorts[l->sort]))
			return true;
		buf_printf(&known, "%s%s", l->sort ? ", " : "", sorts[l->sort]);
	}
	return err_set(err, ERR_INPUT, "This list is not sorted by \"%.*s\": give one of %s.",
	        STR_ARG(str_head(text, 80)), buf_c(&known));
}

/* "n" or "p" for the rows after or before it, "NUMBER" or "-NUMBER", ":", the text. */
static bool decode(struct list_page *l, struct str cursor)
{
	BUF_AUTO plain = BUF(CURSOR_MOST);
	uint64_t number;
	if (!buf_decode_base64url(&plain, cursor) || plain.n < 3)
		return false;
	struct str text = arena_str(&l->call->arena, buf_str(&plain)), digits = str_from(text, 1);
	digits = str_head(digits, str_find(digits, ':'));
	bool negative = str_starts(digits, STR("-"));
	if ((text.p[0] != 'n' && text.p[0] != 'p') ||
	        !str_to_u64(str_from(digits, negative), &number) || number > INT64_MAX)
		return false;
	l->has_cursor = true;
	l->backwards = text.p[0] == 'p';
	l->cursor.number = negative ? -(int64_t)number : (int64_t)number;
	l->cursor.text = str_from(text, digits.n + 2);
	return true;
}

static struct str lower(struct arena *a, struct str text)
{
	struct str copy = arena_str(a, str_trim(text));
	for (size_t i = 0; i < copy.n; i++)
		((char *)copy.p)[i] = ascii_lower(copy.p[i]);
	return copy;
}

bool list_begin(struct list_page *l, struct call *c, const char *const *sorts, struct err *err)
{
	*l = (struct list_page){ .call = c };
	l->search = lower(&c->arena, call_query(c, "search"));
	l->state = call_query(c, "state");
	l->issuer = call_query(c, "issuer");
	struct str cursor = call_query(c, "cursor");
	if (!read_limit(l, call_query(c, "limit"), err) ||
	        !read_sort(l, call_query(c, "sort"), sorts, err))
		return false;
	return !cursor.n || decode(l, cursor) ||
	       err_set(err, ERR_INPUT, "`cursor` is not one of this list's: leave it out.");
}

/* The search is in lower case already. Most texts are, too: they are read once only. */
bool list_found(const struct list_page *l, struct str text)
{
	struct str s = l->search;
	if (!s.n || (text.n && memmem(text.p, text.n, s.p, s.n)))
		return true;
	for (size_t i = 0; i + s.n <= text.n; i++)
		if (ascii_lower(text.p[i]) == *s.p && str_eq_nocase(str_n(text.p + i, s.n), s))
			return true;
	return false;
}

/* ---- the page ---- */

static int compare(const struct list_page *l, const struct list_key *a, const struct list_key *b)
{
	int order = a->number != b->number ? (a->number < b->number ? -1 : 1)
	                                   : str_cmp(a->text, b->text);
	return l->descending ? -order : order;
}

/* Keeps it in its place; what falls off the far end is behind the page. */
static void keep(struct list_page *l, struct list_item *item, size_t most)
{
	size_t low = 0, high = l->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (compare(l, &l->rows[middle]->key, &item->key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (l->backwards && l->count == most) {
		if (!low)
			return;
		low--;
		memmove(l->rows, l->rows + 1, low * sizeof *l->rows);
		l->rows[low] = item;
		return;
	}
	if (low == most)
		return;
	if (l->count == most)
		l->count--;
	memmove(l->rows + low + 1, l->rows + low, (l->count - low) * sizeof *l->rows);
	l->rows[low] = item;
	l->count++;
}

void list_offer(struct list_page *l, struct list_item *item)
{
	l->total++;
	int side = l->has_cursor ? compare(l, &item->key, &l->cursor) : 1;
	if (l->backwards ? side < 0 : side <= 0)
		l->before++;
	else
		l->behind++;
	if (l->backwards ? side < 0 : side > 0)
		keep(l, item, l->limit);
}

void list_settle(struct list_page *l)
{
	if (l->backwards)
		l->before -= l->count;
	else
		l->behind -= l->count;
}

static void write_cursor(const struct list_page *l, struct json_writer *w, const char *key, bool is)
{
	BUF_AUTO plain = BUF(CURSOR_MOST), coded = BUF(2 * CURSOR_MOST);
	if (!is || !l->count) {
		json_write_null(w, key);
		return;
	}
	bool next = !strcmp(key, "next");
	const struct list_key *at = &l->rows[next ? l->count - 1 : 0]->key;
	buf_printf(&plain, "%c%lld:", next ? 'n' : 'p', (long long)at->number);
	buf_add(&plain, at->text);
	buf_add_base64url(&coded, buf_str(&plain));
	json_write_text(w, key, buf_str(&coded));
}

void list_write_place(struct list_page *l, struct json_writer *w)
{
	json_write_int(w, "total", (int64_t)l->total);
	json_write_int(w, "from", (int64_t)(l->count ? l->before + 1 : 0));
	write_cursor(l, w, "next", l->behind > 0);
	write_cursor(l, w, "previous", l->before > 0);
}

void list_items(struct list_page *l, struct json_writer *w)
{
	list_settle(l);
	call_object(l->call, w);
	json_write_array(w, "items");
}

void list_end(struct list_page *l, struct json_writer *w)
{
	json_write_end(w);
	list_write_place(l, w);
}

bool list_begin_names(struct list_page *l, struct call *c)
{
	static const char *const sorts[] = { "name", NULL };
	struct err err = ERR_INIT;
	if (list_begin(l, c, sorts, &err))
		return true;
	call_fail(c, &err);
	return false;
}

void list_end_names(struct list_page *l, struct json_writer *w)
{
	list_end(l, w);
	json_write_object(w, "counts");
	json_write_end(w);
	json_write_end(w);
	call_answer(l->call, 200);
}
