/* The addresses that are listened on: asked of the supervisor, kept until nothing needs them. */
#include "control/control.h"
#include <errno.h>

static struct binding *binding_at(struct control *c, const struct address *a)
{
	LIST_EACH (n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->port == a->port && str_eq_c(a->host, b->host))
			return b;
	}
	return NULL;
}

struct binding *binding_new(struct control *c, struct list *to, const struct address *a)
{
	return binding_new_for(c, to, a, /* udp= */ false);
}

struct binding *binding_new_for(
        struct control *c, struct list *to, const struct address *a, bool udp)
{
	struct binding *b = mem_new(struct binding);
	b->id = ++c->last_binding;
	b->host = str_dup(a->host);
	b->port = a->port;
	b->fd = -1;
	b->udp = udp;
	list_add_last(to, &b->node);
	link_send(
	        &c->supervisor, bind, .id = b->id, .address = a->host, .port = a->port, .udp = udp);
	return b;
}

/* One pass over what is wanted. */
struct wanting {
	struct control *control;
	int64_t number;
	bool asks; /* for what is missing */
};

/* The first that wants an address says what is spoken there: the file goes before registrations. */
static void want(const struct wanting *w, const struct address *a, bool tls)
{
	struct binding *b = binding_at(w->control, a);
	if (!b && w->asks) {
		b = binding_new(w->control, &w->control->bindings, a);
		b->since = w->number;
	}
	if (!b)
		return;
	if (!b->wanted) {
		b->tls = tls;
		b->proxy_protocol = a->proxy_protocol;
	}
	b->wanted = true;
}

static void want_all(const struct wanting *w, const struct config *config)
{
	SITES_AUTO sites;
	LIST_EACH (n, &w->control->bindings)
		OWNER(n, struct binding, node)->wanted = false;
	for (size_t i = 0; i < config->http_count; i++)
		want(w, &config->http[i], /* tls= */ false);
	for (size_t i = 0; i < config->https_count; i++)
		want(w, &config->https[i], /* tls= */ true);
	sites_collect(w->control, config, &sites);
	for (size_t i = 0; i < sites.count; i++)
		if (sites.at[i].listen.host.n)
			want(w, &sites.at[i].listen, /* tls= */ true);
}

void bindings_want(struct control *c, const struct config *config, int64_t number)
{
	want_all(&(struct wanting){ c, number, .asks = true }, config);
}

void bindings_restore(struct control *c, int64_t number)
{
	want_all(&(struct wanting){ c, number, .asks = false }, c->config);
	bindings_release(c);
	bindings_want(c, c->config, number);
}

/* ---- addresses that give way ---- */

/* The file's, one after the other; NULL behind the last. */
static const struct address *file_address(const struct config *config, size_t index)
{
	if (index < config->http_count)
		return &config->http[index];
	index -= config->http_count;
	return index < config->https_count ? &config->https[index] : NULL;
}

static bool same(const struct address *a, const struct address *b)
{
	return a->port == b->port && str_eq(a->host, b->host);
}

bool addresses_overlap(const struct address *a, const struct address *b)
{
	const struct str any = str_has(a->host, ':') ? STR("::") : STR("0.0.0.0");
	return a->port == b->port && str_has(a->host, ':') == str_has(b->host, ':') &&
	       (str_eq(a->host, any) || str_eq(b->host, any));
}

static bool in_the_way(const struct address *a, const struct config *next)
{
	const struct address *wanted;
	bool overlaps = false;
	for (size_t i = 0; (wanted = file_address(next, i)); i++) {
		if (same(a, wanted))
			return false;
		overlaps |= addresses_overlap(a, wanted);
	}
	return overlaps;
}

bool bindings_give_way(struct control *c, const struct config *next)
{
	const struct address *a;
	bool any = false;
	for (size_t i = 0; (a = file_address(c->config, i)); i++) {
		struct binding *b = binding_at(c, a);
		if (!b || b->fd < 0 || !in_the_way(a, next))
			continue;
		b->wanted = false;
		any = true;
	}
	return any;
}

/* ---- what the supervisor is asked and says ---- */

void binding_release(struct control *c, struct binding *b)
{
	link_send(&c->supervisor, release, .id = b->id);
	if (b->fd >= 0)
		close(b->fd);
	list_remove(&b->node);
	free(b->host);
	free(b->holder);
	free(b);
}

void bindings_release(struct control *c)
{
	LIST_EACH (n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (!b->wanted)
			binding_release(c, b);
	}
}

bool bindings_answered(const struct control *c)
{
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->wanted && b->fd < 0 && !b->error)
			return false;
	}
	return true;
}

const struct binding *bindings_failed(const struct control *c, int64_t number)
{
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->wanted && b->fd < 0 && b->error && b->since == number)
			return b;
	}
	return NULL;
}

struct binding *binding_in(const struct list *all, int64_t id)
{
	LIST_EACH (n, all)
		if (OWNER(n, struct binding, node)->id == id)
			return OWNER(n, struct binding, node);
	return NULL;
}

const struct binding *binding_by_id(const struct control *c, int64_t id)
{
	return binding_in(&c->bindings, id);
}

const char *binding_why(const struct binding *b)
{
	if (b->error == EADDRNOTAVAIL)
		return "This machine does not have that address";
	return b->error ? strerror(b->error) : NULL;
}

bool binding_error(const struct binding *b, struct err *err)
{
	if (b->holder && *b->holder)
		return err_set(err, ERR_BUSY,
		        "%s holds port %u of %s. Everseal takes nothing away: choose "
		        "another address or port, or stop it.",
		        b->holder, b->port, b->host);
	if (b->error == EACCES)
		return err_set(err, ERR_PERMISSION,
		        "Port %u of %s needs a right that Everseal does not "
		        "have: start it as root, or give it CAP_NET_BIND_SERVICE.",
		        b->port, b->host);
	if (b->error == EADDRNOTAVAIL)
		return err_set(err, ERR_BUSY,
		        "This machine does not have the address %s: give it that address, or "
		        "choose another.",
		        b->host);
	return err_sys(err, ERR_BUSY, b->error, "Port %u of %s cannot be bound", b->port, b->host);
}

static void say(struct control *c, const struct binding *b)
{
	struct err err = ERR_INIT;
	if (b->fd >= 0) {
		log_info(&c->log, "Listening on %s, port %u%s.", b->host, b->port,
		        b->udp ? ", by UDP" : "");
		return;
	}
	if (b->error == EAFNOSUPPORT) {
		log_info(&c->log, "This machine has no IPv6, so %s, port %u, is not listened on.",
		        b->host, b->port);
		return;
	}
	binding_error(b, &err);
	log_error(&c->log, "%s It is tried again every second.", err.text);
}

bool bindings_heard(struct control *c, const struct msg_bound *m)
{
	struct binding *b = binding_in(&c->bindings, m->id);
	if (b)
		return binding_heard(c, b, m);
	if (m->fd >= 0)
		close(m->fd);
	return false;
}

bool binding_heard(struct control *c, struct binding *b, const struct msg_bound *m)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = m->fd;
	b->error = m->fd >= 0 ? 0 : m->error > 0 && m->error < 4096 ? (int)m->error : EIO;
	free(b->holder);
	b->holder = str_dup(m->holder);
	say(c, b);
	return b->fd >= 0;
}
