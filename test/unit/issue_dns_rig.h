/* What the suites of proofs by DNS share: the provers over a fetch process that answers what it is
 * told and notes what it is asked, and over a real link to a supervisor. */
#ifndef TEST_ISSUE_DNS_RIG_H
#define TEST_ISSUE_DNS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "issue/dns01.h"
#include "issue/dns_persist.h"

/* What one question is answered with, as often as it is asked: "TYPE NAME SERVERS" as far as it
 * says. `first` are the outcomes before that, by blanks; "error": the fetch process says no. */
struct scripted {
	const char *question, *outcome, *records, *aliases, *owner, *first;
	unsigned from; /* the first n times it is as if it had no record */
	unsigned asked;
};

struct rig {
	struct fetch fetch;
	struct clock_fake clock;
	struct loop *loop;
	bool mute; /* nobody is answered */
	struct arena arena;
	struct scripted *script;
	size_t count;
	struct fetch_resolve *resolves[32];
	size_t resolve_count;
	struct fetch_update *update;
	struct err update_err;
	struct buf changes, said, asked, ran; /* ran: by the supervisor */
	struct later turn;
	struct timer guard; /* what never comes is not waited for */
	struct fetch_zones *zones;
	unsigned zones_told, sockets_told;
	struct config *config;
	struct programs *programs;
	struct link ours, supervisor; /* the ends of control and of the supervisor */
	struct log log;
	struct prover *prover, *persist;
	struct proving proving;
	unsigned ready;
	struct err err;
};

void rig_init(struct rig *r, const char *file, struct scripted *script, size_t count);
void rig_done(struct rig *r);
void turn_until_ready(struct rig *r);
void place(struct rig *r, struct prover *p); /* and until it is ready */
void turns(struct rig *r, int count);
void rig_answer(struct rig *r); /* those who waited while it was mute */

extern const struct proof_text text;
extern struct buf logged; /* "level: text\n" */

/* The digest of what is in `text`, by `openssl dgst -sha256 -binary | basenc --base64url`. */
#define VALUE "lCM7cZyQXcVHK2nnW3jjAhNT3Fvm18UN-kWZZknKoYM"

#endif
