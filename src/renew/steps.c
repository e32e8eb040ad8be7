/* What an attempt does, in the words of the page: one step for each thing that a person can see
 * happen, with better words as it goes on. */
#include "renew/private.h"

enum { TOLD_WAIT = 5 * SECOND, PLACES_MOST = 16, TIMES_MOST = 9, CLIENT_MOST = 64 };

/* Who fetched the token of a name: the CA, from several places. */
struct fetched {
	struct list node;
	struct str name;
	char client[CLIENT_MOST];
	unsigned times;
};

/* One name's proof is one step, from reading what is wanted to the CA's verdict. */
static size_t proving(const struct flow *f)
{
	if (f->step == ACME_STEP_authz || f->step == ACME_STEP_answer)
		return f->at;
	for (size_t i = 0; f->step == ACME_STEP_await && i < f->name_count; i++)
		if (!f->names[i].valid)
			return i;
	return f->name_count;
}

static const char *name_of(const struct flow *f)
{
	return f->step == ACME_STEP_await ? "finalize" : acme_step_name(f->step);
}

static struct str words(struct arena *a, const struct flow *f)
{
	if (f->step == ACME_STEP_directory)
		return arena_printf(a, "Reach %.*s", STR_ARG(acme_ca_name(f->directory_url)));
	if (f->step == ACME_STEP_revoke && f->by_key)
		return STR("Revoke the certificate by its own key, since the account may not");
	const struct str profile = order_profile(f);
	if (f->step == ACME_STEP_order && !str_eq(profile, f->profile))
		return arena_printf(a, "%s, with the profile %.*s, as addresses want it",
		        acme_step_words(f->step), STR_ARG(profile));
	return str_c(acme_step_words(f->step == ACME_STEP_await ? ACME_STEP_finalize : f->step));
}

static struct str proof_words(struct arena *a, struct str name)
{
	return arena_printf(a, "Prove control of %.*s", STR_ARG(name));
}

/* Once the account is known: whether it was there before. */
static void tell_account(struct registration *g, const struct flow *f)
{
	const bool known = g->shown_step == ACME_STEP_COUNT && f->step == ACME_STEP_order;
	const bool heard = g->shown_step == ACME_STEP_account && f->step != ACME_STEP_account;
	if (f->account.n && (known || heard))
		task_step(g->task, acme_step_name(ACME_STEP_account),
		        f->account_looked_up ? STR("Account, new") : STR("Account, reused"));
}

/* A CA asks for no proof of a name that it proved a while ago. */
static void tell_proved(struct registration *g, const struct flow *f)
{
	ARENA_AUTO a = ARENA_INIT;
	for (size_t i = 0; f->step == ACME_STEP_finalize && i < f->name_count; i++)
		if (!f->names[i].answered)
			task_step_about(g->task, acme_step_name(ACME_STEP_answer), f->names[i].name,
			        arena_printf(&a, "Prove control of %.*s: proved before",
			                STR_ARG(f->names[i].name)));
}

static struct str with_wait(
        struct arena *a, struct str text, const struct flow *f, const struct next *next)
{
	const bool told = next->ca_at_fault || next->after > TOLD_WAIT;
	if (!next->after || !told)
		return text;
	return arena_printf(a, "%.*s: waiting %.1f s, %.*s", STR_ARG(text),
	        (double)next->after / 1000, STR_ARG(f->waiting_for));
}

/* What it is proved by, where that is not what one expects. */
static struct str way_words(
        struct arena *a, const struct registration *g, const struct flow_name *name)
{
	struct err why = ERR_INIT;
	const struct str plain = proof_words(a, name->name);
	if (name->type == CHALLENGE_HTTP_01 || !name->token.n)
		return plain;
	const struct str text =
	        arena_printf(a, "%.*s by %s", STR_ARG(plain), challenge_type_name(name->type));
	const char *cannot = issuers_cannot(g->renewals->needs.issuers, name->name, &why);
	if (!cannot)
		return text;
	const struct str said = err_message(&why);
	return arena_printf(
	        a, "%.*s, because %s cannot be used: %.*s", STR_ARG(text), cannot, STR_ARG(said));
}

/* The words that tell most: a poll does not hide who has fetched the token. */
static void tell_proof(
        struct registration *g, const struct flow *f, const struct next *next, size_t at)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct str step = str_c(acme_step_name(ACME_STEP_answer)), name = f->names[at].name;
	const struct str plain = way_words(&a, g, &f->names[at]);
	const struct str text = with_wait(&a, plain, f, next);
	const struct event *before = task_event_before(g->task, g->task->count, step, name);
	if (before && str_eq(text, plain) && !str_eq(before->text, proof_words(&a, name)))
		return;
	task_step_about(g->task, acme_step_name(ACME_STEP_answer), name, text);
}

/* A proof failed, or could not be placed, and another type is tried. */
static void tell_other_type(struct registration *g, const struct flow *f, const struct next *next)
{
	ARENA_AUTO a = ARENA_INIT;
	task_step_about(g->task, acme_step_name(ACME_STEP_answer), f->names[next->at].name,
	        arena_printf(&a, "%.*s %.*s", STR_ARG(f->note), STR_ARG(err_message(&next->err))));
}

struct str steps_words(struct arena *a, const struct flow *f, const struct next *next)
{
	return with_wait(a, words(a, f), f, next);
}

void steps_moved(struct registration *g, const struct flow *f, const struct next *next)
{
	ARENA_AUTO a = ARENA_INIT;
	const size_t at = proving(f);
	if (next->other_type || next->unplaced)
		tell_other_type(g, f, next);
	tell_account(g, f);
	tell_proved(g, f);
	g->shown_step = f->step;
	if (at < f->name_count)
		tell_proof(g, f, next, at);
	else
		task_step(g->task, name_of(f), steps_words(&a, f, next));
}

/* Fetched tokens */

static struct fetched *fetched_by(struct task *t, struct str name, struct str client)
{
	size_t count = 0;
	LIST_EACH (n, &t->fetches) {
		struct fetched *f = OWNER(n, struct fetched, node);
		if (!str_eq(f->name, name))
			continue;
		count++;
		if (str_eq_c(client, f->client))
			return f;
	}
	if (count >= PLACES_MOST || client.n >= CLIENT_MOST)
		return NULL;
	struct fetched *f = arena_array(&t->arena, struct fetched, 1);
	f->name = arena_str(&t->arena, name);
	snprintf(f->client, sizeof f->client, "%.*s", STR_ARG(client));
	list_add_last(&t->fetches, &f->node);
	return f;
}

static void add_places(const struct task *t, struct str name, struct buf *out)
{
	size_t count = 0, shown = 0;
	LIST_EACH (n, &t->fetches)
		count += str_eq(OWNER(n, struct fetched, node)->name, name);
	buf_printf(out, "token fetched from ");
	if (count > 1)
		buf_printf(out, "%zu places: ", count);
	LIST_EACH (n, &t->fetches) {
		const struct fetched *f = OWNER(n, struct fetched, node);
		if (!str_eq(f->name, name))
			continue;
		buf_printf(out, "%s%s", shown++ ? ", " : "", f->client);
		if (f->times > 1)
			buf_printf(out, " (%u times)", f->times);
	}
}

void steps_fetched(struct registration *g, struct str name, struct str client)
{
	BUF_AUTO text = BUF(4096);
	struct fetched *f = fetched_by(g->task, name, client);
	if (!f || f->times == TIMES_MOST)
		return;
	f->times++;
	buf_printf(&text, "Prove control of %.*s: ", STR_ARG(name));
	add_places(g->task, name, &text);
	task_step_about(g->task, acme_step_name(ACME_STEP_answer), name, buf_str(&text));
}

/* What a proof waits for before the CA is told: the words say when something has moved. */
void steps_waits(struct registration *g, struct str name, struct str words)
{
	BUF_AUTO text = BUF(4096);
	buf_printf(&text, "Prove control of %.*s: %.*s", STR_ARG(name), STR_ARG(words));
	const struct str step = str_c(acme_step_name(ACME_STEP_answer));
	const struct event *before = task_event_before(g->task, g->task->count, step, name);
	if (!before || !str_eq(before->text, buf_str(&text)))
		task_step_about(g->task, acme_step_name(ACME_STEP_answer), name, buf_str(&text));
}

/* Binding */

static void add_address(struct buf *out, const struct address *a)
{
	const bool six = str_has(a->host, ':') && !str_starts(a->host, STR("["));
	buf_printf(out, "%s%s%.*s%s:%u", out->n ? ", " : "", six ? "[" : "", STR_ARG(a->host),
	        six ? "]" : "", a->port);
}

void steps_bind(struct registration *g)
{
	BUF_AUTO addresses = BUF(4096), text = BUF(8192);
	const struct config *c = g->renewals->config;
	if (g->listen.host.n)
		add_address(&addresses, &g->listen);
	for (size_t i = 0; !g->listen.host.n && i < c->https_count; i++)
		add_address(&addresses, &c->https[i]);
	buf_printf(&text, "Bind %s", addresses.n ? buf_c(&addresses) : "the certificate");
	task_step(g->task, "bind", buf_str(&text));
}
