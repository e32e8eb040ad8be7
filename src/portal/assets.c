#include "portal/assets.h"
#include "base/buf.h"
#include "keys/token.h"
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FILE_MOST = 4 << 20 };

static const char *dev_page;

void assets_from(const char *dir)
{
	dev_page = dir;
}

const struct asset *asset_find(struct str path)
{
	if (str_eq_c(path, "/"))
		path = STR("/index.html");
	for (const struct asset *a = assets; a->name; a++)
		if (str_eq_c(path, a->name))
			return a;
	return NULL;
}

void assets_guard(struct response *head, struct arena *a)
{
	static const struct header guards[] = {
		{ STR_INIT("content-security-policy"),
		        STR_INIT("default-src 'none'; script-src 'self'; style-src 'self'; "
		                 "img-src 'self'; connect-src 'self'; base-uri 'none'; "
		                 "form-action 'none'; frame-ancestors 'none'; "
		                 "require-trusted-types-for 'script'; trusted-types 'none'") },
		{ STR_INIT("x-content-type-options"), STR_INIT("nosniff") },
		{ STR_INIT("x-frame-options"), STR_INIT("DENY") },
		{ STR_INIT("referrer-policy"), STR_INIT("no-referrer") },
		{ STR_INIT("cross-origin-opener-policy"), STR_INIT("same-origin") },
		{ STR_INIT("cross-origin-resource-policy"), STR_INIT("same-origin") },
		{ STR_INIT("permissions-policy"),
		        STR_INIT("camera=(), geolocation=(), microphone=(), payment=(), usb=()") },
	};
	for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
		headers_add(&head->headers, a, guards[i].name, guards[i].value);
}

/* ---- an answer that waits for room ---- */

struct sending {
	struct handling handling;
	struct exchange *ex;
	struct str rest;
	struct buf owned; /* of a file that was read; else empty */
};

static void sending_free(struct sending *s)
{
	buf_done(&s->owned);
	free(s);
}

static void pump(struct handling *h)
{
	struct sending *s = OWNER(h, struct sending, handling);
	ptrdiff_t room = exchange_body(s->ex, STR_NONE);
	while (s->rest.n && room > 0) {
		struct str piece = str_head(s->rest, (size_t)room);
		s->rest = str_from(s->rest, piece.n);
		room = exchange_body(s->ex, piece);
	}
	if (s->rest.n)
		return;
	exchange_end(s->ex);
	sending_free(s);
}

static void gone(struct handling *h)
{
	sending_free(OWNER(h, struct sending, handling));
}

/* No request for a file has a body worth reading. */
static void ignore(struct handling *h, struct str piece)
{
	(void)h, (void)piece;
}

static void ignore_end(struct handling *h)
{
	(void)h;
}

static const struct handling_ops sending_ops = {
	.body = ignore, .body_end = ignore_end, .room = pump, .gone = gone
};

/* ---- what is sent ---- */

struct content {
	const char *type;
	struct str etag, bytes; /* etag: with its quotes */
	bool packed;
	struct buf owned;
};

static void answer(struct exchange *ex, struct content *c, unsigned status)
{
	struct arena *a = ex->arena;
	bool head_only = str_eq_c(ex->request.method, "HEAD") || status == 304;
	struct response head = { .version = HTTP_1_1,
		.status = status,
		.body = status == 304 ? BODY_NONE : BODY_LENGTH,
		.length = status == 304 ? 0 : c->bytes.n,
		.head_only = head_only };
	headers_add(&head.headers, a, STR("content-type"), str_c(c->type));
	headers_add(&head.headers, a, STR("etag"), c->etag);
	headers_add(&head.headers, a, STR("cache-control"), STR("no-cache"));
	headers_add(&head.headers, a, STR("vary"), STR("accept-encoding"));
	if (c->packed)
		headers_add(&head.headers, a, STR("content-encoding"), STR("br"));
	assets_guard(&head, a);
	exchange_respond(ex, &head);
	struct sending *s = mem_new(struct sending);
	*s = (struct sending){ .handling.ops = &sending_ops, .ex = ex, .owned = c->owned };
	if (!head_only)
		s->rest = c->owned.n ? buf_str(&s->owned) : c->bytes;
	ex->handling = &s->handling;
	pump(&s->handling);
}

/* RFC 9110 12.5.3: `br` with a weight of 0 is refused. */
static bool takes_brotli(const struct exchange *ex)
{
	struct str list = headers_find(&ex->request.headers, STR("accept-encoding")), part;
	while (str_split(&list, ',', &part)) {
		part = str_trim(part);
		size_t name = str_find(part, ';');
		struct str weight = str_trim(str_from(part, name + 1));
		if (str_eq_nocase(str_trim(str_head(part, name)), STR("br")))
			return !str_eq_c(weight, "q=0") && !str_starts(weight, STR("q=0.0"));
	}
	return false;
}

static void answer_content(struct exchange *ex, struct content *c)
{
	struct str have = headers_find(&ex->request.headers, STR("if-none-match")), part;
	bool same = str_eq_c(str_trim(have), "*");
	while (str_split(&have, ',', &part)) {
		part = str_trim(part);
		if (str_starts(part, STR("W/")))
			part = str_from(part, 2);
		same |= str_eq(part, c->etag);
	}
	answer(ex, c, same ? 304 : 200);
}

static void answer_asset(struct exchange *ex, const struct asset *a)
{
	struct content c = { .type = a->type, .packed = takes_brotli(ex), .owned = BUF_INIT(1) };
	c.bytes = c.packed ? str_n(a->packed, (size_t)(a->packed_end - a->packed))
	                   : str_n(a->start, (size_t)(a->end - a->start));
	c.etag = arena_printf(ex->arena, "\"%s%s\"", a->hash, c.packed ? "-br" : "");
	answer_content(ex, &c);
}

/* ---- from disk ---- */

static const char *type_of(struct str name)
{
	static const struct {
		const char *ending, *type;
	} types[] = {
		{ ".html", "text/html; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".css", "text/css; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".txt", "text/plain; charset=utf-8" },
	};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (str_ends(name, str_c(types[i].ending)))
			return types[i].type;
	return NULL;
}

/* Plain names with '/' between them: nothing outside the directory is reached. */
static bool is_plain(struct str path)
{
	struct str part;
	while (str_split(&path, '/', &part)) {
		if (!part.n || *part.p == '.')
			return false;
		for (size_t i = 0; i < part.n; i++) {
			char c = ascii_lower(part.p[i]);
			if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr("._-", c))
				return false;
		}
	}
	return true;
}

static bool read_all(int fd, struct buf *out)
{
	for (;;) {
		char *room = buf_room(out, 64 << 10);
		ssize_t n = room ? read(fd, room, 64 << 10) : -1;
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		buf_grew(out, (size_t)n);
	}
}

static bool read_file(struct arena *a, struct str name, struct buf *out)
{
	struct stat st;
	int dir = open(dev_page, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
	int fd = dir < 0 ? -1
	                 : (int)syscall(SYS_openat2, dir, arena_str(a, name).p, &how, sizeof how);
	bool ok = fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode) && read_all(fd, out);
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return ok;
}

static bool answer_from_disk(struct exchange *ex, struct str path)
{
	struct str name = str_eq_c(path, "/") ? STR("index.html") : str_from(path, 1);
	struct content c = { .type = type_of(name), .owned = BUF_INIT(FILE_MOST) };
	char hash[DIGEST_HEX + 1];
	if (!c.type || !is_plain(name) || !read_file(ex->arena, name, &c.owned)) {
		buf_done(&c.owned);
		return false;
	}
	token_digest("everseal asset of the page", buf_str(&c.owned), hash);
	c.etag = arena_printf(ex->arena, "\"%.32s\"", hash);
	c.bytes = buf_str(&c.owned);
	answer_content(ex, &c);
	return true;
}

/* ---- the request ---- */

static void refuse(struct exchange *ex, unsigned status, const char *sentence)
{
	struct str text = arena_printf(ex->arena, "%s\n", sentence);
	struct content c = { .type = "text/plain; charset=utf-8",
		.bytes = text,
		.etag = STR("\"\""),
		.owned = BUF_INIT(1) };
	answer(ex, &c, status);
}

void assets_start(struct exchange *ex)
{
	struct str path = str_head(ex->request.path, str_find(ex->request.path, '?'));
	struct str method = ex->request.method;
	const struct asset *a = asset_find(path);
	if (!str_eq_c(method, "GET") && !str_eq_c(method, "HEAD"))
		refuse(ex, 405, "The page is only read: GET or HEAD.");
	else if (dev_page && answer_from_disk(ex, path))
		return;
	else if (a && (!dev_page || str_ends(path, STR(".json"))))
		answer_asset(ex, a);
	else
		refuse(ex, 404, "The page has no such file.");
}
