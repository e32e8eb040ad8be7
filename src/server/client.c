#include "server/client.h"
#include "base/log.h"
#include "net/proxy_protocol.h"
#include "server/challenge.h"
#include "server/listener.h"
#include "tls/tls.h"

static void leave(struct worker *w)
{
	w->connection_count--;
	listeners_room(w);
	if (w->draining && w->connection_count == 0 && w->emptied)
		w->emptied(w);
}

static void end_opening(struct client *c)
{
	struct opening *o = c->opening;
	c->opening = NULL;
	if (!o)
		return;
	demand_leave(&o->demand);
	generation_unref(&o->generation);
	free(o);
}

static void free_parts(struct client *c)
{
	struct worker *w = c->worker;
	if (c->session)
		c->session->ops->free(c->session);
	if (c->kept)
		c->kept->free(c->kept);
	end_opening(c);
	timer_stop(&c->timer);
	list_remove(&c->node);
	place_leave(c);
	free(c->secured.client);
	free(c);
	leave(w);
}

void client_free(struct client *c)
{
	struct conn *conn = c->held.conn;
	free_parts(c);
	conn_free(&conn);
}

void client_reset(struct client *c)
{
	struct conn *conn = c->held.conn;
	free_parts(c);
	conn_reset(&conn);
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
		client_free(c);
}

/* A timer without a deadline stays where it is: the next request wants it again. */
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

static void ready(struct conn *conn, unsigned events)
{
	struct client *c = OWNER(conn->holder, struct client, held);
	c->session->ops->ready(c->session, events);
}

static void start_session_of(struct client *c, struct session *(*session_new)(struct client *c))
{
	conn_hold(&c->held, c->held.conn, ready);
	end_opening(c);
	c->session = session_new(c);
}

static void start_session(struct client *c)
{
	start_session_of(c, http1_session_new);
}

/* What went wrong with our own certificate somebody must know; what the client did wrong happens
 * all day. */
static void handshake_failed(struct client *c)
{
	const struct err *fault = conn_tls_fault(c->held.conn);
	c->worker->counts.handshakes[HANDSHAKE_FAILED]++;
	if (fault)
		worker_tell(c->worker, log, .level = LOG_ERROR, .text = str_c(fault->text));
	client_free(c);
}

/* Plain HTTP on a port for HTTPS is answered with one sentence. */
static bool speaks_plainly(struct client *c)
{
	BUF_AUTO bytes = BUF_INIT(0);
	struct conn *below = conn_tls_plain(&c->held.conn, &bytes);
	if (!below)
		return false;
	c->held.conn = below;
	c->tls = false;
	start_session(c);
	http1_session_misplaced(c->session, buf_str(&bytes));
	return true;
}

static void know_client(struct client *c)
{
	struct tls_client peer;
	if (!conn_tls_client(c->held.conn, &peer))
		return;
	c->secured.client = mem_new(struct tls_client);
	*c->secured.client = peer;
}

static void handshake_ready(struct conn *conn, unsigned events)
{
	struct client *c = OWNER(conn->holder, struct client, held);
	if (!conn_tls_established(conn)) {
		if (!speaks_plainly(c))
			handshake_failed(c);
		return;
	}
	if (conn_tls_proves(conn)) {
		client_free(c);
		return;
	}
	c->worker->counts.handshakes[conn_tls_resumed(conn) ? HANDSHAKE_RESUMED : HANDSHAKE_FULL]++;
	c->temporary = conn_tls_temporary(conn);
	c->secured.version = conn_tls_version(conn);
	know_client(c);
	start_session_of(c, conn_tls_chose_http2(conn) ? http2_session_new : http1_session_new);
	c->session->ops->ready(c->session, events);
}

/* The page's serve has a channel to control for each exchange of a client: few at a time are
 * enough for it. */
static bool offers_http2(const struct client *c)
{
	const struct site *fallback = c->opening->generation->fallback;
	return !fallback || fallback->kind != SITE_CONTROL;
}

enum { NAME_ROOM = 256 };

/* STR_NONE: it is too long to be one. */
static struct str lower_name(struct str name, char room[NAME_ROOM])
{
	if (name.n > NAME_ROOM)
		return STR_NONE;
	for (size_t i = 0; i < name.n; i++)
		room[i] = ascii_lower(name.p[i]);
	return str_n(room, name.n);
}

static const struct tls_rules *rules_for(struct tls_hello *h, struct str asked)
{
	const struct opening *o = OWNER(h, struct opening, hello);
	char lower[NAME_ROOM];
	struct str name = lower_name(asked, lower);
	const struct site *site = name.p ? generation_site(o->generation, name) : NULL;
	struct secured *secured = &o->client->secured;
	if (!site)
		return NULL;
	memcpy(secured->identity, site->tls.identity, sizeof secured->identity);
	return &site->tls;
}

static bool proof_for(struct tls_hello *h, struct str server_name, struct tls_proof *ret_proof)
{
	struct client *c = OWNER(h, struct opening, hello)->client;
	const struct sockaddr_storage address = address_whole(&c->address);
	return challenge_proof(c->worker, &address, server_name, ret_proof);
}

static enum tls_turn turn_of(struct tls_hello *h, struct str server_name)
{
	const struct opening *o = OWNER(h, struct opening, hello);
	char lower[NAME_ROOM];
	struct str name = lower_name(server_name, lower);
	const struct site *site = name.n ? generation_site(o->generation, name) : NULL;
	return site ? demand_turn(o->client, site, name) : TLS_GOES_ON;
}

static void start_handshake(struct client *c)
{
	struct opening *o = c->opening;
	c->tls = true;
	conn_hold(&c->held, conn_tls_new(c->worker->tls, c->held.conn, o->listener->default_name),
	        handshake_ready);
	o->hello.rules = rules_for;
	o->hello.proof = proof_for;
	o->hello.turn = turn_of;
	conn_tls_ask(c->held.conn, &o->hello);
	if (offers_http2(c))
		conn_tls_offer_http2(c->held.conn);
}

/* RFC 8446 5.1: TLS begins with a record of type handshake, which no request begins with. */
static void first_byte(struct conn *conn, unsigned events)
{
	enum { HANDSHAKE = 22 };
	struct client *c = OWNER(conn->holder, struct client, held);
	char byte;
	ssize_t n = conn_peek(conn, &byte, 1);
	if (n == CONN_AGAIN)
		return;
	if (n == 1 && byte == HANDSHAKE)
		start_handshake(c);
	else
		start_session(c);
	conn->ready(conn, events);
}

/* What the listener's clients begin with, after what a proxy says. */
static void begin_protocol(struct client *c)
{
	if (!c->opening->listener->tls)
		start_session(c);
	else if (c->opening->listener->plain_too)
		conn_hold(&c->held, c->held.conn, first_byte);
	else
		start_handshake(c);
}

/* Its bytes are looked at until all are there, and then taken, so that what follows them is left to
 * whom it is for. */
static void take_preface(struct client *c, const struct proxy_preface *preface)
{
	struct conn *conn = c->held.conn;
	char *scratch = c->worker->scratch;
	if (conn_read(conn, scratch, preface->size) != (ssize_t)preface->size) {
		client_reset(c);
		return;
	}
	if (preface->told) {
		c->address = address_keep(&preface->from);
		c->opening->opened = address_keep(&preface->to);
		c->opening->hello.opened = &c->opening->opened;
	}
	if (!place_enter(c)) {
		client_reset(c);
		return;
	}
	const struct opening *o = c->opening;
	client_deadline(c, o->listener->tls ? o->generation->limits.handshake_timeout : -1);
	begin_protocol(c);
	conn->ready(conn, CONN_IN);
}

static void preface_ready(struct conn *conn, unsigned events)
{
	struct client *c = OWNER(conn->holder, struct client, held);
	struct proxy_preface preface;
	(void)events;
	ssize_t n = conn_peek(conn, c->worker->scratch, PROXY_PROTOCOL_MOST);
	if (n == CONN_AGAIN)
		return;
	enum proxy_protocol result = PROXY_PROTOCOL_BAD;
	if (n > 0)
		result = proxy_protocol_read(str_n(c->worker->scratch, (size_t)n), &preface);
	if (result == PROXY_PROTOCOL_DONE)
		take_preface(c, &preface);
	else if (result == PROXY_PROTOCOL_BAD)
		client_reset(c);
}

/* Who may not speak for others is not heard. */
static void start_preface(struct client *c)
{
	const struct sockaddr_storage address = address_whole(&c->address);
	if (!generation_trusts(c->opening->generation, &address)) {
		client_reset(c);
		return;
	}
	conn_hold(&c->held, c->held.conn, preface_ready);
}

static struct client *client_begin(
        struct worker *w, struct conn *conn, const struct sockaddr_storage *from)
{
	struct client *c = mem_new(struct client);
	c->worker = w;
	c->address = address_keep(from);
	c->deadline = INT64_MAX;
	c->held.conn = conn;
	list_add_last(&w->connections, &c->node);
	w->connection_count++;
	return c;
}

void client_new(struct worker *w, struct conn *conn, const struct sockaddr_storage *from,
        const struct listener_row *listener)
{
	struct client *c = client_begin(w, conn, from);
	if ((!listener || !listener->proxy_protocol) && !place_enter(c)) {
		client_reset(c);
		return;
	}
	if (!listener || (!listener->tls && !listener->proxy_protocol)) {
		start_session(c);
		return;
	}
	c->opening = mem_new(struct opening);
	*c->opening = (struct opening){
		.client = c, .generation = generation_ref(w->generation), .listener = listener
	};
	client_deadline(c, w->generation->limits.handshake_timeout);
	if (listener->proxy_protocol)
		start_preface(c);
	else
		begin_protocol(c);
}

void client_handed_on(struct worker *w, struct conn *conn, const struct client_from *from)
{
	struct client *c = client_begin(w, conn, &from->address);
	c->tls = from->tls;
	c->temporary = from->temporary;
	start_session(c);
}
