/* What a CA says of certificates that it has revoked. The files of corpus/revoked are from June
 * 2026; the certificate was revoked on 4 May. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/cert.h"
#include "certs/revoked.h"

#define MAY      INT64_C(1777852800000)
#define JUNE     INT64_C(1780531200000)
#define COUNT(a) (sizeof(a) / sizeof *(a))

static struct arena arena;
static struct str leaf, issuer;

static struct str file(const char *name)
{
	char path[512], bytes[2048];
	snprintf(path, sizeof path, TEST_DATA "/corpus/revoked/%s", name);
	FILE *f = fopen(path, "rb");
	if (!f)
		fail_msg("%s is not there", path);
	size_t n = fread(bytes, 1, sizeof bytes, f);
	fclose(f);
	return arena_str(&arena, str_n(bytes, n));
}

static int setup(void **state)
{
	(void)state;
	leaf = file("leaf");
	issuer = file("issuer");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_done(&arena);
	return 0;
}

/* The first that can be asked by HTTP. */
static void where_to_ask_is_read(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct cert c;
	assert_true(cert_read(&arena, leaf, &c, &err));
	assert_true(str_eq_c(c.crl_url, "http://crl.ca.test/7.crl"));
	assert_true(str_eq_c(c.ocsp_url, "http://ocsp.ca.test"));
	assert_true(cert_read(&arena, file("no_points"), &c, &err));
	assert_int_equal(c.crl_url.n, 0);
	assert_int_equal(c.ocsp_url.n, 0);
}

static bool lists(const char *name, int64_t *ret_at)
{
	struct err err = ERR_INIT;
	struct crl *crl = crl_read(file(name), &err);
	if (!crl || !crl_signed_by(crl, issuer, &err))
		fail_msg("%s: %s", name, err.text);
	const bool is = crl_lists(crl, leaf, ret_at);
	/* What was taken back has its number still. */
	assert_int_equal(crl_has_serial(crl, STR("0123456789abcdef")),
	        is || !strcmp(name, "list_taken_back"));
	assert_false(crl_has_serial(crl, STR("0123456789abcdee")));
	assert_false(crl_has_serial(crl, STR("x")) || crl_has_serial(crl, STR_NONE));
	crl_free(&crl);
	return is;
}

static void a_list_says_what_is_revoked(void **state)
{
	(void)state;
	int64_t at = 0;
	assert_false(lists("list_of_others", &at));
	assert_false(lists("list_empty", &at));
	assert_false(lists("list_taken_back", &at));
	assert_true(at == 0);
	assert_true(lists("list", &at));
	assert_true(at == MAY);
}

static void who_did_not_issue_it_cannot_list_it(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct crl *crl = crl_read(file("list_forged"), &err);
	assert_non_null(crl);
	assert_false(crl_signed_by(crl, issuer, &err));
	assert_true(err.code == ERR_PROTOCOL);
	assert_non_null(strstr(err.text, "not signed by who issued the certificate"));
	assert_true(crl_signed_by(crl, file("other_issuer"), &err));
	crl_free(&crl);
}

static void what_is_no_list_is_refused(void **state)
{
	(void)state;
	const struct str whole = file("list");
	const struct str no_lists[] = { STR(""), STR("<html>"), leaf, file("list_cut"),
		arena_printf(&arena, "%.*s%c", STR_ARG(whole), 'x') };
	for (size_t i = 0; i < COUNT(no_lists); i++) {
		struct err err = ERR_INIT;
		assert_null(crl_read(no_lists[i], &err));
		assert_true(err.code == ERR_PROTOCOL);
		assert_non_null(strstr(err.text, "no list of revoked certificates"));
	}
}

static int64_t revoked(const char *name)
{
	struct err err = ERR_INIT;
	struct ocsp_said said;
	const struct ocsp_about about = { leaf, issuer, JUNE };
	if (!ocsp_read(file(name), &about, &said, &err))
		fail_msg("%s: %s", name, err.text);
	assert_true(!said.revoked || !said.until);
	return said.revoked;
}

static int64_t good_until(const char *name, int64_t now)
{
	struct err err = ERR_INIT;
	struct ocsp_said said;
	const struct ocsp_about about = { leaf, issuer, now };
	if (!ocsp_read(file(name), &about, &said, &err))
		fail_msg("%s: %s", name, err.text);
	assert_true(!said.until || (said.from <= now + 300000 && said.until > now));
	return said.until;
}

/* The answers of the corpus are valid in June. */
static void an_answer_that_it_is_good_can_be_shown_while_it_is_valid(void **state)
{
	(void)state;
	const int64_t until = good_until("answer_good", JUNE);
	assert_true(until > JUNE);
	assert_true(good_until("answer_good", until - 1) == until);
	assert_true(good_until("answer_good", until) == 0);
	const int64_t from = JUNE - INT64_C(3) * 86400000;
	assert_true(good_until("answer_good", from - 60000) == until);
	assert_true(good_until("answer_good", from - 600000) == 0);
	assert_true(good_until("answer_unknown", JUNE) == 0);
	assert_true(good_until("answer_revoked", JUNE) == 0);
}

static void an_answer_says_what_is_revoked(void **state)
{
	(void)state;
	assert_true(revoked("answer_good") == 0);
	assert_true(revoked("answer_unknown") == 0);
	assert_true(revoked("answer_revoked") == MAY);
	assert_true(revoked("answer_delegated") == MAY);
}

static void whom_the_issuer_has_not_let_is_not_believed(void **state)
{
	(void)state;
	static const struct {
		const char *file, *words;
	} cases[] = {
		{ "answer_forged", "not signed by who issued it" },
		{ "answer_not_delegated", "not signed by who issued it" },
		{ "answer_expired_delegate", "not signed by who issued it" },
		{ "answer_other", "answers about another certificate" },
		{ "answer_try_later", "does not answer whether the certificate is revoked: "
		                      "trylater." },
		{ "list", "no answer whether a certificate is revoked" },
		{ "leaf", "no answer whether a certificate is revoked" },
	};
	const struct ocsp_about about = { leaf, issuer, JUNE };
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = ERR_INIT;
		struct ocsp_said said;
		assert_false(ocsp_read(file(cases[i].file), &about, &said, &err));
		if (!strstr(err.text, cases[i].words))
			fail_msg("%s: %s", cases[i].file, err.text);
	}
}

/* As the openssl command reads it. */
static void a_question_names_the_certificate(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	BUF_AUTO der = BUF(1024);
	assert_true(ocsp_request(leaf, issuer, &der, &err));
	static const char serial[] = "\x02\x08\x01\x23\x45\x67\x89\xab\xcd\xef";
	assert_non_null(memmem(der.p, der.n, serial, sizeof serial - 1));
	assert_false(ocsp_request(STR("x"), issuer, &der, &err));
	assert_true(err.code == ERR_INPUT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_to_ask_is_read),
		cmocka_unit_test(a_list_says_what_is_revoked),
		cmocka_unit_test(who_did_not_issue_it_cannot_list_it),
		cmocka_unit_test(what_is_no_list_is_refused),
		cmocka_unit_test(an_answer_says_what_is_revoked),
		cmocka_unit_test(an_answer_that_it_is_good_can_be_shown_while_it_is_valid),
		cmocka_unit_test(whom_the_issuer_has_not_let_is_not_believed),
		cmocka_unit_test(a_question_names_the_certificate),
	};
	return cmocka_run_group_tests_name("certs_revoked", tests, setup, teardown);
}
