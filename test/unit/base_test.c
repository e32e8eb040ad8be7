/* list, heap, map, clock, url, secret */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/secret.h"
#include "base/url.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct item {
	int number;
	struct list node;
	struct heap_node due;
	struct map_node named;
	char name[16];
};

static void test_list(void **state)
{
	struct list head;
	struct item items[4] = { { .number = 0 }, { .number = 1 }, { .number = 2 },
		{ .number = 3 } };
	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_first(&head));
	assert_null(list_last(&head));
	list_remove(&items[0].node); /* in no list */
	list_add_last(&head, &items[1].node);
	list_add_last(&head, &items[2].node);
	list_add_first(&head, &items[0].node);
	list_add_last(&head, &items[3].node);
	int expected = 0;
	LIST_EACH (node, &head)
		assert_int_equal(OWNER(node, struct item, node)->number, expected++);
	assert_int_equal(expected, 4);
	assert_ptr_equal(list_first(&head), &items[0].node);
	assert_ptr_equal(list_last(&head), &items[3].node);
	assert_ptr_equal(list_next(&head, &items[0].node), &items[1].node);
	assert_null(list_next(&head, &items[3].node));
	assert_true(list_linked(&items[2].node));
	LIST_EACH (node, &head)
		if (OWNER(node, struct item, node)->number % 2 == 0)
			list_remove(node);
	assert_false(list_linked(&items[2].node));
	list_remove(&items[2].node);
	assert_ptr_equal(list_first(&head), &items[1].node);
	list_remove(&items[1].node);
	list_remove(&items[3].node);
	assert_true(list_empty(&head));
}

/* The same sequence on every run: a failure repeats. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525U + 1013904223U;
	return *seed >> 8;
}

static void test_heap_order(void **state)
{
	static struct item items[1000];
	struct heap h = HEAP_INIT;
	uint32_t seed = 1;
	(void)state;
	assert_null(heap_least(&h));
	for (size_t i = 0; i < COUNT(items); i++) {
		items[i] = (struct item){ .number = (int)i };
		heap_add(&h, &items[i].due, next_random(&seed) % 100);
	}
	for (size_t i = 0; i < COUNT(items); i += 3)
		heap_remove(&h, &items[i].due);
	heap_remove(&h, &items[0].due); /* in no heap any more */
	int64_t order = -1;
	uint64_t arrival = 0;
	size_t count = 0;
	for (struct heap_node *least; (least = heap_least(&h)); count++) {
		assert_true(least->order > order ||
		            (least->order == order && least->arrival > arrival));
		order = least->order;
		arrival = least->arrival;
		heap_remove(&h, least);
		assert_int_equal(least->index, 0);
	}
	assert_int_equal(count, 666);
	heap_done(&h);
}

static void test_heap_mixed(void **state)
{
	static struct item items[64];
	struct heap h = HEAP_INIT;
	uint32_t seed = 7;
	(void)state;
	memset(items, 0, sizeof items);
	for (int step = 0; step < 20000; step++) {
		struct heap_node *node = &items[next_random(&seed) % COUNT(items)].due;
		if (node->index)
			heap_remove(&h, node);
		else
			heap_add(&h, node, (int64_t)(next_random(&seed) % 50) - 25);
		const struct heap_node *least = heap_least(&h);
		for (size_t i = 0; i < COUNT(items); i++)
			if (items[i].due.index)
				assert_true(least->order <= items[i].due.order);
	}
	heap_done(&h);
	for (size_t i = 0; i < COUNT(items); i++)
		assert_int_equal(items[i].due.index, 0);
}

static void test_map(void **state)
{
	static struct item items[500];
	struct map m = MAP_INIT;
	(void)state;
	assert_null(map_find(&m, STR("x")));
	assert_null(map_first(&m));
	for (size_t i = 0; i < COUNT(items); i++) {
		items[i] = (struct item){ .number = (int)i };
		snprintf(items[i].name, sizeof items[i].name, "name%zu", i);
		map_add(&m, str_c(items[i].name), &items[i].named);
	}
	assert_int_equal(m.count, COUNT(items));
	for (size_t i = 0; i < COUNT(items); i++)
		assert_ptr_equal(map_find(&m, str_c(items[i].name)), &items[i].named);
	assert_null(map_find(&m, STR("name")));
	assert_null(map_find(&m, STR_NONE));
	int sum = 0;
	MAP_EACH (node, &m) {
		struct item *item = OWNER(node, struct item, named);
		sum += item->number;
		if (item->number % 2)
			map_remove(&m, node);
	}
	assert_int_equal(sum, 499 * 500 / 2);
	assert_int_equal(m.count, 250);
	assert_null(map_find(&m, STR("name1")));
	assert_ptr_equal(map_find(&m, STR("name2")), &items[2].named);
	map_add(&m, str_c(items[1].name), &items[1].named);
	assert_ptr_equal(map_find(&m, STR("name1")), &items[1].named);
	struct item empty = { .number = 0 };
	map_add(&m, STR_NONE, &empty.named);
	assert_ptr_equal(map_find(&m, STR("")), &empty.named);
	map_done(&m);
	assert_int_equal(m.count, 0);
}

/* The vectors of SipHash's authors: key 00…0f, input 00, 01, 02… of each length. */
static void test_siphash(void **state)
{
	static const uint64_t key[2] = { 0x0706050403020100U, 0x0f0e0d0c0b0a0908U };
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = {
		{ 0, 0x726fdb47dd0e0e31U },
		{ 1, 0x74f839c593dc67fdU },
		{ 2, 0x0d6c8009d9a94f5aU },
		{ 7, 0xab0200f58b01d137U },
		{ 8, 0x93f5f5799a932462U },
		{ 15, 0xa129ca6149be45e5U },
	};
	char bytes[16];
	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)i;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_true(siphash(key, str_n(bytes, rows[i].n)) == rows[i].hash);
	assert_true(hash_keyed(STR("a")) == hash_keyed(STR("a")));
	assert_true(hash_keyed(STR("a")) != hash_keyed(STR("b")));
	assert_true(hash_keyed(STR("a")) != siphash(key, STR("a")));
}

static void test_clocks(void **state)
{
	(void)state;
	const struct clock *real = &clock_system;
	assert_true(real->wall(real) > INT64_C(1700000000000));
	const int64_t before = real->mono(real);
	assert_true(real->mono(real) >= before);
	assert_false(real->fake);
	struct clock_fake f;
	clock_fake_init(&f, 5000);
	const struct clock *fake = &f.clock;
	assert_true(fake->fake);
	assert_int_equal(fake->wall(fake), 5000);
	const int64_t mono = fake->mono(fake);
	clock_fake_advance(&f, 250);
	assert_int_equal(fake->wall(fake), 5250);
	assert_int_equal(fake->mono(fake), mono + 250);
	f.wall_now = 1;
	assert_int_equal(fake->wall(fake), 1);
	assert_int_equal(fake->mono(fake), mono + 250);
}

static void test_clock_rfc3339(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 999, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ -DAY, "1969-12-31T00:00:00Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00Z" },
		{ INT64_C(951868800000), "2000-03-01T00:00:00Z" },
		{ INT64_C(4107542400000), "2100-03-01T00:00:00Z" },
		{ INT64_C(1799745240000), "2027-01-12T09:14:00Z" },
		{ INT64_C(253402300799000), "9999-12-31T23:59:59Z" },
		{ INT64_C(253402300800000), "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
		{ INT64_C(-62167219200000), "0000-01-01T00:00:00Z" },
		{ INT64_MIN, "0000-01-01T00:00:00Z" },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char text[CLOCK_TEXT];
		assert_string_equal(clock_rfc3339(rows[i].ms, text), rows[i].text);
	}
}

/* Every day of 800 years, there and back, against the C library. */
static void test_clock_every_day(void **state)
{
	(void)state;
	for (int64_t day = -146097; day < 146097; day++) {
		char text[CLOCK_TEXT], expected[CLOCK_TEXT];
		const time_t seconds = (time_t)(day * 86400 + 43200);
		struct tm tm;
		int64_t back = 0;
		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &tm);
		clock_rfc3339(seconds * SECOND, text);
		if (strcmp(text, expected) != 0)
			fail_msg("%s is not %s", text, expected);
		assert_true(clock_from_rfc3339(str_c(text), &back));
		assert_int_equal(back, seconds * SECOND);
	}
}

static void test_from_rfc3339(void **state)
{
	static const struct {
		const char *text;
		bool fits;
		int64_t ms;
	} rows[] = {
		{ "1970-01-01T00:00:00Z", true, 0 },
		{ "1970-01-01t00:00:00z", true, 0 },
		{ "1970-01-01 00:00:00Z", true, 0 },
		{ "1970-01-01T00:00:01.5Z", true, 1500 },
		{ "1970-01-01T00:00:00.1234567891234567891234Z", true, 123 },
		{ "1970-01-01T00:00:00.01Z", true, 10 },
		{ "1970-01-01T02:00:00+02:00", true, 0 },
		{ "1969-12-31T18:30:00-05:30", true, 0 },
		{ "1970-01-01T00:00:00-00:00", true, 0 },
		{ "1985-04-12T23:20:50.52Z", true, INT64_C(482196050520) },
		{ "1990-12-31T15:59:60-08:00", true, INT64_C(662688000000) },
		{ "2000-02-29T00:00:00Z", true, INT64_C(951782400000) },
		{ "2024-02-29T00:00:00Z", true, INT64_C(1709164800000) },
		{ "2023-02-29T00:00:00Z", false, 0 },
		{ "1900-02-29T00:00:00Z", false, 0 },
		{ "2023-00-01T00:00:00Z", false, 0 },
		{ "2023-13-01T00:00:00Z", false, 0 },
		{ "2023-04-31T00:00:00Z", false, 0 },
		{ "2023-04-00T00:00:00Z", false, 0 },
		{ "2023-04-01T24:00:00Z", false, 0 },
		{ "2023-04-01T00:60:00Z", false, 0 },
		{ "2023-04-01T00:00:61Z", false, 0 },
		{ "2023-04-01T00:00:00", false, 0 },
		{ "2023-04-01T00:00:00.Z", false, 0 },
		{ "2023-04-01T00:00:00ZZ", false, 0 },
		{ "2023-04-01T00:00:00+24:00", false, 0 },
		{ "2023-04-01T00:00:00+00:60", false, 0 },
		{ "2023-04-01T00:00:00+0000", false, 0 },
		{ "2023-4-01T00:00:00Z", false, 0 },
		{ "+023-04-01T00:00:00Z", false, 0 },
		{ " 2023-04-01T00:00:00Z", false, 0 },
		{ "2023-04-01X00:00:00Z", false, 0 },
		{ "2023-04-01", false, 0 },
		{ "", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = 42;
		if (clock_from_rfc3339(str_c(rows[i].text), &ms) != rows[i].fits)
			fail_msg("%s", rows[i].text);
		assert_int_equal(ms, rows[i].fits ? rows[i].ms : 42);
	}
	int64_t ms;
	assert_false(clock_from_rfc3339(STR("1970-01-01\00000:00:00Z"), &ms));
}

static void test_from_http_date(void **state)
{
	static const int64_t example = INT64_C(784111777000);
	static const struct {
		const char *text;
		bool fits;
		int64_t ms;
	} rows[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", true, example },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", true, example },
		{ "Sun Nov  6 08:49:37 1994", true, example },
		{ "Sun Nov 16 08:49:37 1994", true, example + 10 * DAY },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", true, 0 },
		{ "Wed, 31 Dec 2036 23:59:59 GMT", true, INT64_C(2114380799000) },
		{ "Wed, 31-Dec-36 23:59:59 GMT", false, 0 },
		{ "Wednesday, 31-Dec-36 23:59:59 GMT", true, INT64_C(2114380799000) },
		{ "Sun, 06 Nov 1994 08:49:37 UTC", false, 0 },
		{ "Sun, 06 Nov 1994 08:49:37", false, 0 },
		{ "Sun, 6 Nov 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 06 nov 1994 08:49:37 GMT", false, 0 },
		{ "Son, 06 Nov 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 31 Nov 1994 08:49:37 GMT", false, 0 },
		{ "Sun, 06 Nov 1994 25:49:37 GMT", false, 0 },
		{ "Sun Nov   6 08:49:37 1994", false, 0 },
		{ "Sun Nov 6 08:49:37 1994", false, 0 },
		{ "Sun, 06 Nov 1994 08:49:37 GMT ", false, 0 },
		{ "120", false, 0 },
		{ "", false, 0 },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = 42;
		if (clock_from_http_date(str_c(rows[i].text), &ms) != rows[i].fits)
			fail_msg("%s", rows[i].text);
		assert_int_equal(ms, rows[i].fits ? rows[i].ms : 42);
	}
}

/* Two digits of a year are read as one from 49 years ago to 50 ahead. */
static void test_two_digit_years(void **state)
{
	char now[CLOCK_TEXT];
	uint64_t this_year;
	(void)state;
	clock_rfc3339(clock_system.wall(&clock_system), now);
	assert_true(str_to_u64(str_n(now, 4), &this_year));
	for (uint64_t year = this_year - 49; year <= this_year + 50; year++) {
		char text[64], expected[CLOCK_TEXT], got[CLOCK_TEXT];
		int64_t ms;
		snprintf(text, sizeof text, "Monday, 02-Jan-%02u 00:00:00 GMT",
		        (unsigned)year % 100);
		snprintf(expected, sizeof expected, "%04u-01-02T00:00:00Z", (unsigned)year % 10000);
		assert_true(clock_from_http_date(str_c(text), &ms));
		assert_string_equal(clock_rfc3339(ms, got), expected);
	}
}

static void test_url(void **state)
{
	static const struct {
		const char *text;
		bool https;
		const char *host;
		bool ipv6;
		uint16_t port;
		const char *path, *query;
	} rows[] = {
		{ "http://a", false, "a", false, 80, "", NULL },
		{ "https://a", true, "a", false, 443, "", NULL },
		{ "HTTPS://a/", true, "a", false, 443, "/", NULL },
		{ "https://ca.example:14000/dir", true, "ca.example", false, 14000, "/dir", NULL },
		{ "https://a:/x", true, "a", false, 443, "/x", NULL },
		{ "https://[::1]:14000/dir", true, "::1", true, 14000, "/dir", NULL },
		{ "http://[2001:db8::1]", false, "2001:db8::1", true, 80, "", NULL },
		{ "http://127.0.0.1:65535/?", false, "127.0.0.1", false, 65535, "/", "" },
		{ "http://a?q=1", false, "a", false, 80, "", "q=1" },
		{ "http://a/b?q=1?2#f?g", false, "a", false, 80, "/b", "q=1?2" },
		{ "http://a#f", false, "a", false, 80, "", NULL },
		{ "http://a/%41%5b", false, "a", false, 80, "/%41%5b", NULL },
		{ "http://a/@:!$&'()*+,;=~", false, "a", false, 80, "/@:!$&'()*+,;=~", NULL },
		{ "http://a/?x[]=1", false, "a", false, 80, "/", "x[]=1" },
		{ "http://under_score.test/", false, "under_score.test", false, 80, "/", NULL },
		{ "http://a//b", false, "a", false, 80, "//b", NULL },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct url u;
		struct err err = ERR_INIT;
		if (!url_parse(str_c(rows[i].text), &u, &err))
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(u.https, rows[i].https);
		assert_true(str_eq_c(u.host, rows[i].host));
		assert_int_equal(u.host_is_ipv6, rows[i].ipv6);
		assert_int_equal(u.port, rows[i].port);
		assert_true(str_eq_c(u.path, rows[i].path));
		assert_true(str_eq_c(u.query, rows[i].query));
		assert_int_equal(u.query.p != NULL, rows[i].query != NULL);
	}
}

static void test_url_refused(void **state)
{
	static const struct {
		struct str text;
		const char *says;
	} rows[] = {
		{ STR_INIT(""), "The URL does not start with https:// or http://." },
		{ STR_INIT("a.example"), "The URL does not start with https:// or http://." },
		{ STR_INIT("ftp://a/"), "The URL does not start with https:// or http://." },
		{ STR_INIT("https:/a/"), "The URL does not start with https:// or http://." },
		{ STR_INIT("http://"), "There is no host name or IP address." },
		{ STR_INIT("http:///x"), "There is no host name or IP address." },
		{ STR_INIT("http://:80/"), "There is no host name or IP address before the port." },
		{ STR_INIT("http://u:secret@a/"),
		        "The URL has a user name or password before '@': leave it out." },
		{ STR_INIT("http://a:b/"), "\"b\" is not a port: write a number from 1 to 65535." },
		{ STR_INIT("http://a:0/"), "\"0\" is not a port: write a number from 1 to 65535." },
		{ STR_INIT("http://a:65536/"),
		        "\"65536\" is not a port: write a number from 1 to 65535." },
		{ STR_INIT("http://::1/"), "The IPv6 address ::1 needs brackets: [::1]." },
		{ STR_INIT("http://[::1/"),
		        "\"[::1\" is not an IPv6 address in brackets, such as [::1]." },
		{ STR_INIT("http://[]/"),
		        "\"[]\" is not an IPv6 address in brackets, such as [::1]." },
		{ STR_INIT("http://[1.2.3.4]/"),
		        "\"[1.2.3.4]\" is not an IPv6 address in brackets, such as [::1]." },
		{ STR_INIT("http://[::1]x/"),
		        "After \"[::1]\" only a colon and a port may follow." },
		{ STR_INIT("http://a b/"), "\"a b\" is not a host name or IP address." },
		{ STR_INIT("http://a\0b/"), "\"a\" is not a host name or IP address." },
		{ STR_INIT("http://b\xc3\xbc.example/"),
		        "\"b\xc3\xbc.example\" is not a host name or IP address." },
		{ STR_INIT("http://a%41/"), "\"a%41\" is not a host name or IP address." },
		{ STR_INIT("http://a\\b"), "\"a\\b\" is not a host name or IP address." },
		{ STR_INIT("http://a/b c"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/\xc3\xbc"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/\n"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/\0"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/b\\c"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/%4"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/%4g"),
		        "The URL has a character that must be written as '%' and two digits." },
		{ STR_INIT("http://a/?\""),
		        "The URL has a character that must be written as '%' and two digits." },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct url u = { .port = 42 };
		struct err err = ERR_INIT;
		assert_false(url_parse(rows[i].text, &u, &err));
		assert_string_equal(err.text, rows[i].says);
		assert_int_equal(err.code, ERR_INPUT);
		assert_int_equal(u.port, 42);
	}
}

static void test_hostport(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		const char *host; /* NULL: refused */
		uint16_t port;
		const char *says;
	} rows[] = {
		{ "127.0.0.1:80", 0, "127.0.0.1", 80, NULL },
		{ "[::1]:80", 0, "::1", 80, NULL },
		{ "[::]:443", 80, "::", 443, NULL },
		{ "localhost:3000", 0, "localhost", 3000, NULL },
		{ "localhost", 53, "localhost", 53, NULL },
		{ "[::1]", 53, "::1", 53, NULL },
		{ "localhost", 0, NULL, 0, "The port is missing: write \"localhost:PORT\"." },
		{ "[::1]", 0, NULL, 0, "The port is missing: write \"[::1]:PORT\"." },
		{ "localhost:", 80, NULL, 0,
		        "\"\" is not a port: write a number from 1 to 65535." },
		{ "localhost:1:2", 80, NULL, 0,
		        "\"1:2\" is not a port: write a number from 1 to 65535." },
		{ ":80", 0, NULL, 0, "There is no host name or IP address before the port." },
		{ "", 80, NULL, 0, "There is no host name or IP address." },
		{ "::1", 80, NULL, 0, "The IPv6 address ::1 needs brackets: [::1]." },
		{ "::1:80", 80, NULL, 0, "The IPv6 address ::1:80 needs brackets: [::1:80]." },
		{ "http://a:80", 80, NULL, 0,
		        "\"//a:80\" is not a port: write a number from 1 to 65535." },
		{ "a/b", 80, NULL, 0, "\"a/b\" is not a host name or IP address." },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str host = STR("untouched");
		uint16_t port = 42;
		struct err err = ERR_INIT;
		const bool fits = url_parse_hostport(
		        str_c(rows[i].text), rows[i].default_port, &host, &port, &err);
		assert_int_equal(fits, rows[i].host != NULL);
		assert_true(str_eq_c(host, fits ? rows[i].host : "untouched"));
		assert_int_equal(port, fits ? rows[i].port : 42);
		if (!fits)
			assert_string_equal(err.text, rows[i].says);
	}
	struct err err = ERR_INIT;
	struct str host;
	uint16_t port;
	char name[300];
	memset(name, 'a', sizeof name);
	assert_true(url_parse_hostport(str_n(name, 253), 80, &host, &port, &err));
	assert_false(url_parse_hostport(str_n(name, 254), 80, &host, &port, &err));
}

static void test_secret(void **state)
{
	(void)state;
	SECRET_AUTO s = secret_copy(STR("key\0x"));
	assert_int_equal(s.n, 5);
	assert_true(str_eq(secret_bytes(&s), STR("key\0x")));
	assert_true(secret_eq(&s, STR("key\0x")));
	assert_false(secret_eq(&s, STR("key\0y")));
	assert_false(secret_eq(&s, STR("Key\0x")));
	assert_false(secret_eq(&s, STR("key\0")));
	assert_false(secret_eq(&s, STR_NONE));
	secret_done(&s);
	assert_null(s.p);
	assert_int_equal(s.n, 0);
	secret_done(&s);
	SECRET_AUTO none = secret_copy(STR_NONE);
	assert_null(none.p);
	assert_true(secret_eq(&none, STR("")));
	char bytes[8] = "1234567";
	wipe(bytes, sizeof bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		assert_int_equal(bytes[i], 0);
	wipe(NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_heap_order),
		cmocka_unit_test(test_heap_mixed),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_clock_rfc3339),
		cmocka_unit_test(test_clock_every_day),
		cmocka_unit_test(test_from_rfc3339),
		cmocka_unit_test(test_from_http_date),
		cmocka_unit_test(test_two_digit_years),
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_url_refused),
		cmocka_unit_test(test_hostport),
		cmocka_unit_test(test_secret),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
