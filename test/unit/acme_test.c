#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/flow.h"
#include "base/clock.h"

#define DIRECTORY "https://acme-v02.api.letsencrypt.org/directory"
#define CA_URL    "https://acme-v02.api.letsencrypt.org"
#define URN       "\"type\":\"urn:ietf:params:acme:error:"
static const int64_t now = INT64_C(1795500000000);

static struct flow *flow_of(struct str directory, bool terms_agreed)
{
	struct err err = ERR_INIT;
	const struct str names[] = { STR("shop.example.com"), STR("www.shop.example.com") };
	const struct flow_want want = { .directory_url = directory,
		.email = STR("ops@example.com"),
		.terms_agreed = terms_agreed,
		.names = names,
		.name_count = 2,
		.now = now };
	struct flow *f = flow_new(&want, &err);
	assert_non_null(f);
	return f;
}

/* A flow that stands before a step, with all that earlier steps found. */
static struct flow *flow_at(enum acme_step step)
{
	static const struct acme_directory directory = {
		.new_nonce = STR_INIT(CA_URL "/nonce"),
		.new_account = STR_INIT(CA_URL "/account"),
		.new_order = STR_INIT(CA_URL "/order"),
		.terms = STR_INIT(CA_URL "/terms"),
		.renewal_info = STR_INIT(CA_URL "/renewal-info"),
	};
	struct flow *f = flow_of(STR(DIRECTORY), /* terms_agreed= */ true);
	if (step > ACME_STEP_directory)
		flow_know_directory(f, &directory);
	if (step > ACME_STEP_account)
		flow_know_account(f, STR(CA_URL "/account/1"));
	for (size_t i = 0; step > ACME_STEP_order && i < 2; i++)
		f->names[i].authz = i ? STR(CA_URL "/authz/2") : STR(CA_URL "/authz/1");
	for (size_t i = 0; step > ACME_STEP_authz && i < 2; i++) {
		f->names[i].challenge = i ? STR(CA_URL "/challenge/2") : STR(CA_URL "/challenge/1");
		f->names[i].token = i ? STR("0123456789abcdef") : STR("ABCDEFGHIJKLMNOP");
		f->names[i].answered = step > ACME_STEP_answer;
		f->names[i].published = true;
	}
	if (step > ACME_STEP_order)
		f->order = STR(CA_URL "/order/1");
	f->finalize = STR(CA_URL "/finalize/1");
	f->certificate = STR(CA_URL "/certificate/1");
	if (step >= ACME_STEP_finalize)
		flow_set_csr(f, STR("csr"));
	const struct next n = { .what = FLOW_GO, .step = step };
	flow_take(f, &n);
	buf_add_c(&f->nonce, "nonce");
	return f;
}

static struct acme_reply reply_of(unsigned status, const char *body)
{
	return (struct acme_reply){ .status = status,
		.body = str_c(body),
		.nonce = STR("fresh"),
		.location = STR(CA_URL "/place/1"),
		.retry_after = -1,
		.now = now };
}

static struct next hear(struct flow *f, unsigned status, const char *body)
{
	const struct acme_reply r = reply_of(status, body);
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static void assert_go(struct next n, enum acme_step step, int64_t after)
{
	if (n.what != FLOW_GO || n.step != step || n.after != after)
		fail_msg("want %s after %lld, got %s: %s %s after %lld", acme_step_name(step),
		        (long long)after,
		        n.what == FLOW_GO     ? "GO"
		        : n.what == FLOW_DONE ? "DONE"
		                              : "FAIL",
		        n.err.text, acme_step_name(n.step), (long long)n.after);
}

static void assert_fail(struct next n, enum err_code code, const char *text)
{
	if (n.what != FLOW_FAIL || n.err.code != code || !strstr(n.err.text, text))
		fail_msg("want %s \"%s\", got %s %s \"%s\"", err_code_name(code), text,
		        n.what == FLOW_FAIL ? "FAIL" : "no FAIL", err_code_name(n.err.code),
		        n.err.text);
}

/* Each failure that a person can meet, in its words. */
static const struct {
	enum acme_step step;
	unsigned status;
	const char *body;
	enum err_code code;
	bool ca_at_fault;
	const char *text;
} sentences[] = {
	{ ACME_STEP_directory, 200, "<html>", ERR_PROTOCOL, true,
	        DIRECTORY
	        " is not an ACME directory: a web page (HTML) is there. Copy the URL from the CA's "
	        "documentation." },
	{ ACME_STEP_directory, 200, "{\"newNonce\":\"https://x.test/\"}", ERR_PROTOCOL, true,
	        DIRECTORY
	        " is not an ACME directory: it is JSON without a usable URL for \"newAccount\"." },
	{ ACME_STEP_directory, 200,
	        "{\"newNonce\":\"https://x.test/\",\"newAccount\":\"https://x.test/\",\"newOrder\":"
	        "\"http://x.test/\"}",
	        ERR_PROTOCOL, true, "without a usable URL for \"newOrder\"" },
	{ ACME_STEP_directory, 404, "Not found", ERR_PROTOCOL, true,
	        "Let's Encrypt answered about the directory with HTTP 404 and text that is not "
	        "JSON, which is "
	        "not ACME. Check the issuer's directory URL " DIRECTORY },
	{ ACME_STEP_account, 200, "{\"status\":\"deactivated\"}", ERR_REFUSED, false,
	        "The account " CA_URL "/place/1 at Let's Encrypt is deactivated" },
	{ ACME_STEP_account, 403,
	        "{" URN "userActionRequired\",\"detail\":\"Terms have changed.\",\"instance\":"
	        "\"https://ca.test/agree\"}",
	        ERR_REFUSED, false,
	        "Let's Encrypt refused the account: Terms have changed (userActionRequired). Do "
	        "what it asks "
	        "for on https://ca.test/agree and try again." },
	{ ACME_STEP_account, 403, "{" URN "externalAccountRequired\",\"detail\":\"No EAB\"}",
	        ERR_REFUSED, false,
	        "Let's Encrypt takes only accounts that are bound to a contract with it" },
	{ ACME_STEP_order, 403,
	        "{" URN "rejectedIdentifier\",\"detail\":\"Some names\",\"subproblems\":[{" URN
	        "malformed\",\"detail\":\"Ends in a "
	        "dash.\",\"identifier\":{\"type\":\"dns\",\"value\":"
	        "\"a-.test\"}},{" URN "caa\",\"detail\":\"CAA says no\"},7]}",
	        ERR_REFUSED, false,
	        "Let's Encrypt refused the order: Some names (rejectedIdentifier); a-.test: Ends "
	        "in a dash "
	        "(malformed); CAA says no (caa). Choose a name that this CA issues certificates "
	        "for." },
	{ ACME_STEP_order, 400, "{" URN "invalidProfile\",\"detail\":\"No such profile\"}",
	        ERR_REFUSED, false, "Choose a profile that the CA's directory lists, or none." },
	{ ACME_STEP_order, 400, "{\"detail\":\"Bad\\u001b[31m\"}", ERR_REFUSED, false,
	        "Let's Encrypt refused the order: Bad?[31m. Try again" },
	{ ACME_STEP_order, 201, "{\"status\":\"pending\"}", ERR_PROTOCOL, true,
	        "The answer of Let's Encrypt about the order has no usable \"authorizations\"" },
	{ ACME_STEP_order, 201,
	        "{\"authorizations\":[\"https://x.test/\",\"https://x.test/\",\"https://x.test/"
	        "\"]}",
	        ERR_PROTOCOL, true, "asks for 3 proofs for 2 names" },
	{ ACME_STEP_order, 429, "{" URN "rateLimited\",\"detail\":\"too many certificates\"}",
	        ERR_LIMIT, true,
	        "A limit of Let's Encrypt is reached: too many certificates (rateLimited)." },
	{ ACME_STEP_authz, 200,
	        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"dns-01\"},{\"type\":\"tls-"
	        "alpn-01\"}]}",
	        ERR_REFUSED, false,
	        "Let's Encrypt lets control of shop.example.com be proved by dns-01, tls-alpn-01 "
	        "only; from here it can be proved by http-01. Choose another issuer for it, or "
	        "make one of the first possible." },
	{ ACME_STEP_authz, 200, "{\"status\":\"pending\"}", ERR_PROTOCOL, true,
	        "Let's Encrypt names no way to prove control of shop.example.com. Try again" },
	{ ACME_STEP_authz, 200,
	        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"token\":\"short\"}"
	        "]}",
	        ERR_PROTOCOL, true,
	        "about the authorization of shop.example.com has no usable token for the "
	        "challenge" },
	{ ACME_STEP_authz, 200,
	        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"token\":"
	        "\"0123456789abcdef0\",\"url\":\"http://x.test/\"}]}",
	        ERR_PROTOCOL, true, "has no usable URL of the challenge" },
	{ ACME_STEP_authz, 200, "{\"status\":\"deactivated\"}", ERR_REFUSED, false,
	        "Let's Encrypt calls the authorization of shop.example.com deactivated and does "
	        "not say why." },
	{ ACME_STEP_authz, 200,
	        "{\"status\":\"invalid\",\"challenges\":[{\"type\":\"http-01\",\"error\":{" URN
	        "unauthorized\",\"detail\":\"Invalid response: "
	        "404\"},\"validationRecord\":[{\"url\":"
	        "\"http://shop.example.com/a\"},{\"url\":\"https://shop.example.com/"
	        "b\",\"addressUsed\":"
	        "\"192.0.2.1\"}]}]}",
	        ERR_REFUSED, false,
	        "Let's Encrypt could not prove control of shop.example.com. It asked "
	        "https://shop.example.com/b at 192.0.2.1 and says: Invalid response: 404 "
	        "(unauthorized). "
	        "Another server answers for the name: point its A and AAAA records here." },
	{ ACME_STEP_authz, 404, "{" URN "malformed\",\"detail\":\"No such authorization\"}",
	        ERR_REFUSED, false,
	        "Let's Encrypt refused the authorization of shop.example.com: No such "
	        "authorization" },
	{ ACME_STEP_await, 200, "{\"status\":\"frozen\"}", ERR_PROTOCOL, true,
	        "no usable \"status\"" },
	{ ACME_STEP_await, 200, "{\"status\":\"valid\"}", ERR_PROTOCOL, true,
	        "about the state of the order has no usable URL in \"certificate\"" },
	{ ACME_STEP_finalize, 400, "{" URN "badCSR\",\"detail\":\"Key too weak\"}", ERR_REFUSED,
	        false,
	        "refused the certificate request: Key too weak (badCSR). Look at the names and the "
	        "key type." },
	{ ACME_STEP_await, 300, "{\"status\":\"valid\"}", ERR_PROTOCOL, true,
	        "about the state of the order with HTTP 300 and other JSON" },
	{ ACME_STEP_await, 199, "{\"status\":\"valid\"}", ERR_PROTOCOL, true,
	        "about the state of the order with HTTP 199 and other JSON" },
	{ ACME_STEP_await, 200, "[]", ERR_PROTOCOL, true,
	        "about the state of the order with HTTP 200 and other JSON" },
	{ ACME_STEP_finalize, 302, "", ERR_PROTOCOL, true,
	        "about the certificate request with HTTP 302 and nothing" },
};

static void failures_have_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
		FLOW_AUTO *f = flow_at(sentences[i].step);
		const struct next n = hear(f, sentences[i].status, sentences[i].body);
		assert_fail(n, sentences[i].code, sentences[i].text);
		if (n.ca_at_fault != sentences[i].ca_at_fault)
			fail_msg("whose fault: %s", n.err.text);
		assert_int_equal(n.err.text[strlen(n.err.text) - 1], '.');
	}
}

static void what_can_never_succeed_is_not_begun(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct str names[FLOW_NAMES_MOST + 1];
	for (size_t i = 0; i <= FLOW_NAMES_MOST; i++)
		names[i] = STR("a.test");
	struct flow_want want = { .directory_url = STR(DIRECTORY), .names = names };
	assert_null(flow_new(&want, &err));
	assert_string_equal(err.text, "A certificate needs a name: give at least one.");
	want.name_count = FLOW_NAMES_MOST + 1;
	assert_null(flow_new(&want, &err));
	assert_non_null(strstr(err.text, "101 names are too many for one certificate"));
	want.name_count = FLOW_NAMES_MOST;
	FLOW_AUTO *f = flow_new(&want, &err);
	assert_non_null(f);
	BUF_AUTO saved = BUF(1 << 20);
	flow_save(f, &saved);
	FLOW_AUTO *loaded = flow_load(buf_str(&saved), &err);
	assert_non_null(loaded);
	assert_int_equal(loaded->name_count, FLOW_NAMES_MOST);
	names[99] = STR("*.example.com");
	assert_null(flow_new(&want, &err));
	assert_non_null(strstr(err.text, "*.example.com is a wildcard"));
}

/* The failed name is sought among the authorizations; what else happens does not hide it. */
static void an_invalid_order_tells_why(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	const char *invalid =
	        "{\"status\":\"invalid\",\"error\":{" URN "compound\",\"detail\":\"One\"}}";
	assert_go(hear(f, 200, invalid), ACME_STEP_authz, 0);
	assert_int_equal(f->at, 0);
	assert_go(hear(f, 503, "{" URN "serverInternal\"}"), ACME_STEP_authz, 1000);
	assert_go(hear(f, 200, "{\"status\":\"valid\"}"), ACME_STEP_authz, 0);
	assert_int_equal(f->at, 1);
	assert_fail(hear(f, 200,
	                    "{\"status\":\"invalid\",\"challenges\":[{\"type\":\"http-01\","
	                    "\"error\":{" URN "dns\",\"detail\":\"NXDOMAIN\"}}]}"),
	        ERR_REFUSED,
	        "could not prove control of www.shop.example.com. It asked "
	        "http://www.shop.example.com/"
	        ".well-known/acme-challenge/0123456789abcdef and says: NXDOMAIN (dns). Repair the "
	        "name's A "
	        "and AAAA records.");
	assert_true(str_eq_c(f->problem.type, "dns"));
	assert_non_null(strstr(f->problem.json.p, "NXDOMAIN"));
}

static void an_invalid_order_without_failed_names_tells_its_own_reason(void **state)
{
	(void)state;
	const char *invalid =
	        "{\"status\":\"invalid\",\"error\":{" URN "caa\",\"detail\":\"CAA\"}}";
	const struct {
		unsigned status;
		const char *authz;
	} rows[] = {
		{ 200, "{\"status\":\"pending\"}" },
		{ 200, "{\"status\":\"valid\"}" },
		{ 404, "{" URN "malformed\"}" },
	};
	for (size_t i = 0; i < 3; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_await);
		assert_go(hear(f, 200, invalid), ACME_STEP_authz, 0);
		f->names[1].valid = true;
		assert_fail(hear(f, rows[i].status, rows[i].authz), ERR_REFUSED,
		        "Let's Encrypt gave the order up: CAA (caa). Allow this CA in the domain's "
		        "CAA record");
	}
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	f->names[0].valid = f->names[1].valid = true;
	assert_fail(hear(f, 200, "{\"status\":\"invalid\"}"), ERR_REFUSED,
	        "(it is \"invalid\") and does not say why. Try again; if it comes back, ask the CA "
	        "about " CA_URL "/order/1.");
}

/* The first name has nothing to say, the second has. */
static void the_reason_is_sought_name_by_name(void **state)
{
	(void)state;
	static const char *const quiet[] = { "{\"status\":\"pending\"}", "{\"status\":\"valid\"}" };
	for (size_t i = 0; i < 2; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_await);
		assert_go(hear(f, 200, "{\"status\":\"invalid\"}"), ACME_STEP_authz, 0);
		assert_go(hear(f, 200, quiet[i]), ACME_STEP_authz, 0);
		assert_int_equal(f->at, 1);
		assert_fail(hear(f, 200, "{\"status\":\"revoked\"}"), ERR_REFUSED,
		        "calls the authorization of www.shop.example.com revoked");
	}
}

static void a_ready_order_is_finalized_at_once(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	f->finalize = STR_NONE;
	assert_go(hear(f, 201, "{\"status\":\"ready\",\"finalize\":\"https://x.test/f\"}"),
	        ACME_STEP_finalize, 0);
	assert_true(str_eq_c(f->finalize, "https://x.test/f"));
	FLOW_AUTO *pending = flow_at(ACME_STEP_order);
	pending->finalize = STR_NONE;
	assert_go(hear(pending, 201,
	                  "{\"finalize\":\"https://x.test/f\",\"authorizations\":"
	                  "[\"https://x.test/1\",\"https://x.test/2\"]}"),
	        ACME_STEP_authz, 0);
	assert_true(str_eq_c(pending->finalize, "https://x.test/f"));
	FLOW_AUTO *late = flow_at(ACME_STEP_await);
	assert_go(hear(late, 200, "{\"status\":\"ready\"}"), ACME_STEP_finalize, 0);
	assert_true(late->names[0].valid && late->names[1].valid);
	assert_fail(hear(late, 200, "{\"status\":\"invalid\"}"), ERR_REFUSED, "gave the order up");
	FLOW_AUTO *lacking = flow_at(ACME_STEP_await);
	lacking->finalize = STR_NONE;
	assert_fail(hear(lacking, 200, "{\"status\":\"ready\"}"), ERR_PROTOCOL,
	        "no usable URL in \"finalize\"");
}

static void terms_and_binding_are_asked_for(void **state)
{
	(void)state;
	const char *none = "{" URN "accountDoesNotExist\",\"detail\":\"No account\"}";
	FLOW_AUTO *f = flow_at(ACME_STEP_account);
	f->terms_agreed = false;
	assert_true(str_eq_c(flow_ask(f).payload, "{\"onlyReturnExisting\":true}"));
	assert_fail(
	        hear(f, 400, none), ERR_INPUT, "accepts its terms of service, " CA_URL "/terms.");
	FLOW_AUTO *bound = flow_at(ACME_STEP_account);
	bound->directory.external_account_required = true;
	assert_fail(hear(bound, 400, none), ERR_REFUSED, "external account binding, EAB");
	FLOW_AUTO *agreed = flow_at(ACME_STEP_account);
	assert_go(hear(agreed, 400, none), ACME_STEP_account, 0);
	const struct acme_ask ask = flow_ask(agreed);
	assert_int_equal(ask.effect, ACME_POST_JWK);
	assert_true(str_eq_c(ask.payload,
	        "{\"termsOfServiceAgreed\":true,\"contact\":[\"mailto:ops@example.com\"]}"));
	assert_fail(hear(agreed, 400, none), ERR_REFUSED, "refused the account: No account");
	FLOW_AUTO *free_of_terms = flow_at(ACME_STEP_account);
	free_of_terms->terms_agreed = false;
	free_of_terms->directory.terms = STR_NONE;
	free_of_terms->email = STR_NONE;
	assert_go(hear(free_of_terms, 400, none), ACME_STEP_account, 0);
	assert_true(str_eq_c(flow_ask(free_of_terms).payload, "{}"));
}

static void a_forgotten_account_is_looked_up_once(void **state)
{
	(void)state;
	const char *none = "{" URN "accountDoesNotExist\",\"detail\":\"No account\"}";
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	f->account_looked_up = true;
	assert_go(hear(f, 400, none), ACME_STEP_account, 0);
	assert_int_equal(f->account.n, 0);
	assert_true(str_eq_c(flow_ask(f).payload, "{\"onlyReturnExisting\":true}"));
	assert_go(hear(f, 200, "{}"), ACME_STEP_order, 0);
	assert_true(str_eq_c(f->account, CA_URL "/place/1"));
	assert_fail(hear(f, 400, none), ERR_REFUSED, "Register again: an account is made then.");
}

static void an_order_says_what_is_wanted(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	f->names[1].name = STR("2001:db8::7");
	f->profile = STR("shortlived");
	f->replaces = STR("aki.serial");
	assert_true(str_eq_c(flow_ask(f).payload, "{\"identifiers\":[{\"type\":\"dns\",\"value\":"
	                                          "\"shop.example.com\"},{\"type\":\"ip\","
	                                          "\"value\":\"2001:db8::7\"}],\"profile\":"
	                                          "\"shortlived\",\"replaces\":\"aki.serial\"}"));
	f->names[1].name = STR("192.0.2.7");
	f->profile = f->replaces = STR_NONE;
	assert_true(str_eq_c(flow_ask(f).payload, "{\"identifiers\":[{\"type\":\"dns\",\"value\":"
	                                          "\"shop.example.com\"},{\"type\":\"ip\","
	                                          "\"value\":\"192.0.2.7\"}]}"));
}

static void a_refused_replacement_is_ordered_plainly_once(void **state)
{
	(void)state;
	const char *replaced = "{" URN "alreadyReplaced\",\"detail\":\"Replaced\"}";
	for (unsigned status = 400; status < 410; status++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_order);
		f->replaces = STR("aki.serial");
		const bool plain = status == 403 || status == 404 || status == 409;
		const struct next n = hear(f, status, replaced);
		if (!plain) {
			assert_fail(n, ERR_REFUSED, "refused the order: Replaced");
			continue;
		}
		assert_go(n, ACME_STEP_order, 0);
		assert_int_equal(f->replaces.n, 0);
		assert_fail(hear(f, status, replaced), ERR_REFUSED, "refused the order: Replaced");
	}
}

static void a_ca_that_fails_at_what_is_replaced_is_asked_plainly(void **state)
{
	(void)state;
	const char *failed = "{" URN "serverInternal\",\"detail\":\"No such order\"}";
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	f->replaces = STR("aki.serial");
	assert_int_equal(hear(f, 500, failed).step, ACME_STEP_order);
	assert_int_equal(hear(f, 503, failed).step, ACME_STEP_order);
	assert_true(str_eq_c(f->replaces, "aki.serial"));
	assert_go(hear(f, 500, failed), ACME_STEP_order, 0);
	assert_int_equal(f->replaces.n, 0);
	assert_int_equal(hear(f, 500, failed).step, ACME_STEP_order);
	assert_true(hear(f, 500, failed).after > 0);
}

static void authorizations_may_be_fewer_or_in_another_order(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	assert_go(
	        hear(f, 201, "{\"authorizations\":[\"" CA_URL "/authz/9\"]}"), ACME_STEP_authz, 0);
	assert_go(hear(f, 200,
	                  "{\"status\":\"pending\",\"identifier\":{\"value\":\"WWW.shop.example."
	                  "com\"},"
	                  "\"challenges\":[{\"type\":\"http-01\",\"token\":\"0123456789abcdef\","
	                  "\"url\":\"" CA_URL "/c\"}]}"),
	        ACME_STEP_answer, 0);
	assert_int_equal(f->at, 1);
	assert_true(f->names[0].valid && !f->names[1].valid);
	assert_true(str_eq_c(f->names[0].name, "shop.example.com"));
	assert_true(str_eq_c(f->names[1].token, "0123456789abcdef"));
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
}

static void a_token_is_base64url_of_16_to_128_characters(void **state)
{
	(void)state;
	char long_one[130];
	memset(long_one, 'a', sizeof long_one);
	long_one[129] = '\0';
	const struct {
		const char *token;
		bool fits;
	} rows[] = {
		{ "0123456789abcde", false },
		{ "0123456789abcdef", true },
		{ "AZaz09-_AZaz09-_", true },
		{ "0123456789abcde/", false },
		{ "0123456789abcde@", false },
		{ "0123456789abcde[", false },
		{ "0123456789abcde`", false },
		{ "0123456789abcde{", false },
		{ "0123456789abcde:", false },
		{ long_one + 1, true },
		{ long_one, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_authz);
		f->names[1].valid = true;
		BUF_AUTO body = BUF_INIT(1024);
		buf_printf(&body,
		        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"token\":"
		        "\"%s\","
		        "\"url\":\"" CA_URL "/c\"}]}",
		        rows[i].token);
		const struct next n = hear(f, 200, buf_c(&body));
		if ((n.what == FLOW_GO) != rows[i].fits)
			fail_msg("%s", rows[i].token);
	}
}

static void a_refused_answer_is_looked_into_once(void **state)
{
	(void)state;
	const char *no = "{" URN "malformed\",\"detail\":\"Not pending\"}";
	const char *pending =
	        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"token\":"
	        "\"ABCDEFGHIJKLMNOP\",\"url\":\"" CA_URL "/challenge/1\"}]}";
	FLOW_AUTO *f = flow_at(ACME_STEP_answer);
	assert_true(str_eq_c(flow_ask(f).payload, "{}"));
	assert_go(hear(f, 400, no), ACME_STEP_authz, 0);
	assert_go(hear(f, 200, pending), ACME_STEP_answer, 0);
	assert_fail(hear(f, 400, no), ERR_REFUSED,
	        "refused the answer to the challenge of shop.example.com: Not pending");
}

static void a_new_token_is_published_anew(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_answer);
	f->names[0].challenge = STR_NONE;
	const struct next again = { .what = FLOW_GO, .step = ACME_STEP_authz };
	flow_take(f, &again);
	const char *other =
	        "{\"status\":\"pending\",\"challenges\":[{\"type\":\"http-01\",\"token\":"
	        "\"another-token-now\",\"url\":\"" CA_URL "/challenge/1\"}]}";
	assert_go(hear(f, 200, other), ACME_STEP_answer, 0);
	assert_int_equal(flow_ask(f).effect, ACME_PUBLISH);
	assert_go(flow_did(f, NULL), ACME_STEP_answer, 0);
	assert_int_equal(flow_ask(f).effect, ACME_POST);
}

static void an_effect_that_fails_ends_the_flow(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_finalize);
	f->csr = STR_NONE;
	assert_int_equal(flow_ask(f).effect, ACME_CSR);
	struct err err = ERR_INIT;
	err_set(&err, ERR_IO, "The disk is full.");
	assert_fail(flow_did(f, &err), ERR_IO, "The disk is full.");
	flow_set_csr(f, STR("\x30\x01"));
	assert_go(flow_did(f, NULL), ACME_STEP_finalize, 0);
	assert_true(str_eq_c(flow_ask(f).payload, "{\"csr\":\"MAE\"}"));
	assert_true(str_eq_c(flow_ask(f).nonce, "nonce"));
}

/* Waiting */

static void polls_grow(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	const int64_t waits[] = { 50, 75, 112, 168, 252, 378, 567, 850, 1275, 1912, 2868, 4302,
		5000, 5000 };
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		assert_go(hear(f, 200, "{\"status\":\"pending\"}"), ACME_STEP_await, waits[i]);
	assert_int_equal(f->polls, 14);
	assert_true(str_eq_c(f->waiting_for, "the CA is checking the names"));
	assert_go(hear(f, 200, "{\"status\":\"ready\"}"), ACME_STEP_finalize, 0);
	assert_int_equal(f->waiting_for.n, 0);
	flow_ask(f);
	flow_set_csr(f, STR("csr"));
	flow_did(f, NULL);
	assert_go(hear(f, 200, "{\"status\":\"ready\"}"), ACME_STEP_await, 50);
	assert_go(hear(f, 200, "{\"status\":\"ready\"}"), ACME_STEP_finalize, 0);
	assert_go(hear(f, 403, "{" URN "orderNotReady\"}"), ACME_STEP_await, 75);
}

static struct next hear_at(struct flow *f, struct acme_reply r)
{
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static void retry_after_is_kept_to_within_the_hour(void **state)
{
	(void)state;
	struct acme_reply r = reply_of(200, "{\"status\":\"processing\"}");
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	r.retry_after = 3000;
	assert_go(hear_at(f, r), ACME_STEP_await, 3000);
	assert_int_equal(f->deadline, now + 10 * MINUTE + 3000);
	assert_int_equal(f->deadline_most, now + HOUR);
	r.retry_after = 0;
	assert_go(hear_at(f, r), ACME_STEP_await, 75);
	assert_int_equal(f->deadline, now + 10 * MINUTE + 3000);
	r.retry_after = HOUR;
	assert_go(hear_at(f, r), ACME_STEP_await, HOUR);
	assert_int_equal(f->deadline, now + HOUR);
	r.retry_after = HOUR + 1;
	const struct next n = hear_at(f, r);
	assert_fail(n, ERR_LIMIT,
	        "Let's Encrypt asks to wait until 2026-11-24T07:00:00Z. Nothing to do: it is tried "
	        "again then.");
	assert_int_equal(n.not_before, now + HOUR + 1);
	assert_true(n.ca_at_fault);
}

static void a_limit_says_until_when(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	struct acme_reply r = reply_of(429, "{" URN "rateLimited\",\"detail\":\"5 a week.\"}");
	r.retry_after = 34 * HOUR;
	const struct next n = hear_at(f, r);
	assert_fail(n, ERR_LIMIT,
	        "Let's Encrypt asks to wait until 2026-11-25T16:00:00Z: 5 a week (rateLimited). "
	        "Nothing to do");
	assert_int_equal(n.not_before, now + 34 * HOUR);
	FLOW_AUTO *soon = flow_at(ACME_STEP_answer);
	r.retry_after = 20000;
	const struct next wait = hear_at(soon, r);
	assert_go(wait, ACME_STEP_authz, 20000);
	assert_true(wait.ca_at_fault);
	FLOW_AUTO *bare = flow_at(ACME_STEP_answer);
	assert_go(hear(bare, 429, ""), ACME_STEP_authz, 1000);
	FLOW_AUTO *for_ever = flow_at(ACME_STEP_order);
	r.retry_after = INT64_MAX;
	assert_int_equal(hear_at(for_ever, r).not_before, now + 366 * DAY);
}

static void silence_at_the_start_ends_after_five_tries(void **state)
{
	(void)state;
	struct err why = ERR_INIT;
	err_set(&why, ERR_UNREACHABLE, "Connection refused.");
	struct acme_reply r = { .now = now, .retry_after = -1, .silence = &why };
	FLOW_AUTO *f = flow_at(ACME_STEP_directory);
	for (int64_t after = 1000; after <= 8000; after *= 2) {
		assert_go(hear_at(f, r), ACME_STEP_directory, after);
		assert_true(str_eq_c(f->waiting_for, "the CA does not answer"));
	}
	const struct next n = hear_at(f, r);
	assert_fail(n, ERR_UNREACHABLE,
	        "Let's Encrypt does not answer: Connection refused. It is tried again.");
	assert_true(n.ca_at_fault);
	assert_int_equal(f->lost, 5);
	/* A sentence that names the CA needs no other to begin with. */
	FLOW_AUTO *own = flow_at(ACME_STEP_directory);
	own->directory_url = STR("https://ca.corp:14000/dir");
	err_set(&why, ERR_UNREACHABLE, "ca.corp:14000 refuses connections.");
	for (int i = 0; i < 4; i++)
		hear_at(own, r);
	assert_fail(hear_at(own, r), ERR_UNREACHABLE,
	        "ca.corp:14000 refuses connections. It is tried again.");
	FLOW_AUTO *busy = flow_at(ACME_STEP_directory);
	for (int i = 0; i < 4; i++)
		hear(busy, 503, "{" URN "serverInternal\",\"detail\":\"Maintenance.\"}");
	assert_fail(hear(busy, 503, "{" URN "serverInternal\",\"detail\":\"Maintenance.\"}"),
	        ERR_UNREACHABLE,
	        "does not answer: HTTP 503, Maintenance (serverInternal). It is tried again.");
}

static void an_order_outlives_silence_until_the_deadline(void **state)
{
	(void)state;
	const struct err why = { .code = ERR_TIMEOUT, .text = "No answer came in 30 s." };
	struct acme_reply r = { .now = now, .retry_after = -1, .silence = &why };
	FLOW_AUTO *f = flow_at(ACME_STEP_finalize);
	const int64_t waits[] = { 1000, 2000, 4000, 8000, 16000, 30000, 30000 };
	for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
		assert_go(hear_at(f, r), ACME_STEP_await, waits[i]);
	r.now = now + 10 * MINUTE - 30000;
	assert_go(hear_at(f, r), ACME_STEP_await, 30000);
	r.now++;
	assert_fail(hear_at(f, r), ERR_TIMEOUT,
	        "No certificate came from Let's Encrypt in 10 minutes: the CA does not answer. It "
	        "is tried "
	        "again");
	FLOW_AUTO *heard = flow_at(ACME_STEP_await);
	hear_at(heard, r);
	assert_int_equal(heard->lost_in_row, 1);
	r.status = 200;
	r.nonce = STR("fresh");
	hear_at(heard, r);
	assert_int_equal(heard->lost_in_row, 1);
	r.body = STR("{\"status\":\"pending\"}");
	hear_at(heard, r);
	assert_int_equal(heard->lost_in_row, 0);
}

static void nonces_are_used_once_and_fetched_when_there_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *nonce;
		bool good;
	} rows[] = { { "AZaz09-_", true }, { "7", true }, { "", false }, { "a b", false },
		{ "a=", false }, { "ü", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FLOW_AUTO *f = flow_at(ACME_STEP_await);
		struct acme_reply r = reply_of(200, "{\"status\":\"pending\"}");
		r.nonce = str_c(rows[i].nonce);
		hear_at(f, r);
		const struct acme_ask ask = flow_ask(f);
		assert_int_equal(ask.effect, rows[i].good ? ACME_POST : ACME_HEAD);
		assert_true(str_eq_c(ask.url, rows[i].good ? CA_URL "/order/1" : CA_URL "/nonce"));
		assert_true(str_eq_c(ask.nonce, rows[i].good ? rows[i].nonce : ""));
	}
	FLOW_AUTO *f = flow_at(ACME_STEP_account);
	buf_clear(&f->nonce);
	struct acme_reply r = { .status = 204, .now = now, .retry_after = -1 };
	for (int i = 0; i < 4; i++)
		assert_go(hear_at(f, r), ACME_STEP_account, 1000 << i);
	assert_fail(hear_at(f, r), ERR_UNREACHABLE, "it gave no nonce, which every request needs.");
}

static void bad_nonces_are_bounded(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_answer);
	const char *bad = "{" URN "badNonce\",\"detail\":\"No\"}";
	for (int i = 0; i < 200; i++)
		assert_go(hear(f, 400, bad), ACME_STEP_answer, i < 20 ? 0 : 100);
	assert_true(str_eq_c(f->waiting_for, "the CA refuses the nonces that it gives"));
	assert_fail(hear(f, 400, bad), ERR_PROTOCOL, "refused 201 nonces in a row");
	assert_int_equal(f->bad_nonces, 201);
	f->bad_nonces_in_row = 200;
	assert_go(hear(f, 200, "{}"), ACME_STEP_answer, 0);
	assert_int_equal(f->bad_nonces_in_row, 0);
	struct acme_reply r = reply_of(400, bad);
	r.now = f->deadline;
	assert_go(hear_at(f, r), ACME_STEP_answer, 0);
	r.now++;
	assert_fail(hear_at(f, r), ERR_PROTOCOL, "refused 2 nonces in a row");
}

static void circles_end(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_await);
	f->turns = 4999;
	assert_go(hear(f, 200, "{\"status\":\"pending\"}"), ACME_STEP_await, 50);
	assert_fail(
	        hear(f, 200, "{\"status\":\"pending\"}"), ERR_PROTOCOL, "5000 requests and no end");
}

/* Saving */

static void assert_same_text(const struct flow *a, const struct flow *b)
{
	BUF_AUTO first = BUF_INIT(1 << 20);
	BUF_AUTO second = BUF_INIT(1 << 20);
	flow_save(a, &first);
	flow_save(b, &second);
	assert_string_equal(buf_c(&first), buf_c(&second));
}

static void a_saved_flow_is_the_same_flow(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_finalize);
	f->profile = STR("classic");
	f->replaces = STR("a.b");
	f->at = 1;
	f->account_looked_up = f->account_forgotten = true;
	f->directory.external_account_required = true;
	f->names[0].valid = f->names[1].refused = true;
	f->turns = 1, f->bad_nonces = 2, f->lost = 3, f->polls = 4;
	f->bad_nonces_in_row = 5, f->lost_in_row = 6, f->poll_wait = 7;
	f->deadline = now + 8, f->deadline_most = now + 9;
	f->waiting_for = STR("a test");
	hear(f, 503, "{" URN "serverInternal\",\"detail\":\"Down\",\"subproblems\":[]}");
	f->order_invalid = true;
	struct err err = ERR_INIT;
	BUF_AUTO saved = BUF_INIT(1 << 20);
	flow_save(f, &saved);
	FLOW_AUTO *loaded = flow_load(buf_str(&saved), &err);
	assert_non_null(loaded);
	assert_same_text(f, loaded);
	assert_int_equal(loaded->step, f->step);
	assert_int_equal(loaded->at, 1);
	assert_int_equal(loaded->name_count, 2);
	assert_true(
	        loaded->order_invalid && loaded->account_forgotten && loaded->account_looked_up);
	assert_true(
	        str_eq_c(loaded->problem.type, "serverInternal") && loaded->problem.status == 503);
	assert_non_null(strstr(loaded->problem.json.p, "subproblems"));
	assert_true(str_eq_c(loaded->csr, "csr"));
	assert_true(str_eq_c(loaded->names[1].token, "0123456789abcdef"));
	assert_true(
	        loaded->names[0].valid && loaded->names[1].refused && !loaded->names[0].refused);
	assert_true(loaded->deadline == f->deadline && loaded->poll_wait == 7 && loaded->lost == 4);
	assert_int_equal(loaded->bad_nonces, 2);
}

static void what_is_no_flow_is_not_loaded(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"7",
		"{}",
		"{\"step\":\"await\",\"directory_url\":\"https://a.test/\"}",
		"{\"step\":\"await\",\"names\":[{\"name\":\"a\"}]}",
		"{\"step\":\"nap\",\"names\":[{\"name\":\"a\"}],\"directory_url\":\"https://a.test/"
		"\"}",
		"{\"step\":\"await\",\"names\":[{}],\"directory_url\":\"https://a.test/\"}",
		"{\"step\":\"await\",\"names\":[],\"directory_url\":\"https://a.test/\"}",
		"{\"step\":\"await\",\"names\":[{\"name\":\"a\"}],\"at\":1,\"directory_url\":"
		"\"https://a.test/\"}",
		"{\"step\":\"await\",\"names\":[{\"name\":\"a\"}],\"at\":-1,\"directory_url\":"
		"\"https://a.test/\"}",
		"{\"step\":\"await\",\"names\":[{\"name\":\"a\"}],\"csr\":\"=\",\"directory_url\":"
		"\"https://a.test/\"}",
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct err err = ERR_INIT;
		assert_null(flow_load(str_c(texts[i]), &err));
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_non_null(
		        strstr(err.text, "cannot be read. It is dropped; a new one is begun."));
	}
	struct err err = ERR_INIT;
	FLOW_AUTO *f =
	        flow_load(STR("{\"step\":\"await\",\"names\":[{\"name\":\"a\"}],\"directory_url\":"
	                      "\"https://a.test/\"}"),
	                &err);
	assert_non_null(f);
}

static void a_restart_asks_before_it_does_anything_twice(void **state)
{
	(void)state;
	for (enum acme_step step = ACME_STEP_authz; step <= ACME_STEP_download; step++) {
		FLOW_AUTO *f = flow_at(step);
		f->lost_in_row = 4;
		f->poll_wait = 5000;
		f->waiting_for = STR("a test");
		f->deadline = f->deadline_most = now - 1;
		f->names[0].answered = true;
		assert_go(flow_lost(f, now), ACME_STEP_await, 0);
		assert_int_equal(f->deadline, now + 10 * MINUTE);
		assert_int_equal(f->deadline_most, now + HOUR);
		assert_int_equal(f->poll_wait, 50);
		assert_int_equal(f->waiting_for.n, 0);
		assert_int_equal(f->lost_in_row, 0);
		assert_int_equal(f->lost, 1);
		assert_int_equal(f->nonce.n, 0);
		assert_false(f->names[0].published || f->names[1].published);
		if (step == ACME_STEP_answer) {
			assert_int_equal(f->names[1].challenge.n, 0);
			assert_true(f->names[0].challenge.n > 0);
		}
	}
	FLOW_AUTO *early = flow_at(ACME_STEP_order);
	assert_go(flow_lost(early, now), ACME_STEP_order, 0);
	FLOW_AUTO *earlier = flow_at(ACME_STEP_directory);
	assert_go(flow_lost(earlier, now), ACME_STEP_directory, 0);
}

static void what_is_wanted_is_kept(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	const struct str name = STR("a.test");
	const struct flow_want want = { .directory_url = STR(DIRECTORY),
		.email = STR("ops@example.com"),
		.profile = STR("classic"),
		.replaces = STR("a.b"),
		.terms_agreed = true,
		.names = &name,
		.name_count = 1,
		.now = now };
	FLOW_AUTO *f = flow_new(&want, &err);
	assert_non_null(f);
	assert_true(str_eq_c(f->directory_url, DIRECTORY) && str_eq_c(f->email, "ops@example.com"));
	assert_true(str_eq_c(f->profile, "classic") && str_eq_c(f->replaces, "a.b"));
	assert_true(str_eq_c(f->names[0].name, "a.test") && f->terms_agreed && f->started == now);
}

static void what_is_known_is_not_asked(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(STR(DIRECTORY), /* terms_agreed= */ true);
	assert_int_equal(f->step, ACME_STEP_directory);
	assert_int_equal(flow_ask(f).effect, ACME_GET);
	flow_know_account(f, STR(CA_URL "/account/1"));
	assert_int_equal(f->step, ACME_STEP_directory);
	const struct acme_directory d = { .new_order = STR(CA_URL "/order"),
		.new_nonce = STR("n") };
	flow_know_directory(f, &d);
	assert_int_equal(f->step, ACME_STEP_order);
	assert_true(str_eq_c(f->directory.new_order, CA_URL "/order"));
}

static void a_directory_is_read_as_far_as_it_is_used(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct acme_directory d;
	struct err err = ERR_INIT;
	const struct str text =
	        STR("{\"newNonce\":\"http://ca.test/n\",\"newAccount\":\"https://ca.test/a\","
	            "\"newOrder\":\"https://ca.test/o\",\"keyChange\":7,\"renewalInfo\":\"https://"
	            "ca.test/i\","
	            "\"meta\":{\"termsOfService\":\"https://ca.test/"
	            "t\",\"externalAccountRequired\":true}}");
	assert_true(acme_directory_read(&a, text, STR("http://ca.test/"), &d, &err));
	assert_true(str_eq_c(d.new_nonce, "http://ca.test/n"));
	assert_true(str_eq_c(d.renewal_info, "https://ca.test/i"));
	assert_true(str_eq_c(d.terms, "https://ca.test/t"));
	assert_int_equal(d.key_change.n, 0);
	assert_true(d.external_account_required);
	assert_false(acme_directory_read(&a, text, STR("https://ca.test/"), &d, &err));
	assert_non_null(strstr(err.text, "without a usable URL for \"newNonce\""));
}

static void a_large_problem_keeps_its_words(void **state)
{
	(void)state;
	BUF_AUTO body = BUF_INIT(1 << 16);
	buf_add_c(&body, "{" URN "malformed\",\"detail\":\"Many\",\"subproblems\":[");
	for (unsigned i = 0; i < 200; i++)
		buf_printf(
		        &body, "%s{" URN "dns\",\"detail\":\"name number %u\"}", i ? "," : "", i);
	buf_add_c(&body, "]}");
	FLOW_AUTO *f = flow_at(ACME_STEP_order);
	assert_fail(hear(f, 400, buf_c(&body)), ERR_REFUSED, "refused the order: Many (malformed)");
	assert_int_equal(f->problem.json.n, 0);
	struct err err = ERR_INIT;
	BUF_AUTO saved = BUF_INIT(1 << 20);
	flow_save(f, &saved);
	FLOW_AUTO *loaded = flow_load(buf_str(&saved), &err);
	assert_non_null(loaded);
	assert_same_text(f, loaded);
	assert_true(str_eq_c(loaded->problem.type, "malformed"));
	assert_true(str_eq_c(loaded->problem.detail, "Many"));
	FLOW_AUTO *less = flow_at(ACME_STEP_order);
	BUF_AUTO hundred = BUF_INIT(1 << 16);
	buf_add_c(&hundred, "{" URN "malformed\",\"detail\":\"Many\",\"subproblems\":[");
	for (unsigned i = 0; i < 100; i++)
		buf_printf(&hundred, "%s{" URN "dns\",\"detail\":\"number %u\"}", i ? "," : "", i);
	buf_add_c(&hundred, "]}");
	const struct next n = hear(less, 400, buf_c(&hundred));
	assert_fail(n, ERR_REFUSED, "Many (malformed); number 0 (dns); number 1 (dns)");
	assert_fail(n, ERR_REFUSED, "…. Try again; if it comes back, show this text to the CA.");
	assert_true(less->problem.json.n > 0);
}

static void the_download_asks_for_pem(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_at(ACME_STEP_download);
	const struct acme_ask ask = flow_ask(f);
	assert_string_equal(ask.accept, "application/pem-certificate-chain");
	assert_int_equal(ask.payload.n, 0);
	const char *pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	const struct next n = hear(f, 200, pem);
	assert_int_equal(n.what, FLOW_DONE);
	assert_true(str_eq_c(f->chain, pem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_have_sentences),
		cmocka_unit_test(what_can_never_succeed_is_not_begun),
		cmocka_unit_test(an_invalid_order_tells_why),
		cmocka_unit_test(an_invalid_order_without_failed_names_tells_its_own_reason),
		cmocka_unit_test(the_reason_is_sought_name_by_name),
		cmocka_unit_test(a_ready_order_is_finalized_at_once),
		cmocka_unit_test(terms_and_binding_are_asked_for),
		cmocka_unit_test(a_forgotten_account_is_looked_up_once),
		cmocka_unit_test(an_order_says_what_is_wanted),
		cmocka_unit_test(a_refused_replacement_is_ordered_plainly_once),
		cmocka_unit_test(a_ca_that_fails_at_what_is_replaced_is_asked_plainly),
		cmocka_unit_test(authorizations_may_be_fewer_or_in_another_order),
		cmocka_unit_test(a_token_is_base64url_of_16_to_128_characters),
		cmocka_unit_test(a_refused_answer_is_looked_into_once),
		cmocka_unit_test(a_new_token_is_published_anew),
		cmocka_unit_test(an_effect_that_fails_ends_the_flow),
		cmocka_unit_test(polls_grow),
		cmocka_unit_test(retry_after_is_kept_to_within_the_hour),
		cmocka_unit_test(a_limit_says_until_when),
		cmocka_unit_test(silence_at_the_start_ends_after_five_tries),
		cmocka_unit_test(an_order_outlives_silence_until_the_deadline),
		cmocka_unit_test(nonces_are_used_once_and_fetched_when_there_is_none),
		cmocka_unit_test(bad_nonces_are_bounded),
		cmocka_unit_test(circles_end),
		cmocka_unit_test(a_saved_flow_is_the_same_flow),
		cmocka_unit_test(what_is_no_flow_is_not_loaded),
		cmocka_unit_test(a_restart_asks_before_it_does_anything_twice),
		cmocka_unit_test(what_is_wanted_is_kept),
		cmocka_unit_test(what_is_known_is_not_asked),
		cmocka_unit_test(a_directory_is_read_as_far_as_it_is_used),
		cmocka_unit_test(a_large_problem_keeps_its_words),
		cmocka_unit_test(the_download_asks_for_pem),
	};
	return cmocka_run_group_tests_name("acme", tests, NULL, NULL);
}
