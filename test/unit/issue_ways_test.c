/* The ways in which an attempt may be wanted: types of key, keys used again, provers. */
#include "issue_place.h"

static struct place place;

struct job {
	struct attempt attempt;
	struct attempt_want want;
	struct store_tx tx;
	bool ended, issued;
	struct err err;
	struct secret key;
	struct buf words; /* what it waited for */
};

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->ended = true;
}

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	(void)a;
	(void)flow;
	(void)next;
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)flow;
	store_tx_init(&j->tx);
	attempt_clear(a, &j->tx);
	j->issued = issued;
	if (issued)
		j->key = secret_copy(secret_bytes(issued->key));
	else
		j->err = failed->err;
	store_tx_put(&j->tx, STR("done"), j->want.id, 0, STR("{}"), STR_NONE);
	store_tx_start(place.store, &j->tx, stored);
}

static void waits(struct attempt *a, struct str name, struct str words)
{
	struct job *j = OWNER(a, struct job, attempt);
	buf_printf(&j->words, "%.*s: %.*s\n", STR_ARG(name), STR_ARG(words));
}

static const struct str names[] = { STR_INIT("shop.example.com"), STR_INIT("www.example.com") };

static void job_init(struct job *j, const char *id)
{
	*j = (struct job){ .attempt = { .moved = moved, .done = done, .waits = waits },
		.words = BUF_INIT(10000),
		.want = { .id = str_c(id),
		        .issuer = STR("ca"),
		        .terms_agreed = true,
		        .names = names,
		        .name_count = 1 } };
}

static void job_done(struct job *j)
{
	attempt_abort(&j->attempt);
	store_tx_abort(&j->tx);
	secret_done(&j->key);
	buf_done(&j->words);
}

static void job_run(struct job *j)
{
	attempt_start(place.issuers, &j->attempt, &j->want);
	turn_until(&place, j->ended);
}

static void job_succeeds(struct job *j)
{
	job_run(j);
	if (!j->issued)
		fail_msg("%s", j->err.text);
}

static void set_rows(void)
{
	const struct issuer_row row = { STR("ca"), STR(CA_DIRECTORY), STR("the root") };
	issuers_set(place.issuers, &row, 1);
}

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	set_rows();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_done(&place);
	return 0;
}

static void restart(struct job *j)
{
	attempt_abort(&j->attempt);
	place_close(&place);
	place_open(&place);
	set_rows();
}

static void assert_type(const struct secret *der, enum key_type type)
{
	struct err err = ERR_INIT;
	enum key_type got = KEY_TYPE_COUNT;
	KEY_AUTO *key = key_from_der(secret_bytes(der), "It", &err);
	assert_non_null(key);
	assert_true(key_type_of(key, &got));
	assert_int_equal(got, type);
}

static void a_key_of_the_wanted_type_is_made(void **state)
{
	(void)state;
	static const enum key_type types[] = { KEY_P256, KEY_P384, KEY_RSA2048 };
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct job j;
		job_init(&j, key_type_name(types[i]));
		j.want.key_type = types[i];
		job_succeeds(&j);
		assert_type(&j.key, types[i]);
		job_done(&j);
	}
}

static void the_wanted_type_survives_a_restart(void **state)
{
	(void)state;
	struct job j;
	struct err err = ERR_INIT;
	job_init(&j, "shop");
	j.want.key_type = KEY_RSA2048;
	attempt_start(place.issuers, &j.attempt, &j.want);
	turn_until(&place, diary_count(&place, "ask challenge"));
	restart(&j);
	assert_true(attempt_resume(place.issuers, &j.attempt, STR("shop"), &err));
	turn_until(&place, j.ended);
	assert_true(j.issued);
	assert_type(&j.key, KEY_RSA2048);
	job_done(&j);
}

/* While an RSA key is made, others go on; aborted, it is nobody's. */
static void a_key_that_nobody_wants_any_more_is_dropped(void **state)
{
	(void)state;
	struct job j, other;
	job_init(&j, "slow");
	job_init(&other, "other");
	j.want.key_type = KEY_RSA4096;
	attempt_start(place.issuers, &j.attempt, &j.want);
	turn_until(&place, diary_count(&place, "ask poll"));
	loop_turn(place.loop, 0);
	job_done(&j);
	job_succeeds(&other);
	assert_type(&other.key, KEY_P256);
	assert_int_equal(place.ca.finalized, 1);
	job_done(&other);
}

static void a_key_is_used_again_if_that_is_wanted(void **state)
{
	(void)state;
	struct job first, second, third;
	struct err err = ERR_INIT;
	job_init(&first, "first");
	job_succeeds(&first);
	job_init(&second, "second");
	second.want.reuse_key = &first.key;
	attempt_start(place.issuers, &second.attempt, &second.want);
	turn_until(&place, diary_count(&place, "ask challenge") == 2);
	restart(&second);
	assert_true(attempt_resume(place.issuers, &second.attempt, STR("second"), &err));
	turn_until(&place, second.ended);
	assert_true(second.issued);
	assert_true(secret_eq(&second.key, secret_bytes(&first.key)));
	assert_int_equal(record_version(&place, "flow-key", "second"), 0);
	job_init(&third, "third");
	SECRET_AUTO none = secret_copy(STR("no key"));
	third.want.reuse_key = &none;
	job_run(&third);
	assert_string_equal(third.err.text,
	        "The key to be used again is not a private key in DER (SEC 1 or PKCS#8).");
	job_done(&first);
	job_done(&second);
	job_done(&third);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_key_of_the_wanted_type_is_made),
		T(the_wanted_type_survives_a_restart),
		T(a_key_that_nobody_wants_any_more_is_dropped),
		T(a_key_is_used_again_if_that_is_wanted),
	};
	return cmocka_run_group_tests_name("issue_ways", tests, NULL, NULL);
}
