/* What renew/ needs around it, on top of issue_place.h: a configuration from text, and a serving
 * that shows what was installed. */
#ifndef TEST_RENEW_WORLD_H
#define TEST_RENEW_WORLD_H

#include "issue_place.h"
#include "renew/private.h"

enum { INSTALLED = 128 };

struct shown {
	char name[64];
	struct buf pem, before; /* before: what a listener that lags shows */
	struct buf beside;      /* PEM, for those who cannot do with the first; empty: none */
	size_t staple;          /* bytes of the answer of its OCSP responder */
	int64_t staple_until;   /* wall ms */
};

struct world {
	struct place place;
	struct config *config;
	struct renewals *renewals;
	struct serving serving;
	struct shown shown[INSTALLED];
	unsigned installs, changes;
	size_t addresses; /* that are bound */
	size_t chain;     /* certificates behind each leaf: this one (DER), or the leaf */
	struct str issuer;
	unsigned lagging;       /* handshakes that still show what was there before */
	bool dark;              /* handshakes fail */
	bool unbound;           /* an address of one's own is not bound */
	const char *unprovable; /* why no CA can ask us */
	const char *obstacle;   /* why it may ask somebody else */
	const char *change_refused;
	struct list changing;
	struct later change_later;
};

extern struct world world;

void world_start(const char *config); /* NULL: the same again */
void world_begin(const char *config); /* all but renewals_begin */
void world_kill(void);
void world_configure(const char *config);

/* A wish, and how it was answered. */
struct wish {
	struct renew_request q;
	bool done, existing;
	char id[300], task[32];
	struct err err;
};
void wish_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err);
void wish_register(struct wish *w, const struct register_want *want);
void wish_name(struct wish *w, const char *name);
void wish_renew(struct wish *w, const char *name);
void wish_disable(struct wish *w, const char *name, bool despite);
void wish_wait(struct wish *w); /* and no error */
void wish_refused(struct wish *w, enum err_code code, const char *sentence);

/* A member of the status of that name, as JSON; lives until the 8th next call. */
const char *said(const char *name, const char *member);
void status_is(const char *name, const char *state);
/* Until nothing is under way, or a day has gone. */
void run_until_idle(void);
/* A task's events: "step: text", one a line; with its state at the end. */
void task_lines(const char *task, struct buf *out);
/* The key types of what handshakes for that name get: "P-256", "P-256, RSA 2048". */
const char *shown_keys(const char *name);
const char *date(int64_t wall); /* RFC 3339, quoted; as `said` */

/* For cmocka. */
int world_setup(void **state);
int world_teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

void logged_has(const char *line);
unsigned logged_count(const char *line);
void task_is(const char *task, const char *lines);
static struct place *const place = &world.place;

/* Names are registered by command; the file knows the application. */
#define BASE                                                                                       \
	"issuer ca { directory https://ca.test/directory; }\n"                                     \
	"site * { proxy 127.0.0.1:3000; }\n"
/* Sites of the file register themselves. */
#define BY_FILE BASE "email ops@example.com\nagree-to-terms yes\n"
#define SHOP    "site shop.example.com { proxy 127.0.0.1:3001; }\n"

/* What a task tells. */
#define FIRST                                                                                      \
	"directory: Reach ca.test\n"                                                               \
	"account: Find or make the account\n"                                                      \
	"account: Account, new\n"
#define REUSED "account: Account, reused\n"
#define STEPS  STEPS_OF("shop.example.com")
#define STEPS_OF(name)                                                                             \
	"order: Order the certificate\n"                                                           \
	"answer: Prove control of " name "\n"                                                      \
	"finalize: Hand in the certificate request\n"                                              \
	"download: Collect the certificate\n"
#define SEEN                                                                                       \
	"bind: Bind 0.0.0.0:443, [::]:443\n"                                                       \
	"see: See it over HTTPS\n"                                                                 \
	"end: Seen over HTTPS on every own listener\n"

#endif
