/* The block `on-demand`, and which site serves a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/config.h"

static const struct config_source source = { .file = "f" };

#define AGREED   "email a@b.test\nagree-to-terms yes\n"
#define SITE(in) "site * { proxy 127.0.0.1:1; on-demand { " in " } }"

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *text, *want;
	} mistakes[] = {
		{ AGREED SITE("budget 3/h"),
		        "f:3:29: `on-demand` would order a certificate for whatever name a "
		        "stranger asks for: write `ask URL`, `allow PATTERN`, or both in it.\n" },
		{ AGREED "site * { proxy 127.0.0.1:1; on-demand }",
		        "f:3:29: `on-demand` is incomplete: write `on-demand { ask URL; allow "
		        "PATTERN… }`.\n" },
		{ AGREED "site a.test { proxy 127.0.0.1:1; on-demand { allow *.test } }",
		        "f:3:34: `on-demand` is for names that are not known beforehand: it stands "
		        "in `site *` or in a site with a wildcard such as *.example.com.\n" },
		{ "email a@b.test\n" SITE("allow *.a.test"),
		        "f:2:29: `on-demand` orders certificates by itself: add `email MAIL` and "
		        "`agree-to-terms yes` at top level, or `issuer internal` here.\n" },
		{ AGREED SITE("ask ftp://a.test/"),
		        "f:3:45: The URL does not start with https:// or http://.\n" },
		{ AGREED SITE("allow *"), "f:3:47: \"*\" cannot stand in a DNS name: it has "
		                          "letters, digits, hyphens and dots.\n" },
		{ AGREED SITE("allow *.co.uk"),
		        "f:3:47: co.uk is a public suffix: no CA issues for it. Give a name under "
		        "it, such as example.co.uk.\n" },
		{ AGREED SITE("allow a.test; budget 0/h"),
		        "f:3:62: \"0/h\" is no budget: write how many names may be ordered for in "
		        "an hour, from 1/h to 1000/h.\n" },
		{ AGREED SITE("allow a.test; budget 10"),
		        "f:3:62: \"10\" is no budget: write how many names may be ordered for in "
		        "an hour, from 1/h to 1000/h.\n" },
		{ AGREED "on-demand { allow a.test }",
		        "f:3:1: `on-demand` stands in a block: `site NAME { … }`.\n" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		BUF_AUTO errors = BUF_INIT(1 << 16);
		struct err err = ERR_INIT;
		struct config *c = config_parse(&source, str_c(mistakes[i].text), &errors, &err);
		assert_null(c);
		assert_string_equal(buf_c(&errors), mistakes[i].want);
	}
}

static struct config *parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct config *c = config_parse(&source, str_c(text), NULL, &err);
	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static void it_is_read(void **state)
{
	struct config *c = parsed(AGREED SITE("ask http://10.0.0.1/may?k=1#x; allow a.test "
	                                      "*.B.test; allow **.c.test; budget 1000/h"));
	const struct config_demand *d = &c->sites[0].demand;
	(void)state;
	assert_true(str_eq_c(d->ask, "http://10.0.0.1/may?k=1"));
	assert_int_equal(d->allow_count, 3);
	assert_int_equal(d->budget, 1000);
	assert_true(config_demand_allows(d, STR("a.test")));
	assert_true(config_demand_allows(d, STR("x.b.test")));
	assert_true(config_demand_allows(d, STR("x.c.test")));
	assert_true(config_demand_allows(d, STR("y.x.c.test")));
	assert_false(config_demand_allows(d, STR("x.a.test")));
	assert_false(config_demand_allows(d, STR("b.test")));
	assert_false(config_demand_allows(d, STR("y.x.b.test")));
	assert_false(config_demand_allows(d, STR("c.test")));
	assert_false(config_demand_allows(d, STR("xc.test")));
	config_free(&c);
}

/* No wildcard is ordered, so nothing has to prove it; our own authority has no terms. */
static void a_wildcard_needs_no_dns_then(void **state)
{
	struct config *c = parsed("site *.a.test { proxy 127.0.0.1:1; issuer internal; "
	                          "on-demand { ask https://b.test/ } }\n"
	                          "site x.a.test { proxy 127.0.0.1:2 }\n"
	                          "site * { proxy 127.0.0.1:3 }\n");
	(void)state;
	assert_int_equal(c->sites[0].demand.budget, 10);
	assert_true(config_demand_allows(&c->sites[0].demand, STR("whatever.test")));
	assert_false(config_demand_allows(&c->sites[1].demand, STR("x.a.test")));
	assert_ptr_equal(config_site_of(c, STR("x.a.test")), &c->sites[1]);
	assert_ptr_equal(config_site_of(c, STR("y.a.test")), &c->sites[0]);
	assert_ptr_equal(config_site_of(c, STR("y.x.a.test")), &c->sites[2]);
	config_free(&c);
	c = parsed("site a.test { proxy 127.0.0.1:1 }");
	assert_null(config_site_of(c, STR("b.test")));
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(it_is_read),
		cmocka_unit_test(a_wildcard_needs_no_dns_then),
	};
	return cmocka_run_group_tests_name("config_demand", tests, NULL, NULL);
}
