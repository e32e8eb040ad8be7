#include "portal/diagnosis.h"
#include "certs/name.h"
#include "diagnose/diagnose.h"
#include "issue/dns01.h"
#include "net/address.h"
#include "portal/events.h"
#include "portal/sites.h"

static struct runs *runs;

/* ---- what is known here ---- */

/* That of the registration, else by the rule that registering would follow. */
static struct str issuer_of(
        const struct config *config, struct str name, const struct renew_view *v)
{
	/* Whoever issued what was imported is none of ours. */
	if (v && config_issuer(config, v->issuer))
		return v->issuer;
	const struct site_entry *e = site_find(name);
	if (e && e->site.settings.issuer.n)
		return e->site.settings.issuer;
	if (config->issuer.n)
		return config->issuer;
	return name_is_private(name) ? STR("internal") : STR("letsencrypt");
}

static bool is_lets_encrypt(struct str issuer)
{
	return str_eq_c(issuer, "letsencrypt") || str_eq_c(issuer, "letsencrypt-staging");
}

static struct str account_of(struct arena *a, struct str directory)
{
	struct err ignored = ERR_INIT;
	struct record record;
	if (!directory.n ||
	        !store_get(portal.store, a, STR("account"), directory, &record, &ignored))
		return STR_NONE;
	JSON_AUTO *json = json_parse(record.value, "The account", &ignored);
	struct str url = json_text(json, "url");
	return url.n ? arena_str(a, url) : STR_NONE;
}

static void fill_ca(struct arena *a, const struct config *config, struct str issuer,
        struct facts *f, struct diagnose_here *here)
{
	const struct config_issuer *i = config_issuer(config, issuer);
	const char *title = issuer_title(issuer);
	f->ca.name = arena_str(a, issuer);
	f->ca.title = title ? str_c(title) : f->ca.name;
	f->ca.is_public = is_lets_encrypt(issuer);
	f->ca.none = !i || !i->directory.n;
	if (f->ca.is_public)
		f->ca.identities = STR("letsencrypt.org\n");
	if (f->ca.none)
		return;
	here->directory = arena_str(a, i->directory);
	here->trust = arena_str(a, i->trust);
	f->ca.account = account_of(a, i->directory);
}

static struct str endpoint(struct arena *a, const struct address *at)
{
	return arena_printf(
	        a, str_has(at->host, ':') ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(at->host), at->port);
}

static struct str why_not(struct arena *a, const struct portal_listener *l)
{
	if (l->holder)
		return arena_printf(a, "%s holds the port.", l->holder);
	return l->error ? arena_printf(a, "%s.", l->error) : STR_NONE;
}

static void fill_listeners(struct arena *a, struct facts *f, struct diagnose_here *here)
{
	struct portal_listener all[LISTENERS_MOST];
	size_t count = portal_host->ops->listeners(portal_host, all, LISTENERS_MOST);
	for (size_t i = 0; i < count; i++) {
		const struct portal_listener *l = &all[i];
		const bool bound = !strcmp(l->state, "listening");
		f->listeners[f->listener_count++] =
		        (struct fact_listener){ .address = endpoint(a, &l->address),
			        .tls = l->tls,
			        .bound = bound,
			        .why = bound ? STR_NONE : why_not(a, l),
			        .held = l->holder };
		const struct str to = address_dialled(l->address.host, f->name);
		if (bound && l->tls && to.n && !here->own_address.n) {
			here->own_address = arena_str(a, to);
			here->own_port = l->address.port;
		}
	}
}

static void fill_limits(struct arena *a, struct facts *f)
{
	BUF_AUTO text = BUF(256 << 10);
	struct err err = ERR_INIT;
	struct json_writer w;
	json_write_init(&w, &text);
	json_write_object(&w, NULL);
	bool known = renew_limits(portal_renewals, f->ca.name, f->name, &w, &err);
	json_write_end(&w);
	JSON_AUTO *json = known ? json_parse(buf_str(&text), "The limits", &err) : NULL;
	const struct json *list = json_array(json, "limits");
	for (size_t i = 0; i < json_count(list) && f->limit_count < LIMITS_MOST; i++) {
		struct fact_limit *l = &f->limits[f->limit_count++];
		l->limit = arena_str(a, json_text(json_at(list, i), "limit"));
		l->sentence = arena_str(a, json_text(json_at(list, i), "sentence"));
		json_int(json_at(list, i), "used", &l->used);
		json_int(json_at(list, i), "most", &l->most);
	}
}

static struct str resolvers_of(struct arena *a, const struct config *config)
{
	BUF_AUTO out = BUF(1024);
	for (size_t i = 0; i < config->resolver_count; i++)
		buf_printf(&out, "%.*s\n", STR_ARG(config->resolvers[i]));
	return arena_str(a, buf_str(&out));
}

static bool has_wildcard(const struct config *config, struct str name)
{
	BUF_AUTO wildcard = BUF(512);
	buf_printf(&wildcard, "*.%.*s", STR_ARG(name));
	for (size_t i = 0; i < config->site_count; i++)
		for (size_t k = 0; k < config->sites[i].name_count; k++)
			if (str_eq(config->sites[i].names[k], buf_str(&wildcard)))
				return true;
	return false;
}

static void fill_delegation(struct arena *a, const struct config *config, struct facts *f)
{
	BUF_AUTO target = BUF(512), record = BUF(1024);
	const struct config_dns *way = dns01_way(config, f->name);
	if (f->ca.none || f->is_address || !dns01_target(way, f->name, &target) ||
	        !dns01_record(way, f->name, &record))
		return;
	f->delegation.name = arena_printf(a, DNS01_PREFIX "%.*s", STR_ARG(f->name));
	f->delegation.target = arena_str(a, buf_str(&target));
	f->delegation.record = arena_str(a, buf_str(&record));
	f->delegation.needed = has_wildcard(config, f->name);
}

static void here(
        struct diagnose_host *h, struct arena *a, struct facts *f, struct diagnose_here *ret)
{
	const struct config *config = portal_host->ops->config(portal_host);
	struct renew_view view = { 0 };
	const bool registered = renew_find(portal_renewals, f->name, &view);
	*ret = (struct diagnose_here){ .servers = resolvers_of(a, config) };
	f->configured = h->ops->configured(h, f->name);
	f->certified = registered && view.held;
	f->http_port = config->challenge_http;
	f->https_port = config->challenge_https;
	f->hsts_until = renew_hsts_until(portal_renewals, &f->name, 1);
	fill_ca(a, config, issuer_of(config, f->name, registered ? &view : NULL), f, ret);
	fill_delegation(a, config, f);
	fill_listeners(a, f, ret);
	if (!f->ca.none)
		fill_limits(a, f);
}

static bool configured(struct diagnose_host *h, struct str name)
{
	struct renew_view view;
	(void)h;
	return site_find(name) || renew_find(portal_renewals, name, &view);
}

/* ---- what is told ---- */

static bool write_run(struct json_writer *w, struct str id)
{
	return run_write(runs, id, w);
}

static const struct event_kind diagnosis_kind = { .name = "diagnosis", .write = write_run };

static void changed(struct diagnose_host *h, struct str id)
{
	(void)h;
	events_changed(&diagnosis_kind, id);
}

static const struct diagnose_host_ops host_ops = {
	.here = here, .configured = configured, .changed = changed
};
static struct diagnose_host host = { .ops = &host_ops };

void diagnosis_open(void)
{
	runs = runs_new(&(struct diagnose_needs){
	        .loop = portal.loop, .fetch = portal.fetch, .board = portal.board, .host = &host });
}

void diagnosis_close(void)
{
	runs_free(&runs);
}

/* ---- routes ---- */

static void refuse(struct call *c, const struct err *err, int64_t wait)
{
	if (wait)
		call_fail_wait(c, err, wait);
	else if (err->code == ERR_INPUT)
		call_fail_field(c, err, "name", STR_NONE);
	else
		call_fail(c, err);
}

static void post_diagnosis(struct call *c)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	char id[RUN_ID];
	int64_t wait = 0;
	struct str name = json_text(c->json, "name");
	if (!run_begin(runs, name, who_counts(&c->who), id, &wait, &err)) {
		refuse(c, &err, wait);
		return;
	}
	call_object(c, &w);
	json_write_c(&w, "id", id);
	json_write_end(&w);
	call_answer(c, 201);
}

static void fail_unknown(struct call *c)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_NOT_FOUND,
	        "There is no diagnosis %.*s: it was too long ago, or Everseal has started anew. "
	        "Run it again.",
	        STR_ARG(str_head(c->item, 40)));
	call_fail(c, &err);
}

/* Written as the answer; false: there is none, and the call was answered with that. */
static bool write_answer(struct call *c)
{
	struct json_writer w;
	json_write_init(&w, &c->answer);
	if (run_write(runs, c->item, &w))
		return true;
	fail_unknown(c);
	return false;
}

static void get_diagnosis(struct call *c)
{
	if (write_answer(c))
		call_answer(c, 200);
}

/* Who can only look gives up what he has begun himself. */
static void delete_diagnosis(struct call *c)
{
	struct err err = ERR_INIT;
	if (!write_answer(c))
		return;
	if (c->who.scope < SCOPE_OPERATE && !run_is_of(runs, c->item, who_counts(&c->who))) {
		err_set(&err, ERR_PERMISSION,
		        "Somebody else runs this diagnosis: with the scope read you can only "
		        "give up your own.");
		call_fail(c, &err);
		return;
	}
	(void)run_end(runs, c->item);
	call_done(c);
}

const struct route diagnosis_routes[] = {
	{ "POST", "/api/diagnosis", SCOPE_READ, post_diagnosis },
	{ "GET", "/api/diagnosis/*", SCOPE_READ, get_diagnosis },
	{ "DELETE", "/api/diagnosis/*", SCOPE_READ, delete_diagnosis },
	{ 0 },
};
