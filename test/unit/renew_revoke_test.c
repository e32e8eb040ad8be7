/* Revocation as people wish for it: a new certificate first, and nothing is forgotten by a kill. */
#include "renew_world.h"

static void wish_revoke_with(struct wish *w, const struct renew_revoke_want *want)
{
	*w = (struct wish){ 0 };
	renew_revoke(world.renewals, &w->q, want, wish_done);
	assert_false(w->done);
}

static void wish_revoke(struct wish *w, const char *name)
{
	wish_revoke_with(w, &(struct renew_revoke_want){ .name = str_c(name) });
}

static const struct held *held(const char *name)
{
	return &registration_find(world.renewals, str_c(name))->held;
}

static struct str kept; /* the certificate that is to be revoked */
static struct arena kept_in;

static void registered(void)
{
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "ok");
	arena_clear(&kept_in);
	kept = arena_str(&kept_in, held("shop.example.com")->chain[0]);
}

static const struct task_view *task(const char *id)
{
	static struct task_view t;
	assert_true(task_view(world.renewals, str_c(id), &t));
	return &t;
}

static void the_old_one_is_revoked(void)
{
	assert_int_equal(place->ca.revocations, 1);
	assert_true(str_eq(buf_str(&place->ca.revoked), kept));
	assert_null(place->ca.complaint);
}

static void until_ended(const char *id)
{
	for (int i = 0; i < 3000 && !task(id)->ended; i++)
		run_for(place, 20);
	assert_true(task(id)->ended);
	run_for(place, 100);
}

static void a_new_one_is_ordered_first(void **state)
{
	(void)state;
	struct wish w, again;
	registered();
	wish_revoke_with(&w, &(struct renew_revoke_want){ .name = STR("shop.example.com"),
	                             .reason = STR("superseded") });
	wish_revoke(&again, "shop.example.com");
	wish_wait(&w);
	wish_wait(&again);
	assert_false(w.existing);
	assert_true(again.existing);
	assert_string_equal(again.task, w.task);
	wish_revoke(&again, "shop.example.com"); /* it is stored now */
	wish_wait(&again);
	assert_true(again.existing);
	assert_string_equal(again.task, w.task);
	assert_string_equal(task(w.task)->name, "RevokeLetsEncrypt");
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Success");
	the_old_one_is_revoked();
	assert_int_equal(diary_count(place, "ask revoke 4"), 1);
	assert_int_equal(place->ca.order_count, 2);
	assert_false(str_eq(held("shop.example.com")->chain[0], kept));
	status_is("shop.example.com", "ok");
	task_is(w.task, "renew: Order a new certificate first\n"
	                "revoke: Revoke the certificate\n"
	                "end: The certificate is revoked\n"
	                "RevokeLetsEncrypt Success");
	assert_int_equal(record_version(place, "revocation", w.id), 0);
	/* That of the renewal is another one. */
	assert_string_equal(task("0000000003")->name, "RenewLetsEncrypt");
	assert_string_equal(task("0000000003")->state, "Success");
}

static void revoke_for(const char *reason)
{
	struct wish w;
	wish_revoke_with(&w, &(struct renew_revoke_want){
	                             .name = STR("shop.example.com"), .reason = str_c(reason) });
	wish_wait(&w);
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Success");
}

static bool has_key(const struct secret *key)
{
	return secret_eq(key, secret_bytes(&held("shop.example.com")->key));
}

/* `reuse-key` is for those who pin a key, not for who has stolen it. */
static void a_key_in_wrong_hands_is_not_used_again(void **state)
{
	(void)state;
	world_start(BY_FILE "reuse-key yes\n" SHOP);
	run_until_idle();
	SECRET_AUTO pinned = secret_copy(secret_bytes(&held("shop.example.com")->key));
	revoke_for("superseded");
	assert_int_equal(place->ca.order_count, 2);
	assert_true(has_key(&pinned));
	revoke_for("keyCompromise");
	assert_int_equal(place->ca.order_count, 3);
	assert_false(has_key(&pinned));
	SECRET_AUTO next = secret_copy(secret_bytes(&held("shop.example.com")->key));
	run_for(place, 70 * DAY);
	assert_true(place->ca.order_count > 3);
	assert_true(has_key(&next));
}

/* Nor by what was under way when it was wished for. */
static void nor_by_what_was_under_way(void **state)
{
	(void)state;
	struct wish renewal, w;
	world_start(BY_FILE "reuse-key yes\n" SHOP);
	run_until_idle();
	SECRET_AUTO stolen = secret_copy(secret_bytes(&held("shop.example.com")->key));
	wish_renew(&renewal, "shop.example.com");
	wish_wait(&renewal);
	wish_revoke_with(&w, &(struct renew_revoke_want){ .name = STR("shop.example.com"),
	                             .reason = STR("keyCompromise") });
	wish_wait(&w);
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Success");
	assert_int_equal(place->ca.order_count, 3);
	assert_false(has_key(&stolen));
}

/* Who knows better is the CA: the first that refuses it is the last that is asked for it. */
static void nor_one_that_the_ca_refuses(void **state)
{
	(void)state;
	world_start(BY_FILE "reuse-key yes\n" SHOP);
	run_until_idle();
	SECRET_AUTO pinned = secret_copy(secret_bytes(&held("shop.example.com")->key));
	place->ca.keys_refused = 1;
	run_for(place, 70 * DAY);
	assert_int_equal(place->ca.keys_refused, 0);
	logged_has("The CA takes the key in use no more");
	assert_false(has_key(&pinned));
	status_is("shop.example.com", "ok");
}

/* And not after it was disabled, and a restart. */
static void nor_once_it_is_wanted_again(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE "reuse-key yes\n");
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	SECRET_AUTO stolen = secret_copy(secret_bytes(&held("shop.example.com")->key));
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	revoke_for("keyCompromise");
	world_kill();
	world_start(NULL);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
	assert_false(has_key(&stolen));
}

static void what_is_no_longer_renewed_is_revoked_at_once(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, loop_wall(place->loop));
	wish_revoke(&w, "shop.example.com");
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_CONFLICT);
	assert_true(str_starts(str_c(w.err.text), STR("Browsers may remember until ")));
	wish_revoke_with(&w, &(struct renew_revoke_want){
	                             .name = STR("shop.example.com"), .despite_hsts = true });
	wish_wait(&w);
	until_ended(w.task);
	the_old_one_is_revoked();
	assert_int_equal(place->ca.order_count, 1);
	assert_int_equal(diary_count(place, "ask revoke -1"), 1);
	status_is("shop.example.com", "revoked");
}

static void while_it_is_renewed_hsts_is_no_reason(void **state)
{
	(void)state;
	struct wish w;
	registered();
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, loop_wall(place->loop));
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	until_ended(w.task);
	the_old_one_is_revoked();
}

static void what_cannot_be_revoked(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_revoke(&w, "nobody.example.com");
	wish_refused(&w, ERR_NOT_FOUND,
	        "There is no certificate for nobody.example.com. `everseal status` lists those "
	        "that there are.");
	wish_revoke_with(&w, &(struct renew_revoke_want){
	                             .name = STR("shop.example.com"), .reason = STR("boredom") });
	wish_refused(&w, ERR_INPUT,
	        "boredom is no reason for a revocation. Give one of: unspecified keyCompromise "
	        "affiliationChanged superseded cessationOfOperation.");
	place->ca.down = true;
	struct wish v;
	wish_name(&v, "new.example.com");
	wish_wait(&v);
	wish_revoke(&w, "new.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "new.example.com has only its temporary certificate, which no CA can revoke. "
	        "Nothing to do.");
	world_configure("issuer other { directory https://other.test/directory; }\n"
	                "site * { proxy 127.0.0.1:3000; }\n");
	wish_revoke(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "The issuer ca, which the certificate is from, is not configured any more. Add it "
	        "to the configuration with `issuer ca { directory URL }`.");
	assert_int_equal(record_version(place, "revocation", w.id), 0);
}

static void our_own_authority_keeps_no_list(void **state)
{
	(void)state;
	struct wish w;
	world_start("site app.localhost { proxy 127.0.0.1:3001; issuer internal; }\n");
	run_until_idle();
	status_is("app.localhost", "ok");
	wish_revoke(&w, "app.localhost");
	wish_refused(&w, ERR_CONFLICT,
	        "The internal authority keeps no list of what is revoked. Its certificates end by "
	        "themselves within a week. Disable the registration, so that no new one is made.");
	status_is("app.localhost", "ok");
}

static void a_refusal_ends_it(void **state)
{
	(void)state;
	struct wish w;
	registered();
	place->ca.revoke_refused = "unauthorized";
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Failed");
	assert_string_equal(task(w.task)->error->text,
	        "ca.test refused the revocation: No (unauthorized). Look whether the account is "
	        "still valid and may order these names.");
	assert_true(str_eq_c(task(w.task)->ca_text, "No (unauthorized)"));
	assert_int_equal(record_version(place, "revocation", w.id), 0);
	/* It may be wished for again. */
	place->ca.revoke_refused = "alreadyRevoked";
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(w.existing);
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Success");
}

/* The account may not any more, and the key was another one by then; a restart changes nothing. */
static void its_own_key_revokes_it_if_the_account_may_not(void **state)
{
	(void)state;
	struct wish w;
	registered();
	place->ca.revoke_refused = "unauthorized";
	place->ca.revoke_by_key = true;
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	place->ca.down = true;
	run_for(place, MINUTE);
	world_kill();
	place->ca.down = false;
	world_start(NULL);
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Success");
	the_old_one_is_revoked();
	assert_int_equal(diary_count(place, "ask revoke -1 by key"), 1);
	assert_int_equal(record_version(place, "revocation", w.id), 0);
	task_is(w.task, "renew: Order a new certificate first\n"
	                "revoke: Revoke the certificate\n"
	                "revoke: Revoke the certificate by its own key, since the account may not\n"
	                "end: The certificate is revoked\n"
	                "RevokeLetsEncrypt Success");
}

/* As it was stored before there was a key with it; or the key cannot be read. */
static void without_its_key_the_account_revokes_it(void **state)
{
	(void)state;
	static const char *const keys[] = { "", "no key" };
	for (size_t i = 0; i < 2; i++) {
		struct wish w;
		BUF_AUTO blob = BUF(64 << 10);
		registered();
		wish_disable(&w, "shop.example.com", false);
		wish_wait(&w);
		place->ca.down = true;
		wish_revoke(&w, "shop.example.com");
		wish_wait(&w);
		run_for(place, MINUTE);
		if (*keys[i])
			held_blob(&blob, &kept, 1);
		else
			buf_add(&blob, kept);
		buf_add_c(&blob, keys[i]);
		record_put(place, "revocation", w.id, STR("{\"issuer\":\"ca\"}"), buf_str(&blob));
		world_kill();
		place->ca.down = false;
		world_start(NULL);
		for (int n = 0; n < 3000 && !place->ca.revocations; n++)
			run_for(place, 20);
		the_old_one_is_revoked();
		assert_int_equal(diary_count(place, "ask revoke -1"), 1);
		world_teardown(state);
		world_setup(state);
	}
}

static void a_ca_that_is_down_is_asked_again(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	place->ca.down = true;
	wish_revoke_with(&w, &(struct renew_revoke_want){ .name = STR("shop.example.com"),
	                             .reason = STR("superseded") });
	wish_wait(&w);
	struct wish again;
	wish_revoke_with(&again, &(struct renew_revoke_want){ .name = STR("shop.example.com"),
	                                 .reason = STR("boredom") });
	wish_refused(&again, ERR_INPUT,
	        "boredom is no reason for a revocation. Give one of: unspecified keyCompromise "
	        "affiliationChanged superseded cessationOfOperation.");
	run_for(place, 5 * MINUTE);
	assert_false(task(w.task)->ended);
	assert_int_equal(place->ca.revocations, 0);
	logged_has("Not revoked yet: ca.test does not answer. ");
	world_kill();
	place->ca.down = false;
	world_start(NULL);
	until_ended(w.task);
	the_old_one_is_revoked();
	assert_int_equal(diary_count(place, "ask revoke 4"), 1);
}

/* Each restart ends the tasks that it knows nothing of: then it gets another one. */
static void its_task_may_be_gone_after_a_restart(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	place->ca.down = true;
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, MINUTE);
	assert_string_equal(w.task, "0000000002");
	record_put(
	        place, "task", w.task, STR("{\"state\":\"Failed\",\"name\":\"Revoke\"}"), STR_NONE);
	world_kill();
	place->ca.down = false;
	world_start(NULL);
	until_ended("0000000003");
	the_old_one_is_revoked();
	task_is("0000000003", "directory: Reach ca.test\n"
	                      "revoke: Revoke the certificate\n"
	                      "end: The certificate is revoked\n"
	                      "RevokeLetsEncrypt Success");
	assert_string_equal(task(w.task)->state, "Failed");
}

static void without_its_issuer_after_a_restart_it_ends(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	place->ca.down = true;
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, MINUTE);
	world_kill();
	world_start("site * { proxy 127.0.0.1:3000; }\n");
	until_ended(w.task);
	assert_string_equal(task(w.task)->state, "Failed");
	assert_string_equal(task(w.task)->error->text,
	        "The issuer ca, which the certificate is from, is not configured any more. Add it "
	        "to the configuration with `issuer ca { directory URL }`.");
	assert_int_equal(record_version(place, "revocation", w.id), 0);
	status_is("shop.example.com", "disabled");
}

static void the_ca_says_when_it_is_asked_again(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	world_kill();
	place->ca.busy_for = 3 * HOUR / SECOND;
	world_start(NULL);
	const int64_t start = loop_wall(place->loop);
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	run_to(place, start + 2 * HOUR);
	logged_has("Not revoked yet: ");
	logged_has(" Next try 2027-01-01T03:00:0");
	assert_int_equal(diary_count(place, "ask directory"), 2);
	place->ca.busy_for = 0;
	run_to(place, start + 3 * HOUR + MINUTE);
	the_old_one_is_revoked();
	assert_string_equal(task(w.task)->state, "Success");
}

static void what_became_of_it_is_asked_again_if_it_could_not_be_stored(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	place->ca.latency = 100;
	const unsigned nonces = diary_count(place, "ask nonce");
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask nonce") > nonces);
	run_for(place, 50); /* the CA is being asked */
	store_full(place, true);
	turn_until(place, logged_count("What became of the revocation could not be stored"));
	store_full(place, false);
	world_kill();
	place->ca.revoke_refused = "alreadyRevoked";
	world_start(NULL);
	run_for(place, MINUTE);
	assert_int_equal(diary_count(place, "ask revoke"), 2);
	assert_int_equal(record_version(place, "revocation", w.id), 0);
	status_is("shop.example.com", "revoked");
}

/* A wish that was stored counts, whatever else is gone or damaged. */
static void what_is_stored_of_it_may_be_damaged(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	record_put(place, "revocation", w.id, STR("["), kept);
	record_put(place, "revocation", "no-der", STR("{\"issuer\":\"ca\"}"), STR("no DER"));
	record_put(place, "revocation", "unknown",
	        STR("{\"issuer\":\"ca\",\"reason\":4,\"task\":\"77\"}"), kept);
	record_put(place, "revoked", "unknown", STR("["), STR_NONE);
	record_put(place, "revoked", "nobody", STR("{}"), STR_NONE);
	world_kill();
	world_start(NULL);
	logged_has("The stored revocation of no-der cannot be read: revoke it again.");
	assert_int_equal(logged_count("cannot be read: revoke it again."), 2);
	turn_until(place, place->ca.revocations);
	run_for(place, MINUTE);
	the_old_one_is_revoked();
	assert_int_equal(diary_count(place, "ask revoke 4"), 1);
	assert_int_equal(record_version(place, "revocation", "unknown"), 0);
	status_is("shop.example.com", "disabled");
}

/* Killed at every change of the store and every request. */
static void it_survives_every_kill(void **state)
{
	(void)state;
	struct wish w;
	unsigned kills = 0;
	for (unsigned at = 1;; at++) {
		registered();
		place->kill_at = place->changes + at;
		wish_revoke(&w, "shop.example.com");
		for (int i = 0; i < 3000 && !place->ca.stopped && !place->ca.revocations; i++)
			run_for(place, 20);
		run_for(place, 100);
		const bool killed = place->ca.stopped;
		world_kill();
		world_start(NULL);
		run_until_idle();
		for (int i = 0; i < 3000 && at > 1 && !place->ca.revocations; i++)
			run_for(place, 20);
		run_for(place, 100);
		if (place->ca.revocations)
			assert_true(str_eq(buf_str(&place->ca.revoked), kept));
		assert_true(place->ca.revocations || at == 1);
		status_is("shop.example.com", "ok");
		assert_true(place->ca.order_count <= 2);
		assert_null(place->ca.complaint);
		kills += killed;
		world_teardown(NULL);
		world_setup(NULL);
		if (!killed)
			break;
	}
	printf("# killed %u times\n", kills);
	assert_true(kills > 8);
}

static void a_wish_that_cannot_be_stored(void **state)
{
	(void)state;
	struct wish w;
	registered();
	store_full(place, true);
	wish_revoke(&w, "shop.example.com");
	turn_until(place, w.done);
	assert_int_not_equal(w.err.code, ERR_NONE);
	assert_string_equal(task("0000000002")->state, "Failed");
	store_full(place, false);
	run_for(place, DAY);
	assert_int_equal(place->ca.revocations, 0);
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(w.existing);
	until_ended(w.task);
	the_old_one_is_revoked();
}

/* What was revoked is known after a restart, and each one that follows it. */
static void what_is_revoked_is_remembered(void **state)
{
	(void)state;
	struct wish w;
	registered();
	for (int round = 1; round <= 2; round++) {
		BUF_AUTO value = BUF(1024);
		char expected[128], id[300];
		wish_disable(&w, "shop.example.com", false);
		wish_wait(&w);
		snprintf(id, sizeof id, "%s", w.id);
		wish_revoke(&w, "shop.example.com");
		wish_wait(&w);
		until_ended(w.task);
		assert_string_equal(task(w.task)->state, "Success");
		assert_int_equal(record_version(place, "revoked", id), round);
		record_value(place, "revoked", id, &value);
		snprintf(expected, sizeof expected, "{\"sha256\":\"%s\",\"at\":%s}",
		        held("shop.example.com")->leaf.sha256, said("shop.example.com", "revoked"));
		assert_string_equal(buf_c(&value), expected);
		const char *at = said("shop.example.com", "revoked");
		if (round == 2) { /* the first of them in the same life of the process */
			world_kill();
			world_start(NULL);
		}
		assert_string_equal(said("shop.example.com", "revoked"), at);
		status_is("shop.example.com", "revoked");
		assert_string_equal(said("shop.example.com", "reason"), "\"renewal is disabled\"");
		run_for(place, MINUTE);
		wish_name(&w, "shop.example.com");
		wish_wait(&w);
		run_until_idle();
		status_is("shop.example.com", "ok");
		assert_string_equal(said("shop.example.com", "revoked"), "null");
	}
	assert_int_equal(logged_count("The certificate with serial 03e9 is revoked."), 1);
	assert_int_equal(logged_count("The certificate with serial 03ea is revoked."), 1);
	assert_int_equal(place->ca.revocations, 2);
}

/* After one minute, ten, a hundred: each time with its word. */
static void the_waits_for_a_ca_that_is_down_grow(void **state)
{
	(void)state;
	struct wish w;
	BUF_AUTO lines = BUF(64 << 10);
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	world_kill();
	world_start(NULL);
	place->ca.down = true;
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	run_for(place, 3 * HOUR);
	assert_in_range(logged_count("Not revoked yet: ca.test does not answer."), 3, 5);
	task_lines(w.task, &lines);
	assert_non_null(
	        strstr(buf_c(&lines), "revoke: Revoke the certificate: ca.test does not answer."));
	assert_non_null(strstr(buf_c(&lines), " Next try 2027-01-01T0"));
	assert_true(str_ends(buf_str(&lines), STR("RevokeLetsEncrypt Executing")));
	place->ca.down = false;
	run_for(place, DAY);
	assert_string_equal(task(w.task)->state, "Success");
	the_old_one_is_revoked();
}

static int teardown(void **state)
{
	arena_done(&kept_in);
	return world_teardown(state);
}

#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, teardown)

/* Neither sooner nor twice, whatever is configured meanwhile. */
static void a_configuration_hurries_nothing(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	world_kill();
	world_start(NULL); /* that nothing is known of the CA */
	place->ca.down = true;
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, logged_count("Not revoked yet: "));
	place->ca.down = false;
	world_configure(BASE);
	run_for(place, 10 * SECOND);
	assert_int_equal(place->ca.revocations, 0);
	place->ca.latency = 200;
	turn_until(place, diary_count(place, "ask revoke"));
	world_configure(BASE); /* while the CA is being asked */
	until_ended(w.task);
	the_old_one_is_revoked();
	assert_int_equal(diary_count(place, "ask revoke"), 1);
}

static void nothing_is_revoked_before_it_is_told_to(void **state)
{
	(void)state;
	struct wish w;
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	world_kill();
	place_open(place);
	world_begin(NULL);
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	world_configure(BASE);
	run_for(place, HOUR);
	assert_int_equal(place->ca.revocations, 0);
	renewals_begin(world.renewals);
	until_ended(w.task);
	the_old_one_is_revoked();
}

/* Whoever is asked now. */
static void it_is_revoked_where_it_is_from(void **state)
{
	(void)state;
	struct wish w;
	BUF_AUTO value = BUF(1024);
	registered();
	struct registration *g = registration_find(world.renewals, STR("shop.example.com"));
	g->held.issuer = STR("gone");
	wish_revoke(&w, "shop.example.com");
	wish_refused(&w, ERR_CONFLICT,
	        "The issuer gone, which the certificate is from, is not configured any more. Add "
	        "it to the configuration with `issuer gone { directory URL }`.");
	g->held.issuer = STR_NONE; /* the record does not say it */
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	record_value(place, "revocation", w.id, &value);
	assert_string_equal(
	        buf_c(&value), "{\"issuer\":\"ca\",\"reason\":0,\"task\":\"0000000002\"}");
	until_ended(w.task);
	the_old_one_is_revoked();
}

static unsigned changes;

static void changed(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
	changes++;
}

static void ignored(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
}

static void who_watches_is_told_that_it_is_revoked(void **state)
{
	(void)state;
	struct wish w;
	struct renewals_watch watch = { .registration = changed, .task = ignored };
	registered();
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	run_for(place, SECOND);
	renewals_watch(world.renewals, &watch);
	wish_revoke(&w, "shop.example.com");
	wish_wait(&w);
	changes = 0;
	until_ended(w.task);
	assert_true(changes > 0);
	renewals_unwatch(&watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_new_one_is_ordered_first),
		T(what_is_no_longer_renewed_is_revoked_at_once),
		T(a_key_in_wrong_hands_is_not_used_again),
		T(nor_by_what_was_under_way),
		T(nor_one_that_the_ca_refuses),
		T(nor_once_it_is_wanted_again),
		T(while_it_is_renewed_hsts_is_no_reason),
		T(what_cannot_be_revoked),
		T(our_own_authority_keeps_no_list),
		T(a_refusal_ends_it),
		T(its_own_key_revokes_it_if_the_account_may_not),
		T(without_its_key_the_account_revokes_it),
		T(a_ca_that_is_down_is_asked_again),
		T(its_task_may_be_gone_after_a_restart),
		T(without_its_issuer_after_a_restart_it_ends),
		T(the_ca_says_when_it_is_asked_again),
		T(what_became_of_it_is_asked_again_if_it_could_not_be_stored),
		T(what_is_stored_of_it_may_be_damaged),
		T(it_survives_every_kill),
		T(a_wish_that_cannot_be_stored),
		T(what_is_revoked_is_remembered),
		T(the_waits_for_a_ca_that_is_down_grow),
		T(a_configuration_hurries_nothing),
		T(nothing_is_revoked_before_it_is_told_to),
		T(it_is_revoked_where_it_is_from),
		T(who_watches_is_told_that_it_is_revoked),
	};
	return cmocka_run_group_tests_name("renew_revoke", tests, NULL, NULL);
}
