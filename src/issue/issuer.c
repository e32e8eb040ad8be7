#include "issue/issuer.h"

enum { DIRECTORY_FRESH = HOUR };

/* Account keys */

static int64_t stored_version(struct issuers *i, struct str kind, struct str id)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err err = ERR_INIT;
	return store_get(i->needs.store, &a, kind, id, &r, &err) ? r.version : 0;
}

/* Let's Encrypt and its staging share an account key until one of them changes its own; every other
 * issuer has its own. */
static struct str key_id(const struct issuer *r)
{
	struct str url = str_c(r->directory_url);
	if (stored_version(r->issuers, STR("account-key"), url))
		return url;
	bool lets_encrypt = str_starts(url, STR("https://acme-v02.api.letsencrypt.org/")) ||
	                    str_starts(url, STR("https://acme-staging-v02.api.letsencrypt.org/"));
	return lets_encrypt ? STR("letsencrypt") : url;
}

static void tell_calls(struct account_key *k)
{
	while (!list_empty(&k->calls)) {
		struct issuer_key_call *call =
		        OWNER(list_first(&k->calls), struct issuer_key_call, node);
		list_remove(&call->node);
		call->done(call, k->key, k->key ? NULL : &k->err);
	}
}

static void tell_later(struct later *l)
{
	tell_calls(OWNER(l, struct account_key, later));
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct account_key *k = OWNER(tx, struct account_key, tx);
	if (err) {
		k->err = *err;
		key_free(&k->storing);
	} else {
		k->key = k->storing;
		k->storing = NULL;
	}
	tell_calls(k);
}

/* The key is stored before the account is asked for. */
static bool make_key(struct account_key *k, struct err *err)
{
	struct issuers *i = k->issuers;
	struct str kind = STR("account-key"), id = str_c(k->id);
	k->storing = key_new(KEY_P256, err);
	if (!k->storing)
		return false;
	SECRET_AUTO der = key_to_der(k->storing);
	BUF_AUTO blob = BUF(4096);
	seal(i->needs.master, (struct seal_for){ kind, id, 1 }, &der, &blob);
	store_tx_put(&k->tx, kind, id, 0, STR("{}"), buf_str(&blob));
	store_tx_start(i->needs.store, &k->tx, stored);
	return true;
}

/* An account key that is there but cannot be read is an error: never a new account. */
static bool load_key(struct account_key *k, struct err *err)
{
	struct issuers *i = k->issuers;
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	BUF_AUTO what = BUF(512);
	if (!store_get(i->needs.store, &a, STR("account-key"), str_c(k->id), &r, err))
		return false;
	SECRET_AUTO der = SECRET_NONE;
	buf_printf(&what, "The account key for %s", k->id);
	if (!unseal(i->needs.master, (struct seal_for){ r.kind, r.id, r.version }, buf_c(&what),
	            r.blob, &der, err))
		return false;
	KEY_AUTO *key = key_from_der(secret_bytes(&der), buf_c(&what), err);
	enum key_type type;
	if (!key)
		return false;
	if (!key_type_of(key, &type) || type != KEY_P256)
		return err_set(err, ERR_CORRUPT,
		        "%s is not an ECDSA P-256 key." ERR_REMEDY "Restore a backup.",
		        buf_c(&what));
	k->key = key;
	key = NULL;
	return true;
}

static struct account_key *account_key(struct issuers *i, struct str id)
{
	struct map_node *n = map_find(&i->keys, id);
	if (n)
		return OWNER(n, struct account_key, node);
	struct account_key *k = mem_new(struct account_key);
	k->id = str_dup(id);
	k->issuers = i;
	list_init(&k->calls);
	map_add(&i->keys, str_c(k->id), &k->node);
	return k;
}

static void key_call(struct account_key *k, struct issuer_key_call *call)
{
	list_add_last(&k->calls, &call->node);
	if (k->storing)
		return;
	k->err = (struct err)ERR_INIT;
	bool known = k->key || load_key(k, &k->err);
	if (!known && k->err.code == ERR_NOT_FOUND && make_key(k, &k->err))
		return;
	later_start(&k->later, k->issuers->needs.loop, tell_later);
}

void issuer_key(struct issuers *i, struct str name, struct issuer_key_call *call,
        void (*done)(struct issuer_key_call *c, const struct key *key, const struct err *err))
{
	struct issuer *r = issuer_find(i, name);
	CHECK(r);
	call->done = done;
	key_call(account_key(i, key_id(r)), call);
}

void issuer_key_abort(struct issuer_key_call *call)
{
	list_remove(&call->node);
}

void issuer_put_key(struct issuer *r, const struct secret *der, struct store_tx *tx)
{
	struct str kind = STR("account-key"), id = str_c(r->directory_url);
	const int64_t version = stored_version(r->issuers, kind, id);
	BUF_AUTO blob = BUF(4096);
	seal(r->issuers->needs.master, (struct seal_for){ kind, id, version + 1 }, der, &blob);
	store_tx_put(tx, kind, id, version, STR("{}"), buf_str(&blob));
}

void issuer_take_key(struct issuer *r, struct key *key)
{
	struct account_key *k = account_key(r->issuers, str_c(r->directory_url));
	key_free(&k->key);
	k->key = key;
}

void issuer_forget_account(struct issuer *r)
{
	free(r->account);
	r->account = NULL;
}

static void account_key_free(struct account_key *k)
{
	LIST_EACH (n, &k->calls)
		list_remove(n);
	store_tx_abort(&k->tx);
	later_stop(&k->later);
	key_free(&k->key);
	key_free(&k->storing);
	free(k->id);
	free(k);
}

/* Issuers */

struct issuers *issuers_new(const struct issue_needs *needs)
{
	struct issuers *i = mem_new(struct issuers);
	struct err err = ERR_INIT;
	i->needs = *needs;
	i->limits = limits_new(needs->loop, needs->store, needs->log);
	i->maker = key_maker_new(needs->loop);
	list_init(&i->changes);
	if (!limits_load(i->limits, &err))
		log_warning(needs->log, "What was ordered before is not counted: %s", err.text);
	return i;
}

struct limits *issuers_limits(const struct issuers *i)
{
	return i->limits;
}

bool issuers_has_account(struct issuers *i, struct str issuer)
{
	const struct issuer *r = issuer_find(i, issuer);
	return r && r->account;
}

void issuers_free(struct issuers **issuers)
{
	struct issuers *i = *issuers;
	if (!i)
		return;
	account_changes_end(i);
	issuers_set(i, NULL, 0);
	MAP_EACH (n, &i->keys) {
		map_remove(&i->keys, n);
		account_key_free(OWNER(n, struct account_key, node));
	}
	map_done(&i->keys);
	map_done(&i->by_name);
	limits_free(&i->limits);
	key_maker_free(&i->maker);
	free(i);
	*issuers = NULL;
}

struct issuer *issuer_find(struct issuers *i, struct str name)
{
	struct map_node *n = map_find(&i->by_name, name);
	return n ? OWNER(n, struct issuer, node) : NULL;
}

struct issuer *issuer_ref(struct issuer *r)
{
	r->refs++;
	return r;
}

void issuer_unref(struct issuer **issuer)
{
	struct issuer *r = *issuer;
	*issuer = NULL;
	if (!r || --r->refs)
		return;
	store_tx_abort(&r->tx);
	arena_done(&r->arena);
	free(r->account);
	free(r->terms);
	free(r->name);
	free(r->directory_url);
	free(r->trust);
	free(r->eab_kid);
	secret_done(&r->eab_hmac);
	free(r);
}

/* The account that was stored when it was made. */
static void read_account(struct issuer *r)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	if (!store_get(r->issuers->needs.store, &a, STR("account"), str_c(r->directory_url),
	            &record, &err))
		return;
	JSON_AUTO *json = json_parse(record.value, "The stored account", &err);
	struct str url = json_text(json, "url");
	if (!url.n)
		return;
	r->account = str_dup(url);
	r->terms = str_dup(json_text(json, "terms"));
}

static void add_issuer(struct issuers *i, const struct issuer_row *row)
{
	struct issuer *r = mem_new(struct issuer);
	r->issuers = i;
	r->refs = 1;
	r->name = str_dup(row->name);
	r->directory_url = str_dup(row->directory);
	r->trust = str_dup(row->trust);
	r->eab_kid = str_dup(row->eab_kid);
	r->eab_hmac = secret_copy(row->eab_hmac);
	r->http_port = row->http_port;
	r->https_port = row->https_port;
	read_account(r);
	list_init(&r->followers);
	map_add(&i->by_name, str_c(r->name), &r->node);
}

static bool same(const struct issuer *r, const struct issuer_row *row)
{
	return str_eq_c(row->directory, r->directory_url) && str_eq_c(row->trust, r->trust) &&
	       str_eq_c(row->eab_kid, r->eab_kid) && secret_eq(&r->eab_hmac, row->eab_hmac) &&
	       row->http_port == r->http_port && row->https_port == r->https_port;
}

static const struct issuer_row *row_of(
        const struct issuer *r, const struct issuer_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq_c(rows[i].name, r->name) && same(r, &rows[i]))
			return &rows[i];
	return NULL;
}

void issuers_set(struct issuers *i, const struct issuer_row *rows, size_t count)
{
	MAP_EACH (n, &i->by_name) {
		struct issuer *r = OWNER(n, struct issuer, node);
		if (row_of(r, rows, count))
			continue;
		map_remove(&i->by_name, n);
		issuer_unref(&r);
	}
	for (size_t k = 0; k < count; k++)
		if (!issuer_find(i, rows[k].name))
			add_issuer(i, &rows[k]);
	account_changes_resume(i);
}

const struct acme_directory *issuer_directory(const struct issuer *r)
{
	bool fresh = r->directory_at &&
	             loop_mono(r->issuers->needs.loop) - r->directory_at < DIRECTORY_FRESH;
	return fresh ? &r->directory : NULL;
}

void issuers_watch_time(struct issuers *i, struct issuers_time *watch)
{
	i->times = watch;
}

int64_t issuer_now(const struct issuer *r)
{
	const struct issuers *i = r->issuers;
	return loop_wall(i->needs.loop) + (i->times ? i->times->offset : 0);
}

void issuer_heard_time(struct issuer *r, const struct fetch_reply *reply)
{
	struct issuers_time *times = r->issuers->times;
	int64_t ca_says;
	if (times && clock_from_http_date(fetch_header(reply, "date", 0), &ca_says))
		times->heard(times, ca_says);
}

void issuer_keep_directory(struct issuer *r, const struct acme_directory *d)
{
	arena_clear(&r->arena);
	r->directory = acme_directory_copy(&r->arena, d);
	r->directory_at = loop_mono(r->issuers->needs.loop);
}

static void account_stored(struct store_tx *tx, const struct err *err)
{
	struct issuer *r = OWNER(tx, struct issuer, tx);
	if (err)
		log_warning(r->issuers->needs.log,
		        "The account's URL could not be stored, it is asked "
		        "for again at the next start: %s",
		        err->text);
}

/* email NULL: as before. */
static void store_account(struct issuer *r, const struct str *email)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO value = BUF(16 << 10);
	struct record old = { 0 };
	struct err err = ERR_INIT;
	struct json_writer w;
	struct str id = str_c(r->directory_url);
	const bool is = store_get(r->issuers->needs.store, &a, STR("account"), id, &old, &err);
	JSON_AUTO *before = is ? json_parse(old.value, "The stored account", &err) : NULL;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_c(&w, "url", r->account);
	json_write_text(&w, "email", email ? *email : json_text(before, "email"));
	json_write_c(&w, "terms", r->terms);
	json_write_end(&w);
	store_tx_abort(&r->tx);
	store_tx_put(&r->tx, STR("account"), id, old.version, buf_str(&value), STR_NONE);
	store_tx_start(r->issuers->needs.store, &r->tx, account_stored);
}

void issuer_forget_directory(struct issuer *r)
{
	r->directory_at = 0;
}

void issuer_learn(struct issuer *r, const struct flow *f)
{
	if (f->step == ACME_STEP_directory && f->directory.new_order.n)
		issuer_keep_directory(r, &f->directory);
	if (!f->account.n || (r->account && str_eq_c(f->account, r->account)))
		return;
	free(r->account);
	free(r->terms);
	r->account = str_dup(f->account);
	r->terms = str_dup(f->directory.terms);
	log_info(r->issuers->needs.log, "The account at %s is %s.", r->name, r->account);
	store_account(r, &f->email);
}

static bool has_other_terms(const struct issuer *r)
{
	const struct str now = r->directory.terms;
	return now.n && r->account && r->terms && *r->terms && !str_eq_c(now, r->terms);
}

bool issuers_terms(
        const struct issuers *i, struct str issuer, bool *ret_changed, struct err *ret_how)
{
	const struct map_node *n = map_find(&i->by_name, issuer);
	const struct issuer *r = n ? OWNER(n, const struct issuer, node) : NULL;
	if (!r || !r->directory.new_order.n)
		return false;
	*ret_changed = has_other_terms(r);
	if (*ret_changed)
		err_set(ret_how, ERR_CONFLICT,
		        "The terms of service of %.*s are now those at %.*s; those at %s were "
		        "accepted." ERR_REMEDY
		        "Read them, and accept them by registering a name again: `everseal "
		        "lets-encrypt register --name NAME --agree-tos`.",
		        STR_ARG(acme_ca_name(str_c(r->directory_url))), STR_ARG(r->directory.terms),
		        r->terms);
	return true;
}

void issuers_accept_terms(struct issuers *i, struct str issuer)
{
	struct issuer *r = issuer_find(i, issuer);
	if (!r || !has_other_terms(r))
		return;
	free(r->terms);
	r->terms = str_dup(r->directory.terms);
	store_account(r, NULL);
}

bool issuers_describe(struct issuers *i, struct str name, struct json_writer *w)
{
	const struct issuer *r = issuer_find(i, name);
	if (!r || !r->directory.new_order.n)
		return false;
	const struct acme_directory *d = &r->directory;
	json_write_text(w, "terms", d->terms);
	json_write_text(w, "website", d->website);
	json_write_bool(w, "eab_required", d->external_account_required);
	json_write_array(w, "profiles");
	for (size_t k = 0; k < d->profile_count; k++) {
		json_write_object(w, NULL);
		json_write_text(w, "name", d->profiles[k].name);
		json_write_text(w, "text", d->profiles[k].text);
		json_write_end(w);
	}
	json_write_end(w);
	return true;
}
