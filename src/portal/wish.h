/* A wish to renew/ on behalf of a call: answered with what it came to, and in the audit even if the
 * client leaves first. */
#ifndef PORTAL_WISH_H
#define PORTAL_WISH_H

#include "portal/call.h"

struct wish {
	struct call_part part;
	struct call *call;
	struct renew_request request;
	const char *what; /* for the audit */
	struct str subject;
	/* Answers the call; NULL: with id, task and existing. */
	void (*granted)(struct wish *w, struct str id, struct str task, bool existing);
	/* What the request calls a member that renew/ calls so; NULL: the same. */
	const char *(*fields)(const char *field);
	bool ended;
};
/* In the call's arena. Hand &wish->request and wish_done to renew/. */
struct wish *wish_new(struct call *c, const char *what, struct str subject);
void wish_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err);
/* "despite_hsts": true, or one of the names typed. */
bool call_despite_hsts(struct call *c, const struct str *names, size_t count);
bool wish_despite_hsts(struct call *c, const struct renew_view *v);

#endif
