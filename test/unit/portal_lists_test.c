/* Long lists: every row stands on one page, in order, however rows come and go between pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "portal/lists.h"

enum { ROWS = 500 };

struct row {
	struct list_item item;
	char name[16];
	int64_t number;
	bool gone;
};

static struct row rows[ROWS];
static const char *const sorts[] = { "number", "name", NULL };

/* Few numbers, so that names decide; in an order of its own. */
static void make_rows(void)
{
	for (size_t i = 0; i < ROWS; i++) {
		size_t k = i * 37 % ROWS;
		snprintf(rows[i].name, sizeof rows[i].name, "s%03zu.example", k);
		rows[i].number = (int64_t)(k % 7) - 3;
		rows[i].gone = false;
	}
}

struct page {
	struct call call;
	struct list_page list;
	char next[128], previous[128];
};

static void keep_cursor(const struct json *json, const char *key, char ret[128])
{
	struct str text = json_text(json, key);
	snprintf(ret, 128, "%.*s", STR_ARG(text));
}

/* One request: the page, and its cursors. */
static void ask(struct page *p, const char *query)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	*p = (struct page){ .call.answer = BUF(1 << 20), .call.query = str_c(query) };
	if (!list_begin(&p->list, &p->call, sorts, &err))
		fail_msg("%s: %s", query, err.text);
	for (size_t i = 0; i < ROWS; i++) {
		struct row *r = &rows[i];
		struct str name = str_c(r->name);
		if (r->gone || !list_found(&p->list, name))
			continue;
		r->item.key = (struct list_key){ p->list.sort == 0 ? r->number : 0, name };
		list_offer(&p->list, &r->item);
	}
	list_items(&p->list, &w);
	list_end(&p->list, &w);
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&p->call.answer), "The page", &err);
	assert_non_null(json);
	keep_cursor(json, "next", p->next);
	keep_cursor(json, "previous", p->previous);
}

static void done(struct page *p)
{
	buf_done(&p->call.answer);
	arena_done(&p->call.arena);
}

static const struct row *row_at(const struct page *p, size_t i)
{
	return OWNER(p->list.rows[i], struct row, item);
}

static int order(const struct row *a, const struct row *b, bool by_number)
{
	if (by_number && a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Forward to the end and back to the start: the same pages. */
static void walk(const char *sort, bool by_number, int sign)
{
	struct page p;
	char query[512], back[512] = "";
	const struct row *last = NULL;
	size_t seen = 0;
	snprintf(query, sizeof query, "sort=%s&limit=33", sort);
	for (;;) {
		ask(&p, query);
		assert_int_equal(p.list.total, ROWS);
		assert_int_equal(p.list.before, seen);
		for (size_t i = 0; i < p.list.count; i++) {
			assert_true(!last || sign * order(last, row_at(&p, i), by_number) < 0);
			last = row_at(&p, i);
		}
		seen += p.list.count;
		snprintf(query, sizeof query, "sort=%s&limit=33&cursor=%s", sort, p.next);
		snprintf(back, sizeof back, "sort=%s&limit=33&cursor=%s", sort, p.previous);
		bool more = p.next[0];
		done(&p);
		if (!more)
			break;
	}
	assert_int_equal(seen, ROWS);
	for (size_t pages = 0; strchr(back, 0)[-1] != '='; pages++) {
		ask(&p, back);
		assert_int_equal(p.list.count, 33);
		assert_true(p.next[0]);
		assert_int_equal(p.list.before, ROWS - ROWS % 33 - 33 * (pages + 1));
		snprintf(back, sizeof back, "sort=%s&limit=33&cursor=%s", sort, p.previous);
		done(&p);
	}
}

static void every_row_once(void **state)
{
	(void)state;
	make_rows();
	walk("number", true, 1);
	walk("-number", true, -1);
	walk("name", false, 1);
	walk("-name", false, -1);
}

static void rows_come_and_go(void **state)
{
	struct page first, second, back;
	char query[512];
	(void)state;
	make_rows();
	ask(&first, "sort=name&limit=10");
	assert_string_equal(first.previous, "");
	assert_string_equal(row_at(&first, 9)->name, "s009.example");
	/* The row of the cursor itself, and some before and after it. */
	for (size_t i = 0; i < ROWS; i++)
		rows[i].gone = !strcmp(rows[i].name, "s003.example") ||
		               !strcmp(rows[i].name, "s009.example") ||
		               !strcmp(rows[i].name, "s010.example");
	snprintf(query, sizeof query, "sort=name&limit=10&cursor=%s", first.next);
	ask(&second, query);
	assert_string_equal(row_at(&second, 0)->name, "s011.example");
	assert_int_equal(second.list.before, 8);
	snprintf(query, sizeof query, "sort=name&limit=10&cursor=%s", second.previous);
	ask(&back, query);
	assert_int_equal(back.list.count, 8);
	assert_string_equal(row_at(&back, 7)->name, "s008.example");
	assert_string_equal(back.previous, "");
	done(&first);
	done(&second);
	done(&back);
}

static void searching(void **state)
{
	struct page p;
	(void)state;
	make_rows();
	ask(&p, "search=S01&sort=name");
	assert_int_equal(p.list.total, 10);
	assert_string_equal(row_at(&p, 0)->name, "s010.example");
	done(&p);
	ask(&p, "search=nothing");
	assert_int_equal(p.list.count, 0);
	assert_string_equal(p.next, "");
	assert_string_equal(p.previous, "");
	done(&p);
}

static void what_cannot_be(void **state)
{
	static const struct {
		const char *query, *want;
	} cases[] = {
		{ "limit=0", "`limit` is a number from 1 to 200." },
		{ "limit=201", "`limit` is a number from 1 to 200." },
		{ "limit=x", "`limit` is a number from 1 to 200." },
		{ "sort=colour",
		        "This list is not sorted by \"colour\": give one of number, name." },
		{ "cursor=%21%21", "`cursor` is not one of this list's: leave it out." },
		{ "cursor=eDE6YQ", "`cursor` is not one of this list's: leave it out." }, /* x1:a */
		{ "cursor=bnh4", "`cursor` is not one of this list's: leave it out." },   /* nxx */
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct call c = { .query = str_c(cases[i].query) };
		struct list_page list;
		struct err err = ERR_INIT;
		if (list_begin(&list, &c, sorts, &err))
			fail_msg("%s was taken", cases[i].query);
		assert_string_equal(err.text, cases[i].want);
		arena_done(&c.arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_once),
		cmocka_unit_test(rows_come_and_go),
		cmocka_unit_test(searching),
		cmocka_unit_test(what_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
