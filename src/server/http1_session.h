/* HTTP/1 on a client's connection: one exchange at a time, pipelined requests in their order.
 *
 * http1_session.c reads and decides what comes next; http1_answer.c is the exchange's side and
 * writes. Calls of a handler only change state and output; what follows from them is done by
 * pump_soon at the end of the turn, or by the pump if that is running anyway. So a handler is
 * never called from within its own calls. */
#ifndef SERVER_HTTP1_SESSION_H
#define SERVER_HTTP1_SESSION_H

#include "http/http1.h"
#include "server/pump.h"

enum http1_state { HTTP1_READING_HEAD, HTTP1_EXCHANGING, HTTP1_LINGERING };
enum http1_wait { WAIT_NONE, WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_WRITE, WAIT_LINGER };
enum http1_framing {
	FRAMING_NONE,
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_CLOSE,
	FRAMING_TUNNEL, /* no requests any more: bytes, both ways */
};

struct http1_session;
/* An idle connection holds none. */
struct http1_exchange {
	struct exchange ex;
	struct http1_session *session;
};

struct http1_session {
	struct session session;
	struct client *client;
	struct pump pump;
	enum http1_state state;
	enum http1_wait wait; /* for what the client's deadline stands */
	enum http1_framing framing;
	bool progress; /* since it was set */
	bool readable, peer_ended, misplaced;
	bool body_done, continue_owed;
	bool blocked, failed;
	bool keep_alive, ended, aborted, room_owed;
	bool last, last_told;       /* of a tunnel: nothing more for the client, who knows it */
	uint64_t moved, wait_moved; /* bytes in and out; what of them is paid for */
	int64_t paid_until;         /* mono ms, at least-rate */

	struct buf in; /* received, not yet used */
	struct http1_scan scan;
	size_t parsed; /* bytes of `in` in which no head ends */
	struct http1_body body;
	size_t wanted;
	uint64_t body_bytes;

	struct buf out; /* to be sent from `sent` on */
	size_t sent;

	struct exchange *ex; /* while EXCHANGING, in the arena */
	struct arena arena;
	uint64_t requests;
	uint64_t left;           /* of FRAMING_LENGTH */
	struct headers trailers; /* to be sent */
	int64_t linger_until;    /* mono ms */
};

extern const struct exchange_ops http1_exchange_ops;
void http1_flush(struct http1_session *s);
bool http1_may_flush(const struct http1_session *s);
/* What the client has not taken yet, here and within the connection. */
size_t http1_unsent(const struct http1_session *s);

#endif
