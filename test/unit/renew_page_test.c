/* What the page sees and wishes: at a glance, steps, errors in parts, removal, export. */
#include "renew_world.h"

#include "issue/issuer.h"

/* At a glance */

struct seen_all {
	struct renew_view_each each;
	size_t count;
	struct buf text;
};

static void view(struct renew_view_each *e, const struct renew_view *v)
{
	struct seen_all *s = OWNER(e, struct seen_all, each);
	s->count++;
	buf_printf(&s->text, "%.*s %s %s\n", STR_ARG(v->names[0]), lamp_name(v->lamp), v->state);
}

static const char *lamp(const char *name)
{
	struct renew_view v;
	return renew_find(world.renewals, str_c(name), &v) ? lamp_name(v.lamp) : "none";
}

static void a_site_at_a_glance(void **state)
{
	(void)state;
	struct wish w;
	struct renew_view v;
	world_start(BASE);
	assert_string_equal(lamp("shop.example.com"), "none");
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_string_equal(lamp("shop.example.com"), "working");
	run_until_idle();
	assert_true(renew_find(world.renewals, STR("SHOP.example.com."), &v));
	assert_int_equal(v.lamp, LAMP_OK);
	assert_true(v.held && v.in_store && v.renewed && !v.in_file && !v.primary);
	assert_true(str_eq_c(v.id, w.id));
	assert_true(str_eq_c(v.email, "ops@example.com"));
	assert_true(str_eq_c(v.task, w.task));
	assert_string_equal(v.reason, "21 days are left");
	assert_int_equal(v.next_renewal, v.not_after - 21 * DAY);
	assert_int_equal(v.why.n, 0);
	assert_int_equal(v.thumbprint.n, 40);
	assert_true(str_eq_c(v.serial, "03e9"));
	assert_true(str_eq_c(v.issued_by, "Script CA"));
	assert_int_equal(v.created, v.not_before);
	assert_string_equal(said("shop.example.com", "lamp"), "\"ok\"");
	assert_string_equal(said("shop.example.com", "chain"), "1");
	assert_string_equal(said("shop.example.com", "email"), "\"ops@example.com\"");
	assert_string_equal(said("shop.example.com", "primary"), "false");
	assert_int_equal(strlen(said("shop.example.com", "sha256")), 66);
	assert_string_equal(said("shop.example.com", "next_check"),
	        date(loop_wall(place->loop) + DAY -
	                (loop_wall(place->loop) - INT64_C(1798761600000))));
	wish_disable(&w, "shop.example.com", false);
	wish_wait(&w);
	assert_string_equal(lamp("shop.example.com"), "off");
}

static void lists_go_through_all(void **state)
{
	(void)state;
	struct wish w;
	struct seen_all s = { .each.view = view, .text = BUF(4096) };
	place->ca.refused = "bad.example.com";
	world_start(BASE);
	wish_name(&w, "bad.example.com");
	wish_wait(&w);
	run_until_idle();
	wish_name(&w, "good.example.com");
	wish_wait(&w);
	run_until_idle();
	store_full(place, true);
	wish_name(&w, "never.example.com"); /* nobody knows of it */
	turn_until(place, w.done);
	store_full(place, false);
	renew_each(world.renewals, &s.each);
	assert_int_equal(s.count, 2);
	assert_non_null(strstr(buf_c(&s.text), "bad.example.com problem failed\n"));
	assert_non_null(strstr(buf_c(&s.text), "good.example.com ok ok\n"));
	buf_done(&s.text);
}

static void what_visitors_get_instead(void **state)
{
	(void)state;
	struct wish w;
	struct renew_view v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	const char *leaf = said("shop.example.com", "served_leaf");
	assert_non_null(strstr(leaf, "{\"names\":[\"shop.example.com\"],\"serial\":"));
	world.lagging = 1000; /* from now on listeners show the former one */
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(renew_find(world.renewals, STR("shop.example.com"), &v));
	assert_int_equal(v.lamp, LAMP_WARNING);
	assert_non_null(strstr(said("shop.example.com", "served"), "get another certificate"));
	assert_string_equal(said("shop.example.com", "served_leaf"), leaf);
	world.lagging = 0;
	run_for(place, DAY + MINUTE);
	assert_string_equal(lamp("shop.example.com"), "ok");
	assert_string_not_equal(said("shop.example.com", "served_leaf"), leaf);
	world.dark = true;
	run_for(place, DAY + MINUTE);
	assert_string_equal(said("shop.example.com", "served_leaf"), "null");
}

/* Told of changes */

struct told {
	struct renewals_watch watch;
	unsigned registrations, tasks;
	char id[300], task[32];
};

static void told_registration(struct renewals_watch *w, struct str id)
{
	struct told *t = OWNER(w, struct told, watch);
	t->registrations++;
	snprintf(t->id, sizeof t->id, "%.*s", STR_ARG(id));
}

static void told_task(struct renewals_watch *w, struct str id)
{
	struct told *t = OWNER(w, struct told, watch);
	t->tasks++;
	snprintf(t->task, sizeof t->task, "%.*s", STR_ARG(id));
}

static void changes_are_told_once_a_turn(void **state)
{
	(void)state;
	struct wish w;
	struct told t = { .watch = { .registration = told_registration, .task = told_task } },
	            gone = t;
	world_start(BASE);
	renewals_watch(world.renewals, &t.watch);
	renewals_watch(world.renewals, &gone.watch);
	renewals_unwatch(&gone.watch);
	renewals_unwatch(&gone.watch);
	wish_name(&w, "shop.example.com");
	assert_int_equal(t.registrations + t.tasks, 0); /* never before the wish has returned */
	wish_wait(&w);
	run_until_idle();
	assert_string_equal(t.id, w.id);
	assert_string_equal(t.task, w.task);
	assert_in_range(t.registrations, 5, 40);
	assert_in_range(t.tasks, 5, 20);
	unsigned before = t.registrations;
	for (int i = 0; i < 9; i++)
		renew_seen(world.renewals, STR("shop.example.com"), STR("198.51.100.7"), 1 + i);
	run_for(place, 0);
	assert_int_equal(t.registrations, before + 1);
	before = t.registrations;
	run_for(place, DAY + MINUTE); /* it was looked at */
	assert_int_equal(t.registrations, before + 1);
	assert_int_equal(gone.registrations + gone.tasks, 0);
	renewals_unwatch(&t.watch);
}

/* Control ends while much is still to be told. */
static void at_the_end_nobody_is_told_any_more(void **state)
{
	(void)state;
	struct wish wishes[3];
	struct told t = { .watch = { .registration = told_registration, .task = told_task } };
	world_start(BASE);
	run_until_idle();
	renewals_watch(world.renewals, &t.watch);
	wish_name(&wishes[0], "a.example.com");
	wish_name(&wishes[1], "b.example.com");
	wish_name(&wishes[2], "c.example.com");
	world_kill();
	assert_int_equal(t.registrations + t.tasks, 0);
	assert_false(list_linked(&t.watch.node));
}

/* The primary one */

static void one_is_the_primary(void **state)
{
	(void)state;
	struct wish w, v;
	struct renew_view p;
	world_start(BASE);
	assert_false(renew_primary(world.renewals, &p));
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_name(&v, "other.example.com");
	wish_wait(&v);
	renew_set_primary(world.renewals, str_c(w.id));
	renew_set_primary(world.renewals, str_c(v.id)); /* before the first is stored */
	run_until_idle();
	assert_true(renew_primary(world.renewals, &p));
	assert_true(str_eq_c(p.id, v.id));
	assert_string_equal(said("other.example.com", "primary"), "true");
	assert_string_equal(said("shop.example.com", "primary"), "false");
	world_kill();
	world_start(NULL);
	assert_true(renew_primary(world.renewals, &p));
	assert_true(str_eq_c(p.id, v.id));
	renew_set_primary(world.renewals, STR_NONE);
	run_for(place, 10);
	world_kill();
	world_start(NULL);
	assert_false(renew_primary(world.renewals, &p));
}

static void a_primary_one_that_cannot_be_stored_is_said(void **state)
{
	(void)state;
	struct wish w;
	struct renew_view v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	store_full(place, true);
	renew_set_primary(world.renewals, str_c(w.id));
	run_for(place, SECOND);
	store_full(place, false);
	logged_has("Which certificate is the primary one could not be stored, it is forgotten at "
	           "the next start: ");
	assert_true(renew_primary(world.renewals, &v));
	renew_set_primary(world.renewals, STR_NONE);
	renew_set_primary(world.renewals, str_c(w.id));
	run_for(place, SECOND);
	world_kill();
	world_start(NULL);
	assert_true(renew_primary(world.renewals, &v));
}

/* Steps */

static void steps_are(const char *task, const char *expected)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO text = BUF(64 << 10), lines = BUF(64 << 10);
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	task_write_steps(world.renewals, str_c(task), "Steps", &w);
	json_write_end(&w);
	JSON_AUTO *json = json_parse(buf_str(&text), "Steps", &err);
	const struct json *all = json_array(json, "Steps");
	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *s = json_at(all, i);
		struct task_view t;
		int64_t ms = -1, took = -1, at = 0;
		json_int(s, "ms", &ms);
		json_int(s, "took", &took);
		assert_true(task_view(world.renewals, str_c(task), &t));
		assert_true(clock_from_rfc3339(json_text(s, "at"), &at));
		assert_int_equal(at / SECOND, (t.queued + ms) / SECOND);
		buf_printf(&lines, "%lld+%lld %.*s %.*s\n", (long long)ms, (long long)took,
		        STR_ARG(json_text(s, "state")), STR_ARG(json_text(s, "text")));
	}
	assert_string_equal(buf_c(&lines), expected);
}

static void fetch_tokens_of(const char *name, const char *client)
{
	for (size_t i = 0; i < serve_tokens(&place->serves[0]); i++) {
		struct str text = str_c(place->serves[0].tokens[i]);
		if (!str_ends(text, str_c(name)))
			continue;
		board_heard_seen(place->board, str_head(text, str_find(text, ' ')), str_c(client));
	}
}

static void fetch_tokens(const char *client)
{
	fetch_tokens_of("", client);
}

static void steps_in_plain_words(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	place->ca.latency = 100;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask challenge"));
	board_heard_seen(place->board, STR("a-token-of-nobody"), STR("192.0.2.9"));
	fetch_tokens("192.0.2.1");
	fetch_tokens("192.0.2.2");
	fetch_tokens("192.0.2.1");
	steps_are(w.task, "0+100 Success Reach ca.test\n"
	                  "100+300 Success Account, new\n"
	                  "400+100 Success Order the certificate\n"
	                  "500+-1 Executing Prove control of shop.example.com: token fetched from "
	                  "2 places: 192.0.2.1 (2 times), 192.0.2.2\n");
	for (int i = 0; i < 40; i++)
		fetch_tokens("192.0.2.1"); /* says no more */
	run_until_idle();
	struct task_view t;
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_string_equal(t.name, "ConfigureLetsEncrypt");
	assert_string_equal(t.description, "Configure Let's Encrypt SSL Certificate");
	assert_string_equal(t.state, "Success");
	assert_true(t.ended && t.succeeded && !t.error && t.queued && t.started && t.finished);
	assert_true(str_starts(t.arguments,
	        STR("{\"DnsName\":\"shop.example.com\",\"DnsNames\":[\"shop.example.com\"],"
	            "\"RegistrationEmailAddress\":\"ops@example.com\",\"Issuer\":\"ca\"")));
	assert_false(task_view(world.renewals, STR("77"), &t));
	steps_are("77", "");
	/* The CA remembers the proof. */
	place->ca.remembers = true;
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_string_equal(t.name, "RenewLetsEncrypt");
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w.task, &lines);
	assert_non_null(strstr(buf_c(&lines), "account: Account, reused\n"));
	assert_non_null(strstr(
	        buf_c(&lines), "answer: Prove control of shop.example.com: proved before\n"));
}

static void each_name_has_its_own_fetches(void **state)
{
	(void)state;
	const struct str names[] = { STR("shop.example.com"), STR("www.example.com") };
	struct wish w;
	world_start(BASE);
	place->ca.latency = 100;
	wish_register(&w, &(struct register_want){ .names = names,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask challenge"));
	fetch_tokens_of("shop.example.com", "192.0.2.1");
	fetch_tokens_of("www.example.com", "192.0.2.2");
	run_until_idle();
	BUF_AUTO lines = BUF(64 << 10);
	task_lines(w.task, &lines);
	assert_non_null(strstr(buf_c(&lines), "www.example.com: token fetched from 192.0.2.2\n"));
	assert_non_null(strstr(buf_c(&lines), "shop.example.com: token fetched from 192.0.2.1\n"));
}

static void a_failure_in_parts(void **state)
{
	(void)state;
	struct wish w;
	struct task_view t;
	struct json_writer out;
	BUF_AUTO text = BUF(64 << 10);
	place->ca.refused = "shop.example.com";
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	for (int restarted = 0; restarted < 2; restarted++) {
		assert_true(task_view(world.renewals, str_c(w.task), &t));
		assert_string_equal(t.state, "Failed");
		assert_non_null(t.error);
		assert_true(str_eq_c(
		        err_what(t.error), "ca.test could not prove control of shop.example.com."));
		assert_true(str_starts(err_why(t.error), STR("It asked http://shop.example.com/")));
		assert_true(str_eq_c(err_remedy(t.error),
		        "Open port 80 in the firewall or forward it here; if the name has an IPv6 "
		        "address, it must lead here too."));
		assert_true(str_ends(t.ca_text, STR("(connection)")));
		buf_clear(&text);
		json_write_init(&out, &text);
		task_write_error(&t, NULL, &out);
		assert_non_null(strstr(buf_c(&text), "\"remedy\":\"Open port 80"));
		assert_non_null(strstr(buf_c(&text), "\"ca_text\":\""));
		assert_non_null(strstr(
		        said("shop.example.com", "last_error"), "\"remedy\":\"Open port 80"));
		world_kill();
		world_start(NULL);
	}
}

struct about {
	struct task_view_each each;
	size_t count, most;
	char last[32];
};

static bool about(struct task_view_each *e, const struct task_view *t)
{
	struct about *a = OWNER(e, struct about, each);
	a->count++;
	snprintf(a->last, sizeof a->last, "%.*s", STR_ARG(t->id));
	return a->count < a->most;
}

static void a_program_in_the_way_is_what_to_do_about(void **state)
{
	(void)state;
	struct task_view t;
	struct wish w;
	place->ca.refused = "shop.example.com";
	world.obstacle = "Port 80 is held by nginx: stop it.";
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_true(
	        str_starts(err_why(t.error), STR("It asked http://shop.example.com/.well-known/")));
	assert_true(str_eq_c(err_remedy(t.error), world.obstacle));
	/* What is no failed proof is told as it is. */
	place->ca.limited = "shop.example.com";
	place->ca.limited_for = DAY / SECOND;
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_int_equal(t.error->code, ERR_LIMIT);
	assert_null(strstr(t.error->text, "nginx"));
	place->ca.limited = NULL;
	place->ca.rejected = "shop.example.com";
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_int_equal(t.error->code, ERR_REFUSED);
	assert_null(strstr(t.error->text, "nginx"));
}

static void tasks_of_one_registration(void **state)
{
	(void)state;
	struct wish w, v;
	struct about a = { .each.task = about, .most = 10 }, one = { .each.task = about };
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_name(&v, "other.example.com");
	wish_wait(&v);
	run_until_idle();
	wish_renew(&v, "other.example.com");
	wish_wait(&v);
	run_until_idle();
	task_each(world.renewals, str_c(v.id), &a.each);
	assert_int_equal(a.count, 2);
	assert_string_equal(a.last, "0000000002");
	task_each(world.renewals, STR_NONE, &one.each);
	assert_int_equal(one.count, 1);
	assert_string_equal(one.last, "0000000003");
}

/* Removal */

static void wish_remove(struct wish *w, const char *name, bool despite)
{
	*w = (struct wish){ 0 };
	renew_remove(world.renewals, &w->q, str_c(name), despite, wish_done);
	assert_false(w->done);
}

static void removed_its_certificate_is_kept(void **state)
{
	(void)state;
	struct wish w;
	struct renew_view v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	renew_set_primary(world.renewals, str_c(w.id));
	unsigned changes = world.changes;
	renew_hsts_sent(world.renewals, STR("shop.example.com"), 86400, loop_wall(place->loop));
	wish_remove(&w, "shop.example.com", false);
	turn_until(place, w.done);
	assert_int_equal(w.err.code, ERR_CONFLICT);
	assert_true(str_starts(str_c(w.err.text), STR("Browsers may remember until ")));
	wish_remove(&w, "shop.example.com", true);
	wish_wait(&w);
	assert_false(w.existing);
	run_for(place, 10);
	assert_int_equal(world.changes, changes + 1);
	assert_false(renew_primary(world.renewals, &v));
	for (int restarted = 0; restarted < 2; restarted++) {
		assert_int_equal(record_version(place, "registration", w.id), 0);
		status_is("shop.example.com", "retired");
		assert_string_equal(lamp("shop.example.com"), "off");
		run_for(place, 40 * DAY);
		assert_int_equal(place->ca.order_count, 1);
		world_kill();
		world_start(NULL);
	}
	wish_remove(&w, "shop.example.com", true);
	wish_wait(&w);
	assert_true(w.existing);
	/* And again from the start. */
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(record_version(place, "registration", w.id), 1);
	assert_int_equal(place->ca.order_count, 2);
}

static void removed_before_it_was_issued_nothing_is_left(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	turn_until(place, diary_count(place, "ask order"));
	wish_remove(&v, "shop.example.com", false);
	wish_wait(&v);
	run_until_idle();
	assert_string_equal(lamp("shop.example.com"), "none");
	struct task_view t;
	assert_true(task_view(world.renewals, str_c(w.task), &t));
	assert_string_equal(t.state, "Canceled");
	assert_string_equal(t.error->text, "Given up: it was removed.");
	wish_remove(&v, "shop.example.com", false);
	wish_refused(&v, ERR_NOT_FOUND,
	        "There is no certificate for shop.example.com. `everseal status` lists those that "
	        "there are.");
}

static void what_the_file_sets_is_not_removed_here(void **state)
{
	(void)state;
	struct wish w;
	world_start(BY_FILE SHOP);
	run_until_idle();
	wish_remove(&w, "shop.example.com", false);
	wish_refused(&w, ERR_CONFLICT,
	        "shop.example.com is registered by the configuration file. Remove it there, then "
	        "`everseal reload`.");
	status_is("shop.example.com", "ok");
}

static void a_removal_waits_for_what_is_being_stored(void **state)
{
	(void)state;
	struct wish w, gone;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_remove(&gone, "shop.example.com", false);
	wish_refused(&gone, ERR_BUSY,
	        "Another wish for shop.example.com is just being stored. Try again in a moment.");
	wish_wait(&w);
	run_until_idle();
	status_is("shop.example.com", "ok");
}

static void a_removal_that_cannot_be_stored(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	store_full(place, true);
	wish_remove(&w, "shop.example.com", false);
	turn_until(place, w.done);
	assert_int_not_equal(w.err.code, ERR_NONE);
	status_is("shop.example.com", "ok");
	store_full(place, false);
	wish_remove(&w, "shop.example.com", false);
	wish_wait(&w);
	status_is("shop.example.com", "retired");
}

/* Limits */

static void every_issuer_tells_its_limits(const char *words)
{
	struct json_writer out;
	BUF_AUTO text = BUF(8192);
	json_write_init(&out, &text);
	json_write_object(&out, NULL);
	renew_limits_all(world.renewals, "issuers", &out);
	json_write_end(&out);
	assert_non_null(strstr(buf_c(&text),
	        "{\"issuers\":[{\"name\":\"letsencrypt\",\"account_doubt\":null,\"limits\":[{"));
	assert_non_null(strstr(buf_c(&text), words));
}

static void nothing_is_ordered_that_a_limit_forbids(void **state)
{
	(void)state;
	struct wish w, v;
	struct json_writer out;
	struct err err = ERR_INIT;
	BUF_AUTO text = BUF(8192);
	static const char url[] = "https://acme-v02.api.letsencrypt.org/directory";
	const struct str names[] = { STR("shop.example.com") };
	world_start("issuer letsencrypt { directory "
	            "https://acme-v02.api.letsencrypt.org/directory; }\n"
	            "site * { proxy 127.0.0.1:3000; }\n");
	for (int i = 0; i < 5; i++)
		limits_spent(place->issuers->limits, SPENT_CERTIFICATE, str_c(url), names, 1);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_name(&v, "www.example.com");
	wish_wait(&v);
	run_for(place, 20 * SECOND);
	status_is("www.example.com", "ok"); /* a limit delays nobody else */
	assert_int_equal(place->ca.order_count, 1);
	assert_string_equal(lamp("shop.example.com"), "working");
	assert_string_equal(said("shop.example.com", "reason"),
	        "\"Let's Encrypt's limit: 5 certificates a week for the same names. Next try 2 "
	        "Jan, 09:36 UTC. Nothing to do.\"");
	assert_string_equal(said("shop.example.com", "next_renewal"),
	        date(INT64_C(1798761600000) + 7 * DAY / 5));
	task_is(w.task, "limit: Let's Encrypt's limit: 5 certificates a week for the same names. "
	                "Next try 2 Jan, 09:36 UTC. Nothing to do.\n"
	                "ConfigureLetsEncrypt Queued");
	json_write_init(&out, &text);
	json_write_object(&out, NULL);
	assert_true(renew_limits(
	        world.renewals, STR("letsencrypt"), STR("SHOP.example.com"), &out, &err));
	json_write_end(&out);
	assert_non_null(strstr(
	        buf_c(&text), "\"limit\":\"new orders per account\",\"about\":null,\"used\":1,"));
	assert_non_null(strstr(buf_c(&text), "names\",\"about\":null,\"used\":5,\"most\":5,"));
	every_issuer_tells_its_limits("\"about\":\"shop.example.com\",\"used\":5,\"most\":5,");
	assert_false(renew_limits(world.renewals, STR("nobody"), STR("a.example.com"), &out, &err));
	assert_string_equal(err.text,
	        "There is no issuer nobody. `everseal issuer list` lists those that there "
	        "are.");
	wish_renew(&w, "shop.example.com"); /* no way around it */
	wish_wait(&w);
	run_for(place, DAY);
	assert_int_equal(place->ca.order_count, 1);
	world_kill();
	world_start(NULL);
	run_for(place, HOUR);
	assert_int_equal(place->ca.order_count, 1);
	run_for(place, 9 * HOUR);
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
	place->ca.complaint = NULL; /* that its directory has another name */
}

static void a_wait_for_a_limit_can_be_given_up(void **state)
{
	(void)state;
	struct wish w;
	static const char url[] = "https://acme-v02.api.letsencrypt.org/directory";
	const struct str names[] = { STR("shop.example.com") };
	world_start("issuer letsencrypt { directory "
	            "https://acme-v02.api.letsencrypt.org/directory; }\n"
	            "site * { proxy 127.0.0.1:3000; }\n");
	for (int i = 0; i < 5; i++)
		limits_spent(place->issuers->limits, SPENT_FAILURE, str_c(url), names, 1);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_remove(&w, "shop.example.com", false);
	wish_wait(&w);
	run_for(place, 8 * DAY);
	assert_int_equal(place->ca.requests, 0);
}

/* Export */

static bool export_pem(bool with_key, struct str key_type, struct buf *ret_pem, struct err *err)
{
	const struct renew_export_want want = { STR("shop.example.com"), key_type, with_key };
	return renew_export(world.renewals, &want, ret_pem, err);
}

static void a_certificate_is_exported(void **state)
{
	(void)state;
	struct wish w;
	struct err err = ERR_INIT;
	ARENA_AUTO a = ARENA_INIT;
	struct str chain[CHAIN_MOST];
	size_t count;
	BUF_AUTO pem = BUF(64 << 10), secret = BUF_SECRET(64 << 10);
	world_start(BASE);
	assert_false(export_pem(false, STR_NONE, &pem, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	place->ca.down = true;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	assert_false(export_pem(false, STR_NONE, &pem, &err));
	assert_string_equal(err.text, "shop.example.com has only its temporary certificate. Wait "
	                              "until a CA has issued one.");
	place->ca.down = false;
	run_until_idle();
	assert_true(export_pem(false, STR_NONE, &pem, &err));
	assert_null(strstr(buf_c(&pem), "PRIVATE"));
	assert_false(export_pem(false, STR("rsa2048"), &pem, &err));
	assert_string_equal(err.text,
	        "There is no certificate for shop.example.com with a key of the type rsa2048. "
	        "`everseal lets-encrypt status shop.example.com` says which there are.");
	assert_true(cert_chain_from_pem(&a, buf_str(&pem), chain, &count, &err));
	assert_int_equal(count, 1);
	assert_true(export_pem(true, STR_NONE, &secret, &err));
	struct str text = buf_str(&secret), begin = STR("-----BEGIN EC PRIVATE KEY-----\n");
	assert_true(str_starts(text, begin));
	const char *end = strstr(text.p, "-----END EC PRIVATE KEY-----\n");
	assert_non_null(end);
	BUF_AUTO base64 = BUF(4096), der = BUF(4096);
	for (const char *p = text.p + begin.n; p < end; p++)
		if (*p != '\n')
			buf_add_char(&base64, *p);
	assert_true(buf_decode_base64(&der, buf_str(&base64)));
	KEY_AUTO *key = key_from_der(buf_str(&der), "It", &err);
	assert_non_null(key);
	assert_true(key_fits(key, chain[0]));
}

/* Of several with that type of key the one that is renewed. */
static void the_type_of_key_is_chosen(void **state)
{
	(void)state;
	const struct str name = STR("shop.example.com");
	static const char *const types[] = { "p384", "rsa2048", "p256" };
	struct wish w[3];
	struct err err = ERR_INIT;
	BUF_AUTO pem = BUF(64 << 10);
	world_start(BASE);
	for (size_t i = 0; i < 3; i++) {
		wish_register(&w[i], &(struct register_want){ .names = &name,
		                             .name_count = 1,
		                             .email = STR("ops@example.com"),
		                             .key_type = str_c(types[i]),
		                             .agree_tos = true });
		wish_wait(&w[i]);
		run_until_idle();
		run_for(place, MINUTE);
	}
	for (size_t i = 0; i < 3; i++) {
		const struct registration *g = registration_by_id(world.renewals, str_c(w[i].id));
		BUF_AUTO expected = BUF(64 << 10);
		buf_clear(&pem);
		assert_true(export_pem(false, str_c(types[i]), &pem, &err));
		for (size_t n = 0; n < g->held.chain_count; n++)
			cert_to_pem(g->held.chain[n], &expected);
		assert_string_equal(buf_c(&pem), buf_c(&expected));
	}
	assert_false(export_pem(false, STR("rsa4096"), &pem, &err));
	assert_false(export_pem(false, STR("rsa"), &pem, &err));
	assert_true(str_starts(str_c(err.text),
	        STR("There is no certificate for shop.example.com with a key of the type rsa.")));
}

static struct buf heard = BUF_INIT(4096);

static void hear_registration(struct renewals_watch *w, struct str id)
{
	(void)w;
	buf_printf(&heard, "%.*s\n", STR_ARG(id));
}

static void hear_task(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
}

static void heard_are(const char *first, const char *second)
{
	BUF_AUTO expected = BUF(1024);
	run_for(place, SECOND);
	buf_printf(&expected, "%s%s%s%s", first, *first ? "\n" : "", second, *second ? "\n" : "");
	assert_string_equal(buf_c(&heard), buf_c(&expected));
	buf_clear(&heard);
}

static void another_primary_one_is_told_of_both(void **state)
{
	(void)state;
	struct wish w, v;
	struct renewals_watch watch = { .registration = hear_registration, .task = hear_task };
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_name(&v, "other.example.com");
	wish_wait(&v);
	run_until_idle();
	run_for(place, SECOND);
	buf_clear(&heard);
	renewals_watch(world.renewals, &watch);
	renew_set_primary(world.renewals, str_c(w.id));
	heard_are(w.id, "");
	renew_set_primary(world.renewals, str_c(v.id));
	heard_are(w.id, v.id);
	const int64_t version = record_version(place, "primary", "primary");
	renew_set_primary(world.renewals, str_c(v.id));
	heard_are("", "");
	assert_int_equal(record_version(place, "primary", "primary"), version);
	world.dark = true;
	held_install(registration_by_id(world.renewals, str_c(w.id)));
	heard_are(w.id, "");
	run_for(place, DAY); /* what is seen is another */
	assert_non_null(strstr(buf_c(&heard), w.id));
	renewals_unwatch(&watch);
	buf_done(&heard);
}

/* Those that go on, too, wait for a place. */
static void all_that_wait_are_counted(void **state)
{
	(void)state;
	struct renew_totals t;
	world_start(BASE);
	run_until_idle();
	struct registration *g = registration_new(world.renewals, STR("x"));
	list_add_last(&world.renewals->going_on, &g->queued);
	renew_totals(world.renewals, &t);
	assert_int_equal(t.queued, 1);
	list_remove(&g->queued);
	list_add_last(&world.renewals->at_limit, &g->queued);
	renew_totals(world.renewals, &t);
	assert_int_equal(t.queued, 0);
	assert_int_equal(t.at_limit, 1);
	list_remove(&g->queued);
	registration_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_site_at_a_glance),
		WORLD_TEST(lists_go_through_all),
		WORLD_TEST(what_visitors_get_instead),
		WORLD_TEST(changes_are_told_once_a_turn),
		WORLD_TEST(at_the_end_nobody_is_told_any_more),
		WORLD_TEST(one_is_the_primary),
		WORLD_TEST(steps_in_plain_words),
		WORLD_TEST(a_primary_one_that_cannot_be_stored_is_said),
		WORLD_TEST(each_name_has_its_own_fetches),
		WORLD_TEST(a_removal_waits_for_what_is_being_stored),
		WORLD_TEST(a_failure_in_parts),
		WORLD_TEST(a_program_in_the_way_is_what_to_do_about),
		WORLD_TEST(tasks_of_one_registration),
		WORLD_TEST(removed_its_certificate_is_kept),
		WORLD_TEST(removed_before_it_was_issued_nothing_is_left),
		WORLD_TEST(what_the_file_sets_is_not_removed_here),
		WORLD_TEST(a_removal_that_cannot_be_stored),
		WORLD_TEST(nothing_is_ordered_that_a_limit_forbids),
		WORLD_TEST(a_wait_for_a_limit_can_be_given_up),
		WORLD_TEST(a_certificate_is_exported),
		WORLD_TEST(the_type_of_key_is_chosen),
		WORLD_TEST(another_primary_one_is_told_of_both),
		WORLD_TEST(all_that_wait_are_counted),
	};
	return cmocka_run_group_tests_name("renew_page", tests, NULL, NULL);
}
