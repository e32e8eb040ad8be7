/* Every message between processes, in one table: its name and its fields in order. The structs
 * (struct msg_NAME), the encoder and the checking decoder are made from it (link/messages.c).
 *
 * INT is int64_t, FLAG is bool, TEXT is struct str (any bytes), FD is a descriptor (at most one per
 * message). A sent FD of 0 or below is none, so that a field left out sends nothing; a received one
 * that is none is -1. Received texts are borrowed from the link until its callback returns, and are
 * not followed by a NUL; a received descriptor belongs to the receiver, also if he has no use for
 * it. */
#ifndef LINK_MESSAGES_H
#define LINK_MESSAGES_H

#include "base/str.h"

/* Which process a link leads to. */
enum process { PROCESS_CONTROL, PROCESS_FETCH, PROCESS_SERVE, PROCESS_PAGE, PROCESS_COUNT };
const char *process_name(enum process p);

/* How an application is spoken to: HTTP/1.1, over TLS, HTTP/2 with prior knowledge, HTTP/1.1 over a
 * Unix socket. */
#define UPSTREAM_SCHEMES(X) X(HTTP, "http") X(HTTPS, "https") X(H2C, "h2c") X(UNIX, "unix")
enum upstream_scheme {
#define X(name, text) UPSTREAM_##name,
	UPSTREAM_SCHEMES(X)
#undef X
	        UPSTREAM_SCHEME_COUNT
};

/* clang-format off */
#define MESSAGES(X, INT, FLAG, TEXT, FD)                                                           \
	/* supervisor -> any: your link to another process; replaces the one you had */            \
	X(peer, INT(process) INT(pid) FD(fd))                                                      \
	/* supervisor -> serve and page: memory that outlives them, for the keys of tickets */     \
	X(tickets, FD(fd))                                                                         \
	/* supervisor -> control: what became of `bind`; error is errno, holder "nginx (process 812)" */ \
	X(bound, INT(id) INT(error) TEXT(holder) FD(fd))                                           \
	/* supervisor -> control: who listens there; empty: nobody that can be seen */             \
	X(holder, INT(id) TEXT(holder))                                                            \
	/* supervisor -> control: what became of `upgrade`; to the one then running */             \
	X(upgraded, FLAG(done) TEXT(sentence))                                                     \
	/* supervisor -> control: SIGHUP came */                                                   \
	X(reload, )                                                                                \
	/* supervisor -> control: SIGUSR1 came */                                                  \
	X(reopen, )                                                                                \
	/* supervisor -> any: end in an orderly way; succeeded: another serve accepts already, so  \
	 * who is connected may ask once more */                                                   \
	X(stop, FLAG(succeeded))                                                                   \
	/* control -> supervisor */                                                                \
	X(identity, TEXT(user) INT(uid) INT(gid) INT(workers)) /* whom fetch and the serves become */ \
	X(bind, INT(id) TEXT(address) INT(port) FLAG(udp))     /* address without brackets */      \
	X(release, INT(id))                                                                        \
	X(renew, INT(process))         /* another one beside it; it goes on until `renewed` */     \
	X(renewed, INT(process))       /* the new one has what it needs */                         \
	X(who_holds, INT(id) TEXT(address) INT(port))          /* answered by `holder` */          \
	X(ready, TEXT(status))                                 /* first generation stands */       \
	X(upgrade, )                                           /* answered by `upgraded` */        \
	/* a program with its arguments and environment, NUL after each, as that user (-1: as who    \
	 * we are, unless that is root) */                                                         \
	X(program, INT(id) TEXT(arguments) TEXT(environment) INT(uid) INT(gid) INT(timeout))       \
	/* supervisor -> control: error is errno, status as from waitpid */                        \
	X(program_ended, INT(id) INT(error) INT(status) FLAG(late) TEXT(output))                   \
	/* control -> serve: certificates and challenges, outside of generations */                \
	X(segment, INT(index) FD(fd))                                                              \
	X(segment_valid, INT(index) INT(valid))                                                    \
	X(challenge, TEXT(token) TEXT(thumbprint) TEXT(name))                                      \
	/* control -> serve: a proof by TLS: whom to show leaf and key to (DER) */                 \
	X(challenge_tls, TEXT(token) TEXT(server_name) TEXT(leaf) TEXT(key))                       \
	X(challenge_gone, TEXT(token))                                                             \
	/* control -> serve: where lines of the access log go from now on; none: nowhere */        \
	X(access_log_file, FD(fd))                                                                 \
	/* control -> serve: what has been counted, answered by `counted` each and `counted_end` */ \
	X(count, )                                                                                 \
	X(counted, INT(kind) TEXT(name) TEXT(numbers)) /* as server/counters.h prints them */      \
	/* handshakes of TLS since serve began */                                                 \
	X(counted_end, INT(full) INT(resumed) INT(failed))                                         \
	/* serve -> control: every worker answers that token */                                    \
	X(challenge_ready, TEXT(token))                                                            \
	/* control -> serve, likewise: what a name stands for, addresses with spaces between; of a   \
	 * Unix socket: its directory, and its name there */                                       \
	X(host, TEXT(name) TEXT(addresses) FD(fd))                                                 \
	/* control -> serve: a generation: begin, rows, end; then commit or abort */               \
	X(generation, INT(number) TEXT(thumbprint) TEXT(sticky_key))                                                \
	X(listener, INT(id) TEXT(address) INT(port) FLAG(tls) FLAG(plain_too) FLAG(proxy_protocol) \
		TEXT(default_name) FD(fd))                                                                            \
	X(site, INT(id) TEXT(name) FLAG(fallback) INT(kind) FLAG(force_ssl) INT(url_port)          \
		INT(hsts_age) FLAG(hsts_subdomains) FLAG(hsts_preload) FLAG(challenge_pass) FLAG(unlogged) FLAG(modern_tls) TEXT(client_ca)        \
		INT(upstreams) FLAG(on_demand))                                                    \
	X(site_name, INT(site) TEXT(name))                                                         \
	X(demand_pattern, INT(site) TEXT(pattern)) /* of on_demand; none: every name */            \
	/* applications that answer in each other's place, by number; 0 in a site: it has none */  \
	X(upstreams, INT(id) TEXT(sticky) TEXT(health) INT(trust))                                            \
	/* certificates that vouch for applications: DER one behind the other, in a memfd */        \
	X(trust, INT(id) FD(fd))                                                                   \
	X(upstreams_option, INT(upstreams) TEXT(name) INT(value)) /* by its setting's name */      \
	/* host: an address, or a name that `host` tells the addresses of */                       \
	X(upstream, INT(upstreams) INT(scheme) TEXT(host) INT(port) TEXT(shown)                    \
		TEXT(server_name) INT(weight))                                                     \
	/* rules and what answers: as of the site if it inherits that; else kind as of a site,       \
	 * upstreams, 0 being the site's, root: the directory of FILES. Rows that say more of it    \
	 * follow it */                                                                            \
	X(route, INT(id) INT(site) TEXT(path) FLAG(beneath) FLAG(inherits) INT(kind)               \
		INT(upstreams) INT(status) TEXT(text) TEXT(users) INT(forward)       \
		TEXT(forward_path) FLAG(gzip) FLAG(maintenance) TEXT(notice) FD(root))                     \
	X(route_copy, INT(route) TEXT(name)) /* of forward, whose upstreams those are; 0: none */  \
	X(route_access, INT(route) TEXT(cidr) FLAG(allow))                                         \
	X(route_header, INT(route) FLAG(request) INT(change) TEXT(name) TEXT(value))               \
	X(limit, TEXT(name) INT(value))              /* a setting of the data plane by its name */ \
	X(access_log, TEXT(format))                  /* a word of access-log */                   \
	X(trusted_proxy, TEXT(cidr))                                                               \
	/* control -> serve, outside of generations: enum password_verdict; wait: ms */            \
	X(password_checked, INT(id) INT(verdict) INT(wait))                                        \
	/* likewise: enum demand_verdict, which holds for `keep` ms */                             \
	X(demand_answered, TEXT(name) INT(verdict) INT(keep))                                      \
	X(generation_end, INT(number))                                                             \
	X(commit, INT(number))                                                                     \
	X(abort, INT(number))                                                                      \
	/* serve -> control */                                                                     \
	X(prepared, INT(number))                                                                   \
	X(refused, INT(number) TEXT(sentence))                                                     \
	X(outgrown, INT(number))                     /* only a serve started anew can take it */   \
	X(committed, INT(number))                                                                  \
	X(credit, INT(messages))                     /* control may send that many more rows */    \
	X(fences, TEXT(standing))                    /* which fences stand, for `status` */        \
	X(log, INT(level) TEXT(fields) TEXT(text))                                                 \
	X(dropped, INT(events))                      /* log and seen events that found no room */  \
	/* a visitor, rarely told; one from here only of what came on demand */                    \
	X(seen, TEXT(site) TEXT(client) FLAG(tls) FLAG(outside) INT(at))                           \
	X(challenge_seen, TEXT(token) TEXT(client))        /* somebody fetched an open token */  \
	/* serve -> control: does it fit; users: the list, as in `route` */                        \
	X(check_password, INT(id) TEXT(users) TEXT(client) TEXT(user) TEXT(password))              \
	/* serve -> control: a handshake waits for a name without a certificate, on demand */      \
	X(demand, TEXT(name) TEXT(client))                                                         \
	X(hsts_sent, TEXT(host) INT(age) INT(at))    /* the longest told so far, rarely told */    \
	/* an upstream begins to fail, or is well again; address as in "10.0.0.5:3000" */        \
	X(upstream_state, TEXT(address) FLAG(up) TEXT(why) INT(at))                                \
	/* within serve: what the worker that asks found, for all of them */                       \
	X(health, INT(upstreams) TEXT(address) FLAG(well) TEXT(why))                               \
	/* page -> control: a channel for one client's connection, HTTP/1.1; temporary: what it     \
	 * was served with was the page's self-made certificate */                                 \
	X(connection, TEXT(client) FLAG(tls) FLAG(temporary) FD(fd))                               \
	/* control -> fetch: one exchange: fetch, trust and body in pieces, go */                  \
	X(fetch, INT(id) TEXT(purpose) TEXT(method) TEXT(url) TEXT(headers) INT(timeout)           \
		INT(most))                                                                         \
	X(fetch_trust, INT(id) TEXT(piece))          /* PEM, instead of the system's store */      \
	X(fetch_body, INT(id) TEXT(piece))                                                         \
	X(fetch_go, INT(id))                                                                       \
	X(fetch_abort, INT(id))                                                                    \
	/* fetch -> control; headers "name: value\n…", error is an err_code, 0 when all is well */ \
	X(reply, INT(id) INT(status) TEXT(headers))                                                \
	X(reply_body, INT(id) TEXT(piece))                                                         \
	X(reply_end, INT(id) INT(error) TEXT(sentence))                                            \
	/* control -> fetch: a TLS handshake with one of our own listeners; the leaf it served */  \
	X(probe, INT(id) TEXT(address) INT(port) TEXT(server_name) INT(keys) INT(timeout))         \
	X(probed, INT(id) INT(error) TEXT(sentence) TEXT(leaf_pem))                                \
	/* control -> fetch: one DNS question; servers "ADDRESS:PORT\n…", empty: the system's;      \
	 * hosts: what /etc/hosts says goes first */                                               \
	X(resolve, INT(id) TEXT(name) TEXT(type) TEXT(servers) INT(timeout) FLAG(hosts)            \
		FLAG(authoritative))                                                               \
	/* the words of dns/dns.h; owner: where it was found; aliases and records a line each, which \
	 * may be remembered for ttl seconds */                                                    \
	X(resolved, INT(id) TEXT(outcome) TEXT(owner) TEXT(aliases) TEXT(records) TEXT(server)     \
		INT(ms) TEXT(sentence) INT(ttl))                                                   \
	/* control -> fetch: a TXT record added to a zone of that server, or removed (RFC 2136);   \
	 * signed if there is a key, whose secret is base64 */                                     \
	X(update, INT(id) TEXT(server) TEXT(zone) TEXT(name) TEXT(value) FLAG(remove)              \
		TEXT(key_name) TEXT(hmac) TEXT(secret) INT(timeout))                               \
	X(updated, INT(id) INT(error) TEXT(sentence))                                              \
	/* control -> fetch: where the delegated zones are asked for: instead of those before; UDP  \
	 * and TCP */                                                                              \
	X(zone_sockets, )                                                                          \
	X(zone_socket, FD(fd))                                                                     \
	/* what is answered, instead of what was: zones, each with its values; then the end, which \
	 * is answered by `zones_served` */                                                        \
	X(zones, )                                                                                 \
	X(zone, TEXT(zone) TEXT(server) TEXT(addresses))                                           \
	X(zone_value, TEXT(name) TEXT(text))                                                       \
	X(zones_end, INT(number))                                                                  \
	X(zones_served, INT(number))                                                               \
	/* control -> fetch: a GET of our own nonce at that address, as a CA would ask for it */   \
	X(dial, INT(id) TEXT(url) TEXT(address) TEXT(expected) INT(http_port) INT(https_port)      \
		FLAG(anywhere) INT(timeout))                                                       \
	X(dialled, INT(id) INT(error) TEXT(sentence) INT(status) TEXT(headers) FLAG(matched)       \
		INT(ms))
/* clang-format on */

/* Of password_checked: it fits, it does not, not before `wait`, nobody could look. */
enum password_verdict { PASSWORD_FITS, PASSWORD_WRONG, PASSWORD_WAIT, PASSWORD_BUSY };

/* Of demand_answered: not yet; there is a certificate; there is to be none; it cannot be said. */
enum demand_verdict { DEMAND_PENDING, DEMAND_ISSUED, DEMAND_DENIED, DEMAND_BUSY };

enum msg_type {
	MSG_none,
#define X(name, ...) MSG_##name,
	MESSAGES(X, , , , )
#undef X
	        MSG_COUNT
};
const char *msg_name(enum msg_type type);

#define MSG_INT(field)  int64_t field;
#define MSG_FLAG(field) bool field;
#define MSG_TEXT(field) struct str field;
#define MSG_FD(field)   int field;
/* `_` carries nothing: a message may have no fields, a struct must have a member. */
#define X(name, ...)                                                                               \
	struct msg_##name {                                                                        \
		__VA_ARGS__ char _;                                                                \
	};
MESSAGES(X, MSG_INT, MSG_FLAG, MSG_TEXT, MSG_FD)
#undef X

#endif
