/* The certificates of a small authority of our own: for names that no public CA may certify, and
 * for development. Who trusts its root trusts it for the names that the root permits and for no
 * others (RFC 5280 4.2.1.10), so that a stolen root forges nobody's bank. */
#ifndef KEYS_AUTHORITY_H
#define KEYS_AUTHORITY_H

#include "keys/keys.h"

struct authority_root {
	struct str common_name;
	/* Permitted: each of these DNS names with all beneath it, and each of these addresses.
	 * addresses: also the addresses of private networks and of this machine. No others. */
	const struct str *names;
	size_t count;
	bool addresses;
	int64_t not_before, not_after; /* wall ms */
};
/* Self-signed; it issues leaves only. */
MUST_CHECK bool authority_root_make(const struct key *key, const struct authority_root *root,
        struct buf *out_der, struct err *err);

struct authority_leaf {
	const struct str *names; /* DNS names or IP addresses, at least one */
	size_t count;
	int64_t not_before, not_after; /* wall ms; within the root's life */
};
/* Signed with the root's key. Names that the root does not permit are refused. */
MUST_CHECK bool authority_leaf_make(const struct key *root_key, struct str root_der,
        const struct key *key, const struct authority_leaf *leaf, struct buf *out_der,
        struct err *err);

#endif
