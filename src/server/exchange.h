/* One request and its response, of whatever HTTP version, between a client connection (the codec's
 * side, server/) and a handler (proxy, files, redirect, the page). Stream-based: head, pieces of
 * body with credit, end or abort.
 *
 *	client side (server/)                       handler
 *	handler->start(ex)               ──▶        sets ex->handling
 *	                                 ◀──        exchange_want(ex, n): may send n bytes of body
 *	handling->ops->body(h, piece)    ──▶
 *	handling->ops->body_end(h)       ──▶
 *	                                 ◀──        exchange_respond(ex, head) 1xx, then one
 *	                                 ◀──        exchange_body(ex, piece) → room left
 *	handling->ops->room(h)           ──▶        after room was <= 0: go on
 *	                                 ◀──        exchange_trailers(ex, fields), if there are
 *	                                 ◀──        exchange_end(ex)  or  exchange_abort(ex, why)
 *	handling->ops->gone(h)           ──▶        the client left; the handler lets go at once
 *
 * Exactly one of exchange_end, exchange_abort and `gone` ends an exchange for its handler; it
 * touches neither ex nor its memory afterwards. Calls into the exchange may come inside `start`,
 * `body` or `room`, or at any other time; none of them calls the handler back before it returns.
 * Everything runs on the worker's one thread.
 *
 * A request with `websocket` may be answered with 101, which is then its final head: from there on
 * the exchange is a tunnel. exchange_want, body and body_end carry what the client sends and its
 * end, exchange_body and exchange_end what it gets, in no framing but the codec's own (RFC 6455,
 * RFC 8441: over HTTP/2 the head says 200). Either side may end before the other: exchange_last
 * tells the client that nothing more comes for it, exchange_end is called when both have ended. Any
 * other final head makes it an ordinary exchange. */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "http/message.h"
#include "loop/loop.h"
#include <sys/socket.h>

struct site;
struct counters;
struct generation;
struct encoding;
struct route; /* rules and what answers (server/rules.h) */
struct exchange;
struct handling;
struct worker; /* what a thread owns: loop, pools, certificate cache (server/worker.h) */

struct handling_ops {
	void (*body)(struct handling *h, struct str piece); /* at most what was wanted */
	void (*body_end)(struct handling *h);               /* not for a request of BODY_NONE */
	void (*room)(struct handling *h); /* once, after exchange_body gave <= 0 */
	void (*gone)(struct handling *h);
};
struct handling { /* a handler's state of one exchange begins with, or contains, this */
	const struct handling_ops *ops;
};

/* What a handler keeps for a client's connection, from one exchange to the next. */
struct keepsake {
	void (*free)(struct keepsake *k); /* the connection has ended, after its exchanges */
};

/* What answers a site's requests. */
struct handler {
	void (*start)(struct exchange *ex);
};

/* The codec's side of the calls below. */
struct exchange_ops {
	void (*want)(struct exchange *ex, size_t bytes);
	void (*respond)(struct exchange *ex, const struct response *head);
	ptrdiff_t (*body)(struct exchange *ex, struct str piece);
	void (*trailers)(struct exchange *ex, const struct headers *trailers);
	void (*last)(struct exchange *ex);
	void (*end)(struct exchange *ex);
	void (*abort)(struct exchange *ex, const char *why);
};

/* What a connection's handshake has settled. */
struct tls_client;
struct conn;
struct secured {
	const char *version;        /* "TLSv1.3" */
	unsigned char identity[16]; /* of the rules that its server name's site had (tls/tls.h) */
	struct tls_client *client;  /* heap; NULL: no certificate was asked for */
};

struct exchange {
	const struct exchange_ops *ops;
	struct handling *handling;
	struct arena *arena; /* lives until the exchange has ended */
	struct request request;
	struct headers trailers; /* of the request: whole once body_end is told */
	struct worker *worker;
	struct generation *generation; /* a reference: this request's view of the configuration */
	const struct site *site;
	const struct route *route; /* whose rules hold; NULL: there are none */
	struct headers also;       /* go with the final head, whoever answers */
	struct encoding *encoding; /* of the answer's content (server/encode.h); NULL: none */
	struct keepsake **kept;    /* the connection's; NULL behind it until a handler sets it */
	const struct conn *connection; /* the client's; NULL: there is none */
	/* Who asks: the peer, until routing has found whom a trusted proxy speaks for. */
	struct sockaddr_storage client;
	struct sockaddr_storage peer; /* the connection's other end, once it is routed */
	struct str proto;             /* "http", "https": how the visitor came to a trusted proxy */
	const struct secured *secured; /* NULL: plain HTTP, or nothing is known of its TLS */
	const struct site *asked;      /* for which it is counted and logged; NULL: for none */
	struct counters *counted[2];   /* by enum counters_kind */
	struct str upstream;           /* which answered last, as shown */
	int64_t started;               /* mono ms, 0: its head was refused */
	uint64_t sent;                 /* bytes of content given */
	unsigned status;               /* of the final head, 0: not given */
	bool tls;
	bool temporary;        /* the connection's certificate is the temporary one */
	bool response_started; /* the final head was given */
};

/* The client may now send that many bytes of body, whatever was wanted before; `body` spends
 * them. */
static inline void exchange_want(struct exchange *ex, size_t bytes)
{
	ex->ops->want(ex, bytes);
}
/* A final head (status >= 200, or the 101 of a tunnel) exactly once. HSTS and our own headers are
 * added here, for every handler alike. */
void exchange_respond(struct exchange *ex, const struct response *head);
/* The piece is sent or copied before the call returns. The result is how much more may come before
 * `room` has to be waited for; a handler that goes on past 0 grows memory and is a bug. */
static inline ptrdiff_t exchange_body(struct exchange *ex, struct str piece)
{
	ex->sent += piece.n;
	return ex->ops->body(ex, piece);
}
/* Fields behind the content; they live until the exchange has ended. Dropped if the client does not
 * take them (request.trailers) or its connection has no place for them. */
static inline void exchange_trailers(struct exchange *ex, const struct headers *trailers)
{
	ex->ops->trailers(ex, trailers);
}
/* Of a tunnel: what was given is all that its client gets, who may go on. */
static inline void exchange_last(struct exchange *ex)
{
	ex->ops->last(ex);
}
static inline void exchange_end(struct exchange *ex)
{
	ex->ops->end(ex);
}
/* After the head: an abort that the client can see. Before it: a page with 502 and the sentence. */
void exchange_abort(struct exchange *ex, const char *why);

/* For codecs: the exchange is over for its client, too, and its memory goes. Counts and logs it. */
void exchange_done(struct exchange *ex);

/* A whole short answer with one clear sentence: status, and a page made of it. Ends the
 * exchange. */
void exchange_answer(struct exchange *ex, unsigned status, const char *sentence);
/* The same, with Retry-After. */
void exchange_answer_later(
        struct exchange *ex, unsigned status, const char *sentence, int64_t seconds);
/* The same with a text of its own. */
void exchange_answer_text(struct exchange *ex, unsigned status, struct str type, struct str text);
/* Redirect with Location (301 for GET and HEAD, 308 otherwise). Ends the exchange. */
void exchange_redirect(struct exchange *ex, struct str location);

#endif
