/* DNS: questions as a CA would ask them, updates of a zone, and the answers of a small zone of our
 * own. Messages are built and read by ldns, sockets are ours, on the loop.
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

/* What a CA asks of a name; and what is asked of zones. */
#define DNS_NAME_TYPES(X) X(A, "A") X(AAAA, "AAAA") X(CAA, "CAA")
#define DNS_ZONE_TYPES(X) X(TXT, "TXT") X(NS, "NS") X(SOA, "SOA") X(CNAME, "CNAME")
#define DNS_TYPES(X)      DNS_NAME_TYPES(X) DNS_ZONE_TYPES(X)
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
	X(REFUSED, "refused")     /* the server does not answer for us, or gave another error */   \
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

enum {
	DNS_NAME_MOST = 255,
	DNS_ALIASES_MOST = 16,
	DNS_RECORDS_MOST = 64,
	DNS_RECORD_MOST = 1024,
	DNS_MESSAGE_MOST = 2048 /* that we send */
};

struct dns_asked {
	struct str name; /* A-labels */
	enum dns_type type;
	uint16_t id;
	/* Of a server that is said to be the zone's own: it is asked for no recursion, and an
	 * answer without authority is REFUSED. */
	bool authoritative;
};

struct dns_answer {
	enum dns_outcome outcome;
	bool cut;           /* ask again by TCP */
	struct buf aliases; /* the names that CNAMEs lead to, in order, a line each */
	/* A line each: an address; "FLAGS TAG VALUE" of CAA; a TXT record's texts as one; the
	 * name in NS, CNAME, and the first in SOA. What is no printable character is '?'. */
	struct buf records;
	uint32_t ttl; /* s, for how long all of it may be remembered; 0 without records */
};
void dns_answer_init(struct dns_answer *a);
void dns_answer_done(struct dns_answer *a);
/* The bytes of a question. False if the name cannot be one. */
MUST_CHECK bool dns_question(struct buf *out, const struct dns_asked *asked);
/* False: not an answer to that question (then go on waiting for the right one). ret_a is
 * initialised, and cleared first. */
MUST_CHECK bool dns_read(struct str bytes, const struct dns_asked *asked, struct dns_answer *ret_a);

/* ---- one message and its answer (exchange.c) ---- */

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

/* What an answer means for the exchange: it is not ours; ask by TCP; ask another server; ask anew,
 * since the question has changed; the end. */
enum dns_heard {
	DNS_HEARD_FOREIGN,
	DNS_HEARD_CUT,
	DNS_HEARD_ERROR,
	DNS_HEARD_AGAIN,
	DNS_HEARD_END
};

/* The caller's. */
struct dns_exchange {
	struct dns_servers servers;
	int64_t timeout; /* ms for the whole */
	bool tcp_last;   /* whoever is silent by UDP is asked by TCP in the end */
	/* The message, with x->id. False: it cannot be made (DNS_NO_NAME). */
	bool (*make)(struct dns_exchange *x, struct buf *out);
	enum dns_heard (*heard)(
	        struct dns_exchange *x, struct str bytes, enum dns_outcome *ret_outcome);
	/* Exactly once, never before the start returned. */
	void (*done)(struct dns_exchange *x, enum dns_outcome outcome);
	char server[80]; /* who answered, or was asked last */
	int64_t ms;      /* how long it took */
	uint16_t id;
	bool tcp;
	struct loop *loop; /* NULL when not started */
	/* the rest is the exchange's */
	int fd;
	unsigned tries;
	size_t next_server;
	enum dns_outcome worst;
	int64_t began;
	struct watch watch;
	struct timer patience, deadline;
	struct later start;
	struct buf out, in;
};
void dns_exchange_start(struct dns_exchange *x, struct loop *loop);
void dns_exchange_abort(struct dns_exchange *x); /* harmless on what is not started */

/* ---- a look-up (lookup.c) ---- */

/* The caller's. CAA and SOA climb: if a name has none, its parent is asked, up to the last label
 * (RFC 8659 3); `owner` then says where it was found. Servers and time-out are the exchange's. */
struct dns_lookup {
	struct dns_exchange exchange;
	struct str name; /* A-labels; copied by dns_lookup_start */
	enum dns_type type;
	bool authoritative; /* as in dns_asked */
	/* Exactly once, never before the start returned: answer holds what was found. */
	void (*done)(struct dns_lookup *l);
	struct dns_answer answer;
	struct str owner; /* of the records; into the look-up's own memory */
	/* the rest is the look-up's */
	char name_text[DNS_NAME_MOST + 2];
	struct str asked;
};
void dns_lookup_start(struct dns_lookup *l, struct loop *loop);
void dns_lookup_abort(struct dns_lookup *l); /* harmless on what is not started */
/* Frees what the answer holds: after `done`, or after an abort. */
void dns_lookup_done(struct dns_lookup *l);

/* ---- an update (update.c): RFC 2136 with TSIG ---- */

#define DNS_HMACS(X) X(SHA256, "hmac-sha256") X(SHA512, "hmac-sha512") X(SHA1, "hmac-sha1")
bool dns_hmac_known(struct str name);

enum { DNS_TXT_MOST = 255, DNS_TXT_TTL = 60 };

/* One TXT record added to a zone, or removed from it. */
struct dns_change {
	struct str zone, name, value;
	bool remove;
	struct str key_name, hmac, secret; /* secret: base64; key_name empty: unsigned */
};
/* The bytes of the request, and its MAC, which the answer's is made with. False: something in it
 * cannot be said in DNS. The secret is not kept, but ldns frees its copies without wiping them. */
MUST_CHECK bool dns_update_make(
        struct buf *out, const struct dns_change *c, uint16_t id, struct buf *ret_mac);
/* False: not an answer to that request (then go on waiting). Else *ret_err says how it ended:
 * ERR_NONE, or a sentence; a signed request counts as done only if the answer is signed, too.
 * `server` is for the sentence, now: s since 1970. */
struct dns_updated {
	const struct dns_change *change;
	uint16_t id;
	struct str mac, server;
	int64_t now;
};
MUST_CHECK bool dns_update_read(struct str bytes, const struct dns_updated *u, struct err *ret_err);

/* ---- a zone of our own (zone.c): pure ---- */

/* What is answered for a delegated zone: SOA, NS, TXT values, and the address of its name server if
 * that lies in the zone. */
struct dns_value {
	struct str name, text; /* name: below the zone */
};
struct dns_zone {
	struct str zone, server; /* server: the name in NS */
	struct str addresses;    /* of the server, if it is in the zone; a line each */
	uint32_t serial;
	const struct dns_value *values;
	size_t value_count;
};
/* The answer to a message. False: there is none to be given (an answer, less than a header). It is
 * not longer than `most` (DNS_REPLY_MOST, or UINT16_MAX by TCP), nor than who asks by UDP can take:
 * else it is cut to the question, as with 0. */
enum { DNS_REPLY_MOST = 1232 };
MUST_CHECK bool dns_zone_answer(const struct dns_zone *zones, size_t count, struct str question,
        size_t most, struct buf *out);

#endif
