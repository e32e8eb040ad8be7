/* A site's routes as rows for serve, each with all that holds for it. */
#include "control/control.h"
#include "server/rules.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define ADD(r, name, ...)                                                                          \
	rows_add((r), &(const struct msg){ .type = MSG_##name, .is.name = { ._ = 0, __VA_ARGS__ } })

static struct str keep(struct rows *r, struct str text)
{
	return arena_str(&r->arena, text);
}

bool routes_needed(const struct config_site *s)
{
	const struct config_rules *r = &s->rules;
	return s->route_count || r->action || r->access_count || r->header_count ||
	       r->maintenance || r->gzip || r->user_count || r->forward;
}

static void add_access(struct rows *rows, int64_t route, const struct config_rules *r)
{
	for (size_t i = 0; i < r->access_count; i++)
		ADD(rows, route_access, .route = route, .cidr = keep(rows, r->access[i].cidr),
		        .allow = r->access[i].allow);
}

/* The order of lines does not matter: what is removed goes first, what is added last. */
static void add_headers(struct rows *rows, int64_t route, const struct config_rules *r)
{
	static const struct {
		enum config_header_change in;
		enum header_change out;
	} order[] = { { CONFIG_HEADER_REMOVE, HEADER_REMOVE }, { CONFIG_HEADER_SET, HEADER_SET },
		{ CONFIG_HEADER_ADD, HEADER_ADD } };
	for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
		for (size_t i = 0; i < r->header_count; i++) {
			const struct config_header *h = &r->headers[i];
			if (h->change == order[k].in)
				ADD(rows, route_header, .route = route, .request = h->request,
				        .change = order[k].out, .name = keep(rows, h->name),
				        .value = keep(rows, h->value));
		}
	}
}

/* Lists with the same people have the same one, which says nothing of them. */
static struct str fingerprint(struct rows *rows, const struct config_rules *r)
{
	BUF_AUTO text = BUF_SECRET_INIT(1 << 20);
	buf_add_char(&text, '1');
	for (size_t i = 0; i < r->user_count; i++)
		buf_printf(
		        &text, "%.*s %.*s\n", STR_ARG(r->users[i].name), STR_ARG(r->users[i].hash));
	uint64_t high = hash_keyed(buf_str(&text));
	text.p[0] = '2';
	return arena_printf(&rows->arena, "%016llx%016llx", (unsigned long long)high,
	        (unsigned long long)hash_keyed(buf_str(&text)));
}

/* Who may come in, by what serve knows them by; "": everybody. */
static struct str add_users(struct rows *rows, const struct config_rules *r)
{
	if (!r->user_count)
		return STR("");
	struct rows_users *u = arena_new(&rows->arena, struct rows_users);
	u->fingerprint = fingerprint(rows, r);
	u->at = arena_array(&rows->arena, struct rows_user, r->user_count);
	for (; u->count < r->user_count; u->count++)
		u->at[u->count] = (struct rows_user){ keep(rows, r->users[u->count].name),
			keep(rows, r->users[u->count].hash) };
	u->next = rows->users;
	rows->users = u;
	return u->fingerprint;
}

static void add_copies(struct rows *rows, int64_t route, const struct config_rules *r)
{
	for (size_t i = 0; i < r->copy_count; i++)
		ADD(rows, route_copy, .route = route, .name = keep(rows, r->copies[i]));
}

static int open_root(struct control *c, const struct config_rules *r)
{
	if (r->action != CONFIG_ROOT)
		return -1;
	char *path = str_dup(r->text);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		log_error(&c->log,
		        "The directory %s of `root` cannot be opened: %s. Its files are answered "
		        "with 503 until `everseal reload` finds it.",
		        path, strerror(errno));
	free(path);
	return fd;
}

static enum site_kind kind_of(const struct config_rules *r, bool has_application)
{
	switch (r->action) {
	case CONFIG_REDIRECT:
		return SITE_REDIRECT;
	case CONFIG_RESPOND:
		return SITE_RESPOND;
	case CONFIG_ROOT:
		return SITE_FILES;
	case CONFIG_PROXY:
	case CONFIG_NO_ACTION:
		break;
	}
	return has_application ? SITE_PROXY : SITE_NONE;
}

void routes_add_own(struct control *c, struct rows *rows, const struct route_ids *ids,
        const struct config_site *s)
{
	const struct config_rules *r = &s->rules;
	ADD(rows, route, .id = ids->route, .site = ids->site, .beneath = true,
	        .kind = kind_of(r, s->upstream_count > 0), .status = r->status,
	        .text = keep(rows, r->text), .users = add_users(rows, r), .forward = ids->forward,
	        .forward_path = keep(rows, r->forward_path), .gzip = r->gzip,
	        .maintenance = r->maintenance, .notice = keep(rows, r->notice),
	        .root = open_root(c, r));
	add_access(rows, ids->route, r);
	add_headers(rows, ids->route, r);
	add_copies(rows, ids->route, r);
}

void routes_add(struct control *c, struct rows *rows, const struct route_ids *ids,
        const struct config_site *s, const struct config_route *route)
{
	const struct config_rules *own = &route->rules, *outer = &s->rules;
	const struct config_rules *asked = own->forward_set ? own : outer;
	const struct config_rules *maintained = own->maintenance_set ? own : outer;
	ADD(rows, route, .id = ids->route, .site = ids->site, .path = keep(rows, route->path),
	        .beneath = route->beneath, .inherits = own->action == CONFIG_NO_ACTION,
	        .kind = kind_of(own, ids->upstreams != 0), .upstreams = ids->upstreams,
	        .status = own->status, .text = keep(rows, own->text),
	        .users = add_users(rows, own->auth_set ? own : outer), .forward = ids->forward,
	        .forward_path = keep(rows, asked->forward_path),
	        .gzip = own->gzip_set ? own->gzip : outer->gzip,
	        .maintenance = maintained->maintenance, .notice = keep(rows, maintained->notice),
	        .root = open_root(c, own));
	add_access(rows, ids->route, own->access_count ? own : outer);
	add_headers(rows, ids->route, outer);
	add_headers(rows, ids->route, own);
	add_copies(rows, ids->route, asked);
}

void routes_close_roots(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->at[i].type == MSG_route && rows->at[i].is.route.root > 0)
			(void)close(rows->at[i].is.route.root);
}
