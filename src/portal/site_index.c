/* The index of sites. */
#include "certs/name.h"
#include "portal/site_work.h"

struct site_name {
	struct map_node node;
	struct site_entry *entry;
};

static struct index {
	struct arena arena;
	struct site_entry **at;
	size_t count, cap;
	struct map names; /* struct site_name: every name of every site */
	size_t lamps[LAMP_COUNT];
	int64_t number; /* of the generation it was made from */
	bool stale, views_stale, made;
} sites;
static struct renewals_watch renewals_told;
static struct list watchers;
static struct later telling;
static struct map told_of; /* struct site_told: what there is to tell */

/* ---- what there is to tell ---- */

struct site_told {
	struct map_node node;
	char name[];
};

static void tell(struct later *l);

static void note(struct str name)
{
	if (list_empty(&watchers) || map_find(&told_of, name))
		return;
	struct site_told *t = mem_alloc(sizeof *t + name.n + 1);
	memcpy(t->name, name.p, name.n);
	map_add(&told_of, str_n(t->name, name.n), &t->node);
	later_start(&telling, portal.loop, tell);
}

static void refresh(void);

static void tell(struct later *l)
{
	(void)l;
	refresh();
	MAP_EACH (n, &told_of) {
		struct site_told *t = OWNER(n, struct site_told, node);
		const struct site_entry *e = site_find(n->key);
		bool is = e && str_eq(site_name_of(&e->site), n->key);
		LIST_EACH (w, &watchers) {
			struct sites_watch *watch = OWNER(w, struct sites_watch, node);
			if (is)
				watch->changed(watch, n->key);
			else
				watch->gone(watch, n->key);
		}
		map_remove(&told_of, n);
		free(t);
	}
}

void sites_watch(struct sites_watch *w)
{
	list_add_last(&watchers, &w->node);
}

void sites_unwatch(struct sites_watch *w)
{
	list_remove(&w->node);
}

/* ---- one entry ---- */

static struct str *copy_names(struct arena *a, const struct str *names, size_t count)
{
	struct str *copy = arena_array(a, struct str, count);
	for (size_t i = 0; i < count; i++)
		copy[i] = arena_str(a, names[i]);
	return copy;
}

static void copy_settings(struct arena *a, struct config_site *s)
{
	struct config_upstream *upstreams =
	        arena_array(a, struct config_upstream, s->upstream_count);
	for (size_t i = 0; i < s->upstream_count; i++)
		upstreams[i].shown = arena_str(a, s->upstreams[i].shown);
	s->upstreams = upstreams;
	s->names = copy_names(a, s->names, s->name_count);
	s->email = s->issuer = STR_NONE;
}

struct str sites_unicode(struct arena *a, struct str ascii)
{
	ARENA_AUTO scratch = ARENA_INIT;
	struct name name;
	struct err err = ERR_INIT;
	if (!memmem(ascii.p, ascii.n, "xn--", 4) ||
	        !name_read(&scratch, ascii, /* public_only= */ false, &name, &err) ||
	        str_eq(name.unicode, ascii))
		return STR_NONE;
	return arena_str(a, name.unicode);
}

static uint64_t mix(uint64_t h, uint64_t value)
{
	h ^= value + UINT64_C(0x9e3779b97f4a7c15) + (h << 6) + (h >> 2);
	return h;
}

/* Two entries with the same stamp show the same. */
static uint64_t stamp_of(const struct site_entry *e)
{
	const struct config_site *s = &e->site.settings;
	uint64_t h = mix((uint64_t)e->version, e->url_port);
	for (size_t i = 0; i < s->name_count; i++)
		h = mix(h, hash_keyed(s->names[i]));
	for (size_t i = 0; i < s->upstream_count; i++)
		h = mix(h, hash_keyed(s->upstreams[i].shown));
	const bool flags[] = { s->force_ssl, s->force_ssl_set, s->hsts.set, s->hsts.preload,
		s->hsts.subdomains, e->site.in_file, e->site.force_ssl_locked,
		e->site.hsts_locked };
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		h = mix(h, flags[i]);
	h = mix(h, (uint64_t)s->hsts.max_age);
	h = mix(h, (uint64_t)s->at.line << 32 | s->force_ssl_at.line);
	h = mix(h, (uint64_t)s->hsts.at.line << 32 | e->site.listen.port);
	return mix(h, hash_keyed(e->site.listen.host));
}

static void add_name(struct site_entry *e, struct str name)
{
	if (map_find(&sites.names, name))
		return;
	struct site_name *n = arena_new(&sites.arena, struct site_name);
	n->entry = e;
	map_add(&sites.names, name, &n->node);
}

/* `site *` has no name that a certificate could be for: nothing is to be done about it. */
static enum lamp lamp_without(const struct site_entry *e)
{
	return e->site.settings.fallback ? LAMP_OFF : LAMP_TEMPORARY;
}

static void add_entry(
        struct portal_site_each *each, const struct served_site *site, uint16_t url_port)
{
	(void)each;
	struct arena *a = &sites.arena;
	struct site_entry *e = arena_new(a, struct site_entry);
	e->site = *site;
	e->url_port = url_port;
	copy_settings(a, &e->site.settings);
	e->site.listen.host = arena_str(a, site->listen.host);
	e->site.default_name = STR_NONE;
	const struct kept_value *kept = site->kept ? site->kept->value : NULL;
	e->version = kept ? site->kept->version : 0;
	e->force_ssl_kept = kept && kept->force_ssl_set && !site->force_ssl_locked;
	e->hsts_kept = kept && kept->hsts.set && !site->hsts_locked;
	e->lamp = lamp_without(e);
	e->unicode = sites_unicode(a, site_name_of(&e->site));
	e->stamp = stamp_of(e);
	if (sites.count == sites.cap) {
		sites.cap = sites.cap ? 2 * sites.cap : 64;
		sites.at = mem_grow(sites.at, sizeof *sites.at, sites.cap);
	}
	sites.at[sites.count++] = e;
	if (site->settings.fallback)
		add_name(e, STR("*"));
	for (size_t i = 0; i < e->site.settings.name_count; i++)
		add_name(e, e->site.settings.names[i]);
}

/* ---- certificates ---- */

/* Of several registrations for a site: one that is for its first name, is renewed, has a
 * certificate, is no second one beside another, is new. */
static unsigned rank_of(const struct site_entry *e, const struct renew_view *v)
{
	bool first = false;
	for (size_t i = 0; i < v->name_count; i++)
		first |= str_eq(v->names[i], site_name_of(&e->site));
	return 1 + 8U * first + 4U * v->renewed + 2U * v->held + !v->second;
}

static void show(struct site_entry *e, const struct renew_view *v)
{
	sites.lamps[e->lamp]--;
	e->lamp = v->lamp;
	sites.lamps[e->lamp]++;
	e->expires = v->not_after;
	e->renews = v->next_renewal;
}

static void offer_view(struct site_entry *e, const struct renew_view *v)
{
	unsigned rank = rank_of(e, v);
	e->registered |= v->in_store;
	if (rank < e->rank)
		return;
	if (!str_eq(e->certificate, v->id)) {
		e->certificate = arena_str(&sites.arena, v->id);
		e->issuer = arena_str(&sites.arena, v->issuer);
	}
	e->rank = rank;
	show(e, v);
}

static struct site_entry *entry_of(struct str name)
{
	struct map_node *n = map_find(&sites.names, name);
	return n ? OWNER(n, struct site_name, node)->entry : NULL;
}

static void add_view(struct renew_view_each *each, const struct renew_view *v)
{
	const struct site_entry *last = NULL;
	(void)each;
	for (size_t i = 0; i < v->name_count; i++) {
		struct site_entry *e = entry_of(v->names[i]);
		if (e && e != last)
			offer_view(e, v);
		last = e;
	}
}

static void look_at_certificates(void)
{
	struct renew_view_each each = { .view = add_view };
	sites.views_stale = false;
	memset(sites.lamps, 0, sizeof sites.lamps);
	for (size_t i = 0; i < sites.count; i++) {
		struct site_entry *e = sites.at[i];
		e->certificate = e->issuer = STR_NONE;
		e->expires = e->renews = 0;
		e->rank = 0;
		e->registered = false;
		e->lamp = lamp_without(e);
		sites.lamps[e->lamp]++;
	}
	renew_each(portal_renewals, &each);
}

/* One registration changed: its sites are looked at by themselves, unless another may now be the
 * one that counts. */
static void registration_told(struct renewals_watch *w, struct str id)
{
	struct renew_view v;
	(void)w;
	if (!sites.made || sites.stale)
		return;
	if (!renew_find(portal_renewals, id, &v)) {
		sites.views_stale = true;
		for (size_t i = 0; i < sites.count; i++)
			if (str_eq(sites.at[i]->certificate, id))
				note(site_name_of(&sites.at[i]->site));
		return;
	}
	for (size_t i = 0; i < v.name_count; i++) {
		struct site_entry *e = entry_of(v.names[i]);
		if (!e)
			continue;
		if (str_eq(e->certificate, v.id) && rank_of(e, &v) < e->rank)
			sites.views_stale = true;
		offer_view(e, &v);
		note(site_name_of(&e->site));
	}
}

static void task_told(struct renewals_watch *w, struct str id)
{
	(void)w;
	(void)id;
}

/* ---- made anew ---- */

static void forget(struct index *old)
{
	map_done(&old->names);
	free(old->at);
	arena_done(&old->arena);
}

/* Both ways: what is new or other, and what is not there any more. */
static void compare(const struct index *old)
{
	for (size_t i = 0; !list_empty(&watchers) && i < sites.count; i++) {
		struct str name = site_name_of(&sites.at[i]->site);
		struct map_node *n = map_find(&old->names, name);
		if (!n || OWNER(n, struct site_name, node)->entry->stamp != sites.at[i]->stamp)
			note(name);
	}
	for (size_t i = 0; !list_empty(&watchers) && i < old->count; i++) {
		struct str name = site_name_of(&old->at[i]->site);
		if (!map_find(&sites.names, name))
			note(name);
	}
}

static void refresh(void)
{
	int64_t number = portal_host->ops->generation(portal_host);
	if (!sites.made || sites.stale || number != sites.number) {
		struct index old = sites;
		struct portal_site_each each = { .site = add_entry };
		sites = (struct index){ .number = number, .made = true, .views_stale = true };
		portal_host->ops->each_site(portal_host, &each);
		if (old.made)
			compare(&old);
		forget(&old);
	}
	if (sites.views_stale)
		look_at_certificates();
}

void sites_stale(void)
{
	sites.stale = true;
	if (!list_empty(&watchers))
		later_start(&telling, portal.loop, tell);
}

void portal_sites_changed(void)
{
	if (sites.made)
		sites_stale();
}

void sites_open(void)
{
	list_init(&watchers);
	renewals_told =
	        (struct renewals_watch){ .registration = registration_told, .task = task_told };
	if (portal_renewals)
		renewals_watch(portal_renewals, &renewals_told);
}

void sites_close(void)
{
	site_work_close();
	later_stop(&telling);
	renewals_unwatch(&renewals_told);
	MAP_EACH (n, &told_of) {
		map_remove(&told_of, n);
		free(OWNER(n, struct site_told, node));
	}
	map_done(&told_of);
	forget(&sites);
	sites = (struct index){ 0 };
}

/* ---- looking ---- */

struct site_entry *site_find(struct str typed)
{
	ARENA_AUTO a = ARENA_INIT;
	struct name name;
	struct err err = ERR_INIT;
	refresh();
	struct site_entry *e = entry_of(typed);
	if (!e && name_read(&a, typed, /* public_only= */ false, &name, &err))
		e = entry_of(name.ascii);
	return e;
}

void sites_each(struct site_each *each)
{
	refresh();
	for (size_t i = 0; i < sites.count; i++)
		each->entry(each, sites.at[i]);
}

size_t sites_count(enum lamp lamp)
{
	refresh();
	return sites.lamps[lamp];
}
