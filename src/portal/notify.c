/* /api/notify: who is told of what happens, and whether messages arrive. */
#include "portal/call.h"
#include "portal/pace.h"

static void get_notify(struct call *c)
{
	struct json_writer w;
	json_write_init(&w, &c->answer);
	notify_write(portal.notify, NULL, &w);
	call_ok(c);
}

static struct pace trials = { .most = PACE_MOST };

void trials_close(void)
{
	pace_clear(&trials);
}

/* It writes to people and servers elsewhere. */
static bool may_try(struct call *c)
{
	struct err err = ERR_INIT;
	const int64_t wait = pace_take(&trials, who_counts(&c->who), loop_mono(portal.loop));
	if (!wait)
		return true;
	err_set(&err, ERR_LIMIT, "Ten tests a minute are as many as one may send: wait %d s.",
	        (int)wait);
	call_fail_wait(c, &err, wait);
	return false;
}

struct trial {
	struct call_part part;
	struct notify_test test;
	struct call *call;
};

static void let_go(struct call_part *p)
{
	notify_test_end(&OWNER(p, struct trial, part)->test);
}

static void tried(struct notify_test *test)
{
	struct trial *t = OWNER(test, struct trial, test);
	struct json_writer w;
	struct err err = ERR_INIT;
	if (test->only.n && list_empty(&test->deliveries)) {
		err_set(&err, ERR_NOT_FOUND,
		        "Nobody is told of anything as \"%.*s\"." ERR_REMEDY
		        "`everseal notify list` says who is, and the page under Alerts.",
		        STR_ARG(str_head(test->only, 200)));
		call_fail(t->call, &err);
		return;
	}
	call_object(t->call, &w);
	notify_test_write(test, "results", &w);
	json_write_end(&w);
	call_ok(t->call);
}

static void post_test(struct call *c)
{
	static const struct call_member members[] = { { NULL, "target", MEMBER_TEXT }, { 0 } };
	if (!call_members_fit(c, members) || !may_try(c))
		return;
	struct trial *t = arena_new(&c->arena, struct trial);
	t->call = c;
	t->test.only = json_text(c->json, "target");
	t->test.done = tried;
	call_keep(c, &t->part, let_go);
	audit_add(c, "Test message sent", t->test.only, STR_NONE, STR_NONE);
	notify_test(portal.notify, &t->test);
}

const struct route notify_routes[] = {
	{ "GET", "/api/notify", SCOPE_READ, get_notify },
	{ "POST", "/api/notify/test", SCOPE_OPERATE, post_test },
	{ 0 },
};
