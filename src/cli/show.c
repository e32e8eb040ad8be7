#include "cli/show.h"

#include "base/clock.h"
#include "certs/name.h"

struct str show_span(struct arena *a, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = { { DAY, "day" }, { HOUR, "hour" }, { MINUTE, "minute" },
		{ SECOND, "second" } };
	size_t i = 0;
	/* From two of a unit on: 36 hours say more than 1 day. */
	while (i < 3 && ms < 2 * units[i].ms)
		i++;
	const long long n = ms / units[i].ms;
	return arena_printf(a, "%lld %s%s", n, units[i].name, n == 1 ? "" : "s");
}

struct str show_date(struct arena *a, struct str rfc3339, int64_t now)
{
	int64_t at;
	struct tm tm;
	char text[64];
	if (!rfc3339.p || !clock_from_rfc3339(rfc3339, &at))
		return STR("-");
	const time_t seconds = (time_t)(at / SECOND);
	if (!localtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%d %b %Y, %H:%M", &tm))
		return show_clean(a, rfc3339);
	const char *day = text[0] == '0' ? text + 1 : text;
	const struct str span = show_span(a, at > now ? at - now : now - at);
	return arena_printf(a, at > now ? "%s (in %.*s)" : "%s (%.*s ago)", day, STR_ARG(span));
}

struct str show_clean(struct arena *a, struct str s)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_INPUT, "%.*s", STR_ARG(s));
	return arena_str(a, str_c(err.text));
}

struct str show_name(struct arena *a, struct str typed)
{
	struct name name;
	struct err no_name = ERR_INIT;
	if (!name_read(a, typed, /* public_only= */ false, &name, &no_name) ||
	        str_eq(name.unicode, name.ascii))
		return show_clean(a, typed);
	return arena_printf(a, "%.*s (%.*s)", STR_ARG(name.unicode), STR_ARG(name.ascii));
}

static struct str list_by(struct arena *a, const struct json *list, size_t most,
        struct str (*show)(struct arena *a, struct str s))
{
	const size_t count = json_count(list);
	BUF_AUTO out = BUF_INIT(64 << 10);
	for (size_t i = 0; i < count && i < most; i++) {
		buf_add_c(&out, i ? ", " : "");
		buf_add(&out, show(a, json_value_text(json_at(list, i))));
	}
	if (count > most)
		buf_printf(&out, " and %zu more", count - most);
	return count ? arena_str(a, buf_str(&out)) : STR("-");
}

struct str show_list(struct arena *a, const struct json *list, size_t most)
{
	return list_by(a, list, most, show_clean);
}

struct str show_names(struct arena *a, const struct json *list, size_t most)
{
	return list_by(a, list, most, show_name);
}

struct table_row *table_add(struct table *t)
{
	if ((t->count & (t->count - 1)) == 0) {
		struct table_row *rows =
		        arena_array(t->arena, struct table_row, t->count ? 2 * t->count : 1);
		if (t->count)
			memcpy(rows, t->rows, t->count * sizeof *rows);
		t->rows = rows;
	}
	struct table_row *row = &t->rows[t->count++];
	*row = (struct table_row){ 0 };
	return row;
}

void table_note(struct table *t, struct table_row *row, struct str text)
{
	if (!text.n)
		return;
	struct str *notes = arena_array(t->arena, struct str, row->note_count + 1);
	if (row->note_count)
		memcpy(notes, row->notes, row->note_count * sizeof *notes);
	row->notes = notes;
	row->notes[row->note_count++] = text;
}

/* Columns of a terminal, near enough: characters. */
static size_t columns(struct str s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static size_t width(const struct table *t, size_t column)
{
	size_t most = strlen(t->heads[column]);
	for (size_t i = 0; i < t->count; i++) {
		const size_t n = columns(t->rows[i].cells[column]);
		most = n > most ? n : most;
	}
	return most;
}

/* Nothing is filled up behind the last cell of a line. */
static void print_line(const struct str *cells, const size_t *widths, size_t count, struct buf *out)
{
	buf_add_c(out, "  ");
	for (size_t c = 0; c < count; c++) {
		const struct str cell = cells[c].n ? cells[c] : STR("-");
		buf_add(out, cell);
		for (size_t n = columns(cell); c + 1 < count && n < widths[c] + 2; n++)
			buf_add_char(out, ' ');
	}
	buf_add_char(out, '\n');
}

void table_print(const struct table *t, struct buf *out)
{
	size_t widths[TABLE_COLUMNS], count = 0;
	struct str heads[TABLE_COLUMNS];
	if (t->count == 0) {
		buf_add_c(out, "  none\n");
		return;
	}
	for (; count < TABLE_COLUMNS && t->heads[count]; count++) {
		widths[count] = width(t, count);
		heads[count] = str_c(t->heads[count]);
	}
	print_line(heads, widths, count, out);
	for (size_t i = 0; i < t->count; i++) {
		const struct table_row *row = &t->rows[i];
		print_line(row->cells, widths, count, out);
		for (size_t n = 0; n < row->note_count; n++)
			buf_printf(out, "    %.*s\n", STR_ARG(row->notes[n]));
	}
}
