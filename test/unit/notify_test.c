/* Matters as they are followed, stored and told, over a store; the fetch process is played. */
#include "notify/notify.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

#define BIRTH (INT64_C(20000) * DAY)

struct world {
	struct clock_fake clock;
	struct loop *loop;
	char dir[64], state[80];
	struct store *store;
	struct fetch fetch;
	struct list calls;
	struct later answer;
	bool down;
	struct notify_source source;
	struct notify_fact fact;
	bool there;
	struct config *config;
	struct notify *notify;
	struct notify_kept *before; /* kept before the file is read; or NULL */
	unsigned tried, told;
	char last[64 << 10]; /* the body of the last message that was taken */
};

/* ---- played ---- */

static void answer(struct later *l)
{
	struct world *w = OWNER(l, struct world, answer);
	const struct fetch_reply taken = { .status = 204 };
	struct err err = ERR_INIT;
	err_set(&err, ERR_UNREACHABLE, "The hook is down.");
	LIST_EACH (n, &w->calls) {
		struct fetch_call *c = OWNER(n, struct fetch_call, node);
		list_remove(n);
		c->fetch = NULL;
		w->told += !w->down;
		c->done(c, w->down ? NULL : &taken, w->down ? &err : NULL);
	}
}

static void start(struct fetch *f, struct fetch_call *c)
{
	struct world *w = OWNER(f, struct world, fetch);
	c->fetch = f;
	list_add_last(&w->calls, &c->node);
	w->tried++;
	if (!w->down)
		snprintf(w->last, sizeof w->last, "%.*s", STR_ARG(c->body));
	later_start(&w->answer, w->loop, answer);
}

static void stop(struct fetch *f, struct fetch_call *c)
{
	(void)f;
	list_remove(&c->node);
	c->fetch = NULL;
}

static const struct fetch_ops ops = { .start = start, .abort = stop };

static void each(struct notify_source *s, struct notify_each *e)
{
	const struct world *w = OWNER(s, struct world, source);
	if (w->there)
		e->fact(e, &w->fact);
}

static bool find(struct notify_source *s, struct str id, struct notify_each *e)
{
	const struct world *w = OWNER(s, struct world, source);
	if (w->there && str_eq(id, w->fact.id))
		e->fact(e, &w->fact);
	return w->there;
}

/* ---- the world ---- */

static void begin(struct world *w)
{
	struct err err = ERR_INIT;
	w->store = store_open(w->loop, w->state, &err);
	assert_non_null(w->store);
	w->notify = notify_new(&(struct notify_needs){ .loop = w->loop,
	                               .store = w->store,
	                               .fetch = &w->fetch,
	                               .source = &w->source },
	        &err);
	assert_non_null(w->notify);
	if (w->before)
		notify_keep(w->notify, w->before);
	notify_configure(w->notify, w->config);
	notify_begin(w->notify);
}

static void end(struct world *w)
{
	notify_free(&w->notify);
	store_close(&w->store);
}

/* What can be done while the clock hardly goes on. */
static void settle(struct world *w)
{
	for (unsigned i = 0; i < 20; i++)
		loop_turn(w->loop, 5);
}

static void spend(struct world *w, int64_t ms)
{
	const int64_t until = w->clock.mono_now + ms;
	while (w->clock.mono_now < until) {
		clock_fake_advance(&w->clock, 30 * SECOND);
		loop_turn(w->loop, 0);
	}
	settle(w);
}

static void world_init(struct world *w)
{
	static const struct str names[] = { STR_INIT("shop.example.com") };
	const struct config_source source = { .file = "f" };
	struct err err = ERR_INIT;
	*w = (struct world){ .fetch.ops = &ops, .source = { .each = each, .find = find } };
	clock_fake_init(&w->clock, BIRTH + DAY);
	w->loop = loop_new(&w->clock.clock);
	list_init(&w->calls);
	snprintf(w->dir, sizeof w->dir, "/tmp/everseal-notify-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->state, sizeof w->state, "%s/state", w->dir);
	w->config = config_parse(
	        &source, STR("notify webhook http://127.0.0.1:1/ { secret s }\n"), NULL, &err);
	assert_non_null(w->config);
	w->there = true;
	w->fact = (struct notify_fact){ .id = STR("1"),
		.names = names,
		.name_count = 1,
		.issuer = STR("A CA"),
		.certificate = STR("aa"),
		.not_before = BIRTH,
		.not_after = BIRTH + 90 * DAY,
		.since = BIRTH,
		.next = BIRTH + 69 * DAY,
		.wanted = true };
	begin(w);
	settle(w);
}

static void world_done(struct world *w)
{
	end(w);
	later_stop(&w->answer);
	config_free(&w->config);
	loop_free(&w->loop);
	const pid_t pid = fork();
	if (!pid) {
		execlp("rm", "rm", "-rf", w->dir, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void look(struct world *w)
{
	notify_changed(w->notify, w->fact.id);
	settle(w);
}

/* The store's thread may be slow: waits for what is to come, then that nothing more does. */
static void has_told(struct world *w, unsigned told)
{
	for (unsigned i = 0; i < 4000 && w->told < told; i++)
		loop_turn(w->loop, 5);
	settle(w);
	assert_int_equal(w->told, told);
}

static void has_waiting(struct world *w, size_t count)
{
	for (unsigned i = 0; i < 4000 && notify_totals(w->notify).waiting != count; i++)
		loop_turn(w->loop, 5);
	assert_int_equal(notify_totals(w->notify).waiting, count);
}

static void said(struct world *w, unsigned told, const char *event, const char *state)
{
	char wanted[64];
	for (unsigned i = 0; i < 4000 && w->told < told; i++)
		loop_turn(w->loop, 5);
	if (w->told != told)
		fail_msg("%u were told, not %u; the last: %s", w->told, told, w->last);
	snprintf(wanted, sizeof wanted, "\"event\":\"%s\"", event);
	assert_non_null(strstr(w->last, wanted));
	snprintf(wanted, sizeof wanted, "\"state\":\"%s\"", state);
	assert_non_null(strstr(w->last, wanted));
}

/* ---- cases ---- */

static const struct err refused = { .code = ERR_REFUSED, .text = "The CA said no." };
static const struct err silent = { .code = ERR_UNREACHABLE, .text = "The CA is silent." };

static void one_message_for_a_matter(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	assert_int_equal(w.tried, 0);
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	said(&w, 1, "failed", "open");
	assert_non_null(strstr(w.last, "The CA said no."));
	w.fact.failures = 2;
	look(&w);
	end(&w);
	begin(&w);
	settle(&w);
	assert_int_equal(w.told, 1);
	w.fact.failures = 0;
	w.fact.error = NULL;
	w.fact.certificate = STR("bb");
	w.fact.since = w.clock.wall_now;
	look(&w);
	said(&w, 2, "failed", "solved"); /* which tells of the new certificate, too */
	look(&w);
	end(&w);
	begin(&w);
	settle(&w);
	assert_int_equal(w.told, 2);
	w.fact.certificate = STR("cc");
	look(&w);
	said(&w, 3, "renewed", "open");
	world_done(&w);
}

/* As many names as there may be, and as long: what else there is to say is not cut off. */
static void a_hundred_long_names_are_told(void **state)
{
	(void)state;
	struct world w;
	struct str names[100];
	char texts[100][254];
	for (unsigned i = 0; i < 100; i++) {
		snprintf(texts[i], sizeof texts[i], "n%02u.%0249d", i, 0);
		names[i] = str_c(texts[i]);
	}
	world_init(&w);
	w.fact.names = names;
	w.fact.name_count = 100;
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	said(&w, 1, "failed", "open");
	assert_non_null(strstr(w.last, "\\nExpires: "));
	assert_non_null(strstr(w.last, "\\nIssuer: A CA\\n\"}"));
	world_done(&w);
}

static void what_is_the_issuers_is_told_of_the_issuer(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	w.fact.failures = 1;
	w.fact.error = &silent;
	look(&w);
	said(&w, 1, "unreachable", "open");
	assert_non_null(strstr(w.last, "\"name\":\"A CA\""));
	end(&w);
	w.fact.failures = 0; /* while nobody looked */
	w.fact.error = NULL;
	begin(&w);
	settle(&w);
	said(&w, 2, "unreachable", "solved");
	world_done(&w);
}

static void time_alone_is_enough(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	w.fact.wanted = false; /* disabled */
	w.fact.next = 0;
	look(&w);
	assert_int_equal(w.told, 0);
	static const int64_t days[] = { 70, 10, 5, 3 };
	for (unsigned i = 0; i < 4; i++) {
		spend(&w, days[i] * DAY);
		said(&w, i + 1, "expiring", "open");
	}
	spend(&w, DAY);
	said(&w, 5, "expired", "open");
	spend(&w, 30 * DAY);
	assert_int_equal(w.told, 5);
	w.there = false; /* what is gone is not solved */
	look(&w);
	assert_int_equal(w.told, 5);
	world_done(&w);
}

static void a_target_that_is_down_is_given_up_after_a_day(void **state)
{
	(void)state;
	struct world w;
	BUF_AUTO status = BUF(4096);
	struct json_writer writer;
	world_init(&w);
	w.down = true;
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	assert_int_equal(w.tried, 1);
	spend(&w, 10 * MINUTE);
	assert_int_equal(w.tried, 3);
	spend(&w, 22 * HOUR);
	assert_int_equal(w.tried, 8);
	json_write_init(&writer, &status);
	notify_write(w.notify, NULL, &writer);
	assert_non_null(strstr(
	        buf_c(&status), "\"waiting\":0,\"lost\":1,\"last_error\":\"The hook is down.\""));
	w.down = false;
	w.fact.failures = 0;
	look(&w);
	said(&w, 1, "failed", "solved");
	world_done(&w);
}

static void what_waits_survives_a_restart(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	w.down = true;
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	end(&w);
	w.down = false;
	begin(&w);
	settle(&w);
	said(&w, 1, "failed", "open");
	assert_non_null(strstr(w.last, "The CA said no."));
	assert_non_null(strstr(w.last, "\"names\":[\"shop.example.com\"]"));
	assert_non_null(strstr(w.last, "\"level\":\"warning\""));
	end(&w);
	begin(&w);
	settle(&w);
	assert_int_equal(w.told, 1); /* and once only */
	world_done(&w);
}

/* Who is not told any more leaves nothing behind; who stays keeps what waits for him. */
static void what_waits_goes_with_its_target(void **state)
{
	(void)state;
	struct world w;
	const struct config_source source = { .file = "f" };
	struct err err = ERR_INIT;
	world_init(&w);
	w.down = true;
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	notify_configure(w.notify, w.config); /* the same again */
	settle(&w);
	assert_int_equal(notify_totals(w.notify).waiting, 1);
	struct config *before = w.config;
	w.config = config_parse(
	        &source, STR("notify webhook http://127.0.0.1:2/ { secret s }\n"), NULL, &err);
	notify_configure(w.notify, w.config);
	settle(&w);
	assert_int_equal(notify_totals(w.notify).waiting, 0);
	end(&w);
	struct config *other = w.config;
	w.config = before;
	w.down = false;
	begin(&w);
	settle(&w);
	assert_int_equal(w.told, 0);
	config_free(&other);
	world_done(&w);
}

static void keep(struct world *w, struct notify_kept *k, const struct config_notify *want)
{
	k->want = want;
	notify_keep(w->notify, k);
	settle(w);
}

/* What the store keeps is told beside the file's; what waits for it outlives a change of where it
 * goes, a reload and a restart, and ends with it. */
static void one_that_is_kept(void **state)
{
	(void)state;
	struct world w;
	struct notify_kept kept = { 0 };
	struct config_notify want = { .id = STR("1f"),
		.way = CONFIG_NOTIFY_WEBHOOK,
		.level = CONFIG_LEVEL_WARNING,
		.to = STR("http://127.0.0.1:3/"),
		.shown = STR("127.0.0.1"),
		.secret = STR("s") };
	world_init(&w);
	keep(&w, &kept, &want);
	w.down = true;
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	has_waiting(&w, 2);
	want.to = STR("http://127.0.0.1:4/");
	keep(&w, &kept, &want);
	notify_configure(w.notify, w.config);
	settle(&w);
	has_waiting(&w, 2);
	end(&w);
	w.down = false;
	kept = (struct notify_kept){ .want = &want };
	w.before = &kept;
	begin(&w);
	settle(&w);
	has_told(&w, 2);
	notify_drop(w.notify, &kept);
	notify_drop(w.notify, &kept);
	w.fact.failures = 0;
	w.fact.error = NULL;
	look(&w);
	has_told(&w, 3);
	world_done(&w);
}

static void the_file_goes_first(void **state)
{
	(void)state;
	struct world w;
	struct notify_kept kept = { 0 };
	const struct config_notify want = { .id = STR("1f"),
		.way = CONFIG_NOTIFY_WEBHOOK,
		.to = STR("http://127.0.0.1:1/"),
		.shown = STR("127.0.0.1"),
		.secret = STR("s") };
	world_init(&w);
	assert_non_null(notify_in_file(w.notify, want.way, want.to));
	assert_non_null(notify_shown_in_file(w.notify, STR("webhook 127.0.0.1")));
	keep(&w, &kept, &want);
	w.fact.failures = 1;
	w.fact.error = &refused;
	look(&w);
	has_told(&w, 1);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message_for_a_matter),
		cmocka_unit_test(a_hundred_long_names_are_told),
		cmocka_unit_test(what_is_the_issuers_is_told_of_the_issuer),
		cmocka_unit_test(time_alone_is_enough),
		cmocka_unit_test(a_target_that_is_down_is_given_up_after_a_day),
		cmocka_unit_test(what_waits_survives_a_restart),
		cmocka_unit_test(what_waits_goes_with_its_target),
		cmocka_unit_test(one_that_is_kept),
		cmocka_unit_test(the_file_goes_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
