#include "issue_dns_rig.h"

struct buf logged = BUF_INIT(1 << 20);

static struct scripted *find(struct rig *r, const struct fetch_resolve *q)
{
	BUF_AUTO question = BUF(4096);
	buf_printf(&question, "%s %.*s %.*s", q->type, STR_ARG(q->name), STR_ARG(q->servers));
	for (size_t i = 0; i < r->count; i++)
		if (str_starts(buf_str(&question), str_c(r->script[i].question)))
			return &r->script[i];
	return NULL;
}

static void answer(struct rig *r, struct fetch_resolve *q)
{
	static const struct scripted nothing = { .outcome = "no-name" };
	struct err error = ERR_INIT;
	err_set(&error, ERR_REFUSED, "There is no fetch process.");
	struct scripted *s = find(r, q);
	const bool yet = s && s->asked++ >= s->from;
	const struct scripted *a = yet ? s : &nothing;
	struct str first = s ? str_c(s->first) : STR_NONE, word = STR_NONE;
	for (unsigned i = 0; s && i < s->asked; i++)
		if (!str_split(&first, ' ', &word))
			word = STR_NONE;
	const struct str outcome = word.n ? word : str_c(a->outcome ? a->outcome : "found");
	const struct fetch_resolved came = { .outcome = outcome,
		.owner = a->owner ? str_c(a->owner) : q->name,
		.aliases = str_c(a->aliases),
		.records = str_eq_c(outcome, "found") ? str_c(a->records) : STR_NONE };
	q->fetch = NULL;
	if (str_eq_c(outcome, "error"))
		q->done(q, NULL, &error);
	else
		q->done(q, &came, NULL);
}

static void work(struct later *l)
{
	struct rig *r = OWNER(l, struct rig, turn);
	struct fetch_update *u = r->update;
	while (r->resolve_count && !r->mute)
		answer(r, r->resolves[--r->resolve_count]);
	if (!u || r->mute)
		return;
	r->update = NULL;
	u->fetch = NULL;
	u->done(u, r->update_err.code ? &r->update_err : NULL);
}

void rig_answer(struct rig *r)
{
	r->mute = false;
	work(&r->turn);
}

static void resolve(struct fetch *f, struct fetch_resolve *q)
{
	struct rig *r = OWNER(f, struct rig, fetch);
	q->fetch = f;
	buf_printf(&r->asked, "%s %.*s%s %lld at %.*s\n", q->type, STR_ARG(q->name),
	        q->authoritative ? " authoritative" : "", (long long)q->timeout,
	        STR_ARG(q->servers));
	/* As the real one: texts are copied. */
	q->name = arena_str(&r->arena, q->name);
	q->servers = arena_str(&r->arena, q->servers);
	r->resolves[r->resolve_count++] = q;
	later_start(&r->turn, r->loop, work);
}

static void resolve_abort(struct fetch *f, struct fetch_resolve *q)
{
	struct rig *r = OWNER(f, struct rig, fetch);
	for (size_t i = 0; i < r->resolve_count; i++)
		if (r->resolves[i] == q)
			r->resolves[i] = r->resolves[--r->resolve_count];
	q->fetch = NULL;
}

static void update(struct fetch *f, struct fetch_update *u)
{
	struct rig *r = OWNER(f, struct rig, fetch);
	u->fetch = f;
	r->update = u;
	buf_printf(&r->changes, "%s %.*s %.*s %.*s %.*s key %.*s %.*s %.*s\n",
	        u->remove ? "remove" : "add", STR_ARG(u->server), STR_ARG(u->zone),
	        STR_ARG(u->name), STR_ARG(u->value), STR_ARG(u->key_name), STR_ARG(u->hmac),
	        STR_ARG(u->secret));
	later_start(&r->turn, r->loop, work);
}

static void update_abort(struct fetch *f, struct fetch_update *u)
{
	OWNER(f, struct rig, fetch)->update = NULL;
	u->fetch = NULL;
}

static void zones(struct fetch *f, struct fetch_zones *z, bool sockets_changed)
{
	struct rig *r = OWNER(f, struct rig, fetch);
	r->zones = z;
	r->zones_told++;
	r->sockets_told += sockets_changed;
}

static const struct fetch_ops ops = { .resolve = resolve,
	.resolve_abort = resolve_abort,
	.update = update,
	.update_abort = update_abort,
	.zones = zones };

static void ready(struct proving *p, const struct err *err)
{
	struct rig *r = OWNER(p, struct rig, proving);
	r->ready++;
	r->err = err ? *err : (struct err)ERR_INIT;
}

static void said(struct proving *p, struct str words)
{
	struct rig *r = OWNER(p, struct rig, proving);
	buf_printf(&r->said, "%.*s\n", STR_ARG(words));
}

static void sink(enum log_level level, struct str fields, struct str words)
{
	(void)fields;
	buf_printf(&logged, "%s: %.*s\n", log_level_name(level), STR_ARG(words));
}

/* The supervisor notes what it is to run, a word a line. */
static void supervisor_heard(struct link *l, const struct msg *m)
{
	struct rig *r = OWNER(l, struct rig, supervisor);
	const struct msg_program *p = &m->is.program;
	assert_int_equal(m->type, MSG_program);
	buf_printf(&r->ran, "run %lld as %lld:%lld for %lld\n", (long long)p->id, (long long)p->uid,
	        (long long)p->gid, (long long)p->timeout);
	for (size_t i = 0; i < p->arguments.n; i++)
		buf_add_char(&r->ran, p->arguments.p[i] ? p->arguments.p[i] : '\n');
	for (size_t i = 0; i < p->environment.n; i++)
		buf_add_char(&r->ran, p->environment.p[i] ? p->environment.p[i] : '\n');
}

static void control_heard(struct link *l, const struct msg *m)
{
	programs_heard(OWNER(l, struct rig, ours)->programs, &m->is.program_ended);
}

static void ended(struct link *l, const struct err *why)
{
	(void)l;
	(void)why;
}

static const struct link_ops supervisor_ops = { .heard = supervisor_heard, .ended = ended };
static const struct link_ops control_ops = { .heard = control_heard, .ended = ended };

static void too_long(struct timer *t)
{
	(void)t;
	BUG("Nothing comes any more.");
}

void rig_init(struct rig *r, const char *file, struct scripted *script, size_t count)
{
	struct err err = ERR_INIT;
	int fds[2];
	const struct config_source source = { .file = "t" };
	*r = (struct rig){ .fetch.ops = &ops, .script = script, .count = count };
	clock_fake_init(&r->clock, 1800000000 * SECOND);
	r->loop = loop_new(&r->clock.clock);
	r->changes = BUF(64 << 10);
	r->said = BUF(64 << 10);
	r->asked = BUF(64 << 10);
	r->ran = BUF(64 << 10);
	timer_start(&r->guard, r->loop, DAY, too_long);
	log_to(sink);
	buf_clear(&logged);
	r->config = config_parse(&source, str_c(file), NULL, &err);
	assert_string_equal(err.text, "");
	CHECK(link_pair(fds, &err));
	link_init(&r->ours, r->loop, fds[0], &control_ops);
	link_init(&r->supervisor, r->loop, fds[1], &supervisor_ops);
	r->programs = programs_new(&r->ours);
	const struct dns01_needs needs = { r->loop, &r->fetch, r->programs, &r->log };
	r->prover = dns01_new(&needs);
	r->persist = dns_persist_new(&needs);
	dns01_configure(r->prover, r->config);
	dns_persist_configure(r->persist, r->config);
	r->proving = (struct proving){ .ready = ready, .said = said };
}

void rig_done(struct rig *r)
{
	timer_stop(&r->guard);
	later_stop(&r->turn);
	dns01_free(&r->prover);
	dns_persist_free(&r->persist);
	programs_free(&r->programs);
	config_free(&r->config);
	link_done(&r->ours);
	link_done(&r->supervisor);
	buf_done(&r->asked);
	buf_done(&r->ran);
	buf_done(&logged);
	buf_done(&r->changes);
	buf_done(&r->said);
	arena_done(&r->arena);
	loop_free(&r->loop);
}

const struct proof_text text = { .type = CHALLENGE_DNS_01,
	.name = STR_INIT("shop.example.com"),
	.token = STR_INIT("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"),
	.thumbprint = STR_INIT("9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"),
	.account = STR_INIT("https://acme-v02.api.letsencrypt.org/acme/acct/7") };

void turns(struct rig *r, int count)
{
	for (int i = 0; i < count; i++)
		loop_turn(r->loop, 0);
}

void turn_until_ready(struct rig *r)
{
	while (!r->ready)
		loop_turn(r->loop, -1);
	assert_int_equal(r->ready, 1);
}

void place(struct rig *r, struct prover *p)
{
	prover_place(p, &r->proving, &text);
	assert_int_equal(r->ready, 0);
	turn_until_ready(r);
}
