#include "server/encode.h"

#include "base/err.h"
#include "http/coding.h"
#include "server/worker.h"

enum {
	SMALL = 512,            /* shorter content is not worth it */
	PIECE_MOST = 256 << 10, /* of what goes into the compressor at once */
	OUT_CEILING = 1 << 20,
};

struct encoding {
	const struct exchange_ops *inner;
	struct gzip *gzip;
	bool streams; /* its pieces may be far apart: each is passed on as it comes */
	ptrdiff_t room;
	const struct headers *trailers;
};

static void pass(struct exchange *ex, struct str piece, enum gzip_want want)
{
	struct encoding *e = ex->encoding;
	BUF_AUTO out = BUF_INIT(OUT_CEILING);
	gzip_add(e->gzip, piece, want, &out);
	CHECK(buf_ok(&out));
	e->room = e->inner->body(ex, buf_str(&out)); /* of nothing, too: there may be room again */
}

static ptrdiff_t body(struct exchange *ex, struct str piece)
{
	struct encoding *e = ex->encoding;
	for (; piece.n; piece = str_from(piece, PIECE_MOST))
		pass(ex, str_head(piece, PIECE_MOST), e->streams ? GZIP_FLUSH : GZIP_GO_ON);
	return e->room;
}

static void want(struct exchange *ex, size_t bytes)
{
	ex->encoding->inner->want(ex, bytes);
}

static void respond(struct exchange *ex, const struct response *head)
{
	ex->encoding->inner->respond(ex, head);
}

/* They come behind all of the content, of which some is held back still. */
static void trailers(struct exchange *ex, const struct headers *fields)
{
	ex->encoding->trailers = fields;
}

static void last(struct exchange *ex)
{
	ex->encoding->inner->last(ex);
}

static void end(struct exchange *ex)
{
	struct encoding *e = ex->encoding;
	pass(ex, STR_NONE, GZIP_END);
	if (e->trailers)
		e->inner->trailers(ex, e->trailers);
	e->inner->end(ex);
}

static void abort_answer(struct exchange *ex, const char *why)
{
	ex->encoding->inner->abort(ex, why);
}

static const struct exchange_ops encoding_ops = {
	.want = want,
	.respond = respond,
	.body = body,
	.trailers = trailers,
	.last = last,
	.end = end,
	.abort = abort_answer,
};

/* --- which answers */

static bool has(const struct headers *h, struct str name)
{
	return headers_find(h, name).p != NULL;
}

/* A cookie beside what strangers can make a page repeat would be guessed from its length (BREACH),
 * so pages that set one stay as they are. Digests are of the bytes as they were. */
static bool may_change(const struct exchange *ex, const struct response *r)
{
	static const struct str in_the_way[] = { STR_INIT("set-cookie"),
		STR_INIT("content-encoding"), STR_INIT("content-range"), STR_INIT("content-md5"),
		STR_INIT("digest"), STR_INIT("content-digest"), STR_INIT("repr-digest") };
	for (size_t i = 0; i < sizeof in_the_way / sizeof *in_the_way; i++)
		if (has(&r->headers, in_the_way[i]))
			return false;
	return !headers_list_has(&r->headers, STR("cache-control"), STR("no-transform")) &&
	       !headers_list_has(&ex->request.headers, STR("cache-control"), STR("no-transform"));
}

static bool is_fit(const struct exchange *ex, const struct response *r)
{
	bool content = r->status >= 200 && r->status != 204 && r->status != 205 &&
	               r->status != 206 && r->status != 304;
	bool long_enough = r->body == BODY_STREAM || r->body == BODY_CLOSE ||
	                   (r->body == BODY_LENGTH && r->length >= SMALL);
	return content && long_enough &&
	       http_type_compresses(headers_find(&r->headers, STR("content-type"))) &&
	       may_change(ex, r);
}

/* RFC 9110 8.8.1: the same for who reads it, not byte for byte. */
static void weaken_etag(struct exchange *ex, struct headers *h)
{
	for (size_t i = 0; i < h->count; i++)
		if (str_eq(h->at[i].name, STR("etag")) && str_starts(h->at[i].value, STR("\"")))
			h->at[i].value = arena_printf(ex->arena, "W/%.*s", STR_ARG(h->at[i].value));
}

void encode_begin(struct exchange *ex, struct response *r)
{
	static const struct str name = STR_INIT("accept-encoding");
	if (!is_fit(ex, r))
		return;
	if (!headers_list_has(&r->headers, STR("vary"), name) &&
	        !headers_list_has(&r->headers, STR("vary"), STR("*")))
		headers_add(&r->headers, ex->arena, STR("vary"), name);
	if (!http_accepts(&ex->request.headers, STR("gzip")) ||
	        ex->worker->encodings >= ENCODINGS_MOST)
		return;
	headers_add(&r->headers, ex->arena, STR("content-encoding"), STR("gzip"));
	(void)headers_remove(&r->headers, STR("accept-ranges"));
	weaken_etag(ex, &r->headers);
	bool streams = r->body != BODY_LENGTH;
	r->body = BODY_STREAM;
	r->length = 0;
	if (r->head_only || str_eq(ex->request.method, STR("HEAD")))
		return;
	struct encoding *e = arena_new(ex->arena, struct encoding);
	*e = (struct encoding){
		.inner = ex->ops, .gzip = gzip_new(ex->arena), .streams = streams, .room = 1
	};
	ex->encoding = e;
	ex->ops = &encoding_ops;
	ex->worker->encodings++;
}

void encode_end(struct exchange *ex)
{
	if (ex->encoding)
		ex->worker->encodings--;
	ex->encoding = NULL;
}
