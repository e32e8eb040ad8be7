/* TLS for connections of clients, as a filter (net/conn.h) over what carries it.
 *
 * One tls_worker per thread: an OSSL_LIB_CTX of its own, one SSL_CTX per policy, decoded
 * certificates, ticket keys. Policy: TLS 1.2 and 1.3, Mozilla "intermediate" (5.7) without its
 * finite-field DHE suites, which cost a stranger nothing and us much.
 *
 * A handshake gets the certificate of its server name from the table; without a server name that of
 * the address that the client is connected to (RFC 8738), else that of the listener's default name;
 * without any, that of "*", under which control puts the certificate of `site *`. If there is none,
 * the alert is unrecognized_name (RFC 6066 3). Where another one stands beside it, the client's
 * signature algorithms choose: ECDSA where it can, RSA otherwise. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include "base/buf.h"
#include "certs/table.h"
#include "net/conn.h"

/* Gives libcrypto and libssl memory that suits handshakes (memory.c). Before anything else is asked
 * of them in this process. */
void tls_memory_use(void);

/* What a site asks of connections beyond the policy that all have. The identity stands for all of
 * it, zeros for nothing: tickets are good for the same one alone. */
struct tls_rules {
	bool modern;          /* TLS 1.3 only */
	struct str client_ca; /* DER, one behind the other; empty: nobody is asked for any */
	unsigned char identity[16];
};
struct tls_proof {
	struct str leaf, key; /* DER */
};
/* What becomes of a handshake whose server name is known: it goes on, stands still until
 * conn_tls_go_on and is asked about again, or is refused. */
enum tls_turn { TLS_GOES_ON, TLS_WAITS, TLS_REFUSED };
/* Whoever knows the sites. Asked once, before anything of the handshake is decided; the rules have
 * to live until the handshake has ended. NULL: none beyond the policy. */
struct tls_hello {
	/* name: the server name, or what stands in for it where there is none. */
	const struct tls_rules *(*rules)(struct tls_hello *h, struct str name);
	/* May be NULL. A client that offers acme-tls/1 and nothing else proves that name (RFC
	 * 8737): what it is shown, until the next turn. False: it is refused. No rules are asked
	 * for. */
	bool (*proof)(struct tls_hello *h, struct str server_name, struct tls_proof *ret_proof);
	/* May be NULL: it goes on. Before the rules are asked for. */
	enum tls_turn (*turn)(struct tls_hello *h, struct str server_name);
	/* The address that the client has opened, where somebody in between knows it. NULL: that of
	 * our own end. */
	const struct address_kept *opened;
};

/* Session tickets: made in one place, shared by all workers, so that each resumes what another
 * began. The previous key still opens tickets, the current one seals them. Zeros: there is none,
 * and it opens nothing. */
struct tls_ticket_key {
	unsigned char name[16], cipher[32], mac[32];
};
struct tls_ticket_keys {
	struct tls_ticket_key current, previous;
};
/* Moves current to previous and makes a new one of random bytes. */
MUST_CHECK bool tls_ticket_keys_rotate(struct tls_ticket_keys *k, struct err *err);

struct tls_worker;
/* loop and certs are borrowed. */
MUST_CHECK struct tls_worker *tls_worker_new(
        struct loop *loop, const struct cert_table *certs, struct err *err);
void tls_worker_free(struct tls_worker **w); /* after its connections */
void tls_worker_ticket_keys(struct tls_worker *w, const struct tls_ticket_keys *keys);

/* The server's side over `below`, which it owns. The first `ready` tells that the handshake has
 * ended, well or not. default_name is borrowed until then. */
struct conn *conn_tls_new(struct tls_worker *w, struct conn *below, struct str default_name);
/* ALPN: before HTTP/1, to clients that know it. Before the handshake has begun. */
void conn_tls_offer_http2(struct conn *c);
void conn_tls_ask(struct conn *c, struct tls_hello *hello); /* before its first event */
/* What the client has shown, verified by the rules' client_ca: its subject (RFC 4514), and SHA-256
 * of the DER in hex. False: nothing. */
struct tls_client {
	char subject[1024], fingerprint[65], serial[64];
};
MUST_CHECK bool conn_tls_client(const struct conn *c, struct tls_client *ret_client);
/* A handshake that stands still. Fires `ready` within, if it has ended with that. */
void conn_tls_go_on(struct conn *c);
bool conn_tls_established(const struct conn *c);
bool conn_tls_resumed(const struct conn *c); /* by a ticket */
/* The client was shown a proof, and it is over (RFC 8737 3: nothing is sent on it). */
bool conn_tls_proves(const struct conn *c);
bool conn_tls_chose_http2(const struct conn *c);
const char *conn_tls_version(const struct conn *c); /* "TLSv1.3" */
bool conn_tls_temporary(const struct conn *c);      /* it was given a temporary certificate */
/* Of a handshake that has failed: if the client sent text, such as a request of plain HTTP, in
 * place of TLS, frees *c and gives what was below it, with the bytes that came; else NULL. There
 * may be more to read, of which no event tells. */
struct conn *conn_tls_plain(struct conn **c, struct buf *ret_bytes);
/* NULL, or why a certificate of ours cannot be used. */
const struct err *conn_tls_fault(const struct conn *c);

/* ---- the client's side, to an application (client.c) ---- */

/* Certificates that may vouch for it, in DER one behind the other, as OpenSSL has them; shared by
 * all that trust the same. Unref'd before the worker is freed. */
struct tls_trust;
struct tls_trust *tls_trust_ref(struct tls_worker *w, struct str ders);
void tls_trust_unref(struct tls_trust **t);

struct ssl_session_st; /* OpenSSL's */
void tls_session_free(struct ssl_session_st **session);

struct tls_peer {
	struct str name;    /* asked for, and expected in its certificate; empty: the address is */
	struct str address; /* numeric */
	struct tls_trust *trust;
	struct ssl_session_st **session; /* resumed if there is one, and kept; outlives it */
};
/* Over `below`, which it owns and which may be connecting still. CONN_OUT tells that the handshake
 * has ended: conn_write then works, or conn_failure says why not. NULL if the trust cannot be used;
 * `below` is freed then. */
struct conn *conn_tls_connect(struct conn *below, const struct tls_peer *peer);

#endif
