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

/* 409 names the account that has the key already. */
static void a_key_that_the_account_has_is_changed(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *location;
		bool done;
	} cases[] = { { 409, ACCOUNT, true }, { 409, CA "/account/2", false }, { 409, "", false },
		{ 403, ACCOUNT, false }, { 408, ACCOUNT, false }, { 410, ACCOUNT, false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		FLOW_AUTO *f = to_roll_over();
		const struct next n = hear_at(f, cases[i].status,
		        "{\"type\":\"" URN "malformed\",\"detail\":\"No\"}", cases[i].location);
		if (cases[i].done)
			assert_int_equal(n.what, FLOW_DONE);
		else
			assert_fail(n, "ca.test refused the account's next key: No (malformed).");
	}
}

static void after_silence_the_account_is_looked_for_by_its_next_key(void **state)
{
	(void)state;
	for (unsigned known = 0; known <= 1; known++) {
		FLOW_AUTO *f = to_roll_over();
		assert_int_equal(hear(f, 0, "").step, ACME_STEP_which_key);
		buf_add_c(&f->nonce, "nonce");
		assert_asks(f, ACME_POST_NEW, CA "/new-account", "{\"onlyReturnExisting\":true}");
		const struct next n =
		        known ? hear(f, 200, "{}")
		              : hear(f, 400, "{\"type\":\"" URN "accountDoesNotExist\"}");
		assert_int_equal(n.what, known ? FLOW_DONE : FLOW_GO);
		if (!known)
			assert_asks(f, ACME_POST, CA "/key-change", inner);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_contact_is_sent_to_the_account),
		cmocka_unit_test(a_key_is_changed_by_what_both_signed),
		cmocka_unit_test(a_key_that_the_account_has_is_changed),
		cmocka_unit_test(after_silence_the_account_is_looked_for_by_its_next_key),
		cmocka_unit_test(a_key_that_was_stored_is_looked_for_first),
		cmocka_unit_test(who_was_heard_before_has_ended_the_account),
		cmocka_unit_test(what_is_not_tried_again_is_not_said_to_be),
	};
	return cmocka_run_group_tests_name("acme_change", tests, NULL, NULL);
}
