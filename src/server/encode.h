/* `encode gzip`: answers compressed on their way from the handler to the codec, piece by piece, so
 * that nothing waits longer than it would without. Each takes about 130 KiB; of a worker's answers
 * so many at once are compressed, and the others go as they are. */
#ifndef SERVER_ENCODE_H
#define SERVER_ENCODE_H

#include "server/exchange.h"

enum { ENCODINGS_MOST = 512 };

/* The final head of an exchange whose route encodes is about to be given: changes it, and from then
 * on the exchange's ops, if the answer is one to be compressed and the client takes it. */
void encode_begin(struct exchange *ex, struct response *head);
void encode_end(struct exchange *ex); /* it is over, however it ended */

#endif
