/* The page's own serve: what it is told, and the connections that it hands on.
 *
 * Its generations are a handful of rows and stand apart from the data plane's: none waits for the
 * other. One is offered whenever what it would say differs from what was said last. An address that
 * the configuration no longer wants is listened on until the one it wants instead is bound and
 * stands, unless the kernel could bind both only one after the other. */
#include "control/control.h"
#include "net/address.h"
#include "server/client.h"
#include <errno.h>

enum { CONNECTIONS_MOST = 1000, BODY_MOST = 1 << 20 };
/* Their channels end here a little later than the connections there. */
enum { CHANNELS_MOST = CONNECTIONS_MOST + 200 };
/* How long who stops the server waits for an answer that is under way. */
static const int64_t DRAIN = 2 * SECOND;

static void go_on(struct control *c);

static void turn(struct later *l)
{
	go_on(OWNER(l, struct control, page.turn));
}

static void go_on_soon(struct control *c)
{
	later_start(&c->page.turn, c->loop, turn);
}

void page_init(struct control *c)
{
	struct page *p = &c->page;
	list_init(&p->bindings);
	p->offered = BUF(4096);
	store_tx_init(&p->tx);
	page_certs_init(c);
}

bool page_open(struct control *c, struct err *err)
{
	c->page.open = true;
	return socket_worker(c, &c->page.worker, SITE_PAGE, err);
}

void page_close(struct control *c)
{
	if (c->page.open)
		worker_done(&c->page.worker);
	c->page.open = false;
}

void page_done(struct control *c)
{
	struct page *p = &c->page;
	later_stop(&p->turn);
	link_done(&p->serve);
	LIST_EACH (n, &p->bindings)
		binding_release(c, OWNER(n, struct binding, node));
	page_certs_done(c);
	buf_done(&p->offered);
	arena_done(&p->arena);
}

/* ---- addresses ---- */

static struct address address_of(const struct binding *b)
{
	return (struct address){ .host = str_c(b->host), .port = b->port };
}

static bool is_wanted(const struct page *p, const struct binding *b)
{
	return b->port == p->listen.port && str_eq_c(p->listen.host, b->host);
}

static bool is_loopback(struct str host)
{
	struct sockaddr_storage a;
	return address_parse(host, 0, &a) && address_is_loopback(&a);
}

static struct binding *wanted_binding(const struct page *p)
{
	LIST_EACH (n, &p->bindings)
		if (is_wanted(p, OWNER(n, struct binding, node)))
			return OWNER(n, struct binding, node);
	return NULL;
}

/* The wanted one once it is bound; until then one before it that is not in its way. */
static const struct binding *best_binding(const struct page *p)
{
	const struct binding *wanted = wanted_binding(p);
	if (!p->listen.host.n || (wanted && wanted->fd >= 0))
		return p->listen.host.n ? wanted : NULL;
	LIST_EACH (n, &p->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		struct address a = address_of(b);
		if (b->fd >= 0 && !addresses_overlap(&a, &p->listen))
			return b;
	}
	return NULL;
}

/* What nobody listens on any more goes, and the wanted one is asked for once nothing that is left
 * excludes it. */
static void settle_bindings(struct control *c)
{
	struct page *p = &c->page;
	const struct binding *best = best_binding(p);
	bool free_to_bind = p->listen.host.n > 0 && !wanted_binding(p);
	LIST_EACH (n, &p->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		struct address a = address_of(b);
		bool listened_on = p->waiting || b->id == p->in_force_listener;
		if (b != best && !is_wanted(p, b) && !listened_on)
			binding_release(c, b);
		else
			free_to_bind &= !addresses_overlap(&a, &p->listen);
	}
	if (free_to_bind)
		binding_new(c, &p->bindings, &p->listen);
}

bool page_bound(struct control *c, const struct msg_bound *m)
{
	struct binding *b = binding_in(&c->page.bindings, m->id);
	if (!b)
		return false;
	(void)binding_heard(c, b, m);
	go_on_soon(c);
	return true;
}

/* ---- generations ---- */

#define SEND(p, name, ...) link_send(&(p)->serve, name, __VA_ARGS__)

static void send_rows(struct control *c, const struct binding *b)
{
	struct page *p = &c->page;
	struct str name = p->name.n ? p->name : STR("page");
	SEND(p, generation, .number = ++p->number, .thumbprint = str_c(c->thumbprint));
	if (b)
		SEND(p, listener, .id = b->id, .address = str_c(b->host), .port = b->port,
		        .tls = true, .plain_too = true, .default_name = STR("*"), .fd = b->fd);
	SEND(p, site, .id = 1, .name = name, .fallback = true, .kind = SITE_CONTROL,
	        .force_ssl = b && !is_loopback(str_c(b->host)), .url_port = b ? b->port : 443,
	        .hsts_age = -1);
	SEND(p, site_name, .site = 1, .name = STR("localhost"));
	if (p->name.n && !str_eq(p->name, STR("localhost")))
		SEND(p, site_name, .site = 1, .name = p->name);
	SEND(p, limit, .name = STR("connections-per-worker"), .value = CONNECTIONS_MOST);
	SEND(p, limit, .name = STR("body-most"), .value = BODY_MOST);
	SEND(p, limit, .name = STR("drain-timeout"), .value = DRAIN);
	SEND(p, generation_end, .number = p->number);
}

static void say_rows(const struct control *c, const struct binding *b, struct buf *out)
{
	buf_printf(out, "listener %lld name %.*s thumbprint %s", b ? (long long)b->id : 0LL,
	        STR_ARG(c->page.name), c->thumbprint);
}

static void go_on(struct control *c)
{
	struct page *p = &c->page;
	BUF_AUTO words = BUF(4096);
	settle_bindings(c);
	const struct binding *b = best_binding(p);
	say_rows(c, b, &words);
	if (!p->configured || p->waiting || !link_alive(&p->serve) ||
	        str_eq(buf_str(&words), buf_str(&p->offered)))
		return;
	buf_clear(&p->offered);
	buf_add_buf(&p->offered, &words);
	p->offered_listener = b ? b->id : 0;
	p->waiting = true;
	send_rows(c, b);
}

static void say_where(const struct control *c)
{
	struct page_about about;
	page_about(c, &about);
	if (strcmp(about.state, "listening") != 0)
		return;
	log_info(&c->log, "The page is at %s", about.url);
	if (about.https && about.fingerprint)
		log_info(&c->log,
		        "Where the page has no other certificate it shows a self-made one, whose "
		        "SHA-256 fingerprint is %s",
		        about.fingerprint);
}

static void committed(struct control *c)
{
	struct page *p = &c->page;
	bool moved = p->in_force_listener != p->offered_listener;
	p->waiting = false;
	p->in_force_listener = p->offered_listener;
	if (moved)
		say_where(c);
	go_on_soon(c);
}

/* Nothing in it is new to a serve that has understood the one before; the next change is offered
 * again. */
static void refused(struct control *c, struct str sentence)
{
	c->page.waiting = false;
	log_error(&c->log,
	        "The page's process does not take what it is told, keeping what it has: "
	        "%.*s",
	        STR_ARG(sentence));
	go_on_soon(c);
}

/* ---- what its serve says ---- */

/* A client of the page, as its serve names him. */
static void connection(struct control *c, const struct msg_connection *m)
{
	struct client_from from = { .tls = m->tls, .temporary = m->temporary };
	struct worker *w = &c->page.worker;
	if (m->fd < 0)
		return;
	if (!c->page.open || w->connection_count >= CHANNELS_MOST ||
	        !address_parse(m->client, 0, &from.address)) {
		close(m->fd);
		return;
	}
	client_handed_on(w, conn_tcp_new(c->loop, m->fd), &from);
}

static void heard(struct link *l, const struct msg *m)
{
	struct control *c = OWNER(l, struct control, page.serve);
	struct page *p = &c->page;
	switch (m->type) {
	case MSG_connection:
		connection(c, &m->is.connection);
		break;
	case MSG_prepared:
		if (m->is.prepared.number == p->number)
			SEND(p, commit, .number = p->number);
		break;
	case MSG_committed:
		if (m->is.committed.number == p->number)
			committed(c);
		break;
	case MSG_refused:
		if (m->is.refused.number == p->number)
			refused(c, m->is.refused.sentence);
		break;
	case MSG_credit: /* the rows are so few that they need none */
		break;
	default:
		if (!peers_heard_serve(c, PROCESS_PAGE, l, m))
			msg_close_fd(m);
	}
}

static void forget_serve(struct control *c)
{
	struct page *p = &c->page;
	page_seat(c, /* beside_serve= */ false);
	link_done(&p->serve);
	p->waiting = false;
	buf_clear(&p->offered);
	p->in_force_listener = 0;
}

static void ended(struct link *l, const struct err *why)
{
	struct control *c = OWNER(l, struct control, page.serve);
	if (!c->stopping)
		log_warning(&c->log, "The page's process is gone, its successor gets the same: %s",
		        why->text);
	forget_serve(c);
}

static const struct link_ops serve_ops = { .heard = heard, .ended = ended };

void page_serve_came(struct control *c, int fd)
{
	forget_serve(c);
	link_init(&c->page.serve, c->loop, fd, &serve_ops);
	feed_all(&c->page.feed);
	page_seat(c, /* beside_serve= */ link_alive(&c->serve));
	go_on_soon(c);
}

void page_seat(struct control *c, bool beside_serve)
{
	struct page *p = &c->page;
	bool seated = beside_serve && link_alive(&p->serve);
	if (seated && !p->seated)
		board_attach(c->board, &p->serve);
	else if (!seated && p->seated)
		board_detach(c->board, &p->serve);
	p->seated = seated;
}

/* ---- what the configuration wants ---- */

static void take_name(struct control *c, struct str name)
{
	struct page *p = &c->page;
	bool first = !p->configured;
	if (!first && str_eq(p->name, name))
		return;
	struct str before = p->name;
	p->name = arena_str(&p->arena, name);
	p->configured = true;
	if (first)
		return;
	page_certs_forget(c, before);
	if (before.n)
		renewals_install(c->renewals, before); /* a site's now, perhaps */
	if (name.n)
		renewals_install(c->renewals, name);
}

void page_configured(struct control *c)
{
	struct page *p = &c->page;
	const struct address *a = &c->config->page_listen;
	p->listen = (struct address){
		.host = arena_str(&p->arena, a->host), .port = a->port, .at = a->at
	};
	take_name(c, c->config->page_name);
	page_certs_settle(c);
	go_on_soon(c);
}

bool page_is_named(const struct control *c, struct str name)
{
	/* Certificates are installed before the page is first configured. */
	struct str own = c->page.configured || !c->config ? c->page.name : c->config->page_name;
	return own.n > 0 && str_eq(own, name);
}

bool page_install(struct control *c, const struct serving_certificate *cert)
{
	struct err err = ERR_INIT;
	size_t of_page = 0;
	for (size_t i = 0; i < cert->name_count; i++)
		of_page += page_is_named(c, cert->names[i]);
	if (of_page && !page_certs_put(c, cert, &err))
		log_error(
		        &c->log, "The page cannot have the certificate of its name: %s", err.text);
	return of_page == cert->name_count;
}

size_t page_addresses(const struct control *c, struct serving_address *ret, size_t most)
{
	const struct binding *b = best_binding(&c->page);
	if (!b || most == 0)
		return 0;
	ret[0] = (struct serving_address){ address_dialled(str_c(b->host), STR_NONE), b->port };
	return 1;
}

/* ---- for people ---- */

static void write_url(struct page_about *about)
{
	bool named = about->https && about->name.n;
	struct str host = named ? about->name : address_dialled(about->listen.host, STR_NONE);
	bool six = str_has(host, ':');
	snprintf(about->url, sizeof about->url, "%s://%s%.*s%s:%u/",
	        about->https ? "https" : "http", six ? "[" : "", STR_ARG(host), six ? "]" : "",
	        about->listen.port);
}

void page_about(const struct control *c, struct page_about *ret)
{
	const struct page *p = &c->page;
	const struct binding *b = wanted_binding(p);
	*ret = (struct page_about){ .listen = p->listen,
		.name = p->name,
		.state = "off",
		.fingerprint = *p->fingerprint ? p->fingerprint : NULL };
	if (!p->listen.host.n)
		return;
	ret->https = !is_loopback(p->listen.host);
	ret->state = !b || (b->fd < 0 && !b->error) ? "binding"
	             : b->fd < 0                    ? "failed"
	                                            : "listening";
	ret->holder = b && b->holder && *b->holder ? b->holder : NULL;
	ret->error = b && b->error ? strerror(b->error) : NULL;
	write_url(ret);
}

void page_write(const struct control *c, struct json_writer *w, const char *key)
{
	struct page_about about;
	page_about(c, &about);
	if (!about.listen.host.n) {
		json_write_null(w, key);
		return;
	}
	json_write_object(w, key);
	json_write_text(w, "address", about.listen.host);
	json_write_int(w, "port", about.listen.port);
	if (about.name.n)
		json_write_text(w, "name", about.name);
	else
		json_write_null(w, "name");
	json_write_bool(w, "https", about.https);
	json_write_c(w, "url", *about.url ? about.url : NULL);
	json_write_c(w, "state", about.state);
	json_write_c(w, "holder", about.holder);
	json_write_c(w, "error", about.error);
	json_write_c(w, "fingerprint", about.fingerprint);
	json_write_end(w);
}
