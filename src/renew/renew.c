/* The whole: loading, the configuration in force, and what control tells. */
#include "renew/private.h"

static bool load(struct renewals *r, struct err *err)
{
	return registrations_load(r, err) && held_load(r, err) && schedule_load(r, err) &&
		tasks_load(r, err) && promises_load(r, err);
}

struct renewals *renewals_new(const struct renew_needs *needs, struct err *err)
{
	struct renewals *r = mem_new(struct renewals);
	r->needs = *needs;
	list_init(&r->queue);
	list_init(&r->task_order);
	if (!load(r, err))
		renewals_free(&r);
	return r;
}

void renewals_free(struct renewals **renewals)
{
	struct renewals *r = *renewals;
	if (!r)
		return;
	MAP_EACH(n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		registration_free(&g);
	}
	map_done(&r->registrations);
	tasks_free(r);
	promises_free(r);
	free(r);
	*renewals = NULL;
}

/* ---- the file's sites ---- */

static void keep_names(struct registration *g, const struct config_site *s)
{
	if (g->name_count)
		return;
	g->names = arena_array(&g->arena, struct str, s->name_count);
	for (size_t i = 0; i < s->name_count; i++)
		g->names[i] = arena_str(&g->arena, s->names[i]);
	g->name_count = s->name_count;
}

static void take_file_site(struct renewals *r, const struct config_site *s)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct config *c = r->config;
	struct str issuer = registration_issuer(c, s->issuer, s->names[0]);
	struct str id = registration_id(&a, s->names, s->name_count, issuer);
	struct registration *g = registration_by_id(r, id);
	if (!g)
		g = registration_new(r, id);
	keep_names(g, s);
	g->in_file = true;
	g->email = arena_str(&g->arena, s->email);
	g->issuer = arena_str(&g->arena, issuer);
	g->terms = true;
	g->renew_before = s->renew_before_set ? s->renew_before : 0;
	if (!g->created)
		g->created = loop_wall(r->needs.loop);
}

static void take_file(struct renewals *r)
{
	const struct config *c = r->config;
	for (size_t i = 0; i < c->site_count; i++) {
		const struct config_site *s = &c->sites[i];
		if (!s->fallback && s->email.n && c->agree_to_terms)
			take_file_site(r, s);
	}
}

/* Those that are only kept go first: a later one for the same name takes its place. */
static void install_all(struct renewals *r)
{
	for (int wanted = 0; wanted <= 1; wanted++)
		MAP_EACH(n, &r->registrations) {
			struct registration *g = OWNER(n, struct registration, node);
			if (g->held.is && registration_wanted(g) == wanted)
				held_install(g);
		}
	r->installed = true;
}

static void reschedule_all(struct renewals *r)
{
	MAP_EACH(n, &r->registrations)
		schedule(OWNER(n, struct registration, node));
}

void renewals_configure(struct renewals *r, const struct config *config)
{
	r->config = config;
	MAP_EACH(n, &r->registrations)
		OWNER(n, struct registration, node)->in_file = false;
	take_file(r);
	if (!r->installed)
		install_all(r);
	reschedule_all(r);
}

/* A task that a restart has interrupted goes on with its attempt at once; one whose registration
 * is gone has ended. */
static void resume_tasks(struct renewals *r)
{
	struct err gone = ERR_INIT;
	err_set(&gone, ERR_CANCELED, "Interrupted by a restart; nothing asks for it any more.");
	LIST_EACH(n, &r->task_order) {
		struct task *t = OWNER(n, struct task, order);
		struct registration *g = registration_by_id(r, t->about);
		if (t->state != TASK_EXECUTING)
			continue;
		if (g && registration_wanted(g) && !strcmp(g->task_id, t->id))
			schedule_now(g);
		else
			task_end(t, NULL, &gone);
	}
}

void renewals_begin(struct renewals *r)
{
	r->begun = true;
	resume_tasks(r);
	reschedule_all(r);
}

/* ---- what control tells ---- */

void renew_seen(struct renewals *r, struct str site, struct str client, int64_t at)
{
	struct registration *g = registration_find(r, site);
	if (!g)
		return;
	arena_clear(&g->seen_arena);
	g->seen_at = at;
	g->seen_client = arena_str(&g->seen_arena, client);
}

void renewals_each_site(struct renewals *r, struct renew_site_each *e)
{
	MAP_EACH(n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (!g->in_store || !g->name_count)
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
