/* The whole: loading, the configuration in force, and what control tells. */
#include "renew/import.h"
#include "renew/private.h"

static bool load(struct renewals *r, struct err *err)
{
	return registrations_load(r, err) && imported_load(r, err) && held_load(r, err) &&
	       states_load(r, err) && tasks_load(r, err) && promises_load(r, err) &&
	       primary_load(r, err) && revocations_load(r, err) && staples_load(r, err) &&
	       wall_load(r, err);
}

struct renewals *renewals_new(const struct renew_needs *needs, struct err *err)
{
	struct renewals *r = mem_new(struct renewals);
	r->needs = *needs;
	list_init(&r->queue);
	list_init(&r->under_way);
	list_init(&r->going_on);
	list_init(&r->unprovable);
	list_init(&r->at_limit);
	list_init(&r->task_order);
	list_init(&r->to_look_at);
	list_init(&r->to_ask);
	list_init(&r->to_question);
	list_init(&r->notes);
	list_init(&r->removals);
	list_init(&r->wall.waiting);
	demands_init(r);
	list_init(&r->watches);
	list_init(&r->told_registrations);
	list_init(&r->told_tasks);
	if (!load(r, err))
		renewals_free(&r);
	return r;
}

void renewals_free(struct renewals **renewals)
{
	struct renewals *r = *renewals;
	if (!r)
		return;
	demands_done(r);
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		registration_free(&g);
	}
	look_stop(r);
	revoked_stop(r);
	staples_stop(r);
	notes_stop(r);
	removals_stop(r);
	windows_stop(r);
	wall_stop(r);
	reserve_done(r);
	later_stop(&r->later);
	later_stop(&r->tell);
	LIST_EACH (n, &r->watches)
		list_remove(n);
	map_done(&r->registrations);
	map_done(&r->names);
	tasks_free(r);
	promises_free(r);
	imported_done(r);
	primary_done(r);
	free(r);
	*renewals = NULL;
}

/* The file's sites */

static void keep_names(struct registration *g, const struct config_site *s)
{
	if (g->name_count)
		return;
	g->names = arena_array(&g->arena, struct str, s->name_count);
	for (size_t i = 0; i < s->name_count; i++)
		g->names[i] = arena_str(&g->arena, s->names[i]);
	g->name_count = s->name_count;
	names_index(g);
}

static void keep_text(struct registration *g, struct str *place, struct str text)
{
	if (!str_eq(*place, text))
		*place = arena_str(&g->arena, text);
}

static void take_file_kind(struct renewals *r, const struct config_site *s, enum key_type key_type)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct config *c = r->config;
	struct str issuer = registration_issuer(c, s->issuer, s->names[0]);
	struct str id = registration_id(&a, s->names, s->name_count, issuer, key_type);
	struct registration *g = registration_by_id(r, id);
	if (!g)
		g = registration_new(r, id);
	keep_names(g, s);
	g->in_file = true;
	keep_text(g, &g->email, s->email);
	keep_text(g, &g->issuer, issuer);
	g->key_type = key_type;
	g->terms = true;
	g->renew_before = s->renew_before;
	if (!g->created)
		g->created = loop_wall(r->needs.loop);
}

/* What comes on demand has no wildcard. */
static struct config_site with_known_names(struct arena *a, const struct config_site *s)
{
	struct config_site known = *s;
	if (!s->demand.at.line)
		return known;
	known.names = arena_array(a, struct str, s->name_count);
	known.name_count = 0;
	for (size_t i = 0; i < s->name_count; i++)
		if (!acme_is_wildcard(s->names[i]))
			known.names[known.name_count++] = s->names[i];
	return known;
}

/* One registration for each type of key. */
static void take_file_site(struct renewals *r, const struct config_site *s)
{
	const struct config_making *m = &s->making;
	for (size_t i = 0; i < m->key_type_count; i++)
		take_file_kind(r, s, m->key_types[i]);
	if (!m->key_type_count)
		take_file_kind(r, s, KEY_P256);
}

/* A CA wants its terms accepted; our own authority has none. */
static bool asks_for_certificate(const struct config *c, const struct config_site *s)
{
	return !s->fallback &&
	       ((s->email.n && c->agree_to_terms) || str_eq(s->issuer, STR("internal")));
}

static void take_file(struct renewals *r)
{
	const struct config *c = r->config;
	for (size_t i = 0; i < c->site_count; i++) {
		ARENA_AUTO a = ARENA_INIT;
		const struct config_site s = with_known_names(&a, &c->sites[i]);
		if (s.name_count && asks_for_certificate(c, &s))
			take_file_site(r, &s);
	}
	if (c->page_name.n && c->email.n && c->agree_to_terms)
		take_file_site(r, &(const struct config_site){ .at = c->page_at,
		                          .names = (struct str *)&c->page_name,
		                          .name_count = 1,
		                          .email = c->email,
		                          .issuer = c->issuer,
		                          .making = c->making });
}

static int by_time(const void *x, const void *y)
{
	const struct registration *a = *(struct registration *const *)x;
	const struct registration *b = *(struct registration *const *)y;
	if (registration_wanted(a) != registration_wanted(b))
		return registration_wanted(a) ? 1 : -1;
	if (a->held.since != b->held.since)
		return a->held.since > b->held.since ? 1 : -1;
	return strcmp(a->id, b->id);
}

/* Of two that stand beside each other the later one installs both. */
static void install_in_turn(struct registration *g)
{
	struct registration *beside = registration_beside(g);
	if (!beside || by_time(&beside, &g) < 0)
		held_install(g);
}

/* A later one for the same name takes its place: those that are only kept go first, then
 * what was imported, then the older ones. */
static void install_all(struct renewals *r)
{
	struct registration **all = mem_array(sizeof *all, r->registrations.count);
	size_t count = 0;
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (g->held.is)
			all[count++] = g;
	}
	if (count)
		qsort(all, count, sizeof *all, by_time);
	size_t next = 0;
	for (; next < count && !registration_wanted(all[next]); next++)
		install_in_turn(all[next]);
	imported_install_all(r);
	for (; next < count; next++)
		install_in_turn(all[next]);
	free(all);
}

/* What stands beside another as of now, or stood. */
static void install_changed(struct renewals *r)
{
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (g->was_in_file && !g->in_file)
			held_leave(g);
		else if (!g->was_in_file && g->in_file && registration_beside(g))
			held_install(g);
	}
}

/* A registration of the file may be known only now. */
static void link_tasks(struct renewals *r)
{
	LIST_EACH (n, &r->task_order) {
		const struct task *t = OWNER(n, struct task, order);
		struct registration *g = registration_by_id(r, t->about);
		if (g && t->name != TASK_REVOKE)
			snprintf(g->task_id, sizeof g->task_id, "%s",
			        t->id); /* the newest is last */
	}
}

static void take_configuration(struct registration *g)
{
	registration_configured(g);
	const char *blocked = registration_blocked(g);
	if (blocked && g->renewals->begun)
		schedule_cancel(g, blocked);
	schedule(g);
}

/* What is gone from the file stops renewing, and browsers may still insist on HTTPS for it. */
static void warn_of_promises(struct renewals *r, const struct registration *g)
{
	char until[CLOCK_TEXT];
	int64_t promised = promised_until(r, g->names, g->name_count);
	if (g->in_store || !promised)
		return;
	log_warning(r->needs.log,
	        "%.*s is gone from the configuration, but browsers may remember until %s that it "
	        "must be "
	        "reached by HTTPS: put it back, or they let nobody in.",
	        STR_ARG(g->names[0]), clock_rfc3339(promised, until));
}

void renewals_configure(struct renewals *r, const struct config *config)
{
	bool first = !r->config;
	r->config = config;
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		g->was_in_file = g->in_file;
		g->in_file = false;
	}
	take_file(r);
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (g->was_in_file && !g->in_file)
			warn_of_promises(r, g);
	}
	link_tasks(r);
	if (first)
		install_all(r);
	else
		install_changed(r);
	MAP_EACH (n, &r->registrations)
		take_configuration(OWNER(n, struct registration, node));
	demands_configured(r);
}

/* A task that a restart has interrupted goes on with its attempt at once, if it is the newest for
 * its registration and that is still renewed. */
static void resume(struct task *t)
{
	struct registration *g = registration_by_id(t->renewals, t->about);
	if (revocation_has_task(g, t))
		return;
	bool newest = g && !strcmp(g->task_id, t->id);
	const char *blocked = newest ? registration_blocked(g) : "a restart interrupted it";
	if (!blocked) {
		if (t->issued && g->held.is)
			schedule_see(g);
		else
			schedule_now(g);
		return;
	}
	task_give_up(t, blocked);
	if (newest)
		g->task = NULL;
}

void renewals_begin(struct renewals *r)
{
	r->begun = true;
	LIST_EACH (n, &r->task_order) {
		struct task *t = OWNER(n, struct task, order);
		if (task_under_way(t))
			resume(t);
	}
	/* Before schedule looks at it: a revocation whose task is gone gets another. */
	MAP_EACH (n, &r->registrations)
		revocation_begin(OWNER(n, struct registration, node));
	MAP_EACH (n, &r->registrations)
		schedule(OWNER(n, struct registration, node));
	look_begin(r);
	windows_begin(r);
	wall_begin(r);
}

/* What control tells */

void renewals_install(struct renewals *r, struct str name)
{
	struct registration *g = registration_find(r, name);
	if (!imported_install_again(r, name) && g && g->held.is)
		held_install(g);
}

void renew_seen(struct renewals *r, struct str site, struct str client, int64_t at)
{
	struct registration *g = registration_find(r, site);
	if (!g)
		return;
	tell_registration(g);
	arena_clear(&g->seen_arena);
	g->seen_at = at;
	g->seen_client = arena_str(&g->seen_arena, client);
}

void renewals_each_site(struct renewals *r, struct renew_site_each *e)
{
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (!g->in_store || !g->name_count || g->on_demand)
			continue;
		struct renew_site site = {
			.names = g->names,
			.name_count = g->name_count,
			.proxy = g->proxy.host.n ? &g->proxy : NULL,
			.listen = g->listen,
			.has_certificate = g->held.is,
		};
		e->site(e, &site);
	}
}
