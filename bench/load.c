/* bench/load MODE --port N [--connections N] [--seconds S] [--path P] [--name N] [--names N]
 *
 * One thread that keeps a server on 127.0.0.1 busy, and one line of JSON about it.
 *
 *	handshake   connect, TLS handshake, close
 *	resume      the same, each with the ticket of the one before
 *	close       connect, handshake, one GET with `Connection: close`, read to the end
 *	keep        GETs on kept TLS connections
 *	plain       GETs on kept connections without TLS
 *	idle        opens all connections, one GET on each, says "ready", holds them until stdin ends
 *
 * --names N: the server name is NAME with %u replaced by a random number below N. */
#define _GNU_SOURCE
#include "tls13.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum mode { HANDSHAKE, RESUME, CLOSE, KEEP, PLAIN, IDLE, MODES };
static const char *const mode_names[MODES] = { "handshake", "resume", "close", "keep", "plain",
	"idle" };
enum { IN_MOST = 72 << 10, HEAD_MOST = 8 << 10, NAME_MOST = 256, LATENCIES_MOST = 4 << 20 };

struct conn {
	int fd;
	struct tls13 tls;
	struct tls13_ticket ticket;
	int64_t since; /* µs: the connect, or the request */
	uint8_t *in;
	size_t in_n;
	char head[HEAD_MOST]; /* of the answer, until it is complete */
	size_t head_n;
	int64_t left;  /* of the answer's content; -1: its head is not complete */
	bool over;     /* the unit of this connection is counted */
	unsigned life; /* counts what this memory stood for */
};

static struct {
	enum mode mode;
	unsigned port, connections, names;
	double seconds;
	const char *path, *name;
} want = { .port = 443, .connections = 32, .seconds = 3, .path = "/", .name = "bench.test" };

static struct {
	uint64_t units, resumed, bytes, failed;
	uint32_t *latencies;
	size_t latency_count;
} done;

static int epoll_fd;
static int64_t end_at;
static unsigned open_count, ready_count;
static char request[1024];
static size_t request_n;

static int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_tls(void)
{
	return want.mode != PLAIN;
}

static void begin(struct conn *c);

static void finish(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	open_count--;
	if (now() < end_at)
		begin(c);
}

static void fail(struct conn *c)
{
	done.failed++;
	finish(c);
}

static void count(struct conn *c)
{
	done.units++;
	if (done.latency_count < LATENCIES_MOST)
		done.latencies[done.latency_count++] = (uint32_t)(now() - c->since);
}

/* What a socket buffer always takes: requests and handshakes are short. */
static bool write_all(const struct conn *c, const void *p, size_t n)
{
	return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* --- HTTP */

static void ask(struct conn *c)
{
	uint8_t out[2048];
	c->head_n = 0;
	c->left = -1;
	const void *p = request;
	size_t n = request_n;
	if (is_tls()) {
		n = tls13_seal(&c->tls, TLS13_APPLICATION, request, request_n, out);
		p = out;
	}
	if (!write_all(c, p, n))
		fail(c);
}

static int64_t content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\ncontent-length:");
	return at ? strtoll(at + 17, NULL, 10) : 0;
}

/* How much of the content came with the head, or -1: more of it is needed. */
static ssize_t take_head(struct conn *c, const uint8_t *p, size_t n)
{
	size_t before = c->head_n, room = HEAD_MOST - 1 - before;
	size_t copied = n < room ? n : room;
	memcpy(c->head + before, p, copied);
	c->head_n += copied;
	c->head[c->head_n] = 0;
	char *end = strstr(c->head, "\r\n\r\n");
	if (!end)
		return -1;
	c->left = content_length(c->head);
	return (ssize_t)(n - ((size_t)(end + 4 - c->head) - before));
}

static bool is_good(const struct conn *c)
{
	return c->head_n > 12 && (c->head[9] == '2' || c->head[9] == '3');
}

static void answered(struct conn *c)
{
	count(c);
	c->over = true;
	if (want.mode == IDLE) {
		if (++ready_count == want.connections) {
			puts("ready");
			fflush(stdout);
		}
	} else if (want.mode != CLOSE) {
		c->since = now();
		ask(c);
	}
}

/* False: the connection has failed and is gone. */
static bool hear(struct conn *c, const uint8_t *p, size_t n)
{
	if (c->over && want.mode != KEEP && want.mode != PLAIN)
		return true; /* HAProxy answers a client that ends without a request */
	done.bytes += n;
	if (c->left < 0) {
		ssize_t content = take_head(c, p, n);
		if (content < 0 && c->head_n < HEAD_MOST - 1)
			return true;
		if (content < 0 || !is_good(c)) {
			fail(c);
			return false;
		}
		n = (size_t)content;
	}
	c->left -= (int64_t)n;
	if (c->left == 0)
		answered(c);
	return true;
}

/* --- the connection */

/* The handshake is complete; our last message of it waits in `out`. */
static void established(struct conn *c, uint8_t *out, size_t n)
{
	done.resumed += c->tls.resumed;
	if (want.mode == HANDSHAKE || want.mode == RESUME) {
		n += tls13_seal(&c->tls, TLS13_ALERT, (uint8_t[]){ 1, 0 }, 2, out + n);
		(void)write_all(c, out, n);
		shutdown(c->fd, SHUT_WR);
		count(c);
		c->over = true;
		return;
	}
	(void)write_all(c, out, n);
	ask(c);
}

/* False: the connection is gone. */
static bool hear_record(struct conn *c, uint8_t *record, size_t n)
{
	uint8_t out[512], *data = NULL;
	size_t size = 0;
	switch (tls13_record(&c->tls, record, n, out, &data, &size)) {
	case TLS13_REPLY:
		established(c, out, size);
		break;
	case TLS13_DATA:
		return hear(c, data, size);
	case TLS13_BAD:
		fail(c);
		return false;
	case TLS13_NOTHING:
	case TLS13_END:
		break;
	}
	return c->fd >= 0;
}

static bool hear_records(struct conn *c)
{
	size_t at = 0;
	while (c->in_n - at >= 5) {
		size_t n = 5 + ((size_t)c->in[at + 3] << 8 | c->in[at + 4]);
		if (n > IN_MOST) {
			fail(c);
			return false;
		}
		if (c->in_n - at < n)
			break;
		unsigned life = c->life;
		if (!hear_record(c, c->in + at, n) || c->life != life)
			return false;
		at += n;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	return true;
}

static void ended(struct conn *c)
{
	if (c->over)
		finish(c);
	else
		fail(c);
}

static void readable(struct conn *c)
{
	for (;;) {
		size_t most = IN_MOST - c->in_n;
		ssize_t n = recv(c->fd, c->in + c->in_n, most, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			ended(c);
			return;
		}
		c->in_n += (size_t)n;
		if (is_tls() && !hear_records(c))
			return;
		if (!is_tls() && !hear(c, c->in, c->in_n))
			return;
		if (!is_tls())
			c->in_n = 0;
		if ((size_t)n < most)
			return;
	}
}

static void connected(struct conn *c)
{
	uint8_t out[TLS13_TICKET_MOST + 1024];
	char name[NAME_MOST];
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
	if (!is_tls()) {
		ask(c);
		return;
	}
	snprintf(name, sizeof name, want.name, (unsigned)random() % (want.names ? want.names : 1));
	size_t n = tls13_begin(&c->tls, name, want.mode == RESUME ? &c->ticket : NULL, out);
	if (!write_all(c, out, n))
		fail(c);
}

static void begin(struct conn *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((in_port_t)want.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	const int on = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->life++;
	c->in_n = 0;
	c->over = false;
	c->since = now();
	open_count++;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	struct epoll_event e = { .events = EPOLLOUT, .data.ptr = c };
	if (c->fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e) < 0 ||
	        (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
		perror("load");
		exit(1);
	}
}

static void turn(void)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll_fd, events, 256, 100);
	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (c->fd < 0)
			continue;
		if (events[i].events & EPOLLOUT)
			connected(c);
		else
			readable(c);
	}
}

static bool stdin_ended(void)
{
	struct epoll_event e;
	static int waiter = -1;
	if (waiter < 0) {
		e = (struct epoll_event){ .events = EPOLLIN };
		waiter = epoll_create1(EPOLL_CLOEXEC);
		if (epoll_ctl(waiter, EPOLL_CTL_ADD, STDIN_FILENO, &e) < 0)
			return false;
	}
	return epoll_wait(waiter, &e, 1, 0) == 1;
}

/* --- the frame */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint32_t latency(double share)
{
	size_t n = done.latency_count;
	return n ? done.latencies[(size_t)((double)(n - 1) * share)] : 0;
}

static void report(double seconds)
{
	qsort(done.latencies, done.latency_count, sizeof *done.latencies, by_size);
	printf("{\"units\": %llu, \"resumed\": %llu, \"failed\": %llu, \"bytes\": %llu, "
	       "\"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, \"most_us\": %u}\n",
	        (unsigned long long)done.units, (unsigned long long)done.resumed,
	        (unsigned long long)done.failed, (unsigned long long)done.bytes, seconds,
	        latency(0.5), latency(0.99), latency(1));
}

static bool set(const char *option, const char *value)
{
	if (!strcmp(option, "--port"))
		want.port = (unsigned)atoi(value);
	else if (!strcmp(option, "--connections"))
		want.connections = (unsigned)atoi(value);
	else if (!strcmp(option, "--seconds"))
		want.seconds = atof(value);
	else if (!strcmp(option, "--path"))
		want.path = value;
	else if (!strcmp(option, "--name"))
		want.name = value;
	else if (!strcmp(option, "--names"))
		want.names = (unsigned)atoi(value);
	else
		return false;
	return true;
}

static bool arguments(int argc, char **argv)
{
	int mode = 0;
	while (argc > 1 && mode < MODES && strcmp(argv[1], mode_names[mode]))
		mode++;
	want.mode = (enum mode)mode;
	bool good = argc > 1 && argc % 2 == 0 && mode < MODES;
	for (int i = 2; good && i + 1 < argc; i += 2)
		good = set(argv[i], argv[i + 1]);
	return good;
}

static void prepare(void)
{
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	request_n = (size_t)snprintf(request, sizeof request,
	        "GET %s HTTP/1.1\r\nHost: bench.test\r\n%s\r\n", want.path,
	        want.mode == CLOSE ? "Connection: close\r\n" : "");
	srandom((unsigned)now()); /* other names in each run */
	done.latencies = malloc(LATENCIES_MOST * sizeof *done.latencies);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
}

int main(int argc, char **argv)
{
	if (!arguments(argc, argv) || !tls13_setup()) {
		fputs("usage: load handshake|resume|close|keep|plain|idle --port N …\n", stderr);
		return 2;
	}
	prepare();
	struct conn *all = calloc(want.connections, sizeof *all);
	int64_t start = now();
	end_at = want.mode == IDLE ? INT64_MAX : start + (int64_t)(want.seconds * 1e6);
	for (unsigned i = 0; i < want.connections; i++) {
		all[i].in = malloc(IN_MOST);
		begin(&all[i]);
		if (want.mode == IDLE)
			turn();
	}
	while (now() < end_at && !(want.mode == IDLE && stdin_ended()))
		turn();
	report((double)(now() - start) / 1e6);
	return 0;
}
