/* What is told of each certificate: in the status, at a glance, in its records. What is a
 * digest stands as "H", when the next try is as NEXT. */
#include "renew_world.h"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static const char *next; /* when the next try is, quoted; or NULL */

/* Digests differ from run to run, and so does the wait after a failure. */
static void mask(struct str text, struct buf *out)
{
	while (text.n) {
		const bool here = next && str_starts(text, str_c(next));
		size_t n = 0;
		while (n < text.n && is_hex(text.p[n]))
			n++;
		if (here)
			buf_add_c(out, "NEXT");
		else if (n == 40 || n == 64)
			buf_add_char(out, 'H');
		else
			buf_add(out, str_head(text, n ? n : 1));
		text = str_from(text, here ? strlen(next) : n ? n : 1);
	}
}

/* The expected pieces, a line each, are in it, in this order. */
static void has(struct str text, const char *expected)
{
	BUF_AUTO masked = BUF(64 << 10), piece = BUF(8192);
	struct str rest = str_c(expected), line;
	mask(text, &masked);
	const char *at = buf_c(&masked);
	while (str_split(&rest, '\n', &line)) {
		buf_clear(&piece);
		buf_add(&piece, line);
		const char *found = strstr(at, buf_c(&piece));
		if (!found)
			fail_msg("%s\nis not in %s", buf_c(&piece), at);
		at = found + line.n - 1; /* two pieces may share a comma */
	}
}

static void status_has(const char *name, const char *expected)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO text = BUF(64 << 10);
	json_write_init(&w, &text);
	if (!renew_status_of(world.renewals, str_c(name), &w, &err))
		fail_msg("%s", err.text);
	has(buf_str(&text), expected);
}

static void record_has(const char *kind, const char *id, const char *expected)
{
	BUF_AUTO value = BUF(64 << 10);
	record_value(place, kind, id, &value);
	has(buf_str(&value), expected);
}

static void registered(struct wish *w, const char *name)
{
	wish_name(w, name);
	wish_wait(w);
	run_until_idle();
}

static void the_status_of_one_that_is_well(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	registered(&w, "shop.example.com");
	renew_seen(world.renewals, STR("shop.example.com"), STR("198.51.100.7"),
	        INT64_C(1798761600000) + HOUR);
	status_has("shop.example.com",
	        "{\"id\":\"shop.example.com-216914ada05e19b1\","
	        "\"names\":[\"shop.example.com\"],\"issuer\":\"ca\",\n"
	        "\"email\":\"ops@example.com\",\n\"state\":\"ok\",\"lamp\":\"ok\",\n"
	        "\"primary\":false,\n\"temporary\":false,\n"
	        "\"not_before\":\"2027-01-01T00:00:00Z\","
	        "\"not_after\":\"2027-04-01T00:00:00Z\","
	        "\"last_renewed\":\"2027-01-01T00:00:00Z\",\n\"serial\":\"03e9\",\n"
	        "\"issued_by\":\"Script CA\",\"thumbprint\":\"H\",\n\"sha256\":\"H\",\n"
	        "\"key_type\":\"P-256\",\"chain\":1,\n"
	        "\"next_renewal\":\"2027-03-11T00:00:00Z\",\n\"reason\":\"21 days are left\",\n"
	        "\"window\":{\"start\":null,\"end\":null,\"chosen\":null,\n"
	        "\"explanation\":null,\"asked\":\"2027-01-01T00:00:00Z\",\n"
	        "\"why_not\":\"ca.test suggests no times to renew.\"},\n\"issuers\":[\"ca\"],\n"
	        "\"next_issuer\":\"ca\",\"issued_from\":\"ca\",\n\"rehearsing\":false,\n"
	        "\"wanted_key_type\":\"p256\",\n\"profile\":\"\",\n"
	        "\"next_check\":\"2027-01-02T00:00:00Z\",\n\"revoked\":null,\n"
	        "\"served\":\"stored\",\"served_at\":\"2027-01-01T00:00:00Z\","
	        "\"seen_from_outside\":\"2027-01-01T01:00:00Z\","
	        "\"seen_client\":\"198.51.100.7\",\n"
	        "\"served_leaf\":{\"names\":[\"shop.example.com\"],\n\"serial\":\"03e9\","
	        "\"thumbprint\":\"H\",\n\"key_type\":\"P-256\",\n\"issued_by\":\"Script CA\","
	        "\"not_after\":\"2027-04-01T00:00:00Z\"},\n\"failures\":0,\n"
	        "\"task\":\"0000000001\",\n\"last_error\":null}");
}

#define FAILED                                                                                     \
	"\"last_error\":{\"code\":\"refused\",\"message\":\"ca.test could not prove "              \
	"control of shop.example.com. It asked "                                                   \
	"http://shop.example.com/.well-known/acme-challenge/token-of-order-0-name-0 and "          \
	"says: Timeout during connect (connection).\",\"remedy\":\"Open port 80 in the "           \
	"firewall or forward it here; if the name has an IPv6 address, it must lead here "         \
	"too.\",\"what\":\"ca.test could not prove control of shop.example.com.\","                \
	"\"why\":\"It asked "                                                                      \
	"http://shop.example.com/.well-known/acme-challenge/token-of-order-0-name-0 and "          \
	"says: Timeout during connect (connection).\",\"at\":\"2027-01-01T00:00:00Z\"}"

static void the_status_of_one_that_failed(void **state)
{
	(void)state;
	struct wish w;
	place->ca.refused = "shop.example.com";
	world_start(BASE);
	registered(&w, "shop.example.com");
	next = said("shop.example.com", "next_renewal");
	status_has("shop.example.com",
	        "{\"id\":\"shop.example.com-216914ada05e19b1\","
	        "\"names\":[\"shop.example.com\"],\"issuer\":\"ca\",\n"
	        "\"email\":\"ops@example.com\",\n\"state\":\"failed\",\"lamp\":\"problem\",\n"
	        "\"primary\":false,\n\"temporary\":true,\n\"not_before\":null,"
	        "\"not_after\":null,\"last_renewed\":null,\n\"next_renewal\":NEXT,\n"
	        "\"reason\":\"the last attempt failed\",\n\"window\":null,\n\"issuers\":[\"ca\"],\n"
	        "\"next_issuer\":\"ca\",\"issued_from\":\"\",\n\"rehearsing\":false,\n"
	        "\"wanted_key_type\":\"p256\",\n\"profile\":\"\",\n\"next_check\":null,\n"
	        "\"revoked\":null,\n\"served\":null,\"served_at\":null,"
	        "\"seen_from_outside\":null,\"seen_client\":\"\",\n\"served_leaf\":null,\n"
	        "\"failures\":1,\n\"task\":\"0000000001\"," FAILED "}");
	record_has("renewal", w.id,
	        "{\"disabled\":false,\n\"rehearsed\":false,\n\"failures\":1,\n\"next_try\":NEXT,"
	        "\"issuer_at\":0,\"issuer_failures\":0," FAILED ",\n\"issued\":[]}");
	next = NULL;
	struct renew_view v;
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_int_equal(v.failures, 1);
	assert_int_equal(v.error->code, ERR_REFUSED);
	assert_true(str_eq_c(v.why, v.error->text));
	assert_string_equal(v.reason, "the last attempt failed");
	assert_int_equal(v.since, 0);
	assert_int_equal(v.not_before, 0);
	assert_int_equal(v.not_after, 0);
	assert_int_equal(v.serial.n, 0);
	assert_false(v.held);
	/* A restart forgets nothing of it. */
	BUF_AUTO before = BUF(64 << 10), after = BUF(64 << 10);
	static const char *const members[] = { "failures", "next_renewal", "last_error", "reason",
		"lamp", "state" };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		buf_printf(&before, "%s\n", said("shop.example.com", members[i]));
	world_kill();
	world_start(NULL);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		buf_printf(&after, "%s\n", said("shop.example.com", members[i]));
	assert_string_equal(buf_c(&after), buf_c(&before));
}

static void the_status_of_one_that_is_under_way(void **state)
{
	(void)state;
	struct wish w;
	struct renew_view v;
	world_start(BASE);
	place->ca.latency = 100;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask order"));
	status_has("shop.example.com",
	        "{\"id\":\"shop.example.com-216914ada05e19b1\","
	        "\"names\":[\"shop.example.com\"],\"issuer\":\"ca\",\n"
	        "\"email\":\"ops@example.com\",\n\"state\":\"working\",\"lamp\":\"working\",\n"
	        "\"primary\":false,\n\"temporary\":true,\n\"not_before\":null,"
	        "\"not_after\":null,\"last_renewed\":null,\n\"next_renewal\":null,\n"
	        "\"reason\":\"an attempt is under way\",\n\"window\":null,\n\"issuers\":[\"ca\"],\n"
	        "\"next_issuer\":\"ca\",\"issued_from\":\"\",\n\"rehearsing\":false,\n"
	        "\"wanted_key_type\":\"p256\",\n\"profile\":\"\",\n\"next_check\":null,\n"
	        "\"revoked\":null,\n\"served\":null,\"served_at\":null,"
	        "\"seen_from_outside\":null,\"seen_client\":\"\",\n\"served_leaf\":null,\n"
	        "\"failures\":0,\n\"task\":\"0000000001\",\n\"last_error\":null}");
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_true(str_eq_c(v.why, "An attempt is under way."));
	assert_null(v.error);
}

static bool window_of(struct scripted_ca *ca, const struct ca_order *o, struct ca_window *ret)
{
	(void)ca;
	*ret = (struct ca_window){ o->not_before + 60 * DAY, o->not_before + 60 * DAY + SECOND,
		"https://ca.test/why" };
	return true;
}

static void what_the_ca_suggests_is_told_and_kept(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	place->ca.window_of = window_of;
	registered(&w, "shop.example.com");
	run_for(place, MINUTE);
	has(str_c(said("shop.example.com", "window")),
	        "{\"start\":\"2027-03-02T00:00:00Z\",\"end\":\"2027-03-02T00:00:01Z\","
	        "\"chosen\":\"2027-03-02T00:00:00Z\",\n"
	        "\"explanation\":\"https://ca.test/why\","
	        "\"asked\":\"2027-01-01T00:00:00Z\",\n"
	        "\"why_not\":null}");
	record_has("renewal", w.id,
	        "{\"disabled\":false,\n\"rehearsed\":false,\n\"failures\":0,\n\"next_try\":null,"
	        "\"issuer_at\":0,\"issuer_failures\":0,\n"
	        "\"window\":{\"start\":\"2027-03-02T00:00:00Z\","
	        "\"end\":\"2027-03-02T00:00:01Z\",\"chosen\":\"2027-03-02T00:00:00Z\","
	        "\"moved_back\":false,\n\"explanation\":\"https://ca.test/why\","
	        "\"asked\":\"2027-01-01T00:00:00Z\",\"certificate\":\"c2NyaXB0.A-k\"},\n"
	        "\"issued\":[\"2027-01-01T00:00:00Z\"]}");
	world_kill();
	place->ca.down = true;
	world_start(NULL);
	run_for(place, MINUTE);
	const char *window = said("shop.example.com", "window");
	assert_true(str_starts(str_c(window),
	        STR("{\"start\":\"2027-03-02T00:00:00Z\",\"end\":\"2027-03-02T00:00:01Z\","
	            "\"chosen\":\"2027-03-02T00:00:00Z\","
	            "\"explanation\":\"https://ca.test/why\",\"asked\":\"2027-01-01T00:0")));
	assert_non_null(strstr(window, "\"why_not\":\"ca.test does not answer.\"}"));
}

static void its_records(void **state)
{
	(void)state;
	struct wish w;
	const struct str names[] = { STR("shop.example.com"), STR("WWW.example.com") };
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .proxy = STR("127.0.0.1:3005"),
	                          .address = STR("127.0.0.1"),
	                          .port = 8443,
	                          .key_type = STR("P-384"),
	                          .profile = STR("classic"),
	                          .agree_tos = true });
	wish_wait(&w);
	record_has("registration", w.id,
	        "{\"names\":[\"shop.example.com\",\"www.example.com\"],\n"
	        "\"email\":\"ops@example.com\",\"issuer\":\"ca\",\n\"key_type\":\"p384\",\n"
	        "\"profile\":\"classic\",\"terms\":true,\"created\":\"2027-01-01T00:00:00Z\",\n"
	        "\"address\":\"127.0.0.1\",\"port\":8443,\"proxy_shown\":\"127.0.0.1:3005\","
	        "\"proxy_host\":\"127.0.0.1\",\"proxy_port\":3005}");
	run_until_idle();
	record_has("certificate", w.id,
	        "{\"issuer\":\"ca\",\n\"since\":\"2027-01-01T00:00:00Z\","
	        "\"names\":[\"shop.example.com\",\"www.example.com\"],\n\"serial\":\"03e9\",\n"
	        "\"not_before\":\"2027-01-01T00:00:00Z\","
	        "\"not_after\":\"2027-04-01T00:00:00Z\",\"thumbprint\":\"H\"}");
	record_has("renewal", w.id,
	        "{\"disabled\":false,\n\"rehearsed\":false,\n\"failures\":0,\n\"next_try\":null,"
	        "\"issuer_at\":0,\"issuer_failures\":0,\n"
	        "\"issued\":[\"2027-01-01T00:00:00Z\"]}");
	renew_set_primary(world.renewals, str_c(w.id));
	run_for(place, SECOND);
	record_has("primary", "primary", "{\"id\":\"shop.example.com-9d04135ac0dd870f\"}");
}

static void steps_in_parts(void **state)
{
	(void)state;
	struct wish w;
	struct json_writer out;
	BUF_AUTO text = BUF(64 << 10);
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	world_start(BASE);
	place->ca.latency = 100;
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask finalize"));
	json_write_init(&out, &text);
	task_write_steps(world.renewals, str_c(w.task), NULL, &out);
	has(buf_str(&text),
	        "[{\"seq\":0,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":0,\"took\":100,"
	        "\"step\":\"directory\","
	        "\"subject\":null,\"text\":\"Reach ca.test\",\"state\":\"Success\"},\n"
	        "{\"seq\":2,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":100,\"took\":300,"
	        "\"step\":\"account\","
	        "\"subject\":null,\"text\":\"Account, new\",\"state\":\"Success\"},\n"
	        "{\"seq\":3,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":400,\"took\":100,"
	        "\"step\":\"order\",\n"
	        "{\"seq\":4,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":500,\"took\":500,"
	        "\"step\":\"answer\","
	        "\"subject\":\"shop.example.com\",\"text\":\"Prove control of shop.example.com\",\n"
	        "{\"seq\":5,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":600,\"took\":400,"
	        "\"step\":\"answer\","
	        "\"subject\":\"www.example.com\",\"text\":\"Prove control of www.example.com\",\n"
	        "{\"seq\":6,\"at\":\"2027-01-01T00:00:01Z\",\"ms\":1000,\"took\":100,"
	        "\"step\":\"finalize\",\n"
	        "{\"seq\":7,\"at\":\"2027-01-01T00:00:01Z\",\"ms\":1100,\"took\":null,"
	        "\"step\":\"download\","
	        "\"subject\":null,\"text\":\"Collect the certificate\",\"state\":\"Executing\"}]");
	run_until_idle();
	buf_clear(&text);
	json_write_init(&out, &text);
	task_write_steps(world.renewals, str_c(w.task), NULL, &out);
	has(buf_str(&text),
	        "\"ms\":1100,\"took\":100,\"step\":\"download\",\n\"state\":\"Success\"},\n"
	        "\"step\":\"bind\",\"subject\":null,"
	        "\"text\":\"Bind 0.0.0.0:443, [::]:443\",\"state\":\"Success\"},\n"
	        "\"step\":\"see\",\"subject\":null,\n\"state\":\"Success\"}]");
}

static void a_key_is_exported_by_its_kind(void **state)
{
	(void)state;
	struct wish w;
	struct err err = ERR_INIT;
	BUF_AUTO pem = BUF_SECRET(64 << 10);
	const struct str name = STR("shop.example.com");
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .key_type = STR("rsa2048"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	const struct renew_export_want want = { .name = name, .with_key = true };
	assert_true(renew_export(world.renewals, &want, &pem, &err));
	assert_true(str_starts(buf_str(&pem), STR("-----BEGIN RSA PRIVATE KEY-----\n")));
	assert_non_null(strstr(buf_c(&pem), "\n-----END RSA PRIVATE KEY-----\n-----BEGIN CERT"));
	struct str rest = buf_str(&pem), line;
	while (str_split(&rest, '\n', &line))
		assert_true(line.n <= 64);
}

/* ---- errors ---- */

static void written(const struct err *err, struct buf *out)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	error_write(&w, err);
	json_write_end(&w);
}

static void an_error_has_its_parts_and_is_read_back(void **state)
{
	(void)state;
	static const struct {
		const char *what, *why, *remedy, *json;
	} cases[] = {
		{ "It fails.", "", "",
		        "{\"code\":\"refused\",\"message\":\"It fails.\",\"remedy\":null,"
		        "\"what\":\"It fails.\",\"why\":null}" },
		{ "It fails.", "No.", "Do.",
		        "{\"code\":\"refused\",\"message\":\"It fails. No.\",\"remedy\":\"Do.\","
		        "\"what\":\"It fails.\",\"why\":\"No.\"}" },
		{ "It fails.", "No.", "",
		        "{\"code\":\"refused\",\"message\":\"It fails. No.\",\"remedy\":null,"
		        "\"what\":\"It fails.\",\"why\":\"No.\"}" },
		{ "It fails.", "", "Do.",
		        "{\"code\":\"refused\",\"message\":\"It fails.\",\"remedy\":\"Do.\","
		        "\"what\":\"It fails.\",\"why\":null}" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO text = BUF(8192), again = BUF(8192);
		struct err err = ERR_INIT, back = ERR_INIT, ignored = ERR_INIT;
		err_set(&err, ERR_REFUSED, "%s%s%s%s%s", cases[i].what,
		        *cases[i].why ? ERR_WHY : "", cases[i].why,
		        *cases[i].remedy ? ERR_REMEDY : "", cases[i].remedy);
		written(&err, &text);
		assert_string_equal(buf_c(&text), cases[i].json);
		JSON_AUTO *json = json_parse(buf_str(&text), "It", &ignored);
		error_read(json, &back);
		written(&back, &again);
		assert_string_equal(buf_c(&again), cases[i].json);
		assert_string_equal(back.text, err.text);
	}
	struct err none = ERR_INIT, ignored = ERR_INIT;
	error_read(NULL, &none);
	assert_int_equal(none.code, ERR_NONE);
	JSON_AUTO *json =
	        json_parse(STR("{\"code\":\"boredom\",\"what\":\"It.\"}"), "It", &ignored);
	error_read(json, &none);
	assert_int_equal(none.code, ERR_NONE);
}

/* ---- totals ---- */

static void all_are_counted(void **state)
{
	(void)state;
	struct wish wishes[12];
	struct renew_totals t;
	world_start(BASE);
	place->ca.latency = 200;
	for (int i = 0; i < 12; i++) {
		char name[32];
		snprintf(name, sizeof name, "s%d.example.com", i);
		wish_name(&wishes[i], name);
	}
	for (int i = 0; i < 12; i++)
		turn_until(place, wishes[i].done);
	turn_until(place,
	        !list_empty(&world.renewals->queue) && !list_empty(&world.renewals->under_way));
	renew_totals(world.renewals, &t);
	assert_int_equal(t.under_way, 10);
	assert_int_equal(t.queued, 2);
	assert_int_equal(t.at_limit, 0);
	assert_int_equal(t.succeeded, 0);
	run_until_idle();
	renew_totals(world.renewals, &t);
	assert_int_equal(t.under_way, 0);
	assert_int_equal(t.queued, 0);
	assert_int_equal(t.succeeded, 12);
	for (size_t i = 0; i <= ERR_CANCELED; i++)
		assert_int_equal(t.failed[i], 0);
}

static void those_that_wait_are_counted(void **state)
{
	(void)state;
	struct wish w;
	struct renew_totals t;
	world.unprovable = "Port 80 is held by nginx.";
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, MINUTE);
	renew_totals(world.renewals, &t);
	assert_int_equal(t.under_way, 0);
	assert_int_equal(t.queued, 1);
	assert_false(list_empty(&world.renewals->unprovable));
	world.unprovable = NULL;
	place->ca.refused = "shop.example.com";
	renewals_listening(world.renewals);
	run_for(place, MINUTE / 2);
	renew_totals(world.renewals, &t);
	assert_int_equal(t.failed[ERR_REFUSED], 1);
	assert_int_equal(t.queued, 0);
}

/* Whether it is kept only as long as it is good. */
static bool is_replaced(const char *id)
{
	const struct registration *g = registration_by_id(world.renewals, str_c(id));
	assert_non_null(g);
	return registration_view(g).replaced;
}

static void what_nobody_asks_for_any_more_is_replaced(void **state)
{
	(void)state;
	struct renew_view v;
	world_start(BY_FILE SHOP);
	run_until_idle();
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_false(v.replaced);
	assert_true(v.in_file && !v.in_store && v.renewed);
	world_configure(BASE);
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_true(v.replaced && !v.renewed);
	assert_string_equal(v.state, "retired");
}

static void what_another_is_served_for_is_replaced(void **state)
{
	(void)state;
	struct wish both, one, three;
	const struct str names[] = { STR("a.example.com"), STR("b.example.com"),
		STR("c.example.com") };
	struct register_want want = {
		.names = names, .name_count = 2, .email = STR("ops@example.com"), .agree_tos = true
	};
	world_start(BASE);
	wish_register(&both, &want);
	wish_wait(&both);
	run_until_idle();
	assert_false(is_replaced(both.id));
	run_for(place, MINUTE);
	wish_name(&one, "a.example.com");
	wish_wait(&one);
	run_until_idle();
	assert_false(is_replaced(one.id));
	assert_true(is_replaced(both.id));
	/* One that has none yet is not: it is still to come. */
	place->ca.refused = "c.example.com";
	want.name_count = 3;
	wish_register(&three, &want);
	wish_wait(&three);
	run_until_idle();
	assert_false(is_replaced(three.id));
}

static void a_wait_is_told_in_seconds(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	const struct flow f = { .step = ACME_STEP_order, .waiting_for = STR("ca.test is busy") };
	struct next n = { .after = 5 * SECOND };
	assert_true(str_eq_c(steps_words(&a, &f, &n), "Order the certificate"));
	n.after = 5 * SECOND + 1;
	assert_true(str_eq_c(
	        steps_words(&a, &f, &n), "Order the certificate: waiting 5.0 s, ca.test is busy"));
	n = (struct next){ .after = 1000 * SECOND, .ca_at_fault = true };
	assert_true(str_eq_c(steps_words(&a, &f, &n),
	        "Order the certificate: waiting 1000.0 s, ca.test is busy"));
	n.after = 0;
	assert_true(str_eq_c(steps_words(&a, &f, &n), "Order the certificate"));
}

/* ---- steps ---- */

static struct task *bare_task(struct registration **ret_g)
{
	world_start(BASE);
	*ret_g = registration_new(world.renewals, STR("x"));
	(*ret_g)->task = task_new(*ret_g, TASK_RENEW);
	(*ret_g)->shown_step = ACME_STEP_COUNT;
	task_begin((*ret_g)->task);
	return (*ret_g)->task;
}

/* Of a flow for a.example.com and b.example.com; shown: the step before. */
static const struct moved {
	enum acme_step shown, step;
	size_t at;
	bool valid[2], answered[2], looked_up;
	const char *account;
	const char *lines;
} moves[] = {
	{ .step = ACME_STEP_directory, .lines = "directory: Reach ca.test\n" },
	{ .step = ACME_STEP_account,
	        .shown = ACME_STEP_account,
	        .account = "u",
	        .lines = "account: Find or make the account\n" },
	{ .step = ACME_STEP_order, .lines = "order: Order the certificate\n" },
	{ .step = ACME_STEP_order,
	        .account = "u",
	        .lines = "account: Account, reused\norder: Order the certificate\n" },
	{ .step = ACME_STEP_order,
	        .shown = ACME_STEP_account,
	        .account = "u",
	        .looked_up = true,
	        .lines = "account: Account, new\norder: Order the certificate\n" },
	{ .step = ACME_STEP_order,
	        .shown = ACME_STEP_order,
	        .account = "u",
	        .lines = "order: Order the certificate\n" },
	{ .step = ACME_STEP_authz,
	        .account = "u",
	        .lines = "answer: Prove control of a.example.com\n" },
	{ .step = ACME_STEP_authz, .at = 1, .lines = "answer: Prove control of b.example.com\n" },
	{ .step = ACME_STEP_answer, .at = 1, .lines = "answer: Prove control of b.example.com\n" },
	{ .step = ACME_STEP_await, .at = 1, .lines = "answer: Prove control of a.example.com\n" },
	{ .step = ACME_STEP_await,
	        .valid = { true },
	        .lines = "answer: Prove control of b.example.com\n" },
	{ .step = ACME_STEP_await,
	        .valid = { true, true },
	        .lines = "finalize: Hand in the certificate request\n" },
	{ .step = ACME_STEP_finalize,
	        .answered = { true },
	        .lines = "answer: Prove control of b.example.com: proved before\n"
	                 "finalize: Hand in the certificate request\n" },
	{ .step = ACME_STEP_download, .lines = "download: Collect the certificate\n" },
};

static void each_step_has_its_words(void **state)
{
	for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
		const struct moved *m = &moves[i];
		struct flow_name names[] = { { .name = STR("a.example.com") },
			{ .name = STR("b.example.com") } };
		const struct flow f = { .directory_url = STR(CA_DIRECTORY),
			.names = names,
			.name_count = 2,
			.step = m->step,
			.at = m->at,
			.account = str_c(m->account),
			.account_looked_up = m->looked_up };
		const struct next then = { .what = FLOW_GO };
		struct registration *g;
		BUF_AUTO lines = BUF(4096);
		const struct task *t = bare_task(&g);
		for (int n = 0; n < 2; n++) {
			names[n].valid = m->valid[n];
			names[n].answered = m->answered[n];
		}
		if (m->shown)
			g->shown_step = m->shown;
		steps_moved(g, &f, &then);
		assert_int_equal(g->shown_step, m->step);
		buf_add_c(&lines, m->lines);
		buf_add_c(&lines, "RenewLetsEncrypt Executing");
		task_is(t->id, buf_c(&lines));
		world_teardown(state);
		world_setup(state);
	}
}

/* What a wait tells comes through; that the CA is only asked once more does not. */
static void a_poll_hides_nothing(void **state)
{
	(void)state;
	struct flow_name name = { .name = STR("a.example.com") };
	const struct flow f = { .names = &name,
		.name_count = 1,
		.step = ACME_STEP_await,
		.waiting_for = STR("it looks"),
		.note = STR("Another way.") };
	struct next then = { .what = FLOW_GO };
	struct registration *g;
	const struct task *t = bare_task(&g);
	steps_moved(g, &f, &then);
	steps_fetched(g, name.name, STR("192.0.2.1"));
	steps_moved(g, &f, &then);
	then.after = 6 * SECOND;
	steps_moved(g, &f, &then);
	then.after = 0;
	steps_moved(g, &f, &then);
	then.other_type = true;
	err_set(&then.err, ERR_REFUSED, "It failed." ERR_REMEDY "Look.");
	steps_moved(g, &f, &then);
	task_is(t->id, "answer: Prove control of a.example.com\n"
	               "answer: Prove control of a.example.com: token fetched from 192.0.2.1\n"
	               "answer: Prove control of a.example.com: waiting 6.0 s, it looks\n"
	               "answer: Another way. It failed.\n"
	               "RenewLetsEncrypt Executing");
}

static void addresses_have_the_profile_that_they_want(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct acme_profile offered = { .name = STR("shortlived") };
	struct flow_name name = { .name = STR("192.0.2.1") };
	struct flow f = { .names = &name,
		.name_count = 1,
		.step = ACME_STEP_order,
		.directory = { .profiles = &offered, .profile_count = 1 } };
	const struct next then = { .what = FLOW_GO };
	assert_true(str_eq_c(steps_words(&a, &f, &then),
	        "Order the certificate, with the profile shortlived, as addresses want it"));
	f.step = ACME_STEP_finalize;
	assert_true(str_eq_c(steps_words(&a, &f, &then), "Hand in the certificate request"));
	f.step = ACME_STEP_order;
	f.profile = STR("shortlived");
	assert_true(str_eq_c(steps_words(&a, &f, &then), "Order the certificate"));
}

/* Of the events of a task it is the newest. */
static const struct event *newest(const struct task *t)
{
	return &t->events[t->count - 1];
}

static void many_fetches_have_an_end(void **state)
{
	(void)state;
	const struct str name = STR("a.example.com");
	struct registration *g;
	struct task *t = bare_task(&g);
	const char *const longest =
	        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
	BUF_AUTO client = BUF(128);
	buf_add_c(&client, longest);
	buf_add_char(&client, 'f');
	steps_fetched(g, name, buf_str(&client));
	assert_int_equal(t->count, 0);
	for (int i = 0; i < 12; i++)
		steps_fetched(g, name, str_c(longest));
	buf_clear(&client);
	buf_printf(&client, "Prove control of a.example.com: token fetched from %s (9 times)",
	        longest);
	assert_true(str_eq(newest(t)->text, buf_str(&client)));
	for (int i = 1; i < 20; i++) {
		char one[8];
		snprintf(one, sizeof one, "%d", i);
		steps_fetched(g, name, str_c(one));
	}
	assert_true(str_starts(newest(t)->text,
	        STR("Prove control of a.example.com: token fetched from 16 places: 0123")));
	assert_true(str_ends(newest(t)->text, STR(" (9 times), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "
	                                          "12, 13, 14, 15")));
	steps_fetched(g, STR("b.example.com"), STR("1"));
	assert_true(
	        str_eq_c(newest(t)->text, "Prove control of b.example.com: token fetched from 1"));
}

static void where_it_is_bound(void **state)
{
	(void)state;
	static const struct {
		struct str host;
		const char *text;
	} rows[] = {
		{ STR_INIT("127.0.0.1"), "Bind 127.0.0.1:8443" },
		{ STR_INIT("::1"), "Bind [::1]:8443" },
		{ STR_INIT("[::1]"), "Bind [::1]:8443" },
		{ STR_INIT(""), "Bind 0.0.0.0:443, [::]:443" },
	};
	const struct config none = { 0 };
	struct registration *g;
	struct task *t = bare_task(&g);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		g->listen = (struct address){ .host = rows[i].host, .port = 8443 };
		steps_bind(g);
		assert_true(str_eq_c(newest(t)->text, rows[i].text));
	}
	const struct config *was = world.renewals->config;
	world.renewals->config = &none;
	steps_bind(g);
	world.renewals->config = was;
	assert_true(str_eq_c(newest(t)->text, "Bind the certificate"));
}

/* What the page makes of events, one a second: "SEQ MS+TOOK STATE TEXT" of each step. */
static const struct {
	enum task_state state;
	struct {
		const char *step, *subject, *text;
	} events[8];
	const char *steps;
} rounds[] = {
	{ TASK_EXECUTING,
	        { { "order", "", "Order" }, { "answer", "a", "A" }, { "answer", "b", "B" },
	                { "answer", "a", "A, better" }, { "finalize", "", "Finalize" } },
	        "0 0+1000 Success Order\n3 1000+3000 Success A, better\n2 2000+2000 Success B\n"
	        "4 4000+-1 Executing Finalize\n" },
	{ TASK_FAILED,
	        { { "order", "", "Order" }, { "order", "", "Order, better" },
	                { "again", "", "Again" }, { "order", "", "Order" },
	                { "again", "", "And again" }, { "order", "", "Order" },
	                { "order", "", "Order at last" }, { "end", "", "It failed" } },
	        "1 0+2000 Success Order, better\n2 2000+1000 Success Again\n"
	        "3 3000+1000 Success Order\n4 4000+1000 Success And again\n"
	        "6 5000+2000 Failed Order at last\n" },
	{ TASK_CANCELED, { { "end", "", "Given up" } }, "0 0+-1 Canceled Given up\n" },
};

static void steps_of(const struct task *t, struct buf *out)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO text = BUF(64 << 10);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	task_write_steps(world.renewals, str_c(t->id), "steps", &w);
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&text), "Steps", &err);
	const struct json *all = json_array(json, "steps");
	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *s = json_at(all, i);
		int64_t seq = -1, ms = -1, took = -1;
		json_int(s, "seq", &seq);
		json_int(s, "ms", &ms);
		json_int(s, "took", &took);
		buf_printf(out, "%lld %lld+%lld %.*s %.*s\n", (long long)seq, (long long)ms,
		        (long long)took, STR_ARG(json_text(s, "state")),
		        STR_ARG(json_text(s, "text")));
	}
}

static void what_tells_of_the_same_is_one_step(void **state)
{
	for (size_t i = 0; i < sizeof rounds / sizeof *rounds; i++) {
		struct registration *g;
		BUF_AUTO steps = BUF(4096);
		struct task *t = bare_task(&g);
		for (size_t n = 0; n < 8 && rounds[i].events[n].step; n++) {
			task_step_about(t, rounds[i].events[n].step,
			        str_c(rounds[i].events[n].subject),
			        str_c(rounds[i].events[n].text));
			run_for(place, SECOND);
		}
		t->state = rounds[i].state;
		steps_of(t, &steps);
		assert_string_equal(buf_c(&steps), rounds[i].steps);
		world_teardown(state);
		world_setup(state);
	}
}

static void without_an_error_none_is_told(void **state)
{
	(void)state;
	struct json_writer w;
	BUF_AUTO text = BUF(256);
	const struct task_view t = { 0 };
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	task_write_error(&t, "error", &w);
	json_write_end(&w);
	assert_string_equal(buf_c(&text), "{\"error\":null}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_status_of_one_that_is_well),
		WORLD_TEST(the_status_of_one_that_failed),
		WORLD_TEST(the_status_of_one_that_is_under_way),
		WORLD_TEST(what_the_ca_suggests_is_told_and_kept),
		WORLD_TEST(its_records),
		WORLD_TEST(steps_in_parts),
		WORLD_TEST(a_key_is_exported_by_its_kind),
		WORLD_TEST(an_error_has_its_parts_and_is_read_back),
		WORLD_TEST(all_are_counted),
		WORLD_TEST(those_that_wait_are_counted),
		WORLD_TEST(what_nobody_asks_for_any_more_is_replaced),
		WORLD_TEST(what_another_is_served_for_is_replaced),
		WORLD_TEST(a_wait_is_told_in_seconds),
		WORLD_TEST(each_step_has_its_words),
		WORLD_TEST(a_poll_hides_nothing),
		WORLD_TEST(addresses_have_the_profile_that_they_want),
		WORLD_TEST(many_fetches_have_an_end),
		WORLD_TEST(where_it_is_bound),
		WORLD_TEST(what_tells_of_the_same_is_one_step),
		WORLD_TEST(without_an_error_none_is_told),
	};
	return cmocka_run_group_tests_name("renew_told", tests, NULL, NULL);
}
