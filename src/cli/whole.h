/* New files with secrets in them, which appear whole or not at all, readable by their owner only.
 * What is there already is never overwritten: it may be the only copy of another key. */
#ifndef CLI_WHOLE_H
#define CLI_WHOLE_H

#include "base/err.h"

struct whole {
	const char *path;
	int fd;
	bool named; /* the file system has no files without name */
};
MUST_CHECK bool whole_begin(struct whole *w, const char *path, struct err *err);
MUST_CHECK bool whole_write(struct whole *w, struct str bytes, struct err *err);
/* On the disk, and under its name. */
MUST_CHECK bool whole_end(struct whole *w, struct err *err);
/* Harmless after whole_end and after a failure. */
void whole_drop(struct whole *w);

#endif
