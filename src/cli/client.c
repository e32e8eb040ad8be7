#include "cli/client.h"

#include "base/clock.h"
#include "cli/connect.h"
#include "http/http1.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

enum { REQUEST_MOST = 1 << 20, ANSWER_MOST = 64 << 20, LINE_MOST = 1 << 20, READ = 16 << 10 };

struct talk { /* one request and its answer */
	int fd;
	const struct question *question;
	struct answer *answer;
	struct arena arena;
	struct buf in, line;
	struct http1_scan scan;
	struct request request;
	struct response head;
	struct http1_body body;
	bool has_head, done;
};

void answer_done(struct answer *a)
{
	buf_done(&a->body);
}

static bool went_away(struct err *err)
{
	return err_set(err, ERR_UNREACHABLE,
	        "Everseal went away before it had answered: its log says why.");
}

static bool is_odd(const char *why, struct err *err)
{
	return err_set(err, ERR_PROTOCOL,
	        "What answers on control.sock does not speak as Everseal does: %s", why);
}

static bool send_all(int fd, struct str bytes, struct err *err)
{
	while (bytes.n) {
		const ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return went_away(err);
		bytes = str_from(bytes, (size_t)n);
	}
	return true;
}

static bool send_request(struct talk *t, struct err *err)
{
	const struct str body = t->question->body;
	BUF_AUTO out = BUF_INIT(REQUEST_MOST);
	t->request = (struct request){ .version = HTTP_1_1,
		.method = str_c(t->question->method),
		.authority = STR("localhost"),
		.host = STR("localhost"),
		.path = t->question->path,
		.body = body.n ? BODY_LENGTH : BODY_NONE,
		.length = body.n };
	headers_add(&t->request.headers, &t->arena, STR("accept"), STR("application/json"));
	if (body.n)
		headers_add(&t->request.headers, &t->arena, STR("content-type"),
		        STR("application/json"));
	http1_write_request(&out, &t->request);
	buf_add(&out, body);
	CHECK(buf_ok(&out));
	return send_all(t->fd, buf_str(&out), err);
}

/* Whole lines go to the question's taker, while all is well; the rest is kept. */
static void take_piece(struct talk *t, struct str piece)
{
	struct lines *lines = t->question->lines;
	struct pieces *pieces = t->question->pieces;
	if (pieces && piece.n && t->head.status / 100 == 2) {
		t->done = t->done || !pieces->piece(pieces, piece);
		return;
	}
	if (!lines || t->head.status / 100 != 2) {
		buf_add(&t->answer->body, piece);
		return;
	}
	while (piece.n && !t->done) {
		const size_t end = str_find(piece, '\n');
		buf_add(&t->line, str_head(piece, end));
		if (end == piece.n)
			return;
		if (t->line.n && !lines->line(lines, buf_str(&t->line)))
			t->done = true;
		buf_clear(&t->line);
		piece = str_from(piece, end + 1);
	}
}

static bool read_head(struct talk *t, struct err *err)
{
	struct refusal refusal;
	size_t used;
	while (!t->has_head) {
		switch (http1_read_response(&t->scan, buf_str(&t->in), &t->arena, &t->request,
		        &t->head, &used, &refusal)) {
		case HTTP1_MORE:
			return true;
		case HTTP1_BAD:
			return is_odd(refusal.why, err);
		case HTTP1_DONE:
			break;
		}
		buf_consume(&t->in, used);
		t->scan = (struct http1_scan){ 0 };
		t->has_head = t->head.status >= 200;
	}
	t->answer->status = t->head.status;
	http1_body_init(&t->body, t->head.head_only ? BODY_NONE : t->head.body, t->head.length);
	return true;
}

static bool read_body(struct talk *t, struct err *err)
{
	struct refusal refusal;
	for (;;) {
		struct str piece = STR_NONE;
		size_t used = 0;
		const size_t before = t->in.n;
		const enum http1_result result =
		        http1_body_read(&t->body, buf_str(&t->in), &piece, &used, &refusal);
		if (result == HTTP1_BAD)
			return is_odd(refusal.why, err);
		take_piece(t, piece);
		buf_consume(&t->in, used);
		if (result == HTTP1_DONE)
			t->done = true;
		if (t->done || t->in.n == 0 || (used == 0 && t->in.n == before))
			return t->answer->body.over || t->line.over
			               ? is_odd("too long an answer.", err)
			               : true;
	}
}

static bool take_bytes(struct talk *t, struct err *err)
{
	if (!t->has_head && !read_head(t, err))
		return false;
	return !t->has_head || read_body(t, err);
}

static bool take_end(struct talk *t, struct err *err)
{
	if (!t->has_head || !http1_body_ends_at_close(&t->body))
		return went_away(err);
	t->done = true;
	return true;
}

static bool receive(struct talk *t, struct err *err)
{
	char *room = buf_room(&t->in, READ);
	if (!room)
		return is_odd("too long an answer.", err);
	const ssize_t n = recv(t->fd, room, READ, 0);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN || went_away(err);
	if (n == 0)
		return take_end(t, err);
	buf_grew(&t->in, (size_t)n);
	return take_bytes(t, err);
}

static bool hear_answer(struct talk *t, struct err *err)
{
	struct lines *lines = t->question->lines;
	int64_t heard = clock_system.mono(&clock_system);
	while (!t->done) {
		struct pollfd p = { .fd = t->fd, .events = POLLIN };
		const int ready = poll(&p, 1, CLIENT_TICK);
		const int64_t now = clock_system.mono(&clock_system);
		if (ready > 0) {
			heard = now;
			if (!receive(t, err))
				return false;
		} else if (lines && t->has_head) {
			t->done = !lines->idle(lines);
		} else if (!t->question->pieces && now - heard > CLIENT_PATIENCE) {
			return err_set(err, ERR_TIMEOUT,
			        "Everseal has not answered for %d s: its log says why.",
			        CLIENT_PATIENCE / 1000);
		}
	}
	return true;
}

/* An error is {"code", "message"} with a finished sentence, perhaps a "remedy". */
static bool judge(const struct answer *a, struct err *err)
{
	struct err ignored = ERR_INIT;
	if (a->status / 100 == 2)
		return true;
	JSON_AUTO *json = json_parse(buf_str(&a->body), "The answer", &ignored);
	const struct str message = json_text(json, "message"), remedy = json_text(json, "remedy");
	enum err_code code = ERR_REFUSED;
	if (!err_code_from_name(json_text(json, "code"), &code) || code == ERR_NONE)
		code = ERR_REFUSED;
	if (!message.n)
		return err_set(err, ERR_PROTOCOL, "Everseal answered with status %u and no reason.",
		        a->status);
	return err_set(
	        err, code, "%.*s%s%.*s", STR_ARG(message), remedy.n ? " " : "", STR_ARG(remedy));
}

bool client_ask(
        struct str state, const struct question *q, struct answer *ret_answer, struct err *err)
{
	struct talk t = { .question = q, .answer = ret_answer };
	t.in = BUF(HTTP1_HEAD_MOST + 2 * READ);
	t.line = BUF(LINE_MOST);
	*ret_answer = (struct answer){ .body = BUF_INIT(ANSWER_MOST) };
	t.fd = client_connect(state, err);
	const bool ok = t.fd >= 0 && send_request(&t, err) && hear_answer(&t, err) &&
	                judge(ret_answer, err);
	if (t.fd >= 0)
		close(t.fd);
	buf_done(&t.in);
	buf_done(&t.line);
	arena_done(&t.arena);
	return ok;
}

struct json *client_ask_json(struct str state, const struct question *q, struct err *err)
{
	ANSWER_AUTO answer = { 0 };
	if (!client_ask(state, q, &answer, err))
		return NULL;
	return json_parse(buf_str(&answer.body), "Everseal's answer", err);
}
