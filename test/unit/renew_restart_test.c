/* What a restart finds, and the log of tasks. */
#include "renew_world.h"

/* Interrupted */

static void an_interrupted_attempt_begins_anew_once(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask challenge"));
	run_for(place, 0);
	world_kill();
	place->ca.orders[0].valid[0] = false; /* nobody answered while we were down */
	place->ca.orders[0].failed[0] = true;
	world_start(NULL);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
	BUF_AUTO lines = BUF(64 << 10);
	task_lines("0000000001", &lines);
	assert_non_null(strstr(buf_c(&lines),
	        "again: The attempt that was interrupted failed, and begins anew\n"
	        "directory: Reach ca.test\norder: Order"));
	assert_int_equal(logged_count("error"), 0);
	/* Only once. */
	world_teardown(NULL);
	world_setup(NULL);
	place->ca.refused = "shop.example.com";
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask order"));
	run_for(place, 0);
	world_kill();
	world_start(NULL);
	run_for(place, 30 * SECOND);
	assert_int_equal(place->ca.order_count, 2);
	status_is("shop.example.com", "failed");
	assert_string_equal(said("shop.example.com", "failures"), "1");
}

/* The proof of that order fails, and serve dies while the CA may ask for its token. */
static void nobody_answers(unsigned order)
{
	turn_until(place, diary_count(place, "ask challenge") > order);
	place->ca.orders[order].valid[0] = false;
	place->ca.orders[order].failed[0] = true;
	serve_detach(place, 0);
	serve_attach(place, 0);
}

static void an_attempt_whose_token_nobody_answered_begins_anew_once(void **state)
{
	(void)state;
	world_start(BY_FILE SHOP);
	nobody_answers(0);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 2);
	assert_int_equal(logged_count("error"), 0);
	/* Only once, */
	world_teardown(NULL);
	world_setup(NULL);
	world_start(BY_FILE SHOP);
	nobody_answers(0);
	nobody_answers(1);
	run_for(place, 30 * SECOND);
	assert_int_equal(place->ca.order_count, 2);
	assert_string_equal(said("shop.example.com", "failures"), "1");
	/* but that is told of each attempt by itself. */
	nobody_answers(2);
	run_until_idle();
	status_is("shop.example.com", "ok");
	assert_int_equal(place->ca.order_count, 4);
}

static void a_proof_that_fails_while_a_serve_answers_is_a_failure(void **state)
{
	(void)state;
	serve_attach(place, 1);
	world_start(BY_FILE SHOP);
	turn_until(place, diary_count(place, "ask order"));
	serve_detach(place, 0); /* the token is not told yet, and one is left */
	serve_attach(place, 0);
	turn_until(place, diary_count(place, "ask challenge"));
	place->ca.orders[0].valid[0] = false;
	place->ca.orders[0].failed[0] = true;
	serve_detach(place, 1);
	run_for(place, 30 * SECOND);
	assert_int_equal(place->ca.order_count, 1);
	assert_string_equal(said("shop.example.com", "failures"), "1");
}

static void a_wish_survives_a_kill(void **state)
{
	(void)state;
	struct wish w;
	for (unsigned kill_at = 1; kill_at <= 3; kill_at++) {
		world_start(BASE);
		run_until_idle();
		place->kill_at = place->changes + kill_at;
		wish_name(&w, "shop.example.com");
		turn_until(place, place->ca.stopped);
		world_kill();
		world_start(NULL);
		run_until_idle();
		status_is("shop.example.com", "ok");
		assert_int_equal(place->ca.order_count, 1);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

static bool killed_while_renewing(unsigned change, unsigned request)
{
	place->ca.lifetime = 2 * HOUR;
	world_start(BY_FILE SHOP);
	run_for(place, HOUR - SECOND);
	place->kill_at = change ? place->changes + change : 0;
	place->ca.fault_at = request ? place->ca.requests + request : 0;
	place->ca.fault = FAULT_STOP_AFTER;
	run_for(place, MINUTE);
	bool hit = place->ca.stopped;
	bool order_lost = hit && request &&
	                  str_ends(buf_str(&place->diary), STR("ask order shop.example.com\n"));
	if (hit) {
		world_kill();
		world_start(NULL);
		run_for(place, MINUTE);
	}
	status_is("shop.example.com", "ok");
	assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
	assert_string_equal(said("shop.example.com", "failures"), "0");
	assert_int_equal(place->ca.order_count, order_lost ? 3 : 2);
	assert_int_equal(place->ca.finalized, 2);
	assert_int_equal(place->ca.accounts_made, 1);
	assert_int_equal(logged_count("error"), 0);
	world_teardown(NULL);
	world_setup(NULL);
	return hit;
}

static void killed_at_any_step_it_renews(void **state)
{
	(void)state;
	unsigned kills = 0;
	for (unsigned i = 1; killed_while_renewing(i, 0); i++)
		kills++;
	for (unsigned i = 1; killed_while_renewing(0, i); i++)
		kills++;
	assert_in_range(kills, 25, 60);
}

/* Its certificate is stored and served; that it is seen was not yet known. */
static void killed_before_it_is_seen_it_orders_nothing(void **state)
{
	(void)state;
	struct wish w;
	place->ca.latency = 100; /* of a handshake, too */
	for (unsigned orders = 1; orders <= 2; orders++) {
		if (orders == 1) {
			world_start(BASE);
			wish_name(&w, "shop.example.com");
		} else {
			wish_renew(&w, "shop.example.com");
		}
		wish_wait(&w);
		turn_until(place, diary_count(place, "install") == 2 * orders - 1);
		assert_int_equal(diary_count(place, "handshake"), orders - 1);
		world_kill();
		world_start(NULL);
		run_until_idle();
		status_is("shop.example.com", "ok");
		assert_string_equal(said("shop.example.com", "served"), "\"stored\"");
		assert_int_equal(place->ca.order_count, orders);
		BUF_AUTO lines = BUF(64 << 10);
		task_lines(w.task, &lines);
		assert_true(str_ends(buf_str(&lines),
		        orders == 1 ? STR(STEPS SEEN "ConfigureLetsEncrypt Success")
		                    : STR(STEPS SEEN "RenewLetsEncrypt Success")));
	}
}

static void nothing_begins_before_it_is_told_to(void **state)
{
	(void)state;
	struct wish w, v;
	world_begin(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	wish_renew(&v, "shop.example.com");
	wish_wait(&v);
	assert_string_equal(v.task, w.task);
	run_for(place, HOUR);
	assert_int_equal(place->ca.requests, 0);
	renewals_begin(world.renewals);
	run_until_idle();
	status_is("shop.example.com", "ok");
	task_is(w.task, FIRST STEPS SEEN "ConfigureLetsEncrypt Success");
	assert_int_equal(place->ca.order_count, 1);
}

static void what_a_restart_finds_without_issuer_is_given_up(void **state)
{
	(void)state;
	struct wish w;
	world_begin(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	world_kill();
	world_start("site * { proxy 127.0.0.1:3000; }\n");
	run_for(place, DAY);
	task_is(w.task, "end: Given up: its issuer is not configured any more.\n"
	                "ConfigureLetsEncrypt Canceled");
	status_is("shop.example.com", "temporary");
	world_configure(BASE);
	run_until_idle();
	status_is("shop.example.com", "ok");
}

/* What is stored, damaged */

static void a_damaged_certificate_is_ordered_anew(void **state)
{
	(void)state;
	static const char blobs[][12] = { "", "\0\0\0", "\0\0\0\0", "\0\0\0\1", "\0\0\0\1\0\0\0\7",
		"\0\0\0\17\0", "\0\0\0\1\0\0\0\1x" };
	static const size_t sizes[] = { 0, 3, 4, 4, 8, 5, 9 };
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct wish w;
		world_start(BASE);
		wish_name(&w, "shop.example.com");
		wish_wait(&w);
		run_until_idle();
		record_put(place, "certificate", w.id, STR("{\"issuer\":\"ca\"}"),
		        str_n(blobs[i], sizes[i]));
		world_kill();
		unsigned installs = world.installs;
		world_start(NULL);
		assert_int_equal(world.installs, installs);
		logged_has("cannot be served: ");
		assert_string_equal(said("shop.example.com", "temporary"), "true");
		run_until_idle();
		status_is("shop.example.com", "ok");
		assert_int_equal(record_version(place, "certificate", w.id), 3);
		world_teardown(NULL);
		world_setup(NULL);
	}
}

static void what_else_is_damaged_stops_nobody(void **state)
{
	(void)state;
	world_start(BASE);
	record_put(place, "registration", "broken", STR("{\"names\":[]}"), STR_NONE);
	record_put(place, "registration", "worse", STR("["), STR_NONE);
	record_put(place, "renewal", "unknown", STR("["), STR_NONE);
	record_put(place, "task", "0000000007", STR("["), STR_NONE);
	record_put(place, "task", "seven", STR("{}"), STR_NONE);
	record_put(place, "task", "00000000000000000000000000000000000001", STR("{}"), STR_NONE);
	record_put(place, "task", "0000000008", STR("{\"state\":\"Sleeping\",\"name\":\"Renew\"}"),
	        STR_NONE);
	record_put(place, "hsts", "x", STR("["), STR_NONE);
	record_put(place, "registration", "plain",
	        STR("{\"names\":[\"plain.example.com\"],\"issuer\":\"ca\","
	            "\"email\":\"a@example.com\",\"terms\":true,\"port\":65536,\"proxy_port\":0}"),
	        STR_NONE);
	world_kill();
	world_start(NULL);
	logged_has(
	        "The stored registration broken cannot be read and is left as it is: register its "
	        "names "
	        "again.");
	logged_has("The stored registration worse cannot be read");
	run_until_idle();
	status_is("plain.example.com", "ok");
	assert_int_equal(record_version(place, "registration", "broken"), 1);
	task_is("0000000008", "RenewLetsEncrypt Failed");
	task_is("0000000009",
	        FIRST STEPS_OF("plain.example.com") SEEN "ConfigureLetsEncrypt Success");
}

static void the_key_of_another_master_is_no_reason_to_order(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	world_kill();
	char path[120];
	snprintf(path, sizeof path, "%s/master.key", place->dir);
	assert_int_equal(unlink(path), 0);
	unsigned requests = place->ca.requests;
	world_start(NULL);
	run_for(place, HOUR);
	assert_int_equal(place->ca.requests, requests);
	logged_has("The key of the certificate for shop.example.com-");
	assert_non_null(strstr(said("shop.example.com", "last_error"),
	        "The account key for " CA_DIRECTORY
	        " cannot be opened: it is sealed under another master key"));
	assert_int_equal(record_version(place, "certificate", w.id), 1);
	assert_int_equal(record_version(place, "account-key", CA_DIRECTORY), 1);
}

/* Tasks */

struct reading {
	struct task_reader reader;
	struct buf text;
	bool ended, stop_at_first;
};

static void event(struct task_reader *t, struct str json)
{
	struct reading *r = OWNER(t, struct reading, reader);
	buf_add(&r->text, json);
	buf_add_char(&r->text, '\n');
	if (r->stop_at_first)
		task_read_stop(t);
}

static void ended(struct task_reader *t)
{
	OWNER(t, struct reading, reader)->ended = true;
}

static void read_task(struct reading *r, const char *task, size_t from)
{
	struct err err = ERR_INIT;
	*r = (struct reading){ .reader = { .event = event, .ended = ended },
		.text = BUF(64 << 10) };
	assert_true(task_read(world.renewals, &r->reader, str_c(task), from, &err));
	assert_int_equal(r->text.n, 0);
}

static size_t lines_of(const struct reading *r)
{
	size_t count = 0;
	for (size_t i = 0; i < r->text.n; i++)
		count += r->text.p[i] == '\n';
	return count;
}

static void a_task_is_read_while_it_runs_and_after(void **state)
{
	(void)state;
	struct wish w;
	struct reading early, late, from, beyond, one;
	struct err err = ERR_INIT;
	world_start(BASE);
	place->ca.latency = 100;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	read_task(&early, w.task, 0);
	read_task(&one, w.task, 0);
	one.stop_at_first = true;
	turn_until(place, diary_count(place, "ask order"));
	assert_false(early.ended);
	assert_in_range(lines_of(&early), 3, 5);
	run_until_idle();
	assert_true(early.ended);
	assert_int_equal(lines_of(&early), 10);
	assert_int_equal(lines_of(&one), 1);
	assert_false(one.ended);
	read_task(&late, w.task, 0);
	read_task(&from, w.task, 8);
	read_task(&beyond, w.task, 1000);
	run_for(place, 1);
	assert_true(late.ended && from.ended && beyond.ended);
	assert_string_equal(buf_c(&late.text), buf_c(&early.text));
	assert_int_equal(beyond.text.n, 0);
	assert_non_null(strstr(buf_c(&from.text), "{\"seq\":8,\"at\":\"2027-01-01T00:00:0"));
	assert_non_null(strstr(buf_c(&from.text),
	        "\"step\":\"see\",\"text\":\"See it over HTTPS\",\"state\":"
	        "\"Executing\"}\n{\"seq\":9,"));
	assert_non_null(strstr(buf_c(&from.text),
	        "\"step\":\"end\",\"text\":\"Seen over HTTPS on every own "
	        "listener\",\"state\":\"Success\"}\n"));
	assert_true(str_starts(
	        buf_str(&late.text), STR("{\"seq\":0,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":0,"
	                                 "\"step\":\"directory\",")));
	assert_false(task_read(world.renewals, &late.reader, STR("42"), 0, &err));
	assert_string_equal(
	        err.text, "There is no task 42. GET /api/tasks lists those that are kept.");
	struct json_writer no;
	BUF_AUTO nothing = BUF(64);
	json_write_init(&no, &nothing);
	assert_false(task_details(world.renewals, STR("42"), &no, &err));
	assert_string_equal(
	        err.text, "There is no task 42. GET /api/tasks lists those that are kept.");
	/* The same after a restart. */
	world_kill();
	world_start(NULL);
	buf_done(&late.text);
	read_task(&late, w.task, 0);
	run_for(place, 1);
	assert_string_equal(buf_c(&late.text), buf_c(&early.text));
	buf_done(&early.text);
	buf_done(&late.text);
	buf_done(&from.text);
	buf_done(&one.text);
}

static void a_failed_task_says_why(void **state)
{
	(void)state;
	struct wish w;
	struct reading r, again;
	world_start(BASE);
	place->ca.down = true;
	wish_name(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	read_task(&r, w.task, 0);
	run_for(place, 1);
	assert_non_null(strstr(buf_c(&r.text),
	        "\"step\":\"directory\",\"text\":\"Reach ca.test: waiting 1.0 s, the CA does not "
	        "answer\""));
	assert_non_null(strstr(buf_c(&r.text), "waiting 2.0 s"));
	assert_non_null(strstr(buf_c(&r.text),
	        "\"state\":\"Failed\",\"error\":{\"code\":\"unreachable\",\"message\":\""));
	assert_non_null(strstr(buf_c(&r.text), "\"next_try\":\"2027-01-01T00:"));
	world_kill();
	world_start(NULL);
	read_task(&again, w.task, 0);
	run_for(place, 1);
	assert_string_equal(buf_c(&again.text), buf_c(&r.text));
	buf_done(&again.text);
	buf_done(&r.text);
	struct json_writer out;
	BUF_AUTO list = BUF(64 << 10);
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	json_write_init(&out, &list);
	json_write_object(&out, NULL);
	task_list(world.renewals, &out, 10);
	json_write_end(&out);
	assert_true(str_starts(buf_str(&list),
	        STR("{\"tasks\":[{\"id\":\"0000000002\",\"name\":\"ConfigureLetsEncrypt\","
	            "\"description\":\"Configure Let's Encrypt SSL Certificate\","
	            "\"about\":"
	            "\"shop.example.com-")));
	assert_non_null(
	        strstr(buf_c(&list), "\"state\":\"Executing\",\"queued\":\"2027-01-01T00:00:"));
	assert_non_null(strstr(buf_c(&list), "\"ended\":null},{\"id\":\"0000000001\","));
	assert_true(str_ends(buf_str(&list), STR("Z\"}]}")));
	buf_clear(&list);
	json_write_init(&out, &list);
	json_write_object(&out, NULL);
	task_list(world.renewals, &out, 1);
	json_write_end(&out);
	assert_null(strstr(buf_c(&list), "0000000001"));
}

/* However long it is. */
static void a_stored_task_is_told_as_it_was(void **state)
{
	(void)state;
	enum { EVENTS = 40 };
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO value = BUF(64 << 10), text = BUF(64 << 10);
	buf_add_c(&value,
	        "{\"id\":\"0000000007\",\"name\":\"RevokeLetsEncrypt\","
	        "\"description\":\"Revoke Let's Encrypt SSL Certificate\",\"about\":\"x\","
	        "\"state\":\"Success\",\"queued\":\"2027-01-01T00:00:00Z\","
	        "\"started\":\"2027-01-01T00:00:01Z\",\"ended\":\"2027-01-01T00:00:02Z\","
	        "\"arguments\":{\"DnsName\":\"x\"},\"events\":[");
	for (int i = 0; i < EVENTS; i++)
		buf_printf(&value,
		        "%s{\"seq\":%d,\"at\":\"2027-01-01T00:00:00Z\",\"ms\":%d,"
		        "\"step\":\"step\",\"subject\":\"of %d\",\"text\":\"Done\","
		        "\"state\":\"%s\"}",
		        i ? "," : "", i, i, i, i % 2 ? "Queued" : "Executing");
	buf_add_c(&value, "]}");
	world_start(BASE);
	record_put(place, "task", "0000000007", buf_str(&value), STR_NONE);
	world_kill();
	world_start(NULL);
	json_write_init(&w, &text);
	assert_true(task_details(world.renewals, STR("0000000007"), &w, &err));
	assert_string_equal(buf_c(&text), buf_c(&value));
}

static void the_newest_tasks_are_kept(void **state)
{
	(void)state;
	struct wish w;
	world_start(BASE);
	for (int i = 1; i <= 205; i++) {
		char id[32];
		snprintf(id, sizeof id, "%010d", i);
		record_put(place, "task", id, STR("{\"state\":\"Success\",\"name\":\"Renew\"}"),
		        STR_NONE);
	}
	record_put(place, "task", "0000000002", STR("{\"state\":\"Executing\",\"name\":\"Renew\"}"),
	        STR_NONE);
	world_kill();
	world_start(NULL);
	run_for(place, 1);
	task_is("0000000002",
	        "end: Given up: a restart interrupted it.\nRenewLetsEncrypt Canceled");
	struct reading r;
	read_task(&r, "0000000001", 0);
	task_read_stop(&r.reader);
	wish_name(&w, "shop.example.com");
	read_task(&r, "0000000001", 0); /* it is being forgotten */
	wish_wait(&w);
	run_until_idle();
	assert_true(r.ended);
	assert_string_equal(w.task, "0000000206");
	assert_int_equal(world.renewals->tasks.count, 200);
	assert_int_equal(record_version(place, "task", "0000000006"), 0);
	assert_int_equal(record_version(place, "task", "0000000007"), 1);
	/* Whom somebody reads is spared. */
	read_task(&r, "0000000007", 0);
	wish_renew(&w, "shop.example.com");
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(record_version(place, "task", "0000000007"), 1);
	assert_int_equal(record_version(place, "task", "0000000008"), 0);
	assert_int_equal(world.renewals->tasks.count, 200);
	assert_string_equal(said("shop.example.com", "task"), "\"0000000207\"");
}

static void a_wish_may_be_given_up(void **state)
{
	(void)state;
	struct wish w, v;
	world_start(BASE);
	wish_name(&w, "shop.example.com");
	wish_renew(&v, "shop.example.com");
	renew_request_abort(&w.q);
	renew_request_abort(&w.q);
	renew_request_abort(&v.q);
	run_for(place, SECOND);
	run_until_idle();
	assert_false(w.done || v.done);
	status_is("shop.example.com", "ok"); /* it happens all the same */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_interrupted_attempt_begins_anew_once),
		WORLD_TEST(an_attempt_whose_token_nobody_answered_begins_anew_once),
		WORLD_TEST(a_proof_that_fails_while_a_serve_answers_is_a_failure),
		WORLD_TEST(a_wish_survives_a_kill),
		WORLD_TEST(killed_at_any_step_it_renews),
		WORLD_TEST(killed_before_it_is_seen_it_orders_nothing),
		WORLD_TEST(nothing_begins_before_it_is_told_to),
		WORLD_TEST(what_a_restart_finds_without_issuer_is_given_up),
		WORLD_TEST(a_damaged_certificate_is_ordered_anew),
		WORLD_TEST(what_else_is_damaged_stops_nobody),
		WORLD_TEST(the_key_of_another_master_is_no_reason_to_order),
		WORLD_TEST(a_task_is_read_while_it_runs_and_after),
		WORLD_TEST(a_failed_task_says_why),
		WORLD_TEST(a_stored_task_is_told_as_it_was),
		WORLD_TEST(the_newest_tasks_are_kept),
		WORLD_TEST(a_wish_may_be_given_up),
	};
	return cmocka_run_group_tests_name("renew_restart", tests, NULL, NULL);
}
