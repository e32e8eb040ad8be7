#include "portal/hashing.h"
#include <pthread.h>

struct hashing_job {
	struct letter letter;
	struct hashing_job *next;
	struct hashing *asked; /* the loop's; NULL once aborted */
	struct secret password;
	char hash[PASSWORD_HASH];
	bool compares, fits;
	struct err err;
};

static struct {
	struct loop *loop;
	struct mailbox *results;
	pthread_t thread;
	size_t waiting; /* the loop's: jobs that have not come back */
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct hashing_job *first, **last; /* by mutex */
	bool ending;                       /* by mutex */
} pool = { .mutex = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };

static struct hashing_job *take(void)
{
	pthread_mutex_lock(&pool.mutex);
	while (!pool.first && !pool.ending)
		pthread_cond_wait(&pool.wake, &pool.mutex);
	struct hashing_job *job = pool.ending ? NULL : pool.first;
	if (job) {
		pool.first = job->next;
		if (!pool.first)
			pool.last = &pool.first;
	}
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
	pool.waiting--;
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
	pool.last = &pool.first;
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
	while (pool.first) {
		struct hashing_job *job = pool.first;
		pool.first = job->next;
		pool.waiting--;
		loop_release(pool.loop);
		job_free(job);
	}
	CHECK(pool.waiting == 0);
	pool.loop = NULL;
}

bool hashing_start(struct hashing *h, struct str password, const char *hash,
        void (*done)(struct hashing *h), struct err *err)
{
	if (pool.waiting >= HASHING_MOST)
		return err_set(err, ERR_BUSY,
		        "%d passwords are being checked, and no more can wait: somebody tries many "
		        "of them. Try again in 10 seconds.",
		        HASHING_MOST);
	struct hashing_job *job = mem_new(struct hashing_job);
	job->asked = h;
	job->password = secret_copy(password);
	job->compares = hash;
	if (hash)
		snprintf(job->hash, sizeof job->hash, "%s", hash);
	h->done = done;
	h->job = job;
	pool.waiting++;
	loop_hold(pool.loop);
	pthread_mutex_lock(&pool.mutex);
	*pool.last = job;
	pool.last = &job->next;
	pthread_cond_signal(&pool.wake);
	pthread_mutex_unlock(&pool.mutex);
	return true;
}

void hashing_abort(struct hashing *h)
{
	if (h->job)
		h->job->asked = NULL;
	h->job = NULL;
}
