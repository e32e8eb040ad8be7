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

/* Of four bytes each counts. */
static void a_length_may_be_of_any_size(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0x7f, 0x8001, 0x830201, 0x1020304 };
	char *bytes = mem_array(1, 0x1020304);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		const struct str given = str_n(bytes, sizes[i]);
		struct str chain[CHAIN_MOST];
		BUF_AUTO blob = BUF(32 << 20);
		struct err err = ERR_INIT;
		size_t count = 0;
		held_blob(&blob, &given, 1);
		struct str rest = buf_str(&blob);
		assert_true(held_read_chain(&rest, chain, &count, &err));
		assert_int_equal(chain[0].n, sizes[i]);
		assert_int_equal(rest.n, 0);
	}
	free(bytes);
}

/* That nothing asks for any more: by its certificate. */
static void the_type_of_its_key_is_known_when_it_is_only_kept(void **state)
{
	static const char *const types[] = { "p256", "p384", "rsa2048", "rsa3072" };
	const struct str name = STR("shop.example.com");
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		struct wish w;
		char expected[16];
		snprintf(expected, sizeof expected, "\"%s\"", types[i]);
		world_start(BASE);
		wish_register(&w, &(struct register_want){ .names = &name,
		                          .name_count = 1,
		                          .email = STR("ops@example.com"),
		                          .key_type = str_c(types[i]),
		                          .agree_tos = true });
		wish_wait(&w);
		run_until_idle();
		renew_remove(world.renewals, &w.q, name, false, wish_done);
		w.done = false;
		wish_wait(&w);
		world_kill();
		world_start(NULL);
		status_is("shop.example.com", "retired");
		assert_string_equal(said("shop.example.com", "wanted_key_type"), expected);
		assert_string_equal(said("shop.example.com", "issuer"), "\"ca\"");
		world_teardown(state);
		world_setup(state);
	}
}

static void a_port_has_its_most(void **state)
{
	(void)state;
	static const struct {
		const char *stored;
		uint16_t port;
	} rows[] = { { "1", 1 }, { "65535", 65535 }, { "65536", 0 }, { "65537", 0 }, { "0", 0 },
		{ "-1", 0 }, { "\"1\"", 0 } };
	world_start(BASE);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		BUF_AUTO value = BUF(256);
		struct registration *g = registration_new(world.renewals, STR("x"));
		buf_printf(&value,
		        "{\"names\":[\"a.example.com\"],\"address\":\"127.0.0.1\",\"port\":%s}",
		        rows[i].stored);
		record_put(place, "registration", "x", buf_str(&value), STR_NONE);
		registration_reload(g);
		assert_true(g->in_store);
		assert_int_equal(g->version, i + 1);
		assert_int_equal(g->listen.port, rows[i].port);
		registration_free(&g);
	}
}

/* What the store has of it counts, and nothing else. */
static void its_state_is_read_anew(void **state)
{
	(void)state;
	static const int64_t issued[] = { 50, 40, 30, 20, 10 };
	world_start(BASE);
	struct registration *g = registration_new(world.renewals, STR("x"));
	record_put(place, "renewal", "x",
	        STR("{\"disabled\":true,\"rehearsed\":true,\"failures\":2147483648,"
	            "\"issuer_at\":1,\"issuer_failures\":-1,\"issued\":["
	            "\"1970-01-01T00:00:50Z\",\"x\",\"1970-01-01T00:00:40Z\","
	            "\"1970-01-01T00:00:30Z\",\"1970-01-01T00:00:20Z\",7,"
	            "\"1970-01-01T00:00:10Z\",\"1970-01-01T00:00:05Z\"]}"),
	        STR_NONE);
	state_reload(g);
	assert_true(g->disabled && g->rehearsed);
	assert_int_equal(g->failures, 0);
	assert_int_equal(g->turn.at, 1);
	assert_int_equal(g->turn.failures, 0);
	assert_int_equal(g->state_version, 1);
	assert_int_equal(g->issued_count, ISSUED_KEPT);
	for (size_t i = 0; i < ISSUED_KEPT; i++)
		assert_int_equal(g->issued[i], issued[i] * SECOND);
	record_delete(place, "renewal", "x");
	g->failures = 3;
	g->next_try = g->last_error_at = 7;
	g->turn.failures = 1;
	g->last_error.code = ERR_IO;
	g->visited = 9;
	state_reload(g);
	assert_false(g->disabled || g->rehearsed);
	assert_int_equal(g->failures, 0);
	assert_int_equal(g->next_try, 0);
	assert_int_equal(g->turn.at, 0);
	assert_int_equal(g->turn.failures, 0);
	assert_int_equal(g->last_error.code, ERR_NONE);
	assert_int_equal(g->last_error_at, 0);
	assert_int_equal(g->state_version, 0);
	assert_int_equal(g->visited, 9); /* no certificate has come since */
	g->held.is = true;
	state_be_healthy(g);
	assert_int_equal(g->visited, 0);
	g->held.is = false;
	registration_free(&g);
}

/* A certificate is good until its last moment, and not in it. */
static void it_expires_at_its_end(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	register_both(&w);
	struct cert *leaf = &registration_by_id(world.renewals, str_c(w.id))->held.leaf;
	leaf->not_after = loop_wall(place->loop) + 1;
	status_is("shop.example.com", "ok");
	leaf->not_after--;
	status_is("shop.example.com", "expired");
	assert_string_equal(said("shop.example.com", "lamp"), "\"problem\"");
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
		WORLD_TEST(a_length_may_be_of_any_size),
		WORLD_TEST(the_type_of_its_key_is_known_when_it_is_only_kept),
		WORLD_TEST(a_port_has_its_most),
		WORLD_TEST(its_state_is_read_anew),
		WORLD_TEST(it_expires_at_its_end),
	};
	return cmocka_run_group_tests_name("renew_held", tests, NULL, NULL);
}
