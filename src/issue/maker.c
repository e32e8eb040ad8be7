#include "issue/maker.h"

#include <pthread.h>

struct key_job {
	struct letter letter;
	struct list node; /* in wanted */
	struct key_maker *maker;
	struct key_making *asked; /* the loop's; NULL once aborted */
	enum key_type type;
	struct key *key;
	struct err err;
};

struct key_maker {
	struct loop *loop;
	struct mailbox *made;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct list wanted; /* by mutex */
	bool ending;        /* by mutex */
};

static struct key_job *take(struct key_maker *m)
{
	struct key_job *job = NULL;
	pthread_mutex_lock(&m->mutex);
	while (!m->ending && list_empty(&m->wanted))
		pthread_cond_wait(&m->wake, &m->mutex);
	if (!m->ending) {
		job = OWNER(list_first(&m->wanted), struct key_job, node);
		list_remove(&job->node);
	}
	pthread_mutex_unlock(&m->mutex);
	return job;
}

static void *work(void *maker)
{
	struct key_maker *m = maker;
	struct key_job *job;
	while ((job = take(m))) {
		job->key = key_new(job->type, &job->err);
		mail_post(m->made, &job->letter);
	}
	return NULL;
}

static void job_free(struct key_job *job)
{
	loop_release(job->maker->loop);
	key_free(&job->key);
	free(job);
}

static void came_back(struct mailbox *m, struct letter *letter)
{
	struct key_job *job = OWNER(letter, struct key_job, letter);
	struct key_making *k = job->asked;
	struct key *key = job->key;
	struct err err = job->err;
	(void)m;
	if (k)
		job->key = NULL;
	job_free(job);
	if (!k)
		return;
	k->job = NULL;
	k->done(k, key, key ? NULL : &err);
}

struct key_maker *key_maker_new(struct loop *loop)
{
	struct key_maker *m = mem_new(struct key_maker);
	m->loop = loop;
	m->made = mailbox_new(loop, came_back);
	list_init(&m->wanted);
	CHECK(!pthread_mutex_init(&m->mutex, NULL) && !pthread_cond_init(&m->wake, NULL));
	CHECK(!pthread_create(&m->thread, NULL, work, m));
	return m;
}

void key_maker_free(struct key_maker **maker)
{
	struct key_maker *m = *maker;
	if (!m)
		return;
	pthread_mutex_lock(&m->mutex);
	m->ending = true;
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->mutex);
	CHECK(!pthread_join(m->thread, NULL));
	mailbox_free(&m->made);
	LIST_EACH (n, &m->wanted) {
		list_remove(n);
		job_free(OWNER(n, struct key_job, node));
	}
	pthread_mutex_destroy(&m->mutex);
	pthread_cond_destroy(&m->wake);
	free(m);
	*maker = NULL;
}

void key_make(struct key_maker *m, struct key_making *k, enum key_type type,
        void (*done)(struct key_making *k, struct key *key, const struct err *err))
{
	struct key_job *job = mem_new(struct key_job);
	job->maker = m;
	job->asked = k;
	job->type = type;
	k->done = done;
	k->job = job;
	loop_hold(m->loop);
	pthread_mutex_lock(&m->mutex);
	list_add_last(&m->wanted, &job->node);
	pthread_cond_signal(&m->wake);
	pthread_mutex_unlock(&m->mutex);
}

void key_make_abort(struct key_making *k)
{
	if (k->job)
		k->job->asked = NULL;
	k->job = NULL;
}
