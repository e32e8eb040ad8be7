/* Registrations: made by command or page and kept in the store, or told by the file. */
#include "renew/private.h"

struct registration *registration_by_id(struct renewals *r, struct str id)
{
	struct map_node *n = map_find(&r->registrations, id);
	return n ? OWNER(n, struct registration, node) : NULL;
}

bool registration_shown(const struct registration *g)
{
	return g->name_count && (g->in_file || g->in_store || g->held.is);
}

static bool goes_before(const struct registration *a, const struct registration *b)
{
	if (registration_wanted(a) != registration_wanted(b))
		return registration_wanted(a);
	return a->created > b->created;
}

struct str name_as_registered(struct arena *a, struct str typed)
{
	struct name name;
	struct err err = ERR_INIT;
	return name_read_wildcard(a, typed, /* public_only= */ false, &name, &err) ? name.ascii
	                                                                           : typed;
}

struct registration *registration_find(struct renewals *r, struct str typed)
{
	ARENA_AUTO a = ARENA_INIT;
	struct registration *found = registration_by_id(r, typed);
	if (found && registration_shown(found))
		return found;
	found = NULL;
	struct str name = name_as_registered(&a, typed);
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		struct registration *g = e->registration;
		if (registration_shown(g) && (!found || goes_before(g, found)))
			found = g;
	}
	struct registration *beside =
	        found && key_type_is_rsa(found->key_type) ? registration_beside(found) : NULL;
	return beside ? beside : found;
}

struct registration *registration_new(struct renewals *r, struct str id)
{
	struct registration *g = mem_new(struct registration);
	g->renewals = r;
	g->id = str_dup(id);
	BUF_AUTO words = BUF(1024);
	buf_printf(&words, "superseded by %s", g->id);
	g->supersedes = str_dup(buf_str(&words));
	list_init(&g->requests);
	map_add(&r->registrations, str_c(g->id), &g->node);
	return g;
}

void registration_free(struct registration **registration)
{
	struct registration *g = *registration;
	if (!g)
		return;
	schedule_stop(g);
	window_stop(g);
	timer_stop(&g->ends);
	store_tx_abort(&g->visit_tx);
	revocation_free(g);
	store_tx_abort(&g->revoked_tx);
	look_forget(g);
	names_forget(g);
	list_remove(&g->to_tell);
	LIST_EACH (n, &g->requests)
		list_remove(n);
	store_tx_abort(&g->tx);
	store_tx_abort(&g->request_tx);
	if (list_linked(&g->change.node))
		g->renewals->needs.serving->ops->change_abort(
		        g->renewals->needs.serving, &g->change);
	map_remove(&g->renewals->registrations, &g->node);
	held_clear(&g->held);
	held_clear(&g->fresh);
	arena_done(&g->arena);
	arena_done(&g->seen_arena);
	arena_done(&g->served_arena);
	free(g->id);
	free(g->supersedes);
	free(g->reason);
	free(g);
	*registration = NULL;
}

bool registration_asked_for(const struct registration *g)
{
	return g->in_file || g->in_store;
}

bool registration_wanted(const struct registration *g)
{
	return registration_asked_for(g) && !g->disabled;
}

static bool has(const struct registration *g, struct str name)
{
	for (size_t i = 0; i < g->name_count; i++)
		if (str_eq_nocase(g->names[i], name))
			return true;
	return false;
}

static bool covers(const struct registration *other, const struct registration *g)
{
	for (size_t i = 0; i < g->name_count; i++)
		if (!has(other, g->names[i]))
			return false;
	return true;
}

bool registration_same_names(const struct registration *g, const struct registration *other)
{
	return g->name_count == other->name_count && covers(other, g);
}

bool registration_fits_beside(const struct registration *g, const struct registration *other)
{
	return key_type_is_rsa(g->key_type) != key_type_is_rsa(other->key_type) &&
	       str_eq(g->issuer, other->issuer) && registration_same_names(g, other);
}

/* What the file asks for is renewed as long as it does; what was registered gives way to a
 * certificate that has all its names, if that is renewed and of the same issuer, and would not
 * stand beside it: the file's or one registered later. */
static const struct registration *successor(const struct registration *g)
{
	if (g->in_file || !g->name_count)
		return NULL;
	for (struct name_entry *e = names_first(g->renewals, g->names[0]); e; e = names_next(e)) {
		const struct registration *other = e->registration;
		if (other != g && other->held.is && !registration_fits_beside(g, other) &&
		        registration_wanted(other) && str_eq(other->issuer, g->issuer) &&
		        (other->in_file || other->created > g->created) && covers(other, g) &&
		        other->held.leaf.not_after > wall_now(g->renewals))
			return other;
	}
	return NULL;
}

struct registration *registration_beside(const struct registration *g)
{
	struct registration *found = NULL;
	if (!g->held.is || successor(g))
		return NULL;
	for (struct name_entry *e = names_first(g->renewals, g->names[0]); e; e = names_next(e)) {
		struct registration *other = e->registration;
		if (other->held.is && registration_fits_beside(g, other) &&
		        registration_asked_for(g) == registration_asked_for(other) &&
		        !successor(other) && (!found || goes_before(other, found)))
			found = other;
	}
	return found;
}

const char *registration_blocked(const struct registration *g)
{
	const struct config_issuer *issuer = config_issuer(g->renewals->config, g->issuer);
	if (g->disabled)
		return "renewal is disabled";
	if (!registration_wanted(g))
		return "nothing asks for it any more; it is only kept";
	if (!issuer)
		return "its issuer is not configured any more";
	const struct registration *other = successor(g);
	return other ? other->supersedes : demand_blocked(g);
}

/* Ids */

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* FNV-1a: the id must be the same in every process and for ever, so it is not the keyed hash. */
static uint64_t fnv(uint64_t h, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(1099511628211);
	return (h ^ 0xff) * UINT64_C(1099511628211);
}

struct str registration_id(struct arena *a, const struct str *names, size_t count,
        struct str issuer, enum key_type key_type)
{
	struct str *sorted = arena_array(a, struct str, count);
	uint64_t h = UINT64_C(14695981039346656037);
	memcpy(sorted, names, count * sizeof *names);
	qsort(sorted, count, sizeof *sorted, by_text);
	for (size_t i = 0; i < count; i++)
		h = fnv(h, sorted[i]);
	h = fnv(fnv(h, issuer),
	        key_type == KEY_P256 ? STR("P-256") : str_c(key_type_name(key_type)));
	return arena_printf(a, "%.*s-%016llx", STR_ARG(sorted[0]), (unsigned long long)h);
}

struct str registration_issuer(const struct config *c, struct str given, struct str name)
{
	if (given.n)
		return given;
	if (c->issuer.n)
		return c->issuer;
	return name_is_private(name) ? STR("internal") : STR("letsencrypt");
}

/* How */

const struct config_making *registration_making(const struct config *c, struct str name)
{
	const struct config_site *s = config_site_of(c, name);
	return s ? &s->making : &c->making;
}

/* What was registered with another issuer than the one configured asks that one alone. */
void registration_configured(struct registration *g)
{
	const struct config *c = g->renewals->config;
	const struct config_making *m =
	        registration_making(c, g->name_count ? g->names[0] : STR_NONE);
	const bool own = m->issuer_count && str_eq(m->issuers[0], g->issuer);
	g->making = m;
	g->issuers = own ? m->issuers : &g->issuer;
	g->issuer_count = own ? m->issuer_count : 1;
	demand_configured(g);
}

struct str registration_profile(const struct registration *g)
{
	if (g->profile.n && !g->in_file)
		return g->profile;
	return g->making ? g->making->profile : STR_NONE;
}

/* The record */

void registration_put(struct registration *g, struct store_tx *tx)
{
	BUF_AUTO value = BUF(256 << 10);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_array(&w, "names");
	for (size_t i = 0; i < g->name_count; i++)
		json_write_text(&w, NULL, g->names[i]);
	json_write_end(&w);
	json_write_text(&w, "email", g->email);
	json_write_text(&w, "issuer", g->issuer);
	if (g->key_type != KEY_P256)
		json_write_c(&w, "key_type", key_type_name(g->key_type));
	if (g->profile.n)
		json_write_text(&w, "profile", g->profile);
	json_write_bool(&w, "terms", g->terms);
	if (g->on_demand)
		json_write_bool(&w, "on_demand", true);
	json_write_time(&w, "created", g->created);
	if (g->listen.host.n) {
		json_write_text(&w, "address", g->listen.host);
		json_write_int(&w, "port", g->listen.port);
	}
	if (g->proxy.host.n) {
		json_write_text(&w, "proxy_shown", g->proxy.shown);
		json_write_text(&w, "proxy_host", g->proxy.host);
		json_write_int(&w, "proxy_port", g->proxy.port);
	}
	json_write_end(&w);
	store_tx_put(
	        tx, STR("registration"), str_c(g->id), g->version++, buf_str(&value), STR_NONE);
}

int64_t stored_version(struct renewals *r, struct str kind, const char *id)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	return store_get(r->needs.store, &a, kind, str_c(id), &record, &err) ? record.version : 0;
}

static struct str keep_text(struct registration *g, const struct json *json, const char *key)
{
	struct str text = json_text(json, key);
	return text.n ? arena_str(&g->arena, text) : STR_NONE;
}

static uint16_t read_port(const struct json *json, const char *key)
{
	int64_t port = 0;
	return json_int(json, key, &port) && port > 0 && port < 65536 ? (uint16_t)port : 0;
}

static void read_registration(struct registration *g, const struct json *json)
{
	const struct json *names = json_array(json, "names");
	g->name_count = json_count(names);
	g->names = arena_array(&g->arena, struct str, g->name_count);
	for (size_t i = 0; i < g->name_count; i++)
		g->names[i] = arena_str(&g->arena, json_value_text(json_at(names, i)));
	names_index(g);
	g->email = keep_text(g, json, "email");
	g->issuer = keep_text(g, json, "issuer");
	g->listen.host = keep_text(g, json, "address");
	g->listen.port = read_port(json, "port");
	(void)kept_upstream_stored(&g->arena, json_text(json, "proxy_shown"),
	        json_text(json, "proxy_host"), read_port(json, "proxy_port"), &g->proxy);
	g->profile = keep_text(g, json, "profile");
	if (!key_type_from_name(json_text(json, "key_type"), &g->key_type))
		g->key_type = KEY_P256;
	json_bool(json, "terms", &g->terms);
	g->on_demand = false;
	json_bool(json, "on_demand", &g->on_demand);
	clock_from_rfc3339(json_text(json, "created"), &g->created);
	g->in_store = true;
}

struct log registration_log(const struct registration *g)
{
	return (struct log){ .parent = g->renewals->needs.log,
		.key = "name",
		.value = g->name_count ? g->names[0].p : g->id };
}

void registration_reload(struct registration *g)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err err = ERR_INIT;
	g->version = 0;
	g->in_store = false;
	if (!store_get(g->renewals->needs.store, &a, STR("registration"), str_c(g->id), &r, &err))
		return;
	JSON_AUTO *json = json_parse(r.value, "The stored registration", &err);
	g->version = r.version;
	if (json)
		read_registration(g, json);
}

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load_registration(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The stored registration", &err);
	if (!json_count(json_array(json, "names"))) {
		log_error(r->needs.log,
		        "The stored registration %.*s cannot be read and is left as it is: "
		        "register its names again.",
		        STR_ARG(record->id));
		return true;
	}
	struct registration *g = registration_new(r, record->id);
	g->version = record->version;
	read_registration(g, json);
	return true;
}

bool registrations_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_registration, .renewals = r };
	return store_each(r->needs.store, STR("registration"), &load.scan, err);
}
