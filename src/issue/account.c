#include "issue/account.h"
#include "issue/issuer.h"

struct account_change {
	struct list node; /* in issuers->changes */
	struct issuers *issuers;
	struct issuer *issuer;
	struct attempt attempt;
	struct account_call *call; /* NULL: nobody waits for it */
	enum acme_change what;
	char *id;
	struct key *key; /* the account's from now on; NULL: as it was */
	struct store_tx tx;
	struct later later;
	struct err err;
};

static void change_free(struct account_change *c)
{
	attempt_abort(&c->attempt);
	store_tx_abort(&c->tx);
	later_stop(&c->later);
	list_remove(&c->node);
	issuer_unref(&c->issuer);
	key_free(&c->key);
	free(c->id);
	free(c);
}

static void end(struct account_change *c)
{
	struct account_call *call = c->call;
	const struct err err = c->err;
	change_free(c);
	if (!call)
		return;
	call->change = NULL;
	call->done(call, err.code ? &err : NULL);
}

static void end_later(struct later *l)
{
	end(OWNER(l, struct account_change, later));
}

/* The key counts once it is stored; until then no attempt begins. */
static void stored(struct store_tx *tx, const struct err *err)
{
	struct account_change *c = OWNER(tx, struct account_change, tx);
	const struct log *log = c->issuers->needs.log;
	if (err)
		c->err = *err;
	if (!c->err.code && c->key) {
		issuer_take_key(c->issuer, c->key);
		c->key = NULL;
	}
	if (!c->err.code && c->what == CHANGE_deactivate)
		issuer_forget_account(c->issuer);
	issuer_hold(c->issuer, false);
	if (!c->err.code && c->what != CHANGE_contact && c->issuers->needs.rekeyed)
		c->issuers->needs.rekeyed->tell(c->issuers->needs.rekeyed);
	if (c->err.code)
		log_error(
		        log, "The account at %s was not changed: %s", c->issuer->name, c->err.text);
	else
		log_info(log, "The account at %s: %s.", c->issuer->name,
		        c->what == CHANGE_rollover  ? "it has another key"
		        : c->what == CHANGE_contact ? "it has another contact"
		                                    : "it is deactivated");
	end(c);
}

static int64_t read_account(
        struct account_change *c, struct arena *a, struct record *ret, struct err *err)
{
	const struct str id = str_c(c->issuer->directory_url);
	return store_get(c->issuers->needs.store, a, STR("account"), id, ret, err) ? ret->version
	                                                                           : 0;
}

/* The record of the account, as the page shows it. */
static void put_contact(struct account_change *c, const struct flow *flow)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO value = BUF(16 << 10);
	struct record r;
	struct json_writer w;
	struct err err = ERR_INIT;
	const int64_t version = read_account(c, &a, &r, &err);
	JSON_AUTO *before = version ? json_parse(r.value, "The stored account", &err) : NULL;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_text(&w, "url", flow->account);
	json_write_text(&w, "email", flow->email);
	json_write_text(&w, "terms", json_text(before, "terms"));
	json_write_end(&w);
	store_tx_put(&c->tx, STR("account"), str_c(c->issuer->directory_url), version,
	        buf_str(&value), STR_NONE);
}

/* An account key cannot be used again after the account's end: another one is stored at once. */
static bool put_end(struct account_change *c, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err none = ERR_INIT;
	const int64_t version = read_account(c, &a, &r, &none);
	if (version)
		store_tx_delete(&c->tx, STR("account"), str_c(c->issuer->directory_url), version);
	c->key = key_new(KEY_P256, err);
	if (!c->key)
		return false;
	SECRET_AUTO der = key_to_der(c->key);
	issuer_put_key(c->issuer, &der, &c->tx);
	return true;
}

static bool put_next_key(struct account_change *c, struct err *err)
{
	const struct secret *der = attempt_key(&c->attempt);
	c->key = key_from_der(secret_bytes(der), "The account's next key", err);
	if (c->key)
		issuer_put_key(c->issuer, der, &c->tx);
	return c->key;
}

static bool put_change(struct account_change *c, const struct flow *flow)
{
	if (c->what == CHANGE_rollover)
		return put_next_key(c, &c->err);
	if (c->what == CHANGE_deactivate)
		return put_end(c, &c->err);
	put_contact(c, flow);
	return true;
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct account_change *c = OWNER(a, struct account_change, attempt);
	(void)issued;
	store_tx_init(&c->tx);
	if (failed)
		c->err = failed->err;
	else
		put_change(c, flow);
	issuer_hold(c->issuer, true);
	attempt_clear(a, &c->tx);
	store_tx_start(c->issuers->needs.store, &c->tx, stored);
}

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	(void)a;
	(void)flow;
	(void)next;
}

static void follows(struct attempt *a)
{
	(void)a;
}

static struct account_change *change_new(struct issuer *r, enum acme_change what)
{
	struct account_change *c = mem_new(struct account_change);
	BUF_AUTO id = BUF(256);
	c->issuers = r->issuers;
	c->issuer = issuer_ref(r);
	c->what = what;
	c->attempt = (struct attempt){
		.moved = moved, .done = done, .follows = follows, .may_go_on = attempt_go_on
	};
	buf_printf(&id, "account/%s", r->name);
	c->id = str_dup(buf_str(&id));
	list_add_last(&r->issuers->changes, &c->node);
	return c;
}

/* By name: the row may have been replaced meanwhile. */
static bool under_way(const struct issuers *i, const struct issuer *r)
{
	LIST_EACH (n, &i->changes)
		if (!strcmp(OWNER(n, struct account_change, node)->issuer->name, r->name))
			return true;
	return false;
}

static void start(struct issuers *i, const struct attempt_want *want, struct account_call *call,
        void (*done_)(struct account_call *c, const struct err *err))
{
	struct issuer *r = issuer_find(i, want->issuer);
	CHECK(r && r->directory_url[0]);
	const bool busy = under_way(i, r);
	struct account_change *c = change_new(r, want->change);
	c->call = call;
	call->change = c;
	call->done = done_;
	if (busy) {
		err_set(&c->err, ERR_BUSY,
		        "The account at %s is being changed already." ERR_REMEDY
		        "Wait until that is over.",
		        r->name);
		later_start(&c->later, i->needs.loop, end_later);
		return;
	}
	struct attempt_want whole = *want;
	whole.id = str_c(c->id);
	attempt_start(i, &c->attempt, &whole);
}

void account_rollover(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done_)(struct account_call *c, const struct err *err))
{
	start(i, &(struct attempt_want){ .issuer = issuer, .change = CHANGE_rollover }, c, done_);
}

void account_contact(struct issuers *i, struct str issuer, struct str email, struct account_call *c,
        void (*done_)(struct account_call *c, const struct err *err))
{
	const struct attempt_want want = {
		.issuer = issuer, .email = email, .change = CHANGE_contact
	};
	start(i, &want, c, done_);
}

void account_deactivate(struct issuers *i, struct str issuer, struct account_call *c,
        void (*done_)(struct account_call *c, const struct err *err))
{
	start(i, &(struct attempt_want){ .issuer = issuer, .change = CHANGE_deactivate }, c, done_);
}

void account_abort(struct account_call *c)
{
	if (c->change)
		c->change->call = NULL;
	c->change = NULL;
}

void account_changes_resume(struct issuers *i)
{
	MAP_EACH (n, &i->by_name) {
		struct issuer *r = OWNER(n, struct issuer, node);
		struct err err = ERR_INIT;
		if (under_way(i, r) || !r->directory_url[0])
			continue;
		struct account_change *c = change_new(r, CHANGE_none);
		if (attempt_resume(i, &c->attempt, str_c(c->id), &err))
			c->what = attempt_flow(&c->attempt)->change;
		else
			change_free(c);
	}
}

void account_changes_end(struct issuers *i)
{
	LIST_EACH (n, &i->changes)
		change_free(OWNER(n, struct account_change, node));
}
