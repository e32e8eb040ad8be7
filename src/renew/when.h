/* What is decided about renewals from nothing but what is handed in: when, with which issuer, and
 * whether the clock can be believed. Pure. */
#ifndef RENEW_WHEN_H
#define RENEW_WHEN_H

#include "renew/renew.h"

/* ISSUED_KEPT: so many of the latest issuances are remembered. ARI_MOST: so many certificates in 7
 * days are made for the same names where the CA suggests the time; one of the 5 that Let's Encrypt
 * allows is left for people. */
enum { ISSUED_KEPT = 5, ARI_MOST = 4 };

/* RFC 9773: when the CA suggests to renew the certificate that is held. */
struct renewal_window {
	int64_t start, end; /* wall ms; 0: nothing is suggested */
	int64_t chosen;     /* the instant in it */
	/* It was another one before, and this one had passed when it was told: at once, whatever
	 * renew-before says. */
	bool moved_back;
};
/* A random instant of the window from `noise` (0 … 65535). */
int64_t renewal_choose(const struct renewal_window *w, unsigned noise);

struct renewal_facts {
	int64_t now, not_before, not_after, renew_before;
	struct renewal_window window;
	bool revoked;          /* by its CA */
	const int64_t *issued; /* for these names, wall ms, the latest first */
	size_t issued_count;
};
/* At once if it is revoked. By the window; but nobody is believed who would have it so late that a
 * failure could not be made good. Neither so often that the limit for the same names is used up.
 * Else renewal_time's rule. */
struct renewal_time renewal_when(const struct renewal_facts *f);
/* Whether renewal_when goes by the window. */
bool renewal_by_window(const struct renewal_facts *f);

/* When a window is asked for again: after the CA's Retry-After (ms; -1: none) and up to a tenth of
 * it later, so that those who asked together do not go on to; a minute at least, and a day or a
 * twentieth of the life at most. */
int64_t renewal_ask_after(int64_t retry_after, int64_t life, unsigned noise);
/* The same after the nth failure in a row: 1 min, 10 min, 100 min, then 6 h, give or take a fifth;
 * or later, if the CA says so. */
int64_t renewal_ask_again(unsigned failures, unsigned noise, int64_t retry_after);

/* A CA that refused wants to be asked again after `asked` ms. Whether that is longer than another
 * issuer is left unasked: a third of the life that remains; an hour, if nothing is held (not_after
 * 0). */
bool renewal_waits_long(int64_t asked, int64_t now, int64_t not_after);
/* For how long one that is busy (503), which counts nothing, is heeded at most: a tenth of the life
 * that remains, but an hour; a week, if nothing is held. */
int64_t renewal_busy_most(int64_t now, int64_t not_after);

/* Which of several issuers is asked. After so many failures in a row that are the CA's, the next
 * one is; behind the last comes the first again. */
enum { ISSUER_FAILURES = 2 };
struct issuer_turn {
	size_t at;         /* which one in the list */
	unsigned failures; /* of that one, in a row */
};
/* weight: 0 for a failure that is not the CA's; ISSUER_FAILURES for one that is enough. True: the
 * next one is to be tried at once. */
bool issuer_turn_failed(struct issuer_turn *t, size_t count, unsigned weight);

/* Whether the wall clock can be believed. */
#define WALL_JUDGEMENTS(X)                                                                         \
	X(BELIEVED, "believed")                                                                    \
	X(BEHIND, "behind") /* earlier than what was seen before */                                \
	X(AHEAD, "ahead")   /* so much later than it that somebody has to be asked */              \
	X(WRONG, "wrong")   /* a CA says another time */
enum wall_judgement {
#define X(name, text) WALL_##name,
	WALL_JUDGEMENTS(X)
#undef X
};
struct wall_facts {
	int64_t now;
	int64_t newest;  /* the latest time that was believed; 0: none yet */
	bool told;       /* a CA has told its time, and the clock was not set since */
	int64_t ca_says; /* its time now, by `told` */
};
enum wall_judgement wall_judge(const struct wall_facts *f);

#endif
