/* One message and its answer: servers in turn, by UDP, then TCP. */
#include "base/clock.h"
#include "dns/dns.h"
#include "net/address.h"
#include <errno.h>
#include <sys/random.h>

enum { ROUNDS = 2, ANSWER_MOST = 65535 };
static const int64_t waits[ROUNDS] = { 1500, 3000 };

static void ask(struct dns_exchange *x);

static void hang_up(struct dns_exchange *x)
{
	timer_stop(&x->patience);
	if (x->fd < 0)
		return;
	watch_stop(&x->watch);
	close(x->fd);
	x->fd = -1;
}

static void stop(struct dns_exchange *x)
{
	hang_up(x);
	timer_stop(&x->deadline);
	later_stop(&x->start);
	buf_done(&x->out);
	buf_done(&x->in);
	x->ms = loop_mono(x->loop) - x->began;
	x->loop = NULL;
}

static void finish(struct dns_exchange *x, enum dns_outcome outcome)
{
	stop(x);
	x->done(x, outcome);
}

/* The next server, and then the next round; what the last of them said counts. */
static void ask_another(struct dns_exchange *x, enum dns_outcome said)
{
	hang_up(x);
	x->tcp = false;
	if (said != DNS_SILENT || x->worst == DNS_SILENT)
		x->worst = said;
	if (++x->next_server == x->servers.count) {
		x->next_server = 0;
		x->tries++;
	}
	/* Who has answered with an error once will not change his mind within seconds. */
	if (x->tries >= ROUNDS || (x->tries && x->worst != DNS_SILENT))
		finish(x, x->worst);
	else
		ask(x);
}

static void ask_by_tcp(struct dns_exchange *x)
{
	hang_up(x);
	x->tcp = true;
	ask(x);
}

static void ask_anew(struct dns_exchange *x)
{
	hang_up(x);
	x->next_server = 0;
	x->tries = 0;
	x->tcp = false;
	x->worst = DNS_SILENT;
	ask(x);
}

/* ---- the socket ---- */

/* Somebody who does not answer by UDP may do so by TCP: the last round is tried both ways. */
static void patience(struct timer *t)
{
	struct dns_exchange *x = OWNER(t, struct dns_exchange, patience);
	if (!x->tcp && x->tcp_last && x->tries == ROUNDS - 1)
		ask_by_tcp(x);
	else
		ask_another(x, DNS_SILENT);
}

static void deadline(struct timer *t)
{
	struct dns_exchange *x = OWNER(t, struct dns_exchange, deadline);
	finish(x, x->worst);
}

/* False: that was not for us, the right answer may still come. Else the exchange has moved on, and
 * may be gone. */
static bool heard(struct dns_exchange *x, struct str bytes)
{
	enum dns_outcome outcome = DNS_GARBLED;
	enum dns_heard what = x->heard(x, bytes, &outcome);
	if (what == DNS_HEARD_CUT && x->tcp)
		what = DNS_HEARD_END;
	switch (what) {
	case DNS_HEARD_FOREIGN:
		if (!x->tcp)
			return false;
		ask_another(x, DNS_GARBLED);
		break;
	case DNS_HEARD_CUT:
		ask_by_tcp(x);
		break;
	case DNS_HEARD_ERROR:
		ask_another(x, outcome);
		break;
	case DNS_HEARD_AGAIN:
		ask_anew(x);
		break;
	case DNS_HEARD_END:
		finish(x, outcome);
		break;
	}
	return true;
}

static void ready_udp(struct watch *w, unsigned events)
{
	struct dns_exchange *x = OWNER(w, struct dns_exchange, watch);
	static char bytes[ANSWER_MOST];
	(void)events;
	for (;;) {
		ssize_t n = recv(x->fd, bytes, sizeof bytes, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n < 0) {
			ask_another(x, DNS_SILENT); /* nobody listens there */
			return;
		}
		if (heard(x, str_n(bytes, (size_t)n)))
			return;
	}
}

/* RFC 1035 4.2.2: two bytes of length before the message. */
static bool whole(const struct buf *in, struct str *ret_message)
{
	const unsigned char *p = (const unsigned char *)in->p;
	if (in->n < 2)
		return false;
	size_t n = (size_t)p[0] << 8 | p[1];
	*ret_message = str_head(str_from(buf_str(in), 2), n);
	return in->n - 2 >= n;
}

static void send_rest(struct dns_exchange *x)
{
	while (x->out.n) {
		ssize_t n = send(x->fd, x->out.p, x->out.n, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		buf_consume(&x->out, (size_t)n);
	}
}

static void ready_tcp(struct watch *w, unsigned events)
{
	struct dns_exchange *x = OWNER(w, struct dns_exchange, watch);
	struct str message;
	(void)events;
	send_rest(x);
	for (;;) {
		char *room = buf_room(&x->in, 4096);
		ssize_t n = room ? recv(x->fd, room, 4096, 0) : 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			ask_another(x, DNS_SILENT);
			return;
		}
		buf_grew(&x->in, (size_t)n);
		if (!whole(&x->in, &message))
			continue;
		heard(x, message);
		return;
	}
}

static bool open_socket(struct dns_exchange *x)
{
	const struct sockaddr_storage *to = &x->servers.at[x->next_server];
	const int kind = (x->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
	x->fd = socket(to->ss_family, kind, 0);
	if (x->fd < 0)
		return false;
	address_text_port(to, x->server);
	const bool connected = !connect(x->fd, (const struct sockaddr *)to, address_size(to));
	watch_start(&x->watch, x->loop, x->fd, x->tcp ? ready_tcp : ready_udp);
	return connected || errno == EINPROGRESS;
}

static bool make_message(struct dns_exchange *x)
{
	BUF_AUTO message = BUF(DNS_MESSAGE_MOST);
	buf_clear(&x->out);
	buf_clear(&x->in);
	CHECK(getrandom(&x->id, sizeof x->id, 0) == sizeof x->id);
	if (!x->make(x, &message))
		return false;
	if (x->tcp) {
		buf_add_char(&x->out, (char)(message.n >> 8));
		buf_add_char(&x->out, (char)message.n);
	}
	buf_add_buf(&x->out, &message);
	return true;
}

static void ask(struct dns_exchange *x)
{
	if (!make_message(x)) {
		finish(x, DNS_NO_NAME);
		return;
	}
	timer_start(&x->patience, x->loop, waits[x->tries], patience);
	/* Without a way to that server the wait is cut short, in a turn of its own. */
	if (!open_socket(x))
		timer_start(&x->patience, x->loop, 0, patience);
	else if (!x->tcp && send(x->fd, x->out.p, x->out.n, MSG_NOSIGNAL) < 0)
		timer_start(&x->patience, x->loop, 0, patience);
}

/* ---- its life ---- */

static void begin(struct later *later)
{
	struct dns_exchange *x = OWNER(later, struct dns_exchange, start);
	if (x->servers.count)
		ask(x);
	else
		finish(x, DNS_NO_SERVER);
}

void dns_exchange_start(struct dns_exchange *x, struct loop *loop)
{
	x->loop = loop;
	x->fd = -1;
	x->began = loop_mono(loop);
	x->worst = DNS_SILENT;
	x->tries = 0;
	x->next_server = 0;
	x->tcp = false;
	x->out = BUF(DNS_MESSAGE_MOST + 2);
	x->in = BUF(ANSWER_MOST + 2 + 4096);
	timer_start(&x->deadline, loop, x->timeout, deadline);
	later_start(&x->start, loop, begin);
}

void dns_exchange_abort(struct dns_exchange *x)
{
	if (x->loop)
		stop(x);
}
