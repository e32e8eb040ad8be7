/* Certificates on demand: whether a name that a visitor asks for gets one, and what becomes of it.
 *
 * The site of the file that serves the name decides by its patterns, by what it asks and by its
 * budget, which is kept over a restart (record on-demand: when it was spent); then the CA's limits
 * must have room, as for any name that never had a certificate. What was refused is remembered for
 * a while. The certificate gets a registration of its own, which is renewed like others if somebody
 * has come since it was renewed last. Without a certificate, or once one that nobody asks for has
 * expired, nothing is left of it.
 *
 * All that strangers can fill is bounded: 256 names are looked at at a time, and the last
 * 4,096 refusals are remembered. */
#ifndef RENEW_DEMAND_H
#define RENEW_DEMAND_H

#include "renew/renew.h"

/* Whoever wants to hear what became of those that were pending; once for each. */
struct renew_demands {
	void (*answered)(struct renew_demands *d, struct str name, enum demand_verdict verdict,
	        int64_t keep);
};
void renew_hear_demands(struct renewals *r, struct renew_demands *d);
/* A visitor at that address asks for it. What is not pending is the answer, and may be given for
 * *ret_keep ms without asking again. */
enum demand_verdict renew_demand(
        struct renewals *r, struct str name, struct str client, int64_t *ret_keep);
/* Somebody came by TLS to that name. */
void renew_visited(struct renewals *r, struct str name);
/* How often that was the answer, since this process began. */
uint64_t renew_demands_answered(const struct renewals *r, enum demand_verdict v);
/* The member "on_demand" of the status. */
void renew_demands_write(const struct renewals *r, struct json_writer *w);

#endif
