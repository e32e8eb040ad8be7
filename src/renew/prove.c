/* The proof that what is stored is served: a real handshake with every own TLS listener, which
 * offers no other kind of signature if another certificate stands beside it. One that
 * shows another certificate, or is not bound yet, is asked again for a while: workers take a new
 * certificate with their next turn, and a new listener comes with the next generation. */
#include "base/ip.h"
#include "renew/import.h"
#include "renew/private.h"

enum { TRIES_MOST = 8, FIRST_WAIT = 20 };

static void begin(struct registration *g);
static void probe_next(struct registration *g);

static struct registration *owner(struct proof *p)
{
	return OWNER(p, struct registration, proof);
}

static void finish(struct registration *g, const struct err *err)
{
	g->served_err = err ? *err : (struct err)ERR_INIT;
	if (!err)
		g->served_leaf = (struct cert){ 0 };
	g->served_at = loop_wall(g->renewals->needs.loop);
	tell_registration(g);
	g->proof.done(g, err);
}

static void try_again(struct timer *t)
{
	begin(owner(OWNER(t, struct proof, again)));
}

static void failed(struct registration *g, const struct err *why)
{
	struct proof *p = &g->proof;
	if (++p->tries < TRIES_MOST)
		timer_start(&p->again, g->renewals->needs.loop, FIRST_WAIT << (p->tries - 1),
		        try_again);
	else
		finish(g, why);
}

/* What visitors get instead; forgotten once the stored one is seen. */
static void keep_seen(struct registration *g, struct str der)
{
	struct err err = ERR_INIT;
	arena_clear(&g->served_arena);
	CHECK(cert_read(&g->served_arena, der, &g->served_leaf, &err)); /* it was read before */
}

static bool same_leaf(struct registration *g, struct str pem, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert seen;
	const struct serving_address *at = &g->proof.at[g->proof.next];
	if (!cert_chain_from_pem(&a, pem, chain, &count, err) ||
	        !cert_read(&a, chain[0], &seen, err))
		return false;
	if (!strcmp(seen.sha256, g->held.leaf.sha256))
		return true;
	keep_seen(g, chain[0]);
	return err_set(err, ERR_CONFLICT,
	        "Visitors of %.*s on %.*s, port %u, get another certificate "
	        "(serial %.*s) than the one stored (serial %.*s)." ERR_REMEDY
	        "Look whether another program answers there; if none does, `everseal reload`.",
	        STR_ARG(g->names[0]), STR_ARG(at->host), at->port, STR_ARG(seen.serial),
	        STR_ARG(g->held.leaf.serial));
}

static bool seen(
        struct registration *g, struct str leaf_pem, const struct err *unseen, struct err *err)
{
	const struct serving_address *at = &g->proof.at[g->proof.next];
	if (!unseen)
		return same_leaf(g, leaf_pem, err);
	return err_set(err, unseen->code, "%.*s, port %u, did not show a certificate: %s",
	        STR_ARG(at->host), at->port, unseen->text);
}

static void probed(struct fetch_probe *probe, struct str leaf_pem, const struct err *err)
{
	struct registration *g = owner(OWNER(probe, struct proof, probe));
	struct err why = ERR_INIT;
	if (!seen(g, leaf_pem, err, &why)) {
		failed(g, &why);
		return;
	}
	g->proof.next++;
	probe_next(g);
}

/* No wildcard and no address, if it has any other name. */
static struct str name_of(const struct registration *g)
{
	struct str name = g->names[0];
	for (size_t i = 0; i < g->name_count; i++) {
		if (!acme_is_wildcard(g->names[i]) && !ip_is(g->names[i]))
			return g->names[i];
		if (ip_is(g->names[i]))
			name = g->names[i];
	}
	return name;
}

/* As visitors ask for it; for a wildcard one that nobody has by itself. RFC 6066 3: an address is
 * asked for by connecting to it. */
static struct str asked_for(struct arena *a, struct str name)
{
	if (ip_is(name))
		return STR_NONE;
	return acme_is_wildcard(name) ? arena_printf(a, "everseal-probe.%.*s",
	                                        STR_ARG(acme_without_wildcard(name)))
	                              : name;
}

static void probe_next(struct registration *g)
{
	ARENA_AUTO a = ARENA_INIT;
	struct proof *p = &g->proof;
	if (p->next == p->count) {
		finish(g, NULL);
		return;
	}
	const struct str name = name_of(g);
	const bool rsa = key_type_is_rsa(g->key_type);
	const bool alone =
	        !registration_beside(g) && !imported_stands_beside(g->renewals, name, rsa);
	p->probe = (struct fetch_probe){
		.keys = alone ? FETCH_KEYS_ANY
		        : rsa ? FETCH_KEYS_RSA
		              : FETCH_KEYS_ECDSA,
		.address = p->at[p->next].host,
		.port = p->at[p->next].port,
		.server_name = asked_for(&a, name),
		.done = probed,
	};
	fetch_probe(g->renewals->needs.fetch, &p->probe);
}

static bool reachable(struct registration *g, struct err *err)
{
	struct serving *s = g->renewals->needs.serving;
	struct proof *p = &g->proof;
	if (g->listen.host.n && !s->ops->bound(s, &g->listen, err))
		return false;
	const struct str name = name_of(g);
	p->count = s->ops->addresses(s, name, p->at, PROBES_MOST);
	if (!p->count && ip_is(name))
		return err_set(err, ERR_BUSY,
		        "Visitors of %.*s come to none of the addresses that are bound for HTTPS, "
		        "so nobody can see the certificate yet." ERR_REMEDY
		        "Add `https` for that address, or for 0.0.0.0 and [::], to the "
		        "configuration.",
		        STR_ARG(name));
	return p->count ||
	       err_set(err, ERR_BUSY,
	               "No address for HTTPS could be bound, so nobody can "
	               "see the certificate yet: `everseal status` says who holds the ports.");
}

static void begin(struct registration *g)
{
	struct err err = ERR_INIT;
	g->proof.next = 0;
	if (reachable(g, &err))
		probe_next(g);
	else
		failed(g, &err);
}

void prove(struct registration *g, void (*done)(struct registration *g, const struct err *failed))
{
	prove_stop(g);
	g->proof = (struct proof){ .done = done };
	begin(g);
}

void prove_stop(struct registration *g)
{
	fetch_probe_abort(&g->proof.probe);
	timer_stop(&g->proof.again);
}
