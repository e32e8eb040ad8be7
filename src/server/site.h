/* What serve knows of the configuration: one generation, immutable once it is built, shared by all
 * workers by reference; running exchanges keep the one they began with. Built from the rows that
 * control sends (link/messages.h: generation … generation_end). */
#ifndef SERVER_SITE_H
#define SERVER_SITE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "link/messages.h"
#include "net/address.h"
#include "server/exchange.h"
#include "tls/tls.h"
#include <stdatomic.h>

/* Who answers for a site.
 *
 *	proxy    its upstreams
 *	none     nobody: it is named, but nothing stands behind it
 *	control  within the page's serve: control, each connection on a channel of its own. A
 *	         fallback of this kind answers for IP addresses only, for no name.
 *	api      within control, portal/: whoever came over control.sock, the machine's owner
 *	page     likewise, whoever came through the page's serve
 *
 * and, of routes within it,
 *
 *	files    a directory
 *	redirect, respond
 *	         the same answer to everybody */
/* clang-format off */
#define SITE_KINDS(X)                                                                              \
	X(PROXY, "proxy")                                                                          \
	X(NONE, "none")                                                                            \
	X(CONTROL, "control")                                                                      \
	X(API, "api")                                                                              \
	X(PAGE, "page")                                                                            \
	X(FILES, "files")                                                                          \
	X(REDIRECT, "redirect")                                                                    \
	X(RESPOND, "respond")
/* clang-format on */
enum site_kind {
#define X(name, text) SITE_##name,
	SITE_KINDS(X)
#undef X
	        SITE_KIND_COUNT
};

struct upstream {
	struct sockaddr_storage address; /* of the family AF_UNSPEC: see host */
	struct str host; /* a name whose addresses control tells; empty: address says it */
	struct str shown;
	struct str server_name; /* https: asked for and expected; empty: the address is expected */
	enum upstream_scheme scheme;
	uint16_t port;
	unsigned weight;
};

/* Settings of a group, each with its row in server/settings.c. Negative: the data plane's setting
 * of the same kind holds. */
struct upstream_options {
	int64_t connect_timeout, first_byte_timeout, answer_timeout, upstream_idle;
	int64_t fails, down, slow_start;
	int64_t max_connections, queue, queue_timeout;
	int64_t send_proxy;                /* version of the PROXY protocol, 0: none */
	int64_t interval, timeout, expect; /* of the health check */
};

/* Applications that answer in each other's place. */
struct upstreams {
	int64_t id;
	uint64_t identity; /* the same in a later generation if nothing of it has changed */
	struct upstream *at;
	size_t count;
	struct upstream_options options;
	struct str sticky; /* the cookie's name; empty: none */
	struct str health; /* the path that is asked; empty: nobody asks */
	struct str trust;  /* of https: certificates in DER, one behind the other */
};

struct site {
	int64_t id;
	struct str name; /* the first of its names, for logs and counters; "*" for the fallback */
	bool fallback;
	enum site_kind kind;
	struct tls_rules tls;
	bool unlogged;                     /* not in the access log */
	bool on_demand;                    /* see server/demand.h */
	const struct str *demand_patterns; /* none: every name */
	size_t demand_pattern_count;
	bool force_ssl, hsts_subdomains, hsts_preload, challenge_pass;
	uint16_t url_port;                 /* the port in an https URL to it; 443 is left out */
	int64_t hsts_age;                  /* seconds; 0: max-age=0 is sent; -1: no header */
	const struct upstreams *upstreams; /* NULL: none */
	const struct route *own;     /* of what no other route is for; NULL: there are no rules */
	const struct route **routes; /* as they are tried (server/rules.h) */
	size_t route_count;
};

struct site_name {
	struct map_node node; /* by name, lower case; "*.example.com" for a wildcard */
	struct site *site;
};

struct listener_row {
	int64_t id;
	struct str address,
	        default_name; /* default_name: the certificate for clients without SNI */
	uint16_t port;
	bool tls;
	bool plain_too;      /* beside TLS: the client's first byte decides */
	bool proxy_protocol; /* a trusted proxy says first who the client is */
	int fd; /* owned by the generation until generation_close_listeners; -1 afterwards */
};

/* The data plane's settings, each with its row in server/settings.c (default, bounds, help). */
struct limits {
	int64_t header_timeout, body_timeout, idle_timeout, handshake_timeout, drain_timeout;
	int64_t connect_timeout, answer_timeout, upstream_idle, tunnel_idle;
	uint64_t connections_per_worker, connections_per_address, body_most, upstream_connections,
	        requests_per_connection;
	uint64_t requests_per_address, requests_burst, memory_most, least_rate;
};

struct generation {
	atomic_uint refs;
	struct arena arena;
	int64_t number;
	struct str thumbprint;  /* of the default issuer's account key; "" if there is none yet */
	uint64_t sticky_key[2]; /* for the marks in cookies of `sticky` */
	struct listener_row *listeners;
	size_t listener_count;
	struct upstreams *upstreams; /* by id */
	size_t upstreams_count;
	struct map names;
	struct site *fallback; /* NULL: unknown hosts get 421 */
	struct route **routes; /* of all sites; heap */
	size_t route_count;
	int access_format; /* enum access_format */
	struct limits limits;
	struct cidr *trusted_proxies;
	size_t trusted_proxy_count;
};
struct generation *generation_ref(struct generation *g);
void generation_unref(struct generation **g);
/* Once no worker accepts for it any more: running exchanges may hold the rest for long. */
void generation_close_listeners(struct generation *g);

/* The site that answers for this host (lower case, no port): exact, wildcard, fallback, or NULL. */
const struct site *generation_site(const struct generation *g, struct str host);
bool generation_trusts(const struct generation *g, const struct sockaddr_storage *proxy);

/* Building: one builder takes the rows in any order between begin and end. A row's descriptor is
 * the builder's in any case. A generation without rows has the defaults and no site. */
struct generation_builder;
struct generation_builder *generation_begin(const struct msg_generation *m);
MUST_CHECK bool generation_row(
        struct generation_builder *b, enum msg_type type, const void *fields, struct err *err);
MUST_CHECK struct generation *generation_build(struct generation_builder **b, struct err *err);
void generation_drop(struct generation_builder **b);

#endif
