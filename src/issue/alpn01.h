/* Proof over TLS (RFC 8737): a certificate on the board, which every serve shows to whoever asks
 * for acme-tls/1 and nothing else. An IP address is asked for by the name of its reverse zone (RFC
 * 8738 6). */
#ifndef ISSUE_ALPN01_H
#define ISSUE_ALPN01_H

#include "issue/board.h"
#include "issue/prover.h"

/* approach: by TLS; NULL: it is open. */
struct prover *alpn01_new(struct loop *loop, struct board *b, struct approach *approach);
void alpn01_free(struct prover **p); /* once all is withdrawn */

/* What a CA sends as server name to prove that name. */
void alpn01_server_name(struct str name, struct buf *out);

#endif
