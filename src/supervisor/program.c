/* Programs that the configuration names (hooks), run for control: an argument vector without a
 * shell, as another user, with an environment of control's making, no descriptor but input from
 * nowhere and one pipe for all it says, a limit on time, and a process group of its own that ends
 * with it. What control asked for goes on if control dies, and nobody is told. */
#include "supervisor/inside.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <link/child.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { RUNNING_MOST = 16, WORDS_MOST = 64, OUTPUT_MOST = 16 << 10, PIECE = 4096 };
#define TIME_MOST (24 * HOUR)
#define LAST_TIME (3 * SECOND) /* from the request to end until the end */

struct program {
	struct list node;
	struct supervisor *supervisor;
	int64_t id; /* 0: the control that asked is gone */
	pid_t pid;
	bool late;
	int said; /* the pipe */
	struct watch watch;
	struct buf output;
	struct on_exit_of exit;
	struct timer timer;
};

/* ---- in the child ---- */

__attribute__((noreturn)) static void fail(const char *program, const char *what)
{
	dprintf(STDERR_FILENO, "%s cannot be run: %s: %s.\n", program, what, strerror(errno));
	_exit(127);
}

struct start {
	char *words[WORDS_MOST + 1], *environment[WORDS_MOST + 1];
	bool become;
	uid_t uid;
	gid_t gid;
	int said;
};

static void become(const struct start *s)
{
	if (s->become && (setgroups(1, &s->gid) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
	                         setresuid(s->uid, s->uid, s->uid) < 0))
		fail(s->words[0], "it cannot become its user");
}

static void leave_nothing(const struct start *s)
{
	const int nothing = open("/dev/null", O_RDONLY);
	const struct rlimit no_core = { 0, 0 };
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(s->said, STDOUT_FILENO) < 0 ||
	        dup2(s->said, STDERR_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) < 0)
		fail(s->words[0], "its descriptors cannot be set");
	setrlimit(RLIMIT_CORE, &no_core);
	umask(S_IRWXG | S_IRWXO);
	if (chdir("/") < 0)
		fail(s->words[0], "/ cannot be entered");
}

__attribute__((noreturn)) static void run(const struct start *s, pid_t parent)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	leave_nothing(s);
	become(s);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	child_end_with_parent(); /* after the last change of user, which would undo it */
	if (getppid() != parent)
		_exit(127);
	execve(s->words[0], s->words, s->environment);
	fail(s->words[0], "the system says");
}

/* ---- its end ---- */

static void program_free(struct program *p)
{
	on_exit_of_stop(&p->exit);
	timer_stop(&p->timer);
	watch_stop(&p->watch);
	close(p->said);
	list_remove(&p->node);
	buf_done(&p->output);
	free(p);
}

static void answer(struct supervisor *s, const struct msg_program_ended *m)
{
	link_send_message(&s->children[PROCESS_CONTROL].link, MSG_program_ended, m);
}

/* What finds no room is read and dropped: nobody waits for a full pipe. */
static void hear(struct program *p)
{
	char bytes[PIECE];
	for (;;) {
		const ssize_t n = read(p->said, bytes, sizeof bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf_add(&p->output, str_head(str_n(bytes, (size_t)n), OUTPUT_MOST - p->output.n));
	}
}

static void says(struct watch *w, unsigned events)
{
	(void)events;
	hear(OWNER(w, struct program, watch));
}

static void ended(struct on_exit_of *e, int status)
{
	struct program *p = OWNER(e, struct program, exit);
	kill(-p->pid, SIGKILL); /* what it leaves running */
	hear(p);
	if (p->id)
		answer(p->supervisor, &(struct msg_program_ended){ .id = p->id,
		                              .status = status,
		                              .late = p->late,
		                              .output = buf_str(&p->output) });
	program_free(p);
}

static void kill_it(struct timer *t)
{
	kill(-OWNER(t, struct program, timer)->pid, SIGKILL);
}

static void too_late(struct timer *t)
{
	struct program *p = OWNER(t, struct program, timer);
	p->late = true;
	kill(-p->pid, SIGTERM);
	timer_start(&p->timer, p->supervisor->loop, LAST_TIME, kill_it);
}

/* ---- its start ---- */

/* Each word ends in NUL. False: too many, or none. */
static bool split(struct str text, char *ret_words[static WORDS_MOST + 1])
{
	size_t count = 0;
	while (text.n) {
		const size_t n = str_find(text, '\0');
		if (n == text.n || count == WORDS_MOST)
			return false;
		ret_words[count++] = (char *)(uintptr_t)text.p;
		text = str_from(text, n + 1);
	}
	ret_words[count] = NULL;
	return true;
}

/* 0, or errno: root runs nothing that does not say so. */
static int choose_user(const struct msg_program *m, struct start *s)
{
	if (m->uid < 0)
		return geteuid() ? 0 : EPERM;
	if (m->uid >= UINT32_MAX || m->gid < 0 || m->gid >= UINT32_MAX)
		return EINVAL;
	s->uid = (uid_t)m->uid;
	s->gid = (gid_t)m->gid;
	s->become = s->uid != geteuid() || s->gid != getegid();
	return s->become && !rights_may_become() ? EPERM : 0;
}

static size_t running(const struct supervisor *s)
{
	size_t count = 0;
	LIST_EACH (node, &s->programs)
		count++;
	return count;
}

static int try_start(struct supervisor *s, const struct msg_program *m, struct start *start)
{
	int pipes[2];
	int error = choose_user(m, start);
	if (error)
		return error;
	if (!split(m->arguments, start->words) || !split(m->environment, start->environment) ||
	        !start->words[0] || start->words[0][0] != '/')
		return EINVAL;
	if (running(s) >= RUNNING_MOST)
		return EAGAIN;
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return errno;
	const pid_t parent = getpid(), pid = fork();
	start->said = pipes[1];
	if (pid == 0)
		run(start, parent);
	error = pid < 0 ? errno : 0;
	close(pipes[1]);
	if (error) {
		close(pipes[0]);
		return error;
	}
	struct program *p = mem_new(struct program);
	*p = (struct program){ .supervisor = s, .id = m->id, .pid = pid, .said = pipes[0] };
	p->output = BUF(OUTPUT_MOST);
	list_add_last(&s->programs, &p->node);
	(void)fcntl(p->said, F_SETFL, O_NONBLOCK);
	watch_start(&p->watch, s->loop, p->said, says);
	on_exit_of_start(&p->exit, s->loop, pid, ended);
	timer_start(&p->timer, s->loop,
	        m->timeout > 0 && m->timeout < TIME_MOST ? m->timeout : TIME_MOST, too_late);
	return 0;
}

void program_run(struct supervisor *s, const struct msg_program *m)
{
	struct start start = { .said = -1 };
	const int error = try_start(s, m, &start);
	if (error)
		answer(s, &(struct msg_program_ended){ .id = m->id, .error = error });
}

void programs_control_gone(struct supervisor *s)
{
	LIST_EACH (node, &s->programs)
		OWNER(node, struct program, node)->id = 0;
}

void programs_done(struct supervisor *s)
{
	LIST_EACH (node, &s->programs)
		program_free(OWNER(node, struct program, node));
}
