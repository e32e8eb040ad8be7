/* What was imported: served from the start on, told of, exported. */
#include "keys/keys.h"
#include "renew/import.h"
#include "renew/private.h"

enum { OWN_NAMES_MOST = 250 };

/* One piece of memory, with its texts behind the names: there may be a hundred thousand. */
struct imported {
	struct map_node node; /* by name */
	struct renewals *renewals;
	struct str name, id; /* the id begins with the name */
	struct str issuer, serial, thumbprint, crl_url, ocsp_url;
	int64_t since, not_before, not_after, revoked; /* revoked: by its CA; 0: it is not */
	bool rsa, beside;
	unsigned name_count;
	struct str names[]; /* name first */
};

/* ---- served ---- */

struct registration *imported_partner(struct renewals *r, struct str name, bool rsa)
{
	struct registration *found = NULL;
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		struct registration *g = e->registration;
		if (g->held.is && key_type_is_rsa(g->key_type) != rsa &&
		        (!found || g->installed > found->installed))
			found = g;
	}
	return found;
}

static void show_staple(struct renewals *r, struct str name, struct serving_certificate *c)
{
	const struct map_node *n = map_find(&r->imports, name);
	const struct imported *m = n ? OWNER(n, const struct imported, node) : NULL;
	if (m && !m->revoked)
		staple_show(r, m->thumbprint, c);
}

/* For its NAME, and for the other names that the certificate has if nobody else has one for them.
 * Names that are no DNS names are for nobody's SNI. */
static size_t own_names(struct renewals *r, const struct imported_install *what,
        struct str ret_names[OWN_NAMES_MOST])
{
	size_t count = 0;
	if (!what->beside || !imported_partner(r, what->name, what->rsa))
		ret_names[count++] = what->name;
	for (size_t n = 0; n < what->name_count && count < OWN_NAMES_MOST; n++)
		if (!str_eq(what->names[n], what->name) && !names_first(r, what->names[n]) &&
		        !map_find(&r->imports, what->names[n]))
			ret_names[count++] = what->names[n];
	return count;
}

void imported_install(struct renewals *r, const struct imported_install *what)
{
	struct str names[OWN_NAMES_MOST];
	const size_t count = own_names(r, what, names);
	if (!count)
		return;
	struct serving_certificate c = {
		.id = what->name,
		.names = names,
		.name_count = count,
		.leaf = what->chain[0],
		.chain = what->chain + 1,
		.chain_count = what->count - 1,
		.key = what->key,
	};
	show_staple(r, what->name, &c);
	r->needs.serving->ops->install(r->needs.serving, &c);
}

static bool is_replaced(const struct imported *m)
{
	for (struct name_entry *e = names_first(m->renewals, m->name); e; e = names_next(e)) {
		const struct registration *g = e->registration;
		const bool stands = m->beside && key_type_is_rsa(g->key_type) != m->rsa;
		if (!stands && g->held.is && (registration_wanted(g) || g->held.since > m->since))
			return true;
	}
	return false;
}

struct scan {
	struct store_scan scan;
	struct renewals *renewals;
};

struct opened {
	struct arena arena; /* the record's */
	struct str chain[CHAIN_MOST];
	size_t count;
	struct secret key;
};

static void opened_done(struct opened *o)
{
	secret_done(&o->key);
	arena_done(&o->arena);
}

static bool open_found(
        const struct imported *m, const struct record *record, struct opened *o, struct err *err)
{
	struct str rest = record->blob;
	return held_read_chain(&rest, o->chain, &o->count, err) &&
	       unseal(m->renewals->needs.master,
	               (struct seal_for){ record->kind, record->id, record->version },
	               "The key of an imported certificate", rest, &o->key, err);
}

static bool open_record(const struct imported *m, struct opened *o, struct err *err)
{
	struct record record;
	return store_get(
	               m->renewals->needs.store, &o->arena, IMPORTED_KIND, m->name, &record, err) &&
	       open_found(m, &record, o, err);
}

static void not_served(const struct imported *m, const struct err *err)
{
	log_error(m->renewals->needs.log, "The imported certificate for %.*s cannot be served: %s",
	        STR_ARG(m->name), err->text);
}

static void install_opened(const struct imported *m, const struct opened *o)
{
	imported_install(m->renewals, &(struct imported_install){ m->name, m->names, m->name_count,
	                                      o->chain, o->count, &o->key, m->rsa, m->beside });
}

static void install(const struct imported *m)
{
	struct opened o = { 0 };
	struct err err = ERR_INIT;
	if (open_record(m, &o, &err))
		install_opened(m, &o);
	else
		not_served(m, &err);
	opened_done(&o);
}

static const struct imported *beside_of(struct renewals *r, struct str name, bool rsa)
{
	struct map_node *n = r->imports.count ? map_find(&r->imports, name) : NULL;
	const struct imported *m = n ? OWNER(n, struct imported, node) : NULL;
	return m && m->beside && m->rsa != rsa && !is_replaced(m) ? m : NULL;
}

bool imported_stands_beside(struct renewals *r, struct str name, bool rsa)
{
	return beside_of(r, name, rsa);
}

void imported_install_beside(
        struct renewals *r, struct str name, bool rsa, const struct serving_certificate *issued)
{
	const struct imported *m = beside_of(r, name, rsa);
	struct opened o = { 0 };
	struct err err = ERR_INIT;
	if (!m)
		return;
	if (open_record(m, &o, &err)) {
		struct serving_certificate brought = { .id = m->name,
			.names = &m->name,
			.name_count = 1,
			.leaf = o.chain[0],
			.chain = o.chain + 1,
			.chain_count = o.count - 1,
			.key = &o.key };
		show_staple(r, m->name, &brought);
		struct serving_certificate first = rsa ? brought : *issued;
		first.names = &m->name;
		first.name_count = 1;
		first.beside = rsa ? issued : &brought;
		r->needs.serving->ops->install(r->needs.serving, &first);
	} else {
		not_served(m, &err);
	}
	opened_done(&o);
}

static bool install_found(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct scan, scan)->renewals;
	struct map_node *n = map_find(&r->imports, record->id);
	const struct imported *m = n ? OWNER(n, struct imported, node) : NULL;
	struct opened o = { 0 };
	struct err err = ERR_INIT;
	if (m && !is_replaced(m)) {
		if (open_found(m, record, &o, &err))
			install_opened(m, &o);
		else
			not_served(m, &err);
	}
	opened_done(&o);
	return true;
}

/* In one scan: to find each of a hundred thousand on its own takes thrice as long. */
void imported_install_all(struct renewals *r)
{
	struct scan s = { .scan.each = install_found, .renewals = r };
	struct err err = ERR_INIT;
	if (r->imports.count && !store_each(r->needs.store, IMPORTED_KIND, &s.scan, &err))
		log_error(r->needs.log, "Imported certificates are not served: %s", err.text);
}

bool imported_install_again(struct renewals *r, struct str name)
{
	const struct imported *m = imported_find(r, name);
	const bool does =
	        m && !is_replaced(m) && (!m->beside || !imported_partner(r, m->name, m->rsa));
	if (does)
		install(m);
	return does;
}

void imported_tell(const struct imported *m)
{
	LIST_EACH (n, &m->renewals->watches) {
		struct renewals_watch *w = OWNER(n, struct renewals_watch, node);
		w->registration(w, m->id);
	}
}

void imported_serve_again(const struct imported *m)
{
	struct registration *partner = imported_partner(m->renewals, m->name, m->rsa);
	imported_tell(m);
	if (!imported_install_again(m->renewals, m->name) && partner && !is_replaced(m))
		held_install(partner);
}

/* ---- known ---- */

static void forget(struct imported *m)
{
	map_remove(&m->renewals->imports, &m->node);
	free(m);
}

void imported_done(struct renewals *r)
{
	MAP_EACH (n, &r->imports)
		forget(OWNER(n, struct imported, node));
	map_done(&r->imports);
}

static const struct str id_end = STR_INIT("-imported");

/* The others follow the name for which it was imported. */
static size_t other_names(struct str name, const struct json *list, struct str *ret_names)
{
	size_t count = 0;
	for (size_t n = 0; n < json_count(list); n++) {
		const struct str other = json_value_text(json_at(list, n));
		if (!str_eq(other, name))
			ret_names[count++] = other;
	}
	return count;
}

static void move_text(char **at, struct str *s)
{
	if (s->n)
		memcpy(*at, s->p, s->n);
	s->p = *at;
	*at += s->n;
}

/* What `m` says, with its texts in memory of its own. */
static struct imported *keep(const struct imported *m, const struct str *others)
{
	size_t bytes = m->name.n + id_end.n + m->issuer.n + m->serial.n + m->thumbprint.n +
	               m->crl_url.n + m->ocsp_url.n;
	for (size_t i = 1; i < m->name_count; i++)
		bytes += others[i - 1].n;
	struct imported *kept = mem_alloc(sizeof *kept + m->name_count * sizeof *others + bytes);
	char *at = (char *)&kept->names[m->name_count];
	*kept = *m;
	move_text(&at, &kept->name);
	kept->id = str_n(kept->name.p, kept->name.n + id_end.n);
	move_text(&at, &(struct str){ id_end.p, id_end.n });
	move_text(&at, &kept->issuer);
	move_text(&at, &kept->serial);
	move_text(&at, &kept->thumbprint);
	move_text(&at, &kept->crl_url);
	move_text(&at, &kept->ocsp_url);
	kept->names[0] = kept->name;
	for (size_t i = 1; i < m->name_count; i++) {
		kept->names[i] = others[i - 1];
		move_text(&at, &kept->names[i]);
	}
	return kept;
}

static bool know(struct renewals *r, const struct record *record, struct err *err)
{
	JSON_AUTO *value = json_parse(record->value, "The stored certificate", err);
	struct map_node *before = map_find(&r->imports, record->id);
	if (!value)
		return false;
	if (before)
		forget(OWNER(before, struct imported, node));
	const struct json *names = json_array(value, "names");
	struct str *others = mem_grow(NULL, sizeof *others, json_count(names) + 1);
	struct imported m = { .renewals = r,
		.name = record->id,
		.issuer = json_text(value, "issuer"),
		.serial = json_text(value, "serial"),
		.thumbprint = json_text(value, "thumbprint"),
		.crl_url = json_text(value, "crl_url"),
		.ocsp_url = json_text(value, "ocsp_url"),
		.rsa = str_starts(json_text(value, "key_type"), STR("RSA")),
		.name_count = 1 + (unsigned)other_names(record->id, names, others) };
	json_bool(value, "beside", &m.beside);
	clock_from_rfc3339(json_text(value, "since"), &m.since);
	clock_from_rfc3339(json_text(value, "not_before"), &m.not_before);
	clock_from_rfc3339(json_text(value, "not_after"), &m.not_after);
	struct imported *kept = keep(&m, others);
	free(others);
	map_add(&r->imports, kept->name, &kept->node);
	return true;
}

void imported_again(struct renewals *r, struct str name)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	if (!store_get(r->needs.store, &a, IMPORTED_KIND, name, &record, &err) ||
	        !know(r, &record, &err))
		log_error(r->needs.log, "%s", err.text);
	else
		imported_tell(imported_find(r, name));
}

static bool load(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct scan, scan)->renewals;
	struct err err = ERR_INIT;
	if (!know(r, record, &err))
		log_error(r->needs.log, "The imported certificate for %.*s cannot be served: %s",
		        STR_ARG(record->id), err.text);
	return true;
}

bool imported_load(struct renewals *r, struct err *err)
{
	struct scan s = { .scan.each = load, .renewals = r };
	return store_each(r->needs.store, IMPORTED_KIND, &s.scan, err);
}

static struct imported *with_name(struct renewals *r, struct str name)
{
	struct map_node *n = map_find(&r->imports, name);
	return n ? OWNER(n, struct imported, node) : NULL;
}

const struct imported *imported_by_id(struct renewals *r, struct str id)
{
	return str_ends(id, id_end) ? with_name(r, str_head(id, id.n - id_end.n)) : NULL;
}

/* A name may end as ids do. */
const struct imported *imported_find(struct renewals *r, struct str typed)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct imported *named = with_name(r, name_as_registered(&a, typed));
	return named ? named : imported_by_id(r, typed);
}

/* ---- removed ---- */

static struct registration *newest_issued(struct renewals *r, struct str name)
{
	struct registration *found = NULL;
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e))
		if (e->registration->held.is &&
		        (!found || e->registration->installed > found->installed))
			found = e->registration;
	return found;
}

static bool is_for(const struct imported *m, struct str name)
{
	for (size_t i = 0; i < m->name_count; i++)
		if (str_eq(m->names[i], name))
			return true;
	return false;
}

static const struct imported *newest_brought(
        struct renewals *r, struct str name, const struct imported *but)
{
	const struct imported *found = NULL;
	MAP_EACH (n, &r->imports) {
		const struct imported *m = OWNER(n, struct imported, node);
		if (m != but && is_for(m, name) && !is_replaced(m) &&
		        (!found || m->since > found->since))
			found = m;
	}
	return found;
}

bool imported_left(
        struct renewals *r, struct str name, const struct imported *but, struct imported_heir *ret)
{
	const struct registration *g = newest_issued(r, name);
	const struct imported *m = g ? NULL : newest_brought(r, name, but);
	if (g)
		*ret = (struct imported_heir){ g->held.leaf.issuer, g->held.leaf.not_after };
	else if (m)
		*ret = (struct imported_heir){ m->issuer, m->not_after };
	return g || m;
}

static void install_left(struct renewals *r, struct str name)
{
	struct registration *g = newest_issued(r, name);
	const struct imported *m = g ? NULL : newest_brought(r, name, NULL);
	if (g)
		held_install_for(g, &name);
	else if (m)
		install(m);
}

void imported_remove(struct renewals *r, struct str name)
{
	struct imported *m = OWNER(map_find(&r->imports, name), struct imported, node);
	struct str names[OWN_NAMES_MOST];
	const bool replaced = is_replaced(m);
	struct registration *partner =
	        m->beside && !replaced ? imported_partner(r, m->name, m->rsa) : NULL;
	map_remove(&r->imports, &m->node);
	const size_t count = replaced ? 0
	                              : own_names(r,
	                                        &(struct imported_install){ .name = m->name,
	                                                .names = m->names,
	                                                .name_count = m->name_count,
	                                                .rsa = m->rsa,
	                                                .beside = m->beside },
	                                        names);
	r->needs.serving->ops->forget(r->needs.serving, names, count);
	for (size_t i = 0; i < count; i++)
		install_left(r, names[i]);
	if (partner)
		held_install(partner);
	imported_tell(m);
	free(m);
}

/* ---- told of ---- */

/* From when one that we renew would be renewed. */
static bool ends_soon(const struct imported *m)
{
	return wall_now(m->renewals) >= renewal_time(m->not_before, m->not_after, 0).at;
}

static const char *state_of(const struct imported *m)
{
	if (is_replaced(m))
		return "retired";
	if (m->not_after <= wall_now(m->renewals))
		return "expired";
	return m->revoked ? "revoked" : "imported";
}

static const char *reason_of(const struct imported *m)
{
	if (is_replaced(m))
		return "another certificate took its place; it is only kept";
	if (m->revoked)
		return "its CA has revoked it, and it is not renewed: import another one, or "
		       "register the name";
	if (staple_is_missed(m->renewals, m->thumbprint))
		return "it may only be shown with an answer of its CA's OCSP responder "
		       "(must-staple), which gives none: browsers refuse it";
	if (ends_soon(m))
		return "it was imported and is not renewed: import the next one, or register the "
		       "name";
	return "it was imported: whoever issued it renews it";
}

static const struct str ends_words =
        STR_INIT("The certificate was imported and ends soon, and Everseal does not renew "
                 "it. Import the next one, or register the name.");
static const struct str revoked_words =
        STR_INIT("The certificate was imported, and its CA has revoked it: browsers that ask the "
                 "CA refuse it. Import another one, or register the name.");

static const struct str missed_words =
        STR_INIT("Browsers refuse the imported certificate, which may only be shown with an answer "
                 "of its CA's OCSP responder (must-staple): that gives none." ERR_REMEDY
                 "It is asked again; if it goes on, import one without that.");

static struct str why_of(const struct imported *m)
{
	if (m->revoked)
		return revoked_words;
	if (staple_is_missed(m->renewals, m->thumbprint))
		return missed_words;
	return ends_soon(m) ? ends_words : STR_NONE;
}

struct renew_view imported_view(const struct imported *m)
{
	const bool replaced = is_replaced(m);
	const enum lamp lamp = lamp_of(&(struct lamp_facts){
	        .now = wall_now(m->renewals),
	        .not_before = m->not_before,
	        .not_after = m->not_after,
	        .held = true,
	        .revoked = m->revoked,
	        .replaced = replaced,
	        .failed = ends_soon(m) || staple_is_missed(m->renewals, m->thumbprint),
	});
	return (struct renew_view){
		.id = m->id,
		.names = m->names,
		.name_count = m->name_count,
		.issuer = m->issuer,
		.lamp = lamp,
		.state = state_of(m),
		.held = !replaced,
		.created = m->since,
		.not_before = m->not_before,
		.not_after = m->not_after,
		.reason = reason_of(m),
		.why = replaced ? STR_NONE : why_of(m),
		.revoked = m->revoked,
		.thumbprint = m->thumbprint,
		.serial = m->serial,
		.issued_by = m->issuer,
	};
}

void imported_each(struct renewals *r, struct renew_view_each *e)
{
	MAP_EACH (n, &r->imports) {
		const struct renew_view v = imported_view(OWNER(n, struct imported, node));
		e->view(e, &v);
	}
}

void imported_write(const struct imported *m, const char *key, struct json_writer *w)
{
	const struct renew_view v = imported_view(m);
	json_write_object(w, key);
	json_write_text(w, "id", v.id);
	json_write_array(w, "names");
	for (size_t i = 0; i < v.name_count; i++)
		json_write_text(w, NULL, v.names[i]);
	json_write_end(w);
	json_write_text(w, "issuer", v.issuer);
	json_write_c(w, "state", v.state);
	json_write_c(w, "lamp", lamp_name(v.lamp));
	json_write_bool(w, "temporary", false);
	json_write_time(w, "not_before", v.not_before);
	json_write_time(w, "not_after", v.not_after);
	json_write_time(w, "last_renewed", v.created);
	json_write_text(w, "serial", v.serial);
	json_write_text(w, "issued_by", v.issued_by);
	json_write_text(w, "thumbprint", v.thumbprint);
	json_write_time(w, "revoked", v.revoked);
	json_write_null(w, "next_renewal");
	json_write_c(w, "reason", v.reason);
	json_write_null(w, "served");
	json_write_null(w, "last_error");
	json_write_end(w);
}

void imported_status(struct renewals *r, struct json_writer *w)
{
	MAP_EACH (n, &r->imports)
		imported_write(OWNER(n, struct imported, node), NULL, w);
}

const struct imported *imported_of(struct map_node *n)
{
	return OWNER(n, struct imported, node);
}

bool imported_asked(const struct imported *m, struct imported_asked *ret)
{
	if ((!m->crl_url.n && !m->ocsp_url.n) || m->revoked ||
	        m->not_after <= wall_now(m->renewals) || is_replaced(m))
		return false;
	*ret = (struct imported_asked){
		.id = m->id,
		.name = m->name,
		.serial = m->serial,
		.thumbprint = m->thumbprint,
		.crl_url = m->crl_url,
		.ocsp_url = m->ocsp_url,
	};
	return true;
}

bool imported_chain(const struct imported *m, struct arena *a, struct str ret_chain[CHAIN_MOST],
        size_t *ret_count, struct err *err)
{
	struct record record;
	if (!store_get(m->renewals->needs.store, a, IMPORTED_KIND, m->name, &record, err))
		return false;
	struct str rest = record.blob;
	return held_read_chain(&rest, ret_chain, ret_count, err);
}

void imported_revoked(struct renewals *r, struct str id, struct str thumbprint, int64_t at)
{
	const struct imported *found = imported_by_id(r, id);
	if (!found || !str_eq(found->thumbprint, thumbprint))
		return;
	struct imported *m = OWNER(map_find(&r->imports, found->name), struct imported, node);
	m->revoked = at;
	if (staple_forget(r, thumbprint))
		imported_serve_again(m);
	imported_tell(m);
}

void imported_look(struct renewals *r)
{
	char until[CLOCK_TEXT];
	MAP_EACH (n, &r->imports) {
		const struct imported *m = OWNER(n, struct imported, node);
		if (!ends_soon(m) || is_replaced(m))
			continue;
		imported_tell(m);
		if (m->not_after > wall_now(r))
			log_warning(r->needs.log,
			        "The imported certificate for %.*s expires %s and is not renewed: "
			        "import the next one, or register the name.",
			        STR_ARG(m->name), clock_rfc3339(m->not_after, until));
	}
}

bool imported_export(const struct imported *m, bool with_key, struct buf *ret_pem, struct err *err)
{
	struct opened o = { 0 };
	bool done = open_record(m, &o, err);
	KEY_AUTO *key = done ? key_from_der(secret_bytes(&o.key), "The imported key", err) : NULL;
	done = key;
	if (done && with_key) {
		SECRET_AUTO der = key_to_der(key);
		enum key_type type = KEY_RSA4096; /* of a size that is none of ours */
		const bool rsa = !key_type_of(key, &type) || key_type_is_rsa(type);
		key_to_pem(secret_bytes(&der), rsa, ret_pem);
	}
	for (size_t i = 0; done && i < o.count; i++)
		cert_to_pem(o.chain[i], ret_pem);
	opened_done(&o);
	return done;
}
