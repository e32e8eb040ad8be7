/* HTTP/1.0 and 1.1 (RFC 9112), both sides, without I/O: bytes in, canonical messages out, and back.
 * Strict by law (doc/laws.md): what could be read in two ways is refused. */
#ifndef HTTP_HTTP1_H
#define HTTP_HTTP1_H

#include "base/buf.h"
#include "http/message.h"

enum http1_result {
	HTTP1_MORE, /* nothing decided yet: come again with more bytes */
	HTTP1_DONE,
	HTTP1_BAD, /* *ret_refusal says why: answer it and close */
};

/* Remembers how far the end of the head was looked for, so that a slow sender costs no rescans.
 * Zero it per message. */
struct http1_scan {
	size_t seen;
	size_t line;    /* where the line begins that is not yet complete */
	unsigned lines; /* complete ones */
};

/* The head's bytes in all, its fields, the bytes of the request line. */
enum { HTTP1_HEAD_MOST = 32 << 10, HTTP1_HEADERS_MOST = 100, HTTP1_LINE_MOST = 16 << 10 };

/* in: what came so far, from the message's first byte. On DONE *ret_used bytes were the head; the
 * message borrows nothing from `in`. Of outputs only the result's own are touched.
 * One empty line before the request line is skipped (RFC 9112 2.2). Headers are without Host,
 * Content-Length, Expect and everything hop-by-hop (RFC 9110 7.6.1): Connection and what it lists,
 * Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE, Trailer,
 * Transfer-Encoding, Upgrade. A content of length 0 is BODY_NONE. */
enum http1_result http1_read_request(struct http1_scan *scan, struct str in, struct arena *a,
        struct request *ret_request, size_t *ret_used, struct refusal *ret_refusal);
/* `request` decides about the body: HEAD has none. 1xx heads are DONE like any other: the caller
 * reads on with a fresh scan. BAD means a framing error of the upstream: 502. A response that may
 * not have content is head_only; its body and length then are what its head told. */
enum http1_result http1_read_response(struct http1_scan *scan, struct str in, struct arena *a,
        const struct request *request, struct response *ret_response, size_t *ret_used,
        struct refusal *ret_refusal);

/* The content of one message: pieces borrowed from `in`, framing checked and dropped. */
struct http1_body {
	enum body_kind kind;
	uint64_t left; /* of the content (LENGTH) or of the chunk (STREAM) */
	unsigned state;
	unsigned line; /* bytes of the chunk-size line so far */
	size_t trailer_bytes;
	char *trailers; /* where they are kept, if they are wanted; else NULL */
};
void http1_body_init(struct http1_body *b, enum body_kind kind, uint64_t length);
/* Reads one piece: MORE = this piece (maybe empty) and come again, DONE = the last piece, the
 * message is complete; *ret_used bytes of `in` are spent. All of `in` was spent unless more pieces
 * (MORE) or the next message (DONE) follow in it: no byte has to be kept. Without content the
 * first call, of no bytes, is DONE. Trailers are checked, and dropped unless they are wanted. */
enum http1_result http1_body_read(struct http1_body *b, struct str in, struct str *ret_piece,
        size_t *ret_used, struct refusal *ret_refusal);
/* Of a body that was just initialised: its trailers are wanted, and are kept in `a`. */
void http1_body_want_trailers(struct http1_body *b, struct arena *a);
/* After DONE: those that may pass (http/trailers.h). */
struct headers http1_body_trailers(const struct http1_body *b, struct arena *a);
/* The peer closed: is the content complete? (CLOSE: yes; LENGTH 0 left: yes; else no.) */
bool http1_body_ends_at_close(const struct http1_body *b);

/* Writing. The writer adds Host, Content-Length or Transfer-Encoding: chunked, and Connection (for
 * a websocket request and status 101: the upgrade). `keep_alive` of the request to be written means
 * that we would use the connection again. */
void http1_write_request(struct buf *out, const struct request *r);
/* To a client of that version. BODY_STREAM becomes chunked for HTTP/1.1; for 1.0, and BODY_CLOSE
 * for both, the end is told by closing: http1_ends_by_close says so, and `Connection: close` is
 * written whatever keep_alive is. */
void http1_write_response(
        struct buf *out, const struct response *r, enum http_version client, bool keep_alive);
bool http1_ends_by_close(const struct response *r, enum http_version client);
/* "1f\r\n"; the content, then HTTP1_CHUNK_END. The result borrows ret_text. */
enum { HTTP1_CHUNK_HEAD = 20 };
struct str http1_chunk_head(size_t bytes, char ret_text[HTTP1_CHUNK_HEAD]);
void http1_write_chunk_head(struct buf *out, size_t bytes);
#define HTTP1_CHUNK_END  STR("\r\n")
#define HTTP1_LAST_CHUNK STR("0\r\n\r\n")
/* The last chunk with trailers behind it. */
void http1_write_trailers(struct buf *out, const struct headers *trailers);

#endif
