/* What people read: dates, tables. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include "base/arena.h"
#include "base/buf.h"
#include "json/json.h"

/* "12 Jan 2027, 09:14 (in 48 days)" in the local time zone, from RFC 3339; "-" if it is no date. */
struct str show_date(struct arena *a, struct str rfc3339, int64_t now);
struct str show_span(struct arena *a, int64_t ms);    /* "48 days", "2 hours", "1 minute" */
struct str show_clean(struct arena *a, struct str s); /* without control characters */
/* A DNS name; an internationalised one, whichever way it was typed, in both: "müller.example
 * (xn--mller-kva.example)". */
struct str show_name(struct arena *a, struct str name);
/* "a, b and 3 more": the texts of a list, or the names. */
struct str show_list(struct arena *a, const struct json *list, size_t most);
struct str show_names(struct arena *a, const struct json *list, size_t most);

enum { TABLE_COLUMNS = 6 };
struct table {
	struct arena *arena;
	const char *heads[TABLE_COLUMNS]; /* NULL ends them */
	struct table_row {
		struct str cells[TABLE_COLUMNS];
		struct str *notes; /* lines beneath the row */
		size_t note_count;
	} *rows;
	size_t count;
};
struct table_row *table_add(struct table *t);
void table_note(struct table *t, struct table_row *row, struct str text); /* empty: none */
void table_print(const struct table *t, struct buf *out);

#endif
