/* Revocation as a dialogue: each message lost, refused, repeated; saved and loaded at each step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "acme/flow.h"
#include "base/clock.h"

#define URN "\"type\":\"urn:ietf:params:acme:error:"
static const int64_t now = INT64_C(1795500000000);

static struct flow *flow_of(unsigned reason)
{
	struct err err = ERR_INIT;
	const struct str names[] = { STR("shop.example.com") };
	const struct flow_want want = { .directory_url = STR("https://ca.test/directory"),
		.names = names,
		.name_count = 1,
		.revoke = STR("\x30\x03\x01\x02\x03"),
		.revoke_reason = reason,
		.now = now };
	struct flow *f = flow_new(&want, &err);
	assert_non_null(f);
	return f;
}

static struct next say(struct flow *f, unsigned status, const char *body)
{
	static const struct err silence = { .code = ERR_TIMEOUT, .text = "Nobody answers." };
	const struct acme_reply r = { .status = status,
		.body = str_c(body),
		.nonce = STR("fresh"),
		.location = STR("https://ca.test/account/1"),
		.retry_after = -1,
		.now = now,
		.silence = &silence };
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static const char *const directory =
        "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/account\","
        "\"newOrder\":\"https://ca.test/order\",\"revokeCert\":\"https://ca.test/revoke\"}";

/* To where the certificate is revoked; a nonce is at hand. */
static struct flow *at_revoke(unsigned reason)
{
	struct flow *f = flow_of(reason);
	assert_int_equal(say(f, 200, directory).step, ACME_STEP_account);
	assert_int_equal(say(f, 200, "{\"status\":\"valid\"}").step, ACME_STEP_revoke);
	return f;
}

static void it_is_asked_for_by_the_account(void **state)
{
	(void)state;
	static const struct {
		unsigned reason;
		const char *payload;
	} rows[] = {
		{ 0, "{\"certificate\":\"MAMBAgM\"}" },
		{ 1, "{\"certificate\":\"MAMBAgM\",\"reason\":1}" },
		{ 5, "{\"certificate\":\"MAMBAgM\",\"reason\":5}" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FLOW_AUTO *f = at_revoke(rows[i].reason);
		const struct acme_ask ask = flow_ask(f);
		assert_int_equal(ask.effect, ACME_POST);
		assert_true(str_eq_c(ask.url, "https://ca.test/revoke"));
		assert_true(str_eq_c(ask.payload, rows[i].payload));
		assert_true(str_eq_c(f->account, "https://ca.test/account/1"));
		assert_int_equal(say(f, 200, "").what, FLOW_DONE);
		assert_int_equal(f->chain.n, 0);
	}
}

static void what_the_ca_may_say(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *body;
		enum flow_what what;
		enum err_code code;
		const char *text, *remedy;
	} rows[] = {
		{ 200, "", FLOW_DONE, ERR_NONE, "", "" },
		{ 400, "{" URN "alreadyRevoked\"}", FLOW_DONE, ERR_NONE, "", "" },
		{ 403, "{" URN "unauthorized\",\"detail\":\"Not yours\"}", FLOW_FAIL, ERR_REFUSED,
		        "ca.test refused the revocation: Not yours (unauthorized).",
		        "Look whether the account is still valid and may order these names." },
		{ 400, "{" URN "badRevocationReason\",\"detail\":\"No\"}", FLOW_FAIL, ERR_REFUSED,
		        "ca.test refused the revocation: No (badRevocationReason).",
		        "Choose another reason, or none." },
		{ 200, "<html>", FLOW_FAIL, ERR_PROTOCOL,
		        "ca.test answered about the revocation with HTTP 200 and a web page "
		        "(HTML), "
		        "which is not ACME.",
		        "Check the issuer's directory URL https://ca.test/directory, and what "
		        "stands between here and there." },
		{ 404, "<html>", FLOW_FAIL, ERR_PROTOCOL,
		        "ca.test answered about the revocation with HTTP 404 and a web page "
		        "(HTML), "
		        "which is not ACME.",
		        "Check the issuer's directory URL https://ca.test/directory, and what "
		        "stands between here and there." },
		{ 302, "", FLOW_FAIL, ERR_PROTOCOL,
		        "ca.test answered about the revocation with HTTP 302 and nothing, which is "
		        "not ACME.",
		        "Check the issuer's directory URL https://ca.test/directory, and what "
		        "stands between here and there." },
		{ 400, "{" URN "badNonce\"}", FLOW_GO, ERR_NONE, "", "" },
		{ 503, "", FLOW_GO, ERR_NONE, "", "" },
		{ 0, "", FLOW_GO, ERR_NONE, "", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FLOW_AUTO *f = at_revoke(4);
		const struct next n = say(f, rows[i].status, rows[i].body);
		if (n.what != rows[i].what)
			fail_msg("%zu: %d %s", i, n.what, n.err.text);
		if (n.what == FLOW_GO) /* asked once more */
			assert_int_equal(n.step, ACME_STEP_revoke);
		if (n.what != FLOW_FAIL)
			continue;
		assert_int_equal(n.err.code, rows[i].code);
		assert_true(str_eq_c(err_message(&n.err), rows[i].text));
		assert_true(str_eq_c(err_remedy(&n.err), rows[i].remedy));
	}
}

static void a_lost_answer_is_asked_for_again(void **state)
{
	(void)state;
	FLOW_AUTO *f = at_revoke(0);
	say(f, 0, "");
	assert_int_equal(flow_ask(f).effect, ACME_POST);
	assert_int_equal(say(f, 400, "{" URN "alreadyRevoked\"}").what, FLOW_DONE);
}

static void a_restart_at_each_step(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	for (int known = 0; known < 3; known++) {
		FLOW_AUTO *f = flow_of(1);
		if (known > 0)
			say(f, 200, directory);
		if (known > 1)
			say(f, 200, "{\"status\":\"valid\"}");
		BUF_AUTO saved = BUF(64 << 10);
		flow_save(f, &saved);
		FLOW_AUTO *again = flow_load(buf_str(&saved), &err);
		assert_non_null(again);
		const struct next n = flow_lost(again, now);
		assert_int_equal(n.what, FLOW_GO);
		assert_int_equal(n.step, f->step);
		flow_take(again, &n);
		if (known < 1)
			say(again, 200, directory);
		if (known < 2) {
			say(again, 200, ""); /* a nonce */
			say(again, 200, "{\"status\":\"valid\"}");
		} else {
			say(again, 200, "");
		}
		assert_int_equal(again->step, ACME_STEP_revoke);
		assert_true(str_eq_c(
		        flow_ask(again).payload, "{\"certificate\":\"MAMBAgM\",\"reason\":1}"));
		assert_int_equal(say(again, 200, "").what, FLOW_DONE);
	}
}

static void no_account_is_made_for_it(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(0);
	say(f, 200, directory);
	const struct next n = say(f, 400, "{" URN "accountDoesNotExist\"}");
	assert_int_equal(n.what, FLOW_FAIL);
	assert_string_equal(n.err.text,
	        "ca.test knows no account of ours, so it does not let us revoke. Revoke with the "
	        "account that the certificate was ordered by.");
	FLOW_AUTO *gone = at_revoke(0);
	assert_int_equal(say(gone, 400, "{" URN "accountDoesNotExist\"}").step, ACME_STEP_account);
	assert_int_equal(say(gone, 200, "{\"status\":\"valid\"}").step, ACME_STEP_revoke);
	assert_int_equal(say(gone, 400, "{" URN "accountDoesNotExist\"}").what, FLOW_FAIL);
}

static struct flow *with_key(void)
{
	struct flow *f = flow_of(1);
	f->has_key = true;
	assert_int_equal(say(f, 200, directory).step, ACME_STEP_account);
	return f;
}

/* Saved and loaded in between, as after a restart. */
static void its_own_key_revokes_it(struct flow *f)
{
	struct err err = ERR_INIT;
	BUF_AUTO saved = BUF(64 << 10);
	assert_int_equal(f->step, ACME_STEP_revoke);
	flow_save(f, &saved);
	FLOW_AUTO *again = flow_load(buf_str(&saved), &err);
	assert_non_null(again);
	const struct next n = flow_lost(again, now);
	assert_int_equal(n.step, ACME_STEP_revoke);
	flow_take(again, &n);
	assert_int_equal(flow_ask(again).effect, ACME_HEAD);
	say(again, 200, "");
	const struct acme_ask ask = flow_ask(again);
	assert_int_equal(ask.effect, ACME_POST_NEW);
	assert_true(str_eq_c(ask.url, "https://ca.test/revoke"));
	assert_true(str_eq_c(ask.payload, "{\"certificate\":\"MAMBAgM\",\"reason\":1}"));
	assert_int_equal(say(again, 200, "").what, FLOW_DONE);
}

/* RFC 8555 7.6: when the CA knows the account no more, or not as the one that ordered it. */
static void where_the_account_is_gone_its_own_key_does(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *body;
		bool of_account; /* the answer that tells: of the account, or of the revocation */
	} rows[] = {
		{ 400, "{" URN "accountDoesNotExist\"}", true },
		{ 403, "{" URN "unauthorized\",\"detail\":\"Deactivated\"}", true },
		{ 200, "{\"status\":\"deactivated\"}", true },
		{ 200, "{\"status\":\"revoked\"}", true },
		{ 400, "{" URN "accountDoesNotExist\"}", false },
		{ 403, "{" URN "unauthorized\"}", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		FLOW_AUTO *f = with_key();
		if (!rows[i].of_account)
			say(f, 200, "{\"status\":\"valid\"}");
		const struct next n = say(f, rows[i].status, rows[i].body);
		if (n.what != FLOW_GO)
			fail_msg("%zu: %s", i, n.err.text);
		its_own_key_revokes_it(f);
	}
}

/* Nor is the account asked once more. */
static void its_own_key_may_be_refused_too(void **state)
{
	(void)state;
	static const char *const types[] = { "unauthorized", "accountDoesNotExist",
		"badPublicKey" };
	for (size_t i = 0; i < 3; i++) {
		char body[120];
		FLOW_AUTO *f = with_key();
		say(f, 400, "{" URN "accountDoesNotExist\"}");
		snprintf(body, sizeof body, "{" URN "%s\",\"detail\":\"No\"}", types[i]);
		const struct next n = say(f, 403, body);
		assert_int_equal(n.what, FLOW_FAIL);
		assert_true(
		        str_starts(str_c(n.err.text), STR("ca.test refused the revocation: No (")));
		FLOW_AUTO *known = with_key();
		say(known, 400, "{" URN "accountDoesNotExist\"}");
		assert_int_equal(say(known, 400, "{" URN "alreadyRevoked\"}").what, FLOW_DONE);
	}
}

/* What else a CA may say of the account or the revocation. */
static void other_refusals_are_not_for_its_own_key(void **state)
{
	(void)state;
	FLOW_AUTO *f = with_key();
	assert_int_equal(say(f, 403, "{" URN "badPublicKey\"}").what, FLOW_FAIL);
	FLOW_AUTO *g = with_key();
	say(g, 200, "{\"status\":\"valid\"}");
	assert_int_equal(say(g, 403, "{" URN "badRevocationReason\"}").what, FLOW_FAIL);
}

static void a_ca_without_revocation(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(0);
	say(f, 200,
	        "{\"newNonce\":\"https://ca.test/nonce\",\"newAccount\":\"https://ca.test/"
	        "account\","
	        "\"newOrder\":\"https://ca.test/order\"}");
	const struct next n = say(f, 200, "{\"status\":\"valid\"}");
	assert_int_equal(n.what, FLOW_FAIL);
	assert_string_equal(n.err.text,
	        "ca.test offers no revocation: its directory has no usable \"revokeCert\". Ask the "
	        "CA how it revokes.");
}

static void reasons_have_names(void **state)
{
	(void)state;
	unsigned reason = 99;
	assert_true(acme_reason_from_name(STR("keyCompromise"), &reason));
	assert_int_equal(reason, 1);
	assert_true(acme_reason_from_name(STR("unspecified"), &reason));
	assert_int_equal(reason, 0);
	assert_true(acme_reason_from_name(STR("cessationOfOperation"), &reason));
	assert_int_equal(reason, 5);
	assert_false(acme_reason_from_name(STR("cACompromise"), &reason));
	assert_false(acme_reason_from_name(STR_NONE, &reason));
	assert_int_equal(reason, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_asked_for_by_the_account),
		cmocka_unit_test(what_the_ca_may_say),
		cmocka_unit_test(a_lost_answer_is_asked_for_again),
		cmocka_unit_test(a_restart_at_each_step),
		cmocka_unit_test(no_account_is_made_for_it),
		cmocka_unit_test(where_the_account_is_gone_its_own_key_does),
		cmocka_unit_test(its_own_key_may_be_refused_too),
		cmocka_unit_test(other_refusals_are_not_for_its_own_key),
		cmocka_unit_test(a_ca_without_revocation),
		cmocka_unit_test(reasons_have_names),
	};
	return cmocka_run_group_tests_name("acme_revoke", tests, NULL, NULL);
}
