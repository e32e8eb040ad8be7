/* Certificates that people bring: served, and never renewed by us.
 *
 * Record imported, id: the NAME; value {names, issuer, serial, not_before, not_after, since,
 * thumbprint}; blob as of a certificate (held.c). They are read once, at the start, into
 * handshakes; nothing of them is kept in memory. */
#ifndef RENEW_IMPORT_H
#define RENEW_IMPORT_H

#include "renew/renew.h"

struct import_want {
	struct str name, pem; /* as given: leaf, chain and key */
};
/* All of them or, with the sentence about the first that does not do, none: stored in one
 * transaction, then served. `done` fires exactly once, never before the call has returned. */
struct import;
typedef void import_done(struct import *i, const struct err *err);
struct import {
	import_done *done;
	struct renewals *renewals;
	struct store_tx tx;
	struct later later;
	struct err err;
	struct import_item *items;
	size_t count;
	struct arena arena;
};
void import_start(struct renewals *r, struct import *i, const struct import_want *wants,
        size_t count, import_done *done);
void import_abort(struct import *i); /* what was stored is served; `done` will not fire */

/* Within renew/: at the start, and in certificates[]. */
MUST_CHECK bool import_load(struct renewals *r, struct err *err);
void import_status(struct renewals *r, struct json_writer *w);

#endif
