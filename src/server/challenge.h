/* HTTP-01 challenges (RFC 8555 8.3): the open ones as one worker knows them, and the answer, which
 * comes before everything else that a listener does with a request. */
#ifndef SERVER_CHALLENGE_H
#define SERVER_CHALLENGE_H

#include "base/map.h"
#include "server/exchange.h"

struct challenges {
	struct map open; /* by token */
	unsigned epoch;  /* of the control process that told them */
};
void challenges_done(struct challenges *c);
/* Adds, or replaces the thumbprint. */
void challenge_open(struct challenges *c, struct str token, struct str thumbprint);
void challenge_close(struct challenges *c, struct str token);
/* A new control process tells its challenges anew: what is told from now on belongs to `epoch`;
 * challenges_forget drops what belongs to an earlier one. */
void challenges_epoch(struct challenges *c, unsigned epoch);
void challenges_forget(struct challenges *c);
struct str challenge_thumbprint(const struct challenges *c, struct str token); /* p NULL: none */

/* 16 to 128 characters of base64url. */
bool challenge_token_valid(struct str token);

/* True if the request was for a challenge, and is answered. ex->site is set or NULL. */
bool challenge_answered(struct exchange *ex);

#endif
