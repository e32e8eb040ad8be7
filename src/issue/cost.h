/* What one attempt costs of the CA's limits: claimed from its beginning on, counted as the CA's
 * answers tell it. Private to issue/. */
#ifndef ISSUE_COST_H
#define ISSUE_COST_H

#include "acme/flow.h"
#include "issue/limits.h"

struct cost {
	struct limits *limits;
	struct limit_claim claim;
	bool exempt, renewal; /* as in attempt_want */
};
void cost_begin(struct cost *c, const struct flow *f);
/* Before the flow takes what it heard. proof_failed: the CA could not prove control of a name. */
void cost_heard(struct cost *c, const struct flow *f, const struct next *n, bool proof_failed);
/* Whether our own count leaves room for the order that another proof needs. */
bool cost_allows_another(struct cost *c, const struct flow *f);
void cost_done(struct cost *c); /* harmless on what never began */

#endif
