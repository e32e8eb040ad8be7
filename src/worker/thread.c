#include "worker/thread.h"
#include "files/files.h"
#include "link/fence.h"
#include "proxy/proxy.h"
#include "server/auth.h"
#include "server/demand.h"
#include "server/rules.h"
#include "worker/events.h"
#include "worker/log_writer.h"
#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

enum { DESCRIPTORS_KEPT = 64, SHARE_LEAST = 8 };

/* One thread's copy of an order, and its answer. */
struct command {
	struct letter letter;
	struct thread *thread;
	struct round *round;
	bool refused;
	struct err why;
	struct counts counted;
};

struct round *round_new(enum order order, void (*done)(struct round *r))
{
	struct round *r = mem_new(struct round);
	r->order = order;
	r->done = done;
	r->ruleset = r->folder = -1;
	return r;
}

void round_free(struct round *r)
{
	generation_unref(&r->generation);
	if (r->ruleset >= 0)
		(void)close(r->ruleset);
	if (r->folder >= 0)
		(void)close(r->folder);
	counts_done(&r->counted);
	free(r->token);
	free(r->thumbprint);
	free(r->text);
	secret_done(&r->leaf);
	secret_done(&r->key);
	free(r);
}

static struct thread *thread_of(struct worker *w)
{
	return OWNER(w, struct thread, worker);
}

static void answer(struct thread *t, struct letter *l)
{
	mail_post(t->all->answers, l);
}

static void drained(struct thread *t)
{
	struct letter *l = t->drained;
	t->drained = NULL;
	timer_stop(&t->drain);
	if (l)
		answer(t, l);
}

static void connections_gone(struct worker *w)
{
	drained(thread_of(w));
}

static void drained_enough(struct timer *timer)
{
	drained(OWNER(timer, struct thread, drain));
}

static void start_draining(struct thread *t, struct command *c)
{
	struct worker *w = &t->worker;
	int64_t most = w->generation ? w->generation->limits.drain_timeout : 0;
	t->drained = &c->letter;
	timer_start(&t->drain, w->loop, most, drained_enough);
	worker_drain(w, c->round->patient);
	if (w->connection_count == 0)
		drained(t);
}

static void commit(struct thread *t, struct generation *g)
{
	struct generation *before = worker_commit(&t->worker, generation_ref(g));
	generation_unref(&before);
	proxy_committed(t->worker.proxy, g);
}

static void tell_health(struct thread *t, const struct round *r)
{
	const struct msg_health told = {
		.upstreams = r->number,
		.address = str_c(r->token),
		.well = r->well,
		.why = str_c(r->text),
	};
	proxy_health_told(t->worker.proxy, &told);
}

static void answer_demand(struct thread *t, const struct round *r)
{
	demand_heard(&t->worker,
	        &(const struct msg_demand_answered){
	                .name = str_c(r->token), .verdict = r->number, .keep = r->keep });
}

static void open_tls(struct thread *t, const struct round *r)
{
	const struct msg_challenge_tls told = {
		.token = str_c(r->token),
		.server_name = str_c(r->text),
		.leaf = secret_bytes(&r->leaf),
		.key = secret_bytes(&r->key),
	};
	challenge_open_tls(&t->challenges, &told);
}

/* True: the answer comes later, or never. */
static bool obey(struct thread *t, struct command *c)
{
	const struct round *r = c->round;
	switch (r->order) {
	case ORDER_PREPARE:
		if (r->ruleset >= 0 && !fence_files(r->ruleset))
			c->refused = !err_sys(&c->why, ERR_PERMISSION, errno,
			        "The fence around files cannot be raised");
		if (!c->refused)
			c->refused = !worker_prepare(&t->worker, r->generation, &c->why);
		break;
	case ORDER_COMMIT:
		commit(t, r->generation);
		break;
	case ORDER_EPOCH:
		challenges_epoch(&t->challenges, r->epoch);
		proxy_tell_states(t->worker.proxy);
		break;
	case ORDER_FORGET:
		challenges_forget(&t->challenges);
		break;
	case ORDER_CHALLENGE:
		challenge_open(&t->challenges, str_c(r->token), str_c(r->thumbprint));
		break;
	case ORDER_CHALLENGE_TLS:
		open_tls(t, r);
		break;
	case ORDER_CHALLENGE_GONE:
		challenge_close(&t->challenges, str_c(r->token));
		break;
	case ORDER_TICKETS:
		tls_worker_ticket_keys(t->worker.tls, &r->tickets);
		break;
	case ORDER_PASSWORD:
		auth_heard(&t->worker, &r->password);
		break;
	case ORDER_DEMAND:
		answer_demand(t, r);
		break;
	case ORDER_HOST:
		proxy_host_told(t->worker.proxy, str_c(r->token), str_c(r->text), r->folder);
		break;
	case ORDER_STATE:
		proxy_state_told(t->worker.proxy, str_c(r->token), r->well);
		break;
	case ORDER_HEALTH:
		tell_health(t, r);
		break;
	case ORDER_COUNT:
		counts_add(&c->counted, &t->worker.counts);
		break;
	case ORDER_DRAIN:
		start_draining(t, c);
		return true;
	case ORDER_END:
		t->ending = true;
		break;
	}
	return false;
}

static void open_command(struct mailbox *m, struct letter *l)
{
	(void)m;
	struct command *c = OWNER(l, struct command, letter);
	struct thread *t = c->thread;
	if (!obey(t, c))
		answer(t, l);
}

static void open_answer(struct mailbox *m, struct letter *l)
{
	(void)m;
	struct command *c = OWNER(l, struct command, letter);
	struct round *r = c->round;
	if (c->refused && !r->refused) {
		r->refused = true;
		r->why = c->why;
	}
	counts_add(&r->counted, &c->counted);
	counts_done(&c->counted);
	free(c);
	if (--r->waiting == 0)
		r->done(r);
}

void threads_order(struct threads *t, struct round *r)
{
	r->threads = t;
	r->waiting = t->count;
	for (unsigned i = 0; i < t->count; i++) {
		struct command *c = mem_new(struct command);
		c->thread = &t->at[i];
		c->round = r;
		mail_post(c->thread->in, &c->letter);
	}
}

static void tell(struct worker *w, enum msg_type type, const void *fields)
{
	(void)w;
	events_post(type, fields);
}

static void log_lines(struct worker *w, struct buf *lines, unsigned count)
{
	(void)w;
	log_writer_take(lines, count);
}

static void *run(void *pointer)
{
	struct thread *t = pointer;
	while (!t->ending) {
		loop_turn(t->worker.loop, -1);
		cert_reader_quiet(&t->reader);
	}
	return NULL;
}

/* Each thread's share, three of four for clients, most of whom are idle most of the time. What is
 * shared out is less than there is: links, listeners of two generations and the loops have
 * theirs. */
static void share_descriptors(struct worker *w, unsigned count)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	size_t left = limit.rlim_cur > DESCRIPTORS_KEPT ? limit.rlim_cur - DESCRIPTORS_KEPT : 0;
	size_t share = left / count > SHARE_LEAST ? left / count : SHARE_LEAST;
	w->upstreams_most = share / 4;
	w->clients_most = share - w->upstreams_most;
}

static bool init(struct threads *all, struct thread *t, unsigned index, struct err *err)
{
	struct worker *w = &t->worker;
	t->all = all;
	worker_init(w, loop_new(&clock_system));
	w->index = index;
	w->certs = all->certs;
	w->challenges = &t->challenges;
	w->tell = tell;
	w->memory.statm = all->statm;
	w->log_lines = log_lines;
	w->emptied = connections_gone;
	w->proxy = proxy_pools_new(w);
	w->handlers[SITE_PROXY] = &proxy_handler;
	w->handlers[SITE_CONTROL] = &control_handler;
	w->handlers[SITE_FILES] = &files_handler;
	w->handlers[SITE_REDIRECT] = &redirect_handler;
	w->handlers[SITE_RESPOND] = &respond_handler;
	w->tls = tls_worker_new(w->loop, all->certs, err);
	t->in = mailbox_new(w->loop, open_command);
	return w->tls != NULL;
}

static void done(struct thread *t)
{
	struct worker *w = &t->worker;
	w->emptied = NULL;
	timer_stop(&t->drain);
	drained(t);
	worker_done(w);
	proxy_pools_free(&w->proxy);
	tls_worker_free(&w->tls);
	challenges_done(&t->challenges);
	mailbox_free(&t->in);
	loop_free(&w->loop);
}

static void pin(const struct thread *t, unsigned count)
{
	cpu_set_t ours, one;
	if (sched_getaffinity(0, sizeof ours, &ours) != 0 || (unsigned)CPU_COUNT(&ours) != count)
		return;
	unsigned skip = t->worker.index;
	for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &ours) || skip-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		(void)pthread_setaffinity_np(t->id, sizeof one, &one);
		return;
	}
}

static bool start(struct thread *t, struct err *err)
{
	int number = pthread_create(&t->id, NULL, run, t);
	return number == 0 || err_sys(err, ERR_IO, number, "A worker thread cannot be started");
}

bool threads_start(struct threads *t, struct loop *loop, struct cert_table *certs, unsigned count,
        struct err *err)
{
	*t = (struct threads){
		.statm = t->statm, .certs = certs, .answers = mailbox_new(loop, open_answer)
	};
	t->at = mem_array(sizeof *t->at, count);
	for (unsigned i = 0; i < count; i++) {
		if (!init(t, &t->at[i], i, err))
			return false;
		t->at[i].worker.count = count;
		share_descriptors(&t->at[i].worker, count);
		cert_reader_add(certs, &t->at[i].reader);
	}
	for (; t->count < count; t->count++) {
		if (!start(&t->at[t->count], err))
			return false;
		pin(&t->at[t->count], count);
	}
	return true;
}

static void ended(struct round *r)
{
	round_free(r);
}

void threads_end(struct threads *t)
{
	struct round *r = round_new(ORDER_END, ended);
	threads_order(t, r);
	for (unsigned i = 0; i < t->count; i++)
		CHECK(pthread_join(t->at[i].id, NULL) == 0);
	for (unsigned i = 0; i < t->count; i++) {
		cert_reader_remove(t->certs, &t->at[i].reader);
		done(&t->at[i]);
	}
	mailbox_free(&t->answers); /* opens what was answered at last */
	free(t->at);
	t->at = NULL;
}
