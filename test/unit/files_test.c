/* Static files: names, conditions and ranges as values, then whole requests over a folder. */
#include "base/buf.h"
#include "files/parts.h"
#include "net/address.h"
#include "server/client.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

/* --- ranges */

static const struct {
	const char *header;
	uint64_t size;
	const char *want; /* "-": none; "!": unsatisfiable; else "start+length …" */
} asked[] = {
	{ "bytes=0-0", 10, "0+1 " },
	{ "bytes=0-9", 10, "0+10 " },
	{ "bytes=0-", 10, "0+10 " },
	{ "bytes=9-", 10, "9+1 " },
	{ "bytes=5-100", 10, "5+5 " },
	{ "Bytes=2-3", 10, "2+2 " },
	{ "bytes=-3", 10, "7+3 " },
	{ "bytes=-30", 10, "0+10 " },
	{ "bytes=-0", 10, "!" },
	{ "bytes=10-", 10, "!" },
	{ "bytes=10-20, 30-40", 10, "!" },
	{ "bytes=0-0", 0, "!" },
	{ "bytes=0-", 0, "!" },
	{ "bytes=-5", 0, "!" },
	{ "bytes=0-1, 4-5", 10, "0+2 4+2 " },
	{ "bytes=4-5,0-1", 10, "4+2 0+2 " },
	{ "bytes= 0-1 , ,-2", 10, "0+2 8+2 " },
	{ "bytes=0-1,20-", 10, "0+2 " },
	{ "bytes=0-5,5-9", 10, "-" },
	{ "bytes=0-,0-,0-", 10, "-" },
	{ "bytes=", 10, "-" },
	{ "bytes=,", 10, "-" },
	{ "bytes", 10, "-" },
	{ "bytes=-", 10, "-" },
	{ "bytes=a-b", 10, "-" },
	{ "bytes=1", 10, "-" },
	{ "bytes=3-1", 10, "-" },
	{ "bytes=0-1-2", 10, "-" },
	{ "bytes=+1-2", 10, "-" },
	{ "bytes=0x1-2", 10, "-" },
	{ "bytes=0-99999999999999999999", 10, "-" },
	{ "bytes=0-18446744073709551615", 10, "0+10 " },
	{ "bytes=-18446744073709551615", 10, "0+10 " },
	{ "bytes=18446744073709551615-", 10, "!" },
	{ "seconds=0-1", 10, "-" },
	{ "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,"
	  "28-28,30-30",
	        100,
	        "0+1 2+1 4+1 6+1 8+1 10+1 12+1 14+1 16+1 18+1 20+1 22+1 24+1 26+1 28+1 "
	        "30+1 " },
	{ "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16,18-18,20-20,22-22,24-24,26-26,"
	  "28-28,30-30,32-32",
	        100, "-" },
};

static void ranges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
		struct range r[RANGES_MOST];
		size_t count = 0;
		BUF_AUTO got = BUF_INIT(4096);
		enum ranges kind = range_read(str_c(asked[i].header), asked[i].size, r, &count);
		for (size_t k = 0; k < count; k++)
			buf_printf(&got, "%llu+%llu ", (unsigned long long)r[k].start,
			        (unsigned long long)r[k].length);
		if (kind != RANGES_SOME)
			buf_add_c(&got, kind == RANGES_NONE ? "-" : "!");
		if (strcmp(buf_c(&got), asked[i].want) != 0)
			fail_msg("%s of %llu: %s", asked[i].header,
			        (unsigned long long)asked[i].size, buf_c(&got));
	}
}

/* --- conditions */

#define TUESDAY   "Tue, 24 Nov 2026 15:43:29 GMT"
#define MONDAY    "Mon, 23 Nov 2026 15:43:29 GMT"
#define WEDNESDAY "Wed, 25 Nov 2026 15:43:29 GMT"

/* The file: "abc", of Tuesday. */
static const struct {
	const char *method;
	const char *fields[6];
	enum verdict verdict;
} asks[] = {
	{ "GET", { 0 }, VERDICT_SEND },
	{ "GET", { "if-match", "\"abc\"" }, VERDICT_SEND },
	{ "GET", { "if-match", "*" }, VERDICT_SEND },
	{ "GET", { "if-match", "\"x\", \"abc\"" }, VERDICT_SEND },
	{ "GET", { "if-match", "\"x\"", "if-match", "\"abc\"" }, VERDICT_SEND },
	{ "GET", { "if-match", "\"x\"" }, VERDICT_FAILED },
	{ "GET", { "if-match", "W/\"abc\"" }, VERDICT_FAILED },
	{ "GET", { "if-match", "abc" }, VERDICT_FAILED },
	{ "GET", { "if-match", "\"abc\"", "if-unmodified-since", MONDAY }, VERDICT_SEND },
	{ "GET", { "if-match", "\"x\"", "if-none-match", "\"abc\"" }, VERDICT_FAILED },
	{ "GET", { "if-unmodified-since", TUESDAY }, VERDICT_SEND },
	{ "GET", { "if-unmodified-since", MONDAY }, VERDICT_FAILED },
	{ "GET", { "if-unmodified-since", "soon" }, VERDICT_SEND },
	{ "GET", { "if-none-match", "\"abc\"" }, VERDICT_NOT_MODIFIED },
	{ "HEAD", { "if-none-match", "\"abc\"" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-none-match", "W/\"abc\"" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-none-match", "\"x\",W/\"y\" , \"abc\"" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-none-match", "*" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-none-match", "\"x\"" }, VERDICT_SEND },
	{ "GET", { "if-none-match", "\"abc" }, VERDICT_SEND },
	{ "GET", { "if-none-match", "\"x\"", "if-modified-since", WEDNESDAY }, VERDICT_SEND },
	{ "GET", { "if-modified-since", TUESDAY }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-modified-since", WEDNESDAY }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-modified-since", MONDAY }, VERDICT_SEND },
	{ "GET", { "if-modified-since", "Tuesday, 24-Nov-26 15:43:29 GMT" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-modified-since", "Tue Nov 24 15:43:29 2026" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "if-modified-since", "x" }, VERDICT_SEND },
	{ "GET", { "range", "bytes=0-0" }, VERDICT_RANGE },
	{ "HEAD", { "range", "bytes=0-0" }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-range", "\"abc\"" }, VERDICT_RANGE },
	{ "GET", { "range", "x", "if-range", "W/\"abc\"" }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-range", "\"x\"" }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-range", "\"abc\", \"x\"" }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-range", TUESDAY }, VERDICT_RANGE },
	{ "GET", { "range", "x", "if-range", WEDNESDAY }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-range", "x" }, VERDICT_SEND },
	{ "GET", { "if-range", "\"abc\"" }, VERDICT_SEND },
	{ "GET", { "range", "x", "if-none-match", "\"abc\"" }, VERDICT_NOT_MODIFIED },
	{ "GET", { "range", "x", "if-match", "\"x\"" }, VERDICT_FAILED },
};

static void conditions(void **state)
{
	struct arena a = ARENA_INIT;
	int64_t tuesday;
	(void)state;
	assert_true(clock_from_http_date(STR(TUESDAY), &tuesday));
	const struct file f = { .fd = -1, .etag = STR("\"abc\""), .modified = tuesday };
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		struct request r = { .method = str_c(asks[i].method) };
		const char *const *fields = asks[i].fields;
		for (size_t k = 0; k < 6 && fields[k]; k += 2)
			headers_add(&r.headers, &a, str_c(fields[k]), str_c(fields[k + 1]));
		enum verdict got = file_condition(&r, &f, tuesday + DAY);
		if (got != asks[i].verdict)
			fail_msg("case %zu (%s: %s): %d", i, fields[0], fields[1], got);
	}
	/* Within a minute a date is no strong validator. */
	struct request r = { .method = STR("GET") };
	headers_add(&r.headers, &a, STR("range"), STR("bytes=0-"));
	headers_add(&r.headers, &a, STR("if-range"), STR(TUESDAY));
	assert_int_equal(file_condition(&r, &f, tuesday + 59 * SECOND), VERDICT_SEND);
	assert_int_equal(file_condition(&r, &f, tuesday + 60 * SECOND), VERDICT_RANGE);
	arena_done(&a);
}

static void types(void **state)
{
	(void)state;
	assert_true(str_eq_c(file_type(STR("a/b.html")), "text/html; charset=utf-8"));
	assert_true(str_eq_c(file_type(STR("b.JS")), "text/javascript; charset=utf-8"));
	assert_true(str_eq_c(file_type(STR("b.tar.gz")), "application/gzip"));
	assert_true(str_eq_c(file_type(STR("html")), "application/octet-stream"));
	assert_true(str_eq_c(file_type(STR("a.html/b")), "application/octet-stream"));
	assert_true(str_eq_c(file_type(STR("b.")), "application/octet-stream"));
}

/* --- whole requests */

static struct rig {
	char folder[40], outside[40];
	struct clock_fake clock;
	struct loop *loop;
	struct worker worker;
	struct conn_holder far;
	struct buf heard;
	bool ended, failed;
	bool deaf;
} rig;

static void hear(struct conn *c, unsigned events)
{
	char p[16 << 10];
	ssize_t n = 1;
	while (events & CONN_IN && !rig.deaf && n > 0) {
		n = conn_read(c, p, sizeof p);
		if (n > 0)
			buf_add(&rig.heard, str_n(p, (size_t)n));
		rig.ended = rig.ended || n == 0;
		rig.failed = rig.failed || n == CONN_FAILED;
	}
}

static const char *path_of(const char *folder, const char *name)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

/* Of the year 2026, January, unless it says another second. */
static void put(const char *folder, const char *name, const char *content, long second)
{
	int fd = open(path_of(folder, name), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	const struct timespec times[] = { { .tv_sec = 1767225600 + second },
		{ .tv_sec = 1767225600 + second } };
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static void make_folder(void)
{
	const char *f = rig.folder;
	assert_int_equal(mkdir(path_of(f, "sub"), 0755), 0);
	assert_int_equal(mkdir(path_of(f, "empty"), 0755), 0);
	assert_int_equal(mkdir(path_of(f, ".git"), 0755), 0);
	assert_int_equal(mkdir(path_of(f, ".well-known"), 0755), 0);
	put(f, "index.html", "home", 0);
	put(f, "a.txt", "0123456789", 0);
	put(f, "none.txt", "", 0);
	put(f, "sub/index.html", "sub", 0);
	put(f, "sub/b.css", "b{}", 0);
	put(f, "sub/b.css.br", "BR", 1);
	put(f, "sub/b.css.gz", "GZ", 1);
	put(f, "old.js", "js", 10);
	put(f, "old.js.gz", "stale", 0);
	put(f, "p.png", "png", 0);
	put(f, "p.png.gz", "never", 1);
	put(f, "caf\xc3\xa9 1.txt", "coffee", 0);
	put(f, ".secret", "no", 0);
	put(f, ".git/config", "no", 0);
	put(f, ".well-known/security.txt", "mail us", 0);
	put(rig.outside, "secret.txt", "outside", 0);
	assert_int_equal(mkfifo(path_of(f, "fifo"), 0644), 0);
	assert_int_equal(symlink("a.txt", path_of(f, "inside.txt")), 0);
	assert_int_equal(symlink("../sub/b.css", path_of(f, "sub/up.css")), 0);
	assert_int_equal(symlink(rig.outside, path_of(f, "link")), 0);
	assert_int_equal(symlink("/etc/passwd", path_of(f, "passwd")), 0);
	assert_int_equal(symlink("/proc/self/exe", path_of(f, "magic")), 0);
	assert_int_equal(symlink("../../../../etc/passwd", path_of(f, "sub/passwd")), 0);
}

static void add_route(struct generation_builder *b, const struct msg_route *m)
{
	struct err err;
	assert_true(generation_row(b, MSG_route, m, &err));
}

static int setup(void **state)
{
	struct err err = ERR_INIT;
	(void)state;
	rig = (struct rig){ .heard = BUF_INIT(64 << 20) };
	memcpy(rig.folder, "/tmp/everseal-files-XXXXXX", 27);
	memcpy(rig.outside, "/tmp/everseal-outside-XXXXXX", 29);
	assert_non_null(mkdtemp(rig.folder));
	assert_non_null(mkdtemp(rig.outside));
	make_folder();
	clock_fake_init(&rig.clock, INT64_C(1795535009) * SECOND);
	rig.loop = loop_new(&rig.clock.clock);
	worker_init(&rig.worker, rig.loop);
	rig.worker.handlers[SITE_FILES] = &files_handler;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_site site = { .id = 1, .name = STR("a"), .fallback = true, .hsts_age = -1 };
	assert_true(generation_row(b, MSG_site, &site, &err));
	int root = open(rig.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct msg_route m = { .id = 1, .site = 1, .beneath = true, .kind = SITE_FILES };
	m.root = root;
	add_route(b, &m);
	m = (struct msg_route){ .id = 2, .site = 1, .path = STR("/in"), .beneath = true };
	m.kind = SITE_FILES;
	m.root = dup(root);
	add_route(b, &m);
	m.id = 3;
	m.path = STR("/x/a.txt");
	m.beneath = false;
	m.root = dup(root);
	add_route(b, &m);
	m.id = 4;
	m.path = STR("/gone");
	m.beneath = true;
	m.root = -1;
	add_route(b, &m);
	m.id = 5;
	m.path = STR("/sub");
	m.inherits = true;
	add_route(b, &m);
	rig.worker.generation = generation_build(&b, &err);
	assert_non_null(rig.worker.generation);
	return 0;
}

static int drop(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	if (rig.far.conn)
		conn_free(&rig.far.conn);
	worker_done(&rig.worker);
	loop_free(&rig.loop);
	buf_done(&rig.heard);
	nftw(rig.folder, drop, 8, FTW_DEPTH | FTW_PHYS);
	nftw(rig.outside, drop, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void turn(int times)
{
	while (times-- > 0)
		loop_turn(rig.loop, 0);
}

static void send_request(const char *method, const char *target, const char *fields)
{
	struct conn *near, *far;
	struct sockaddr_storage from = { .ss_family = AF_INET };
	char text[4096];
	if (rig.far.conn)
		conn_free(&rig.far.conn);
	buf_clear(&rig.heard);
	rig.ended = rig.failed = false;
	conn_pipe_new(rig.loop, 32 << 10, &near, &far);
	conn_hold(&rig.far, far, hear);
	client_new(&rig.worker, near, &from, NULL);
	snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s\r\n",
	        method, target, fields);
	struct iovec v = { text, strlen(text) };
	assert_int_equal(conn_write(far, &v, 1), strlen(text));
	turn(4);
}

static void assert_asked(const char *target, const char *fields, const char *want)
{
	send_request("GET", target, fields);
	if (!strstr(buf_c(&rig.heard), want))
		fail_msg("%s: got \"%s\", want \"%s\"", target, buf_c(&rig.heard), want);
}

static void names(void **state)
{
	static const struct {
		const char *target, *want;
	} cases[] = {
		{ "/", "\r\n\r\nhome" },
		{ "/index.html", "\r\n\r\nhome" },
		{ "/a.txt", "content-type: text/plain; charset=utf-8\r\n" },
		{ "/a.txt?x", "\r\n\r\n0123456789" },
		{ "/none.txt", "content-length: 0\r\n" },
		{ "/sub/", "\r\n\r\nsub" },
		{ "/sub", "HTTP/1.1 301 Moved Permanently\r\nlocation: /sub/\r\n" },
		{ "/sub?x=y", "location: /sub/?x=y\r\n" },
		{ "/sub/../a.txt", "\r\n\r\n0123456789" },
		{ "/caf%C3%A9%201.txt", "\r\n\r\ncoffee" },
		{ "/inside.txt", "\r\n\r\n0123456789" },
		{ "/sub/up.css", "\r\n\r\nb{}" },
		{ "/.well-known/security.txt", "\r\n\r\nmail us" },
		{ "/in", "location: /in/\r\n" },
		{ "/in/", "\r\n\r\nhome" },
		{ "/in/a.txt", "\r\n\r\n0123456789" },
		{ "/in/in/a.txt", "HTTP/1.1 404 " },
		{ "/x/a.txt", "\r\n\r\n0123456789" },
		{ "/x/a.txt/", "\r\n\r\n0123456789" },
		{ "/x/b.txt", "HTTP/1.1 404 " },
		{ "/gone/a.txt", "HTTP/1.1 503 " },
		{ "/empty/", "HTTP/1.1 404 " },
		{ "/nothing", "There is no such file here." },
		{ "/a.txt/", "HTTP/1.1 404 " },
		{ "/a.txt/b", "HTTP/1.1 404 " },
		{ "/.secret", "HTTP/1.1 404 " },
		{ "/.git/config", "HTTP/1.1 404 " },
		{ "/sub/..%2f.secret", "HTTP/1.1 4" },
		{ "/sub%2Fb.css", "HTTP/1.1 4" },
		{ "/link/secret.txt", "HTTP/1.1 404 " },
		{ "/passwd", "HTTP/1.1 404 " },
		{ "/sub/passwd", "HTTP/1.1 404 " },
		{ "/magic", "HTTP/1.1 404 " },
		{ "/fifo", "HTTP/1.1 404 " },
		{ "/..%2f..%2fetc/passwd", "HTTP/1.1 4" },
		{ "/..%5c..%5cetc/passwd", "HTTP/1.1 4" },
		{ "/a%00.txt", "HTTP/1.1 400 " },
		{ "//a.txt", "HTTP/1.1 404 " },
		{ "//sub", "HTTP/1.1 4" },
		{ "/sub//b.css", "HTTP/1.1 404 " },
		{ "/%5ca.txt", "HTTP/1.1 404 " },
		{ "/a.txt;x", "HTTP/1.1 404 " },
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_asked(cases[i].target, "", cases[i].want);
	char longest[300] = "/";
	memset(longest + 1, 'a', 290);
	assert_asked(longest, "", "HTTP/1.1 404 ");
}

static void methods(void **state)
{
	(void)state;
	send_request("HEAD", "/a.txt", "");
	assert_non_null(strstr(buf_c(&rig.heard), "content-length: 10\r\n"));
	assert_null(strstr(buf_c(&rig.heard), "0123456789"));
	send_request("POST", "/a.txt", "Content-Length: 0\r\n");
	assert_non_null(strstr(buf_c(&rig.heard), "HTTP/1.1 405 "));
	assert_non_null(strstr(buf_c(&rig.heard), "allow: GET, HEAD\r\n"));
}

static void what_is_changed_is_told(void **state)
{
	char etag[64], fields[128];
	(void)state;
	assert_asked("/a.txt", "", "last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n");
	const char *at = strstr(buf_c(&rig.heard), "etag: ");
	assert_non_null(at);
	snprintf(etag, sizeof etag, "%.*s", (int)strcspn(at + 6, "\r"), at + 6);
	assert_int_equal(etag[0], '"');
	snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
	assert_asked("/a.txt", fields, "HTTP/1.1 304 ");
	assert_non_null(strstr(buf_c(&rig.heard), etag));
	assert_non_null(strstr(buf_c(&rig.heard), "vary: accept-encoding\r\n"));
	assert_null(strstr(buf_c(&rig.heard), "0123456789"));
	snprintf(fields, sizeof fields, "If-Match: \"x\"\r\n");
	assert_asked("/a.txt", fields, "HTTP/1.1 412 ");
	put(rig.folder, "a.txt", "9876543210", 1);
	snprintf(fields, sizeof fields, "If-None-Match: %s\r\n", etag);
	assert_asked("/a.txt", fields, "\r\n\r\n9876543210");
	/* What is as new as now may change within the same second. */
	put(rig.folder, "a.txt", "0000000000", 1795535009 - 1767225600);
	assert_asked("/a.txt", "", "etag: W/\"");
}

static void parts_of_files(void **state)
{
	(void)state;
	assert_asked("/a.txt", "Range: bytes=2-4\r\n", "HTTP/1.1 206 ");
	assert_non_null(strstr(buf_c(&rig.heard), "content-range: bytes 2-4/10\r\n"));
	assert_non_null(strstr(buf_c(&rig.heard), "content-length: 3\r\n"));
	assert_true(str_ends(buf_str(&rig.heard), STR("\r\n\r\n234")));
	assert_asked("/a.txt", "Range: bytes=-1\r\n", "\r\n\r\n9");
	assert_asked("/a.txt", "Range: bytes=10-\r\n", "HTTP/1.1 416 ");
	assert_non_null(strstr(buf_c(&rig.heard), "content-range: bytes */10\r\n"));
	assert_asked("/a.txt", "Range: bytes=0-1,8-\r\n", "HTTP/1.1 206 ");
	const char *got = buf_c(&rig.heard);
	assert_non_null(strstr(got, "content-type: multipart/byteranges; boundary="));
	assert_non_null(strstr(got, "content-range: bytes 0-1/10\r\n\r\n01\r\n--"));
	assert_non_null(strstr(got, "content-range: bytes 8-9/10\r\n\r\n89\r\n--"));
	assert_true(str_ends(buf_str(&rig.heard), STR("--\r\n")));
	unsigned long told = strtoul(strstr(got, "content-length: ") + 16, NULL, 10);
	assert_int_equal(told, strlen(strstr(got, "\r\n\r\n") + 4));
}

static void compressed_siblings(void **state)
{
	(void)state;
	assert_asked("/sub/b.css", "Accept-Encoding: gzip, br\r\n", "\r\n\r\nBR");
	assert_non_null(strstr(buf_c(&rig.heard), "content-encoding: br\r\n"));
	assert_non_null(strstr(buf_c(&rig.heard), "content-type: text/css; charset=utf-8\r\n"));
	assert_non_null(strstr(buf_c(&rig.heard), "vary: accept-encoding\r\n"));
	assert_non_null(strstr(buf_c(&rig.heard), "-br\"\r\n"));
	assert_asked("/sub/b.css", "Accept-Encoding: gzip\r\n", "\r\n\r\nGZ");
	assert_asked("/sub/b.css", "Accept-Encoding: br;q=0\r\n", "\r\n\r\nb{}");
	assert_non_null(strstr(buf_c(&rig.heard), "vary: accept-encoding\r\n"));
	assert_asked("/sub/b.css", "Accept-Encoding: br\r\nRange: bytes=1-\r\n", "\r\n\r\nR");
	assert_asked("/old.js", "Accept-Encoding: gzip\r\n", "\r\n\r\njs");
	assert_asked("/p.png", "Accept-Encoding: gzip\r\n", "\r\n\r\npng");
	assert_null(strstr(buf_c(&rig.heard), "vary"));
}

/* A client that does not read stops the reading; a file that becomes shorter is not made whole. */
static void large_files(void **state)
{
	enum { SIZE = 3 << 20 };
	(void)state;
	put(rig.folder, "big.bin", "x", 0);
	assert_int_equal(truncate(path_of(rig.folder, "big.bin"), SIZE), 0);
	send_request("GET", "/big.bin", "");
	for (int i = 0; i < 1000 && !rig.ended; i++)
		turn(1);
	const char *end = strstr(buf_c(&rig.heard), "\r\n\r\n");
	assert_int_equal(rig.heard.n - (size_t)(end + 4 - buf_c(&rig.heard)), SIZE);
	assert_true(rig.ended && !rig.failed);
	rig.deaf = true;
	send_request("GET", "/big.bin", "");
	turn(20);
	assert_int_equal(truncate(path_of(rig.folder, "big.bin"), 1 << 20), 0);
	rig.deaf = false;
	hear(rig.far.conn, CONN_IN);
	for (int i = 0; i < 1000 && !rig.ended && !rig.failed; i++)
		turn(1);
	assert_true(rig.heard.n < SIZE);
	assert_true(rig.heard.n > 100 << 10);
}

static void a_client_that_leaves_ends_it(void **state)
{
	(void)state;
	put(rig.folder, "big.bin", "x", 0);
	assert_int_equal(truncate(path_of(rig.folder, "big.bin"), 3 << 20), 0);
	int before = dup(0);
	close(before);
	rig.deaf = true;
	send_request("GET", "/big.bin", "");
	conn_reset(&rig.far.conn);
	turn(4);
	int after = dup(0);
	close(after);
	assert_int_equal(before, after); /* no descriptor is left open */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(conditions),
		cmocka_unit_test(types),
		CASE(names),
		CASE(methods),
		CASE(what_is_changed_is_told),
		CASE(parts_of_files),
		CASE(compressed_siblings),
		CASE(large_files),
		CASE(a_client_that_leaves_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
