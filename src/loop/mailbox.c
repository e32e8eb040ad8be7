#include "loop/inside.h"

#include "base/err.h"
#include <pthread.h>
#include <sys/eventfd.h>

struct letters {
	struct letter *first, **end;
};

struct mailbox {
	struct watch watch;
	void (*open)(struct mailbox *m, struct letter *l);
	struct letter *opening; /* taken out, still to be opened, in order */
	bool delivering;        /* its memory is needed until that is done */
	bool freed;             /* meanwhile */
	pthread_mutex_t lock;   /* guards posted */
	struct letters posted;
};

static struct letter *take_posted(struct mailbox *m)
{
	CHECK(pthread_mutex_lock(&m->lock) == 0);
	struct letter *first = m->posted.first;
	m->posted = (struct letters){ .end = &m->posted.first };
	CHECK(pthread_mutex_unlock(&m->lock) == 0);
	return first;
}

static void destroy(struct mailbox *m)
{
	close(m->watch.fd);
	CHECK(pthread_mutex_destroy(&m->lock) == 0);
	free(m);
}

static void open_all(struct mailbox *m)
{
	while (m->opening) {
		struct letter *l = m->opening;
		m->opening = l->next;
		l->next = NULL;
		m->open(m, l);
	}
}

/* The eventfd is never read: it is edge-triggered, so that each write is told once. A letter posted
 * while these are opened finds nothing posted and writes again. */
static void deliver(struct watch *w, unsigned events)
{
	struct mailbox *m = OWNER(w, struct mailbox, watch);
	(void)events;
	m->delivering = true;
	m->opening = take_posted(m);
	open_all(m);
	m->delivering = false;
	if (m->freed)
		destroy(m);
}

struct mailbox *mailbox_new(struct loop *loop, void (*open)(struct mailbox *m, struct letter *l))
{
	struct mailbox *m = mem_new(struct mailbox);
	m->open = open;
	m->posted.end = &m->posted.first;
	CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
	m->watch.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(m->watch.fd >= 0);
	m->watch.ready = deliver;
	watch_begin(&m->watch, loop, EPOLLIN | EPOLLET);
	return m;
}

void mailbox_free(struct mailbox **mailbox)
{
	struct mailbox *m = *mailbox;
	if (!m)
		return;
	*mailbox = NULL;
	open_all(m);
	m->opening = take_posted(m);
	open_all(m);
	watch_stop(&m->watch);
	if (m->delivering)
		m->freed = true;
	else
		destroy(m);
}

void mail_post(struct mailbox *m, struct letter *l)
{
	l->next = NULL;
	CHECK(pthread_mutex_lock(&m->lock) == 0);
	const bool first = !m->posted.first;
	*m->posted.end = l;
	m->posted.end = &l->next;
	/* Within the lock: the letter's opening may end the mailbox's life. */
	if (first)
		CHECK(eventfd_write(m->watch.fd, 1) == 0);
	CHECK(pthread_mutex_unlock(&m->lock) == 0);
}
