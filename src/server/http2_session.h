/* HTTP/2 on a client's connection: an exchange for each stream, all at once.
 *
 * http2_session.c reads, writes and decides what comes next; http2_answer.c is the exchanges' side.
 * What a handler says changes state and output; it is written at the end of the turn, so that the
 * answers of one wake-up leave in one write, but large pieces, which go at once without a copy of
 * their own. A handler is never called from within its own calls. */
#ifndef SERVER_HTTP2_SESSION_H
#define SERVER_HTTP2_SESSION_H

#include "http/http2.h"
#include "server/pump.h"

enum http2_wait {
	HTTP2_WAIT_IDLE,
	HTTP2_WAIT_HEAD,
	HTTP2_WAIT_STREAMS,
	HTTP2_WAIT_WRITE,
	HTTP2_WAIT_LINGER,
};

struct http2_session {
	struct session session;
	struct client *client;
	struct http2_user user;
	struct http2 *codec;
	struct pump pump;
	enum http2_wait wait; /* for what the client's deadline stands */
	bool timed;           /* it was set at all */
	bool wrote, heard;    /* since then */
	uint64_t written;     /* bytes that the connection took since then */
	int64_t paid_until;   /* mono ms: how long least-rate lets it take what waits */
	int64_t look_at;      /* mono ms: when streams may be late */

	bool readable, peer_ended, receiving;
	struct buf out; /* frames that the connection has not taken, from `sent` on */
	size_t sent;
	bool blocked, failed;

	struct list streams; /* of struct http2_passenger */
	size_t stream_count, closed_count, rooms_owed, bodies_due, requests_due;
	uint64_t requests;
	bool leaving, gone_away, lingering;
	uint64_t lingered;    /* bytes */
	int64_t linger_until; /* mono ms */
};

/* A stream and its exchange. */
struct http2_passenger {
	struct http2_stream stream;
	struct http2_session *session;
	struct list node; /* in streams, until the codec is done with it and nobody looks at it */
	bool closed;
	struct exchange ex;
	struct arena arena;

	struct buf in; /* content that is not wanted yet; what windows allow */
	size_t wanted;
	uint64_t body_bytes;
	int64_t heard_at; /* mono ms */
	uint64_t heard;   /* bytes of content that have come */
	/* How long least-rate lets it send or take (mono ms), and how much had moved then. */
	int64_t paid_until;
	uint64_t paid_moved;
	bool due, routed, body_done, continue_owed, tunnel;

	uint64_t left; /* of an answer whose length was told */
	bool bounded, room_owed, ended;
	struct headers answer_trailers;
};

extern const struct exchange_ops http2_exchange_ops;
/* Within the connection's own output or behind it. */
ptrdiff_t http2_room(const struct http2_passenger *p);
/* The client has something to send or to take from now on: his time begins. */
void http2_wait_begins(struct http2_passenger *p);
/* Writes what is due, as much as the connection takes. */
void http2_write(struct http2_session *s);
bool http2_may_write(const struct http2_session *s);

#endif
