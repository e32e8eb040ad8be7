/* DNS questions as a CA would ask them: A, AAAA, CAA. Messages are built and read by ldns, sockets
 * are ours, on the loop.
 *
 * The servers are resolvers: they follow aliases and ask the name's own servers. What they cannot
 * tell (SERVFAIL, silence) is told apart from "there is nothing" (no such name, or no such record),
 * since a CA refuses in the first case only.
 *
 * A question goes by UDP from a fresh port with a random id, twice to each server in turn, then by
 * TCP if the answer was cut; an answer counts only from the server asked (the socket is connected)
 * and if it repeats id and question (RFC 5452 9.1). DNSSEC is the resolver's business.
 *
 * Disadvantage: a server that is a name's own and no resolver leaves an alias to another zone
 * unfollowed; its target then looks as if it had no records. */
#ifndef DNS_DNS_H
#define DNS_DNS_H

#include "base/buf.h"
#include "base/err.h"
#include "loop/loop.h"
#include <sys/socket.h>

#define DNS_TYPES(X) X(A, "A") X(AAAA, "AAAA") X(CAA, "CAA")
enum dns_type {
#define X(name, text) DNS_##name,
	DNS_TYPES(X)
#undef X
};
const char *dns_type_name(enum dns_type type);
bool dns_type_from_name(struct str name, enum dns_type *ret_type);

#define DNS_OUTCOMES(X)                                                                            \
	X(FOUND, "found")                                                                          \
	X(NONE, "none")           /* the name is there, the type is not */                         \
	X(NO_NAME, "no-name")     /* NXDOMAIN */                                                   \
	X(FAILED, "failed")       /* SERVFAIL: the name's own servers, or DNSSEC */                \
	X(REFUSED, "refused")     /* the resolver does not answer for us, or gave another error */ \
	X(SILENT, "silent")       /* no server answered in time */                                 \
	X(GARBLED, "garbled")     /* what came is no answer */                                     \
	X(NO_SERVER, "no-server") /* there is no resolver to ask */
enum dns_outcome {
#define X(name, text) DNS_##name,
	DNS_OUTCOMES(X)
#undef X
};
const char *dns_outcome_name(enum dns_outcome outcome);
bool dns_outcome_from_name(struct str name, enum dns_outcome *ret_outcome);

/* ---- one message (answer.c): pure ---- */

enum { DNS_NAME_MOST = 255, DNS_ALIASES_MOST = 16, DNS_RECORDS_MOST = 64 };

struct dns_answer {
	enum dns_outcome outcome;
	bool cut;           /* ask again by TCP */
	struct buf aliases; /* the names that CNAMEs lead to, in order, a line each */
	struct buf records; /* a line each: an address, or "FLAGS TAG VALUE" of CAA */
	uint32_t ttl;       /* s, for how long all of it may be remembered; 0 without records */
};
void dns_answer_init(struct dns_answer *a);
void dns_answer_done(struct dns_answer *a);
/* The bytes of a question. False if the name cannot be one. */
MUST_CHECK bool dns_question(struct buf *out, struct str name, enum dns_type type, uint16_t id);
/* False: not an answer to that question (then go on waiting for the right one). ret_a is
 * initialised, and cleared first. */
MUST_CHECK bool dns_read(struct str bytes, struct str name, enum dns_type type, uint16_t id,
        struct dns_answer *ret_a);

/* ---- a look-up (lookup.c) ---- */

enum { DNS_SERVERS_MOST = 3 };
struct dns_servers {
	struct sockaddr_storage at[DNS_SERVERS_MOST];
	size_t count;
};
/* "ADDRESS:PORT" or "[ADDRESS]:PORT", a line each; others are left out. */
void dns_servers_from(struct str lines, struct dns_servers *ret_servers);
/* The addresses that a hosts(5) file gives the name, of one family, a line each; false: none. */
bool dns_hosts_find(struct str hosts, struct str name, enum dns_type type, struct buf *ret_lines);
/* The `nameserver` lines of resolv.conf(5); without one 127.0.0.1, as there. */
void dns_servers_of_system(struct str resolv_conf, struct dns_servers *ret_servers);

/* The caller's. CAA climbs: if a name has none, its parent is asked, up to the last label
 * (RFC 8659 3); `owner` then says where it was found. */
struct dns_lookup {
	struct str name; /* A-labels; copied by dns_lookup_start */
	enum dns_type type;
	struct dns_servers servers;
	int64_t timeout; /* ms for the whole */
	/* Exactly once, never before the start returned: answer holds what was found. */
	void (*done)(struct dns_lookup *l);
	struct dns_answer answer;
	struct str owner;  /* of the records; into the look-up's own memory */
	char server[80];   /* who answered, or was asked last */
	int64_t ms;        /* how long it took */
	struct loop *loop; /* NULL when not started */
	/* the rest is the look-up's */
	char name_text[DNS_NAME_MOST + 2];
	struct str asked;
	uint16_t id;
	int fd;
	bool tcp;
	unsigned tries;
	size_t next_server;
	enum dns_outcome worst;
	int64_t began;
	struct watch watch;
	struct timer patience, deadline;
	struct later start;
	struct buf out, in;
};
void dns_lookup_start(struct dns_lookup *l, struct loop *loop);
void dns_lookup_abort(struct dns_lookup *l); /* harmless on what is not started */
/* Frees what the answer holds: after `done`, or after an abort. */
void dns_lookup_done(struct dns_lookup *l);

#endif
