/* What lists and the page's own questions need: all at a glance, the primary one, export. */
#include "issue/account.h"
#include "renew/import.h"
#include "renew/private.h"

void renew_each(struct renewals *r, struct renew_view_each *e)
{
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (!registration_shown(g))
			continue;
		const struct renew_view v = registration_view(g);
		e->view(e, &v);
	}
	imported_each(r, e);
}

bool renew_find(struct renewals *r, struct str name, struct renew_view *ret_view)
{
	const struct registration *g = registration_find(r, name);
	const struct imported *m = g ? NULL : imported_find(r, name);
	if (g)
		*ret_view = registration_view(g);
	else if (m)
		*ret_view = imported_view(m);
	return g || m;
}

/* The primary one */

bool registration_primary(const struct registration *g)
{
	return g->renewals->primary && !strcmp(g->renewals->primary, g->id);
}

bool renew_primary(struct renewals *r, struct renew_view *ret_view)
{
	const struct registration *g = r->primary ? registration_by_id(r, str_c(r->primary)) : NULL;
	if (!g || !registration_shown(g))
		return false;
	*ret_view = registration_view(g);
	return true;
}

static void store_primary(struct renewals *r);

static void primary_stored(struct store_tx *tx, const struct err *err)
{
	struct renewals *r = OWNER(tx, struct renewals, primary_tx);
	if (err)
		log_warning(r->needs.log,
		        "Which certificate is the primary one could not be stored, it is "
		        "forgotten at the next start: %s",
		        err->text);
	else
		r->primary_version++;
	if (r->primary_again)
		store_primary(r);
}

static void store_primary(struct renewals *r)
{
	BUF_AUTO value = BUF(1024);
	struct json_writer w;
	r->primary_again = r->primary_tx.store != NULL;
	if (r->primary_again)
		return;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_c(&w, "id", r->primary);
	json_write_end(&w);
	store_tx_put(&r->primary_tx, STR("primary"), STR("primary"), r->primary_version,
	        buf_str(&value), STR_NONE);
	store_tx_start(r->needs.store, &r->primary_tx, primary_stored);
}

static void tell_primary(struct renewals *r)
{
	struct registration *g = r->primary ? registration_by_id(r, str_c(r->primary)) : NULL;
	if (g)
		tell_registration(g);
}

void renew_set_primary(struct renewals *r, struct str id)
{
	if (str_eq(str_c(r->primary), id))
		return;
	tell_primary(r);
	free(r->primary);
	r->primary = id.n ? str_dup(id) : NULL;
	tell_primary(r);
	store_primary(r);
}

bool primary_load(struct renewals *r, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	if (!store_get(r->needs.store, &a, STR("primary"), STR("primary"), &record, err)) {
		const bool none = err->code == ERR_NOT_FOUND;
		*err = none ? (struct err)ERR_INIT : *err;
		return none;
	}
	JSON_AUTO *json = json_parse(record.value, "The stored primary certificate", err);
	const struct str id = json_text(json, "id");
	r->primary_version = record.version;
	r->primary = id.n ? str_dup(id) : NULL;
	return true;
}

void primary_done(struct renewals *r)
{
	store_tx_abort(&r->primary_tx);
	free(r->primary);
}

/* Limits */

enum { NEAREST_MOST = 20 };

bool renew_limits(struct renewals *r, struct str issuer, struct str name, struct json_writer *w,
        struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct config_issuer *row = config_issuer(r->config, issuer);
	const struct registration *g = name.n ? registration_find(r, name) : NULL;
	const struct str typed = name_as_registered(&a, name);
	if (!row)
		return err_set(err, ERR_NOT_FOUND,
		        "There is no issuer %.*s." ERR_REMEDY
		        "`everseal issuer list` lists those that there are.",
		        STR_ARG(issuer));
	struct limit rows[NEAREST_MOST];
	const struct limits *l = issuers_limits(r->needs.issuers);
	const size_t n = name.n ? limits_of(l, row->directory, g ? g->names : &typed,
	                                  g ? g->name_count : 1, rows)
	                        : limits_nearest(l, row->directory, &a, rows, NEAREST_MOST);
	json_write_array(w, "limits");
	for (size_t i = 0; i < n; i++) {
		reserve_note(r, row->directory, &rows[i]);
		limit_write(&rows[i], row->directory, w);
	}
	json_write_end(w);
	limits_write_waits(l, row->directory, w);
	return true;
}

void renew_limits_all(struct renewals *r, const char *key, struct json_writer *w)
{
	struct err none = ERR_INIT;
	json_write_array(w, key);
	for (size_t i = 0; i < r->config->issuer_count; i++) {
		const struct config_issuer *issuer = &r->config->issuers[i];
		json_write_object(w, NULL);
		json_write_text(w, "name", issuer->name);
		account_write_doubt(r->needs.issuers, issuer->name, w);
		(void)!renew_limits(r, issuer->name, STR_NONE, w, &none);
		json_write_end(w);
	}
	json_write_end(w);
}

bool renew_limit_low(struct renewals *r, struct str id, struct str *ret_about, struct err *ret_how)
{
	const struct registration *g = registration_by_id(r, id);
	const struct config_issuer *issuer = g ? config_issuer(r->config, ca_next(g)) : NULL;
	return issuer && !registration_blocked(g) &&
	       limits_low(issuers_limits(r->needs.issuers), issuer->directory, g->names,
	               g->name_count, ret_about, ret_how);
}

bool renew_terms(struct renewals *r, struct str id, bool *ret_changed, struct err *ret_how)
{
	const struct registration *g = registration_by_id(r, id);
	return g && !registration_blocked(g) &&
	       issuers_terms(r->needs.issuers, ca_next(g), ret_changed, ret_how);
}

/* Totals */

static size_t length(const struct list *l)
{
	size_t n = 0;
	LIST_EACH (node, l)
		n++;
	return n;
}

void renew_totals(const struct renewals *r, struct renew_totals *ret_totals)
{
	*ret_totals = r->totals;
	ret_totals->under_way = length(&r->under_way);
	ret_totals->queued = length(&r->queue) + length(&r->going_on) + length(&r->unprovable);
	ret_totals->at_limit = length(&r->at_limit);
}

/* Export */

void key_to_pem(struct str der, bool rsa, struct buf *ret_pem)
{
	BUF_AUTO base64 = BUF_SECRET_INIT(64 << 10);
	CHECK(ret_pem->secret);
	buf_add_base64(&base64, der);
	const char *kind = rsa ? "RSA" : "EC";
	buf_printf(ret_pem, "-----BEGIN %s PRIVATE KEY-----\n", kind);
	for (struct str rest = buf_str(&base64); rest.n; rest = str_from(rest, 64)) {
		buf_add(ret_pem, str_head(rest, 64));
		buf_add_char(ret_pem, '\n');
	}
	buf_printf(ret_pem, "-----END %s PRIVATE KEY-----\n", kind);
}

/* Always false. */
static bool no_such_key(const struct renew_export_want *want, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
	        "There is no certificate for %.*s with a key of the type %.*s." ERR_REMEDY
	        "`everseal lets-encrypt status %.*s` says which there are.",
	        STR_ARG(want->name), STR_ARG(str_head(want->key_type, 80)), STR_ARG(want->name));
}

/* Of those for that name; NULL: none of that type. */
static const struct registration *with_key_type(
        const struct renewals *r, const struct registration *g, struct str key_type)
{
	const struct registration *found = NULL;
	enum key_type type;
	if (!key_type_from_name(key_type, &type))
		return NULL;
	if (g->key_type == type)
		return g;
	for (struct name_entry *e = names_first(r, g->names[0]); e; e = names_next(e))
		if (e->registration->key_type == type && e->registration->held.is &&
		        (!found || registration_wanted(e->registration)))
			found = e->registration;
	return found;
}

bool renew_export(struct renewals *r, const struct renew_export_want *want, struct buf *ret_pem,
        struct err *err)
{
	const struct registration *g = registration_find(r, want->name);
	if (g && want->key_type.n && !(g = with_key_type(r, g, want->key_type)))
		return no_such_key(want, err);
	const struct imported *m = !g || !g->held.is ? imported_find(r, want->name) : NULL;
	if (m && want->key_type.n)
		return no_such_key(want, err);
	if (m)
		return imported_export(m, want->with_key, ret_pem, err);
	if (!g)
		return no_certificate(want->name, err);
	if (!g->held.is)
		return err_set(err, ERR_NOT_FOUND,
		        "%.*s has only its temporary certificate." ERR_REMEDY
		        "Wait until a CA has issued one.",
		        STR_ARG(g->names[0]));
	if (want->with_key)
		key_to_pem(secret_bytes(&g->held.key),
		        str_starts(g->held.leaf.key_type, STR("RSA")), ret_pem);
	for (size_t i = 0; i < g->held.chain_count; i++)
		cert_to_pem(g->held.chain[i], ret_pem);
	return true;
}
