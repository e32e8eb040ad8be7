/* Calls over the link, with a scripted process at the other end, on a fake clock. */
#include "fetch/fetch.h"
#include "link/link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

/* ---- headers ---- */

static const struct fetch_reply sample = {
	.status = 200,
	.headers =
	        STR_INIT("link: <a>;rel=\"up\"\nretry-after:  120 \nlink:<b>\nempty:\nno colon\n"),
};

static void headers_are_found(void **state)
{
	(void)state;
	assert_true(str_eq_c(fetch_header(&sample, "link", 0), "<a>;rel=\"up\""));
	assert_true(str_eq_c(fetch_header(&sample, "Link", 1), "<b>"));
	assert_null(fetch_header(&sample, "link", 2).p);
	assert_null(fetch_header(&sample, "lin", 0).p);
	assert_null(fetch_header(&sample, "no colon", 0).p);
	assert_non_null(fetch_header(&sample, "empty", 0).p);
	assert_int_equal(fetch_header(&sample, "empty", 0).n, 0);
}

static const struct {
	const char *value;
	int64_t ms;
} waits[] = {
	{ "120", 120000 },
	{ "0", 0 },
	{ "Sun, 06 Nov 1994 08:49:37 GMT", 7000 },
	{ "Sun, 06 Nov 1994 08:49:00 GMT", 0 },
	{ "-1", -1 },
	{ "1.5", -1 },
	{ "", -1 },
	{ "soon", -1 },
	{ "99999999999999999999", -1 },
	{ "9999999999", INT64_C(366) * 24 * 3600 * 1000 },
};

static void retry_after_is_read(void **state)
{
	(void)state;
	const int64_t now = INT64_C(784111770000); /* 08:49:30 of that day */
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		char text[128];
		snprintf(text, sizeof text, "retry-after: %s\n", waits[i].value);
		struct fetch_reply r = { .headers = str_c(text) };
		int64_t ms = fetch_retry_after(&r, now);
		if (ms != waits[i].ms)
			fail_msg("%s: %lld", waits[i].value, (long long)ms);
	}
	struct fetch_reply none = { .headers = STR_NONE };
	assert_int_equal(fetch_retry_after(&none, now), -1);
	assert_int_equal(fetch_retry_after(&sample, now), 120000);
}

/* ---- the other end ---- */

struct peer {
	struct link link;
	char heard[4096]; /* the messages, by name and what matters of them */
	int64_t id;       /* of the last one */
	size_t trust, body;
};

static void say(struct peer *p, const char *name)
{
	size_t n = strlen(p->heard);
	snprintf(p->heard + n, sizeof p->heard - n, "%s ", name);
}

static void peer_heard(struct link *l, const struct msg *m)
{
	struct peer *p = OWNER(l, struct peer, link);
	say(p, msg_name(m->type));
	if (m->type == MSG_fetch || m->type == MSG_fetch_go || m->type == MSG_fetch_abort)
		p->id = m->is.fetch_go.id;
	if (m->type == MSG_fetch)
		assert_true(str_eq_c(m->is.fetch.url, "https://ca/dir"));
	if (m->type == MSG_fetch_trust)
		p->trust += m->is.fetch_trust.piece.n;
	if (m->type == MSG_fetch_body)
		p->body += m->is.fetch_body.piece.n;
	if (m->type == MSG_probe)
		p->id = m->is.probe.id;
}

static void peer_ended(struct link *l, const struct err *why)
{
	(void)why;
	say(OWNER(l, struct peer, link), "END");
}

static const struct link_ops peer_ops = { peer_heard, peer_ended };

struct asked {
	struct fetch_call call;
	struct fetch_probe probe;
	unsigned done, status;
	enum err_code code;
	char text[1024], body[256], header[64];
	struct fetch *again; /* start anew from within done */
};

struct stage {
	struct clock_fake clock;
	struct loop *loop;
	struct fetch *fetch;
	struct peer peer;
};

static void attach(struct stage *s)
{
	int fds[2];
	struct err err = ERR_INIT;
	link_done(&s->peer.link);
	assert_true(link_pair(fds, &err));
	link_init(&s->peer.link, s->loop, fds[1], &peer_ops);
	fetch_link_attach(s->fetch, fds[0]);
}

static void stage_init(struct stage *s)
{
	memset(s, 0, sizeof *s);
	clock_fake_init(&s->clock, INT64_C(1700000000000));
	s->loop = loop_new(&s->clock.clock);
	s->fetch = fetch_link_new(s->loop);
}

static void stage_done(struct stage *s)
{
	fetch_link_free(&s->fetch);
	link_done(&s->peer.link);
	loop_free(&s->loop);
}

/* Lets messages pass without time going by. */
static void pass(struct stage *s)
{
	for (int i = 0; i < 20; i++)
		loop_turn(s->loop, 0);
}

static void begin(struct stage *s, struct asked *a);

static void done(struct fetch_call *call, const struct fetch_reply *reply, const struct err *err)
{
	struct asked *a = OWNER(call, struct asked, call);
	a->done++;
	a->status = reply ? reply->status : 0;
	a->code = err ? err->code : ERR_NONE;
	snprintf(a->text, sizeof a->text, "%s", err ? err->text : "");
	if (reply) {
		snprintf(a->body, sizeof a->body, "%.*s", STR_ARG(reply->body));
		snprintf(a->header, sizeof a->header, "%.*s",
		        STR_ARG(fetch_header(reply, "replay-nonce", 0)));
	}
	struct fetch *again = a->again;
	a->again = NULL;
	if (again)
		fetch_start(again, call);
}

static void probed(struct fetch_probe *probe, struct str leaf, const struct err *err)
{
	struct asked *a = OWNER(probe, struct asked, probe);
	a->done++;
	a->code = err ? err->code : ERR_NONE;
	snprintf(a->body, sizeof a->body, "%.*s", STR_ARG(leaf));
}

static void begin(struct stage *s, struct asked *a)
{
	*a = (struct asked){ .call = { .purpose = "acme",
		                     .method = "POST",
		                     .most = 8,
		                     .url = STR("https://ca/dir"),
		                     .body = STR("{}"),
		                     .done = done } };
	fetch_start(s->fetch, &a->call);
	assert_int_equal(a->done, 0);
}

static void a_reply_arrives(void **state)
{
	(void)state;
	struct stage s;
	struct asked a;
	stage_init(&s);
	attach(&s);
	begin(&s, &a);
	pass(&s);
	assert_string_equal(s.peer.heard, "fetch fetch_body fetch_go ");
	int64_t id = s.peer.id;
	link_send(&s.peer.link, reply, .id = id, .status = 201,
	        .headers = STR("replay-nonce: abc\n"));
	link_send(&s.peer.link, reply_body, .id = id, .piece = STR("one "));
	link_send(&s.peer.link, reply_body, .id = id, .piece = STR("two"));
	pass(&s);
	assert_int_equal(a.done, 0);
	link_send(&s.peer.link, reply_end, .id = id);
	link_send(&s.peer.link, reply_end, .id = id);
	pass(&s);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.status, 201);
	assert_string_equal(a.body, "one two");
	assert_string_equal(a.header, "abc");
	assert_null(a.call.fetch);
	link_send(&s.peer.link, fences, .standing = STR("landlock"));
	pass(&s);
	assert_true(str_eq_c(fetch_link_fences(s.fetch), "landlock"));
	stage_done(&s);
}

static void large_parts_go_in_pieces(void **state)
{
	(void)state;
	static char large[200000];
	struct stage s;
	struct asked a = { .call = { .purpose = "acme",
		                   .method = "POST",
		                   .url = STR("https://ca/dir"),
		                   .done = done } };
	stage_init(&s);
	attach(&s);
	a.call.trust = str_n(large, sizeof large);
	a.call.body = str_n(large, 100000);
	fetch_start(s.fetch, &a.call);
	pass(&s);
	assert_int_equal(s.peer.trust, sizeof large);
	assert_int_equal(s.peer.body, 100000);
	fetch_abort(&a.call);
	/* More than a request may be, refused after the start has returned. */
	static char enormous[(1 << 20) + 1];
	a.call.body = str_n(enormous, sizeof enormous);
	fetch_start(s.fetch, &a.call);
	assert_int_equal(a.done, 0);
	pass(&s);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.code, ERR_LIMIT);
	stage_done(&s);
}

/* What the other end may say wrongly: its messages, the code and words that come of it. */
static const struct {
	const char *what;
	bool reply;
	int64_t status;
	const char *piece;
	int64_t error;
	const char *sentence;
	enum err_code code;
	const char *text;
} ends[] = {
	{ "its error", false, 0, NULL, ERR_REFUSED, "No.", ERR_REFUSED, "No." },
	{ "an error after the head", true, 200, "x", ERR_UNREACHABLE, "Cut.", ERR_UNREACHABLE,
	        "Cut." },
	{ "an unknown code", false, 0, NULL, 4711, "Odd\n.", ERR_PROTOCOL, "Odd?." },
	{ "a negative code", false, 0, NULL, -1, "Odd.", ERR_PROTOCOL, "Odd." },
	{ "no reply", false, 0, NULL, 0, "", ERR_PROTOCOL, "The process for" },
	{ "a status that is none", true, 7, NULL, 0, "", ERR_PROTOCOL, "The process for" },
	{ "body before head", false, 0, "x", 0, "", ERR_PROTOCOL, "The process for" },
	{ "more than was wanted", true, 200, "123456789", 0, "", ERR_PROTOCOL, "The process for" },
};

static void wrong_answers_are_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		struct stage s;
		struct asked a;
		stage_init(&s);
		attach(&s);
		begin(&s, &a);
		pass(&s);
		int64_t id = s.peer.id;
		if (ends[i].reply)
			link_send(&s.peer.link, reply, .id = id, .status = ends[i].status);
		if (ends[i].piece)
			link_send(
			        &s.peer.link, reply_body, .id = id, .piece = str_c(ends[i].piece));
		link_send(&s.peer.link, reply_end, .id = id, .error = ends[i].error,
		        .sentence = str_c(ends[i].sentence));
		pass(&s);
		if (a.done != 1 || a.code != ends[i].code ||
		        !str_starts(str_c(a.text), str_c(ends[i].text)))
			fail_msg("%s: done %u, %s, %s", ends[i].what, a.done, err_code_name(a.code),
			        a.text);
		stage_done(&s);
	}
}

static void abort_means_never(void **state)
{
	(void)state;
	struct stage s;
	struct asked a;
	stage_init(&s);
	begin(&s, &a);
	fetch_abort(&a.call); /* before it was sent */
	attach(&s);
	pass(&s);
	assert_string_equal(s.peer.heard, "");
	begin(&s, &a);
	pass(&s);
	int64_t id = s.peer.id;
	fetch_abort(&a.call);
	fetch_abort(&a.call);
	link_send(&s.peer.link, reply_end, .id = id, .error = ERR_IO, .sentence = STR("Late."));
	pass(&s);
	assert_int_equal(a.done, 0);
	assert_string_equal(s.peer.heard, "fetch fetch_body fetch_go fetch_abort ");
	stage_done(&s);
}

static void calls_wait_for_a_process(void **state)
{
	(void)state;
	struct stage s;
	struct asked a, b;
	stage_init(&s);
	begin(&s, &a);
	pass(&s);
	attach(&s);
	pass(&s);
	assert_string_equal(s.peer.heard, "fetch fetch_body fetch_go ");
	/* It dies: what is under way ends; what is started meanwhile, also from within, waits. */
	a.again = s.fetch;
	link_done(&s.peer.link);
	pass(&s);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.code, ERR_UNREACHABLE);
	begin(&s, &b);
	s.peer.heard[0] = '\0';
	attach(&s);
	pass(&s);
	assert_string_equal(s.peer.heard, "fetch fetch_body fetch_go fetch fetch_body fetch_go ");
	assert_int_equal(a.done, 1);
	/* A new link replaces one that still stands. */
	attach(&s);
	pass(&s);
	assert_int_equal(a.done, 2);
	assert_int_equal(b.done, 1);
	stage_done(&s);
}

static void nobody_waits_for_ever(void **state)
{
	(void)state;
	struct stage s;
	struct asked a;
	stage_init(&s);
	int64_t before = s.clock.mono_now;
	begin(&s, &a);
	while (!a.done)
		loop_turn(s.loop, -1);
	assert_int_equal(a.code, ERR_TIMEOUT);
	assert_int_equal(s.clock.mono_now - before, 32000);
	attach(&s);
	begin(&s, &a);
	while (!a.done)
		loop_turn(s.loop, -1);
	assert_int_equal(a.code, ERR_TIMEOUT);
	assert_string_equal(a.text, "https://ca/dir was not reached: the process for outgoing "
	                            "requests did not answer in time.");
	pass(&s);
	assert_string_equal(s.peer.heard, "fetch fetch_body fetch_go fetch_abort ");
	stage_done(&s);
}

static void a_probe_is_answered(void **state)
{
	(void)state;
	struct stage s;
	struct asked a = { .probe = { .address = STR("127.0.0.1"),
		                   .server_name = STR("a.example"),
		                   .port = 443,
		                   .done = probed } };
	stage_init(&s);
	attach(&s);
	fetch_probe(s.fetch, &a.probe);
	pass(&s);
	assert_string_equal(s.peer.heard, "probe ");
	/* An answer of the other kind is no answer. */
	link_send(&s.peer.link, reply_end, .id = s.peer.id);
	pass(&s);
	assert_int_equal(a.done, 0);
	link_send(&s.peer.link, probed, .id = s.peer.id, .leaf_pem = STR("PEM"));
	pass(&s);
	assert_int_equal(a.done, 1);
	assert_int_equal(a.code, ERR_NONE);
	assert_string_equal(a.body, "PEM");
	fetch_probe(s.fetch, &a.probe);
	fetch_probe_abort(&a.probe);
	fetch_probe(s.fetch, &a.probe);
	pass(&s);
	stage_done(&s); /* frees what is under way */
	assert_int_equal(a.done, 1);
	assert_null(a.probe.fetch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_are_found),
		cmocka_unit_test(retry_after_is_read),
		cmocka_unit_test(a_reply_arrives),
		cmocka_unit_test(large_parts_go_in_pieces),
		cmocka_unit_test(wrong_answers_are_errors),
		cmocka_unit_test(abort_means_never),
		cmocka_unit_test(calls_wait_for_a_process),
		cmocka_unit_test(nobody_waits_for_ever),
		cmocka_unit_test(a_probe_is_answered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
