/* A change of a site on its way: tried in a generation, stored once that stands, then answered. It
 * goes on when its client leaves. */
#include "portal/site_work.h"
#include "portal/wish.h"

/* Lives in the call's arena. */
struct waiting_call {
	struct call_part part;
	struct site_work *work; /* NULL: it has ended */
};

struct site_work {
	struct list node;
	struct call *call; /* NULL: the client has left */
	struct waiting_call *waiting;
	struct kept_change kept;
	struct serving_change change, back;
	struct site_turn turn;
	struct renew_request removal; /* of registrations */
	unsigned status;
	struct arena arena;
	struct audit_author author;
	struct str name; /* the site's, for what is said */
	struct served_site was;
	struct kept_site *record;
	struct str *stay; /* the names that it has afterwards */
	size_t stay_count;
	struct str certificate, registered;   /* the registration tried last; its first name */
	struct str names_before, names_after; /* its names; empty: it goes whole */
	struct renew_narrow_want narrow;
	renew_done *then;
};

static struct list works = { &works, &works };

static void end(struct site_work *work)
{
	if (work->waiting)
		work->waiting->work = NULL;
	list_remove(&work->node);
	arena_done(&work->arena);
	free(work);
	site_turn_over();
}

static void fail(struct site_work *work, const struct err *err)
{
	struct call *call = work->call;
	struct err said = *err;
	end(work);
	if (call)
		call_fail_with(call, &said, &(struct call_failure){ 0 });
}

/* ---- the audit ---- */

static struct str joined(struct arena *a, const struct str *texts, size_t count)
{
	BUF_AUTO out = BUF(8 << 10);
	for (size_t i = 0; i < count; i++) {
		buf_add_c(&out, i ? " " : "");
		buf_add(&out, texts[i]);
	}
	return arena_str(a, buf_str(&out));
}

static struct str upstreams_text(struct arena *a, const struct config_upstream *u, size_t count)
{
	struct str *texts = arena_array(a, struct str, count);
	for (size_t i = 0; i < count; i++)
		texts[i] = u[i].shown;
	return joined(a, texts, count);
}

static struct str hsts_text(struct arena *a, const struct hsts *h)
{
	if (!h->set || !h->max_age)
		return STR("off");
	return arena_printf(a, "%lld s%s%s", (long long)h->max_age,
	        h->subdomains ? ", subdomains" : "", h->preload ? ", preload" : "");
}

static struct str on_off(bool on)
{
	return on ? STR("on") : STR("off");
}

static void note_texts(
        struct site_work *work, const char *what, struct str before, struct str after)
{
	if (!str_eq(before, after))
		audit_add_by(&work->author, what, work->name, before, after);
}

static void note_settings(struct site_work *work, const struct kept_value *v)
{
	const struct config_site *was = &work->was.settings;
	bool force = v->force_ssl_set ? v->force_ssl : was->force_ssl;
	const struct hsts *hsts = v->hsts.set ? &v->hsts : &was->hsts;
	note_texts(work, force ? "Force SSL on" : "Force SSL off", on_off(was->force_ssl),
	        on_off(force));
	note_texts(work, hsts->max_age ? "HSTS on" : "HSTS off",
	        hsts_text(&work->arena, &was->hsts), hsts_text(&work->arena, hsts));
}

static void note_change(struct site_work *work, const struct kept_value *v)
{
	struct arena *a = &work->arena;
	const struct config_site *was = &work->was.settings;
	if (!v->overlay)
		note_texts(work, "Names changed", joined(a, was->names, was->name_count),
		        joined(a, v->names, v->name_count));
	if (v->upstream_count)
		note_texts(work, "Application changed",
		        upstreams_text(a, was->upstreams, was->upstream_count),
		        upstreams_text(a, v->upstreams, v->upstream_count));
	note_settings(work, v);
}

static struct str upstreams_before(struct site_work *work)
{
	const struct config_site *was = &work->was.settings;
	return upstreams_text(&work->arena, was->upstreams, was->upstream_count);
}

/* In the turn that stores it: then both are there after a crash, or neither. */
static void note(struct site_work *work)
{
	const struct kept_value *v = work->record ? work->record->value : NULL;
	if (work->status == 201)
		audit_add_by(&work->author, "Site added", work->name, STR_NONE,
		        upstreams_text(&work->arena, v->upstreams, v->upstream_count));
	else if (v)
		note_change(work, v);
	else
		audit_add_by(&work->author, "Site removed", work->name, upstreams_before(work),
		        STR_NONE);
}

/* ---- the way ---- */

static void client_left(struct call_part *p)
{
	struct waiting_call *w = OWNER(p, struct waiting_call, part);
	if (!w->work)
		return;
	w->work->call = NULL;
	w->work->waiting = NULL;
}

static struct site_work *work_new(struct call *c, struct str name, unsigned status)
{
	struct site_work *work = mem_new(struct site_work);
	work->call = c;
	work->author = audit_author(c, &work->arena);
	work->status = status;
	work->name = arena_str(&work->arena, name);
	work->waiting = arena_new(&c->arena, struct waiting_call);
	work->waiting->work = work;
	call_keep(c, &work->waiting->part, client_left);
	list_add_last(&works, &work->node);
	return work;
}

static void answer(struct site_work *work)
{
	struct call *c = work->call;
	struct str name = c ? arena_str(&c->arena, work->name) : STR_NONE;
	unsigned status = work->status;
	end(work);
	sites_stale();
	if (!c)
		return;
	struct json_writer w;
	json_write_init(&w, &c->answer);
	if (site_write(&w, NULL, name))
		call_answer(c, status);
	else
		call_done(c);
}

static void back_again(struct serving_change *change, const struct err *err)
{
	struct site_work *work = OWNER(change, struct site_work, back);
	(void)err;
	end(work);
}

/* It was in force, but is not stored: what the store has is to be in force again. */
static void not_stored(struct site_work *work, const struct err *err)
{
	struct call *c = work->call;
	struct err said = *err;
	work->record = NULL;
	if (work->waiting)
		work->waiting->work = NULL;
	work->waiting = NULL;
	work->call = NULL;
	work->back.done = back_again;
	portal_host->ops->change(portal_host, &work->back);
	if (c)
		call_fail(c, &said);
}

/* ---- registrations of names that go ---- */

static bool has_name(const struct str *names, size_t count, struct str name)
{
	bool has = false;
	for (size_t i = 0; !has && i < count; i++)
		has = str_eq(names[i], name);
	return has;
}

/* A name that the site had and is not to have any more. */
static bool name_goes(const struct site_work *work, struct str name)
{
	const struct config_site *was = &work->was.settings;
	return has_name(was->names, was->name_count, name) &&
	       !has_name(work->stay, work->stay_count, name);
}

static bool goes_whole(const struct site_work *work, const struct renew_view *v)
{
	bool all = true;
	for (size_t i = 0; all && i < v->name_count; i++)
		all = name_goes(work, v->names[i]);
	return all;
}

/* A registration in the store that a name which goes belongs to; one that is no longer renewed and
 * has other names, too, may stay. */
static bool find_registration(const struct site_work *work, struct renew_view *ret)
{
	const struct config_site *s = &work->was.settings;
	for (size_t i = 0; i < s->name_count; i++)
		if (name_goes(work, s->names[i]) && renew_find(portal_renewals, s->names[i], ret) &&
		        ret->in_store && !str_eq(ret->id, work->certificate) &&
		        (ret->renewed || goes_whole(work, ret)))
			return true;
	return false;
}

/* The one with fewer names is there: the one that has them all goes. */
static void narrowed(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct site_work *work = OWNER(q, struct site_work, removal);
	struct renew_view v;
	if (err) {
		work->then(q, work->narrow.id, task, existing, err);
		return;
	}
	if (renew_primary(portal_renewals, &v) && str_eq(v.id, work->narrow.id))
		renew_set_primary(portal_renewals, id);
	renew_remove(portal_renewals, q, work->narrow.id, /* despite_hsts= */ true, work->then);
}

/* What is left of it is registered anew, so that a name that is gone is not asked for for ever. */
static void narrow(struct site_work *work, const struct renew_view *v)
{
	struct arena *a = &work->arena;
	struct str *stay = arena_array(a, struct str, v->name_count);
	size_t count = 0;
	for (size_t i = 0; i < v->name_count; i++)
		if (!name_goes(work, v->names[i]))
			stay[count++] = arena_str(a, v->names[i]);
	work->narrow = (struct renew_narrow_want){ arena_str(a, v->id), stay, count };
	work->names_after = joined(a, stay, count);
	renew_narrow(portal_renewals, &work->removal, &work->narrow, narrowed);
}

static void let_registration_go(
        struct site_work *work, const struct renew_view *v, renew_done *then)
{
	work->then = then;
	work->registered = arena_str(&work->arena, v->names[0]);
	work->names_before = joined(&work->arena, v->names, v->name_count);
	work->names_after = STR_NONE;
	if (goes_whole(work, v))
		renew_remove(
		        portal_renewals, &work->removal, v->id, /* despite_hsts= */ true, then);
	else
		narrow(work, v);
}

static void note_registration(const struct site_work *work)
{
	if (work->names_after.n)
		audit_add_by(&work->author, "Registered with fewer names", work->registered,
		        work->names_before, work->names_after);
	else
		audit_add_by(&work->author, "Registration removed", work->registered, STR_NONE,
		        STR_NONE);
}

static void drop_next(struct site_work *work);

/* The site is stored as it was wished, so that the call succeeds all the same. */
static void dropped(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct site_work *work = OWNER(q, struct site_work, removal);
	(void)task, (void)existing;
	if (err) {
		log_warning(portal.log, "A name that %.*s no longer has stays registered: %s",
		        STR_ARG(work->name), err->text);
		answer(work);
		return;
	}
	note_registration(work);
	work->certificate = arena_str(&work->arena, id); /* not tried twice */
	drop_next(work);
}

/* Else a name that goes would stand on, as a site that is registered. */
static void drop_next(struct site_work *work)
{
	struct renew_view v;
	if (!work->stay_count || !find_registration(work, &v)) {
		answer(work);
		return;
	}
	let_registration_go(work, &v, dropped);
}

/* ---- stored ---- */

static void stored(struct kept_change *kept, const struct err *err)
{
	struct site_work *work = OWNER(kept, struct site_work, kept);
	if (err) {
		not_stored(work, err);
		return;
	}
	work->kept.site = NULL;
	drop_next(work);
}

static void in_force(struct serving_change *change, const struct err *err)
{
	struct site_work *work = OWNER(change, struct site_work, change);
	if (err) {
		kept_take_back(&work->kept);
		sites_stale();
		fail(work, err);
		return;
	}
	note(work);
	if (!work->record->value)
		work->record = NULL; /* gone once that is stored */
	kept_store(&work->kept, stored);
}

static void try(struct site_work *work)
{
	work->change.done = in_force;
	portal_host->ops->change(portal_host, &work->change);
}

/* What is shown of the site before, for the audit. */
static void keep_before(struct site_work *work, const struct site_entry *e)
{
	struct arena *a = &work->arena;
	work->was = e->site;
	struct config_site *s = &work->was.settings;
	struct str *names = arena_array(a, struct str, s->name_count);
	for (size_t i = 0; i < s->name_count; i++)
		names[i] = arena_str(a, s->names[i]);
	struct config_upstream *upstreams =
	        arena_array(a, struct config_upstream, s->upstream_count);
	for (size_t i = 0; i < s->upstream_count; i++)
		upstreams[i].shown = arena_str(a, s->upstreams[i].shown);
	s->names = names;
	s->upstreams = upstreams;
}

static void keep_names(struct site_work *work, const struct kept_value *v)
{
	work->stay = arena_array(&work->arena, struct str, v->name_count);
	work->stay_count = v->name_count;
	for (size_t i = 0; i < v->name_count; i++)
		work->stay[i] = arena_str(&work->arena, v->names[i]);
}

void site_work_start(struct site_input *in, struct kept_site *site, unsigned status)
{
	struct err err = ERR_INIT;
	struct kept *kept = portal_host->ops->kept(portal_host);
	struct site_work *work = work_new(in->call, in->value->names[0], status);
	if (in->entry)
		keep_before(work, in->entry);
	keep_names(work, in->value);
	if (!kept_try(kept, &work->kept, site, in->value, &err)) {
		kept_value_free(&in->value);
		fail(work, &err);
		return;
	}
	work->record = work->kept.site;
	sites_stale();
	try(work);
}

/* ---- removal ---- */

static struct str listed(struct arena *a, const struct str *names, size_t count)
{
	BUF_AUTO out = BUF(64 << 10);
	for (size_t i = 0; i < count; i++) {
		buf_add_c(&out, !i ? "" : i + 1 < count ? ", " : " and ");
		buf_add(&out, names[i]);
	}
	return arena_str(a, buf_str(&out));
}

/* The names that have to be typed. Always false. */
static bool refuse_lock_out(struct call *c, int64_t until, const struct str *names, size_t count)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	char text[CLOCK_TEXT];
	BUF_AUTO details = BUF(64 << 10);
	const bool one = count == 1;
	json_write_init(&w, &details);
	json_write_object(&w, NULL);
	json_write_time(&w, "hsts_until", until);
	json_write_array(&w, "names");
	for (size_t i = 0; i < count; i++)
		json_write_text(&w, NULL, names[i]);
	json_write_end(&w);
	json_write_end(&w);
	err_set(&err, ERR_PERMISSION,
	        "Browsers may remember until %s that %.*s %s reached by HTTPS only: without %s "
	        "site they let nobody in.",
	        clock_rfc3339(until, text), STR_ARG(listed(&c->arena, names, count)),
	        one ? "is" : "are", one ? "its" : "their");
	call_fail_with(c, &err,
	        &(struct call_failure){ .status = 403,
	                .code = "hsts",
	                .remedy = one ? "Switch HSTS off and wait until then; or insist: type the "
	                                "name, or give --despite-hsts."
	                              : "Switch HSTS off and wait until then; or insist: type the "
	                                "names, with spaces between.",
	                .details = buf_str(&details) });
	return false;
}

bool site_may_drop(struct call *c, const struct str *names, size_t count)
{
	struct str *missing = arena_array(&c->arena, struct str, count);
	size_t missing_count = 0;
	for (size_t i = 0; i < count; i++)
		if (renew_hsts_until(portal_renewals, &names[i], 1) &&
		        !call_despite_hsts(c, &names[i], 1))
			missing[missing_count++] = names[i];
	return !missing_count ||
	       refuse_lock_out(c, renew_hsts_until(portal_renewals, missing, missing_count),
	               missing, missing_count);
}

/* Of a whole site its name is enough. */
static bool may_go(struct call *c, const struct config_site *s)
{
	int64_t until = renew_hsts_until(portal_renewals, s->names, s->name_count);
	return !until || call_despite_hsts(c, s->names, 1) ||
	       refuse_lock_out(c, until, s->names, 1);
}

static void remove_next(struct site_work *work);

static void removed(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct site_work *work = OWNER(q, struct site_work, removal);
	(void)task;
	(void)existing;
	if (err && work->certificate.n)
		audit_add_by(&work->author, "Registrations removed, but not the site", work->name,
		        STR_NONE, STR_NONE);
	work->certificate = arena_str(&work->arena, id); /* not tried twice */
	if (err) {
		fail(work, err);
		return;
	}
	if (work->names_after.n)
		note_registration(work);
	remove_next(work);
}

static void remove_record(struct site_work *work);

static void remove_now(struct site_turn *turn)
{
	remove_record(OWNER(turn, struct site_work, turn));
}

static void remove_record(struct site_work *work)
{
	struct err err = ERR_INIT;
	struct kept *kept = portal_host->ops->kept(portal_host);
	struct kept_site *site = kept_with_name(kept, work->name, /* overlay= */ false);
	if (!site)
		site = kept_with_name(kept, work->name, /* overlay= */ true);
	if (!site) {
		note(work);
		answer(work);
		return;
	}
	if (site_turn_await(&work->turn, site, remove_now))
		return;
	if (!kept_try(kept, &work->kept, site, NULL, &err)) {
		fail(work, &err);
		return;
	}
	work->record = work->kept.site;
	sites_stale();
	try(work);
}

/* First its registrations, so that nothing makes the site anew; then what the store has of it. */
static void remove_next(struct site_work *work)
{
	struct renew_view v;
	if (find_registration(work, &v))
		let_registration_go(work, &v, removed);
	else
		remove_record(work);
}

void site_work_remove(struct call *c, struct site_entry *e)
{
	if (e->site.in_file) {
		call_locked(c, &e->site.settings.at, "remove it there");
		return;
	}
	const struct config_site *s = &e->site.settings;
	if (!may_go(c, s))
		return;
	struct site_work *work = work_new(c, site_name_of(&e->site), 200);
	keep_before(work, e);
	remove_next(work);
}

/* ---- the end ---- */

void site_work_close(void)
{
	while (!list_empty(&works)) {
		struct site_work *work = OWNER(list_first(&works), struct site_work, node);
		renew_request_abort(&work->removal);
		list_remove(&work->change.node);
		list_remove(&work->back.node);
		list_remove(&work->turn.node);
		if (work->kept.site)
			kept_take_back(&work->kept);
		end(work);
	}
	site_turns_close();
}
