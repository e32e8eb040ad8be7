/* Long lists, paged: of all rows that match, those behind a cursor, in the order that is asked for.
 *
 * One pass over all rows, in any order: list_offer keeps the rows of the page and counts the
 * others; nothing is sorted whole. A cursor is the key of the page's first or last row, so that
 * rows which come, go or change between two pages neither double nor hide others.
 *
 *	list_begin(&l, call, "state", sorts, &err)
 *	for each row: if (it matches) { row->item.key = … by l.sort …; list_offer(&l, &row->item); }
 *	list_items(&l, &w); for i < l.count: write OWNER(l.rows[i], …) with key NULL
 *	list_end(&l, &w)                      closes "items", writes total, from, next, previous */
#ifndef PORTAL_LISTS_H
#define PORTAL_LISTS_H

#include "portal/call.h"

enum { LIST_LIMIT = 50, LIST_LIMIT_MOST = 200 };

struct list_key { /* texts are unique within a list: the name or id */
	int64_t number;
	struct str text;
};
struct list_item {
	struct list_key key; /* its text lives until the list is written */
};

struct list_page {
	struct call *call;
	struct str search, state, issuer; /* search: in lower case */
	unsigned sort;                    /* index into the sorts */
	bool descending;
	size_t limit, total;
	struct list_item *rows[LIST_LIMIT_MOST + 1]; /* in order */
	size_t count;
	bool has_cursor, backwards;
	struct list_key cursor;
	size_t behind, before; /* rows on either side of the cursor */
};
/* For a list of names with nothing else to choose by: false if the call was answered with what is
 * wrong in its query. list_end_names closes the whole answer and sends it. */
MUST_CHECK bool list_begin_names(struct list_page *l, struct call *c);
void list_end_names(struct list_page *l, struct json_writer *w);
/* Reads search, state, issuer, sort, limit, cursor of the query. sorts: names of members that one
 * can sort by, NULL at the end; the first is the default. */
MUST_CHECK bool list_begin(
        struct list_page *l, struct call *c, const char *const *sorts, struct err *err);
void list_offer(struct list_page *l, struct list_item *item);
/* The page is complete: l->rows and l->count are what is to be written. */
void list_items(struct list_page *l, struct json_writer *w);
void list_end(struct list_page *l, struct json_writer *w);
/* Members total, from, next, previous, for lists of another shape; after the page is complete. */
void list_settle(struct list_page *l);
void list_write_place(struct list_page *l, struct json_writer *w);
/* Whether lower-case text has the search in it. */
bool list_found(const struct list_page *l, struct str text);

#endif
