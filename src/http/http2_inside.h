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

enum { HTTP2_NUMBER = 20, HTTP2_OUT_CEILING = 16 << 20 }; /* whoever puts content keeps far below */

struct http2 {
	struct http2_user *user;
	nghttp2_session *session;
	struct http2_patience patience;
	int64_t now;
	bool client; /* we are it: http2_client.c */
	bool tls, in_head, leaving, leave_heard, over, said_why;
	bool greeted;       /* the peer's SETTINGS have come */
	bool told_to_leave; /* by the peer's GOAWAY */
	size_t late;        /* bytes of streams that we reset which may still be on their way */
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

/* http2.c: without what either side says first. */
struct http2 *http2_create(struct http2_user *u, bool client, int64_t now);
void http2_fail(struct http2 *h, enum http2_error code, const char *why);

/* http2_client.c */
void http2_hear_answer(struct http2_stream *s, bool ended);
/* Whether so much content fits the answer's head. */
MUST_CHECK bool http2_answer_takes(struct http2_stream *s, size_t bytes);
MUST_CHECK bool http2_answer_ends(struct http2_stream *s);
void http2_answer_closed(struct http2_stream *s, uint32_t code);

/* http2_send.c */
nghttp2_nv http2_pair(struct str name, struct str value, uint8_t flags);
nghttp2_nv http2_pair_of(const struct header *f);
struct str http2_number(uint64_t n, char text[HTTP2_NUMBER]);
nghttp2_data_provider http2_content(struct http2_stream *s);
void http2_send_callbacks(nghttp2_session_callbacks *c);

static inline struct http2_stream *http2_stream_of(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}
/* NULL also if its user has left. */
static inline struct http2_stream *http2_heard_by(nghttp2_session *session, int32_t id)
{
	struct http2_stream *s = http2_stream_of(session, id);
	return s && !s->deaf ? s : NULL;
}

#endif
