/* Wishes that end or narrow a registration, and the addresses that belong to one. */
#include "renew_world.h"

static void wish_narrow(struct wish *w, const char *id, const char *stay)
{
	const struct str names[] = { str_c(stay) };
	*w = (struct wish){ 0 };
	renew_narrow(world.renewals, &w->q,
	        &(struct renew_narrow_want){ .id = str_c(id), .stay = names, .stay_count = 1 },
	        wish_done);
	assert_false(w->done);
}

static void wish_remove(struct wish *w, const char *name)
{
	*w = (struct wish){ 0 };
	renew_remove(world.renewals, &w->q, str_c(name), /* despite_hsts= */ false, wish_done);
}

static void what_is_left_is_registered_as_it_was(void **state)
{
	(void)state;
	struct wish w, narrowed, none;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	world_start(BASE "issuer other { directory https://ca.test/directory; }\n");
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .issuer = STR("other"),
	                          .proxy = STR("127.0.0.1:3005"),
	                          .address = STR("127.0.0.1"),
	                          .port = 8443,
	                          .key_type = STR("P-384"),
	                          .profile = STR("classic"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	/* Browsers remember: it is no reason, the name keeps its certificate. */
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, loop_wall(place->loop));
	wish_narrow(&narrowed, w.id, "shop.example.com");
	wish_wait(&narrowed);
	assert_false(narrowed.existing);
	assert_string_not_equal(narrowed.id, w.id);
	run_until_idle();
	const struct registration *a = registration_by_id(world.renewals, str_c(w.id)),
	                          *b = registration_by_id(world.renewals, str_c(narrowed.id));
	assert_int_equal(b->name_count, 1);
	assert_true(str_eq_c(b->names[0], "shop.example.com"));
	assert_true(str_eq(b->email, a->email));
	assert_true(str_eq(b->issuer, a->issuer));
	assert_true(str_eq(b->proxy.shown, a->proxy.shown));
	assert_true(str_eq(b->listen.host, a->listen.host));
	assert_int_equal(b->listen.port, 8443);
	assert_true(b->terms);
	assert_int_equal(b->key_type, KEY_P384);
	assert_true(str_eq_c(b->profile, "classic"));
	assert_true(b->held.is);
	wish_narrow(&none, "nobody", "shop.example.com");
	turn_until(place, none.done);
	assert_int_equal(none.err.code, ERR_NOT_FOUND);
	assert_true(str_eq_c(err_what(&none.err), "There is no registration nobody any more."));
}

static void one_without_more_is_left_without_more(void **state)
{
	(void)state;
	struct wish w, narrowed;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	wish_narrow(&narrowed, w.id, "www.example.com");
	wish_wait(&narrowed);
	const struct registration *b = registration_by_id(world.renewals, str_c(narrowed.id));
	assert_int_equal(b->listen.host.n, 0);
	assert_int_equal(b->listen.port, 0);
	assert_int_equal(b->proxy.host.n, 0);
	assert_int_equal(b->profile.n, 0);
	assert_int_equal(b->key_type, KEY_P256);
}

/* ---- removal ---- */

static void removed_there_is_no_task_to_follow(void **state)
{
	(void)state;
	struct wish w, gone;
	world_start(BASE);
	place->ca.refused = "shop.example.com";
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "failed");
	wish_disable(&gone, "shop.example.com", false);
	wish_wait(&gone);
	status_is("shop.example.com", "disabled");

	store_full(place, true); /* it is as it was */
	wish_remove(&gone, "shop.example.com");
	turn_until(place, gone.done);
	assert_int_not_equal(gone.err.code, ERR_NONE);
	status_is("shop.example.com", "disabled");
	assert_string_equal(said("shop.example.com", "failures"), "1");
	store_full(place, false);

	wish_remove(&gone, "shop.example.com");
	wish_wait(&gone);
	assert_string_equal(gone.task, "");
	assert_string_equal(gone.id, w.id);
	assert_int_equal(record_version(place, "registration", w.id), 0);
	/* Registered anew it is neither disabled nor has it failed. */
	world_kill();
	place->ca.refused = NULL;
	world_start(NULL);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_string_equal(said("shop.example.com", "failures"), "0");
	run_until_idle();
	status_is("shop.example.com", "ok");
}

static void removed_when_it_is_only_kept_is_answered(void **state)
{
	(void)state;
	struct wish w, gone;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	for (int i = 0; i < 2; i++) {
		wish_remove(&gone, "shop.example.com");
		assert_false(gone.done);
		wish_wait(&gone);
		assert_int_equal(gone.existing, i);
		assert_string_equal(gone.id, w.id);
	}
	status_is("shop.example.com", "retired");
}

/* ---- addresses ---- */

static void has_listener(const char *host, uint16_t port, bool expected)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct kept_listeners l = renew_listeners(world.renewals, &a);
	bool has = false;
	for (size_t i = 0; i < l.count; i++)
		has |= str_eq_c(l.at[i].host, host) && l.at[i].port == port;
	if (has != expected)
		fail_msg("%s:%u is%s there", host, port, has ? "" : " not");
}

static size_t listener_count(void)
{
	ARENA_AUTO a = ARENA_INIT;
	return renew_listeners(world.renewals, &a).count;
}

static void all_that_is_listened_on_is_known(void **state)
{
	(void)state;
	struct wish w;
	const struct str name = STR("shop.example.com");
	world_start("http 127.0.0.2:8080\nhttps 127.0.0.3:8443\npage 127.0.0.4:7000\n" BASE);
	const size_t before = listener_count();
	assert_int_equal(before, 4);
	has_listener("127.0.0.2", 8080, true);
	has_listener("127.0.0.3", 8443, true);
	has_listener("127.0.0.4", 7000, true);
	has_listener("127.0.0.1", 7443, true); /* that serving has */
	wish_register(&w, &(struct register_want){ .names = &name,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .address = STR("127.0.0.5"),
	                          .port = 9443,
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	has_listener("127.0.0.5", 9443, true);
	assert_int_equal(listener_count(), before + 1);
	wish_remove(&w, "shop.example.com");
	wish_wait(&w);
	has_listener("127.0.0.5", 9443, false);
	assert_int_equal(listener_count(), before);
}

static void is_page(const char *page, const char *host, uint16_t port, bool expected)
{
	struct config c = { .page_listen = { .host = str_c(page), .port = 7000 } };
	const struct renewals r = { .config = &c };
	const struct address a = { .host = str_c(host), .port = port };
	if (listen_is_page(&r, &a) != expected)
		fail_msg("page %s, listener %s:%u", page, host, port);
}

static void where_the_page_is_nobody_else_listens(void **state)
{
	(void)state;
	is_page("127.0.0.1", "127.0.0.1", 7000, true);
	is_page("127.0.0.1", "127.0.0.1", 7001, false);
	is_page("127.0.0.1", "127.0.0.2", 7000, false);
	is_page("127.0.0.1", "0.0.0.0", 7000, true);
	is_page("0.0.0.0", "127.0.0.2", 7000, true);
	is_page("0.0.0.0", "::1", 7000, false);
	is_page("127.0.0.1", "::", 7000, false);
	is_page("::", "::1", 7000, true);
	is_page("::1", "::", 7000, true);
	is_page("::1", "::2", 7000, false);
	is_page("", "127.0.0.1", 7000, false);
	is_page("a.name", "127.0.0.1", 7000, false);
	is_page("127.0.0.1", "a.name", 7000, false);
}

/* ---- how a name is asked for ---- */

static struct buf asked = BUF_INIT(256);

static bool shows_nothing(
        struct scripted_ca *ca, const struct fetch_probe *p, struct buf *pem, struct err *err)
{
	(void)ca;
	(void)pem;
	buf_clear(&asked);
	buf_printf(&asked, "%.*s:%u %d", STR_ARG(p->server_name), p->port, p->keys);
	return err_set(err, ERR_REFUSED, "The connection was refused.");
}

static void not_seen(struct registration *g, const struct err *failed)
{
	(void)g;
	assert_non_null(failed);
}

static const struct {
	struct str names[3];
	const char *asked;
} handshakes[] = {
	{ { STR_INIT("shop.example.com"), STR_INIT("www.example.com") }, "shop.example.com" },
	{ { STR_INIT("*.example.com") }, "everseal-probe.example.com" },
	{ { STR_INIT("*.example.com"), STR_INIT("192.0.2.1"), STR_INIT("www.example.org") },
	        "www.example.org" },
	{ { STR_INIT("*.example.com"), STR_INIT("192.0.2.1") }, "" },
	{ { STR_INIT("192.0.2.1"), STR_INIT("*.example.com") }, "" },
	{ { STR_INIT("2001:db8::1") }, "" },
};

static void each_name_is_asked_for_as_visitors_do(void **state)
{
	(void)state;
	world_start(BASE);
	place->ca.shows = shows_nothing;
	for (size_t i = 0; i < sizeof handshakes / sizeof *handshakes; i++) {
		struct str names[3];
		struct registration *g = registration_new(world.renewals, STR("x"));
		BUF_AUTO expected = BUF(256);
		memcpy(names, handshakes[i].names, sizeof names);
		g->names = names;
		while (g->name_count < 3 && names[g->name_count].n)
			g->name_count++;
		buf_printf(&expected, "%s:443 %d", handshakes[i].asked, FETCH_KEYS_ANY);
		prove(g, not_seen);
		run_for(place, SECOND);
		prove_stop(g);
		assert_string_equal(buf_c(&asked), buf_c(&expected));
		world.addresses = 0;
		prove(g, not_seen);
		run_for(place, 10 * SECOND);
		const bool ip = i == 3 || i == 4 || i == 5;
		if (ip != (strstr(g->served_err.text, "Visitors of ") != NULL))
			fail_msg("%s", g->served_err.text);
		if (i == 3)
			assert_string_equal(g->served_err.text,
			        "Visitors of 192.0.2.1 come to none of the addresses that are "
			        "bound for HTTPS, so nobody can see the certificate yet. Add "
			        "`https` for that address, or for 0.0.0.0 and [::], to the "
			        "configuration.");
		world.addresses = 1;
		registration_free(&g);
	}
	buf_done(&asked);
}

static void disabled_and_removed_it_is_retired(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	store_full(place, true);
	wish_remove(&w, "shop.example.com");
	turn_until(place, w.done);
	store_full(place, false);
	assert_int_not_equal(w.err.code, ERR_NONE);
	status_is("shop.example.com", "disabled");
	wish_remove(&w, "shop.example.com");
	wish_wait(&w);
	for (int restarted = 0; restarted < 2; restarted++) {
		status_is("shop.example.com", "retired");
		world_kill();
		world_start(NULL);
	}
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "ok");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(what_is_left_is_registered_as_it_was),
		WORLD_TEST(one_without_more_is_left_without_more),
		WORLD_TEST(removed_there_is_no_task_to_follow),
		WORLD_TEST(removed_when_it_is_only_kept_is_answered),
		WORLD_TEST(all_that_is_listened_on_is_known),
		WORLD_TEST(where_the_page_is_nobody_else_listens),
		WORLD_TEST(each_name_is_asked_for_as_visitors_do),
		WORLD_TEST(disabled_and_removed_it_is_retired),
	};
	return cmocka_run_group_tests_name("renew_narrow", tests, NULL, NULL);
}
