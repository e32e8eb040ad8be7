/* Signals and children. Both are watched level-triggered and take one thing at a time, so that the
 * callback is the last thing done and may stop or free its own struct. */
#include "loop/inside.h"

#include "base/err.h"
#include <pthread.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

static void begin(
        struct watch *w, struct loop *loop, int fd, void (*ready)(struct watch *, unsigned))
{
	CHECK(fd >= 0);
	w->fd = fd;
	w->ready = ready;
	watch_begin(w, loop, EPOLLIN);
	loop->slots[w->slot].closes = true;
}

static sigset_t set_of(const int *numbers, size_t count)
{
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < count; i++)
		CHECK(sigaddset(&set, numbers[i]) == 0);
	return set;
}

void signals_block(const int *numbers, size_t count)
{
	const sigset_t set = set_of(numbers, count);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

static void signal_ready(struct watch *w, unsigned events)
{
	struct on_signal *s = OWNER(w, struct on_signal, watch);
	struct signalfd_siginfo info;
	(void)events;
	if (read(w->fd, &info, sizeof info) == (ssize_t)sizeof info)
		s->caught(s, (int)info.ssi_signo);
}

void on_signal_start(struct on_signal *s, struct loop *loop, const int *numbers, size_t count,
        void (*caught)(struct on_signal *s, int number))
{
	const sigset_t set = set_of(numbers, count);
	s->caught = caught;
	begin(&s->watch, loop, signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), signal_ready);
}

/* A child forked meanwhile may hold the descriptor: the kernel is told. */
static void end(struct watch *w)
{
	if (!w->loop)
		return;
	watch_stop(w);
	close(w->fd);
}

void on_signal_stop(struct on_signal *s)
{
	end(&s->watch);
}

static void child_ended(struct watch *w, unsigned events)
{
	struct on_exit_of *c = OWNER(w, struct on_exit_of, watch);
	int status;
	(void)events;
	const pid_t reaped = waitpid(c->pid, &status, WNOHANG);
	if (reaped == 0)
		return;
	CHECK(reaped == c->pid);
	end(w);
	c->ended(c, status);
}

void on_exit_of_start(struct on_exit_of *c, struct loop *loop, pid_t pid,
        void (*ended)(struct on_exit_of *c, int status))
{
	c->pid = pid;
	c->ended = ended;
	begin(&c->watch, loop, pidfd_open(pid, 0), child_ended);
}

void on_exit_of_stop(struct on_exit_of *c)
{
	end(&c->watch);
}
