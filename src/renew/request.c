/* What people ask for: register, renew now, disable. Each is checked whole before anything is
 * stored, and answered once it is stored. */
#include "base/url.h"
#include "issue/dns01.h"
#include "net/address.h"
#include "renew/import.h"
#include "renew/private.h"

/* Register: checking */

struct wanted {
	struct arena arena;
	struct name names[NAMES_MOST];
	struct str ascii[NAMES_MOST];
	size_t count;
	struct str email, issuer, profile;
	enum key_type key_types[2]; /* one certificate of each */
	size_t key_type_count;
	struct address listen;
	struct config_upstream proxy;
};

/* A wildcard only where DNS is set up to prove it. */
static bool read_name(const struct renewals *r, struct wanted *w, struct str typed,
        struct name *ret_name, struct err *err)
{
	struct name name;
	if (!name_read_wildcard(&w->arena, typed, /* public_only= */ false, &name, err))
		return false;
	const struct config_dns *dns = dns01_way(r->config, acme_without_wildcard(name.ascii));
	if (acme_is_wildcard(name.ascii) && dns->way == CONFIG_DNS_NONE && !dns->persist)
		return name_read(&w->arena, typed, /* public_only= */ false, ret_name, err);
	*ret_name = name;
	return true;
}

static bool check_names(const struct renewals *r, struct wanted *w,
        const struct register_want *want, struct err *err)
{
	if (!want->name_count)
		return err_set(err, ERR_INPUT, "Give at least one DNS name.");
	if (want->name_count > NAMES_MOST)
		return err_set(err, ERR_INPUT,
		        "%zu names are too many for one certificate: Let's Encrypt "
		        "takes at most %d." ERR_REMEDY "Register them in several certificates.",
		        want->name_count, NAMES_MOST);
	for (size_t i = 0; i < want->name_count; i++) {
		struct name *n = &w->names[w->count];
		if (!read_name(r, w, want->names[i], n, err))
			return false;
		bool twice = false;
		for (size_t k = 0; k < w->count; k++)
			twice |= str_eq(w->ascii[k], n->ascii);
		if (!twice)
			w->ascii[w->count++] = n->ascii;
	}
	return true;
}

static bool check_issuer(
        struct renewals *r, struct wanted *w, const struct register_want *want, struct err *err)
{
	const struct config *c = r->config;
	w->issuer = registration_issuer(c, want->issuer, w->ascii[0]);
	const struct config_issuer *issuer = config_issuer(c, w->issuer);
	BUF_AUTO known = BUF(4096);
	for (size_t i = 0; i < c->issuer_count; i++)
		buf_printf(&known, "%s%.*s", i ? ", " : "", STR_ARG(c->issuers[i].name));
	if (!issuer)
		return err_set(err, ERR_INPUT,
		        "There is no issuer %.*s. Known are: %s." ERR_REMEDY "Add it to the "
		        "configuration with `issuer %.*s { directory URL }`.",
		        STR_ARG(w->issuer), buf_c(&known), STR_ARG(w->issuer));
	bool lets_encrypt = str_starts(w->issuer, STR("letsencrypt"));
	struct name again;
	for (size_t i = 0; lets_encrypt && i < w->count; i++)
		if (!name_read(&w->arena, acme_without_wildcard(w->ascii[i]),
		            /* public_only= */ true, &again, err))
			return false;
	return true;
}

static bool check_email(
        struct renewals *r, struct wanted *w, const struct register_want *want, struct err *err)
{
	struct str email = want->email.n ? want->email : r->config->email;
	if (!email.n && str_eq(w->issuer, STR("internal")))
		return true;
	if (!email.n)
		return err_set(err, ERR_INPUT, "Give an e-mail address for the CA (--email).");
	return email_read(email, &w->email, err);
}

static bool check_terms(const struct renewals *r, const struct wanted *w,
        const struct register_want *want, struct err *err)
{
	if (!want->agree_tos && !r->config->agree_to_terms && !str_eq(w->issuer, STR("internal")))
		return err_set(err, ERR_INPUT,
		        "Accept the CA's terms of service to register (--agree-tos).");
	return true;
}

/* As certificates are described, or as the configuration says it. */
static bool read_key_type(struct str text, enum key_type *ret_type)
{
	return key_type_from_name(text, ret_type) ||
	       (str_eq_nocase(text, STR("P-256")) && (*ret_type = KEY_P256, true)) ||
	       (str_eq_nocase(text, STR("P-384")) && (*ret_type = KEY_P384, true));
}

/* One of each kind at most. */
static bool add_key_type(struct wanted *w, struct str text, struct err *err)
{
	BUF_AUTO known = BUF(256);
	enum key_type type, *types = w->key_types;
	if (!read_key_type(text, &type)) {
		for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++)
			buf_printf(&known, "%s%s", t ? ", " : "", key_type_name(t));
		return err_set(err, ERR_INPUT,
		        "%.*s is no type of key." ERR_REMEDY "Known are: %s.",
		        STR_ARG(str_head(text, 80)), buf_c(&known));
	}
	for (size_t i = 0; i < w->key_type_count; i++)
		if (key_type_is_rsa(types[i]) == key_type_is_rsa(type))
			return err_set(err, ERR_INPUT,
			        "%s and %s are both %s: visitors can be shown one certificate with "
			        "an ECDSA key and one with an RSA key." ERR_REMEDY
			        "Choose one of them.",
			        key_type_name(types[i]), key_type_name(type),
			        key_type_is_rsa(type) ? "RSA" : "ECDSA");
	types[w->key_type_count++] = type;
	return true;
}

/* One or two words, with commas or spaces between; else as the configuration says. */
static bool check_key_type(
        struct renewals *r, struct wanted *w, const struct register_want *want, struct err *err)
{
	const struct config_making *m = registration_making(r->config, w->ascii[0]);
	struct str rest = str_trim(want->key_type);
	while (rest.n) {
		size_t end = 0;
		while (end < rest.n && rest.p[end] != ',' && rest.p[end] != ' ')
			end++;
		if (!add_key_type(w, str_head(rest, end), err))
			return false;
		rest = str_trim(str_from(rest, end));
		if (str_starts(rest, STR(",")))
			rest = str_trim(str_from(rest, 1));
	}
	for (size_t i = 0; !want->key_type.n && i < m->key_type_count; i++)
		w->key_types[w->key_type_count++] = m->key_types[i];
	if (!w->key_type_count)
		w->key_types[w->key_type_count++] = KEY_P256;
	return true;
}

static bool check_profile(struct wanted *w, const struct register_want *want, struct err *err)
{
	if (want->profile.n > 200)
		return err_set(err, ERR_INPUT,
		        "The name of a profile has at most 200 characters." ERR_REMEDY
		        "Choose one that the CA offers.");
	w->profile = want->profile;
	return true;
}

static bool check_listen(struct wanted *w, const struct register_want *want, struct err *err)
{
	struct sockaddr_storage parsed;
	if (!want->address.n && !want->port)
		return true;
	struct str host = want->address.n ? want->address : STR("0.0.0.0");
	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_n(host.p + 1, host.n - 2);
	if (!address_parse(host, 443, &parsed))
		return err_set(err, ERR_INPUT,
		        "%.*s is not an IP address." ERR_REMEDY "Give one of this machine's, or "
		        "0.0.0.0 for all.",
		        STR_ARG(want->address));
	w->listen.host = arena_str(&w->arena, host);
	w->listen.port = want->port ? want->port : 443;
	return true;
}

static bool check_page(const struct renewals *r, const struct wanted *w, struct err *err)
{
	if (!w->listen.host.n || !listen_is_page(r, &w->listen))
		return true;
	return err_set(err, ERR_INPUT,
	        "The page is at port %u of %.*s: give another address or port, or move the page "
	        "with `page ADDRESS:PORT` in the configuration.",
	        w->listen.port, STR_ARG(w->listen.host));
}

static bool check_proxy(
        struct renewals *r, struct wanted *w, const struct register_want *want, struct err *err)
{
	struct config_upstream *u = &w->proxy;
	if (!want->proxy.n)
		return true;
	struct kept_listeners listeners = renew_listeners(r, &w->arena);
	return kept_read_upstream(&w->arena, want->proxy, u, err) &&
	       kept_check_upstream(u, &listeners, err);
}

static bool file_has_site(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->site_count; i++) {
		if (c->sites[i].fallback)
			return true;
		for (size_t k = 0; k < c->sites[i].name_count; k++)
			if (str_eq(c->sites[i].names[k], name))
				return true;
	}
	return str_eq(c->page_name, name);
}

/* With an application of its own: that of `site *` would have been found. */
static bool store_has_site(const struct renewals *r, struct str name)
{
	const struct kept_site *site =
	        r->needs.kept ? kept_with_name(r->needs.kept, name, /* overlay= */ false) : NULL;
	return site && site->value->upstream_count;
}

static bool check_site(struct renewals *r, struct wanted *w, struct err *err)
{
	for (size_t i = 0; !w->proxy.host.n && i < w->count; i++)
		if (!file_has_site(r->config, w->ascii[i]) && !store_has_site(r, w->ascii[i]))
			return err_set(err, ERR_INPUT,
			        "Nothing stands behind %.*s: give the application's "
			        "address with --proxy ADDRESS:PORT, or add `site * { proxy "
			        "ADDRESS:PORT }` to "
			        "the configuration.",
			        STR_ARG(w->ascii[i]));
	return true;
}

static bool is_about(struct renew_request *q, const char *field, bool fits)
{
	if (!fits)
		q->field = field;
	return fits;
}

static bool check(struct renew_request *q, struct wanted *w, const struct register_want *want)
{
	struct renewals *r = q->renewals;
	struct err *err = &q->err;
	return is_about(q, "names", check_names(r, w, want, err)) &&
	       is_about(q, "issuer", check_issuer(r, w, want, err)) &&
	       is_about(q, "email", check_email(r, w, want, err)) &&
	       is_about(q, "agree_tos", check_terms(r, w, want, err)) &&
	       is_about(q, "key_type", check_key_type(r, w, want, err)) &&
	       is_about(q, "profile", check_profile(w, want, err)) &&
	       is_about(q, "address", check_listen(w, want, err)) &&
	       is_about(q, want->port ? "port" : "address", check_page(r, w, err)) &&
	       is_about(q, "proxy", check_proxy(r, w, want, err) && check_site(r, w, err));
}

/* Answering */

void request_answer(struct renew_request *q, const struct err *err)
{
	list_remove(&q->node);
	q->renewals = NULL;
	q->done(q, str_c(q->id), str_c(q->task), q->existing, err);
}

static void answer_later(struct later *l)
{
	struct renew_request *q = OWNER(l, struct renew_request, later);
	struct err err = q->err;
	request_answer(q, err.code ? &err : NULL);
}

void request_open(struct renewals *r, struct renew_request *q, renew_done *done)
{
	*q = (struct renew_request){ .renewals = r, .done = done };
}

void request_answer_soon(struct renew_request *q)
{
	later_start(&q->later, q->renewals->needs.loop, answer_later);
}

void renew_request_abort(struct renew_request *q)
{
	if (!q->renewals)
		return;
	later_stop(&q->later);
	list_remove(&q->node);
	q->renewals = NULL;
}

void request_about(struct renew_request *q, const struct registration *g)
{
	snprintf(q->id, sizeof q->id, "%s", g->id);
	snprintf(q->task, sizeof q->task, "%s", g->task_id);
}

/* What was asked for is being stored: the request is answered with the outcome. */
void request_answer_when_stored(struct renew_request *q, struct registration *g)
{
	request_about(q, g);
	list_add_last(&g->requests, &q->node);
}

void request_answer_all(struct registration *g, const struct err *err)
{
	while (!list_empty(&g->requests))
		request_answer(OWNER(list_first(&g->requests), struct renew_request, node), err);
}

/* Register: storing */

static void in_force(struct serving_change *change, const struct err *err)
{
	struct registration *g = OWNER(change, struct registration, change);
	const struct log log = registration_log(g);
	if (err)
		log_error(&log, "%s", err->text);
}

void request_change_sites(struct registration *g)
{
	struct serving *s = g->renewals->needs.serving;
	g->change.done = in_force;
	if (!list_linked(&g->change.node))
		s->ops->change(s, &g->change);
}

/* The registration survives any crash from here on: now the sites are built anew and the attempt
 * begins. */
static void start(struct registration *g)
{
	request_change_sites(g);
	if (registration_beside(g)) /* again, or as of now */
		held_install(g);
	const char *blocked = registration_blocked(g);
	if (g->attempting)
		return; /* what was under way when it was disabled ends the task */
	if ((!g->held.is || revoked_at(g)) && !blocked) {
		g->wished = true;
		schedule_now(g);
		return;
	}
	if (blocked)
		task_give_up(g->task, blocked);
	else
		task_end(g->task, "There is a certificate already", NULL);
	g->task = NULL;
	schedule(g);
}

/* What was wanted is forgotten; what the store has counts. */
static void not_registered(struct registration *g, const struct err *err)
{
	registration_reload(g);
	state_reload(g);
	if (!g->attempting) {
		task_end(g->task, NULL, err);
		g->task = NULL;
	}
	schedule(g);
}

static void registered(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, request_tx);
	if (err)
		not_registered(g, err);
	else
		start(g);
	request_answer_all(g, err);
}

static void keep_wanted(struct registration *g, const struct wanted *w, enum key_type key_type)
{
	struct arena *a = &g->arena;
	if (!g->name_count) {
		g->names = arena_array(a, struct str, w->count);
		for (size_t i = 0; i < w->count; i++)
			g->names[i] = arena_str(a, w->ascii[i]);
		g->name_count = w->count;
		names_index(g);
	}
	g->email = arena_str(a, w->email);
	g->issuer = arena_str(a, w->issuer);
	g->key_type = key_type;
	if (w->profile.p)
		g->profile = arena_str(a, w->profile);
	if (w->listen.host.n)
		g->listen = (struct address){ .host = arena_str(a, w->listen.host),
			.port = w->listen.port };
	if (w->proxy.host.n)
		CHECK(kept_upstream_stored(
		        a, w->proxy.shown, w->proxy.host, w->proxy.port, &g->proxy));
	g->terms = true;
	g->on_demand = false;
	g->in_store = true;
	g->disabled = false;
	if (!g->created)
		g->created = loop_wall(g->renewals->needs.loop);
	registration_configured(g);
}

/* One transaction per turn of the loop: the task is stored in the same one. */
static void store_as(struct registration *g, const struct wanted *w, enum key_type key_type)
{
	keep_wanted(g, w, key_type);
	g->failures = 0;
	g->next_try = 0;
	if (!g->task)
		g->task = task_for(g, TASK_CONFIGURE);
	else if (g->attempting && !g->held.is)
		schedule_now(g); /* a failure that is only being stored is not the answer */
	registration_put(g, &g->request_tx);
	state_put(g, &g->request_tx, /* healthy= */ false);
	store_tx_start(g->renewals->needs.store, &g->request_tx, registered);
}

static void store_registration(struct renew_request *q, struct registration *g,
        const struct wanted *w, enum key_type key_type)
{
	store_as(g, w, key_type);
	request_answer_when_stored(q, g);
}

/* Whether a wish for it is being stored already, which this one joins or has to wait for. */
static bool being_stored(struct renew_request *q, struct registration *g, bool disabled)
{
	if (!g->request_tx.store)
		return false;
	q->existing = true;
	if (g->disabled == disabled) {
		request_answer_when_stored(q, g);
		return true;
	}
	err_set(&q->err, ERR_BUSY, "%.*s is just being %s: try again in a moment.",
	        STR_ARG(g->names[0]), g->disabled ? "disabled" : "registered");
	request_answer_soon(q);
	return true;
}

/* The same request again: what is there is returned. Only where there is no certificate yet and
 * nothing is under way it is an urgent wish to try again now. */
static void answer_existing(struct renew_request *q, struct registration *g)
{
	if (!g->held.is) {
		g->wished = true;
		schedule_now(g);
	}
	request_about(q, g);
	request_answer_soon(q);
}

static bool differs(struct str given, struct str has)
{
	return given.n && !str_eq(given, has);
}

/* The same names again, but with another application, address or profile: those are taken over. */
static bool asks_other(const struct registration *g, const struct wanted *w)
{
	return g->in_store && (g->on_demand || differs(w->proxy.shown, g->proxy.shown) ||
	                              (w->profile.p && !str_eq(w->profile, g->profile)) ||
	                              differs(w->listen.host, g->listen.host) ||
	                              (w->listen.port && w->listen.port != g->listen.port));
}

static void describe(const struct registration *g, char *ret, size_t size)
{
	BUF_AUTO text = BUF(1024);
	const char *six = str_has(g->listen.host, ':') ? "[" : "";
	buf_add(&text, g->proxy.host.n ? g->proxy.shown : STR("the application of its site"));
	if (g->listen.host.n)
		buf_printf(&text, ", at %s%.*s%s:%u", six, STR_ARG(g->listen.host), *six ? "]" : "",
		        g->listen.port);
	if (g->on_demand)
		buf_add_c(&text, ", on demand");
	if (g->profile.n)
		buf_printf(&text, ", profile %.*s", STR_ARG(g->profile));
	snprintf(ret, size, "%s", buf_c(&text));
}

static void store_change(struct renew_request *q, struct registration *g, const struct wanted *w)
{
	describe(g, q->before, sizeof q->before);
	store_registration(q, g, w, g->key_type);
	describe(g, q->after, sizeof q->after);
}

/* Whether one of another issuer is, or was, for that name. */
static bool has_other_issuer(const struct renewals *r, struct str name, struct str issuer)
{
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		const struct registration *g = e->registration;
		if ((g->held.is || registration_wanted(g)) && !str_eq(g->issuer, issuer))
			return true;
	}
	return false;
}

/* Not Let's Encrypt's staging CA, nor those that need a `trust` of their own, nor our own. */
static bool browsers_trust(const struct config_issuer *issuer)
{
	static const char staging[] = "acme-staging";
	const struct str *at = &issuer->directory;
	return issuer->directory.n && !issuer->trust.n &&
	       !memmem(at->p, at->n, staging, sizeof staging - 1);
}

/* Who was told to come by HTTPS only finds no way past a certificate that he does not trust. */
static bool check_promise(
        struct renew_request *q, const struct wanted *w, const struct register_want *want)
{
	struct renewals *r = q->renewals;
	char until[CLOCK_TEXT];
	if (want->despite_hsts || browsers_trust(config_issuer(r->config, w->issuer)))
		return true;
	for (size_t i = 0; i < w->count; i++) {
		int64_t promised = promised_until(r, &w->ascii[i], 1);
		if (!promised || !has_other_issuer(r, w->ascii[i], w->issuer))
			continue;
		q->hsts_until = promised;
		return err_set(&q->err, ERR_CONFLICT,
		        "Browsers may remember until %s that %.*s must be reached by HTTPS, and "
		        "do not trust certificates of %.*s: they would let nobody in." ERR_REMEDY
		        "Send `hsts off` first and wait, or insist with --despite-hsts.",
		        clock_rfc3339(promised, until), STR_ARG(w->ascii[i]), STR_ARG(w->issuer));
	}
	return true;
}

static struct registration *wanted_with(
        struct renewals *r, struct wanted *w, enum key_type key_type)
{
	struct str id = registration_id(&w->arena, w->ascii, w->count, w->issuer, key_type);
	struct registration *g = registration_by_id(r, id);
	return g ? g : registration_new(r, id);
}

static void store_wanted(struct renew_request *q, struct wanted *w, enum key_type key_type)
{
	struct registration *g = wanted_with(q->renewals, w, key_type);
	if (being_stored(q, g, /* disabled= */ false))
		return;
	q->existing = registration_wanted(g);
	if (q->existing && !asks_other(g, w))
		answer_existing(q, g);
	else if (q->existing)
		store_change(q, g, w);
	else
		store_registration(q, g, w, key_type);
}

/* The answer is about the first that is not there yet. What stands beside it comes along in the
 * same transaction. */
static void store_all_wanted(struct renew_request *q, struct wanted *w)
{
	struct registration *of[2];
	size_t first = 0;
	for (size_t i = w->key_type_count; i-- > 0;) {
		of[i] = wanted_with(q->renewals, w, w->key_types[i]);
		if (!registration_wanted(of[i]))
			first = i;
	}
	for (size_t i = 0; i < w->key_type_count; i++)
		if (i != first && !of[i]->request_tx.store &&
		        (!registration_wanted(of[i]) || asks_other(of[i], w)))
			store_as(of[i], w, w->key_types[i]);
	store_wanted(q, w, w->key_types[first]);
}

/* Those that it has now. */
static void accept_terms(struct renewals *r, struct str issuer)
{
	issuers_accept_terms(r->needs.issuers, issuer);
	MAP_EACH (n, &r->registrations) {
		struct registration *g = OWNER(n, struct registration, node);
		if (str_eq(ca_next(g), issuer))
			tell_registration(g);
	}
}

void renew_register(struct renewals *r, struct renew_request *q, const struct register_want *want,
        renew_done *done)
{
	request_open(r, q, done);
	struct wanted *w = mem_new(struct wanted);
	const bool fits = check(q, w, want) && check_promise(q, w, want);
	if (fits && want->agree_tos)
		accept_terms(r, w->issuer);
	if (fits)
		store_all_wanted(q, w);
	else
		request_answer_soon(q);
	arena_done(&w->arena);
	free(w);
}

/* Renew, disable */

/* Several that still renew may be for one name: then only an id says which is meant. */
static bool is_ambiguous(struct renewals *r, struct str typed, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO ids = BUF(512);
	struct str name = name_as_registered(&a, typed);
	size_t count = 0;
	for (struct name_entry *e = names_first(r, name); e; e = names_next(e)) {
		const struct registration *g = e->registration;
		if (!registration_wanted(g))
			continue;
		buf_printf(
		        &ids, "%s%s (%s)", count++ ? ", " : "", g->id, key_type_name(g->key_type));
	}
	if (count < 2)
		return false;
	err_set(err, ERR_CONFLICT,
	        "Several certificates are for %.*s: say which by its id, one of %s.", STR_ARG(name),
	        buf_c(&ids));
	return true;
}

struct registration *request_find(struct renew_request *q, struct str name)
{
	struct registration *g = registration_find(q->renewals, name);
	if (g && is_ambiguous(q->renewals, name, &q->err))
		return NULL;
	if (!g && imported_find(q->renewals, name))
		err_set(&q->err, ERR_CONFLICT,
		        "The certificate for %.*s was imported: whoever issued it renews and "
		        "revokes it." ERR_REMEDY
		        "Import the one that follows it, or register the name.",
		        STR_ARG(name));
	else if (!g)
		no_certificate(name, &q->err);
	return g;
}

static bool may_renew(struct registration *g, struct err *err)
{
	const struct config_issuer *issuer = config_issuer(g->renewals->config, g->issuer);
	if (g->disabled)
		return err_set(err, ERR_CONFLICT, "%.*s is disabled: register it again.",
		        STR_ARG(g->names[0]));
	if (!registration_wanted(g))
		return err_set(err, ERR_CONFLICT,
		        "%.*s is no longer in the configuration, its certificate "
		        "is only kept: register it again.",
		        STR_ARG(g->names[0]));
	if (!issuer)
		return err_set(err, ERR_CONFLICT,
		        "The issuer %.*s does not issue for %.*s; add it to the "
		        "configuration with `issuer %.*s { directory URL }`.",
		        STR_ARG(g->issuer), STR_ARG(g->names[0]), STR_ARG(g->issuer));
	return true;
}

void renew_now(struct renewals *r, struct renew_request *q, struct str name, renew_done *done)
{
	request_open(r, q, done);
	struct registration *g = request_find(q, name);
	if (g && may_renew(g, &q->err)) {
		q->existing = g->attempting;
		g->wished = true;
		schedule_now(g);
		request_about(q, g);
	}
	request_answer_soon(q);
}

bool request_may_end(struct registration *g, bool despite_hsts, struct err *err)
{
	char until[CLOCK_TEXT];
	int64_t promised = promised_until(g->renewals, g->names, g->name_count);
	if (!promised || despite_hsts)
		return true;
	return err_set(err, ERR_CONFLICT,
	        "Browsers may remember until %s that %.*s must be reached by "
	        "HTTPS; once its certificate has expired they let nobody in." ERR_REMEDY
	        "Send `hsts off` first and wait, or insist with --despite-hsts.",
	        clock_rfc3339(promised, until), STR_ARG(g->names[0]));
}

static void disabled(struct store_tx *tx, const struct err *err)
{
	struct registration *g = OWNER(tx, struct registration, request_tx);
	if (err)
		state_reload(g);
	schedule(g);
	schedule_sharers(g);
	request_answer_all(g, err);
}

static void disable(struct renew_request *q, struct registration *g)
{
	schedule_cancel(g, "renewal is disabled");
	g->disabled = true;
	request_answer_when_stored(q, g);
	q->task[0] = 0;
	state_put(g, &g->request_tx, /* healthy= */ false);
	store_tx_start(q->renewals->needs.store, &g->request_tx, disabled);
}

void renew_disable(struct renewals *r, struct renew_request *q, struct str name, bool despite_hsts,
        renew_done *done)
{
	request_open(r, q, done);
	struct registration *g = request_find(q, name);
	if (g && being_stored(q, g, /* disabled= */ true))
		return;
	if (g && !g->disabled && request_may_end(g, despite_hsts, &q->err)) {
		disable(q, g);
		return;
	}
	if (g) {
		q->existing = g->disabled;
		request_about(q, g);
	}
	request_answer_soon(q);
}
