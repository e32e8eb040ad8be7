#include "fetcher/fetcher.h"

static void finish(struct fetcher *f, struct transfer *t)
{
	transfer_free(&t, &f->engine);
}

static void finished(struct engine *e, CURL *easy, CURLcode code)
{
	struct fetcher *f = OWNER(e, struct fetcher, engine);
	char *private = NULL;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	struct transfer *t = (struct transfer *)(void *)private;
	transfer_answer(t, code);
	finish(f, t);
}

static struct transfer *find(struct fetcher *f, int64_t id)
{
	LIST_EACH (node, &f->transfers) {
		struct transfer *t = OWNER(node, struct transfer, node);
		if (t->id == id)
			return t;
	}
	return NULL;
}

/* One that has not begun: its parts may still come. */
static struct transfer *open_one(struct fetcher *f, int64_t id)
{
	struct transfer *t = find(f, id);
	return t && !t->running ? t : NULL;
}

static void abort_one(struct fetcher *f, int64_t id)
{
	struct transfer *t = find(f, id);
	if (t)
		finish(f, t);
	LIST_EACH (node, &f->questions) {
		struct question *q = OWNER(node, struct question, node);
		if (q->id == id)
			question_free(q);
	}
	LIST_EACH (node, &f->changes) {
		struct change *c = OWNER(node, struct change, node);
		if (c->id == id)
			change_free(c);
	}
}

static void begin(struct fetcher *f, struct transfer *t)
{
	struct err err = t->err;
	if (err.code == ERR_NONE && transfer_start(t, &f->engine, &err))
		return;
	transfer_refuse(t, &err);
	finish(f, t);
}

static void control_heard(struct link *l, const struct msg *m)
{
	struct fetcher *f = OWNER(l, struct fetcher, control);
	struct transfer *t = NULL;
	switch (m->type) {
	case MSG_fetch:
		t = transfer_new(l, &m->is.fetch);
		list_add_last(&f->transfers, &t->node);
		break;
	case MSG_fetch_trust:
		if ((t = open_one(f, m->is.fetch_trust.id)))
			buf_add(&t->trust, m->is.fetch_trust.piece);
		break;
	case MSG_fetch_body:
		if ((t = open_one(f, m->is.fetch_body.id)))
			buf_add(&t->body, m->is.fetch_body.piece);
		break;
	case MSG_fetch_go:
		if ((t = open_one(f, m->is.fetch_go.id)))
			begin(f, t);
		break;
	case MSG_fetch_abort:
		abort_one(f, m->is.fetch_abort.id);
		break;
	case MSG_probe:
		t = transfer_probe(l, &m->is.probe);
		list_add_last(&f->transfers, &t->node);
		begin(f, t);
		break;
	case MSG_dial:
		t = transfer_dial(l, &m->is.dial);
		list_add_last(&f->transfers, &t->node);
		begin(f, t);
		break;
	case MSG_resolve:
		question_ask(&f->questions, l, f->loop, &m->is.resolve);
		break;
	case MSG_update:
		change_begin(&f->changes, l, f->loop, &m->is.update);
		break;
	default:
		if (!responder_heard(&f->responder, l, m))
			msg_close_fd(m);
	}
}

static void drop_all(struct fetcher *f)
{
	LIST_EACH (node, &f->questions)
		question_free(OWNER(node, struct question, node));
	LIST_EACH (node, &f->changes)
		change_free(OWNER(node, struct change, node));
	responder_reset(&f->responder);
	LIST_EACH (node, &f->transfers)
		finish(f, OWNER(node, struct transfer, node));
}

static void control_ended(struct link *l, const struct err *why)
{
	struct fetcher *f = OWNER(l, struct fetcher, control);
	(void)why;
	drop_all(f);
	link_done(l);
}

static const struct link_ops control_ops = { .heard = control_heard, .ended = control_ended };

static void meet_control(struct fetcher *f, int fd)
{
	drop_all(f);
	link_done(&f->control);
	link_init(&f->control, f->loop, fd, &control_ops);
	link_send(&f->control, fences, .standing = buf_str(&f->fences));
}

static void supervisor_heard(struct link *l, const struct msg *m)
{
	struct fetcher *f = OWNER(l, struct fetcher, supervisor);
	if (m->type == MSG_peer && m->is.peer.process == PROCESS_CONTROL && m->is.peer.fd >= 0)
		meet_control(f, m->is.peer.fd);
	else
		msg_close_fd(m);
	if (m->type == MSG_stop)
		loop_stop(f->loop);
}

static void supervisor_ended(struct link *l, const struct err *why)
{
	(void)why;
	loop_stop(OWNER(l, struct fetcher, supervisor)->loop);
}

static const struct link_ops supervisor_ops = {
	.heard = supervisor_heard,
	.ended = supervisor_ended,
};

void fetcher_init(struct fetcher *f, struct loop *loop, int supervisor)
{
	*f = (struct fetcher){ .loop = loop, .fences = BUF_INIT(256) };
	list_init(&f->transfers);
	list_init(&f->questions);
	list_init(&f->changes);
	responder_init(&f->responder, loop);
	CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
	engine_init(&f->engine, loop, finished);
	link_init(&f->supervisor, loop, supervisor, &supervisor_ops);
}

void fetcher_done(struct fetcher *f)
{
	drop_all(f);
	link_done(&f->control);
	link_done(&f->supervisor);
	responder_done(&f->responder);
	engine_done(&f->engine);
	curl_global_cleanup();
	buf_done(&f->fences);
}
