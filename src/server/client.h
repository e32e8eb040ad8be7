/* A client's connection, from accept to close, whatever is spoken on it: the handshake and its
 * time-out, the choice of the protocol, one deadline, the place in the worker's books. What speaks
 * HTTP on it is a session (http1_session.c). */
#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include "net/address.h"
#include "net/conn.h"
#include "server/demand.h"
#include "server/worker.h"
#include "tls/tls.h"

struct client;
struct session;

/* Each may free the client. */
struct session_ops {
	void (*ready)(struct session *s, unsigned events); /* of the connection */
	void (*expired)(struct session *s);                /* the client's deadline has passed */
	void (*drain)(struct session *s);      /* ends now if idle, else after what is under way */
	bool (*idle)(const struct session *s); /* no request is under way */
	void (*free)(struct session *s); /* exchanges under way are told that the client is gone */
};
struct session {
	const struct session_ops *ops;
};

/* What a connection needs until it has a session. */
struct opening {
	struct client *client;
	struct generation *generation;       /* the listener's */
	const struct listener_row *listener; /* held by generation */
	struct tls_hello hello;
	struct address_kept opened; /* as the PROXY protocol has told it; hello points to it */
	struct demand_wait demand;
};

struct client {
	struct list node; /* in worker->connections */
	struct list in_place;
	struct client_place *place; /* NULL: whose connection it is is not known yet */
	struct worker *worker;
	struct conn_holder held;
	struct session *session; /* NULL until the handshake is done */
	struct opening *opening; /* NULL from then on */
	struct timer timer;
	int64_t deadline; /* mono ms, INT64_MAX: none */
	struct address_kept address;
	struct keepsake *kept;
	struct secured secured; /* without a version: it is not */
	bool tls, temporary;
};

/* Serves the connection; takes it. listener is NULL for one that does not come from a listener:
 * then it is plain HTTP. */
void client_new(struct worker *w, struct conn *conn, const struct sockaddr_storage *from,
        const struct listener_row *listener);
/* One that another process has accepted and hands on as plain HTTP: who is at its other end, and
 * whether he came by TLS, with a temporary certificate. */
struct client_from {
	struct sockaddr_storage address;
	bool tls, temporary;
};
void client_handed_on(struct worker *w, struct conn *conn, const struct client_from *from);
void client_free(struct client *c);  /* closes in an orderly way */
void client_reset(struct client *c); /* so that the client sees a failure */

/* One deadline at a time; moving it costs nothing. Negative: none. */
void client_deadline(struct client *c, int64_t after_ms);

struct session *http1_session_new(struct client *c);
struct session *http2_session_new(struct client *c);
void http2_session_spare_done(struct worker *w); /* frees w->spare */
/* Right after it: this port speaks HTTPS, and the client does not. His request, which begins with
 * `bytes`, is answered with 400. May free the client. */
void http1_session_misplaced(struct session *s, struct str bytes);

#endif
