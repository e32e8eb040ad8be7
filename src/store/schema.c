/* What the database holds, and how it came to that. */
#include "store/db.h"

/* "Evsl", so that file(1) and we know the file as ours. */
enum { APPLICATION_ID = 0x4576736c };

/* A row of 1–2 KiB does not fit a leaf of an index, so the table keeps its rowid: WITHOUT ROWID
 * would give each certificate an overflow page of its own. */
static const char *const steps[] = {
	"CREATE TABLE record ("
	" kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"
	" value TEXT NOT NULL, blob BLOB NOT NULL, PRIMARY KEY (kind, id)) STRICT",
};

const struct db_schema db_schema = {
	.application_id = APPLICATION_ID,
	.steps = steps,
	.count = sizeof steps / sizeof *steps,
};
