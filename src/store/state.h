/* The state directory, and the lock that keeps a second server out of it. */
#ifndef STORE_STATE_H
#define STORE_STATE_H

#include "base/err.h"

/* Mode 0700. Only the last folder of the path is made. */
MUST_CHECK bool state_make(const char *dir, struct err *err);
/* The lock is held as long as the descriptor is open; DIR/lock names the process for people. */
MUST_CHECK bool state_lock(const char *dir, int *ret_fd, struct err *err);
/* A file of mode 0600 that can be written, made if absent. */
MUST_CHECK bool state_file(const char *path, struct err *err);
/* What errno `number` met at `path` means to the one who runs the server. Always false. */
bool state_err(const char *path, int number, struct err *err);
/* After a file was made, renamed or removed in `dir`: makes that last. */
MUST_CHECK bool state_sync_dir(const char *dir, struct err *err);

#endif
