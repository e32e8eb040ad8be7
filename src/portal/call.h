/* One request to the API, from its body to its answer; the routes that answer; and what they share:
 * who asks, errors, lists, streams, the audit.
 *
 * A resource is a file with a table of routes, named in routes.c. A route's function is called once
 * the body has come and whoever asks has been found to have the route's scope; it ends the call now
 * or later by one of the call_… functions below that say so. What a call waits for is told to
 * call_keep, so that it can be let go when the client leaves. */
#ifndef PORTAL_CALL_H
#define PORTAL_CALL_H

#include "portal/portal.h"

/* Of a request: of the machine's owner, who imports much at once, and of others; of an answer. */
enum { CALL_BODY_OWNER = 4 << 20, CALL_BODY_MOST = 64 << 10, CALL_ANSWER_MOST = 64 << 20 };

/* What one may do; each includes those before it. OWNER: only over STATE/control.sock. */
#define SCOPES(X)                                                                                  \
	X(NONE, "none") /* nobody in particular: signing in */                                     \
	X(READ, "read")                                                                            \
	X(OPERATE, "operate")                                                                      \
	X(ADMINISTER, "administer")                                                                \
	X(OWNER, "owner")

enum scope {
#define X(name, text) SCOPE_##name,
	SCOPES(X)
#undef X
};
const char *scope_name(enum scope s);
/* One that a person or token may have: read, operate, administer. */
bool scope_from_name(struct str name, enum scope *ret_scope);

/* Who asks. session, person and token are there for as long as the loop's turn lasts: whoever goes
 * on later finds them anew. */
struct session;
struct person;
struct token;
struct who {
	enum scope scope;
	struct str name;         /* "ana", "token deploy", "the owner (control.sock)"; "" nobody */
	struct session *session; /* NULL unless by session */
	struct person *person;   /* likewise */
	struct token *token;     /* NULL unless by token */
};

/* What a call waits for, part of the state of a resource that lives in the call's arena; let_go
 * is called once, when the call ends, however it ends. */
struct call_part {
	void (*let_go)(struct call_part *p);
	struct call_part *next;
};

struct call {
	struct handling handling;
	struct exchange *ex;
	struct buf body, answer, backlog; /* backlog: of what is sent, until there is room */
	struct json *json;                /* the request's body, or NULL */
	struct str item;                  /* what stands for * in the route's path, decoded */
	struct str query;                 /* what stands behind '?', encoded */
	struct who who;
	const struct route *route;
	struct headers headers; /* further ones of the answer: call_header */
	size_t sent;            /* of the backlog */
	size_t room;            /* of a streamed answer */
	bool streaming, ending;
	void (*drained)(struct call *c); /* of a streamed answer, all of which is out; or NULL */
	struct renew_request request;
	struct portal_reload reload;
	struct task_reader reader;
	struct call_part *parts;
	struct arena arena; /* lives until the call has ended */
};
void call_keep(struct call *c, struct call_part *part, void (*let_go)(struct call_part *p));

/* What the members of a request's body are; those that are absent or null fit. False: the call was
 * answered with the first that does not. The last row is empty. */
enum call_member_type {
	MEMBER_TEXT,
	MEMBER_TEXTS, /* or one text */
	MEMBER_NUMBER,
	MEMBER_BOOL,
	MEMBER_OBJECT,
	MEMBER_INSISTENCE, /* true, or a name typed */
};
struct call_member {
	const char *in; /* the member that is the object it stands in; NULL: the body itself */
	const char *name;
	enum call_member_type type;
};
MUST_CHECK bool call_members_fit(struct call *c, const struct call_member *members);

/* How a route is answered: at once, or later by one of these. All end the call. */
void call_answer(struct call *c, unsigned status); /* c->answer holds the JSON */
void call_ok(struct call *c);                      /* the same, 200 */
void call_done(struct call *c);                    /* 200 {} */
/* c->answer holds something else: type, and the name under which a browser saves it, or NULL. */
void call_answer_file(struct call *c, const char *type, const char *file_name);

/* Errors, too, end the call: {"code","message","remedy","details"}. The status follows from the
 * code. */
void call_fail(struct call *c, const struct err *err);
/* The member of the request that is wrong, and a value that would do (STR_NONE: none). 422. */
void call_fail_field(struct call *c, const struct err *err, const char *field, struct str offered);
/* Whatever is not given follows from err. */
struct call_failure {
	unsigned status;
	const char *code;   /* the API's, if it is not the name of err's */
	const char *remedy; /* a sentence of its own */
	struct str details; /* a JSON object */
};
void call_fail_with(struct call *c, const struct err *err, const struct call_failure *f);

/* 403: what the file sets stays. Always false. */
bool call_locked(struct call *c, const struct config_at *at, const char *what_to_do);
/* When it may be tried again: 429, with Retry-After. */
void call_fail_wait(struct call *c, const struct err *err, int64_t seconds);

/* Begins c->answer with an object and returns w. */
struct json_writer *call_object(struct call *c, struct json_writer *w);
void call_header(struct call *c, struct str name, struct str value); /* value: lives as c does */
struct str call_query(struct call *c, const char *name); /* decoded; STR_NONE: not there */

/* A streamed answer: text of that type, JSON lines or events. What the client does not take waits
 * in c->backlog: who streams without end looks at its size. */
void call_stream(struct call *c); /* JSON lines */
void call_stream_as(struct call *c, const char *type);
void call_stream_line(struct call *c, struct str json);
void call_stream_text(struct call *c, struct str text);
void call_stream_end(struct call *c);
void call_stream_cut(struct call *c, const char *why); /* so that the client sees it is not whole */

/* Lists are paged by lists.h. */

/* Who did what: kept, shown under Activity, sent to whoever watches. `what` in words: "Force SSL
 * on"; before and after are short texts or STR_NONE. */
void audit_add(
        struct call *c, const char *what, struct str subject, struct str before, struct str after);
/* The same for what is told when its call may have ended: who it was, kept in the arena. */
struct audit_author {
	struct str who, address;
};
struct audit_author audit_author(const struct call *c, struct arena *a);
void audit_add_by(const struct audit_author *by, const char *what, struct str subject,
        struct str before, struct str after);
/* Somebody could not sign in; of many of these in a short time only some are told. */
void audit_failure(struct call *c, struct str name);

struct route {
	const char *method, *path; /* one '*' in it stands for one segment */
	enum scope scope;          /* the least that one needs */
	void (*run)(struct call *c);
};
/* Each ends with a row without method. */
extern const struct route state_routes[], site_routes[], certificate_routes[], import_routes[],
        task_routes[], letsencrypt_routes[], issuer_routes[], binding_routes[], overview_routes[],
        session_routes[], account_routes[], people_routes[], token_routes[], audit_routes[],
        event_routes[], document_routes[], metrics_routes[], backup_routes[], notify_routes[],
        target_routes[];
extern const struct route *const route_tables[]; /* NULL ends them */
void lookups_close(void);                        /* by portal_close */
void trials_close(void);                         /* likewise */
/* The route for that request; *ret_item is the segment at '*'. NULL: *ret_other says whether the
 * path exists with another method. */
const struct route *route_find(
        struct str method, struct str path, struct str *ret_item, bool *ret_other);

/* auth.c: finds out who asks, and whether that is enough for c->route. The sentence, and in *f the
 * status and code, say why not. */
MUST_CHECK bool call_identify(struct call *c, struct call_failure *f, struct err *err);
/* For a call that has waited: who asks may be gone, or may do less by now. False: the call was
 * answered with that. */
MUST_CHECK bool call_still_may(struct call *c);
/* The person whose doing it is: a token's is its maker's. */
struct str who_person(const struct who *who);
/* Whose share of what costs others it takes: the same, but of tokens that the machine's owner made,
 * who is bound by no share, each has its own. */
struct str who_counts(const struct who *who);

/* For a call that goes on without a session it came with: it is that one's from now on. */
void call_is_session(struct call *c, struct session *s);

extern struct portal_host *portal_host;
extern struct renewals *portal_renewals;
extern struct portal_needs portal; /* what portal_open was given */

#endif
