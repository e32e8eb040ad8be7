/* What the files of tls/ share. */
#ifndef TLS_INSIDE_H
#define TLS_INSIDE_H

#include "base/list.h"
#include "keys/pair.h"
#include "tls/tls.h"
#include <openssl/ssl.h>

struct tls_worker {
	struct loop *loop;
	const struct cert_table *certs;
	OSSL_LIB_CTX *lib;
	SSL_CTX *intermediate; /* one per policy */
	BIO_METHOD *bio;
	struct pair_cache *pairs;
	EVP_CIPHER *ticket_cipher;
	struct tls_ticket_keys tickets;
	struct list stores; /* of client CAs, the last used first */
	size_t store_count;
	struct tls_trust *trusts; /* of applications that are spoken to by TLS */
	char *gather;             /* TLS_RECORD bytes: small parts of one write become one record */
	char *spare;              /* for the next connection that has records to wait; NULL: none */
	size_t spare_cap;
};

enum { TLS_RECORD = 16 << 10 };

struct tls_trust {
	struct tls_worker *worker;
	struct tls_trust *next;
	uint64_t hash; /* of the certificates */
	unsigned refs;
	SSL_CTX *ctx; /* NULL: they cannot be used */
};

struct tls_conn {
	struct conn conn;
	struct conn_holder below;
	struct tls_worker *worker;
	SSL *ssl;
	struct str default_name; /* until established */
	struct tls_hello *hello; /* NULL: nobody is asked */
	char *out;               /* records that wait to be written; NULL if none */
	size_t out_size, out_cap;
	size_t ticket_size; /* the beginning of `out` is the session ticket: bytes; 0: it is not */
	struct later flush; /* what the handshake leaves goes with the first answer of the turn */
	struct later end;   /* an end that was met behind bytes is an event of its own */
	bool readable;      /* there may be more to read below */
	bool below_blocked, blocked, established, failed, shut, temporary;
	bool begun; /* the first bytes have come */
	bool waits; /* the handshake stands still */
	bool offers_http2, chose_http2;
	bool proves; /* the certificate is a proof, and the protocol acme-tls/1 */
	bool client;
	char *plain; /* they are no TLS but text: what came, heap */
	size_t plain_size;
	struct err *fault;               /* heap; NULL: none */
	struct ssl_session_st **session; /* of a client: where the next one finds it */
};
struct tls_conn *tls_conn_new(struct tls_worker *w, struct conn *below, SSL_CTX *ctx);
/* client.c: puts into words why the handshake has failed. */
void tls_client_failed(struct tls_conn *t);

/* bio.c: the lower edge. Small writes are gathered until tls_flush, large ones pass; a write is
 * always taken, so that libssl never has to repeat one. */
BIO_METHOD *tls_bio_new(void);
void tls_flush(struct tls_conn *t);
void tls_release(struct tls_conn *t); /* what waits is not wanted any more */

/* tickets.c */
void tls_tickets_use(SSL_CTX *ctx);

/* client_ca.c: client certificates are asked for and verified by these CAs. */
MUST_CHECK bool tls_require_client(struct tls_conn *t, const struct tls_rules *rules);
void tls_stores_free(struct tls_worker *w);

/* context.c */
struct tls_conn *tls_conn_of(const SSL *ssl);
void tls_context_init(SSL_CTX *ctx);
bool tls_context_policy(SSL_CTX *ctx); /* versions, suites, groups */

#endif
