/* libcurl expects to be told of a socket for as long as it is ready (level-triggered); the loop
 * tells of changes. So libcurl's sockets are in an epoll of their own, which lies in the loop's:
 * when that tells of a change, it is emptied. */
#include "fetcher/fetcher.h"
#include <errno.h>
#include <sys/epoll.h>

enum { ROUND_MOST = 16, EVENTS = 16, CONNECTIONS_KEPT = 32, CONNECTIONS_PER_HOST = 8 };

static void collect(struct engine *e)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(e->multi, &left));)
		if (m->msg == CURLMSG_DONE)
			e->finished(e, m->easy_handle, m->data.result);
}

static void act(struct engine *e, curl_socket_t socket, int events)
{
	int running;
	curl_multi_socket_action(e->multi, socket, events, &running);
	collect(e);
}

static int bits_of(uint32_t events)
{
	int bits = 0;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP))
		bits |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		bits |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		bits |= CURL_CSELECT_ERR;
	return bits;
}

static void empty(struct engine *e);

static void empty_rest(struct later *rest)
{
	empty(OWNER(rest, struct engine, rest));
}

/* One socket's action may close another, whose event then is for nobody: one at a time. */
static void empty(struct engine *e)
{
	for (int i = 0; i < ROUND_MOST * EVENTS; i++) {
		struct epoll_event event;
		int n = epoll_wait(e->sockets, &event, 1, 0);
		if (n == 0)
			return;
		if (n > 0)
			act(e, event.data.fd, bits_of(event.events));
	}
	later_start(&e->rest, e->loop, empty_rest);
}

static void ready(struct watch *w, unsigned events)
{
	(void)events;
	empty(OWNER(w, struct engine, watch));
}

static void due(struct timer *t)
{
	act(OWNER(t, struct engine, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *engine)
{
	struct engine *e = engine;
	(void)multi;
	timer_stop(&e->timer);
	if (ms >= 0)
		timer_start(&e->timer, e->loop, ms, due);
	return 0;
}

static int set_socket(CURL *easy, curl_socket_t socket, int what, void *engine, void *known)
{
	struct engine *e = engine;
	(void)easy;
	(void)known;
	struct epoll_event event = { .data.fd = socket };
	if (what == CURL_POLL_REMOVE) {
		/* It may be closed already, and then is out of the epoll by itself. */
		epoll_ctl(e->sockets, EPOLL_CTL_DEL, socket, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		event.events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		event.events |= EPOLLOUT;
	if (epoll_ctl(e->sockets, EPOLL_CTL_MOD, socket, &event) < 0 && errno == ENOENT)
		CHECK(epoll_ctl(e->sockets, EPOLL_CTL_ADD, socket, &event) == 0);
	return 0;
}

void engine_init(struct engine *e, struct loop *loop,
        void (*finished)(struct engine *e, CURL *easy, CURLcode code))
{
	*e = (struct engine){ .loop = loop, .finished = finished };
	e->multi = curl_multi_init();
	e->sockets = epoll_create1(EPOLL_CLOEXEC);
	CHECK(e->multi && e->sockets >= 0);
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(e->multi, CURLMOPT_SOCKETDATA, e);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(e->multi, CURLMOPT_TIMERDATA, e);
	curl_multi_setopt(e->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
	curl_multi_setopt(e->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	curl_multi_setopt(e->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_PER_HOST);
	watch_start(&e->watch, loop, e->sockets, ready);
}

void engine_done(struct engine *e)
{
	curl_multi_cleanup(e->multi);
	timer_stop(&e->timer);
	later_stop(&e->rest);
	watch_stop(&e->watch);
	close(e->sockets);
}
