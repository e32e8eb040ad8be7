#include "server/worker.h"
#include "server/auth.h"
#include "server/client.h"
#include "server/demand.h"
#include "server/listener.h"
#include <sys/socket.h>

enum { FRAMES_CEILING = 64 << 20 }; /* an HTTP/2 session makes about 64 KiB at once */

void worker_init(struct worker *w, struct loop *loop)
{
	w->loop = loop;
	w->scratch = mem_alloc(WORKER_SCRATCH);
	w->intake = mem_alloc(WORKER_SCRATCH);
	w->frames = BUF(FRAMES_CEILING);
	list_init(&w->spare);
	list_init(&w->connections);
	list_init(&w->listeners);
}

static struct client *client_of(struct list *node)
{
	return OWNER(node, struct client, node);
}

void worker_done(struct worker *w)
{
	w->draining = true;
	listeners_stop(w);
	while (!list_empty(&w->connections)) {
		struct client *c = client_of(list_first(&w->connections));
		client_reset(c);
	}
	generation_unref(&w->generation);
	access_log_done(w);
	counts_done(&w->counts);
	map_done(&w->places);
	rates_done(&w->rates);
	told_done(&w->told);
	auth_free(&w->auth);
	demands_free(&w->demands);
	free(w->scratch);
	free(w->intake);
	buf_done(&w->frames);
	http2_session_spare_done(w);
}

static bool listens(int fd)
{
	int yes = 0;
	socklen_t size = sizeof yes;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes;
}

bool worker_prepare(const struct worker *w, const struct generation *g, struct err *err)
{
	for (size_t i = 0; i < g->listener_count; i++) {
		const struct listener_row *l = &g->listeners[i];
		if (!listens(l->fd))
			return err_set(err, ERR_INPUT,
			        "The socket for %.*s, port %u, does not listen.",
			        STR_ARG(l->address), l->port);
		if (l->tls && !w->tls)
			return err_set(err, ERR_INPUT, "This process serves no TLS.");
	}
	return true;
}

struct generation *worker_commit(struct worker *w, struct generation *g)
{
	struct generation *before = w->generation;
	w->generation = g;
	listeners_replace(w);
	return before;
}

void worker_drain(struct worker *w, bool patient)
{
	w->draining = true;
	w->patient = patient;
	listeners_stop(w);
	LIST_EACH (node, &w->connections) {
		struct client *c = client_of(node);
		if (c->session)
			c->session->ops->drain(c->session);
		else if (!patient)
			client_free(c);
	}
}

struct str worker_date(struct worker *w)
{
	int64_t second = loop_wall(w->loop) / SECOND;
	if (second != w->date_second) {
		time_t t = (time_t)second;
		struct tm tm;
		gmtime_r(&t, &tm);
		/* The process never sets a locale, so the names are English. */
		(void)strftime(w->date, sizeof w->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
		w->date_second = second;
	}
	return str_c(w->date);
}
