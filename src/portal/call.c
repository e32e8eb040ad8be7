#include "portal/call.h"

enum { ROOM_ASSUMED = 16 << 10 }; /* what an exchange always takes once it has told of room */

struct portal_host *portal_host;
struct renewals *portal_renewals;

void portal_init(struct portal_host *host, struct renewals *renewals)
{
	portal_host = host;
	portal_renewals = renewals;
}

static void call_free(struct call *c)
{
	renew_request_abort(&c->request);
	task_read_stop(&c->reader);
	portal_host->ops->reload_abort(portal_host, &c->reload);
	json_free(&c->json);
	buf_done(&c->body);
	buf_done(&c->answer);
	buf_done(&c->backlog);
	arena_done(&c->arena);
	free(c);
}

static bool head_only(const struct call *c)
{
	return str_eq_c(c->ex->request.method, "HEAD");
}

static void respond(struct call *c, unsigned status, enum body_kind kind, size_t length)
{
	struct response head = { .version = HTTP_1_1,
		.status = status,
		.body = kind,
		.length = length,
		.head_only = head_only(c) };
	headers_add(&head.headers, c->ex->arena, STR("content-type"), STR("application/json"));
	headers_add(&head.headers, c->ex->arena, STR("cache-control"), STR("no-store"));
	exchange_respond(c->ex, &head);
}

/* Sends of the backlog what the client has room for; ends the exchange once all is out. */
static void pump(struct call *c)
{
	while (c->sent < c->backlog.n && c->room) {
		struct str piece = str_head(str_from(buf_str(&c->backlog), c->sent), c->room);
		ptrdiff_t left = exchange_body(c->ex, piece);
		c->sent += piece.n;
		c->room = left > 0 ? (size_t)left : 0;
	}
	if (c->sent < c->backlog.n)
		return;
	buf_clear(&c->backlog);
	c->sent = 0;
	if (!c->ending)
		return;
	exchange_end(c->ex);
	call_free(c);
}

void call_answer(struct call *c, unsigned status)
{
	buf_add_char(&c->answer, '\n');
	respond(c, status, BODY_LENGTH, c->answer.n);
	c->backlog = c->answer;
	c->answer = BUF(CALL_ANSWER_MOST);
	c->ending = true;
	c->streaming = true;
	if (head_only(c))
		buf_clear(&c->backlog);
	pump(c);
}

static unsigned status_of(enum err_code code)
{
	switch (code) {
	case ERR_INPUT:
		return 422;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_PERMISSION:
	case ERR_REFUSED:
		return 403;
	case ERR_LIMIT:
		return 429;
	case ERR_BUSY:
	case ERR_IO:
		return 503;
	default:
		return 500;
	}
}

static void refuse(struct call *c, unsigned status, const struct err *err)
{
	struct json_writer w;
	buf_clear(&c->answer);
	json_write_init(&w, &c->answer);
	json_write_object(&w, NULL);
	json_write_c(&w, "code", err_code_name(err->code));
	json_write_c(&w, "message", err->text);
	json_write_end(&w);
	call_answer(c, status);
}

void call_fail(struct call *c, const struct err *err)
{
	refuse(c, status_of(err->code), err);
}

void call_stream(struct call *c)
{
	c->streaming = true;
	respond(c, 200, BODY_STREAM, 0);
	if (head_only(c))
		call_stream_end(c);
}

void call_stream_line(struct call *c, struct str json)
{
	buf_add(&c->backlog, json);
	buf_add_char(&c->backlog, '\n');
	pump(c);
}

void call_stream_end(struct call *c)
{
	c->ending = true;
	pump(c);
}

static struct call *call_of(struct handling *h)
{
	return OWNER(h, struct call, handling);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A segment of a path without its percent-encoding (RFC 3986 2.1); no NUL. */
static bool decode(struct arena *a, struct str segment, struct str *ret_text)
{
	BUF_AUTO out = BUF_INIT(4096);
	for (size_t i = 0; i < segment.n; i++) {
		int high, low;
		if (segment.p[i] != '%') {
			buf_add_char(&out, segment.p[i]);
			continue;
		}
		if (segment.n - i < 3 || (high = hex_digit(segment.p[i + 1])) < 0 ||
		        (low = hex_digit(segment.p[i + 2])) < 0 || !(high | low))
			return false;
		buf_add_char(&out, (char)(high << 4 | low));
		i += 2;
	}
	*ret_text = arena_str(a, buf_str(&out));
	return buf_ok(&out);
}

/* The status with which the request is refused; 0: *ret_route answers it. */
static unsigned check(struct call *c, const struct route **ret_route, struct err *err)
{
	const struct request *r = &c->ex->request;
	struct str path = str_head(r->path, str_find(r->path, '?'));
	bool other = false;
	*ret_route = route_find(r->method, path, &c->item, &other);
	if (!*ret_route && other) {
		err_set(err, ERR_INPUT, "%.*s does not take %.*s.", STR_ARG(path),
		        STR_ARG(r->method));
		return 405;
	}
	if (!*ret_route || !decode(&c->arena, c->item, &c->item)) {
		err_set(err, ERR_NOT_FOUND, "The API has no %.*s.", STR_ARG(path));
		return 404;
	}
	if (!buf_ok(&c->body)) {
		err_set(err, ERR_INPUT, "The request's body is larger than %d bytes.",
		        CALL_BODY_MOST);
		return 413;
	}
	if (c->body.n && !(c->json = json_parse(buf_str(&c->body), "The request's body", err)))
		return 400;
	return 0;
}

static void dispatch(struct call *c)
{
	struct err err = ERR_INIT;
	const struct route *route;
	unsigned refused = check(c, &route, &err);
	if (refused)
		refuse(c, refused, &err);
	else
		route->run(c);
}

static void on_body(struct handling *h, struct str piece)
{
	struct call *c = call_of(h);
	buf_add(&c->body, piece);
	exchange_want(c->ex, ROOM_ASSUMED);
}

static void on_body_end(struct handling *h)
{
	dispatch(call_of(h));
}

static void on_room(struct handling *h)
{
	struct call *c = call_of(h);
	c->room = ROOM_ASSUMED;
	if (c->streaming)
		pump(c);
}

static void on_gone(struct handling *h)
{
	call_free(call_of(h));
}

static const struct handling_ops call_ops = {
	.body = on_body,
	.body_end = on_body_end,
	.room = on_room,
	.gone = on_gone,
};

static void start(struct exchange *ex)
{
	struct call *c = mem_new(struct call);
	c->handling.ops = &call_ops;
	c->ex = ex;
	c->body = BUF(CALL_BODY_MOST);
	c->answer = c->backlog = BUF(CALL_ANSWER_MOST);
	c->room = ROOM_ASSUMED;
	ex->handling = &c->handling;
	if (ex->request.body == BODY_NONE)
		dispatch(c);
	else
		exchange_want(ex, ROOM_ASSUMED);
}

const struct handler portal_handler = { .start = start };
