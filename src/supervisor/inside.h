/* What the files of this folder know of each other. */
#ifndef SUPERVISOR_INSIDE_H
#define SUPERVISOR_INSIDE_H

#include "link/link.h"

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

/* rights.c: keeps what binding, becoming another user and ending children need. */
void rights_drop(void);
bool rights_may_become(void); /* another user */
/* To look into other users' processes (and folders), only while `on`. */
void rights_look(bool on);

/* holder.c: "nginx (process 812)" for whoever listens where we cannot; appends nothing if the
 * system does not tell. */
struct sockaddr;
void holder_find(const struct sockaddr *address, struct buf *ret_holder);

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

/* notify.c: tells the service manager, if there is one (sd_notify(3)). */
__attribute__((format(printf, 1, 2))) void notify(const char *format, ...);

#endif
