/* What people and the file ask for: registering, disabling, renewing now; and bad input. */
#include "renew_world.h"

/* What cannot be */

static const struct {
	const char *name;
	struct register_want want; /* email and terms are given unless `bare` */
	bool bare;
	const char *sentence;
} bad_input[] = {
	{ .name = "shop.example.com:8443",
	        .sentence = "A DNS name has no port and no path. Use shop.example.com." },
	{ .name = "my shop.example.com",
	        .sentence = "A DNS name has no spaces, commas or semicolons. Give further names "
	                    "one by one." },
	{ .name = "my_shop.example.com",
	        .sentence = "A name with an underscore gets no certificate: CAs issue for letters, "
	                    "digits and hyphens only." },
	{ .name = "192.0.2.1:443",
	        .sentence = "A DNS name has no port and no path. Use 192.0.2.1." },
	{ .name = "*.192.0.2.1",
	        .sentence = "192.0.2.1 is an IP address; a DNS name is needed, such as "
	                    "shop.example.com." },
	{ .name = "*.example.com",
	        .sentence = "A wildcard name needs a DNS challenge (DNS-01), which is not set up "
	                    "here: give each name by itself, such as www.example.com." },
	{ .name = "co.uk",
	        .sentence = "co.uk is a public suffix: no CA issues for it. Give a name "
	                    "under it, such as example.co.uk." },
	{ .name = "", .sentence = "Give a DNS name, such as shop.example.com." },
	{ .name = NULL, .sentence = "Give at least one DNS name." },
	{ .name = "shop.example.com",
	        .bare = true,
	        .sentence = "Give an e-mail address for the CA (--email)." },
	{ .name = "shop.example.com",
	        .want = { .email = STR_INIT("ops.example.com") },
	        .sentence = NULL },
	{ .name = "shop.example.com",
	        .bare = true,
	        .want = { .email = STR_INIT("ops@example.com") },
	        .sentence = "Accept the CA's terms of service to register (--agree-tos)." },
	{ .name = "shop.example.com",
	        .want = { .issuer = STR_INIT("nobody") },
	        .sentence =
	                "There is no issuer nobody. Known are: letsencrypt, letsencrypt-staging, "
	                "zerossl, google, buypass, internal, ca. Add it to the configuration with "
	                "`issuer nobody { directory URL }`." },
	{ .name = "intranet",
	        .want = { .issuer = STR_INIT("letsencrypt") },
	        .sentence =
	                "intranet has no domain: a public CA issues for full names only, such as "
	                "intranet.example.com." },
	{ .name = "shop.example.com",
	        .want = { .key_type = STR_INIT("rsa1024") },
	        .sentence = "rsa1024 is no type of key. Known are: p256, p384, rsa2048, rsa3072, "
	                    "rsa4096." },
	{ .name = "shop.example.com",
	        .want = { .address = STR_INIT("eth0") },
	        .sentence = "eth0 is not an IP address. Give one of this machine's, or 0.0.0.0 for "
	                    "all." },
	{ .name = "shop.example.com",
	        .want = { .address = STR_INIT("[::1") },
	        .sentence = "[::1 is not an IP address. Give one of this machine's, or 0.0.0.0 for "
	                    "all." },
	{ .name = "shop.example.com",
	        .want = { .address = STR_INIT("::1]") },
	        .sentence = "::1] is not an IP address. Give one of this machine's, or 0.0.0.0 for "
	                    "all." },
	{ .name = "shop.example.com",
	        .want = { .port = 8007 },
	        .sentence = "The page is at port 8007 of 0.0.0.0: give another address or port, or "
	                    "move the page with `page ADDRESS:PORT` in the configuration." },
	{ .name = "shop.example.com",
	        .want = { .address = STR_INIT("::ffff:127.0.0.1"), .port = 8007 },
	        .sentence =
	                "The page is at port 8007 of ::ffff:127.0.0.1: give another address or "
	                "port, or move the page with `page ADDRESS:PORT` in the configuration." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("127.0.0.1") },
	        .sentence = "The application's address: The port is missing: write "
	                    "\"127.0.0.1:PORT\"." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("unix:/run/app.sock") },
	        .sentence = "Only the configuration file may name a Unix socket as an application: "
	                    "give an IP address and port, such as 127.0.0.1:3000." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("169.254.169.254:80") },
	        .sentence =
	                "169.254.169.254:80 is a link-local address; only the configuration file "
	                "may name one as an application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("127.0.0.1:443") },
	        .sentence =
	                "127.0.0.1:443 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("localhost:80") },
	        .sentence = "localhost:80 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("[::1]:443") },
	        .sentence = "[::1]:443 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("[::ffff:127.0.0.1]:443") },
	        .sentence = "[::ffff:127.0.0.1]:443 is where Everseal itself listens, not the "
	                    "application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("127.0.0.1:8007") },
	        .sentence =
	                "127.0.0.1:8007 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("127.9.9.9:8007") },
	        .sentence =
	                "127.9.9.9:8007 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("[::ffff:127.0.0.1]:8007") },
	        .sentence = "[::ffff:127.0.0.1]:8007 is where Everseal itself listens, not the "
	                    "application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("127.0.0.1:7443") },
	        .sentence =
	                "127.0.0.1:7443 is where Everseal itself listens, not the application." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("0.0.0.0:80") },
	        .sentence = "Nobody can connect to 0.0.0.0: write 127.0.0.1:80 if the application "
	                    "runs here." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("[::]:80") },
	        .sentence =
	                "Nobody can connect to ::: write [::1]:80 if the application runs here." },
	{ .name = "shop.example.com",
	        .want = { .proxy = STR_INIT("[::ffff:0.0.0.0]:80") },
	        .sentence = "Nobody can connect to ::ffff:0.0.0.0: write [::1]:80 if the "
	                    "application runs here." },
};

static void bad_input_is_refused_in_words(void **state)
{
	(void)state;
	world_start(BASE);
	for (size_t i = 0; i < sizeof bad_input / sizeof *bad_input; i++) {
		struct register_want want = bad_input[i].want;
		const struct str name = str_c(bad_input[i].name);
		struct wish w;
		want.names = &name;
		want.name_count = bad_input[i].name != NULL;
		want.agree_tos = !bad_input[i].bare;
		if (!bad_input[i].bare && !want.email.n)
			want.email = STR("ops@example.com");
		wish_register(&w, &want);
		assert_non_null(w.q.field);
		if (bad_input[i].sentence) {
			wish_refused(&w, ERR_INPUT, bad_input[i].sentence);
		} else {
			turn_until(place, w.done);
			assert_non_null(strstr(w.err.text, "ops.example.com"));
		}
	}
	run_for(place, HOUR);
	assert_int_equal(place->ca.requests, 0);
	assert_int_equal(diary_count(place, "put"), diary_count(place, "put clock"));
}

static void a_name_without_an_application_is_refused(void **state)
{
	(void)state;
	struct wish w;
	world_start("issuer ca { directory https://ca.test/directory; }\n"
	            "site www.example.com blog.example.com { proxy 127.0.0.1:3001; }\n"
	            "page 127.0.0.1:8007 admin.example.com\n");
	wish_name(&w, "shop.example.com");
	wish_refused(&w, ERR_INPUT,
	        "Nothing stands behind shop.example.com: give the application's "
	        "address with --proxy ADDRESS:PORT, or add `site * { proxy "
	        "ADDRESS:PORT }` to the configuration.");
	wish_name(&w, "blog.example.com");
	wish_wait(&w);
	wish_name(&w, "admin.example.com");
	wish_wait(&w);
	const struct str names[] = { STR("blog.example.com"), STR("shop.example.com") };
	struct register_want want = {
		.names = names, .name_count = 2, .email = STR("a@example.com"), .agree_tos = true
	};
	wish_register(&w, &want);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_INPUT);
	want.proxy = STR("localhost:3000");
	wish_register(&w, &want);
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "ok");
}

static void too_many_names_are_refused(void **state)
{
	(void)state;
	static char text[300][32];
	static struct str names[300];
	struct wish w;
	world_start(BASE);
	for (int i = 0; i < 300; i++) {
		snprintf(text[i], sizeof text[i], "n%d.example.com", i);
		names[i] = str_c(text[i]);
	}
	struct register_want want = {
		.names = names, .name_count = 300, .email = STR("a@example.com"), .agree_tos = true
	};
	wish_register(&w, &want);
	wish_refused(&w, ERR_INPUT,
	        "300 names are too many for one certificate: Let's Encrypt takes at "
	        "most 100. Register them in several certificates.");
	want.name_count = 101;
	wish_register(&w, &want);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_INPUT);
	world.unprovable = "Port 80 is held by nginx.";
	want.name_count = 100;
	wish_register(&w, &want);
	wish_wait(&w);
	assert_null(w.q.field);
	char profile[201];
	memset(profile, 'x', sizeof profile);
	want.name_count = 1;
	for (size_t n = 200; n <= 201; n++) {
		want.profile = str_n(profile, n);
		wish_register(&w, &want);
		turn_until(place, w.done);
		assert_int_equal(w.err.code, n > 200 ? ERR_INPUT : ERR_NONE);
	}
}

/* Nobody is asked: neither an e-mail address nor terms nor a port that a CA could reach. */
static void private_names_get_a_certificate_of_our_own(void **state)
{
	(void)state;
	struct wish w;
	world_start("site * { proxy 127.0.0.1:3000; }\n");
	world.unprovable = "Nobody can ask us.";
	const struct str names[] = { STR("shop.test"), STR("localhost") };
	wish_register(&w, &(struct register_want){ .names = names, .name_count = 2 });
	wish_wait(&w);
	run_until_idle();
	assert_string_equal(said("shop.test", "issuer"), "\"internal\"");
	assert_string_equal(said("shop.test", "last_error"), "null");
	assert_int_equal(record_version(place, "authority", "private"), 1);
	wish_renew(&w, "localhost");
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(record_version(place, "authority", "private"), 1);
	assert_int_equal(world.installs, 2);
}

static void a_site_that_chooses_internal_needs_no_terms(void **state)
{
	(void)state;
	world_start("site shop.test { proxy 127.0.0.1:3000; issuer internal; }\n"
	            "site wiki.test { proxy 127.0.0.1:3000; }\n");
	run_until_idle();
	assert_string_equal(said("shop.test", "issuer"), "\"internal\"");
	assert_null(registration_find(world.renewals, STR("wiki.test")));
}

/* Again */

static void the_same_again_orders_nothing(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	const struct str names[] = { STR("shop.example.com"), STR("a.example.com"),
		STR("SHOP.example.com") };
	struct register_want want = {
		.names = names, .name_count = 3, .email = STR("a@example.com"), .agree_tos = true
	};
	wish_register(&w, &want);
	wish_register(&v, &want); /* while it is being stored */
	wish_wait(&w);
	assert_true(v.done && v.existing && !w.existing);
	assert_string_equal(v.id, w.id);
	assert_string_equal(v.task, w.task);
	wish_register(&v, &want); /* while it is under way */
	wish_wait(&v);
	assert_true(v.existing);
	assert_string_equal(v.task, w.task);
	run_until_idle();
	const struct str other_order[] = { STR("a.example.com"), STR("shop.example.com") };
	want.names = other_order;
	want.name_count = 2;
	want.key_type = STR("p256");
	want.issuer = STR("ca");
	wish_register(&v, &want);
	wish_wait(&v);
	assert_true(v.existing);
	assert_string_equal(v.id, w.id);
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 1);
	assert_int_equal(place->ca.orders[0].count, 2);
	assert_string_equal(place->ca.orders[0].names[0], "shop.example.com");
	/* Fewer names are another certificate. */
	want.name_count = 1;
	wish_register(&v, &want);
	wish_wait(&v);
	assert_false(v.existing);
	assert_string_not_equal(v.id, w.id);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2);
}

static void by_name_the_newer_is_meant(void **state)
{
	(void)state;
	struct wish w;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	struct register_want want = {
		.names = names, .name_count = 2, .email = STR("a@example.com"), .agree_tos = true
	};
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, HOUR);
	wish_register(&w, &want);
	wish_wait(&w);
	run_for(place, HOUR);
	assert_string_equal(
	        said("shop.example.com", "names"), "[\"shop.example.com\",\"www.example.com\"]");
	want.name_count = 1;
	char both[300];
	snprintf(both, sizeof both, "%s", w.id);
	wish_disable(&w, both, false); /* one that renews goes before it */
	wish_wait(&w);
	assert_string_equal(said("shop.example.com", "names"), "[\"shop.example.com\"]");
	assert_string_equal(said(both, "state"), "\"disabled\"");
	want.name_count = 2;
	run_for(place, HOUR);
	wish_register(&w, &want); /* its age is that of its first registration */
	wish_wait(&w);
	world_kill();
	world_start(NULL);
	assert_string_equal(
	        said("shop.example.com", "names"), "[\"shop.example.com\",\"www.example.com\"]");
	BUF_AUTO value = BUF(4096);
	record_value(place, "registration", both, &value);
	assert_string_equal(buf_c(&value),
	        "{\"names\":[\"shop.example.com\",\"www.example.com\"],\"email\":\"a@example.com\","
	        "\"issuer\":\"ca\",\"terms\":true,\"created\":\"2027-01-01T01:00:00Z\"}");
}

static void a_name_is_found_as_it_was_typed(void **state)
{
	(void)state;
	static const char *const typed[] = { "bücher.example.com", "BÜCHER.Example.com.",
		"XN--Bcher-KVA.example.com", "xn--bcher-kva.example.com." };
	struct wish w;
	world_start(BASE);
	wish_name(&w, typed[0]);
	wish_wait(&w);
	run_until_idle();
	for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
		assert_string_equal(said(typed[i], "names"), "[\"xn--bcher-kva.example.com\"]");
		status_is(typed[i], "ok");
	}
	wish_disable(&w, typed[1], false);
	wish_wait(&w);
	status_is(typed[0], "disabled");
}

static void one_of_several_is_meant_by_its_id(void **state)
{
	(void)state;
	struct wish one, both, w;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	world_start(BASE);
	wish_name(&one, "shop.example.com");
	wish_wait(&one);
	wish_register(&both, &(struct register_want){ .names = names,
	                             .name_count = 2,
	                             .email = STR("ops@example.com"),
	                             .agree_tos = true });
	wish_wait(&both);
	run_until_idle();
	for (int disable = 0; disable < 2; disable++) {
		if (disable)
			wish_disable(&w, "shop.example.com", false);
		else
			wish_renew(&w, "shop.example.com");
		turn_until(place, w.done);
		assert_int_equal(w.err.code, ERR_CONFLICT);
		assert_non_null(strstr(w.err.text, "Several certificates are for shop.example.com: "
		                                   "say which by its id, one of "));
		assert_non_null(strstr(w.err.text, one.id));
		assert_non_null(strstr(w.err.text, both.id));
	}
	assert_int_equal(place->ca.order_count, 2);
	wish_renew(&w, one.id);
	wish_wait(&w);
	assert_string_equal(w.id, one.id);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 3);
	wish_disable(&w, both.id, false);
	wish_wait(&w);
	assert_string_equal(said(both.id, "state"), "\"disabled\"");
	wish_renew(&w, "shop.example.com"); /* one alone renews */
	wish_wait(&w);
	assert_string_equal(w.id, one.id);
}

static void the_same_again_after_a_failure_tries_at_once(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	place->ca.refused = "shop.example.com";
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "failed");
	place->ca.refused = NULL;
	wish_name(&v, "shop.example.com");
	wish_wait(&v);
	assert_true(v.existing);
	assert_string_equal(v.task, "0000000002");
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "failures"), "0");
	assert_string_equal(said("shop.example.com", "last_error"), "null");
}

/* Disable */

static void disabled_it_is_served_and_warned_about(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	assert_string_equal(w.task, "");
	assert_false(w.existing);
	status_is("shop.example.com", "disabled");
	assert_string_equal(said("shop.example.com", "reason"), "\"renewal is disabled\"");
	assert_string_equal(said("shop.example.com", "next_renewal"), "null");
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	assert_true(w.existing);
	assert_true(str_starts(str_c(w.id), STR("shop.example.com-")));
	wish_renew(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT, "shop.example.com is disabled: register it again.");
	world_kill();
	world_start(NULL);
	status_is("shop.example.com", "disabled");
	assert_int_equal(world.installs, 2);
	run_for(place, 68 * DAY);
	assert_int_equal(logged_count("warning"), 0);
	run_for(place, 3 * DAY);
	assert_int_equal(logged_count("warning"), 3);
	logged_has(
	        "The certificate served for shop.example.com expires 2027-04-01T00:00:00Z and is "
	        "not "
	        "renewed: renewal is disabled. Register its names again to keep it alive.");
	assert_int_equal(place->ca.order_count, 1);
	/* Registered again it is renewed at once, for it is due. */
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(w.existing);
	run_until_idle();
	task_is(w.task, "end: There is a certificate already\nConfigureLetsEncrypt Success");
	assert_int_equal(place->ca.order_count, 2);
	status_is("shop.example.com", "ok");
}

static void disabled_and_registered_early_it_orders_nothing(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_disable(&w, "shop.example.com", false);
	wish_name(&v, "shop.example.com");
	wish_refused(
	        &v, ERR_BUSY, "shop.example.com is just being disabled: try again in a moment.");
	wish_wait(&w);
	wish_name(&w, "shop.example.com");
	wish_disable(&v, "shop.example.com", false);
	wish_refused(
	        &v, ERR_BUSY, "shop.example.com is just being registered: try again in a moment.");
	wish_wait(&w);
	run_for(place, DAY);
	assert_int_equal(place->ca.order_count, 1);
	assert_string_equal(said("shop.example.com", "reason"), "\"21 days are left\"");
	wish_disable(&w, "shop.example.com", false);
	wish_disable(&v, "shop.example.com", false);
	wish_wait(&v);
	assert_true(w.done && v.existing);
}

static void disable_ends_what_is_under_way(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask challenge"));
	wish_disable(&v, "shop.example.com", false);
	wish_wait(&v);
	task_is(w.task, FIRST "order: Order the certificate\n"
	                      "answer: Prove control of shop.example.com\n"
	                      "end: Given up: renewal is disabled.\n"
	                      "ConfigureLetsEncrypt Canceled");
	run_for(place, DAY);
	assert_int_equal(place->ca.finalized, 0);
	assert_true(list_empty(&world.renewals->under_way));
	/* It goes on where it was. */
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_string_equal(w.task, "0000000002");
	run_until_idle();
	assert_int_equal(place->ca.order_count, 1);
	status_is("shop.example.com", "ok");
}

/* What is being stored or looked at when it is disabled comes to its end. */
static void disable_lets_an_outcome_be(void **state)
{
	(void)state;
	static const char *const moments[] = { "ask certificate\n", "install shop.example.com\n" };
	for (size_t i = 0; i < 2; i++) {
		struct wish w, v, again;
		world_start(BASE);
		place->ca.latency = 5;
		wish_name(&w, "shop.example.com");
		wish_wait(&w);
		turn_until(place, strstr(buf_c(&place->diary), moments[i]));
		wish_disable(&v, "shop.example.com", false);
		wish_wait(&v);
		wish_name(&again, "shop.example.com");
		wish_wait(&again);
		run_until_idle();
		assert_true(list_empty(&world.renewals->under_way));
		assert_int_equal(world.installs, 1);
		status_is("shop.example.com", "ok");
		assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
		assert_int_equal(place->ca.order_count, 1);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

static void hsts_is_a_reason_not_to(void **state)
{
	(void)state;
	struct wish w;
	int64_t now = loop_wall(place->loop);
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 300, now);
	renew_hsts_sent(
	        world.renewals, STR("shop.example.com"), 86400, now); /* while it is stored */
	renew_hsts_sent(
	        world.renewals, STR("shop.example.com"), 3600, now); /* does not shorten it */
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 0, now);
	renew_hsts_sent(world.renewals, STR("other.example.com"), 0, now);
	run_for(place, 1);
	assert_int_equal(record_version(place, "hsts", "shop.example.com"), 2);
	assert_int_equal(record_version(place, "hsts", "other.example.com"), 0);
	BUF_AUTO value = BUF(1024);
	record_value(place, "hsts", "shop.example.com", &value);
	assert_string_equal(buf_c(&value), "{\"age\":86400,\"until\":\"2027-01-02T00:00:00Z\"}");
	for (int i = 0; i < 2; i++) {
		wish_disable(&w, "shop.example.com", false);
		wish_refused(&w, ERR_CONFLICT,
		        "Browsers may remember until 2027-01-02T00:00:00Z that "
		        "shop.example.com must be reached by HTTPS; once its certificate has "
		        "expired they "
		        "let nobody in. Send `hsts off` first and wait, or insist with "
		        "--despite-hsts.");
		world_kill();
		world_start(NULL);
	}
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86401, now);
	run_for(place, 1);
	assert_int_equal(record_version(place, "hsts", "shop.example.com"), 3);
	wish_disable(&w, "shop.example.com", true);
	wish_wait(&w);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, DAY + 2 * SECOND); /* nobody remembers any more */
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
}

/* Renew now */

static void renew_now_renews_now(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE "issuer second { directory https://ca.test/directory; }\n");
	wish_renew(&w, "shop.example.com");
	wish_refused(&w, ERR_NOT_FOUND,
	        "There is no certificate for shop.example.com. `everseal status` lists "
	        "those that there are.");
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_renew(&w, "shop.example.com");
	wish_renew(&v, w.id[0] ? w.id : "shop.example.com");
	wish_wait(&w);
	wish_wait(&v);
	assert_false(w.existing);
	assert_true(v.existing);
	assert_string_equal(w.task, "0000000002");
	assert_string_equal(v.task, w.task);
	run_until_idle();
	task_is(w.task, REUSED STEPS SEEN "RenewLetsEncrypt Success");
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(world.installs, 2);
	/* The next time counts from the new one. */
	run_for(place, 68 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	world_configure("site * { proxy 127.0.0.1:3000; }\n");
	assert_string_equal(
	        said("shop.example.com", "reason"), "\"its issuer is not configured any more\"");
	wish_renew(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "The issuer ca does not issue for shop.example.com; add it to the "
	        "configuration with `issuer ca { directory URL }`.");
	run_for(place, 5 * DAY);
	assert_int_equal(place->ca.order_count, 2);
	logged_has("is not renewed: its issuer is not configured any more.");
}

/* The file */

static void sites_come_and_go_with_the_file(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE SHOP); /* without e-mail and terms: served, not registered */
	run_for(place, DAY);
	assert_int_equal(place->ca.order_count, 0);
	assert_non_null(strstr(said("shop.example.com", "state"), "There is no certificate"));
	world_configure(BY_FILE SHOP);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 1);
	status_is("shop.example.com", "ok");
	assert_int_equal(record_version(place, "registration", "x"), 0);
	world_configure(BASE);
	status_is("shop.example.com", "retired");
	assert_string_equal(said("shop.example.com", "reason"),
	        "\"nothing asks for it any more; it is only kept\"");
	wish_renew(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "shop.example.com is no longer in the configuration, its certificate is "
	        "only kept: register it again.");
	run_for(place, 80 * DAY);
	assert_int_equal(place->ca.order_count, 1);
	logged_has("is not renewed: nothing asks for it any more; it is only kept.");
	/* Kept over a restart, with the names that the certificate has. */
	world_kill();
	world_start(NULL);
	status_is("shop.example.com", "retired");
	assert_string_equal(said("shop.example.com", "issuer"), "\"ca\"");
	world_configure(BY_FILE SHOP);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2); /* it is due */
	/* One that never came to a certificate is gone with its site. */
	place->ca.refused = "new.example.com";
	world_configure(BY_FILE SHOP "site new.example.com { proxy 127.0.0.1:3003; }\n");
	run_until_idle();
	status_is("new.example.com", "failed");
	world_configure(BY_FILE SHOP);
	assert_non_null(strstr(said("new.example.com", "state"), "There is no certificate"));
	unsigned orders = place->ca.order_count;
	run_for(place, 2 * DAY);
	assert_int_equal(place->ca.order_count, orders);
}

static void what_browsers_remember_is_missed_in_the_file(void **state)
{
	(void)state;
	static const char warning[] =
	        "shop.example.com is gone from the configuration, but browsers may remember until "
	        "2027-01-02T00:00:00Z that it must be reached by HTTPS: put it back, or they let "
	        "nobody in.";
	int64_t now = loop_wall(place->loop);
	world_start(BY_FILE SHOP "site other.example.com { proxy 127.0.0.1:3003; }\n");
	run_until_idle();
	renew_hsts_sent(world.renewals, STR("shop.example.com"), DAY / SECOND, now);
	world_configure(BY_FILE SHOP);
	assert_int_equal(logged_count("is gone from"), 0);
	world_configure(BY_FILE);
	logged_has(warning);
	world_configure(BY_FILE);
	assert_int_equal(logged_count("is gone from"), 1);
	world_configure(BY_FILE SHOP);
	run_for(place, DAY + SECOND); /* nobody remembers any more */
	world_configure(BY_FILE);
	assert_int_equal(logged_count("is gone from"), 1);
}

static void what_goes_with_the_file_is_given_up(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask order"));
	world_configure(BY_FILE);
	run_for(place, DAY);
	assert_int_equal(place->ca.finalized, 0);
	task_is("0000000001",
	        FIRST "order: Order the certificate\n"
	              "answer: Prove control of shop.example.com\n"
	              "end: Given up: nothing asks for it any more; it is only kept.\n"
	              "ConfigureLetsEncrypt Canceled");
}

static void a_page_of_its_own_and_other_rules(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE
	        "site shop.example.com www.example.com { proxy 127.0.0.1:3001; renew-before 40d; "
	        "}\n");
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_string_equal(
	        said("shop.example.com", "reason"), "\"renew-before in the configuration\"");
	assert_string_equal(said("shop.example.com", "next_renewal"), "\"2027-02-20T00:00:00Z\"");
	world_configure("issuer ca { directory https://ca.test/directory; }\n"
	                "site * { proxy 127.0.0.1:3000; renew-before 41d; }\n");
	assert_string_equal(said("shop.example.com", "next_renewal"), "\"2027-02-19T00:00:00Z\"");
	world_configure("issuer ca { directory https://ca.test/directory; }\n"
	                "site * { proxy 127.0.0.1:3000; renew-before 41d; }\n" SHOP);
	assert_string_equal(said("shop.example.com", "reason"), "\"21 days are left\"");
}

static void a_promise_is_kept_by_the_issuer(void **state)
{
	(void)state;
	struct wish w;
	const struct str name = STR("shop.example.com");
	struct register_want want = {
		.names = &name, .name_count = 1, .email = STR("a@example.com"), .agree_tos = true
	};
	world_start(BASE);
	wish_register(&w, &want);
	wish_wait(&w);
	run_until_idle();
	renew_hsts_sent(world.renewals, name, 86400, loop_wall(place->loop));
	want.issuer = STR("letsencrypt-staging");
	wish_register(&w, &want);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_CONFLICT);
	assert_non_null(strstr(w.err.text, "do not trust certificates of letsencrypt-staging"));
	want.issuer = STR("internal");
	wish_register(&w, &want);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_CONFLICT);
	want.issuer = STR("letsencrypt");
	wish_register(&w, &want);
	wish_wait(&w);
}

/* Whoever comes to a name that never had another certificate finds what he found before. */
static void a_promise_counts_where_there_is_another_certificate(void **state)
{
	static const struct {
		const char *others;
		bool failed, disabled;
		enum err_code code;
	} rows[] = {
		{ "ca", false, false, ERR_CONFLICT },
		{ "ca", true, false, ERR_CONFLICT },    /* still to come */
		{ "ca", false, true, ERR_CONFLICT },    /* still served */
		{ "ca", true, true, ERR_NONE },         /* neither */
		{ "internal", false, false, ERR_NONE }, /* the same */
		{ "", false, false, ERR_NONE },
	};
	const struct str name = STR("shop.example.com");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct wish w;
		struct register_want want = { .names = &name,
			.name_count = 1,
			.email = STR("a@example.com"),
			.agree_tos = true,
			.issuer = str_c(rows[i].others) };
		world_start(BASE);
		place->ca.refused = rows[i].failed ? "shop.example.com" : NULL;
		if (want.issuer.n) {
			wish_register(&w, &want);
			wish_wait(&w);
			run_until_idle();
		}
		if (rows[i].disabled) {
			wish_disable(&w, "shop.example.com", false);
			wish_wait(&w);
		}
		renew_hsts_sent(world.renewals, name, 86400, loop_wall(place->loop));
		want.issuer = STR("internal");
		for (int insists = 0; insists < 2; insists++) {
			want.despite_hsts = insists;
			wish_register(&w, &want);
			turn_until(place, w.done);
			if (w.err.code != (insists ? ERR_NONE : rows[i].code))
				fail_msg("%zu: %s", i, w.err.text);
		}
		world_teardown(state);
		world_setup(state);
	}
}

static void a_change_that_is_refused_is_said(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	world.change_refused = "Port 443 is held by nginx.";
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	logged_has("Port 443 is held by nginx.");
	status_is("shop.example.com", "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(bad_input_is_refused_in_words),
		WORLD_TEST(a_name_without_an_application_is_refused),
		WORLD_TEST(too_many_names_are_refused),
		WORLD_TEST(private_names_get_a_certificate_of_our_own),
		WORLD_TEST(a_site_that_chooses_internal_needs_no_terms),
		WORLD_TEST(the_same_again_orders_nothing),
		WORLD_TEST(by_name_the_newer_is_meant),
		WORLD_TEST(a_name_is_found_as_it_was_typed),
		WORLD_TEST(one_of_several_is_meant_by_its_id),
		WORLD_TEST(the_same_again_after_a_failure_tries_at_once),
		WORLD_TEST(disabled_it_is_served_and_warned_about),
		WORLD_TEST(disabled_and_registered_early_it_orders_nothing),
		WORLD_TEST(disable_ends_what_is_under_way),
		WORLD_TEST(disable_lets_an_outcome_be),
		WORLD_TEST(hsts_is_a_reason_not_to),
		WORLD_TEST(renew_now_renews_now),
		WORLD_TEST(sites_come_and_go_with_the_file),
		WORLD_TEST(what_browsers_remember_is_missed_in_the_file),
		WORLD_TEST(what_goes_with_the_file_is_given_up),
		WORLD_TEST(a_page_of_its_own_and_other_rules),
		WORLD_TEST(a_promise_is_kept_by_the_issuer),
		WORLD_TEST(a_promise_counts_where_there_is_another_certificate),
		WORLD_TEST(a_change_that_is_refused_is_said),
	};
	return cmocka_run_group_tests_name("renew_wishes", tests, NULL, NULL);
}
