/* /api/issuers: the CAs that the configuration knows, what their directories say now, and what is
 * left of their limits. */
#include "acme/flow.h"
#include "certs/name.h"
#include "issue/account.h"
#include "issue/internal.h"
#include "portal/lists.h"
#include "portal/sites.h"

static const struct config *config(void)
{
	return portal_host->ops->config(portal_host);
}

static bool is_staging(const struct config_issuer *i)
{
	return str_starts(i->directory, STR("https://acme-staging-"));
}

static bool is_default(const struct config_issuer *i)
{
	return str_eq(i->name, config()->issuer.n ? config()->issuer : STR("letsencrypt"));
}

/* The stored account of that directory, or null. */
static void write_account(struct json_writer *w, struct str directory)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err err = ERR_INIT;
	if (!directory.n || !store_get(portal.store, &a, STR("account"), directory, &r, &err)) {
		json_write_null(w, "account");
		return;
	}
	JSON_AUTO *stored = json_parse(r.value, "The account", &err);
	json_write_object(w, "account");
	json_write_text(w, "url", json_text(stored, "url"));
	json_write_value(w, "email", json_member(stored, "email"));
	json_write_value(w, "terms", json_member(stored, "terms"));
	json_write_end(w);
}

static void write_issuer(struct json_writer *w, const struct config_issuer *i)
{
	const char *title = issuer_title(i->name);
	struct err none = ERR_INIT;
	json_write_object(w, NULL);
	json_write_text(w, "name", i->name);
	json_write_text(w, "title", title ? str_c(title) : i->name);
	if (i->directory.n)
		json_write_text(w, "directory", i->directory);
	else
		json_write_null(w, "directory");
	json_write_bool(w, "staging", is_staging(i));
	json_write_bool(w, "default", is_default(i));
	if (i->at.line) {
		json_write_object(w, "source");
		json_write_text(w, "file", config()->file);
		json_write_int(w, "line", i->at.line);
		json_write_end(w);
	} else {
		json_write_null(w, "source"); /* built in */
	}
	write_account(w, i->directory);
	account_write_doubt(portal.issuers, i->name, w);
	(void)!renew_limits(portal_renewals, i->name, STR_NONE, w, &none);
	json_write_bool(w, "trust", i->trust.n > 0);
	json_write_bool(w, "eab", i->eab_kid.n > 0);
	if (!i->directory.n)
		json_write_int(w, "roots", (int64_t)internal_roots_count(portal.store));
	json_write_end(w);
}

struct row {
	struct list_item item;
	const struct config_issuer *issuer;
};

/* In the order in which they are configured. */
static void offer(struct list_page *l, const struct config_issuer *i, int64_t place)
{
	const char *title = issuer_title(i->name);
	if (!list_found(l, i->name) && !(title && list_found(l, str_c(title))))
		return;
	struct row *row = arena_new(&l->call->arena, struct row);
	row->issuer = i;
	row->item.key = (struct list_key){ place, i->name };
	list_offer(l, &row->item);
}

static void get_issuers(struct call *c)
{
	struct list_page l;
	struct json_writer w;
	if (!list_begin_names(&l, c))
		return;
	for (size_t i = 0; i < config()->issuer_count; i++)
		offer(&l, &config()->issuers[i], (int64_t)i);
	list_items(&l, &w);
	for (size_t i = 0; i < l.count; i++)
		write_issuer(&w, OWNER(l.rows[i], struct row, item)->issuer);
	list_end_names(&l, &w);
}

static const struct config_issuer *find(struct call *c)
{
	const struct config_issuer *i = config_issuer(config(), c->item);
	struct err err = ERR_INIT;
	if (i)
		return i;
	err_set(&err, ERR_NOT_FOUND,
	        "There is no issuer %.*s: add it to the configuration with `issuer %.*s { "
	        "directory "
	        "URL }`.",
	        STR_ARG(str_head(c->item, 80)), STR_ARG(str_head(c->item, 80)));
	call_fail(c, &err);
	return NULL;
}

/* ---- what the CA's directory says now ---- */

struct asking {
	struct call_part part;
	struct fetch_call fetch;
	struct call *call;
	struct str title;
};

static void let_go(struct call_part *p)
{
	fetch_abort(&OWNER(p, struct asking, part)->fetch);
}

static void write_profiles(struct json_writer *w, const struct json *profiles)
{
	json_write_object(w, "profiles");
	for (const struct json_iter *i = json_first(profiles); i; i = json_next(profiles, i)) {
		BUF_AUTO key = BUF(256);
		buf_add(&key, json_iter_key(i));
		if (buf_ok(&key))
			json_write_text(w, buf_c(&key), json_value_text(json_iter_value(i)));
	}
	json_write_end(w);
}

static void write_texts(struct json_writer *w, const char *key, const struct json *list)
{
	json_write_array(w, key);
	for (size_t i = 0; i < json_count(list); i++)
		json_write_text(w, NULL, json_value_text(json_at(list, i)));
	json_write_end(w);
}

static void write_directory(
        struct json_writer *w, const struct acme_directory *d, const struct json *meta)
{
	json_write_object(w, NULL);
	json_write_c(w, "terms", d->terms.n ? d->terms.p : NULL);
	json_write_c(w, "website", d->website.n ? d->website.p : NULL);
	write_texts(w, "caa_identities", json_array(meta, "caaIdentities"));
	write_profiles(w, json_object(meta, "profiles"));
	json_write_bool(w, "eab_required", d->external_account_required);
	json_write_end(w);
}

static void refuse(struct asking *a, const struct err *why)
{
	struct err err = *why;
	err_prefix(&err, "%.*s does not answer", STR_ARG(a->title));
	call_fail_with(a->call, &err,
	        &(struct call_failure){ .status = 503,
	                .remedy = "Certificates that are there stay in use. Try again, or diagnose "
	                          "the "
	                          "connection to the CA." });
}

static void answered(struct fetch_call *f, const struct fetch_reply *reply, const struct err *err)
{
	struct asking *a = OWNER(f, struct asking, fetch);
	struct call *c = a->call;
	struct acme_directory d;
	struct err why = ERR_INIT;
	struct json_writer w;
	if (reply && reply->status != 200)
		err_set(&why, ERR_PROTOCOL, "It answered with status %u.", reply->status);
	else if (reply)
		(void)!acme_directory_read(&c->arena, reply->body, f->url, &d, &why);
	if (err || why.code) {
		refuse(a, err ? err : &why);
		return;
	}
	JSON_AUTO *root = json_parse(reply->body, "The directory", &why);
	json_write_init(&w, &c->answer);
	write_directory(&w, &d, json_object(root, "meta"));
	call_answer(c, 200);
}

static void get_directory(struct call *c)
{
	const struct config_issuer *i = find(c);
	struct err err = ERR_INIT;
	if (!i)
		return;
	if (!i->directory.n) {
		err_set(&err, ERR_NOT_FOUND,
		        "%.*s is Everseal's own authority: there is no directory to ask." ERR_REMEDY
		        "`everseal issuer root` prints what its certificates are trusted by.",
		        STR_ARG(i->name));
		call_fail(c, &err);
		return;
	}
	const char *title = issuer_title(i->name);
	struct asking *a = arena_new(&c->arena, struct asking);
	a->call = c;
	a->title = arena_str(&c->arena, title ? str_c(title) : i->name);
	a->fetch = (struct fetch_call){ .purpose = "acme",
		.method = "GET",
		.url = arena_str(&c->arena, i->directory),
		.trust = i->trust,
		.timeout = 10 * SECOND,
		.done = answered };
	call_keep(c, &a->part, let_go);
	fetch_start(portal.fetch, &a->fetch);
}

static void get_limits(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	if (!find(c))
		return;
	call_object(c, &w);
	if (!renew_limits(portal_renewals, c->item, call_query(c, "name"), &w, &err)) {
		call_fail(c, &err);
		return;
	}
	json_write_end(&w);
	call_answer(c, 200);
}

/* What clients must trust so that they trust the certificates of our own authority. */
static bool has_roots(struct call *c)
{
	const struct config_issuer *i = find(c);
	struct err err = ERR_INIT;
	if (!i || !i->directory.n)
		return i;
	err_set(&err, ERR_NOT_FOUND,
	        "The root of %.*s is the CA's: Everseal keeps those of its own authority, "
	        "`internal`, only.",
	        STR_ARG(i->name));
	call_fail(c, &err);
	return false;
}

static void get_roots(struct call *c)
{
	struct json_writer w;
	if (!has_roots(c))
		return;
	call_object(c, &w);
	internal_roots_write(portal.store, &w, "roots");
	json_write_end(&w);
	call_answer(c, 200);
}

static void export_roots(struct call *c)
{
	if (!has_roots(c))
		return;
	internal_roots_pem(portal.store, &c->answer);
	call_answer_file(c, "application/x-pem-file", "everseal-roots.pem");
}

/* ---- changes of the account ---- */

struct changing {
	struct call_part part;
	struct account_call account;
	struct call *call;
};

static void change_let_go(struct call_part *p)
{
	account_abort(&OWNER(p, struct changing, part)->account);
}

static void changed(struct account_call *a, const struct err *err)
{
	struct changing *g = OWNER(a, struct changing, account);
	if (err)
		call_fail(g->call, err);
	else
		call_done(g->call);
}

/* What is told to the CA happens, whether or not somebody waits for it. */
static struct changing *change_begin(struct call *c, const char *what)
{
	const struct config_issuer *i = find(c);
	struct err err = ERR_INIT;
	if (!i)
		return NULL;
	if (!i->directory.n) {
		err_set(&err, ERR_NOT_FOUND,
		        "%.*s is Everseal's own authority: it has no accounts.", STR_ARG(i->name));
		call_fail(c, &err);
		return NULL;
	}
	struct changing *g = arena_new(&c->arena, struct changing);
	g->call = c;
	audit_add(c, what, i->name, STR_NONE, STR_NONE);
	call_keep(c, &g->part, change_let_go);
	return g;
}

static void post_rollover(struct call *c)
{
	struct changing *g = change_begin(c, "Another account key wanted");
	if (g)
		account_rollover(portal.issuers, c->item, &g->account, changed);
}

static void post_deactivate(struct call *c)
{
	struct changing *g = change_begin(c, "End of the account wanted");
	if (g)
		account_deactivate(portal.issuers, c->item, &g->account, changed);
}

static void post_contact(struct call *c)
{
	static const struct call_member members[] = { { NULL, "email", MEMBER_TEXT }, { 0 } };
	struct err err = ERR_INIT;
	struct str email;
	if (!call_members_fit(c, members) || !find(c))
		return;
	if (!email_read(json_text(c->json, "email"), &email, &err)) {
		call_fail_field(c, &err, "email", STR_NONE);
		return;
	}
	struct changing *g = change_begin(c, "Another account contact wanted");
	if (g)
		account_contact(portal.issuers, c->item, email, &g->account, changed);
}

const struct route issuer_routes[] = {
	{ "GET", "/api/issuers", SCOPE_READ, get_issuers },
	{ "GET", "/api/issuers/*/directory", SCOPE_OPERATE, get_directory },
	{ "GET", "/api/issuers/*/limits", SCOPE_READ, get_limits },
	{ "GET", "/api/issuers/*/roots", SCOPE_READ, get_roots },
	{ "GET", "/api/issuers/*/roots/export", SCOPE_READ, export_roots },
	{ "POST", "/api/issuers/*/contact", SCOPE_ADMINISTER, post_contact },
	{ "POST", "/api/issuers/*/deactivate", SCOPE_ADMINISTER, post_deactivate },
	{ "POST", "/api/issuers/*/rollover", SCOPE_ADMINISTER, post_rollover },
	{ 0 },
};
