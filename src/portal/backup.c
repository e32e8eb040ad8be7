/* /api/backup: all that is stored, for the machine's owner alone. */
#include "keys/digest.h"
#include "portal/call.h"
#include "store/archive.h"

#include <errno.h>
#include <sys/stat.h>

enum { PIECE = 64 << 10 };

struct backing_up {
	struct store_copy copy;
	struct call_part part;
	struct call *call;
	struct digest *digest;
	struct later next;
	int fd; /* of the copy; -1 before it is made */
	bool with_key;
};

static void let_go(struct call_part *p)
{
	struct backing_up *b = OWNER(p, struct backing_up, part);
	store_copy_abort(&b->copy);
	later_stop(&b->next);
	digest_free(&b->digest);
	if (b->fd >= 0)
		close(b->fd);
}

static void send_part(struct backing_up *b, struct str bytes)
{
	digest_add(b->digest, bytes);
	call_stream_text(b->call, bytes);
}

static void send_end(struct backing_up *b)
{
	unsigned char digest[DIGEST_SHA256];
	struct call *c = b->call;
	digest_end(b->digest, digest);
	c->drained = NULL;
	call_stream_text(c, str_n(digest, sizeof digest));
	call_stream_end(c);
}

static void send_next(struct later *l)
{
	struct backing_up *b = OWNER(l, struct backing_up, next);
	struct call *c = b->call;
	char bytes[PIECE];
	const ssize_t n = read(b->fd, bytes, sizeof bytes);
	if (n < 0 && errno != EINTR) {
		log_error(portal.log, "The copy for a backup cannot be read: %s.", strerror(errno));
		call_stream_cut(c, "The copy of the database cannot be read.");
	} else if (n == 0) {
		send_end(b);
	} else {
		send_part(b, str_n(bytes, n > 0 ? (size_t)n : 0));
	}
}

/* A piece in each turn: whoever takes them fast must not keep others waiting. */
static void send_more(struct call *c)
{
	struct backing_up *b = OWNER(c->parts, struct backing_up, part);
	if (!list_linked(&b->next.node))
		later_start(&b->next, portal.loop, send_next);
}

static void send_begin(struct backing_up *b, int64_t bytes)
{
	BUF_AUTO begin = BUF_SECRET_INIT(ARCHIVE_HEAD_MOST + MASTER_KEY);
	struct archive_head head = { .database = bytes, .with_key = b->with_key };
	master_id(portal.master, head.key_id);
	archive_write_head(&head, &begin);
	if (b->with_key)
		master_bytes(portal.master, &begin);
	CHECK(buf_ok(&begin));
	b->call->drained = send_more;
	call_stream_as(b->call, "application/octet-stream");
	send_part(b, buf_str(&begin));
}

static void copied(struct store_copy *copy, int fd, const struct err *err)
{
	struct backing_up *b = OWNER(copy, struct backing_up, copy);
	struct stat st;
	struct err failed = ERR_INIT;
	if (err) {
		call_fail(b->call, err);
		return;
	}
	b->fd = fd;
	if (fstat(fd, &st)) {
		err_sys(&failed, ERR_IO, errno, "The copy of the database cannot be read");
		call_fail(b->call, &failed);
		return;
	}
	audit_add(b->call, b->with_key ? "Backup made, with the master key" : "Backup made",
	        STR_NONE, STR_NONE, STR_NONE);
	send_begin(b, st.st_size);
}

static void post_backup(struct call *c)
{
	struct backing_up *b = arena_new(&c->arena, struct backing_up);
	b->call = c;
	b->fd = -1;
	b->digest = digest_new();
	json_bool(c->json, "with_key", &b->with_key);
	c->backlog.secret = b->with_key;
	call_keep(c, &b->part, let_go);
	store_copy_start(portal.store, &b->copy, copied);
}

const struct route backup_routes[] = {
	{ "POST", "/api/backup", SCOPE_OWNER, post_backup },
	{ 0 },
};
