/* DNS: updates and what their answers mean; the answers of a zone of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dns/dns.h"

/* ---- updates ---- */

static const struct dns_change change = {
	.zone = STR_INIT("example.com"),
	.name = STR_INIT("_acme-challenge.shop.example.com"),
	.value = STR_INIT("abc-DEF_123"),
	.key_name = STR_INIT("acme-key"),
	.hmac = STR_INIT("hmac-sha256"),
	.secret = STR_INIT("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"),
};

static bool has(const struct buf *b, struct str bytes)
{
	return memmem(b->p, b->n, bytes.p, bytes.n) != NULL;
}

static void an_update_says_what_is_added(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(DNS_MESSAGE_MOST), mac = BUF(256);
	struct dns_change c = change;
	assert_true(dns_update_make(&b, &c, 0x1234, &mac));
	/* RFC 2136 2.2: opcode 5; one zone, no prerequisite, one change, the TSIG record */
	assert_memory_equal(b.p, "\x12\x34\x28\x00\x00\x01\x00\x00\x00\x01\x00\x01", 12);
	assert_true(has(&b, STR("\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x0c\x0b"
	                        "abc-DEF_123")));
	assert_true(has(&b, STR("\x0bhmac-sha256")));
	assert_int_equal(mac.n, 2 + 32);
	/* RFC 2136 2.5.4: removed by class NONE and no time */
	c.remove = true;
	buf_clear(&b);
	assert_true(dns_update_make(&b, &c, 1, &mac));
	assert_true(has(&b, STR("\x00\x10\x00\xfe\x00\x00\x00\x00\x00\x0c\x0b"
	                        "abc-DEF_123")));
}

static void what_dns_cannot_say_is_refused(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(DNS_MESSAGE_MOST), mac = BUF(256);
	char text[DNS_TXT_MOST + 2];
	memset(text, 'a', sizeof text);
	struct dns_change c = change;
	c.value = str_n(text, DNS_TXT_MOST + 1);
	assert_false(dns_update_make(&b, &c, 1, &mac));
	c = change;
	c.name = STR("a..b");
	assert_false(dns_update_make(&b, &c, 1, &mac));
	c = change;
	c.zone = STR("");
	assert_false(dns_update_make(&b, &c, 1, &mac));
	c = change;
	c.hmac = STR("hmac-md5");
	assert_false(dns_update_make(&b, &c, 1, &mac));
	c = change;
	c.secret = STR("&&&");
	assert_false(dns_update_make(&b, &c, 1, &mac));
}

static void add_u16(struct buf *b, unsigned v)
{
	buf_add_char(b, (char)(v >> 8));
	buf_add_char(b, (char)v);
}

/* An answer with a TSIG record that nobody signed, as servers send for a key that fails. */
static void make_answer(struct buf *b, unsigned code, unsigned tsig_error, struct str other)
{
	buf_clear(b);
	add_u16(b, 7);
	add_u16(b, 0xa800 | code);
	for (unsigned i = 0; i < 3; i++)
		add_u16(b, 0);
	add_u16(b, tsig_error != 0);
	if (!tsig_error)
		return;
	buf_add(b, STR("\x08"
	               "acme-key\x00\x00\xfa\x00\xff\x00\x00\x00\x00"));
	add_u16(b, (unsigned)(13 + 6 + 2 + 2 + 2 + 2 + 2 + other.n));
	buf_add(b, STR("\x0bhmac-sha256\x00\x00\x00\x00\x00\x00\x01"));
	add_u16(b, 300);
	add_u16(b, 0); /* no MAC */
	add_u16(b, 7);
	add_u16(b, tsig_error);
	add_u16(b, (unsigned)other.n);
	buf_add(b, other);
}

static const struct dns_updated updated = { .change = &change,
	.id = 7,
	.mac = STR_INIT("\0\0"),
	.server = STR_INIT("10.0.0.53:53"),
	.now = 1000 };

static void each_refusal_has_its_sentence(void **state)
{
	(void)state;
	static const struct {
		unsigned code, tsig;
		struct str other;
		enum err_code err;
		const char *part;
	} cases[] = {
		{ 5, 0, STR_INIT(""), ERR_REFUSED,
		        "refuses to change TXT records of _acme-challenge" },
		{ 9, 0, STR_INIT(""), ERR_REFUSED,
		        "is not the primary server of the zone example.com" },
		{ 10, 0, STR_INIT(""), ERR_REFUSED, "is not in the zone example.com" },
		{ 2, 0, STR_INIT(""), ERR_UNREACHABLE, "SERVFAIL" },
		{ 4, 0, STR_INIT(""), ERR_PROTOCOL, "does not understand updates" },
		{ 8, 0, STR_INIT(""), ERR_PROTOCOL, "code 8" },
		{ 9, 16, STR_INIT(""), ERR_REFUSED, "BADSIG" },
		{ 9, 17, STR_INIT(""), ERR_REFUSED, "BADKEY" },
		{ 9, 18, STR_INIT("\0\0\0\0\1\x90"), ERR_REFUSED,
		        "clock is 600 seconds ahead of that of the name server 10.0.0.53:53" },
		{ 9, 18, STR_INIT(""), ERR_REFUSED, "Set both by NTP" },
		{ 0, 0, STR_INIT(""), ERR_PROTOCOL, "is not believed" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO b = BUF(1024);
		struct err err = ERR_INIT;
		make_answer(&b, cases[i].code, cases[i].tsig, cases[i].other);
		assert_true(dns_update_read(buf_str(&b), &updated, &err));
		assert_int_equal(err.code, cases[i].err);
		assert_non_null(strstr(err.text, cases[i].part));
	}
}

static void unsigned_updates_need_no_signature(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(1024), mac = BUF(64);
	struct err err = ERR_INIT;
	struct dns_change c = change;
	struct dns_updated u = updated;
	c.key_name = STR_NONE;
	u.change = &c;
	assert_true(dns_update_make(&b, &c, 7, &mac));
	assert_int_equal(mac.n, 0);
	make_answer(&b, 0, 0, STR(""));
	assert_true(dns_update_read(buf_str(&b), &u, &err));
	assert_int_equal(err.code, ERR_NONE);
}

/* The request itself, sent back as if it were its answer: its MAC is not the answer's. */
static void a_forged_answer_is_not_believed(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(DNS_MESSAGE_MOST), mac = BUF(256);
	struct err err = ERR_INIT;
	assert_true(dns_update_make(&b, &change, 7, &mac));
	struct dns_updated u = updated;
	u.mac = buf_str(&mac);
	u.now = clock_system.wall(&clock_system) / 1000;
	assert_false(dns_update_read(buf_str(&b), &u, &err)); /* no answer at all */
	b.p[2] |= (char)0x80;
	assert_true(dns_update_read(buf_str(&b), &u, &err));
	assert_non_null(strstr(err.text, "is not believed"));
	u.id = 8;
	assert_false(dns_update_read(buf_str(&b), &u, &err));
}

/* ---- a zone of our own ---- */

static const struct dns_value values[] = {
	{ STR_INIT("shop-1.acme.example.net"), STR_INIT("one") },
	{ STR_INIT("SHOP-1.acme.example.net"), STR_INIT("two") },
	{ STR_INIT("a.b.acme.example.net"), STR_INIT("three") },
};
static const struct dns_zone zone = {
	.zone = STR_INIT("acme.example.net"),
	.server = STR_INIT("ns.acme.example.net"),
	.addresses = STR_INIT("192.0.2.1\n2001:db8::1\n"),
	.serial = 77,
	.values = values,
	.value_count = 3,
};

static void ask(struct buf *out, struct str name, enum dns_type type, size_t most)
{
	BUF_AUTO q = BUF(DNS_MESSAGE_MOST);
	buf_clear(out);
	assert_true(dns_question(&q, &(struct dns_asked){ name, type, 9, true }));
	assert_true(dns_zone_answer(&zone, 1, buf_str(&q), most, out));
}

static void a_zone_answers(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_outcome outcome;
		const char *records;
	} cases[] = {
		{ "Shop-1.ACME.example.net", DNS_TXT, DNS_FOUND, "one\ntwo\n" },
		{ "shop-1.acme.example.net", DNS_A, DNS_NONE, "" },
		{ "shop-2.acme.example.net", DNS_TXT, DNS_NO_NAME, "" },
		{ "b.acme.example.net", DNS_TXT, DNS_NONE, "" }, /* a name lies beneath it */
		{ "x.a.b.acme.example.net", DNS_TXT, DNS_NO_NAME, "" },
		{ "acme.example.net", DNS_SOA, DNS_FOUND, "ns.acme.example.net\n" },
		{ "acme.example.net", DNS_NS, DNS_FOUND, "ns.acme.example.net\n" },
		{ "acme.example.net", DNS_TXT, DNS_NONE, "" },
		{ "acme.example.net", DNS_CAA, DNS_NONE, "" },
		{ "ns.acme.example.net", DNS_A, DNS_FOUND, "192.0.2.1\n" },
		{ "ns.acme.example.net", DNS_AAAA, DNS_FOUND, "2001:db8::1\n" },
		{ "example.net", DNS_SOA, DNS_REFUSED, "" },
		{ "xacme.example.net", DNS_TXT, DNS_REFUSED, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		BUF_AUTO b = BUF(UINT16_MAX);
		struct dns_answer a;
		dns_answer_init(&a);
		ask(&b, str_c(cases[i].name), cases[i].type, DNS_REPLY_MOST);
		const struct dns_asked asked = { str_c(cases[i].name), cases[i].type, 9, true };
		assert_true(dns_read(buf_str(&b), &asked, &a));
		assert_int_equal(a.outcome, cases[i].outcome);
		assert_string_equal(buf_c(&a.records), cases[i].records);
		dns_answer_done(&a);
	}
}

/* 0x20: resolvers compare the letters of what comes back with those they sent. */
static void letters_come_back_as_they_came(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(UINT16_MAX);
	ask(&b, STR("sHoP-1.aCmE.example.NET"), DNS_TXT, DNS_REPLY_MOST);
	assert_true(has(&b, STR("\x06sHoP-1\x04"
	                        "aCmE\x07"
	                        "example\x03NET")));
	assert_false(has(&b, STR("acme")));
	assert_int_equal((unsigned char)b.p[2] & 0x04, 0x04); /* AA */
	assert_int_equal((unsigned char)b.p[3] & 0x80, 0);    /* no recursion */
}

static void what_finds_no_room_is_cut(void **state)
{
	(void)state;
	BUF_AUTO b = BUF(UINT16_MAX), q = BUF(DNS_MESSAGE_MOST);
	ask(&b, STR("shop-1.acme.example.net"), DNS_TXT, 0);
	assert_int_equal((unsigned char)b.p[2] & 0x02, 0x02);
	assert_true(dns_question(
	        &q, &(struct dns_asked){ STR("shop-1.acme.example.net"), DNS_TXT, 9, true }));
	assert_true(b.n <= q.n);
	struct dns_value many[40];
	char text[DNS_TXT_MOST];
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < 40; i++)
		many[i] = (struct dns_value){ values[0].name, str_n(text, 100) };
	struct dns_zone z = zone;
	z.values = many;
	z.value_count = 40;
	buf_clear(&b);
	assert_true(dns_zone_answer(&z, 1, buf_str(&q), DNS_REPLY_MOST, &b));
	assert_int_equal((unsigned char)b.p[2] & 0x02, 0x02);
	buf_clear(&b);
	assert_true(dns_zone_answer(&z, 1, buf_str(&q), UINT16_MAX, &b));
	assert_int_equal((unsigned char)b.p[2] & 0x02, 0);
	assert_true(b.n > 4000);
}

static void other_messages_get_little(void **state)
{
	(void)state;
	BUF_AUTO q = BUF(DNS_MESSAGE_MOST), b = BUF(UINT16_MAX);
	assert_true(
	        dns_question(&q, &(struct dns_asked){ STR("acme.example.net"), DNS_NS, 9, true }));
	assert_false(dns_zone_answer(&zone, 1, str_head(buf_str(&q), 11), DNS_REPLY_MOST, &b));
	/* cut in the middle: FORMERR, and nothing but a header */
	assert_true(dns_zone_answer(&zone, 1, str_head(buf_str(&q), 20), DNS_REPLY_MOST, &b));
	assert_int_equal(b.n, 12);
	assert_int_equal(b.p[3] & 15, 1);
	buf_clear(&b);
	q.p[2] = 0x28; /* an update */
	assert_true(dns_zone_answer(&zone, 1, buf_str(&q), DNS_REPLY_MOST, &b));
	assert_int_equal(b.p[3] & 15, 4);
	buf_clear(&b);
	q.p[2] = (char)0x80; /* an answer */
	assert_false(dns_zone_answer(&zone, 1, buf_str(&q), DNS_REPLY_MOST, &b));
	q.p[2] = 0;
	q.p[12 + 18 + 1] = (char)252; /* AXFR: type, its second byte */
	buf_clear(&b);
	assert_true(dns_zone_answer(&zone, 1, buf_str(&q), DNS_REPLY_MOST, &b));
	assert_int_equal(b.p[3] & 15, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_update_says_what_is_added),
		cmocka_unit_test(what_dns_cannot_say_is_refused),
		cmocka_unit_test(each_refusal_has_its_sentence),
		cmocka_unit_test(unsigned_updates_need_no_signature),
		cmocka_unit_test(a_forged_answer_is_not_believed),
		cmocka_unit_test(a_zone_answers),
		cmocka_unit_test(letters_come_back_as_they_came),
		cmocka_unit_test(what_finds_no_room_is_cut),
		cmocka_unit_test(other_messages_get_little),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
