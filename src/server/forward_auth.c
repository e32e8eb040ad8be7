#include "server/forward_auth.h"

#include "server/counters.h"
#include "server/rules.h"
#include "server/worker.h"

enum { ROOM = 64 << 10 };

/* Two exchanges: the client's, for which we are the handler, and one with the application that is
 * asked, for which we are the codec. */
struct asking {
	struct handling handling; /* of outer */
	struct exchange *outer;
	struct exchange inner;
	struct keepsake *kept;
	void (*go_on)(struct exchange *ex);
	bool lets_in;
	struct headers copied;
};

static struct asking *asking_of(struct exchange *inner)
{
	return OWNER(inner, struct asking, inner);
}

/* --- the application's answer */

static void want(struct exchange *inner, size_t bytes)
{
	(void)inner;
	(void)bytes;
}

static void copy_headers(struct asking *a, const struct headers *from)
{
	const struct route *r = a->outer->route;
	for (size_t i = 0; i < r->copy_count; i++)
		for (size_t k = 0; k < from->count; k++)
			if (str_eq(from->at[k].name, r->copies[i]))
				headers_add(&a->copied, a->outer->arena, r->copies[i],
				        from->at[k].value);
}

static void respond(struct exchange *inner, const struct response *head)
{
	struct asking *a = asking_of(inner);
	if (head->status < 200)
		return;
	a->lets_in = head->status < 300;
	if (a->lets_in) {
		copy_headers(a, &head->headers);
		return;
	}
	struct response passed = *head;
	passed.head_only = head->head_only || str_eq(a->outer->request.method, STR("HEAD"));
	exchange_respond(a->outer, &passed);
}

static ptrdiff_t body(struct exchange *inner, struct str piece)
{
	struct asking *a = asking_of(inner);
	bool dropped = a->lets_in || str_eq(a->outer->request.method, STR("HEAD"));
	return dropped ? ROOM : exchange_body(a->outer, piece);
}

static void trailers(struct exchange *inner, const struct headers *fields)
{
	(void)inner;
	(void)fields;
}

static void last(struct exchange *inner)
{
	(void)inner;
}

static void end(struct exchange *inner)
{
	struct asking *a = asking_of(inner);
	struct exchange *ex = a->outer;
	inner->handling = NULL;
	counters_end(inner);
	if (!a->lets_in) {
		exchange_end(ex);
		return;
	}
	ex->handling = NULL;
	for (size_t i = 0; i < a->copied.count; i++)
		headers_add(&ex->request.headers, ex->arena, a->copied.at[i].name,
		        a->copied.at[i].value);
	a->go_on(ex);
}

/* Its head was there, but not all of it: that lets nobody in. */
static void abort_answer(struct exchange *inner, const char *why)
{
	struct asking *a = asking_of(inner);
	inner->handling = NULL;
	counters_end(inner);
	exchange_abort(a->outer, why);
}

static const struct exchange_ops inner_ops = {
	.want = want,
	.respond = respond,
	.body = body,
	.trailers = trailers,
	.last = last,
	.end = end,
	.abort = abort_answer,
};

/* --- the client's side */

static void client_body(struct handling *h, struct str piece)
{
	(void)h;
	(void)piece;
}

static void client_body_end(struct handling *h)
{
	(void)h;
}

static void room(struct handling *h)
{
	struct handling *inner = OWNER(h, struct asking, handling)->inner.handling;
	if (inner)
		inner->ops->room(inner);
}

static void gone(struct handling *h)
{
	struct asking *a = OWNER(h, struct asking, handling);
	struct handling *inner = a->inner.handling;
	a->inner.handling = NULL;
	if (inner)
		inner->ops->gone(inner);
	counters_end(&a->inner);
}

static const struct handling_ops outer_ops = {
	.body = client_body, .body_end = client_body_end, .room = room, .gone = gone
};

/* --- the question */

/* What is about a stored answer or its parts would be answered with neither yes nor no. */
static void drop_conditions(struct headers *h)
{
	static const struct str names[] = { STR_INIT("if-match"), STR_INIT("if-none-match"),
		STR_INIT("if-modified-since"), STR_INIT("if-unmodified-since"),
		STR_INIT("if-range"), STR_INIT("range"), STR_INIT("content-type"),
		STR_INIT("content-encoding") };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)headers_remove(h, names[i]);
}

static struct headers copied(const struct headers *from, struct arena *a)
{
	struct headers copy = { .count = from->count, .cap = from->count + 8 };
	copy.at = arena_array(a, struct header, copy.cap);
	if (from->count)
		memcpy(copy.at, from->at, from->count * sizeof *from->at);
	return copy;
}

/* The client may not say what only the answer, or we, can. */
static void drop_pretences(struct exchange *ex)
{
	const struct route *r = ex->route;
	for (size_t i = 0; i < r->copy_count; i++)
		headers_remove_folded(&ex->request.headers, r->copies[i]);
	headers_remove_folded(&ex->request.headers, STR("x-forwarded-method"));
	headers_remove_folded(&ex->request.headers, STR("x-forwarded-uri"));
}

static struct request question(struct exchange *ex)
{
	struct request q = ex->request;
	q.method = STR("GET");
	q.path = ex->route->forward_path;
	q.body = BODY_NONE;
	q.length = 0;
	q.websocket = q.expect_continue = false;
	q.headers = copied(&ex->request.headers, ex->arena);
	drop_conditions(&q.headers);
	headers_add(&q.headers, ex->arena, STR("x-forwarded-method"), ex->request.method);
	headers_add(&q.headers, ex->arena, STR("x-forwarded-uri"), ex->request.path);
	return q;
}

void forward_auth_start(struct exchange *ex, void (*go_on)(struct exchange *ex))
{
	struct asking *a = arena_new(ex->arena, struct asking);
	drop_pretences(ex);
	a->handling.ops = &outer_ops;
	a->outer = ex;
	a->go_on = go_on;
	a->inner = (struct exchange){
		.ops = &inner_ops,
		.arena = ex->arena,
		.request = question(ex),
		.worker = ex->worker,
		.generation = ex->generation,
		.site = ex->route->forward,
		.kept = &a->kept,
		.connection = ex->connection,
		.client = ex->client,
		.peer = ex->peer,
		.proto = ex->proto,
		.tls = ex->tls,
		.secured = ex->secured,
		.temporary = ex->temporary,
		.started = loop_mono(ex->worker->loop),
	};
	ex->handling = &a->handling;
	ex->worker->handlers[SITE_PROXY]->start(&a->inner);
}
