#include "server/client.h"
#include "server/listener.h"
#include "tls/tls.h"

static void free_parts(struct client *c)
{
	if (c->session)
		c->session->ops->free(c->session);
	timer_stop(&c->timer);
	list_remove(&c->node);
	c->worker->connection_count--;
	listeners_room(c->worker);
	free(c);
}

void client_free(struct client **c)
{
	if (!*c)
		return;
	struct conn *conn = (*c)->conn;
	free_parts(*c);
	conn_free(&conn);
	*c = NULL;
}

void client_reset(struct client **c)
{
	if (!*c)
		return;
	struct conn *conn = (*c)->conn;
	free_parts(*c);
	conn_reset(&conn);
	*c = NULL;
}

static void due(struct timer *t)
{
	struct client *c = OWNER(t, struct client, timer);
	if (c->deadline == INT64_MAX)
		return;
	int64_t left = c->deadline - loop_mono(c->worker->loop);
	if (left > 0)
		timer_start(t, c->worker->loop, left, due);
	else if (c->session)
		c->session->ops->expired(c->session);
	else
		client_free(&c);
}

void client_deadline(struct client *c, int64_t after_ms)
{
	if (after_ms < 0) {
		c->deadline = INT64_MAX;
		return;
	}
	c->deadline = loop_mono(c->worker->loop) + after_ms;
	if (!timer_active(&c->timer) || c->timer.deadline > c->deadline)
		timer_start(&c->timer, c->worker->loop, after_ms, due);
}

static void session_ready(struct conn *conn, unsigned events);

static void ready(struct conn *conn, unsigned events)
{
	struct client *c = conn_holder(conn);
	c->session->ops->ready(c->session, events);
}
