/* A copy of the database while it is used. */
#include "base/buf.h"
#include "internal.h"
#include "state.h"
#include "store/db.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

static void *work(void *copying)
{
	struct copying *k = copying;
	k->made = db_copy(k->db, k->path, &k->err);
	mail_post(k->results, &k->letter);
	return NULL;
}

static void join(struct copying *k)
{
	if (k->runs)
		CHECK(!pthread_join(k->thread, NULL));
	k->runs = false;
}

/* The descriptor of the copy, which loses its name; or -1. */
static int finish(struct copying *k)
{
	join(k);
	db_close(&k->db);
	int fd = k->made ? open(k->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	if (k->made && fd < 0)
		state_err(k->path, errno, &k->err);
	(void)unlink(k->path);
	return fd;
}

static void came_back(struct mailbox *m, struct letter *l)
{
	struct copying *k = OWNER(l, struct copying, letter);
	struct store *s = OWNER(k, struct store, copying);
	struct store_copy *c = k->asked;
	(void)m;
	loop_release(s->loop);
	int fd = finish(k);
	k->asked = NULL;
	if (c) {
		c->store = NULL;
		c->done(c, fd, fd < 0 ? &k->err : NULL);
	} else if (fd >= 0) {
		close(fd);
	}
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static void start_thread(struct copying *k)
{
	sigset_t all, before;
	sigfillset(&all);
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, &before));
	CHECK(!pthread_create(&k->thread, NULL, work, k));
	CHECK(!pthread_sigmask(SIG_SETMASK, &before, NULL));
}

static void refuse(struct later *l)
{
	struct store_copy *c = OWNER(l, struct store_copy, refusal);
	c->store = NULL;
	c->done(c, -1, &c->err);
}

static bool prepare(struct store *s, struct err *err)
{
	struct copying *k = &s->copying;
	if (k->runs)
		return err_set(err, ERR_BUSY,
		        "Another backup is being made: try again when it is finished.");
	k->err = (struct err)ERR_INIT;
	(void)unlink(k->path);
	return state_file(k->path, err) &&
	       db_open_reader(sqlite3_db_filename(s->reader.db, "main"), &k->db, err);
}

void store_copy_start(struct store *s, struct store_copy *c,
        void (*done)(struct store_copy *c, int fd, const struct err *err))
{
	struct copying *k = &s->copying;
	*c = (struct store_copy){ .done = done, .store = s };
	if (!prepare(s, &c->err)) {
		later_start(&c->refusal, s->loop, refuse);
		return;
	}
	k->asked = c;
	k->runs = true;
	loop_hold(s->loop);
	start_thread(k);
}

void store_copy_abort(struct store_copy *c)
{
	if (!c->store)
		return;
	struct copying *k = &c->store->copying;
	later_stop(&c->refusal);
	if (k->asked == c) {
		k->asked = NULL;
		sqlite3_interrupt(k->db);
	}
	c->store = NULL;
}

/* Whatever a server that was killed has left is removed. */
void copying_open(struct store *s, const char *state_dir)
{
	BUF_AUTO path = BUF_INIT(PATH_MAX);
	buf_printf(&path, "%s/everseal.db.copy", state_dir);
	CHECK(buf_ok(&path));
	s->copying.path = str_dup(buf_str(&path));
	s->copying.results = mailbox_new(s->loop, came_back);
	(void)unlink(s->copying.path);
}

void copying_close(struct store *s)
{
	struct copying *k = &s->copying;
	if (k->asked)
		store_copy_abort(k->asked);
	join(k); /* its letter is posted now, and opened by the next line */
	mailbox_free(&k->results);
	free(k->path);
}
