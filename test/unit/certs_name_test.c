#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/name.h"
#include "certs/pattern.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define L63      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void names_are_taken_and_repaired(void **state)
{
	(void)state;
	static const struct {
		const char *typed, *ascii, *unicode;
	} cases[] = {
		{ "shop.example.com", "shop.example.com", NULL },
		{ "  shop.example.com\t\n", "shop.example.com", NULL },
		{ "Shop.EXAMPLE.com", "shop.example.com", NULL },
		{ "shop.example.com.", "shop.example.com", NULL },
		{ "b\xc3\xbc"
		  "cher.example",
		        "xn--bcher-kva.example",
		        "b\xc3\xbc"
		        "cher.example" },
		{ "B\xc3\x9c"
		  "CHER.Example.",
		        "xn--bcher-kva.example",
		        "b\xc3\xbc"
		        "cher.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example",
		        "b\xc3\xbc"
		        "cher.example" },
		{ "stra\xc3\x9f"
		  "e.de",
		        "xn--strae-oqa.de",
		        "stra\xc3\x9f"
		        "e.de" },
		{ "\xe4\xbe\x8b\xe3\x80\x82\xe4\xb8\xad\xe5\x9b\xbd\xe3\x80\x82",
		        "xn--fsq.xn--fiqs8s", /* ideographic full stops */
		        "\xe4\xbe\x8b.\xe4\xb8\xad\xe5\x9b\xbd" },
		{ "a-b.c--d.example", "a-b.c--d.example", NULL },
		{ "user.github.io", "user.github.io", NULL },
		{ "github.io", "github.io", NULL },
		{ "1.2.3.4.example", "1.2.3.4.example", NULL },
		{ L63 ".example", L63 ".example", NULL },
		{ "203.0.113.7", "203.0.113.7", NULL },
		{ " 203.0.113.7. ", "203.0.113.7", NULL },
		{ "10.0.0.1", "10.0.0.1", NULL },
		{ "2001:db8::7", "2001:db8::7", NULL },
		{ "[2001:DB8:0:0::7]", "2001:db8::7", NULL },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", NULL },
		{ "2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1", NULL },
		{ "2001:db8:0:1:1:1:1:0001", "2001:db8:0:1:1:1:1:1", NULL },
		{ "::1", "::1", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct name name = { 0 };
		if (!name_read(&a, str_c(cases[i].typed), /* public_only= */ true, &name, &err))
			fail_msg("%s: %s", cases[i].typed, err.text);
		if (!str_eq_c(name.ascii, cases[i].ascii))
			fail_msg("%s: got %.*s", cases[i].typed, STR_ARG(name.ascii));
		const char *unicode = cases[i].unicode ? cases[i].unicode : cases[i].ascii;
		if (!str_eq_c(name.unicode, unicode))
			fail_msg("%s: shown as %.*s", cases[i].typed, STR_ARG(name.unicode));
	}
}

static const struct refusal {
	const char *typed, *sentence;
} refusals[] = {
	{ "", "Give a DNS name, such as shop.example.com." },
	{ " \t", "Give a DNS name, such as shop.example.com." },
	{ "https://shop.example.com/path",
	        "This is a web address; a DNS name is needed. Use shop.example.com." },
	{ "http://Shop.example.com",
	        "This is a web address; a DNS name is needed. Use shop.example.com." },
	{ "https://user:pw@shop.example.com:8443/?q#f",
	        "This is a web address; a DNS name is needed. Use shop.example.com." },
	{ "https://b\xc3\xbc"
	  "cher.example./",
	        "This is a web address; a DNS name is needed. Use b\xc3\xbc"
	        "cher.example." },
	{ "https://co.uk/", "This is a web address; a DNS name is needed." },
	{ "https://", "This is a web address; a DNS name is needed." },
	{ "https://203.0.113.7/", "This is a web address; a DNS name is needed. Use 203.0.113.7." },
	{ "https://[2001:db8::7]:443/",
	        "This is a web address; a DNS name is needed. Use 2001:db8::7." },
	{ "203.0.113.7:443", "A DNS name has no port and no path. Use 203.0.113.7." },
	{ "[2001:db8::7]:443", "A DNS name has no port and no path. Use 2001:db8::7." },
	{ "2001:db8::/64", "A DNS name has no port and no path." },
	{ "::ffff:203.0.113.7",
	        "::ffff:203.0.113.7 is an IPv4 address written as one of IPv6. Use 203.0.113.7." },
	{ "::203.0.113.7",
	        "::203.0.113.7 is an IPv4 address written as one of IPv6. Use 203.0.113.7." },
	{ "[fe80::1%eth0]", "fe80::1%eth0 has a zone (%), which means something on one machine "
	                    "alone. Use fe80::1." },
	{ "fe80::1%1", "fe80::1%1 has a zone (%), which means something on one machine alone. Use "
	               "fe80::1." },
	{ "0.0.0.0", "0.0.0.0 is the address of no single machine: give the one that visitors "
	             "use." },
	{ "::", ":: is the address of no single machine: give the one that visitors use." },
	{ "224.0.0.1", "224.0.0.1 is the address of no single machine: give the one that visitors "
	               "use." },
	{ "255.255.255.255", "255.255.255.255 is the address of no single machine: give the one "
	                     "that visitors use." },
	{ "ff02::1", "ff02::1 is the address of no single machine: give the one that visitors "
	             "use." },
	{ "shop.example.com/path", "A DNS name has no port and no path. Use shop.example.com." },
	{ "shop.example.com:443", "A DNS name has no port and no path. Use shop.example.com." },
	{ "shop.example.com?x=1", "A DNS name has no port and no path. Use shop.example.com." },
	{ "//shop.example.com", "A DNS name has no port and no path." },
	{ ":443", "A DNS name has no port and no path." },
	{ "shop example.com",
	        "A DNS name has no spaces, commas or semicolons. Give further names one by one." },
	{ "a.example,b.example",
	        "A DNS name has no spaces, commas or semicolons. Give further names one by one." },
	{ "my_shop.example.com", "A name with an underscore gets no certificate: CAs issue for "
	                         "letters, digits and hyphens "
	                         "only." },
	{ "shop!.example.com",
	        "\"!\" cannot stand in a DNS name: it has letters, digits, hyphens and dots." },
	{ "ops@example.com",
	        "\"@\" cannot stand in a DNS name: it has letters, digits, hyphens and dots." },
	{ "256.1.1.1", "256.1.1.1 ends in a number, which no domain does. Give a DNS name such as "
	               "shop.example.com." },
	{ "*.example.com", "A wildcard name needs a DNS challenge (DNS-01), which is not set up "
	                   "here: give each name "
	                   "by itself, such as www.example.com." },
	{ "shop.*.example.com",
	        "\"*\" cannot stand in a DNS name: it has letters, digits, hyphens and dots." },
	{ "shop..example.com",
	        "The name has an empty part: two dots in a row, or a dot in front." },
	{ ".example.com", "The name has an empty part: two dots in a row, or a dot in front." },
	{ ".", "The name has an empty part: two dots in a row, or a dot in front." },
	{ "a..", "The name has an empty part: two dots in a row, or a dot in front." },
	{ "a" L63 ".example",
	        "\"a" L63 "\" is too long: a part between two dots has at most 63 characters." },
	{ "-shop.example.com",
	        "\"-shop\" begins or ends with a hyphen, which a DNS name may not." },
	{ "shop.example-", "\"example-\" begins or ends with a hyphen, which a DNS name may not." },
	{ L63 "." L63 "." L63 "." L63,
	        "The name is too long: 255 characters, a DNS name has at most 253." },
	{ "com", "com is a public suffix: no CA issues for it. Give a name under it, such as "
	         "example.com." },
	{ "co.uk", "co.uk is a public suffix: no CA issues for it. Give a name under it, such as "
	           "example.co.uk." },
	{ "shop", "shop is a public suffix: no CA issues for it. Give a name under it, such as "
	          "example.shop." },
	{ "intranet", "intranet has no domain: a public CA issues for full names only, such as "
	              "intranet.example.com." },
	{ "localhost", "localhost has no domain: a public CA issues for full names only, such as "
	               "localhost.example.com." },
};

static void names_are_refused_each_with_its_sentence(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(refusals); i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct name name = { 0 };
		if (name_read(&a, str_c(refusals[i].typed), /* public_only= */ true, &name, &err))
			fail_msg("%s was taken", refusals[i].typed);
		assert_int_equal(err.code, ERR_INPUT);
		assert_string_equal(err.text, refusals[i].sentence);
		assert_null(name.ascii.p);
	}
}

static void broken_idns_are_refused(void **state)
{
	(void)state;
	static const char *const typed[] = {
		"xn--.example",
		"xn--\xc3\xbc.example",
		"xn--999999999.example",
		"\xff.example",
		"a\xe2\x80\x8b.\xf0\x9f\x92\xa9\xcc\x80\xed\xa0\x80",
		"\xe2\x84\xa6\xe2\x80\xa8.example",
	};
	for (size_t i = 0; i < COUNT(typed); i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct name name = { 0 };
		if (name_read(&a, str_c(typed[i]), /* public_only= */ true, &name, &err))
			fail_msg("%s was taken as %.*s", typed[i], STR_ARG(name.ascii));
		assert_int_equal(err.code, ERR_INPUT);
	}
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct name name;
	assert_false(name_read(&a, STR("a\0.example"), /* public_only= */ false, &name, &err));
	assert_string_equal(err.text, "A DNS name holds no control characters.");
}

static void one_label_is_a_name_in_house(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct name name;
	assert_true(name_read(&a, STR("intranet"), /* public_only= */ false, &name, &err));
	assert_true(str_eq_c(name.ascii, "intranet"));
	assert_true(name_read(&a, STR("localhost"), /* public_only= */ false, &name, &err));
	assert_true(name_read(&a, STR("shop"), /* public_only= */ false, &name, &err));
	assert_false(name_read(&a, STR("co.uk"), /* public_only= */ false, &name, &err));
	assert_false(name_read(&a, STR("http://intranet/"), /* public_only= */ false, &name, &err));
	assert_string_equal(err.text, "This is a web address; a DNS name is needed. Use intranet.");
}

static void private_names_are_known(void **state)
{
	(void)state;
	static const char *const private[] = { "localhost", "shop", "shop.test", "a.b.internal",
		"printer.local", "a.localhost", "nas.home.arpa", "127.0.0.1", "10.1.2.3",
		"172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.1.1", "100.64.0.1",
		"100.127.0.1", "::1", "fc00::1", "fdff::1", "fe80::1", "febf::1" };
	static const char *const public[] = { "example.com", "shop.test.de", "latest.dev",
		"internal.example.com", "128.0.0.1", "11.0.0.1", "172.15.0.1", "172.32.0.1",
		"192.167.0.1", "169.253.0.1", "100.63.0.1", "100.128.0.1", "::2", "fbff::1",
		"fec0::1", "2001:db8::1" };
	for (size_t i = 0; i < COUNT(private); i++)
		assert_true(name_is_private(str_c(private[i])));
	for (size_t i = 0; i < COUNT(public); i++)
		assert_false(name_is_private(str_c(public[i])));
}

static void the_registered_domain_is_found(void **state)
{
	(void)state;
	static const struct {
		const char *name, *domain;
	} cases[] = {
		{ "example.com", "example.com" },
		{ "a.b.example.com", "example.com" },
		{ "www.example.co.uk", "example.co.uk" },
		{ "shop.user.github.io", "user.github.io" },
		{ "co.uk", NULL },
		{ "com", NULL },
		{ "", NULL },
		{ "192.0.2.7", NULL },
		{ "2001:db8::7", NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str got = name_registered_domain(str_c(cases[i].name));
		if (!str_eq_c(got, cases[i].domain ? cases[i].domain : ""))
			fail_msg("%s: got %.*s", cases[i].name, STR_ARG(got));
		assert_int_equal(got.p != NULL, cases[i].domain != NULL);
	}
	/* borrowed text need not end in a NUL */
	assert_true(str_eq_c(name_registered_domain(str_n("a.example.comX", 13)), "example.com"));
}

static void what_cas_count_for(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "a.b.example.co.uk", "example.co.uk" },
		{ "intranet", "intranet" },
		{ "192.0.2.7", "192.0.2.7" },
		{ "2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64" },
		{ "2001:db8::7", "2001:db8::/64" },
		{ "2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222::/64" },
		{ "2001:db8:1111:2222::/64", "2001:db8:1111:2222::/64" },
	};
	char room[NAME_NETWORK];
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct str got = name_counted_for(str_c(cases[i][0]), room);
		if (!str_eq_c(got, cases[i][1]))
			fail_msg("%s: got %.*s", cases[i][0], STR_ARG(got));
	}
}

/* Where only a name can stand that DNS knows. */
static void addresses_are_no_dns_names(void **state)
{
	(void)state;
	static const char sentence[] =
	        "192.0.2.7 is an IP address; a DNS name is needed, such as shop.example.com.";
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct name name = { 0 };
	assert_false(name_read_dns(&a, STR("192.0.2.7"), /* public_only= */ false, &name, &err));
	assert_string_equal(err.text, sentence);
	assert_false(name_read_wildcard(&a, STR("*.192.0.2.7"), false, &name, &err));
	assert_string_equal(err.text, sentence);
	assert_true(name_read_dns(&a, STR("a.test"), /* public_only= */ false, &name, &err));
	assert_true(name_read_wildcard(&a, STR("192.0.2.7"), false, &name, &err));
	assert_true(str_eq_c(name.ascii, "192.0.2.7"));
}

static void mail_addresses(void **state)
{
	(void)state;
	static const char *const good[] = { "ops@example.com", " ops@example.com ",
		"o'a+b.c@localhost", "a@b" };
	static const char *const bad[] = { "", "ops", "@example.com", "ops@", "a@b@c",
		"a b@example.com", "a@example.com,b@example.com", "a@example.com?cc=b",
		"<a@example.com>", "a\n@example.com", "\xc3\xb6ps@example.com",
		"ops@ex\xc3\xa4mple.com", "ops@example.com\xc2\x85", "ops@exa:mple.com",
		"ops@example.com/x", "ops@example.com%0d" };
	for (size_t i = 0; i < COUNT(good); i++) {
		struct err err = ERR_INIT;
		struct str email = STR_NONE;
		assert_true(email_read(str_c(good[i]), &email, &err));
		assert_false(str_has(email, ' '));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;
		struct str email = STR_NONE;
		if (email_read(str_c(bad[i]), &email, &err))
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(err.code, ERR_INPUT);
		assert_non_null(strstr(err.text, "ops@example.com"));
	}
}

static void strangers_names(void **state)
{
	static const char *const good[] = { "a.b", "xn--80ak6aa92e.com", "0.x", "a-b.c1" };
	static const char *const bad[] = { "", "a", ".", "a.", ".a.b", "a..b", "A.b", "a_b.c",
		"-a.b", "a-.b", "192.0.2.1", "1.2", "::1", "a.b.", "*.a.b", "a b.c",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl.x" };
	char longest[255];
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		if (!name_is_host(str_c(good[i])))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (name_is_host(str_c(bad[i])))
			fail_msg("%s", bad[i]);
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 2 ? '.' : 'a';
	assert_true(name_is_host(str_n(longest, 253)));
	assert_false(name_is_host(str_n(longest, 255)));
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool covers, allows;
	} cases[] = {
		{ "a.test", "A.test", true, true },
		{ "*.a.test", "x.a.test", true, true },
		{ "*.a.test", "y.x.a.test", false, false },
		{ "*.a.test", "a.test", false, false },
		{ "*.a.test", ".a.test", false, false },
		{ "**.a.test", "x.a.test", false, true },
		{ "**.a.test", "y.x.A.test", false, true },
		{ "**.a.test", "a.test", false, false },
		{ "**.a.test", ".a.test", false, false },
		{ "**.a.test", "xa.test", false, false },
		{ "*.test", "test", false, false },
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct str pattern = str_c(cases[i].pattern), name = str_c(cases[i].name);
		assert_int_equal(pattern_covers(pattern, name), cases[i].covers);
		assert_int_equal(pattern_allows(pattern, name), cases[i].allows);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_taken_and_repaired),
		cmocka_unit_test(names_are_refused_each_with_its_sentence),
		cmocka_unit_test(broken_idns_are_refused),
		cmocka_unit_test(one_label_is_a_name_in_house),
		cmocka_unit_test(private_names_are_known),
		cmocka_unit_test(the_registered_domain_is_found),
		cmocka_unit_test(what_cas_count_for),
		cmocka_unit_test(addresses_are_no_dns_names),
		cmocka_unit_test(mail_addresses),
		cmocka_unit_test(strangers_names),
		cmocka_unit_test(patterns),
	};
	return cmocka_run_group_tests_name("certs_name", tests, NULL, NULL);
}
