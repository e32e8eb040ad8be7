/* Two certificates for the same names, with an ECDSA and an RSA key, side by side. */
#include "renew_world.h"

#define BOTH_KEYS "site shop.example.com { proxy 127.0.0.1:3001; key-type rsa2048 p256; }\n"
#define P256_ONLY "site shop.example.com { proxy 127.0.0.1:3001; key-type p256; }\n"
#define RSA_ONLY  "site shop.example.com { proxy 127.0.0.1:3001; key-type rsa2048; }\n"

static struct registration *of(enum key_type type)
{
	struct registration *found = NULL;
	MAP_EACH (n, &world.renewals->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (g->key_type == type)
			found = g;
	}
	return found;
}

/* Seen, too. */
static bool has(enum key_type type)
{
	const struct registration *g = of(type);
	return g && g->held.is && g->served_at && !g->attempting;
}

static void run_until_both(void)
{
	turn_until(place, has(KEY_P256) && has(KEY_RSA2048));
}

static void seen(enum key_type type)
{
	assert_string_equal(of(type)->served_err.text, "");
	assert_string_equal(said(of(type)->id, "state"), "\"ok\"");
	assert_string_equal(said(of(type)->id, "served"), "\"stored\"");
	assert_string_equal(said(of(type)->id, "lamp"), "\"ok\"");
}

static void shown_is(const char *keys)
{
	assert_string_equal(shown_keys("shop.example.com"), keys);
}

static void both_are_shown_and_seen(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	assert_int_equal(place->ca.order_count, 2);
	shown_is("P-256, RSA 2048");
	seen(KEY_P256);
	seen(KEY_RSA2048);
}

/* A CA may take two open orders for the same names for one. */
static void one_is_ordered_after_the_other(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	while (!(has(KEY_P256) && has(KEY_RSA2048))) {
		assert_false(of(KEY_P256)->attempting && of(KEY_RSA2048)->attempting);
		loop_turn(place->loop, -1);
	}
	assert_int_equal(place->ca.order_count, 2);
}

static void a_restart_shows_both_again(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	unsigned before = world.installs;
	world_kill();
	world_start(NULL);
	assert_int_equal(world.installs, before + 1);
	shown_is("P-256, RSA 2048");
	run_until_both();
	seen(KEY_P256);
	seen(KEY_RSA2048);
	assert_int_equal(place->ca.order_count, 2);
}

/* The other one stays as it is, and is still shown. */
static void each_is_renewed_alone(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	static const enum key_type types[] = { KEY_RSA2048, KEY_P256 };
	for (int i = 0; i < 2; i++) {
		struct wish w;
		char serial[100];
		struct registration *g = of(types[i]), *other = of(types[!i]);
		const int64_t version = g->held.version;
		snprintf(serial, sizeof serial, "%.*s", STR_ARG(other->held.leaf.serial));
		wish_renew(&w, g->id);
		wish_wait(&w);
		turn_until(place, g->held.version > version && !g->attempting);
		assert_true(str_eq_c(other->held.leaf.serial, serial));
		shown_is("P-256, RSA 2048");
		seen(KEY_P256);
		seen(KEY_RSA2048);
	}
	assert_int_equal(place->ca.order_count, 4);
}

/* A handshake that offers only what the other one cannot. */
static void each_is_proven_by_itself(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	struct wish w;
	struct registration *g = of(KEY_RSA2048);
	world.lagging = 100; /* what is asked for by ECDSA shows what was there before, too */
	wish_renew(&w, g->id);
	wish_wait(&w);
	turn_until(place, g->held.version == 2 && !g->attempting);
	assert_non_null(strstr(g->served_err.text, "get another certificate"));
	assert_string_equal(of(KEY_P256)->served_err.text, "");
}

static void the_file_takes_one_away_and_gives_it_back(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	world_configure(BY_FILE P256_ONLY);
	shown_is("P-256");
	status_is(of(KEY_RSA2048)->id, "retired");
	world_configure(BY_FILE BOTH_KEYS);
	shown_is("P-256, RSA 2048");
	world_configure(BY_FILE RSA_ONLY);
	shown_is("RSA 2048");
	status_is(of(KEY_P256)->id, "retired");
	world_kill();
	world_start(BY_FILE RSA_ONLY);
	shown_is("RSA 2048");
	assert_int_equal(place->ca.order_count, 2);
}

/* What nothing asks for any more is served as it was. */
static void both_are_kept_together(void **state)
{
	(void)state;
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	world_configure(BY_FILE);
	world_kill();
	world_start(NULL);
	shown_is("P-256, RSA 2048");
	status_is(of(KEY_RSA2048)->id, "retired");
	status_is(of(KEY_P256)->id, "retired");
}

static void wish_types(struct wish *w, const char *types)
{
	const struct str names[] = { STR("shop.example.com") };
	wish_register(w, &(struct register_want){ .names = names,
	                         .name_count = 1,
	                         .email = STR("ops@example.com"),
	                         .agree_tos = true,
	                         .key_type = str_c(types) });
	wish_wait(w);
}

static void what_is_registered_with_the_other_key_stands_beside(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_types(&w, "p256");
	turn_until(place, has(KEY_P256));
	shown_is("P-256");
	wish_types(&w, "rsa2048");
	run_until_both();
	shown_is("P-256, RSA 2048");
	run_for(place, 70 * DAY);
	turn_until(place, of(KEY_RSA2048)->held.version == 2 && of(KEY_P256)->held.version == 2);
	wish_types(&w, "p384");
	turn_until(place, has(KEY_P384));
	shown_is("P-384, RSA 2048");
	assert_non_null(registration_blocked(of(KEY_P256)));
	assert_null(registration_blocked(of(KEY_RSA2048)));
}

static void with_shop(const char *other, const char *type)
{
	struct wish w;
	const struct str names[] = { STR("shop.example.com"), str_c(other) };
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .key_type = str_c(type) });
	wish_wait(&w);
	run_until_idle();
	run_for(place, HOUR);
}

/* Of two the later one says when a start installs both: after what was issued between them. */
static void what_was_issued_between_them_goes_before_both(void **state)
{
	(void)state;
	world_start(BASE);
	with_shop("a.example.com", "p256");
	with_shop("b.example.com", "p256");
	with_shop("a.example.com", "rsa2048");
	for (int again = 0; again < 2; again++) {
		shown_is("P-256, RSA 2048");
		assert_string_equal(shown_keys("a.example.com"), "P-256, RSA 2048");
		assert_string_equal(shown_keys("b.example.com"), "P-256");
		world_kill();
		world_start(NULL);
	}
}

static void both_are_registered_at_once(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_types(&w, "P-256 ,rsa2048");
	assert_false(w.existing);
	run_until_both();
	shown_is("P-256, RSA 2048");
	wish_types(&w, "p256 rsa2048");
	assert_true(w.existing);
	const struct str names[] = { STR("shop.example.com") };
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .key_type = STR("p256,rsa2048"),
	                          .proxy = STR("127.0.0.1:3009") });
	wish_wait(&w);
	run_for(place, SECOND);
	assert_true(str_eq_c(of(KEY_P256)->proxy.shown, "127.0.0.1:3009"));
	assert_true(str_eq_c(of(KEY_RSA2048)->proxy.shown, "127.0.0.1:3009"));
	world_kill();
	world_start(NULL);
	shown_is("P-256, RSA 2048");
	assert_int_equal(place->ca.order_count, 2);
}

/* As the site says it, for a name that is registered by command. */
static void both_are_registered_as_the_site_says(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE "key-type p256 rsa2048\n");
	wish_types(&w, "p256");
	turn_until(place, has(KEY_P256));
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(w.existing);
	assert_string_equal(w.id, of(KEY_RSA2048)->id);
	run_until_both();
	shown_is("P-256, RSA 2048");
}

static void two_of_one_kind_are_refused(void **state)
{
	(void)state;
	struct wish w;
	const struct str names[] = { STR("shop.example.com") };
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 1,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .key_type = STR("p256,p384") });
	wish_refused(&w, ERR_INPUT,
	        "p256 and p384 are both ECDSA: visitors can be shown one certificate with an ECDSA "
	        "key and one with an RSA key. Choose one of them.");
}

static void each_is_disabled_and_removed_alone(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_types(&w, "p256,rsa2048");
	run_until_both();
	wish_disable(&w, "shop.example.com", false);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_CONFLICT);
	assert_non_null(strstr(w.err.text, " (rsa2048)"));
	wish_disable(&w, of(KEY_RSA2048)->id, false);
	wish_wait(&w);
	shown_is("P-256, RSA 2048");
	assert_null(registration_blocked(of(KEY_P256)));
	w = (struct wish){ 0 };
	renew_remove(world.renewals, &w.q, str_c(of(KEY_RSA2048)->id), false, wish_done);
	wish_wait(&w);
	shown_is("P-256");
	wish_types(&w, "rsa2048");
	shown_is("P-256, RSA 2048");
	w = (struct wish){ 0 };
	renew_remove(world.renewals, &w.q, str_c(of(KEY_P256)->id), false, wish_done);
	wish_wait(&w);
	shown_is("RSA 2048");
}

/* What is left of one is of the same kind. */
static void each_is_narrowed_as_it_was(void **state)
{
	(void)state;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	struct wish w;
	world_start(BASE);
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true,
	                          .profile = STR("classic"),
	                          .key_type = STR("p384") });
	wish_wait(&w);
	turn_until(place, has(KEY_P384));
	const struct renew_narrow_want want = { str_c(of(KEY_P384)->id), names, 1 };
	w = (struct wish){ 0 };
	renew_narrow(world.renewals, &w.q, &want, wish_done);
	wish_wait(&w);
	const struct registration *g = registration_by_id(world.renewals, str_c(w.id));
	assert_int_equal(g->name_count, 1);
	assert_int_equal(g->key_type, KEY_P384);
	assert_true(str_eq_c(g->profile, "classic"));
}

/* The private key that is exported for shop.example.com. */
static const char *exported(const char *key_type)
{
	struct err err = ERR_INIT;
	static char first[64];
	BUF_AUTO pem = BUF_SECRET(64 << 10);
	const struct renew_export_want want = { STR("shop.example.com"), str_c(key_type), true };
	if (!renew_export(world.renewals, &want, &pem, &err))
		fail_msg("%s", err.text);
	snprintf(first, sizeof first, "%.*s", (int)strcspn(buf_c(&pem), "\n"), buf_c(&pem));
	return first;
}

static void each_is_exported_and_told_of(void **state)
{
	(void)state;
	char told[400];
	world_start(BY_FILE BOTH_KEYS);
	run_until_both();
	assert_string_equal(exported(NULL), "-----BEGIN EC PRIVATE KEY-----");
	assert_string_equal(exported("p256"), "-----BEGIN EC PRIVATE KEY-----");
	assert_string_equal(exported("rsa2048"), "-----BEGIN RSA PRIVATE KEY-----");
	snprintf(
	        told, sizeof told, "{\"id\":\"%s\",\"key_type\":\"rsa2048\"}", of(KEY_RSA2048)->id);
	assert_string_equal(said("shop.example.com", "beside"), told);
	assert_string_equal(said("shop.example.com", "key_type"), "\"P-256\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(both_are_shown_and_seen),
		WORLD_TEST(one_is_ordered_after_the_other),
		WORLD_TEST(a_restart_shows_both_again),
		WORLD_TEST(each_is_renewed_alone),
		WORLD_TEST(each_is_proven_by_itself),
		WORLD_TEST(the_file_takes_one_away_and_gives_it_back),
		WORLD_TEST(both_are_kept_together),
		WORLD_TEST(what_is_registered_with_the_other_key_stands_beside),
		WORLD_TEST(what_was_issued_between_them_goes_before_both),
		WORLD_TEST(both_are_registered_at_once),
		WORLD_TEST(both_are_registered_as_the_site_says),
		WORLD_TEST(two_of_one_kind_are_refused),
		WORLD_TEST(each_is_disabled_and_removed_alone),
		WORLD_TEST(each_is_narrowed_as_it_was),
		WORLD_TEST(each_is_exported_and_told_of),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
