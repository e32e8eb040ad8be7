#include "issue_place.h"

#include "certs/cert.h"

#include <ftw.h>
#include <sys/resource.h>
#include <sys/time.h>

struct buf logged = BUF_INIT(1 << 20);

static void sink(enum log_level level, struct str fields, struct str text)
{
	buf_printf(
	        &logged, "%s %.*s: %.*s\n", log_level_name(level), STR_ARG(fields), STR_ARG(text));
}

static void too_long(struct timer *t)
{
	(void)t;
	BUG("The dialogue does not end.");
}

static void changed(struct store_watch *w, struct str kind, struct str id, int64_t version)
{
	struct place *p = OWNER(w, struct place, watch);
	(void)id;
	p->ca.stopped |= ++p->changes == p->kill_at;
	buf_printf(&p->diary, "%s %.*s\n", version ? "put" : "delete", STR_ARG(kind));
}

/* Serve */

static char *slot_of(struct serve *s, struct str token)
{
	for (size_t i = 0; i < TOKENS; i++)
		if (str_starts(str_c(s->tokens[i]), token) && s->tokens[i][token.n] == ' ')
			return s->tokens[i];
	return NULL;
}

static void take(struct serve *s, struct str token, struct str shown, struct str name)
{
	size_t i = 0;
	while (s->tokens[i][0])
		CHECK(++i < TOKENS);
	snprintf(s->tokens[i], sizeof s->tokens[i], "%.*s %.*s %.*s", STR_ARG(token),
	        STR_ARG(shown), STR_ARG(name));
	if (!s->mute)
		link_send(&s->theirs, challenge_ready, .token = token);
}

static void keep_times(struct serve *s, struct str leaf)
{
	ARENA_AUTO a = ARENA_INIT;
	struct err err = ERR_INIT;
	struct cert cert;
	if (!cert_read(&a, leaf, &cert, &err))
		fail_msg("%s", err.text);
	s->not_before = cert.not_before;
	s->not_after = cert.not_after;
}

static void serve_heard(struct link *l, const struct msg *m)
{
	struct serve *s = OWNER(l, struct serve, theirs);
	if (m->type == MSG_challenge_gone && slot_of(s, m->is.challenge_gone.token))
		*slot_of(s, m->is.challenge_gone.token) = 0;
	if (m->type == MSG_challenge)
		take(s, m->is.challenge.token, m->is.challenge.thumbprint, m->is.challenge.name);
	if (m->type == MSG_challenge_tls) {
		const struct msg_challenge_tls *c = &m->is.challenge_tls;
		CHECK(c->key.n);
		keep_times(s, c->leaf);
		take(s, c->token, STR("certificate"), c->server_name);
	}
}

static struct place *the_place; /* a serve's place */

static void control_heard(struct link *l, const struct msg *m)
{
	if (m->type == MSG_challenge_ready)
		board_heard_ready(the_place->board, l, m->is.challenge_ready.token);
}

static void ended(struct link *l, const struct err *why)
{
	(void)l;
	(void)why;
}

static const struct link_ops serve_ops = { .heard = serve_heard, .ended = ended };
static const struct link_ops control_ops = { .heard = control_heard, .ended = ended };

void serve_attach(struct place *p, size_t i)
{
	struct serve *s = &p->serves[i];
	struct err err = ERR_INIT;
	int fds[2];
	CHECK(link_pair(fds, &err));
	link_init(&s->ours, p->loop, fds[0], &control_ops);
	link_init(&s->theirs, p->loop, fds[1], &serve_ops);
	board_attach(p->board, &s->ours);
}

void serve_detach(struct place *p, size_t i)
{
	struct serve *s = &p->serves[i];
	board_detach(p->board, &s->ours);
	link_done(&s->ours);
	link_done(&s->theirs);
	*s = (struct serve){ 0 };
}

size_t serve_tokens(const struct serve *s)
{
	size_t count = 0;
	for (size_t i = 0; i < TOKENS; i++)
		count += s->tokens[i][0] != 0;
	return count;
}

static bool answers(struct scripted_ca *ca, struct str token)
{
	struct place *p = OWNER(ca, struct place, ca);
	bool all = true;
	for (size_t i = 0; i < SERVES; i++)
		all &= !link_alive(&p->serves[i].theirs) || slot_of(&p->serves[i], token);
	return all;
}

/* The place */

void place_open(struct place *p)
{
	struct err err = ERR_INIT;
	p->store = store_open(p->loop, p->dir, &err);
	if (!p->store)
		fail_msg("%s", err.text);
	p->master = master_load(p->dir, /* may_create= */ true, &err);
	if (!p->master)
		fail_msg("%s", err.text);
	store_watch_start(p->store, &p->watch, STR_NONE, changed);
	p->board = board_new(p->loop);
	p->http01 = http01_new(p->board, p->by_http);
	p->issuers = issuers_new(&(struct issue_needs){ .loop = p->loop,
	        .store = p->store,
	        .master = p->master,
	        .fetch = &p->ca.fetch,
	        .provers = { [CHALLENGE_HTTP_01] = p->http01,
	                [CHALLENGE_TLS_ALPN_01] = p->tls_alpn01,
	                [CHALLENGE_DNS_01] = p->dns01,
	                [CHALLENGE_DNS_PERSIST_01] = p->dns_persist01 },
	        .rekeyed = p->rekeyed,
	        .log = &p->log });
	serve_attach(p, 0);
}

void place_one_ca(struct place *p)
{
	const struct issuer_row row = {
		.name = STR("ca"), .directory = STR(CA_DIRECTORY), .trust = STR("the root")
	};
	issuers_set(p->issuers, &row, 1);
}

void place_moved(struct attempt *a, const struct flow *flow, const struct next *next)
{
	(void)a;
	(void)flow;
	(void)next;
}

void place_close(struct place *p)
{
	issuers_free(&p->issuers);
	CHECK(!p->issuers);
	issuers_free(&p->issuers);
	for (size_t i = 0; i < SERVES; i++)
		if (p->serves[i].ours.loop)
			serve_detach(p, i);
	http01_free(&p->http01);
	board_free(&p->board);
	CHECK(!p->board);
	board_free(&p->board);
	store_close(&p->store);
	master_free(&p->master);
	p->ca.stopped = false;
}

/* Who runs in circles is ended; a busy machine takes nothing from it. */
static void limit_time(void)
{
	const struct itimerval most = { .it_value.tv_sec = 60 };
	CHECK(!setitimer(ITIMER_PROF, &most, NULL));
}

void place_init(struct place *p)
{
	limit_time();
	int64_t now = 0;
	*p = (struct place){ .diary = BUF(4 << 20), .top = "/dev/shm/everseal-issue-XXXXXX" };
	the_place = p;
	log_to(sink);
	buf_clear(&logged);
	if (!mkdtemp(p->top)) {
		snprintf(p->top, sizeof p->top, "/tmp/everseal-issue-XXXXXX");
		assert_non_null(mkdtemp(p->top));
	}
	snprintf(p->dir, sizeof p->dir, "%s/state", p->top);
	CHECK(clock_from_rfc3339(STR("2027-01-01T00:00:00Z"), &now));
	clock_fake_init(&p->clock, now);
	p->loop = loop_new(&p->clock.clock);
	scripted_ca_init(&p->ca, p->loop);
	p->ca.diary = &p->diary;
	p->ca.answers = answers;
	place_open(p);
	timer_start(&p->guard, p->loop, 900 * DAY, too_long);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void remove_all(const char *path)
{
	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void place_done(struct place *p)
{
	const char *complaint = p->ca.complaint;
	if (p->store)
		place_close(p);
	scripted_ca_done(&p->ca);
	timer_stop(&p->guard);
	timer_stop(&p->stop_at);
	loop_free(&p->loop);
	buf_done(&p->diary);
	buf_done(&logged);
	remove_all(p->top);
	if (complaint)
		fail_msg("%s", complaint);
}

static void stop_now(struct timer *t)
{
	OWNER(t, struct place, stop_at)->stopped = true;
}

void run_to(struct place *p, int64_t wall)
{
	p->stopped = false;
	timer_start_wall(&p->stop_at, p->loop, wall, stop_now);
	turn_until(p, p->stopped || p->ca.stopped);
	timer_stop(&p->stop_at);
}

void run_for(struct place *p, int64_t ms)
{
	run_to(p, loop_wall(p->loop) + ms);
}

/* Records */

static struct record record(struct place *p, struct arena *a, const char *kind, const char *id)
{
	struct record r = { 0 };
	struct err err = ERR_INIT;
	if (!store_get(p->store, a, str_c(kind), str_c(id), &r, &err))
		assert_int_equal(err.code, ERR_NOT_FOUND);
	return r;
}

int64_t record_version(struct place *p, const char *kind, const char *id)
{
	ARENA_AUTO a = ARENA_INIT;
	return record(p, &a, kind, id).version;
}

void record_value(struct place *p, const char *kind, const char *id, struct buf *out)
{
	ARENA_AUTO a = ARENA_INIT;
	buf_add(out, record(p, &a, kind, id).value);
}

struct writing {
	struct store_tx tx;
	bool done;
};

static void written(struct store_tx *tx, const struct err *err)
{
	if (err)
		fail_msg("%s", err->text);
	OWNER(tx, struct writing, tx)->done = true;
}

void record_put(
        struct place *p, const char *kind, const char *id, struct str value, struct str blob)
{
	struct writing w = { 0 };
	store_tx_put(&w.tx, str_c(kind), str_c(id), record_version(p, kind, id), value, blob);
	store_tx_start(p->store, &w.tx, written);
	turn_until(p, w.done);
}

void record_delete(struct place *p, const char *kind, const char *id)
{
	struct writing w = { 0 };
	store_tx_delete(&w.tx, str_c(kind), str_c(id), record_version(p, kind, id));
	store_tx_start(p->store, &w.tx, written);
	turn_until(p, w.done);
}

/* A limit on the size of files, below what there is already: SIGXFSZ is ignored, write fails. */
void store_full(struct place *p, bool full)
{
	(void)p;
	signal(SIGXFSZ, SIG_IGN);
	struct rlimit limit;
	CHECK(!getrlimit(RLIMIT_FSIZE, &limit));
	limit.rlim_cur = full ? 16 : limit.rlim_max;
	CHECK(!setrlimit(RLIMIT_FSIZE, &limit));
}

unsigned diary_count(const struct place *p, const char *start)
{
	unsigned count = 0;
	struct str rest = buf_str(&p->diary), line;
	while (str_split(&rest, '\n', &line))
		count += str_starts(line, str_c(start));
	return count;
}
