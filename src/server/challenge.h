/* Challenges, the open ones as one worker knows them: HTTP-01 (RFC 8555 8.3), whose answer comes
 * before everything else that a listener does with a request, and TLS-ALPN-01 (RFC 8737), whose
 * answer is a handshake and nothing more. */
#ifndef SERVER_CHALLENGE_H
#define SERVER_CHALLENGE_H

#include "base/map.h"
#include "link/messages.h"
#include "server/exchange.h"
#include "tls/tls.h"

struct challenges {
	struct map open; /* by token */
	unsigned epoch;  /* of the control process that told them */
	uint64_t told;   /* so many so far */
};
void challenges_done(struct challenges *c);
/* Adds, or replaces the thumbprint. */
void challenge_open(struct challenges *c, struct str token, struct str thumbprint);
void challenge_open_tls(struct challenges *c, const struct msg_challenge_tls *m);
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

/* Whoever is at that address asks for the proof of that server name, and for nothing else: what he
 * is to be shown, until the next turn. False: no such challenge is open. */
bool challenge_proof(struct worker *w, const struct sockaddr_storage *client,
        struct str server_name, struct tls_proof *ret_proof);

#endif
