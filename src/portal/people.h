/* Within portal/: people, their sessions, API tokens and setup links, held in memory and kept as
 * records. Bounded: 1,000 people, 1,000 tokens, 32 sessions a person (the one used longest ago ends
 * for a new one), 20 links. */
#ifndef PORTAL_PEOPLE_H
#define PORTAL_PEOPLE_H

#include "keys/password.h"
#include "keys/seal.h"
#include "keys/token.h"
#include "net/address.h"
#include "portal/lists.h"
#include "portal/row.h"

enum {
	PEOPLE_MOST = 1000,
	TOKENS_MOST = 1000,
	SESSIONS_EACH = 32,
	LINKS_MOST = 20,
	PERSON_NAME = 64,
	PASSWORD_LEAST = 10,
	PASSWORD_MOST = 256,
	RECOVERY_CODES = 10,
	KNOWN_ADDRESSES = 8,
	AGENT_TEXT = 160,
};
#define SESSION_IDLE (8 * HOUR)
#define SESSION_LIFE (7 * DAY)
#define LINK_LIFE    (30 * MINUTE)

/* ---- people.c ---- */

struct person {
	struct list_item item;
	struct map_node node;
	struct row row;
	char name[PERSON_NAME + 1]; /* lower case */
	enum scope scope;
	char hash[PASSWORD_HASH];
	int64_t created, last_seen;
	struct list sessions;
	/* The second factor: on once a first code was right. */
	struct secret factor, offered; /* offered: not yet on; in memory only */
	int64_t factor_step;           /* the last one whose code was taken: none is taken twice */
	char recovery[RECOVERY_CODES][DIGEST_HEX + 1]; /* "": used */
	/* Addresses that this person signed in from: throttle.h. */
	char known[KNOWN_ADDRESSES][ADDRESS_TEXT];
};
extern struct map people;

MUST_CHECK bool people_load(struct err *err);
void people_close(void);
bool people_any(void);
struct person *person_find(struct str name); /* NULL if there is none, or he is leaving */
/* Whether it can be a name; ret_name gets it in lower case. */
MUST_CHECK bool person_name(struct str text, char ret_name[PERSON_NAME + 1], struct err *err);
/* Whether UTF-8 text begins with a character that shows nothing or turns what is beside it around:
 * spaces other than ' ', controls, format and bidi characters, fillers. Such a name could look like
 * another one. */
bool is_unseen(struct str text);
MUST_CHECK bool person_password(struct str password, struct str name, struct err *err);
MUST_CHECK bool person_may_be_added(struct str name, struct err *err);
/* hash: of the password. Saved by the caller. */
struct person *person_new(struct str name, enum scope scope, const char *hash);
void person_save(struct person *p, struct row_wait *wait);
/* With all sessions. */
void person_remove(struct person *p, struct row_wait *wait);
bool person_is_last_administrator(const struct person *p);
bool person_knows(const struct person *p, struct str address);
void person_saw(struct person *p, struct str address);

/* ---- factor.c: the second factor (RFC 6238) and recovery codes ---- */

bool factor_is_on(const struct person *p);
/* Takes a code, a recovery code among them: true once for each. */
bool factor_take(struct person *p, struct str code);
size_t factor_recovery_left(const struct person *p);
void factor_off(struct person *p);
/* What was offered is on; writes the new recovery codes as a member of w. */
void factor_on(struct person *p, struct json_writer *w);
/* RFC 6238 with SHA-1, 30 s, 6 digits: of that step. */
void factor_code(struct str key, int64_t step, char ret_code[7]);
/* Whether the code is that of the step at wall_ms, of the one before or the one after, and later
 * than *step, which then is its step. */
bool factor_fits(struct str key, struct str code, int64_t wall_ms, int64_t *step);

/* ---- sessions.c ---- */

struct session {
	struct map_node node; /* by hash */
	struct list of_person;
	struct row row;
	char hash[DIGEST_HEX + 1], id[17];
	struct person *person;
	int64_t created, last_used, saved_used;
	char address[ADDRESS_TEXT], agent[AGENT_TEXT];
};
MUST_CHECK bool sessions_load(struct err *err);
void sessions_close(void);
/* The live one of the request's cookie, or NULL; ret_token gets the cookie's text. */
struct session *session_of(const struct call *c, struct str *ret_token);
void session_use(struct session *s);
/* The header that must come with each change: derived from the cookie's text, known to nobody who
 * cannot read our answers. */
void session_csrf(struct str token, char ret_hex[DIGEST_HEX + 1]);
/* Signs in: ends the session that the call came with, makes a new one, sets the cookie, and answers
 * with that status and the session once it is stored. */
void session_begin(struct call *c, struct person *p, unsigned status);
/* The cookie goes with the answer. */
void session_forget_cookie(struct call *c);
/* Answers with the session object. token: of the cookie. */
void session_answer(struct call *c, struct str token, unsigned status);
void session_end(struct session *s, struct row_wait *wait);
void sessions_end_all(struct person *p, const struct session *but);
int64_t session_idle_expires(const struct session *s);
int64_t session_expires(const struct session *s);

/* ---- tokens.c ---- */

struct token {
	struct list_item item;
	struct map_node node; /* by hash */
	struct row row;
	char hash[DIGEST_HEX + 1], id[17];
	struct str name, shown; /* shown: "token deploy" */
	char by[PERSON_NAME + 1];
	enum scope scope;
	int64_t created, expires, last_used, saved_used; /* expires 0: never */
	struct arena arena;
};
MUST_CHECK bool tokens_load(struct err *err);
void tokens_close(void);
struct token *token_of(struct str text); /* the live one, or NULL */
void token_use(struct token *t);
/* Ends the tokens that this person made and that may do more than `most`; how many. */
size_t tokens_cap(struct call *c, const struct person *maker, enum scope most);

/* ---- links.c ---- */

MUST_CHECK bool links_load(struct err *err);
void links_close(void);
/* A new link; its text, "http://127.0.0.1:8007/#setup=TOKEN", is good once `wait` says that it is
 * stored. ret_link is a BUF_SECRET. */
void link_new(struct str origin, struct buf *ret_link, int64_t *ret_expires, struct row_wait *wait);
/* Whether it can be used now; if not, f has the status. */
MUST_CHECK bool link_is_good(struct str token, struct call_failure *f, struct err *err);
/* It is being used: no second request gets it. link_put_back undoes that. */
void link_take(struct str token);
void link_put_back(struct str token);
void link_use(struct str token); /* for ever */

/* ---- audit.c, portal.c ---- */

MUST_CHECK bool audit_load(struct err *err);
void audit_close(void);
MUST_CHECK bool page_is_on(struct err *err); /* a link leads somewhere */
void page_url(struct buf *out);              /* where a browser on this machine finds the page */

/* ---- what a request came with ---- */

/* "203.0.113.7", or of IPv6 the /64 that one customer has; "this machine" for control.sock. */
void call_address(const struct call *c, char ret_text[ADDRESS_TEXT]);
bool call_is_self_made(const struct call *c); /* by the page's first, self-made certificate */
void page_host(char ret_name[256]);           /* the machine's name */
struct str call_origin(struct call *c);       /* "https://host:port", as this request has it */

/* The password of whoever has signed in, once more: `then` is called if it is right, else the call
 * fails. Throttled. p is there for this turn. */
void call_confirm(struct call *c, struct str password, const char *field,
        void (*then)(struct call *c, struct person *p));
/* A new password, hashed: `then` gets the hash. Not for whoever may be anybody: hashing.h. */
void call_hash(struct call *c, struct str password, void (*then)(struct call *c, const char *hash));
/* Answers 429 with the sentence, if there is something to wait for. */
bool call_wait(struct call *c, int64_t wait_ms);
/* 422 for a sentence about that member. Always false. */
bool call_wrong(struct call *c, const struct err *err, const char *field);

/* A call that waits for one row, and then answers {} or with the failure. */
struct call_saving {
	struct call_part part;
	struct row_wait wait;
	struct call *call;
	void (*then)(struct call *c); /* NULL: call_done */
};
struct call_saving *call_saving(struct call *c, void (*then)(struct call *c));

#endif
