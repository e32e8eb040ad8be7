/* Requests through the proxy, and what becomes of their connections. */
#include "proxy_rig.h"
#include "server/rules.h"

static void one_connection_carries_many_requests(void **state)
{
	struct rig *r = *state;
	start_get(r);
	answer(r, OK "Content-Length: 2\r\nServer: app\r\nKeep-Alive: x\r\n\r\nhi");
	UNTIL(r, r->ended);
	assert_client_got(r, "200 server=app;length=2;|hi");
	for (unsigned i = 0; i < 3; i++) {
		ask(r, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
		assert_int_not_equal(r->wanted, 0);
		r->ex.handling->ops->body(r->ex.handling, STR("ab"));
		r->ex.handling->ops->body_end(r->ex.handling);
		/* Head and content came in one write, before the turn's end. */
		assert_true(upstream_has(r, "content-length: 2\r\n"));
		assert_true(upstream_has(r, "\r\n\r\nab"));
		answer(r, OK_HI);
		UNTIL(r, r->ended);
		assert_client_got(r, "200 length=2;|hi");
	}
	assert_int_equal(counts(r).connects, 1);
	assert_int_equal(counts(r).kept, 1);
	assert_int_equal(counts(r).requests, 4);
}

/* What the upstream gets of a request, but for Via's pseudonym, which stands as everseal. */
static const struct {
	const char *what, *client, *in, *out;
} forwarded[] = {
	{ "ours are set", "192.0.2.1", "GET /p?q HTTP/1.1\r\n" HOST "Accept: x\r\n\r\n",
	        "GET /p?q HTTP/1.1\r\nhost: a.example\r\naccept: x\r\nx-forwarded-for: "
	        "192.0.2.1\r\n"
	        "x-forwarded-proto: https\r\nx-forwarded-host: a.example\r\n"
	        "forwarded: for=192.0.2.1;host=\"a.example\";proto=https\r\nvia: 1.1 "
	        "everseal\r\n\r\n" },
	{ "a stranger's are dropped, with their variants", "192.0.2.1",
	        "GET / HTTP/1.0\r\n" HOST "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded_Proto: y\r\n"
	        "x_forwarded_host: z\r\nForwarded: for=x\r\nVia: 1.1 other\r\nX-Real-IP: 1\r\n"
	        "X_Real_IP: 1\r\nProxy: http://x\r\nX-Forwarded-Port: 1\r\n\r\n",
	        "GET / HTTP/1.1\r\nhost: a.example\r\n"
	        "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n"
	        "x-forwarded-host: a.example\r\n"
	        "forwarded: for=192.0.2.1;host=\"a.example\";proto=https\r\nvia: 1.0 "
	        "everseal\r\n\r\n" },
	{ "a trusted proxy's are continued", "10.1.2.3",
	        "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n"
	        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: b.example\r\nForwarded: for=x\r\n"
	        "Via: 1.1 other\r\nX-Real-IP: 1.1.1.1\r\nX_Forwarded_For: 3\r\nProxy: x\r\n"
	        "X-Forwarded-Port: 444\r\nX_Forwarded_Port: 5\r\n\r\n",
	        "GET / HTTP/1.1\r\nhost: a.example\r\nx-real-ip: 1.1.1.1\r\n"
	        "x-forwarded-port: 444\r\nx-forwarded-for: 1.1.1.1, 2.2.2.2, 10.1.2.3\r\n"
	        "x-forwarded-proto: http\r\nx-forwarded-host: b.example\r\n"
	        "forwarded: for=x, for=10.1.2.3;host=\"a.example\";proto=https\r\n"
	        "via: 1.1 other, 1.1 everseal\r\n\r\n" },
	{ "IPv6", "2001:db8::1", GET,
	        "GET / HTTP/1.1\r\nhost: a.example\r\nx-forwarded-for: 2001:db8::1\r\n"
	        "x-forwarded-proto: https\r\nx-forwarded-host: a.example\r\n"
	        "forwarded: for=\"[2001:db8::1]\";host=\"a.example\";proto=https\r\n"
	        "via: 1.1 everseal\r\n\r\n" },
	{ "hop-by-hop headers and Expect do not pass", "192.0.2.1",
	        "POST / HTTP/1.1\r\n" HOST "Connection: X-Forwarded-For, x-a, close\r\nX-A: 1\r\n"
	        "TE: trailers\r\nUpgrade: h2c\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n",
	        "POST / HTTP/1.1\r\nhost: a.example\r\nx-forwarded-for: 192.0.2.1\r\n"
	        "x-forwarded-proto: https\r\nx-forwarded-host: a.example\r\n"
	        "forwarded: for=192.0.2.1;host=\"a.example\";proto=https\r\nvia: 1.1 everseal\r\n"
	        "content-length: 0\r\n\r\n" },
	{ "Max-Forwards counts down", "192.0.2.1",
	        "OPTIONS * HTTP/1.1\r\n" HOST "Max-Forwards: 3\r\n\r\n",
	        "OPTIONS * HTTP/1.1\r\nhost: a.example\r\nx-forwarded-for: 192.0.2.1\r\n"
	        "x-forwarded-proto: https\r\nx-forwarded-host: a.example\r\n"
	        "forwarded: for=192.0.2.1;host=\"a.example\";proto=https\r\nvia: 1.1 everseal\r\n"
	        "max-forwards: 2\r\n\r\n" },
};

/* Our pseudonym as the upstream was told it. */
static struct str pseudonym(struct rig *r)
{
	const char *p = strstr(buf_c(&r->at_upstream), "everseal-");
	assert_non_null(p);
	return str_n(p, strcspn(p, "\r,"));
}

static void forwarding_headers_are_ours(void **state)
{
	struct rig *r = *state;
	struct cidr trusted;
	assert_true(cidr_parse(STR("10.0.0.0/8"), &trusted));
	r->generation.trusted_proxies = &trusted;
	r->generation.trusted_proxy_count = 1;
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) {
		ask_from(r, forwarded[i].in, forwarded[i].client);
		if (i == 0)
			UNTIL(r, accept_at(r, 0));
		UNTIL(r, upstream_has(r, "\r\n\r\n"));
		BUF_AUTO got = BUF_INIT(1 << 16);
		struct str name = pseudonym(r);
		size_t at = (size_t)(name.p - r->at_upstream.p);
		buf_add(&got, str_n(r->at_upstream.p, at));
		buf_add_c(&got, "everseal");
		buf_add(&got, str_from(buf_str(&r->at_upstream), at + name.n));
		if (!str_eq_c(buf_str(&got), forwarded[i].out))
			fail_msg("%s:\n%s\nwant\n%s", forwarded[i].what, buf_c(&got),
			        forwarded[i].out);
		answer(r, OK_HI);
		UNTIL(r, r->ended);
	}
}

static void a_loop_is_508(void **state)
{
	struct rig *r = *state;
	start_get(r);
	BUF_AUTO again = BUF_INIT(4096);
	struct str name = pseudonym(r);
	buf_printf(&again, "GET / HTTP/1.1\r\n" HOST "Via: 1.0 x, 1.1 %.*s (y)\r\n\r\n",
	        STR_ARG(name));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	ask(r, buf_c(&again));
	assert_true(r->ended && client_has(r, "508 "));
}

static void what_does_not_pass(void **state)
{
	struct rig *r = *state;
	ask(r, "TRACE / HTTP/1.1\r\n" HOST "\r\n");
	assert_true(r->ended && client_has(r, "501 "));
	ask(r, "OPTIONS / HTTP/1.1\r\n" HOST "Max-Forwards: 0\r\n\r\n");
	assert_true(r->ended && client_has(r, "200 "));
	assert_int_equal(counts(r).connects, 0);
}

static void a_chunked_body_is_framed_anew(void **state)
{
	struct rig *r = *state;
	ask(r, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
	assert_int_equal(
	        r->wanted, 0); /* nothing is asked of the client before there is a connection */
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	struct handling *h = r->ex.handling;
	h->ops->body(h, STR("0123456789abcdef"));
	h->ops->body(h, STR("x"));
	h->ops->body_end(h);
	UNTIL(r, upstream_has(r, "\r\n0\r\n\r\n"));
	assert_true(upstream_has(r, "\r\ntransfer-encoding: chunked\r\n"));
	assert_true(upstream_has(r, "\r\n\r\n10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_int_equal(counts(r).kept, 1);
}

/* What an upstream says, and what the client gets; `kept`: the connection serves on. */
static const struct {
	const char *what, *request, *answer, *client;
	bool hang_up, kept;
} answers[] = {
	{ "length", GET, OK_HI, "200 length=2;|hi", false, true },
	{ "no content", GET, OK "Content-Length: 0\r\n\r\n", "200 |", false, true },
	{ "chunked", GET,
	        OK "Transfer-Encoding: chunked\r\n\r\n2;x\r\nhi\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
	        "200 |hi!", false, true },
	{ "until close", GET, OK "\r\nhi", "200 |hi", true, false },
	{ "HTTP/1.0", GET, "HTTP/1.0 200 OK\r\n\r\nhi", "200 |hi", true, false },
	{ "HTTP/1.0 with length", GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
	        "200 length=2;|hi", false, false },
	{ "close", GET, OK "Connection: close\r\nContent-Length: 2\r\n\r\nhi", "200 length=2;|hi",
	        false, false },
	{ "HEAD", "HEAD / HTTP/1.1\r\n" HOST "\r\n", OK "Content-Length: 2\r\n\r\n",
	        "200 length=2;|", false, true },
	{ "204", GET, "HTTP/1.1 204 No Content\r\n\r\n", "204 |", false, true },
	{ "304", GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", "304 length=2;|",
	        false, true },
	{ "103 is passed on", GET, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK_HI,
	        "103 link=a;|200 length=2;|hi", false, true },
	{ "103 is not passed on to HTTP/1.0", "GET / HTTP/1.0\r\n" HOST "\r\n",
	        "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" OK_HI, "200 length=2;|hi", false,
	        true },
	{ "100 is dropped", GET, "HTTP/1.1 100 Continue\r\n\r\n" OK_HI, "200 length=2;|hi", false,
	        true },
	{ "Date and Server are passed", GET, OK "Server: a\r\nContent-Length: 0\r\n\r\n",
	        "200 server=a;|", false, true },
	{ "bytes behind it", GET, OK_HI "x", "200 length=2;|hi", false, false },
	{ "an answer behind it", GET, OK_HI OK_HI, "200 length=2;|hi", false, false },
	{ "content behind HEAD", "HEAD / HTTP/1.1\r\n" HOST "\r\n", OK_HI, "200 length=2;|", false,
	        false },
	{ "content behind 204", GET, "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi",
	        "204 |", false, false },
};

/* What comes when the answer has ended finds the connection kept, or closed. */
static void answer_in_steps(struct rig *r, const char *text, size_t step)
{
	for (size_t n = strlen(text); n > 0;) {
		size_t part = step < n ? step : n;
		ssize_t sent = send(r->peer, text, part, MSG_NOSIGNAL);
		assert_true(sent == (ssize_t)part || r->ended);
		text += part;
		n -= part;
		loop_turn(r->loop, 0);
	}
}

static void answers_pass_in_their_kinds(void **state)
{
	struct rig *r = *state;
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		for (size_t step = 1; step < 1000; step += 997) {
			uint64_t before = counts(r).kept;
			ask(r, answers[i].request);
			UNTIL(r, before || accept_at(r, 0));
			UNTIL(r, upstream_has(r, "\r\n\r\n"));
			answer_in_steps(r, answers[i].answer, step > 1 ? 1000 : 1);
			if (answers[i].hang_up)
				hang_up(r);
			UNTIL(r, r->ended);
			if (!str_eq_c(buf_str(&r->at_client), answers[i].client))
				fail_msg("%s, step %zu: got \"%s\"", answers[i].what, step,
				        buf_c(&r->at_client));
			assert_int_equal(r->aborted.n, 0);
			for (unsigned turns = 0; turns < 3; turns++)
				loop_turn(r->loop, 0);
			if (counts(r).kept != answers[i].kept && step > 1)
				fail_msg("%s: kept %zu", answers[i].what, counts(r).kept);
			if (!answers[i].kept && !answers[i].hang_up)
				UNTIL(r, upstream_ended(r) || counts(r).kept == 0);
		}
	}
}

static const struct {
	const char *what, *answer, *client, *aborted;
	bool hang_up;
} broken[] = {
	{ "no answer", "", "502 ", "", true },
	{ "half a head", OK "A: b", "502 ", "", true },
	{ "not HTTP", "SSH-2.0\r\n\r\n", "502 ", "", false },
	{ "framing error", OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "502 ", "",
	        false },
	{ "two lengths", OK "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "502 ", "", false },
	{ "bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "502 ", "", false },
	{ "101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "502 ", "", false },
	{ "length cut off", OK "Content-Length: 5\r\n\r\nhi", "200 length=5;|hi", "broke off",
	        true },
	{ "chunks cut off", OK "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "200 |hi",
	        "broke off", true },
	{ "chunks malformed", OK "Transfer-Encoding: chunked\r\n\r\n2\nhi", "200 |", "malformed",
	        false },
};

static void broken_answers_are_seen(void **state)
{
	struct rig *r = *state;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		start_get(r);
		answer(r, broken[i].answer);
		if (broken[i].hang_up)
			hang_up(r);
		UNTIL(r, r->ended);
		if (!str_starts(buf_str(&r->at_client), str_c(broken[i].client)))
			fail_msg("%s: got \"%s\"", broken[i].what, buf_c(&r->at_client));
		if (!!r->aborted.n != !!broken[i].aborted[0] ||
		        !strstr(buf_c(&r->aborted), broken[i].aborted))
			fail_msg("%s: aborted \"%s\"", broken[i].what, buf_c(&r->aborted));
		assert_int_equal(counts(r).open, 0);
	}
	assert_int_equal(counts(r).failures, sizeof broken / sizeof *broken);
}

static void too_many_interim_answers(void **state)
{
	struct rig *r = *state;
	start_get(r);
	for (unsigned i = 0; i < 17; i++)
		answer(r, "HTTP/1.1 103 Early Hints\r\n\r\n");
	UNTIL(r, r->ended);
	assert_true(client_has(r, "502 "));
}

/* --- finding a connection */

static void refuse_at(struct rig *r, size_t i)
{
	close(r->listeners[i]);
	r->listeners[i] = -1;
}

static void the_next_upstream_is_tried(void **state)
{
	struct rig *r = *state;
	r->group.count = 2;
	refuse_at(r, 0);
	for (unsigned i = 0; i < 4; i++) {
		ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
		if (i == 0)
			UNTIL(r, accept_at(r, 1));
		UNTIL(r, r->wanted > 0);
		r->ex.handling->ops->body(r->ex.handling, STR("ab"));
		r->ex.handling->ops->body_end(r->ex.handling);
		UNTIL(r, upstream_has(r, "\r\n\r\nab"));
		answer(r, OK_HI);
		UNTIL(r, r->ended);
		assert_client_got(r, "200 length=2;|hi");
	}
	assert_int_equal(counts(r).connects_failed, 1); /* then it is left alone for a while */
}

static void nobody_listens(void **state)
{
	struct rig *r = *state;
	r->group.count = 2;
	refuse_at(r, 0);
	refuse_at(r, 1);
	for (unsigned i = 1; i <= 2; i++) {
		ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
		UNTIL(r, r->ended);
		assert_true(client_has(r, "502 "));
		assert_true(client_has(r, "The application behind this site cannot be reached."));
		assert_int_equal(r->wanted, 0);
		assert_int_equal(counts(r).connects_failed, 2 * i); /* all marked: all are tried */
	}
}

static void equals_take_turns(void **state)
{
	struct rig *r = *state;
	r->group.count = 2;
	ask(r, GET);
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	ask(r, GET);
	UNTIL(r, accept_at(r, 1));
	leave(r);
}

static void too_many_connections_are_503(void **state)
{
	struct rig *r = *state;
	r->generation.limits.upstream_connections = 0;
	ask(r, GET);
	assert_true(r->ended && client_has(r, "503 "));
}

static void descriptors_that_are_few(void **state)
{
	struct rig *r = *state;
	r->worker.upstreams_most = 1;
	start_get(r);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_int_equal(counts(r).kept, 1);
	struct upstream first = r->upstreams[0];
	r->upstreams[0] = r->upstreams[1];
	r->group.identity++;
	ask(r, GET); /* the other application's kept connection makes room */
	UNTIL(r, accept_at(r, 1));
	assert_int_equal(counts(r).open, 1);
	answer(r, OK "\r\n");
	UNTIL(r, client_has(r, "200 "));
	leave(r);
	r->worker.upstreams_most = 0;
	r->upstreams[0] = first;
}

/* A kept connection on which the next request meets the end: `now` without a turn in between, so
 * that the end is not seen before. */
static void make_kept(struct rig *r)
{
	start_get(r);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_int_equal(counts(r).kept, 1);
}

static void a_dead_kept_connection_is_replaced(void **state)
{
	struct rig *r = *state;
	make_kept(r);
	hang_up(r);
	start_get(r);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
	assert_int_equal(counts(r).retries, 1);
	assert_int_equal(counts(r).connects, 2);
}

static void it_is_replaced_once_only(void **state)
{
	struct rig *r = *state;
	make_kept(r);
	hang_up(r);
	start_get(r);
	hang_up(r);
	UNTIL(r, r->ended);
	assert_true(client_has(r, "502 "));
	assert_int_equal(counts(r).retries, 1);
}

static void what_may_have_been_acted_on_is_not_sent_again(void **state)
{
	struct rig *r = *state;
	static const char *const requests[] = { "POST / HTTP/1.1\r\n" HOST "\r\n",
		"PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n" };
	for (size_t i = 0; i < 2; i++) {
		make_kept(r);
		ask(r, requests[i]);
		if (i == 1) {
			r->ex.handling->ops->body(r->ex.handling, STR("ab"));
			r->ex.handling->ops->body_end(r->ex.handling);
		}
		UNTIL(r, upstream_has(r, i == 1 ? "\r\n\r\nab" : "\r\n\r\n"));
		hang_up(r);
		UNTIL(r, r->ended);
		assert_true(client_has(r, "502 "));
	}
	assert_int_equal(counts(r).retries, 0);
}

static void a_request_that_was_not_sent_is(void **state)
{
	struct rig *r = *state;
	make_kept(r);
	hang_up(r);
	/* The head waits for content within the turn; the end of the connection comes first. */
	ask(r, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	r->ex.handling->ops->body(r->ex.handling, STR("ab"));
	r->ex.handling->ops->body_end(r->ex.handling);
	UNTIL(r, upstream_has(r, "\r\n\r\nab"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
}

/* Bytes or an end that nobody has seen yet when the next request takes the connection. */
static void what_cannot_be_repeated_goes_to_no_doubtful_connection(void **state)
{
	struct rig *r = *state;
	for (unsigned i = 0; i < 4; i++) {
		make_kept(r);
		answer(r, OK "Content-Length: 4\r\n\r\nEVIL");
		if (i & 1)
			hang_up(r);
		ask(r, i & 2 ? "POST / HTTP/1.1\r\n" HOST "\r\n"
		             : "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
		UNTIL(r, accept_at(r, 0));
		if (!(i & 2)) {
			UNTIL(r, r->wanted > 0);
			r->ex.handling->ops->body(r->ex.handling, STR("ab"));
			r->ex.handling->ops->body_end(r->ex.handling);
		}
		UNTIL(r, upstream_has(r, i & 2 ? "\r\n\r\n" : "\r\n\r\nab"));
		answer(r, OK "Content-Length: 2\r\nConnection: close\r\n\r\nhi");
		UNTIL(r, r->ended);
		assert_client_got(r, "200 length=2;|hi");
	}
}

static void bytes_between_answers_close(void **state)
{
	struct rig *r = *state;
	make_kept(r);
	answer(r, OK_HI);
	UNTIL(r, counts(r).open == 0);
	start_get(r);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
}

static void kept_connections_end(void **state)
{
	struct rig *r = *state;
	r->generation.limits.upstream_idle = 20;
	make_kept(r);
	UNTIL(r, counts(r).open == 0);
	r->generation.limits.upstream_idle = 0;
	start_get(r);
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_int_equal(counts(r).open, 0);
	r->generation.limits.upstream_idle = 20000;
	make_kept(r);
	hang_up(r);
	UNTIL(r, counts(r).open == 0);
}

/* --- time */

static void silence_is_504(void **state)
{
	struct rig *r = *state;
	r->generation.limits.answer_timeout = 20;
	start_get(r);
	UNTIL(r, r->ended);
	assert_true(client_has(r, "504 "));
	assert_int_equal(counts(r).open, 0);
}

static void silence_within_an_answer_breaks_off(void **state)
{
	struct rig *r = *state;
	start_get(r);
	r->generation.limits.answer_timeout = 20;
	answer(r, OK "Content-Length: 5\r\n\r\nhi");
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=5;|hi");
	assert_true(r->aborted.n > 0);
}

static void let_pass(struct rig *r, int64_t ms);

/* Each byte comes in time, the head as a whole does not; an interim answer begins it anew. */
static void a_head_that_drips_is_504(void **state)
{
	struct rig *r = *state;
	r->generation.limits.answer_timeout = 200;
	start_get(r);
	answer(r, OK "X: ");
	for (unsigned i = 0; i < 200 && !r->ended; i++) {
		answer(r, "y");
		let_pass(r, 20);
	}
	assert_true(r->ended && client_has(r, "504 "));
	start_get(r);
	for (unsigned i = 0; i < 5; i++) {
		answer(r, "HTTP/1.1 103 Early Hints\r\n");
		let_pass(r, 60);
		answer(r, "\r\n");
	}
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_true(client_has(r, "200 length=2;|hi"));
}

static void let_pass(struct rig *r, int64_t ms)
{
	int64_t until = clock_system.mono(&clock_system) + ms;
	while (clock_system.mono(&clock_system) < until)
		turn(r);
}

/* While the client is the one who is slow, the upstream's time does not run. */
static void a_slow_client_is_not_the_upstreams_fault(void **state)
{
	struct rig *r = *state;
	r->generation.limits.answer_timeout = 300;
	ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	let_pass(r, 400);
	assert_false(r->ended);
	r->ex.handling->ops->body(r->ex.handling, STR("ab"));
	r->ex.handling->ops->body_end(r->ex.handling);
	UNTIL(r, upstream_has(r, "\r\n\r\nab"));
	r->limited = true;
	r->room = 2;
	answer(r, OK "Content-Length: 5\r\n\r\nhi");
	UNTIL(r, client_has(r, "hi"));
	let_pass(r, 400);
	assert_false(r->ended);
	answer(r, "abc");
	r->limited = false;
	r->room = 100;
	r->ex.handling->ops->room(r->ex.handling);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=5;|hiabc");
}

/* A listener whose queue is full lets nobody in. */
static void a_connection_that_does_not_stand_in_time(void **state)
{
	struct rig *r = *state;
	r->generation.limits.connect_timeout = 20;
	assert_int_equal(listen(r->listeners[0], 0), 0);
	int fill[4];
	for (size_t i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fill[i], (struct sockaddr *)&r->upstreams[0].address,
		        sizeof(struct sockaddr_in));
	}
	ask(r, GET);
	UNTIL(r, r->ended);
	assert_true(client_has(r, "504 "));
	for (size_t i = 0; i < 4; i++)
		close(fill[i]);
}

/* --- streaming */

static void no_more_is_read_than_the_client_has_room_for(void **state)
{
	struct rig *r = *state;
	enum { MORE = 16 << 20 };
	start_get(r);
	r->limited = true;
	BUF_AUTO head = BUF_INIT(4096);
	buf_printf(&head, OK "Content-Length: %d\r\n\r\n", MORE);
	answer(r, buf_c(&head));
	static char data[1 << 20];
	size_t sent = 0;
	for (unsigned idle = 0; idle < 5;) {
		ssize_t n = send(r->peer, data, sizeof data, MSG_NOSIGNAL);
		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		turn(r);
	}
	assert_true(sent < MORE);
	assert_true(r->at_client.n < 256 << 10);
	while (!r->ended) {
		size_t n = MORE - sent < sizeof data ? MORE - sent : sizeof data;
		ssize_t taken = n ? send(r->peer, data, n, MSG_NOSIGNAL) : 0;
		sent += taken > 0 ? (size_t)taken : 0;
		if (r->room <= 0) {
			r->room = 64 << 10;
			r->ex.handling->ops->room(r->ex.handling);
		}
		loop_turn(r->loop, 0);
	}
	assert_int_equal(r->at_client.n, MORE + strlen("200 length=16777216;|"));
	assert_int_equal(counts(r).kept, 1);
}

/* A fast answer to a fast client does not hold up the loop: one turn reads 1 MiB at most on its
 * event, and as much at its end. */
static void a_long_answer_lets_others_have_their_turn(void **state)
{
	struct rig *r = *state;
	enum { MORE = 8 << 20 };
	static char data[1 << 20];
	start_get(r);
	BUF_AUTO head = BUF_INIT(4096);
	buf_printf(&head, OK "Content-Length: %d\r\n\r\n", MORE);
	answer(r, buf_c(&head));
	for (size_t sent = 0; !r->ended;) {
		ssize_t taken = 1;
		while (sent < MORE && taken > 0) {
			size_t n = MORE - sent < sizeof data ? MORE - sent : sizeof data;
			taken = send(r->peer, data, n, MSG_NOSIGNAL);
			sent += taken > 0 ? (size_t)taken : 0;
		}
		size_t before = r->at_client.n;
		turn(r);
		assert_true(r->at_client.n - before <= 2 << 20);
	}
	assert_int_equal(r->at_client.n, MORE + strlen("200 length=8388608;|"));
}

static void no_more_is_wanted_than_the_upstream_takes(void **state)
{
	struct rig *r = *state;
	enum { MORE = 16 << 20 };
	ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	static char data[64 << 10];
	struct handling *h = r->ex.handling;
	size_t given = 0;
	for (unsigned idle = 0; idle < 3;) { /* the upstream reads nothing */
		size_t n = r->wanted;
		assert_true(n <= sizeof data);
		r->wanted = 0;
		given += n;
		idle = n ? 0 : idle + 1;
		if (n)
			h->ops->body(h, str_n(data, n));
		turn(r);
	}
	assert_true(given < MORE);
	while (given < MORE) {
		(void)upstream_has(r, NULL);
		size_t n = r->wanted < MORE - given ? r->wanted : MORE - given;
		r->wanted = 0;
		given += n;
		if (n)
			h->ops->body(h, str_n(data, n));
		loop_turn(r->loop, 0);
	}
	h->ops->body_end(h);
	UNTIL(r, (upstream_has(r, NULL), r->at_upstream.n > MORE));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
	assert_int_equal(counts(r).kept, 1);
}

static void an_early_answer_ends_the_connection(void **state)
{
	struct rig *r = *state;
	ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	r->ex.handling->ops->body(r->ex.handling, STR("ab"));
	answer(r, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
	UNTIL(r, r->ended);
	assert_client_got(r, "413 length=2;|no");
	assert_int_equal(counts(r).open, 0);
}

static void an_early_answer_counts_when_the_rest_cannot_be_sent(void **state)
{
	struct rig *r = *state;
	ask(r, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\n");
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	UNTIL(r, r->wanted > 0);
	answer(r, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: "
	          "2\r\n\r\nno");
	shutdown(r->peer, SHUT_RDWR);
	r->ex.handling->ops->body(r->ex.handling, STR("ab"));
	UNTIL(r, r->ended);
	assert_client_got(r, "413 length=2;|no");
}

static void a_client_that_leaves_ends_the_connection(void **state)
{
	struct rig *r = *state;
	start_get(r);
	answer(r, OK "Content-Length: 5\r\n\r\nhi");
	UNTIL(r, client_has(r, "hi"));
	leave(r);
	UNTIL(r, upstream_ended(r));
	assert_int_equal(counts(r).open, 0);
	ask(r, GET); /* and while connecting */
	leave(r);
	assert_int_equal(counts(r).open, 0);
	for (unsigned i = 0; i < 3; i++)
		turn(r);
	assert_false(r->ended);
}

/* ---- control in place of an application ---- */

static void ask_control(struct rig *r, const char *head)
{
	ask_of(r, &control_handler, head, "192.0.2.1");
}

/* As it came: control knows the client by the message, and what a stranger says of himself is no
 * more than a header. */
static void control_is_asked_on_a_channel_of_the_clients_own(void **state)
{
	struct rig *r = *state;
	ask_control(r, "GET /api HTTP/1.1\r\n" HOST "X-Forwarded-For: 127.0.0.1\r\n\r\n");
	assert_string_equal(buf_c(&r->handed_on), "192.0.2.1 tls\n");
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	assert_false(upstream_has(r, "via:"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
	ask_control(r, GET); /* the same connection of the client */
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_string_equal(buf_c(&r->handed_on), "192.0.2.1 tls\n");
	assert_int_equal(counts(r).open, 1);

	struct keepsake *first = r->kept;
	int channel = r->peer;
	r->peer = -1;
	r->kept = NULL;
	ask_control(r, GET); /* another one */
	assert_string_equal(buf_c(&r->handed_on), "192.0.2.1 tls\n192.0.2.1 tls\n");
	assert_ptr_not_equal(r->kept, first);
	first->free(first);
	assert_int_equal(counts(r).open, 1);
	char byte;
	assert_int_equal(recv(channel, &byte, 1, 0), 0);
	close(channel);
}

static void events_pass_as_they_come(void **state)
{
	struct rig *r = *state;
	ask_control(r, GET);
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK "Transfer-Encoding: chunked\r\n\r\n6\r\ndata:1\r\n");
	UNTIL(r, client_has(r, "data:1"));
	assert_false(r->ended);
	leave(r);
	UNTIL(r, upstream_ended(r));
	assert_int_equal(counts(r).open, 0);
}

static void a_control_that_is_away_is_said(void **state)
{
	static const struct {
		const char *head, *got;
	} cases[] = {
		{ "GET /api/x HTTP/1.1\r\n" HOST "\r\n",
		        "application/json;cache-control=no-store;length=159;|{\"code\":\"busy\"," },
		{ GET, "try again in a second" },
		{ "POST /api/x HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", "\"remedy\":" },
	};
	struct rig *r = *state;
	r->control_is_away = true;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ask_control(r, cases[i].head);
		UNTIL(r, r->ended);
		if (!client_has(r, "503 ") || !client_has(r, cases[i].got))
			fail_msg("%s: %s", cases[i].head, buf_c(&r->at_client));
	}
	r->control_is_away = false; /* back again, on the client's same connection */
	ask_control(r, GET);
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK "Content-Length: 5\r\n\r\nhi");
	UNTIL(r, client_has(r, "hi"));
	hang_up(r);
	UNTIL(r, r->ended);
	assert_true(r->aborted.n > 0);
}

/* What control has closed meanwhile is not met by the next request. */
static void a_channel_that_control_has_closed_is_replaced(void **state)
{
	struct rig *r = *state;
	ask_control(r, GET);
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	hang_up(r);
	ask_control(r, "POST /api HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	UNTIL(r, upstream_has(r, "\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
	assert_client_got(r, "200 length=2;|hi");
}

/* Neither for an answer of forward-auth nor for the file. */
static void trailers_say_nothing_in_the_place_of_rules(void **state)
{
	struct rig *r = *state;
	struct str copies[] = { STR("remote-user") };
	struct header_rule rules[] = { { HEADER_SET, STR("x-role"), STR("guest") },
		{ HEADER_REMOVE, STR("x-debug"), STR_NONE } };
	const struct route route = { .copies = copies, .copy_count = 1, .request = { rules, 2 } };
	struct header said[] = { { STR("remote-user"), STR("root") },
		{ STR("remote_user"), STR("root") }, { STR("x-sum"), STR("7") },
		{ STR("x_role"), STR("admin") }, { STR("x-debug"), STR("1") } };
	ask(r, "POST / HTTP/1.1\r\n" HOST "TE: trailers\r\nConnection: TE\r\n"
	       "Transfer-Encoding: chunked\r\n\r\n");
	r->ex.route = &route;
	r->ex.trailers = (struct headers){ said, 5, 5 };
	UNTIL(r, accept_at(r, 0));
	UNTIL(r, r->wanted > 0);
	r->ex.handling->ops->body_end(r->ex.handling);
	UNTIL(r, upstream_has(r, "\r\n\r\n0\r\nx-sum: 7\r\n\r\n"));
	answer(r, OK_HI);
	UNTIL(r, r->ended);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(one_connection_carries_many_requests),
		RIGGED(forwarding_headers_are_ours),
		RIGGED(a_loop_is_508),
		RIGGED(what_does_not_pass),
		RIGGED(a_chunked_body_is_framed_anew),
		RIGGED(trailers_say_nothing_in_the_place_of_rules),
		RIGGED(answers_pass_in_their_kinds),
		RIGGED(broken_answers_are_seen),
		RIGGED(too_many_interim_answers),
		RIGGED(the_next_upstream_is_tried),
		RIGGED(nobody_listens),
		RIGGED(equals_take_turns),
		RIGGED(too_many_connections_are_503),
		RIGGED(descriptors_that_are_few),
		RIGGED(a_dead_kept_connection_is_replaced),
		RIGGED(it_is_replaced_once_only),
		RIGGED(what_may_have_been_acted_on_is_not_sent_again),
		RIGGED(a_request_that_was_not_sent_is),
		RIGGED(bytes_between_answers_close),
		RIGGED(what_cannot_be_repeated_goes_to_no_doubtful_connection),
		RIGGED(a_head_that_drips_is_504),
		RIGGED(kept_connections_end),
		RIGGED(silence_is_504),
		RIGGED(silence_within_an_answer_breaks_off),
		RIGGED(a_slow_client_is_not_the_upstreams_fault),
		RIGGED(a_connection_that_does_not_stand_in_time),
		RIGGED(no_more_is_read_than_the_client_has_room_for),
		RIGGED(a_long_answer_lets_others_have_their_turn),
		RIGGED(no_more_is_wanted_than_the_upstream_takes),
		RIGGED(an_early_answer_ends_the_connection),
		RIGGED(an_early_answer_counts_when_the_rest_cannot_be_sent),
		RIGGED(a_client_that_leaves_ends_the_connection),
		RIGGED(control_is_asked_on_a_channel_of_the_clients_own),
		RIGGED(events_pass_as_they_come),
		RIGGED(a_control_that_is_away_is_said),
		RIGGED(a_channel_that_control_has_closed_is_replaced),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
