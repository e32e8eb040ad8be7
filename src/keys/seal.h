/* Sealing under the master key: XChaCha20-Poly1305 with a random nonce; the additional data bind a
 * blob to its record (kind, id, version), so that blobs cannot be exchanged. Each sealed blob names
 * its master key, so that keys can rotate. Format: "E1" · key id (8 bytes) · nonce (24) · box. */
#ifndef KEYS_SEAL_H
#define KEYS_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

struct master; /* the master key, in locked memory where the system allows it */

/* Where it came from, for the page: "beside the database" or "a credential". */
enum master_source { MASTER_BESIDE, MASTER_CREDENTIAL };

/* $CREDENTIALS_DIRECTORY/master.key if that directory is set and has it, else STATE/master.key.
 * There it is made when absent, but only if may_create: a state with sealed records and no key is
 * an error with its own sentence. Written by write, fsync, rename, fsync of the directory; mode
 * 0400. Not a key, wrong size, or readable by others: an error. */
MUST_CHECK struct master *master_load(const char *state_dir, bool may_create, struct err *err);
void master_free(struct master **m);
enum master_source master_source(const struct master *m);

/* For backups. The id that sealed blobs name, in hexadecimal; the key's bytes; the key of such
 * bytes; and that key put into a state that has none. */
enum { MASTER_KEY = 32, MASTER_ID = 16 };
void master_id(const struct master *m, char ret_id[MASTER_ID + 1]);
void master_bytes(const struct master *m, struct buf *out);
struct master *master_from_bytes(const unsigned char bytes[MASTER_KEY]);
MUST_CHECK bool master_keep(const struct master *m, const char *state_dir, struct err *err);

/* What a blob is sealed for. */
struct seal_for {
	struct str kind, id;
	int64_t version;
};
void seal(
        const struct master *m, struct seal_for what, const struct secret *plain, struct buf *out);
/* `what_words` names it in the sentence: "The account key for letsencrypt cannot be …". Sentences
 * tell apart: sealed under another master key; damaged; not a sealed blob. */
MUST_CHECK bool unseal(const struct master *m, struct seal_for what, const char *what_words,
        struct str blob, struct secret *ret_plain, struct err *err);

#endif
