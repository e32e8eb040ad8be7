/* What the flow's words are: for people, and in the protected header. */
/* Before cmocka, which has a `fail`, too. */
#include "acme/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_ca_is_called_by_its_name(void **state)
{
	(void)state;
	static const struct {
		const char *url, *name;
	} rows[] = {
		{ "https://acme-v02.api.letsencrypt.org/directory", "Let's Encrypt" },
		{ "https://acme-staging-v02.api.letsencrypt.org/directory",
		        "Let's Encrypt (staging)" },
		{ "https://acme.zerossl.com/v2/DV90", "ZeroSSL" },
		{ "https://ca.corp.example/acme/directory", "ca.corp.example" },
		{ "https://notletsencrypt.org/d", "notletsencrypt.org" },
		{ "https://localhost:14000/dir", "localhost:14000" },
		{ "https://[::1]:14000", "[::1]:14000" },
		{ "no URL", "no URL" },
		{ "", "The CA" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct str name = acme_ca_name(str_c(rows[i].url));
		if (!str_eq_c(name, rows[i].name))
			fail_msg("%s: %.*s", rows[i].url, STR_ARG(name));
	}
}

static void the_protected_header_names_account_or_key(void **state)
{
	(void)state;
	BUF_AUTO kid = BUF_INIT(1024);
	BUF_AUTO jwk = BUF_INIT(1024);
	const struct str nonce = STR("n"), url = STR("https://a.test/");
	acme_protected(&kid,
	        &(struct acme_header){ "ES256", nonce, url, STR("https://a.test/1"), STR_NONE });
	acme_protected(&jwk,
	        &(struct acme_header){ "ES256", nonce, url, STR_NONE, STR("{\"kty\":\"EC\"}") });
	assert_string_equal(buf_c(&kid),
	        "{\"alg\":\"ES256\",\"kid\":\"https://a.test/1\",\"nonce\":\"n\","
	        "\"url\":\"https://a.test/\"}");
	assert_string_equal(buf_c(&jwk),
	        "{\"alg\":\"ES256\",\"jwk\":{\"kty\":\"EC\"},\"nonce\":\"n\","
	        "\"url\":\"https://a.test/\"}");
}

static void what_is_signed_is_put_together(void **state)
{
	(void)state;
	BUF_AUTO binding = BUF_INIT(1024), authorization = BUF_INIT(1024);
	acme_binding_protected(&binding, STR("https://a.test/"), STR("kid-1"));
	assert_string_equal(buf_c(&binding),
	        "{\"alg\":\"HS256\",\"kid\":\"kid-1\",\"url\":\"https://a.test/\"}");
	challenge_key_authorization(STR("token"), STR("print"), &authorization);
	assert_string_equal(buf_c(&authorization), "token.print");
}

static void steps_have_names_and_words(void **state)
{
	(void)state;
	for (enum acme_step step = 0; step < ACME_STEP_COUNT; step++) {
		assert_true(strlen(acme_step_name(step)) > 3);
		assert_true(strlen(acme_step_words(step)) > 8);
	}
	assert_string_equal(acme_step_name(ACME_STEP_download), "download");
}

static void words_of_a_problem_have_a_length(void **state)
{
	(void)state;
	enum { MOST = 640 };
	static char detail[MOST + 1];
	struct flow f = { 0 };
	memset(detail, 'x', sizeof detail);
	f.problem.detail = str_n(detail, MOST);
	assert_true(str_eq(problem_words(&f), str_n(detail, MOST)));
	f.problem.detail = str_n(detail, MOST + 1);
	const struct str cut = problem_words(&f);
	assert_int_equal(cut.n, MOST + strlen("…"));
	assert_true(str_starts(cut, str_n(detail, MOST)));
	assert_true(str_ends(cut, STR("…")));
	arena_done(&f.problem_arena);
}

/* Of a subproblem what there is. */
static void subproblems_are_said_as_far_as_they_go(void **state)
{
	(void)state;
	const struct problem p = { .type = STR("compound"),
		.json = STR("{\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:caa\"},{},"
		            "{\"detail\":\"  No.\\n.\"},{\"identifier\":{\"value\":\"a.test\"}},"
		            "{\"detail\":\"Yes\",\"identifier\":{\"value\":\"b.test\"}}]}") };
	BUF_AUTO words = BUF_INIT(1000);
	acme_problem_words(&p, &words);
	assert_string_equal(buf_c(&words), "compound; caa; No; b.test: Yes");
}

static void a_flow_tells_its_names(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct flow_name names[] = { { .name = STR("a.test") }, { .name = STR("b.test") } };
	const struct flow f = { .names = names, .name_count = 2 };
	const struct str *told = flow_names(&a, &f);
	assert_true(str_eq_c(told[0], "a.test") && str_eq_c(told[1], "b.test"));
	struct flow *made = mem_new(struct flow);
	flow_free(&made);
	assert_null(made);
	flow_free(&made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ca_is_called_by_its_name),
		cmocka_unit_test(the_protected_header_names_account_or_key),
		cmocka_unit_test(what_is_signed_is_put_together),
		cmocka_unit_test(steps_have_names_and_words),
		cmocka_unit_test(words_of_a_problem_have_a_length),
		cmocka_unit_test(subproblems_are_said_as_far_as_they_go),
		cmocka_unit_test(a_flow_tells_its_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
