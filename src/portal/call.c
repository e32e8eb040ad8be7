#include "portal/call.h"
#include "portal/assets.h"
#include "server/site.h"

enum {
	ROOM_ASSUMED = 16 << 10,     /* what an exchange always takes once it has told of room */
	BACKLOG_SENT_MOST = 1 << 20, /* what has been sent is then let go of */
};

static const char *const scope_names[] = {
#define X(name, text) text,
	SCOPES(X)
#undef X
};

const char *scope_name(enum scope s)
{
	return scope_names[s];
}

bool scope_from_name(struct str name, enum scope *ret_scope)
{
	for (enum scope s = SCOPE_READ; s <= SCOPE_ADMINISTER; s++) {
		if (!str_eq_c(name, scope_names[s]))
			continue;
		*ret_scope = s;
		return true;
	}
	return false;
}

void call_keep(struct call *c, struct call_part *part, void (*let_go)(struct call_part *p))
{
	part->let_go = let_go;
	part->next = c->parts;
	c->parts = part;
}

static void call_free(struct call *c)
{
	renew_request_abort(&c->request);
	task_read_stop(&c->reader);
	portal_host->ops->reload_abort(portal_host, &c->reload);
	for (struct call_part *p = c->parts, *next; p; p = next) {
		next = p->next; /* whoever lets go may end */
		p->let_go(p);
	}
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

void call_header(struct call *c, struct str name, struct str value)
{
	headers_add(&c->headers, &c->arena, name, value);
}

/* A copy of what was set here: the exchange's memory outlives the call. */
static void add_header(struct call *c, struct response *head, struct str name, struct str value)
{
	struct arena *a = c->ex->arena;
	headers_add(&head->headers, a, arena_str(a, name), arena_str(a, value));
}

static void respond(struct call *c, unsigned status, const char *type, enum body_kind kind)
{
	struct response head = { .version = HTTP_1_1,
		.status = status,
		.body = kind,
		.length = kind == BODY_LENGTH ? c->answer.n : 0,
		.head_only = head_only(c) };
	add_header(c, &head, STR("content-type"), str_c(type));
	add_header(c, &head, STR("cache-control"), STR("no-store"));
	assets_guard(&head, c->ex->arena);
	for (size_t i = 0; i < c->headers.count; i++)
		add_header(c, &head, c->headers.at[i].name, c->headers.at[i].value);
	exchange_respond(c->ex, &head);
}

static void finish(struct call *c)
{
	exchange_end(c->ex);
	call_free(c);
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
	if (c->sent < c->backlog.n) {
		if (c->sent > BACKLOG_SENT_MOST) {
			buf_consume(&c->backlog, c->sent);
			c->sent = 0;
		}
		return;
	}
	buf_clear(&c->backlog);
	c->sent = 0;
	if (!c->ending && c->drained)
		c->drained(c);
	else if (c->ending)
		finish(c);
}

static void answer(struct call *c, unsigned status, const char *type)
{
	respond(c, status, type, BODY_LENGTH);
	buf_clear(&c->backlog);
	if (!head_only(c))
		buf_add_buf(&c->backlog, &c->answer);
	c->ending = true;
	c->streaming = true;
	pump(c);
}

void call_answer(struct call *c, unsigned status)
{
	CHECK(buf_ok(&c->answer));
	buf_add_char(&c->answer, '\n');
	answer(c, status, "application/json");
}

void call_ok(struct call *c)
{
	call_answer(c, 200);
}

void call_done(struct call *c)
{
	buf_clear(&c->answer);
	buf_add_c(&c->answer, "{}");
	call_answer(c, 200);
}

void call_answer_file(struct call *c, const char *type, const char *file_name)
{
	if (file_name)
		call_header(c, STR("content-disposition"),
		        arena_printf(&c->arena, "attachment; filename=\"%s\"", file_name));
	answer(c, 200, type);
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

void call_fail_with(struct call *c, const struct err *err, const struct call_failure *f)
{
	struct json_writer w;
	buf_clear(&c->answer);
	json_write_init(&w, &c->answer);
	json_write_object(&w, NULL);
	json_write_c(&w, "code", f->code ? f->code : err_code_name(err->code));
	json_write_text(&w, "message", err_message(err));
	struct str remedy = f->remedy ? str_c(f->remedy) : err_remedy(err);
	if (remedy.n)
		json_write_text(&w, "remedy", remedy);
	else
		json_write_null(&w, "remedy");
	json_write_raw(&w, "details", f->details.n ? f->details : STR("{}"));
	json_write_end(&w);
	call_answer(c, f->status ? f->status : status_of(err->code));
}

void call_fail(struct call *c, const struct err *err)
{
	call_fail_with(c, err, &(struct call_failure){ 0 });
}

void call_fail_field(struct call *c, const struct err *err, const char *field, struct str offered)
{
	BUF_AUTO details = BUF(CALL_BODY_MOST);
	struct json_writer w;
	json_write_init(&w, &details);
	json_write_object(&w, NULL);
	json_write_c(&w, "field", field);
	if (offered.n)
		json_write_text(&w, "offered", offered);
	json_write_end(&w);
	call_fail_with(c, err, &(struct call_failure){ .details = buf_str(&details) });
}

bool call_locked(struct call *c, const struct config_at *at, const char *what_to_do)
{
	struct err err = ERR_INIT;
	struct str file = portal_host->ops->config(portal_host)->file;
	for (size_t slash; (slash = str_find(file, '/')) < file.n;)
		file = str_from(file, slash + 1);
	err_set(&err, ERR_PERMISSION, "Set in %.*s, line %u; %s, then `everseal reload`.",
	        STR_ARG(file), at->line, what_to_do);
	call_fail_with(c, &err, &(struct call_failure){ .status = 403, .code = "locked" });
	return false;
}

void call_fail_wait(struct call *c, const struct err *err, int64_t seconds)
{
	struct str details = arena_printf(&c->arena, "{\"retry_after\":%lld}", (long long)seconds);
	call_header(c, STR("retry-after"), arena_printf(&c->arena, "%lld", (long long)seconds));
	call_fail_with(c, err, &(struct call_failure){ .status = 429, .details = details });
}

struct json_writer *call_object(struct call *c, struct json_writer *w)
{
	json_write_init(w, &c->answer);
	json_write_object(w, NULL);
	return w;
}

void call_stream_as(struct call *c, const char *type)
{
	c->streaming = true;
	respond(c, 200, type, BODY_STREAM);
	if (head_only(c))
		call_stream_end(c);
}

void call_stream(struct call *c)
{
	call_stream_as(c, "application/x-ndjson");
}

void call_stream_text(struct call *c, struct str text)
{
	buf_add(&c->backlog, text);
	pump(c);
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

void call_stream_cut(struct call *c, const char *why)
{
	exchange_abort(c->ex, why);
	call_free(c);
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

static bool is_utf8(struct str text)
{
	size_t n;
	while (text.n && (n = str_utf8(text)))
		text = str_from(text, n);
	return !text.n;
}

/* UTF-8 without its percent-encoding (RFC 3986 2.1); no NUL. */
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
	return buf_ok(&out) && is_utf8(*ret_text);
}

/* As forms and URLSearchParams write it (URL standard, application/x-www-form-urlencoded). */
static bool decode_value(struct arena *a, struct str value, struct str *ret_text)
{
	struct str copy = arena_str(a, value);
	for (size_t i = 0; i < copy.n; i++)
		if (copy.p[i] == '+')
			((char *)copy.p)[i] = ' ';
	return decode(a, copy, ret_text);
}

static bool check_query(struct call *c, struct call_failure *f, struct err *err)
{
	struct str rest = c->query, part, text;
	while (str_split(&rest, '&', &part)) {
		struct str name = str_head(part, str_find(part, '='));
		if (decode_value(&c->arena, str_from(part, name.n + 1), &text))
			continue;
		f->status = 422;
		return err_set(err, ERR_INPUT,
		        "What follows \"%.*s=\" in the address cannot be decoded." ERR_REMEDY
		        "Write each byte that is not plain as %% and two digits, in UTF-8.",
		        STR_ARG(str_head(name, 40)));
	}
	return true;
}

struct str call_query(struct call *c, const char *name)
{
	struct str rest = c->query, part, text;
	while (str_split(&rest, '&', &part)) {
		size_t equals = str_find(part, '=');
		if (str_eq_c(str_head(part, equals), name) &&
		        decode_value(&c->arena, str_from(part, equals + 1), &text))
			return text;
	}
	return STR_NONE;
}

static bool find_route(struct call *c, struct call_failure *f, struct err *err)
{
	const struct request *r = &c->ex->request;
	struct str path = str_head(r->path, str_find(r->path, '?'));
	bool other = false;
	c->query = str_from(r->path, path.n + 1);
	c->route = route_find(r->method, path, &c->item, &other);
	if (c->route && decode(&c->arena, c->item, &c->item))
		return true;
	f->status = other ? 405 : 404;
	if (other)
		return err_set(err, ERR_INPUT, "%.*s does not take %.*s.", STR_ARG(path),
		        STR_ARG(r->method));
	return err_set(err, ERR_NOT_FOUND, "The API has no %.*s.", STR_ARG(path));
}

static bool read_body(struct call *c, struct call_failure *f, struct err *err)
{
	f->status = 413;
	if (!buf_ok(&c->body))
		return err_set(err, ERR_INPUT, "The request's body is larger than %zu bytes.",
		        c->body.ceiling);
	f->status = 400;
	if (c->body.n && !(c->json = json_parse(buf_str(&c->body), "The request's body", err)))
		return false;
	f->status = 422;
	if (c->json && !json_is_object(c->json))
		return err_set(err, ERR_INPUT,
		        "The request's body has to be a JSON object: write its members in braces.");
	return true;
}

static void dispatch(struct call *c)
{
	struct err err = ERR_INIT;
	struct call_failure f = { 0 };
	if (find_route(c, &f, &err) && call_identify(c, &f, &err) && check_query(c, &f, &err) &&
	        read_body(c, &f, &err))
		c->route->run(c);
	else
		call_fail_with(c, &err, &f);
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

static bool is_api(struct str path)
{
	return str_eq(path, STR("/metrics")) ||
	       (str_starts(path, STR("/api")) && (path.n == 4 || strchr("/?", path.p[4])));
}

/* Many certificates come at once, from the machine's owner alone. */
static size_t body_most(const struct exchange *ex)
{
	bool import = str_eq(ex->request.path, STR("/api/certificates/import"));
	return import && ex->site->kind == SITE_API ? CALL_BODY_OWNER : CALL_BODY_MOST;
}

static void start(struct exchange *ex)
{
	if (!is_api(ex->request.path)) {
		assets_start(ex);
		return;
	}
	struct call *c = mem_new(struct call);
	c->handling.ops = &call_ops;
	c->ex = ex;
	c->body = BUF(body_most(ex));
	c->answer = c->backlog = BUF(CALL_ANSWER_MOST);
	c->room = ROOM_ASSUMED;
	ex->handling = &c->handling;
	if (ex->request.body == BODY_NONE)
		dispatch(c);
	else
		exchange_want(ex, ROOM_ASSUMED);
}

const struct handler portal_handler = { .start = start };
