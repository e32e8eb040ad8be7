/* HTTP/2 (RFC 9113), the client's side: what we are to an application that is reached by h2c://.
 * The same connection, streams and laws as http2.h, but for what is said here.
 *
 * Each request is a call, whose memory is its user's from http2_ask to `closed`. Of an answer come
 * `answer` for each 1xx and for the final head, `body`, `body_end`, and last `closed`, which alone
 * comes in any case and says what of it is missing. A head or content that breaks a law is not
 * passed on: its call is reset, and `closed` tells of it.
 *
 * What `body` was given is the user's to give back (http2_used), by call; the connection's own
 * window is opened at once, so that one call whose client is slow does not stop the others. For
 * each of them HTTP2_ANSWER_WINDOW bytes may have to be kept. *
 * A WebSocket is asked for by an extended CONNECT (RFC 8441). If it is taken, `answer` tells of a
 * 101, and content goes both ways: either side may end before the other.
 */
#ifndef HTTP_HTTP2_CLIENT_H
#define HTTP_HTTP2_CLIENT_H

#include "http/http2.h"

struct http2_call {
	struct http2_stream stream;
	struct response response;
	const char *fault; /* the answer broke a law; NULL: none */
	bool unprocessed;  /* said by the peer, or never sent: the request may be sent again */

	/* The codec's own. */
	bool is_head; /* it is HEAD that was asked */
	bool bounded;
	uint64_t left;
};
static inline struct http2_call *http2_call_of(struct http2_stream *s)
{
	return (struct http2_call *)(void *)s;
}

/* `answer`, `body`, `body_end` and `closed` of the user's calls are used. */
struct http2 *http2_client_new(struct http2_user *u, int64_t now);
/* Its SETTINGS have come. */
bool http2_greeted(const struct http2 *h);
/* How many calls the peer takes at once, once it has greeted. */
uint32_t http2_calls_most(const struct http2 *h);
/* Whether it takes WebSockets (RFC 8441 3), once it has greeted. */
bool http2_takes_websockets(const struct http2 *h);
/* It has said that it takes no further ones. */
bool http2_told_to_leave(const struct http2 *h);

/* The call is zeroed but for stream.arena, where its texts go. Content follows by http2_put, and
 * http2_end in any case but BODY_NONE. False: this connection has no number left for it. */
MUST_CHECK bool http2_ask(struct http2 *h, struct http2_call *c, const struct request *r);
/* The user hears of nothing but `closed` any more; the arena may go. */
void http2_abandon(struct http2_call *c);

#endif
