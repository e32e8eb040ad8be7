/* Decoded certificate chains with their keys, for handshakes. keys_attach is the only way by which
 * a handshake gets a key; later the keys move to a process of their own behind it.
 *
 * A pair_cache belongs to one worker thread and its OSSL_LIB_CTX: an LRU of decoded pairs, each
 * keyed by a number that its certificate record never shares with another (certs/table.h). Links
 * libcrypto and libssl only: no sodium, no libc resolver. */
#ifndef KEYS_PAIR_H
#define KEYS_PAIR_H

#include "base/err.h"
#include <openssl/types.h>

struct pair_source {
	uint64_t number;          /* unique per certificate for ever: the LRU's key */
	struct str leaf, key;     /* DER; only read while keys_attach runs */
	const struct str *chain;  /* DER, from the leaf's issuer upwards */
	size_t chain_count;
};

struct pair_cache;
struct pair_cache *pair_cache_new(OSSL_LIB_CTX *lib, size_t most);
void pair_cache_free(struct pair_cache **c);
MUST_CHECK bool keys_attach(SSL *ssl, struct pair_cache *cache, const struct pair_source *source,
                            struct err *err);

#endif
