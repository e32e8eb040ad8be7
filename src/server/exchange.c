#include "server/exchange.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/ip.h"
#include "server/encode.h"
#include "server/rules.h"
#include "server/told.h"
#include "server/worker.h"

#define HSTS STR("strict-transport-security")

/* A copy that can be changed: the caller's head is const, and its array may be shared. */
static struct headers copy_headers(const struct headers *from, struct arena *a)
{
	struct headers copy = { .count = from->count, .cap = from->count + 4 };
	copy.at = arena_array(a, struct header, copy.cap);
	if (from->count > 0)
		memcpy(copy.at, from->at, from->count * sizeof *from->at);
	return copy;
}

/* RFC 6797 7.2: over secure transport only; 8.1.1: no browser takes it for an address. A temporary
 * certificate would lock visitors out. */
static bool sends_hsts(const struct exchange *ex)
{
	struct cert_record r;
	if (!ex->tls || ex->temporary || !ex->site || ex->site->hsts_age < 0 ||
	        ip_is(ex->request.host))
		return false;
	return ex->worker->certs && cert_table_find(ex->worker->certs, ex->request.host, &r) &&
	       (r.flags & CERT_TEMPORARY) == 0;
}

static struct str hsts_value(const struct exchange *ex)
{
	const struct site *site = ex->site;
	return arena_printf(ex->arena, "max-age=%lld%s%s", (long long)site->hsts_age,
	        site->hsts_subdomains ? "; includeSubDomains" : "",
	        site->hsts_preload ? "; preload" : "");
}

static void add_hsts(struct exchange *ex, struct headers *headers)
{
	(void)headers_remove(headers, HSTS);
	headers_add(headers, ex->arena, HSTS, hsts_value(ex));
	told_hsts(ex, ex->site->hsts_age);
}

static bool is_final(const struct exchange *ex, const struct response *head)
{
	return head->status >= 200 || (head->status == 101 && ex->request.websocket);
}

/* RFC 8441 5: over HTTP/2 any 2xx says that there is a WebSocket. What is none must not say so. */
static unsigned status_of(const struct exchange *ex, const struct response *head)
{
	bool asked = ex->request.websocket && ex->request.version == HTTP_2;
	return asked && head->status / 100 == 2 ? 501 : head->status;
}

void exchange_respond(struct exchange *ex, const struct response *head)
{
	if (!is_final(ex, head)) {
		ex->ops->respond(ex, head);
		return;
	}
	CHECK(!ex->response_started);
	ex->response_started = true;
	struct response final = *head;
	final.status = ex->status = status_of(ex, head);
	final.headers = copy_headers(&head->headers, ex->arena);
	/* RFC 9110 6.6.1: whoever passes on an answer without a date may add one. */
	if (!headers_find(&final.headers, STR("date")).p)
		headers_add(&final.headers, ex->arena, STR("date"), worker_date(ex->worker));
	for (size_t i = 0; i < ex->also.count; i++)
		headers_add(&final.headers, ex->arena, ex->also.at[i].name, ex->also.at[i].value);
	if (ex->route)
		rules_change(&ex->route->answer, ex->arena, &final.headers);
	if (sends_hsts(ex))
		add_hsts(ex, &final.headers);
	told_seen(ex);
	const struct exchange_ops *codec = ex->ops;
	if (ex->route && ex->route->gzip)
		encode_begin(ex, &final);
	codec->respond(ex, &final);
}

void exchange_done(struct exchange *ex)
{
	encode_end(ex);
	access_log_note(ex);
	counters_end(ex);
}

static bool is_head(const struct exchange *ex)
{
	return str_eq(ex->request.method, STR("HEAD"));
}

/* Ends the exchange. */
static void answer(struct exchange *ex, struct response *head, struct str text)
{
	head->body = BODY_LENGTH;
	head->length = text.n;
	head->head_only = is_head(ex);
	headers_add(&head->headers, ex->arena, STR("cache-control"), STR("no-store"));
	exchange_respond(ex, head);
	if (!head->head_only)
		(void)exchange_body(ex, text);
	exchange_end(ex);
}

void exchange_answer_text(struct exchange *ex, unsigned status, struct str type, struct str text)
{
	struct response head = { .version = HTTP_1_1, .status = status };
	headers_add(&head.headers, ex->arena, STR("content-type"), type);
	answer(ex, &head, text);
}

static struct str escaped(struct arena *a, const char *text)
{
	BUF_AUTO out = BUF_INIT(64 << 10);
	for (; *text; text++) {
		if (*text == '<')
			buf_add_c(&out, "&lt;");
		else if (*text == '&')
			buf_add_c(&out, "&amp;");
		else
			buf_add_char(&out, *text);
	}
	return arena_str(a, buf_str(&out));
}

static struct str page(struct arena *a, unsigned status, const char *sentence)
{
	struct str text = escaped(a, sentence);
	return arena_printf(a,
	        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
	        "<title>%u %s</title>\n<h1>%u %s</h1>\n<p>%.*s</p>\n</html>\n",
	        status, http_reason(status), status, http_reason(status), STR_ARG(text));
}

void exchange_answer(struct exchange *ex, unsigned status, const char *sentence)
{
	exchange_answer_text(
	        ex, status, STR("text/html; charset=utf-8"), page(ex->arena, status, sentence));
}

void exchange_answer_later(
        struct exchange *ex, unsigned status, const char *sentence, int64_t seconds)
{
	struct response head = { .version = HTTP_1_1, .status = status };
	headers_add(&head.headers, ex->arena, STR("content-type"), STR("text/html; charset=utf-8"));
	headers_add(&head.headers, ex->arena, STR("retry-after"),
	        arena_printf(ex->arena, "%lld", (long long)seconds));
	answer(ex, &head, page(ex->arena, status, sentence));
}

void exchange_abort(struct exchange *ex, const char *why)
{
	if (ex->response_started)
		ex->ops->abort(ex, why);
	else
		exchange_answer(ex, 502, why);
}

void exchange_redirect(struct exchange *ex, struct str location)
{
	bool reads = str_eq(ex->request.method, STR("GET")) || is_head(ex);
	struct response head = { .version = HTTP_1_1, .status = reads ? 301 : 308 };
	headers_add(&head.headers, ex->arena, STR("location"), location);
	answer(ex, &head, STR_NONE);
}
