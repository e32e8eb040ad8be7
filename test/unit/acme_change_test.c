/* Changes of the account: its contact, its key, its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "acme/flow.h"
#include "base/clock.h"

#define CA      "https://ca.test"
#define ACCOUNT CA "/account/1"
#define URN     "urn:ietf:params:acme:error:"
static const int64_t now = INT64_C(1795500000000);

#define FLOW_AUTO __attribute__((cleanup(flow_free))) struct flow

/* Before the change itself: directory and account are known. */
static struct flow *flow_of(enum acme_change change, const char *key_change)
{
	struct err err = ERR_INIT;
	const struct flow_want want = { .directory_url = STR(CA "/directory"),
		.email = STR("ops@example.com"),
		.change = change,
		.now = now };
	const struct acme_directory directory = {
		.new_nonce = STR(CA "/nonce"),
		.new_account = STR(CA "/new-account"),
		.new_order = STR(CA "/order"),
		.key_change = str_c(key_change),
	};
	struct flow *f = flow_new(&want, &err);
	if (!f)
		fail_msg("%s", err.text);
	flow_know_account(f, STR(ACCOUNT));
	flow_know_directory(f, &directory);
	buf_add_c(&f->nonce, "nonce");
	return f;
}

static struct next hear_at(struct flow *f, unsigned status, const char *body, const char *location)
{
	static const struct err silence = { .code = ERR_TIMEOUT, .text = "No answer came." };
	const struct acme_reply r = { .status = status,
		.body = str_c(body),
		.location = str_c(location),
		.nonce = STR("fresh"),
		.retry_after = -1,
		.silence = status ? NULL : &silence,
		.now = now };
	if (f->nonce.n == 0)
		buf_add_c(&f->nonce, "nonce");
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

static struct next hear(struct flow *f, unsigned status, const char *body)
{
	return hear_at(f, status, body, "");
}

static void assert_asks(
        struct flow *f, enum acme_effect effect, const char *url, const char *payload)
{
	const struct acme_ask ask = flow_ask(f);
	assert_int_equal(ask.effect, effect);
	assert_true(str_eq_c(ask.url, url));
	assert_true(str_eq_c(ask.payload, payload));
}

static void assert_fail(struct next n, const char *text)
{
	if (n.what != FLOW_FAIL || !strstr(n.err.text, text))
		fail_msg("want \"%s\", got %d \"%s\"", text, (int)n.what, n.err.text);
}

static void a_contact_is_sent_to_the_account(void **state)
{
	(void)state;
	FLOW_AUTO *f = flow_of(CHANGE_contact, "");
	assert_asks(f, ACME_POST, ACCOUNT, "{\"contact\":[\"mailto:ops@example.com\"]}");
	assert_int_equal(hear(f, 200, "{\"status\":\"valid\"}").what, FLOW_DONE);
}

static const char inner[] = "{\"signature\":\"x\"}";

/* The next key is there, and the CA is to hear of it. */
static struct flow *to_roll_over(void)
{
	struct flow *f = flow_of(CHANGE_rollover, CA "/key-change");
	assert_int_equal(flow_ask(f).effect, ACME_NEXT_KEY);
	flow_set_inner(f, str_c(inner));
	const struct next n = flow_did(f, NULL);
	flow_take(f, &n);
	assert_asks(f, ACME_POST, CA "/key-change", inner);
	return f;
}

static void a_key_is_changed_by_what_both_signed(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_roll_over();
	assert_int_equal(hear(f, 200, "{}").what, FLOW_DONE);
	FLOW_AUTO *none = flow_of(CHANGE_rollover, "");
	const struct next n = flow_lost(none, now);
	assert_fail(n, "ca.test offers no change of an account's key");
}

#define NO_ACCOUNT "{\"type\":\"" URN "accountDoesNotExist\",\"detail\":\"Who\"}"

static struct next hear_next_key_known(struct flow *f)
{
	assert_int_equal(f->step, ACME_STEP_which_key);
	buf_add_c(&f->nonce, "nonce");
	assert_asks(f, ACME_POST_NEW, CA "/new-account", "{\"onlyReturnExisting\":true}");
	return hear_at(f, 200, "{}", ACCOUNT);
}

static struct next hear_next_key_unknown(struct flow *f)
{
	assert_int_equal(f->step, ACME_STEP_which_key);
	return hear(f, 400, NO_ACCOUNT);
}

static struct next hear_old_key_known(struct flow *f)
{
	assert_int_equal(f->step, ACME_STEP_which_old);
	buf_add_c(&f->nonce, "nonce");
	assert_asks(f, ACME_POST_JWK, CA "/new-account", "{\"onlyReturnExisting\":true}");
	return hear_at(f, 200, "{}", ACCOUNT);
}

/* A refusal counts once the CA has said that it knows the key of now. */
static void a_refused_key_may_be_the_accounts_all_the_same(void **state)
{
	(void)state;
	static const unsigned refusals[] = { 409, 403, 408, 410 };
	static const char no[] = "{\"type\":\"" URN "malformed\",\"detail\":\"No\"}";
	for (size_t i = 0; i < 2 * sizeof refusals / sizeof *refusals; i++) {
		FLOW_AUTO *f = to_roll_over();
		hear(f, refusals[i / 2], no);
		assert_true(f->in_doubt);
		if (i & 1) {
			assert_int_equal(hear_next_key_known(f).what, FLOW_DONE);
			continue;
		}
		hear_next_key_unknown(f);
		const struct next n = hear_old_key_known(f);
		assert_fail(n, "ca.test refused the account's next key: No (malformed).");
		assert_true(err_remedy(&n.err).n);
		assert_false(f->in_doubt);
	}
	/* It is another account's. */
	FLOW_AUTO *f = to_roll_over();
	hear_at(f, 409, no, CA "/account/2");
	hear_at(f, 200, "{}", CA "/account/2");
	assert_fail(hear_old_key_known(f), "ca.test refused the account's next key: No");
}

static void after_silence_the_account_is_looked_for_by_both_keys(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_roll_over();
	hear(f, 0, "");
	assert_int_equal(hear_next_key_known(f).what, FLOW_DONE);
	FLOW_AUTO *old = to_roll_over();
	for (unsigned sent = 1; sent < 3; sent++) {
		hear(old, 0, "");
		hear_next_key_unknown(old);
		assert_int_equal(hear_old_key_known(old).step, ACME_STEP_rollover);
		assert_false(old->in_doubt);
		buf_add_c(&old->nonce, "nonce");
		assert_asks(old, ACME_POST, CA "/key-change", inner);
	}
	hear(old, 0, "");
	hear_next_key_unknown(old);
	assert_fail(hear_old_key_known(old), "ca.test was asked 3 times for another key");
	assert_false(old->in_doubt);
	FLOW_AUTO *none = to_roll_over();
	hear(none, 0, "");
	hear_next_key_unknown(none);
	assert_int_equal(hear(none, 400, NO_ACCOUNT).step, ACME_STEP_which_key);
	assert_true(none->in_doubt);
	hear_next_key_unknown(none);
	assert_fail(hear(none, 400, NO_ACCOUNT), "ca.test knows no account of ours by its next");
	assert_false(none->in_doubt);
}

/* Whatever else is there, it does not say which key the account has: nor after a restart. */
static void what_is_no_answer_leaves_the_key_in_doubt(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *body, *location;
	} cases[] = { { 0, "", "" }, { 200, "<html>", "" }, { 200, "{}", "" },
		{ 200, "<html>", "x" }, { 503, "", "" },
		{ 403, "{\"type\":\"" URN "unauthorized\"}", "" } };
	for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
		FLOW_AUTO *f = to_roll_over();
		struct next n = hear(f, 200, "<html>"); /* from a box on the way */
		struct err err = ERR_INIT;
		BUF_AUTO saved = BUF(64 << 10);
		if (i & 1)
			hear_next_key_unknown(f);
		for (int tries = 0; tries < 20 && n.what == FLOW_GO; tries++)
			n = hear_at(
			        f, cases[i / 2].status, cases[i / 2].body, cases[i / 2].location);
		assert_int_equal(n.what, FLOW_FAIL);
		assert_true(f->in_doubt);
		flow_save(f, &saved);
		FLOW_AUTO *again = flow_load(buf_str(&saved), &err);
		n = flow_lost(again, now);
		flow_take(again, &n);
		assert_true(again->in_doubt);
		assert_int_equal(hear_next_key_known(again).what, FLOW_DONE);
	}
}

/* The directory may name other URLs by then: what both signed is signed for the new ones. */
static void a_key_in_doubt_is_looked_for_at_a_moved_ca(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_roll_over();
	hear(f, 0, "");
	struct next n = flow_lost(f, now);
	flow_take(f, &n);
	assert_int_equal(hear(f, 404, "").step, ACME_STEP_directory);
	assert_int_equal(hear(f, 200,
	                         "{\"newNonce\":\"" CA "/n2\",\"newAccount\":\"" CA
	                         "/a2\",\"newOrder\":\"" CA "/o2\",\"keyChange\":\"" CA "/k2\"}")
	                         .step,
	        ACME_STEP_which_key);
	hear_next_key_unknown(f);
	assert_int_equal(hear_at(f, 200, "{}", ACCOUNT).step, ACME_STEP_rollover);
	assert_int_equal(flow_ask(f).effect, ACME_NEXT_KEY);
}

/* After a restart nobody knows whether the CA has heard of the key. */
static void a_key_that_was_stored_is_looked_for_first(void **state)
{
	(void)state;
	FLOW_AUTO *f = to_roll_over();
	assert_int_equal(flow_lost(f, now).step, ACME_STEP_which_key);
	FLOW_AUTO *early = flow_of(CHANGE_rollover, CA "/key-change");
	assert_int_equal(flow_lost(early, now).step, ACME_STEP_rollover);
}

static void who_was_heard_before_has_ended_the_account(void **state)
{
	(void)state;
	static const char refusal[] = "{\"type\":\"" URN "unauthorized\",\"detail\":\"No\"}";
	FLOW_AUTO *f = flow_of(CHANGE_deactivate, "");
	assert_asks(f, ACME_POST, ACCOUNT, "{\"status\":\"deactivated\"}");
	assert_int_equal(hear(f, 0, "").step, ACME_STEP_deactivate);
	assert_int_equal(hear(f, 401, refusal).what, FLOW_DONE);
	/* Nobody was heard, or it is about something else. */
	FLOW_AUTO *first = flow_of(CHANGE_deactivate, "");
	assert_fail(hear(first, 401, refusal), "ca.test refused the end of the account: No");
	FLOW_AUTO *other = flow_of(CHANGE_deactivate, "");
	hear(other, 0, "");
	assert_fail(hear(other, 400, "{\"type\":\"" URN "malformed\",\"detail\":\"No\"}"),
	        "ca.test refused the end of the account: No");
}

/* Nothing comes, with a nonce at hand or without: then the change itself was never sent. */
static struct next hear_nothing(struct flow *f, bool nonce)
{
	static const struct err silence = { .code = ERR_TIMEOUT, .text = "No answer came." };
	const struct acme_reply r = { .retry_after = -1, .silence = &silence, .now = now };
	buf_clear(&f->nonce);
	if (nonce)
		buf_add_c(&f->nonce, "nonce");
	flow_ask(f);
	const struct next n = flow_heard(f, &r);
	flow_take(f, &n);
	return n;
}

/* Nobody repeats it: it is said whether it may have been heard of, also after a restart. */
static void what_is_not_tried_again_is_not_said_to_be(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"The account at ca.test is not changed: No answer came. Ask for the change once "
		"more when it answers.",
		"ca.test did not say whether the account is changed: No answer came. Ask for the "
		"change once more when it answers."
	};
	static const enum acme_change all[] = { CHANGE_contact, CHANGE_deactivate };
	for (size_t i = 0; i < 4; i++) {
		const bool sent = i & 1;
		struct err err = ERR_INIT;
		struct next n = { 0 };
		BUF_AUTO saved = BUF(64 << 10);
		FLOW_AUTO *f = flow_of(all[i / 2], "");
		hear_nothing(f, sent);
		flow_save(f, &saved);
		FLOW_AUTO *again = flow_load(buf_str(&saved), &err);
		n = flow_lost(again, now);
		flow_take(again, &n);
		for (int tries = 0; tries < 20 && n.what == FLOW_GO; tries++)
			n = hear_nothing(again, false);
		assert_int_equal(n.what, FLOW_FAIL);
		assert_string_equal(n.err.text, texts[sent]);
	}
	FLOW_AUTO *busy = flow_of(CHANGE_contact, "");
	const struct next n =
	        hear(busy, 429, "{\"type\":\"" URN "rateLimited\",\"detail\":\"Too many\"}");
	assert_fail(n,
	        "ca.test did not say whether the account is changed: a limit of it is reached, Too "
	        "many (rateLimited).");
}

static void a_web_page_is_no_consent(void **state)
{
	(void)state;
	static const enum acme_change all[] = { CHANGE_contact, CHANGE_deactivate };
	for (size_t i = 0; i < 2; i++) {
		FLOW_AUTO *f = flow_of(all[i], "");
		const struct next n = hear(f, 200, "<html>Back soon</html>");
		assert_int_equal(n.what, FLOW_FAIL);
		assert_non_null(strstr(n.err.text, "which is not ACME"));
		FLOW_AUTO *good = flow_of(all[i], "");
		assert_int_equal(hear(good, 200, "{\"status\":\"valid\"}").what, FLOW_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_contact_is_sent_to_the_account),
		cmocka_unit_test(a_web_page_is_no_consent),
		cmocka_unit_test(a_key_is_changed_by_what_both_signed),
		cmocka_unit_test(a_refused_key_may_be_the_accounts_all_the_same),
		cmocka_unit_test(after_silence_the_account_is_looked_for_by_both_keys),
		cmocka_unit_test(what_is_no_answer_leaves_the_key_in_doubt),
		cmocka_unit_test(a_key_in_doubt_is_looked_for_at_a_moved_ca),
		cmocka_unit_test(a_key_that_was_stored_is_looked_for_first),
		cmocka_unit_test(who_was_heard_before_has_ended_the_account),
		cmocka_unit_test(what_is_not_tried_again_is_not_said_to_be),
	};
	return cmocka_run_group_tests_name("acme_change", tests, NULL, NULL);
}
