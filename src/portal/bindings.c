/* /api/bindings: where Everseal listens, what it could be bound to, and who else holds a port.
 * /api/lookup: what one sees of a name at once. */
#include "base/ip.h"
#include "base/url.h"
#include "certs/name.h"
#include "net/address.h"
#include "portal/pace.h"
#include "portal/sites.h"
#include <ifaddrs.h>

enum { LISTENERS_MOST = 256 };

static const struct config *config(void)
{
	return portal_host->ops->config(portal_host);
}

/* ---- listeners ---- */

static const struct address *file_address(const struct portal_listener *l)
{
	const struct config *c = config();
	const struct address *all = l->tls ? c->https : c->http;
	size_t count = l->tls ? c->https_count : c->http_count;
	for (size_t i = 0; i < count; i++)
		if (all[i].port == l->address.port && str_eq(all[i].host, l->address.host))
			return &all[i];
	return NULL;
}

static void write_source(struct json_writer *w, const struct address *in_file)
{
	if (!in_file) {
		json_write_c(w, "source", "store");
		return;
	}
	if (!in_file->at.line) {
		json_write_null(w, "source");
		return;
	}
	json_write_object(w, "source");
	json_write_text(w, "file", config()->file);
	json_write_int(w, "line", in_file->at.line);
	json_write_end(w);
}

struct counting {
	struct site_each each;
	const struct address *address; /* NULL: sites that ask for none of their own */
	size_t count;
};

static void count_site(struct site_each *each, struct site_entry *e)
{
	struct counting *c = OWNER(each, struct counting, each);
	const struct address *own = &e->site.listen;
	c->count += c->address
	                    ? own->port == c->address->port && str_eq(own->host, c->address->host)
	                    : !own->host.n;
}

static void write_listener(struct json_writer *w, const struct portal_listener *l)
{
	const struct address *in_file = file_address(l);
	struct counting counting = { .each.entry = count_site,
		.address = in_file ? NULL : &l->address };
	sites_each(&counting.each);
	json_write_object(w, NULL);
	json_write_text(w, "address", l->address.host);
	json_write_int(w, "port", l->address.port);
	json_write_c(w, "scheme", l->tls ? "https" : "http");
	json_write_c(w, "state", l->state);
	json_write_c(w, "holder", l->holder);
	json_write_c(w, "error", l->error);
	write_source(w, in_file);
	json_write_int(w, "sites", (int64_t)counting.count);
	json_write_end(w);
}

/* ---- this machine's addresses ---- */

static bool is_told(const struct json_writer *w, size_t from, const char *text)
{
	BUF_AUTO quoted = BUF(128);
	buf_printf(&quoted, "\"%s\"", text);
	return strstr(buf_c(w->out) + from, buf_c(&quoted));
}

/* Link-local ones need a zone, which no listener has. */
static void write_own_address(struct json_writer *w, size_t from, const struct sockaddr *a)
{
	struct sockaddr_storage at = { .ss_family = a->sa_family };
	char text[ADDRESS_TEXT];
	if (a->sa_family != AF_INET && a->sa_family != AF_INET6)
		return;
	memcpy(&at, a, address_size(&at));
	if (!address_is_link_local(&at) && !is_told(w, from, address_text(&at, text)))
		json_write_c(w, NULL, text);
}

static void write_addresses(struct json_writer *w)
{
	struct ifaddrs *all = NULL;
	size_t from = w->out->n;
	json_write_array(w, "addresses");
	json_write_c(w, NULL, "0.0.0.0");
	json_write_c(w, NULL, "::");
	if (getifaddrs(&all) != 0)
		all = NULL;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (i->ifa_addr)
			write_own_address(w, from, i->ifa_addr);
	if (all)
		freeifaddrs(all);
	json_write_end(w);
}

static void get_bindings(struct call *c)
{
	struct json_writer w;
	struct portal_listener *all =
	        arena_array(&c->arena, struct portal_listener, LISTENERS_MOST);
	size_t count = portal_host->ops->listeners(portal_host, all, LISTENERS_MOST);
	call_object(c, &w);
	json_write_array(&w, "listeners");
	for (size_t i = 0; i < count; i++)
		write_listener(&w, &all[i]);
	json_write_end(&w);
	write_addresses(&w);
	portal_host->ops->page(portal_host, &w, "page");
	json_write_end(&w);
	call_answer(c, 200);
}

/* ---- who holds a port ---- */

struct asking {
	struct call_part part;
	struct portal_holder question;
	struct call *call;
};

static void let_go(struct call_part *p)
{
	portal_host->ops->holder_abort(portal_host, &OWNER(p, struct asking, part)->question);
}

static void write_holder(struct call *c, struct str holder, bool ours)
{
	struct json_writer w;
	call_object(c, &w);
	if (holder.n)
		json_write_text(&w, "holder", holder);
	else
		json_write_null(&w, "holder");
	json_write_bool(&w, "ours", ours);
	json_write_end(&w);
	call_answer(c, 200);
}

static void heard_holder(struct portal_holder *q, struct str holder)
{
	write_holder(OWNER(q, struct asking, question)->call, holder, /* ours= */ false);
}

static bool overlaps(const struct address *a, const struct address *b)
{
	bool any = str_eq_c(a->host, "0.0.0.0") || str_eq_c(a->host, "::") ||
	           str_eq_c(b->host, "0.0.0.0") || str_eq_c(b->host, "::");
	return a->port == b->port && str_has(a->host, ':') == str_has(b->host, ':') &&
	       (any || str_eq(a->host, b->host));
}

static bool is_ours(struct call *c, const struct address *at)
{
	struct portal_listener *all =
	        arena_array(&c->arena, struct portal_listener, LISTENERS_MOST);
	size_t count = portal_host->ops->listeners(portal_host, all, LISTENERS_MOST);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(all[i].state, "listening") && overlaps(&all[i].address, at))
			return true;
	return false;
}

static bool read_address(struct call *c, struct address *ret, struct err *err)
{
	struct sockaddr_storage parsed;
	uint64_t port = 443;
	struct str host = call_query(c, "address"), number = call_query(c, "port");
	if (!host.n)
		host = STR("0.0.0.0");
	if (number.n && (!str_to_u64(number, &port) || port < 1 || port > UINT16_MAX))
		return err_set(err, ERR_INPUT, "A port is a number from 1 to 65535.");
	if (!address_parse(host, (uint16_t)port, &parsed))
		return err_set(err, ERR_INPUT,
		        "%.*s is not an IP address. Give one of this machine's, or 0.0.0.0 "
		        "for all.",
		        STR_ARG(str_head(host, 80)));
	*ret = (struct address){ .host = host, .port = (uint16_t)port };
	return true;
}

static void get_holder(struct call *c)
{
	struct err err = ERR_INIT;
	struct asking *a = arena_new(&c->arena, struct asking);
	a->call = c;
	if (!read_address(c, &a->question.address, &err)) {
		call_fail(c, &err);
		return;
	}
	if (is_ours(c, &a->question.address)) {
		write_holder(c, STR_NONE, /* ours= */ true);
		return;
	}
	a->question.done = heard_holder;
	call_keep(c, &a->part, let_go);
	if (portal_host->ops->holder(portal_host, &a->question))
		return;
	err_set(&err, ERR_BUSY,
	        "The supervisor takes no question just now: try again in a moment.");
	call_fail(c, &err);
}

/* ---- a name at once ---- */

static struct pace looks = { .most = 10 };

void lookups_close(void)
{
	pace_clear(&looks);
}

struct looking {
	struct call_part part;
	struct fetch_resolve a, aaaa;
	struct call *call;
	struct name name;
	struct buf addresses; /* a line each */
	unsigned waiting;
	bool nothing; /* both said that there is none */
	struct err err;
};

static void stop_looking(struct call_part *p)
{
	struct looking *l = OWNER(p, struct looking, part);
	fetch_resolve_abort(&l->a);
	fetch_resolve_abort(&l->aaaa);
	buf_done(&l->addresses);
}

static void write_site_of(struct json_writer *w, struct str name)
{
	const struct site_entry *e = site_find(name), *any = e ? e : site_find(STR("*"));
	if (e)
		json_write_text(w, "site", site_name_of(&e->site));
	else
		json_write_null(w, "site");
	json_write_array(w, "upstreams");
	for (size_t i = 0; any && i < any->site.settings.upstream_count; i++)
		json_write_text(w, NULL, any->site.settings.upstreams[i].shown);
	json_write_end(w);
}

static void write_lookup(struct call *c, const struct looking *l, const char *message)
{
	struct json_writer w;
	struct str rest = buf_str(&l->addresses), line;
	call_object(c, &w);
	json_write_text(&w, "name", l->name.ascii);
	json_write_text(&w, "unicode", l->name.unicode);
	json_write_null(&w, "offered");
	json_write_c(&w, "message", message);
	json_write_array(&w, "addresses");
	while (str_split(&rest, '\n', &line))
		if (line.n)
			json_write_text(&w, NULL, line);
	json_write_end(&w);
	write_site_of(&w, l->name.ascii);
	json_write_c(&w, "error", l->err.code ? l->err.text : NULL);
	json_write_end(&w);
	call_answer(c, 200);
}

static void heard(struct looking *l, const struct fetch_resolved *r, const struct err *err)
{
	if (err && !l->err.code)
		l->err = *err;
	if (r && str_eq_c(r->outcome, "found")) {
		buf_add(&l->addresses, r->records);
		if (!str_ends(r->records, STR("\n")))
			buf_add_char(&l->addresses, '\n');
	} else if (r && !str_eq_c(r->outcome, "none") && !str_eq_c(r->outcome, "no-name") &&
	           !l->err.code) {
		err_set(&l->err, ERR_UNREACHABLE, "DNS does not answer for it (%.*s by %.*s).",
		        STR_ARG(r->outcome), STR_ARG(r->server));
	}
	if (--l->waiting)
		return;
	bool empty = !l->addresses.n && !l->err.code;
	write_lookup(l->call, l,
	        empty ? "DNS has no address for it, seen from here. Registering fails until there "
	                "is "
	                "one."
	              : NULL);
}

static void heard_a(struct fetch_resolve *f, const struct fetch_resolved *r, const struct err *err)
{
	heard(OWNER(f, struct looking, a), r, err);
}

static void heard_aaaa(
        struct fetch_resolve *f, const struct fetch_resolved *r, const struct err *err)
{
	heard(OWNER(f, struct looking, aaaa), r, err);
}

static struct str resolvers(struct arena *a)
{
	BUF_AUTO text = BUF(4096);
	for (size_t i = 0; i < config()->resolver_count; i++)
		buf_printf(&text, "%.*s\n", STR_ARG(config()->resolvers[i]));
	return arena_str(a, buf_str(&text));
}

static void resolve(struct looking *l, struct fetch_resolve *f, const char *type)
{
	f->name = l->name.ascii;
	f->type = type;
	f->servers = resolvers(&l->call->arena);
	f->timeout = 3 * SECOND;
	fetch_resolve(portal.fetch, f);
}

static void answer_unreadable(struct call *c, struct str typed, const struct err *err)
{
	struct json_writer w;
	struct str offered = STR_NONE;
	bool offers = name_offered(&c->arena, typed, &offered);
	call_object(c, &w);
	json_write_text(&w, "name", typed);
	json_write_null(&w, "unicode");
	if (offers)
		json_write_text(&w, "offered", offered);
	else
		json_write_null(&w, "offered");
	json_write_c(&w, "message", err->text);
	json_write_array(&w, "addresses");
	json_write_end(&w);
	json_write_null(&w, "site");
	json_write_array(&w, "upstreams");
	json_write_end(&w);
	json_write_null(&w, "error");
	json_write_end(&w);
	call_answer(c, 200);
}

/* It makes DNS servers elsewhere work. */
static bool may_look(struct call *c)
{
	struct err err = ERR_INIT;
	int64_t wait = pace_take(&looks, who_counts(&c->who), loop_mono(portal.loop));
	if (!wait)
		return true;
	err_set(&err, ERR_LIMIT, "Ten look-ups a minute are as many as one may ask for: wait %d s.",
	        (int)wait);
	call_fail_wait(c, &err, wait);
	return false;
}

static void get_lookup(struct call *c)
{
	struct err err = ERR_INIT;
	struct str typed = call_query(c, "name");
	struct looking *l = arena_new(&c->arena, struct looking);
	if (!name_read(&c->arena, typed, /* public_only= */ false, &l->name, &err)) {
		answer_unreadable(c, typed, &err);
		return;
	}
	const bool address = ip_is(l->name.ascii); /* DNS has nothing to say of it */
	if (!address && !may_look(c))
		return;
	l->call = c;
	l->addresses = BUF(64 << 10);
	l->waiting = 2;
	l->a.done = heard_a;
	l->aaaa.done = heard_aaaa;
	call_keep(c, &l->part, stop_looking);
	if (address) {
		buf_add(&l->addresses, l->name.ascii);
		write_lookup(c, l, NULL);
		return;
	}
	resolve(l, &l->a, "A");
	resolve(l, &l->aaaa, "AAAA");
}

const struct route binding_routes[] = {
	{ "GET", "/api/bindings", SCOPE_READ, get_bindings },
	{ "GET", "/api/bindings/holder", SCOPE_READ, get_holder },
	{ "GET", "/api/lookup", SCOPE_OPERATE, get_lookup },
	{ 0 },
};
