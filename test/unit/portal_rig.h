/* The portal with a store and a clock that the suite turns, and the client's side of its requests:
 * for the suites of this module. */
#ifndef UNIT_PORTAL_RIG_H
#define UNIT_PORTAL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "portal/assets.h"
#include "portal/events.h"
#include "portal/hashing.h"
#include "portal/throttle.h"
#include "server/worker.h"
#include "store_place.h"
#include <sys/stat.h>

/* ---- the server's side ---- */

static struct clock_fake fake;
static struct place place;
static struct worker worker;
static struct master *master;
static struct config config = { .page_listen = { .host = STR_INIT("127.0.0.1"), .port = 8007 } };
static const struct site socket_site = { .kind = SITE_API }, page_site = { .kind = SITE_PAGE };
static struct buf logged;

static inline void host_status(struct portal_host *h, struct json_writer *w)
{
	(void)h, (void)w;
}

static inline void host_reload_abort(struct portal_host *h, struct portal_reload *r)
{
	(void)h, (void)r;
}

static inline const struct config *host_config(struct portal_host *h)
{
	(void)h;
	return &config;
}

static const struct portal_host_ops host_ops = {
	.status = host_status,
	.reload_abort = host_reload_abort,
	.config = host_config,
};
static struct portal_host host = { .ops = &host_ops };

static inline void log_kept(enum log_level level, struct str fields, struct str text)
{
	(void)level, (void)fields;
	buf_add(&logged, text);
	buf_add_char(&logged, '\n');
}

static inline void open_portal(void)
{
	master = master_load(place.dir, /* may_create= */ true, &place.err);
	struct portal_needs needs = {
		.loop = place.loop, .store = place.store, .master = master, .host = &host
	};
	if (!master || !portal_open(&needs, &place.err))
		fail_msg("%s", place.err.text);
}

static inline int setup(void **state)
{
	(void)state;
	clock_fake_init(&fake, INT64_C(1795000000000));
	place_init(&place);
	loop_free(&place.loop);
	place.loop = loop_new(&fake.clock);
	open_store(&place);
	worker_init(&worker, place.loop);
	logged = BUF(1 << 20);
	log_to(log_kept);
	open_portal();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	portal_close();
	worker_done(&worker);
	master_free(&master);
	log_to(log_to_stderr);
	buf_done(&logged);
	place_done(&place);
	return 0;
}

/* The same state, by a server that was started anew. */
static inline void restart(void)
{
	portal_close();
	store_close(&place.store);
	master_free(&master);
	open_store(&place);
	open_portal();
}

static inline void turns(int n)
{
	while (n--)
		loop_turn(place.loop, 1);
}

/* All that was to be stored is, and whoever waited for it was told. */
static inline void settle(void)
{
	static int count;
	char id[32];
	struct writing w = { 0 };
	turns(3); /* what begins at the end of a turn has begun */
	snprintf(id, sizeof id, "settled %d", ++count);
	store_tx_init(&w.tx);
	store_tx_put(&w.tx, STR("settled"), str_c(id), 0, STR("{}"), STR_NONE);
	start(&place, &w);
	writing_wait(&place, &w);
	turns(3);
}

/* ---- the client's side ---- */

struct client {
	struct exchange ex;
	struct arena arena;
	struct buf body;
	struct headers headers;
	unsigned status;
	bool ended, stuck;
};

static inline void want(struct exchange *ex, size_t bytes)
{
	(void)ex, (void)bytes;
}

static inline void respond(struct exchange *ex, const struct response *head)
{
	struct client *s = OWNER(ex, struct client, ex);
	s->status = head->status;
	s->headers = head->headers;
}

static inline ptrdiff_t take(struct exchange *ex, struct str piece)
{
	struct client *s = OWNER(ex, struct client, ex);
	buf_add(&s->body, piece);
	return s->stuck ? 0 : 64 << 10;
}

static inline void end(struct exchange *ex)
{
	OWNER(ex, struct client, ex)->ended = true;
}

static inline void cut(struct exchange *ex, const char *why)
{
	(void)why;
	OWNER(ex, struct client, ex)->ended = true;
}

static const struct exchange_ops ops = {
	.want = want, .respond = respond, .body = take, .end = end, .abort = cut
};

/* What a request is made of. */
struct ask {
	const char *method, *path, *body;
	bool owner;
	const char *from; /* "127.0.0.1" */
	bool plain;       /* not over TLS */
	bool temporary;   /* by a self-made certificate */
	const char *cookie, *csrf, *origin, *fetch_site, *key, *bearer, *encoding, *match;
};

static inline void give(struct client *s, const char *name, const char *value)
{
	if (value)
		headers_add(&s->ex.request.headers, &s->arena, str_c(name), str_c(value));
}

static inline void begin(struct client *s, const struct ask *a)
{
	*s = (struct client){ .body = BUF_INIT(4 << 20) };
	s->ex = (struct exchange){ .ops = &ops,
		.arena = &s->arena,
		.worker = &worker,
		.tls = !a->plain && !a->owner,
		.temporary = a->temporary,
		.site = a->owner ? &socket_site : &page_site };
	s->ex.request = (struct request){ .method = str_c(a->method),
		.path = str_c(a->path),
		.authority = STR("localhost:8007"),
		.host = STR("localhost"),
		.body = a->body ? BODY_LENGTH : BODY_NONE };
	s->ex.client.ss_family = AF_UNIX;
	if (!a->owner)
		assert_true(
		        address_parse(str_c(a->from ? a->from : "127.0.0.1"), 4000, &s->ex.client));
	give(s, "cookie", a->cookie);
	give(s, "x-csrf-token", a->csrf);
	give(s, "origin", a->origin);
	give(s, "sec-fetch-site", a->fetch_site);
	give(s, "x-octopus-apikey", a->key);
	give(s, "authorization", a->bearer);
	give(s, "accept-encoding", a->encoding);
	give(s, "if-none-match", a->match);
	portal_handler.start(&s->ex);
	if (!a->body)
		return;
	s->ex.handling->ops->body(s->ex.handling, str_c(a->body));
	s->ex.handling->ops->body_end(s->ex.handling);
}

static inline void wait_end(struct client *s)
{
	for (int turns = 0; !s->ended && turns < 100000; turns++)
		loop_turn(place.loop, 1);
	if (!s->ended)
		fail_msg("%.*s %.*s has no answer", STR_ARG(s->ex.request.method),
		        STR_ARG(s->ex.request.path));
}

static inline void finish(struct client *s)
{
	buf_done(&s->body);
	arena_done(&s->arena);
}

/* The answer's body is good until the next but three. */
static inline unsigned ask(const struct ask *a)
{
	struct client s;
	begin(&s, a);
	wait_end(&s);
	unsigned status = s.status;
	finish(&s);
	return status;
}

static struct client last;

static inline struct json *ask_json(const struct ask *a, unsigned status)
{
	struct err err = ERR_INIT;
	finish(&last);
	begin(&last, a);
	wait_end(&last);
	if (last.status != status)
		fail_msg("%s %s: %u, %u expected: %s", a->method, a->path, last.status, status,
		        buf_c(&last.body));
	struct json *json = json_parse(buf_str(&last.body), "The answer", &err);
	if (!json)
		fail_msg("%s: %s", err.text, buf_c(&last.body));
	return json;
}

static inline void refuses(const struct ask *a, unsigned status, const char *words)
{
	JSON_AUTO *json = ask_json(a, status);
	if (!strstr(buf_c(&last.body), words))
		fail_msg("%s %s: no \"%s\" in %s", a->method, a->path, words, buf_c(&last.body));
}

static inline void done(const struct ask *a)
{
	JSON_AUTO *json = ask_json(a, 200);
}

#define R(asked, of, ...) (&(struct ask){ .method = asked, .path = of, __VA_ARGS__ })

/* ---- people at hand ---- */

#define OWN  "https://localhost:8007"
#define PASS "correct horse battery"

struct signed_in {
	char cookie[128], csrf[DIGEST_HEX + 1];
};

static inline void take_session(const struct json *json, struct signed_in *ret)
{
	struct str set = headers_find(&last.headers, STR("set-cookie"));
	snprintf(ret->cookie, sizeof ret->cookie, "%.*s",
	        STR_ARG(str_head(set, str_find(set, ';'))));
	snprintf(ret->csrf, sizeof ret->csrf, "%.*s", STR_ARG(json_text(json, "csrf")));
	assert_int_equal(strlen(ret->csrf), DIGEST_HEX);
}

static inline void make(const char *name, const char *scope)
{
	char body[256];
	snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"" PASS "\",\"scope\":\"%s\"}",
	        name, scope);
	JSON_AUTO *json = ask_json(R("POST", "/api/people", .body = body, .owner = true), 201);
	assert_true(str_eq_c(json_text(json, "scope"), scope));
}

static inline void sign_in(const char *name, struct signed_in *ret)
{
	char body[256];
	snprintf(body, sizeof body, "{\"name\":\"%s\",\"password\":\"" PASS "\"}", name);
	JSON_AUTO *json = ask_json(R("POST", "/api/session", .body = body, .origin = OWN), 200);
	take_session(json, ret);
}

static inline struct ask with(const struct signed_in *s, const char *method, const char *path)
{
	return (struct ask){ method, path, .cookie = s->cookie, .csrf = s->csrf, .origin = OWN };
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
