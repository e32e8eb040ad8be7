#include "portal/hashing.h"
#include <pthread.h>

struct hashing_job {
	struct letter letter;
	struct hashing_job *next;
	struct hashing *asked; /* the loop's; NULL once aborted */
	struct secret password;
	char hash[PASSWORD_HASH];
	enum hashing_rank rank;
	bool compares, fits;
	struct err err;
};

static struct {
	struct loop *loop;
	struct mailbox *results;
	pthread_t thread;
	size_t waiting[HASHING_RANKS]; /* the loop's: jobs that have not come back */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct queue {
		struct hashing_job *first, **last;
	} queues[HASHING_RANKS]; /* by mutex */
	bool ending;             /* by mutex */
} pool = { .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

/* The next one of the highest rank that has any, or NULL. */
static struct hashing_job *next_job(void)
{
	for (size_t rank = HASHING_RANKS; rank--;) {
		struct queue *q = &pool.queues[rank];
		struct hashing_job *job = q->first;
		if (!job)
			continue;
		q->first = job->next;
		if (!q->first)
			q->last = &q->first;
		return job;
	}
	return NULL;
}

static struct hashing_job *take(void)
{
	struct hashing_job *job = NULL;
	pthread_mutex_lock(&pool.mutex);
	while (!pool.ending && !(job = next_job()))
		pthread_cond_wait(&pool.wake, &pool.mutex);
	pthread_mutex_unlock(&pool.mutex);
	return job;
}

static void *work(void *unused)
{
	struct hashing_job *job;
	(void)unused;
	while ((job = take())) {
		struct str password = secret_bytes(&job->password);
		if (job->compares)
			job->fits = password_fits(job->hash, password);
		else
			job->fits = password_hash(password, job->hash, &job->err);
		mail_post(pool.results, &job->letter);
	}
	return NULL;
}

static void job_free(struct hashing_job *job)
{
	secret_done(&job->password);
	wipe(job->hash, sizeof job->hash);
	free(job);
}

static void came_back(struct mailbox *m, struct letter *letter)
{
	struct hashing_job *job = OWNER(letter, struct hashing_job, letter);
	struct hashing *h = job->asked;
	(void)m;
	pool.waiting[job->rank]--;
	loop_release(pool.loop);
	if (h) {
		h->job = NULL;
		h->fits = job->fits;
		h->err = job->err;
		memcpy(h->hash, job->hash, sizeof h->hash);
	}
	job_free(job);
	if (h)
		h->done(h);
}

void hashing_open(struct loop *loop)
{
	pool.loop = loop;
	pool.results = mailbox_new(loop, came_back);
	for (size_t rank = 0; rank < HASHING_RANKS; rank++)
		pool.queues[rank].last = &pool.queues[rank].first;
	pool.ending = false;
	CHECK(pthread_create(&pool.thread, NULL, work, NULL) == 0);
}

void hashing_close(void)
{
	if (!pool.loop)
		return;
	pthread_mutex_lock(&pool.mutex);
	pool.ending = true;
	pthread_cond_signal(&pool.wake);
	pthread_mutex_unlock(&pool.mutex);
	pthread_join(pool.thread, NULL);
	mailbox_free(&pool.results);
	for (struct hashing_job *job; (job = next_job());) {
		pool.waiting[job->rank]--;
		loop_release(pool.loop);
		job_free(job);
	}
	for (size_t rank = 0; rank < HASHING_RANKS; rank++)
		CHECK(pool.waiting[rank] == 0);
	pool.loop = NULL;
}

static void enqueue(struct hashing_job *job)
{
	struct queue *q = &pool.queues[job->rank];
	pool.waiting[job->rank]++;
	loop_hold(pool.loop);
	pthread_mutex_lock(&pool.mutex);
	*q->last = job;
	q->last = &job->next;
	pthread_cond_signal(&pool.wake);
	pthread_mutex_unlock(&pool.mutex);
}

bool hashing_start(
        struct hashing *h, struct hashing_of what, void (*done)(struct hashing *h), struct err *err)
{
	if (pool.waiting[what.rank] >= HASHING_MOST)
		return err_set(err, ERR_BUSY,
		        "%d passwords are being checked, and no more can wait: somebody tries many "
		        "of them. Try again in 10 seconds.",
		        HASHING_MOST);
	struct hashing_job *job = mem_new(struct hashing_job);
	job->asked = h;
	job->rank = what.rank;
	job->password = secret_copy(what.password);
	job->compares = what.hash;
	if (what.hash)
		snprintf(job->hash, sizeof job->hash, "%s", what.hash);
	h->done = done;
	h->job = job;
	enqueue(job);
	return true;
}

void hashing_abort(struct hashing *h)
{
	if (h->job)
		h->job->asked = NULL;
	h->job = NULL;
}
