#include "store.h"
#include "base/buf.h"
#include "db.h"
#include "internal.h"
#include "state.h"
#include <limits.h>

static struct store_batch *take(struct store *s)
{
	pthread_mutex_lock(&s->mutex);
	while (!s->queue && !s->ending)
		pthread_cond_wait(&s->wake, &s->mutex);
	struct store_batch *b = s->queue;
	if (b) {
		s->queue = b->next;
		if (!s->queue)
			s->queue_end = &s->queue;
	}
	pthread_mutex_unlock(&s->mutex);
	return b;
}

static void *work(void *store)
{
	struct store *s = store;
	for (struct store_batch *b; (b = take(s));) {
		writer_commit(&s->writer, b);
		mail_post(s->results, &b->letter);
	}
	return NULL;
}

/* Signals are the loop's: the thread starts with all of them blocked. */
static void start_thread(struct store *s)
{
	sigset_t all, before;
	sigfillset(&all);
	CHECK(!pthread_mutex_init(&s->mutex, NULL) && !pthread_cond_init(&s->wake, NULL));
	CHECK(!pthread_sigmask(SIG_SETMASK, &all, &before));
	CHECK(!pthread_create(&s->thread, NULL, work, s));
	CHECK(!pthread_sigmask(SIG_SETMASK, &before, NULL));
}

static void end_thread(struct store *s)
{
	pthread_mutex_lock(&s->mutex);
	s->ending = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
	CHECK(!pthread_join(s->thread, NULL));
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
}

static void hand_over(struct later *l)
{
	struct store *s = OWNER(l, struct store, hand_over);
	struct store_batch *b = s->filling;
	s->filling = NULL;
	pthread_mutex_lock(&s->mutex);
	*s->queue_end = b;
	s->queue_end = &b->next;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

void store_tx_start(struct store *s, struct store_tx *tx,
        void (*done)(struct store_tx *tx, const struct err *err))
{
	CHECK(!tx->store);
	if (!tx->write)
		tx->write = mem_new(struct store_write);
	tx->write->tx = tx;
	tx->done = done;
	tx->store = s;
	if (!s->filling) {
		s->filling = mem_new(struct store_batch);
		s->filling->store = s;
		loop_hold(s->loop);
		later_start(&s->hand_over, s->loop, hand_over);
	}
	batch_add(s->filling, tx->write);
}

/* A watcher may stop and free any watch, its own as well, or start new ones, which hear of the next
 * change only: marks in the list hold our place. */
static void tell_watches(struct store *s, const struct store_op *op)
{
	struct list here = { 0 }, end = { 0 };
	list_add_first(&s->watches, &here);
	list_add_last(&s->watches, &end);
	while (here.next != &end) {
		struct list *next = here.next;
		struct store_watch *w = OWNER(next, struct store_watch, node);
		list_remove(&here);
		list_add_first(next, &here);
		if (!w->kind.n || str_eq(w->kind, op->kind))
			w->changed(w, op->kind, op->id, op->removes ? 0 : op->replaces + 1);
	}
	list_remove(&here);
	list_remove(&end);
}

static void settle(struct store *s, struct store_write *write)
{
	for (struct store_op *op = write->first; op && !write->err && !s->closing; op = op->next)
		tell_watches(s, op);
	struct store_tx *tx = write->tx;
	if (!tx)
		return;
	write->tx = NULL;
	tx->store = NULL;
	tx->write = NULL;
	if (!s->closing)
		tx->done(tx, write->err);
}

static void open_result(struct mailbox *m, struct letter *l)
{
	(void)m;
	struct store_batch *b = OWNER(l, struct store_batch, letter);
	struct store *s = b->store;
	loop_release(s->loop);
	s->settling = true;
	for (struct store_write *w = b->first; w; w = w->next)
		settle(s, w);
	s->settling = false;
	batch_free(&b);
}

void store_watch_start(struct store *s, struct store_watch *w, struct str kind,
        void (*changed)(struct store_watch *w, struct str kind, struct str id, int64_t version))
{
	*w = (struct store_watch){ .kind = kind, .changed = changed };
	list_add_last(&s->watches, &w->node);
}

void store_watch_stop(struct store_watch *w)
{
	list_remove(&w->node);
}

static bool open_files(struct store *s, const char *dir, struct err *err)
{
	BUF_AUTO path = BUF_INIT(PATH_MAX);
	buf_printf(&path, "%s/everseal.db", dir);
	if (!buf_ok(&path))
		return err_set(err, ERR_INPUT, "The name of the state directory is too long.");
	return state_make(dir, err) && state_lock(dir, &s->lock_fd, err) &&
	       writer_open(&s->writer, buf_c(&path), err) &&
	       reader_open(&s->reader, buf_c(&path), err);
}

/* The writer last: it checkpoints what there is when it closes, the reader never does. */
static void close_files(struct store *s)
{
	reader_close(&s->reader);
	writer_close(&s->writer);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

struct store *store_open(struct loop *loop, const char *state_dir, struct err *err)
{
	struct store *s = mem_new(struct store);
	s->loop = loop;
	s->lock_fd = -1;
	s->queue_end = &s->queue;
	list_init(&s->watches);
	if (!open_files(s, state_dir, err)) {
		close_files(s);
		free(s);
		return NULL;
	}
	s->results = mailbox_new(loop, open_result);
	copying_open(s, state_dir);
	start_thread(s);
	return s;
}

int store_went_back(const struct store *s)
{
	return s->writer.back;
}

bool store_proven(struct store *s, struct err *err)
{
	return db_proven(s->reader.db, &db_schema, err);
}

void store_close(struct store **store)
{
	struct store *s = *store;
	if (!s)
		return;
	CHECK(!s->settling);
	s->closing = true;
	if (s->filling) {
		later_stop(&s->hand_over);
		hand_over(&s->hand_over);
	}
	copying_close(s);
	end_thread(s);
	mailbox_free(&s->results);
	LIST_EACH (node, &s->watches)
		list_remove(node);
	close_files(s);
	free(s);
	*store = NULL;
}
