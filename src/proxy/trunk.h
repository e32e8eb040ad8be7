/* A connection of HTTP/2 to an upstream (h2c://), which the exchanges that go there share: each is
 * a ride. Private to proxy/.
 *
 * A trunk takes as many rides at once as the upstream says, and at most RIDES_MOST; when all of a
 * pool's trunks are full another one is dialled. One that the upstream tells to leave (GOAWAY), or
 * that has died, takes no more.
 *
 * A WebSocket may be asked for once the upstream has said that it takes them (RFC 8441 3); who
 * has to wait for its word hears `greeted`. If it is taken, the answer is a 101, and after `ended`
 * there still is room, and an end to be told of: `failed`, however it came.
 *
 * What a user puts is written at the end of the turn; what comes is told from within it. After
 * `ended` or `failed` a user hears nothing more. Disadvantage: the rides of one connection wait for
 * each other when a packet is lost. */
#ifndef PROXY_TRUNK_H
#define PROXY_TRUNK_H

#include "http/http2_client.h"
#include "proxy/pool.h"

enum { RIDES_MOST = 100 };

enum ride_end {
	RIDE_UNREACHED,   /* there was no connection */
	RIDE_UNPROCESSED, /* the upstream has not looked at it */
	RIDE_BROKEN,      /* it may have */
	RIDE_BAD,         /* the answer breaks a law, or what there is is not HTTP/2 */
};
struct ride_failure {
	enum ride_end end;
	const char *why; /* for the log */
	bool late;       /* UNREACHED: not in time */
	bool first;      /* UNREACHED: of the rides that share this failure */
};

struct ride_user;
/* Of answer's content and what follows, NULL: unheard. */
struct ride_user_ops {
	void (*connected)(struct ride_user *u); /* after a ride that began `connecting` */
	void (*greeted)(struct ride_user *u);   /* after ride_await_greeting */
	void (*answer)(struct ride_user *u, struct response *r);
	void (*content)(struct ride_user *u, struct str piece);
	void (*ended)(struct ride_user *u, const struct headers *trailers);
	void (*room)(struct ride_user *u); /* all that was put has gone */
	void (*failed)(struct ride_user *u, const struct ride_failure *f);
};
struct ride_user {
	const struct ride_user_ops *ops;
};

struct trunk;
struct ride {
	struct http2_call call;
	struct list node; /* in trunk->rides */
	struct trunk *trunk;
	struct ride **place;    /* where its user has it; NULL: he has left */
	struct ride_user *user; /* told of what happens; NULL: he has left, or has heard the end */
	bool is_asked, is_closed, room_owed, greeting_owed;
	int64_t asked_at; /* mono ms */
};

/* A ride on one of the pool's trunks, or on a new one; *place is NULL again once it is no more.
 * False if no connection may be had. The trunk is kept for idle_ms without rides. */
MUST_CHECK bool ride_begin(struct pool *p, const struct visit *v, struct ride_user *u,
        int64_t idle_ms, struct ride **place);
bool ride_connecting(const struct ride *r); /* `connected` has to be waited for */
/* False: `greeted` will tell when it is so. */
MUST_CHECK bool ride_await_greeting(struct ride *r);
bool ride_takes_websockets(const struct ride *r); /* once it has greeted */
bool ride_is_first(const struct ride *r);         /* nothing was asked on this connection yet */
/* Text of the answer goes to the arena. */
void ride_ask(struct ride *r, struct arena *a, const struct request *request);
void ride_put(struct ride *r, struct str piece);
void ride_end(struct ride *r, const struct headers *trailers);
void ride_used(struct ride *r, size_t bytes);
size_t ride_unsent(const struct ride *r);
/* The user has what he wanted, or wants no more. */
void ride_leave(struct ride *r);
/* It was waited for in vain. If nothing at all has come on its connection meanwhile, that one takes
 * no more rides, and is closed when the last one has left. */
void ride_doubt(struct ride *r);
/* Nobody has accepted the connection in time: it is given up, and all who wait for it are told. */
void ride_give_up(struct ride *r);

/* All of them are closed; they have no rides. */
void trunks_done(struct pool *p);
/* One without rides is closed, if there is one. */
bool trunks_spare_one(struct pool *p);

#endif
