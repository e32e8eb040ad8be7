/* What is held: its record, what is damaged in it, and the same names asked for again. */
#include "renew_world.h"

static void register_both(struct wish *w)
{
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	wish_register(w, &(struct register_want){ .names = names,
	                         .name_count = 2,
	                         .email = STR("ops@example.com"),
	                         .agree_tos = true });
	wish_wait(w);
	run_until_idle();
}

static void the_record_tells_the_names(void **state)
{
	(void)state;
	struct wish w;
	BUF_AUTO value = BUF_INIT(64 << 10);
	world_start(BASE);
	register_both(&w);
	record_value(place, "certificate", w.id, &value);
	assert_non_null(
	        strstr(buf_c(&value), "\"names\":[\"shop.example.com\",\"www.example.com\"]"));
	assert_non_null(strstr(buf_c(&value),
	        "\"not_before\":\"2027-01-01T00:00:00Z\",\"not_after\":\"2027-04-01T00:00:00Z\""));
}

static void the_same_names_again_are_there_already(void **state)
{
	(void)state;
	struct wish first, again;
	world_start(BASE);
	register_both(&first);
	assert_false(first.existing);
	register_both(&again);
	assert_true(again.existing);
	assert_string_equal(again.id, first.id);
	assert_int_equal(place->ca.order_count, 1);
}

/* Nobody orders: what is wrong with the stored one stays to be seen. */
static void what_is_damaged_is_said_in_status(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	register_both(&w);
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	record_put(place, "certificate", w.id, STR("{\"issuer\":\"ca\"}"), STR_NONE);
	world_kill();
	world_start(NULL);
	logged_has("cannot be served: ");
	const char *error = said("shop.example.com", "last_error");
	assert_non_null(strstr(error, "\"message\":\""));
}

static void a_length_has_four_bytes(void **state)
{
	(void)state;
	struct wish w;
	struct record record;
	struct err err = ERR_INIT;
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO blob = BUF_INIT(64 << 10);
	world_start(BASE);
	register_both(&w);
	assert_true(store_get(place->store, &a, STR("certificate"), str_c(w.id), &record, &err));
	buf_add(&blob, record.blob);
	blob.p[0] = 1; /* so many certificates were never there */
	record_put(place, "certificate", w.id, record.value, buf_str(&blob));
	world_kill();
	world_start(NULL);
	logged_has("cannot be served: The stored certificate is damaged.");
}

static void a_chain_has_its_most(void **state)
{
	(void)state;
	struct str given[CHAIN_MOST + 1], chain[CHAIN_MOST];
	BUF_AUTO blob = BUF_INIT(1024);
	struct err err = ERR_INIT;
	size_t count = 0;
	for (size_t i = 0; i <= CHAIN_MOST; i++)
		given[i] = STR("DER");
	held_blob(&blob, given, CHAIN_MOST);
	buf_add_c(&blob, "the key");
	struct str rest = buf_str(&blob);
	assert_true(held_read_chain(&rest, chain, &count, &err));
	assert_int_equal(count, CHAIN_MOST);
	assert_true(str_eq_c(chain[CHAIN_MOST - 1], "DER"));
	assert_true(str_eq_c(rest, "the key"));
	buf_clear(&blob);
	held_blob(&blob, given, CHAIN_MOST + 1);
	rest = buf_str(&blob);
	assert_false(held_read_chain(&rest, chain, &count, &err));
	assert_int_equal(err.code, ERR_CORRUPT);
}

/* Whatever was read before it. */
static void a_length_that_is_cut_is_none(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
	} cut[] = {
		{ "", 0 }, { "\0\0\1", 3 },     /* the number of certificates */
		{ "\0\0\0\2\0\0\0\1xabc", 12 }, /* the second one's length */
	};
	struct str chain[CHAIN_MOST];
	for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
		struct str whole = str_n("\0\0\0\1\0\0\0\1xkey", 12);
		struct str rest = str_n(cut[i].bytes, cut[i].n);
		struct err err = ERR_INIT;
		size_t count = 0;
		assert_true(held_read_chain(&whole, chain, &count, &err));
		assert_int_equal(count, 1);
		assert_false(held_read_chain(&rest, chain, &count, &err));
		assert_int_equal(err.code, ERR_CORRUPT);
		assert_true(str_eq_c(err_what(&err), "The stored certificate is damaged."));
	}
}

static void who_is_freed_is_no_longer_pointed_to(void **state)
{
	(void)state;
	world_start(BASE);
	struct registration *g = registration_new(world.renewals, STR("x"));
	assert_ptr_equal(registration_by_id(world.renewals, STR("x")), g);
	registration_free(&g);
	assert_null(g);
	assert_null(registration_by_id(world.renewals, STR("x")));
	registration_free(&g);
}

static void before_the_first_look_none_is_promised(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	register_both(&w);
	world_kill();
	place_open(place);
	world_begin(NULL);
	assert_string_equal(said("shop.example.com", "next_check"), "null");
	assert_string_equal(said("shop.example.com", "lamp"), "\"ok\"");
	renewals_begin(world.renewals);
	assert_string_equal(said("shop.example.com", "lamp"), "\"unknown\"");
	run_for(place, SECOND);
	assert_string_equal(said("shop.example.com", "lamp"), "\"ok\"");
	assert_string_not_equal(said("shop.example.com", "next_check"), "null");
}

/* Only Let's Encrypt needs a name that all the world can have. */
static void an_own_ca_issues_for_a_name_of_one_label(void **state)
{
	(void)state;
	const struct str name = STR("intranet");
	struct wish w;
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .issuer = STR("ca"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	status_is("intranet", "ok");
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .issuer = STR("letsencrypt"),
	                          .agree_tos = true });
	wish_refused(&w, ERR_INPUT,
	        "intranet has no domain: a public CA issues for full names only, such as "
	        "intranet.example.com.");
}

static void a_failure_tells_when_the_next_try_is(void **state)
{
	(void)state;
	struct wish w;
	BUF_AUTO value = BUF_INIT(64 << 10);
	world_start(BASE);
	place->ca.down = true;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, 30 * SECOND);
	record_value(place, "task", w.task, &value);
	char want[64];
	snprintf(want, sizeof want, "\"next_try\":%s", said("shop.example.com", "next_renewal"));
	const char *found = strstr(buf_c(&value), want);
	if (!found || strstr(found + 2, "next_try"))
		fail_msg("not once, at the end, %s in %s", want, buf_c(&value));
}

/* Even the shortest wait for a CA that is down: another may have the place. */
static void who_waits_for_the_ca_takes_no_place(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	place->ca.down = true;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, 500);
	assert_true(list_empty(&world.renewals->under_way));
	place->ca.down = false;
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_true(list_empty(&world.renewals->under_way));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(the_record_tells_the_names),
		WORLD_TEST(the_same_names_again_are_there_already),
		WORLD_TEST(what_is_damaged_is_said_in_status),
		WORLD_TEST(a_length_has_four_bytes),
		WORLD_TEST(a_chain_has_its_most),
		WORLD_TEST(a_length_that_is_cut_is_none),
		WORLD_TEST(who_is_freed_is_no_longer_pointed_to),
		WORLD_TEST(before_the_first_look_none_is_promised),
		WORLD_TEST(an_own_ca_issues_for_a_name_of_one_label),
		WORLD_TEST(who_waits_for_the_ca_takes_no_place),
		WORLD_TEST(a_failure_tells_when_the_next_try_is),
	};
	return cmocka_run_group_tests_name("renew_held", tests, NULL, NULL);
}
