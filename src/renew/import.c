#include "renew/import.h"
#include "certs/name.h"
#include "keys/foreign.h"
#include "renew/private.h"

enum { BLOB_MOST = 512 << 10, EARLY_MOST = 5 * 60 * 1000 };

struct import_item {
	struct str name;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert leaf;
	struct secret key;
	int64_t version; /* of the record that it replaces */
};

#define KIND STR("imported")

/* ---- what is brought ---- */

static bool dates_fit(const struct cert *leaf, int64_t now, struct err *err)
{
	char text[CLOCK_TEXT];
	if (leaf->not_after <= now)
		return err_set(err, ERR_INPUT, "The certificate has expired on %s.",
		        clock_rfc3339(leaf->not_after, text));
	return leaf->not_before <= now + EARLY_MOST ||
	       err_set(err, ERR_INPUT, "The certificate is not valid before %s.",
	               clock_rfc3339(leaf->not_before, text));
}

/* Whoever renews it would put another in its place. */
static bool is_free(struct renewals *r, struct str name, struct err *err)
{
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e))
		if (registration_wanted(e->registration))
			return err_set(err, ERR_CONFLICT,
			        "Everseal renews the certificate for %.*s itself." ERR_REMEDY
			        "Disable that first: everseal lets-encrypt disable %.*s.",
			        STR_ARG(name), STR_ARG(name));
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
		return err_set(err, ERR_INPUT, "The certificate is not for %.*s, but for %.*s.",
		        STR_ARG(item->name),
		        STR_ARG(item->leaf.name_count ? item->leaf.names[0] : item->leaf.subject));
	return is_free(i->renewals, item->name, err);
}

/* Nobody has to prove control of a wildcard that is brought. */
static bool read_name(struct import *i, struct str typed, struct str *ret_name, struct err *err)
{
	struct name name;
	bool wildcard = str_starts(typed, STR("*."));
	if (!name_read(&i->arena, str_from(typed, wildcard ? 2 : 0), /* public_only= */ false,
	            &name, err))
		return false;
	*ret_name = wildcard ? arena_printf(&i->arena, "*.%.*s", STR_ARG(name.ascii)) : name.ascii;
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
	if (store_get(i->renewals->needs.store, &scratch, KIND, item->name, &before, &none))
		item->version = before.version;
	return true;
}

/* ---- stored, and served ---- */

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
	json_write_end(&w);
}

static void put(struct import *i, const struct import_item *item)
{
	BUF_AUTO value = BUF(64 << 10), blob = BUF(BLOB_MOST);
	write_value(i, item, &value);
	held_blob(&blob, item->chain, item->count);
	seal(i->renewals->needs.master, (struct seal_for){ KIND, item->name, item->version + 1 },
	        &item->key, &blob);
	store_tx_put(&i->tx, KIND, item->name, item->version, buf_str(&value), buf_str(&blob));
}

struct install {
	struct str name;
	const struct str *names;
	size_t name_count;
	const struct str *chain;
	size_t count;
	const struct secret *key;
};

/* For its NAME, and for the other names that the certificate has if nobody else has one for them.
 * Names that are no DNS names are for nobody's SNI. */
static void install(struct renewals *r, const struct install *what)
{
	struct str names[250];
	size_t count = 0;
	names[count++] = what->name;
	for (size_t n = 0; n < what->name_count && count < 250; n++)
		if (!str_eq(what->names[n], what->name) && !names_first(r, what->names[n]))
			names[count++] = what->names[n];
	struct serving_certificate c = {
		.id = what->name,
		.names = names,
		.name_count = count,
		.leaf = what->chain[0],
		.chain = what->chain + 1,
		.chain_count = what->count - 1,
		.key = what->key,
	};
	r->needs.serving->ops->install(r->needs.serving, &c);
}

static void let_go(struct import *i)
{
	for (size_t n = 0; n < i->count; n++)
		secret_done(&i->items[n].key);
	later_stop(&i->later);
	i->renewals = NULL;
	i->count = 0;
	arena_done(&i->arena);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct import *i = OWNER(tx, struct import, tx);
	for (size_t n = 0; !err && n < i->count; n++) {
		const struct import_item *item = &i->items[n];
		install(i->renewals,
		        &(struct install){ item->name, item->leaf.names, item->leaf.name_count,
		                item->chain, item->count, &item->key });
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

/* ---- at the start, and for people ---- */

struct scan {
	struct store_scan scan;
	struct renewals *renewals;
	struct json_writer *writer;
};

static const struct str *names_of(struct arena *a, const struct json *value, size_t *ret_count)
{
	const struct json *list = json_array(value, "names");
	struct str *names = arena_array(a, struct str, json_count(list));
	*ret_count = json_count(list);
	for (size_t n = 0; n < *ret_count; n++)
		names[n] = json_value_text(json_at(list, n));
	return names;
}

static bool load_one(struct renewals *r, const struct record *record, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str rest = record->blob, chain[CHAIN_MOST];
	struct secret key = { 0 };
	size_t count = 0, name_count = 0;
	JSON_AUTO *value = json_parse(record->value, "The stored certificate", err);
	if (!value || !held_read_chain(&rest, chain, &count, err) ||
	        !unseal(r->needs.master,
	                (struct seal_for){ record->kind, record->id, record->version },
	                "The key of an imported certificate", rest, &key, err))
		return false;
	const struct str *names = names_of(&a, value, &name_count);
	install(r, &(struct install){ record->id, names, name_count, chain, count, &key });
	secret_done(&key);
	return true;
}

static bool load(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct scan, scan)->renewals;
	struct err err = ERR_INIT;
	if (!load_one(r, record, &err))
		log_error(r->needs.log, "The imported certificate for %.*s cannot be served: %s",
		        STR_ARG(record->id), err.text);
	return true;
}

bool import_load(struct renewals *r, struct err *err)
{
	struct scan s = { .scan.each = load, .renewals = r };
	return store_each(r->needs.store, KIND, &s.scan, err);
}

static bool show(struct store_scan *scan, const struct record *record)
{
	struct scan *s = OWNER(scan, struct scan, scan);
	struct json_writer *w = s->writer;
	struct err err = ERR_INIT;
	JSON_AUTO *value = json_parse(record->value, "The stored certificate", &err);
	int64_t not_after = 0;
	if (!value)
		return true;
	clock_from_rfc3339(json_text(value, "not_after"), &not_after);
	bool expired = not_after <= loop_wall(s->renewals->needs.loop);
	json_write_object(w, NULL);
	json_write_text(w, "id", record->id);
	json_write_value(w, "names", json_member(value, "names"));
	json_write_text(w, "issuer", json_text(value, "issuer"));
	json_write_c(w, "state", expired ? "expired" : "imported");
	json_write_time(w, "not_after", not_after);
	json_write_null(w, "next_renewal");
	json_write_c(w, "reason", "it was imported: whoever issued it renews it");
	json_write_null(w, "served");
	json_write_null(w, "last_error");
	json_write_end(w);
	return true;
}

void import_status(struct renewals *r, struct json_writer *w)
{
	struct scan s = { .scan.each = show, .renewals = r, .writer = w };
	struct err err = ERR_INIT;
	if (!store_each(r->needs.store, KIND, &s.scan, &err))
		log_error(r->needs.log, "%s", err.text);
}
