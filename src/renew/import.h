/* Certificates that people bring: served, and never renewed by us.
 *
 * Record imported, id: the NAME; value {names, issuer, serial, not_before, not_after, since,
 * thumbprint, key_type, beside, crl_url, ocsp_url}; blob as of a certificate (held.c).
 * Chains and keys are read once, at the start, into handshakes; what people are told of them is
 * kept in memory. */
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

/* It goes with its key; its names have what is left (import_remove.c). While browsers may remember
 * HTTPS for its names and nothing is left for NAME, that needs despite_hsts. `done` when it is
 * gone; q->after says what visitors get from then on. */
void import_remove(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done);
void removals_stop(struct renewals *r);

/* Within renew/, of imported.c. One is replaced as long as a registration of its NAME that is
 * wanted has a certificate, or one that is not has a newer one (exact to the second, as dates are
 * stored). If it was brought while one with the other kind of key (ECDSA, RSA) was renewed, it
 * stands beside that and is replaced by none of them. Its id is NAME-imported. */
#define IMPORTED_KIND STR("imported")
struct imported;
struct imported_install {
	struct str name;
	const struct str *names;
	size_t name_count;
	const struct str *chain;
	size_t count;
	const struct secret *key;
	bool rsa, beside;
};
/* What stands beside one that is issued is served with that: held_install. */
void imported_install(struct renewals *r, const struct imported_install *what);
/* The record is new, or another: known, and told to whoever watches. */
void imported_again(struct renewals *r, struct str name);
MUST_CHECK bool imported_load(struct renewals *r, struct err *err);
void imported_done(struct renewals *r);
/* At the start: all that are not replaced; and the one for that name, if there is one. */
void imported_install_all(struct renewals *r);
bool imported_install_again(struct renewals *r, struct str name);
/* Serves `issued`, whose key is of that kind, for that name together with what was brought to stand
 * beside it, if anything was. */
void imported_install_beside(
        struct renewals *r, struct str name, bool rsa, const struct serving_certificate *issued);
/* Whether anything was. */
bool imported_stands_beside(struct renewals *r, struct str name, bool rsa);
/* The one that is issued for that name with the other kind of key; NULL: there is none. */
struct registration *imported_partner(struct renewals *r, struct str name, bool rsa);
/* It is in the store no more: nobody knows it, and its names are served what is left for them. */
void imported_remove(struct renewals *r, struct str name);
/* What there is for exactly that name, but for that one; false: nothing. */
struct imported_heir {
	struct str issuer;
	int64_t not_after;
};
bool imported_left(
        struct renewals *r, struct str name, const struct imported *but, struct imported_heir *ret);
/* By NAME or id; NULL if there is none. */
const struct imported *imported_find(struct renewals *r, struct str name);
const struct imported *imported_by_id(struct renewals *r, struct str id);
struct renew_view imported_view(const struct imported *m);
void imported_each(struct renewals *r, struct renew_view_each *e);
void imported_write(const struct imported *m, const char *key, struct json_writer *w);
void imported_status(struct renewals *r, struct json_writer *w);
void imported_tell(const struct imported *m); /* whoever watches: something about it is new */
/* As it is known now. */
void imported_serve_again(const struct imported *m);
/* Whether its CA says somewhere if it is revoked, and that matters. */
struct imported_asked {
	struct str id, name, serial, thumbprint, crl_url, ocsp_url;
};
bool imported_asked(const struct imported *m, struct imported_asked *ret);
const struct imported *imported_of(struct map_node *n); /* of those in renewals.imports */
/* Leaf first, in the arena. */
MUST_CHECK bool imported_chain(const struct imported *m, struct arena *a,
        struct str ret_chain[CHAIN_MOST], size_t *ret_count, struct err *err);
/* Its CA has revoked the one with that thumbprint: from now on it is known; and told. */
void imported_revoked(struct renewals *r, struct str id, struct str thumbprint, int64_t at);
/* Every day: says which ones end soon. */
void imported_look(struct renewals *r);
MUST_CHECK bool imported_export(
        const struct imported *m, bool with_key, struct buf *ret_pem, struct err *err);

#endif
