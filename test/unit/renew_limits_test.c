/* Renewals and new names at the CA's limits: who waits, for how long, and what is counted. */
#include "renew_world.h"

#define LETS_ENCRYPT "https://acme-v02.api.letsencrypt.org/directory"
#define FILE_OF_TWO                                                                                \
	"issuer letsencrypt { directory " LETS_ENCRYPT "; }\n"                                     \
	"rehearsal no\nsite * { proxy 127.0.0.1:3000; }\n"

static void spend(unsigned times, enum spent_what what, const char *name)
{
	const struct str names[] = { str_c(name) };
	for (unsigned i = 0; i < times; i++)
		limits_spent(issuers_limits(place->issuers), what, STR(LETS_ENCRYPT), names, 1);
}

static void begin(void)
{
	place->ca.directory = LETS_ENCRYPT;
	world_start(FILE_OF_TWO);
}

/* Each looks again when there is room for it, not all of them whenever there is some. */
static void those_that_wait_come_one_after_the_other(void **state)
{
	(void)state;
	static const char *const names[] = { "a.example.com", "b.example.org", "c.example.net" };
	enum { COUNT = 3 };
	struct wish w[COUNT];
	begin();
	const int64_t start = loop_wall(place->loop);
	spend(300, SPENT_ORDER, "x.example.com");
	for (size_t i = 0; i < COUNT; i++) {
		wish_name(&w[i], names[i]);
		wish_wait(&w[i]);
		run_for(place, 0);
	}
	for (size_t i = 0; i < COUNT; i++)
		assert_string_equal(said(names[i], "next_renewal"),
		        date(start + ((int64_t)i + 1) * 36 * SECOND));
	assert_int_equal(logged_count("limit: 300 orders in 3 hours"), COUNT);
	run_for(place, 5 * MINUTE);
	assert_int_equal(logged_count("limit: 300 orders in 3 hours"), COUNT);
	assert_int_equal(place->ca.order_count, COUNT);
	for (size_t i = 0; i < COUNT; i++) {
		assert_string_equal(place->ca.orders[i].names[0], names[i]);
		assert_in_range(place->ca.orders[i].at - start, ((int64_t)i + 1) * 36 * SECOND,
		        ((int64_t)i + 1) * 36 * SECOND + MINUTE / 2);
	}
}

/* Ten at a time, but no more than there is room for. */
static void those_beside_each_other_do_not_pass_a_limit(void **state)
{
	(void)state;
	struct wish w[6];
	begin();
	spend(47, SPENT_CERTIFICATE, "x.example.com");
	for (size_t i = 0; i < 6; i++) {
		char name[32];
		snprintf(name, sizeof name, "n%zu.example.com", i);
		wish_name(&w[i], name);
		wish_wait(&w[i]);
	}
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 3);
	run_for(place, 7 * DAY / 50);
	assert_int_equal(place->ca.order_count, 4);
}

struct listing {
	struct store_scan scan;
	struct buf out;
};

static bool list_record(struct store_scan *scan, const struct record *record)
{
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "It", &err);
	buf_printf(
	        &OWNER(scan, struct listing, scan)->out, "%.*s ", STR_ARG(json_text(json, "what")));
	return true;
}

static void counted_is(const char *whats)
{
	struct listing l = { .scan.each = list_record, .out = BUF(4096) };
	struct err err = ERR_INIT;
	assert_true(store_each(place->store, STR("spent"), &l.scan, &err));
	assert_string_equal(buf_c(&l.out), whats);
	buf_done(&l.out);
}

static int64_t window_from, window_to;

static bool window_of(struct scripted_ca *ca, const struct ca_order *o, struct ca_window *ret)
{
	(void)ca;
	*ret = (struct ca_window){ o->not_before + window_from, o->not_before + window_to, NULL };
	return true;
}

/* Within the window a CA counts nothing, behind it what was made for the same names; and a renewal
 * does not wait for the room that new names have used up. */
static void what_renewals_count(void **state)
{
	(void)state;
	struct wish w;
	place->ca.window_of = window_of;
	window_from = 30 * DAY;
	window_to = 31 * DAY;
	begin();
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, MINUTE);
	counted_is("order certificate ");
	run_for(place, 31 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	counted_is("order certificate ");
	spend(300, SPENT_ORDER, "x.example.org");
	spend(50, SPENT_CERTIFICATE, "x.example.com");
	place->ca.down = true;
	run_for(place, 31 * DAY + 12 * HOUR); /* it ends meanwhile */
	place->ca.down = false;
	spend(300, SPENT_ORDER, "x.example.org");
	spend(50, SPENT_CERTIFICATE, "x.example.com");
	run_for(place, DAY + 12 * HOUR);
	assert_int_equal(place->ca.order_count, 3);
	const struct limit_order order = { .directory = STR(LETS_ENCRYPT),
		.names = &(struct str)STR_INIT("shop.example.com"),
		.count = 1,
		.renewal = true };
	struct limit_wait wait;
	struct err err = ERR_INIT;
	spend(4, SPENT_RENEWAL, "shop.example.com");
	assert_false(limits_allow(issuers_limits(place->issuers), &order, &wait, &err));
}

/* What is said of it is what a command that waits ends with. */
static void a_limit_is_the_last_step_of_who_waits(void **state)
{
	(void)state;
	struct wish w;
	BUF_AUTO lines = BUF(64 << 10);
	begin();
	spend(5, SPENT_CERTIFICATE, "shop.example.com");
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, HOUR);
	task_lines("0000000001", &lines);
	assert_true(
	        str_starts(buf_str(&lines), STR("limit: Let's Encrypt's limit: 5 certificates")));
	assert_non_null(
	        strstr(buf_c(&lines), ". Next try 2 Jan, 09:36 UTC. Nothing to do.\nConfigure"));
	assert_int_equal(place->ca.order_count, 0);
}

static void who_may_ask_another_issuer_does_not_wait(void **state)
{
	(void)state;
	world_begin("issuer letsencrypt { directory " LETS_ENCRYPT "; }\n"
	            "issuer other { directory https://ca.test/directory; }\n"
	            "issuer letsencrypt other\nrehearsal no\nemail ops@example.com\n"
	            "agree-to-terms yes\nsite * { proxy 127.0.0.1:3000; }\n"
	            "site shop.example.com { proxy 127.0.0.1:3000; }\n");
	spend(5, SPENT_CERTIFICATE, "shop.example.com");
	renewals_begin(world.renewals);
	run_for(place, HOUR);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "issued_from"), "\"other\"");
	assert_int_equal(logged_count("Let's Encrypt's limit"), 0);
}

/* One certificate of the week is left to the domain: it is for the one that is soon due. */
static void what_is_left_is_for_who_is_due(void **state)
{
	(void)state;
	static const struct {
		int64_t after;
		bool waits;
	} rows[] = { { 50 * DAY, false }, { 65 * DAY, true } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wish due, new, other;
		begin();
		wish_name(&due, "shop.example.com");
		wish_wait(&due);
		run_for(place, rows[i].after);
		assert_int_equal(place->ca.order_count, 1);
		spend(49, SPENT_CERTIFICATE, "x.example.com");
		wish_name(&new, "new.example.com");
		wish_wait(&new);
		wish_name(&other, "new.example.org");
		wish_wait(&other);
		run_for(place, MINUTE);
		assert_int_equal(place->ca.order_count, rows[i].waits ? 2 : 3);
		status_is("new.example.org", "ok");
		assert_int_equal(
		        logged_count("What is left is kept for the renewals of the next days."),
		        rows[i].waits);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(those_that_wait_come_one_after_the_other),
		WORLD_TEST(those_beside_each_other_do_not_pass_a_limit),
		WORLD_TEST(what_renewals_count),
		WORLD_TEST(a_limit_is_the_last_step_of_who_waits),
		WORLD_TEST(who_may_ask_another_issuer_does_not_wait),
		WORLD_TEST(what_is_left_is_for_who_is_due),
	};
	return cmocka_run_group_tests_name("renew_limits", tests, NULL, NULL);
}
