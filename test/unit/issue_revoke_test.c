/* An attempt that is for a revocation: asked for once, counted against no limit, over without a
 * certificate. */
#include "issue/limits.h"
#include "issue_place.h"

#include "json/json.h"

#define LETS_ENCRYPT STR("https://acme-v02.api.letsencrypt.org/directory")

static struct place place;

struct job {
	struct attempt attempt;
	struct store_tx tx;
	unsigned told;
	bool issued, stored;
	struct err err;
};

/* The account is that of an order, and the two alone are counted. */
static void only_the_order_is_counted(void)
{
	static const unsigned used[LIMIT_COUNT] = { 1, 1, 1, 0, 1 };
	const struct str name = STR("shop.example.com");
	struct limit all[LIMIT_COUNT];
	assert_int_equal(
	        limits_of(issuers_limits(place.issuers), LETS_ENCRYPT, &name, 1, all), LIMIT_COUNT);
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		assert_int_equal(all[i].used, used[i]);
}

static void moved(struct attempt *a, const struct flow *f, const struct next *n)
{
	(void)a, (void)n;
	if (f->revoke.n)
		only_the_order_is_counted();
}

static void stored(struct store_tx *tx, const struct err *err)
{
	assert_null(err);
	OWNER(tx, struct job, tx)->stored = true;
}

static void done(struct attempt *a, const struct flow *f, const struct issued *issued,
        const struct next *failed)
{
	struct job *j = OWNER(a, struct job, attempt);
	(void)f;
	j->told++;
	j->issued = issued;
	j->err = failed ? failed->err : (struct err)ERR_INIT;
	attempt_clear(a, &j->tx);
	store_tx_start(place.store, &j->tx, stored);
}

static void run(struct job *j, struct str revoke)
{
	const struct str name = STR("shop.example.com");
	*j = (struct job){ .attempt = { .moved = moved, .done = done } };
	attempt_start(place.issuers, &j->attempt,
	        &(struct attempt_want){ .id = STR("shop/revoke"),
	                .issuer = STR("ca"),
	                .terms_agreed = true,
	                .names = &name,
	                .name_count = 1,
	                .revoke = revoke,
	                .revoke_reason = 4 });
	turn_until(&place, j->stored);
	assert_int_equal(j->told, 1);
	assert_null(j->attempt.state);
	assert_int_equal(record_version(&place, "flow", "shop/revoke"), 0);
}

static int setup(void **state)
{
	(void)state;
	const struct issuer_row row = {
		.name = STR("ca"), .directory = LETS_ENCRYPT, .trust = STR("the root")
	};
	place_init(&place);
	issuers_set(place.issuers, &row, 1);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place.ca.complaint = NULL; /* that its directory has another name */
	place_done(&place);
	return 0;
}

static void it_is_over_without_a_certificate(void **state)
{
	(void)state;
	struct job j;
	run(&j, STR_NONE);
	assert_true(j.issued);
	run(&j, STR("the certificate"));
	assert_false(j.issued);
	assert_string_equal(j.err.text, "");
	assert_int_equal(place.ca.revocations, 1);
	assert_int_equal(diary_count(&place, "ask revoke 4"), 1);
	assert_true(str_eq_c(buf_str(&place.ca.revoked), "the certificate"));
	assert_int_equal(place.ca.order_count, 1);
	only_the_order_is_counted();
}

static void a_refusal_is_told_and_not_counted(void **state)
{
	(void)state;
	struct job j;
	place.ca.revoke_refused = "unauthorized";
	run(&j, STR_NONE);
	assert_true(j.issued);
	run(&j, STR("the certificate"));
	assert_false(j.issued);
	assert_non_null(strstr(j.err.text, "No (unauthorized)"));
	only_the_order_is_counted();
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_is_over_without_a_certificate),
		T(a_refusal_is_told_and_not_counted),
	};
	return cmocka_run_group_tests_name("issue_revoke", tests, NULL, NULL);
}
