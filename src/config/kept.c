/* Sites kept in the store: their records, and how one of them changes. */
#include "config/kept.h"
#include "config/parts.h"

#include "json/json.h"

/* ---- values ---- */

struct kept_value *kept_value_new(void)
{
	return mem_new(struct kept_value);
}

struct kept_value *kept_value_copy(const struct kept_value *from)
{
	struct kept_value *v = kept_value_new();
	struct arena *a = &v->arena;
	v->overlay = from->overlay;
	v->force_ssl = from->force_ssl;
	v->force_ssl_set = from->force_ssl_set;
	v->hsts = from->hsts;
	v->name_count = from->name_count;
	v->names = arena_array(a, struct str, from->name_count);
	for (size_t i = 0; i < from->name_count; i++)
		v->names[i] = arena_str(a, from->names[i]);
	v->upstream_count = from->upstream_count;
	v->upstreams = arena_array(a, struct config_upstream, from->upstream_count);
	for (size_t i = 0; i < from->upstream_count; i++) {
		const struct config_upstream *u = &from->upstreams[i];
		v->upstreams[i] = *u;
		v->upstreams[i].shown = arena_str(a, u->shown);
		v->upstreams[i].host = arena_str(a, u->host);
		v->upstreams[i].server_name = arena_str(a, u->server_name);
	}
	return v;
}

void kept_value_free(struct kept_value **v)
{
	if (!*v)
		return;
	arena_done(&(*v)->arena);
	free(*v);
	*v = NULL;
}

/* ---- records ---- */

static void write_upstream(struct json_writer *w, const struct config_upstream *u)
{
	json_write_object(w, NULL);
	json_write_text(w, "shown", u->shown);
	json_write_text(w, "host", u->host);
	json_write_int(w, "port", u->port);
	json_write_end(w);
}

static void write_value(const struct kept_value *v, struct buf *out)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_bool(&w, "overlay", v->overlay);
	json_write_array(&w, "names");
	for (size_t i = 0; i < v->name_count; i++)
		json_write_text(&w, NULL, v->names[i]);
	json_write_end(&w);
	json_write_array(&w, "proxy");
	for (size_t i = 0; i < v->upstream_count; i++)
		write_upstream(&w, &v->upstreams[i]);
	json_write_end(&w);
	if (v->force_ssl_set)
		json_write_bool(&w, "force_ssl", v->force_ssl);
	if (v->hsts.set) {
		json_write_object(&w, "hsts");
		json_write_int(&w, "max_age", v->hsts.max_age);
		json_write_bool(&w, "subdomains", v->hsts.subdomains);
		json_write_bool(&w, "preload", v->hsts.preload);
		json_write_end(&w);
	}
	json_write_end(&w);
}

bool kept_upstream_stored(struct arena *a, struct str shown, struct str host, int64_t port,
        struct config_upstream *ret)
{
	struct err ignored = ERR_INIT;
	if (config_value_upstream(a, shown, ret, &ignored))
		return true;
	if (!host.n || port < 1 || port > UINT16_MAX)
		return false;
	*ret = (struct config_upstream){
		.shown = arena_str(a, shown), .host = arena_str(a, host), .port = (uint16_t)port
	};
	return true;
}

static void read_upstreams(struct kept_value *v, const struct json *list)
{
	v->upstreams = arena_array(&v->arena, struct config_upstream, json_count(list));
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *o = json_at(list, i);
		int64_t port = 0;
		if (json_int(o, "port", &port) &&
		        kept_upstream_stored(&v->arena, json_text(o, "shown"), json_text(o, "host"),
		                port, &v->upstreams[v->upstream_count]))
			v->upstream_count++;
	}
}

static struct kept_value *read_value(const struct json *json)
{
	const struct json *names = json_array(json, "names"), *hsts = json_object(json, "hsts");
	struct kept_value *v = kept_value_new();
	v->name_count = json_count(names);
	v->names = arena_array(&v->arena, struct str, v->name_count);
	for (size_t i = 0; i < v->name_count; i++)
		v->names[i] = arena_str(&v->arena, json_value_text(json_at(names, i)));
	json_bool(json, "overlay", &v->overlay);
	read_upstreams(v, json_array(json, "proxy"));
	v->force_ssl_set = json_bool(json, "force_ssl", &v->force_ssl);
	v->hsts.set = json_int(hsts, "max_age", &v->hsts.max_age);
	json_bool(hsts, "subdomains", &v->hsts.subdomains);
	json_bool(hsts, "preload", &v->hsts.preload);
	return v;
}

static struct kept_site *site_new(struct kept *k, struct str id)
{
	struct kept_site *s = mem_new(struct kept_site);
	snprintf(s->id, sizeof s->id, "%.*s", STR_ARG(id));
	map_add(&k->by_id, str_c(s->id), &s->by_id);
	list_add_last(&k->sites, &s->node);
	return s;
}

static void site_free(struct kept *k, struct kept_site *s)
{
	map_remove(&k->by_id, &s->by_id);
	list_remove(&s->node);
	kept_value_free(&s->value);
	free(s);
}

struct load {
	struct store_scan scan;
	struct kept *kept;
};

static bool load_site(struct store_scan *scan, const struct record *record)
{
	struct kept *k = OWNER(scan, struct load, scan)->kept;
	struct err err = ERR_INIT;
	uint64_t number;
	JSON_AUTO *json = json_parse(record->value, "The stored site", &err);
	if (!str_to_u64(record->id, &number) || record->id.n >= sizeof((struct kept_site *)0)->id ||
	        !json_count(json_array(json, "names"))) {
		log_error(k->log,
		        "The stored site %.*s cannot be read and is left as it is: add it again.",
		        STR_ARG(record->id));
		return true;
	}
	struct kept_site *s = site_new(k, record->id);
	s->version = record->version;
	s->value = read_value(json);
	if ((int64_t)number > k->last)
		k->last = (int64_t)number;
	return true;
}

bool kept_open(struct kept *k, struct store *store, const struct log *log, struct err *err)
{
	struct load load = { .scan.each = load_site, .kept = k };
	*k = (struct kept){ .store = store, .log = log };
	list_init(&k->sites);
	return store_each(store, STR("site"), &load.scan, err);
}

void kept_done(struct kept *k)
{
	if (!k->store)
		return;
	LIST_EACH (n, &k->sites)
		site_free(k, OWNER(n, struct kept_site, node));
	map_done(&k->by_id);
	*k = (struct kept){ 0 };
}

struct kept_site *kept_with_name(const struct kept *k, struct str name, bool overlay)
{
	LIST_EACH (n, &k->sites) {
		struct kept_site *s = OWNER(n, struct kept_site, node);
		for (size_t i = 0; s->value && i < s->value->name_count; i++)
			if (s->value->overlay == overlay && str_eq(s->value->names[i], name))
				return s;
	}
	return NULL;
}

/* ---- a change ---- */

bool kept_try(struct kept *k, struct kept_change *c, struct kept_site *site,
        struct kept_value *value, struct err *err)
{
	char id[24];
	if (site && site->change)
		return err_set(err, ERR_BUSY,
		        "This site is just being changed by somebody else: try again in a moment.");
	if (!site) {
		snprintf(id, sizeof id, "%010lld", (long long)++k->last);
		site = site_new(k, str_c(id));
	}
	*c = (struct kept_change){ .kept = k, .site = site, .before = site->value };
	site->value = value;
	site->change = c;
	return true;
}

void kept_take_back(struct kept_change *c)
{
	struct kept_site *s = c->site;
	store_tx_abort(&c->tx);
	kept_value_free(&s->value);
	s->value = c->before;
	c->before = NULL;
	s->change = NULL;
	c->site = NULL;
	if (!s->value)
		site_free(c->kept, s);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct kept_change *c = OWNER(tx, struct kept_change, tx);
	struct kept_site *s = c->site;
	if (err) {
		kept_take_back(c);
		c->done(c, err);
		return;
	}
	kept_value_free(&c->before);
	s->change = NULL;
	s->version++;
	if (!s->value) {
		site_free(c->kept, s);
		c->site = NULL;
	}
	c->done(c, NULL);
}

void kept_store(struct kept_change *c, void (*done)(struct kept_change *c, const struct err *err))
{
	const struct kept_site *s = c->site;
	BUF_AUTO value = BUF(1 << 20);
	c->done = done;
	if (s->value) {
		write_value(s->value, &value);
		store_tx_put(
		        &c->tx, STR("site"), str_c(s->id), s->version, buf_str(&value), STR_NONE);
	} else {
		store_tx_delete(&c->tx, STR("site"), str_c(s->id), s->version);
	}
	store_tx_start(c->kept->store, &c->tx, stored);
}
