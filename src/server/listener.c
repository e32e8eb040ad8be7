#include "server/listener.h"
#include "base/log.h"
#include "server/client.h"
#include <errno.h>

enum { ACCEPTS_PER_EVENT = 16, PAUSE = 100 };

struct listener {
	struct list node;
	struct worker *worker;
	struct watch watch;
	const struct listener_row *row; /* of the worker's current generation */
};

static struct listener *listener_of(struct list *node)
{
	return OWNER(node, struct listener, node);
}

static void pause_accepting(struct worker *w)
{
	w->accepting = false;
	LIST_EACH (node, &w->listeners)
		watch_stop(&listener_of(node)->watch);
}

static bool lacks_descriptors(const struct worker *w)
{
	return w->clients_most > 0 && w->connection_count >= w->clients_most;
}

static bool is_full(const struct worker *w)
{
	return lacks_descriptors(w) ||
	       w->connection_count >= w->generation->limits.connections_per_worker;
}

static void resume(struct worker *w);

static void try_again(struct timer *t)
{
	resume(OWNER(t, struct worker, accept_again));
}

static void tell_shortage(struct worker *w, const struct err *why)
{
	int64_t now = loop_mono(w->loop);
	if (w->shortage_told != 0 && now - w->shortage_told < MINUTE)
		return;
	w->shortage_told = now;
	worker_tell(w, log, .level = LOG_WARNING, .text = str_c(why->text));
}

/* Accepting is what is given up when descriptors or memory run out; those who wait stay in the
 * socket's queue. */
static void pause_for_a_moment(struct worker *w, int number)
{
	struct err err;
	(void)err_sys(&err, ERR_LIMIT, number,
	        "A connection cannot be accepted, those who wait are tried again at once");
	tell_shortage(w, &err);
	pause_accepting(w);
	timer_start(&w->accept_again, w->loop, PAUSE, try_again);
}

/* The page's serve, which whoever holds many connections must not close to everybody else. */
static bool has_the_page(const struct worker *w)
{
	const struct site *s = w->generation->fallback;
	return s && s->kind == SITE_CONTROL;
}

/* Until a connection ends, or, before the page, one of them has no request under way any more. */
static void pause_until_there_is_room(struct worker *w)
{
	struct err err;
	(void)err_set(&err, ERR_LIMIT,
	        "A worker holds %zu connections, as many as the limit of open files (ulimit -n) "
	        "allows: further ones wait.",
	        w->connection_count);
	if (lacks_descriptors(w))
		tell_shortage(w, &err);
	pause_accepting(w);
	if (has_the_page(w))
		timer_start(&w->accept_again, w->loop, PAUSE, try_again);
}

static void acceptable(struct watch *watch, unsigned events)
{
	(void)events;
	struct listener *l = OWNER(watch, struct listener, watch);
	struct worker *w = l->worker;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct sockaddr_storage peer;
		int fd = conn_accept(watch->fd, &peer);
		if (fd == -EAGAIN)
			return;
		if (fd < 0) {
			pause_for_a_moment(w, -fd);
			return;
		}
		client_new(w, conn_tcp_new(w->loop, fd), &peer, l->row);
		if (is_full(w) && !(has_the_page(w) && listeners_make_room(w))) {
			pause_until_there_is_room(w);
			return;
		}
	}
}

/* Who is let go makes this worker accept again: listeners_room. */
static void make_room_or_wait(struct worker *w)
{
	if (has_the_page(w) && !listeners_make_room(w))
		timer_start(&w->accept_again, w->loop, PAUSE, try_again);
}

static void resume(struct worker *w)
{
	timer_stop(&w->accept_again);
	if (w->accepting || w->draining || !w->generation)
		return;
	if (is_full(w)) {
		make_room_or_wait(w);
		return;
	}
	w->accepting = true;
	LIST_EACH (node, &w->listeners) {
		struct listener *l = listener_of(node);
		watch_start_listener(&l->watch, w->loop, l->row->fd, acceptable);
	}
}

void listeners_room(struct worker *w)
{
	if (!w->accepting && !timer_active(&w->accept_again))
		resume(w);
}

void listeners_stop(struct worker *w)
{
	pause_accepting(w);
	timer_stop(&w->accept_again);
	LIST_EACH (node, &w->listeners) {
		list_remove(node);
		free(listener_of(node));
	}
}

void listeners_replace(struct worker *w)
{
	listeners_stop(w);
	for (size_t i = 0; i < w->generation->listener_count; i++) {
		struct listener *l = mem_new(struct listener);
		l->worker = w;
		l->row = &w->generation->listeners[i];
		conn_listener_use(l->row->fd);
		list_add_last(&w->listeners, &l->node);
	}
	resume(w);
}
