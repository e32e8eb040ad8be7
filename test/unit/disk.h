/* A disk that fails: SQLite's default VFS with one of ours in front, which counts and fails
 * operations of its own choice, and keeps for each file what a loss of power would leave of it.
 *
 * One per program; the counting is done on whatever thread the store works. */
#ifndef TEST_DISK_H
#define TEST_DISK_H

#include "base/str.h"
#include <stdbool.h>

#define OPS(X) X(WRITE) X(SYNC) X(TRUNCATE) X(OPEN) X(DELETE)
enum op {
#define X(name) OP_##name,
	OPS(X)
#undef X
	        OP_ANY,
};
extern const char *const op_names[]; /* OP_ANY's too */

/* What of the unsynced changes a power loss leaves: nothing, all (so it is after kill -9), or a
 * random choice of sectors. */
enum leaves { LEAVES_NOTHING, LEAVES_ALL, LEAVES_SOME };

void disk_install(void); /* once, before the first store */
/* From now on it is ours: with `off`, what a power loss leaves is kept, and after the first
 * failure everything fails. Only files that are made hereafter are known whole. */
void disk_start(bool off);
/* The at-th operation of that kind from here fails, from 1; as that code, or (0) as an input or
 * output error. */
void disk_fail(enum op op, long at, int code);
bool disk_failed(void); /* it has been reached */
/* The files become what is left of them; only after `off`, with the store closed. */
void disk_power_loss(enum leaves leaves);
void disk_reset(void);         /* all is well again, and nothing is kept */
void disk_seed(uint64_t seed); /* of what is random */
uint64_t disk_chance(uint64_t below);

#endif
