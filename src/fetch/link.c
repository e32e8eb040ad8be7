/* Calls over the link to the fetch process. What that process answers is foreign: it reads what
 * strangers send. */
#include "link/link.h"
#include "base/clock.h"
#include "fetch/fetch.h"

#define CALL_TIMEOUT    (30 * SECOND)
#define PROBE_TIMEOUT   (10 * SECOND)
#define RESOLVE_TIMEOUT (5 * SECOND)
#define DIAL_TIMEOUT    (10 * SECOND)
#define UPDATE_TIMEOUT  (15 * SECOND)
#define GRACE           (2 * SECOND) /* the fetch process says better what did not answer */
enum {
	BODY_MOST = 256 << 10, /* of a reply, unless the call says another figure */
	SENT_MOST = 1 << 20,   /* of a request */
	PIECE = 32 << 10,
	HEADERS_MOST = LINK_MESSAGE_MOST,
};

struct fetch_link {
	struct fetch fetch;
	struct loop *loop;
	struct link link;
	struct list exchanges; /* struct exchange */
	int64_t last_id;
	struct buf fences;
	struct fetch_zones *zones; /* NULL: none */
};

enum kind { KIND_CALL, KIND_PROBE, KIND_RESOLVE, KIND_DIAL, KIND_UPDATE };

/* One of these, from start to done. */
struct exchange {
	struct list node;
	struct fetch_link *owner;
	enum kind kind;
	struct fetch_call *call; /* by kind, one of these */
	struct fetch_probe *probe;
	struct fetch_resolve *resolve;
	struct fetch_dial *dial;
	struct fetch_update *update;
	int64_t id, timeout;
	bool sent, replied;
	struct buf method, url, headers, body, trust; /* of the call */
	struct buf address, server_name;              /* of the probe; address: of the dial, too */
	struct buf name, servers;                     /* of the question */
	struct buf expected;                          /* of the dial, whose URL is in `url` */
	struct buf zone, value, key_name, hmac, secret; /* of the update, with name and servers */
	struct buf reply_headers, reply_body;
	unsigned status;
	struct timer deadline;
	struct err err;
};

static void exchange_free(struct exchange *x)
{
	timer_stop(&x->deadline);
	list_remove(&x->node);
	struct buf *const bufs[] = { &x->method, &x->url, &x->headers, &x->body, &x->trust,
		&x->address, &x->server_name, &x->reply_headers, &x->reply_body, &x->name,
		&x->servers, &x->expected, &x->zone, &x->value, &x->key_name, &x->hmac,
		&x->secret };
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_done(bufs[i]);
	free(x);
}

/* What came, by kind; nothing of it if there is an error. */
struct outcome {
	struct str leaf;
	const struct fetch_resolved *resolved;
	const struct fetch_dialled *dialled;
};

static void finish_call(struct exchange *x, const struct err *err)
{
	struct fetch_reply reply = { .status = x->status,
		.headers = buf_str(&x->reply_headers),
		.body = buf_str(&x->reply_body) };
	x->call->done(x->call, err ? NULL : &reply, err);
}

/* The caller is not known to the exchange any more. */
static void let_go(struct exchange *x)
{
	switch (x->kind) {
	case KIND_CALL:
		x->call->fetch = NULL;
		break;
	case KIND_PROBE:
		x->probe->fetch = NULL;
		break;
	case KIND_RESOLVE:
		x->resolve->fetch = NULL;
		break;
	case KIND_DIAL:
		x->dial->fetch = NULL;
		break;
	case KIND_UPDATE:
		x->update->fetch = NULL;
		break;
	}
}

/* The caller may start anew or free his struct: nothing of it is touched afterwards. */
static void finish(struct exchange *x, const struct outcome *came, const struct err *err)
{
	timer_stop(&x->deadline);
	list_remove(&x->node);
	let_go(x);
	switch (x->kind) {
	case KIND_CALL:
		finish_call(x, err);
		break;
	case KIND_PROBE:
		x->probe->done(x->probe, err ? STR_NONE : came->leaf, err);
		break;
	case KIND_RESOLVE:
		x->resolve->done(x->resolve, err ? NULL : came->resolved, err);
		break;
	case KIND_DIAL:
		x->dial->done(x->dial, err ? NULL : came->dialled, err);
		break;
	case KIND_UPDATE:
		x->update->done(x->update, err);
		break;
	}
	exchange_free(x);
}

/* What is asked, for sentences. */
static struct str subject(const struct exchange *x)
{
	switch (x->kind) {
	case KIND_CALL:
	case KIND_DIAL:
		return buf_str(&x->url);
	case KIND_RESOLVE:
	case KIND_UPDATE:
		return buf_str(&x->name);
	case KIND_PROBE:
		break;
	}
	return buf_str(&x->address);
}

static void give_up(struct exchange *x, const struct err *err)
{
	if (x->sent)
		link_send(&x->owner->link, fetch_abort, .id = x->id);
	finish(x, NULL, err);
}

static void deadline(struct timer *t)
{
	struct exchange *x = OWNER(t, struct exchange, deadline);
	struct err err = x->err;
	if (err.code == ERR_NONE)
		err_set(&err, ERR_TIMEOUT,
		        "%.*s was not reached: the process for outgoing requests %s.",
		        STR_ARG(subject(x)),
		        x->sent ? "did not answer in time" : "was not there in time");
	give_up(x, &err);
}

/* ---- sending ---- */

static bool send_pieces(struct exchange *x, enum msg_type type, const struct buf *text)
{
	struct link *l = &x->owner->link;
	for (struct str rest = buf_str(text); rest.n > 0; rest = str_from(rest, PIECE)) {
		struct str piece = str_head(rest, PIECE);
		bool sent = type == MSG_fetch_trust
		                    ? link_send(l, fetch_trust, .id = x->id, .piece = piece)
		                    : link_send(l, fetch_body, .id = x->id, .piece = piece);
		if (!sent)
			return false;
	}
	return true;
}

static bool send_call(struct exchange *x)
{
	struct link *l = &x->owner->link;
	size_t most = x->call->most ? x->call->most : BODY_MOST;
	return buf_ok(&x->body) && buf_ok(&x->trust) &&
	       link_send(l, fetch, .id = x->id, .purpose = str_c(x->call->purpose),
	               .method = buf_str(&x->method), .url = buf_str(&x->url),
	               .headers = buf_str(&x->headers), .timeout = x->timeout,
	               .most = (int64_t)most) &&
	       send_pieces(x, MSG_fetch_trust, &x->trust) &&
	       send_pieces(x, MSG_fetch_body, &x->body) && link_send(l, fetch_go, .id = x->id);
}

static bool send_probe(struct exchange *x)
{
	return link_send(&x->owner->link, probe, .id = x->id, .address = buf_str(&x->address),
	        .port = x->probe->port, .server_name = buf_str(&x->server_name),
	        .keys = x->probe->keys, .timeout = x->timeout);
}

static bool send_resolve(struct exchange *x)
{
	return link_send(&x->owner->link, resolve, .id = x->id, .name = buf_str(&x->name),
	        .type = str_c(x->resolve->type), .servers = buf_str(&x->servers),
	        .timeout = x->timeout, .hosts = x->resolve->hosts,
	        .authoritative = x->resolve->authoritative);
}

static bool send_update(struct exchange *x)
{
	return link_send(&x->owner->link, update, .id = x->id, .server = buf_str(&x->servers),
	        .zone = buf_str(&x->zone), .name = buf_str(&x->name), .value = buf_str(&x->value),
	        .remove = x->update->remove, .key_name = buf_str(&x->key_name),
	        .hmac = buf_str(&x->hmac), .secret = buf_str(&x->secret), .timeout = x->timeout);
}

static bool send_dial(struct exchange *x)
{
	return link_send(&x->owner->link, dial, .id = x->id, .url = buf_str(&x->url),
	        .address = buf_str(&x->address), .expected = buf_str(&x->expected),
	        .http_port = x->dial->http_port, .https_port = x->dial->https_port,
	        .anywhere = x->dial->anywhere, .timeout = x->timeout);
}

static bool send_it(struct exchange *x)
{
	switch (x->kind) {
	case KIND_CALL:
		return send_call(x);
	case KIND_PROBE:
		return send_probe(x);
	case KIND_RESOLVE:
		return send_resolve(x);
	case KIND_DIAL:
		return send_dial(x);
	case KIND_UPDATE:
		return send_update(x);
	}
	return false;
}

/* What cannot be sent fails in the next turn: never before the start has returned. */
static void send(struct exchange *x)
{
	if (!link_alive(&x->owner->link))
		return;
	x->sent = true;
	if (send_it(x))
		return;
	err_set(&x->err, ERR_LIMIT,
	        "%.*s was not asked: the request is too large, or too many wait to be sent.",
	        STR_ARG(subject(x)));
	timer_start(&x->deadline, x->owner->loop, 0, deadline);
}

static void copy(struct buf *to, size_t ceiling, struct str from)
{
	*to = BUF(ceiling);
	buf_add(to, from);
}

static struct exchange *exchange_new(struct fetch_link *f, enum kind kind, int64_t timeout)
{
	struct exchange *x = mem_new(struct exchange);
	x->kind = kind;
	x->owner = f;
	x->id = ++f->last_id;
	x->timeout = timeout;
	list_add_last(&f->exchanges, &x->node);
	timer_start(&x->deadline, f->loop, timeout + GRACE, deadline);
	return x;
}

static void start(struct fetch *fetch, struct fetch_call *call)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x =
	        exchange_new(f, KIND_CALL, call->timeout ? call->timeout : CALL_TIMEOUT);
	x->call = call;
	copy(&x->method, 32, str_c(call->method));
	copy(&x->url, LINK_MESSAGE_MOST, call->url);
	copy(&x->headers, LINK_MESSAGE_MOST, call->headers);
	x->headers.secret = true; /* of a mail server: the password */
	copy(&x->body, SENT_MOST, call->body);
	copy(&x->trust, SENT_MOST, call->trust);
	x->reply_headers = BUF(HEADERS_MOST);
	x->reply_body = BUF(call->most ? call->most : BODY_MOST);
	call->fetch = fetch;
	call->id = x->id;
	send(x);
}

static void probe(struct fetch *fetch, struct fetch_probe *p)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x = exchange_new(f, KIND_PROBE, PROBE_TIMEOUT);
	x->probe = p;
	copy(&x->address, 64, p->address);
	copy(&x->server_name, 256, p->server_name);
	p->fetch = fetch;
	p->id = x->id;
	send(x);
}

static void resolve(struct fetch *fetch, struct fetch_resolve *r)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x =
	        exchange_new(f, KIND_RESOLVE, r->timeout ? r->timeout : RESOLVE_TIMEOUT);
	x->resolve = r;
	copy(&x->name, 256, r->name);
	copy(&x->servers, 1024, r->servers);
	r->fetch = fetch;
	r->id = x->id;
	send(x);
}

static void dial(struct fetch *fetch, struct fetch_dial *d)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x = exchange_new(f, KIND_DIAL, d->timeout ? d->timeout : DIAL_TIMEOUT);
	x->dial = d;
	copy(&x->url, 4096, d->url);
	copy(&x->address, 64, d->address);
	copy(&x->expected, 256, d->expected);
	d->fetch = fetch;
	d->id = x->id;
	send(x);
}

static void update(struct fetch *fetch, struct fetch_update *u)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x = exchange_new(f, KIND_UPDATE, u->timeout ? u->timeout : UPDATE_TIMEOUT);
	x->update = u;
	copy(&x->servers, 1024, u->server);
	copy(&x->zone, 256, u->zone);
	copy(&x->name, 256, u->name);
	copy(&x->value, 256, u->value);
	copy(&x->key_name, 256, u->key_name);
	copy(&x->hmac, 32, u->hmac);
	x->secret = BUF_SECRET(1024);
	buf_add(&x->secret, u->secret);
	u->fetch = fetch;
	u->id = x->id;
	send(x);
}

static struct exchange *find(struct fetch_link *f, int64_t id)
{
	LIST_EACH (node, &f->exchanges) {
		struct exchange *x = OWNER(node, struct exchange, node);
		if (x->id == id)
			return x;
	}
	return NULL;
}

static void forget(struct fetch *fetch, int64_t id)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	struct exchange *x = find(f, id);
	if (!x)
		return;
	if (x->sent)
		link_send(&f->link, fetch_abort, .id = id);
	exchange_free(x);
}

static void abort_call(struct fetch *fetch, struct fetch_call *call)
{
	forget(fetch, call->id);
	call->fetch = NULL;
}

static void abort_probe(struct fetch *fetch, struct fetch_probe *p)
{
	forget(fetch, p->id);
	p->fetch = NULL;
}

static void abort_resolve(struct fetch *fetch, struct fetch_resolve *r)
{
	forget(fetch, r->id);
	r->fetch = NULL;
}

static void abort_dial(struct fetch *fetch, struct fetch_dial *d)
{
	forget(fetch, d->id);
	d->fetch = NULL;
}

static void abort_update(struct fetch *fetch, struct fetch_update *u)
{
	forget(fetch, u->id);
	u->fetch = NULL;
}

/* ---- the delegated zones ---- */

static void send_sockets(struct fetch_link *f)
{
	const struct fetch_zones *z = f->zones;
	link_send(&f->link, zone_sockets);
	for (size_t i = 0; z && i < z->socket_count; i++)
		link_send(&f->link, zone_socket, .fd = z->sockets[i]);
}

static void send_zones(struct fetch_link *f)
{
	const struct fetch_zones *z = f->zones;
	link_send(&f->link, zones);
	for (size_t i = 0; z && i < z->count; i++) {
		const struct fetch_zone *one = &z->at[i];
		link_send(&f->link, zone, .zone = one->zone, .server = one->server,
		        .addresses = one->addresses);
		for (size_t k = 0; k < one->value_count; k++)
			link_send(&f->link, zone_value, .name = one->values[k].name,
			        .text = one->values[k].text);
	}
	link_send(&f->link, zones_end, .number = z ? z->number : 0);
}

static void zones(struct fetch *fetch, struct fetch_zones *z, bool sockets_changed)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	f->zones = z;
	if (!link_alive(&f->link))
		return;
	if (sockets_changed)
		send_sockets(f);
	send_zones(f);
}

static const struct fetch_ops ops = {
	.start = start,
	.abort = abort_call,
	.probe = probe,
	.probe_abort = abort_probe,
	.resolve = resolve,
	.resolve_abort = abort_resolve,
	.dial = dial,
	.dial_abort = abort_dial,
	.update = update,
	.update_abort = abort_update,
	.zones = zones,
};

/* ---- hearing ---- */

static void broken(struct exchange *x)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_PROTOCOL,
	        "The process for outgoing requests gave an answer out of order.");
	give_up(x, &err);
}

static void heard_reply(struct exchange *x, const struct msg_reply *m)
{
	if (x->replied || m->status < 100 || m->status > 599) {
		broken(x);
		return;
	}
	x->replied = true;
	x->status = (unsigned)m->status;
	buf_add(&x->reply_headers, m->headers);
}

static void heard_body(struct exchange *x, const struct msg_reply_body *m)
{
	buf_add(&x->reply_body, m->piece);
	if (!x->replied || !buf_ok(&x->reply_body))
		broken(x);
}

/* True if all is well; else the sentence that came. */
static bool outcome(int64_t code, struct str sentence, struct err *err)
{
	if (code == ERR_NONE)
		return true;
	bool known = code > ERR_NONE && code <= ERR_CANCELED;
	return err_set(err, known ? (enum err_code)code : ERR_PROTOCOL, "%.*s", STR_ARG(sentence));
}

static void heard_end(struct exchange *x, const struct msg_reply_end *m)
{
	struct err err = ERR_INIT;
	bool well = outcome(m->error, m->sentence, &err);
	if (well && !x->replied)
		broken(x);
	else
		finish(x, NULL, well ? NULL : &err);
}

static void heard_probed(struct exchange *x, const struct msg_probed *m)
{
	struct err err = ERR_INIT;
	bool well = outcome(m->error, m->sentence, &err);
	finish(x, &(struct outcome){ .leaf = m->leaf_pem }, well ? NULL : &err);
}

static void heard_resolved(struct exchange *x, const struct msg_resolved *m)
{
	const struct fetch_resolved resolved = { .outcome = m->outcome,
		.owner = m->owner,
		.aliases = m->aliases,
		.records = m->records,
		.server = m->server,
		.ms = m->ms,
		.ttl = m->ttl };
	finish(x, &(struct outcome){ .resolved = &resolved }, NULL);
}

static void heard_dialled(struct exchange *x, const struct msg_dialled *m)
{
	struct err err = ERR_INIT;
	const struct fetch_dialled dialled = { .status = (unsigned)m->status,
		.headers = m->headers,
		.matched = m->matched,
		.ms = m->ms };
	bool well = outcome(m->error, m->sentence, &err);
	if (well && (m->status < 100 || m->status > 599))
		broken(x);
	else
		finish(x, &(struct outcome){ .dialled = &dialled }, well ? NULL : &err);
}

static void heard_updated(struct exchange *x, const struct msg_updated *m)
{
	struct err err = ERR_INIT;
	bool well = outcome(m->error, m->sentence, &err);
	finish(x, NULL, well ? NULL : &err);
}

/* The exchange that a message speaks of: of the right kind, and still wanted. */
static struct exchange *about(struct fetch_link *f, int64_t id, enum kind kind)
{
	struct exchange *x = find(f, id);
	return x && x->sent && x->kind == kind ? x : NULL;
}

static void heard(struct link *l, const struct msg *m)
{
	struct fetch_link *f = OWNER(l, struct fetch_link, link);
	struct exchange *x;
	switch (m->type) {
	case MSG_reply:
		if ((x = about(f, m->is.reply.id, KIND_CALL)))
			heard_reply(x, &m->is.reply);
		break;
	case MSG_reply_body:
		if ((x = about(f, m->is.reply_body.id, KIND_CALL)))
			heard_body(x, &m->is.reply_body);
		break;
	case MSG_reply_end:
		if ((x = about(f, m->is.reply_end.id, KIND_CALL)))
			heard_end(x, &m->is.reply_end);
		break;
	case MSG_probed:
		if ((x = about(f, m->is.probed.id, KIND_PROBE)))
			heard_probed(x, &m->is.probed);
		break;
	case MSG_resolved:
		if ((x = about(f, m->is.resolved.id, KIND_RESOLVE)))
			heard_resolved(x, &m->is.resolved);
		break;
	case MSG_dialled:
		if ((x = about(f, m->is.dialled.id, KIND_DIAL)))
			heard_dialled(x, &m->is.dialled);
		break;
	case MSG_updated:
		if ((x = about(f, m->is.updated.id, KIND_UPDATE)))
			heard_updated(x, &m->is.updated);
		break;
	case MSG_zones_served:
		if (f->zones && m->is.zones_served.number > 0)
			f->zones->served(f->zones, m->is.zones_served.number);
		break;
	case MSG_fences:
		buf_clear(&f->fences);
		buf_add(&f->fences, m->is.fences.standing);
		break;
	default:
		msg_close_fd(m);
	}
}

/* Those under way; those that wait have not been sent. */
static struct exchange *first_sent(struct fetch_link *f)
{
	LIST_EACH (node, &f->exchanges) {
		struct exchange *x = OWNER(node, struct exchange, node);
		if (x->sent)
			return x;
	}
	return NULL;
}

static void lose(struct fetch_link *f)
{
	struct err err = ERR_INIT;
	struct exchange *x;
	link_done(&f->link);
	buf_clear(&f->fences);
	err_set(&err, ERR_UNREACHABLE,
	        "The process for outgoing requests ended while it was asking; it is started "
	        "again.");
	while ((x = first_sent(f)))
		finish(x, NULL, &err);
	if (f->zones)
		f->zones->served(f->zones, 0);
}

static void ended(struct link *l, const struct err *why)
{
	(void)why;
	lose(OWNER(l, struct fetch_link, link));
}

static const struct link_ops link_ops = { .heard = heard, .ended = ended };

struct fetch *fetch_link_new(struct loop *loop)
{
	struct fetch_link *f = mem_new(struct fetch_link);
	f->fetch.ops = &ops;
	f->loop = loop;
	f->fences = BUF(1024);
	list_init(&f->exchanges);
	return &f->fetch;
}

void fetch_link_attach(struct fetch *fetch, int fd)
{
	struct fetch_link *f = OWNER(fetch, struct fetch_link, fetch);
	lose(f);
	link_init(&f->link, f->loop, fd, &link_ops);
	if (f->zones) {
		send_sockets(f);
		send_zones(f);
	}
	LIST_EACH (node, &f->exchanges)
		send(OWNER(node, struct exchange, node));
}

struct str fetch_link_fences(const struct fetch *fetch)
{
	return buf_str(&OWNER(fetch, const struct fetch_link, fetch)->fences);
}

void fetch_link_free(struct fetch **fetch)
{
	if (!*fetch)
		return;
	struct fetch_link *f = OWNER(*fetch, struct fetch_link, fetch);
	LIST_EACH (node, &f->exchanges) {
		struct exchange *x = OWNER(node, struct exchange, node);
		let_go(x);
		exchange_free(x);
	}
	link_done(&f->link);
	buf_done(&f->fences);
	free(f);
	*fetch = NULL;
}
