/* /api/sites: the list, one site, and how one is added, changed and removed. A change is tried in a
 * generation first and stored once that stands; a refusal changes nothing. */
#include "portal/site_work.h"

/* ---- looking ---- */

static const char *const sorts[] = { "state", "name", "expires", "renews", NULL };
enum sort { SORT_STATE, SORT_NAME, SORT_EXPIRES, SORT_RENEWS };

struct listing_sites {
	struct site_each each;
	struct list_page page;
	bool by_state;
	enum lamp state;
};

static int64_t number_of(const struct site_entry *e, unsigned sort)
{
	switch (sort) {
	case SORT_STATE:
		return e->lamp;
	case SORT_EXPIRES:
		return e->expires ? e->expires : INT64_MAX;
	case SORT_RENEWS:
		return e->renews ? e->renews : INT64_MAX;
	default:
		return 0;
	}
}

static bool has_search(const struct list_page *l, const struct site_entry *e)
{
	const struct config_site *s = &e->site.settings;
	bool found = list_found(l, site_name_of(&e->site)) ||
	             (e->unicode.n && list_found(l, e->unicode));
	for (size_t i = 1; !found && i < s->name_count; i++)
		found = list_found(l, s->names[i]);
	return found;
}

static void offer(struct site_each *each, struct site_entry *e)
{
	struct listing_sites *l = OWNER(each, struct listing_sites, each);
	if ((l->by_state && e->lamp != l->state) ||
	        (l->page.issuer.n && !str_eq(e->issuer, l->page.issuer)) ||
	        !has_search(&l->page, e))
		return;
	e->item.key = (struct list_key){ number_of(e, l->page.sort), site_name_of(&e->site) };
	list_offer(&l->page, &e->item);
}

static bool read_state(struct listing_sites *l, struct err *err)
{
	l->by_state = l->page.state.n;
	return !l->by_state || lamp_from_name(l->page.state, &l->state) ||
	       err_set(err, ERR_INPUT, "There is no state \"%.*s\" that a site could have.",
	               STR_ARG(str_head(l->page.state, 40)));
}

static void get_sites(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	struct listing_sites l = { .each.entry = offer };
	if (!list_begin(&l.page, c, sorts, &err) || !read_state(&l, &err)) {
		call_fail(c, &err);
		return;
	}
	sites_each(&l.each);
	list_items(&l.page, &w);
	for (size_t i = 0; i < l.page.count; i++)
		site_entry_write(&w, NULL, OWNER(l.page.rows[i], struct site_entry, item));
	list_end(&l.page, &w);
	sites_write_counts(&w, "counts");
	json_write_end(&w);
	call_answer(c, 200);
}

static struct site_entry *find(struct call *c)
{
	struct site_entry *e = site_find(c->item);
	struct err err = ERR_INIT;
	if (e)
		return e;
	err_set(&err, ERR_NOT_FOUND, "There is no site %.*s.", STR_ARG(str_head(c->item, 260)));
	call_fail(c, &err);
	return NULL;
}

static void get_site(struct call *c)
{
	struct json_writer w;
	struct site_entry *e = find(c);
	if (!e)
		return;
	json_write_init(&w, &c->answer);
	site_entry_write(&w, NULL, e);
	call_answer(c, 200);
}

/* ---- changing ---- */

/* The value as it is: what the store has, else an overlay that says nothing yet. */
static struct kept_value *value_of(const struct site_entry *e)
{
	if (e->site.kept)
		return kept_value_copy(e->site.kept->value);
	const struct config_site *s = &e->site.settings;
	struct kept_value *v = kept_value_new();
	v->overlay = true;
	v->name_count = s->fallback ? 1 : s->name_count;
	v->names = arena_array(&v->arena, struct str, v->name_count);
	for (size_t i = 0; i < v->name_count; i++)
		v->names[i] = s->fallback ? STR("*") : arena_str(&v->arena, s->names[i]);
	return v;
}

static void put_site(struct call *c)
{
	struct site_entry *e = find(c);
	if (!e || site_turn_await_call(c, e->site.kept, put_site))
		return;
	struct kept_value *v = value_of(e);
	struct site_input in = { .call = c, .entry = e, .value = v };
	if (!site_input_read(&in)) {
		kept_value_free(&v);
		return;
	}
	if (!in.changes) {
		struct json_writer w;
		kept_value_free(&v);
		json_write_init(&w, &c->answer);
		site_entry_write(&w, NULL, e);
		call_answer(c, 200);
		return;
	}
	site_work_start(&in, (struct kept_site *)e->site.kept, 200);
}

/* A name that so far was only registered gets a site of its own; what was said of it stays. */
static void post_site(struct call *c)
{
	struct kept_value *v = kept_value_new();
	struct site_input in = { .call = c, .value = v };
	struct kept *kept = portal_host->ops->kept(portal_host);
	if (!site_input_read(&in)) {
		kept_value_free(&v);
		return;
	}
	struct kept_site *overlay = kept_with_name(kept, v->names[0], /* overlay= */ true);
	if (site_turn_await_call(c, overlay, post_site))
		kept_value_free(&v);
	else
		site_work_start(&in, overlay, 201);
}

static void delete_site(struct call *c)
{
	struct site_entry *e = find(c);
	if (e && !site_turn_await_call(c, e->site.kept, delete_site))
		site_work_remove(c, e);
}

const struct route site_routes[] = {
	{ "GET", "/api/sites", SCOPE_READ, get_sites },
	{ "POST", "/api/sites", SCOPE_OPERATE, post_site },
	{ "GET", "/api/sites/*", SCOPE_READ, get_site },
	{ "PUT", "/api/sites/*", SCOPE_OPERATE, put_site },
	{ "DELETE", "/api/sites/*", SCOPE_OPERATE, delete_site },
	{ 0 },
};
