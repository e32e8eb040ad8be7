/* WebSockets and trailers through the whole of the data plane but its sockets' TLS: a client in
 * memory, its HTTP/1 session, the proxy, and an upstream that the test plays on a socket of the
 * loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "net/address.h"
#include "net/conn.h"
#include "proxy/proxy.h"
#include "server/client.h"
#include "server/settings.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE = 20000, PIPE = 32 << 10, MEGABYTE = 1 << 20 };

struct rig {
	struct loop *loop;
	struct worker worker;
	struct upstreams group;
	struct upstream upstream;
	int listener, peer;
	struct buf at_upstream, at_client;
	bool upstream_ended, upstream_failed, client_ended, client_failed, deaf;
	struct conn_holder client;
};
static struct rig *rig; /* of the test that runs */

static void client_hears(struct conn *c, unsigned events)
{
	char p[4096];
	if (rig->deaf || !(events & CONN_IN))
		return;
	for (ssize_t n; (n = conn_read(c, p, sizeof p)) != CONN_AGAIN;) {
		rig->client_ended = n == 0;
		rig->client_failed = n == CONN_FAILED;
		if (n <= 0)
			return;
		buf_add(&rig->at_client, str_n(p, (size_t)n));
	}
}

static struct generation *generation_with(int64_t tunnel_idle)
{
	struct err err;
	struct generation_builder *b = generation_begin(&(struct msg_generation){ .number = 1 });
	struct msg_site site = { .id = 1, .name = STR("a"), .fallback = true, .hsts_age = -1 };
	struct msg_limit idle = { .name = STR("tunnel-idle"), .value = tunnel_idle };
	assert_true(generation_row(b, MSG_site, &site, &err));
	assert_true(generation_row(b, MSG_limit, &idle, &err));
	struct generation *g = generation_build(&b, &err);
	g->fallback->upstreams = &rig->group;
	return g;
}

static void connect_client(void)
{
	struct sockaddr_storage from;
	struct conn *near, *far;
	assert_true(address_parse(STR("192.0.2.1"), 4711, &from));
	conn_pipe_new(rig->loop, PIPE, &near, &far);
	conn_hold(&rig->client, far, client_hears);
	client_new(&rig->worker, near, &from, NULL);
}

static int setup_with(void **state, int64_t tunnel_idle)
{
	rig = mem_new(struct rig);
	*state = rig;
	rig->loop = loop_new(&clock_system);
	worker_init(&rig->worker, rig->loop);
	rig->worker.proxy = proxy_pools_new(&rig->worker);
	rig->worker.handlers[SITE_PROXY] = &proxy_handler;
	struct sockaddr_storage *a = &rig->upstream.address;
	assert_true(address_parse(STR("127.0.0.1"), 0, a));
	rig->listener = conn_listen(a);
	assert_true(rig->listener >= 0 && conn_local_address(rig->listener, a));
	rig->upstream.weight = 1;
	rig->group = (struct upstreams){ .at = &rig->upstream, .count = 1 };
	upstream_options_init(&rig->group.options);
	rig->worker.generation = generation_with(tunnel_idle);
	rig->peer = -1;
	rig->at_upstream = rig->at_client = BUF(64 << 20);
	connect_client();
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, HOUR);
}

static int setup_brief(void **state)
{
	return setup_with(state, 300);
}

static int teardown(void **state)
{
	(void)state;
	struct challenges none = { 0 };
	rig->worker.challenges = &none;
	worker_done(&rig->worker);
	proxy_pools_free(&rig->worker.proxy);
	conn_free(&rig->client.conn);
	close(rig->listener);
	if (rig->peer >= 0)
		close(rig->peer);
	loop_free(&rig->loop);
	buf_done(&rig->at_upstream);
	buf_done(&rig->at_client);
	free(rig);
	return 0;
}

#define UNTIL(condition)                                                                           \
	do {                                                                                       \
		int64_t until = clock_system.mono(&clock_system) + PATIENCE;                       \
		bool met;                                                                          \
		while (!(met = (condition)) && clock_system.mono(&clock_system) < until)           \
			loop_turn(rig->loop, 5);                                                   \
		if (!met)                                                                          \
			fail_msg("line %d: waited in vain for " #condition, __LINE__);             \
	} while (0)

static bool accepted(void)
{
	struct sockaddr_storage from;
	rig->peer = conn_accept(rig->listener, &from);
	return rig->peer >= 0;
}

static void upstream_hears(void)
{
	for (;;) {
		char *room = buf_room(&rig->at_upstream, 65536);
		ssize_t n = recv(rig->peer, room, 65536, 0);
		rig->upstream_ended = rig->upstream_ended || n == 0;
		rig->upstream_failed = rig->upstream_failed || (n < 0 && errno != EAGAIN);
		if (n <= 0)
			return;
		buf_grew(&rig->at_upstream, (size_t)n);
	}
}

static bool upstream_has(const char *text)
{
	upstream_hears();
	return memmem(buf_c(&rig->at_upstream), rig->at_upstream.n, text, strlen(text)) != NULL;
}

static bool upstream_met_the_end(void)
{
	upstream_hears();
	return rig->upstream_ended;
}

static bool upstream_met_a_failure(void)
{
	upstream_hears();
	return rig->upstream_failed;
}

static bool client_has(const char *text)
{
	return memmem(buf_c(&rig->at_client), rig->at_client.n, text, strlen(text)) != NULL;
}

static void client_says(const char *text)
{
	struct iovec v = { (char *)text, strlen(text) };
	assert_int_equal(conn_write(rig->client.conn, &v, 1), (ssize_t)v.iov_len);
}

static void upstream_says(const char *text)
{
	assert_int_equal(send(rig->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

#define ASK                                                                                        \
	"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"                     \
	"Upgrade: WebSocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                    \
	"Sec-WebSocket-Version: 13\r\n\r\n"
#define SWITCH                                                                                     \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static void ask(const char *text)
{
	client_says(text);
	UNTIL(accepted());
	UNTIL(upstream_has("\r\n\r\n"));
}

/* Bytes behind the heads, on both sides, are the tunnel's already. */
static void open_tunnel(void)
{
	ask(ASK "early");
	assert_true(upstream_has("GET /chat HTTP/1.1\r\n"));
	assert_true(upstream_has("connection: upgrade\r\nupgrade: websocket\r\n"));
	assert_true(upstream_has("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
	assert_false(upstream_has("early"));
	upstream_says(SWITCH "hello");
	UNTIL(client_has("\r\n\r\nhello"));
	assert_true(client_has("HTTP/1.1 101 Switching Protocols\r\n"));
	assert_true(client_has("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
	assert_true(client_has("connection: upgrade\r\nupgrade: websocket\r\n"));
	assert_false(client_has("connection: close"));
	UNTIL(upstream_has("\r\n\r\nearly"));
}

static struct proxy_counts counts(void)
{
	return proxy_pools_counts(rig->worker.proxy);
}

static void bytes_pass_both_ways(void **state)
{
	(void)state;
	open_tunnel();
	client_says("GET / HTTP/1.1\r\n\r\n"); /* no request any more */
	UNTIL(upstream_has("earlyGET / HTTP/1.1\r\n\r\n"));
	upstream_says("HTTP/1.1 200 OK\r\n\r\n");
	UNTIL(client_has("helloHTTP/1.1 200 OK\r\n\r\n"));
}

static void the_clients_end_is_passed_on(void **state)
{
	(void)state;
	open_tunnel();
	client_says("bye");
	conn_shutdown(rig->client.conn);
	UNTIL(upstream_met_the_end());
	assert_true(upstream_has("earlybye"));
	upstream_says(" so long");
	UNTIL(client_has("hello so long"));
	assert_false(rig->client_ended);
	shutdown(rig->peer, SHUT_WR);
	UNTIL(rig->client_ended);
	UNTIL(rig->worker.connection_count == 0);
	assert_int_equal(counts().open, 0);
	assert_int_equal(counts().kept, 0);
}

static void the_upstreams_end_is_passed_on(void **state)
{
	(void)state;
	open_tunnel();
	shutdown(rig->peer, SHUT_WR);
	UNTIL(rig->client_ended);
	assert_int_equal(rig->worker.connection_count, 1);
	client_says("still here");
	UNTIL(upstream_has("earlystill here"));
	conn_shutdown(rig->client.conn);
	UNTIL(rig->worker.connection_count == 0);
	UNTIL(upstream_met_the_end());
	assert_int_equal(counts().open, 0);
}

static void reset_peer(void)
{
	struct linger at_once = { .l_onoff = 1 };
	assert_int_equal(setsockopt(rig->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
	close(rig->peer);
	rig->peer = -1;
}

static void an_upstream_that_dies_resets_the_client(void **state)
{
	(void)state;
	open_tunnel();
	reset_peer();
	UNTIL(rig->client_failed);
	UNTIL(rig->worker.connection_count == 0);
}

static void one_that_dies_after_its_end_does_so_too(void **state)
{
	(void)state;
	open_tunnel();
	shutdown(rig->peer, SHUT_WR);
	UNTIL(rig->client_ended);
	reset_peer();
	client_says("anybody?"); /* behind an end the kernel tells of it to who writes */
	UNTIL(rig->worker.connection_count == 0);
	assert_int_equal(counts().open, 0);
}

static void a_client_that_dies_resets_the_upstream(void **state)
{
	(void)state;
	open_tunnel();
	conn_reset(&rig->client.conn);
	UNTIL(upstream_met_a_failure());
	assert_int_equal(rig->worker.connection_count, 0);
}

static void silence_ends_it(void **state)
{
	(void)state;
	open_tunnel();
	UNTIL(rig->client_failed);
	UNTIL(upstream_met_a_failure());
}

/* More than all buffers between hold: who does not read stops who sends. */
static void a_deaf_client_stops_the_upstream(void **state)
{
	(void)state;
	static char bytes[64 << 10];
	open_tunnel();
	rig->deaf = true;
	size_t sent = 0, still = 0;
	while (still < 50) {
		ssize_t n = send(rig->peer, bytes, sizeof bytes, MSG_NOSIGNAL);
		still = n > 0 ? 0 : still + 1;
		sent += n > 0 ? (size_t)n : 0;
		loop_turn(rig->loop, 2);
		assert_true(sent < 40 * MEGABYTE);
	}
	rig->deaf = false;
	client_hears(rig->client.conn, CONN_IN);
	size_t head = (size_t)(strstr(buf_c(&rig->at_client), "\r\n\r\n") - rig->at_client.p) + 9;
	UNTIL(rig->at_client.n - head == sent);
}

static void a_deaf_upstream_stops_the_client(void **state)
{
	(void)state;
	static char bytes[16 << 10];
	open_tunnel();
	size_t sent = 0, before = rig->at_upstream.n, still = 0;
	while (still < 50) {
		struct iovec v = { bytes, sizeof bytes };
		ssize_t n = conn_write(rig->client.conn, &v, 1);
		still = n > 0 ? 0 : still + 1;
		sent += n > 0 ? (size_t)n : 0;
		loop_turn(rig->loop, 2);
		assert_true(sent < 40 * MEGABYTE);
	}
	UNTIL((upstream_hears(), rig->at_upstream.n - before == sent));
}

static const struct {
	const char *ask, *answer, *heard;
} no_tunnels[] = {
	/* What was asked for is not what it switched to. */
	{ ASK, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
	        "502 Bad Gateway" },
	{ ASK, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
	        "502 Bad Gateway" },
	{ ASK, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
	        "502 Bad Gateway" },
	{ "GET / HTTP/1.1\r\nHost: a\r\n\r\n", SWITCH, "502 Bad Gateway" },
	{ "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", SWITCH, "502 Bad Gateway" },
	{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", SWITCH,
	        "502 Bad Gateway" },
	/* An ordinary answer. */
	{ ASK, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno", "\r\n\r\nno" },
	{ ASK, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
	        "\r\n\r\n2\r\nno\r\n0\r\n\r\n" },
};

static void what_opens_no_tunnel(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof no_tunnels / sizeof *no_tunnels; i++) {
		ask(no_tunnels[i].ask);
		upstream_says(no_tunnels[i].answer);
		UNTIL(client_has(no_tunnels[i].heard));
		assert_false(client_has("101 Switching"));
		/* The client's connection goes on with requests. */
		buf_clear(&rig->at_client);
		buf_clear(&rig->at_upstream);
		close(rig->peer);
		UNTIL(counts().open == 0);
	}
}

static void only_get_without_content_is_passed_on(void **state)
{
	(void)state;
	static const char *const asks[] = {
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
		"Content-Length: 1\r\n\r\nx",
		"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade, keep-alive\r\n"
		"Upgrade: websocket\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
		"Upgrade: websocket, h2c\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
		ask(asks[i]);
		assert_false(upstream_has("upgrade"));
		upstream_says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
		UNTIL(client_has("\r\n\r\nok"));
		buf_clear(&rig->at_client);
		buf_clear(&rig->at_upstream);
		close(rig->peer);
		UNTIL(counts().open == 0);
	}
}

#define ASK_TRAILERS                                                                               \
	"POST / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\n"                         \
	"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n"

static void trailers_pass_when_they_are_asked_for(void **state)
{
	(void)state;
	ask(ASK_TRAILERS);
	UNTIL(upstream_has("\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n"));
	assert_true(upstream_has("connection: te\r\nte: trailers\r\n"));
	upstream_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
	              "Grpc-Status: 0\r\nContent-Length: 5\r\n\r\n");
	UNTIL(client_has("2\r\nok\r\n0\r\ngrpc-status: 0\r\n\r\n"));
	/* Both connections go on; without TE there are none. */
	buf_clear(&rig->at_upstream);
	buf_clear(&rig->at_client);
	client_says("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n"
	            "\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
	UNTIL(upstream_has("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
	assert_false(upstream_has("te: trailers"));
	upstream_says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
	              "Grpc-Status: 0\r\n\r\n");
	UNTIL(client_has("2\r\nok\r\n0\r\n\r\n"));
	assert_int_equal(counts().connects, 1);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(bytes_pass_both_ways),
		RIGGED(the_clients_end_is_passed_on),
		RIGGED(the_upstreams_end_is_passed_on),
		RIGGED(an_upstream_that_dies_resets_the_client),
		RIGGED(one_that_dies_after_its_end_does_so_too),
		RIGGED(a_client_that_dies_resets_the_upstream),
		cmocka_unit_test_setup_teardown(silence_ends_it, setup_brief, teardown),
		RIGGED(a_deaf_client_stops_the_upstream),
		RIGGED(a_deaf_upstream_stops_the_client),
		RIGGED(what_opens_no_tunnel),
		RIGGED(trailers_pass_when_they_are_asked_for),
		RIGGED(only_get_without_content_is_passed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
