/* The links to the other processes. */
#include "control/control.h"

static const int64_t HSTS_MOST = 10 * 365 * DAY / SECOND; /* that the file may ask for */

bool peers_heard_serve(struct control *c, enum process from, struct link *l, const struct msg *m)
{
	int64_t now = loop_wall(c->loop); /* what serve says of the time is not relied on */
	switch (m->type) {
	case MSG_challenge_ready:
		board_heard_ready(c->board, l, m->is.challenge_ready.token);
		break;
	case MSG_challenge_seen:
		board_heard_seen(c->board, m->is.challenge_seen.token, m->is.challenge_seen.client);
		break;
	case MSG_fences:
		buf_clear(&c->fences[from]);
		buf_add(&c->fences[from], m->is.fences.standing);
		break;
	case MSG_log:
		if (m->is.log.level >= LOG_ERROR && m->is.log.level <= LOG_DEBUG)
			log_line((enum log_level)m->is.log.level, m->is.log.fields, m->is.log.text);
		break;
	case MSG_dropped:
		log_warning(&c->log, "%lld events of the process %s found no room and are lost.",
		        (long long)m->is.dropped.events, process_name(from));
		break;
	case MSG_seen:
		/* Over plain HTTP nobody has seen the certificate. */
		if (m->is.seen.tls && m->is.seen.outside)
			renew_seen(c->renewals, m->is.seen.site, m->is.seen.client, now);
		if (m->is.seen.tls)
			renew_visited(c->renewals, m->is.seen.site);
		break;
	case MSG_hsts_sent:
		if (m->is.hsts_sent.age >= 0 && m->is.hsts_sent.age <= HSTS_MOST)
			renew_hsts_sent(
			        c->renewals, m->is.hsts_sent.host, m->is.hsts_sent.age, now);
		break;
	default:
		return false;
	}
	return true;
}

static void serve_heard(struct link *l, const struct msg *m)
{
	struct control *c = OWNER(l, struct control, serve);
	switch (m->type) {
	case MSG_prepared:
	case MSG_refused:
	case MSG_committed:
		generation_heard(c, m);
		break;
	case MSG_credit:
		generation_credit(c, m->is.credit.messages);
		break;
	case MSG_outgrown:
		generation_outgrown(c, m->is.outgrown.number);
		break;
	case MSG_upstream_state:
		upstreams_heard(c, &m->is.upstream_state, loop_wall(c->loop));
		break;
	case MSG_demand:
		demand_asked(c, &m->is.demand);
		break;
	case MSG_check_password:
		passwords_check(c, &m->is.check_password);
		break;
	default:
		if (!counted_heard(c, m) && !peers_heard_serve(c, PROCESS_SERVE, l, m))
			msg_close_fd(m);
	}
}

static void serve_ended(struct link *l, const struct err *why)
{
	struct control *c = OWNER(l, struct control, serve);
	if (!c->stopping)
		log_warning(&c->log,
		        "The data plane is gone, its successor gets the same generation: %s",
		        why->text);
	link_done(l);
	generation_serve_went(c);
}

static const struct link_ops serve_ops = { .heard = serve_heard, .ended = serve_ended };

/* The supervisor may know of a successor before the link to the one before has ended. */
static void new_serve(struct control *c, int fd)
{
	if (c->serve.loop && c->renewing)
		generation_serve_replaced(c);
	else if (c->serve.loop)
		generation_serve_went(c);
	link_done(&c->serve);
	link_init(&c->serve, c->loop, fd, &serve_ops);
	generation_serve_came(c);
}

static void peer(struct control *c, const struct msg_peer *m)
{
	if (m->fd < 0)
		return;
	if (m->process == PROCESS_SERVE)
		new_serve(c, m->fd);
	else if (m->process == PROCESS_PAGE)
		page_serve_came(c, m->fd);
	else if (m->process == PROCESS_FETCH)
		fetch_link_attach(c->fetch, m->fd);
	else
		close(m->fd);
}

static void supervisor_heard(struct link *l, const struct msg *m)
{
	struct control *c = OWNER(l, struct control, supervisor);
	switch (m->type) {
	case MSG_peer:
		peer(c, &m->is.peer);
		break;
	case MSG_bound:
		if (!page_bound(c, &m->is.bound) && !delegated_bound(c, &m->is.bound))
			generation_bound(c, &m->is.bound);
		break;
	case MSG_holder:
		ask_heard_holder(c, &m->is.holder);
		break;
	case MSG_program_ended:
		programs_heard(c->programs, &m->is.program_ended);
		break;
	case MSG_upgraded:
		upgrade_heard(c, &m->is.upgraded);
		break;
	case MSG_reload:
		host_reload(c, NULL);
		break;
	case MSG_reopen:
		access_log_reopen(c);
		break;
	case MSG_stop:
		c->stopping = true;
		loop_stop(c->loop);
		break;
	default:
		msg_close_fd(m);
	}
}

static void supervisor_ended(struct link *l, const struct err *why)
{
	struct control *c = OWNER(l, struct control, supervisor);
	(void)why;
	loop_stop(c->loop);
}

static const struct link_ops supervisor_ops = {
	.heard = supervisor_heard,
	.ended = supervisor_ended,
};

void peers_init(struct control *c, int supervisor_fd)
{
	link_init(&c->supervisor, c->loop, supervisor_fd, &supervisor_ops);
}
