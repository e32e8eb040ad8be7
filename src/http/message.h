/* The canonical message: what HTTP/1, HTTP/2 and later HTTP/3 have in common (RFC 9110). It knows
 * no connection. Parsers fill it, handlers read and change it, writers serialise it anew: client
 * bytes are never passed on as they came. All text lives in the exchange's arena. */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/arena.h"
#include "base/str.h"

struct header {
	struct str name;  /* a token in lower case */
	struct str value; /* no CTL but HTAB, no white space at its ends */
};

struct headers {
	struct header *at;
	size_t count, cap;
};
void headers_add(struct headers *h, struct arena *a, struct str name, struct str value);
struct str headers_find(const struct headers *h, struct str name); /* the first; p NULL if absent */
size_t headers_remove(struct headers *h, struct str name);         /* how many there were */
/* And every name that is this one to an application that reads '_' as '-'. */
void headers_remove_folded(struct headers *h, struct str name);
/* The same of one name; `as` in lower case with '-', and if that ends it, whatever begins so. */
bool header_is_folded(struct str name, struct str as);
/* Whether a comma-separated list header has that token, ASCII case ignored. */
bool headers_list_has(const struct headers *h, struct str name, struct str token);

enum http_version { HTTP_1_0, HTTP_1_1, HTTP_2 };
enum body_kind {
	BODY_NONE,   /* no content follows */
	BODY_LENGTH, /* exactly `length` bytes */
	BODY_STREAM, /* until its end is marked (chunked, END_STREAM) */
	BODY_CLOSE,  /* until the connection closes: HTTP/1 responses only */
};

struct request {
	enum http_version version;
	struct str method;
	struct str authority;   /* host [":" port] in lower case: Host or :authority, checked */
	struct str host;        /* of authority, without brackets */
	uint16_t port;          /* of authority, 0 if it has none */
	struct str path;        /* origin form with query, starts with '/'; "*" for OPTIONS * */
	struct headers headers; /* without Host, Content-Length, Expect, and all that is hop-by-hop:
	                           Connection, what it lists, Transfer-Encoding, Upgrade, … */
	enum body_kind body;
	uint64_t length;
	bool keep_alive; /* of this connection, by version and Connection */
	bool expect_continue;
	bool trailers;  /* the client takes them (TE: trailers) */
	bool websocket; /* Upgrade: websocket on a GET without body; over HTTP/2 the extended
	                   CONNECT (RFC 8441), whose method then is GET here as well */
};

struct response {
	enum http_version version;
	unsigned status;
	struct headers headers; /* likewise stripped */
	enum body_kind body;
	uint64_t length;
	bool keep_alive;
	bool head_only; /* answers HEAD, or is 1xx, 204 or 304: body and length may be told, no
	                   content follows */
	bool websocket; /* a 101 that switches to it */
};

const char *http_reason(unsigned status); /* "Not Found"; "" if unknown */

/* Why a message was refused: the status for the client, a literal sentence for log and page. */
struct refusal {
	unsigned status;
	const char *why;
};

#endif
