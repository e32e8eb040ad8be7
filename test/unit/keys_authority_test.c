/* The internal authority's certificates, as OpenSSL's verification sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/authority.h"

#include <openssl/x509v3.h>
#include <time.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const struct str permitted[] = { STR_INIT("test"), STR_INIT("home.arpa") };

static struct key *made(void)
{
	struct err err = ERR_INIT;
	struct key *key = key_new(KEY_P256, &err);
	assert_non_null(key);
	return key;
}

static void make_root(const struct key *key, bool addresses, struct buf *out)
{
	struct err err = ERR_INIT;
	const int64_t now = (int64_t)time(NULL) * 1000;
	const struct authority_root root = { .common_name = STR("Root for tests"),
		.names = permitted,
		.count = COUNT(permitted),
		.addresses = addresses,
		.not_before = now - 3600000,
		.not_after = now + INT64_C(315360000000) };
	if (!authority_root_make(key, &root, out, &err))
		fail_msg("%s", err.text);
}

static bool make_leaf(
        const struct key *root_key, struct str root, const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	KEY_AUTO *key = made();
	const struct str names[] = { str_c(name) };
	const int64_t now = (int64_t)time(NULL) * 1000;
	const struct authority_leaf leaf = {
		.names = names, .count = 1, .not_before = now - 3600000, .not_after = now + 3600000
	};
	out->n = 0;
	const bool ok = authority_leaf_make(root_key, root, key, &leaf, out, &err);
	if (ok)
		assert_true(key_fits(key, buf_str(out)));
	else
		assert_string_equal(
		        err.text, "The root of the internal authority does not permit that name.");
	return ok;
}

static X509 *read_cert(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(cert);
	return cert;
}

/* As a browser would that trusts the root. */
static int verified(X509 *leaf, X509 *root, const char *name)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	assert_true(
	        X509_STORE_add_cert(store, root) && X509_STORE_CTX_init(ctx, store, leaf, NULL));
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1)
		assert_int_equal(X509_VERIFY_PARAM_set1_host(param, name, 0), 1);
	X509_verify_cert(ctx);
	const int result = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return result;
}

static void a_leaf_is_good_for_who_trusts_the_root(void **state)
{
	(void)state;
	static const char *const names[] = { "app.test", "test", "nas.home.arpa", "*.app.test",
		"192.168.1.5", "10.1.2.3", "127.0.0.1", "::1", "fd00::5" };
	KEY_AUTO *root_key = made();
	BUF_AUTO root_der = BUF_INIT(10000), der = BUF_INIT(10000);
	make_root(root_key, /* addresses= */ true, &root_der);
	X509 *root = read_cert(buf_str(&root_der));
	assert_int_equal(X509_check_ca(root), 1);
	assert_int_equal(X509_get_pathlen(root), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_true(make_leaf(root_key, buf_str(&root_der), names[i], &der));
		X509 *leaf = read_cert(buf_str(&der));
		const char *asked = names[i][0] == '*' ? "www.app.test" : names[i];
		assert_int_equal(verified(leaf, root, asked), X509_V_OK);
		assert_int_equal(verified(leaf, root, "other.test"), X509_V_ERR_HOSTNAME_MISMATCH);
		X509_free(leaf);
	}
	X509_free(root);
}

static void what_the_root_does_not_permit_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		bool addresses;
	} cases[] = {
		{ "bank.example.com", true },
		{ "attest", true }, /* ends in the letters of "test" */
		{ "home.arpa.example", true },
		{ "arpa", true },
		{ "8.8.8.8", true },
		{ "2001:db8::1", true },
		{ "192.168.1.5", false },
		{ "::1", false },
	};
	KEY_AUTO *root_key = made();
	for (size_t i = 0; i < COUNT(cases); i++) {
		BUF_AUTO root_der = BUF_INIT(10000), der = BUF_INIT(10000);
		make_root(root_key, cases[i].addresses, &root_der);
		assert_false(make_leaf(root_key, buf_str(&root_der), cases[i].name, &der));
	}
}

/* One for a public address permits that one, and no name. */
static void a_root_of_addresses(void **state)
{
	(void)state;
	static const char *const good[] = { "203.0.113.5", "2001:db8::1" };
	static const char *const bad[] = { "203.0.113.6", "2001:db8::2", "127.0.0.1", "::1",
		"bank.example.com", "test" };
	const struct str names[] = { STR("203.0.113.5"), STR("2001:db8::1") };
	const int64_t now = (int64_t)time(NULL) * 1000;
	const struct authority_root want = { .common_name = STR("Root for tests"),
		.names = names,
		.count = COUNT(names),
		.not_before = now - 3600000,
		.not_after = now + INT64_C(315360000000) };
	struct err err = ERR_INIT;
	KEY_AUTO *root_key = made();
	BUF_AUTO root_der = BUF_INIT(10000), der = BUF_INIT(10000);
	if (!authority_root_make(root_key, &want, &root_der, &err))
		fail_msg("%s", err.text);
	X509 *root = read_cert(buf_str(&root_der));
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_true(make_leaf(root_key, buf_str(&root_der), good[i], &der));
		X509 *leaf = read_cert(buf_str(&der));
		assert_int_equal(verified(leaf, root, good[i]), X509_V_OK);
		X509_free(leaf);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(make_leaf(root_key, buf_str(&root_der), bad[i], &der));
	X509_free(root);
}

/* What somebody makes with a stolen root is refused by whoever verifies. */
static void clients_hold_to_the_constraints(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	KEY_AUTO *root_key = made();
	BUF_AUTO root_der = BUF_INIT(10000), wide_der = BUF_INIT(10000), der = BUF_INIT(10000);
	const struct str wide_names[] = { STR("com") };
	const int64_t now = (int64_t)time(NULL) * 1000;
	const struct authority_root wide = { .common_name = STR("Root for tests"),
		.names = wide_names,
		.count = 1,
		.not_before = now - 3600000,
		.not_after = now + 3600000 };
	make_root(root_key, /* addresses= */ false, &root_der);
	assert_true(authority_root_make(root_key, &wide, &wide_der, &err));
	assert_true(make_leaf(root_key, buf_str(&wide_der), "bank.com", &der));
	X509 *leaf = read_cert(buf_str(&der)), *root = read_cert(buf_str(&root_der));
	assert_int_equal(verified(leaf, root, "bank.com"), X509_V_ERR_PERMITTED_VIOLATION);
	X509_free(leaf);
	X509_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_good_for_who_trusts_the_root),
		cmocka_unit_test(what_the_root_does_not_permit_is_refused),
		cmocka_unit_test(a_root_of_addresses),
		cmocka_unit_test(clients_hold_to_the_constraints),
	};
	return cmocka_run_group_tests_name("keys_authority", tests, NULL, NULL);
}
