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

/* ---- what is said of it, by what it is ---- */

#define REVOKED "The certificate that is served is revoked: browsers that ask its CA refuse it."

enum { LIVES = 1, WORKING = 2, REVOKED_ONE = 4, DISABLED = 8, KEPT = 16, FAILED = 32, ENDED = 64 };
enum { LOOKED = 128, DIFFERS = 256, ERROR = 512 };
static const struct {
	unsigned is;
	const char *state, *why;
} views[] = {
	{ 0, "temporary", "" },
	{ LIVES, "ok", "" },
	{ FAILED, "failed", "" },
	{ LIVES | FAILED | ERROR, "failed", "It failed." },
	{ KEPT | LIVES | FAILED, "retired", "" },
	{ KEPT | LIVES | DISABLED, "disabled", "" },
	{ LIVES | DISABLED | REVOKED_ONE, "revoked",
	        REVOKED " Register the name again for a new one." },
	{ LIVES | REVOKED_ONE, "revoked",
	        REVOKED " A new one is ordered as soon as its CA's limits allow it." },
	{ LIVES | REVOKED_ONE | WORKING | ERROR, "working", "An attempt is under way." },
	{ ENDED | WORKING, "expired", "An attempt is under way." },
	{ WORKING, "working", "An attempt is under way." },
	{ LIVES | LOOKED, "ok", "" },
	{ LIVES | DIFFERS, "ok", "" }, /* it is not known any more */
	{ LIVES | LOOKED | DIFFERS, "ok", "Another is seen." },
	{ LIVES | LOOKED | DIFFERS | ERROR, "ok", "It failed." },
};

static void view_is(unsigned is, const char *state, const char *why)
{
	struct str name = STR("a.example.com");
	const int64_t now = loop_wall(place->loop);
	struct registration *g = registration_new(world.renewals, STR("x"));
	g->names = &name;
	g->name_count = 1;
	g->issuer = STR("ca");
	g->held.is = is & (LIVES | ENDED);
	g->held.leaf.not_before = now - DAY;
	g->held.leaf.not_after = is & ENDED ? now : now + 89 * DAY;
	g->in_store = !(is & KEPT);
	g->disabled = is & DISABLED;
	g->failures = is & FAILED ? 1 : 0;
	g->revoked.at = is & REVOKED_ONE ? now : 0;
	g->served_at = is & LOOKED ? now : 0;
	if (is & DIFFERS)
		err_set(&g->served_err, ERR_CONFLICT, "Another is seen.");
	if (is & ERROR)
		err_set(&g->last_error, ERR_REFUSED, "It failed.");
	if (is & WORKING)
		list_add_last(&world.renewals->queue, &g->queued);
	const struct renew_view v = registration_view(g);
	if (strcmp(v.state, state) || !str_eq_c(v.why, why))
		fail_msg("%u: %s, %.*s", is, v.state, STR_ARG(v.why));
	assert_int_equal(v.error != NULL, (is & ERROR) != 0);
	assert_int_equal(v.served != NULL, (is & LOOKED) && (is & DIFFERS));
	assert_int_equal(v.renewed, !(is & (KEPT | DISABLED)));
	assert_int_equal(v.replaced, (is & KEPT) != 0);
	assert_int_equal(v.revoked, is & LIVES ? g->revoked.at : 0);
	registration_free(&g);
}

static void each_state_has_its_words(void **state)
{
	(void)state;
	world_start(BASE);
	for (size_t i = 0; i < sizeof views / sizeof *views; i++)
		view_is(views[i].is, views[i].state, views[i].why);
}

static void when_the_next_try_is_and_why(void **state)
{
	(void)state;
	struct str name = STR("a.example.com");
	world_start(BASE);
	struct registration *g = registration_new(world.renewals, STR("x"));
	g->names = &name;
	g->name_count = 1;
	g->issuer = STR("ca");
	g->in_store = true;
	struct renew_view v = registration_view(g);
	assert_null(v.reason);
	assert_int_equal(v.next_renewal, 0);
	g->next_try = 7;
	v = registration_view(g);
	assert_string_equal(v.reason, "the last attempt failed");
	assert_int_equal(v.next_renewal, 7);
	g->turn.at = 1;
	v = registration_view(g);
	assert_string_equal(v.reason, "the last attempt failed; another issuer is asked then");
	list_add_last(&world.renewals->queue, &g->queued);
	v = registration_view(g);
	assert_string_equal(v.reason, "an attempt is under way");
	assert_int_equal(v.next_renewal, 0);
	g->waiting_until = 9;
	err_set(&g->waiting, ERR_LIMIT, "A limit.");
	v = registration_view(g);
	assert_string_equal(v.reason, "A limit.");
	assert_int_equal(v.next_renewal, 9);
	assert_ptr_equal(v.error, &g->waiting);
	g->disabled = true;
	v = registration_view(g);
	assert_string_equal(v.reason, "renewal is disabled");
	assert_int_equal(v.next_renewal, 0);
	registration_free(&g);
}

static const struct {
	enum key_type types[2];
	const char *issuers[2];
	struct str names[2][2];
	bool same, fits;
} besides[] = {
	{ { KEY_P256, KEY_RSA2048 }, { "ca", "ca" },
	        { { STR_INIT("a.example.com"), STR_INIT("b.example.com") },
	                { STR_INIT("b.example.com"), STR_INIT("A.example.com") } },
	        true, true },
	{ { KEY_P256, KEY_P384 }, { "ca", "ca" },
	        { { STR_INIT("a.example.com") }, { STR_INIT("a.example.com") } }, true, false },
	{ { KEY_RSA3072, KEY_P384 }, { "ca", "other" },
	        { { STR_INIT("a.example.com") }, { STR_INIT("a.example.com") } }, true, false },
	{ { KEY_RSA3072, KEY_P384 }, { "ca", "ca" },
	        { { STR_INIT("a.example.com") },
	                { STR_INIT("a.example.com"), STR_INIT("b.example.com") } },
	        false, false },
	{ { KEY_RSA3072, KEY_P384 }, { "ca", "ca" },
	        { { STR_INIT("a.example.com"), STR_INIT("c.example.com") },
	                { STR_INIT("a.example.com"), STR_INIT("b.example.com") } },
	        false, false },
};

static void what_stands_beside_each_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof besides / sizeof *besides; i++) {
		struct registration g[2] = { 0 };
		struct str names[2][2];
		memcpy(names, besides[i].names, sizeof names);
		for (int k = 0; k < 2; k++)
			g[k] = (struct registration){ .names = names[k],
				.name_count = names[k][1].n ? 2 : 1,
				.issuer = str_c(besides[i].issuers[k]),
				.key_type = besides[i].types[k] };
		for (int k = 0; k < 2; k++) {
			assert_int_equal(registration_same_names(&g[k], &g[!k]), besides[i].same);
			assert_int_equal(registration_fits_beside(&g[k], &g[!k]), besides[i].fits);
		}
	}
}

static void whom_a_name_is_asked_of(void **state)
{
	(void)state;
	const struct config none = { 0 }, one = { .issuer = STR("ca") };
	const struct str shop = STR("shop.example.com"), own = STR("shop.internal");
	assert_true(str_eq_c(registration_issuer(&one, STR("given"), own), "given"));
	assert_true(str_eq_c(registration_issuer(&one, STR_NONE, own), "ca"));
	assert_true(str_eq_c(registration_issuer(&none, STR_NONE, own), "internal"));
	assert_true(str_eq_c(registration_issuer(&none, STR_NONE, shop), "letsencrypt"));
	const struct config_making making = { .profile = STR("classic") };
	struct registration g = { .profile = STR("shortlived") };
	assert_true(str_eq_c(registration_profile(&g), "shortlived"));
	g.making = &making;
	assert_true(str_eq_c(registration_profile(&g), "shortlived"));
	g.in_file = true;
	assert_true(str_eq_c(registration_profile(&g), "classic"));
	g = (struct registration){ .making = &making };
	assert_true(str_eq_c(registration_profile(&g), "classic"));
	g.making = NULL;
	assert_int_equal(registration_profile(&g).n, 0);
}

/* By its id or by a name: who is asked for or has a certificate; of two the one that is renewed,
 * else the newer one. */
static void who_is_known(void **state)
{
	(void)state;
	struct str name = STR("a.example.com");
	struct registration *g[2];
	world_start(BASE);
	for (int i = 0; i < 2; i++) {
		g[i] = registration_new(world.renewals, i ? STR("second") : STR("first"));
		assert_null(registration_find(world.renewals, str_c(g[i]->id)));
		g[i]->in_store = true; /* but without a name */
		assert_null(registration_find(world.renewals, str_c(g[i]->id)));
		g[i]->names = &name;
		g[i]->name_count = 1;
		names_index(g[i]);
		assert_ptr_equal(registration_find(world.renewals, str_c(g[i]->id)), g[i]);
		g[i]->in_store = false;
		assert_null(registration_find(world.renewals, name));
		g[i]->created = 7 + i;
	}
	g[0]->in_file = true;
	assert_ptr_equal(registration_find(world.renewals, name), g[0]);
	g[1]->held.is = true; /* it is only kept */
	assert_ptr_equal(registration_find(world.renewals, str_c(g[1]->id)), g[1]);
	assert_ptr_equal(registration_find(world.renewals, name), g[0]);
	g[0]->disabled = true;
	assert_ptr_equal(registration_find(world.renewals, name), g[1]);
	g[1]->in_store = true;
	g[0]->disabled = false;
	assert_ptr_equal(registration_find(world.renewals, name), g[1]);
	g[1]->created = 6;
	assert_ptr_equal(registration_find(world.renewals, STR("A.example.com.")), g[0]);
	for (int i = 0; i < 2; i++) {
		g[i]->held.is = g[i]->in_store = g[i]->in_file = false;
		registration_free(&g[i]);
	}
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
		WORLD_TEST(each_state_has_its_words),
		WORLD_TEST(when_the_next_try_is_and_why),
		WORLD_TEST(what_stands_beside_each_other),
		WORLD_TEST(whom_a_name_is_asked_of),
		WORLD_TEST(who_is_known),
	};
	return cmocka_run_group_tests_name("renew_held", tests, NULL, NULL);
}
