/* A wish to renew/ on behalf of a call. It goes on if its client leaves: then nobody is answered,
 * but the audit has what it came to all the same. */
#ifndef PORTAL_WISH_H
#define PORTAL_WISH_H

#include "portal/call.h"

struct wish {
	struct list node;
	struct call_part part;
	struct call *call; /* NULL: the client has left */
	struct renew_request request;
	struct arena arena;
	struct audit_author author;
	const char *what; /* for the audit */
	struct str subject;
	bool primary; /* what it makes is what Configure shows */
	/* Answers the call, if it is there still; NULL: with id, task and existing. */
	void (*granted)(struct wish *w, struct str id, struct str task, bool existing);
	/* What the request calls a member that renew/ calls so; NULL: the same. */
	const char *(*fields)(const char *field);
	bool ended;
};
/* Frees itself. Hand &wish->request and wish_done to renew/. */
struct wish *wish_new(struct call *c, const char *what, struct str subject);
void wish_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err);
/* Of those under way nobody knows any more what they come to: the audit says so. */
void wishes_close(void);
/* Whether it can be listened at: an address of this machine, all of them, or what is no address and
 * is judged elsewhere. False: the call was answered with that. */
bool call_has_address(struct call *c, struct str address, const char *field);
/* "despite_hsts": true, or names typed, with spaces between, one of these among them. */
bool call_despite_hsts(struct call *c, const struct str *names, size_t count);
bool wish_despite_hsts(struct call *c, const struct renew_view *v);

#endif
