/* The delegated zones: answered by UDP and TCP, from the table that control has told of. When there
 * are more questions than CAs would ask, answers by UDP are no longer than these, and say to ask by
 * TCP: nobody can be flooded by us in another's name. */
#include "base/clock.h"
#include "fetcher/fetcher.h"
#include <errno.h>
#include <netinet/in.h>

enum {
	FREELY = 200, /* answers by UDP in a second */
	CLIENTS_MOST = 64,
	QUESTION_MOST = 4096,
	ROUND_MOST = 64,
	VALUES_MOST = 4096
};
#define CLIENT_TIME (10 * SECOND)

struct responder_socket {
	struct list node;
	struct responder *responder;
	int fd;
	struct watch watch;
	struct later rest;
};

/* Somebody who asks by TCP. */
struct responder_client {
	struct list node;
	struct responder *responder;
	int fd;
	struct watch watch;
	struct timer patience;
	struct buf in, out;
};

/* ---- UDP ---- */

static size_t most_by_udp(struct responder *r)
{
	const int64_t now = loop_mono(r->loop);
	if (now - r->second >= SECOND) {
		r->second = now;
		r->answered = 0;
	}
	return r->answered++ < FREELY ? DNS_REPLY_MOST : 0;
}

/* The answer leaves from the address that was asked; by which way, the routes say. */
static void answer_from_there(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		const unsigned none = 0;
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
			memcpy(CMSG_DATA(c) + offsetof(struct in_pktinfo, ipi_ifindex), &none,
			        sizeof none);
	}
}

static bool answer_one(struct responder_socket *s)
{
	static char bytes[QUESTION_MOST];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	} control;
	struct sockaddr_storage from;
	struct iovec iov = { bytes, sizeof bytes };
	struct msghdr h = { .msg_name = &from,
		.msg_namelen = sizeof from,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof control.room };
	BUF_AUTO out = BUF(DNS_REPLY_MOST);
	struct responder *r = s->responder;
	const ssize_t n = recvmsg(s->fd, &h, MSG_DONTWAIT);
	if (n < 0)
		return errno != EAGAIN && errno != EWOULDBLOCK;
	if (h.msg_flags & MSG_TRUNC ||
	        !dns_zone_answer(r->zones, r->count, str_n(bytes, (size_t)n), most_by_udp(r), &out))
		return true;
	answer_from_there(&h);
	iov = (struct iovec){ out.p, out.n };
	(void)!sendmsg(s->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

static void answer_all(struct responder_socket *s);

static void rest(struct later *l)
{
	answer_all(OWNER(l, struct responder_socket, rest));
}

static void answer_all(struct responder_socket *s)
{
	for (int i = 0; i < ROUND_MOST; i++)
		if (!answer_one(s))
			return;
	later_start(&s->rest, s->responder->loop, rest);
}

static void udp_ready(struct watch *w, unsigned events)
{
	(void)events;
	answer_all(OWNER(w, struct responder_socket, watch));
}

/* ---- TCP ---- */

static void client_free(struct responder_client *c)
{
	watch_stop(&c->watch);
	timer_stop(&c->patience);
	close(c->fd);
	list_remove(&c->node);
	c->responder->client_count--;
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
}

static void impatient(struct timer *t)
{
	client_free(OWNER(t, struct responder_client, patience));
}

/* False: it is not to be gone on with. */
static bool answer_client(struct responder_client *c)
{
	const struct responder *r = c->responder;
	while (c->in.n >= 2) {
		const size_t n = (size_t)(unsigned char)c->in.p[0] << 8 | (unsigned char)c->in.p[1];
		BUF_AUTO out = BUF(UINT16_MAX);
		if (n > QUESTION_MOST)
			return false;
		if (c->in.n - 2 < n)
			return true;
		if (!dns_zone_answer(r->zones, r->count, str_n(c->in.p + 2, n), UINT16_MAX, &out))
			return false;
		buf_add_char(&c->out, (char)(out.n >> 8));
		buf_add_char(&c->out, (char)out.n);
		buf_add_buf(&c->out, &out);
		buf_consume(&c->in, 2 + n);
	}
	return buf_ok(&c->out);
}

static bool send_answers(struct responder_client *c)
{
	while (c->out.n) {
		const ssize_t n = send(c->fd, c->out.p, c->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		buf_consume(&c->out, (size_t)n);
	}
	return true;
}

static void client_ready(struct watch *w, unsigned events)
{
	struct responder_client *c = OWNER(w, struct responder_client, watch);
	(void)events;
	for (;;) {
		char *to = buf_room(&c->in, 1024);
		const ssize_t n = to ? recv(c->fd, to, 1024, MSG_DONTWAIT) : 0;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n > 0)
			buf_grew(&c->in, (size_t)n);
		if (n <= 0 || !answer_client(c)) {
			client_free(c);
			return;
		}
	}
	if (!send_answers(c))
		client_free(c);
}

static void client_new(struct responder *r, int fd)
{
	struct responder_client *c = mem_new(struct responder_client);
	c->responder = r;
	c->fd = fd;
	c->in = BUF(QUESTION_MOST + 2 + 1024);
	c->out = BUF(2 * UINT16_MAX);
	list_add_last(&r->clients, &c->node);
	r->client_count++;
	timer_start(&c->patience, r->loop, CLIENT_TIME, impatient);
	watch_start(&c->watch, r->loop, fd, client_ready);
}

static void tcp_ready(struct watch *w, unsigned events)
{
	struct responder *r = OWNER(w, struct responder_socket, watch)->responder;
	(void)events;
	const int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (r->client_count < CLIENTS_MOST)
		client_new(r, fd);
	else
		close(fd);
}

/* ---- sockets ---- */

static void socket_free(struct responder_socket *s)
{
	watch_stop(&s->watch);
	later_stop(&s->rest);
	close(s->fd);
	list_remove(&s->node);
	free(s);
}

static void socket_new(struct responder *r, int fd)
{
	int type = 0;
	const int on = 1;
	socklen_t size = sizeof type;
	if (fd < 0)
		return;
	struct responder_socket *s = mem_new(struct responder_socket);
	s->responder = r;
	s->fd = fd;
	list_add_last(&r->sockets, &s->node);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
	if (type == SOCK_STREAM) {
		watch_start_listener(&s->watch, r->loop, fd, tcp_ready);
		return;
	}
	/* The kernel refuses the one that is not of the socket's family. */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
	watch_start(&s->watch, r->loop, fd, udp_ready);
}

static void drop_sockets(struct responder *r)
{
	LIST_EACH (node, &r->clients)
		client_free(OWNER(node, struct responder_client, node));
	LIST_EACH (node, &r->sockets)
		socket_free(OWNER(node, struct responder_socket, node));
}

/* ---- the table ---- */

static void begin_table(struct responder *r)
{
	arena_clear(&r->next_arena);
	r->next = NULL;
	r->next_count = 0;
}

static void add_zone(struct responder *r, const struct msg_zone *m)
{
	struct arena *a = &r->next_arena;
	struct dns_zone *more = arena_array(a, struct dns_zone, r->next_count + 1);
	if (r->next_count)
		memcpy(more, r->next, r->next_count * sizeof *more);
	more[r->next_count++] = (struct dns_zone){ .zone = arena_str(a, m->zone),
		.server = arena_str(a, m->server),
		.addresses = arena_str(a, m->addresses),
		.values = arena_array(a, struct dns_value, VALUES_MOST) };
	r->next = more;
}

static void add_value(struct responder *r, const struct msg_zone_value *m)
{
	if (!r->next_count || m->text.n > DNS_TXT_MOST)
		return;
	struct dns_zone *z = &r->next[r->next_count - 1];
	if (z->value_count == VALUES_MOST)
		return;
	struct dns_value *values = (struct dns_value *)(uintptr_t)z->values;
	values[z->value_count++] = (struct dns_value){ arena_str(&r->next_arena, m->name),
		arena_str(&r->next_arena, m->text) };
}

/* What was answered becomes the room for the next one. The serial only has to go on. */
static void take_table(struct responder *r, struct link *control, int64_t number)
{
	const struct arena before = r->arena;
	r->arena = r->next_arena;
	r->next_arena = before;
	r->zones = r->next;
	r->count = r->next_count;
	for (size_t i = 0; i < r->count; i++)
		r->zones[i].serial = (uint32_t)(loop_wall(r->loop) / SECOND);
	begin_table(r);
	link_send(control, zones_served, .number = number);
}

bool responder_heard(struct responder *r, struct link *control, const struct msg *m)
{
	switch (m->type) {
	case MSG_zone_sockets:
		drop_sockets(r);
		return true;
	case MSG_zone_socket:
		socket_new(r, m->is.zone_socket.fd);
		return true;
	case MSG_zones:
		begin_table(r);
		return true;
	case MSG_zone:
		add_zone(r, &m->is.zone);
		return true;
	case MSG_zone_value:
		add_value(r, &m->is.zone_value);
		return true;
	case MSG_zones_end:
		take_table(r, control, m->is.zones_end.number);
		return true;
	default:
		return false;
	}
}

void responder_init(struct responder *r, struct loop *loop)
{
	*r = (struct responder){ .loop = loop };
	list_init(&r->sockets);
	list_init(&r->clients);
}

void responder_reset(struct responder *r)
{
	drop_sockets(r);
	arena_clear(&r->arena);
	r->zones = NULL;
	r->count = 0;
	begin_table(r);
}

void responder_done(struct responder *r)
{
	responder_reset(r);
	arena_done(&r->arena);
	arena_done(&r->next_arena);
}
