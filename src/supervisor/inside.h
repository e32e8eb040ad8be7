/* What the files of this folder know of each other. */
#ifndef SUPERVISOR_INSIDE_H
#define SUPERVISOR_INSIDE_H

#include "link/link.h"
#include "supervisor/supervisor.h"
#include <limits.h>

/* sockets.c: the listening sockets, by address and port. They outlive a control. */
struct sockets {
	struct loop *loop;
	struct link *control; /* may be out of use */
	struct list all;
};
void sockets_init(struct sockets *s, struct loop *loop, struct link *control);
void sockets_bind(struct sockets *s, const struct msg_bind *m);
void sockets_release(struct sockets *s, int64_t id);
void sockets_holder(struct sockets *s, const struct msg_who_holds *m);
void sockets_control_gone(struct sockets *s);
/* What the control now running has not asked for is closed. */
void sockets_settle(struct sockets *s);
void sockets_done(struct sockets *s);
void sockets_leave_open(const struct sockets *s, bool open); /* to an exec */
/* Those that are bound, as lines "socket FD ADDRESS PORT"; and one of them taken back. */
void sockets_write(const struct sockets *s, struct buf *out);
MUST_CHECK bool sockets_adopt(struct sockets *s, int fd, struct str address, int64_t port);

/* A process of ours. AWAITING: the program before this one has started it, it serves until our own
 * is ready. DRAINING: it was told to stop. */
enum child_state { CURRENT, AWAITING, DRAINING };
struct child {
	struct list node; /* in supervisor->others unless CURRENT */
	enum process process;
	enum child_state state;
	struct supervisor *supervisor;
	int program;
	int tickets; /* tickets.c; -1: none */
	pid_t pid;   /* 0: not running */
	struct on_exit_of exit;
	struct link link;
	struct timer timer; /* until it is started again; until it must be gone */
	int64_t started;
	unsigned falls; /* in a row, each soon after its start */
};

/* The program replaced in place (upgrade.c). */
struct upgrade {
	char path[PATH_MAX]; /* where our program is, or was, on disk */
	int own;             /* our program, whatever stands at `path` now */
	/* Before the exec: the new program is asked whether it runs and takes the configuration. */
	int next, said; /* it · its output; -1: none is asked */
	pid_t pid;
	struct on_exit_of exit;
	struct timer timer; /* it has to answer · the new processes have to be ready */
	/* After it: */
	bool pending;                     /* the new processes are not ready yet */
	bool returning;                   /* to those before, once ours are gone */
	int back, back_to[PROCESS_COUNT]; /* the programs before us; -1: none */
	bool done;           /* the outcome, of which control hears when it is ready: */
	char sentence[1024]; /* "": there is none to tell */
};

struct supervisor {
	const struct supervisor_want *want;
	struct loop *loop;
	struct child children[PROCESS_COUNT];
	struct list others; /* struct child, on the heap */
	struct sockets sockets;
	struct list programs; /* struct program: hooks that run */
	struct upgrade upgrade;
	bool identified, ready, stopping;
	bool become;
	uid_t uid;
	gid_t gid;
	int64_t workers;
	int status;
	struct on_signal signals;
	struct timer patience;
};

/* supervisor.c, for the others */
void child_start(struct child *c);
/* A process that runs already, by the link that its starter had. */
void child_adopt(struct child *c, pid_t pid, int link);
void child_stop(struct child *c);             /* in an orderly way */
bool any_running(const struct supervisor *s); /* of the current ones */
void supervisor_stop(struct supervisor *s, int status);
/* Opens those that are not open yet. */
MUST_CHECK bool supervisor_programs(struct supervisor *s, struct err *err);

/* upgrade.c */
struct handover;
void upgrade_init(struct supervisor *s);
void upgrade_done(struct supervisor *s);
/* Goes on where the program before us in this process has stopped. */
void upgrade_resume(struct supervisor *s, const struct handover *h);
void upgrade_begin(struct supervisor *s);
/* Control is ready: the processes before ours may go, and control hears of the outcome. */
void upgrade_ready(struct supervisor *s);
/* A current process has ended. True if that is all there is to do about it. */
bool upgrade_ended(struct supervisor *s, const struct child *c, int status);
/* One of `others` has ended, and is freed. */
void upgrade_other_ended(struct supervisor *s, struct child *c);

/* handover.c: what is left to the program that follows in this process. Text in a memfd whose
 * number stands in EVERSEAL_HANDOVER, a line for each thing. Versions can differ: lines that are
 * not known are skipped. */
struct handover {
	struct buf text;
	bool back;           /* to the program that was there before */
	struct str sentence; /* back: why */
	struct str version;  /* of who leaves it */
};
void leave_open(int fd, bool open); /* to an exec; harmless with -1 */
/* A descriptor that exec leaves open, as are all that the text names; or -1. */
int handover_write(const struct supervisor *s, bool back, struct err *err);
/* The exec has failed: closes it, and takes all of that back. */
void handover_undo(const struct supervisor *s, int fd);
MUST_CHECK bool handover_take(struct handover *ret_handover); /* false: nothing was left */
/* Sockets, processes, programs, and whom they become. */
void handover_restore(const struct handover *h, struct supervisor *s);

/* tickets.c */
void tickets_give(struct child *c); /* that was just started */
void tickets_done(struct child *c);

/* spawn.c: programs and rights. */
struct spawn_want {
	enum process process;
	int program;             /* from program_open */
	int link;                /* the child's end */
	const char *const *argv; /* NULL at the end */
	bool become;             /* another user than ours: */
	uid_t uid;
	gid_t gid;
};
/* The descriptor of everseal-PROCESS, or -1. */
int program_open(enum process process, struct err *err);
/* The child's number, or -1. What fails in the child is said on stderr and ends it with 127. */
pid_t spawn(const struct spawn_want *want, struct err *err);

/* program.c: hooks. */
void program_run(struct supervisor *s, const struct msg_program *m); /* `program_ended` follows */
void programs_control_gone(struct supervisor *s);
void programs_done(struct supervisor *s);

/* rights.c: keeps what binding, becoming another user and ending children need. */
void rights_drop(void);
bool rights_may_become(void); /* another user */
/* What we have outlives the next exec. */
void rights_carry(bool on);
/* To look into other users' processes (and folders), only while `on`. */
void rights_look(bool on);

/* holder.c: "nginx (process 812)" for whoever listens where we cannot; appends nothing if the
 * system does not tell. */
struct sockaddr;
void holder_find(const struct sockaddr *address, struct buf *ret_holder);

/* notify.c: tells the service manager, if there is one (sd_notify(3)). */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);
/* For "RELOADING=1\nMONOTONIC_USEC=…", which READY=1 ends. */
long long notify_now(void);

#endif
