/* What the files of the HTTP/2 codec share. Private to http/. */
#ifndef HTTP_HTTP2_INSIDE_H
#define HTTP_HTTP2_INSIDE_H

#include "http/http2.h"
#include <nghttp2/nghttp2.h>

/* What was done too often lately: leaks with time. */
struct http2_patience {
	int64_t spent[HTTP2_NUISANCE_COUNT]; /* thousandths */
	int64_t at;                          /* mono ms */
};

struct http2 {
	struct http2_user *user;
	nghttp2_session *session;
	struct http2_patience patience;
	int64_t now;
	bool tls, in_head, leaving, leave_heard, over, said_why;
	const char *fault;
	enum http2_error code; /* of `fault` */
	int32_t last_id;       /* the highest stream that was opened */
	struct buf *out; /* within http2_collect: where frames go, and how many bytes at least */
	size_t most;
	size_t unsent; /* content of all streams that waits */
};

/* http2_calm.c: false: that was too much, and is now the fault. */
bool http2_bears(struct http2 *h, enum http2_nuisance what);
void http2_forgives(struct http2 *h, enum http2_nuisance what, int64_t times);

/* http2_send.c */
void http2_send_callbacks(nghttp2_session_callbacks *c);

static inline struct http2_stream *http2_stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

#endif
