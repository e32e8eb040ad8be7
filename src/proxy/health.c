#include "proxy/health.h"

#include "base/err.h"
#include "base/log.h"
#include "proxy/trunk.h"

enum { ANSWER_MOST = 8 << 10, PIECE = 1024, BAD_MOST = 2, STATUS_LINE = 13 };

static const struct visit ours;

struct check {
	struct member *member;
	struct conn_holder held; /* while it is asked */
	struct timer timer;      /* until it is asked again, or has to have answered */
	struct buf in;
	bool asked;
	unsigned bad;               /* in a row */
	struct ride_user ride_user; /* of h2c, in place of `held` and `in` */
	struct ride *ride;
	struct arena arena;
};

static const struct upstream_options *options_of(const struct check *c)
{
	return &c->member->group->says->options;
}

static void start(struct timer *t);

static void let_go(struct check *c)
{
	if (c->ride)
		ride_leave(c->ride);
	conn_free(&c->held.conn);
	buf_done(&c->in);
	arena_done(&c->arena);
}

static void tell(const struct check *c, bool well, const char *why)
{
	const struct group *g = c->member->group;
	struct worker *w = g->pools->worker;
	worker_tell(w, health, .upstreams = (int64_t)g->says->identity,
	        .address = str_c(c->member->pool->shown), .well = well, .why = str_c(why));
}

/* Once may be chance: it is soon asked again. */
static void end(struct check *c, bool well, const char *why)
{
	int64_t next = options_of(c)->interval;
	c->bad = well ? 0 : c->bad + 1;
	if (well || c->bad >= BAD_MOST)
		tell(c, well, why);
	else if (next > SECOND)
		next = SECOND;
	let_go(c);
	timer_start(&c->timer, c->member->group->pools->worker->loop, next, start);
}

static void due(struct timer *t)
{
	struct check *c = OWNER(t, struct check, timer);
	if (c->ride)
		ride_doubt(c->ride);
	end(c, /* well= */ false, "There was no answer to its health check in time.");
}

/* "http://app:3000/" was written, and app:3000 is what the application is called. */
static struct str authority_of(const struct upstream *u)
{
	struct str shown = u->shown;
	const char *scheme = shown.n ? memmem(shown.p, shown.n, "://", 3) : NULL;
	if (u->scheme == UPSTREAM_UNIX)
		return STR("localhost");
	if (scheme)
		shown = str_from(shown, (size_t)(scheme - shown.p) + 3);
	return str_head(shown, str_find(shown, '/'));
}

static void ask(struct check *c)
{
	const struct member *m = c->member;
	BUF_AUTO text = BUF_INIT(ANSWER_MOST);
	buf_printf(&text,
	        "GET %.*s HTTP/1.1\r\nhost: %.*s\r\nuser-agent: Everseal\r\nconnection: "
	        "close\r\n\r\n",
	        STR_ARG(m->group->says->health), STR_ARG(authority_of(m->upstream)));
	struct iovec v = { text.p, text.n };
	c->asked = true;
	if (conn_write(c->held.conn, &v, 1) < 0)
		end(c, /* well= */ false, conn_failure(c->held.conn));
}

/* RFC 9112 4: the status of an answer whose first line has come; 0: it is no answer. */
static unsigned status_in(struct str s)
{
	uint64_t status;
	bool line = str_starts(s, STR("HTTP/1.")) && s.p[8] == ' ' &&
	            (s.p[12] == ' ' || s.p[12] == '\r');
	return line && str_to_u64(str_n(s.p + 9, 3), &status) ? (unsigned)status : 0;
}

static void judge(struct check *c, unsigned status)
{
	char why[100] = "";
	if (status == 0)
		snprintf(why, sizeof why, "What answered its health check is not HTTP.");
	else if (status != (unsigned)options_of(c)->expect)
		snprintf(why, sizeof why, "Its health check was answered with %u, not %u.", status,
		        (unsigned)options_of(c)->expect);
	end(c, /* well= */ !why[0], why);
}

static void hear(struct check *c)
{
	for (;;) {
		char *room = buf_room(&c->in, PIECE);
		ssize_t n = room ? conn_read(c->held.conn, room, PIECE) : 0;
		if (n == CONN_AGAIN)
			return;
		if (n <= 0) {
			end(c, /* well= */ false, "Its health check was not answered.");
			return;
		}
		buf_grew(&c->in, (size_t)n);
		if (c->in.n < STATUS_LINE)
			continue;
		judge(c, status_in(buf_str(&c->in)));
		return;
	}
}

static void ready(struct conn *conn, unsigned events)
{
	struct check *c = OWNER(conn->holder, struct check, held);
	if (!c->asked && (events & CONN_OUT))
		ask(c);
	else if (c->asked && (events & CONN_IN))
		hear(c);
}

/* ---- by HTTP/2, on a connection that requests use, too ---- */

static struct check *check_of(struct ride_user *u)
{
	return OWNER(u, struct check, ride_user);
}

static void ask_by_ride(struct ride_user *u)
{
	struct check *c = check_of(u);
	const struct member *m = c->member;
	struct request r = { .version = HTTP_2,
		.method = STR("GET"),
		.authority = authority_of(m->upstream),
		.path = m->group->says->health };
	headers_add(&r.headers, &c->arena, STR("user-agent"), STR("Everseal"));
	ride_ask(c->ride, &c->arena, &r);
}

static void hear_answer(struct ride_user *u, struct response *r)
{
	if (r->status >= 200)
		judge(check_of(u), r->status);
}

static void hear_failure(struct ride_user *u, const struct ride_failure *f)
{
	end(check_of(u), /* well= */ false, f->why);
}

static const struct ride_user_ops ride_ops = {
	.connected = ask_by_ride,
	.answer = hear_answer,
	.failed = hear_failure,
};

static void start_ride(struct check *c)
{
	c->ride_user.ops = &ride_ops;
	if (ride_begin(c->member->pool, &ours, &c->ride_user, options_of(c)->interval, &c->ride) &&
	        !ride_connecting(c->ride))
		ask_by_ride(&c->ride_user);
}

static void start(struct timer *t)
{
	struct check *c = OWNER(t, struct check, timer);
	bool by_ride = c->member->pool->scheme == UPSTREAM_H2C;
	c->asked = false;
	c->in = BUF(ANSWER_MOST);
	timer_start(&c->timer, c->member->group->pools->worker->loop, options_of(c)->timeout, due);
	if (by_ride) {
		start_ride(c);
		return;
	}
	struct conn *conn = pool_connect(c->member->pool, &ours);
	if (conn)
		conn_hold(&c->held, conn, ready);
}

void health_check_free(struct member *m)
{
	struct check *c = m->check;
	m->check = NULL;
	if (!c)
		return;
	timer_stop(&c->timer);
	let_go(c);
	free(c);
}

void health_settle(struct group *g)
{
	struct worker *w = g->pools->worker;
	for (size_t i = 0; w->index == 0 && g->says->health.n && i < g->count; i++) {
		struct member *m = g->at[i];
		if (m->check)
			continue;
		m->check = mem_new(struct check);
		m->check->member = m;
		timer_start(&m->check->timer, w->loop, 0, start);
	}
}

/* ---- what came of it ---- */

static void take(struct member *m, bool well, struct str why)
{
	struct worker *w = m->group->pools->worker;
	struct log log = { .key = "upstream", .value = m->pool->shown };
	m->sick = !well;
	if (well)
		m->back = pools_now(m->group->pools);
	if (w->index != 0)
		return;
	worker_tell(w, upstream_state, .address = str_c(m->pool->shown), .up = well, .why = why,
	        .at = loop_wall(w->loop));
	if (well)
		log_info(&log, "The application is healthy again.");
	else
		log_warning(&log,
		        "The application is not healthy, using others if there are any: %.*s",
		        STR_ARG(why));
}

void proxy_health_told(struct proxy_pools *p, const struct msg_health *told)
{
	uint64_t identity = (uint64_t)told->upstreams;
	struct map_node *node = map_find(&p->groups, str_n(&identity, sizeof identity));
	struct group *g = node ? OWNER(node, struct group, node) : NULL;
	for (size_t i = 0; g && i < g->count; i++) {
		struct member *m = g->at[i];
		if (str_eq_c(told->address, m->pool->shown) && m->sick == told->well)
			take(m, told->well, told->why);
	}
}
