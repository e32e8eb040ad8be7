/* Programs that the configuration names, run by the supervisor (its program.c says how). */
#ifndef ISSUE_PROGRAM_H
#define ISSUE_PROGRAM_H

#include "base/err.h"
#include "link/link.h"

/* Eight run at a time, the others wait for their turn. */
struct programs;
struct programs *programs_new(struct link *supervisor);
void programs_free(struct programs **p); /* those that run go on */
void programs_heard(struct programs *p, const struct msg_program_ended *m);

struct program_want {
	const struct str *argv; /* an absolute path, and its arguments */
	size_t argc;
	struct str user, home; /* may be STR_NONE */
	int64_t uid, gid;      /* -1: as who Everseal is */
	int64_t timeout;       /* ms */
};
/* The caller's. */
struct program_call {
	/* Exactly once, never before program_start has returned: what it printed (cut, without line
	 * ends and blanks around it), and why it failed, if it did. */
	void (*done)(struct program_call *c, struct str output, const struct err *err);
	struct programs *programs; /* NULL when not started */
	struct list node;
	int64_t id; /* 0: it waits */
	int64_t uid, gid, timeout;
	char *path;
	struct buf arguments, environment;
};
void program_start(struct programs *p, struct program_call *c, const struct program_want *want);
void program_abort(struct program_call *c); /* `done` never fires; one that runs goes on */

#endif
