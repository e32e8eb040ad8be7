/* Revocation: a new certificate is ordered first, then the old one is revoked at its CA.
 *
 * Record revocation, by the registration's id: value {issuer, reason, task}, blob: the certificate
 * and its sealed key, as of a certificate (held.c), or the certificate alone (DER). It is there
 * from the wish until the CA has revoked it or said no for good, so that a restart goes on wherever
 * it was.
 *
 * Record revoked, by the same id: the last certificate that was revoked, {sha256, at, compromised};
 * or by the id of one that was imported, {thumbprint, at}.
 *
 * A key that is in wrong hands is used for no further certificate, whatever `reuse-key` says. */
#include "renew/import.h"
#include "renew/private.h"

#define KIND STR("revocation")
enum { KEY_COMPROMISE = 1 }; /* RFC 5280 5.3.1 */

struct revocation {
	struct registration *registration;
	struct arena arena;
	struct str issuer, der;
	struct secret key; /* DER; it revokes if the account may not. Or none */
	struct cert leaf;
	unsigned reason, failures;
	int64_t version;
	bool stored, running, over, revoked;
	bool ordered_anew; /* what was under way came with the key that is in wrong hands */
	char task_id[32];
	struct attempt attempt;
	struct store_tx tx;
	struct timer again;
	struct list requests;
};

static void start(struct revocation *v);

static struct task *task_of(const struct revocation *v)
{
	return task_find(v->registration->renewals, str_c(v->task_id));
}

static struct log log_of(const struct revocation *v)
{
	const struct registration *g = v->registration;
	return (struct log){ .parent = g->renewals->needs.log,
		.key = "name",
		.value = g->name_count ? g->names[0].p : g->id };
}

static struct revocation *revocation_new(struct registration *g, struct str der)
{
	struct err err = ERR_INIT;
	struct revocation *v = mem_new(struct revocation);
	v->registration = g;
	v->der = arena_str(&v->arena, der);
	v->key = SECRET_NONE;
	list_init(&v->requests);
	if (!cert_read(&v->arena, v->der, &v->leaf, &err)) {
		arena_done(&v->arena);
		free(v);
		return NULL;
	}
	g->revocation = v;
	return v;
}

void revocation_free(struct registration *g)
{
	struct revocation *v = g->revocation;
	if (!v)
		return;
	g->revocation = NULL;
	LIST_EACH (n, &v->requests)
		list_remove(n);
	attempt_abort(&v->attempt);
	store_tx_abort(&v->tx);
	timer_stop(&v->again);
	secret_done(&v->key);
	arena_done(&v->arena);
	free(v);
}

static void answer_all(struct revocation *v, const struct err *err)
{
	while (!list_empty(&v->requests))
		request_answer(OWNER(list_first(&v->requests), struct renew_request, node), err);
}

/* Its end */

static void ended(struct store_tx *tx, const struct err *err)
{
	struct revocation *v = OWNER(tx, struct revocation, tx);
	struct registration *g = v->registration;
	struct log log = log_of(v);
	if (err)
		log_warning(&log,
		        "What became of the revocation could not be stored, the next start asks "
		        "again: %s",
		        err->text);
	g->revoked.version += v->revoked && !err;
	v->running = false;
	tell_registration(g);
	if (v->over)
		revocation_free(g);
	else
		revocation_look(g);
}

static void try_again(struct timer *t)
{
	revocation_look(OWNER(t, struct revocation, again)->registration);
}

/* What waiting may heal is tried again as long as the certificate lives. */
static bool may_heal(const struct revocation *v, const struct next *failed)
{
	int64_t now = loop_wall(v->registration->renewals->needs.loop);
	return failed && failed->ca_at_fault && v->leaf.not_after > now;
}

static void wait_and_try_again(struct revocation *v, const struct next *failed)
{
	ARENA_AUTO a = ARENA_INIT;
	struct log log = log_of(v);
	char until[CLOCK_TEXT];
	int64_t now = loop_wall(v->registration->renewals->needs.loop);
	int64_t at = now + renewal_backoff(++v->failures, 32768, now, v->leaf.not_after);
	if (failed->not_before > at)
		at = failed->not_before;
	timer_start_wall(&v->again, v->registration->renewals->needs.loop, at, try_again);
	log_warning(&log, "Not revoked yet: %s Next try %s.", failed->err.text,
	        clock_rfc3339(at, until));
	task_step(task_of(v), acme_step_name(ACME_STEP_revoke),
	        arena_printf(
	                &a, "Revoke the certificate: %s Next try %s.", failed->err.text, until));
}

void revoked_put(struct registration *g, struct store_tx *tx, const char *sha256, int64_t at)
{
	BUF_AUTO value = BUF(1024);
	struct json_writer w;
	g->revoked.at = at;
	snprintf(g->revoked.sha256, sizeof g->revoked.sha256, "%s", sha256);
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_c(&w, "sha256", g->revoked.sha256);
	json_write_time(&w, "at", g->revoked.at);
	if (g->revoked.compromised)
		json_write_bool(&w, "compromised", true);
	json_write_end(&w);
	store_tx_put(
	        tx, STR("revoked"), str_c(g->id), g->revoked.version, buf_str(&value), STR_NONE);
	if (revoked_at(g) && staple_forget(g->renewals, str_c(g->held.leaf.sha1)))
		held_install(g);
}

int64_t revoked_at(const struct registration *g)
{
	bool is = g->held.is && !strcmp(g->revoked.sha256, g->held.leaf.sha256);
	return is ? g->revoked.at : 0;
}

static void be_over(struct revocation *v, const struct flow *flow, const struct next *failed)
{
	struct log log = log_of(v);
	v->over = true;
	if (failed) {
		log_error(&log, "Not revoked: %s", failed->err.text);
		task_keep_ca_text(task_of(v), flow);
	} else {
		log_info(&log, "The certificate with serial %.*s is revoked.",
		        STR_ARG(v->leaf.serial));
		v->revoked = true;
		v->registration->revoked.compromised = v->reason == KEY_COMPROMISE;
		revoked_put(v->registration, &v->tx, v->leaf.sha256,
		        loop_wall(v->registration->renewals->needs.loop));
	}
	task_end(task_of(v), "The certificate is revoked", failed ? &failed->err : NULL);
	store_tx_delete(&v->tx, KIND, str_c(v->registration->id), v->version);
}

static void done(struct attempt *a, const struct flow *flow, const struct issued *issued,
        const struct next *failed)
{
	struct revocation *v = OWNER(a, struct revocation, attempt);
	CHECK(!issued);
	if (may_heal(v, failed))
		wait_and_try_again(v, failed);
	else
		be_over(v, flow, failed);
	attempt_clear(a, &v->tx);
	store_tx_start(v->registration->renewals->needs.store, &v->tx, ended);
}

/* Its beginning */

static void moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	ARENA_AUTO text = ARENA_INIT;
	const struct revocation *v = OWNER(a, struct revocation, attempt);
	if (next->what == FLOW_GO)
		task_step(task_of(v), acme_step_name(flow->step), steps_words(&text, flow, next));
}

static void follows(struct attempt *a)
{
	(void)a; /* it goes on by itself */
}

/* True: there is an issuer to ask. */
static bool can_ask(const struct revocation *v, struct err *err)
{
	const struct config_issuer *issuer =
	        config_issuer(v->registration->renewals->config, v->issuer);
	if (issuer && !issuer->directory.n)
		return err_set(err, ERR_CONFLICT,
		        "The internal authority keeps no list of what is revoked." ERR_WHY
		        "Its certificates end by themselves within a week." ERR_REMEDY
		        "Disable the registration, so that no new one is made.");
	return issuer ||
	       err_set(err, ERR_CONFLICT,
	               "The issuer %.*s, which the certificate is from, is not configured any "
	               "more." ERR_REMEDY
	               "Add it to the configuration with `issuer %.*s { directory URL }`.",
	               STR_ARG(v->issuer), STR_ARG(v->issuer));
}

static void start(struct revocation *v)
{
	ARENA_AUTO a = ARENA_INIT;
	struct registration *g = v->registration;
	struct next failed = { .what = FLOW_FAIL };
	struct str id = arena_printf(&a, "%s/revoke", g->id);
	struct attempt_want want = { .id = id,
		.issuer = v->issuer,
		.email = g->email,
		.names = v->leaf.names,
		.name_count = v->leaf.name_count,
		.reuse_key = secret_bytes(&v->key).n ? &v->key : NULL,
		.revoke = v->der,
		.revoke_reason = v->reason };
	struct err none = ERR_INIT;
	v->running = true;
	task_begin(task_of(v));
	v->attempt = (struct attempt){
		.moved = moved, .done = done, .follows = follows, .may_go_on = attempt_go_on
	};
	if (!can_ask(v, &failed.err)) {
		be_over(v, NULL, &failed);
		store_tx_start(g->renewals->needs.store, &v->tx, ended);
	} else if (!attempt_resume(g->renewals->needs.issuers, &v->attempt, id, &none)) {
		attempt_start(g->renewals->needs.issuers, &v->attempt, &want);
	}
}

static bool is_another(const struct revocation *v)
{
	return strcmp(v->registration->held.leaf.sha256, v->leaf.sha256) != 0;
}

static bool is_compromised(const struct revocation *v)
{
	const struct registration *g = v->registration;
	return v->reason == KEY_COMPROMISE &&
	       (!is_another(v) || secret_eq(&v->key, secret_bytes(&g->held.key)));
}

bool revoked_compromised(const struct registration *g)
{
	return (g->revocation && is_compromised(g->revocation)) ||
	       (revoked_at(g) && g->revoked.compromised);
}

/* Whether visitors get another one already, or none will come. */
static bool is_replaced(const struct revocation *v)
{
	const struct registration *g = v->registration;
	return !g->held.is || (is_another(v) && !is_compromised(v)) || registration_blocked(g);
}

/* What was under way when it was wished for came with the same key: once more, at once. */
static void order_anew(struct revocation *v)
{
	if (!is_another(v) || v->ordered_anew)
		return;
	v->ordered_anew = true;
	schedule_now(v->registration);
}

void revocation_look(struct registration *g)
{
	struct revocation *v = g->revocation;
	if (!v || !v->stored || v->running || timer_active(&v->again) || !g->renewals->begun)
		return;
	if (is_replaced(v)) {
		start(v);
		return;
	}
	task_step(task_of(v), "renew", STR("Order a new certificate first"));
	order_anew(v);
}

void revocation_begin(struct registration *g)
{
	struct revocation *v = g->revocation;
	if (!v || !v->stored)
		return;
	struct task *t = task_of(v);
	if (!t || !task_under_way(t)) {
		t = task_new(g, TASK_REVOKE);
		snprintf(v->task_id, sizeof v->task_id, "%s", t->id);
		task_store(t);
	}
	if (!is_replaced(v))
		schedule_now(g);
	revocation_look(g);
}

bool revocation_has_task(const struct registration *g, const struct task *t)
{
	return g && g->revocation && !strcmp(g->revocation->task_id, t->id);
}

/* The wish */

static void stored(struct store_tx *tx, const struct err *err)
{
	struct revocation *v = OWNER(tx, struct revocation, tx);
	struct registration *g = v->registration;
	answer_all(v, err);
	if (err) {
		task_end(task_of(v), NULL, err);
		revocation_free(g);
		return;
	}
	v->stored = true;
	v->version++;
	revocation_begin(g);
}

static void store(struct revocation *v)
{
	BUF_AUTO value = BUF(4096), blob = BUF(128 << 10);
	const struct str id = str_c(v->registration->id);
	struct json_writer w;
	held_blob(&blob, &v->der, 1);
	seal(v->registration->renewals->needs.master, (struct seal_for){ KIND, id, v->version + 1 },
	        &v->key, &blob);
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_text(&w, "issuer", v->issuer);
	json_write_int(&w, "reason", v->reason);
	json_write_c(&w, "task", v->task_id);
	json_write_end(&w);
	store_tx_put(&v->tx, KIND, id, v->version, buf_str(&value), buf_str(&blob));
	store_tx_start(v->registration->renewals->needs.store, &v->tx, stored);
}

static bool read_reason(struct str name, unsigned *ret_reason, struct err *err)
{
	*ret_reason = 0;
	if (!name.n || acme_reason_from_name(name, ret_reason))
		return true;
#define X(number, text) " " text
	return err_set(err, ERR_INPUT,
	        "%.*s is no reason for a revocation." ERR_REMEDY
	        "Give one of:" REVOKE_REASONS(X) ".",
	        STR_ARG(name));
#undef X
}

static bool may_revoke(
        struct registration *g, const struct renew_revoke_want *want, struct err *err)
{
	if (!g->held.is)
		return err_set(err, ERR_CONFLICT,
		        "%.*s has only its temporary certificate, which no CA can "
		        "revoke." ERR_REMEDY "Nothing to do.",
		        STR_ARG(g->names[0]));
	return !registration_blocked(g) || request_may_end(g, want->despite_hsts, err);
}

static void follow(struct renew_request *q, struct revocation *v)
{
	request_about(q, v->registration);
	snprintf(q->task, sizeof q->task, "%s", v->task_id);
	if (v->stored)
		request_answer_soon(q);
	else
		list_add_last(&v->requests, &q->node);
}

static bool make(struct registration *g, const struct renew_revoke_want *want, unsigned reason,
        struct err *err)
{
	if (!may_revoke(g, want, err))
		return false;
	struct revocation *v = revocation_new(g, g->held.chain[0]);
	CHECK(v); /* it was read before */
	v->key = secret_copy(secret_bytes(&g->held.key));
	v->reason = reason;
	v->issuer = arena_str(&v->arena, g->held.issuer.n ? g->held.issuer : g->issuer);
	if (!can_ask(v, err)) {
		revocation_free(g);
		return false;
	}
	struct task *t = task_new(g, TASK_REVOKE);
	snprintf(v->task_id, sizeof v->task_id, "%s", t->id);
	task_store(t);
	store(v);
	return true;
}

void renew_revoke(struct renewals *r, struct renew_request *q, const struct renew_revoke_want *want,
        renew_done *answer)
{
	unsigned reason;
	request_open(r, q, answer);
	struct registration *g = request_find(q, want->name);
	q->existing = g && g->revocation;
	if (g && read_reason(want->reason, &reason, &q->err) &&
	        (g->revocation || make(g, want, reason, &q->err)))
		follow(q, g->revocation);
	else
		request_answer_soon(q);
}

/* Loading */

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

/* Without its key the account can still revoke it. */
static void load_key(struct revocation *v, const struct record *record, struct str sealed)
{
	struct renewals *r = v->registration->renewals;
	struct err err = ERR_INIT;
	if (sealed.n &&
	        !unseal(r->needs.master,
	                (struct seal_for){ record->kind, record->id, record->version },
	                "The key of the certificate that is to be revoked", sealed, &v->key, &err))
		log_warning(r->needs.log, "%s", err.text);
}

/* DER begins with the tag of a sequence; there was no key with it. */
static struct str read_blob(struct str blob, struct str *ret_sealed)
{
	struct str chain[CHAIN_MOST];
	struct err none = ERR_INIT;
	size_t count = 0;
	*ret_sealed = blob;
	if (blob.n && blob.p[0] != 0x30 && held_read_chain(ret_sealed, chain, &count, &none) &&
	        count)
		return chain[0];
	*ret_sealed = STR_NONE;
	return blob;
}

static bool load_revocation(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	int64_t reason = 0;
	JSON_AUTO *json = json_parse(record->value, "The stored revocation", &err);
	struct registration *g = registration_by_id(r, record->id);
	if (!g)
		g = registration_new(r, record->id);
	struct str sealed;
	const struct str der = read_blob(record->blob, &sealed);
	struct revocation *v = json ? revocation_new(g, der) : NULL;
	if (!v) {
		log_error(r->needs.log,
		        "The stored revocation of %.*s cannot be read: revoke it again.",
		        STR_ARG(record->id));
		return true;
	}
	load_key(v, record, sealed);
	v->stored = true;
	v->version = record->version;
	json_int(json, "reason", &reason);
	v->reason = (unsigned)reason;
	v->issuer = arena_str(&v->arena, json_text(json, "issuer"));
	snprintf(v->task_id, sizeof v->task_id, "%.*s", STR_ARG(json_text(json, "task")));
	return true;
}

static bool load_revoked(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The record of what was revoked", &err);
	struct registration *g = registration_by_id(r, record->id);
	const struct str thumbprint = json_text(json, "thumbprint");
	int64_t at = 0;
	if (thumbprint.n) {
		clock_from_rfc3339(json_text(json, "at"), &at);
		imported_revoked(r, record->id, thumbprint, at);
		return true;
	}
	if (!g)
		g = registration_new(r, record->id);
	g->revoked.version = record->version;
	clock_from_rfc3339(json_text(json, "at"), &g->revoked.at);
	json_bool(json, "compromised", &g->revoked.compromised);
	snprintf(g->revoked.sha256, sizeof g->revoked.sha256, "%.*s",
	        STR_ARG(json_text(json, "sha256")));
	return true;
}

bool revocations_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_revocation, .renewals = r };
	struct load over = { .scan.each = load_revoked, .renewals = r };
	return store_each(r->needs.store, KIND, &load.scan, err) &&
	       store_each(r->needs.store, STR("revoked"), &over.scan, err);
}
