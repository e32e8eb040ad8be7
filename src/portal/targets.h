/* Within portal/: whom alerts go to, as page, API and commands keep it (records `target`), beside
 * the blocks `notify` of the file. What anybody may know of one is the record's value; what may be
 * secret, a webhook's whole URL too, is its blob, sealed. A program is named by the file alone. */
#ifndef PORTAL_TARGETS_H
#define PORTAL_TARGETS_H

#include "portal/call.h"
#include "portal/row.h"

enum { TARGETS_MOST = 50, TARGET_ID = 16 };

struct kept_target {
	struct list node; /* oldest first */
	struct row row;
	char id[TARGET_ID + 1];
	int64_t created;
	int64_t edition; /* one more with each change */
	struct config_notify want;
	struct arena arena; /* of its texts */
	struct notify_kept kept;
};
MUST_CHECK bool targets_load(struct err *err);
void targets_close(void);

/* target_input.c: what a request says of one, read and checked into `want`, which holds what is
 * there (way set; of a new one nothing else). False: err, and the member that is wrong. */
struct target_input {
	struct call *call;
	const struct kept_target *was; /* NULL: a new one */
	struct config_notify want;
	struct arena *arena;
	const char *field;
};
MUST_CHECK bool target_input_read(struct target_input *in, struct err *err);
/* "mail ops@example.com", "webhook hooks.example.com". */
struct str target_shown(struct arena *a, const struct config_notify *want);
/* Whom the store keeps for the same; NULL: nobody. */
const struct kept_target *target_twin(const struct config_notify *want);

#endif
