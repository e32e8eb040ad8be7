/* Routes out of rows: checked, put in the order in which they are tried, given to their sites. */
#include "server/rules.h"

#include "net/address.h"

#include <unistd.h>

enum { PARTS_AT_FIRST = 4 };

/* An array in an arena that grows by one. */
#define PUSH(a, array, count, ...)                                                                 \
	do {                                                                                       \
		if ((count) == 0 ||                                                                \
		        ((count) >= PARTS_AT_FIRST && ((count) & ((count) - 1)) == 0)) {           \
			__auto_type more_ = arena_array((a), __typeof__(*(array)),                 \
			        (count) ? 2 * (count) : PARTS_AT_FIRST);                           \
			if (count)                                                                 \
				memcpy(more_, (array), (count) * sizeof *(array));                 \
			(array) = more_;                                                           \
		}                                                                                  \
		(array)[(count)++] = __VA_ARGS__;                                                  \
	} while (0)

static bool fits(const struct msg_route *m, struct err *err)
{
	bool path = m->path.n == 0 || (str_starts(m->path, STR("/")) && m->path.n > 1 &&
	                                      !str_ends(m->path, STR("/")));
	if (!path || (m->path.n == 0 && !m->beneath))
		return err_set(err, ERR_INPUT, "%.*s is no path of a route.", STR_ARG(m->path));
	if (m->kind < 0 || m->kind >= SITE_KIND_COUNT)
		return err_set(
		        err, ERR_INPUT, "The route %.*s is of no known kind.", STR_ARG(m->path));
	bool answers = m->kind == SITE_RESPOND || m->kind == SITE_REDIRECT;
	if (answers && (m->status < 200 || m->status > 599))
		return err_set(err, ERR_INPUT, "The route %.*s answers with %lld.",
		        STR_ARG(m->path), (long long)m->status);
	return true;
}

bool route_add(struct route_rows *rows, struct arena *a, const struct msg_route *m, struct err *err)
{
	if (!fits(m, err)) {
		if (m->root >= 0)
			(void)close(m->root);
		return false;
	}
	struct route *r = arena_new(a, struct route);
	*r = (struct route){
		.id = m->id,
		.site_id = m->site,
		.upstreams_id = m->upstreams,
		.path = arena_str(a, m->path),
		.beneath = m->beneath,
		.inherits = m->inherits,
		.kind = (enum site_kind)m->kind,
		.status = (unsigned)m->status,
		.text = arena_str(a, m->text),
		.root = m->root,
		.users = arena_str(a, m->users),
		.forward_id = m->forward,
		.forward_path = arena_str(a, m->forward_path),
		.gzip = m->gzip,
		.maintenance = m->maintenance,
		.notice = arena_str(a, m->notice),
	};
	rows->at = mem_grow(rows->at, sizeof *rows->at, rows->count + 1);
	rows->at[rows->count++] = r;
	return true;
}

static struct route *last(const struct route_rows *rows, int64_t id, struct err *err)
{
	struct route *r = rows->count ? rows->at[rows->count - 1] : NULL;
	if (r && r->id == id)
		return r;
	(void)err_set(err, ERR_PROTOCOL, "A row speaks of route %lld, which is not the last one.",
	        (long long)id);
	return NULL;
}

static unsigned bits_of(struct str cidr)
{
	uint64_t bits = 128;
	size_t slash = str_find(cidr, '/');
	bool four = !str_has(cidr, ':');
	if (slash < cidr.n && str_to_u64(str_from(cidr, slash + 1), &bits) && four)
		bits += 96;
	return (unsigned)bits;
}

/* The narrowest first, so that the first that holds decides. */
static void sort_in(struct access_rule *at, size_t count)
{
	struct access_rule new = at[count - 1];
	size_t i = count - 1;
	for (; i > 0 && (at[i - 1].bits < new.bits ||
	                        (at[i - 1].bits == new.bits &&at[i - 1].allow && !new.allow));
	        i--)
		at[i] = at[i - 1];
	at[i] = new;
}

bool route_add_access(
        struct route_rows *rows, struct arena *a, const struct msg_route_access *m, struct err *err)
{
	struct route *r = last(rows, m->route, err);
	if (!r)
		return false;
	if (!cidr_valid(m->cidr))
		return err_set(err, ERR_INPUT, "%.*s is no range of addresses.", STR_ARG(m->cidr));
	struct access_rule rule = { arena_str(a, m->cidr), bits_of(m->cidr), m->allow };
	PUSH(a, r->access, r->access_count, rule);
	sort_in(r->access, r->access_count);
	r->allows = r->allows || m->allow;
	return true;
}

bool route_add_header(
        struct route_rows *rows, struct arena *a, const struct msg_route_header *m, struct err *err)
{
	struct route *r = last(rows, m->route, err);
	if (!r)
		return false;
	if (m->change < 0 || m->change >= HEADER_CHANGE_COUNT || m->name.n == 0)
		return err_set(err, ERR_INPUT, "A header rule for %.*s is of no known kind.",
		        STR_ARG(m->name));
	struct header_rules *rules = m->request ? &r->request : &r->answer;
	struct header_rule rule = { (enum header_change)m->change, arena_str(a, m->name),
		arena_str(a, m->value) };
	PUSH(a, rules->at, rules->count, rule);
	return true;
}

bool route_add_copy(
        struct route_rows *rows, struct arena *a, const struct msg_route_copy *m, struct err *err)
{
	struct route *r = last(rows, m->route, err);
	if (!r)
		return false;
	PUSH(a, r->copies, r->copy_count, arena_str(a, m->name));
	return true;
}

/* The longest path first; of equal ones the one that stands for itself alone. */
static int by_path(const void *x, const void *y)
{
	const struct route *a = *(struct route *const *)x, *b = *(struct route *const *)y;
	if (a->path.n != b->path.n)
		return a->path.n > b->path.n ? -1 : 1;
	int order = str_cmp(a->path, b->path);
	return order ? order : (int)a->beneath - (int)b->beneath;
}

static bool give_to_site(struct route *r, struct arena *a, struct err *err)
{
	struct site *s = r->of;
	if (r->path.n == 0) {
		if (s->own)
			return err_set(err, ERR_CONFLICT, "Two routes are all of the site %.*s.",
			        STR_ARG(s->name));
		s->own = r;
		return true;
	}
	const struct route *before = s->route_count ? s->routes[s->route_count - 1] : NULL;
	if (before && by_path(&before, &r) == 0)
		return err_set(err, ERR_CONFLICT, "Two routes of the site %.*s are %.*s.",
		        STR_ARG(s->name), STR_ARG(r->path));
	PUSH(a, s->routes, s->route_count, r);
	return true;
}

/* Its site in all but the applications. */
static const struct site *site_with(const struct route *r, struct arena *a,
        struct route_places *places, int64_t upstreams, struct err *err)
{
	struct site *to = arena_new(a, struct site);
	*to = *r->of;
	to->upstreams = places->upstreams(places, upstreams);
	if (to->upstreams)
		return to;
	(void)err_set(err, ERR_PROTOCOL, "A route has the applications %lld, which no row made.",
	        (long long)upstreams);
	return NULL;
}

static bool find_applications(
        struct route *r, struct arena *a, struct route_places *places, struct err *err)
{
	r->to = r->upstreams_id ? site_with(r, a, places, r->upstreams_id, err) : r->of;
	if (r->forward_id)
		r->forward = site_with(r, a, places, r->forward_id, err);
	return r->to && (r->forward || !r->forward_id);
}

bool routes_settle(
        struct route_rows *rows, struct arena *a, struct route_places *places, struct err *err)
{
	if (rows->count)
		qsort(rows->at, rows->count, sizeof(struct route *), by_path);
	for (size_t i = 0; i < rows->count; i++) {
		struct route *r = rows->at[i];
		r->of = places->site(places, r->site_id, err);
		if (!r->of || !find_applications(r, a, places, err) || !give_to_site(r, a, err))
			return false;
	}
	for (size_t i = 0; i < rows->count; i++)
		if (!rows->at[i]->of->own || rows->at[i]->of->own->inherits)
			return err_set(err, ERR_PROTOCOL,
			        "The site %.*s has routes and none for the rest.",
			        STR_ARG(rows->at[i]->of->name));
	for (size_t i = 0; i < rows->count; i++)
		rows->at[i]->action = rows->at[i]->inherits ? rows->at[i]->of->own : rows->at[i];
	return true;
}

void routes_close(struct route *const *at, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (at[i]->root >= 0)
			(void)close(at[i]->root);
		at[i]->root = -1;
	}
}
