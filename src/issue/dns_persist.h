/* Proofs by a TXT record that stays (dns-persist-01): it names the CA and our account there.
 * Nothing is placed: it is looked for before the CA is told, and said how it must be. */
#ifndef ISSUE_DNS_PERSIST_H
#define ISSUE_DNS_PERSIST_H

#include "issue/dns01.h"

struct prover *dns_persist_new(const struct dns01_needs *needs);
void dns_persist_free(struct prover **p); /* once all is withdrawn */
void dns_persist_configure(struct prover *p, const struct config *config); /* borrowed */

/* Whether a record's text is for that account, and still counts at `now` (s since 1970). */
bool dns_persist_fits(struct str text, struct str account, int64_t now);

#endif
