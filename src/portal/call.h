/* One request to the API, from its body to its answer. */
#ifndef PORTAL_CALL_H
#define PORTAL_CALL_H

#include "portal/portal.h"

enum { CALL_BODY_MOST = 64 << 10, CALL_ANSWER_MOST = 64 << 20 };

struct call {
	struct handling handling;
	struct exchange *ex;
	struct buf body, answer, backlog; /* backlog: of a streamed answer, until there is room */
	struct json *json;                /* the request's body, or NULL */
	struct str item;                  /* what stands for * in the route's path, decoded */
	size_t sent;                      /* of the backlog */
	size_t room;                      /* of a streamed answer */
	bool streaming, ending;
	struct renew_request request;
	struct portal_reload reload;
	struct task_reader reader;
	struct arena arena;
};

/* How a route is answered: at once, or later by one of these. All end the call. */
void call_answer(struct call *c, unsigned status); /* c->answer holds the JSON */
void call_fail(struct call *c, const struct err *err);
/* A streamed answer: one JSON object a line. */
void call_stream(struct call *c);
void call_stream_line(struct call *c, struct str json);
void call_stream_end(struct call *c);

struct route {
	const char *method, *path; /* one '*' in it stands for one segment */
	void (*run)(struct call *c);
};
/* The route for that request; *ret_item is the segment at '*'. NULL: *ret_other says whether the
 * path exists with another method. */
const struct route *route_find(
        struct str method, struct str path, struct str *ret_item, bool *ret_other);

extern struct portal_host *portal_host;
extern struct renewals *portal_renewals;

#endif
