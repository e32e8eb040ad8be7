#include "supervisor/supervisor.h"
#include "base/log.h"
#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#define STOP_MOST         (12 * SECOND) /* for an orderly end */
#define CONTROL_STOP_MOST (3 * SECOND)  /* the same, while others wait for it */
#define SILENT_MOST       (2 * SECOND)  /* for a process whose link has ended */
#define STEADY            (10 * SECOND) /* who lived that long did not fall at its start */
static const int64_t pauses[] = { 0, 100, 500, 1000 }; /* ms before the nth revival in a row */

enum { CHILDREN = PROCESS_COUNT };

static const struct log top = { .key = NULL };
static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE };

static void pass_link(struct child *to, enum process process, pid_t pid, int fd)
{
	link_send(&to->link, peer, .process = process, .pid = pid, .fd = fd);
	close(fd);
}

/* A new pair between the two; the one they had is void. */
static void connect_both(struct child *a, struct child *b)
{
	int fds[2];
	struct err err = ERR_INIT;
	if (!a->pid || !b->pid)
		return;
	if (!link_pair(fds, &err)) {
		log_error(&top, "%s", err.text);
		return;
	}
	pass_link(a, b->process, b->pid, fds[0]);
	pass_link(b, a->process, a->pid, fds[1]);
}

static void connect_child(struct supervisor *s, struct child *c)
{
	struct child *control = &s->children[PROCESS_CONTROL];
	for (struct child *other = s->children; other < s->children + CHILDREN; other++)
		if (other != control && (c == control || c == other))
			connect_both(control, other);
}

static void start_all(struct supervisor *s)
{
	for (struct child *c = s->children; c < s->children + CHILDREN; c++)
		if (!c->pid && !timer_active(&c->timer))
			child_start(c);
}

static void kill_late(struct timer *t)
{
	struct child *c = OWNER(t, struct child, timer);
	log_warning(&top, "%s (process %d) has ended its link but not itself, ending it.",
	        process_name(c->process), (int)c->pid);
	kill(c->pid, SIGKILL);
}

static void identity(struct supervisor *s, const struct msg_identity *m)
{
	/* (uid_t)-1 would mean: stay who you are. */
	if (m->uid < 0 || m->uid >= UINT32_MAX || m->gid < 0 || m->gid >= UINT32_MAX) {
		log_error(&top, "control named a user that cannot be: %lld.", (long long)m->uid);
		return;
	}
	s->identified = true;
	s->become =
	        rights_may_become() && ((uid_t)m->uid != geteuid() || (gid_t)m->gid != getegid());
	s->uid = (uid_t)m->uid;
	s->gid = (gid_t)m->gid;
	s->workers = m->workers;
	if (!s->stopping)
		start_all(s);
}

/* The serve that runs goes on, as one of the others, until its successor has what it needs. */
static void renew(struct supervisor *s, int64_t process)
{
	struct child *c = &s->children[PROCESS_SERVE];
	int link = c->pid && process == PROCESS_SERVE ? fcntl(c->link.fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (link < 0 || s->stopping)
		return;
	struct child *before = mem_new(struct child);
	*before = (struct child){
		.process = PROCESS_SERVE, .state = AWAITING, .supervisor = s, .program = -1
	};
	list_add_last(&s->others, &before->node);
	on_exit_of_stop(&c->exit);
	link_done(&c->link);
	timer_stop(&c->timer);
	child_adopt(before, c->pid, link);
	c->pid = 0;
	child_start(c);
}

static void renewed(struct supervisor *s)
{
	LIST_EACH (node, &s->others) {
		struct child *c = OWNER(node, struct child, node);
		if (c->process == PROCESS_SERVE && c->state == AWAITING && !s->upgrade.pending)
			child_stop(c);
	}
}

static void control_heard(struct supervisor *s, const struct msg *m)
{
	switch (m->type) {
	case MSG_identity:
		identity(s, &m->is.identity);
		break;
	case MSG_bind:
		sockets_bind(&s->sockets, &m->is.bind);
		break;
	case MSG_release:
		sockets_release(&s->sockets, m->is.release.id);
		break;
	case MSG_who_holds:
		sockets_holder(&s->sockets, &m->is.who_holds);
		break;
	case MSG_ready:
		s->ready = true;
		sockets_settle(&s->sockets);
		upgrade_ready(s);
		notify("READY=1\nSTATUS=%.*s", STR_ARG(m->is.ready.status));
		break;
	case MSG_program:
		program_run(s, &m->is.program);
		break;
	case MSG_upgrade:
		upgrade_begin(s);
		break;
	case MSG_renew:
		renew(s, m->is.renew.process);
		break;
	case MSG_renewed:
		renewed(s);
		break;
	default:
		msg_close_fd(m);
	}
}

/* The others have nothing to say here: what they send is dropped. */
static void heard(struct link *l, const struct msg *m)
{
	struct child *c = OWNER(l, struct child, link);
	if (c->process == PROCESS_CONTROL && c->state == CURRENT)
		control_heard(c->supervisor, m);
	else
		msg_close_fd(m);
}

static void link_ended(struct link *l, const struct err *why)
{
	struct child *c = OWNER(l, struct child, link);
	if (why->code == ERR_PROTOCOL) {
		log_error(&top, "%s (process %d) is ended: %s", process_name(c->process),
		        (int)c->pid, why->text);
		kill(c->pid, SIGKILL);
	} else if (!c->supervisor->stopping) {
		timer_start(&c->timer, c->supervisor->loop, SILENT_MOST, kill_late);
	}
}

static const struct link_ops child_link = { .heard = heard, .ended = link_ended };

static void end_late(const struct child *c)
{
	if (!c->pid)
		return;
	log_warning(&top, "%s (process %d) did not end in time, ending it.",
	        process_name(c->process), (int)c->pid);
	kill(c->pid, SIGKILL);
}

static void stop_late(struct timer *t)
{
	struct supervisor *s = OWNER(t, struct supervisor, patience);
	for (struct child *c = s->children; c < s->children + CHILDREN; c++)
		end_late(c);
	LIST_EACH (node, &s->others)
		end_late(OWNER(node, struct child, node));
}

static void child_late(struct timer *t)
{
	end_late(OWNER(t, struct child, timer));
}

/* Serves have a limit of their own for those that are under way. */
void child_stop(struct child *c)
{
	c->state = DRAINING;
	if (!link_send(&c->link, stop, .succeeded = true))
		kill(c->pid, SIGTERM);
	if (c->process == PROCESS_CONTROL || c->process == PROCESS_FETCH)
		timer_start(&c->timer, c->supervisor->loop, CONTROL_STOP_MOST, child_late);
}

bool any_running(const struct supervisor *s)
{
	for (size_t i = 0; i < CHILDREN; i++)
		if (s->children[i].pid)
			return true;
	return false;
}

static bool all_gone(const struct supervisor *s)
{
	return !any_running(s) && list_empty(&s->others);
}

void supervisor_stop(struct supervisor *s, int status)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->status = status;
	notify("STOPPING=1");
	for (struct child *c = s->children; c < s->children + CHILDREN; c++) {
		timer_stop(&c->timer);
		if (c->pid && !link_send(&c->link, stop))
			kill(c->pid, SIGTERM);
	}
	LIST_EACH (node, &s->others)
		if (OWNER(node, struct child, node)->state == AWAITING)
			child_stop(OWNER(node, struct child, node));
	timer_start(&s->patience, s->loop, STOP_MOST, stop_late);
	if (all_gone(s))
		loop_stop(s->loop);
}

static void due(struct timer *t)
{
	child_start(OWNER(t, struct child, timer));
}

static void revive(struct child *c)
{
	enum { LAST = sizeof pauses / sizeof pauses[0] - 1 };
	int64_t now = loop_mono(c->supervisor->loop);
	c->falls = now - c->started < STEADY ? c->falls : 0;
	int64_t pause = pauses[c->falls < LAST ? c->falls : LAST];
	c->falls++;
	if (pause > 0)
		timer_start(&c->timer, c->supervisor->loop, pause, due);
	else
		child_start(c);
}

static void say_ended(const struct child *c, int pid, int status)
{
	if (WIFSIGNALED(status))
		log_warning(&top, "%s (process %d) was ended by signal %d (%s), starting it again.",
		        process_name(c->process), pid, WTERMSIG(status),
		        strsignal(WTERMSIG(status)));
	else
		log_warning(&top, "%s (process %d) ended with status %d, starting it again.",
		        process_name(c->process), pid, WEXITSTATUS(status));
}

static void child_ended(struct on_exit_of *e, int status)
{
	struct child *c = OWNER(e, struct child, exit);
	struct supervisor *s = c->supervisor;
	int pid = (int)c->pid;
	c->pid = 0;
	link_done(&c->link);
	timer_stop(&c->timer);
	if (c->process == PROCESS_CONTROL) {
		sockets_control_gone(&s->sockets);
		programs_control_gone(s);
	}
	if (s->stopping) {
		if (all_gone(s))
			loop_stop(s->loop);
		return;
	}
	if (upgrade_ended(s, c, status))
		return;
	/* A control that cannot begin has said why; beginning again would say it for ever. */
	if (c->process == PROCESS_CONTROL && !s->ready && WIFEXITED(status) &&
	        WEXITSTATUS(status)) {
		supervisor_stop(s, 1);
		return;
	}
	say_ended(c, pid, status);
	revive(c);
}

static void other_ended(struct on_exit_of *e, int status)
{
	struct child *c = OWNER(e, struct child, exit);
	struct supervisor *s = c->supervisor;
	(void)status;
	link_done(&c->link);
	timer_stop(&c->timer);
	upgrade_other_ended(s, c);
	if (s->stopping && all_gone(s))
		loop_stop(s->loop);
}

void child_adopt(struct child *c, pid_t pid, int link)
{
	c->pid = pid;
	c->started = loop_mono(c->supervisor->loop);
	link_init(&c->link, c->supervisor->loop, link, &child_link);
	on_exit_of_start(&c->exit, c->supervisor->loop, pid,
	        c->state == CURRENT ? child_ended : other_ended);
}

static void arguments(const struct child *c, const char *ret_argv[8], char workers[static 24])
{
	const struct supervisor *s = c->supervisor;
	static const char *const names[CHILDREN] = {
		[PROCESS_CONTROL] = "everseal-control",
		[PROCESS_FETCH] = "everseal-fetch",
		[PROCESS_SERVE] = "everseal-serve",
		[PROCESS_PAGE] = "everseal-page",
	};
	size_t n = 0;
	ret_argv[n++] = names[c->process];
	if (c->process == PROCESS_CONTROL && s->want->config) {
		ret_argv[n++] = "--config";
		ret_argv[n++] = s->want->config;
	}
	if (c->process == PROCESS_CONTROL && s->want->state) {
		ret_argv[n++] = "--state";
		ret_argv[n++] = s->want->state;
	}
	if (c->process == PROCESS_CONTROL && s->want->dev_page) {
		ret_argv[n++] = "--dev-page";
		ret_argv[n++] = s->want->dev_page;
	}
	if (c->process == PROCESS_SERVE || c->process == PROCESS_PAGE) {
		snprintf(workers, 24, "%lld",
		        c->process == PROCESS_PAGE ? 1 : (long long)s->workers);
		ret_argv[n++] = "--workers";
		ret_argv[n++] = workers;
	}
	ret_argv[n] = NULL;
}

static bool try_start(struct child *c, struct err *err)
{
	struct supervisor *s = c->supervisor;
	const char *argv[8];
	char workers[24];
	int fds[2];
	arguments(c, argv, workers);
	if (!link_pair(fds, err))
		return false;
	pid_t pid = spawn(&(struct spawn_want){ .process = c->process,
	                          .program = c->program,
	                          .link = fds[1],
	                          .argv = argv,
	                          .become = s->become && c->process != PROCESS_CONTROL,
	                          .uid = s->uid,
	                          .gid = s->gid },
	        err);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return false;
	}
	child_adopt(c, pid, fds[0]);
	return true;
}

void child_start(struct child *c)
{
	struct err err = ERR_INIT;
	c->started = loop_mono(c->supervisor->loop);
	if (!try_start(c, &err)) {
		log_error(&top, "%s Trying again in a second.", err.text);
		timer_start(&c->timer, c->supervisor->loop, SECOND, due);
		return;
	}
	log_info(&top, "%s is process %d.", process_name(c->process), (int)c->pid);
	tickets_give(c);
	connect_child(c->supervisor, c);
}

static void caught(struct on_signal *on, int number)
{
	struct supervisor *s = OWNER(on, struct supervisor, signals);
	if (number == SIGTERM || number == SIGINT)
		supervisor_stop(s, 0);
	else if (number == SIGUSR1)
		(void)link_send(&s->children[PROCESS_CONTROL].link, reopen);
	else if (number == SIGHUP && link_send(&s->children[PROCESS_CONTROL].link, reload))
		notify("RELOADING=1\nMONOTONIC_USEC=%lld", notify_now());
}

bool supervisor_programs(struct supervisor *s, struct err *err)
{
	for (struct child *c = s->children; c < s->children + CHILDREN; c++)
		if (c->program < 0 && (c->program = program_open(c->process, err)) < 0)
			return false;
	return true;
}

static void init(struct supervisor *s, const struct supervisor_want *want)
{
	*s = (struct supervisor){ .want = want };
	for (size_t i = 0; i < CHILDREN; i++)
		s->children[i] = (struct child){
			.process = (enum process)i, .supervisor = s, .program = -1, .tickets = -1
		};
	list_init(&s->others);
	list_init(&s->programs);
	upgrade_init(s);
	signals_block(signals, sizeof signals / sizeof signals[0]);
	s->loop = loop_new(&clock_system);
	sockets_init(&s->sockets, s->loop, &s->children[PROCESS_CONTROL].link);
	on_signal_start(&s->signals, s->loop, signals, sizeof signals / sizeof signals[0], caught);
}

static void done(struct supervisor *s)
{
	sockets_done(&s->sockets);
	programs_done(s);
	timer_stop(&s->patience);
	on_signal_stop(&s->signals);
	upgrade_done(s);
	loop_free(&s->loop);
	for (size_t i = 0; i < CHILDREN; i++) {
		tickets_done(&s->children[i]);
		if (s->children[i].program >= 0)
			close(s->children[i].program);
	}
}

/* Where the program before us in this process has stopped, or at the beginning. */
static bool begin(struct supervisor *s, struct err *err)
{
	struct handover handover;
	if (handover_take(&handover)) {
		upgrade_resume(s, &handover);
		buf_done(&handover.text);
		return true;
	}
	if (!supervisor_programs(s, err))
		return false;
	child_start(&s->children[PROCESS_CONTROL]);
	return true;
}

int supervisor_run(const struct supervisor_want *want)
{
	struct supervisor s;
	struct err err = ERR_INIT;
	log_set_process("supervisor");
	init(&s, want);
	rights_drop();
	if (begin(&s, &err)) {
		loop_run(s.loop);
	} else {
		log_error(&top, "%s", err.text);
		s.status = 1;
	}
	done(&s);
	return s.status;
}
