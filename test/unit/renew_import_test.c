/* Certificates that people bring: stored all or none, served at once and after a start, never
 * renewed by us. */
#include "keys/keys.h"
#include "renew/import.h"
#include "renew_world.h"

#define EARLY (5 * MINUTE) /* how far a certificate's beginning may be ahead of our clock */

/* A certificate with its key, for up to three names, as a file has them. */
struct brought {
	char name[64]; /* that it is brought for */
	struct buf pem;
};

static void sign_with(struct brought *b, const char *name, const char *const covers[3],
        int64_t begins, int64_t ends, enum key_type type)
{
	struct err err = ERR_INIT;
	struct str names[3];
	size_t count = 0;
	KEY_AUTO *key = key_new(type, &err);
	const char *kind = key_type_is_rsa(type) ? "RSA" : "EC";
	BUF_AUTO der = BUF(8192);
	SECRET_AUTO secret = key_to_der(key);
	while (count < 3 && covers[count]) {
		names[count] = str_c(covers[count]);
		count++;
	}
	assert_true(key_self_signed(key, names, count, begins, ends, &der, &err));
	snprintf(b->name, sizeof b->name, "%s", name);
	b->pem = BUF(16 << 10);
	cert_to_pem(buf_str(&der), &b->pem);
	buf_printf(&b->pem, "-----BEGIN %s PRIVATE KEY-----\n", kind);
	buf_add_base64(&b->pem, secret_bytes(&secret));
	buf_printf(&b->pem, "\n-----END %s PRIVATE KEY-----\n", kind);
}

static void sign(struct brought *b, const char *name, const char *const covers[3], int64_t begins,
        int64_t ends)
{
	sign_with(b, name, covers, begins, ends, KEY_P256);
}

static void sign_for(struct brought *b, const char *name)
{
	const int64_t now = loop_wall(place->loop);
	sign(b, name, (const char *const[3]){ name }, now - DAY, now + 90 * DAY);
}

struct bringing {
	struct import import;
	bool told;
	struct err err;
};

static void told(struct import *i, const struct err *err)
{
	struct bringing *b = OWNER(i, struct bringing, import);
	assert_false(b->told);
	b->told = true;
	b->err = err ? *err : (struct err)ERR_INIT;
}

static void bring(struct bringing *b, const struct brought *what, size_t count)
{
	struct import_want wants[4];
	*b = (struct bringing){ 0 };
	for (size_t i = 0; i < count; i++)
		wants[i] = (struct import_want){ str_c(what[i].name), buf_str(&what[i].pem) };
	import_start(world.renewals, &b->import, wants, count, told);
	assert_false(b->told);
}

static void is_taken(struct brought *what)
{
	struct bringing b;
	bring(&b, what, 1);
	turn_until(place, b.told);
	assert_string_equal(b.err.text, "");
	import_abort(&b.import); /* too late */
	buf_done(&what->pem);
}

static void is_refused(struct brought *what, const char *sentence)
{
	struct bringing b;
	bring(&b, what, 1);
	turn_until(place, b.told);
	assert_string_equal(b.err.text, sentence);
	buf_done(&what->pem);
}

static const char *shown_for(const char *name)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (!strcmp(world.shown[i].name, name))
			return buf_c(&world.shown[i].pem);
	return NULL;
}

static void restart(void)
{
	world_kill();
	for (size_t i = 0; i < INSTALLED; i++) {
		buf_done(&world.shown[i].pem);
		buf_done(&world.shown[i].before);
	}
	memset(world.shown, 0, sizeof world.shown);
	world_start(NULL);
}

/* The row of certificates[] for what was imported for that name, or NULL. */
static const struct json *listed(struct json **json, const char *id)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	char name[80];
	const int n = snprintf(name, sizeof name, "%s-imported", id);
	const struct str wanted = str_n(name, (size_t)n);
	BUF_AUTO text = BUF(64 << 10);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	renew_status(world.renewals, &w);
	json_write_end(&w);
	*json = json_parse(buf_str(&text), "The status", &err);
	const struct json *rows = json_array(*json, "certificates");
	for (size_t i = 0; i < json_count(rows); i++)
		if (str_eq(json_text(json_at(rows, i), "id"), wanted))
			return json_at(rows, i);
	return NULL;
}

static void listed_as(const char *id, const char *state, const char *lamp, int64_t not_after)
{
	JSON_AUTO *json = NULL;
	BUF_AUTO names = BUF(1024);
	char until[CLOCK_TEXT];
	const struct json *row = listed(&json, id);
	assert_non_null(row);
	assert_true(str_eq_c(json_text(row, "state"), state));
	assert_true(str_eq_c(json_text(row, "not_after"), clock_rfc3339(not_after, until)));
	json_print(json_member(row, "names"), &names);
	assert_string_equal(buf_c(&names), "[\"shop.example.com\",\"www.example.com\"]");
	assert_true(json_text(row, "issuer").n);
	assert_true(json_member_is_null(row, "next_renewal"));
	assert_true(json_member_is_null(row, "served"));
	assert_true(json_member_is_null(row, "last_error"));
	assert_true(str_eq_c(json_text(row, "lamp"), lamp));
	assert_true(str_eq_c(json_text(row, "reason"),
	        !strcmp(lamp, "ok") ? "it was imported: whoever issued it renews it"
	                            : "it was imported and is not renewed: import the next one, or "
	                              "register the name"));
}

static void it_is_served_at_once_and_after_a_start(void **state)
{
	(void)state;
	struct brought b;
	BUF_AUTO shown = BUF(16 << 10), value = BUF(4096);
	world_start(BASE);
	const int64_t now = loop_wall(place->loop), ends = now + 90 * DAY;
	sign(&b, "Shop.example.com",
	        (const char *const[3]){ "shop.example.com", "www.example.com" }, now - DAY, ends);
	is_taken(&b);
	assert_int_equal(world.installs, 1);
	assert_non_null(shown_for("shop.example.com"));
	buf_add_c(&shown, shown_for("shop.example.com"));
	for (int i = 0; i < 2; i++) {
		assert_string_equal(shown_for("shop.example.com"), buf_c(&shown));
		assert_string_equal(shown_for("www.example.com"), buf_c(&shown));
		listed_as("shop.example.com", "imported", "ok", ends);
		restart();
	}
	record_value(place, "imported", "shop.example.com", &value);
	static const char *const members[] = {
		"\"names\":[\"shop.example.com\",\"www.example.com\"]", "\"serial\":\"",
		"\"not_before\":\"2026-12-31T00:00:00Z\"", "\"since\":\"2027-01-01T00:00:0",
		"\"not_after\":\"2027-04-01T00:00:00Z\"", "\"thumbprint\":\""
	};
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (!strstr(buf_c(&value), members[i]))
			fail_msg("no %s in %s", members[i], buf_c(&value));
	run_to(place, ends - 21 * DAY - 1);
	listed_as("shop.example.com", "imported", "ok", ends);
	assert_int_equal(logged_count("The imported certificate for shop.example.com expires "), 0);
	run_to(place, ends - 21 * DAY);
	listed_as("shop.example.com", "imported", "warning", ends);
	run_to(place, ends - 1);
	listed_as("shop.example.com", "imported", "problem", ends);
	run_to(place, ends);
	listed_as("shop.example.com", "expired", "problem", ends);
	run_for(place, 3 * DAY);
	assert_int_equal(
	        logged_count("The imported certificate for shop.example.com expires "), 21);
	assert_int_equal(place->ca.requests, 0); /* nobody renewed it */
}

static void it_takes_the_place_of_one_brought_before(void **state)
{
	(void)state;
	struct brought b;
	BUF_AUTO first = BUF(16 << 10), second = BUF(16 << 10);
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	buf_add_c(&first, shown_for("shop.example.com"));
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	buf_add_c(&second, shown_for("shop.example.com"));
	assert_string_not_equal(buf_c(&first), buf_c(&second));
	restart();
	assert_string_equal(shown_for("shop.example.com"), buf_c(&second));
	assert_int_equal(record_version(place, "imported", "shop.example.com"), 2);
}

struct at_a_glance {
	struct renew_view_each each;
	unsigned count;
	struct renew_view v;
};

static void view(struct renew_view_each *e, const struct renew_view *v)
{
	struct at_a_glance *a = OWNER(e, struct at_a_glance, each);
	a->count++;
	a->v = *v;
}

static bool export_shop(bool with_key, struct buf *ret_pem, struct err *err)
{
	const struct renew_export_want want = { .name = STR("shop.example.com"),
		.with_key = with_key };
	return renew_export(world.renewals, &want, ret_pem, err);
}

/* As any other certificate, found by each way to type its name. */
static void one_at_a_glance(void **state)
{
	(void)state;
	struct brought b;
	struct at_a_glance a = { .each.view = view };
	struct renew_view v;
	struct err err = ERR_INIT;
	BUF_AUTO pem = BUF(16 << 10), secret = BUF_SECRET(16 << 10);
	world_start(BASE);
	assert_false(renew_find(world.renewals, STR("shop.example.com"), &v));
	const int64_t now = loop_wall(place->loop) / SECOND * SECOND;
	sign(&b, "shop.example.com", (const char *const[3]){ "shop.example.com" }, now - DAY,
	        now + 90 * DAY);
	is_taken(&b);
	renew_each(world.renewals, &a.each);
	assert_int_equal(a.count, 1);
	assert_true(str_eq_c(a.v.id, "shop.example.com-imported"));
	assert_true(renew_find(world.renewals, STR("SHOP.example.com."), &v));
	assert_true(renew_find(world.renewals, STR("shop.example.com-imported"), &v));
	assert_int_equal(v.name_count, 1);
	assert_true(str_eq_c(v.names[0], "shop.example.com"));
	assert_true(v.issuer.n && str_eq(v.issuer, v.issued_by));
	assert_int_equal(v.lamp, LAMP_OK);
	assert_string_equal(v.state, "imported");
	assert_true(v.held && !v.renewed && !v.in_file && !v.in_store && !v.error);
	assert_int_equal(v.created / SECOND, now / SECOND);
	assert_int_equal(v.not_before, now - DAY);
	assert_int_equal(v.not_after, now + 90 * DAY);
	assert_int_equal(v.next_renewal, 0);
	assert_int_equal(v.why.n, 0);
	assert_int_equal(v.thumbprint.n, 40);
	assert_true(v.serial.n > 0);
	struct wish w;
	wish_renew(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "The certificate for shop.example.com was imported: whoever issued it renews and "
	        "revokes it. Import the one that follows it, or register the name.");
	assert_true(export_shop(false, &pem, &err));
	assert_string_equal(buf_c(&pem), shown_for("shop.example.com"));
	assert_true(export_shop(true, &secret, &err));
	assert_true(str_starts(buf_str(&secret), STR("-----BEGIN EC PRIVATE KEY-----\n")));
	assert_true(str_ends(buf_str(&secret), buf_str(&pem)));
}

/* One that took its place is meant before it, and nobody is warned of it any more. */
static void one_that_another_took_the_place_of(void **state)
{
	(void)state;
	struct brought b;
	struct wish w;
	struct at_a_glance a = { .each.view = view };
	struct renew_view v;
	world_start(BASE);
	const int64_t now = loop_wall(place->loop);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	run_to(place, now + 80 * DAY);
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_string_equal(v.reason, "it was imported and is not renewed: import the next one, or "
	                              "register the name");
	assert_true(str_eq_c(v.why,
	        "The certificate was imported and ends soon, and Everseal does not renew it. "
	        "Import the next one, or register the name."));
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_true(str_eq_c(v.id, w.id));
	assert_true(renew_find(world.renewals, STR("shop.example.com-imported"), &v));
	assert_string_equal(v.state, "retired");
	assert_string_equal(v.reason, "another certificate took its place; it is only kept");
	assert_false(v.held);
	assert_int_equal(v.why.n, 0);
	renew_each(world.renewals, &a.each);
	assert_int_equal(a.count, 2);
	const unsigned before =
	        logged_count("The imported certificate for shop.example.com expires ");
	run_for(place, 3 * DAY);
	assert_int_equal(
	        logged_count("The imported certificate for shop.example.com expires "), before);
	assert_true(before > 0);
	wish_disable(&w, "shop.example.com", false); /* it is the newer one all the same */
	wish_wait(&w);
	assert_string_equal(said("shop.example.com-imported", "state"), "\"retired\"");
}

/* What stands behind the leaf goes to visitors, too. */
static void its_chain_is_served_after_a_start(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct str name = STR("shop.example.com");
	BUF_AUTO der = BUF(8192), blob = BUF(32 << 10);
	world_start(BASE);
	KEY_AUTO *key = key_new(KEY_P256, &err);
	SECRET_AUTO secret = key_to_der(key);
	assert_true(key_self_signed(key, &name, 1, 0, 4 * 365 * DAY, &der, &err));
	const struct str chain[] = { buf_str(&der), buf_str(&der), buf_str(&der) };
	held_blob(&blob, chain, 3);
	seal(place->master, (struct seal_for){ STR("imported"), name, 1 }, &secret, &blob);
	record_put(place, "imported", "shop.example.com", STR("{\"names\":[]}"), buf_str(&blob));
	world.chain = 2;
	restart();
	assert_int_equal(world.installs, 1);
	assert_non_null(shown_for("shop.example.com"));
}

static void a_wildcard_needs_no_proof(void **state)
{
	(void)state;
	struct brought b;
	world_start(BASE);
	sign_for(&b, "*.example.com");
	is_taken(&b);
	assert_non_null(shown_for("*.example.com"));
	assert_int_equal(record_version(place, "imported", "*.example.com"), 1);
}

/* What was registered keeps its names, whatever else is brought. */
static void a_name_that_is_registered_is_left_to_its_own(void **state)
{
	(void)state;
	struct wish w;
	struct brought b;
	BUF_AUTO before = BUF(16 << 10);
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	buf_add_c(&before, shown_for("shop.example.com"));
	sign_for(&b, "shop.example.com");
	is_refused(&b, "shop.example.com cannot be imported: Everseal renews the certificate for "
	               "shop.example.com itself. Disable that first: everseal lets-encrypt disable "
	               "shop.example.com.");
	const int64_t now = loop_wall(place->loop);
	sign(&b, "www.example.com",
	        (const char *const[3]){ "www.example.com", "shop.example.com", "a.example.com" },
	        now - DAY, now + DAY);
	is_taken(&b);
	assert_string_equal(shown_for("shop.example.com"), buf_c(&before));
	assert_string_equal(shown_for("a.example.com"), shown_for("www.example.com"));
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	assert_string_not_equal(shown_for("shop.example.com"), buf_c(&before));
}

static const struct {
	const char *name, *covers;
	int64_t begins, ends; /* from now on */
	const char *sentence; /* NULL: it is taken */
} dates[] = {
	{ "shop.example.com", "www.example.com", -DAY, DAY,
	        "shop.example.com cannot be imported: The certificate is not for shop.example.com, "
	        "but for www.example.com. Import one that is for that name." },
	{ "shop.example.com", "shop.example.com", -DAY, 0,
	        "shop.example.com cannot be imported: The certificate has expired on "
	        "2027-01-01T00:00:00Z. Import the one that follows it." },
	{ "shop.example.com", "shop.example.com", -DAY, SECOND, NULL },
	{ "intranet", "intranet", -DAY, DAY, NULL },
	{ "shop.example.com", "shop.example.com", EARLY, DAY, NULL },
	{ "shop.example.com", "shop.example.com", EARLY + SECOND, DAY,
	        "shop.example.com cannot be imported: The certificate is not valid before "
	        "2027-01-01T00:05:01Z. Import it then, or check this machine's clock." },
	{ "my_shop.example.com", "my_shop.example.com", -DAY, DAY,
	        "A name with an underscore gets no certificate: CAs issue for letters, digits and "
	        "hyphens only." },
};

static void what_does_not_fit_is_refused(void **state)
{
	for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
		struct brought b;
		world_start(BASE);
		const int64_t now = loop_wall(place->loop);
		sign(&b, dates[i].name, (const char *const[3]){ dates[i].covers },
		        now + dates[i].begins, now + dates[i].ends);
		if (dates[i].sentence)
			is_refused(&b, dates[i].sentence);
		else
			is_taken(&b);
		assert_int_equal(world.installs, !dates[i].sentence);
		world_teardown(state);
		world_setup(state);
	}
}

static void a_key_that_is_missing_or_of_another_is_refused(void **state)
{
	(void)state;
	struct brought b, other;
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	sign_for(&other, "shop.example.com");
	b.pem.n = (size_t)(strstr(buf_c(&b.pem), "-----BEGIN EC") - b.pem.p);
	struct brought crossed = { .name = "shop.example.com", .pem = BUF(32 << 10) };
	buf_add_buf(&crossed.pem, &b.pem);
	buf_add_c(&crossed.pem, strstr(buf_c(&other.pem), "-----BEGIN EC"));
	buf_done(&other.pem);
	is_refused(&b, "shop.example.com cannot be imported: There is no private key in it "
	               "(-----BEGIN PRIVATE KEY-----). Put certificate, chain and key into one "
	               "file, in this order.");
	struct bringing way;
	bring(&way, &crossed, 1);
	turn_until(place, way.told);
	assert_int_equal(way.err.code, ERR_INPUT);
	buf_done(&crossed.pem);
	assert_int_equal(world.installs, 0);
}

static void all_are_taken_or_none(void **state)
{
	(void)state;
	struct brought b[3];
	struct bringing way;
	world_start(BASE);
	sign_for(&b[0], "a.example.com");
	sign_for(&b[1], "b.example.com");
	sign_for(&b[2], "c.example.com");
	snprintf(b[1].name, sizeof b[1].name, "other.example.com");
	bring(&way, b, 3);
	turn_until(place, way.told);
	assert_string_equal(way.err.text,
	        "other.example.com cannot be imported: The certificate is not for "
	        "other.example.com, but for b.example.com. Import one that is for that name.");
	assert_int_equal(diary_count(place, "put imported"), 0);
	assert_int_equal(world.installs, 0);
	store_full(place, true);
	snprintf(b[1].name, sizeof b[1].name, "b.example.com");
	bring(&way, b, 3);
	turn_until(place, way.told);
	store_full(place, false);
	assert_int_equal(way.err.code, ERR_IO);
	assert_int_equal(world.installs, 0);
	bring(&way, b, 3);
	turn_until(place, way.told);
	assert_string_equal(way.err.text, "");
	assert_int_equal(diary_count(place, "put imported"), 3);
	assert_int_equal(world.installs, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_non_null(shown_for(b[i].name));
		buf_done(&b[i].pem);
	}
}

/* Killed while it is being stored, and at each record that is. */
static void killed_meanwhile_all_are_there_or_none(void **state)
{
	(void)state;
	struct brought b[3];
	world_start(BASE);
	sign_for(&b[0], "a.example.com");
	sign_for(&b[1], "b.example.com");
	sign_for(&b[2], "c.example.com");
	for (unsigned at = 0; at <= 3; at++) {
		struct bringing way;
		place->kill_at = at ? place->changes + at : 0;
		bring(&way, b, 3);
		turn_until(place, !at || place->ca.stopped);
		import_abort(&way.import);
		place->kill_at = 0;
		restart();
		const bool there = shown_for(b[0].name);
		assert_true(there || !at);
		for (size_t i = 1; i < 3; i++)
			assert_int_equal(shown_for(b[i].name) != NULL, there);
	}
	for (size_t i = 0; i < 3; i++)
		buf_done(&b[i].pem);
}

static void who_asked_may_go_away(void **state)
{
	(void)state;
	struct brought b;
	struct bringing good, bad;
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	bring(&good, &b, 1);
	import_abort(&good.import);
	import_abort(&good.import);
	snprintf(b.name, sizeof b.name, "other.example.com");
	bring(&bad, &b, 1);
	import_abort(&bad.import);
	run_for(place, SECOND);
	assert_false(good.told || bad.told);
	buf_done(&b.pem);
}

/* One that is damaged is said, and takes no other along. */
static void a_damaged_record_stops_no_other(void **state)
{
	(void)state;
	static const char *const values[] = { "[", "{}", "{}" };
	static const char *const blobs[] = { "", "", "\0\0\0\1\0\0\0\1xyz" };
	static const size_t sizes[] = { 0, 0, 11 };
	struct brought b;
	world_start(BASE);
	sign_for(&b, "b.example.com");
	is_taken(&b);
	for (size_t i = 0; i < 3; i++) {
		record_put(place, "imported", "a.example.com", str_c(values[i]),
		        str_n(blobs[i], sizes[i]));
		restart();
		assert_int_equal(world.installs, i + 2);
		assert_null(shown_for("a.example.com"));
		assert_non_null(shown_for("b.example.com"));
		assert_int_equal(logged_count("The imported certificate for a.example.com cannot "
		                              "be served: "),
		        i + 1);
		JSON_AUTO *json = NULL;
		assert_int_equal(listed(&json, "a.example.com") != NULL, i > 0);
	}
}

static void note_revoked(struct str thumbprint)
{
	BUF_AUTO value = BUF(1024);
	buf_printf(&value, "{\"thumbprint\":\"%.*s\",\"at\":\"2027-01-01T12:00:00Z\"}",
	        STR_ARG(thumbprint));
	record_put(place, "revoked", "shop.example.com-imported", buf_str(&value), STR_NONE);
	restart();
}

/* And no other for the same name. */
static void one_that_was_revoked_stays_revoked(void **state)
{
	(void)state;
	struct brought b;
	const struct str name = STR("shop.example.com");
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	note_revoked(STR("0123456789abcdef0123456789abcdef01234567"));
	assert_string_equal(said("shop.example.com-imported", "revoked"), "null");
	note_revoked(imported_view(imported_find(world.renewals, name)).thumbprint);
	assert_string_equal(
	        said("shop.example.com-imported", "revoked"), "\"2027-01-01T12:00:00Z\"");
	assert_string_equal(said("shop.example.com-imported", "state"), "\"revoked\"");
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	assert_string_equal(said("shop.example.com-imported", "revoked"), "null");
	restart();
	assert_string_equal(said("shop.example.com-imported", "revoked"), "null");
}

static bool has_certificate(void)
{
	const struct registration *g = registration_find(world.renewals, STR("shop.example.com"));
	return g && g->held.is && g->served_at && !g->attempting;
}

/* One with an RSA key beside the one that we renew, for that name alone; a later registration with
 * an RSA key takes its place. */
static void one_with_another_key_stands_beside(void **state)
{
	(void)state;
	struct brought b;
	struct wish w;
	const int64_t now = loop_wall(place->loop);
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	turn_until(place, has_certificate());
	sign_for(&b, "shop.example.com");
	is_refused(&b, "shop.example.com cannot be imported: Everseal renews the certificate for "
	               "shop.example.com itself. Disable that first: everseal lets-encrypt "
	               "disable shop.example.com.");
	sign_with(&b, "shop.example.com",
	        (const char *const[3]){ "shop.example.com", "old.example.com", "www.example.com" },
	        now - DAY, now + 300 * DAY, KEY_RSA2048);
	is_taken(&b);
	for (int again = 0; again < 3; again++) {
		assert_string_equal(shown_keys("shop.example.com"), "P-256, RSA 2048");
		assert_string_equal(shown_keys("www.example.com"), "P-256");
		assert_string_equal(shown_keys("old.example.com"), "RSA 2048");
		assert_string_equal(said("shop.example.com-imported", "state"), "\"imported\"");
		assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
		if (again == 1)
			run_for(place, 70 * DAY); /* renewed */
		if (again)
			continue;
		world_kill();
		world_start(NULL);
		turn_until(place, has_certificate());
	}
	assert_int_equal(place->ca.order_count, 2);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .key_type = STR("rsa2048") });
	wish_wait(&w);
	turn_until(place, !strcmp(shown_keys("www.example.com"), "P-256, RSA 2048"));
	assert_string_equal(shown_keys("shop.example.com"), "P-256, RSA 2048");
	assert_string_equal(said("shop.example.com-imported", "state"), "\"retired\"");
}

static void it_is_not_exported_by_a_type_of_key(void **state)
{
	(void)state;
	struct brought b;
	struct err err = ERR_INIT;
	BUF_AUTO pem = BUF_SECRET(64 << 10);
	const struct renew_export_want want = { .name = STR("shop.example.com"),
		.key_type = STR("p256") };
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	assert_false(renew_export(world.renewals, &want, &pem, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_true(str_starts(str_c(err.text),
	        STR("There is no certificate for shop.example.com with a key of the type p256. ")));
	assert_int_equal(pem.n, 0);
}

static struct buf changes; /* ids, one a line */

static void told_registration(struct renewals_watch *w, struct str id)
{
	(void)w;
	buf_printf(&changes, "%.*s\n", STR_ARG(id));
}

static void told_task(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
}

static void who_watches_is_told(void **state)
{
	(void)state;
	struct brought b;
	struct renewals_watch watch = { .registration = told_registration, .task = told_task };
	changes = BUF(4096);
	world_start(BASE);
	run_until_idle();
	renewals_watch(world.renewals, &watch);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	assert_string_equal(buf_c(&changes), "shop.example.com-imported\n");
	renewals_unwatch(&watch);
	buf_done(&changes);
}

/* How many certificates that installs. */
static unsigned installed_again(const char *name)
{
	const unsigned before = world.installs;
	renewals_install(world.renewals, str_c(name));
	return world.installs - before;
}

static void what_counts_is_installed_again(void **state)
{
	(void)state;
	struct brought b;
	struct wish w;
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	assert_int_equal(installed_again("shop.example.com"), 0);
	sign_with(&b, "shop.example.com", (const char *const[3]){ "shop.example.com" }, now - DAY,
	        now + 300 * DAY, KEY_RSA2048);
	is_taken(&b);
	assert_int_equal(installed_again("shop.example.com"), 1);
	assert_string_equal(shown_keys("shop.example.com"), "RSA 2048");
	struct err err = ERR_INIT;
	BUF_AUTO secret = BUF_SECRET(16 << 10);
	assert_true(export_shop(true, &secret, &err));
	assert_true(str_starts(buf_str(&secret), STR("-----BEGIN RSA PRIVATE KEY-----\n")));
	run_for(place, MINUTE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_int_equal(installed_again("shop.example.com"), 1); /* as long as there is no other */
	assert_string_equal(shown_keys("shop.example.com"), "RSA 2048");
	run_until_idle();
	const char *both = shown_keys("shop.example.com");
	assert_true(str_starts(str_c(both), STR("P-256")));
	assert_true(installed_again("shop.example.com") > 0);
	assert_string_equal(shown_keys("shop.example.com"), both);
	assert_int_equal(installed_again("nobody.example.com"), 0);
}

/* ---- removed ---- */

struct going {
	struct renew_request request;
	bool told, existing;
	struct err err;
	char id[80], after[600];
};

static void gone(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct going *g = OWNER(q, struct going, request);
	assert_false(g->told);
	assert_int_equal(task.n, 0);
	g->told = true;
	g->existing = existing;
	if (err)
		g->err = *err;
	snprintf(g->id, sizeof g->id, "%.*s", STR_ARG(id));
	snprintf(g->after, sizeof g->after, "%s", q->after);
}

static void ask_to_go(struct going *g, const char *name, bool despite_hsts)
{
	*g = (struct going){ 0 };
	import_remove(world.renewals, &g->request, str_c(name), despite_hsts, gone);
	assert_false(g->told);
}

static const char *go(const char *name, bool despite_hsts)
{
	static struct going g;
	ask_to_go(&g, name, despite_hsts);
	turn_until(place, g.told);
	run_until_idle();
	return g.err.code ? g.err.text : g.after;
}

#define NOTHING_LEFT                                                                               \
	"No other certificate for shop.example.com is left: visitors get its site's temporary "    \
	"one, which browsers refuse, unless a wildcard's serves it. Register the name, or "        \
	"import another one."

static void one_that_is_removed_is_gone_with_its_key(void **state)
{
	(void)state;
	struct brought b;
	struct renewals_watch watch = { .registration = told_registration, .task = told_task };
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	assert_true(str_starts(str_c(go("shop.example.com", false)),
	        STR("There is no certificate for shop.example.com")));
	sign(&b, "shop.example.com",
	        (const char *const[3]){ "shop.example.com", "www.example.com" }, now - DAY,
	        now + 90 * DAY);
	is_taken(&b);
	note_revoked(
	        imported_view(imported_find(world.renewals, STR("shop.example.com"))).thumbprint);
	changes = BUF(4096);
	renewals_watch(world.renewals, &watch);
	assert_string_equal(go("SHOP.example.com", false), NOTHING_LEFT);
	assert_string_equal(buf_c(&changes), "shop.example.com-imported\n");
	renewals_unwatch(&watch);
	buf_done(&changes);
	for (int i = 0; i < 2; i++) {
		JSON_AUTO *json = NULL;
		assert_null(shown_for("shop.example.com"));
		assert_null(shown_for("www.example.com"));
		assert_null(listed(&json, "shop.example.com"));
		assert_int_equal(record_version(place, "imported", "shop.example.com"), 0);
		assert_int_equal(record_version(place, "revoked", "shop.example.com-imported"), 0);
		restart();
	}
	assert_true(world.changes > 0); /* its site has its temporary one again */
}

static void shows(const char *name, const char *pem)
{
	assert_non_null(shown_for(name));
	assert_string_equal(shown_for(name), pem);
}

/* As after a start: what is only kept, else what was brought for another name and has this one. */
static void what_is_left_is_served(void **state)
{
	(void)state;
	struct brought b;
	struct wish w;
	BUF_AUTO issued = BUF(16 << 10), other = BUF(16 << 10);
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	buf_add_c(&issued, shown_for("shop.example.com"));
	assert_true(str_starts(str_c(go("shop.example.com", false)),
	        STR("The certificate for shop.example.com was not imported: ")));
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	sign(&b, "other.example.com",
	        (const char *const[3]){ "other.example.com", "www.example.com" }, now - DAY,
	        now + 90 * DAY);
	is_taken(&b);
	buf_add_c(&other, shown_for("other.example.com"));
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	sign_for(&b, "www.example.com");
	is_taken(&b);
	assert_string_not_equal(shown_for("shop.example.com"), buf_c(&issued));
	assert_string_not_equal(shown_for("www.example.com"), buf_c(&other));
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, now);
	const char *said = go("shop.example.com", false);
	assert_true(str_starts(
	        str_c(said), STR("Visitors of shop.example.com get the certificate of ")));
	assert_true(str_starts(str_c(go("www.example.com-imported", false)),
	        STR("Visitors of www.example.com get the certificate of ")));
	for (int i = 0; i < 2; i++) {
		shows("shop.example.com", buf_c(&issued));
		shows("www.example.com", buf_c(&other));
		shows("other.example.com", buf_c(&other));
		restart();
	}
}

/* What is served does not change, nor what another stands beside. */
static void one_that_is_only_kept_goes_unseen(void **state)
{
	(void)state;
	struct brought b;
	struct wish w;
	BUF_AUTO issued = BUF(16 << 10);
	const int64_t now = loop_wall(place->loop);
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	run_for(place, MINUTE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	buf_add_c(&issued, shown_for("shop.example.com"));
	const unsigned before = world.installs;
	go("shop.example.com", false);
	assert_int_equal(world.installs, before);
	shows("shop.example.com", buf_c(&issued));
	JSON_AUTO *json = NULL;
	assert_null(listed(&json, "shop.example.com"));
	sign_with(&b, "shop.example.com",
	        (const char *const[3]){ "shop.example.com", "old.example.com" }, now - DAY,
	        now + 300 * DAY, KEY_RSA2048);
	is_taken(&b);
	assert_string_equal(shown_keys("shop.example.com"), "P-256, RSA 2048");
	go("shop.example.com", false);
	assert_string_equal(shown_keys("shop.example.com"), "P-256");
	assert_null(shown_for("old.example.com"));
	shows("shop.example.com", buf_c(&issued));
}

static void nobody_is_locked_out_unasked(void **state)
{
	(void)state;
	struct brought b;
	struct going first, second;
	world_start(BASE);
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, loop_wall(place->loop));
	assert_string_equal(go("shop.example.com", false),
	        "Browsers may remember until 2027-01-02T00:00:00Z that shop.example.com must be "
	        "reached by HTTPS; without its certificate they let nobody in. Register the name "
	        "or import another one first, or insist with --despite-hsts.");
	assert_non_null(shown_for("shop.example.com"));
	store_full(place, true);
	assert_true(*go("shop.example.com", true));
	store_full(place, false);
	assert_non_null(shown_for("shop.example.com"));
	ask_to_go(&first, "shop.example.com", true);
	ask_to_go(&second, "shop.example.com", true);
	renew_request_abort(&first.request);
	turn_until(place, second.told);
	assert_string_equal(second.err.text, "");
	assert_string_equal(second.id, "shop.example.com-imported");
	assert_true(second.existing);
	assert_false(first.told);
	assert_null(shown_for("shop.example.com"));
	sign_for(&b, "shop.example.com");
	is_taken(&b);
	ask_to_go(&first, "shop.example.com", true);
	world_kill(); /* while it is being stored */
	assert_false(first.told);
	world_start(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(it_is_served_at_once_and_after_a_start),
		WORLD_TEST(it_takes_the_place_of_one_brought_before),
		WORLD_TEST(one_at_a_glance),
		WORLD_TEST(one_that_another_took_the_place_of),
		WORLD_TEST(its_chain_is_served_after_a_start),
		WORLD_TEST(a_wildcard_needs_no_proof),
		WORLD_TEST(a_name_that_is_registered_is_left_to_its_own),
		WORLD_TEST(what_does_not_fit_is_refused),
		WORLD_TEST(a_key_that_is_missing_or_of_another_is_refused),
		WORLD_TEST(all_are_taken_or_none),
		WORLD_TEST(killed_meanwhile_all_are_there_or_none),
		WORLD_TEST(who_asked_may_go_away),
		WORLD_TEST(a_damaged_record_stops_no_other),
		WORLD_TEST(one_that_was_revoked_stays_revoked),
		WORLD_TEST(one_with_another_key_stands_beside),
		WORLD_TEST(it_is_not_exported_by_a_type_of_key),
		WORLD_TEST(who_watches_is_told),
		WORLD_TEST(what_counts_is_installed_again),
		WORLD_TEST(one_that_is_removed_is_gone_with_its_key),
		WORLD_TEST(what_is_left_is_served),
		WORLD_TEST(one_that_is_only_kept_goes_unseen),
		WORLD_TEST(nobody_is_locked_out_unasked),
	};
	return cmocka_run_group_tests_name("renew_import", tests, NULL, NULL);
}
