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

/* What a person asks for is tried; that it cannot be is said before the CA says it. */
static void an_address_of_a_private_network_is_warned_of(void **state)
{
	(void)state;
	static const char warning[] =
	        "10.0.0.5 is an address of a private network, which no "
	        "public CA reaches or certifies: `issuer internal` is for it. "
	        "letsencrypt is asked all the same.";
	struct wish w;
	begin();
	wish_name(&w, "8.8.8.8");
	wish_wait(&w);
	wish_name(&w, "shop.internal");
	wish_wait(&w);
	run_for(place, MINUTE);
	assert_int_equal(logged_count("private network"), 0);
	wish_name(&w, "10.0.0.5");
	wish_wait(&w);
	run_for(place, MINUTE);
	assert_int_equal(logged_count(warning), 1);
	assert_int_equal(place->ca.order_count, 3);
}

/* What the renewal of one address will need is kept from others of its /64, and from no more. */
static void an_address_has_a_reserve_in_its_network(void **state)
{
	(void)state;
	static const struct {
		struct str name;
		bool reserved;
	} cases[] = {
		{ STR_INIT("2001:db8::7"), true },
		{ STR_INIT("2001:db8::8"), true },
		{ STR_INIT("2001:db8:0:1::7"), false },
	};
	struct wish w;
	begin();
	wish_name(&w, "2001:db8::7");
	wish_wait(&w);
	run_for(place, 67 * DAY);
	assert_int_equal(place->ca.order_count, 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO text = BUF(1 << 16);
		struct json_writer j;
		struct err err = ERR_INIT;
		json_write_init(&j, &text);
		json_write_object(&j, NULL);
		assert_true(
		        renew_limits(world.renewals, STR("letsencrypt"), cases[i].name, &j, &err));
		json_write_end(&j);
		if ((strstr(buf_c(&text), "\"reserved\":1") != NULL) != cases[i].reserved)
			fail_msg("%s", buf_c(&text));
	}
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
	counted_is("account order certificate ");
	run_for(place, 31 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	counted_is("account order certificate ");
	spend(300, SPENT_ORDER, "x.example.org");
	spend(50, SPENT_CERTIFICATE, "x.example.com");
	place->ca.down = true;
	run_for(place, 31 * DAY + 12 * HOUR); /* it ends meanwhile */
	place->ca.down = false;
	spend(300, SPENT_ORDER, "x.example.org");
	spend(50, SPENT_CERTIFICATE, "x.example.com");
	const int64_t up = loop_wall(place->loop);
	turn_until(place, place->ca.order_count == 3);
	run_for(place, MINUTE);
	assert_in_range(loop_wall(place->loop) - up, 0, DAY + 12 * HOUR);
	const struct limit_order order = { .directory = STR(LETS_ENCRYPT),
		.names = &(struct str)STR_INIT("shop.example.com"),
		.count = 1,
		.renewal = true };
	struct limit_wait wait;
	struct err err = ERR_INIT;
	spend(4, SPENT_RENEWAL, "shop.example.com");
	assert_false(limits_allow(issuers_limits(place->issuers), &order, &wait, &err));
}

static void before_the_window_a_renewal_counts(void **state)
{
	(void)state;
	struct wish w;
	place->ca.window_of = window_of;
	window_from = 30 * DAY;
	window_to = 31 * DAY;
	begin();
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, 29 * DAY);
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, MINUTE);
	counted_is("renewal "); /* the others are older than a week */
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

/* It is counted already. */
static void an_order_that_was_made_goes_on(void **state)
{
	(void)state;
	struct wish w;
	begin();
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask challenge"));
	run_for(place, 0);
	world_kill();
	place_open(place);
	world_begin(NULL);
	spend(300, SPENT_ORDER, "x.example.com");
	renewals_begin(world.renewals);
	run_for(place, MINUTE);
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 1);
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

static void busy_for(const char *directory, int64_t ms)
{
	limits_refused(issuers_limits(place->issuers),
	        &(struct limit_refusal){ .directory = str_c(directory),
	                .words = STR("Come back later"),
	                .busy = true,
	                .until = loop_wall(place->loop) + ms });
}

static void of_three_that_refuse_the_soonest_is_waited_for(void **state)
{
	(void)state;
	world_begin("issuer first { directory https://ca.test/directory; }\n"
	            "issuer second { directory https://ca.test/directory-b; }\n"
	            "issuer third { directory https://ca.test/directory-c; }\n"
	            "issuer first second third\nemail ops@example.com\nagree-to-terms yes\n"
	            "site * { proxy 127.0.0.1:3000; }\n"
	            "site shop.example.com { proxy 127.0.0.1:3000; }\n");
	const int64_t start = loop_wall(place->loop);
	busy_for("https://ca.test/directory", 3 * HOUR);
	busy_for("https://ca.test/directory-b", HOUR);
	busy_for("https://ca.test/directory-c", 2 * HOUR);
	renewals_begin(world.renewals);
	run_for(place, MINUTE);
	assert_string_equal(said("shop.example.com", "next_renewal"), date(start + HOUR));
	assert_int_equal(place->ca.order_count, 0);
	run_for(place, HOUR);
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "issued_from"), "\"second\"");
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

/* What CAs said */

#define SITE(name) "site " name " { proxy 127.0.0.1:3001; }\n"

/* a.example.com is refused; then the others come, which no person has just wished for. */
static void refused_then(unsigned status, const char *detail, const char *others)
{
	BUF_AUTO config = BUF(4096);
	place->ca.limited = "a.example.com";
	place->ca.limited_for = 3 * HOUR / SECOND;
	place->ca.limit_status = status;
	place->ca.limit_detail = detail;
	world_start(BY_FILE SITE("a.example.com"));
	run_until_idle();
	assert_int_equal(diary_count(place, "ask order a.example.com"), 1);
	buf_printf(&config, BY_FILE SITE("a.example.com") "%s", others);
	world_configure(buf_c(&config));
	run_for(place, MINUTE);
}

static void wished(const char *name)
{
	struct wish w;
	wish_name(&w, name);
	wish_wait(&w);
	run_for(place, MINUTE);
}

/* For whom it counts is in its words. */
static void what_a_ca_said_of_one_name_spares_it_the_next(void **state)
{
	(void)state;
	refused_then(429,
	        "too many certificates (50) already issued for \\\"example.com\\\" in the last "
	        "168h0m0s",
	        SITE("b.example.com") SITE("c.example.org"));
	assert_int_equal(diary_count(place, "ask order b.example.com"), 0);
	logged_has("ca.test asks to wait. It said: too many certificates (50) already issued for "
	           "\"example.com\" in the last 168h0m0s.");
	status_is("c.example.org", "ok");
	run_for(place, 3 * HOUR);
	assert_int_equal(diary_count(place, "ask order b.example.com"), 1);
	status_is("b.example.com", "ok");
}

/* Who wishes it again while there is no certificate yet. */
static void a_person_may_have_it_asked_anew(void **state)
{
	struct wish w;
	for (int renew = 0; renew < 2; renew++) {
		refused_then(429, "Too many", "");
		const unsigned before = diary_count(place, "ask order a.example.com");
		place->ca.limited = NULL;
		if (renew)
			wish_renew(&w, "a.example.com");
		else
			wish_name(&w, "a.example.com");
		wish_wait(&w);
		assert_int_equal(w.existing, !renew);
		run_for(place, MINUTE);
		assert_int_equal(diary_count(place, "ask order a.example.com"), before + 1);
		status_is("a.example.com", "ok");
		world_teardown(state);
		world_setup(state);
	}
}

static void a_ca_that_is_busy_is_so_for_all(void **state)
{
	(void)state;
	refused_then(503, "Come back later", SITE("c.example.org"));
	assert_int_equal(diary_count(place, "ask order"), 1);
	logged_has("ca.test asks to wait. It said: Come back later.");
	run_for(place, 3 * HOUR);
	assert_int_equal(diary_count(place, "ask order c.example.org"), 1);
}

static void what_it_said_of_these_names_is_theirs_alone(void **state)
{
	(void)state;
	refused_then(429, "Too many", SITE("b.example.com"));
	status_is("b.example.com", "ok");
}

static struct ca_refusal answer;

static bool refuses_a(struct scripted_ca *ca, const struct ca_order *o, struct ca_refusal *ret)
{
	(void)ca;
	*ret = answer;
	return !strcmp(o->names[0], "a.example.com");
}

/* Others wait only for a limit or a CA that is busy, and only where it says until when. */
static void what_is_no_limit_holds_up_nobody_else(void **state)
{
	(void)state;
	static const struct ca_refusal rows[] = {
		{ 500, "serverInternal", "This order was lost, as were others of this account",
		        3 * HOUR / SECOND },
		{ 502, "serverInternal", "Nothing is known of this account now",
		        3 * HOUR / SECOND },
		{ 429, "rateLimited", "too many new orders (300) from this account", 0 },
	};
	static const struct ca_rules rules = { .refuses_order = refuses_a };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		answer = rows[i];
		place->ca.rules = &rules;
		world_start(BY_FILE SITE("a.example.com"));
		run_until_idle();
		status_is("a.example.com", "failed");
		world_configure(BY_FILE SITE("a.example.com") SITE("c.example.org"));
		run_for(place, MINUTE);
		status_is("c.example.org", "ok");
		assert_int_equal(logged_count("It said: "), 0);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

/* What people should know before it is in the way */

static const char *id_of(const char *name)
{
	return registration_find(world.renewals, str_c(name))->id;
}

static void switched_off(const char *name)
{
	struct wish w;
	wish_disable(&w, name, false);
	wish_wait(&w);
}

static void little_is_told_of_who_is_renewed(void **state)
{
	(void)state;
	struct str about = STR_NONE;
	struct err how = ERR_INIT;
	begin();
	wished("shop.example.com");
	const struct str id = str_c(id_of("shop.example.com"));
	spend(38, SPENT_CERTIFICATE, "x.example.com");
	assert_false(renew_limit_low(world.renewals, id, &about, &how));
	spend(1, SPENT_CERTIFICATE, "x.example.com");
	assert_true(renew_limit_low(world.renewals, id, &about, &how));
	assert_true(str_eq_c(about, "example.com"));
	assert_true(str_starts(str_c(how.text),
	        STR("Let's Encrypt's limit: 50 certificates a week for the names of example.com; "
	            "40 of them used.")));
	assert_false(renew_limit_low(world.renewals, STR("nobody"), &about, &how));
	switched_off("shop.example.com");
	assert_false(renew_limit_low(world.renewals, id, &about, &how));
}

static bool terms_changed(const char *id, bool *ret_changed, struct err *ret_how)
{
	*ret_changed = false;
	*ret_how = (struct err)ERR_INIT;
	return renew_terms(world.renewals, str_c(id), ret_changed, ret_how);
}

static void other_terms_are_told_until_somebody_accepts_them(void **state)
{
	(void)state;
	struct wish w;
	struct err how;
	bool changed;
	world_start(BASE);
	wished("shop.example.com");
	const char *id = id_of("shop.example.com");
	assert_true(terms_changed(id, &changed, &how) && !changed);
	assert_false(terms_changed("nobody", &changed, &how));
	place->ca.terms = "https://ca.test/terms-2";
	run_for(place, 2 * HOUR);
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(terms_changed(id, &changed, &how) && changed);
	assert_non_null(strstr(how.text, "are now those at https://ca.test/terms-2; those at"));
	switched_off("shop.example.com");
	assert_false(terms_changed(id, &changed, &how));
	const struct str names[] = { STR("new.example.com") };
	wish_register(
	        &w, &(struct register_want){
	                    .names = names, .name_count = 1, .email = STR("ops@example.com") });
	turn_until(place, w.done); /* without a word of the terms */
	wished("shop.example.com");
	assert_true(terms_changed(id, &changed, &how) && !changed);
}

/* While one is due that needs one of its domain. */
static void each_limit_is_told_what_is_kept(void)
{
	static const struct {
		struct limit limit;
		unsigned reserved;
	} notes[] = {
		{ { .kind = LIMIT_DOMAIN, .most = 50, .about = STR_INIT("example.org") }, 1 },
		{ { .kind = LIMIT_DOMAIN, .most = 50, .about = STR_INIT("example.net") }, 0 },
		{ { .kind = LIMIT_DOMAIN,
		          .used = 50,
		          .most = 50,
		          .about = STR_INIT("example.org") },
		        0 },
		{ { .kind = LIMIT_ORDERS, .used = 299, .most = 300 }, 1 },
		{ { .kind = LIMIT_ORDERS, .used = 301, .most = 300 }, 0 },
		{ { .kind = LIMIT_SET, .most = 5, .about = STR_INIT("example.org") }, 0 },
	};
	for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
		struct limit l = notes[i].limit;
		reserve_note(world.renewals, STR(LETS_ENCRYPT), &l);
		assert_int_equal(l.reserved, notes[i].reserved);
	}
}

/* Each domain needs one for all its names: in the last 7 days before it is due, and of the orders
 * in the last 3 hours; as counted a minute ago at most. */
static void what_is_due_needs_its_part(void **state)
{
	(void)state;
	static const struct {
		int64_t before; /* it is due */
		unsigned orders, certificates;
	} rows[] = {
		{ 7 * DAY, 0, 0 },
		{ 7 * DAY - MINUTE + 1, 0, 0 },
		{ 7 * DAY - MINUTE, 0, 1 },
		{ 3 * HOUR, 0, 1 },
		{ 3 * HOUR - MINUTE, 1, 1 },
	};
	const struct str names[] = { STR("a.example.com"), STR("b.example.com"),
		STR("a.example.org") };
	struct wish w;
	begin();
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 3,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	struct registration *g = registration_by_id(world.renewals, str_c(w.id));
	const int64_t due = schedule_when(g).at;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		run_to(place, due - rows[i].before);
		const struct limit_reserve all =
		        reserve_of(world.renewals, STR(LETS_ENCRYPT), names, 3);
		assert_int_equal(all.orders, rows[i].orders);
		assert_int_equal(all.certificates, rows[i].certificates);
	}
	assert_int_equal(reserve_for(g).orders, 0);
	assert_int_equal(reserve_for(g).certificates, 0);
	assert_int_equal(reserve_of(world.renewals, STR(CA_DIRECTORY), names, 3).orders, 0);
	assert_int_equal(reserve_of(world.renewals, STR(LETS_ENCRYPT), names, 0).certificates, 0);
	struct registration *new = registration_new(world.renewals, STR("new"));
	snprintf(new->ca, sizeof new->ca, "letsencrypt");
	new->names = g->names + 2;
	new->name_count = 1;
	assert_int_equal(reserve_for(new).orders, 1);
	assert_int_equal(reserve_for(new).certificates, 1);
	new->name_count = 0;
	each_limit_is_told_what_is_kept();
	g->next_try = loop_wall(place->loop) + 8 * DAY; /* after a failure */
	run_for(place, MINUTE);
	assert_int_equal(reserve_of(world.renewals, STR(LETS_ENCRYPT), names, 3).certificates, 0);
	g->next_try = 0;
	run_for(place, MINUTE);
	assert_int_equal(reserve_of(world.renewals, STR(LETS_ENCRYPT), names, 3).certificates, 1);
	wish_disable(&w, g->id, false);
	wish_wait(&w);
	run_for(place, MINUTE);
	assert_int_equal(reserve_of(world.renewals, STR(LETS_ENCRYPT), names, 3).certificates, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(those_that_wait_come_one_after_the_other),
		WORLD_TEST(those_beside_each_other_do_not_pass_a_limit),
		WORLD_TEST(an_address_of_a_private_network_is_warned_of),
		WORLD_TEST(an_address_has_a_reserve_in_its_network),
		WORLD_TEST(what_renewals_count),
		WORLD_TEST(before_the_window_a_renewal_counts),
		WORLD_TEST(a_limit_is_the_last_step_of_who_waits),
		WORLD_TEST(an_order_that_was_made_goes_on),
		WORLD_TEST(who_may_ask_another_issuer_does_not_wait),
		WORLD_TEST(of_three_that_refuse_the_soonest_is_waited_for),
		WORLD_TEST(what_is_left_is_for_who_is_due),
		WORLD_TEST(what_a_ca_said_of_one_name_spares_it_the_next),
		WORLD_TEST(a_person_may_have_it_asked_anew),
		WORLD_TEST(a_ca_that_is_busy_is_so_for_all),
		WORLD_TEST(what_it_said_of_these_names_is_theirs_alone),
		WORLD_TEST(what_is_no_limit_holds_up_nobody_else),
		WORLD_TEST(little_is_told_of_who_is_renewed),
		WORLD_TEST(other_terms_are_told_until_somebody_accepts_them),
		WORLD_TEST(what_is_due_needs_its_part),
	};
	return cmocka_run_group_tests_name("renew_limits", tests, NULL, NULL);
}
