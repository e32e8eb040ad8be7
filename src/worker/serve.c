#include "worker/serve.h"
#include "base/log.h"
#include "worker/demand.h"
#include "worker/events.h"
#include "worker/log_writer.h"

enum { CREDIT = 256, EVENTS_QUEUED_MOST = 1 << 20 };

/* Rounds and events have no other way back to the process's one object. */
static struct serve *serve;

/* --- generations */

static void refuse(struct serve *s, int64_t number, const struct err *why)
{
	(void)link_send(&s->control, refused, .number = number, .sentence = str_c(why->text));
}

static void drop_pending(struct serve *s)
{
	generation_drop(&s->builder);
	generation_unref(&s->pending);
}

static void begin(struct serve *s, const struct msg_generation *m)
{
	drop_pending(s);
	s->builder = generation_begin(m);
	s->row_refused = false;
}

/* The first row that is wrong decides; the rest are taken and forgotten. */
static void row(struct serve *s, const struct msg *m)
{
	struct err err;
	if (!s->builder)
		msg_close_fd(m);
	else if (!generation_row(s->builder, m->type, &m->is, &err) && !s->row_refused) {
		s->row_refused = true;
		s->row_error = err;
	}
}

static void prepared(struct round *r)
{
	struct serve *s = serve;
	if (r->epoch != s->epoch) {
		round_free(r);
		return;
	}
	if (r->refused) {
		refuse(s, r->number, &r->why);
	} else {
		generation_unref(&s->pending);
		s->pending = generation_ref(r->generation);
		(void)link_send(&s->control, prepared, .number = r->number);
	}
	round_free(r);
}

/* The ruleset for the threads, the first time. */
static int fence_files_by(struct serve *s, const struct generation *g)
{
	int ruleset;
	roots_fence(&s->roots, g, &s->fences, &ruleset);
	if (ruleset >= 0)
		(void)link_send(&s->control, fences, .standing = buf_str(&s->fences));
	return ruleset;
}

static void end_of_rows(struct serve *s, int64_t number)
{
	struct err err;
	if (!s->builder)
		return;
	if (s->row_refused) {
		generation_drop(&s->builder);
		refuse(s, number, &s->row_error);
		return;
	}
	struct generation *g = generation_build(&s->builder, &err);
	if (!g) {
		refuse(s, number, &err);
		return;
	}
	int ruleset = fence_files_by(s, g);
	if (!roots_within(&s->roots, g)) {
		generation_unref(&g);
		(void)link_send(&s->control, outgrown, .number = number);
		return;
	}
	struct round *r = round_new(ORDER_PREPARE, prepared);
	r->ruleset = ruleset;
	r->number = number;
	r->epoch = s->epoch;
	r->generation = g;
	threads_order(&s->threads, r);
}

/* Nobody accepts on the generation before any more: its sockets are closed, though requests that
 * are under way may hold the rest of it. */
static void committed(struct round *r)
{
	struct serve *s = serve;
	if (s->current)
		generation_close_listeners(s->current);
	generation_unref(&s->current);
	s->current = generation_ref(r->generation);
	(void)link_send(&s->control, committed, .number = r->number);
	round_free(r);
}

static void forget_earlier(struct serve *s)
{
	if (!s->new_run)
		return;
	s->new_run = false;
	cert_table_sweep(s->certs);
	threads_order(&s->threads, round_new(ORDER_FORGET, round_free));
}

static void commit(struct serve *s, int64_t number)
{
	if (!s->pending || s->pending->number != number)
		return;
	forget_earlier(s);
	struct round *r = round_new(ORDER_COMMIT, committed);
	r->number = number;
	r->generation = s->pending;
	s->pending = NULL;
	threads_order(&s->threads, r);
}

/* --- certificates and challenges */

static void told_segment(struct serve *s, const struct msg_segment *m)
{
	struct err err;
	if (m->index == 0)
		s->new_run = true;
	if (!cert_table_map(s->certs, (size_t)m->index, m->fd, &err))
		log_error(NULL,
		        "A segment of certificates cannot be read, serving those before it: %s",
		        err.text);
}

static void told_valid(struct serve *s, const struct msg_segment_valid *m)
{
	struct err err;
	if (!cert_table_advance(s->certs, (size_t)m->index, (size_t)m->valid, &err))
		log_error(NULL, "Certificates cannot be read, serving those before them: %s",
		        err.text);
}

static void challenge_is_ready(struct round *r)
{
	(void)link_send(&serve->control, challenge_ready, .token = str_c(r->token));
	round_free(r);
}

static void told_challenge(struct serve *s, const struct msg_challenge *m)
{
	struct round *r = round_new(ORDER_CHALLENGE, challenge_is_ready);
	r->token = str_dup(m->token);
	r->thumbprint = str_dup(m->thumbprint);
	threads_order(&s->threads, r);
}

static void told_challenge_tls(struct serve *s, const struct msg_challenge_tls *m)
{
	struct round *r = round_new(ORDER_CHALLENGE_TLS, challenge_is_ready);
	r->token = str_dup(m->token);
	r->text = str_dup(m->server_name);
	r->leaf = secret_copy(m->leaf);
	r->key = secret_copy(m->key);
	threads_order(&s->threads, r);
}

static void told_challenge_gone(struct serve *s, const struct msg_challenge_gone *m)
{
	struct round *r = round_new(ORDER_CHALLENGE_GONE, round_free);
	r->token = str_dup(m->token);
	threads_order(&s->threads, r);
}

/* Each thread knows whether it has asked. */
static void told_password(struct serve *s, const struct msg_password_checked *m)
{
	struct round *r = round_new(ORDER_PASSWORD, round_free);
	r->password = *m;
	threads_order(&s->threads, r);
}

/* --- upstreams */

static void told_host(struct serve *s, const struct msg_host *m)
{
	struct round *r = round_new(ORDER_HOST, round_free);
	r->folder = m->fd;
	r->token = str_dup(m->name);
	r->text = str_dup(m->addresses);
	threads_order(&s->threads, r);
}

static void told_state(struct serve *s, const struct msg_upstream_state *m)
{
	if (!s->threads.at)
		return;
	struct round *r = round_new(ORDER_STATE, round_free);
	r->token = str_dup(m->address);
	r->well = m->up;
	threads_order(&s->threads, r);
}

static void told_health(struct serve *s, const struct msg_health *m)
{
	if (!s->threads.at)
		return; /* it was the last word of a worker that has ended */
	struct round *r = round_new(ORDER_HEALTH, round_free);
	r->number = m->upstreams;
	r->token = str_dup(m->address);
	r->text = str_dup(m->why);
	r->well = m->well;
	threads_order(&s->threads, r);
}

/* --- counters */

static void counted(struct round *r)
{
	BUF_AUTO numbers = BUF_INIT(4096);
	for (int kind = 0; kind < COUNTERS_KINDS; kind++)
		MAP_EACH (node, &r->counted.of[kind]) {
			buf_clear(&numbers);
			counters_print(OWNER(node, struct counters, node), &numbers);
			(void)link_send(&serve->control, counted, .kind = kind, .name = node->key,
			        .numbers = buf_str(&numbers));
		}
	const uint64_t *n = r->counted.handshakes;
	(void)link_send(&serve->control, counted_end, .full = (int64_t)n[HANDSHAKE_FULL],
	        .resumed = (int64_t)n[HANDSHAKE_RESUMED], .failed = (int64_t)n[HANDSHAKE_FAILED]);
	round_free(r);
}

/* --- links */

static void give_credit(struct serve *s)
{
	if (++s->unspent < CREDIT / 2)
		return;
	(void)link_send(&s->control, credit, .messages = s->unspent);
	s->unspent = 0;
}

static void control_heard(struct link *l, const struct msg *m)
{
	struct serve *s = OWNER(l, struct serve, control);
	switch (m->type) {
	case MSG_segment:
		told_segment(s, &m->is.segment);
		break;
	case MSG_segment_valid:
		told_valid(s, &m->is.segment_valid);
		break;
	case MSG_challenge:
		told_challenge(s, &m->is.challenge);
		break;
	case MSG_challenge_tls:
		told_challenge_tls(s, &m->is.challenge_tls);
		break;
	case MSG_challenge_gone:
		told_challenge_gone(s, &m->is.challenge_gone);
		break;
	case MSG_count:
		threads_order(&s->threads, round_new(ORDER_COUNT, counted));
		break;
	case MSG_access_log_file:
		log_writer_use(m->is.access_log_file.fd);
		break;
	case MSG_host:
		told_host(s, &m->is.host);
		break;
	case MSG_generation:
		begin(s, &m->is.generation);
		break;
	case MSG_generation_end:
		end_of_rows(s, m->is.generation_end.number);
		break;
	case MSG_commit:
		commit(s, m->is.commit.number);
		break;
	case MSG_abort:
		drop_pending(s);
		break;
	case MSG_password_checked:
		told_password(s, &m->is.password_checked);
		break;
	case MSG_demand_answered:
		demand_answered(s, &m->is.demand_answered);
		break;
	default:
		row(s, m);
	}
	give_credit(s);
}

static void control_ended(struct link *l, const struct err *why)
{
	struct serve *s = OWNER(l, struct serve, control);
	(void)why;
	link_done(l);
	drop_pending(s);
	demands_forget(s);
}

static const struct link_ops control_ops = { .heard = control_heard, .ended = control_ended };

/* What an earlier control has prepared and not committed is void: nobody would commit it. */
static void new_control(struct serve *s, int fd)
{
	link_done(&s->control);
	drop_pending(s);
	demands_forget(s);
	s->epoch++;
	s->unspent = 0;
	link_init(&s->control, s->loop, fd, &control_ops);
	struct round *r = round_new(ORDER_EPOCH, round_free);
	r->epoch = s->epoch;
	threads_order(&s->threads, r);
	(void)link_send(&s->control, fences, .standing = buf_str(&s->fences));
	(void)link_send(&s->control, credit, .messages = CREDIT);
}

static void drained(struct round *r)
{
	round_free(r);
	loop_stop(serve->loop);
}

static void stop(struct serve *s, bool succeeded)
{
	if (s->stopping)
		return;
	s->stopping = true;
	struct round *r = round_new(ORDER_DRAIN, drained);
	r->patient = succeeded;
	threads_order(&s->threads, r);
}

static void supervisor_heard(struct link *l, const struct msg *m)
{
	struct serve *s = OWNER(l, struct serve, supervisor);
	if (m->type == MSG_peer && m->is.peer.process == PROCESS_CONTROL && m->is.peer.fd >= 0)
		new_control(s, m->is.peer.fd);
	else if (m->type == MSG_stop)
		stop(s, m->is.stop.succeeded);
	else if (m->type == MSG_tickets && m->is.tickets.fd >= 0)
		tickets_keep(&s->tickets, m->is.tickets.fd);
	else
		msg_close_fd(m);
}

static void supervisor_ended(struct link *l, const struct err *why)
{
	struct serve *s = OWNER(l, struct serve, supervisor);
	(void)why;
	loop_stop(s->loop);
}

static const struct link_ops supervisor_ops = {
	.heard = supervisor_heard,
	.ended = supervisor_ended,
};

/* --- events */

static bool pass_on(struct serve *s, enum msg_type type, const void *fields)
{
	return link_queued(&s->control) < EVENTS_QUEUED_MOST &&
	       link_send_message(&s->control, type, fields);
}

static void report_dropped(struct serve *s)
{
	uint64_t dropped = events_dropped();
	struct msg_dropped m = { .events = (int64_t)dropped };
	if (dropped > 0 && !pass_on(s, MSG_dropped, &m)) {
		while (dropped-- > 0)
			events_drop();
	}
}

/* While there is no control, log lines go to stderr like everybody's. */
static void hear_event(const struct msg *m)
{
	struct serve *s = serve;
	if (m->type == MSG_upstream_state)
		told_state(s, &m->is.upstream_state);
	if (m->type == MSG_health) {
		told_health(s, &m->is.health);
	} else if (m->type == MSG_demand) {
		demand_ask(s, &m->is.demand);
	} else if (link_alive(&s->control)) {
		report_dropped(s);
		if (!pass_on(s, m->type, &m->is))
			events_drop();
	} else if (m->type == MSG_log) {
		log_to_stderr((enum log_level)m->is.log.level, m->is.log.fields, m->is.log.text);
	}
}

/* --- life */

static void tickets_changed(struct tickets *t)
{
	struct round *r = round_new(ORDER_TICKETS, round_free);
	r->tickets = t->keys;
	threads_order(&OWNER(t, struct serve, tickets)->threads, r);
}

bool serve_start(
        struct serve *s, struct loop *loop, int supervisor, unsigned workers, struct err *err)
{
	serve = s;
	s->loop = loop;
	s->certs = cert_table_new();
	events_init(loop, hear_event);
	if (!tickets_start(&s->tickets, loop, tickets_changed, err))
		return false;
	if (!log_writer_start(err))
		return false;
	if (!threads_start(&s->threads, loop, s->certs, workers, err))
		return false;
	link_init(&s->supervisor, loop, supervisor, &supervisor_ops);
	return true;
}

void serve_done(struct serve *s)
{
	tickets_done(&s->tickets);
	demands_done(s);
	threads_end(&s->threads);
	log_writer_end();
	link_done(&s->control);
	link_done(&s->supervisor);
	drop_pending(s);
	generation_unref(&s->current);
	events_done();
	cert_table_free(&s->certs);
	buf_done(&s->fences);
	roots_done(&s->roots);
}
