/* `issuer internal`: Everseal's own small authority, for development and for names that no public
 * CA issues for.
 *
 * There is one root for all private names (.localhost, .test, .internal, …, and addresses of
 * private networks), and one for each other domain, host name or address that it is used for, each
 * constrained to its own: who trusts it trusts no more than that. A root lives ten years, and is
 * replaced a year before its end; leaves live a week and are renewed after half of it.
 *
 * Records: authority   id: what the root is for, "private" or the domains
 *                      value {root: PEM, created}   blob: the sealed key */
#ifndef ISSUE_INTERNAL_H
#define ISSUE_INTERNAL_H

#include "issue/issue.h"

#define INTERNAL_LEAF_LIFE (7 * DAY)

/* Owned by the caller until `done`. */
struct internal_call {
	const struct str *names; /* live until `done` */
	size_t name_count;
	/* The certificate's key in DER; used until `done`. */
	const struct key *key;
	/* Exactly once, never before internal_start has returned. leaf: DER. */
	void (*done)(struct internal_call *c, struct str leaf, const struct err *err);
	/* The rest is its own. */
	const struct issue_needs *needs; /* NULL when not started */
	struct arena arena;
	struct str id; /* of the root */
	struct store_tx tx;
	struct later later;
	struct err err;
};
void internal_start(struct internal_call *c, const struct issue_needs *needs);
void internal_abort(struct internal_call *c); /* harmless if not started */

/* The roots that there are, in the array `name` of w, an object each: "for", "subject",
 * "not_before", "not_after", "sha256", "pem". */
size_t internal_roots_count(struct store *store);
/* All of them, one behind the other. */
void internal_roots_pem(struct store *store, struct buf *out);
void internal_roots_write(struct store *store, struct json_writer *w, const char *name);

#endif
