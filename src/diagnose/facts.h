/* What one saw of a name, and what follows from it. Pure: no socket, no clock, no store. */
#ifndef DIAGNOSE_FACTS_H
#define DIAGNOSE_FACTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "dns/dns.h"

enum { ADDRESSES_MOST = 8, HOPS_MOST = 11, LISTENERS_MOST = 32, LIMITS_MOST = 16, QUESTIONS = 3 };

#define FINDING_STATES(X)                                                                          \
	X(OK, "ok") X(WARNING, "warning") X(PROBLEM, "problem") X(UNSEEN, "unseen")
enum finding_state {
#define X(name, text) FINDING_##name,
	FINDING_STATES(X)
#undef X
};
const char *finding_state_name(enum finding_state s);

/* In the order in which they are shown. */
#define AREAS(X)                                                                                   \
	X(DNS, "dns")                                                                              \
	X(PORT80, "port80")                                                                        \
	X(FIREWALL, "firewall")                                                                    \
	X(REDIRECTS, "redirects")                                                                  \
	X(CDN, "cdn")                                                                              \
	X(CAA, "caa")                                                                              \
	X(LIMITS, "limits")                                                                        \
	X(CLOCK, "clock")                                                                          \
	X(HTTPS, "https")                                                                          \
	X(PORT443, "port443")                                                                      \
	X(HSTS, "hsts")
enum area {
#define X(name, text) AREA_##name,
	AREAS(X)
#undef X
};
const char *area_name(enum area a);

struct finding {
	enum area area;
	enum finding_state state;
	bool stops;               /* registering now would fail by it */
	struct str subject, what; /* an address, or STR_NONE · a few words for the list */
	struct str sentence, fix; /* fix: STR_NONE if there is nothing to do */
	struct str proof;         /* lines: what was asked and answered; may be empty */
};

/* One question to DNS. */
struct fact_question {
	bool done;
	struct err err; /* it could not be asked at all */
	enum dns_outcome outcome;
	struct str owner, aliases, records, server;
	int64_t ms, at; /* at: wall, when it was asked */
};

/* One GET of our nonce. */
struct fact_hop {
	struct str url, address;
	struct err err; /* code NONE: answered */
	unsigned status;
	struct str headers;
	bool matched;
	int64_t ms, at;
};

/* How a chain of redirects ended. */
#define CHAIN_ENDS(X)                                                                              \
	X(NONE)    /* it has not */                                                                \
	X(ANSWER)  /* the last hop answered with something else than a redirect */                 \
	X(SILENT)  /* the last hop did not answer */                                               \
	X(LONG)    /* more redirects than a CA follows */                                          \
	X(LOOP)    /* back to where it was */                                                      \
	X(SCHEME)  /* neither http nor https */                                                    \
	X(PORT)    /* another port than 80 and 443 */                                              \
	X(LOST)    /* the token is not in the URL any more */                                      \
	X(NOWHERE) /* no Location, or one that is no URL */                                        \
	X(KIND)    /* a redirect that a CA does not follow (303, …) */                             \
	X(PRIVATE) /* to a name that is not configured here, at a private address */               \
	X(UNKNOWN) /* to a name that DNS has no address for */
enum chain_end {
#define X(name) CHAIN_##name,
	CHAIN_ENDS(X)
#undef X
};
struct fact_path {
	bool wanted, done;
	struct fact_hop hops[HOPS_MOST];
	size_t count;
	enum chain_end end;
	struct str next; /* the URL that it could not go on to */
};

struct fact_address {
	struct str text; /* numeric */
	bool ipv6, is_public, ours, dialled;
	struct fact_path path;
	bool probed;          /* a handshake on port 443 was tried, and has ended */
	struct err probe_err; /* code NONE: leaf */
	struct str leaf_sha, leaf_names, leaf_issuer;
	int64_t probe_at;
};

struct fact_listener {
	struct str address; /* "0.0.0.0:80" */
	bool tls, bound;
	struct str why; /* not bound: a sentence, or STR_NONE */
	bool held;      /* by another program */
};

struct fact_limit {
	struct str limit, sentence;
	int64_t used, most;
};

struct facts {
	struct str name, unicode,
	        parent;  /* parent: the registered domain; STR_NONE if that is it */
	bool is_address; /* the name is an IP address: DNS is not asked about it */
	bool configured; /* a site or registration here has the name */
	bool certified;  /* and it has a certificate of a CA */
	uint16_t http_port, https_port;
	struct {
		struct str name, title, account; /* account: URL, STR_NONE if there is none yet */
		struct str identities;           /* by which CAA knows it, a line each */
		bool is_public;                  /* sees only what the Internet sees */
		bool none;                       /* `internal`: nobody outside is asked */
		bool done;                       /* its directory was asked */
		struct err err;                  /* and did not answer */
		int64_t date, at; /* the Date it sent, and our clock then; date 0: none */
	} ca;
	bool answering;     /* serve has our nonce */
	bool answer_done;   /* it is known whether it has */
	bool behind_router; /* this machine has no public IPv4 address of its own */
	struct fact_question questions[QUESTIONS]; /* by enum dns_type */
	struct {                   /* proofs by a zone of our own, to which a CNAME has to lead */
		struct str name;   /* _acme-challenge.NAME; empty: proofs go another way */
		struct str target; /* where that has to lead */
		struct str record; /* the record, as a zone file says it */
		bool needed;       /* nothing else can prove a wildcard name */
		struct fact_question asked; /* TXT of it */
	} delegation;
	struct fact_address addresses[ADDRESSES_MOST];
	size_t address_count, address_more; /* more: that were left out */
	bool addresses_done;
	struct fact_listener listeners[LISTENERS_MOST];
	size_t listener_count;
	struct fact_limit limits[LIMITS_MOST];
	size_t limit_count;
	bool own_leaf_done;
	struct str own_leaf_sha;              /* what our own listener shows for the name */
	struct fact_path https, parent_https; /* for HSTS */
	int64_t hsts_until;                   /* promised by us; 0: not */
	bool over;                            /* nothing more will come */
	int64_t now;                          /* wall */
};

enum { FINDINGS_MOST = 64 };
struct findings {
	struct arena *arena;
	const struct facts *facts;
	struct finding at[FINDINGS_MOST];
	size_t count;
	bool over; /* some found no room */
};
/* All that can be said by now; what is still under way says nothing. Texts are in the arena, or in
 * the facts. */
void judge(struct arena *a, const struct facts *f, struct findings *ret);
/* Whether registering now would fail (`stops`), and a sentence for that. */
struct str judge_outcome(struct arena *a, const struct findings *f, bool *ret_fails);

/* Where a CA would go after the last hop of the path: true and the URL, or false and path->end. */
bool chain_next(struct arena *a, const struct facts *f, struct str nonce, struct fact_path *path,
        struct str *ret_url);
/* The Location as a URL of its own (RFC 3986 5.2, the part of it that servers use). */
struct str chain_resolve(struct arena *a, struct str base, struct str location);

/* The parts of judge. */
void finding_add(struct findings *f, const struct finding *finding);
void judge_dns(struct findings *out);
void judge_addresses(struct findings *out);
void judge_delegation(struct findings *out);
void judge_listeners(struct findings *out);
void judge_redirects(struct findings *out);
void judge_caa(struct findings *out);
void judge_https(struct findings *out);
void judge_hsts(struct findings *out);
const char *cdn_of(struct str headers); /* its name, or NULL */
/* The lines that tell what was asked and answered. */
struct str proof_of_path(struct arena *a, const struct fact_path *path);
struct str proof_of_question(struct arena *a, const struct facts *f, enum dns_type type);
struct str proof_of_asked(
        struct arena *a, const struct fact_question *q, enum dns_type type, struct str name);
/* "14:02:09.118Z" */
struct str proof_time(struct arena *a, int64_t wall);
struct str span_text(struct arena *a, int64_t ms); /* "41 ms", "10.0 s" */

#endif
