/* Changes of the account at a CA: its key, its contact, its end. */
#include "issue_place.h"

#include "issue/account.h"

static struct place place;

struct change {
	struct account_call call;
	unsigned told;
	struct err err;
};

static void changed(struct account_call *call, const struct err *err)
{
	struct change *c = OWNER(call, struct change, call);
	c->told++;
	if (err)
		c->err = *err;
}

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	place_one_ca(&place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

/* A certificate, so that there is an account. */
struct job {
	struct attempt attempt;
	struct store_tx tx;
	bool ended, issued;
	unsigned followed;
};

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->ended = true;
}

static void follows(struct attempt *a)
{
	OWNER(a, struct job, attempt)->followed++;
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)flow;
	if (failed)
		fail_msg("%s", failed->err.text);
	j->issued = issued;
	store_tx_init(&j->tx);
	attempt_clear(a, &j->tx);
	store_tx_start(place.store, &j->tx, stored);
}

static void job_start(struct job *j, const char *id)
{
	static const struct str name = STR_INIT("shop.example.com");
	*j = (struct job){ .attempt = { .moved = place_moved,
		                   .done = done,
		                   .follows = follows,
		                   .may_go_on = attempt_go_on } };
	attempt_start(place.issuers, &j->attempt,
	        &(struct attempt_want){ .id = str_c(id),
	                .issuer = STR("ca"),
	                .email = STR("old@example.com"),
	                .terms_agreed = true,
	                .names = &name,
	                .name_count = 1 });
}

static void issue(const char *id)
{
	struct job j;
	job_start(&j, id);
	turn_until(&place, j.ended);
	assert_true(j.issued);
}

static void restart(void)
{
	place_close(&place);
	place_open(&place);
	place_one_ca(&place);
}

/* Looked up by its key, the account is the one that there was. */
static void account_is_known_by_its_key(void)
{
	restart();
	record_delete(&place, "account", CA_DIRECTORY);
	restart();
	issue("by-key");
	assert_int_equal(place.ca.accounts_made, 1);
}

static void an_account_gets_another_key(void **state)
{
	(void)state;
	struct change c = { 0 };
	issue("first");
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	assert_int_equal(c.told, 0);
	turn_until(&place, c.told);
	assert_null(c.call.change); /* nothing is left to be aborted */
	assert_string_equal(c.err.text, "");
	assert_int_equal(place.ca.rollovers, 1);
	assert_non_null(strstr(buf_c(&logged), "The account at ca: it has another key."));
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 2);
	assert_int_equal(record_version(&place, "flow", "account/ca"), 0);
	assert_int_equal(record_version(&place, "flow-key", "account/ca"), 0);
	issue("second");
	account_is_known_by_its_key();
}

/* Killed after each change of the store until there are no more, it comes to the same end. */
static void killed_at_each_write_the_key_is_known(void **state)
{
	(void)state;
	bool told = false;
	unsigned kills = 0;
	for (unsigned at = 1; !told; at++) {
		struct change c = { 0 };
		issue("first");
		place.kill_at = place.changes + at;
		account_rollover(place.issuers, STR("ca"), &c.call, changed);
		turn_until(&place, c.told || place.ca.stopped);
		told = !place.ca.stopped;
		kills += !told;
		place.kill_at = 0;
		if (!c.told)
			account_abort(&c.call);
		restart();
		issue("second");
		assert_int_equal(place.ca.rollovers, 1);
		assert_int_equal(record_version(&place, "flow", "account/ca"), 0);
		assert_int_equal(record_version(&place, "flow-key", "account/ca"), 0);
		account_is_known_by_its_key();
		teardown(NULL);
		setup(NULL);
	}
	assert_true(kills >= 4);
}

/* Killed or unanswered at each request, it comes to one end. */
static void whatever_happens_the_key_is_known(void **state)
{
	(void)state;
	for (unsigned at = 1; at <= 4; at++)
		for (enum ca_fault fault = FAULT_LOST; fault <= FAULT_STOP_AFTER; fault++) {
			struct change c = { 0 };
			issue("first");
			place.ca.fault_at = place.ca.requests + at;
			place.ca.fault = fault;
			account_rollover(place.issuers, STR("ca"), &c.call, changed);
			turn_until(&place, c.told || place.ca.stopped);
			place.ca.fault_at = 0;
			if (!c.told) {
				account_abort(&c.call);
				restart();
			}
			issue("second");
			assert_int_equal(place.ca.rollovers, 1);
			account_is_known_by_its_key();
			teardown(NULL);
			setup(NULL);
		}
}

static void a_change_waits_for_those_who_use_the_key(void **state)
{
	(void)state;
	struct change c = { 0 };
	struct job first, second;
	issue("before");
	job_start(&first, "first");
	turn_until(&place, diary_count(&place, "ask challenge") == 2);
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	job_start(&second, "second");
	turn_until(&place, first.ended);
	assert_int_equal(diary_count(&place, "ask rollover"), 0);
	assert_int_equal(diary_count(&place, "ask order"), 2);
	turn_until(&place, second.ended);
	assert_int_equal(c.told, 1);
	assert_true(second.followed > 0);
	assert_int_equal(place.ca.rollovers, 1);
}

static void an_account_gets_another_contact(void **state)
{
	(void)state;
	struct change c = { 0 }, second = { 0 };
	BUF_AUTO value = BUF(1024);
	issue("first");
	account_contact(place.issuers, STR("ca"), STR("new@example.com"), &c.call, changed);
	account_contact(place.issuers, STR("ca"), STR("x@example.com"), &second.call, changed);
	turn_until(&place, c.told && second.told);
	assert_string_equal(c.err.text, "");
	assert_string_equal(second.err.text,
	        "The account at ca is being changed already. Wait until that is over.");
	assert_string_equal(place.ca.contact, "[\"mailto:new@example.com\"]");
	assert_non_null(strstr(buf_c(&logged), "The account at ca: it has another contact."));
	record_value(&place, "account", CA_DIRECTORY, &value);
	assert_string_equal(buf_c(&value),
	        "{\"url\":\"https://ca.test/account/0\",\"email\":\"new@example.com\","
	        "\"terms\":\"https://ca.test/terms\"}");
}

static void after_its_end_another_account_is_made(void **state)
{
	(void)state;
	struct change c = { 0 };
	issue("first");
	account_deactivate(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, c.told);
	assert_string_equal(c.err.text, "");
	assert_true(place.ca.deactivated);
	assert_non_null(strstr(buf_c(&logged), "The account at ca: it is deactivated."));
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), 0);
	place.ca.deactivated = false;
	issue("second");
	assert_int_equal(place.ca.accounts_made, 2);
}

static void who_has_no_account_has_nothing_to_change(void **state)
{
	(void)state;
	struct change c = { 0 };
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, c.told);
	assert_string_equal(c.err.text,
	        "ca.test knows no account of ours: there is nothing to change. One is made with "
	        "the first certificate from there.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(an_account_gets_another_key),
		T(whatever_happens_the_key_is_known),
		T(killed_at_each_write_the_key_is_known),
		T(a_change_waits_for_those_who_use_the_key),
		T(an_account_gets_another_contact),
		T(after_its_end_another_account_is_made),
		T(who_has_no_account_has_nothing_to_change),
	};
	return cmocka_run_group_tests_name("issue_account", tests, NULL, NULL);
}
