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

static unsigned rekeyed; /* told so often */

static void tell(struct rekeyed *r)
{
	(void)r;
	rekeyed++;
}

static void restart(void)
{
	place_close(&place);
	place_open(&place);
	place_one_ca(&place);
}

static int setup(void **state)
{
	static struct rekeyed told = { .tell = tell };
	(void)state;
	place_init(&place);
	place.rekeyed = &told;
	restart();
	rekeyed = 0;
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
	struct err failed;
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
		j->failed = failed->err;
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
	if (!j.issued)
		fail_msg("%s", j.failed.text);
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
	assert_int_equal(rekeyed, 1);
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
	assert_int_equal(rekeyed, 0);
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
	assert_int_equal(rekeyed, 1);
	assert_non_null(strstr(buf_c(&logged), "The account at ca: it is deactivated."));
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), 0);
	assert_int_equal(record_version(&place, "account-key", CA_DIRECTORY), 2); /* another */
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
	assert_non_null(
	        strstr(buf_c(&logged), "error : The account at ca was not changed: ca.test"));
	assert_int_equal(rekeyed, 0);
	issue("first"); /* it goes on with the key that there is */
	assert_int_equal(place.ca.accounts_made, 1);
	account_is_known_by_its_key();
}

struct key_call {
	struct issuer_key_call call;
	const struct key *key;
};

static void have_key(struct issuer_key_call *c, const struct key *key, const struct err *err)
{
	assert_null(err);
	OWNER(c, struct key_call, call)->key = key;
}

static void key_of(const char *issuer, char ret_print[JWK_THUMBPRINT + 1])
{
	struct key_call c = { 0 };
	issuer_key(place.issuers, str_c(issuer), &c.call, have_key);
	turn_until(&place, c.key);
	key_thumbprint(c.key, ret_print);
}

static bool fills_the_disk(struct scripted_ca *ca, const char *url, struct ca_refusal *ret)
{
	(void)ca;
	(void)ret;
	if (str_ends(str_c(url), STR("/rollover")))
		store_full(&place, true);
	return false;
}

/* The CA has the next key, and it is known after a restart. */
static void a_key_that_cannot_be_stored_is_said(void **state)
{
	(void)state;
	static const struct ca_rules rules = { .refuses_request = fills_the_disk };
	struct change c = { 0 };
	char before[JWK_THUMBPRINT + 1], after[JWK_THUMBPRINT + 1];
	issue("first");
	key_of("ca", before);
	place.ca.rules = &rules;
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, c.told);
	store_full(&place, false);
	assert_int_equal(c.err.code, ERR_IO);
	assert_int_equal(rekeyed, 0);
	key_of("ca", after);
	assert_string_equal(after, before); /* what is stored counts */
	assert_non_null(strstr(buf_c(&logged),
	        "error : It is not known whether the account at ca has its next key: "));
	restart();
	turn_until(&place, rekeyed);
	issue("second");
	account_is_known_by_its_key();
	assert_int_equal(place.ca.rollovers, 1);
}

/* Whoever asked for it may be gone, and the configuration may be read again: it goes on, once. */
static void a_change_goes_on_by_itself(void **state)
{
	(void)state;
	struct change c = { 0 };
	issue("first");
	account_deactivate(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, record_version(&place, "flow", "account/ca"));
	account_abort(&c.call);
	assert_null(c.call.change);
	account_abort(&c.call);
	place_one_ca(&place);
	turn_until(&place, rekeyed);
	run_for(&place, SECOND);
	assert_int_equal(rekeyed, 1);
	assert_int_equal(c.told, 0);
	assert_int_equal(diary_count(&place, "ask change"), 1);
	assert_null(strstr(buf_c(&logged), "was not changed"));
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), 0);
}

/* After a restart it is still known what was wanted. */
static void an_end_that_was_under_way_is_the_end(void **state)
{
	(void)state;
	struct change c = { 0 };
	issue("first");
	account_deactivate(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, record_version(&place, "flow", "account/ca"));
	account_abort(&c.call);
	restart();
	turn_until(&place, rekeyed);
	assert_non_null(strstr(buf_c(&logged), "The account at ca: it is deactivated."));
	assert_true(place.ca.deactivated);
	assert_int_equal(record_version(&place, "account", CA_DIRECTORY), 0);
}

/* ---- the CA falls silent once it may have heard of the next key ---- */

#define IN_DOUBT                                                                                   \
	"It is not known whether the account at ca has its next key: ca.test did not say which "   \
	"key the account has: ca.test does not answer. Both keys are kept, and nothing is "        \
	"ordered there meanwhile. Nothing to do: "

/* heard: it changed the key. The caller is told at once. */
static void fall_silent(bool heard)
{
	struct change c = { 0 };
	issue("first");
	place.ca.silent_at = heard ? "https://ca.test/rollover" : NULL;
	place.ca.down_at = heard ? NULL : "https://ca.test/rollover";
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, c.told || diary_count(&place, "ask nobody"));
	place.ca.silent_at = place.ca.down_at = NULL;
	place.ca.down = true;
	turn_until(&place, c.told);
	assert_memory_equal(c.err.text, IN_DOUBT, strlen(IN_DOUBT));
	assert_null(c.call.change);
	assert_int_equal(place.ca.rollovers, heard);
}

static void assert_doubt(const char *text)
{
	struct json_writer w;
	BUF_AUTO written = BUF(4096);
	json_write_init(&w, &written);
	json_write_object(&w, NULL);
	account_write_doubt(place.issuers, STR("ca"), &w);
	json_write_end(&w);
	if (!strstr(buf_c(&written), text))
		fail_msg("%s", buf_c(&written));
}

static void assert_in_doubt(void)
{
	assert_doubt("{\"account_doubt\":\"" IN_DOUBT);
	assert_int_equal(record_version(&place, "flow-key", "account/ca"), 1);
	assert_int_equal(rekeyed, 0);
}

/* One key, the CA's, and nothing else is left. */
static void assert_settled(void)
{
	assert_doubt("{\"account_doubt\":null}");
	assert_int_equal(place.ca.rollovers, 1);
	assert_int_equal(record_version(&place, "flow", "account/ca"), 0);
	assert_int_equal(record_version(&place, "flow-key", "account/ca"), 0);
	account_is_known_by_its_key();
	assert_null(place.ca.complaint);
}

static void both_keys_are_kept_until_the_ca_speaks(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 4; way++) {
		fall_silent(/* heard= */ way & 1);
		assert_in_doubt();
		if (way & 2) {
			restart();
			turn_until(&place, diary_count(&place, "ask nobody") >= 10);
			run_for(&place, MINUTE);
			assert_in_doubt();
		}
		const unsigned before = place.ca.requests;
		run_for(&place, 10 * DAY);
		assert_in_doubt();
		assert_in_range(place.ca.requests - before, 10, 100);
		place.ca.down = false;
		run_for(&place, DAY + HOUR);
		assert_int_equal(rekeyed, 1);
		assert_settled();
		teardown(NULL);
		setup(NULL);
	}
}

/* Nothing is ordered by a key that the CA may not know, and nobody is stormed. */
static void who_needs_the_account_has_the_ca_asked(void **state)
{
	(void)state;
	for (unsigned heard = 0; heard < 2; heard++) {
		struct job j;
		fall_silent(heard);
		const unsigned before = place.ca.requests;
		for (unsigned i = 0; i < 3; i++) { /* it was asked just now */
			job_start(&j, "soon");
			turn_until(&place, j.ended);
			assert_memory_equal(j.failed.text, IN_DOUBT, strlen(IN_DOUBT));
		}
		assert_int_equal(place.ca.requests, before);
		run_for(&place, HOUR);
		job_start(&j, "later");
		turn_until(&place, j.ended);
		assert_int_equal(j.followed, 1);
		assert_memory_equal(j.failed.text, IN_DOUBT, strlen(IN_DOUBT));
		run_for(&place, 30 * MINUTE);
		assert_in_doubt();
		place.ca.down = false;
		issue("at once");
		assert_int_equal(rekeyed, 1);
		assert_settled();
		teardown(NULL);
		setup(NULL);
	}
}

static void a_change_that_is_in_doubt_may_be_asked_for_again(void **state)
{
	(void)state;
	struct change again = { 0 }, second = { 0 }, end = { 0 }, third = { 0 };
	fall_silent(/* heard= */ true);
	account_rollover(place.issuers, STR("ca"), &again.call, changed);
	account_rollover(place.issuers, STR("ca"), &second.call, changed);
	account_deactivate(place.issuers, STR("ca"), &end.call, changed);
	assert_int_equal(again.told, 0);
	turn_until(&place, again.told && second.told && end.told);
	assert_memory_equal(again.err.text, IN_DOUBT, strlen(IN_DOUBT));
	assert_int_equal(second.err.code, ERR_BUSY);
	assert_int_equal(end.err.code, ERR_BUSY);
	assert_in_doubt();
	place.ca.down = false;
	account_rollover(place.issuers, STR("ca"), &third.call, changed);
	turn_until(&place, third.told);
	assert_string_equal(third.err.text, "");
	assert_settled();
}

/* The same rows, but another root is trusted: what is under way is asked there. */
static void the_ca_is_asked_as_it_is_configured_now(void **state)
{
	(void)state;
	static const struct issuer_row row = { .name = STR_INIT("ca"),
		.directory = STR_INIT(CA_DIRECTORY),
		.trust = STR_INIT("the root"),
		.http_port = 8080 };
	fall_silent(/* heard= */ true);
	issuers_set(place.issuers, NULL, 0);
	run_for(&place, DAY);
	assert_int_equal(record_version(&place, "flow-key", "account/ca"), 1);
	issuers_set(place.issuers, &row, 1);
	place.ca.down = false;
	issue("then");
	assert_int_equal(rekeyed, 1);
	assert_settled();
}

/* Killed after each change of the store, while the CA is silent and once it speaks again. */
static void killed_at_each_write_in_doubt_the_key_is_known(void **state)
{
	(void)state;
	bool over = false;
	unsigned kills = 0;
	for (unsigned at = 1; !over; at++) {
		fall_silent(/* heard= */ at & 1);
		place.kill_at = place.changes + (at + 1) / 2;
		run_for(&place, HOUR);
		place.ca.down = false;
		for (unsigned i = 0; i < 26 && !place.ca.stopped; i++)
			run_for(&place, HOUR);
		over = !place.ca.stopped;
		kills += !over;
		place.kill_at = 0;
		restart();
		place.ca.down = false;
		issue("then");
		assert_settled();
		teardown(NULL);
		setup(NULL);
	}
	assert_true(kills >= 4);
}

static bool one_key_for_both(void)
{
	char of_ca[JWK_THUMBPRINT + 1], of_staging[JWK_THUMBPRINT + 1];
	key_of("ca", of_ca);
	key_of("staging", of_staging);
	return !strcmp(of_ca, of_staging);
}

/* The two of Let's Encrypt share a key until one of them changes its own. */
static void who_changes_a_shared_key_has_its_own(void **state)
{
	(void)state;
	static const struct issuer_row rows[] = {
		{ .name = STR_INIT("ca"),
		        .directory = STR_INIT("https://acme-v02.api.letsencrypt.org/directory"),
		        .trust = STR_INIT("the root") },
		{ .name = STR_INIT("staging"),
		        .directory = STR_INIT(
		                "https://acme-staging-v02.api.letsencrypt.org/directory") },
	};
	struct change c = { 0 };
	place.ca.directory = "https://acme-v02.api.letsencrypt.org/directory";
	issuers_set(place.issuers, rows, 2);
	issue("first");
	assert_true(one_key_for_both());
	account_rollover(place.issuers, STR("ca"), &c.call, changed);
	turn_until(&place, c.told);
	assert_string_equal(c.err.text, "");
	run_for(&place, SECOND);
	assert_int_equal(
	        diary_count(&place, "put spent"), 3); /* of account and certificate alone */
	assert_false(one_key_for_both());
	place_close(&place);
	place_open(&place);
	issuers_set(place.issuers, rows, 2);
	assert_false(one_key_for_both());
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
		T(a_key_that_cannot_be_stored_is_said),
		T(a_change_goes_on_by_itself),
		T(an_end_that_was_under_way_is_the_end),
		T(both_keys_are_kept_until_the_ca_speaks),
		T(who_needs_the_account_has_the_ca_asked),
		T(a_change_that_is_in_doubt_may_be_asked_for_again),
		T(the_ca_is_asked_as_it_is_configured_now),
		T(killed_at_each_write_in_doubt_the_key_is_known),
		T(who_changes_a_shared_key_has_its_own),
	};
	return cmocka_run_group_tests_name("issue_account", tests, NULL, NULL);
}
