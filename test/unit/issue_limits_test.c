/* The count of a CA's limits: what we spent, when there is room again, and that a restart forgets
 * nothing. */
#include "issue_place.h"

#include "issue/limits.h"

#define CA      STR("https://acme-v02.api.letsencrypt.org/directory")
#define STAGING STR("https://acme-staging-v02.api.letsencrypt.org/directory")

static struct place place;
static struct limits *limits;

static void load(void)
{
	struct err err = ERR_INIT;
	limits = limits_new(place.loop, place.store, &place.log);
	assert_true(limits_load(limits, &err));
}

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	load();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	limits_free(&limits);
	place_done(&place);
	return 0;
}

static void restart(void)
{
	run_for(&place, 50);
	limits_free(&limits);
	place_close(&place);
	place_open(&place);
	load();
}

enum { NAMES = 3 };
static size_t names_of(const char *text, struct str names[NAMES])
{
	struct str rest = str_c(text);
	size_t n = 0;
	while (n < NAMES && str_split(&rest, ' ', &names[n]))
		n++;
	return n;
}

static void spend(unsigned times, enum spent_what what, struct str directory, const char *text)
{
	struct str names[NAMES];
	size_t count = names_of(text, names);
	for (unsigned i = 0; i < times; i++)
		limits_spent(limits, what, directory, names, count);
}

static bool allowed(struct str directory, const char *text, int64_t *ret_after, struct err *err)
{
	struct str names[NAMES];
	struct limit_wait wait;
	size_t count = names_of(text, names);
	const struct limit_order order = { .directory = directory, .names = names, .count = count };
	bool ok = limits_allow(limits, &order, &wait, err);
	*ret_after = ok ? 0 : wait.until - loop_wall(place.loop);
	return ok;
}

static const char *low(struct str directory, const char *text)
{
	static struct err how;
	struct str names[NAMES], about = STR_NONE;
	const size_t count = names_of(text, names);
	static char said[2000];
	if (!limits_low(limits, directory, names, count, &about, &how))
		return "enough";
	snprintf(said, sizeof said, "%.*s: %s", STR_ARG(about), how.text);
	return said;
}

/* Four fifths are gone. */
static void little_is_told_before_nothing_is_left(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 39; i++) {
		char name[64];
		snprintf(name, sizeof name, "n%u.example.com", i);
		spend(1, SPENT_CERTIFICATE, CA, name);
	}
	assert_string_equal(low(CA, "new.example.com"), "enough");
	spend(1, SPENT_CERTIFICATE, CA, "n40.example.com");
	assert_string_equal(low(CA, "new.example.com"),
	        "example.com: Let's Encrypt's limit: 50 certificates a week for the names of "
	        "example.com; 40 of them used. Register no more names than needed: what is left is "
	        "for renewals.");
	assert_string_equal(low(CA, "new.example.net"), "enough");
	assert_string_equal(low(STAGING, "new.example.com"), "enough");
	spend(4, SPENT_FAILURE, CA, "a.example.net");
	assert_string_equal(low(CA, "a.example.net"), "enough");
	spend(4, SPENT_CERTIFICATE, CA, "a.example.net");
	assert_true(str_starts(str_c(low(CA, "a.example.net")),
	        STR("a.example.net: Let's Encrypt's limit: 5 certificates a week for the same "
	            "names; 4 of them used.")));
}

/* Each: what was spent, and what is asked for then. */
static const struct {
	unsigned times;
	enum spent_what what;
	const char *names, *asked;
	int64_t after; /* 0: allowed */
	const char *sentence;
} rows[] = {
	{ 4, SPENT_CERTIFICATE, "a.example.com b.example.com", "b.example.com a.example.com", 0,
	        NULL },
	{ 5, SPENT_CERTIFICATE, "a.example.com b.example.com", "b.example.com a.example.com",
	        7 * DAY / 5,
	        "Let's Encrypt's limit: 5 certificates a week for the same names. Next try 2 Jan, "
	        "09:36 UTC. Nothing to do." },
	{ 5, SPENT_CERTIFICATE, "a.example.com b.example.com", "a.example.com", 0, NULL },
	{ 5, SPENT_CERTIFICATE, "a.example.com", "a.example.com b.example.com", 0, NULL },
	{ 5, SPENT_ORDER, "a.example.com", "a.example.com", 0, NULL },
	{ 49, SPENT_CERTIFICATE, "x.a.co.uk", "y.a.co.uk", 0, NULL },
	{ 50, SPENT_CERTIFICATE, "x.a.co.uk", "y.a.co.uk", 7 * DAY / 50,
	        "Let's Encrypt's limit: 50 certificates a week for the names of a.co.uk. Next try "
	        "1 Jan, 03:22 UTC. Nothing to do." },
	{ 50, SPENT_CERTIFICATE, "x.a.co.uk", "y.b.co.uk", 0, NULL },
	{ 50, SPENT_CERTIFICATE, "x.a.co.uk", "b.com y.a.co.uk", 7 * DAY / 50,
	        "Let's Encrypt's limit: 50 certificates a week for the names of a.co.uk. Next try "
	        "1 Jan, 03:22 UTC. Nothing to do." },
	{ 50, SPENT_CERTIFICATE, "x.a.co.uk z.com", "z.com", 7 * DAY / 50,
	        "Let's Encrypt's limit: 50 certificates a week for the names of z.com. Next try 1 "
	        "Jan, 03:22 UTC. Nothing to do." },
	{ 299, SPENT_ORDER, "a.example.com", "other.org", 0, NULL },
	{ 300, SPENT_ORDER, "a.example.com", "other.org", 36 * SECOND,
	        "Let's Encrypt's limit: 300 orders in 3 hours for one account. Next try 1 Jan, "
	        "00:01 UTC. Nothing to do." },
	{ 4, SPENT_FAILURE, "a.example.com", "a.example.com", 0, NULL },
	{ 5, SPENT_FAILURE, "a.example.com", "b.example.com a.example.com", 12 * MINUTE,
	        "Let's Encrypt's limit: 5 failed validations an hour for a.example.com. Next try 1 "
	        "Jan, 00:12 UTC. Nothing to do." },
	{ 5, SPENT_FAILURE, "a.example.com", "b.example.com", 0, NULL },
	{ 9, SPENT_ACCOUNT, "", "a.example.com", 0, NULL },
	{ 10, SPENT_ACCOUNT, "", "a.example.com", 18 * MINUTE,
	        "Let's Encrypt's limit: 10 new accounts in 3 hours for one address. Next try 1 "
	        "Jan, 00:18 UTC. Nothing to do." },
};

static void what_is_left(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t after;
		struct err err = ERR_INIT;
		spend(rows[i].times, rows[i].what, CA, rows[i].names);
		if (allowed(CA, rows[i].asked, &after, &err) != !rows[i].sentence)
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(after, rows[i].after);
		if (rows[i].sentence) {
			assert_string_equal(err.text, rows[i].sentence);
			assert_int_equal(err.code, ERR_LIMIT);
			assert_true(str_eq_c(err_remedy(&err), "Nothing to do."));
		}
		assert_true(allowed(STAGING, rows[i].asked, &after, &err));
		assert_true(allowed(STR("https://ca.test/"), rows[i].asked, &after, &err));
		teardown(state);
		setup(state);
	}
}

/* Who has one needs none, and it survives a restart. */
static void accounts_are_for_those_without(void **state)
{
	(void)state;
	const struct str name = STR("a.example.com");
	struct limit_order order = { .directory = CA, .names = &name, .count = 1 };
	struct limit_wait wait;
	struct err err = ERR_INIT;
	spend(10, SPENT_ACCOUNT, CA, "");
	restart();
	assert_false(limits_allow(limits, &order, &wait, &err));
	order.has_account = true;
	assert_true(limits_allow(limits, &order, &wait, &err));
	assert_string_equal(low(CA, "a.example.com"), "enough");
}

/* Of the domains and names of one order the fullest counts, of those the one that has to wait
 * longest; of several limits the one that does. */
static const struct {
	unsigned first, second; /* certificates for a.com, for b.com */
	bool b_later;           /* by a minute, else a.com's are */
	unsigned used;
	const char *about;
	int64_t before; /* what is left of the wait once the later ones are spent */
} fullest[] = {
	{ 3, 2, true, 3, "a.com", 0 },
	{ 2, 3, true, 3, "b.com", 0 },
	{ 3, 2, false, 3, "a.com", 0 },
	{ 50, 50, true, 50, "b.com", 0 },
	{ 50, 50, false, 50, "a.com", 0 },
	{ 51, 50, true, 51, "a.com", MINUTE },
};

static void the_fullest_counts(void **state)
{
	const struct str names[] = { STR("www.b.com"), STR("www.a.com") };
	struct limit all[LIMIT_COUNT];
	for (size_t i = 0; i < sizeof fullest / sizeof *fullest; i++) {
		const bool b_later = fullest[i].b_later;
		spend(b_later ? fullest[i].first : fullest[i].second, SPENT_CERTIFICATE, CA,
		        b_later ? "a.com" : "b.com");
		run_for(&place, MINUTE);
		spend(b_later ? fullest[i].second : fullest[i].first, SPENT_CERTIFICATE, CA,
		        b_later ? "b.com" : "a.com");
		assert_int_equal(limits_of(limits, CA, names, 2, all), LIMIT_COUNT);
		const struct limit *domain = &all[LIMIT_DOMAIN];
		assert_int_equal(domain->used, fullest[i].used);
		assert_true(str_eq_c(domain->about, fullest[i].about));
		if (fullest[i].used >= 50)
			assert_int_equal(domain->next - loop_wall(place.loop),
			        (fullest[i].used - 49) * (7 * DAY / 50) - fullest[i].before);
		teardown(state);
		setup(state);
	}
}

/* Let's Encrypt counts the /64 of an IPv6 address, and an IPv4 address by itself. */
static void addresses_count_by_network(void **state)
{
	(void)state;
	static const struct {
		const char *spent, *asked;
		unsigned used;
	} cases[] = {
		{ "2001:db8::1", "2001:db8::ffff:2", 3 },
		{ "2001:db8::1", "2001:db8:0:1::1", 0 },
		{ "192.0.2.7", "192.0.2.7", 3 },
		{ "192.0.2.7", "192.0.2.8", 0 },
		{ "192.0.2.7", "198.51.2.7", 0 },
	};
	struct limit all[LIMIT_COUNT];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct str name = str_c(cases[i].asked);
		spend(3, SPENT_CERTIFICATE, CA, cases[i].spent);
		assert_int_equal(limits_of(limits, CA, &name, 1, all), LIMIT_COUNT);
		assert_int_equal(all[LIMIT_DOMAIN].used, cases[i].used);
		assert_true(str_eq(all[LIMIT_DOMAIN].about, name));
		teardown(state);
		setup(state);
	}
	ARENA_AUTO a = ARENA_INIT;
	spend(1, SPENT_CERTIFICATE, CA, "2001:db8::1");
	spend(1, SPENT_CERTIFICATE, CA, "2001:db8::2");
	bool told = false;
	const size_t count = limits_nearest(limits, CA, &a, all, LIMIT_COUNT);
	for (size_t i = 0; i < count; i++)
		told |= all[i].kind == LIMIT_DOMAIN && all[i].used == 2 &&
		        str_eq_c(all[i].about, "2001:db8::/64");
	assert_true(told);
}

static void of_several_limits_the_last_to_end_is_said(void **state)
{
	static const enum spent_what others[] = { SPENT_ORDER, SPENT_FAILURE };
	static const unsigned times[] = { 300, 5 };
	for (size_t i = 0; i < 2; i++) {
		int64_t after;
		struct err err = ERR_INIT;
		spend(times[i], others[i], CA, "a.example.com");
		spend(5, SPENT_CERTIFICATE, CA, "a.example.com");
		assert_false(allowed(CA, "a.example.com", &after, &err));
		assert_int_equal(after, 7 * DAY / 5);
		assert_non_null(strstr(err.text, "5 certificates a week for the same names"));
		teardown(state);
		setup(state);
	}
}

/* Who comes at the minute that is said comes in time. */
static void the_minute_that_is_said_is_not_too_early(void **state)
{
	static const char *const said[] = { "Next try 1 Jan, 00:01 UTC.",
		"Next try 1 Jan, 00:02 UTC." };
	for (int late = 0; late < 2; late++) {
		int64_t after;
		struct err err = ERR_INIT;
		run_for(&place, 24 * SECOND + late);
		spend(300, SPENT_ORDER, CA, "a.example.com");
		assert_false(allowed(CA, "a.example.com", &after, &err));
		assert_int_equal(after, 36 * SECOND);
		assert_non_null(strstr(err.text, said[late]));
		teardown(state);
		setup(state);
	}
}

/* As the CAs publish them. */
static void the_figures(void **state)
{
	(void)state;
	static const unsigned most[2][LIMIT_COUNT] = { { 300, 50, 5, 5, 10 },
		{ 1500, 30000, 30000, 200, 50 } };
	static const int64_t windows[LIMIT_COUNT] = { 3 * HOUR, 7 * DAY, 7 * DAY, HOUR, 3 * HOUR };
	const struct str name = STR("a.example.com");
	struct limit all[LIMIT_COUNT];
	for (size_t ca = 0; ca < 2; ca++) {
		assert_int_equal(limits_of(limits, ca ? STAGING : CA, &name, 1, all), LIMIT_COUNT);
		for (size_t i = 0; i < LIMIT_COUNT; i++) {
			assert_int_equal(all[i].kind, i);
			assert_int_equal(all[i].most, most[ca][i]);
			assert_int_equal(all[i].window, windows[i]);
			assert_int_equal(all[i].used, 0);
			assert_int_equal(all[i].next, 0);
		}
	}
	assert_int_equal(limits_of(limits, CA, &name, 0, all), 0);
}

static bool may_order(int64_t *ret_after)
{
	struct err err = ERR_INIT;
	return allowed(CA, "a.example.com", ret_after, &err);
}

static void room_comes_back_by_and_by(void **state)
{
	(void)state;
	int64_t after;
	const int64_t each = 7 * DAY / 5;
	spend(5, SPENT_CERTIFICATE, CA, "a.example.com");
	run_for(&place, each - 1);
	assert_false(may_order(&after));
	assert_int_equal(after, 1);
	run_for(&place, 1);
	assert_true(may_order(&after));
	spend(2, SPENT_CERTIFICATE, CA, "a.example.com"); /* one too many */
	assert_false(may_order(&after));
	assert_int_equal(after, 2 * each);
	run_for(&place, 6 * each); /* all of it, and no more than all */
	spend(4, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_true(may_order(&after));
	spend(1, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_false(may_order(&after));
	assert_int_equal(after, each);
}

static void who_lives_at_the_limit_has_no_more_room(void **state)
{
	(void)state;
	int64_t after;
	const int64_t each = 7 * DAY / 5;
	spend(4, SPENT_CERTIFICATE, CA, "a.example.com");
	for (int i = 0; i < 15; i++) {
		spend(1, SPENT_CERTIFICATE, CA, "a.example.com");
		assert_false(may_order(&after));
		assert_int_equal(after, each);
		run_for(&place, each);
	}
}

static void a_restart_forgets_nothing(void **state)
{
	(void)state;
	int64_t after;
	struct err err = ERR_INIT;
	spend(3, SPENT_CERTIFICATE, CA, "b.example.com a.example.com");
	restart();
	spend(2, SPENT_CERTIFICATE, CA, "a.example.com b.example.com");
	restart();
	assert_false(allowed(CA, "a.example.com b.example.com", &after, &err));
	assert_in_range(after, 7 * DAY / 5 - 10 * SECOND, 7 * DAY / 5);
}

struct counting {
	struct store_scan scan;
	unsigned count;
};

static bool count_record(struct store_scan *scan, const struct record *record)
{
	(void)record;
	OWNER(scan, struct counting, scan)->count++;
	return true;
}

static unsigned records(void)
{
	struct counting c = { .scan.each = count_record };
	struct err err = ERR_INIT;
	assert_true(store_each(place.store, STR("spent"), &c.scan, &err));
	return c.count;
}

static void what_no_limit_looks_back_to_is_dropped(void **state)
{
	(void)state;
	const int64_t start = loop_wall(place.loop);
	spend(4, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 4);
	run_to(&place, start + 28 * DAY);
	spend(1, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 1);
	restart();
	run_for(&place, 29 * DAY);
	spend(1, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 1);
}

/* "kind about used" of each, a line each. */
static const char *nearest(size_t most)
{
	static char said[2000];
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO out = BUF(2000);
	struct limit near[10];
	const size_t n = limits_nearest(limits, CA, &a, near, most);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%u %.*s %u/%u\n", (unsigned)near[i].kind, STR_ARG(near[i].about),
		        near[i].used, near[i].most);
	snprintf(said, sizeof said, "%s", buf_c(&out));
	return said;
}

static unsigned used(enum limit_kind kind, const char *name)
{
	struct limit all[LIMIT_COUNT];
	const struct str one = str_c(name);
	assert_int_equal(limits_of(limits, CA, &one, 1, all), LIMIT_COUNT);
	return all[kind].used;
}

static void what_is_spent_elsewhere_is_not_kept(void **state)
{
	(void)state;
	spend(1, SPENT_ORDER, STR("https://ca.test/directory"), "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 0);
}

/* What is spent in the same instant before and after a start is two things. */
static void a_start_counts_on(void **state)
{
	(void)state;
	run_for(&place, 50);
	spend(1, SPENT_ORDER, CA, "a.example.com");
	turn_until(&place, records() == 1);
	limits_free(&limits);
	place_close(&place);
	place_open(&place);
	load();
	spend(1, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 2);
	assert_int_equal(used(LIMIT_ORDERS, "a.example.com"), 2);
}

/* Of one who was far above a limit: after four windows that is over. */
static void four_windows_are_looked_back(void **state)
{
	(void)state;
	int64_t after;
	const int64_t start = loop_wall(place.loop);
	spend(25, SPENT_CERTIFICATE, CA, "a.example.com");
	run_to(&place, start + 28 * DAY - 1);
	assert_false(may_order(&after));
	assert_true(strstr(nearest(10), "2 a.example.com ") != NULL);
	run_to(&place, start + 28 * DAY);
	assert_true(may_order(&after));
	assert_string_equal(nearest(10), "0  0/300\n");
}

/* The clock was wrong. */
static void what_was_spent_in_days_to_come_was_not(void **state)
{
	(void)state;
	const int64_t at = loop_wall(place.loop) + 2 * DAY;
	char value[400];
	snprintf(value, sizeof value,
	        "{\"at\":%lld,\"what\":\"failure\",\"directory\":\"%.*s\",\"names\":[\"a.test\"]}",
	        (long long)at, STR_ARG(CA));
	record_put(&place, "spent", "0-1", str_c(value), STR_NONE);
	restart();
	run_to(&place, at - DAY - 1);
	assert_string_equal(nearest(10), "0  0/300\n");
	assert_int_equal(used(LIMIT_FAILED, "a.test"), 0);
	run_to(&place, at - DAY);
	assert_true(strstr(nearest(10), "3 a.test ") != NULL);
	assert_true(used(LIMIT_FAILED, "a.test") > 0);
}

/* Those that are just being dropped are not dropped once more. */
static void what_is_being_dropped_is_left_alone(void **state)
{
	(void)state;
	spend(3, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 29 * DAY);
	spend(2, SPENT_ORDER, CA, "a.example.com");
	run_for(&place, 100);
	assert_int_equal(records(), 2);
}

static void what_cannot_be_stored_is_said_and_counted(void **state)
{
	(void)state;
	int64_t after;
	store_full(&place, true);
	spend(5, SPENT_CERTIFICATE, CA, "a.example.com");
	run_for(&place, 100);
	store_full(&place, false);
	assert_non_null(strstr(buf_c(&logged),
	        "warning : What the CA's limits leave could not be stored, it is counted anew "
	        "after the next start: "));
	assert_false(may_order(&after));
	restart();
	assert_true(may_order(&after));
}

static void write_all(struct str directory, const struct str *name, struct json_writer *w)
{
	struct limit all[LIMIT_COUNT];
	const size_t n = limits_of(limits, directory, name, 1, all);
	json_write_array(w, "limits");
	for (size_t i = 0; i < n; i++)
		limit_write(&all[i], directory, w);
	json_write_end(w);
}

static void what_is_nearest_to_its_limit_is_first(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct limit near[10];
	assert_string_equal(nearest(10), "0  0/300\n");
	assert_int_equal(limits_nearest(limits, STR("https://ca.test/directory"), &a, near, 10), 0);
	spend(3, SPENT_CERTIFICATE, CA, "b.example.com a.example.com");
	spend(4, SPENT_FAILURE, CA, "a.example.net");
	spend(30, SPENT_CERTIFICATE, STAGING, "a.example.com");
	assert_string_equal(nearest(10), "0  0/300\n"
	                                 "3 a.example.net 4/5\n"
	                                 "2 a.example.com b.example.com 3/5\n"
	                                 "1 example.com 3/50\n");
	assert_string_equal(nearest(2), "0  0/300\n3 a.example.net 4/5\n");
	assert_string_equal(nearest(1), "0  0/300\n");
	spend(2, SPENT_ORDER, CA, "a.example.com");
	assert_int_equal(limits_nearest(limits, CA, &a, near, 10), 4);
	assert_int_equal(near[0].used, 2);
	assert_int_equal(near[0].more - loop_wall(place.loop), 36 * SECOND);
	assert_int_equal(near[1].more - loop_wall(place.loop), HOUR / 5);
	run_for(&place, HOUR / 5 + SECOND);
	assert_string_equal(nearest(3), "0  0/300\n"
	                                "2 a.example.com b.example.com 3/5\n"
	                                "3 a.example.net 3/5\n");
}

static void of_those_that_are_as_near_the_first_by_name_is_first(void **state)
{
	(void)state;
	static const char *const names[] = { "d.test", "b.test", "e.test", "a.test", "c.test" };
	for (size_t i = 0; i < 5; i++)
		spend(1, SPENT_FAILURE, CA, names[i]);
	assert_string_equal(nearest(6), "0  0/300\n3 a.test 1/5\n3 b.test 1/5\n3 c.test 1/5\n"
	                                "3 d.test 1/5\n3 e.test 1/5\n");
	assert_string_equal(nearest(4), "0  0/300\n3 a.test 1/5\n3 b.test 1/5\n3 c.test 1/5\n");
	assert_string_equal(nearest(0), "");
}

static void as_json(void **state)
{
	(void)state;
	struct json_writer w;
	BUF_AUTO out = BUF(8192);
	const struct str name = STR("a.example.com");
	spend(2, SPENT_CERTIFICATE, CA, "a.example.com");
	spend(5, SPENT_FAILURE, CA, "a.example.com");
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	write_all(CA, &name, &w);
	json_write_end(&w);
	assert_non_null(strstr(buf_c(&out),
	        "{\"limit\":\"certificates per exact set of names\",\"about\":null,"
	        "\"used\":2,\"most\":5,"
	        "\"reserved\":0,\"seconds\":604800,\"next\":null,"
	        "\"more\":\"2027-01-02T09:36:00Z\",\"sentence\":\"Let's Encrypt's limit: 5 "
	        "certificates a week for the same names; 2 of them used.\"}"));
	assert_non_null(strstr(buf_c(&out),
	        "{\"limit\":\"failed validations per name\",\"about\":\"a.example.com\","
	        "\"used\":5,\"most\":5,"
	        "\"reserved\":0,\"seconds\":3600,\"next\":\"2027-01-01T00:12:00Z\","
	        "\"more\":\"2027-01-01T00:12:00Z\",\"sentence\":\"Let's Encrypt's limit: 5 failed "
	        "validations an hour for a.example.com. Next try 1 Jan, 00:12 UTC.\"}"));
	buf_clear(&out);
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	write_all(STR("https://ca.test/directory"), &name, &w);
	json_write_end(&w);
	assert_string_equal(buf_c(&out), "{\"limits\":[]}");
}

/* Orders under way */

static void claim(struct limit_claim *c, const char *text, bool renewal, bool exempt)
{
	struct str names[NAMES];
	limits_claim(limits, c,
	        &(struct limit_order){ .directory = CA,
	                .names = names,
	                .count = names_of(text, names),
	                .renewal = renewal,
	                .exempt = exempt });
}

/* Beside each other they do not pass a limit that one after the other would not. */
static void what_is_under_way_counts(void **state)
{
	(void)state;
	int64_t after;
	struct err err = ERR_INIT;
	struct limit_claim c = { 0 };
	spend(49, SPENT_CERTIFICATE, CA, "x.example.com");
	assert_true(allowed(CA, "b.example.com", &after, &err));
	claim(&c, "b.example.com c.example.com", false, false);
	assert_false(allowed(CA, "a.example.com", &after, &err));
	assert_int_equal(after, 7 * DAY / 50);
	assert_true(allowed(STAGING, "a.example.com", &after, &err));
	const struct str name = STR("a.example.com");
	struct limit staging[LIMIT_COUNT];
	assert_int_equal(limits_of(limits, STAGING, &name, 1, staging), LIMIT_COUNT);
	assert_int_equal(staging[LIMIT_ORDERS].used + staging[LIMIT_DOMAIN].used, 0);
	assert_true(allowed(CA, "a.example.org", &after, &err));
	assert_int_equal(used(LIMIT_ORDERS, "a.example.org"), 1);
	c.ordered = true;
	assert_int_equal(used(LIMIT_ORDERS, "a.example.org"), 0);
	claim(&c, "b.example.com", false, false); /* anew, once */
	assert_int_equal(used(LIMIT_ORDERS, "a.example.org"), 1);
	assert_int_equal(used(LIMIT_DOMAIN, "b.example.com"), 50);
	assert_int_equal(used(LIMIT_SET, "b.example.com"), 1);
	assert_int_equal(used(LIMIT_FAILED, "b.example.com"), 0);
	limits_unclaim(&c);
	limits_unclaim(&c);
	assert_true(allowed(CA, "a.example.com", &after, &err));
	claim(&c, "b.example.com", true, false);
	assert_int_equal(used(LIMIT_ORDERS, "b.example.com"), 0);
	assert_int_equal(used(LIMIT_DOMAIN, "b.example.com"), 49);
	assert_int_equal(used(LIMIT_SET, "b.example.com"), 1);
	limits_unclaim(&c);
	claim(&c, "b.example.com", false, true); /* no limit counts it */
	assert_int_equal(used(LIMIT_SET, "b.example.com"), 0);
	limits_unclaim(&c);
	arena_done(&c.arena);
}

static void what_is_under_way_is_among_the_nearest(void **state)
{
	(void)state;
	struct limit_claim c = { 0 };
	claim(&c, "b.example.com a.example.com", false, false);
	assert_string_equal(nearest(10), "0  1/300\n"
	                                 "2 a.example.com b.example.com 1/5\n"
	                                 "1 example.com 1/50\n");
	c.ordered = true;
	assert_string_equal(nearest(1), "0  0/300\n");
	claim(&c, "b.example.com", true, false);
	assert_string_equal(nearest(10), "0  0/300\n2 b.example.com 1/5\n");
	limits_unclaim(&c);
	assert_string_equal(nearest(10), "0  0/300\n");
	arena_done(&c.arena);
}

static void what_is_kept_for_others_is_waited_for(void **state)
{
	(void)state;
	const struct str name = STR("shop.example.com");
	spend(298, SPENT_ORDER, CA, "x.example.org");
	for (unsigned keep = 1; keep <= 3; keep++) {
		struct err err = ERR_INIT;
		struct limit_wait wait = { 0 };
		const struct limit_order order = {
			.directory = CA, .names = &name, .count = 1, .reserve = { .orders = keep }
		};
		const bool ok = limits_allow(limits, &order, &wait, &err);
		assert_int_equal(ok, keep == 1);
		if (!ok)
			assert_int_equal(wait.until - loop_wall(place.loop),
			        (int64_t)(keep - 1) * 36 * SECOND);
	}
}

static bool may_renew(const char *text)
{
	struct str names[NAMES];
	struct limit_wait wait;
	struct err err = ERR_INIT;
	const struct limit_order order = {
		.directory = CA, .names = names, .count = names_of(text, names), .renewal = true
	};
	return limits_allow(limits, &order, &wait, &err);
}

static void renewals_are_counted_by_the_limit_for_the_same_names(void **state)
{
	(void)state;
	spend(300, SPENT_ORDER, CA, "x.example.com");
	spend(50, SPENT_CERTIFICATE, CA, "x.example.com");
	assert_true(may_renew("a.example.com"));
	spend(4, SPENT_RENEWAL, CA, "a.example.com");
	assert_true(may_renew("a.example.com"));
	assert_int_equal(used(LIMIT_DOMAIN, "a.example.com"), 50);
	spend(1, SPENT_RENEWAL, CA, "a.example.com");
	assert_false(may_renew("a.example.com"));
	restart();
	assert_false(may_renew("a.example.com"));
	assert_true(may_renew("b.example.com"));
	spend(5, SPENT_FAILURE, CA, "b.example.com");
	assert_false(may_renew("b.example.com"));
}

/* Those that wait for the same are told so, and how long it is from one to the next. */
static void what_is_waited_for(void **state)
{
	(void)state;
	const struct str one = STR("a.example.com"), same = STR("b.example.com"),
	                 other = STR("a.example.org");
	struct limit_wait first, second;
	struct err err = ERR_INIT;
	struct limit_order order = { .directory = CA, .names = &one, .count = 1 };
	spend(50, SPENT_CERTIFICATE, CA, "x.example.com");
	spend(50, SPENT_CERTIFICATE, CA, "x.example.org");
	assert_false(limits_allow(limits, &order, &first, &err));
	assert_int_equal(first.each, 7 * DAY / 50);
	order.names = &same;
	order.not_before = first.until + first.each;
	assert_false(limits_allow(limits, &order, &second, &err));
	assert_int_equal(second.what, first.what);
	assert_int_equal(second.until, first.until + first.each);
	assert_string_equal(err.text,
	        "Let's Encrypt's limit: 50 certificates a week for the names of example.com. Next "
	        "try 1 Jan, 06:44 UTC. Nothing to do.");
	order.names = &other;
	order.not_before = first.until - 1;
	assert_false(limits_allow(limits, &order, &second, &err));
	assert_true(second.what != first.what);
	assert_int_equal(second.until, first.until);
}

/* Attempts are counted as they go. */

struct job {
	struct attempt attempt;
	struct store_tx tx;
	bool ended;
};

static bool is_exempt; /* the job that runs */

/* It counts from the beginning on, and once. */
static void moved(struct attempt *a, const struct flow *f, const struct next *n)
{
	const struct str *name = &f->names[0].name;
	struct limit all[LIMIT_COUNT];
	(void)a;
	limits_of(issuers_limits(place.issuers), CA, name, 1, all);
	assert_int_equal(
	        all[LIMIT_SET].used, !is_exempt || (n->what == FLOW_DONE && !f->replaces.n));
	if (n->what == FLOW_GO && str_eq_c(*name, "good.example.com"))
		assert_int_equal(all[LIMIT_ORDERS].used, 1);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->ended = true;
}

static void done(struct attempt *a, const struct flow *f, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)f, (void)issued, (void)failed;
	attempt_clear(a, &j->tx);
	store_tx_start(place.store, &j->tx, stored);
}

static void run_job_as(const char *name, const struct attempt_want *more)
{
	struct job j = { .attempt = { .moved = moved, .done = done } };
	const struct str names[] = { str_c(name) };
	const struct issuer_row row = {
		.name = STR("ca"), .directory = CA, .trust = STR("the root")
	};
	issuers_set(place.issuers, &row, 1);
	is_exempt = more->exempt;
	attempt_start(place.issuers, &j.attempt,
	        &(struct attempt_want){ .id = STR("job"),
	                .issuer = STR("ca"),
	                .terms_agreed = true,
	                .exempt = more->exempt,
	                .renewal = more->renewal,
	                .replaces = more->replaces,
	                .names = names,
	                .name_count = 1 });
	turn_until(&place, j.ended);
	run_for(&place, 50);
}

static void run_job(const char *name)
{
	run_job_as(name, &(struct attempt_want){ 0 });
}

struct listing {
	struct store_scan scan;
	struct buf *out;
};

static bool list_record(struct store_scan *scan, const struct record *record)
{
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "It", &err);
	buf_printf(OWNER(scan, struct listing, scan)->out, "%.*s %.*s\n",
	        STR_ARG(json_text(json, "what")),
	        STR_ARG(json_value_text(json_at(json_array(json, "names"), 0))));
	return true;
}

static void whats(struct buf *out)
{
	struct listing l = { .scan.each = list_record, .out = out };
	struct err err = ERR_INIT;
	assert_true(store_each(place.store, STR("spent"), &l.scan, &err));
}

static void attempts_are_counted(void **state)
{
	(void)state;
	BUF_AUTO out = BUF(4096);
	place.ca.refused = "bad.example.com";
	run_job("good.example.com");
	place.ca.complaint = NULL; /* that its directory has another name */
	run_job("bad.example.com");
	place.ca.down = true;
	run_job("down.example.com");
	place.ca.down = false;
	place.ca.rejected = "rejected.example.com"; /* no proof has failed */
	run_job("rejected.example.com");
	run_job_as("renewed.example.com", &(struct attempt_want){ .renewal = true });
	run_job_as("replaced.example.com",
	        &(struct attempt_want){ .exempt = true, .replaces = STR("aki.serial") });
	run_job_as("refused.example.com", &(struct attempt_want){ .exempt = true }); /* that */
	place.ca.complaint = NULL;
	whats(&out);
	assert_string_equal(buf_c(&out), "account \n"
	                                 "order good.example.com\n"
	                                 "certificate good.example.com\n"
	                                 "order bad.example.com\n"
	                                 "failure bad.example.com\n"
	                                 "renewal renewed.example.com\n"
	                                 "order refused.example.com\n"
	                                 "certificate refused.example.com\n");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static struct err why_not; /* the last may not */

static bool may(const char *text, bool exempt, struct limit_reserve reserve)
{
	struct str names[NAMES];
	struct limit_wait wait;
	const size_t count = names_of(text, names);
	const struct limit_order order = { .directory = CA,
		.names = names,
		.count = count,
		.exempt = exempt,
		.reserve = reserve };
	return limits_allow(limits, &order, &wait, &why_not);
}

/* The last that is not kept for renewals may be ordered, the next one not; who is exempt may. */
static void what_is_reserved_is_left(void **state)
{
	(void)state;
	const struct limit_reserve ten = { .certificates = 10 }, all = { .certificates = 1000 };
	assert_true(may("x.example.com", false, all));
	spend(1, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_false(may("x.example.com", false, all)); /* all but one */
	spend(38, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_true(may("x.example.com", false, ten));
	spend(1, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_false(may("x.example.com", false, ten));
	assert_non_null(strstr(why_not.text,
	        " What is left is kept for the renewals of the next days. Nothing to do."));
	assert_true(may("x.example.com", true, ten));
	assert_true(may("x.example.com", false, (struct limit_reserve){ 0 }));
	assert_true(may("x.other.org", false, ten));
	spend(10, SPENT_CERTIFICATE, CA, "a.example.com");
	assert_false(may("x.example.com", false, ten));
	assert_null(strstr(why_not.text, "kept for the renewals"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_reserved_is_left),
		T(what_is_under_way_counts),
		T(what_is_under_way_is_among_the_nearest),
		T(what_is_kept_for_others_is_waited_for),
		T(renewals_are_counted_by_the_limit_for_the_same_names),
		T(what_is_waited_for),
		T(what_is_left),
		T(accounts_are_for_those_without),
		T(little_is_told_before_nothing_is_left),
		T(the_fullest_counts),
		T(addresses_count_by_network),
		T(of_several_limits_the_last_to_end_is_said),
		T(the_minute_that_is_said_is_not_too_early),
		T(the_figures),
		T(room_comes_back_by_and_by),
		T(who_lives_at_the_limit_has_no_more_room),
		T(a_restart_forgets_nothing),
		T(what_no_limit_looks_back_to_is_dropped),
		T(what_is_being_dropped_is_left_alone),
		T(what_is_spent_elsewhere_is_not_kept),
		T(a_start_counts_on),
		T(four_windows_are_looked_back),
		T(what_was_spent_in_days_to_come_was_not),
		T(of_those_that_are_as_near_the_first_by_name_is_first),
		T(what_cannot_be_stored_is_said_and_counted),
		T(what_is_nearest_to_its_limit_is_first),
		T(as_json),
		T(attempts_are_counted),
	};
	return cmocka_run_group_tests_name("issue_limits", tests, NULL, NULL);
}
