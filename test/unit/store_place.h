/* A store in a directory of its own, and transactions that remember how they ended: for the suites
 * of this module. */
#ifndef UNIT_STORE_PLACE_H
#define UNIT_STORE_PLACE_H

#include "store/internal.h"
#include "store/store.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

/* A state directory of its own for each case. */
struct place {
	char top[64], dir[80], db[100], wal[104];
	struct loop *loop;
	struct store *store;
	struct err err;
};

static inline void place_init(struct place *p)
{
	*p = (struct place){ 0 };
	snprintf(p->top, sizeof p->top, "/tmp/everseal-store-XXXXXX");
	assert_non_null(mkdtemp(p->top));
	snprintf(p->dir, sizeof p->dir, "%s/state", p->top);
	snprintf(p->db, sizeof p->db, "%s/everseal.db", p->dir);
	snprintf(p->wal, sizeof p->wal, "%s-wal", p->db);
	p->loop = loop_new(&clock_system);
}

static inline void run_program(const char *name, const char *argument)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execlp(name, name, "-rf", argument, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void place_done(struct place *p)
{
	store_close(&p->store);
	loop_free(&p->loop);
	run_program("rm", p->top);
}

static inline void open_store(struct place *p)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	if (!p->store)
		fail_msg("%s", p->err.text);
}

static inline void place_open(struct place *p)
{
	place_init(p);
	open_store(p);
}

static inline void refused(struct place *p, enum err_code code, const char *words)
{
	p->store = store_open(p->loop, p->dir, &p->err);
	assert_null(p->store);
	if (p->err.code != code || !strstr(p->err.text, words))
		fail_msg("wanted %s \"%s\", got %s \"%s\"", err_code_name(code), words,
		        err_code_name(p->err.code), p->err.text);
	size_t n = strlen(p->err.text);
	assert_true(n && p->err.text[n - 1] == '.');
}

/* A transaction that remembers how it ended. */
struct writing {
	struct store_tx tx;
	int ended, order;
	struct err err;
};
static int order;

static inline void writing_done(struct store_tx *tx, const struct err *err)
{
	struct writing *w = OWNER(tx, struct writing, tx);
	w->ended++;
	w->order = ++order;
	w->err = err ? *err : (struct err)ERR_INIT;
}

static inline void writing_wait(struct place *p, struct writing *w)
{
	while (!w->ended)
		loop_turn(p->loop, -1);
}

static inline void put(struct writing *w, const char *id, int64_t replaces, const char *value)
{
	store_tx_put(&w->tx, STR("site"), str_c(id), replaces, str_c(value), STR("blob"));
}

static inline void start(struct place *p, struct writing *w)
{
	w->ended = 0;
	store_tx_start(p->store, &w->tx, writing_done);
	assert_int_equal(w->ended, 0);
}

static inline void save(struct place *p, const char *id, int64_t replaces, const char *value)
{
	struct writing w = { 0 };
	put(&w, id, replaces, value);
	start(p, &w);
	writing_wait(p, &w);
	if (w.err.code)
		fail_msg("%s", w.err.text);
}

static inline int64_t version_of(struct place *p, const char *id)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	if (store_get(p->store, &a, STR("site"), str_c(id), &r, &p->err))
		return r.version;
	assert_int_equal(p->err.code, ERR_NOT_FOUND);
	return 0;
}

static inline void fill(struct place *p, int records, size_t blob_bytes)
{
	char *blob = mem_alloc(blob_bytes);
	memset(blob, 'b', blob_bytes);
	struct writing w = { 0 };
	for (int i = 0; i < records; i++) {
		char id[32];
		snprintf(id, sizeof id, "%d.example.com", i);
		store_tx_put(&w.tx, STR("site"), str_c(id), 0, STR("{}"), str_n(blob, blob_bytes));
	}
	start(p, &w);
	writing_wait(p, &w);
	assert_int_equal(w.err.code, ERR_NONE);
	free(blob);
}

#endif
