/* Registrations and their renewal, on a fake clock, against a scripted CA and serving. */
#include "renew_world.h"

/* From nothing to served */

static void a_name_is_registered_and_served(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	run_until_idle();
	wish_name(&w, "https://Shop.example.com/cart");
	wish_refused(&w, ERR_INPUT,
	        "This is a web address; a DNS name is needed. Use shop.example.com.");
	int64_t start = loop_wall(place->loop);
	wish_name(&w, " Shop.Example.com. ");
	assert_int_equal(record_version(place, "registration", w.id), 0);
	wish_wait(&w);
	assert_false(w.existing);
	assert_string_equal(w.task, "0000000001");
	assert_int_equal(record_version(place, "registration", w.id), 1);
	assert_int_equal(record_version(place, "renewal", w.id), 1);
	assert_int_equal(record_version(place, "task", w.task), 1);
	assert_int_equal(place->ca.requests, 0);
	status_is("shop.example.com", "working");
	assert_string_equal(said("shop.example.com", "temporary"), "true");
	assert_string_equal(said("shop.example.com", "reason"), "\"an attempt is under way\"");
	run_until_idle();
	assert_int_equal(world.changes, 1);
	assert_string_equal(strstr(buf_c(&place->diary), "ask certificate"),
	        "ask certificate\n"
	        "put task\nput certificate\nput renewal\n" /* one transaction */
	        "delete flow\ndelete flow-key\n"
	        "install shop.example.com\nhandshake shop.example.com 443\nput task\n");
	task_is(w.task, FIRST STEPS SEEN "ConfigureLetsEncrypt Success");
	status_is("SHOP.example.com", "ok");
	assert_string_equal(said("shop.example.com", "next_renewal"), date(start + 69 * DAY));
	assert_string_equal(said("shop.example.com", "reason"), "\"21 days are left\"");
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	assert_string_equal(said("shop.example.com", "served_at"), date(start));
	assert_string_equal(said("shop.example.com", "last_renewed"), date(start));
	assert_string_equal(said("shop.example.com", "not_after"), date(start + 90 * DAY));
	assert_string_equal(said("shop.example.com", "not_before"), date(start));
	assert_string_equal(said("shop.example.com", "names"), "[\"shop.example.com\"]");
	assert_string_equal(said("shop.example.com", "issuer"), "\"ca\"");
	assert_string_equal(said("shop.example.com", "issued_by"), "\"Script CA\"");
	assert_string_equal(said("shop.example.com", "serial"), "\"03e9\"");
	assert_string_equal(said("shop.example.com", "key_type"), "\"P-256\"");
	assert_string_equal(said("shop.example.com", "last_error"), "null");
	assert_string_equal(said("shop.example.com", "failures"), "0");
	assert_string_equal(said("shop.example.com", "temporary"), "false");
	assert_string_equal(said("shop.example.com", "task"), "\"0000000001\"");
	assert_string_equal(said("nobody.example.com", "state"),
	        "There is no certificate for nobody.example.com. `everseal status` lists those "
	        "that "
	        "there are.");
}

/* A year */

/* Each with certificates of its own lifetime. */
struct life {
	const char *name;
	int64_t lifetime, before;
};
static const struct life *lives;
static size_t life_count;

static int64_t lifetime_of(const char *name)
{
	for (size_t i = 0; i < life_count; i++)
		if (!strcmp(name, lives[i].name))
			return lives[i].lifetime;
	return DAY;
}

static unsigned check_life(const struct life *life)
{
	unsigned count = 0;
	struct renewal_time due = { .at = place->ca.orders[0].at };
	for (unsigned i = 0; i < place->ca.order_count; i++) {
		const struct ca_order *o = &place->ca.orders[i];
		if (strcmp(o->names[0], life->name) != 0)
			continue;
		assert_int_equal(o->not_after - o->not_before, life->lifetime);
		assert_int_equal(o->at, due.at);
		due = renewal_time(o->not_before, o->not_after, life->before);
		count++;
	}
	assert_true(due.at > loop_wall(place->loop));
	return count;
}

static void live(const struct life *some, size_t count, int64_t time)
{
	BUF_AUTO config = BUF(8192);
	unsigned orders = 0;
	lives = some;
	life_count = count;
	buf_add_c(&config, BY_FILE);
	for (size_t i = 0; i < life_count; i++)
		buf_printf(&config, "site %s { proxy 127.0.0.1:3001; %s; }\n", lives[i].name,
		        lives[i].before ? "renew-before 30d" : "force-ssl yes");
	place->ca.lifetime_of = lifetime_of;
	world_start(buf_c(&config));
	run_for(place, time);
	for (size_t i = 0; i < life_count; i++)
		orders += check_life(&lives[i]);
	assert_int_equal(place->ca.order_count, orders);
	assert_int_equal(place->ca.accounts_made, 1);
	assert_int_equal(world.installs, orders);
	assert_int_equal(logged_count("error"), 0);
}

static void in_a_year_each_renews_at_its_moment(void **state)
{
	(void)state;
	static const struct life some[] = {
		{ "d90.example.com", 90 * DAY, 0 },
		{ "d64.example.com", 64 * DAY, 0 },
		{ "d45.example.com", 45 * DAY, 0 },
		{ "before.example.com", 90 * DAY, 30 * DAY },
	};
	live(some, 4, 365 * DAY);
	assert_int_equal(place->ca.order_count, 6 + 9 + 13 + 7);
}

static void the_short_lived_do_too(void **state)
{
	(void)state;
	static const struct life some[] = {
		{ "d6.example.com", 6 * DAY, 0 },
		{ "h160.example.com", 160 * HOUR, 0 },
	};
	live(some, 2, 61 * DAY);
	assert_int_equal(place->ca.order_count, 21 + 19);
}

static void a_restart_keeps_the_moment(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, 10 * DAY + 12345);
	for (int i = 0; i < 3; i++) {
		world_kill();
		run_for(place, 7 * DAY); /* the machine is off */
		world_start(NULL);
		run_for(place, 10 * DAY);
	}
	assert_int_equal(place->ca.order_count, 1);
	assert_int_equal(world.installs, 4);
	run_for(place, 20 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(place->ca.orders[1].at, place->ca.orders[0].not_after - 21 * DAY);
	/* Off while it was due: renewed at once. */
	world_kill();
	run_for(place, 80 * DAY);
	int64_t back = loop_wall(place->loop);
	world_start(NULL);
	turn_until(place, place->ca.order_count == 3);
	run_until_idle();
	assert_int_equal(place->ca.orders[2].at, back);
}

/* Failure */

static void a_failing_name_waits_longer_each_time_and_alone(void **state)
{
	(void)state;
	static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, DAY, DAY };
	place->ca.refused = "bad.example.com";
	world_start(BY_FILE "site bad.example.com { proxy 127.0.0.1:3001; }\n" SHOP);
	run_until_idle();
	status_is("shop.example.com", "ok");
	status_is("bad.example.com", "failed");
	assert_non_null(strstr(said("bad.example.com", "last_error"), "Timeout during connect"));
	assert_string_equal(said("bad.example.com", "reason"), "\"the last attempt failed\"");
	assert_string_equal(said("bad.example.com", "failures"), "1");
	logged_has("error name=bad.example.com:");
	assert_int_equal(logged_count("is kept"), 0);
	run_for(place, 4 * DAY);
	int64_t before = 0;
	unsigned n = 0;
	for (unsigned i = 0; i < place->ca.order_count; i++) {
		const struct ca_order *o = &place->ca.orders[i];
		if (strcmp(o->names[0], "bad.example.com") != 0)
			continue;
		if (before && n < 5) {
			assert_in_range(o->at - before, waits[n] * 4 / 5, waits[n] * 6 / 5);
			n++;
		}
		before = o->at;
	}
	assert_int_equal(n, 5);
	/* Once it works, it starts from the beginning. */
	place->ca.refused = NULL;
	run_for(place, 2 * DAY);
	status_is("bad.example.com", "ok");
	assert_string_equal(said("bad.example.com", "failures"), "0");
}

static void a_restart_keeps_the_back_off(void **state)
{
	(void)state;
	place->ca.refused = "shop.example.com";
	world_start(BY_FILE SHOP);
	run_for(place, 3 * HOUR);
	unsigned orders = place->ca.order_count;
	const char *next = said("shop.example.com", "next_renewal");
	assert_string_equal(said("shop.example.com", "failures"), "4");
	world_kill();
	world_start(NULL);
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, orders);
	assert_string_equal(said("shop.example.com", "next_renewal"), next);
	assert_string_equal(said("shop.example.com", "failures"), "4");
	assert_non_null(strstr(said("shop.example.com", "last_error"), "Timeout during connect"));
	assert_non_null(strstr(said("shop.example.com", "last_error"), "\"at\":\"2027-01-01T0"));
	status_is("shop.example.com", "failed");
}

static void a_ca_that_is_down_for_days_costs_nothing(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, 68 * DAY);
	place->ca.down = true;
	run_for(place, 10 * DAY);
	assert_int_equal(world.installs, 1);
	status_is("shop.example.com", "failed");
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	logged_has(" The certificate in use is kept. Next try 2027-");
	place->ca.down = false;
	run_for(place, 2 * DAY);
	assert_int_equal(world.installs, 2);
	assert_int_equal(place->ca.order_count, 2);
	status_is("shop.example.com", "ok");
	/* It ends only just in time: tries come closer together. */
	run_for(place, 40 * DAY);
	place->ca.down = true;
	run_for(place, 50 * DAY);
	status_is("shop.example.com", "expired");
	assert_int_equal(world.installs, 2);
	place->ca.down = false;
	run_for(place, 30 * HOUR);
	status_is("shop.example.com", "ok");
}

static void a_limit_of_the_ca_is_waited_for(void **state)
{
	(void)state;
	place->ca.limited = "shop.example.com";
	place->ca.limited_for = 30 * HOUR / SECOND;
	world_start(BY_FILE SHOP);
	run_until_idle();
	int64_t first = place->ca.orders[0].at;
	assert_string_equal(said("shop.example.com", "next_renewal"), date(first + 30 * HOUR));
	place->ca.limited_for = 30 * DAY / SECOND; /* a week at most */
	run_for(place, 31 * HOUR);
	assert_string_equal(
	        said("shop.example.com", "next_renewal"), date(first + 30 * HOUR + 7 * DAY));
	place->ca.limited = NULL;
	run_for(place, 7 * DAY);
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.orders[0].at, first + 30 * HOUR + 7 * DAY);
	/* Nothing expires before that: neither then nor when it is renewed. */
	place->ca.limited = "shop.example.com";
	place->ca.limited_for = 30 * HOUR / SECOND;
	run_for(place, 70 * DAY);
	status_is("shop.example.com", "failed");
	assert_int_equal(logged_count("certificate in use expires"), 0);
}

static int64_t the_wait(void)
{
	int64_t at = 0;
	const struct str quoted = str_c(said("shop.example.com", "next_renewal"));
	assert_true(clock_from_rfc3339((struct str){ quoted.p + 1, quoted.n - 2 }, &at));
	return at;
}

static void a_wait_for_the_ca_is_told_while_it_lasts(void **state)
{
	(void)state;
	place->ca.busy_for = HOUR / SECOND;
	world_start(BY_FILE SHOP);
	int64_t start = loop_wall(place->loop);
	run_for(place, 0);
	turn_until(place, diary_count(place, "ask directory"));
	run_for(place, SECOND);
	status_is("shop.example.com", "working");
	/* Up to a tenth later, so that not all who were told so come at once. */
	assert_in_range(the_wait(), start + HOUR, start + HOUR + HOUR / 10);
	assert_string_equal(
	        said("shop.example.com", "reason"), "\"ca.test: the CA is busy or out of order.\"");
	logged_has("ca.test: the CA is busy or out of order. Next try 2027-01-01T01:0");
	run_for(place, HOUR - 2 * SECOND);
	assert_int_equal(diary_count(place, "ask directory"), 1);
	run_for(place, HOUR / 10 + 2 * SECOND);
	assert_int_equal(diary_count(place, "ask directory"), 2);
	assert_int_equal(logged_count("out of order"), 1); /* told once */
	BUF_AUTO lines = BUF(64 << 10);
	task_lines("0000000001", &lines);
	assert_non_null(strstr(buf_c(&lines), "Reach ca.test: waiting 3"));
	place->ca.busy_for = 0;
	run_for(place, HOUR + HOUR / 10 + MINUTE);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "reason"), "\"21 days are left\"");
}

/* That of a CA at work is none: nothing is wrong. */
static void a_ca_that_takes_its_time_is_no_trouble(void **state)
{
	(void)state;
	place->ca.processing = 10;
	world_start(BY_FILE SHOP);
	turn_until(place, place->ca.finalized);
	for (int i = 0; i < 5; i++) {
		run_for(place, SECOND);
		status_is("shop.example.com", "working");
		assert_string_equal(
		        said("shop.example.com", "reason"), "\"an attempt is under way\"");
		assert_string_equal(said("shop.example.com", "next_renewal"), "null");
	}
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(logged_count("warning"), 0);
	task_is("0000000001", FIRST STEPS SEEN "ConfigureLetsEncrypt Success");
}

/* A store that fails */

static void fill_disk(struct scripted_ca *ca)
{
	(void)ca;
	store_full(place, true);
}

static void a_certificate_that_cannot_be_stored_is_not_served(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, 68 * DAY);
	place->ca.on_download = fill_disk;
	const char *serial = said("shop.example.com", "serial");
	run_for(place, DAY + MINUTE / 2);
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(world.installs, 1);
	assert_string_equal(said("shop.example.com", "serial"), serial);
	assert_string_equal(said("shop.example.com", "failures"), "1");
	logged_has("The new certificate could not be stored, keeping the old one: ");
	assert_int_equal(logged_count("error name="), 1); /* not tried again at once */
	run_for(place, 3 * HOUR);
	assert_string_equal(said("shop.example.com", "failures"), "4"); /* waits grow */
	assert_int_equal(world.installs, 1);
	place->ca.on_download = NULL;
	store_full(place, false);
	run_for(place, 30 * HOUR);
	assert_int_equal(world.installs, 2);
	assert_int_equal(place->ca.order_count, 2); /* the flow was resumed */
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "failures"), "0");
}

static void a_full_disk_registers_nothing(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	store_full(place, true);
	wish_name(&w, "shop.example.com");
	turn_until(place, w.done);
	store_full(place, false);
	assert_int_equal(w.err.code, ERR_IO);
	run_for(place, DAY);
	assert_int_equal(place->ca.requests, 0);
	assert_int_equal(world.changes, 0);
	assert_non_null(strstr(said("shop.example.com", "state"), "There is no certificate"));
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w.task, &lines);
	assert_true(str_ends(buf_str(&lines), STR("\nConfigureLetsEncrypt Failed")));
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(w.existing);
	assert_string_equal(w.task, "0000000002");
	run_until_idle();
	status_is("shop.example.com", "ok");
	store_full(place, true);
	wish_disable(&w, "shop.example.com", false);
	turn_until(place, w.done);
	store_full(place, false);
	assert_int_equal(w.err.code, ERR_IO);
	status_is("shop.example.com", "ok");
	/* It was read again, and not added to what was there. */
	assert_int_equal(
	        registration_find(world.renewals, STR("shop.example.com"))->issued_count, 1);
	run_for(place, 70 * DAY);
	assert_int_equal(place->ca.order_count, 2);
}

/* Nothing is known of it, not that its renewal is disabled either. */
static void what_was_not_registered_is_free_for_the_file(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	store_full(place, true);
	wish_name(&w, "shop.example.com");
	turn_until(place, w.done);
	store_full(place, false);
	assert_int_equal(w.err.code, ERR_IO);
	world_configure(BY_FILE SHOP);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(world.renewals->registrations.count, 1);
}

static void a_failure_that_cannot_be_stored_waits_all_the_same(void **state)
{
	(void)state;
	place->ca.refused = "shop.example.com";
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask challenge"));
	store_full(place, true);
	run_for(place, 30 * SECOND);
	logged_has("The failure could not be stored, the next start tries earlier: ");
	assert_string_equal(said("shop.example.com", "failures"), "1");
	store_full(place, false);
	place->ca.refused = NULL;
	run_for(place, 2 * MINUTE);
	status_is("shop.example.com", "ok");
}

/* What is served */

static void a_listener_that_lags_is_asked_again(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, 69 * DAY - SECOND);
	world.addresses = 3;
	world.lagging = 7;
	buf_clear(&place->diary);
	run_for(place, SECOND + 2540 - 1);
	assert_int_equal(diary_count(place, "handshake"), 7);
	run_for(place, 2);
	assert_int_equal(diary_count(place, "handshake"), 7 + 3);
	assert_int_equal(diary_count(place, "handshake shop.example.com 443"), 8);
	assert_int_equal(diary_count(place, "handshake shop.example.com 445"), 1);
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	assert_int_equal(logged_count("error"), 0);
}

static void a_listener_that_shows_another_is_named(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_for(place, 69 * DAY - SECOND);
	world.lagging = 8;
	run_for(place, 2 * SECOND);
	status_is("shop.example.com", "working");
	run_for(place, 2 * SECOND);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "served"),
	        "\"Visitors of shop.example.com on 127.0.0.1, port 443, get another certificate "
	        "(serial "
	        "03e9) than the one stored (serial 03ea). Look whether another program "
	        "answers there; if none does, `everseal reload`.\"");
	logged_has("error name=shop.example.com:");
	run_for(place, DAY); /* looked at again */
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
}

static void handshakes_that_fail_are_said(void **state)
{
	(void)state;
	world.dark = true;
	world_start(BY_FILE SHOP);
	run_for(place, 10 * SECOND);
	assert_string_equal(said("shop.example.com", "served"),
	        "\"127.0.0.1, port 443, did not show a certificate: The connection was refused.\"");
	world.dark = false;
	world.addresses = 0;
	run_for(place, DAY + 10 * SECOND);
	assert_string_equal(said("shop.example.com", "served"),
	        "\"No address for HTTPS could be bound, so nobody can see the certificate yet: "
	        "`everseal "
	        "status` says who holds the ports.\"");
	assert_int_equal(logged_count("No address for HTTPS"), 1);
	world.addresses = 1;
	run_for(place, DAY);
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
}

static void an_address_of_its_own_is_waited_for(void **state)
{
	(void)state;
	struct wish w;
	const struct str names[] = { STR("shop.example.com") };
	struct register_want want = { .names = names,
		.name_count = 1,
		.email = STR("a@example.com"),
		.agree_tos = true,
		.port = 8443 };
	world_start(BASE);
	world.unbound = true;
	wish_register(&w, &want);
	wish_wait(&w);
	turn_until(place, world.installs);
	run_for(place, 100);
	assert_int_equal(place->ca.probes, 0);
	world.unbound = false;
	run_until_idle();
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w.task, &lines);
	assert_non_null(strstr(buf_c(&lines), "\nbind: Bind 0.0.0.0:8443\n"));
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	world.unbound = true;
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, 10 * SECOND);
	assert_string_equal(
	        said("shop.example.com", "served"), "\"Port 8443 of 0.0.0.0 is held by nginx.\"");
}

static void each_is_looked_at_after_start_and_daily(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP "site a.example.com { proxy 127.0.0.1:3002; }\n");
	run_until_idle();
	assert_int_equal(place->ca.probes, 2);
	world_kill();
	world_start(NULL);
	assert_string_equal(said("a.example.com", "served"), "null");
	run_for(place, 1);
	assert_int_equal(place->ca.probes, 4);
	assert_string_equal(said("a.example.com", "served"), "\"stored\"");
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	run_for(place, DAY - 2);
	assert_int_equal(place->ca.probes, 4);
	run_for(place, 2);
	assert_int_equal(place->ca.probes, 6);
	/* One after the other; what is renewed meanwhile is proven by that. */
	struct wish w;
	place->ca.latency = SECOND;
	run_for(place, DAY - SECOND);
	buf_clear(&place->diary);
	run_for(place, SECOND + SECOND / 2);
	assert_int_equal(diary_count(place, "handshake"), 0);
	run_for(place, SECOND);
	assert_int_equal(diary_count(place, "handshake"), 1);
	run_for(place, SECOND);
	assert_int_equal(diary_count(place, "handshake"), 2);
	place->ca.latency = 0;
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	run_for(place, DAY);
	assert_int_equal(place->ca.probes, 6 + 2 + 1 + 2);
}

/* The first and the last moment of a day that a certificate that nobody renews is told of. */
static void it_is_told_from_when_it_is_due_until_it_expires(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	struct registration *g = registration_find(world.renewals, STR("shop.example.com"));
	struct cert *leaf = &g->held.leaf;
	for (int i = 0; i < 4; i++) {
		int64_t at = look_at_next(world.renewals);
		leaf->not_before = at - 69 * DAY + (i == 0);
		leaf->not_after = i < 2 ? leaf->not_before + 90 * DAY : at - (i == 3);
		if (i < 2)
			assert_int_equal(
			        renewal_time(leaf->not_before, leaf->not_after, g->renew_before).at,
			        at + (i == 0));
		run_to(place, at);
		run_for(place, 0);
		assert_int_equal(logged_count("is not renewed"), i < 2 ? i : 2);
	}
}

static void a_look_gives_way_to_a_renewal(void **state)
{
	(void)state;
	struct wish w;
	world_start(BY_FILE SHOP "site a.example.com { proxy 127.0.0.1:3002; }\n");
	run_until_idle();
	world_kill();
	world.dark = true; /* the look is busy with the first for a while */
	world_start(NULL);
	run_for(place, 1);
	bool shop = diary_count(place, "handshake shop") > 1;
	wish_renew(&w, shop ? "shop.example.com" : "a.example.com");
	wish_wait(&w);
	turn_until(place, world.installs == 5);
	world.dark = false;
	run_for(place, 10 * SECOND);
	assert_string_equal(said("a.example.com", "served"), "\"stored\"");
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	assert_null(world.renewals->looking_at);
}

static void what_another_certificate_replaced_is_left_alone(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_until_idle();
	world_configure("issuer second { directory https://ca.test/directory; }\n"
	                "issuer ca { directory https://ca.test/directory; }\n"
	                "email ops@example.com\nagree-to-terms yes\n" SHOP);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2);
	assert_string_equal(said("shop.example.com", "issuer"), "\"second\"");
	for (int i = 0; i < 2; i++) {
		run_for(place, 5);
		BUF_AUTO all = BUF(64 << 10);
		struct json_writer w;
		json_write_init(&w, &all);
		json_write_object(&w, NULL);
		renew_status(world.renewals, &w);
		json_write_end(&w);
		if (i)
			assert_non_null(strstr(buf_c(&all),
			        "\"served\":\"shop.example.com is served with a newer "
			        "certificate. Nothing to do.\""));
		assert_non_null(strstr(buf_c(&all), "\"served\":\"stored\""));
		assert_string_equal(said("shop.example.com", "issuer"), "\"second\"");
		world_kill();
		world_start(NULL);
	}
	run_for(place, 89 * DAY);
	assert_int_equal(logged_count("error"), 0);
	assert_int_equal(logged_count("warning"), 0);
}

static void a_visitor_from_outside_is_remembered(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	run_until_idle();
	assert_string_equal(said("shop.example.com", "seen_from_outside"), "null");
	int64_t now = loop_wall(place->loop);
	renew_seen(world.renewals, STR("nobody.example.com"), STR("198.51.100.7"), now);
	renew_seen(world.renewals, STR("shop.example.com"), STR("198.51.100.7"), now);
	renew_seen(world.renewals, STR("shop.example.com"), STR("198.51.100.8"), now + 1000);
	assert_string_equal(said("shop.example.com", "seen_from_outside"), date(now + 1000));
	assert_string_equal(said("shop.example.com", "seen_client"), "\"198.51.100.8\"");
}

/* Proofs that could not be given */

static void no_order_is_spent_while_no_ca_could_ask(void **state)
{
	(void)state;
	struct wish w, other;
	world.unprovable = "Port 80 is held by nginx (process 812).";
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_name(&other, "other.example.com");
	wish_wait(&other);
	run_for(place, DAY);
	assert_int_equal(place->ca.requests, 0);
	status_is("shop.example.com", "working");
	assert_string_equal(
	        said("shop.example.com", "reason"), "\"Port 80 is held by nginx (process 812).\"");
	assert_string_equal(said("shop.example.com", "next_renewal"), "null");
	renewals_listening(world.renewals); /* not on that port */
	world.unprovable = "Port 80 is held by apache2 (process 4).";
	renewals_listening(world.renewals);
	wish_disable(&w, "other.example.com", false);
	wish_wait(&w);
	run_for(place, DAY);
	assert_int_equal(place->ca.requests, 0);
	assert_int_equal(logged_count("held by nginx"), 2); /* once for each name */
	world.unprovable = NULL;
	renewals_listening(world.renewals);
	run_until_idle();
	status_is("shop.example.com", "ok");
	task_is("0000000001", "port: Port 80 is held by nginx (process 812).\n"
	                      "port: Port 80 is held by apache2 (process 4).\n" FIRST STEPS SEEN
	                      "ConfigureLetsEncrypt Success");
	status_is("other.example.com", "disabled");
	assert_int_equal(place->ca.order_count, 1);
}

/* Superseded */

static void one_that_has_all_its_names_takes_its_place(void **state)
{
	(void)state;
	struct wish old, new, w;
	const struct str names[] = { STR("shop.example.com"), STR("www.shop.example.com") };
	world_start(BASE);
	wish_name(&old, "shop.example.com");
	wish_wait(&old);
	run_until_idle();
	run_for(place, DAY);
	wish_register(&new, &(struct register_want){
	                            .names = names,
	                            .name_count = 2,
	                            .email = STR("ops@example.com"),
	                            .agree_tos = true,
	                    });
	wish_wait(&new);
	assert_string_equal(said(old.id, "reason"), "\"21 days are left\""); /* none is there yet */
	run_until_idle();
	char why[512];
	snprintf(why, sizeof why, "\"superseded by %s\"", new.id);
	assert_string_equal(said(old.id, "reason"), why);
	assert_string_equal(said(old.id, "next_renewal"), "null");
	run_for(place, 75 * DAY);
	assert_int_equal(place->ca.order_count, 3); /* the newer one was renewed, and it alone */
	wish_disable(&w, new.id, false);
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 4); /* now nobody else does it */
	status_is(old.id, "ok");
}

/* Many */

/* The last that waits for a place. */
static const struct wish *waiting_wish(const struct wish *wishes, int count)
{
	while (count-- > 0)
		if (list_linked(
		            &registration_by_id(world.renewals, str_c(wishes[count].id))->queued))
			return &wishes[count];
	fail_msg("none waits");
	return NULL;
}

static void ten_at_a_time(void **state)
{
	(void)state;
	static struct wish wishes[60];
	char name[32];
	struct wish w;
	place->serves[0].mute = true;
	world_start(BASE);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		wish_name(&wishes[i], name);
	}
	for (int i = 0; i < 60; i++)
		wish_wait(&wishes[i]);
	run_for(place, 10 * SECOND);
	assert_int_equal(diary_count(place, "ask order"), 10);
	const struct wish *waits = waiting_wish(wishes, 60);
	status_is(waits->id, "working");
	wish_disable(&w, "n0.example.com", false); /* makes room for one */
	wish_wait(&w);
	wish_disable(&w, waits->id, false); /* makes none */
	wish_wait(&w);
	run_for(place, 10 * SECOND);
	assert_int_equal(diary_count(place, "ask order"), 11);
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(waits->task, &lines);
	assert_true(str_ends(buf_str(&lines),
	        STR("end: Given up: renewal is disabled.\nConfigureLetsEncrypt Canceled")));
	serve_detach(place, 0);
	serve_attach(place, 0);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 59);
	assert_int_equal(world.installs, 58);
	assert_int_equal(place->ca.accounts_made, 1);
}

#define TWO_ISSUERS                                                                                \
	"issuer ca { directory https://ca.test/directory; }\n"                                     \
	"issuer well { directory https://ca.test/directory?2; }\n"                                 \
	"site * { proxy 127.0.0.1:3000; }\n"

static void wish_at(struct wish *w, const char *name, const char *issuer)
{
	const struct str names[] = { str_c(name) };
	wish_register(w, &(struct register_want){
	                         .names = names,
	                         .name_count = 1,
	                         .email = STR("ops@example.com"),
	                         .issuer = str_c(issuer),
	                         .agree_tos = true,
	                 });
	wish_wait(w);
}

static void state_of_task_is(const struct wish *w, const char *state)
{
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w->task, &lines);
	assert_true(str_ends(buf_str(&lines), str_c(state)));
}

/* All but the first wait for the account that it is to find out. */
static void names_of_an_issuer_that_is_down_delay_no_other(void **state)
{
	(void)state;
	static struct wish wishes[30];
	char name[32];
	struct wish w;
	place->ca.down_at = CA_DIRECTORY;
	world_start(TWO_ISSUERS);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		wish_name(&wishes[i], name);
	}
	run_for(place, 10 * SECOND);
	wish_at(&w, "well.example.com", "well");
	run_for(place, 10 * SECOND);
	status_is("well.example.com", "ok");
	status_is("n29.example.com", "working");
	assert_string_equal(said("n29.example.com", "reason"),
	        "\"ca.test: waiting for the account, which the attempt for another name is "
	        "finding out.\"");
	wish_disable(&w, "n1.example.com", false); /* a follower has no place to give */
	wish_wait(&w);
	assert_int_equal(place->ca.order_count, 1);
	place->serves[0].mute = true;
	place->ca.down_at = NULL;
	run_for(place, 10 * MINUTE);
	assert_int_equal(place->ca.order_count, 11); /* and then go on ten at a time, too */
	place->serves[0].mute = false;
	serve_detach(place, 0);
	serve_attach(place, 0);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 30);
	assert_int_equal(place->ca.accounts_made, 2);
}

static void each_issuer_has_its_own_places(void **state)
{
	(void)state;
	char name[32];
	struct wish w, same, last;
	world_start(TWO_ISSUERS);
	wish_at(&w, "first.example.com", "ca"); /* its account is known from now on */
	run_until_idle();
	place->ca.latency = MINUTE;
	for (int i = 0; i < 11; i++) {
		snprintf(name, sizeof name, "n%d.example.com", i);
		wish_at(&last, name, "ca");
	}
	wish_at(&w, "well.example.com", "well");
	wish_at(&same, "n0.example.com", "well"); /* which "ca" is asked for, too */
	run_for(place, SECOND);
	state_of_task_is(&last, " Queued");
	state_of_task_is(&w, " Executing");
	state_of_task_is(&same, " Executing");
	place->ca.latency = 0;
	run_until_idle();
	run_until_idle();
	state_of_task_is(&last, " Success");
	state_of_task_is(&w, " Success");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_name_is_registered_and_served),
		WORLD_TEST(in_a_year_each_renews_at_its_moment),
		WORLD_TEST(the_short_lived_do_too),
		WORLD_TEST(a_restart_keeps_the_moment),
		WORLD_TEST(a_failing_name_waits_longer_each_time_and_alone),
		WORLD_TEST(a_restart_keeps_the_back_off),
		WORLD_TEST(a_ca_that_is_down_for_days_costs_nothing),
		WORLD_TEST(a_limit_of_the_ca_is_waited_for),
		WORLD_TEST(a_wait_for_the_ca_is_told_while_it_lasts),
		WORLD_TEST(a_ca_that_takes_its_time_is_no_trouble),
		WORLD_TEST(a_certificate_that_cannot_be_stored_is_not_served),
		WORLD_TEST(a_full_disk_registers_nothing),
		WORLD_TEST(what_was_not_registered_is_free_for_the_file),
		WORLD_TEST(a_failure_that_cannot_be_stored_waits_all_the_same),
		WORLD_TEST(a_listener_that_lags_is_asked_again),
		WORLD_TEST(a_listener_that_shows_another_is_named),
		WORLD_TEST(handshakes_that_fail_are_said),
		WORLD_TEST(an_address_of_its_own_is_waited_for),
		WORLD_TEST(each_is_looked_at_after_start_and_daily),
		WORLD_TEST(it_is_told_from_when_it_is_due_until_it_expires),
		WORLD_TEST(a_look_gives_way_to_a_renewal),
		WORLD_TEST(what_another_certificate_replaced_is_left_alone),
		WORLD_TEST(a_visitor_from_outside_is_remembered),
		WORLD_TEST(no_order_is_spent_while_no_ca_could_ask),
		WORLD_TEST(one_that_has_all_its_names_takes_its_place),
		WORLD_TEST(ten_at_a_time),
		WORLD_TEST(names_of_an_issuer_that_is_down_delay_no_other),
		WORLD_TEST(each_issuer_has_its_own_places),
	};
	return cmocka_run_group_tests_name("renew", tests, NULL, NULL);
}
