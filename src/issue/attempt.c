/* The driver: executes what the flow's steps ask for, saves the flow before each send. */
#include "issue/cost.h"
#include "issue/internal.h"
#include "issue/issuer.h"

enum { JWS_MOST = 128 << 10 };
/* A clock set to local time is wrong by hours, and its visitors' clocks are right. */
#define EARLY_MOST DAY

/* A name's proof, where the CA looks for it. */
struct place {
	struct proving proving;
	struct attempt_state *state;
};

struct attempt_state {
	struct attempt *attempt;
	struct issuer *issuer;
	char *id;
	struct flow *flow;
	const struct key *account_key;
	enum key_type key_type;
	struct key *key; /* the certificate's */
	struct secret key_der;
	bool key_unsaved;
	int64_t flow_version, key_version; /* in the store; 0: not there */
	struct issuer_key_call key_call;
	struct key_making making;
	struct fetch_call call;
	struct store_tx tx;
	struct timer wait;
	struct later later;
	struct list following; /* in issuer->followers */
	bool under_way;        /* counted by the issuer */
	int64_t after;         /* ms from now on until the next ask */
	char thumbprint[JWK_THUMBPRINT + 1];
	struct place *places; /* one per name */
	size_t places_missing;
	struct internal_call internal; /* instead of a flow: `issuer internal` */
	struct arena names;            /* of that */
	struct next failed;
	struct cost cost;
	bool *gone; /* set when it is freed while `done` runs */
};

static void ask(struct attempt_state *s);

static struct issue_needs *needs_of(struct attempt_state *s)
{
	return &s->issuer->issuers->needs;
}

/* Who finds out the account */

static void go_on_later(struct later *l)
{
	struct attempt *a = OWNER(l, struct attempt_state, later)->attempt;
	a->may_go_on(a);
}

/* All may go on once the account is known; else the next one finds it out. */
static void lead_next(struct issuer *r)
{
	r->leader = NULL;
	while (!r->leader && !list_empty(&r->followers)) {
		struct attempt_state *s =
		        OWNER(list_first(&r->followers), struct attempt_state, following);
		list_remove(&s->following);
		later_start(&s->later, r->issuers->needs.loop, go_on_later);
		if (!r->account)
			r->leader = s;
	}
}

static void stop_leading(struct attempt_state *s)
{
	if (s->issuer->leader == s)
		lead_next(s->issuer);
}

static void wake(struct attempt_state *s)
{
	if (!list_linked(&s->following))
		return;
	list_remove(&s->following);
	later_start(&s->later, needs_of(s)->loop, go_on_later);
}

static void wake_followers(struct issuer *r)
{
	LIST_EACH (n, &r->followers)
		if (!r->key_held)
			wake(OWNER(n, struct attempt_state, following));
}

void issuer_hold(struct issuer *r, bool hold)
{
	r->key_held = hold;
	wake_followers(r);
}

/* Who changes the account's key begins when nobody uses it; the others wait until it is over. */
static void leave(struct attempt_state *s)
{
	struct issuer *r = s->issuer;
	r->under_way -= s->under_way;
	s->under_way = false;
	if (r->changer == s) {
		r->changer = NULL;
		wake_followers(r);
	}
	if (r->changer && !r->under_way)
		wake(r->changer);
}

static bool changes_key(const struct attempt_state *s)
{
	const enum acme_change change = s->flow->change;
	return change == CHANGE_rollover || change == CHANGE_deactivate;
}

static bool must_follow(struct attempt_state *s)
{
	struct issuer *r = s->issuer;
	if (r->key_held)
		return true;
	if (!r->changer && changes_key(s))
		r->changer = s;
	if (r->changer)
		return r->changer != s || r->under_way;
	return !r->account && r->leader && r->leader != s;
}

/* Its end */

static void withdraw_proofs(struct attempt_state *s)
{
	for (size_t i = 0; s->places && i < s->flow->name_count; i++)
		prover_withdraw(&s->places[i].proving, s->flow->names[i].valid);
}

static void state_free(struct attempt_state *s)
{
	list_remove(&s->following);
	issuer_key_abort(&s->key_call);
	key_make_abort(&s->making);
	fetch_abort(&s->call);
	store_tx_abort(&s->tx);
	timer_stop(&s->wait);
	later_stop(&s->later);
	withdraw_proofs(s);
	internal_abort(&s->internal);
	arena_done(&s->names);
	cost_done(&s->cost);
	stop_leading(s);
	leave(s);
	if (s->gone)
		*s->gone = true;
	free(s->places);
	flow_free(&s->flow);
	key_free(&s->key);
	secret_done(&s->key_der);
	issuer_unref(&s->issuer);
	free(s->id);
	free(s);
}

void attempt_abort(struct attempt *a)
{
	if (!a->state)
		return;
	struct attempt_state *s = a->state;
	a->state = NULL;
	state_free(s);
}

const struct secret *attempt_key(const struct attempt *a)
{
	return &a->state->key_der;
}

const struct flow *attempt_flow(const struct attempt *a)
{
	return a->state->flow;
}

void attempt_clear(struct attempt *a, struct store_tx *tx)
{
	struct attempt_state *s = a->state;
	if (s->flow_version)
		store_tx_delete(tx, STR("flow"), str_c(s->id), s->flow_version);
	if (s->key_version)
		store_tx_delete(tx, STR("flow-key"), str_c(s->id), s->key_version);
}

/* It is read from an authorization that the CA could not prove control of a name. */
static bool proof_failed(const struct attempt_state *s, const struct next *n)
{
	return n->other_type ||
	       (n->what == FLOW_FAIL && !n->ca_at_fault && n->err.code == ERR_REFUSED &&
	               s->flow->step == ACME_STEP_authz);
}

static bool any_lapsed(const struct attempt_state *s)
{
	for (size_t i = 0; i < s->flow->name_count; i++)
		if (s->places[i].proving.lapsed)
			return true;
	return false;
}

static void finish(struct attempt_state *s, const struct issued *issued, const struct next *failed)
{
	struct attempt *a = s->attempt;
	bool gone = false;
	s->gone = &gone;
	if (failed && s->flow && proof_failed(s, failed) && any_lapsed(s))
		a->interrupted = true;
	a->done(a, s->flow, issued, failed);
	if (gone)
		return;
	s->gone = NULL;
	a->state = NULL;
	state_free(s);
}

static void fail(struct attempt_state *s, const struct err *err, bool ca_at_fault)
{
	s->failed = (struct next){ .what = FLOW_FAIL, .ca_at_fault = ca_at_fault, .err = *err };
	finish(s, NULL, &s->failed);
}

static void fail_later(struct later *l)
{
	struct attempt_state *s = OWNER(l, struct attempt_state, later);
	finish(s, NULL, &s->failed);
}

/* What the CA sent must be what was asked for, before it replaces anything. */
static bool check_leaf(struct attempt_state *s, const struct issued *issued, struct err *err)
{
	const struct cert *leaf = &issued->leaf;
	if (!key_fits(s->key, issued->chain[0]))
		return err_set(err, ERR_PROTOCOL,
		        "%s sent a certificate for another key." ERR_REMEDY "Ask the CA why.",
		        s->issuer->name);
	for (size_t i = 0; i < s->flow->name_count; i++)
		if (!cert_covers(leaf, s->flow->names[i].name))
			return err_set(err, ERR_PROTOCOL,
			        "%s sent a certificate that is not for %.*s." ERR_REMEDY
			        "It is tried again; if it comes back, ask the CA.",
			        s->issuer->name, STR_ARG(s->flow->names[i].name));
	if (leaf->not_after <= issuer_now(s->issuer))
		return err_set(err, ERR_PROTOCOL,
		        "%s sent a certificate that has expired already. Check "
		        "this machine's clock; if it is right, the CA is at fault.",
		        s->issuer->name);
	if (leaf->not_before > issuer_now(s->issuer) + EARLY_MOST)
		return err_set(err, ERR_PROTOCOL,
		        "%s sent a certificate that is not valid yet. Check "
		        "this machine's clock; if it is right, the CA is at fault.",
		        s->issuer->name);
	return true;
}

static void issued(struct attempt_state *s)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct str chain[CHAIN_MOST];
	struct issued out = { .chain = chain, .key = &s->key_der };
	if (!cert_chain_from_pem(&a, s->flow->chain, chain, &out.chain_count, &err) ||
	        !cert_read(&a, chain[0], &out.leaf, &err) || !check_leaf(s, &out, &err))
		fail(s, &err, /* ca_at_fault= */ true);
	else
		finish(s, &out, NULL);
}

/* Saving, then waiting, then asking */

static void waited(struct timer *t)
{
	ask(OWNER(t, struct attempt_state, wait));
}

static void saved(struct store_tx *tx, const struct err *err)
{
	struct attempt_state *s = OWNER(tx, struct attempt_state, tx);
	if (err) {
		fail(s, err, /* ca_at_fault= */ false);
		return;
	}
	s->flow_version++;
	s->key_version += s->key_unsaved;
	s->key_unsaved = false;
	timer_start(&s->wait, needs_of(s)->loop, s->after, waited);
}

/* The certificate's key is stored before finalize, with the flow that has its request. */
static void put_key(struct attempt_state *s)
{
	BUF_AUTO blob = BUF(16 << 10);
	struct str kind = STR("flow-key"), id = str_c(s->id);
	struct seal_for what = { kind, id, s->key_version + 1 };
	seal(needs_of(s)->master, what, &s->key_der, &blob);
	store_tx_put(&s->tx, kind, id, s->key_version, STR("{}"), buf_str(&blob));
}

static void save(struct attempt_state *s, int64_t after)
{
	BUF_AUTO flow = BUF(1 << 20), value = BUF(1 << 20);
	struct json_writer w;
	s->after = after;
	flow_save(s->flow, &flow);
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_c(&w, "issuer", s->issuer->name);
	json_write_c(&w, "key_type", key_type_name(s->key_type));
	json_write_raw(&w, "flow", buf_str(&flow));
	json_write_end(&w);
	if (s->key_unsaved)
		put_key(s);
	store_tx_put(&s->tx, STR("flow"), str_c(s->id), s->flow_version, buf_str(&value), STR_NONE);
	store_tx_start(needs_of(s)->store, &s->tx, saved);
}

/* Nobody answered the CA for a while: that says nothing of the type, and it begins anew. */
static void give_up(struct attempt_state *s, const struct next *n)
{
	struct next failed = *n;
	failed.what = FLOW_FAIL;
	stop_leading(s);
	finish(s, NULL, &failed);
}

/* Many wait for the same CA, and were told the same: they do not all come back in one instant. */
static int64_t spread(const struct attempt_state *s, const struct next *n)
{
	const int64_t noise = (int64_t)(hash_keyed(str_c(s->id)) & 0xffff);
	const bool is_long = n->what == FLOW_GO && n->ca_at_fault && n->after >= MINUTE;
	return is_long ? n->after + n->after * noise / (10 * 65536) : n->after;
}

static void heard(struct attempt_state *s, const struct next *said)
{
	struct next spread_out = *said, *n = &spread_out;
	n->after = spread(s, n);
	cost_heard(&s->cost, s->flow, n, proof_failed(s, n));
	if (n->other_type && any_lapsed(s)) {
		give_up(s, n);
		return;
	}
	if (n->other_type) {
		withdraw_proofs(s);
		s->places_missing = 0;
	}
	issuer_learn(s->issuer, s->flow);
	if (s->flow->account.n)
		stop_leading(s);
	flow_take(s->flow, n);
	if (n->other_type && !cost_allows_another(&s->cost, s->flow)) {
		fail(s, &n->err, /* ca_at_fault= */ false);
		return;
	}
	s->attempt->moved(s->attempt, s->flow, n);
	if (n->other_type || n->unplaced)
		log_warning(needs_of(s)->log, "%.*s %.*s", STR_ARG(s->flow->note),
		        STR_ARG(err_message(&n->err)));
	if (n->what == FLOW_FAIL && n->ca_at_fault)
		issuer_forget_directory(s->issuer);
	if (n->what == FLOW_GO)
		save(s, n->after);
	else if (n->what == FLOW_FAIL)
		finish(s, NULL, n);
	else if (s->flow->revoke.n || s->flow->change)
		finish(s, NULL, NULL);
	else
		issued(s);
}

/* Effects */

static void join_links(const struct fetch_reply *reply, struct buf *out)
{
	struct str link;
	for (unsigned i = 0; (link = fetch_header(reply, "link", i)).n; i++) {
		buf_add(out, link);
		buf_add_char(out, '\n');
	}
}

static void answered(
        struct fetch_call *call, const struct fetch_reply *reply, const struct err *err)
{
	struct attempt_state *s = OWNER(call, struct attempt_state, call);
	int64_t now = loop_wall(needs_of(s)->loop);
	BUF_AUTO links = BUF(64 << 10);
	struct acme_reply r = { .retry_after = -1, .now = now, .silence = err };
	if (reply) {
		issuer_heard_time(s->issuer, reply);
		r.status = reply->status;
		r.body = reply->body;
		r.nonce = fetch_header(reply, "replay-nonce", 0);
		r.location = fetch_header(reply, "location", 0);
		r.retry_after = fetch_retry_after(reply, now);
		join_links(reply, &links);
		r.links = buf_str(&links);
	}
	struct next n = flow_heard(s->flow, &r);
	heard(s, &n);
}

/* RFC 8555 6.2: signed by kid, or by jwk where the CA does not know the key yet. */
static bool sign(
        struct attempt_state *s, const struct acme_ask *a, struct buf *out, struct err *err)
{
	BUF_AUTO jwk = BUF(2048), header = BUF(16 << 10);
	const struct key *key = a->effect == ACME_POST_NEW ? s->key : s->account_key;
	key_jwk(key, &jwk);
	struct str kid = a->effect == ACME_POST ? s->flow->account : STR_NONE;
	acme_protected(&header,
	        &(struct acme_header){ key_algorithm(key), a->nonce, a->url, kid, buf_str(&jwk) });
	return key_jws(key, buf_str(&header), a->payload, out, err);
}

static void send(struct attempt_state *s, const struct acme_ask *a)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF(JWS_MOST), headers = BUF(1024);
	bool post = a->effect != ACME_HEAD && a->effect != ACME_GET;
	if (post && !sign(s, a, &body, &err)) {
		fail(s, &err, /* ca_at_fault= */ false);
		return;
	}
	if (post)
		buf_add_c(&headers, "content-type: application/jose+json\n");
	if (a->accept)
		buf_printf(&headers, "accept: %s\n", a->accept);
	s->call = (struct fetch_call){
		.purpose = "acme",
		.method = post                     ? "POST"
		          : a->effect == ACME_HEAD ? "HEAD"
		                                   : "GET",
		.url = a->url,
		.headers = buf_str(&headers),
		.body = buf_str(&body),
		.trust = str_c(s->issuer->trust),
		.done = answered,
	};
	fetch_start(needs_of(s)->fetch, &s->call);
}

static void did(struct attempt_state *s, const struct err *failed)
{
	struct next n = flow_did(s->flow, failed);
	heard(s, &n);
}

/* The proof of each name that is not in place yet */

/* What was placed beside it, or is being placed, is placed again with its next type. */
static void unplaced(struct attempt_state *s, size_t at, const struct err *err)
{
	const struct err why = *err;
	for (size_t i = 0; i < s->flow->name_count; i++)
		if (flow_name_to_place(&s->flow->names[i]))
			prover_withdraw(&s->places[i].proving, /* valid= */ false);
	s->places_missing = 0;
	struct next n = flow_unplaced(s->flow, at, &why);
	heard(s, &n);
}

static void place_ready(struct proving *proving, const struct err *err)
{
	const struct place *p = OWNER(proving, struct place, proving);
	struct attempt_state *s = p->state;
	if (err)
		unplaced(s, (size_t)(p - s->places), err);
	else if (--s->places_missing == 0)
		did(s, NULL);
}

static struct str name_of(const struct place *p)
{
	return p->state->flow->names[p - p->state->places].name;
}

static void place_seen(struct proving *proving, struct str client)
{
	const struct place *p = OWNER(proving, struct place, proving);
	struct attempt *a = p->state->attempt;
	if (a->fetched)
		a->fetched(a, name_of(p), client);
}

static void place_said(struct proving *proving, struct str words)
{
	const struct place *p = OWNER(proving, struct place, proving);
	struct attempt *a = p->state->attempt;
	if (a->waits)
		a->waits(a, name_of(p), words);
}

static void place(struct attempt_state *s, size_t i)
{
	const struct flow_name *name = &s->flow->names[i];
	struct place *p = &s->places[i];
	const struct proof_text text = { .type = name->type,
		.name = acme_without_wildcard(name->name),
		.token = name->token,
		.thumbprint = str_c(s->thumbprint),
		.account = s->flow->account };
	prover_withdraw(&p->proving, /* valid= */ false);
	p->state = s;
	p->proving.ready = place_ready;
	p->proving.seen = place_seen;
	p->proving.said = place_said;
	prover_place(needs_of(s)->provers[name->type], &p->proving, &text);
}

static void publish(struct attempt_state *s)
{
	const struct flow *f = s->flow;
	for (size_t i = 0; i < f->name_count; i++)
		s->places_missing += flow_name_to_place(&f->names[i]);
	for (size_t i = 0; i < f->name_count; i++)
		if (flow_name_to_place(&f->names[i]))
			place(s, i);
}

/* The certificate's key and its request */

static bool make_request(struct attempt_state *s, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	BUF_AUTO csr = BUF(64 << 10);
	if (!key_csr(s->key, flow_names(&a, s->flow), s->flow->name_count, &csr, err))
		return false;
	flow_set_csr(s->flow, buf_str(&csr));
	return true;
}

static void have_key(struct attempt_state *s)
{
	struct err err = ERR_INIT;
	const bool ok = make_request(s, &err);
	did(s, ok ? NULL : &err);
}

/* The key is not known outside until it is stored. */
static void take_key(struct attempt_state *s, struct key *key)
{
	s->key = key;
	s->key_der = key_to_der(key);
	s->key_unsaved = true;
}

static void made(struct key_making *making, struct key *key, const struct err *err)
{
	struct attempt_state *s = OWNER(making, struct attempt_state, making);
	if (!key) {
		did(s, err);
		return;
	}
	take_key(s, key);
	have_key(s);
}

static void ask_request(struct attempt_state *s)
{
	if (s->key)
		have_key(s);
	else
		key_make(s->issuer->issuers->maker, &s->making, s->key_type, made);
}

/* RFC 8555 7.3.4: the account's key, signed with the secret that the CA gave us. */
static bool bind_account(struct attempt_state *s, struct err *err)
{
	const struct issuer *r = s->issuer;
	BUF_AUTO jwk = BUF(1024), header = BUF(16 << 10), jws = BUF(32 << 10);
	struct buf secret = BUF_SECRET(64 << 10);
	key_jwk(s->account_key, &jwk);
	acme_binding_protected(&header, s->flow->directory.new_account, str_c(r->eab_kid));
	const bool ok = buf_decode_base64url(&secret, secret_bytes(&r->eab_hmac)) &&
	                key_jws_hmac(buf_str(&secret), buf_str(&header), buf_str(&jwk), &jws, err);
	buf_wipe(&secret);
	if (ok)
		flow_set_binding(s->flow, buf_str(&jws));
	return ok || err_set(err, ERR_INPUT, "The key of `eab` is not base64url: copy it again.");
}

static void ask_binding(struct attempt_state *s)
{
	struct err err = ERR_INIT;
	const bool ok = bind_account(s, &err);
	did(s, ok ? NULL : &err);
}

/* RFC 8555 7.3.5: the inner JWS, by the next key. */
static bool sign_inner(struct attempt_state *s, struct err *err)
{
	const struct str url = s->flow->directory.key_change;
	BUF_AUTO jwk = BUF(1024), old = BUF(1024), header = BUF(16 << 10), body = BUF(16 << 10);
	BUF_AUTO jws = BUF(64 << 10);
	struct json_writer w;
	key_jwk(s->key, &jwk);
	key_jwk(s->account_key, &old);
	acme_protected(&header,
	        &(struct acme_header){
	                .algorithm = key_algorithm(s->key), .url = url, .jwk = buf_str(&jwk) });
	json_write_init(&w, &body);
	json_write_object(&w, NULL);
	json_write_text(&w, "account", s->flow->account);
	json_write_raw(&w, "oldKey", buf_str(&old));
	json_write_end(&w);
	if (!key_jws(s->key, buf_str(&header), buf_str(&body), &jws, err))
		return false;
	flow_set_inner(s->flow, buf_str(&jws));
	return true;
}

/* It is stored with the flow before the CA hears of it. */
static void ask_next_key(struct attempt_state *s)
{
	struct err err = ERR_INIT;
	struct key *key = s->key ? NULL : key_new(KEY_P256, &err);
	if (key)
		take_key(s, key);
	const bool ok = s->key && sign_inner(s, &err);
	did(s, ok ? NULL : &err);
}

static void ask(struct attempt_state *s)
{
	struct acme_ask a = flow_ask(s->flow);
	if (a.effect == ACME_PUBLISH)
		publish(s);
	else if (a.effect == ACME_NEXT_KEY)
		ask_next_key(s);
	else if (a.effect == ACME_BIND)
		ask_binding(s);
	else if (a.effect == ACME_CSR)
		ask_request(s);
	else
		send(s, &a);
}

/* Its beginning */

static void follow(struct attempt_state *s)
{
	list_add_last(&s->issuer->followers, &s->following);
	s->attempt->follows(s->attempt);
}

/* An order by the wrong key would be refused, and its account taken for lost. The change of the key
 * itself is what finds it out. */
static bool key_in_doubt(struct attempt_state *s)
{
	const struct err *why = account_doubt(s->issuer);
	if (!why || s->flow->in_doubt)
		return false;
	if (account_settle(s->issuer))
		follow(s);
	else
		fail(s, account_doubt(s->issuer), /* ca_at_fault= */ true);
	return true;
}

static void begin(struct attempt_state *s)
{
	struct issuer *r = s->issuer;
	if (key_in_doubt(s))
		return;
	if (must_follow(s)) {
		follow(s);
		return;
	}
	r->under_way++;
	s->under_way = true;
	if (!r->account)
		r->leader = s;
	if (issuer_directory(r) && !s->flow->directory.new_order.n)
		flow_know_directory(s->flow, issuer_directory(r));
	if (r->account && !s->flow->account.n)
		flow_know_account(s->flow, str_c(r->account));
	const struct next first = { .what = FLOW_GO, .step = s->flow->step, .at = s->flow->at };
	s->attempt->moved(s->attempt, s->flow, &first);
	save(s, 0);
}

static void have_account_key(
        struct issuer_key_call *call, const struct key *key, const struct err *err)
{
	struct attempt_state *s = OWNER(call, struct attempt_state, key_call);
	if (err) {
		fail(s, err, /* ca_at_fault= */ false);
		return;
	}
	s->account_key = key;
	key_thumbprint(key, s->thumbprint);
	begin(s);
}

/* The key may be another one by now. */
void attempt_go_on(struct attempt *a)
{
	struct attempt_state *s = a->state;
	issuer_key(s->issuer->issuers, str_c(s->issuer->name), &s->key_call, have_account_key);
}

static void take_flow(struct attempt_state *s, struct flow *f)
{
	s->flow = f;
	flow_can_bind(f, s->issuer->eab_kid[0]);
	s->places = mem_array(sizeof *s->places, f->name_count);
	cost_begin(&s->cost, f);
	issuer_key(s->issuer->issuers, str_c(s->issuer->name), &s->key_call, have_account_key);
}

/* A stored flow of the same id is replaced by the new one. */
static int64_t version_of(struct attempt_state *s, struct str kind)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err err = ERR_INIT;
	return store_get(needs_of(s)->store, &a, kind, str_c(s->id), &r, &err) ? r.version : 0;
}

static struct attempt_state *state_new(struct issuer *r, struct attempt *a, struct str id)
{
	struct attempt_state *s = mem_new(struct attempt_state);
	s->attempt = a;
	s->issuer = issuer_ref(r);
	s->cost.limits = r->issuers->limits;
	s->id = str_dup(id);
	s->key_der = SECRET_NONE;
	s->flow_version = version_of(s, STR("flow"));
	s->key_version = version_of(s, STR("flow-key"));
	return s;
}

static bool reuse_key(struct attempt_state *s, const struct secret *der, struct err *err)
{
	if (!der)
		return true;
	struct key *key = key_from_der(secret_bytes(der), "The key to be used again", err);
	if (key)
		take_key(s, key);
	return key;
}

/* Our own authority: nobody is asked, and nothing is proved */

static void signed_here(struct internal_call *c, struct str leaf, const struct err *failed)
{
	struct attempt_state *s = OWNER(c, struct attempt_state, internal);
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct issued out = { .chain = &leaf, .chain_count = 1, .key = &s->key_der };
	if (failed || !cert_read(&a, leaf, &out.leaf, &err))
		fail(s, failed ? failed : &err, /* ca_at_fault= */ false);
	else
		finish(s, &out, NULL);
}

static void sign_here(struct attempt_state *s)
{
	s->internal.key = s->key;
	s->internal.done = signed_here;
	internal_start(&s->internal, needs_of(s));
}

static void made_here(struct key_making *making, struct key *key, const struct err *err)
{
	struct attempt_state *s = OWNER(making, struct attempt_state, making);
	if (!key) {
		fail(s, err, /* ca_at_fault= */ false);
		return;
	}
	take_key(s, key);
	sign_here(s);
}

static void start_internal(struct attempt_state *s, const struct attempt_want *want)
{
	struct str *names = arena_array(&s->names, struct str, want->name_count);
	for (size_t i = 0; i < want->name_count; i++)
		names[i] = arena_str(&s->names, want->names[i]);
	s->internal = (struct internal_call){ .names = names, .name_count = want->name_count };
	if (s->key)
		sign_here(s);
	else
		key_make(s->issuer->issuers->maker, &s->making, s->key_type, made_here);
}

static struct flow *flow_of(
        const struct issuer *r, const struct attempt_want *want, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct challenge_choice *choices = choose_proofs(r->issuers, want, &a, err);
	const struct flow_want flow = {
		.directory_url = str_c(r->directory_url),
		.email = want->email,
		.profile = want->profile,
		.replaces = want->replaces,
		.preferred_chain = want->preferred_chain,
		.choices = choices,
		.http_port = r->http_port,
		.https_port = r->https_port,
		.terms_agreed = want->terms_agreed,
		.names = want->names,
		.name_count = want->name_count,
		.revoke = want->revoke,
		.revoke_reason = want->revoke_reason,
		.has_key = want->revoke.n && want->reuse_key,
		.change = want->change,
		.now = loop_wall(r->issuers->needs.loop),
	};
	return choices ? flow_new(&flow, err) : NULL;
}

void attempt_start(struct issuers *i, struct attempt *a, const struct attempt_want *want)
{
	struct issuer *r = issuer_find(i, want->issuer);
	CHECK(r);
	struct attempt_state *s = state_new(r, a, want->id);
	a->state = s;
	a->interrupted = false;
	s->cost.exempt = want->exempt;
	s->cost.renewal = want->renewal;
	s->failed.what = FLOW_FAIL;
	s->key_type = want->key_type;
	if (!reuse_key(s, want->reuse_key, &s->failed.err)) {
		later_start(&s->later, i->needs.loop, fail_later);
		return;
	}
	if (!r->directory_url[0]) {
		start_internal(s, want);
		return;
	}
	struct flow *f = flow_of(r, want, &s->failed.err);
	if (f)
		take_flow(s, f);
	else
		later_start(&s->later, i->needs.loop, fail_later);
}

static bool load_flow_key(struct attempt_state *s, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	if (!s->key_version)
		return true;
	if (!store_get(needs_of(s)->store, &a, STR("flow-key"), str_c(s->id), &r, err) ||
	        !unseal(needs_of(s)->master, (struct seal_for){ r.kind, r.id, r.version },
	                "The key of the certificate that was under way", r.blob, &s->key_der, err))
		return false;
	s->key = key_from_der(secret_bytes(&s->key_der), "The stored key", err);
	return s->key;
}

static struct flow *load_flow(const struct json *json, struct err *err)
{
	BUF_AUTO text = BUF(1 << 20);
	json_print(json_object(json, "flow"), &text);
	return flow_load(buf_str(&text), err);
}

bool attempt_resume(struct issuers *i, struct attempt *a, struct str id, struct err *err)
{
	ARENA_AUTO arena = ARENA_INIT;
	struct record r;
	if (!store_get(i->needs.store, &arena, STR("flow"), id, &r, err))
		return false;
	JSON_AUTO *json = json_parse(r.value, "The stored attempt", err);
	if (!json)
		return false;
	struct issuer *issuer = issuer_find(i, json_text(json, "issuer"));
	if (!issuer)
		return err_set(err, ERR_NOT_FOUND,
		        "The issuer of the attempt is not configured any more.");
	struct flow *f = load_flow(json, err);
	if (!f)
		return false;
	struct attempt_state *s = state_new(issuer, a, id);
	if (!load_flow_key(s, err)) {
		flow_free(&f);
		state_free(s);
		return false;
	}
	a->state = s;
	a->interrupted = true;
	s->key_type = KEY_P256;
	key_type_from_name(json_text(json, "key_type"), &s->key_type);
	struct next n = flow_lost(f, loop_wall(i->needs.loop));
	flow_take(f, &n);
	take_flow(s, f);
	return true;
}
