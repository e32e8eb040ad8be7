/* Sites kept in the store: what may be said of one, and how a change of it comes to stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/kept.h"
#include "store_place.h"

/* ---- reading ---- */

static void names(void **state)
{
	static const struct str typed[] = { STR_INIT(" Shop.Example.com. "),
		STR_INIT("www.example.com"), STR_INIT("shop.example.com"),
		STR_INIT("b\xc3\xbc"
		         "cher.example.com") };
	struct kept_value *v = kept_value_new();
	struct err err = ERR_INIT;
	(void)state;
	assert_true(kept_read_names(v, typed, 4, &err));
	assert_int_equal(v->name_count, 3);
	assert_true(str_eq_c(v->names[0], "shop.example.com"));
	assert_true(str_eq_c(v->names[2], "xn--bcher-kva.example.com"));
	assert_false(kept_read_names(v, typed, 0, &err));
	assert_string_equal(err.text, "Give at least one DNS name.");
	struct str many[101];
	for (size_t i = 0; i < 101; i++)
		many[i] = typed[0];
	assert_false(kept_read_names(v, many, 101, &err));
	assert_non_null(strstr(err.text, "101 names are too many for one site"));
	kept_value_free(&v);
	kept_value_free(&v);
}

static void upstreams(void **state)
{
	static const struct {
		const char *typed, *wrong; /* NULL: it is right */
	} cases[] = {
		{ "127.0.0.1:3000", NULL },
		{ "[2001:db8::1]:80", NULL },
		{ "localhost:3000", NULL },
		{ "10.0.0.5:443", NULL },
		{ "127.0.0.1:443", "is where Everseal itself listens" },
		{ "127.0.0.1:80", "is where Everseal itself listens" },
		{ "[::1]:443", "is where Everseal itself listens" },
		{ "[::ffff:127.0.0.1]:443", "is where Everseal itself listens" },
		{ "169.254.169.254:80", "is a link-local address" },
		{ "[fe80::1]:80", "is a link-local address" },
		{ "[::ffff:169.254.1.1]:80", "is a link-local address" },
		{ "0.0.0.0:3000", "write 127.0.0.1:3000" },
		{ "[::]:3000", "write [::1]:3000" },
		{ "/run/app.sock", "Unix socket" },
		{ "unix:/run/app.sock", "Unix socket" },
		{ "app:3000", NULL },
		{ "http://127.0.0.1:3000/", NULL },
		{ "https://app.example.com", NULL },
		{ "https://127.0.0.1", "is where Everseal itself listens" },
		{ "http://169.254.1.1", "is a link-local address" },
		{ "https://app.example.com/x", "has a path" },
		{ "h2c://app.example.com/x", "has a path" },
		{ "127.0.0.1", "The port is missing" },
		{ "127.0.0.1:0", "The application's address" },
		{ "", "Give the application's address and port" },
	};
	const struct address ours[] = { { .host = STR("0.0.0.0"), .port = 443 },
		{ .host = STR("192.0.2.1"), .port = 80 } };
	const struct kept_listeners listeners = { ours, 2 };
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct kept_value *v = kept_value_new();
		struct err err = ERR_INIT;
		struct str typed = str_c(cases[i].typed);
		bool right = kept_read_upstreams(v, &typed, 1, &listeners, &err);
		if (right != !cases[i].wrong ||
		        (cases[i].wrong && !strstr(err.text, cases[i].wrong)))
			fail_msg("%s: %s", cases[i].typed, right ? "was taken" : err.text);
		kept_value_free(&v);
	}
}

static void hsts(void **state)
{
	static const struct {
		const char *text;
		int64_t age;
		bool subdomains, preload;
		const char *wrong;
	} cases[] = {
		{ "300s", 300, false, false, NULL },
		{ " 1y ", 31536000, false, false, NULL },
		{ "1y include-subdomains preload", 31536000, true, true, NULL },
		{ "off", 0, false, false, NULL },
		{ "1h preload", 0, false, false, "preload list" },
		{ "1y preload", 0, false, false, "preload list" },
		{ "11y", 0, false, false, "HSTS lasts from 1 second to 10 years" },
		{ "300", 0, false, false, "has no unit" },
		{ "", 0, false, false, "is not a time" },
		{ "1y subdomains", 0, false, false, "\"subdomains\" is unknown here" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hsts h = { 0 };
		struct err err = ERR_INIT;
		bool right = kept_parse_hsts(str_c(cases[i].text), &h, &err);
		if (right != !cases[i].wrong ||
		        (cases[i].wrong && !strstr(err.text, cases[i].wrong)))
			fail_msg("%s: %s", cases[i].text, right ? "was taken" : err.text);
		assert_true(h.set == right && h.max_age == cases[i].age &&
		            h.subdomains == cases[i].subdomains && h.preload == cases[i].preload);
	}
}

/* ---- changes ---- */

struct outcome {
	struct kept_change change;
	int ended;
	struct err err;
};

static void ended(struct kept_change *c, const struct err *err)
{
	struct outcome *o = OWNER(c, struct outcome, change);
	o->ended++;
	o->err = err ? *err : (struct err)ERR_INIT;
}

static void wait_for(struct place *p, const struct outcome *o)
{
	for (int i = 0; !o->ended && i < 1000; i++)
		loop_turn(p->loop, 10);
	assert_int_equal(o->ended, 1);
}

static struct kept_value *value(const char *name, bool force_ssl)
{
	static const struct kept_listeners nobody = { 0 };
	struct kept_value *v = kept_value_new();
	struct err err = ERR_INIT;
	struct str text = str_c(name), proxy = STR("127.0.0.1:3000");
	assert_true(kept_read_names(v, &text, 1, &err));
	assert_true(kept_read_upstreams(v, &proxy, 1, &nobody, &err));
	v->force_ssl = v->force_ssl_set = force_ssl;
	v->hsts = (struct hsts){ .set = true, .max_age = 300, .subdomains = true };
	return v;
}

static void begin(struct place *p, struct kept *k)
{
	place_init(p);
	p->store = store_open(p->loop, p->dir, &p->err);
	assert_non_null(p->store);
	assert_true(kept_open(k, p->store, NULL, &p->err));
}

static void again(struct place *p, struct kept *k)
{
	kept_done(k);
	store_close(&p->store);
	p->store = store_open(p->loop, p->dir, &p->err);
	assert_non_null(p->store);
	assert_true(kept_open(k, p->store, NULL, &p->err));
}

static void end(struct place *p, struct kept *k)
{
	kept_done(k);
	store_close(&p->store);
	loop_free(&p->loop);
	run_program("rm", p->top);
}

static void added_changed_removed(void **state)
{
	struct place p;
	struct kept k;
	struct err err = ERR_INIT;
	(void)state;
	begin(&p, &k);
	struct outcome o = { 0 };
	assert_true(kept_try(&k, &o.change, NULL, value("shop.example.com", false), &err));
	assert_non_null(kept_with_name(&k, STR("shop.example.com"), false));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	again(&p, &k);
	struct kept_site *site = kept_with_name(&k, STR("shop.example.com"), false);
	assert_non_null(site);
	assert_int_equal(site->version, 1);
	assert_true(site->value->hsts.set && site->value->hsts.subdomains);
	assert_true(str_eq_c(site->value->upstreams[0].shown, "127.0.0.1:3000"));
	assert_false(site->value->force_ssl_set);

	o = (struct outcome){ 0 };
	assert_true(kept_try(&k, &o.change, site, value("other.example.com", true), &err));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	again(&p, &k);
	assert_null(kept_with_name(&k, STR("shop.example.com"), false));
	site = kept_with_name(&k, STR("other.example.com"), false);
	assert_true(site->version == 2 && site->value->force_ssl);

	o = (struct outcome){ 0 };
	assert_true(kept_try(&k, &o.change, site, NULL, &err));
	assert_null(kept_with_name(&k, STR("other.example.com"), false));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	again(&p, &k);
	assert_true(list_empty(&k.sites));
	end(&p, &k);
}

static void taken_back(void **state)
{
	struct place p;
	struct kept k;
	struct err err = ERR_INIT;
	(void)state;
	begin(&p, &k);
	struct outcome o = { 0 }, other = { 0 };
	assert_true(kept_try(&k, &o.change, NULL, value("shop.example.com", false), &err));
	kept_take_back(&o.change);
	assert_true(list_empty(&k.sites));
	assert_true(kept_try(&k, &o.change, NULL, value("shop.example.com", false), &err));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	struct kept_site *site = kept_with_name(&k, STR("shop.example.com"), false);
	assert_true(kept_try(&k, &o.change, site, value("shop.example.com", true), &err));
	assert_true(site->value->force_ssl);
	struct kept_value *second = value("shop.example.com", false);
	assert_false(kept_try(&k, &other.change, site, second, &err));
	assert_int_equal(err.code, ERR_BUSY);
	assert_non_null(strstr(err.text, "just being changed"));
	kept_value_free(&second);
	kept_take_back(&o.change);
	assert_false(site->value->force_ssl);
	assert_true(kept_try(&k, &o.change, site, NULL, &err));
	kept_take_back(&o.change);
	assert_ptr_equal(kept_with_name(&k, STR("shop.example.com"), false), site);
	end(&p, &k);
}

/* The record is not as it was: nothing is changed. */
static void not_stored(void **state)
{
	struct place p;
	struct kept k;
	struct err err = ERR_INIT;
	(void)state;
	begin(&p, &k);
	struct outcome o = { 0 };
	assert_true(kept_try(&k, &o.change, NULL, value("shop.example.com", false), &err));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	struct kept_site *site = kept_with_name(&k, STR("shop.example.com"), false);
	site->version = 7;
	o = (struct outcome){ 0 };
	assert_true(kept_try(&k, &o.change, site, value("other.example.com", true), &err));
	kept_store(&o.change, ended);
	wait_for(&p, &o);
	assert_int_equal(o.err.code, ERR_CONFLICT);
	assert_non_null(kept_with_name(&k, STR("shop.example.com"), false));
	assert_null(kept_with_name(&k, STR("other.example.com"), false));
	end(&p, &k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(upstreams),
		cmocka_unit_test(hsts),
		cmocka_unit_test(added_changed_removed),
		cmocka_unit_test(taken_back),
		cmocka_unit_test(not_stored),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
