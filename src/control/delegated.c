/* Proofs by DNS, wired: where the delegated zones are listened for, and who proves what. */
#include "control/control.h"
#include "issue/dns01.h"
#include "issue/dns_persist.h"

void delegated_init(struct control *c)
{
	const struct dns01_needs needs = {
		.loop = c->loop, .fetch = c->fetch, .programs = c->programs, .log = &c->log
	};
	list_init(&c->dns_bindings);
	c->dns01 = dns01_new(&needs);
	c->dns_persist = dns_persist_new(&needs);
}

void delegated_done(struct control *c)
{
	dns_persist_free(&c->dns_persist);
	dns01_free(&c->dns01);
	LIST_EACH (n, &c->dns_bindings)
		binding_release(c, OWNER(n, struct binding, node));
	free(c->dns_sockets);
	c->dns_sockets = NULL;
}

/* By UDP and by TCP, each a binding of its own. */
static void want_one(struct control *c, const struct address *a, bool udp)
{
	LIST_EACH (n, &c->dns_bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->udp != udp || b->port != a->port || !str_eq_c(a->host, b->host))
			continue;
		b->wanted = true;
		return;
	}
	binding_new_for(c, &c->dns_bindings, a, udp)->wanted = true;
}

static void want_all(struct control *c, const struct config_dns *d)
{
	for (size_t i = 0; i < d->listen_count; i++) {
		want_one(c, &d->listen[i], /* udp= */ true);
		want_one(c, &d->listen[i], /* udp= */ false);
	}
}

static void tell_sockets(struct control *c)
{
	size_t count = 0;
	LIST_EACH (n, &c->dns_bindings)
		count += OWNER(n, struct binding, node)->fd >= 0;
	int *sockets = mem_array(sizeof *sockets, count + 1);
	count = 0;
	LIST_EACH (n, &c->dns_bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (b->fd >= 0)
			sockets[count++] = b->fd;
	}
	dns_table_listen(dns01_table(c->dns01), sockets, count);
	free(c->dns_sockets);
	c->dns_sockets = sockets;
}

/* Those that are wanted no more go first: they may exclude one. */
void delegated_configured(struct control *c)
{
	bool changed = false;
	LIST_EACH (n, &c->dns_bindings)
		OWNER(n, struct binding, node)->wanted = false;
	dns01_configure(c->dns01, c->config);
	dns_persist_configure(c->dns_persist, c->config);
	want_all(c, &c->config->dns);
	for (size_t i = 0; i < c->config->site_count; i++)
		want_all(c, &c->config->sites[i].dns);
	LIST_EACH (n, &c->dns_bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->wanted)
			continue;
		binding_release(c, b);
		changed = true;
	}
	if (changed)
		tell_sockets(c);
}

bool delegated_bound(struct control *c, const struct msg_bound *m)
{
	struct binding *b = binding_in(&c->dns_bindings, m->id);
	if (!b)
		return false;
	(void)binding_heard(c, b, m);
	tell_sockets(c);
	return true;
}
