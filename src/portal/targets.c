/* Alert targets that are kept, and /api/notify/targets. */
#include "portal/targets.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "portal/people.h"

enum { SECRETS_MOST = 4 << 10 };

static struct list targets = { &targets, &targets };

static struct kept_target *target_of_row(const struct row *r)
{
	return OWNER((struct row *)r, struct kept_target, row);
}

/* ---- the record ---- */

static bool is_mail(const struct config_notify *want)
{
	return want->way == CONFIG_NOTIFY_MAIL;
}

static void write_text(struct json_writer *w, const char *key, struct str text)
{
	json_write_c(w, key, text.n ? text.p : NULL);
}

static void write_members(const struct config_notify *want, struct json_writer *w)
{
	json_write_c(w, "way", config_notify_way_name(want->way));
	json_write_c(w, "level", config_level_name(want->level));
	write_text(w, "to", is_mail(want) ? want->to : STR_NONE);
	write_text(w, "server", want->server);
	write_text(w, "from", want->from);
	write_text(w, "user", want->user);
}

/* The password, or the secret and on a line of its own the URL. */
static void write_target(
        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob)
{
	const struct kept_target *t = target_of_row(r);
	const struct config_notify *want = &t->want;
	BUF_AUTO secrets = BUF_SECRET(SECRETS_MOST);
	write_members(want, w);
	json_write_time(w, "created", t->created);
	json_write_int(w, "edition", t->edition);
	if (is_mail(want))
		buf_add(&secrets, want->password);
	else
		buf_printf(&secrets, "%.*s\n%.*s", STR_ARG(want->secret), STR_ARG(want->to));
	SECRET_AUTO plain = secret_copy(buf_str(&secrets));
	if (plain.n)
		seal(portal.master, (struct seal_for){ STR("target"), str_c(t->id), version },
		        &plain, blob);
}

static void wipe_text(struct str s)
{
	if (s.n)
		wipe((char *)(uintptr_t)s.p, s.n);
}

static void forget_texts(struct config_notify *want, struct arena *a)
{
	wipe_text(want->password);
	wipe_text(want->secret);
	arena_done(a);
}

static void target_free(struct kept_target *t)
{
	row_done(&t->row);
	list_remove(&t->kept.node);
	list_remove(&t->node);
	forget_texts(&t->want, &t->arena);
	free(t);
}

static void removed(struct row *r)
{
	target_free(target_of_row(r));
}

static const struct row_kind target_kind = {
	.name = STR_INIT("target"),
	.write = write_target,
	.removed = removed,
};

static struct kept_target *target_make(struct str id, int64_t version, int64_t created)
{
	struct kept_target *t = mem_new(struct kept_target);
	snprintf(t->id, sizeof t->id, "%.*s", STR_ARG(id));
	row_init(&t->row, &target_kind, t->id, version);
	t->created = created;
	t->kept.want = &t->want;
	struct list *before = targets.prev;
	while (before != &targets && OWNER(before, struct kept_target, node)->created > created)
		before = before->prev;
	list_add_between(before, before->next, &t->node);
	return t;
}

/* Takes texts and arena over, and tells it from now on. */
static void set_want(struct kept_target *t, const struct config_notify *want, const struct arena *a)
{
	forget_texts(&t->want, &t->arena);
	t->want = *want;
	t->arena = *a;
	t->want.id = str_c(t->id);
	t->edition++;
	if (portal.notify)
		notify_keep(portal.notify, &t->kept);
}

static struct str texts(struct arena *a, const struct json *value, const char *member)
{
	const struct str text = json_text(value, member);
	return text.n ? arena_str(a, text) : STR_NONE;
}

static bool read_secrets(
        struct config_notify *want, struct arena *a, const struct record *record, struct err *err)
{
	SECRET_AUTO plain = SECRET_NONE;
	const struct seal_for what = { record->kind, record->id, record->version };
	if (record->blob.n && !unseal(portal.master, what, "What is secret of an alert target",
	                              record->blob, &plain, err))
		return false;
	const struct str all = secret_bytes(&plain), first = str_head(all, str_find(all, '\n'));
	if (is_mail(want)) {
		want->password = first.n ? arena_str(a, first) : STR_NONE;
		return config_notify_read_to(a, arena_str(a, want->to), want, err);
	}
	want->secret = arena_str(a, first);
	return config_notify_read_to(a, str_from(all, first.n + 1), want, err);
}

static bool read_want(struct config_notify *want, struct arena *a, const struct json *value,
        const struct record *record, struct err *err)
{
	if (!config_notify_way_from_name(json_text(value, "way"), &want->way) ||
	        want->way == CONFIG_NOTIFY_PROGRAM ||
	        !config_level_from_name(json_text(value, "level"), &want->level) ||
	        record->id.n != TARGET_ID)
		return err_set(err, ERR_CORRUPT, "Its record is not as this version writes it.");
	want->to = texts(a, value, "to");
	want->server = texts(a, value, "server");
	want->from = texts(a, value, "from");
	want->user = texts(a, value, "user");
	return read_secrets(want, a, record, err);
}

/* What cannot be read tells nobody, and keeps nobody from starting. */
static bool load_target(struct store_scan *scan, const struct record *record)
{
	struct err err = ERR_INIT;
	struct config_notify want = { 0 };
	struct arena a = ARENA_INIT;
	int64_t created = 0, edition = 0;
	(void)scan;
	JSON_AUTO *value = json_parse(record->value, "An alert target's record", &err);
	if (!value || !read_want(&want, &a, value, record, &err)) {
		log_error(portal.log,
		        "An alert target cannot be read and is left as it is, add it again: %s",
		        err.text);
		forget_texts(&want, &a);
		return true;
	}
	clock_from_rfc3339(json_text(value, "created"), &created);
	json_int(value, "edition", &edition);
	struct kept_target *t = target_make(record->id, record->version, created);
	set_want(t, &want, &a);
	t->edition = edition;
	return true;
}

bool targets_load(struct err *err)
{
	struct store_scan scan = { .each = load_target };
	return store_each(portal.store, STR("target"), &scan, err);
}

/* Who is told goes on being told, until notify ends. */
void targets_close(void)
{
	LIST_EACH (n, &targets)
		target_free(OWNER(n, struct kept_target, node));
}

const struct kept_target *target_twin(const struct config_notify *want)
{
	LIST_EACH (n, &targets) {
		const struct kept_target *t = OWNER(n, const struct kept_target, node);
		if (!t->row.leaving && t->want.way == want->way && str_eq(t->want.to, want->to))
			return t;
	}
	return NULL;
}

/* ---- the resource ---- */

static struct kept_target *with_id(struct str id)
{
	LIST_EACH (n, &targets) {
		struct kept_target *t = OWNER(n, struct kept_target, node);
		if (!t->row.leaving && str_eq_c(id, t->id))
			return t;
	}
	return NULL;
}

static struct kept_target *shown_as(struct call *c, struct err *err)
{
	struct kept_target *found = NULL;
	size_t count = 0;
	LIST_EACH (n, &targets) {
		struct kept_target *t = OWNER(n, struct kept_target, node);
		if (t->row.leaving || !str_eq(c->item, target_shown(&c->arena, &t->want)))
			continue;
		found = t;
		count++;
	}
	if (!found)
		err_set(err, ERR_NOT_FOUND,
		        "There is no alert target %.*s: `everseal notify list` shows them.",
		        STR_ARG(str_head(c->item, 200)));
	else if (count > 1)
		err_set(err, ERR_INPUT, "There are %zu alert targets %.*s: give its id.", count,
		        STR_ARG(str_head(c->item, 200)));
	return count == 1 ? found : NULL;
}

/* By id, or as it is shown if only one is. NULL: the call was answered. */
static struct kept_target *find(struct call *c)
{
	struct err err = ERR_INIT;
	struct kept_target *t = with_id(c->item);
	if (!t)
		t = shown_as(c, &err);
	const struct config_notify *of_file =
	        err.code == ERR_NOT_FOUND ? notify_shown_in_file(portal.notify, c->item) : NULL;
	if (of_file)
		call_locked(c, &of_file->at, "change it there");
	else if (!t)
		call_fail(c, &err);
	return t;
}

static void write_whole(struct json_writer *w, const char *key, const struct kept_target *t)
{
	ARENA_AUTO a = ARENA_INIT;
	json_write_object(w, key);
	json_write_c(w, "id", t->id);
	json_write_text(w, "target", target_shown(&a, &t->want));
	json_write_int(w, "version", t->edition);
	write_members(&t->want, w);
	json_write_bool(w, "password", t->want.password.n > 0);
	json_write_end(w);
}

static void answer(struct call *c, const struct kept_target *t, unsigned status)
{
	struct json_writer w;
	json_write_init(&w, &c->answer);
	write_whole(&w, NULL, t);
	call_answer(c, status);
}

static void get_target(struct call *c)
{
	const struct kept_target *t = find(c);
	if (t)
		answer(c, t, 200);
}

struct saving {
	struct call_part part;
	struct row_wait wait;
	struct call *call;
	char id[TARGET_ID + 1];
	unsigned status;
};

static void let_go(struct call_part *p)
{
	row_wait_abort(&OWNER(p, struct saving, part)->wait);
}

static void end_target(struct kept_target *t, struct row_wait *wait)
{
	if (portal.notify)
		notify_drop(portal.notify, &t->kept);
	row_remove(&t->row, wait);
}

/* One that could not be stored is none, as whoever added it was told. */
static void saved(struct row_wait *wait, const struct err *err)
{
	struct saving *s = OWNER(wait, struct saving, wait);
	struct kept_target *t = with_id(str_c(s->id));
	struct err gone = ERR_INIT;
	if (err && t && s->status == 201)
		end_target(t, NULL);
	if (!t)
		err_set(&gone, ERR_CONFLICT, "The target was removed meanwhile.");
	if (err || !t)
		call_fail(s->call, err ? err : &gone);
	else
		answer(s->call, t, s->status);
}

static void save(struct call *c, struct kept_target *t, unsigned status)
{
	struct saving *s = arena_new(&c->arena, struct saving);
	*s = (struct saving){ .wait.done = saved, .call = c, .status = status };
	snprintf(s->id, sizeof s->id, "%s", t->id);
	call_keep(c, &s->part, let_go);
	row_save(&t->row, &s->wait);
}

/* What the audit says of it: nothing secret. */
static struct str described(struct arena *a, const struct config_notify *want)
{
	const char *level = config_level_name(want->level);
	if (!is_mail(want))
		return arena_printf(a, "%.*s, from %s on", STR_ARG(want->shown), level);
	return arena_printf(a, "%.*s, by %.*s, from %.*s%s%.*s, from %s on", STR_ARG(want->to),
	        STR_ARG(want->server), STR_ARG(want->from), want->user.n ? ", as " : "",
	        STR_ARG(want->user), level);
}

static bool is_version(struct call *c, const struct kept_target *t)
{
	int64_t version;
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO details = BUF(64 << 10);
	if (!json_int(c->json, "version", &version) || version == t->edition)
		return true;
	json_write_init(&w, &details);
	json_write_object(&w, NULL);
	json_write_int(&w, "version", t->edition);
	write_whole(&w, "current", t);
	json_write_end(&w);
	err_set(&err, ERR_CONFLICT,
	        "%.*s was changed meanwhile: look at what is there now, and decide again.",
	        STR_ARG(target_shown(&c->arena, &t->want)));
	call_fail_with(c, &err, &(struct call_failure){ .details = buf_str(&details) });
	return false;
}

static const struct call_member members[] = {
	{ NULL, "way", MEMBER_TEXT },
	{ NULL, "to", MEMBER_TEXT },
	{ NULL, "level", MEMBER_TEXT },
	{ NULL, "server", MEMBER_TEXT },
	{ NULL, "from", MEMBER_TEXT },
	{ NULL, "user", MEMBER_TEXT },
	{ NULL, "password", MEMBER_TEXT },
	{ NULL, "secret", MEMBER_TEXT },
	{ NULL, "version", MEMBER_NUMBER },
	{ 0 },
};

static void copy_texts(struct config_notify *want, struct arena *a)
{
	struct str *const all[] = { &want->to, &want->shown, &want->server, &want->from,
		&want->user, &want->password, &want->secret };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		*all[i] = all[i]->n ? arena_str(a, *all[i]) : STR_NONE;
}

/* False: the call was answered. */
static bool read_input(struct target_input *in)
{
	struct err err = ERR_INIT;
	copy_texts(&in->want, in->arena);
	if (target_input_read(in, &err))
		return true;
	forget_texts(&in->want, in->arena);
	return call_wrong(in->call, &err, in->field);
}

static size_t count(void)
{
	size_t n = 0;
	LIST_EACH (node, &targets)
		n++;
	return n;
}

static struct kept_target *target_new(int64_t now)
{
	SECRET_AUTO random = token_new(TARGET_ID / 2);
	BUF_AUTO id = BUF(TARGET_ID + 1);
	buf_add_hex(&id, secret_bytes(&random));
	return target_make(buf_str(&id), 0, now);
}

static void post_target(struct call *c)
{
	struct err err = ERR_INIT;
	struct arena a = ARENA_INIT;
	struct target_input in = { .call = c, .want.level = CONFIG_LEVEL_WARNING, .arena = &a };
	if (!call_members_fit(c, members))
		return;
	if (count() >= TARGETS_MOST) {
		err_set(&err, ERR_LIMIT, "There are %d alert targets, and no more fit: remove one.",
		        TARGETS_MOST);
		call_fail(c, &err);
		return;
	}
	if (!read_input(&in))
		return;
	struct kept_target *t = target_new(loop_wall(portal.loop));
	set_want(t, &in.want, &a);
	audit_add(c, "Alert target added", target_shown(&c->arena, &t->want), STR_NONE,
	        described(&c->arena, &t->want));
	save(c, t, 201);
}

static void put_target(struct call *c)
{
	struct arena a = ARENA_INIT;
	struct kept_target *t = find(c);
	if (!t || !call_members_fit(c, members) || !is_version(c, t))
		return;
	struct target_input in = { .call = c, .was = t, .want = t->want, .arena = &a };
	if (!read_input(&in))
		return;
	const bool same = str_eq(in.want.password, t->want.password) &&
	                  str_eq(in.want.secret, t->want.secret) && str_eq(in.want.to, t->want.to);
	const struct str before = described(&c->arena, &t->want),
	                 shown = target_shown(&c->arena, &t->want);
	const struct str after = described(&c->arena, &in.want);
	if (same && str_eq(before, after)) {
		forget_texts(&in.want, &a);
		answer(c, t, 200);
		return;
	}
	audit_add(c, "Alert target changed", shown, before,
	        same ? after : arena_printf(&c->arena, "%.*s, other secrets", STR_ARG(after)));
	set_want(t, &in.want, &a);
	save(c, t, 200);
}

static void delete_target(struct call *c)
{
	struct kept_target *t = find(c);
	if (!t)
		return;
	audit_add(c, "Alert target removed", target_shown(&c->arena, &t->want),
	        described(&c->arena, &t->want), STR_NONE);
	end_target(t, &call_saving(c, NULL)->wait);
}

const struct route target_routes[] = {
	{ "POST", "/api/notify/targets", SCOPE_ADMINISTER, post_target },
	{ "GET", "/api/notify/targets/*", SCOPE_ADMINISTER, get_target },
	{ "PUT", "/api/notify/targets/*", SCOPE_ADMINISTER, put_target },
	{ "DELETE", "/api/notify/targets/*", SCOPE_ADMINISTER, delete_target },
	{ 0 },
};
