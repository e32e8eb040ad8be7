#include "renew/import.h"
#include "certs/name.h"
#include "keys/foreign.h"
#include "renew/private.h"

enum { BLOB_MOST = 512 << 10, EARLY_MOST = 5 * MINUTE };

struct import_item {
	struct str name;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert leaf;
	struct secret key;
	int64_t version; /* of the record that it replaces */
	bool rsa, beside;
};

/* ---- what is brought ---- */

static bool dates_fit(const struct cert *leaf, int64_t now, struct err *err)
{
	char text[CLOCK_TEXT];
	if (leaf->not_after <= now)
		return err_set(err, ERR_INPUT,
		        "The certificate has expired on %s." ERR_REMEDY
		        "Import the one that follows it.",
		        clock_rfc3339(leaf->not_after, text));
	return leaf->not_before <= now + EARLY_MOST ||
	       err_set(err, ERR_INPUT,
	               "The certificate is not valid before %s." ERR_REMEDY
	               "Import it then, or check this machine's clock.",
	               clock_rfc3339(leaf->not_before, text));
}

/* Whoever renews it would put another in its place, unless that has the other kind of key: then
 * this one stands beside it. */
static bool is_free(struct renewals *r, struct import_item *item, struct err *err)
{
	const struct str name = item->name;
	item->rsa = str_starts(item->leaf.key_type, STR("RSA"));
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		if (!registration_wanted(e->registration))
			continue;
		if (key_type_is_rsa(e->registration->key_type) == item->rsa)
			return err_set(err, ERR_CONFLICT,
			        "Everseal renews the certificate for %.*s itself." ERR_REMEDY
			        "Disable that first: everseal lets-encrypt disable %.*s.",
			        STR_ARG(name), STR_ARG(name));
		item->beside = true;
	}
	return true;
}

static bool judge(struct import *i, struct import_item *item, struct str pem, struct err *err)
{
	int64_t now = loop_wall(i->renewals->needs.loop);
	if (!cert_chain_from_pem(&i->arena, pem, item->chain, &item->count, err) ||
	        !cert_read(&i->arena, item->chain[0], &item->leaf, err) ||
	        !foreign_key_from_pem(pem, &item->key, err) ||
	        !foreign_key_fits(&item->key, item->chain[0], err) ||
	        !foreign_chain_fits(item->chain, item->count, err) ||
	        !dates_fit(&item->leaf, now, err))
		return false;
	if (!cert_covers(&item->leaf, item->name))
		return err_set(err, ERR_INPUT,
		        "The certificate is not for %.*s, but for %.*s." ERR_REMEDY
		        "Import one that is for that name.",
		        STR_ARG(item->name),
		        STR_ARG(item->leaf.name_count ? item->leaf.names[0] : item->leaf.subject));
	return is_free(i->renewals, item, err);
}

/* Nobody has to prove control of a wildcard that is brought. */
static bool read_name(struct import *i, struct str typed, struct str *ret_name, struct err *err)
{
	struct name name;
	if (!name_read_wildcard(&i->arena, typed, /* public_only= */ false, &name, err))
		return false;
	*ret_name = name.ascii;
	return true;
}

static bool take(struct import *i, struct import_item *item, const struct import_want *want)
{
	struct record before;
	ARENA_AUTO scratch = ARENA_INIT;
	if (!read_name(i, want->name, &item->name, &i->err))
		return false;
	if (!judge(i, item, want->pem, &i->err)) {
		err_prefix(&i->err, "%.*s cannot be imported", STR_ARG(item->name));
		return false;
	}
	struct err none = ERR_INIT;
	if (store_get(
	            i->renewals->needs.store, &scratch, IMPORTED_KIND, item->name, &before, &none))
		item->version = before.version;
	return true;
}

/* ---- stored, and served ---- */

static void write_some(struct json_writer *w, const char *key, struct str value)
{
	if (value.n)
		json_write_text(w, key, value);
}

/* Without what says nothing: a hundred thousand of these are read at the start. */
static void write_value(struct import *i, const struct import_item *item, struct buf *out)
{
	struct json_writer w;
	const struct cert *leaf = &item->leaf;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_text(&w, "issuer", leaf->issuer);
	json_write_array(&w, "names");
	for (size_t n = 0; n < leaf->name_count; n++)
		json_write_text(&w, NULL, leaf->names[n]);
	json_write_end(&w);
	json_write_text(&w, "serial", leaf->serial);
	json_write_time(&w, "not_before", leaf->not_before);
	json_write_time(&w, "not_after", leaf->not_after);
	json_write_time(&w, "since", loop_wall(i->renewals->needs.loop));
	json_write_c(&w, "thumbprint", leaf->sha1);
	json_write_text(&w, "key_type", leaf->key_type);
	if (item->beside)
		json_write_bool(&w, "beside", true);
	write_some(&w, "crl_url", leaf->crl_url);
	write_some(&w, "ocsp_url", leaf->ocsp_url);
	json_write_end(&w);
}

static void put(struct import *i, const struct import_item *item)
{
	BUF_AUTO value = BUF(64 << 10), blob = BUF(BLOB_MOST);
	write_value(i, item, &value);
	held_blob(&blob, item->chain, item->count);
	seal(i->renewals->needs.master,
	        (struct seal_for){ IMPORTED_KIND, item->name, item->version + 1 }, &item->key,
	        &blob);
	store_tx_put(
	        &i->tx, IMPORTED_KIND, item->name, item->version, buf_str(&value), buf_str(&blob));
}

static void let_go(struct import *i)
{
	for (size_t n = 0; n < i->count; n++)
		secret_done(&i->items[n].key);
	later_stop(&i->later);
	i->renewals = NULL;
	arena_done(&i->arena);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct import *i = OWNER(tx, struct import, tx);
	for (size_t n = 0; !err && n < i->count; n++) {
		const struct import_item *item = &i->items[n];
		struct renewals *r = i->renewals;
		imported_again(r, item->name);
		imported_install(r, &(struct imported_install){ item->name, item->leaf.names,
		                            item->leaf.name_count, item->chain, item->count,
		                            &item->key, item->rsa, item->beside });
		struct registration *g =
		        item->beside ? imported_partner(r, item->name, item->rsa) : NULL;
		if (g)
			held_install(g);
		revoked_ask_imported(r, item->name);
	}
	let_go(i);
	i->done(i, err);
}

static void refused(struct later *l)
{
	struct import *i = OWNER(l, struct import, later);
	let_go(i);
	i->done(i, &i->err);
}

void import_start(struct renewals *r, struct import *i, const struct import_want *wants,
        size_t count, import_done *done)
{
	*i = (struct import){ .done = done, .renewals = r, .count = count };
	i->items = arena_array(&i->arena, struct import_item, count);
	store_tx_init(&i->tx);
	for (size_t n = 0; n < count; n++) {
		if (take(i, &i->items[n], &wants[n]))
			continue;
		later_start(&i->later, r->needs.loop, refused);
		return;
	}
	for (size_t n = 0; n < count; n++)
		put(i, &i->items[n]);
	store_tx_start(r->needs.store, &i->tx, stored);
}

void import_abort(struct import *i)
{
	if (!i->renewals)
		return;
	store_tx_abort(&i->tx);
	let_go(i);
}
