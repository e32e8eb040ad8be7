/* The directories of `root`, and the fence around all other files.
 *
 * Landlock's fence can only be made narrower. It is raised when the first generation is prepared,
 * with its directories as what may be read, before a listener accepts; until then nothing that came
 * over the network was looked at. A directory that a later generation brings is behind the fence,
 * unless it lies beneath one of those: then another serve has to take over. */
#ifndef WORKER_ROOTS_H
#define WORKER_ROOTS_H

#include "base/buf.h"
#include "server/site.h"

struct roots {
	bool wanted; /* the fence */
	bool fenced;
	struct root_known *known; /* heap: those of the first generation */
	size_t count;
};
void roots_done(struct roots *r);

/* The first time: raises the fence around the calling thread; *ret_ruleset is for the others, by
 * fence_files, and then to be closed; -1 at all other times. `standing` gets its name. */
void roots_fence(
        struct roots *r, const struct generation *g, struct buf *standing, int *ret_ruleset);
/* Whether the generation's directories can be read: false if one is behind the fence. */
bool roots_within(const struct roots *r, const struct generation *g);

#endif
