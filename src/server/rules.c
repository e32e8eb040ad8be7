#include "server/rules.h"

#include "base/buf.h"
#include "net/address.h"
#include "server/worker.h"

enum { AMBIGUOUS_MOST = 1 << 10 }; /* 64 readings of that take a quarter of a millisecond */

/* --- which route */

static bool is_at(const struct route *r, struct str path)
{
	if (!str_starts(path, r->path))
		return false;
	struct str rest = str_from(path, r->path.n);
	return rest.n == 0 || (rest.p[0] == '/' && (r->beneath || rest.n == 1));
}

const struct route *route_of_path(const struct site *site, struct str plain)
{
	for (size_t i = 0; i < site->route_count; i++)
		if (is_at(site->routes[i], plain))
			return site->routes[i];
	return site->own;
}

static bool is_same_in_every_reading(
        const struct exchange *ex, const struct target *t, const struct route *plain)
{
	ARENA_AUTO scratch = ARENA_INIT;
	const struct route *route = plain;
	unsigned reading = 0;
	while (route == plain && (reading = target_next_reading(reading, t->ambiguous))) {
		route = route_of_path(ex->site, target_plain(t, reading, &scratch));
		arena_clear(&scratch);
	}
	return route == plain;
}

static bool refuse(struct exchange *ex, const char *why)
{
	exchange_answer(ex, 400, why);
	return false;
}

static bool choose_by_path(struct exchange *ex, const struct target *t)
{
	if (t->ambiguous && t->path.n > AMBIGUOUS_MOST)
		return refuse(ex, "The path of this request can be read in several ways, and is "
		                  "too long to look at all of them.");
	ex->route = route_of_path(ex->site, target_plain(t, 0, ex->arena));
	if (!is_same_in_every_reading(ex, t, ex->route))
		return refuse(ex, "The path of this request can be read in several ways, and they "
		                  "lead to different rules.");
	return true;
}

/* An application without rules for paths gets them as they came. */
static bool goes_by_path(const struct site *site)
{
	return site->route_count > 0 || site->own->kind == SITE_FILES ||
	       site->own->kind == SITE_REDIRECT;
}

bool route_choose(struct exchange *ex)
{
	struct target t;
	struct refusal why;
	ex->route = ex->site->own;
	if (!ex->route || !goes_by_path(ex->site))
		return true;
	if (!target_read(ex->request.path, ex->arena, &t, &why))
		return refuse(ex, why.why);
	ex->request.path =
	        t.query.n ? arena_printf(ex->arena, "%.*s%.*s", STR_ARG(t.path), STR_ARG(t.query))
	                  : t.path;
	return ex->site->route_count == 0 || choose_by_path(ex, &t);
}

/* --- who may come */

enum access { ACCESS_ALLOWED, ACCESS_DENIED, ACCESS_UNNAMED };

static enum access access_of(const struct route *r, const struct sockaddr_storage *client)
{
	for (size_t i = 0; i < r->access_count; i++)
		if (address_in_cidr(client, r->access[i].cidr))
			return r->access[i].allow ? ACCESS_ALLOWED : ACCESS_DENIED;
	return ACCESS_UNNAMED;
}

static void answer_maintenance(struct exchange *ex)
{
	struct str notice = ex->route->notice;
	headers_add(&ex->also, ex->arena, STR("retry-after"), STR("120"));
	exchange_answer(ex, 503,
	        notice.n ? notice.p
	                 : "This site is being worked on and will be back soon: try again in a "
	                   "few minutes.");
}

bool rules_admit(struct exchange *ex)
{
	const struct route *r = ex->route;
	enum access access = access_of(r, &ex->client);
	if (access == ACCESS_DENIED || (access == ACCESS_UNNAMED && r->allows && !r->maintenance)) {
		exchange_answer(ex, 403, "Requests from your address are not allowed here.");
		return false;
	}
	if (r->maintenance && access != ACCESS_ALLOWED) {
		answer_maintenance(ex);
		return false;
	}
	return true;
}

/* --- headers */

void rules_change(const struct header_rules *rules, struct arena *a, struct headers *h)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct header_rule *r = &rules->at[i];
		if (r->change != HEADER_ADD)
			headers_remove_folded(h, r->name);
		if (r->change != HEADER_REMOVE)
			headers_add(h, a, r->name, r->value);
	}
}

/* Some applications take what stands behind the content for headers like any other. */
void rules_trailers(const struct route *r, struct headers *trailers)
{
	for (size_t i = 0; i < r->copy_count; i++)
		headers_remove_folded(trailers, r->copies[i]);
	for (size_t i = 0; i < r->request.count; i++)
		headers_remove_folded(trailers, r->request.at[i].name);
}

/* --- answers of the file's own */

static bool is_head(const struct exchange *ex)
{
	return str_eq(ex->request.method, STR("HEAD"));
}

static void respond(struct exchange *ex)
{
	const struct route *r = ex->route->action;
	bool bare = r->status == 204 || r->status == 304;
	struct response head = { .version = HTTP_1_1, .status = r->status };
	head.head_only = bare || is_head(ex);
	head.body = r->text.n && !bare ? BODY_LENGTH : BODY_NONE;
	head.length = bare ? 0 : r->text.n;
	if (head.body == BODY_LENGTH)
		headers_add(&head.headers, ex->arena, STR("content-type"),
		        STR("text/plain; charset=utf-8"));
	exchange_respond(ex, &head);
	if (head.body == BODY_LENGTH && !head.head_only)
		(void)exchange_body(ex, r->text);
	exchange_end(ex);
}

struct str route_rest(const struct route *r, struct str path)
{
	struct str rest = str_from(path, r->path.n);
	while (str_starts(rest, STR("/")))
		rest = str_from(rest, 1);
	return rest;
}

/* In normal form the route's own path may be longer than decoded. */
static struct str rest_in_normal_form(const struct route *r, struct str path)
{
	size_t segments = 0, i = 0;
	for (size_t k = 0; k < r->path.n; k++)
		segments += r->path.p[k] == '/';
	for (; i < path.n && (segments > 0 || path.p[i] != '/'); i++)
		if (path.p[i] == '/')
			segments--;
	while (i < path.n && path.p[i] == '/')
		i++;
	return str_from(path, i);
}

/* What `$word` at the beginning of text stands for; p NULL if it is none. */
static struct str placeholder(const struct exchange *ex, struct str text, size_t *ret_length)
{
	struct str target = ex->request.path, path = str_head(target, str_find(target, '?'));
	if (!str_starts(path, STR("/"))) /* OPTIONS *: it would become a part of the host */
		path = STR("/");
	bool six = str_has(ex->request.host, ':');
	const struct {
		struct str name, value;
	} all[] = {
		{ STR("$path"), path },
		{ STR("$rest"), rest_in_normal_form(ex->route->action, path) },
		{ STR("$query"), str_from(target, path.n) },
		{ STR("$host"), six ? arena_printf(ex->arena, "[%.*s]", STR_ARG(ex->request.host))
		                    : ex->request.host },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		*ret_length = all[i].name.n;
		if (str_starts(text, all[i].name))
			return all[i].value.p ? all[i].value : STR("");
	}
	return STR_NONE;
}

static struct str location(const struct exchange *ex)
{
	BUF_AUTO out = BUF_INIT(64 << 10);
	struct str text = ex->route->action->text;
	while (text.n) {
		size_t plain = str_find(text, '$'), length = 1;
		buf_add(&out, str_head(text, plain));
		text = str_from(text, plain);
		struct str value = text.n ? placeholder(ex, text, &length) : STR_NONE;
		buf_add(&out, value.p ? value : str_head(text, length = 1));
		text = str_from(text, length);
	}
	return arena_str(ex->arena, buf_str(&out));
}

static void redirect(struct exchange *ex)
{
	struct response head = { .version = HTTP_1_1, .status = ex->route->action->status };
	head.head_only = is_head(ex);
	headers_add(&head.headers, ex->arena, STR("location"), location(ex));
	exchange_respond(ex, &head);
	exchange_end(ex);
}

const struct handler redirect_handler = { .start = redirect };
const struct handler respond_handler = { .start = respond };
