/* The form of a backup: one file, made by `everseal backup`, read by `everseal restore`.
 *
 *	Everseal backup 1
 *	database-format 1
 *	database-bytes 28672
 *	master-key 94d3c1fe0a2b7788 included	(or: needed)
 *	(an empty line)
 *	the 32 bytes of the master key, if it is included; the database; SHA-256 of all before it
 *
 * Foreign bytes: a file that a person names may be anything. */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include "base/buf.h"
#include "base/err.h"
#include "keys/seal.h"

enum { ARCHIVE_HEAD_MOST = 256 };

struct archive_head {
	int64_t database; /* bytes */
	bool with_key;
	char key_id[MASTER_ID + 1];
};
void archive_write_head(const struct archive_head *head, struct buf *out);
/* `begin`: the file's first bytes, ARCHIVE_HEAD_MOST or all that it has. Sentences, with the file's
 * name to be put in front, tell apart: no backup; cut off; made by a newer Everseal. */
MUST_CHECK bool archive_read_head(
        struct str begin, struct archive_head *ret_head, size_t *ret_used, struct err *err);

#endif
