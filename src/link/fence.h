/* Fences around the process that calls: what it cannot do any more, whoever drives it.
 *
 *	no-capabilities    not even root's: what files and sockets the user may open is all
 *	undumpable         no core, no ptrace by the same user; /proc/self is root's from then on
 *	no-new-privileges  no exec gains rights
 *	landlock           files: only beneath the paths given, where the kernel has Landlock
 *
 * Call before the first thread is started (Landlock binds the calling thread and its children).
 * Descriptors that are open stay usable. A path that does not exist is left out. Nothing fails: a
 * fence that the kernel refuses does not stand, and `status` says so. */
#ifndef LINK_FENCE_H
#define LINK_FENCE_H

#include "base/buf.h"

struct fence_want {
	const char *const *read;  /* files and folders to read, NULL at the end; NULL: none */
	const char *const *write; /* to read, write, make and remove; folders only as a whole */
	bool files_later;         /* no Landlock yet: fence_files raises it */
};

/* Appends the names of those that stand, separated by spaces (the text of `fences`); returns how
 * many they are. */
size_t fence_process(const struct fence_want *want, struct buf *ret_standing);

/* Landlock alone, after fence_process, for a process that learns later what it may read: the
 * folders behind these descriptors and all beneath. The ruleset's descriptor, -1 without
 * Landlock. */
int fence_files_new(const int *folders, size_t count);
/* Around the calling thread: each thread does it for itself. */
MUST_CHECK bool fence_files(int ruleset);

#endif
