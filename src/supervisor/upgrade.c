/* Another program in our place, with our number, our sockets and our children.
 *
 * First the new program is asked whether it runs at all and takes the configuration. Then it is
 * exec'ed, and finds by handover.c what there is. The serves that run go on serving; control, which
 * alone may hold the store, is told to stop, and its successor starts with a fetch and serves of
 * its own. Once it says that its generation stands, the serves before drain and end. If it does not
 * say so in time, its processes are ended and the program before is exec'ed again, as if control
 * had died. */
#include "base/log.h"
#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define ANSWER_MOST (5 * SECOND)
#define READY_MOST  (10 * SECOND)

static const struct log top = { .key = NULL };

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void upgrade_init(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;
	*u = (struct upgrade){ .own = -1, .next = -1, .said = -1, .back = -1 };
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		u->back_to[i] = -1;
	ssize_t n = readlink("/proc/self/exe", u->path, sizeof u->path - 1);
	u->path[n > 0 ? n : 0] = '\0';
	u->own = open("/proc/self/exe", O_PATH | O_CLOEXEC);
}

static void forget_before(struct upgrade *u)
{
	close_fd(&u->back);
	for (size_t i = 0; i < PROCESS_COUNT; i++)
		close_fd(&u->back_to[i]);
}

void upgrade_done(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;
	timer_stop(&u->timer);
	if (u->pid) {
		on_exit_of_stop(&u->exit);
		kill(u->pid, SIGKILL);
		waitpid(u->pid, NULL, 0);
	}
	forget_before(u);
	close_fd(&u->own);
	close_fd(&u->next);
	close_fd(&u->said);
}

/* --- the exec */

/* Comes back only if it failed. */
static void run_program(struct supervisor *s, int program, bool back, struct err *err)
{
	const struct supervisor_want *w = s->want;
	const char *argv[9] = { "everseal", "run" };
	size_t n = 2;
	const char *const options[][2] = { { "--config", w->config }, { "--state", w->state },
		{ "--dev-page", w->dev_page } };
	for (size_t i = 0; i < 3; i++) {
		if (!options[i][1])
			continue;
		argv[n++] = options[i][0];
		argv[n++] = options[i][1];
	}
	int fd = handover_write(s, back, err);
	if (fd < 0)
		return;
	rights_carry(/* on= */ true);
	execveat(program, "", (char **)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	err_sys(err, ERR_IO, errno, "The program cannot be run");
	rights_carry(/* on= */ false);
	handover_undo(s, fd);
}

/* --- asking the new program */

static void refuse(struct supervisor *s, const char *why)
{
	log_error(&top, "%s Nothing was changed.", why);
	BUF_AUTO sentence = BUF_INIT(16 << 10);
	buf_printf(&sentence, "%s Nothing was changed.", why);
	link_send(&s->children[PROCESS_CONTROL].link, upgraded, .done = false,
	        .sentence = buf_str(&sentence));
	close_fd(&s->upgrade.next);
	close_fd(&s->upgrade.said);
}

/* The first line of what it said. */
static void read_said(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static void answered(struct on_exit_of *e, int status)
{
	struct supervisor *s = OWNER(e, struct supervisor, upgrade.exit);
	struct upgrade *u = &s->upgrade;
	struct err err = ERR_INIT;
	char said[512];
	BUF_AUTO why = BUF_INIT(8192);
	u->pid = 0;
	timer_stop(&u->timer);
	if (s->stopping)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		log_info(&top, "The program at %s takes over.", u->path);
		notify("RELOADING=1\nMONOTONIC_USEC=%lld", notify_now());
		run_program(s, u->next, /* back= */ false, &err);
		refuse(s, err.text);
		return;
	}
	read_said(u->said, said, sizeof said);
	buf_printf(&why, "The program at %s does not take over: %s", u->path,
	        *said                 ? said
	        : WIFSIGNALED(status) ? "it did not say in 5 s whether it runs."
	                              : "it does not run.");
	refuse(s, buf_c(&why));
}

static void silent(struct timer *t)
{
	struct supervisor *s = OWNER(t, struct supervisor, upgrade.timer);
	kill(s->upgrade.pid, SIGKILL);
}

/* In the child. */
__attribute__((noreturn)) static void ask_program(const struct supervisor *s)
{
	const char *argv[] = { "everseal", "check", s->want->config ? "--config" : NULL,
		s->want->config, NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(s->upgrade.said, STDOUT_FILENO);
	dup2(s->upgrade.said, STDERR_FILENO);
	execveat(s->upgrade.next, "", (char **)(uintptr_t)argv, environ, AT_EMPTY_PATH);
	dprintf(STDERR_FILENO, "it cannot be run: %s.\n", strerror(errno));
	_exit(127);
}

static bool ask(struct supervisor *s, struct err *err)
{
	struct upgrade *u = &s->upgrade;
	u->next = open(u->path, O_PATH | O_CLOEXEC);
	if (u->next < 0)
		return err_sys(
		        err, ERR_NOT_FOUND, errno, "The program %s cannot be opened", u->path);
	u->said = memfd_create("everseal-said", MFD_CLOEXEC);
	pid_t pid = u->said < 0 ? -1 : fork();
	if (pid == 0)
		ask_program(s);
	if (pid < 0)
		return err_sys(err, ERR_IO, errno, "The program %s cannot be tried", u->path);
	u->pid = pid;
	on_exit_of_start(&u->exit, s->loop, pid, answered);
	timer_start(&u->timer, s->loop, ANSWER_MOST, silent);
	return true;
}

void upgrade_begin(struct supervisor *s)
{
	struct err err = ERR_INIT;
	if (s->stopping)
		return;
	if (s->upgrade.pid || s->upgrade.pending)
		link_send(&s->children[PROCESS_CONTROL].link, upgraded, .done = false,
		        .sentence = STR("Another program is taking over already."));
	else if (!ask(s, &err))
		refuse(s, err.text);
}

/* --- in the program that was exec'ed */

static struct child *other(const struct supervisor *s, enum process process)
{
	LIST_EACH (node, &s->others)
		if (OWNER(node, struct child, node)->process == process)
			return OWNER(node, struct child, node);
	return NULL;
}

/* As soon as the one before has let go of the store. */
static void start_control(struct supervisor *s)
{
	struct child *control = &s->children[PROCESS_CONTROL];
	if (!control->pid && !other(s, PROCESS_CONTROL))
		child_start(control);
}

__attribute__((format(printf, 3, 4))) static void set_outcome(
        struct upgrade *u, bool done, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(u->sentence, sizeof u->sentence, format, list);
	va_end(list);
	u->done = done;
}

/* No process of this program is left: the one before goes on. */
static void go_back(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;
	struct err err = ERR_INIT;
	log_error(&top, "%s", u->sentence);
	run_program(s, u->back, /* back= */ true, &err);
	log_error(&top, "%s The new one tries again.", err.text);
	u->returning = false;
	start_control(s);
}

static void give_up(struct supervisor *s, const char *why)
{
	struct upgrade *u = &s->upgrade;
	timer_stop(&u->timer);
	u->pending = false;
	u->returning = true;
	set_outcome(u, /* done= */ false,
	        "Everseal %s at %s did not take over: %s The program before goes on.",
	        EVERSEAL_VERSION, u->path, why);
	for (size_t i = 0; i < PROCESS_COUNT; i++) {
		timer_stop(&s->children[i].timer);
		if (s->children[i].pid)
			kill(s->children[i].pid, SIGKILL);
	}
	if (!any_running(s))
		go_back(s);
}

static void late(struct timer *t)
{
	give_up(OWNER(t, struct supervisor, upgrade.timer), "it was not ready within 10 s.");
}

/* The others go on until ours are ready. */
static void stop_first(struct supervisor *s)
{
	LIST_EACH (node, &s->others) {
		struct child *c = OWNER(node, struct child, node);
		if (c->state == AWAITING &&
		        (c->process == PROCESS_CONTROL || c->process == PROCESS_FETCH))
			child_stop(c);
	}
}

static void take_over(struct supervisor *s, struct str from)
{
	struct upgrade *u = &s->upgrade;
	struct err err = ERR_INIT;
	set_outcome(u, /* done= */ true, "Everseal %s has taken over from %.*s.", EVERSEAL_VERSION,
	        STR_ARG(from));
	u->pending = true;
	timer_start(&u->timer, s->loop, READY_MOST, late);
	if (!supervisor_programs(s, &err)) {
		give_up(s, err.text);
		return;
	}
	stop_first(s);
	start_control(s);
}

void upgrade_resume(struct supervisor *s, const struct handover *h)
{
	handover_restore(h, s);
	if (!h->back) {
		take_over(s, h->version);
		return;
	}
	struct err err = ERR_INIT;
	set_outcome(&s->upgrade, /* done= */ false, "%.*s", STR_ARG(h->sentence));
	s->ready = true; /* it has been */
	if (!supervisor_programs(s, &err))
		log_error(&top, "%s", err.text);
	else if (s->children[PROCESS_CONTROL].pid)
		upgrade_ready(s); /* it has never been stopped */
	else
		start_control(s);
}

void upgrade_ready(struct supervisor *s)
{
	struct upgrade *u = &s->upgrade;
	if (u->pending) {
		u->pending = false;
		timer_stop(&u->timer);
		forget_before(u);
		LIST_EACH (node, &s->others) {
			struct child *c = OWNER(node, struct child, node);
			if (c->state == AWAITING)
				child_stop(c);
		}
	}
	if (!*u->sentence)
		return;
	log_info(&top, "%s", u->sentence);
	link_send(&s->children[PROCESS_CONTROL].link, upgraded, .done = u->done,
	        .sentence = str_c(u->sentence));
	*u->sentence = '\0';
}

bool upgrade_ended(struct supervisor *s, const struct child *c, int status)
{
	if (s->upgrade.returning) {
		if (!any_running(s))
			go_back(s);
		return true;
	}
	if (!s->upgrade.pending || c->process != PROCESS_CONTROL || !WIFEXITED(status) ||
	        !WEXITSTATUS(status))
		return false;
	give_up(s, "its control process ended at its start, and has said why in the log.");
	return true;
}

void upgrade_other_ended(struct supervisor *s, struct child *c)
{
	log_info(&top, "%s (process %d) of the program before has ended.", process_name(c->process),
	        (int)c->pid);
	list_remove(&c->node);
	free(c);
	if (!s->stopping && !s->upgrade.returning)
		start_control(s);
}
