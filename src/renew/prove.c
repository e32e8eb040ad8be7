/* The proof after an issue: a real handshake with every own TLS listener, and what it served
 * compared with what is stored. A listener that shows the old one is asked again for a while:
 * workers take a new certificate with their next turn. */
#include "renew/private.h"

enum { TRIES_MOST = 8, FIRST_WAIT = 10 };

static void probe_next(struct proof *p);

static void finish(struct proof *p, const struct err *err)
{
	struct registration *g = p->registration;
	if (err)
		g->served_err = *err;
	else
		g->served_err = (struct err)ERR_INIT;
	g->served_at = loop_wall(g->renewals->needs.loop);
	schedule_proven(g, err);
}

/* Sets err unless it is the stored one. */
static void same_leaf(struct registration *g, const struct serving_address *at, struct str pem,
                      struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert seen;
	if (!cert_chain_from_pem(&a, pem, chain, &count, err) || !cert_read(&a, chain[0], &seen, err))
		return;
	if (strcmp(seen.sha256, g->held.leaf.sha256) != 0)
		err_set(err, ERR_CONFLICT, "Visitors of %.*s on %.*s, port %u, get another certificate "
			"(serial %.*s) than the one stored (serial %.*s).", STR_ARG(g->names[0]),
			STR_ARG(at->host), at->port, STR_ARG(seen.serial),
			STR_ARG(g->held.leaf.serial));
}

static void try_again(struct timer *t)
{
	probe_next(OWNER(t, struct proof, again));
}

static void probed(struct fetch_probe *probe, struct str leaf_pem, const struct err *err)
{
	struct proof *p = OWNER(probe, struct proof, probe);
	struct registration *g = p->registration;
	const struct serving_address *at = &p->at[p->next];
	struct err why = ERR_INIT;
	if (err)
		err_set(&why, err->code, "%.*s, port %u, did not show a certificate: %s", STR_ARG(at->host),
			at->port, err->text);
	else
		same_leaf(g, at, leaf_pem, &why);
	if (!why.code) {
		p->next++;
		p->tries = 0;
		probe_next(p);
	} else if (++p->tries < TRIES_MOST) {
		timer_start(&p->again, g->renewals->needs.loop, FIRST_WAIT << p->tries, try_again);
	} else {
		finish(p, &why);
	}
}

static void probe_next(struct proof *p)
{
	struct registration *g = p->registration;
	if (p->next == p->count) {
		finish(p, NULL);
		return;
	}
	p->probe = (struct fetch_probe){
		.address = p->at[p->next].host,
		.port = p->at[p->next].port,
		.server_name = g->names[0],
		.done = probed,
	};
	fetch_probe(g->renewals->needs.fetch, &p->probe);
}

static void nothing_bound(struct timer *t)
{
	struct proof *p = OWNER(t, struct proof, again);
	struct err err = p->err;
	finish(p, &err);
}

void prove(struct registration *g)
{
	struct serving *s = g->renewals->needs.serving;
	struct proof *p = &g->proof;
	struct err err = ERR_INIT;
	prove_stop(g);
	*p = (struct proof){ .registration = g };
	p->count = s->ops->addresses(s, g->names[0], p->at, PROBES_MOST);
	bool own = !g->listen.host.n || s->ops->bound(s, &g->listen, &err);
	if (own && p->count) {
		probe_next(p);
		return;
	}
	if (own)
		err_set(&err, ERR_BUSY, "No address for HTTPS could be bound, so nobody can see the "
			"certificate yet: `everseal status` says who holds the ports.");
	p->err = err;
	timer_start(&p->again, g->renewals->needs.loop, 0, nothing_bound);
}

void prove_stop(struct registration *g)
{
	fetch_probe_abort(&g->proof.probe);
	timer_stop(&g->proof.again);
}
