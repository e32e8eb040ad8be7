/* API tokens: "API-" and 256 random bits, shown once, of which only the hash is kept. */
#include "portal/events.h"
#include "portal/people.h"

#define USED_SAVED (5 * MINUTE)
enum { NAME_MOST = 100, DAYS_MOST = 3650 };
static const char token_label[] = "everseal API token";

static struct map tokens;

static struct token *token_of_row(const struct row *r)
{
	return OWNER((struct row *)r, struct token, row);
}

static void write_token(
        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob)
{
	struct token *t = token_of_row(r);
	(void)version, (void)blob;
	json_write_text(w, "name", t->name);
	json_write_c(w, "scope", scope_name(t->scope));
	json_write_c(w, "by", t->by);
	json_write_time(w, "created", t->created);
	json_write_time(w, "expires", t->expires);
	json_write_time(w, "last_used", t->last_used);
	t->saved_used = t->last_used;
}

static void token_free(struct token *t)
{
	row_done(&t->row);
	map_remove(&tokens, &t->node);
	arena_done(&t->arena);
	free(t);
}

static void removed(struct row *r)
{
	token_free(token_of_row(r));
}

static const struct row_kind token_kind = {
	.name = STR_INIT("token"),
	.write = write_token,
	.removed = removed,
};

static struct token *token_make(struct str hash, struct str name)
{
	struct token *t = mem_new(struct token);
	snprintf(t->hash, sizeof t->hash, "%.*s", STR_ARG(hash));
	snprintf(t->id, sizeof t->id, "%.16s", t->hash);
	t->name = arena_str(&t->arena, name);
	t->shown = arena_printf(&t->arena, "token %.*s", STR_ARG(name));
	row_init(&t->row, &token_kind, t->hash, 0);
	map_add(&tokens, str_c(t->hash), &t->node);
	return t;
}

struct load {
	struct store_scan scan;
	struct err *err;
};

/* Whoever made it is gone, or may do less than it: it was to end with that, but for a crash in
 * between. Only people have makers' names that a person can have. */
static bool is_orphan(const struct token *t)
{
	char name[PERSON_NAME + 1];
	struct err err = ERR_INIT;
	const struct person *maker = person_find(str_c(t->by));
	return person_name(str_c(t->by), name, &err) && (!maker || t->scope > maker->scope);
}

static bool load_token(struct store_scan *scan, const struct record *record)
{
	struct load *l = OWNER(scan, struct load, scan);
	JSON_AUTO *value = json_parse(record->value, "A token's record", l->err);
	if (!value || record->id.n != DIGEST_HEX)
		return true;
	struct token *t = token_make(record->id, json_text(value, "name"));
	t->row.version = record->version;
	t->scope = SCOPE_READ;
	scope_from_name(json_text(value, "scope"), &t->scope);
	snprintf(t->by, sizeof t->by, "%.*s", STR_ARG(json_text(value, "by")));
	clock_from_rfc3339(json_text(value, "created"), &t->created);
	clock_from_rfc3339(json_text(value, "expires"), &t->expires);
	clock_from_rfc3339(json_text(value, "last_used"), &t->last_used);
	t->saved_used = t->last_used;
	if (is_orphan(t))
		row_remove(&t->row, NULL);
	return true;
}

bool tokens_load(struct err *err)
{
	struct load l = { .scan.each = load_token, .err = err };
	return store_each(portal.store, STR("token"), &l.scan, err);
}

void tokens_close(void)
{
	MAP_EACH (n, &tokens)
		token_free(OWNER(n, struct token, node));
	map_done(&tokens);
	tokens = (struct map)MAP_INIT;
}

static bool is_expired(const struct token *t)
{
	return t->expires && t->expires <= loop_wall(portal.loop);
}

struct token *token_of(struct str text)
{
	char hash[DIGEST_HEX + 1];
	token_digest(token_label, text, hash);
	struct map_node *n = map_find(&tokens, str_c(hash));
	struct token *t = n ? OWNER(n, struct token, node) : NULL;
	return t && !t->row.leaving && !is_expired(t) ? t : NULL;
}

void token_use(struct token *t)
{
	t->last_used = loop_wall(portal.loop);
	if (t->last_used - t->saved_used >= USED_SAVED || t->last_used < t->saved_used)
		row_save(&t->row, NULL);
}

/* ---- the resource ---- */

static void write_members(const struct token *t, struct json_writer *w)
{
	json_write_c(w, "id", t->id);
	json_write_text(w, "name", t->name);
	json_write_c(w, "scope", scope_name(t->scope));
	json_write_time(w, "created", t->created);
	json_write_time(w, "expires", t->expires);
	json_write_time(w, "last_used", t->last_used);
	json_write_c(w, "by", t->by);
	json_write_bool(w, "expired", is_expired(t));
}

static void get_tokens(struct call *c)
{
	struct list_page l;
	struct json_writer w;
	if (!list_begin_names(&l, c))
		return;
	MAP_EACH (n, &tokens) {
		struct token *t = OWNER(n, struct token, node);
		if (t->row.leaving || !list_found(&l, t->name))
			continue;
		t->item.key.text = arena_printf(&c->arena, "%.*s %s", STR_ARG(t->name), t->id);
		list_offer(&l, &t->item);
	}
	list_items(&l, &w);
	for (size_t i = 0; i < l.count; i++) {
		json_write_object(&w, NULL);
		write_members(OWNER(l.rows[i], struct token, item), &w);
		json_write_end(&w);
	}
	list_end_names(&l, &w);
}

struct making {
	struct call_part part;
	struct row_wait wait;
	struct call *call;
	struct buf text;
	bool shown;
};

static void end_token(struct call *c, struct token *t, struct row_wait *wait)
{
	audit_add(c, "API token removed", t->name, str_c(scope_name(t->scope)), STR_NONE);
	events_token_ended(t);
	row_remove(&t->row, wait);
}

/* A token that nobody has seen goes. */
static void let_go(struct call_part *p)
{
	struct making *m = OWNER(p, struct making, part);
	struct token *t = m->shown ? NULL : token_of(buf_str(&m->text));
	row_wait_abort(&m->wait);
	if (t)
		end_token(m->call, t, NULL);
	buf_done(&m->text);
}

static void made(struct row_wait *wait, const struct err *err)
{
	struct making *m = OWNER(wait, struct making, wait);
	struct call *c = m->call;
	struct json_writer w;
	struct token *t = token_of(buf_str(&m->text));
	struct err gone = ERR_INIT;
	if (!t)
		err_set(&gone, ERR_CANCELED, "The token was removed before it was stored.");
	if (err || !t) {
		call_fail(c, err ? err : &gone);
		return;
	}
	m->shown = true;
	call_object(c, &w);
	write_members(t, &w);
	json_write_text(&w, "token", buf_str(&m->text));
	json_write_end(&w);
	call_answer(c, 201);
}

struct wanted {
	struct str name;
	enum scope scope;
	int64_t days; /* 0: for ever */
};

static bool name_is_fit(struct str name)
{
	for (struct str rest = name; rest.n; rest = str_from(rest, str_utf8(rest)))
		if (!str_utf8(rest) || (unsigned char)*rest.p < ' ' || *rest.p == 0x7f ||
		        is_unseen(rest))
			return false;
	return name.n && name.n <= NAME_MOST;
}

static bool read_wanted(struct call *c, struct wanted *ret, const char **ret_field, struct err *err)
{
	ret->name = str_trim(json_text(c->json, "name"));
	*ret_field = "name";
	if (!name_is_fit(ret->name))
		return err_set(err, ERR_INPUT,
		        "Give the token a name that says who uses it, of at most %d characters.",
		        NAME_MOST);
	*ret_field = "scope";
	if (!scope_from_name(json_text(c->json, "scope"), &ret->scope))
		return err_set(err, ERR_INPUT, "A scope is read, operate or administer.");
	*ret_field = "days";
	if (json_int(c->json, "days", &ret->days) && (ret->days < 1 || ret->days > DAYS_MOST))
		return err_set(err, ERR_INPUT,
		        "A token lives from 1 to %d days, or without `days` until it is removed.",
		        DAYS_MOST);
	*ret_field = "name";
	if (tokens.count >= TOKENS_MOST)
		return err_set(err, ERR_LIMIT, "There are %d tokens, and no more fit: remove one.",
		        TOKENS_MOST);
	return true;
}

static void make(struct call *c, const struct wanted *want)
{
	struct making *m = arena_new(&c->arena, struct making);
	SECRET_AUTO random = token_new(TOKEN_BYTES);
	char hash[DIGEST_HEX + 1];
	*m = (struct making){ .wait.done = made, .call = c, .text = BUF_SECRET_INIT(128) };
	buf_add_c(&m->text, "API-");
	base32_add(&m->text, secret_bytes(&random));
	token_digest(token_label, buf_str(&m->text), hash);
	struct token *t = token_make(str_c(hash), want->name);
	t->scope = want->scope;
	t->created = loop_wall(portal.loop);
	t->expires = want->days ? t->created + want->days * DAY : 0;
	/* What a token makes is its maker's as well, so that it ends with what he may do. */
	snprintf(t->by, sizeof t->by, "%.*s", STR_ARG(who_person(&c->who)));
	call_keep(c, &m->part, let_go);
	audit_add(c, "API token made", t->name, STR_NONE, str_c(scope_name(t->scope)));
	row_save(&t->row, &m->wait);
}

static void post_token(struct call *c)
{
	struct err err = ERR_INIT;
	struct wanted want = { 0 };
	const char *field;
	if (read_wanted(c, &want, &field, &err))
		make(c, &want);
	else
		call_fail_field(c, &err, field, STR_NONE);
}

/* By id, whatever others are named, or by name if only one has it. */
static struct token *find(struct str text, struct err *err)
{
	struct token *found = NULL;
	size_t count = 0;
	MAP_EACH (n, &tokens) {
		struct token *t = OWNER(n, struct token, node);
		if (t->row.leaving)
			continue;
		if (str_eq_c(text, t->id))
			return t;
		if (!str_eq(text, t->name))
			continue;
		found = t;
		count++;
	}
	if (!found)
		err_set(err, ERR_NOT_FOUND, "There is no API token %.*s.", STR_ARG(text));
	else if (count > 1)
		err_set(err, ERR_INPUT, "There are %zu API tokens named %.*s: give its id.", count,
		        STR_ARG(text));
	return count == 1 ? found : NULL;
}

size_t tokens_cap(struct call *c, const struct person *maker, enum scope most)
{
	size_t count = 0;
	MAP_EACH (n, &tokens) {
		struct token *t = OWNER(n, struct token, node);
		if (t->row.leaving || t->scope <= most || !str_eq_c(str_c(t->by), maker->name))
			continue;
		end_token(c, t, NULL);
		count++;
	}
	return count;
}

static void delete_token(struct call *c)
{
	struct err err = ERR_INIT;
	struct token *t = find(c->item, &err);
	if (!t) {
		call_fail(c, &err);
		return;
	}
	end_token(c, t, &call_saving(c, NULL)->wait);
}

const struct route token_routes[] = {
	{ "GET", "/api/tokens", SCOPE_ADMINISTER, get_tokens },
	{ "POST", "/api/tokens", SCOPE_ADMINISTER, post_token },
	{ "DELETE", "/api/tokens/*", SCOPE_ADMINISTER, delete_token },
	{ 0 },
};
