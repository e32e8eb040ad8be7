/* Diagnosis of a name: what could stop it from being issued for or served, and the fix. It advises
 * and stops nothing.
 *
 * A run asks DNS, dials each address of the name on its own for a nonce that it has put on the
 * board of challenges (so that this very server gives the right answer), follows redirects as a CA
 * would, tries a handshake on port 443 of each, and asks the CA's directory for its CAA names and
 * the time. It is over after 25 s at most; then everything is judged (facts.h). No body is ever
 * kept.
 *
 * Disadvantage: one looks from this machine. What only others see (a router's rules, an address
 * that leads elsewhere for them) is said to be unseen, not guessed. */
#ifndef DIAGNOSE_DIAGNOSE_H
#define DIAGNOSE_DIAGNOSE_H

#include "diagnose/facts.h"
#include "fetch/fetch.h"
#include "issue/board.h"
#include "json/json.h"

/* What is known here before anything is asked. */
struct diagnose_here {
	struct str servers;          /* DNS: "ADDRESS:PORT\n…", empty: the system's */
	struct str directory, trust; /* the CA's; directory empty: there is none to ask */
	struct str own_address;      /* of an own TLS listener, empty: none */
	uint16_t own_port;
};
struct diagnose_host;
struct diagnose_host_ops {
	/* Fills of the facts: configured, certified, ports, ca (but for done, err, date, at),
	 * listeners, limits, hsts_until. Texts are copied into the arena. */
	void (*here)(struct diagnose_host *h, struct arena *a, struct facts *f,
	        struct diagnose_here *ret);
	bool (*configured)(struct diagnose_host *h, struct str name);
	/* There is more to say of that run. */
	void (*changed)(struct diagnose_host *h, struct str id);
};
struct diagnose_host {
	const struct diagnose_host_ops *ops;
};

struct diagnose_needs {
	struct loop *loop;
	struct fetch *fetch;
	struct board *board;
	struct diagnose_host *host;
};

enum { RUNS_A_MINUTE = 10, RUNS_KEPT = 100, RUNS_AT_ONCE = 8, RUN_ID = 24 };

/* The runs of this process: those under way and the last RUNS_KEPT. */
struct runs;
struct runs *runs_new(const struct diagnose_needs *needs);
void runs_free(struct runs **r);
/* Begins one. name: as typed, refused like a name to register; who: whose minute it counts in
 * (ERR_LIMIT after ten, and *ret_wait says for how many seconds). ERR_BUSY: too many at once. */
MUST_CHECK bool run_begin(struct runs *r, struct str name, struct str who, char ret_id[RUN_ID],
        int64_t *ret_wait, struct err *err);
/* {"id","name","unicode","done","at","ms","outcome","sentence","findings":[…]}. False if there is
 * none. */
bool run_write(struct runs *r, struct str id, struct json_writer *w);
/* Gives it up: nothing of it is asked any more, and nobody is told. False if there is none. */
bool run_end(struct runs *r, struct str id);
/* Whether he has begun it. False if there is none. */
bool run_is_of(struct runs *r, struct str id, struct str who);

#endif
