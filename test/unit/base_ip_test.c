#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ip.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void texts_that_are_addresses(void **state)
{
	(void)state;
	static const struct {
		struct str text;
		size_t n;
		const char *written; /* as RFC 5952 has it */
	} cases[] = {
		{ STR_INIT("192.0.2.7"), 4, "192.0.2.7" },
		{ STR_INIT("255.255.255.255"), 4, "255.255.255.255" },
		{ STR_INIT("2001:DB8:0::0007"), 16, "2001:db8::7" },
		{ STR_INIT("1:0:0:2:0:0:0:3"), 16, "1:0:0:2::3" },
		{ STR_INIT("1:0:0:2:3:0:0:4"), 16, "1::2:3:0:0:4" },
		{ STR_INIT("::1:2:3:4:5:6:7"), 16, "0:1:2:3:4:5:6:7" },
		{ STR_INIT("::ffff:192.0.2.7"), 16, "::ffff:192.0.2.7" },
		{ STR_INIT("1111:2222:3333:4444:5555:6666:255.255.255.255"), 16,
		        "1111:2222:3333:4444:5555:6666:ffff:ffff" },
		{ STR_INIT(""), 0, NULL },
		{ STR_INIT("192.0.2"), 0, NULL },
		{ STR_INIT("192.0.2.07"), 0, NULL },
		{ STR_INIT("192.0.2.256"), 0, NULL },
		{ STR_INIT("192.0.2.7 "), 0, NULL },
		{ STR_INIT("192.0.2.7\0"), 0, NULL },
		{ STR_INIT("[::1]"), 0, NULL },
		{ STR_INIT("fe80::1%eth0"), 0, NULL },
		{ STR_INIT("1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa"), 0, NULL },
		{ STR_INIT("shop.example.com"), 0, NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		unsigned char bytes[IP_BYTES];
		char text[IP_TEXT];
		const size_t n = ip_read(cases[i].text, bytes);
		if (n != cases[i].n)
			fail_msg("%.*s: %zu bytes", STR_ARG(cases[i].text), n);
		assert_int_equal(ip_is(cases[i].text), n > 0);
		if (n)
			assert_string_equal(ip_text(bytes, n, text), cases[i].written);
	}
}

static void the_same_address_in_two_forms(void **state)
{
	(void)state;
	assert_true(ip_same(STR("2001:db8::7"), STR("2001:DB8:0:0::7")));
	assert_true(ip_same(STR("192.0.2.7"), STR("192.0.2.7")));
	assert_false(ip_same(STR("192.0.2.7"), STR("192.0.2.8")));
	assert_false(ip_same(STR("192.0.2.7"), STR("::ffff:192.0.2.7")));
	assert_false(ip_same(STR("a.test"), STR("a.test")));
	assert_false(ip_same(STR(""), STR("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_that_are_addresses),
		cmocka_unit_test(the_same_address_in_two_forms),
	};
	return cmocka_run_group_tests_name("base_ip", tests, NULL, NULL);
}
