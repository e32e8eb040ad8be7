/* A CA's limits as Let's Encrypt has them: counted here on their own, by what was ordered, issued
 * and failed, so that whoever passes one is found out. Orders and certificates by account,
 * registered domain and exact set of names; failed proofs by name; requests by second.
 *
 * An order within the window that the CA suggested for the certificate that it replaces is counted
 * by nothing; one for a set of names that has a certificate already, only by the limit for the same
 * names. Each limit fills again evenly. */
#ifndef TEST_YEAR_RULES_H
#define TEST_YEAR_RULES_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"

#define RULES(X)                                                                                   \
	X(ORDERS, "orders of the account", 300, 3 * HOUR)                                          \
	X(DOMAIN, "certificates of a registered domain", 50, 7 * DAY)                              \
	X(SET, "certificates of the same names", 5, 7 * DAY)                                       \
	X(FAILED, "failed proofs of a name", 5, HOUR)                                              \
	X(REQUESTS, "requests", 125, SECOND / 2)                                                   \
	X(NONCES, "requests for a nonce", 10, SECOND / 2)                                          \
	X(DIRECTORIES, "requests for the directory", 40, SECOND)                                   \
	X(WINDOWS, "questions when to renew", 100, SECOND / 10)
enum rule {
#define X(name, about, most, window) RULE_##name,
	RULES(X)
#undef X
	        RULE_COUNT
};

extern const char *const rule_about[RULE_COUNT];

/* When it is full again: wall ms. */
struct bucket {
	int64_t whole;
};
struct rules {
	struct bucket orders, requests[RULE_COUNT];
	struct map domains, names;     /* names: of sets and failures */
	unsigned refused[RULE_COUNT];  /* requests that passed a limit */
	unsigned exceeded[RULE_COUNT]; /* certificates and failures beyond one */
};
void rules_done(struct rules *r);

struct rule_order {
	const char *name; /* the set is that one */
	int64_t now;
	bool exempt, renewal;
};
/* RULE_COUNT: it is let through. Else it is counted as refused; ret_wait is the ms until there is
 * room, out what the CA says. */
enum rule rules_order(
        struct rules *r, const struct rule_order *o, int64_t *ret_wait, struct buf *out);
void rules_issued(struct rules *r, const struct rule_order *o);
void rules_failed(struct rules *r, const char *name, int64_t now);
/* False: it is refused, and counted so. */
bool rules_allow_request(struct rules *r, const char *url, int64_t now);

#endif
