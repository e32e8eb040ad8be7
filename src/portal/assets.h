/* The page's files: built in (tools/embed makes the table from web/ and doc/openapi.json), or read
 * from disk where `everseal run --dev-page DIR` says so. */
#ifndef PORTAL_ASSETS_H
#define PORTAL_ASSETS_H

#include "server/exchange.h"

struct asset {
	const char *name, *type; /* name: the path, "/app.js" */
	const char *hash;        /* of the content: the ETag's */
	const char *start, *end, *packed, *packed_end;
};
extern const struct asset assets[];              /* a row without name ends them */
const struct asset *asset_find(struct str path); /* "/" is "/index.html" */

/* Answers a request that is not for the API. */
void assets_start(struct exchange *ex);
/* NULL: what is built in. */
void assets_from(const char *dev_page);
/* The headers that every answer has, page and API alike: nobody frames it, nothing runs that is not
 * ours. */
void assets_guard(struct response *head, struct arena *a);

#endif
