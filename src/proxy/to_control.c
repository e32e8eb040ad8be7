/* Requests that control answers, each client's connection on a channel of its own. */
#include "proxy/passage.h"
#include "proxy/proxy.h"

#include "base/err.h"
#include <sys/socket.h>

/* Kept for the client's connection. With one exchange at a time (the page's serve offers no HTTP/2)
 * one channel is all there is. */
struct to_control {
	struct keepsake kept;
	struct pool pool;
	struct sockaddr_storage client;
	bool tls, temporary;
};

/* The event takes the far end; if there is no control, or no room, it is closed and meets us as a
 * connection that has ended. */
static struct conn *dial(struct pool *pool)
{
	const struct to_control *t = OWNER(pool, struct to_control, pool);
	struct worker *w = pool->pools->worker;
	int ends[2];
	char client[ADDRESS_TEXT];
	if (!w->tell ||
	        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
		return NULL;
	worker_tell(w, connection, .client = str_c(address_text(&t->client, client)), .tls = t->tls,
	        .temporary = t->temporary, .fd = ends[1]);
	return conn_tcp_new(w->loop, ends[0]);
}

static void free_kept(struct keepsake *k)
{
	struct to_control *t = OWNER(k, struct to_control, kept);
	pool_done(&t->pool);
	free(t);
}

static struct to_control *of_connection(struct exchange *ex)
{
	if (*ex->kept)
		return OWNER(*ex->kept, struct to_control, kept);
	struct to_control *t = mem_new(struct to_control);
	t->kept.free = free_kept;
	t->client = ex->client;
	t->tls = ex->tls;
	t->temporary = ex->temporary;
	pool_init(&t->pool, ex->worker->proxy, dial);
	*ex->kept = &t->kept;
	return t;
}

#define CONTROL_IS_AWAY "Everseal's control process does not answer just now."
#define TRY_AGAIN       "It is started again by itself: try again in a second."

void control_failed(struct exchange *ex, bool responded)
{
	if (responded)
		exchange_abort(ex, CONTROL_IS_AWAY);
	else if (str_starts(ex->request.path, STR("/api")))
		exchange_answer_text(ex, 503, STR("application/json"),
		        STR("{\"code\":\"busy\",\"message\":\"" CONTROL_IS_AWAY
		            "\",\"remedy\":\"" TRY_AGAIN "\",\"details\":{}}\n"));
	else
		exchange_answer(ex, 503, CONTROL_IS_AWAY " " TRY_AGAIN);
}

static void start(struct exchange *ex)
{
	struct passage *p = passage_new(ex);
	p->own = &of_connection(ex)->pool;
	p->request = ex->request;
	p->request.keep_alive = true;
	p->request.websocket = p->request.trailers = false;
	passage_start(p);
}

const struct handler control_handler = { .start = start };
