/* The driver of the table, and what all answers have in common. */
#include "acme/step.h"

enum {
	TURNS_MOST = 5000,     /* 100 names at a CA that refuses nine of ten nonces need 2,300 */
	BAD_NONCES_MOST = 200, /* in a row: at nine of ten refused, a chance of 1 in 10^9 */
	BAD_NONCES_AT_ONCE = 20,
	BAD_NONCE_WAIT = 100, /* ms */
	TRIES_AT_START = 5,   /* while nothing is ordered, another attempt costs nothing */
};

static const struct {
	const char *name;
	struct acme_ask (*ask)(struct flow *f);
	struct next (*heard)(struct flow *f, const struct answer *a);
	enum acme_step lost;
} steps[] = {
#define X(name, ask, heard, lost) [ACME_STEP_##name] = { #name, ask, heard, ACME_STEP_##lost },
	ACME_STEPS(X)
#undef X
};

/* All other refusals end the attempt with the CA's words. type NULL: whatever it says. */
static const struct {
	enum acme_step step;
	const char *type;
	struct next (*heard)(struct flow *f, const struct answer *a);
} ways_on[] = {
	{ ACME_STEP_account, "accountDoesNotExist", heard_no_account },
	{ ACME_STEP_account, NULL, heard_account_refused },
	{ ACME_STEP_order, "accountDoesNotExist", heard_account_gone },
	{ ACME_STEP_order, NULL, heard_order_refused },
	{ ACME_STEP_authz, NULL, heard_authz_refused },
	{ ACME_STEP_answer, NULL, heard_challenge_refused },
	{ ACME_STEP_finalize, "orderNotReady", heard_not_ready },
	{ ACME_STEP_revoke, "alreadyRevoked", heard_revoke },
	{ ACME_STEP_revoke, NULL, heard_revoke_refused },
	{ ACME_STEP_contact, "accountDoesNotExist", heard_account_gone },
	{ ACME_STEP_rollover, NULL, heard_rollover_refused },
	{ ACME_STEP_which_key, "accountDoesNotExist", heard_no_next_key },
	{ ACME_STEP_which_old, "accountDoesNotExist", heard_neither_key },
	{ ACME_STEP_deactivate, NULL, heard_deactivate_refused },
};

const char *acme_step_name(enum acme_step step)
{
	CHECK(step < ACME_STEP_COUNT);
	return steps[step].name;
}

const char *acme_step_words(enum acme_step step)
{
	static const char *const words[] = {
		[ACME_STEP_directory] = "Reach the CA",
		[ACME_STEP_account] = "Find or make the account",
		[ACME_STEP_order] = "Order the certificate",
		[ACME_STEP_authz] = "Read what proof is wanted",
		[ACME_STEP_answer] = "Prove control of the name",
		[ACME_STEP_await] = "Wait for the CA",
		[ACME_STEP_finalize] = "Hand in the certificate request",
		[ACME_STEP_download] = "Collect the certificate",
		[ACME_STEP_revoke] = "Revoke the certificate",
		[ACME_STEP_contact] = "Change the account's contact",
		[ACME_STEP_rollover] = "Change the account's key",
		[ACME_STEP_which_key] = "Ask which key the account has",
		[ACME_STEP_which_old] = "Ask which key the account has",
		[ACME_STEP_deactivate] = "Deactivate the account",
	};
	CHECK(step < ACME_STEP_COUNT);
	return words[step];
}

/* Asking */

struct acme_ask post_as_get(struct str url)
{
	return (struct acme_ask){ .effect = ACME_POST, .url = url };
}

struct acme_ask post(struct flow *f, struct str url)
{
	CHECK(buf_ok(&f->payload));
	return (struct acme_ask){
		.effect = ACME_POST, .url = url, .payload = buf_str(&f->payload)
	};
}

struct acme_ask publish(void)
{
	return (struct acme_ask){ .effect = ACME_PUBLISH };
}

bool tokens_missing(const struct flow *f)
{
	for (size_t i = 0; i < f->name_count; i++)
		if (flow_name_to_place(&f->names[i]))
			return true;
	return false;
}

/* A token that was known before a restart is placed again although its challenge is not: perhaps it
 * is answered and we do not know. DNS-PERSIST-01 has none. */
bool flow_name_to_place(const struct flow_name *name)
{
	const bool known =
	        name->type == CHALLENGE_DNS_PERSIST_01 ? name->challenge.n : name->token.n;
	return known && !name->valid && !name->published;
}

static bool is_post(enum acme_effect effect)
{
	return effect == ACME_POST || effect == ACME_POST_JWK || effect == ACME_POST_NEW;
}

struct acme_ask flow_ask(struct flow *f)
{
	buf_clear(&f->payload);
	struct acme_ask ask = steps[f->step].ask(f);
	if (is_post(ask.effect) && f->nonce.n == 0)
		/* RFC 8555 7.2: a nonce of its own */
		ask = (struct acme_ask){ .effect = ACME_HEAD, .url = f->directory.new_nonce };
	if (is_post(ask.effect))
		ask.nonce = buf_str(&f->nonce);
	f->change_sent |= is_post(ask.effect) && f->change && f->step > ACME_STEP_revoke;
	f->in_doubt |= is_post(ask.effect) && f->step == ACME_STEP_rollover;
	f->asked = ask.effect;
	return ask;
}

/* What all answers have in common */

static struct next stay(const struct flow *f)
{
	return go_to_name(f->step, f->at);
}

static struct str why_lost(struct flow *f, const struct answer *a)
{
	if (a->reply->status == 0)
		return str_c(a->reply->silence->text);
	if (a->reply->status < 400)
		return STR("it gave no nonce, which every request needs.");
	const struct str words = problem_words(f);
	return arena_printf(&f->problem_arena, "HTTP %u%s%.*s.", a->reply->status,
	        words.n ? ", " : "", STR_ARG(words));
}

/* An own CA is called by its host, which the reason why it is silent mostly begins with. */
static struct next fail_lost(
        struct flow *f, const struct answer *a, enum err_code code, const char *what)
{
	const struct str ca = ca_of(f), why = why_lost(f, a);
	if (f->change)
		return change_ended(f, code, why);
	if (memmem(why.p, why.n, ca.p, ca.n))
		return fail(code, "%.*s" ERR_REMEDY "It is tried again.", STR_ARG(why));
	return fail(code, "%.*s %s: %.*s" ERR_REMEDY "It is tried again.", STR_ARG(ca), what,
	        STR_ARG(why));
}

/* A certificate that is not trusted, or something that is not HTTP, stays what it is. */
static bool may_pass(const struct acme_reply *reply)
{
	const struct err *e = reply->silence;
	return reply->status || e->code == ERR_UNREACHABLE || e->code == ERR_TIMEOUT;
}

/* Silence, outage, and a newNonce that gives none: nobody knows whether we were heard. */
static struct next lost(struct flow *f, const struct answer *a)
{
	f->lost++;
	f->lost_in_row++;
	if (f->alternate.n)
		return next_chain(f);
	if (f->order.n == 0 && !may_pass(a->reply))
		return fail_lost(f, a, a->reply->silence->code, "cannot be asked");
	if (f->order.n == 0 && f->lost_in_row >= TRIES_AT_START)
		return fail_lost(f, a, ERR_UNREACHABLE, "does not answer");
	int64_t own = LOST_FIRST;
	for (unsigned i = 1; i < f->lost_in_row && own < LOST_MOST; i++)
		own *= 2;
	f->waiting_for = a->reply->status ? STR("the CA is busy or out of order")
	                                  : STR("the CA does not answer");
	struct next n = later(
	        f, a, go_to_name(steps[f->step].lost, f->at), own < LOST_MOST ? own : LOST_MOST);
	n.ca_at_fault = true;
	return n;
}

/* A name whose proofs failed a thousand times; only a person can release it. */
static bool is_pause(const struct flow *f)
{
	const struct str page = problem_page(f), detail = f->problem.detail;
	return page.n &&
	       (memmem(page.p, page.n, "unpause", 7) || memmem(detail.p, detail.n, "paused", 6));
}

/* RFC 8555 6.6: a limit that does not say until when lasts hours with every CA that we know. */
static struct next limited(struct flow *f, const struct answer *a, struct str type)
{
	if (is_pause(f))
		return fail(ERR_LIMIT,
		        "%.*s has paused the name: %.*s." ERR_REMEDY
		        "Repair what let its proofs fail, then release it on %.*s.",
		        STR_ARG(ca_of(f)), STR_ARG(problem_words(f)), STR_ARG(problem_page(f)));
	if (a->reply->retry_after > 0 || !str_eq_c(type, "rateLimited"))
		return lost(f, a);
	if (f->change)
		return change_ended(f, ERR_LIMIT,
		        arena_printf(&f->problem_arena, "a limit of it is reached, %.*s.",
		                STR_ARG(problem_words(f))));
	return fail(ERR_LIMIT,
	        "A limit of %.*s is reached: %.*s." ERR_REMEDY
	        "It does not say until when; it is tried again "
	        "later, "
	        "with growing waits.",
	        STR_ARG(ca_of(f)), STR_ARG(problem_words(f)));
}

/* RFC 8555 6.5: the refusal brings a nonce; the request was not looked at. */
static struct next again(struct flow *f, const struct answer *a)
{
	f->bad_nonces++;
	f->bad_nonces_in_row++;
	if (f->bad_nonces_in_row > BAD_NONCES_MOST || a->reply->now > f->deadline)
		return fail(ERR_PROTOCOL,
		        "%.*s refused %u nonces in a row that it had given itself." ERR_REMEDY
		        "Try again; if "
		        "it comes "
		        "back, its servers do not know of each other: tell the CA.",
		        STR_ARG(ca_of(f)), f->bad_nonces_in_row);
	struct next n = stay(f);
	n.after = f->bad_nonces_in_row > BAD_NONCES_AT_ONCE ? BAD_NONCE_WAIT : 0;
	if (n.after)
		f->waiting_for = STR("the CA refuses the nonces that it gives");
	return n;
}

static struct next heard_refusal(struct flow *f, const struct answer *a)
{
	for (size_t i = 0; i < sizeof ways_on / sizeof *ways_on; i++)
		if (ways_on[i].step == f->step &&
		        (!ways_on[i].type || str_eq_c(f->problem.type, ways_on[i].type)))
			return ways_on[i].heard(f, a);
	return refused(f, a);
}

static bool is_replacement(const struct flow *f)
{
	return f->step == ACME_STEP_order && f->asked != ACME_HEAD && f->replaces.n;
}

/* What stands in a directory may have changed since it was read. A 404 of an order that replaces a
 * certificate speaks of that. */
static bool is_out_of_date(const struct flow *f, unsigned status)
{
	return status == 404 && f->directory_kept && f->order.n == 0 && !is_replacement(f);
}

/* Some CAs fail again and again at what an order replaces: then it is a refusal of that. */
static bool is_lost(const struct flow *f, unsigned status)
{
	return status >= 500 && (status != 500 || f->lost_in_row == 0 || !is_replacement(f));
}

static struct next read_anew(struct flow *f)
{
	f->directory = (struct acme_directory){ 0 };
	f->directory_kept = false;
	f->binding = f->inner = STR_NONE; /* they name a URL of the directory */
	return go_to(ACME_STEP_directory);
}

static struct next judge(struct flow *f, const struct answer *a)
{
	const unsigned status = a->reply->status;
	if (status == 0)
		return lost(f, a);
	const struct str type = status >= 400 ? problem_type(a->body) : STR_NONE;
	if (str_eq_c(type, "badNonce"))
		return again(f, a);
	if (f->alternate.n && (status < 200 || status >= 300))
		return next_chain(f);
	f->bad_nonces_in_row = 0;
	/* The reason of an invalid order is not overwritten by what happens while it is looked
	 * for. */
	if (!f->order_invalid)
		problem_keep(f, status >= 400 ? a->body : NULL, status);
	if (status == 429 || str_eq_c(type, "rateLimited"))
		return limited(f, a, type);
	if (is_lost(f, status))
		return lost(f, a);
	if (is_out_of_date(f, status))
		return read_anew(f);
	if (f->asked == ACME_HEAD)
		return f->nonce.n ? stay(f) : lost(f, a);
	f->lost_in_row = 0;
	if (status >= 400)
		return heard_refusal(f, a);
	if (status < 200 || status >= 300)
		return not_acme(f, a, "");
	return steps[f->step].heard(f, a);
}

/* RFC 8555 6.5.1: base64url, else it is ignored. */
static bool is_nonce(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
		            s.p[i]) ||
		        s.p[i] == '\0')
			return false;
	return true;
}

static void keep_nonce(struct flow *f, struct str nonce)
{
	buf_clear(&f->nonce);
	if (is_nonce(nonce))
		buf_add(&f->nonce, nonce);
}

struct next flow_heard(struct flow *f, const struct acme_reply *reply)
{
	if (f->deadline == 0) {
		f->deadline = reply->now + ATTEMPT_TIME;
		f->deadline_most = reply->now + ATTEMPT_MOST;
	}
	keep_nonce(f, reply->nonce);
	if (++f->turns > TURNS_MOST)
		return fail(ERR_PROTOCOL,
		        "%.*s led us in circles: %d requests and no end." ERR_REMEDY "Tell the CA.",
		        STR_ARG(ca_of(f)), TURNS_MOST);
	struct err no_json;
	JSON_AUTO *body = json_parse(reply->body, "The answer", &no_json);
	const struct answer a = { reply, json_is_object(body) ? body : NULL };
	struct next n = judge(f, &a);
	if (n.what == FLOW_FAIL && f->step == ACME_STEP_download)
		n = download_again(f, &a, &n);
	if (n.after == 0)
		f->waiting_for = STR_NONE;
	return n;
}

struct next flow_did(struct flow *f, const struct err *failed)
{
	if (failed) {
		struct next n = { .what = FLOW_FAIL, .err = *failed };
		return n;
	}
	CHECK(f->asked != ACME_CSR || f->csr.n);
	CHECK(f->asked != ACME_BIND || f->binding.n);
	CHECK(f->asked != ACME_NEXT_KEY || f->inner.n);
	for (size_t i = 0; f->asked == ACME_PUBLISH && i < f->name_count; i++)
		f->names[i].published |= flow_name_to_place(&f->names[i]);
	return stay(f);
}

struct next flow_lost(struct flow *f, int64_t now)
{
	f->lost++;
	f->lost_in_row = 0;
	f->deadline = now + ATTEMPT_TIME;
	f->deadline_most = now + ATTEMPT_MOST;
	f->poll_wait = POLL_FIRST;
	f->waiting_for = STR_NONE;
	f->chain = f->alternates = f->alternate = f->binding = STR_NONE;
	if (f->inner.n || f->in_doubt) {
		/* It may be long ago: URLs may have changed, and each time is counted anew. */
		f->in_doubt = f->directory_kept = true;
		f->turns = f->bad_nonces_in_row = 0;
	}
	buf_clear(&f->nonce);
	for (size_t i = 0; i < f->name_count; i++) {
		struct flow_name *name = &f->names[i];
		name->published = false;
		/* Perhaps it is answered and we do not know: its authorization is read again. */
		if (!name->answered)
			name->challenge = STR_NONE;
	}
	return go_first(f);
}

void flow_take(struct flow *f, const struct next *n)
{
	if (n->what != FLOW_GO)
		return;
	CHECK(n->step < ACME_STEP_COUNT && (n->at < f->name_count || (f->change && n->at == 0)));
	f->step = n->step;
	f->at = n->at;
}

/* Making and knowing */

void keep(struct flow *f, struct str *place, struct str text)
{
	if (!str_eq(*place, text))
		*place = text.n ? arena_str(&f->arena, text) : STR_NONE;
}

bool keep_url(struct flow *f, struct str *place, struct str text)
{
	if (!url_usable(f->directory_url, text))
		return false;
	keep(f, place, text);
	return true;
}

static bool check_want(const struct flow_want *want, struct err *err)
{
	if (want->name_count == 0 && !want->change)
		return err_set(err, ERR_INPUT, "A certificate needs a name: give at least one.");
	if (want->name_count > FLOW_NAMES_MOST)
		return err_set(err, ERR_INPUT,
		        "%zu names are too many for one certificate: give at most %d.",
		        want->name_count, FLOW_NAMES_MOST);
	return true;
}

static const struct challenge_choice http_only = { { CHALLENGE_HTTP_01 }, 1 };

static bool choose(const struct flow *f, struct flow_name *name,
        const struct challenge_choice *from, struct err *err)
{
	struct challenge_choice *to = &name->choice;
	for (size_t i = 0; i < from->count; i++)
		if (challenge_type_proves(from->types[i], name->name))
			to->types[to->count++] = from->types[i];
	if (to->count)
		return true;
	if (acme_is_wildcard(name->name))
		return err_set(err, ERR_INPUT,
		        "%.*s is a wildcard: CAs want it proved through DNS (DNS-01), and no such "
		        "proof can be made here." ERR_REMEDY
		        "Configure `dns-challenge`, or give the names one by one.",
		        STR_ARG(name->name));
	return err_set(err, ERR_INPUT,
	        "%.*s can be proved only over HTTP or TLS, and neither can be used for it "
	        "here." ERR_REMEDY "Open port %u or %u for the CA.",
	        STR_ARG(name->name), f->http_port, f->https_port);
}

struct flow *flow_new(const struct flow_want *want, struct err *err)
{
	if (!check_want(want, err))
		return NULL;
	struct flow *f = mem_new(struct flow);
	*f = (struct flow){
		.terms_agreed = want->terms_agreed,
		.name_count = want->name_count,
		.change = want->change,
		.http_port = want->http_port ? want->http_port : 80,
		.https_port = want->https_port ? want->https_port : 443,
		.poll_wait = POLL_FIRST,
		.started = want->now,
		.nonce = BUF_INIT(1024),
		.payload = BUF_INIT(ACME_PAYLOAD_MOST),
	};
	keep(f, &f->directory_url, want->directory_url);
	keep(f, &f->email, want->email);
	keep(f, &f->profile, want->profile);
	keep(f, &f->replaces, want->replaces);
	keep(f, &f->preferred_chain, want->preferred_chain);
	flow_set_revoke(f, want);
	f->names = arena_array(&f->arena, struct flow_name, want->name_count);
	for (size_t i = 0; i < want->name_count; i++) {
		keep(f, &f->names[i].name, want->names[i]);
		/* A revocation proves no name. */
		if (!f->revoke.n && !choose(f, &f->names[i],
		                            want->choices ? &want->choices[i] : &http_only, err)) {
			flow_free(&f);
			return NULL;
		}
	}
	return f;
}

void flow_free(struct flow **f)
{
	if (!*f)
		return;
	buf_done(&(*f)->nonce);
	buf_done(&(*f)->payload);
	arena_done(&(*f)->problem_arena);
	arena_done(&(*f)->arena);
	free(*f);
	*f = NULL;
}

void flow_know_directory(struct flow *f, const struct acme_directory *d)
{
	f->directory = acme_directory_copy(&f->arena, d);
	f->directory_kept = true;
	const struct next n = go_first(f);
	flow_take(f, &n);
}

void flow_know_account(struct flow *f, struct str url)
{
	keep(f, &f->account, url);
	const struct next n = go_first(f);
	flow_take(f, &n);
}

void flow_can_bind(struct flow *f, bool can)
{
	f->can_bind = can;
}

void flow_set_binding(struct flow *f, struct str jws)
{
	keep(f, &f->binding, jws);
}

void flow_set_inner(struct flow *f, struct str jws)
{
	keep(f, &f->inner, jws);
}

void flow_set_csr(struct flow *f, struct str der)
{
	keep(f, &f->csr, der);
}

struct str *flow_names(struct arena *a, const struct flow *f)
{
	struct str *names = arena_array(a, struct str, f->name_count);
	for (size_t i = 0; i < f->name_count; i++)
		names[i] = f->names[i].name;
	return names;
}
