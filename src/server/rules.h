/* What a site's file says of its requests beyond the application: routes within the site, and for
 * each of them who may come, what is answered, which headers are changed.
 *
 * Control has resolved what a route has from its site: each route stands for itself. */
#ifndef SERVER_RULES_H
#define SERVER_RULES_H

#include "http/target.h"
#include "server/site.h"

struct access_rule {
	struct str cidr;
	unsigned bits; /* of 128, so that IPv4 and IPv6 compare */
	bool allow;
};

#define HEADER_CHANGES(X) X(SET, "set") X(ADD, "add") X(REMOVE, "remove")
enum header_change {
#define X(name, text) HEADER_##name,
	HEADER_CHANGES(X)
#undef X
	        HEADER_CHANGE_COUNT
};
struct header_rule {
	enum header_change change;
	struct str name, value;
};
struct header_rules {
	struct header_rule *at;
	size_t count;
};

struct route {
	int64_t id, site_id, upstreams_id;
	struct site *of;
	struct str path; /* decoded, without the slash at its end; "": all of the site */
	bool beneath;    /* and all beneath it; else itself alone, with or without a slash */
	const struct route *action; /* whose answer it gives: its own, or the site's `own` */
	bool inherits;
	enum site_kind kind;
	const struct site *to; /* `of`, or what it is with the applications of this route */
	unsigned status;       /* of REDIRECT and RESPOND */
	struct str text;       /* RESPOND: the answer; REDIRECT: where to; FILES: the directory */
	int root;              /* FILES: the directory; -1: it could not be opened. The route's. */
	struct str users;      /* of basic-auth, known to control by this; "": everybody */
	int64_t forward_id;
	const struct site *forward; /* whose applications are asked first; NULL: none is */
	struct str forward_path;
	struct str *copies; /* headers of their answer, in lower case */
	size_t copy_count;
	bool gzip;
	bool maintenance;
	struct str notice;          /* of maintenance */
	struct access_rule *access; /* the narrowest first; of equals, denials */
	size_t access_count;
	bool allows; /* who is not named may not come */
	struct header_rules answer, request;
};

/* The route of a path as it is read in one way; `own` if there is none. */
const struct route *route_of_path(const struct site *site, struct str plain);
/* Sets the exchange's route, and its path to the normal form if a rule goes by it. False: the path
 * is refused, and the exchange answered. */
MUST_CHECK bool route_choose(struct exchange *ex);
/* What of a normal or decoded path is behind the route's own. */
struct str route_rest(const struct route *r, struct str path);

/* Whether the client may come now; otherwise it is answered. */
MUST_CHECK bool rules_admit(struct exchange *ex);
void rules_change(const struct header_rules *rules, struct arena *a, struct headers *h);
/* Of a request: without what its headers may not say. */
void rules_trailers(const struct route *r, struct headers *trailers);

extern const struct handler redirect_handler, respond_handler;

/* Rows on their way into a generation. */
struct route_rows {
	struct route **at; /* heap; the routes are in the generation's arena */
	size_t count;
};
MUST_CHECK bool route_add(
        struct route_rows *rows, struct arena *a, const struct msg_route *m, struct err *err);
/* More of the route added last. */
MUST_CHECK bool route_add_access(struct route_rows *rows, struct arena *a,
        const struct msg_route_access *m, struct err *err);
MUST_CHECK bool route_add_header(struct route_rows *rows, struct arena *a,
        const struct msg_route_header *m, struct err *err);
MUST_CHECK bool route_add_copy(
        struct route_rows *rows, struct arena *a, const struct msg_route_copy *m, struct err *err);
/* Sites know their routes from now on. */
struct route_places { /* things by their ids */
	struct site *(*site)(struct route_places *p, int64_t id, struct err *err);
	const struct upstreams *(*upstreams)(struct route_places *p, int64_t id); /* or NULL */
};
MUST_CHECK bool routes_settle(
        struct route_rows *rows, struct arena *a, struct route_places *places, struct err *err);
void routes_close(struct route *const *at, size_t count); /* their directories */

#endif
