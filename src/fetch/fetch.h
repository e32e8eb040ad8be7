/* Outgoing exchanges as control sees them. The work is done by the fetch process (fetcher/); tests
 * put a scripted one in its place through the ops.
 *
 * A call is the caller's struct: filled, started, then `done` fires exactly once, never before
 * fetch_start has returned; fetch_abort means never. Either `reply` is set (any HTTP status) or
 * `err` says why there is none. */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/list.h"

struct fetch_reply {
	unsigned status;
	struct str headers; /* "name: value\n" lines, names in lower case */
	struct str body;
};
/* The value of a reply's header, STR_NONE if absent; with `nth`, the nth (0 = first) of its
 * name. */
struct str fetch_header(const struct fetch_reply *reply, const char *name, unsigned nth);
struct str fetch_header_of(struct str headers, const char *name, unsigned nth);
/* Retry-After in ms from now_wall (seconds or HTTP date), -1 if absent or unreadable. */
int64_t fetch_retry_after(const struct fetch_reply *reply, int64_t now_wall);

/* `node`, `fetch` and `id` are the implementation's. */
struct fetch_call {
	/* purpose: a row of the fetcher's table of rules ("acme": https only, no redirects; "mail":
	 * url is that of an SMTP server, headers are from, to, user and password) */
	const char *purpose, *method;
	struct str url, headers, body; /* copied by fetch_start; headers "name: value\n" */
	struct str trust; /* PEM to trust instead of the system's store; empty: the system's */
	int64_t timeout;  /* ms for the whole; 0: 30 s */
	size_t most;      /* bytes of body accepted; 0: 256 KiB */
	void (*done)(
	        struct fetch_call *call, const struct fetch_reply *reply, const struct err *err);
	struct list node;
	struct fetch *fetch; /* NULL when not started */
	int64_t id;
};

/* Which signatures a handshake offers to verify. */
enum fetch_keys { FETCH_KEYS_ANY, FETCH_KEYS_ECDSA, FETCH_KEYS_RSA };

/* A TLS handshake with server_name at address:port, whatever certificate it shows. address is an
 * IP address without brackets. */
struct fetch_probe {
	struct str address, server_name; /* copied by fetch_probe */
	uint16_t port;
	enum fetch_keys keys;
	void (*done)(struct fetch_probe *probe, struct str leaf_pem, const struct err *err);
	struct list node;
	struct fetch *fetch;
	int64_t id;
};

/* One DNS question, asked by the fetch process. type and outcome are words of dns/dns.h. */
struct fetch_resolved {
	struct str outcome, owner; /* owner: the name that has the records (CAA: maybe a parent) */
	struct str aliases, records; /* a line each */
	struct str server;           /* who answered, or was asked last: "ADDRESS:PORT" */
	int64_t ms;
	int64_t ttl; /* s, for how long the records may be remembered */
};
struct fetch_resolve {
	struct str name, servers; /* copied; servers "ADDRESS:PORT\n…", empty: the system's */
	const char *type;
	bool hosts;         /* what /etc/hosts says goes before DNS */
	bool authoritative; /* the servers are the name's own, and answer as that */
	int64_t timeout;    /* ms; 0: 5 s */
	void (*done)(struct fetch_resolve *r, const struct fetch_resolved *resolved,
	        const struct err *err);
	struct list node;
	struct fetch *fetch;
	int64_t id;
};

/* A GET of our own nonce, as a CA would ask for it: from that address and no other, redirects not
 * followed, certificates not judged, the body not kept. The fetch process sends it only if the
 * URL's port is one of the two and the URL has the nonce in it, and, unless `anywhere`, if the
 * address is public. */
struct fetch_dialled {
	unsigned status;
	struct str headers; /* those that diagnosis speaks of, lower case, "name: value\n" */
	bool matched;       /* the body was the text expected */
	int64_t ms;
};
struct fetch_dial {
	struct str url, address, expected; /* copied; expected: "NONCE.REST" */
	uint16_t http_port, https_port;
	bool anywhere;   /* the name is configured here: also to addresses that are not public */
	int64_t timeout; /* ms; 0: 10 s */
	void (*done)(
	        struct fetch_dial *d, const struct fetch_dialled *dialled, const struct err *err);
	struct list node;
	struct fetch *fetch;
	int64_t id;
};

/* One TXT record added to a zone of that server, or removed (RFC 2136). */
struct fetch_update {
	struct str server; /* "ADDRESS:PORT"; all texts are copied */
	struct str zone, name, value;
	bool remove;
	struct str key_name, hmac, secret; /* TSIG, secret in base64; key_name empty: unsigned */
	int64_t timeout;                   /* ms; 0: 15 s */
	void (*done)(struct fetch_update *u, const struct err *err); /* err NULL: it is done */
	struct list node;
	struct fetch *fetch;
	int64_t id;
};

/* The delegated zones that the fetch process answers for. What is here is the caller's, lives while
 * it is attached, and is told as a whole: when it is attached, when the caller says that it has
 * changed, and to each new fetch process. */
struct fetch_value {
	struct str name, text;
};
struct fetch_zone {
	struct str zone, server, addresses; /* as in dns/dns.h's dns_zone */
	const struct fetch_value *values;
	size_t value_count;
};
struct fetch_zones {
	const struct fetch_zone *at;
	size_t count;
	const int *sockets; /* listening ones, UDP and TCP; told of only at `sockets_changed` */
	size_t socket_count;
	int64_t number; /* of this state, from 1 on */
	/* The state of that number is answered from now on; 0: nothing is, the process is gone.
	 * Never within fetch_zones. */
	void (*served)(struct fetch_zones *z, int64_t number);
};

struct fetch;
struct fetch_ops {
	void (*start)(struct fetch *f, struct fetch_call *call);
	void (*abort)(struct fetch *f, struct fetch_call *call);
	void (*probe)(struct fetch *f, struct fetch_probe *probe);
	void (*probe_abort)(struct fetch *f, struct fetch_probe *probe);
	void (*resolve)(struct fetch *f, struct fetch_resolve *resolve);
	void (*resolve_abort)(struct fetch *f, struct fetch_resolve *resolve);
	void (*dial)(struct fetch *f, struct fetch_dial *dial);
	void (*dial_abort)(struct fetch *f, struct fetch_dial *dial);
	void (*update)(struct fetch *f, struct fetch_update *update);
	void (*update_abort)(struct fetch *f, struct fetch_update *update);
	void (*zones)(struct fetch *f, struct fetch_zones *zones, bool sockets_changed);
};
struct fetch {
	const struct fetch_ops *ops;
};
static inline void fetch_start(struct fetch *f, struct fetch_call *c)
{
	f->ops->start(f, c);
}
static inline void fetch_abort(struct fetch_call *c)
{
	if (c->fetch)
		c->fetch->ops->abort(c->fetch, c);
}
static inline void fetch_probe(struct fetch *f, struct fetch_probe *p)
{
	f->ops->probe(f, p);
}
static inline void fetch_probe_abort(struct fetch_probe *p)
{
	if (p->fetch)
		p->fetch->ops->probe_abort(p->fetch, p);
}
static inline void fetch_resolve(struct fetch *f, struct fetch_resolve *r)
{
	f->ops->resolve(f, r);
}
static inline void fetch_resolve_abort(struct fetch_resolve *r)
{
	if (r->fetch)
		r->fetch->ops->resolve_abort(r->fetch, r);
}
static inline void fetch_dial(struct fetch *f, struct fetch_dial *d)
{
	f->ops->dial(f, d);
}
static inline void fetch_dial_abort(struct fetch_dial *d)
{
	if (d->fetch)
		d->fetch->ops->dial_abort(d->fetch, d);
}
static inline void fetch_update(struct fetch *f, struct fetch_update *u)
{
	f->ops->update(f, u);
}
static inline void fetch_update_abort(struct fetch_update *u)
{
	if (u->fetch)
		u->fetch->ops->update_abort(u->fetch, u);
}
/* Attaches, or tells of a change; NULL: there is none any more. */
static inline void fetch_zones(struct fetch *f, struct fetch_zones *z, bool sockets_changed)
{
	f->ops->zones(f, z, sockets_changed);
}

/* The real one: over the link to the fetch process. When that process dies, calls under way end
 * with ERR_UNREACHABLE; those started while there is none wait for the next link until their
 * time-out. A body of more than 1 MiB is refused. */
struct loop;
struct fetch *fetch_link_new(struct loop *loop);
void fetch_link_attach(struct fetch *f, int fd);     /* a new link to a new fetch process */
struct str fetch_link_fences(const struct fetch *f); /* which stand around it, for `status` */
void fetch_link_free(struct fetch **f);              /* aborts what is under way */

#endif
