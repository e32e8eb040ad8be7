/* What people are told of, and when: pure.
 *
 * A matter is a kind of event with what it is about: a registration, or an issuer. It is open until
 * it is solved, however many attempts that takes: it is told when it opens, again where time makes
 * it worse, and once more when it is solved. */
#ifndef NOTIFY_MATTER_H
#define NOTIFY_MATTER_H

#include "base/clock.h"
#include "config/config.h"

/* id, name, level, of an issuer, what is the matter, that it is solved */
#define MATTERS(X)                                                                                 \
	X(RENEWED, "renewed", INFO, false, "has a new certificate", "")                            \
	X(FAILED, "failed", WARNING, false, "got no new certificate",                              \
	        "has a new certificate after it failed")                                           \
	X(EXPIRING, "expiring", WARNING, false, "has a certificate that expires soon",             \
	        "has a certificate that does not expire soon")                                     \
	X(EXPIRED, "expired", PROBLEM, false, "has a certificate that has expired",                \
	        "has a certificate that is valid again")                                           \
	X(REVOKED, "revoked", PROBLEM, false, "has a certificate that its CA has revoked",         \
	        "has a certificate that is not revoked")                                           \
	X(RECALLED, "recalled", WARNING, false,                                                    \
	        "has a certificate that its CA wants to be replaced now",                          \
	        "has another certificate than the one that its CA wanted to be replaced")          \
	X(DIFFERS, "differs", WARNING, false, "is served with another certificate than its own",   \
	        "is served with its own certificate again")                                        \
	X(UNREACHABLE, "unreachable", WARNING, true, "does not answer", "answers again")           \
	X(LIMITS, "limits", WARNING, true,                                                         \
	        "gives no more certificates for a while: a limit is reached",                      \
	        "gives certificates again")                                                        \
	X(LOW, "low", WARNING, true, "gives few more certificates: a limit is near",               \
	        "gives certificates enough again")                                                 \
	X(TERMS, "terms", WARNING, true, "has other terms of service than those accepted",         \
	        "has the terms of service that were accepted")                                     \
	X(TEST, "test", PROBLEM, false, "This is a test", "")

enum matter_kind {
#define X(id, ...) MATTER_##id,
	MATTERS(X)
#undef X
	        MATTER_COUNT
};
struct matter_words {
	const char *name;
	enum config_level level;
	bool of_issuer;
	const char *is, *solved; /* behind the name that it is about */
};
const struct matter_words *matter_words(enum matter_kind kind);
bool matter_from_name(struct str name, enum matter_kind *ret_kind);

/* How a registration is, or (failing alone) an issuer. */
struct matter_facts {
	int64_t now, not_before, not_after; /* wall ms */
	int64_t since;                      /* when the certificate came */
	bool held;                          /* there is a certificate */
	bool wanted;                        /* it is renewed, or tried to be */
	bool planned;                       /* and that goes well: its turn will come */
	bool replaced;                      /* no visitor meets it */
	bool failing;                       /* for a reason of its own · of an issuer: for any */
	bool revoked, recalled, differs;
	struct str certificate; /* which one it is */
};

/* What is remembered of a matter. */
struct matter {
	bool open;
	unsigned told;   /* how often, or for EXPIRING how many of the four moments have been */
	int64_t told_at; /* wall ms */
	struct str certificate; /* RENEWED: the last one that was told of */
};

enum matter_act {
	MATTER_REST,
	MATTER_TELL,  /* remember told and the time, and tell it */
	MATTER_SOLVE, /* forget it, and tell that it is solved */
	MATTER_CLOSE, /* forget it */
};
struct matter_verdict {
	enum matter_act act;
	unsigned told;
	int64_t next; /* wall ms, when it may be another one if nothing changes; INT64_MAX */
};
/* begun: when this began to be followed: certificates from before are no news. */
struct matter_verdict matter_judge(
        enum matter_kind kind, const struct matter_facts *f, const struct matter *m, int64_t begun);

/* How much it matters by now: what goes on failing, or is near its end, is a problem. */
enum config_level matter_level(enum matter_kind kind, unsigned told);

/* The moments at which it is told that a certificate expires, the nth (0 … 3): 20, 10, 5 and 1 days
 * before; of lives below 90 days as large a part of it, so that it is never before the renewal. */
enum { MATTER_MOMENTS = 4 };
int64_t matter_moment(const struct matter_facts *f, unsigned nth);

#endif
