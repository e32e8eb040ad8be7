/* Proof over HTTP (RFC 8555 8.3): the token on the board, which every serve answers from. */
#ifndef ISSUE_HTTP01_H
#define ISSUE_HTTP01_H

#include "issue/board.h"
#include "issue/prover.h"

/* approach: by plain HTTP; NULL: it is open. */
struct prover *http01_new(struct board *b, struct approach *approach);
void http01_free(struct prover **p); /* once all is withdrawn */

#endif
