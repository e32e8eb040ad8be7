#include "files/parts.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { TRIES = 8 };

static int open_beneath(int root, const char *name)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	long fd = -1;
	/* EAGAIN: a directory on the way was moved meanwhile. */
	for (unsigned i = 0; i < TRIES && fd < 0 && (i == 0 || errno == EAGAIN); i++)
		fd = syscall(SYS_openat2, root, name, &how, sizeof how);
	return (int)fd;
}

enum found { FOUND, FOUND_DIRECTORY, FOUND_NOTHING };

/* A regular file; else errno says why not. */
static enum found open_file(int root, const char *name, int *ret_fd, struct stat *ret_stat)
{
	int fd = open_beneath(root, name);
	if (fd < 0)
		return FOUND_NOTHING;
	bool known = fstat(fd, ret_stat) == 0;
	if (known && S_ISREG(ret_stat->st_mode)) {
		*ret_fd = fd;
		return FOUND;
	}
	bool directory = known && S_ISDIR(ret_stat->st_mode);
	(void)close(fd);
	errno = ENOENT;
	return directory ? FOUND_DIRECTORY : FOUND_NOTHING;
}

static struct str http_date(struct arena *a, int64_t wall)
{
	char text[40];
	time_t second = (time_t)(wall / SECOND);
	struct tm tm;
	gmtime_r(&second, &tm);
	/* The process never sets a locale, so the names are English. */
	return arena_str(
	        a, str_n(text, strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm)));
}

/* So young a file may change within the clock's grain and look the same (RFC 9110 8.8.1). */
static void describe(struct exchange *ex, struct file *f, const struct stat *st)
{
	int64_t now = loop_wall(ex->worker->loop), modified = (int64_t)st->st_mtim.tv_sec * SECOND;
	bool fresh = now - modified < 2 * SECOND;
	f->size = (uint64_t)st->st_size;
	/* RFC 9110 8.8.2.1: not later than now. */
	f->modified = modified < now ? modified : now / SECOND * SECOND;
	f->date = http_date(ex->arena, f->modified);
	f->etag = arena_printf(ex->arena, "%s\"%llx-%lx-%llx%s%.*s\"", fresh ? "W/" : "",
	        (unsigned long long)st->st_mtim.tv_sec, (unsigned long)st->st_mtim.tv_nsec,
	        (unsigned long long)st->st_size, f->encoding.n ? "-" : "", STR_ARG(f->encoding));
}

/* --- siblings that are compressed already */

static bool use_sibling(struct exchange *ex, struct file *f, struct str name, struct stat *st)
{
	static const struct {
		struct str coding, ending;
	} siblings[] = { { STR_INIT("br"), STR_INIT(".br") },
		{ STR_INIT("gzip"), STR_INIT(".gz") } };
	for (size_t i = 0; i < sizeof siblings / sizeof *siblings; i++) {
		struct stat other;
		int fd;
		if (!http_accepts(&ex->request.headers, siblings[i].coding))
			continue;
		struct str sibling =
		        arena_printf(ex->arena, "%.*s%s", STR_ARG(name), siblings[i].ending.p);
		if (open_file(ex->route->action->root, sibling.p, &fd, &other) != FOUND)
			continue;
		if (other.st_mtim.tv_sec < st->st_mtim.tv_sec) {
			(void)close(fd);
			continue;
		}
		(void)close(f->fd);
		f->fd = fd;
		f->encoding = siblings[i].coding;
		*st = other;
		return true;
	}
	return false;
}

/* --- answers */

static void add(struct exchange *ex, struct response *head, struct str name, struct str value)
{
	if (value.n)
		headers_add(&head->headers, ex->arena, name, value);
}

static bool is_head(const struct exchange *ex)
{
	return str_eq(ex->request.method, STR("HEAD"));
}

/* RFC 9110 15.4.5: what a 200 would have said for caches. */
static void add_validators(struct exchange *ex, struct response *head, const struct file *f)
{
	add(ex, head, STR("etag"), f->etag);
	add(ex, head, STR("last-modified"), f->date);
	if (f->varies)
		add(ex, head, STR("vary"), STR("accept-encoding"));
}

static void answer_bare(struct exchange *ex, const struct file *f, unsigned status)
{
	struct response head = { .version = HTTP_1_1, .status = status };
	add_validators(ex, &head, f);
	if (status == 416)
		add(ex, &head, STR("content-range"),
		        arena_printf(ex->arena, "bytes */%llu", (unsigned long long)f->size));
	head.head_only = status == 304 || is_head(ex);
	(void)close(f->fd);
	exchange_respond(ex, &head);
	exchange_end(ex);
}

static void answer_with(struct exchange *ex, const struct file *f, struct response *head,
        const struct portions *portions)
{
	for (size_t i = 0; i < portions->count; i++)
		head->length += portions->at[i].text.n + portions->at[i].range.length;
	head->body = head->length ? BODY_LENGTH : BODY_NONE;
	head->head_only = is_head(ex);
	add_validators(ex, head, f);
	add(ex, head, STR("content-encoding"), f->encoding);
	add(ex, head, STR("accept-ranges"), STR("bytes"));
	exchange_respond(ex, head);
	if (head->body == BODY_LENGTH && !head->head_only) {
		file_send(ex, f->fd, portions);
		return;
	}
	(void)close(f->fd);
	exchange_end(ex);
}

static void answer_all(struct exchange *ex, const struct file *f)
{
	struct response head = { .version = HTTP_1_1, .status = 200 };
	struct portions all = { arena_new(ex->arena, struct portion), 1 };
	all.at[0].range = (struct range){ 0, f->size };
	add(ex, &head, STR("content-type"), f->type);
	answer_with(ex, f, &head, &all);
}

static struct str content_range(struct exchange *ex, const struct file *f, const struct range *r)
{
	return arena_printf(ex->arena, "bytes %llu-%llu/%llu", (unsigned long long)r->start,
	        (unsigned long long)(r->start + r->length - 1), (unsigned long long)f->size);
}

/* RFC 9110 15.3.7.2. Nobody knows the key of the hash, so no content can carry the boundary. */
static void answer_parts(
        struct exchange *ex, const struct file *f, const struct range *ranges, size_t count)
{
	struct response head = { .version = HTTP_1_1, .status = 206 };
	struct portions all = { arena_array(ex->arena, struct portion, count + 1), count + 1 };
	struct str boundary = arena_printf(ex->arena, "%016llx%016llx",
	        (unsigned long long)hash_keyed(f->etag), (unsigned long long)hash_keyed(f->date));
	for (size_t i = 0; i < count; i++) {
		struct str range = content_range(ex, f, &ranges[i]);
		all.at[i].text = arena_printf(ex->arena,
		        "\r\n--%.*s\r\ncontent-type: %.*s\r\ncontent-range: %.*s\r\n\r\n",
		        STR_ARG(boundary), STR_ARG(f->type), STR_ARG(range));
		all.at[i].range = ranges[i];
	}
	all.at[count].text = arena_printf(ex->arena, "\r\n--%.*s--\r\n", STR_ARG(boundary));
	add(ex, &head, STR("content-type"),
	        arena_printf(ex->arena, "multipart/byteranges; boundary=%.*s", STR_ARG(boundary)));
	answer_with(ex, f, &head, &all);
}

static void answer_range(struct exchange *ex, const struct file *f, const struct range *range)
{
	struct response head = { .version = HTTP_1_1, .status = 206 };
	struct portions all = { arena_new(ex->arena, struct portion), 1 };
	all.at[0].range = *range;
	add(ex, &head, STR("content-type"), f->type);
	add(ex, &head, STR("content-range"), content_range(ex, f, range));
	answer_with(ex, f, &head, &all);
}

static void answer_ranges(struct exchange *ex, const struct file *f)
{
	struct range ranges[RANGES_MOST];
	size_t count = 0;
	struct str header = headers_find(&ex->request.headers, STR("range"));
	switch (range_read(header, f->size, ranges, &count)) {
	case RANGES_NONE:
		answer_all(ex, f);
		return;
	case RANGES_UNSATISFIABLE:
		answer_bare(ex, f, 416);
		return;
	case RANGES_SOME:
		break;
	}
	if (count == 1)
		answer_range(ex, f, &ranges[0]);
	else
		answer_parts(ex, f, ranges, count);
}

static void answer_file(struct exchange *ex, const struct file *f)
{
	switch (file_condition(&ex->request, f, loop_wall(ex->worker->loop))) {
	case VERDICT_FAILED:
		answer_bare(ex, f, 412);
		break;
	case VERDICT_NOT_MODIFIED:
		answer_bare(ex, f, 304);
		break;
	case VERDICT_RANGE:
		answer_ranges(ex, f);
		break;
	case VERDICT_SEND:
		answer_all(ex, f);
		break;
	}
}

static void found(struct exchange *ex, struct str name, int fd, struct stat *st)
{
	struct file f = { .fd = fd, .type = file_type(name) };
	f.varies = http_type_compresses(f.type);
	if (f.varies)
		(void)use_sibling(ex, &f, name, st);
	describe(ex, &f, st);
	answer_file(ex, &f);
}

static void answer_failure(struct exchange *ex, int number)
{
	if (number == EACCES || number == EPERM)
		exchange_answer(ex, 403, "This file is not for visitors.");
	else if (number == EMFILE || number == ENFILE || number == EAGAIN || number == EIO)
		exchange_answer(ex, 503,
		        "The files of this site cannot be read just now: try again "
		        "in a moment.");
	else
		exchange_answer(ex, 404, "There is no such file here.");
}

/* A directory's links only lead to its files when its path ends with a slash. */
static void add_slash(struct exchange *ex)
{
	struct response head = { .version = HTTP_1_1, .status = 301, .head_only = is_head(ex) };
	struct str path = str_head(ex->request.path, str_find(ex->request.path, '?'));
	struct str query = str_from(ex->request.path, path.n);
	add(ex, &head, STR("location"),
	        arena_printf(ex->arena, "%.*s/%.*s", STR_ARG(path), STR_ARG(query)));
	exchange_respond(ex, &head);
	exchange_end(ex);
}

static void look_up(struct exchange *ex, struct str name)
{
	struct stat st;
	int fd = -1;
	bool directory = name.n == 0 || str_ends(name, STR("/"));
	/* The copy is followed by a NUL, and has none within. */
	name = directory ? arena_printf(ex->arena, "%.*sindex.html", STR_ARG(name))
	                 : arena_str(ex->arena, name);
	switch (open_file(ex->route->action->root, name.p, &fd, &st)) {
	case FOUND:
		found(ex, name, fd, &st);
		break;
	case FOUND_DIRECTORY:
		if (directory || !ex->route->action->beneath)
			answer_failure(ex, ENOENT);
		else
			add_slash(ex);
		break;
	case FOUND_NOTHING:
		answer_failure(ex, errno);
		break;
	}
}

static bool ends_with_slash(const struct exchange *ex)
{
	return str_ends(str_head(ex->request.path, str_find(ex->request.path, '?')), STR("/"));
}

static void start(struct exchange *ex)
{
	struct str name, method = ex->request.method;
	if (!str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD"))) {
		headers_add(&ex->also, ex->arena, STR("allow"), STR("GET, HEAD"));
		exchange_answer(ex, 405, "Files can only be read here.");
	} else if (ex->route->action->root < 0) {
		exchange_answer(ex, 503, "The files of this site are not there just now.");
	} else if (!file_name(ex, &name)) {
		answer_failure(ex, ENOENT);
	} else if (name.n == 0 && !ends_with_slash(ex)) {
		add_slash(ex);
	} else {
		look_up(ex, name);
	}
}

const struct handler files_handler = { .start = start };
