/* What a CA's limits leave, by our own count: so that we do not order where it would refuse.
 *
 * Counted are our own orders, certificates, failed proofs and new accounts, each a record `spent`
 * (value {at, what, directory, names}) that survives a restart and is pruned once no limit looks
 * back so far. Not counted is what pauses a name for good, 1,152 failures in a row: we try once a
 * day after the first ones, so that it takes years; the CA says so then, and where to end it.
 * The figures are data, for the directories that we know; of other CAs nothing is known, and
 * nothing is held back.
 *
 * Counted as the CA does it: so many at once, and room for one more comes back each
 * (window / most), 36 s for 300 in 3 hours.
 *
 * Disadvantages: what others order for the same domain is not seen; and who lives at a limit for
 * four windows in a row is thought to have more room than the CA gives: then the CA says when. */
#ifndef ISSUE_LIMITS_H
#define ISSUE_LIMITS_H

#include "base/err.h"
#include "base/log.h"
#include "store/store.h"
#include "json/json.h"

#define LIMIT_KINDS(X)                                                                             \
	X(ORDERS, "new orders per account")                                                        \
	X(DOMAIN, "certificates per registered domain")                                            \
	X(SET, "certificates per exact set of names")                                              \
	X(FAILED, "failed validations per name")                                                   \
	X(ACCOUNTS, "new accounts per address")
enum limit_kind {
#define X(name, text) LIMIT_##name,
	LIMIT_KINDS(X)
#undef X
	        LIMIT_COUNT
};
/* RENEWAL: a certificate for names that had one from that CA: only the limit for the same names
 * counts it, and none its order. */
enum spent_what { SPENT_ORDER, SPENT_CERTIFICATE, SPENT_RENEWAL, SPENT_FAILURE, SPENT_ACCOUNT };

/* How far one limit is used up for these names. */
struct limit {
	enum limit_kind kind;
	unsigned used, most; /* used: what has not come back yet */
	unsigned reserved;   /* of what is left: for renewals of the next days */
	int64_t window;      /* ms */
	int64_t next;        /* wall ms: when there is room again; 0: there is room */
	int64_t more;        /* wall ms: when one comes back; 0: none is used */
	struct str about; /* the domain or name that it is counted for; borrowed from the names */
};

struct limits;
struct limits *limits_new(struct loop *loop, struct store *store, const struct log *log);
void limits_free(struct limits **l);
MUST_CHECK bool limits_load(struct limits *l, struct err *err);
/* It happened now. Kept in memory at once, stored with this turn; of CAs whose figures we know. */
void limits_spent(struct limits *l, enum spent_what what, struct str directory,
        const struct str *names, size_t count);

/* The limits of that CA for an order of these names, at most LIMIT_COUNT; 0 if nothing is known. */
size_t limits_of(const struct limits *l, struct str directory, const struct str *names,
        size_t count, struct limit ret[LIMIT_COUNT]);
/* What is used up most of that CA's limits: first the orders, then each domain, set of names and
 * name that something was spent for lately, the nearest to its limit first; `about` is in the
 * arena. Costs as much as was spent in four weeks; returns 0 if nothing is known of that CA. */
size_t limits_nearest(const struct limits *l, struct str directory, struct arena *a,
        struct limit *ret, size_t most);
/* An order that is to be made. */
struct limit_reserve {
	unsigned orders, certificates; /* certificates: of its registered domain */
};
struct limit_order {
	struct str directory;
	const struct str *names;
	size_t count;
	/* It replaces a certificate at the time that the CA suggested: no limit counts it. */
	bool exempt;
	bool renewal;     /* as SPENT_RENEWAL */
	bool has_account; /* there; else one is made for it */
	/* A person wishes it now: what the CA said last is asked anew, our own count holds. */
	bool wished;
	struct limit_reserve reserve; /* what is to be left for others after it */
	/* For so many ms at most it is heeded that the CA was busy; 0: as long as it said. */
	int64_t busy_most;
	/* Others wait for the same, and go before: wall ms, or 0. */
	int64_t not_before;
};
struct limit_wait {
	int64_t until; /* wall ms */
	int64_t each;  /* ms from one who waits for the same to the next; 0: not known */
	uint64_t what; /* the same for whoever waits for the same */
};
/* False: it would pass a limit, or the CA has asked for patience; ret_wait says until when, err the
 * sentence. */
MUST_CHECK bool limits_allow(const struct limits *l, const struct limit_order *o,
        struct limit_wait *ret_wait, struct err *err);

/* An order that is under way counts as if all that it will cost was spent now; ordered: but for the
 * order, which is. Owned by the caller; until limits_unclaim, harmless on what claims nothing. */
struct limit_claim {
	struct list node;
	struct arena arena;
	struct spending {
		enum spent_what what;
		struct str directory;
		struct str *names; /* sorted */
		size_t count;
	} spending;
	bool ordered;
};
void limits_claim(struct limits *l, struct limit_claim *c, const struct limit_order *o);
void limits_unclaim(struct limit_claim *c);

/* What an order of these names would use up has little left: four fifths are gone. err says of
 * what; *ret_about: the domain that it is counted for, or STR_NONE. False: there is enough. Failed
 * validations are told otherwise. */
bool limits_low(const struct limits *l, struct str directory, const struct str *names, size_t count,
        struct str *ret_about, struct err *ret_how);

/* A CA refused an order for a while. By its words that counts for these names, for their domain,
 * for the account, or, where it is busy, for whoever asks it. Until the next start, and
 * for a week at most. */
struct limit_refusal {
	struct str directory, words; /* words: the CA's own */
	const struct str *names;
	size_t count;
	bool busy;     /* 503: it counted nothing */
	int64_t until; /* wall ms */
};
void limits_refused(struct limits *l, const struct limit_refusal *refusal);
#define LIMIT_SCOPES(X) X(SET, "set") X(NAME, "name") X(DOMAIN, "domain") X(ACCOUNT, "account")
enum limit_scope {
#define X(name, text) LIMIT_SCOPE_##name,
	LIMIT_SCOPES(X)
#undef X
};
/* What a CA's words are about, and the name in quotes that they give, or STR_NONE. Pure. */
enum limit_scope limit_scope_of(struct str words, struct str *ret_about);
/* One of the member "limits" of GET /api/issuers/NAME/limits. */
void limit_write(const struct limit *limit, struct str directory, struct json_writer *w);

/* The member "waits" beside it: what that CA has asked to wait for and still does, at most 20, the
 * longest first. */
void limits_write_waits(const struct limits *l, struct str directory, struct json_writer *w);

#endif
