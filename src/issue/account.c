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
	/* Both keys are kept until the CA has said which one it knows. */
	bool in_doubt;
	unsigned rounds;        /* that it was asked in, and did not say */
	int64_t asked, allowed; /* mono: the end of the last one; the CA wants peace until */
	struct timer again;     /* runs between the rounds */
};

static void change_free(struct account_change *c)
{
	attempt_abort(&c->attempt);
	store_tx_abort(&c->tx);
	later_stop(&c->later);
	timer_stop(&c->again);
	list_remove(&c->node);
	issuer_unref(&c->issuer);
	key_free(&c->key);
	free(c->id);
	free(c);
}

static void tell(struct account_call *call, const struct err *err)
{
	if (!call)
		return;
	call->change = NULL;
	call->done(call, err->code ? err : NULL);
}

static void end(struct account_change *c)
{
	struct account_call *call = c->call;
	const struct err err = c->err;
	change_free(c);
	tell(call, &err);
}

static void end_later(struct later *l)
{
	end(OWNER(l, struct account_change, later));
}

/* ---- it is not known which key the account has ---- */

static void ask_again(struct timer *t);

static int64_t next_round(const struct account_change *c)
{
	static const int64_t waits[] = { MINUTE, 10 * MINUTE, 100 * MINUTE, DAY };
	const size_t last = sizeof waits / sizeof *waits - 1;
	const int64_t wait = waits[c->rounds < last ? c->rounds : last];
	return c->asked + wait > c->allowed ? wait : c->allowed - c->asked;
}

static void say_doubt(struct account_change *c, const struct err *why)
{
	const struct str words = err_message(why);
	c->in_doubt = true;
	err_set(&c->err, why->code,
	        "It is not known whether the account at %s has its next key: %.*s Both keys are "
	        "kept, and nothing is ordered there meanwhile." ERR_REMEDY
	        "Nothing to do: the CA is asked again which of them it knows. `everseal issuer "
	        "rollover %s` asks at once.",
	        c->issuer->name, STR_ARG(words), c->issuer->name);
}

/* Who waits is told; the stored flow and its key stay. not_before: wall ms, or 0. */
static void leave_in_doubt(struct account_change *c, const struct err *why, int64_t not_before)
{
	struct loop *loop = c->issuers->needs.loop;
	const struct err cause = *why;
	struct account_call *call = c->call;
	key_free(&c->key);
	c->call = NULL;
	c->asked = loop_mono(loop);
	c->allowed = not_before ? c->asked + not_before - loop_wall(loop) : 0;
	say_doubt(c, &cause);
	log_error(c->issuers->needs.log, "%s", c->err.text);
	timer_start(&c->again, loop, next_round(c), ask_again);
	c->rounds++;
	issuer_hold(c->issuer, false);
	const struct err err = c->err;
	tell(call, &err);
}

static struct account_change *find_change(const struct issuers *i, const char *name);

/* With the row as it is now. */
static void ask_which(struct account_change *c)
{
	struct issuer *r = issuer_find(c->issuers, str_c(c->issuer->name));
	struct err err = ERR_INIT;
	timer_stop(&c->again);
	if (!r) { /* what is stored stays, until there is one of that name again */
		end(c);
		return;
	}
	issuer_unref(&c->issuer);
	c->issuer = issuer_ref(r);
	if (!attempt_resume(c->issuers, &c->attempt, str_c(c->id), &err))
		leave_in_doubt(c, &err, /* not_before= */ 0);
}

static void ask_again(struct timer *t)
{
	ask_which(OWNER(t, struct account_change, again));
}

const struct err *account_doubt(const struct issuer *r)
{
	const struct account_change *c = find_change(r->issuers, r->name);
	return c && c->in_doubt ? &c->err : NULL;
}

void account_write_doubt(struct issuers *i, struct str issuer, struct json_writer *w)
{
	const struct issuer *r = issuer_find(i, issuer);
	const struct err *why = r ? account_doubt(r) : NULL;
	json_write_c(w, "account_doubt", why ? why->text : NULL);
}

bool account_settle(struct issuer *r)
{
	struct account_change *c = find_change(r->issuers, r->name);
	const int64_t now = loop_mono(r->issuers->needs.loop);
	if (issuer_find(r->issuers, str_c(r->name)) != r)
		return false;
	if (timer_active(&c->again) && now - c->asked >= MINUTE && now >= c->allowed)
		ask_which(c);
	return !timer_active(&c->again) && c->issuer == r;
}

/* The key counts once it is stored; until then no attempt begins. */
static void stored(struct store_tx *tx, const struct err *err)
{
	struct account_change *c = OWNER(tx, struct account_change, tx);
	const struct log *log = c->issuers->needs.log;
	if (err && c->key && c->what == CHANGE_rollover) {
		leave_in_doubt(c, err, /* not_before= */ 0);
		return;
	}
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
	if (failed && flow->in_doubt) {
		leave_in_doubt(c, &failed->err, failed->not_before);
		return;
	}
	store_tx_init(&c->tx);
	c->err = failed ? failed->err : (struct err)ERR_INIT;
	if (!failed && !put_change(c, flow) && c->what == CHANGE_rollover) {
		leave_in_doubt(c, &c->err, /* not_before= */ 0);
		return;
	}
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
static struct account_change *find_change(const struct issuers *i, const char *name)
{
	LIST_EACH (n, &i->changes)
		if (!strcmp(OWNER(n, struct account_change, node)->issuer->name, name))
			return OWNER(n, struct account_change, node);
	return NULL;
}

static void wait_for(struct account_change *c, struct account_call *call)
{
	c->call = call;
	call->change = c;
}

/* It is between two rounds, and nobody waits for the next. */
static bool may_ask_again(const struct account_change *c)
{
	return timer_active(&c->again) && !c->call;
}

static void start(struct issuers *i, const struct attempt_want *want, struct account_call *call,
        void (*done_)(struct account_call *c, const struct err *err))
{
	struct issuer *r = issuer_find(i, want->issuer);
	CHECK(r && r->directory_url[0]);
	struct account_change *busy = find_change(i, r->name);
	call->done = done_;
	if (busy && want->change == CHANGE_rollover && may_ask_again(busy)) {
		wait_for(busy, call);
		timer_start(&busy->again, i->needs.loop, 0, ask_again);
		return;
	}
	struct account_change *c = change_new(r, want->change);
	wait_for(c, call);
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

static void resumed(struct account_change *c)
{
	const struct flow *flow = attempt_flow(&c->attempt);
	struct err why = ERR_INIT;
	c->what = flow->change;
	err_set(&why, ERR_BUSY,
	        "The CA is being asked which key it knows." ERR_REMEDY "Wait for its answer.");
	if (flow->in_doubt)
		say_doubt(c, &why);
}

void account_changes_resume(struct issuers *i)
{
	MAP_EACH (n, &i->by_name) {
		struct issuer *r = OWNER(n, struct issuer, node);
		struct err err = ERR_INIT;
		if (find_change(i, r->name) || !r->directory_url[0])
			continue;
		struct account_change *c = change_new(r, CHANGE_none);
		if (attempt_resume(i, &c->attempt, str_c(c->id), &err))
			resumed(c);
		else
			change_free(c);
	}
}

void account_changes_end(struct issuers *i)
{
	LIST_EACH (n, &i->changes)
		change_free(OWNER(n, struct account_change, node));
}
