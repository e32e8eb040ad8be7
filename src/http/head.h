/* What the heads of requests and responses have in common: finding the end, and the fields. Private
 * to http/: http1.h is the way in. */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/http1.h"

enum { CONNECTION_FIELDS_MOST = 4, CONNECTION_NAMES_MOST = 32 };

/* A head under the reader: a private copy that ends with an empty line, so that every span stops
 * before `end`; names are put in lower case in place. */
struct head {
	char *copy, *at, *end;
	bool is_request;
	struct headers headers;
	struct refusal refusal;

	/* What the fields said. */
	unsigned hosts;
	struct str host;
	bool has_length, chunked;
	uint64_t length;
	struct str connection[CONNECTION_FIELDS_MOST];
	size_t connection_count;
	bool close, keep_alive, upgrade, te; /* said by Connection */
	bool te_trailers;                    /* said by TE */
	bool upgrade_websocket;              /* said by Upgrade */
	bool expects_continue;
};

/* Looks for the empty line. On DONE the head is in[0 .. *ret_used), its first line begins at
 * *ret_start; line endings are CRLF throughout, and the limits are kept. */
enum http1_result head_find(struct http1_scan *scan, struct str in, size_t *ret_start,
        size_t *ret_used, struct refusal *ret_refusal);
/* The copy; the first line comes next. `lines` is the scan's count. */
void head_init(struct head *h, struct arena *a, struct str text, unsigned lines);
/* The fields and the empty line, to the end; then what Connection says. */
MUST_CHECK bool head_read_fields(struct head *h);
/* Sets h->refusal; always false. */
bool head_refuse(struct head *h, unsigned status, const char *why);

#endif
