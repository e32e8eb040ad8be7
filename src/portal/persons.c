/* People as a resource, for administrators and the machine's owner. */
#include "portal/events.h"
#include "portal/people.h"
#include "portal/throttle.h"

static void write_person(const struct person *p, struct json_writer *w)
{
	json_write_object(w, NULL);
	json_write_c(w, "name", p->name);
	json_write_c(w, "scope", scope_name(p->scope));
	json_write_bool(w, "second_factor", factor_is_on(p));
	json_write_time(w, "created", p->created);
	json_write_time(w, "last_seen", p->last_seen);
	json_write_end(w);
}

static void get_people(struct call *c)
{
	struct list_page l;
	struct json_writer w;
	if (!list_begin_names(&l, c))
		return;
	MAP_EACH (n, &people) {
		struct person *p = OWNER(n, struct person, node);
		if (p->row.leaving || !list_found(&l, str_c(p->name)))
			continue;
		p->item.key.text = str_c(p->name);
		list_offer(&l, &p->item);
	}
	list_items(&l, &w);
	for (size_t i = 0; i < l.count; i++)
		write_person(OWNER(l.rows[i], struct person, item), &w);
	list_end_names(&l, &w);
}

/* The person named in the path or the body; NULL: the call has failed. */
static struct person *named(struct call *c, struct str name)
{
	struct err err = ERR_INIT;
	struct person *p = person_find(name);
	if (p)
		return p;
	err_set(&err, ERR_NOT_FOUND, "There is nobody named %.*s here.", STR_ARG(name));
	call_fail(c, &err);
	return NULL;
}

static bool read_scope(struct call *c, enum scope *ret)
{
	struct err err = ERR_INIT;
	if (scope_from_name(json_text(c->json, "scope"), ret))
		return true;
	err_set(&err, ERR_INPUT, "A scope is read, operate or administer.");
	return call_wrong(c, &err, "scope");
}

/* ---- adding ---- */

static void person_saved(struct call *c)
{
	struct json_writer w;
	const struct person *p = named(c, json_text(c->json, "name"));
	if (!p)
		return;
	json_write_init(&w, &c->answer);
	write_person(p, &w);
	call_answer(c, 201);
}

static void add(struct call *c, const char *hash)
{
	struct err err = ERR_INIT;
	char name[PERSON_NAME + 1];
	enum scope scope;
	if (!person_may_be_added(json_text(c->json, "name"), &err) ||
	        !person_name(json_text(c->json, "name"), name, &err)) {
		call_wrong(c, &err, "name");
		return;
	}
	if (!read_scope(c, &scope))
		return;
	audit_add(c, "Person added", str_c(name), STR_NONE, str_c(scope_name(scope)));
	person_save(person_new(str_c(name), scope, hash), &call_saving(c, person_saved)->wait);
}

static void post_person(struct call *c)
{
	struct err err = ERR_INIT;
	struct str name = json_text(c->json, "name"), password = json_text(c->json, "password");
	enum scope scope;
	if (!person_may_be_added(name, &err))
		call_wrong(c, &err, "name");
	else if (!person_password(password, name, &err))
		call_wrong(c, &err, "password");
	else if (read_scope(c, &scope))
		call_hash(c, password, add);
}

/* ---- changing ---- */

static bool stays_administered(struct call *c, const struct person *p)
{
	struct err err = ERR_INIT;
	if (!person_is_last_administrator(p))
		return true;
	err_set(&err, ERR_CONFLICT,
	        "%s is the last administrator: without one nobody lets others in." ERR_REMEDY
	        "Make somebody else administrator first.",
	        p->name);
	call_fail(c, &err);
	return false;
}

/* The answer, once the change is stored. */
static struct call_saving *saying_tokens(struct call *c, size_t removed)
{
	struct json_writer w;
	call_object(c, &w);
	json_write_int(&w, "tokens_removed", (int64_t)removed);
	json_write_end(&w);
	return call_saving(c, call_ok);
}

/* *ret_removed: tokens that ended, for they could do more than whoever made them. */
static bool change_scope(struct call *c, struct person *p, size_t *ret_removed)
{
	enum scope scope;
	if (!json_text(c->json, "scope").n)
		return true;
	if (!read_scope(c, &scope))
		return false;
	if (scope == p->scope)
		return true;
	if (!stays_administered(c, p))
		return false;
	audit_add(c, "Scope changed", str_c(p->name), str_c(scope_name(p->scope)),
	        str_c(scope_name(scope)));
	p->scope = scope;
	events_person_changed(p);
	*ret_removed = tokens_cap(c, p, scope);
	return true;
}

static void new_password(struct call *c, struct person *p, const char *hash)
{
	snprintf(p->hash, sizeof p->hash, "%s", hash);
	sessions_end_all(p, NULL);
	audit_add(c, "Password set", str_c(p->name), STR_NONE, STR_NONE);
}

static void change_hashed(struct call *c, const char *hash)
{
	struct person *p = named(c, c->item);
	size_t removed = 0;
	if (!p || !change_scope(c, p, &removed))
		return;
	new_password(c, p, hash);
	person_save(p, &saying_tokens(c, removed)->wait);
}

static void put_person(struct call *c)
{
	struct err err = ERR_INIT;
	struct person *p = named(c, c->item);
	size_t removed = 0;
	if (!p)
		return;
	struct str password = json_text(c->json, "password");
	if (password.n && !person_password(password, str_c(p->name), &err))
		call_wrong(c, &err, "password");
	else if (password.n)
		call_hash(c, password, change_hashed);
	else if (change_scope(c, p, &removed))
		person_save(p, &saying_tokens(c, removed)->wait);
}

static void delete_person(struct call *c)
{
	struct person *p = named(c, c->item);
	if (!p || !stays_administered(c, p))
		return;
	audit_add(c, "Person removed", str_c(p->name), str_c(scope_name(p->scope)), STR_NONE);
	person_remove(p, &saying_tokens(c, tokens_cap(c, p, SCOPE_NONE))->wait);
}

/* ---- for the machine's owner ---- */

/* The way back in: a lost second factor goes with the lost password, and so do all waits. */
static void reset_hashed(struct call *c, const char *hash)
{
	struct person *p = named(c, json_text(c->json, "name"));
	if (!p)
		return;
	new_password(c, p, hash);
	if (factor_is_on(p)) {
		factor_off(p);
		audit_add(c, "Second factor off", str_c(p->name), STR_NONE, STR_NONE);
	}
	throttle_clear();
	person_save(p, &call_saving(c, NULL)->wait);
}

static void post_password(struct call *c)
{
	struct err err = ERR_INIT;
	const struct person *p = named(c, json_text(c->json, "name"));
	if (!p)
		return;
	struct str password = json_text(c->json, "password");
	if (!person_password(password, str_c(p->name), &err))
		call_wrong(c, &err, "password");
	else
		call_hash(c, password, reset_hashed);
}

struct linking {
	struct call_part part;
	struct row_wait wait;
	struct call *call;
	struct buf link;
	int64_t expires;
};

static void let_go(struct call_part *part)
{
	struct linking *l = OWNER(part, struct linking, part);
	row_wait_abort(&l->wait);
	buf_done(&l->link);
}

static void link_stored(struct row_wait *wait, const struct err *err)
{
	struct linking *l = OWNER(wait, struct linking, wait);
	struct json_writer w;
	if (err) {
		call_fail(l->call, err);
		return;
	}
	call_object(l->call, &w);
	json_write_text(&w, "link", buf_str(&l->link));
	json_write_time(&w, "expires", l->expires);
	json_write_end(&w);
	call_answer(l->call, 200);
}

static void post_link(struct call *c)
{
	struct err err = ERR_INIT;
	if (!page_is_on(&err)) {
		call_fail(c, &err);
		return;
	}
	struct linking *l = arena_new(&c->arena, struct linking);
	BUF_AUTO origin = BUF_INIT(1024);
	*l = (struct linking){ .wait.done = link_stored, .call = c, .link = BUF_SECRET_INIT(2048) };
	call_keep(c, &l->part, let_go);
	page_url(&origin);
	audit_add(c, "Setup link made", STR_NONE, STR_NONE, STR_NONE);
	link_new(buf_str(&origin), &l->link, &l->expires, &l->wait);
}

const struct route people_routes[] = {
	{ "GET", "/api/people", SCOPE_ADMINISTER, get_people },
	{ "POST", "/api/people", SCOPE_ADMINISTER, post_person },
	{ "PUT", "/api/people/*", SCOPE_ADMINISTER, put_person },
	{ "DELETE", "/api/people/*", SCOPE_ADMINISTER, delete_person },
	{ "POST", "/api/admin/link", SCOPE_OWNER, post_link },
	{ "POST", "/api/admin/password", SCOPE_OWNER, post_password },
	{ 0 },
};
