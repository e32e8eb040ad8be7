/* everseal status, and the table of certificates that `lets-encrypt status` shows, too. */
#include "cli/status.h"

#include "base/clock.h"
#include "cli/client.h"
#include "cli/show.h"

enum { NAMES_SHOWN = 2 };

/* A text, or the member of that name of an object. */
static struct str text_or(struct arena *a, const struct json *o, const char *key, const char *inner)
{
	const struct str text = json_text(o, key);
	const struct str s = text.p ? text : json_text(json_object(o, key), inner);
	return s.n ? show_clean(a, s) : STR_NONE;
}

static struct str yes_no(const struct json *o, const char *key)
{
	bool yes;
	return !json_bool(o, key, &yes) ? STR_NONE : yes ? STR("yes") : STR("no");
}

/* ---- certificates ---- */

/* The words of renew/'s states that say too little by themselves. */
static struct str in_words(struct arena *a, struct str state)
{
	static const struct {
		const char *state, *words;
	} words[] = { { "ok", "valid" }, { "working", "in progress" },
		{ "temporary", "self-signed" }, { "retired", "kept only" } };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (str_eq_c(state, words[i].state))
			return str_c(words[i].words);
	return show_clean(a, state);
}

static struct str because(struct arena *a, const struct json *c)
{
	const struct str reason = text_or(a, c, "reason", "text");
	return reason.n ? arena_printf(a, "renewal: %.*s", STR_ARG(reason)) : STR_NONE;
}

/* "stored": a real handshake saw the certificate that we hold; else what it saw instead. */
static struct str served_as(struct arena *a, const struct json *c, int64_t now)
{
	const struct str served = text_or(a, c, "served", "text");
	const struct str at = show_date(a, json_text(c, "served_at"), now);
	if (!served.n)
		return STR_NONE;
	if (str_eq_c(served, "stored"))
		return arena_printf(
		        a, "served: this certificate, seen by a handshake %.*s", STR_ARG(at));
	return arena_printf(a, "served: %.*s", STR_ARG(served));
}

static struct str seen(struct arena *a, const struct json *c, int64_t now)
{
	const struct str at = json_text(c, "seen_from_outside");
	if (!at.n)
		return STR_NONE;
	const struct str date = show_date(a, at, now);
	return arena_printf(a, "reached from outside: %.*s", STR_ARG(date));
}

/* What its CA suggests, and why if it says so. */
static struct str window(struct arena *a, const struct json *c, int64_t now)
{
	const struct json *w = json_object(c, "window");
	const struct str end = json_text(w, "end");
	const struct str why = show_clean(a, json_text(w, "explanation"));
	if (!end.n)
		return STR_NONE;
	const struct str from = show_date(a, json_text(w, "start"), now);
	const struct str to = show_date(a, end, now);
	return arena_printf(a, "suggested by the CA: %.*s to %.*s%s%.*s", STR_ARG(from),
	        STR_ARG(to), why.n ? "; it says why: " : "", STR_ARG(why));
}

/* Of several: which one has issued it, and which one is asked next. */
static struct str issuers(struct arena *a, const struct json *c)
{
	const struct json *list = json_array(c, "issuers");
	const struct str from = show_clean(a, json_text(c, "issued_from"));
	const struct str next = show_clean(a, json_text(c, "next_issuer"));
	if (json_count(list) < 2)
		return STR_NONE;
	const bool first = str_eq(json_value_text(json_at(list, 0)), next);
	return arena_printf(a, "issuers: %.*s%s%.*s; next asked: %.*s%s",
	        STR_ARG(show_list(a, list, SIZE_MAX)), from.n ? "; it is from " : "", STR_ARG(from),
	        STR_ARG(next), first ? "" : ", since those before it have failed");
}

static struct str rehearsal(const struct json *c)
{
	bool rehearsing = false;
	return json_bool(c, "rehearsing", &rehearsing) && rehearsing
	               ? STR("rehearsal: it is first tried on the CA's staging")
	               : STR_NONE;
}

/* The next one's. */
static struct str made_how(struct arena *a, const struct json *c)
{
	const struct str key = show_clean(a, json_text(c, "wanted_key_type"));
	const struct str profile = show_clean(a, json_text(c, "profile"));
	if (!key.n)
		return STR_NONE;
	return arena_printf(a, "key type: %.*s%s%.*s", STR_ARG(key), profile.n ? ", profile: " : "",
	        STR_ARG(profile));
}

static struct str came_how(const struct json *c)
{
	bool on_demand = false;
	return json_bool(c, "on_demand", &on_demand) && on_demand
	               ? STR("came on demand: a visitor asked for the name")
	               : STR_NONE;
}

/* Clients that cannot do with the one get the other. */
static struct str beside(struct arena *a, const struct json *c)
{
	const struct json *other = json_object(c, "beside");
	const struct str key = show_clean(a, json_text(other, "key_type"));
	const struct str id = show_clean(a, json_text(other, "id"));
	return id.n ? arena_printf(a, "beside it: %.*s, key type: %.*s", STR_ARG(id), STR_ARG(key))
	            : STR_NONE;
}

static struct str revoked(struct arena *a, const struct json *c, int64_t now)
{
	const struct str at = json_text(c, "revoked");
	if (!at.n)
		return STR_NONE;
	const struct str date = show_date(a, at, now);
	return arena_printf(a, "revoked: %.*s, clients may refuse it", STR_ARG(date));
}

static struct str last_error(struct arena *a, const struct json *c)
{
	const struct str error = text_or(a, c, "last_error", "message");
	const struct str remedy = json_text(json_object(c, "last_error"), "remedy");
	return error.n ? arena_printf(a, "last error: %.*s%s%.*s", STR_ARG(error),
	                         remedy.n ? " " : "", STR_ARG(remedy))
	               : STR_NONE;
}

static void add_certificate(struct table *t, const struct json *c, size_t names, int64_t now)
{
	struct arena *a = t->arena;
	struct table_row *row = table_add(t);
	row->cells[0] = show_names(a, json_array(c, "names"), names);
	row->cells[1] = text_or(a, c, "issuer", "name");
	row->cells[2] = in_words(a, json_text(c, "state"));
	row->cells[3] = show_date(a, json_text(c, "not_after"), now);
	row->cells[4] = show_date(a, json_text(c, "next_renewal"), now);
	table_note(t, row, revoked(a, c, now));
	table_note(t, row, came_how(c));
	table_note(t, row, because(a, c));
	table_note(t, row, window(a, c, now));
	table_note(t, row, rehearsal(c));
	table_note(t, row, issuers(a, c));
	table_note(t, row, made_how(a, c));
	table_note(t, row, beside(a, c));
	table_note(t, row, served_as(a, c, now));
	table_note(t, row, seen(a, c, now));
	table_note(t, row, last_error(a, c));
}

static void begin_certificates(struct table *t, struct arena *a)
{
	*t = (struct table){ .arena = a,
		.heads = { "NAMES", "ISSUER", "STATE", "VALID UNTIL", "NEXT RENEWAL" } };
}

void status_certificate(const struct json *certificate, int64_t now, struct buf *out)
{
	struct arena a = ARENA_INIT;
	struct table t;
	begin_certificates(&t, &a);
	add_certificate(&t, certificate, SIZE_MAX, now);
	table_print(&t, out);
	arena_done(&a);
}

void status_certificates(const struct json *status, int64_t now, struct buf *out)
{
	const struct json *list = json_array(status, "certificates");
	struct arena a = ARENA_INIT;
	struct table t;
	begin_certificates(&t, &a);
	for (size_t i = 0; i < json_count(list); i++)
		add_certificate(&t, json_at(list, i), NAMES_SHOWN, now);
	table_print(&t, out);
	arena_done(&a);
}

/* ---- listeners, sites, fences ---- */

static struct table_row *add_listener(struct table *t, const struct json *l)
{
	struct arena *a = t->arena;
	struct table_row *row = table_add(t);
	const struct str address = show_clean(a, json_text(l, "address"));
	const struct str error = json_text(l, "error"), holder = json_text(l, "holder");
	const bool ipv6 = str_has(address, ':');
	int64_t port = 0;
	json_int(l, "port", &port);
	row->cells[0] = arena_printf(a, "%s%.*s%s:%lld", ipv6 ? "[" : "", STR_ARG(address),
	        ipv6 ? "]" : "", (long long)port);
	row->cells[1] = show_clean(a, json_text(l, "scheme"));
	row->cells[2] = show_clean(a, json_text(l, "state"));
	if (error.n)
		table_note(t, row, show_clean(a, error));
	if (holder.n)
		table_note(t, row, arena_printf(a, "held by %.*s", STR_ARG(show_clean(a, holder))));
	return row;
}

static void show_listeners(const struct json *status, struct arena *a, struct buf *out)
{
	const struct json *list = json_array(status, "listeners");
	struct table t = { .arena = a, .heads = { "ADDRESS", "PROTOCOL", "STATE" } };
	for (size_t i = 0; i < json_count(list); i++)
		(void)add_listener(&t, json_at(list, i));
	const struct json *page = json_object(status, "page");
	if (page)
		add_listener(&t, page)->cells[1] = STR("page");
	buf_add_c(out, "\nListeners\n");
	table_print(&t, out);
}

/* Seconds; null where nothing is set. */
static struct str hsts(struct arena *a, const struct json *site)
{
	const struct json *o = json_object(site, "hsts");
	int64_t age;
	if (!json_int(site, "hsts", &age) && !json_int(o, "max_age", &age))
		return text_or(a, site, "hsts", "state");
	return age <= 0 ? STR("off") : show_span(a, age * SECOND);
}

static struct str source(struct arena *a, const struct json *site)
{
	const struct json *o = json_object(site, "source");
	struct str file = json_text(o, "file");
	int64_t line;
	if (!o)
		return STR("page or command");
	for (size_t slash; (slash = str_find(file, '/')) < file.n;)
		file = str_from(file, slash + 1);
	return json_int(o, "line", &line) ? arena_printf(a, "%.*s, line %lld",
	                                            STR_ARG(show_clean(a, file)), (long long)line)
	                                  : show_clean(a, file);
}

static void show_sites(const struct json *status, struct arena *a, struct buf *out)
{
	const struct json *list = json_array(status, "sites");
	struct table t = { .arena = a,
		.heads = { "NAMES", "APPLICATION", "FORCE SSL", "HSTS", "SET IN" } };
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *site = json_at(list, i);
		struct table_row *row = table_add(&t);
		row->cells[0] = show_names(a, json_array(site, "names"), NAMES_SHOWN);
		row->cells[1] = show_list(a, json_array(site, "upstreams"), NAMES_SHOWN);
		row->cells[2] = yes_no(site, "force_ssl");
		row->cells[3] = hsts(a, site);
		row->cells[4] = source(a, site);
	}
	buf_add_c(out, "\nSites\n");
	table_print(&t, out);
}

static const char *window_of(const struct json *limit)
{
	int64_t seconds = 0;
	json_int(limit, "seconds", &seconds);
	return seconds > 24 * 3600 ? "a week" : seconds > 3600 ? "3 hours" : "an hour";
}

static void show_limit(struct table *t, struct str issuer, const struct json *limit, int64_t now)
{
	struct table_row *row = table_add(t);
	int64_t used = 0, most = 0;
	json_int(limit, "used", &used);
	json_int(limit, "most", &most);
	const struct str about = show_clean(t->arena, json_text(limit, "about"));
	const struct str what = show_clean(t->arena, json_text(limit, "limit"));
	row->cells[0] = issuer;
	row->cells[1] = about.n ? arena_printf(t->arena, "%.*s: %.*s", STR_ARG(what),
	                                  STR_ARG(str_head(about, 100)))
	                        : what;
	row->cells[2] = arena_printf(
	        t->arena, "%lld of %lld in %s", (long long)used, (long long)most, window_of(limit));
	row->cells[3] = show_date(t->arena, json_text(limit, "more"), now);
}

/* Only of what is used. */
static void show_limits(const struct json *status, struct arena *a, int64_t now, struct buf *out)
{
	const struct json *issuers = json_array(status, "issuers");
	struct table t = { .arena = a, .heads = { "ISSUER", "LIMIT", "USED", "ONE MORE" } };
	for (size_t i = 0; i < json_count(issuers); i++) {
		const struct json *issuer = json_at(issuers, i);
		const struct json *limits = json_array(issuer, "limits");
		for (size_t k = 0; k < json_count(limits); k++) {
			int64_t used = 0;
			json_int(json_at(limits, k), "used", &used);
			if (used)
				show_limit(&t, show_clean(a, json_text(issuer, "name")),
				        json_at(limits, k), now);
		}
	}
	if (!t.count)
		return;
	buf_add_c(out, "\nLimits, by our own count\n");
	table_print(&t, out);
}

/* Of accounts whose key nobody knows. */
static void show_doubts(const struct json *status, struct arena *a, struct buf *out)
{
	const struct json *issuers = json_array(status, "issuers");
	for (size_t i = 0; i < json_count(issuers); i++) {
		const struct str doubt =
		        show_clean(a, json_text(json_at(issuers, i), "account_doubt"));
		if (doubt.n)
			buf_printf(out, "\nAccount: %.*s\n", STR_ARG(doubt));
	}
}

/* What the CAs themselves have said. */
static void show_waits(const struct json *status, struct arena *a, int64_t now, struct buf *out)
{
	const struct json *issuers = json_array(status, "issuers");
	struct table t = { .arena = a, .heads = { "ISSUER", "ABOUT", "UNTIL", "IT SAID" } };
	for (size_t i = 0; i < json_count(issuers); i++) {
		const struct json *issuer = json_at(issuers, i);
		const struct json *waits = json_array(issuer, "waits");
		for (size_t k = 0; k < json_count(waits); k++) {
			const struct json *wait = json_at(waits, k);
			const struct str about = show_clean(a, json_text(wait, "about"));
			struct table_row *row = table_add(&t);
			row->cells[0] = show_clean(a, json_text(issuer, "name"));
			row->cells[1] = about.n ? str_head(about, 100) : STR("all orders");
			row->cells[2] = show_date(a, json_text(wait, "until"), now);
			row->cells[3] = show_clean(a, json_text(wait, "words"));
		}
	}
	if (!t.count)
		return;
	buf_add_c(out, "\nCAs that ask to wait\n");
	table_print(&t, out);
}

static void show_fences(const struct json *status, struct arena *a, struct buf *out)
{
	const struct json *list = json_array(status, "fences");
	struct table t = { .arena = a, .heads = { "PROCESS", "STANDING" } };
	buf_add_c(out, "\nFences\n");
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *fence = json_at(list, i);
		struct table_row *row = table_add(&t);
		row->cells[0] = json_is_object(fence) ? show_clean(a, json_text(fence, "process"))
		                                      : show_clean(a, json_value_text(fence));
		row->cells[1] = show_clean(a, json_text(fence, "standing"));
	}
	table_print(&t, out);
}

void status_show(const struct json *status, int64_t now, struct buf *out)
{
	struct arena a = ARENA_INIT;
	const struct str version = show_clean(&a, json_text(status, "version"));
	const struct str state = show_clean(&a, json_text(status, "state"));
	const struct str since = show_date(&a, json_text(status, "started"), now);
	buf_printf(out, "Everseal %.*s, started %.*s, state in %.*s\n", STR_ARG(version),
	        STR_ARG(since), STR_ARG(state));
	const struct str problem = show_clean(&a, json_text(status, "problem"));
	if (problem.n)
		buf_printf(out, "\nProblem: %.*s\n", STR_ARG(problem));
	const struct str clock = show_clean(&a, json_text(status, "clock"));
	if (clock.n)
		buf_printf(out, "\nClock: %.*s\n", STR_ARG(clock));
	bool draining = false;
	if (json_bool(status, "draining", &draining) && draining)
		buf_add_c(out,
		        "\nLoad balancers are told to send no visitors here: `everseal drain off` "
		        "ends that.\n");
	show_listeners(status, &a, out);
	show_sites(status, &a, out);
	buf_add_c(out, "\nCertificates\n");
	status_certificates(status, now, out);
	show_doubts(status, &a, out);
	show_limits(status, &a, now, out);
	show_waits(status, &a, now, out);
	show_fences(status, &a, out);
	arena_done(&a);
}

int command_status(struct command *c)
{
	const struct question q = { .method = "GET", .path = STR("/api/status") };
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(64 << 20);
	struct str state;
	JSON_AUTO *status =
	        command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	if (!status)
		return command_fail(&err);
	if (command_has(c, OPTION_JSON)) {
		json_print(status, &out);
		buf_add_char(&out, '\n');
	} else {
		status_show(status, clock_system.wall(&clock_system), &out);
	}
	fputs(buf_c(&out), stdout);
	return EXIT_DONE;
}
