/* When the CA suggests to renew a certificate (RFC 9773): one question, unsigned.
 *
 * The directory is asked for first unless it was heard within the last hour. A CA that cannot be
 * reached, or asks for patience, is not asked again by anybody before a while has gone or the time
 * it said: until then questions are answered with the same reason, without being sent. */
#ifndef ISSUE_ARI_H
#define ISSUE_ARI_H

#include "acme/renewal_info.h"
#include "issue/issue.h"

/* Owned by the caller, zeroed before its first start. */
struct ari_call {
	/* Exactly once, and never before ari_ask has returned. Texts live during the call.
	 * retry_after: ms from now on, -1 if the CA did not say. window NULL: err says why;
	 * ERR_NOT_FOUND: this CA suggests no times at all. */
	void (*done)(struct ari_call *c, const struct renewal_info *window, int64_t retry_after,
	        const struct err *err);
	struct issuer *issuer; /* NULL when not started */
	char *id;
	struct fetch_call fetch;
	struct later later;
	struct err err;
	int64_t retry_after;
};
/* issuer: a row's name; ari_id: of the certificate (certs/cert.h). */
void ari_ask(struct issuers *i, struct ari_call *c, struct str issuer, struct str ari_id);
void ari_abort(struct ari_call *c);

/* Only the directory is asked for, anew: so that a CA tells its time (issuers_watch_time). `done`
 * gets no window, and err only if there was no answer. */
void ari_ask_time(struct issuers *i, struct ari_call *c, struct str issuer);

#endif
