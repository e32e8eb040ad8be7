/* The ACME flow against a scripted CA: every message lost, refused, and interrupted by a restart;
 * every member of every answer dropped, nulled, retyped; every answer replaced by something
 * else. */
#include "scripted_ca.h"

#include "base/clock.h"
#include "json/json.h"

/* clang-format never settles on this list. */
/* clang-format off */
#define FAULTS(X)                                                                                  \
	X(none, "no fault")                                                                        \
	X(request_lost, "request lost")                                                            \
	X(answer_lost, "answer lost")                                                              \
	X(outage, "503")                                                                           \
	X(bad_nonce, "badNonce")                                                                   \
	X(killed_before, "killed before the request") X(killed_after, "killed before the answer")
enum fault_kind {
#define X(name, words) FAULT_##name,
	FAULTS(X)
#undef X
	FAULT_COUNT
};
static const char *const fault_words[] = {
#define X(name, words) words,
	FAULTS(X)
#undef X
};
/* clang-format on */

/* What driver and CA know of the account when the dialogue begins. */
#define ACCOUNTS(X)                                                                                \
	X(new, "new account")                                                                      \
	X(existing, "account found by its key")                                                    \
	X(known, "account known") X(forgotten, "account that the CA forgot")
enum account {
#define X(name, words) ACCOUNT_##name,
	ACCOUNTS(X)
#undef X
	        ACCOUNT_COUNT
};
static const char *const account_words[] = {
#define X(name, words) words,
	ACCOUNTS(X)
#undef X
};

struct fault {
	enum fault_kind kind;
	unsigned turn;
};

/* What becomes of the bodies of answers on their way to the flow. */
struct mutation {
	enum { MUTATE_NOTHING, MUTATE_MEMBER, MUTATE_JOIN, MUTATE_ANSWER } what;
	unsigned kind;
	size_t member; /* the n-th value within the answer's JSON */
	unsigned turn;
	bool from_then_on; /* also all later answers at the same step */
	enum acme_step step;
	bool hit;
};

struct dialogue {
	struct ca_script script;
	struct challenge_choice choice; /* none: http-01 */
	enum account account;
	struct fault faults[2];
	struct mutation mutation;
	bool reload_always; /* through flow_save and flow_load, unnoticed, at every turn */
	/* Its course. */
	struct ca ca;
	struct flow *flow;
	struct next outcome;
	int64_t now, waited;
	unsigned turn, faults_hit;
	struct buf body;
};

enum { TURNS_MOST = 6000, WRONG_MOST = 10 }; /* after as many there is nothing more to learn */
static const int64_t start = INT64_C(1800000000000);
static unsigned tests, failures;

static void report(bool good, const char *name)
{
	printf("%s %u - %s\n", good ? "ok" : "not ok", ++tests, name);
	failures += !good;
}

/* The driver */

static void dialogue_begin(struct dialogue *d)
{
	struct err err;
	d->now = start;
	d->body = BUF(1 << 20);
	ca_init(&d->ca, &d->script);
	d->ca.account = d->account == ACCOUNT_existing || d->account == ACCOUNT_known;
	struct challenge_choice choices[CA_NAMES];
	for (unsigned i = 0; i < CA_NAMES; i++)
		choices[i] = d->choice;
	const struct flow_want want = {
		.directory_url = STR(CA_DIRECTORY),
		.email = STR("a@a.test"),
		.terms_agreed = true,
		.names = ca_names_of(&d->script),
		.name_count = d->script.names,
		.choices = d->choice.count ? choices : NULL,
		.profile = str_c(d->script.profile),
		.preferred_chain = d->script.chains ? STR("Root Two") : STR_NONE,
		.replaces = d->script.replaced ? STR("AAA.BBB") : STR_NONE,
		.now = start,
	};
	d->flow = flow_new(&want, &err);
	CHECK(d->flow);
	flow_can_bind(d->flow, d->script.bound);
	if (d->account == ACCOUNT_known || d->account == ACCOUNT_forgotten)
		flow_know_account(d->flow, STR(CA_ACCOUNT));
}

static void dialogue_end(struct dialogue *d)
{
	flow_free(&d->flow);
	ca_done(&d->ca);
	buf_done(&d->body);
}

static void reload(struct dialogue *d)
{
	struct err err;
	BUF_AUTO saved = BUF_INIT(1 << 20);
	flow_save(d->flow, &saved);
	flow_free(&d->flow);
	d->flow = flow_load(buf_str(&saved), &err);
	CHECK(d->flow);
}

/* The nonce is not saved: a process that dies has none. Here nobody died. */
static void reload_unnoticed(struct dialogue *d)
{
	BUF_AUTO nonce = BUF_INIT(1024);
	buf_add_buf(&nonce, &d->flow->nonce);
	reload(d);
	buf_add_buf(&d->flow->nonce, &nonce);
}

static struct next restart(struct dialogue *d)
{
	reload(d);
	ca_withdraw_all(&d->ca);
	return flow_lost(d->flow, d->now);
}

static struct next do_effect(struct dialogue *d, const struct acme_ask *ask)
{
	const struct flow *f = d->flow;
	if (ask->effect == ACME_CSR)
		flow_set_csr(d->flow, STR("csr"));
	if (ask->effect == ACME_BIND)
		flow_set_binding(d->flow, STR(CA_BINDING));
	for (size_t i = 0; ask->effect == ACME_PUBLISH && i < f->name_count; i++)
		if (flow_name_to_place(&f->names[i]))
			ca_publish(&d->ca, &f->names[i]);
	return flow_did(d->flow, NULL);
}

static enum fault_kind fault_now(const struct dialogue *d)
{
	for (unsigned i = 0; i < 2; i++)
		if (d->faults[i].kind && d->faults[i].turn == d->turn)
			return d->faults[i].kind;
	return FAULT_none;
}

static void mutate(struct dialogue *d, struct acme_reply *r);

static void exchange(
        struct dialogue *d, const struct acme_ask *ask, enum fault_kind fault, struct acme_reply *r)
{
	static const struct err silence = { .code = ERR_TIMEOUT,
		.text = "No answer came in 30 s." };
	*r = (struct acme_reply){ .now = d->now, .retry_after = -1, .silence = &silence };
	if (fault == FAULT_bad_nonce) {
		ca_refuse_nonce(&d->ca, ask, r);
		return;
	}
	if (fault == FAULT_outage)
		*r = (struct acme_reply){ .status = 503,
			.now = d->now,
			.retry_after = -1,
			.body = STR("<html>Busy</html>") };
	if (fault == FAULT_outage || fault == FAULT_request_lost)
		return;
	ca_hear(&d->ca, ask, d->flow->account, r);
	if (fault == FAULT_answer_lost)
		*r = (struct acme_reply){ .now = d->now, .retry_after = -1, .silence = &silence };
	else
		mutate(d, r);
}

static bool is_effect(enum acme_effect effect)
{
	return effect == ACME_PUBLISH || effect == ACME_CSR || effect == ACME_BIND;
}

static bool fits(enum fault_kind fault, enum acme_effect effect)
{
	const bool effect_only = is_effect(effect);
	if (fault == FAULT_bad_nonce)
		return effect == ACME_POST || effect == ACME_POST_JWK;
	return fault == FAULT_killed_before || fault == FAULT_killed_after || !effect_only;
}

static struct next one_turn(struct dialogue *d)
{
	enum fault_kind fault = fault_now(d);
	if (d->reload_always)
		reload_unnoticed(d);
	const struct acme_ask ask = flow_ask(d->flow);
	if (!fits(fault, ask.effect))
		fault = FAULT_none;
	d->faults_hit += fault != FAULT_none;
	if (fault == FAULT_killed_before)
		return restart(d);
	struct acme_reply r = { .now = d->now };
	const bool effect = is_effect(ask.effect);
	struct next did;
	if (effect)
		did = do_effect(d, &ask);
	else
		exchange(d, &ask, fault, &r);
	if (fault == FAULT_killed_after)
		return restart(d);
	return effect ? did : flow_heard(d->flow, &r);
}

static void converse(struct dialogue *d)
{
	dialogue_begin(d);
	for (d->turn = 0; d->turn < TURNS_MOST; d->turn++) {
		d->outcome = one_turn(d);
		if (d->outcome.what != FLOW_GO)
			return;
		if (d->outcome.other_type)
			ca_withdraw_all(&d->ca);
		flow_take(d->flow, &d->outcome);
		d->now += d->outcome.after;
		d->waited += d->outcome.after;
	}
}

/* What every dialogue must have come to */

/* The wanted chain if it is offered; who does not get an answer about it takes the default. */
static bool chain_right(const struct dialogue *d)
{
	const struct str chain = d->flow->chain;
	if (!d->script.chains)
		return str_eq(chain, STR(CA_CHAIN));
	const bool is_default = str_eq(chain, STR(CA_CHAIN_ONE));
	const bool has = d->script.chain && d->script.chain <= 4;
	if (d->faults_hit && is_default)
		return d->flow->note.n > 0;
	return has ? str_eq(chain, STR(CA_CHAIN_TWO)) : is_default && d->flow->note.n;
}

static const char *what_is_wrong(const struct dialogue *d)
{
	const struct ca *ca = &d->ca;
	const bool had_account = d->account == ACCOUNT_existing || d->account == ACCOUNT_known;
	if (ca->complaint)
		return ca->complaint;
	if (d->outcome.what != FLOW_DONE)
		return d->outcome.what == FLOW_FAIL ? d->outcome.err.text : "no end";
	if (!chain_right(d))
		return "another certificate than the one that was made";
	if (ca->accounts_made != (had_account ? 0 : 1))
		return "not exactly one account";
	if (ca->finalized != 1)
		return "not finalized exactly once";
	const struct ca_order *last = &ca->orders[ca->order_count - 1];
	for (unsigned i = 0; i < d->script.names; i++)
		if (last->authz[i].accepted != !(d->script.reused >> i & 1))
			return "a challenge not answered exactly once";
	return NULL;
}

/* As many orders as there are types by which the last name's proof is not found, and one; one more
 * is right only if nobody heard of the first. */
static bool order_count_right(const struct dialogue *d)
{
	const unsigned right = 1 + (unsigned)__builtin_popcount(d->script.not_found);
	return d->ca.order_count == right ||
	       (d->ca.order_count == right + 1 && (d->faults[0].kind == FAULT_answer_lost ||
	                                                  d->faults[0].kind == FAULT_killed_after));
}

struct counts {
	unsigned total, wrong, second_orders;
	unsigned names[CA_NAMES + 1], pending[4], processing[4], reused[4];
	unsigned faults[FAULT_COUNT], accounts[ACCOUNT_COUNT];
};

static void complain(const struct dialogue *d, const char *wrong)
{
	printf("# %u names, pending %u, processing %u, reused %x, %s, %s at turn %u: %s\n",
	        d->script.names, d->script.pending, d->script.processing, d->script.reused,
	        account_words[d->account], fault_words[d->faults[0].kind], d->faults[0].turn,
	        wrong);
}

static unsigned reuse_row(const struct ca_script *s)
{
	if (s->reused == 0)
		return 0;
	if (s->reused == (1u << s->names) - 1)
		return 3;
	return s->reused == 1 ? 1 : 2;
}

static void count(struct counts *c, const struct dialogue *d)
{
	const char *wrong = what_is_wrong(d);
	if (!wrong && d->script.names && !d->faults[1].kind && !order_count_right(d))
		wrong = "more orders than needed";
	if (wrong && c->wrong++ < WRONG_MOST)
		complain(d, wrong);
	c->total++;
	c->second_orders += d->ca.order_count > 1;
	c->names[d->script.names]++;
	c->pending[d->script.pending]++;
	c->processing[d->script.processing]++;
	c->reused[reuse_row(&d->script)]++;
	c->faults[d->faults[0].kind]++;
	c->accounts[d->account]++;
}

static void print_counts(const struct counts *c)
{
	static const char *const reuse_words[] = { "none", "the first", "the last", "all" };
	printf("# dialogues per dimension\n");
	for (unsigned i = 1; i <= CA_NAMES; i++)
		printf("#   %u name%s: %u\n", i, i == 1 ? "" : "s", c->names[i]);
	for (unsigned i = 0; i < 4; i++)
		printf("#   %u pending polls: %u, %u processing polls: %u\n", i, c->pending[i], i,
		        c->processing[i]);
	for (unsigned i = 0; i < 4; i++)
		printf("#   authorizations reused, %s: %u\n", reuse_words[i], c->reused[i]);
	for (unsigned i = 0; i < FAULT_COUNT; i++)
		printf("#   %s: %u\n", fault_words[i], c->faults[i]);
	for (unsigned i = 0; i < ACCOUNT_COUNT; i++)
		printf("#   %s: %u\n", account_words[i], c->accounts[i]);
	printf("# %u in all, %u with a second order because the first was never heard of\n",
	        c->total, c->second_orders);
}

/* One fault at every turn */

static unsigned run(struct counts *c, const struct dialogue *script)
{
	struct dialogue d = *script;
	converse(&d);
	const unsigned turns = d.turn + 1,
	               wanted = (d.faults[0].kind ? 1u : 0u) + (d.faults[1].kind ? 1u : 0u);
	if (d.faults_hit == wanted)
		count(c, &d);
	dialogue_end(&d);
	return turns;
}

static void run_faults(struct counts *c, struct dialogue d)
{
	const unsigned turns = run(c, &d);
	for (enum fault_kind kind = FAULT_none + 1; kind < FAULT_COUNT; kind++)
		for (unsigned turn = 0; turn < turns && c->wrong < WRONG_MOST; turn++) {
			d.faults[0] = (struct fault){ kind, turn };
			run(c, &d);
		}
}

static void run_polls(struct counts *c, struct dialogue d)
{
	const bool all_reused = d.script.reused == (1u << d.script.names) - 1;
	for (unsigned pending = 0; pending < (all_reused ? 1 : 4); pending++)
		for (unsigned processing = 0; processing < 4; processing++) {
			d.script.pending = pending;
			d.script.processing = processing;
			run_faults(c, d);
		}
}

static void every_message(void)
{
	struct counts c = { 0 };
	for (unsigned names = 1; names <= CA_NAMES; names++) {
		const unsigned reused[] = { 0, (1u << names) - 1, 1, 1u << (names - 1) };
		for (unsigned r = 0; r < (names == 1 ? 2 : 4); r++)
			for (enum account account = 0; account < ACCOUNT_COUNT; account++)
				run_polls(&c, (struct dialogue){ .account = account,
				                      .script = { .names = names,
				                              .reused = reused[r] } });
	}
	print_counts(&c);
	report(c.total >= 50000, "more than 50,000 dialogues");
	report(c.wrong == 0, "each ends in one certificate, everything said once");
}

static void two_faults(void)
{
	struct counts c = { 0 };
	struct dialogue d = { .script = { .names = 2, .pending = 1, .processing = 1 } };
	const unsigned turns = run(&c, &d) + 2;
	for (unsigned pair = 0; pair < (FAULT_COUNT - 1) * (FAULT_COUNT - 1); pair++)
		for (unsigned first = 0; first < turns; first++)
			for (unsigned second = first + 1; second < turns && c.wrong < WRONG_MOST;
			        second++) {
				d.faults[0] = (struct fault){ 1 + pair / (FAULT_COUNT - 1), first };
				d.faults[1] =
				        (struct fault){ 1 + pair % (FAULT_COUNT - 1), second };
				run(&c, &d);
			}
	printf("# %u dialogues with two faults\n", c.total);
	report(c.wrong == 0, "two faults in one dialogue");
}

#define BIT(type) (1u << CHALLENGE_##type)
static const struct challenge_choice all_types = {
	{ CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01, CHALLENGE_DNS_01, CHALLENGE_DNS_PERSIST_01 }, 4
};

/* What may be wanted, and what a CA may say to it. */
static void other_wishes(void)
{
	static const struct {
		const char *name;
		struct ca_script script;
		struct challenge_choice choice;
	} rows[] = {
		{ "bound accounts", { .names = 1, .bound = true }, { { 0 }, 0 } },
		{ "a profile", { .names = 2, .profile = "short" }, { { 0 }, 0 } },
		{ "the second of three other chains", { .names = 1, .chains = 3, .chain = 2 },
		        { { 0 }, 0 } },
		{ "no other chain is the wanted one", { .names = 2, .chains = 2 }, { { 0 }, 0 } },
		{ "the wanted chain is too far down", { .names = 1, .chains = 6, .chain = 5 },
		        { { 0 }, 0 } },
		{ "the first type that is offered",
		        { .names = 3, .pending = 1, .offers = BIT(TLS_ALPN_01) | BIT(DNS_01) },
		        { { CHALLENGE_HTTP_01, CHALLENGE_DNS_01, CHALLENGE_TLS_ALPN_01 }, 3 } },
		{ "a record that stays, without a token",
		        { .names = 2, .pending = 2, .offers = BIT(DNS_PERSIST_01) },
		        { { CHALLENGE_DNS_PERSIST_01 }, 1 } },
		{ "a type that fails, then another",
		        { .names = 2,
		                .pending = 1,
		                .offers = BIT(HTTP_01) | BIT(TLS_ALPN_01),
		                .not_found = BIT(HTTP_01) },
		        { { CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 }, 2 } },
		{ "all types in turn",
		        { .names = 1,
		                .offers = BIT(HTTP_01) | BIT(TLS_ALPN_01) | BIT(DNS_01) |
		                          BIT(DNS_PERSIST_01),
		                .not_found = BIT(HTTP_01) | BIT(TLS_ALPN_01) | BIT(DNS_01) },
		        all_types },
		{ "a domain, its wildcard and an address",
		        { .names = 3,
		                .pending = 1,
		                .special = true,
		                .offers = BIT(HTTP_01) | BIT(DNS_01) },
		        { { CHALLENGE_DNS_01, CHALLENGE_HTTP_01 }, 2 } },
		{ "the same in another order",
		        { .names = 4,
		                .pending = 1,
		                .special = true,
		                .reversed = true,
		                .offers = BIT(HTTP_01) | BIT(DNS_01) },
		        { { CHALLENGE_HTTP_01, CHALLENGE_DNS_01 }, 2 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct counts c = { 0 };
		struct dialogue d = { .script = rows[i].script, .choice = rows[i].choice };
		run_faults(&c, d);
		d.reload_always = true;
		run_faults(&c, d);
		report(c.wrong == 0 && c.total > 20, rows[i].name);
	}
}

static void every_type_fails(void)
{
	struct dialogue d = { .choice = all_types,
		.script = { .names = 2, .fails = true, .offers = BIT(HTTP_01) | BIT(DNS_01) } };
	converse(&d);
	report(d.outcome.what == FLOW_FAIL && d.ca.order_count == 2 && !d.ca.complaint &&
	                strstr(d.outcome.err.text, "_acme-challenge.b.test"),
	        "once every type that is offered has failed, the last one's reason is told");
	dialogue_end(&d);
}

static void an_unknown_profile_is_not_ordered(void)
{
	struct dialogue d = { .script = { .names = 1, .profile = "tiny" } };
	converse(&d);
	report(d.outcome.what == FLOW_FAIL && !d.ca.order_count && !d.ca.accounts_made &&
	                strstr(d.outcome.err.text, "no profile \"tiny\"; it has classic, short."),
	        "a profile that the CA does not have is not ordered");
	dialogue_end(&d);
}

static void other_cas(void)
{
	static const struct {
		const char *name;
		struct ca_script script;
	} rows[] = {
		{ "authorizations in another order",
		        { .names = 4, .pending = 1, .reversed = true } },
		{ "the same, some reused", { .names = 4, .reversed = true, .reused = 1 } },
		{ "challenges that read pending while checked",
		        { .names = 3, .pending = 2, .quiet = true } },
		{ "replaces refused", { .names = 2, .processing = 1, .replaced = true } },
		{ "Retry-After with each order",
		        { .names = 2, .pending = 2, .processing = 2, .retry_after = 3000 } },
		{ "1 of 20 nonces refused", { .names = 4, .pending = 3, .nonces_refused = 5 } },
		{ "half of the nonces refused",
		        { .names = 4, .pending = 3, .nonces_refused = 50 } },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct counts c = { 0 };
		run_faults(&c, (struct dialogue){ .script = rows[i].script });
		run_faults(
		        &c, (struct dialogue){ .script = rows[i].script, .reload_always = true });
		report(c.wrong == 0, rows[i].name);
	}
}

static void most_nonces_refused(void)
{
	struct counts c = { 0 };
	for (unsigned luck = 0; luck < 100; luck++)
		run(&c, &(struct dialogue){ .script = { .names = 4,
		                                    .pending = 3,
		                                    .processing = 3,
		                                    .nonces_refused = 90,
		                                    .luck = luck } });
	report(c.wrong == 0 && c.total == 100, "9 of 10 nonces refused");
}

static void waits(void)
{
	struct dialogue fast = { .script = { .names = 2, .pending = 1, .processing = 1 } };
	converse(&fast);
	printf("# %u turns, %lld ms of waiting at a fast CA\n", fast.turn + 1,
	        (long long)fast.waited);
	report(!what_is_wrong(&fast) && fast.waited <= 100, "a fast CA is not kept waiting");
	dialogue_end(&fast);
	struct dialogue told = {
		.script = { .names = 1, .pending = 3, .processing = 3, .retry_after = 3000 }
	};
	converse(&told);
	report(!what_is_wrong(&told) && told.waited == 6 * 3000, "Retry-After is kept to");
	dialogue_end(&told);
	struct dialogue refuses = { .script = { .names = 1, .nonces_refused = 100 } };
	converse(&refuses);
	report(refuses.outcome.what == FLOW_FAIL && refuses.flow->bad_nonces == 201,
	        "a CA that refuses every nonce is left after 200");
	dialogue_end(&refuses);
}

/* Answers that are not as they should be */

#define MEMBER_KINDS(X)                                                                            \
	X(dropped, (void)w)                                                                        \
	X(null, json_write_null(w, key))                                                           \
	X(number, json_write_int(w, key, 7))                                                       \
	X(yes, json_write_bool(w, key, true))                                                      \
	X(text, json_write_c(w, key, "other"))                                                     \
	X(empty, json_write_c(w, key, ""))                                                         \
	X(plain_url, json_write_c(w, key, "http://ca.test/order/0"))                               \
	X(other_url, json_write_c(w, key, "https://ca.test/nowhere"))                              \
	X(object, json_write_raw(w, key, STR("{\"status\":{}}")))                                  \
	X(array, json_write_raw(w, key, STR("[[],{},\"x\"]")))
enum member_kind {
#define X(name, write) MEMBER_##name,
	MEMBER_KINDS(X)
#undef X
	        MEMBER_COUNT
};

static void write_changed(struct json_writer *w, const char *key, enum member_kind kind)
{
	switch (kind) {
#define X(name, write)                                                                             \
	case MEMBER_##name:                                                                        \
		write;                                                                             \
		return;
		MEMBER_KINDS(X)
#undef X
	case MEMBER_COUNT:
		return;
	}
}

struct rewriting {
	struct json_writer w;
	struct mutation *mutation;
	size_t seen;
};

static void rewrite(struct rewriting *r, const char *key, const struct json *value);

static void rewrite_member(struct rewriting *r, const char *key, const struct json *value)
{
	if (r->mutation->what != MUTATE_MEMBER || r->seen++ != r->mutation->member) {
		rewrite(r, key, value);
		return;
	}
	r->mutation->hit = true;
	write_changed(&r->w, key, (enum member_kind)r->mutation->kind);
}

static void rewrite(struct rewriting *r, const char *key, const struct json *value)
{
	if (json_is_object(value)) {
		json_write_object(&r->w, key);
		for (const struct json_iter *it = json_first(value); it; it = json_next(value, it))
			rewrite_member(r, json_iter_key(it).p, json_iter_value(it));
		if (r->mutation->what == MUTATE_JOIN)
			json_write_raw(&r->w, "unknown",
			        STR("{\"deep\":[null,1,{\"status\":\"invalid\"}]}"));
		json_write_end(&r->w);
	} else if (json_count(value)) {
		json_write_array(&r->w, key);
		for (size_t i = 0; i < json_count(value); i++)
			rewrite_member(r, NULL, json_at(value, i));
		json_write_end(&r->w);
	} else {
		json_write_value(&r->w, key, value);
	}
}

static void mutate_body(struct dialogue *d, struct acme_reply *r)
{
	struct err err;
	JSON_AUTO *root = json_parse(r->body, "The answer", &err);
	if (!root)
		return;
	struct rewriting rewriting = { .mutation = &d->mutation };
	buf_clear(&d->body);
	json_write_init(&rewriting.w, &d->body);
	rewrite(&rewriting, NULL, root);
	r->body = buf_str(&d->body);
	d->mutation.hit = d->mutation.hit || d->mutation.what == MUTATE_JOIN;
}

#define HTML "<!DOCTYPE html><html><body>Sign in</body></html>"
static const struct {
	unsigned status;
	const char *body, *nonce, *location; /* NULL: as it was */
	int64_t retry_after;
} answers[] = {
	{ 200, HTML, NULL, NULL, -1 },
	{ 200, "", NULL, NULL, -1 },
	{ 200, "{\"status\":\"val", NULL, NULL, -1 },
	{ 200, "null", NULL, NULL, -1 },
	{ 200, "[{}]", NULL, NULL, -1 },
	{ 200, "{}", NULL, NULL, -1 },
	{ 200, "\xff\xfe\x00", NULL, NULL, -1 },
	{ 200, NULL, "", NULL, -1 },
	{ 200, NULL, "not a nonce", NULL, -1 },
	{ 200, NULL, NULL, "", -1 },
	{ 200, NULL, NULL, "/relative", -1 },
	{ 200, NULL, NULL, "http://ca.test/order/0", -1 },
	{ 200, NULL, NULL, NULL, 100 * DAY },
	{ 200, NULL, NULL, NULL, INT64_MAX },
	{ 200, NULL, NULL, NULL, 1 },
	{ 204, "", NULL, NULL, -1 },
	{ 101, "", NULL, NULL, -1 },
	{ 301, "", NULL, "https://elsewhere.test/", -1 },
	{ 400, "", NULL, NULL, -1 },
	{ 400, "{\"type\":\"urn:ietf:params:acme:error:malformed\"}", NULL, NULL, -1 },
	{ 400, "{\"type\":7,\"detail\":[]}", NULL, NULL, -1 },
	{ 400, "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}", "", NULL, -1 },
	{ 401, "{\"type\":\"urn:ietf:params:acme:error:accountDoesNotExist\",\"detail\":\"No.\"}",
	        NULL, NULL, -1 },
	{ 403,
	        "{\"detail\":\"Two\\nlines\\u001b[31m\",\"subproblems\":[null,7,{\"detail\":\"x\"}]"
	        "}",
	        NULL, NULL, -1 },
	{ 403, "{\"type\":\"urn:ietf:params:acme:error:orderNotReady\"}", NULL, NULL, -1 },
	{ 404, HTML, NULL, NULL, -1 },
	{ 409, "{\"type\":\"urn:ietf:params:acme:error:conflict\"}", NULL, NULL, -1 },
	{ 429, "", NULL, NULL, -1 },
	{ 429, "", NULL, NULL, 5000 },
	{ 429, "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many\"}",
	        NULL, NULL, -1 },
	{ 429, "{\"type\":\"urn:ietf:params:acme:error:rateLimited\",\"detail\":\"too many\"}",
	        NULL, NULL, 34 * HOUR },
	{ 500, "{\"type\":\"urn:ietf:params:acme:error:serverInternal\"}", NULL, NULL, 60000 },
	{ 502, HTML, NULL, NULL, -1 },
	{ 503, "", NULL, NULL, INT64_MAX },
	{ 599, "", "", NULL, 0 },
	{ 4000000000u, "", "", NULL, 0 },
};

static void mutate_answer(struct dialogue *d, struct acme_reply *r)
{
	const unsigned k = d->mutation.kind;
	d->mutation.hit = true;
	r->status = answers[k].status;
	r->retry_after = answers[k].retry_after;
	if (answers[k].body)
		r->body = str_c(answers[k].body);
	if (answers[k].nonce)
		r->nonce = str_c(answers[k].nonce);
	if (answers[k].location)
		r->location = str_c(answers[k].location);
}

static void mutate(struct dialogue *d, struct acme_reply *r)
{
	struct mutation *m = &d->mutation;
	if (m->what == MUTATE_NOTHING || d->turn < m->turn)
		return;
	if (d->turn == m->turn)
		m->step = d->flow->step;
	else if (!m->from_then_on || (m->step != d->flow->step && m->what != MUTATE_JOIN))
		return;
	if (m->what == MUTATE_ANSWER)
		mutate_answer(d, r);
	else
		mutate_body(d, r);
}

static bool contains_pem(struct str s)
{
	return memmem(s.p, s.n, "-----END CERTIFICATE-----", 25) != NULL;
}

static const char *end_is_wrong(const struct dialogue *d)
{
	const struct str text = str_c(d->outcome.err.text);
	if (d->outcome.what == FLOW_GO)
		return "no end";
	if (d->waited > HOUR + MINUTE)
		return "more than an hour";
	if (d->outcome.what == FLOW_DONE)
		return contains_pem(d->flow->chain) ? NULL : "a certificate that is none";
	const bool cut = text.n + 1 == sizeof d->outcome.err.text;
	if (text.n < 20 || text.p[0] < 'A' || (text.p[text.n - 1] != '.' && !cut))
		return text.n ? text.p : "no sentence";
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ')
			return "a control character in the sentence";
	return d->outcome.err.code == ERR_NONE ? "a failure without a code" : NULL;
}

struct tally {
	unsigned total, issued, wrong;
};

static bool run_mutation(struct tally *t, struct dialogue d, bool must_issue)
{
	converse(&d);
	const bool hit = d.mutation.hit;
	const char *wrong = end_is_wrong(&d);
	if (must_issue && d.outcome.what != FLOW_DONE)
		wrong = d.outcome.err.text;
	if (hit) {
		t->total++;
		t->issued += d.outcome.what == FLOW_DONE;
		if (wrong && t->wrong++ < WRONG_MOST)
			printf("# turn %u, member %zu, kind %u: %s\n", d.mutation.turn,
			        d.mutation.member, d.mutation.kind, wrong);
	}
	dialogue_end(&d);
	return hit;
}

static void change_members(struct tally *t, struct dialogue d)
{
	d.mutation.what = MUTATE_MEMBER;
	bool more = true;
	for (d.mutation.member = 0; more; d.mutation.member++) {
		more = false;
		for (unsigned kind = 0; kind < MEMBER_COUNT; kind++) {
			d.mutation.kind = kind;
			more = run_mutation(t, d, /* must_issue= */ false) || more;
		}
	}
}

static void change_answers(struct tally *t, struct dialogue d)
{
	d.mutation.what = MUTATE_ANSWER;
	for (unsigned kind = 0; kind < sizeof answers / sizeof *answers; kind++) {
		d.mutation.kind = kind;
		run_mutation(t, d, /* must_issue= */ false);
	}
}

static void every_answer_changed(const char *name, struct ca_script script)
{
	struct tally members = { 0 }, whole = { 0 }, joined = { 0 };
	struct dialogue d = { .script = script }, plain = d;
	converse(&plain);
	const unsigned turns = plain.turn + 1;
	dialogue_end(&plain);
	for (unsigned turn = 0; turn < turns && members.wrong + whole.wrong < WRONG_MOST; turn++)
		for (unsigned more = 0; more < 2; more++) {
			d.mutation = (struct mutation){ .turn = turn, .from_then_on = more };
			change_members(&members, d);
			change_answers(&whole, d);
			d.mutation.what = MUTATE_JOIN;
			run_mutation(&joined, d, /* must_issue= */ !script.fails);
		}
	printf("# %s: %u dialogues with a member changed, %u with another answer, %u with unknown "
	       "members; %u, %u, %u issued\n",
	        name, members.total, whole.total, joined.total, members.issued, whole.issued,
	        joined.issued);
	report(members.wrong == 0 && members.total > 500, "a member of an answer changed");
	report(whole.wrong == 0 && whole.total > 500, "another answer altogether");
	report(joined.wrong == 0 && joined.total > 0, "unknown members are ignored");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	every_message();
	two_faults();
	other_cas();
	other_wishes();
	every_type_fails();
	an_unknown_profile_is_not_ordered();
	most_nonces_refused();
	waits();
	every_answer_changed(
	        "issued", (struct ca_script){ .names = 2, .pending = 1, .processing = 1 });
	every_answer_changed(
	        "replaces refused", (struct ca_script){ .names = 1, .replaced = true });
	every_answer_changed("proof not found", (struct ca_script){ .names = 2, .fails = true });
	every_answer_changed("bound, with another chain",
	        (struct ca_script){ .names = 1, .bound = true, .chains = 2, .chain = 2 });
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
