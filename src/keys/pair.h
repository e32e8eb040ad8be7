/* Decoded certificate chains with their keys, for handshakes. keys_attach is the only way by which
 * a handshake gets a key; later the keys move to a process of their own behind it.
 *
 * A pair_cache belongs to one worker thread and its OSSL_LIB_CTX: an LRU of decoded pairs, each
 * keyed by a number that its certificate record never shares with another (certs/table.h). Decoded
 * chains are shared between pairs by their own number. Links libcrypto and libssl only: no sodium,
 * no libc resolver.
 *
 * Costs (OpenSSL 3.0): about 7 KiB per pair. Attaching takes 3 us when the pair is in the cache,
 * else 210 us of decoding, and 190 more for each certificate of a chain not seen before. */
#ifndef KEYS_PAIR_H
#define KEYS_PAIR_H

#include "base/err.h"
#include <openssl/types.h>

struct pair_source {
	uint64_t number;         /* unique per certificate for ever: the LRU's key */
	struct str leaf, key;    /* DER; only read while keys_attach runs */
	const struct str *chain; /* DER, from the leaf's issuer upwards; as in certs/table.h */
	size_t chain_count;
	uint64_t chain_number; /* unique per chain for ever, or 0: then it is shared with nobody */
	/* RFC 6066 8: shown to clients that ask whether it is revoked; empty: nothing is. */
	struct str staple;
};

struct pair_cache;
/* At most `most` pairs (at least 1). lib is borrowed, NULL is the default context. */
struct pair_cache *pair_cache_new(OSSL_LIB_CTX *lib, size_t most);
/* SSL objects that were given pairs may outlive it. */
void pair_cache_free(struct pair_cache **c);
size_t pair_cache_count(const struct pair_cache *c); /* pairs held now */

/* Puts certificate, chain and key into the handshake, in place of any that it has. To be called
 * from cert_cb or before the handshake. */
MUST_CHECK bool keys_attach(
        SSL *ssl, struct pair_cache *cache, const struct pair_source *source, struct err *err);
/* The first, an ECDSA one, if the client has said that it can do with it (signature_algorithms; in
 * TLS 1.2 its curves and cipher suites, too), else the one that stands beside it. */
MUST_CHECK bool keys_attach_either(SSL *ssl, struct pair_cache *cache,
        const struct pair_source *first, const struct pair_source *beside, struct err *err);
/* One that is hardly ever asked for again: the cache does not keep it. Its numbers may be 0. */
MUST_CHECK bool keys_attach_once(
        SSL *ssl, struct pair_cache *cache, const struct pair_source *source, struct err *err);

#endif
