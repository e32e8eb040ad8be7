/* Puts what proves control of a name where the CA looks for it, and takes it away again: one per
 * type of challenge. Attempts find it in issue_needs.provers[type]; NULL there: that type cannot be
 * used on this machine. */
#ifndef ISSUE_PROVER_H
#define ISSUE_PROVER_H

#include "acme/challenge.h"
#include "base/err.h"

/* What is to be placed; borrowed while prover_place runs. */
struct proof_text {
	enum challenge_type type;
	struct str name; /* "*." taken off */
	struct str token, thumbprint;
	struct str account; /* its URL */
};

/* One name's proof: the attempt's, zeroed before its first placing. */
struct proving {
	/* Exactly once, never before prover_place has returned. err: it could not be placed, else
	 * NULL. */
	void (*ready)(struct proving *p, const struct err *err);
	/* May be NULL. Somebody fetched it, most likely the CA: from that address. */
	void (*seen)(struct proving *p, struct str client);
	/* May be NULL. For the page, while it is waited: "waiting for ns1.example: not yet
	 * there". */
	void (*said)(struct proving *p, struct str words);
	bool lapsed;           /* after `ready` there was a moment in which it could not be found */
	struct prover *prover; /* NULL when not placed */
	void *state;           /* the prover's */
};

struct prover;
struct prover_ops {
	/* Whether it can work for that name here; else why not, for the explanation on page and in
	 * status. Cheap, synchronous. */
	bool (*can)(struct prover *p, struct str name, struct err *ret_why_not);
	void (*place)(struct prover *p, struct proving *at, const struct proof_text *text);
	/* `ready` will not fire any more. valid: the CA found it (for hook programs: done or
	 * failed). Cleans up in the background. */
	void (*withdraw)(struct proving *at, bool valid);
};
struct prover {
	const struct prover_ops *ops;
};

/* What control knows of the way from a CA to our listeners: whether there is one; else what is in
 * its way. */
struct approach {
	bool (*open)(struct approach *a, struct err *ret_why_not);
};

static inline bool prover_can(struct prover *p, struct str name, struct err *ret_why_not)
{
	return p->ops->can(p, name, ret_why_not);
}

static inline void prover_place(struct prover *p, struct proving *at, const struct proof_text *text)
{
	at->prover = p;
	at->lapsed = false;
	p->ops->place(p, at, text);
}

/* Harmless if it is not placed. */
static inline void prover_withdraw(struct proving *at, bool valid)
{
	struct prover *p = at->prover;
	at->prover = NULL;
	if (p)
		p->ops->withdraw(at, valid);
}

#endif
