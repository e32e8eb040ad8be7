#include "issue/dns_look.h"
#include "base/clock.h"

enum { SILENT_MOST = 2 /* rounds */ };
#define PAUSE        (2 * SECOND)
#define ONE_QUESTION (4 * SECOND)

static void ask_round(struct dns_look *l);
static void next_server(struct dns_look *l);

__attribute__((format(printf, 2, 3))) static void say(struct dns_look *l, const char *format, ...)
{
	BUF_AUTO words = BUF(1024);
	va_list list;
	va_start(list, format);
	buf_vprintf(&words, format, list);
	va_end(list);
	l->said(l, buf_str(&words));
}

static void finish(struct dns_look *l)
{
	dns_look_abort(l);
	l->done(l);
}

void dns_look_abort(struct dns_look *l)
{
	if (!l->started)
		return;
	l->started = false;
	fetch_resolve_abort(&l->resolve);
	for (size_t i = 0; i < l->place_count; i++)
		fetch_resolve_abort(&l->places[i].resolve);
	timer_stop(&l->again);
	arena_done(&l->arena);
}

/* ---- rounds ---- */

static void again(struct timer *t)
{
	ask_round(OWNER(t, struct dns_look, again));
}

static bool lines_have(struct str lines, struct str wanted)
{
	struct str line;
	while (str_split(&lines, '\n', &line))
		if (str_eq(line, wanted))
			return true;
	return false;
}

static void leave_out(struct dns_look *l, struct dns_look_place *p)
{
	p->left_out = true;
	say(l, "%.*s (%.*s) does not answer from here and is left out.", STR_ARG(p->server),
	        STR_ARG(p->at));
}

static const struct dns_look_place *first_missing(const struct dns_look *l)
{
	for (size_t i = 0; i < l->place_count; i++)
		if (!l->places[i].has && !l->places[i].left_out)
			return &l->places[i];
	return NULL;
}

static void round_ended(struct dns_look *l)
{
	const struct dns_look_place *p = first_missing(l);
	if (!p) {
		finish(l);
		return;
	}
	if (loop_mono(l->loop) - l->began >= l->wait) {
		say(l,
		        "%.*s (%.*s) has not got the record after %lld s; the authority is asked "
		        "all the same.",
		        STR_ARG(p->server), STR_ARG(p->at), (long long)(l->wait / SECOND));
		finish(l);
		return;
	}
	say(l, "Waiting for %.*s (%.*s): not yet there.", STR_ARG(p->server), STR_ARG(p->at));
	timer_start(&l->again, l->loop, PAUSE, again);
}

static void answered(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct dns_look_place *p = OWNER(r, struct dns_look_place, resolve);
	struct dns_look *l = p->look;
	if (!err && str_eq_c(came->outcome, "found"))
		p->has = lines_have(came->records, l->value);
	else if (!err && (str_eq_c(came->outcome, "none") || str_eq_c(came->outcome, "no-name")))
		p->silent = 0;
	else if (++p->silent >= SILENT_MOST)
		leave_out(l, p);
	if (--l->asking == 0)
		round_ended(l);
}

static void ask_round(struct dns_look *l)
{
	for (size_t i = 0; i < l->place_count; i++)
		l->asking += !l->places[i].has && !l->places[i].left_out;
	for (size_t i = 0; i < l->place_count; i++) {
		struct dns_look_place *p = &l->places[i];
		if (p->has || p->left_out)
			continue;
		p->resolve = (struct fetch_resolve){ .name = l->name,
			.servers = p->at,
			.type = "TXT",
			.authoritative = true,
			.timeout = ONE_QUESTION,
			.done = answered };
		fetch_resolve(l->fetch, &p->resolve);
	}
}

/* ---- who is to be asked ---- */

static void add_place(struct dns_look *l, struct str server, struct str at)
{
	if (l->place_count == DNS_LOOK_PLACES)
		return;
	l->places[l->place_count++] =
	        (struct dns_look_place){ .look = l, .server = server, .at = at };
}

static void begin_rounds(struct dns_look *l)
{
	l->began = loop_mono(l->loop);
	if (l->place_count) {
		ask_round(l);
		return;
	}
	say(l,
	        "The name servers of %.*s are not known here; the authority is asked without "
	        "looking whether they have the record.",
	        STR_ARG(l->zone.n ? l->zone : l->name));
	finish(l);
}

static void ask_resolver(struct dns_look *l, struct str name, const char *type,
        void (*done)(struct fetch_resolve *, const struct fetch_resolved *, const struct err *))
{
	l->resolve = (struct fetch_resolve){
		.name = name, .servers = l->resolvers, .type = type, .done = done
	};
	fetch_resolve(l->fetch, &l->resolve);
}

static void have_addresses(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct dns_look *l = OWNER(r, struct dns_look, resolve);
	struct str lines = err ? STR_NONE : came->records, line;
	while (str_split(&lines, '\n', &line))
		if (line.n)
			add_place(l, l->servers[l->next],
			        arena_printf(&l->arena, l->six ? "[%.*s]:53" : "%.*s:53",
			                STR_ARG(line)));
	l->next += l->six;
	l->six = !l->six;
	next_server(l);
}

static void next_server(struct dns_look *l)
{
	if (l->next == l->server_count)
		begin_rounds(l);
	else
		ask_resolver(l, l->servers[l->next], l->six ? "AAAA" : "A", have_addresses);
}

static void have_servers(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct dns_look *l = OWNER(r, struct dns_look, resolve);
	struct str lines = err ? STR_NONE : came->records, line;
	while (l->server_count < DNS_LOOK_SERVERS && str_split(&lines, '\n', &line))
		if (line.n)
			l->servers[l->server_count++] = arena_str(&l->arena, line);
	next_server(l);
}

static void have_zone(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct dns_look *l = OWNER(r, struct dns_look, resolve);
	if (err || !str_eq_c(came->outcome, "found")) {
		begin_rounds(l);
		return;
	}
	l->zone = arena_str(&l->arena, came->owner);
	ask_resolver(l, l->zone, "NS", have_servers);
}

static void begin(struct timer *t)
{
	struct dns_look *l = OWNER(t, struct dns_look, again);
	struct str lines = l->check, line;
	if (lines.n) {
		while (str_split(&lines, '\n', &line))
			if (line.n)
				add_place(l, STR("the server"), line);
		begin_rounds(l);
	} else if (l->zone.n) {
		ask_resolver(l, l->zone, "NS", have_servers);
	} else {
		ask_resolver(l, l->name, "SOA", have_zone);
	}
}

void dns_look_start(struct dns_look *l)
{
	l->started = true;
	timer_start(&l->again, l->loop, 0, begin);
}
