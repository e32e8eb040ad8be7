/* One exchange on its way through an upstream. Private to proxy/.
 *
 * proxy.c begins it, finds a connection and ends it; send.c brings the request to the upstream;
 * receive.c brings the answer back. A passage lives in its exchange's arena: after passage_end and
 * passage_fail neither it nor the exchange may be touched. */
#ifndef PROXY_PASSAGE_H
#define PROXY_PASSAGE_H

#include "http/http1.h"
#include "proxy/group.h"
#include "proxy/trunk.h"

struct passage {
	struct handling handling;
	struct channel_user user;
	struct exchange *ex;
	struct pool *own;       /* control's, in place of the site's upstreams; NULL: those */
	struct request request; /* as the upstream gets it */
	const struct upstream *upstream; /* that was chosen, in the exchange's generation */
	struct group_choice choice;
	struct visit *visit; /* in the arena; NULL: not asked for yet */
	struct group_waiting waiting;
	uint64_t new_mark;  /* that the client's cookie gets, 0: keeps */
	struct later later; /* the head goes without content; a failed write is looked into */

	struct buf out;     /* what the upstream has not taken yet */
	bool head_sent;     /* or waits in `out` */
	bool sent_any;      /* on this connection */
	bool content_taken; /* of the client: what is gone cannot be sent again */
	bool content_ended, send_failed;

	struct http1_scan scan;
	struct http1_body body;
	struct buf in;  /* the beginning of a head */
	ptrdiff_t room; /* what may be read of content; <= 0: the client is slower */
	unsigned interims;
	int64_t head_due; /* mono ms, once a head has begun; 0: none has */
	bool heard_any;   /* on this connection */
	bool read_full;   /* the last read took all that was asked for: there may be more */
	bool responded, reusable, retried;
	struct str websocket_key;    /* ours; empty: the client has its own, or there is none */
	bool tunnel, upstream_ended; /* bytes both ways; its side has ended */
	bool full, connect_late;     /* why an upstream could not be had */
	bool moved_on;               /* to another upstream, once the first has failed */
	const char *broken, *detail; /* how it failed · what the log says of a failure; or NULL */

	/* By HTTP/2 (passage_http2.c). `in` then is content for which the client has no room. */
	struct ride_user ride_user;
	struct ride *ride; /* NULL: none, or it is over */
	bool by_http2, client_ended, forgotten;
	struct buf again; /* what the client said of content, until it is too much or answered */
	unsigned tries;
	struct headers trailers; /* of the answer */
};

static inline struct proxy_pools *passage_pools(const struct passage *p)
{
	return p->ex->worker->proxy;
}

/* For a handler that begins one; the rest is the passage's. */
struct passage *passage_new(struct exchange *ex);
void passage_start(struct passage *p); /* request is set: finds a connection */
/* to_control.c: control did not answer, or not to the end. Nothing but the exchange is left. */
void control_failed(struct exchange *ex, bool responded);

/* It cannot go to this upstream: our answer, and nothing that is held against the upstream. */
void passage_refuse(struct passage *p, unsigned status, const char *sentence);

/* The connection stands: the request may go. */
void passage_send(struct passage *p);
/* There is room in the connection again. */
void passage_flush(struct passage *p);
void passage_body(struct passage *p, struct str piece);
void passage_body_end(struct passage *p);
/* The answer was 101: from now on bytes go both ways. */
void passage_begin_tunnel(struct passage *p);
/* All of the request was taken by the connection. */
bool passage_sent(const struct passage *p);

/* websocket.c: the key that a client of HTTP/2 does not give; whether a 101 is the one that was
 * asked for. */
void passage_offer_websocket(struct passage *p);
bool passage_websocket_accepted(const struct passage *p, struct response *r);
/* The same towards HTTP/2: the request without its key, false if it has none; and the answer with
 * what the client expects. */
MUST_CHECK bool passage_websocket_request(const struct passage *p, struct request *ret_request);
void passage_websocket_taken(const struct passage *p, struct response *r);

/* Reads what there is. May end the passage. */
void passage_receive(struct passage *p);

/* passage_http2.c: the same over a trunk. */
MUST_CHECK bool passage_http2_begin(
        struct passage *p, const struct visit *v, int64_t idle_ms); /* false: no connection */
void passage_http2_send(struct passage *p);
void passage_http2_body(struct passage *p, struct str piece);
void passage_http2_body_end(struct passage *p);
void passage_http2_room(struct passage *p);
bool passage_http2_asks_client(const struct passage *p); /* the next step is his */

/* No connection could be had; `first`: of those that have shared it. */
void passage_unreached(struct passage *p, const char *why, bool late, bool first);
/* The upstream has not looked at the request: again, to the same one. */
void passage_again(struct passage *p);

/* The final head has come: how its upstream does, and the client's cookie. */
void passage_answered(struct passage *p, unsigned status);
/* sticky.c: the mark in the request's cookie, 0: none; sets it in the answer's. */
uint64_t sticky_mark(const struct exchange *ex);
void sticky_set(struct exchange *ex, uint64_t mark);
/* Sets the time-out that fits what is waited for. */
void passage_wait(struct passage *p);
/* The connection died: again on another one if that is harmless, else an end. */
void passage_broken(struct passage *p, const char *why);
/* The answer is complete; `clean`: nothing was read behind it. */
void passage_end(struct passage *p, bool clean);
/* One side of a tunnel, or both, broke off: the other is told in the same way. */
void passage_cut(struct passage *p, const char *why);
/* Our own answer, or an abort that the client sees; `sentence` is for both client and log. */
void passage_fail(struct passage *p, unsigned status, const char *sentence);

#endif
