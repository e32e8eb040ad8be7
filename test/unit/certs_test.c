#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/cert.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* A file of the corpus, in the arena. */
static struct str file(struct arena *a, const char *name)
{
	char path[512];
	snprintf(path, sizeof path, TEST_DATA "/corpus/%s", name);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s is not there", path);
	char *p = arena_alloc(a, 100000);
	size_t n = fread(p, 1, 100000, f);
	fclose(f);
	return str_n(p, n);
}

static struct cert cert_of(struct arena *a, const char *name)
{
	struct err err = ERR_INIT;
	struct cert c;
	if (!cert_read(a, file(a, name), &c, &err))
		fail_msg("%s: %s", name, err.text);
	return c;
}

static void assert_text(struct str got, const char *want)
{
	if (!str_eq_c(got, want))
		fail_msg("got \"%.*s\", want \"%s\"", STR_ARG(got), want);
}

/* RFC 9773 4.1 and its appendix A. */
static void the_ari_id_is_the_rfc_s(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct cert c = cert_of(&a, "der/ari");
	assert_text(c.ari_id, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
	assert_text(c.serial, "0087654321");
	assert_text(c.subject, "example.com");
	assert_text(c.issuer, "Example CA");
	assert_int_equal(c.name_count, 0);
	assert_true(c.not_before < 0); /* the year 1 */
}

static void all_is_read(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct cert c = cert_of(&a, "der/leaf");
	static const char *const names[] = { "shop.example.com", "*.example.com", "203.0.113.7",
		"2001:db8::7" };
	assert_int_equal(c.name_count, COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++)
		assert_text(c.names[i], names[i]);
	assert_text(c.subject, "");
	assert_text(c.issuer, "Test Intermediate");
	assert_text(c.serial, "00ff0011223344556677");
	assert_text(c.key_type, "P-256");
	assert_true(c.not_before == INT64_C(1795536680000));
	assert_true(c.not_after == INT64_C(2110896680000));
	assert_string_equal(c.sha1, "FEB9CC73DD78A28892888869632661AB73A417D7");
	assert_string_equal(
	        c.sha256, "1a59503b8afadcfe39dbe2be44f69a9e2ece617f8ad2ac641cc03b837f3e1836");
	assert_true(c.ari_id.n > 30);
	assert_true(str_ends(c.ari_id, STR(".AP8AESIzRFVmdw")));
	assert_false(c.is_ca);
	assert_false(c.self_signed);
}

static void kinds_of_certificates_are_told_apart(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	static const struct {
		const char *file, *subject, *key_type, *serial;
		bool is_ca, self_signed;
	} cases[] = {
		{ "der/int", "Test Intermediate", "P-384", "7f", true, false },
		{ "der/ca", "Test Root", "RSA 2048", NULL, true, true },
		{ "der/ed", "C = DE, O = No Name", "ED25519", "fb", true, true },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cert c = cert_of(&a, cases[i].file);
		assert_text(c.subject, cases[i].subject);
		assert_text(c.key_type, cases[i].key_type);
		if (cases[i].serial)
			assert_text(c.serial, cases[i].serial);
		assert_int_equal(c.is_ca, cases[i].is_ca);
		assert_int_equal(c.self_signed, cases[i].self_signed);
	}
}

static void what_is_no_certificate_is_refused(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct str leaf = file(&a, "der/leaf");
	struct str longer = str_n(leaf.p, leaf.n + 1); /* the arena's zeros */
	const struct str bad[] = { STR_NONE, STR_INIT("0"), str_head(leaf, leaf.n - 1), longer,
		file(&a, "der/leaf.sec1") };
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;
		struct cert c = { .name_count = 42 };
		assert_false(cert_read(&a, bad[i], &c, &err));
		assert_string_equal(err.text, "This is not a certificate (X.509 in DER).");
		assert_int_equal(c.name_count, 42);
	}
}

static void a_chain_is_read_in_order(void **state)
{
	(void)state;
	static const char *const files[] = { "pem/chain", "pem/with_text" };
	for (size_t i = 0; i < COUNT(files); i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct str der[CHAIN_MOST];
		size_t count = 0;
		if (!cert_chain_from_pem(&a, file(&a, files[i]), der, &count, &err))
			fail_msg("%s: %s", files[i], err.text);
		assert_int_equal(count, 2);
		assert_true(str_eq(der[0], file(&a, "der/leaf")));
		assert_true(str_eq(der[1], file(&a, "der/int")));
	}
}

static void a_broken_chain_is_refused_with_a_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *file, *sentence;
	} cases[] = {
		{ "pem/none", "There is no certificate in PEM in the text. One begins with "
		              "-----BEGIN CERTIFICATE-----." },
		{ "pem/cut_off", "Certificate 1 of the chain cannot be read: its PEM is broken or "
		                 "cut off." },
		{ "pem/broken_base64", "Certificate 1 of the chain cannot be read: its PEM is "
		                       "broken or cut off." },
		{ "pem/no_certificate", "Certificate 1 of the chain cannot be used: This is not a "
		                        "certificate (X.509 in "
		                        "DER)." },
		{ "pem/eleven", "The chain has more than 10 certificates." },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct err err = ERR_INIT;
		struct str der[CHAIN_MOST];
		size_t count = 42;
		assert_false(cert_chain_from_pem(&a, file(&a, cases[i].file), der, &count, &err));
		assert_string_equal(err.text, cases[i].sentence);
		assert_int_equal(count, 42);
	}
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct str der[CHAIN_MOST];
	size_t count;
	assert_false(cert_chain_from_pem(&a, STR_NONE, der, &count, &err));
}

static void pem_is_what_openssl_writes(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO out = BUF_INIT(10000);
	cert_to_pem(file(&a, "der/leaf"), &out);
	cert_to_pem(file(&a, "der/int"), &out);
	assert_true(str_eq(buf_str(&out), file(&a, "pem/chain")));
}

static void names_are_covered(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct cert c = cert_of(&a, "der/leaf");
	static const struct {
		const char *name;
		bool covered;
	} cases[] = {
		{ "shop.example.com", true },
		{ "SHOP.example.COM", true },
		{ "other.example.com", true },
		{ "*.example.com", true },
		{ "203.0.113.7", true },
		{ "2001:0db8:0:0::0007", true },
		{ "example.com", false },
		{ ".example.com", false },
		{ "a.b.example.com", false },
		{ "shop.example.org", false },
		{ "203.0.113.8", false },
		{ "7.0.113.203", false },
		{ "2001:db8::8", false },
		{ "", false },
		{ "*", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		if (cert_covers(&c, str_c(cases[i].name)) != cases[i].covered)
			fail_msg("%s", cases[i].name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ari_id_is_the_rfc_s),
		cmocka_unit_test(all_is_read),
		cmocka_unit_test(kinds_of_certificates_are_told_apart),
		cmocka_unit_test(what_is_no_certificate_is_refused),
		cmocka_unit_test(a_chain_is_read_in_order),
		cmocka_unit_test(a_broken_chain_is_refused_with_a_sentence),
		cmocka_unit_test(pem_is_what_openssl_writes),
		cmocka_unit_test(names_are_covered),
	};
	return cmocka_run_group_tests_name("certs", tests, NULL, NULL);
}
