/* What the file alone sets going, what it leaves be, what is added to it, and what outlives every
 * version of it. */
#include "renew_world.h"

/* The page's NAME has no site, and is served like one. */
static void the_page_gets_its_certificate_by_itself(void **state)
{
	(void)state;
	world_start(BY_FILE "page 127.0.0.1:8007 admin.example.com\n");
	run_until_idle();
	status_is("admin.example.com", "ok");
	assert_string_equal(said("admin.example.com", "email"), "\"ops@example.com\"");
	assert_string_equal(said("admin.example.com", "issuer"), "\"ca\"");
	world_configure(BASE "page 127.0.0.1:8007 admin.example.com\n"
	                     "email ops@example.com\n"); /* the terms are not agreed to any more */
	status_is("admin.example.com", "retired");
	world_configure(BY_FILE "page 127.0.0.1:8007\n");
	status_is("admin.example.com", "retired");
	assert_int_equal(place->ca.order_count, 1);
}

/* A listener that is new gets what there is. */
static void it_is_installed_again_where_it_is_asked_for(void **state)
{
	(void)state;
	place->ca.refused = "new.example.com";
	world_start(BY_FILE SHOP "site new.example.com { proxy 127.0.0.1:3002; }\n");
	run_until_idle();
	assert_int_equal(world.installs, 1);
	renewals_install(world.renewals, STR("shop.example.com"));
	assert_int_equal(world.installs, 2);
	renewals_install(world.renewals, STR("new.example.com")); /* has none */
	renewals_install(world.renewals, STR("nobody.example.com"));
	assert_int_equal(world.installs, 2);
}

/* It is in the store of every server, whichever version wrote it. */
static void an_id_is_the_same_for_ever(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	const struct str names[] = { STR("www.example.com"), STR("shop.example.com") };
	const struct str turned[] = { names[1], names[0] };
	const char *id = "shop.example.com-feece646bef7f1c2";
	assert_string_equal(registration_id(&a, names, 2, STR("ca"), KEY_P256).p, id);
	assert_string_equal(registration_id(&a, turned, 2, STR("ca"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, names, 2, STR("other"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, turned, 1, STR("ca"), KEY_P256).p, id);
	assert_string_not_equal(registration_id(&a, names, 2, STR("ca"), KEY_P384).p, id);
}

/* What registrations add to the file's sites */

struct sites {
	struct renew_site_each each;
	struct buf text;
};

static void each_site(struct renew_site_each *e, const struct renew_site *s)
{
	struct sites *sites = OWNER(e, struct sites, each);
	buf_printf(&sites->text, "%.*s %zu %.*s:%u %.*s:%u %s\n", STR_ARG(s->names[0]),
	        s->name_count, STR_ARG(s->proxy ? s->proxy->host : STR("-")),
	        s->proxy ? s->proxy->port : 0, STR_ARG(s->listen.host), s->listen.port,
	        s->has_certificate ? "yes" : "no");
}

static void registrations_add_sites(void **state)
{
	(void)state;
	struct wish w;
	struct sites sites = { .each.site = each_site, .text = BUF(4096) };
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	struct register_want want = { .names = names,
		.name_count = 2,
		.email = STR("a@example.com"),
		.agree_tos = true,
		.proxy = STR("localhost:3000"),
		.address = STR("[::1]"),
		.port = 8443 };
	world_start(BY_FILE SHOP);
	wish_register(&w, &want);
	wish_wait(&w);
	renewals_each_site(world.renewals, &sites.each);
	assert_string_equal(buf_c(&sites.text), "shop.example.com 2 127.0.0.1:3000 ::1:8443 no\n");
	struct task_view t;
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_string_equal(t.arguments.p,
	        "{\"DnsName\":\"shop.example.com\",\"DnsNames\":[\"shop.example.com\","
	        "\"www.example.com\"],\"RegistrationEmailAddress\":\"a@example.com\","
	        "\"Issuer\":\"ca\",\"IPAddress\":\"::1\",\"HttpsPort\":8443}");
	run_until_idle();
	world_kill();
	world_start(NULL);
	buf_clear(&sites.text);
	renewals_each_site(world.renewals, &sites.each);
	assert_string_equal(buf_c(&sites.text), "shop.example.com 2 127.0.0.1:3000 ::1:8443 yes\n");
	want = (struct register_want){ .names = names + 1,
		.name_count = 1,
		.email = STR("a@example.com"),
		.agree_tos = true,
		.port = 9443 };
	wish_register(&w, &want);
	wish_wait(&w);
	buf_clear(&sites.text);
	renewals_each_site(world.renewals, &sites.each);
	assert_non_null(strstr(buf_c(&sites.text), "www.example.com 1 -:0 0.0.0.0:9443 no\n"));
	run_until_idle();
	/* Another one's own listener is no application. */
	want.proxy = STR("127.0.0.1:9443");
	want.names = &names[0];
	want.port = 0;
	wish_register(&w, &want);
	wish_refused(&w, ERR_INPUT,
	        "127.0.0.1:9443 is where Everseal itself listens, not the application.");
	buf_done(&sites.text);
}

static void sites_are(const char *wanted)
{
	struct sites sites = { .each.site = each_site, .text = BUF(4096) };
	renewals_each_site(world.renewals, &sites.each);
	assert_string_equal(buf_c(&sites.text), wanted);
	buf_done(&sites.text);
}

static void another_application_is_taken_over(void **state)
{
	(void)state;
	struct wish w, v;
	const struct str name = STR("shop.example.com");
	struct register_want want = { .names = &name,
		.name_count = 1,
		.email = STR("a@example.com"),
		.agree_tos = true,
		.proxy = STR("127.0.0.1:3000") };
	world_start(BY_FILE);
	wish_register(&w, &want);
	wish_wait(&w);
	run_until_idle();
	sites_are("shop.example.com 1 127.0.0.1:3000 :0 yes\n");
	unsigned changes = world.changes;
	want.proxy = STR("127.0.0.1:3002");
	wish_register(&v, &want);
	wish_wait(&v);
	assert_true(v.existing);
	assert_string_equal(v.id, w.id);
	run_until_idle();
	assert_int_equal(world.changes, changes + 1);
	want.proxy = STR_NONE;
	wish_register(&v, &want);
	wish_wait(&v);
	assert_true(v.existing);
	for (int again = 0; again < 2; again++) {
		run_for(place, HOUR);
		sites_are("shop.example.com 1 127.0.0.1:3002 :0 yes\n");
		world_kill();
		world_start(NULL);
	}
	assert_int_equal(world.changes, changes + 1);
	assert_int_equal(place->ca.order_count, 1);
	want.proxy = STR("127.0.0.1:3009");
	store_full(place, true);
	wish_register(&v, &want);
	turn_until(place, v.done);
	store_full(place, false);
	assert_int_equal(v.err.code, ERR_IO);
	sites_are("shop.example.com 1 127.0.0.1:3002 :0 yes\n");
	/* A failed renewal is tried again at once with the new one, as if for the first time. */
	place->ca.down = true;
	run_for(place, 70 * DAY);
	status_is("shop.example.com", "failed");
	place->ca.down = false;
	wish_register(&v, &want);
	wish_wait(&v);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2);
	status_is("shop.example.com", "ok");
}

static void what_the_file_asks_for_is_left_as_it_is(void **state)
{
	(void)state;
	struct wish w;
	const struct str name = STR("shop.example.com");
	world_start(BY_FILE SHOP);
	run_until_idle();
	wish_register(
	        &w, &(struct register_want){
	                    .names = &name, .name_count = 1, .proxy = STR("127.0.0.1:3009") });
	wish_wait(&w);
	assert_true(w.existing);
	sites_are("");
}

/* After a failure its count begins anew, too. */
static void another_application_after_a_failure(void **state)
{
	(void)state;
	struct wish w;
	const struct str name = STR("shop.example.com");
	struct register_want want = { .names = &name, .name_count = 1 };
	world_start(BY_FILE);
	place->ca.refused = "shop.example.com";
	for (int i = 0; i < 2; i++) {
		want.proxy = i ? STR("127.0.0.1:3009") : STR_NONE;
		wish_register(&w, &want);
		wish_wait(&w);
		run_until_idle();
		assert_string_equal(said("shop.example.com", "failures"), "1");
	}
}

static void another_address_is_taken_over_and_the_same_is_not(void **state)
{
	(void)state;
	static const struct {
		const char *address;
		uint16_t port;
		unsigned changes;
		const char *site, *before;
	} rows[] = {
		{ "127.0.0.1", 8443, 1, "shop.example.com 1 -:0 127.0.0.1:8443 yes\n", NULL },
		{ "127.0.0.1", 8443, 0, "shop.example.com 1 -:0 127.0.0.1:8443 yes\n", NULL },
		{ "", 8443, 1, "shop.example.com 1 -:0 0.0.0.0:8443 yes\n", NULL },
		{ "", 0, 0, "shop.example.com 1 -:0 0.0.0.0:8443 yes\n", NULL },
		{ "127.0.0.1", 9443, 1, "shop.example.com 1 -:0 127.0.0.1:9443 yes\n", NULL },
		{ "127.0.0.2", 9443, 1, "shop.example.com 1 -:0 127.0.0.2:9443 yes\n",
		        "the application of its site, at 127.0.0.1:9443" },
		{ "[::1]", 0, 1, "shop.example.com 1 -:0 ::1:443 yes\n", NULL },
		{ "::1", 8443, 1, "shop.example.com 1 -:0 ::1:8443 yes\n",
		        "the application of its site, at [::1]:443" },
	};
	struct wish w;
	const struct str name = STR("shop.example.com");
	world_start(BY_FILE);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		unsigned changes = world.changes;
		wish_register(&w, &(struct register_want){ .names = &name,
		                          .name_count = 1,
		                          .email = STR("a@example.com"),
		                          .agree_tos = true,
		                          .address = str_c(rows[i].address),
		                          .port = rows[i].port });
		wish_wait(&w);
		run_until_idle();
		sites_are(rows[i].site);
		if (rows[i].before)
			assert_string_equal(w.q.before, rows[i].before);
		assert_int_equal(world.changes, changes + rows[i].changes);
	}
	assert_int_equal(place->ca.order_count, 1);
}

/* Certificates live 90 days. One that cannot be is no rule, and one that is near to it does not
 * renew day after day; both are told. */
static void a_renew_before_has_to_fit_the_life(void **state)
{
	static const struct {
		const char *before, *reason;
		int64_t first; /* a day on which there is one certificate still; on the next, two */
	} cases[] = {
		{ "90d",
		        "\"21 days are left; renew-before in the configuration is not shorter than "
		        "its lifetime, so it does not count: give less\"",
		        68 },
		{ "89d",
		        "\"renew-before in the configuration wants it sooner, but a third of its "
		        "lifetime has to pass first\"",
		        29 },
		{ "60d", "\"renew-before in the configuration\"", 29 },
	};
	for (size_t i = 0; i < 3; i++) {
		BUF_AUTO file = BUF(1024);
		buf_printf(&file,
		        BY_FILE
		        "site shop.example.com { proxy 127.0.0.1:3001; renew-before %s; }\n",
		        cases[i].before);
		place->ca.lifetime = 90 * DAY;
		world_start(buf_c(&file));
		run_until_idle();
		run_for(place, HOUR);
		assert_string_equal(said("shop.example.com", "reason"), cases[i].reason);
		run_for(place, cases[i].first * DAY);
		assert_int_equal(place->ca.order_count, 1);
		run_for(place, 2 * DAY);
		assert_int_equal(place->ca.order_count, 2);
		world_teardown(state);
		world_setup(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_page_gets_its_certificate_by_itself),
		WORLD_TEST(it_is_installed_again_where_it_is_asked_for),
		WORLD_TEST(an_id_is_the_same_for_ever),
		WORLD_TEST(registrations_add_sites),
		WORLD_TEST(another_application_is_taken_over),
		WORLD_TEST(what_the_file_asks_for_is_left_as_it_is),
		WORLD_TEST(another_application_after_a_failure),
		WORLD_TEST(another_address_is_taken_over_and_the_same_is_not),
		WORLD_TEST(a_renew_before_has_to_fit_the_life),
	};
	return cmocka_run_group_tests_name("renew_file", tests, NULL, NULL);
}
