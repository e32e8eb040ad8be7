/* HTTP/2 (RFC 9113), the server's side, without I/O: bytes in, canonical messages out, and back.
 * http2_client.h adds the other side: both share streams, sending and the measures of patience.
 *
 * nghttp2 knows frames, HPACK, windows and priorities (RFC 9218); what it lets pass and our laws do
 * not is refused here (doc/laws.md). What a client may do to us without any use to itself is
 * counted, and beyond a measure the connection ends with ENHANCE_YOUR_CALM (HTTP2_NUISANCES).
 *
 * The user owns each stream's memory: `opened` gives its place, `closed` is the last word on it.
 * The calls of struct http2_ops come within http2_receive and, `closed` alone, within http2_collect
 * and http2_free never. Within them the user may respond, put, end and reset, but neither receive
 * nor collect.
 *
 * Disadvantage: nghttp2 has about 20 KiB for each connection, whatever it does. */
#ifndef HTTP_HTTP2_H
#define HTTP_HTTP2_H

#include "base/buf.h"
#include "http/message.h"

/* What we tell the client, and what costs memory: for each connection at most STREAMS of them,
 * CONNECTION_WINDOW bytes of content that nobody has taken yet, of one stream WINDOW. */
enum {
	HTTP2_STREAMS_MOST = 100,
	HTTP2_WINDOW = 256 << 10,
	HTTP2_CONNECTION_WINDOW = 1 << 20,
	HTTP2_ANSWER_WINDOW = 128 << 10, /* of one answer to us (http2_client.h) */
	HTTP2_CONTINUATIONS_MOST = 8,    /* a head of 32 KiB needs one or two */
	/* A head is refused beyond 32 KiB; beyond that much, with what is only referred to
	 * (RFC 7541 7.3), it is an attack. */
	HTTP2_HEAD_FLOOD = 512 << 10,
};

/* What a client may do so often at once, and again so often per second. Browsers do a hundredth of
 * it; one that does more gains nothing by it, and costs us and the applications behind us work. */
#define HTTP2_NUISANCES(X)                                                                         \
	/* name, at once, per second, what it does */                                              \
	/* CVE-2023-44487; each answer that is let end makes up for one */                         \
	X(RESET, 200, 20, "resets its streams too often")                                          \
	X(FAULT, 100, 5, "makes us reset its streams too often") /* CVE-2025-8671 */               \
	X(PING, 500, 50, "sends too many PINGs") /* one for each DATA is free: gRPC measures */    \
	X(SETTINGS, 50, 2, "changes its settings too often")                                       \
	X(EMPTY, 200, 20, "sends too many frames without content")                                 \
	X(PRIORITY, 500, 50, "changes priorities too often")                                       \
	X(WINDOW, 2000, 1000, "sends too many WINDOW_UPDATEs") /* two for each DATA are free */    \
	X(LATE, 1000, 100, "goes on with streams that have ended")                                 \
	X(OTHER, 200, 20, "sends too many frames of unknown types")
enum http2_nuisance {
#define X(name, ...) HTTP2_NUISANCE_##name,
	HTTP2_NUISANCES(X)
#undef X
	        HTTP2_NUISANCE_COUNT
};

enum http2_error { /* RFC 9113 7 */
	HTTP2_NO_ERROR = 0,
	HTTP2_PROTOCOL_ERROR = 1,
	HTTP2_INTERNAL_ERROR = 2,
	HTTP2_CANCEL = 8,
	HTTP2_ENHANCE_YOUR_CALM = 11,
};

struct http2;
struct http2_user; /* lives in whoever has the connection */
struct http2_stream;

struct http2_ops {
	/* A request begins: its place, zeroed but for `arena`, and for `out` if it was kept. */
	struct http2_stream *(*opened)(struct http2_user *u);
	/* Its head is whole: s->request, or s->refusal says why it is refused. */
	void (*request)(struct http2_stream *s);
	/* To a client instead of both: a head is whole (http2_client.h). */
	void (*answer)(struct http2_stream *s);
	void (*body)(struct http2_stream *s, struct str piece);
	void (*body_end)(struct http2_stream *s); /* s->trailers are whole */
	/* Ended on both sides, or reset. */
	void (*closed)(struct http2_stream *s);
};
struct http2_user {
	const struct http2_ops *ops;
};

/* A header section as it comes in, field by field. */
struct http2_head {
	struct headers fields;
	struct str method, scheme, authority, path, protocol, status; /* p NULL: absent */
	size_t bytes; /* as SETTINGS_MAX_HEADER_LIST_SIZE counts them */
	struct refusal refusal;
};

struct http2_stream {
	struct arena *arena; /* the user's: what the request is made of */
	int32_t id;
	struct request request;
	struct refusal refusal; /* of the request's head; why is NULL if there is none */
	struct headers trailers;
	bool request_ended; /* nothing more comes from the client */
	int64_t sent_at;    /* mono ms: content went out, or began to wait */
	uint64_t gone;      /* bytes of content that went out */

	/* The codec's own. */
	struct http2 *connection;
	struct http2_head head;
	struct buf out; /* content that waits, from `sent` on */
	size_t sent;
	struct str lent;
	struct headers out_trailers;
	bool has_content, ended, is_request, is_tunnel;
	bool deaf;     /* its user wants to hear of nothing but `closed` */
	bool asked;    /* by a client: the head has gone */
	bool reset;    /* by the peer */
	bool said_all; /* by a client: the end has gone */
	bool answered; /* to a client: the final head has come */
};

/* tls: how the connection came; it decides on the scheme. now: mono ms. */
struct http2 *http2_new(struct http2_user *u, bool tls, int64_t now);
void http2_free(struct http2 **h); /* streams that are left are the user's; none is closed */
void http2_time(struct http2 *h, int64_t now);

/* False: the connection is over. A GOAWAY is waiting for http2_collect, and http2_fault says why
 * in a sentence. */
bool http2_receive(struct http2 *h, struct str bytes);
const char *http2_fault(const struct http2 *h); /* NULL: none */
/* Frames that are due, until there are `most` bytes or more. */
void http2_collect(struct http2 *h, struct buf *out, size_t most);
bool http2_over(const struct http2 *h);    /* both sides have said what they had to say */
bool http2_in_head(const struct http2 *h); /* a header section has begun and has no end yet */

/* The peer may send that much more, now that it has been used up. Harmless after `closed`. */
void http2_used(struct http2 *h, int32_t stream_id, size_t bytes);

/* A 1xx or final head; of a tunnel its 101 (which becomes 200, RFC 8441 5). Framing is by
 * r->body and r->head_only. */
void http2_respond(struct http2_stream *s, const struct response *r);
void http2_put(struct http2_stream *s, struct str piece);
/* The piece is only borrowed until http2_take_back, which keeps what was not collected. */
void http2_lend(struct http2_stream *s, struct str piece);
void http2_take_back(struct http2_stream *s);
/* Trailers may be NULL. Whatever the client still sends of its request is dropped after it. */
void http2_end(struct http2_stream *s, const struct headers *trailers);
void http2_reset(struct http2_stream *s, enum http2_error code);
/* Of one that is closed, or whose connection is gone: content that waits is dropped; memory for a
 * short answer stays in `out`. */
void http2_stream_clear(struct http2_stream *s);
size_t http2_unsent(const struct http2_stream *s);
size_t http2_unsent_all(const struct http2 *h);

/* The client is told to open no more streams; those that it opens meanwhile are served. A PING goes
 * along: once it is answered (http2_leave_heard), none is on its way any more (RFC 9113 6.8). */
void http2_leave_soon(struct http2 *h);
bool http2_leave_heard(const struct http2 *h);
/* The end: later streams than those that were opened are ignored. */
void http2_leave(struct http2 *h, enum http2_error code);

/* http2_request.c: from fields to a request, by the laws. Text is copied into the arena. */
void http2_head_add(struct http2_head *h, struct arena *a, struct str name, struct str value);
MUST_CHECK bool http2_head_request(
        struct http2_head *h, struct arena *a, bool tls, bool ended, struct request *ret_request);
void http2_head_trailers(const struct http2_head *h, struct arena *a, struct headers *ret_trailers);

#endif
