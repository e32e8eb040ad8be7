/* Certificates for names that become known by a handshake. */
#include "renew/demand.h"
#include "renew_world.h"

#define HEAD                                                                                       \
	"issuer ca { directory https://ca.test/directory; }\n"                                     \
	"email ops@example.com\nagree-to-terms yes\n"
#define DEMAND(block) HEAD "site * { proxy 127.0.0.1:3000; on-demand { " block " } }\n"
#define ASKED         DEMAND("ask https://app.test/may?key=K; budget 3/h")
#define SHOPS         DEMAND("allow *.shops.example.com")
#define FIRST_SHOP    "a.shops.example.com"

/* What was answered to those that were pending: "name verdict keep". */
static struct buf answers;
static struct renew_demands heard;
static struct buf questions; /* what the application was asked */
static unsigned says;        /* its status */

static void answered(
        struct renew_demands *d, struct str name, enum demand_verdict verdict, int64_t keep)
{
	(void)d;
	buf_printf(&answers, "%.*s %d %lld\n", STR_ARG(name), (int)verdict, (long long)keep);
}

static unsigned may(struct scripted_ca *ca, const char *url)
{
	(void)ca;
	buf_printf(&questions, "%s\n", url);
	return says;
}

static int setup(void **state)
{
	world_setup(state);
	answers = questions = BUF(1 << 20);
	heard.answered = answered;
	says = 200;
	place->ca.may = may;
	return 0;
}

static int teardown(void **state)
{
	buf_done(&answers);
	buf_done(&questions);
	return world_teardown(state);
}
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void start(const char *config)
{
	world_start(config);
	renew_hear_demands(world.renewals, &heard);
}

static void world_begin_demand(const char *config)
{
	world_begin(config);
	renew_hear_demands(world.renewals, &heard);
}

static int64_t keep;
static enum demand_verdict demand(const char *name)
{
	return renew_demand(world.renewals, str_c(name), STR("192.0.2.7"), &keep);
}

static void settle(void)
{
	turn_until(place, !world.renewals->demands.under_way.count);
	run_until_idle();
}

static void answered_is(const char *all)
{
	assert_string_equal(buf_c(&answers), all);
	buf_clear(&answers);
}

/* Of the budget of the only site that has one. */
static int64_t spent(void)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	int64_t used = -1;
	BUF_AUTO text = BUF(4096);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	renew_demands_write(world.renewals, &w);
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&text), "It", &err);
	json_int(json_at(json_array(json_object(json, "on_demand"), "sites"), 0), "used", &used);
	return used;
}

static unsigned registrations(void)
{
	return (unsigned)world.renewals->registrations.count;
}

static void a_name_that_is_asked_for_gets_one(void **state)
{
	(void)state;
	world_begin_demand(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_BUSY); /* not yet */
	renewals_begin(world.renewals);
	keep = 7;
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	assert_int_equal(keep, 0);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING); /* the same */
	answered_is("");
	settle();
	answered_is(FIRST_SHOP " 1 0\n");
	status_is(FIRST_SHOP, "ok");
	assert_string_equal(said(FIRST_SHOP, "on_demand"), "true");
	assert_string_equal(said(FIRST_SHOP, "email"), "\"ops@example.com\"");
	assert_int_equal(place->ca.order_count, 1);
	assert_int_equal(world.changes, 0); /* `site *` serves it */
	assert_int_equal(demand(FIRST_SHOP), DEMAND_ISSUED);
}

static void the_application_is_told_who_wants_what(void **state)
{
	(void)state;
	start(ASKED);
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	settle();
	assert_string_equal(buf_c(&questions),
	        "https://app.test/may?key=K&name=new.example.com&client=192.0.2.7\n");
	answered_is("new.example.com 1 0\n");
}

static void what_it_does_not_want_is_not_ordered(void **state)
{
	(void)state;
	start(ASKED);
	says = 404;
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	settle();
	answered_is("new.example.com 2 300000\n");
	says = 200;
	assert_int_equal(demand("new.example.com"), DEMAND_DENIED); /* it is not asked again */
	assert_int_equal(keep, 300000);
	assert_int_equal(registrations(), 0);
	run_for(place, 5 * MINUTE);
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	settle();
	answered_is("new.example.com 1 0\n");
}

static void while_it_does_not_answer_nobody_can_say(void **state)
{
	(void)state;
	start(ASKED);
	static const unsigned statuses[] = { 0, 500, 502 };
	for (unsigned i = 0; i < 3; i++) {
		says = statuses[i];
		assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
		settle();
		answered_is("new.example.com 3 30000\n");
		assert_int_equal(demand("new.example.com"), DEMAND_BUSY);
		run_for(place, HOUR);
	}
	logged_has("app.test, which `on-demand` asks, cannot say whether names may have a "
	           "certificate, handshakes for new ones are refused: it answered with status 502");
	logged_has("handshakes for new ones are refused: ca.test does not answer.");
	assert_int_equal(place->ca.order_count, 0);
	assert_null(strstr(buf_c(&logged), "key=K"));
}

static void only_what_can_have_one_is_looked_at(void **state)
{
	static const char *const never[] = { "192.0.2.1", "shops", "a.b.shops.example.com",
		"shops.example.com", "-a.shops.example.com", "a_b.shops.example.com",
		"A.shops.example.com", "a.shops.example.com.", "page.shops.example.com", "" };
	(void)state;
	start(HEAD "page 127.0.0.1:8007 page.shops.example.com\n"
	           "site * { proxy 127.0.0.1:3000; on-demand { ask http://127.0.0.1/; allow "
	           "*.shops.example.com } }\n");
	settle();
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		if (demand(never[i]) != DEMAND_DENIED)
			fail_msg("%s", never[i]);
	assert_string_equal(buf_c(&questions), "");
}

static void the_budget_is_kept_over_a_restart(void **state)
{
	(void)state;
	start(ASKED);
	for (char c = 'a'; c <= 'c'; c++) {
		char name[] = "x.example.com";
		name[0] = c;
		assert_int_equal(demand(name), DEMAND_PENDING);
		settle();
	}
	world_kill();
	start(NULL);
	settle();
	assert_int_equal(demand("d.example.com"), DEMAND_BUSY);
	assert_int_equal(keep, MINUTE);
	logged_has("`on-demand` of site * has ordered for 3 names within an hour, which is its "
	           "budget: handshakes for further names are refused until ");
	logged_has("If those names are yours, raise `budget` in its block.");
	assert_int_equal(demand("a.example.com"), DEMAND_ISSUED);
	run_for(place, HOUR);
	assert_int_equal(demand("d.example.com"), DEMAND_PENDING);
	settle();
	assert_int_equal(place->ca.order_count, 4);
}

static void of_what_failed_nothing_is_left(void **state)
{
	(void)state;
	place->ca.refused = FIRST_SHOP;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	answered_is(FIRST_SHOP " 2 3600000\n");
	run_for(place, SECOND);
	assert_int_equal(registrations(), 0);
	assert_int_equal(record_version(place, "registration", FIRST_SHOP), 0);
	run_for(place, 10 * MINUTE);
	assert_int_equal(place->ca.order_count, 1); /* nothing tries it again */
	assert_int_equal(demand(FIRST_SHOP), DEMAND_DENIED);
	world_kill();
	start(NULL);
	settle();
	assert_int_equal(registrations(), 0);
}

static void a_restart_goes_on_with_the_order(void **state)
{
	(void)state;
	place->ca.down = true;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	run_for(place, SECOND);
	world_kill();
	place->ca.down = false;
	start(NULL);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING); /* waits for that one */
	settle();
	answered_is(FIRST_SHOP " 1 0\n");
	assert_int_equal(place->ca.order_count, 1);
}

static void nobody_waits_for_ever(void **state)
{
	(void)state;
	place->ca.latency = HOUR;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	run_for(place, 3 * MINUTE);
	answered_is(FIRST_SHOP " 3 0\n");
}

/* A CA that is down says nothing of the name. */
static void what_the_ca_failed_may_be_tried_again_soon(void **state)
{
	(void)state;
	place->ca.down = true;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	answered_is(FIRST_SHOP " 3 300000\n");
	place->ca.down = false;
	run_for(place, 5 * MINUTE);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	answered_is(FIRST_SHOP " 1 0\n");
}

static void a_changed_configuration_decides_anew(void **state)
{
	(void)state;
	start(ASKED);
	says = 403;
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	settle();
	answered_is("new.example.com 2 300000\n");
	says = 200;
	world_configure(ASKED);
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	world_configure(SHOPS); /* while the application is asked */
	settle();
	answered_is("new.example.com 2 0\n");
	place->ca.down = true;
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	run_for(place, SECOND);
	world_configure(HEAD "site * { proxy 127.0.0.1:3000; }\n"); /* while it is ordered */
	run_for(place, SECOND);
	answered_is(FIRST_SHOP " 2 0\n");
	assert_int_equal(registrations(), 0);
}

/* Half of its life, and what is left then. */
static void it_is_renewed_if_somebody_came(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	run_for(place, 70 * DAY); /* that it was asked for counts as a visit to the first */
	assert_int_equal(place->ca.order_count, 2);
	assert_string_equal(said(FIRST_SHOP, "reason"),
	        "\"nobody came since its certificate was issued on demand\"");
	renew_visited(world.renewals, STR(FIRST_SHOP));
	run_for(place, SECOND);
	world_kill(); /* which is not forgotten */
	start(NULL);
	run_for(place, 70 * DAY);
	assert_int_equal(place->ca.order_count, 3);
}

static void what_nobody_asks_for_ends_with_its_certificate(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	run_for(place, 200 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(diary_count(place, "forget " FIRST_SHOP), 1);
	assert_int_equal(registrations(), 0);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING); /* as if it were new */
	settle();
	assert_int_equal(place->ca.order_count, 3);
}

static void who_comes_late_has_it_renewed_at_once(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	run_for(place, 69 * DAY);
	run_for(place, 80 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	renew_visited(world.renewals, STR(FIRST_SHOP));
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 3);
}

static void what_a_person_registers_stays(void **state)
{
	struct wish w;
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	wish_name(&w, FIRST_SHOP);
	wish_wait(&w);
	settle();
	assert_string_equal(said(FIRST_SHOP, "on_demand"), "false");
	assert_int_equal(world.changes, 1); /* it has a site of its own */
	run_for(place, 200 * DAY);
	assert_int_equal(place->ca.order_count, 3);
}

static void what_that_changes_is_said(void **state)
{
	struct wish w;
	const struct str name = STR(FIRST_SHOP);
	struct register_want want = { .names = &name,
		.name_count = 1,
		.email = STR("ops@example.com"),
		.agree_tos = true,
		.profile = STR("classic") };
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	wish_register(&w, &want);
	wish_wait(&w);
	assert_string_equal(w.q.before, "the application of its site, on demand");
	assert_string_equal(w.q.after, "the application of its site, profile classic");
	settle();
	want.profile = STR("shortlived");
	wish_register(&w, &want);
	wish_wait(&w);
	assert_string_equal(w.q.before, "the application of its site, profile classic");
	assert_string_equal(w.q.after, "the application of its site, profile shortlived");
}

static void what_a_person_removes_makes_room(void **state)
{
	struct wish w = { 0 };
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	renew_remove(world.renewals, &w.q, STR(FIRST_SHOP), false, wish_done);
	wish_wait(&w);
	status_is(FIRST_SHOP, "retired");
	run_for(place, 89 * DAY);
	assert_int_equal(diary_count(place, "forget"), 0); /* it is served as long as it is good */
	assert_int_equal(demand(FIRST_SHOP), DEMAND_ISSUED);
	run_for(place, 2 * DAY);
	assert_int_equal(diary_count(place, "forget " FIRST_SHOP), 1);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	status_is(FIRST_SHOP, "ok");
	assert_int_equal(place->ca.order_count, 2);
}

static void what_was_switched_off_stays_off(void **state)
{
	struct wish w;
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	wish_disable(&w, FIRST_SHOP, false);
	wish_wait(&w);
	run_for(place, 100 * DAY);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_DENIED);
	assert_int_equal(keep, MINUTE);
	assert_int_equal(place->ca.order_count, 1);
	assert_int_equal(registrations(), 1);
}

/* Strangers' names. */
static void of_many_names_few_are_looked_at(void **state)
{
	(void)state;
	unsigned pending = 0, most = 0;
	start(ASKED);
	says = 404;
	for (unsigned i = 0; i < 100000; i++) {
		char name[64];
		snprintf(name, sizeof name, "x%u.example.com", i);
		pending += demand(name) == DEMAND_PENDING;
		if (world.renewals->demands.asking > most)
			most = (unsigned)world.renewals->demands.asking;
	}
	assert_int_equal(pending, 256);
	assert_int_equal(most, 16);
	settle();
	run_for(place, SECOND);
	assert_int_equal(world.renewals->demands.under_way.count, 0);
	assert_int_equal(place->ca.order_count, 0);
}

static void of_what_was_refused_so_much_is_remembered(void **state)
{
	(void)state;
	start(ASKED);
	says = 404;
	for (unsigned i = 0; i < 6000; i++) {
		char name[64];
		snprintf(name, sizeof name, "x%u.example.com", i);
		assert_int_equal(demand(name), DEMAND_PENDING);
		turn_until(place, !world.renewals->demands.under_way.count);
	}
	assert_int_equal(world.renewals->demands.refusals.count, 4096);
	assert_int_equal(demand("x5999.example.com"), DEMAND_DENIED);
	assert_int_equal(demand("x0.example.com"), DEMAND_PENDING); /* the oldest is forgotten */
}

/* Its wildcard is for names to come, the other name is known. */
static void a_site_with_a_wildcard_gives_them_too(void **state)
{
	(void)state;
	start(HEAD "site shops.example.com *.shops.example.com { proxy 127.0.0.1:3000; "
	           "key-type p256 rsa2048; on-demand { allow **.example.com } }\n");
	run_for(place, HOUR);
	status_is("shops.example.com", "ok");
	assert_int_equal(registrations(), 2);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	assert_int_equal(demand("other.example.com"), DEMAND_DENIED);
	run_for(place, HOUR);
	assert_int_equal(registrations(), 4); /* one for each type of key */
	answered_is(FIRST_SHOP " 1 0\n");
}

static void the_disk_is_full(void **state)
{
	(void)state;
	start(SHOPS);
	store_full(place, true);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	turn_until(place, answers.n);
	answered_is(FIRST_SHOP " 3 30000\n");
	assert_int_equal(registrations(), 0);
	assert_int_equal(spent(), 0);
	store_full(place, false);
	run_for(place, MINUTE);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	answered_is(FIRST_SHOP " 1 0\n");
	assert_int_equal(spent(), 1);
}

/* Room */

#define LETS_ENCRYPT "https://acme-v02.api.letsencrypt.org/directory"
#define TWO_CAS                                                                                    \
	"issuer letsencrypt { directory " LETS_ENCRYPT "; }\n"                                     \
	"issuer other { directory https://ca.test/directory; }\n"                                  \
	"email ops@example.com\nagree-to-terms yes\nrehearsal no\n"
#define BY(issuers)                                                                                \
	TWO_CAS "site * { proxy 127.0.0.1:3000; " issuers " on-demand { allow **.example.com } }\n"

static void spend(unsigned times, enum spent_what what)
{
	const struct str names[] = { STR("x.example.com") };
	for (unsigned i = 0; i < times; i++)
		limits_spent(issuers_limits(place->issuers), what, STR(LETS_ENCRYPT), names, 1);
}

static void where_a_ca_has_no_room_nothing_is_ordered(void **state)
{
	(void)state;
	static const char *const configs[] = { BY(""), BY("issuer letsencrypt;") };
	for (size_t i = 0; i < 2; i++) {
		start(configs[i]);
		spend(300, SPENT_ORDER);
		assert_int_equal(demand("a.example.com"), DEMAND_BUSY);
		assert_int_equal(keep, 36 * SECOND); /* then there is room for one */
		logged_has("Let's Encrypt's limit: 300 orders in 3 hours for one account.");
		spend(50, SPENT_CERTIFICATE);
		assert_int_equal(demand("a.example.com"), DEMAND_BUSY);
		assert_int_equal(keep, MINUTE);
		assert_int_equal(place->ca.order_count, 0);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

static void one_ca_that_has_room_is_enough(void **state)
{
	(void)state;
	start(BY("issuer letsencrypt other;"));
	spend(300, SPENT_ORDER);
	assert_int_equal(demand("a.example.com"), DEMAND_PENDING);
	settle();
	answered_is("a.example.com 1 0\n");
	assert_string_equal(said("a.example.com", "issued_from"), "\"other\"");
}

/* Both were asked about while there was room for one. */
static void the_room_may_be_used_up_while_it_is_asked(void **state)
{
	(void)state;
	start(DEMAND("ask https://app.test/may; budget 1/h"));
	place->ca.latency = 100;
	assert_int_equal(demand("a.example.com"), DEMAND_PENDING);
	assert_int_equal(demand("b.example.com"), DEMAND_PENDING);
	settle();
	answered_is("b.example.com 3 60000\na.example.com 1 0\n");
	assert_int_equal(place->ca.order_count, 1);
}

static void the_configuration_may_change_while_it_is_stored(void **state)
{
	(void)state;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	world_configure(HEAD "site * { proxy 127.0.0.1:3000; }\n");
	answered_is(FIRST_SHOP " 2 0\n");
	run_for(place, MINUTE);
	assert_int_equal(registrations(), 0);
	assert_int_equal(place->ca.order_count, 0);
	assert_int_equal(world.renewals->demands.under_way.count, 0);
}

/* For people */

static void told_is(const char *sites, const char *rest)
{
	struct json_writer w;
	BUF_AUTO text = BUF(4096), expected = BUF(4096);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	renew_demands_write(world.renewals, &w);
	json_write_end(&w);
	buf_printf(&expected, "{\"on_demand\":{\"sites\":[%s],%s}}", sites, rest);
	assert_string_equal(buf_c(&text), buf_c(&expected));
}

static void all_of_it_is_counted(void **state)
{
	(void)state;
	start(ASKED SHOP);
	told_is("{\"site\":\"*\",\"budget\":3,\"used\":0}",
	        "\"questions\":0,\"asked\":0,\"issued\":0,\"denied\":0,\"busy\":0,"
	        "\"under_way\":0");
	assert_int_equal(demand("a.example.com"), DEMAND_PENDING);
	told_is("{\"site\":\"*\",\"budget\":3,\"used\":0}",
	        "\"questions\":1,\"asked\":1,\"issued\":0,\"denied\":0,\"busy\":0,"
	        "\"under_way\":1");
	settle();
	assert_int_equal(demand("a.example.com"), DEMAND_ISSUED);
	says = 404;
	assert_int_equal(demand("b.example.com"), DEMAND_PENDING);
	settle();
	says = 0;
	assert_int_equal(demand("c.example.com"), DEMAND_PENDING);
	settle();
	told_is("{\"site\":\"*\",\"budget\":3,\"used\":1}",
	        "\"questions\":4,\"asked\":3,\"issued\":2,\"denied\":1,\"busy\":1,"
	        "\"under_way\":0");
	assert_int_equal(renew_demands_answered(world.renewals, DEMAND_ISSUED), 2);
	assert_int_equal(renew_demands_answered(world.renewals, DEMAND_DENIED), 1);
	assert_int_equal(renew_demands_answered(world.renewals, DEMAND_BUSY), 1);
	run_for(place, HOUR - MINUTE);
	told_is("{\"site\":\"*\",\"budget\":3,\"used\":1}",
	        "\"questions\":4,\"asked\":3,\"issued\":2,\"denied\":1,\"busy\":1,"
	        "\"under_way\":0");
	run_for(place, MINUTE);
	told_is("{\"site\":\"*\",\"budget\":3,\"used\":0}",
	        "\"questions\":4,\"asked\":3,\"issued\":2,\"denied\":1,\"busy\":1,"
	        "\"under_way\":0");
}

static void what_no_site_gives_any_more_is_replaced(void **state)
{
	(void)state;
	struct renew_view v;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	assert_true(renew_find(world.renewals, STR(FIRST_SHOP), &v));
	assert_false(v.replaced);
	assert_true(v.renewed);
	world_configure(HEAD "site * { proxy 127.0.0.1:3000; }\n");
	assert_true(renew_find(world.renewals, STR(FIRST_SHOP), &v));
	assert_true(v.replaced && v.in_store);
	assert_string_equal(
	        v.reason, "no site of the file gives it a certificate on demand any more");
}

static void a_visit_that_cannot_be_stored_is_said(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	run_for(place, 75 * DAY); /* it has been renewed: the next one is a visit again */
	assert_int_equal(place->ca.order_count, 2);
	store_full(place, true);
	renew_visited(world.renewals, STR(FIRST_SHOP));
	run_for(place, SECOND);
	store_full(place, false);
	assert_int_equal(logged_count("warning name=" FIRST_SHOP ":"), 1);
	struct wish w;
	wish_disable(&w, FIRST_SHOP, false); /* which is stored in the same record */
	wish_wait(&w);
}

static void a_visit_is_stored_once(void **state)
{
	(void)state;
	start(SHOPS SHOP);
	(void)demand(FIRST_SHOP);
	settle();
	for (unsigned visits = 0; visits < 2; visits++) {
		const unsigned before = diary_count(place, "put renewal");
		for (int i = 0; i < 3; i++) {
			renew_visited(world.renewals, STR(FIRST_SHOP));
			renew_visited(world.renewals, STR("shop.example.com")); /* of the file */
			run_for(place, i ? SECOND : 0);
		}
		assert_int_equal(diary_count(place, "put renewal") - before, visits);
		run_for(place, 70 * DAY); /* it is renewed; the first one counts as visited */
	}
}

/* Strangers' names do not fill the log. */
static void the_same_trouble_is_said_once_a_minute(void **state)
{
	(void)state;
	static const struct {
		int64_t after;
		unsigned said;
	} rows[] = { { 0, 1 }, { MINUTE - 1, 1 }, { 1, 2 }, { MINUTE - 1, 2 } };
	start(DEMAND("allow **.example.com; budget 1/h"));
	assert_int_equal(demand("a.example.com"), DEMAND_PENDING);
	settle();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		run_for(place, rows[i].after);
		assert_int_equal(demand("b.example.com"), DEMAND_BUSY);
		assert_int_equal(logged_count("`on-demand` of site * has ordered"), rows[i].said);
	}
}

/* Of what is stored, the last hour counts, and nothing that a clock ahead has written. */
static void what_counts_of_the_budget(void **state)
{
	(void)state;
	static const int64_t at[] = { -HOUR, -HOUR + SECOND, -10 * MINUTE, MINUTE,
		MINUTE + SECOND };
	BUF_AUTO value = BUF(1024);
	start(DEMAND("allow **.example.com; budget 4/h"));
	const int64_t now = loop_wall(place->loop);
	buf_add_c(&value, "{\"spent\":[");
	for (size_t i = 0; i < sizeof at / sizeof *at; i++)
		buf_printf(&value, "%s%s", i ? "," : "", date(now + at[i]));
	buf_add_c(&value, ",\"never\"]}");
	record_put(place, "on-demand", "*", buf_str(&value), STR_NONE);
	assert_int_equal(demand("a.example.com"), DEMAND_PENDING);
	assert_int_equal(spent(), 4);
	turn_until(place, answers.n);
	assert_int_equal(demand("b.example.com"), DEMAND_BUSY);
	run_to(place, now + SECOND);
	assert_int_equal(spent(), 3);
}

/* Until when is said, of the lower one after a change, too. */
static void a_budget_has_room_again_an_hour_later(void **state)
{
	(void)state;
	start(DEMAND("allow **.example.com; budget 3/h"));
	const int64_t begin = loop_wall(place->loop);
	for (char c = 'a'; c <= 'c'; c++) {
		char name[] = "x.example.com";
		name[0] = c;
		run_to(place, begin + (c - 'a') * 10 * MINUTE);
		assert_int_equal(demand(name), DEMAND_PENDING);
		settle();
	}
	run_to(place, begin + HOUR - 30 * SECOND);
	assert_int_equal(demand("d.example.com"), DEMAND_BUSY);
	assert_int_equal(keep, 30 * SECOND);
	logged_has("refused until 2027-01-01T01:00:00Z.");
	world_configure(DEMAND("allow **.example.com; budget 2/h"));
	assert_int_equal(demand("d.example.com"), DEMAND_BUSY);
	assert_int_equal(keep, MINUTE);
	run_to(place, begin + 70 * MINUTE - 20 * SECOND);
	assert_int_equal(demand("d.example.com"), DEMAND_BUSY);
	assert_int_equal(keep, 20 * SECOND);
	logged_has("refused until 2027-01-01T01:10:00Z.");
	run_to(place, begin + 70 * MINUTE);
	assert_int_equal(demand("d.example.com"), DEMAND_PENDING);
}

static void a_large_budget_is_kept_whole(void **state)
{
	(void)state;
	start(DEMAND("ask https://app.test/may; budget 40/h"));
	for (unsigned i = 0; i < 36; i++) {
		char name[64];
		snprintf(name, sizeof name, "x%u.example.com", i);
		assert_int_equal(demand(name), DEMAND_PENDING);
	}
	settle();
	assert_int_equal(place->ca.order_count, 36);
	assert_int_equal(spent(), 36);
	world_kill();
	start(NULL);
	assert_int_equal(demand("y.example.com"), DEMAND_PENDING);
	assert_int_equal(spent(), 36);
}

/* An application that takes its time for each: the last ones do not wait for it. */
static void who_waits_too_long_makes_room(void **state)
{
	(void)state;
	start(ASKED);
	says = 404;
	place->ca.latency = 9 * SECOND;
	for (unsigned i = 0; i < 256; i++) {
		char name[64];
		snprintf(name, sizeof name, "x%u.example.com", i);
		assert_int_equal(demand(name), DEMAND_PENDING);
	}
	run_for(place, 3 * MINUTE);
	assert_int_equal(world.renewals->demands.under_way.count, 0);
	assert_int_equal(world.renewals->demands.asking, 0);
	unsigned refused = 0;
	for (const char *at = buf_c(&answers); (at = strstr(at, " 2 300000\n")); at++)
		refused++;
	assert_int_equal(refused, 13 * 16);
}

/* It waits for what a person has wished for, and asks nobody. */
static void what_is_on_its_way_is_waited_for(void **state)
{
	(void)state;
	struct wish w;
	start(ASKED);
	wish_name(&w, "new.example.com");
	assert_int_equal(demand("new.example.com"), DEMAND_PENDING);
	wish_wait(&w);
	settle();
	answered_is("new.example.com 1 0\n");
	world.unprovable = "Port 80 is held by nginx.";
	assert_int_equal(demand("b.example.com"), DEMAND_PENDING);
	turn_until(place, questions.n);
	wish_name(&w, "b.example.com"); /* a person joins it */
	wish_wait(&w);
	run_for(place, 3 * MINUTE);
	answered_is("b.example.com 3 0\n");
	assert_int_equal(demand("b.example.com"), DEMAND_PENDING); /* queued */
	assert_int_equal(spent(), 1);
	assert_string_equal(buf_c(&questions),
	        "https://app.test/may?key=K&name=b.example.com&client=192.0.2.7\n");
	world.unprovable = NULL;
	renewals_listening(world.renewals);
	settle();
	assert_int_equal(demand("b.example.com"), DEMAND_ISSUED);
	assert_int_equal(place->ca.order_count, 2);
}

/* What failed for a person is told to visitors for a minute at a time. */
static void what_a_person_registers_and_fails_is_denied(void **state)
{
	(void)state;
	struct wish w;
	start(SHOPS);
	place->ca.refused = FIRST_SHOP;
	wish_name(&w, FIRST_SHOP);
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(demand(FIRST_SHOP), DEMAND_DENIED);
	assert_int_equal(keep, MINUTE);
	assert_int_equal(spent(), 0);
}

static void a_private_name_may_have_one(void **state)
{
	(void)state;
	start(DEMAND("allow *.internal"));
	assert_int_equal(demand("shop.internal"), DEMAND_PENDING);
}

/* Nor does a limit of the CA. */
static void a_limit_of_the_ca_says_nothing_of_the_name(void **state)
{
	(void)state;
	place->ca.limited = FIRST_SHOP;
	place->ca.limited_for = 30 * HOUR / SECOND;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	answered_is(FIRST_SHOP " 3 300000\n");
}

/* It has a certificate: nothing is over yet. */
static void a_renewal_that_fails_is_tried_again(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	place->ca.down = true;
	run_for(place, 70 * DAY);
	status_is(FIRST_SHOP, "failed");
	place->ca.down = false;
	run_for(place, 2 * DAY);
	status_is(FIRST_SHOP, "ok");
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(diary_count(place, "forget"), 0);
}

/* What was there before it stays. */
static void what_is_kept_outlives_a_full_disk(void **state)
{
	(void)state;
	struct wish w = { 0 };
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	renew_remove(world.renewals, &w.q, STR(FIRST_SHOP), false, wish_done);
	wish_wait(&w);
	run_for(place, 91 * DAY);
	buf_clear(&answers);
	store_full(place, true);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	turn_until(place, answers.n);
	store_full(place, false);
	answered_is(FIRST_SHOP " 3 30000\n");
	assert_int_equal(registrations(), 1);
	run_for(place, MINUTE);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	settle();
	status_is(FIRST_SHOP, "ok");
}

/* Nor is that tried in a hot loop. */
static void what_has_expired_ends_once_there_is_room(void **state)
{
	(void)state;
	start(SHOPS);
	(void)demand(FIRST_SHOP);
	settle();
	run_for(place, 158 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	store_full(place, true);
	run_for(place, 2 * DAY);
	store_full(place, false);
	assert_in_range(logged_count("warning name=" FIRST_SHOP ":"), 20, 30);
	assert_int_equal(registrations(), 1);
	run_for(place, 2 * HOUR);
	assert_int_equal(registrations(), 0);
}

/* It goes on as if it were anybody's. */
static void what_cannot_be_forgotten_is_tried_again(void **state)
{
	(void)state;
	place->ca.refused = FIRST_SHOP;
	start(SHOPS);
	assert_int_equal(demand(FIRST_SHOP), DEMAND_PENDING);
	turn_until(place, diary_count(place, "ask challenge"));
	store_full(place, true);
	turn_until(place, answers.n);
	run_for(place, SECOND);
	store_full(place, false);
	assert_int_equal(logged_count("warning name=" FIRST_SHOP ": The failure"), 1);
	assert_int_equal(logged_count("warning name=" FIRST_SHOP ": /"), 1);
	assert_int_equal(registrations(), 1);
	place->ca.refused = NULL;
	run_for(place, HOUR);
	status_is(FIRST_SHOP, "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_that_is_asked_for_gets_one),
		TEST(the_application_is_told_who_wants_what),
		TEST(what_it_does_not_want_is_not_ordered),
		TEST(while_it_does_not_answer_nobody_can_say),
		TEST(only_what_can_have_one_is_looked_at),
		TEST(the_budget_is_kept_over_a_restart),
		TEST(of_what_failed_nothing_is_left),
		TEST(a_restart_goes_on_with_the_order),
		TEST(nobody_waits_for_ever),
		TEST(what_the_ca_failed_may_be_tried_again_soon),
		TEST(a_changed_configuration_decides_anew),
		TEST(it_is_renewed_if_somebody_came),
		TEST(what_nobody_asks_for_ends_with_its_certificate),
		TEST(who_comes_late_has_it_renewed_at_once),
		TEST(what_a_person_registers_stays),
		TEST(what_that_changes_is_said),
		TEST(what_a_person_removes_makes_room),
		TEST(what_was_switched_off_stays_off),
		TEST(of_many_names_few_are_looked_at),
		TEST(of_what_was_refused_so_much_is_remembered),
		TEST(a_site_with_a_wildcard_gives_them_too),
		TEST(the_disk_is_full),
		TEST(where_a_ca_has_no_room_nothing_is_ordered),
		TEST(one_ca_that_has_room_is_enough),
		TEST(the_room_may_be_used_up_while_it_is_asked),
		TEST(the_configuration_may_change_while_it_is_stored),
		TEST(all_of_it_is_counted),
		TEST(what_no_site_gives_any_more_is_replaced),
		TEST(a_visit_that_cannot_be_stored_is_said),
		TEST(a_visit_is_stored_once),
		TEST(the_same_trouble_is_said_once_a_minute),
		TEST(what_counts_of_the_budget),
		TEST(a_budget_has_room_again_an_hour_later),
		TEST(a_large_budget_is_kept_whole),
		TEST(who_waits_too_long_makes_room),
		TEST(what_is_on_its_way_is_waited_for),
		TEST(what_a_person_registers_and_fails_is_denied),
		TEST(a_private_name_may_have_one),
		TEST(a_limit_of_the_ca_says_nothing_of_the_name),
		TEST(a_renewal_that_fails_is_tried_again),
		TEST(what_is_kept_outlives_a_full_disk),
		TEST(what_has_expired_ends_once_there_is_room),
		TEST(what_cannot_be_forgotten_is_tried_again),
	};
	return cmocka_run_group_tests_name("renew_demand", tests, NULL, NULL);
}
