/* The fetch process as control uses it, in one loop with control's end and a server on loopback
 * that plays what it is told; TLS by `openssl s_server`. */
#include "fetch/fetch.h"
#include "fetcher/fetcher.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- a server: one answer for each request, whatever it asks ---- */

struct server {
	int fd;
	unsigned port;
	struct watch watch, client;
	int client_fd;
	struct str answer; /* empty: none */
	bool cut;          /* close after it */
	char asked[4096];
	unsigned connections, requests;
};

static void serve_client(struct watch *w, unsigned events)
{
	struct server *s = OWNER(w, struct server, client);
	(void)events;
	ssize_t n;
	while ((n = recv(s->client_fd, s->asked, sizeof s->asked - 1, MSG_DONTWAIT)) > 0) {
		s->asked[n] = '\0';
		s->requests++;
		if (s->answer.n)
			(void)!send(s->client_fd, s->answer.p, s->answer.n, MSG_NOSIGNAL);
		if (s->cut)
			shutdown(s->client_fd, SHUT_RDWR);
	}
}

static void serve(struct watch *w, unsigned events)
{
	struct server *s = OWNER(w, struct server, watch);
	(void)events;
	int fd;
	while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		s->connections++;
		if (s->client_fd >= 0) {
			watch_stop(&s->client);
			close(s->client_fd);
		}
		s->client_fd = fd;
		watch_start(&s->client, w->loop, fd, serve_client);
		serve_client(&s->client, 0);
	}
}

static int listening(unsigned *ret_port)
{
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof in), 0);
	assert_int_equal(listen(fd, 8), 0);
	getsockname(fd, (struct sockaddr *)&in, &size);
	*ret_port = ntohs(in.sin_port);
	return fd;
}

/* ---- the stage ---- */

struct stage {
	struct loop *loop;
	struct fetcher fetcher;
	struct fetch *fetch;
	struct link supervisor;
	struct server server;
};

static void supervisor_heard(struct link *l, const struct msg *m)
{
	(void)l;
	msg_close_fd(m);
}

static void supervisor_ended(struct link *l, const struct err *why)
{
	(void)l;
	(void)why;
}

static const struct link_ops supervisor_ops = { supervisor_heard, supervisor_ended };

static void stage_init(struct stage *s)
{
	int supervisor[2], control[2];
	struct err err = ERR_INIT;
	*s = (struct stage){ .loop = loop_new(&clock_system) };
	assert_true(link_pair(supervisor, &err) && link_pair(control, &err));
	fetcher_init(&s->fetcher, s->loop, supervisor[1]);
	link_init(&s->supervisor, s->loop, supervisor[0], &supervisor_ops);
	link_send(&s->supervisor, peer, .process = PROCESS_CONTROL, .fd = control[1]);
	close(control[1]);
	s->fetch = fetch_link_new(s->loop);
	fetch_link_attach(s->fetch, control[0]);
	s->server.client_fd = -1;
	s->server.fd = listening(&s->server.port);
	watch_start(&s->server.watch, s->loop, s->server.fd, serve);
}

static void stage_done(struct stage *s)
{
	fetch_link_free(&s->fetch);
	link_done(&s->supervisor);
	fetcher_done(&s->fetcher);
	watch_stop(&s->server.watch);
	watch_stop(&s->server.client);
	close(s->server.fd);
	if (s->server.client_fd >= 0)
		close(s->server.client_fd);
	loop_free(&s->loop);
}

struct asked {
	struct fetch_call call;
	struct fetch_probe probe;
	bool done;
	unsigned status;
	enum err_code code;
	char text[1024], headers[1024], *body;
	size_t n;
};

static void done(struct fetch_call *call, const struct fetch_reply *reply, const struct err *err)
{
	struct asked *a = OWNER(call, struct asked, call);
	a->done = true;
	a->code = err ? err->code : ERR_NONE;
	snprintf(a->text, sizeof a->text, "%s", err ? err->text : "");
	if (!reply)
		return;
	a->status = reply->status;
	snprintf(a->headers, sizeof a->headers, "%.*s", STR_ARG(reply->headers));
	a->body = str_dup(reply->body);
	a->n = reply->body.n;
}

static void probed(struct fetch_probe *probe, struct str leaf, const struct err *err)
{
	struct asked *a = OWNER(probe, struct asked, probe);
	a->done = true;
	a->code = err ? err->code : ERR_NONE;
	snprintf(a->text, sizeof a->text, "%s", err ? err->text : "");
	a->body = str_dup(leaf);
	a->n = leaf.n;
}

static void wait_for(struct stage *s, const struct asked *a)
{
	int64_t until = loop_mono(s->loop) + 20 * SECOND;
	while (!a->done && loop_mono(s->loop) < until)
		loop_turn(s->loop, 100);
	assert_true(a->done);
}

static void ask(struct stage *s, struct asked *a, const char *url)
{
	free(a->body);
	a->body = NULL;
	a->done = false;
	a->status = 0;
	a->call.url = str_c(url);
	a->call.purpose = a->call.purpose ? a->call.purpose : "acme";
	a->call.method = a->call.method ? a->call.method : "GET";
	a->call.done = done;
	fetch_start(s->fetch, &a->call);
	wait_for(s, a);
}

static const char *here(const struct stage *s, const char *scheme)
{
	static char url[64];
	snprintf(url, sizeof url, "%s://127.0.0.1:%u/x", scheme, s->server.port);
	return url;
}

/* ---- plain http ---- */

static void a_post_is_answered(void **state)
{
	(void)state;
	struct stage s;
	struct asked a = { .call = { .method = "POST",
		                   .body = STR("{\"a\":1}"),
		                   .headers = STR("content-type: application/jose+json\n") } };
	stage_init(&s);
	s.server.answer =
	        STR("HTTP/1.1 100 Continue\r\nEarly: 1\r\n\r\n"
	            "HTTP/1.1 201 Created\r\nReplay-Nonce:  N1 \r\nLink: <a>\r\nLINK: <b>\r\n"
	            "Content-Length: 5\r\n\r\nhello");
	for (int i = 0; i < 2; i++) {
		ask(&s, &a, here(&s, "http"));
		assert_int_equal(a.code, ERR_NONE);
		assert_int_equal(a.status, 201);
		assert_string_equal(a.body, "hello");
		assert_string_equal(
		        a.headers, "replay-nonce: N1\nlink: <a>\nlink: <b>\ncontent-length: 5\n");
	}
	assert_int_equal(s.server.connections, 1); /* kept alive */
	assert_int_equal(s.server.requests, 2);
	assert_non_null(strstr(s.server.asked, "POST /x HTTP/1.1\r\n"));
	assert_non_null(strstr(s.server.asked, "User-Agent: Everseal/"));
	assert_non_null(strstr(s.server.asked, "content-type: application/jose+json\r\n"));
	assert_null(strstr(s.server.asked, "Expect"));
	assert_non_null(strstr(s.server.asked, "\r\n\r\n{\"a\":1}"));
	free(a.body);
	stage_done(&s);
}

static const struct {
	const char *answer;
	unsigned status;
	const char *body;
	size_t most;
	const char *text; /* of the error; NULL: none */
	const char *method;
	bool cut;
} answers[] = {
	{ "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 302,
	        "", 0, NULL, "GET", false },
	{ "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 0, NULL, "GET", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", 200, "", 0, NULL, "HEAD", false },
	{ "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", 503, "ab",
	        0, NULL, "GET", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", 200, "abcd", 4, NULL, "GET", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", 0, NULL, 4, "with more than 0 KiB.",
	        "GET", false },
	{ "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", 0, NULL, 0,
	        "cut the connection before its answer was complete.", "GET", true },
	{ "", 0, NULL, 0, "cut the connection before it answered.", "GET", true },
	{ "220 mail ESMTP\r\n", 0, NULL, 0, "answered something that is not HTTP.", "GET", true },
	{ "HTTP/1.1 200 OK\r\n", 0, NULL, 0, "did not finish its answer within 0.5 s.", "GET",
	        false },
	{ "", 0, NULL, 0, "did not answer within 0.5 s.", "GET", false },
};

static void answers_have_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct stage s;
		struct asked a = { .call = { .most = answers[i].most,
			                   .method = answers[i].method,
			                   .timeout = 500 } };
		stage_init(&s);
		s.server.answer = str_c(answers[i].answer);
		s.server.cut = answers[i].cut;
		ask(&s, &a, here(&s, "http"));
		bool right = answers[i].text ? a.code != ERR_NONE && strstr(a.text, answers[i].text)
		                             : a.status == answers[i].status && a.body &&
		                                       strcmp(a.body, answers[i].body) == 0;
		if (!right)
			fail_msg("%s: %u, %s", answers[i].answer, a.status, a.text);
		free(a.body);
		stage_done(&s);
	}
}

static void a_large_answer_arrives_whole(void **state)
{
	(void)state;
	enum { SIZE = 3000000 };
	struct stage s;
	struct asked a = { .call = { .most = SIZE } };
	stage_init(&s);
	char *answer = malloc(SIZE + 200);
	assert_non_null(answer);
	int head = snprintf(answer, 200, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", SIZE);
	for (size_t i = 0; i < SIZE; i++)
		answer[(size_t)head + i] = (char)('a' + i % 23);
	/* More than a socket takes at once: a process of its own gives it out. */
	watch_stop(&s.server.watch);
	pid_t pid = fork();
	if (pid == 0) {
		fcntl(s.server.fd, F_SETFL, 0);
		int fd = accept(s.server.fd, NULL, NULL);
		char asked[1024];
		(void)!read(fd, asked, sizeof asked);
		for (size_t n = 0; n < (size_t)head + SIZE;)
			n += (size_t)write(fd, answer + n, (size_t)head + SIZE - n);
		_exit(0);
	}
	ask(&s, &a, here(&s, "http"));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_string_equal(a.text, "");
	assert_int_equal(a.n, SIZE);
	assert_memory_equal(a.body, answer + head, SIZE);
	free(a.body);
	free(answer);
	stage_done(&s);
}

static const struct {
	const char *purpose, *method, *url, *headers;
	enum err_code code;
	const char *text;
} refused[] = {
	{ "acme", "GET", "http://192.0.2.1/", "", ERR_INPUT,
	        "192.0.2.1 is asked only by https: write https:// in its URL." },
	{ "acme", "GET", "http://localhost.example/", "", ERR_INPUT, "is asked only by https" },
	{ "acme", "GET", "ftp://localhost/", "", ERR_INPUT, "" },
	{ "acme", "GET", "https://user@localhost/", "", ERR_INPUT, "" },
	{ "acme", "PUT", "https://localhost/", "", ERR_INPUT, "The method \"PUT\" is not allowed" },
	{ "gossip", "GET", "https://localhost/", "", ERR_INPUT, "knows no rule" },
	{ "webhook", "GET", "https://localhost/", "", ERR_INPUT,
	        "\"GET\" is not allowed for webhook" },
	{ "webhook", "POST", "http://hooks.invalid/", "", ERR_INPUT, "asked only by https" },
	{ "kept-webhook", "POST", "http://hooks.invalid/", "", ERR_INPUT, "asked only by https" },
	{ "kept-webhook", "POST", "https://169.254.169.254/", "", ERR_PERMISSION,
	        "169.254.169.254 has a link-local address, which only the configuration file" },
	{ "kept-webhook", "POST", "https://127.0.0.1:1/", "", ERR_UNREACHABLE,
	        "127.0.0.1:1 refuses connections" },
	{ "kept-mail", "SEND", "smtps://[fe80::1]:465", "from: a@b\nto: c@d\n", ERR_PERMISSION,
	        "has a link-local address" },
	{ "kept-mail", "SEND", "smtp://127.0.0.1:1", "from: a@b\nto: c@d\n", ERR_UNREACHABLE,
	        "127.0.0.1:1 refuses connections" },
	{ "mail", "SEND", "https://localhost/", "from: a@b\nto: c@d\n", ERR_INPUT,
	        "begins with smtps:// or smtp://" },
	{ "mail", "SEND", "smtp://127.0.0.1:1", "to: c@d\n", ERR_INPUT, "an address to come from" },
	{ "mail", "SEND", "smtp://127.0.0.1:1", "from: a@b\nto: c@d\n", ERR_UNREACHABLE,
	        "127.0.0.1:1 refuses connections" },
	{ "acme", "GET", "http://127.0.0.1:1/", "a: b\rc: d\n", ERR_INPUT, "is not a header" },
	{ "acme", "GET", "http://127.0.0.1:1/", "", ERR_UNREACHABLE,
	        "127.0.0.1:1 refuses connections: no server listens there, or a firewall rejects "
	        "it." },
	{ "acme", "GET", "https://no-such-name.invalid/", "", ERR_UNREACHABLE,
	        "no-such-name.invalid was not found" },
};

static void what_is_refused_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		struct stage s;
		struct asked a = { .call = { .purpose = refused[i].purpose,
			                   .method = refused[i].method,
			                   .headers = str_c(refused[i].headers) } };
		stage_init(&s);
		ask(&s, &a, refused[i].url);
		if (a.code != refused[i].code || !strstr(a.text, refused[i].text))
			fail_msg("%s: %s: %s", refused[i].url, err_code_name(a.code), a.text);
		stage_done(&s);
	}
}

static void an_abort_is_heard(void **state)
{
	(void)state;
	struct stage s;
	struct asked a = { .call = { .purpose = "acme", .method = "GET", .done = done } };
	stage_init(&s);
	a.call.url = str_c(here(&s, "http"));
	fetch_start(s.fetch, &a.call);
	while (!s.server.requests)
		loop_turn(s.loop, 100);
	fetch_abort(&a.call);
	while (!list_empty(&s.fetcher.transfers))
		loop_turn(s.loop, 100);
	assert_false(a.done);
	stage_done(&s);
}

/* ---- TLS ---- */

struct tls {
	char folder[64], pem[8192], rsa_pem[8192];
	unsigned port;
	pid_t pid;
};

static void openssl(const char *command)
{
	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(9);
	}
	int status = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void read_pem(const struct tls *t, const char *file, char *ret_pem, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", t->folder, file);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	size_t n = fread(ret_pem, 1, size - 1, f);
	assert_true(n > 100);
	ret_pem[n] = 0;
	fclose(f);
}

/* With two certificates. */
static void tls_start(struct tls *t)
{
	*t = (struct tls){ .folder = "/tmp/everseal-tls-XXXXXX" };
	assert_non_null(mkdtemp(t->folder));
	char command[1024], port[16];
	snprintf(command, sizeof command,
	        "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
	        "-keyout "
	        "key.pem -out cert.pem -days 2 -subj /CN=localhost -addext "
	        "subjectAltName=DNS:localhost,DNS:shop.example.com 2>/dev/null && "
	        "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa-key.pem -out rsa.pem "
	        "-days 2 -subj /CN=localhost 2>/dev/null",
	        t->folder);
	openssl(command);
	read_pem(t, "cert.pem", t->pem, sizeof t->pem);
	read_pem(t, "rsa.pem", t->rsa_pem, sizeof t->rsa_pem);
	close(listening(&t->port));
	snprintf(port, sizeof port, "127.0.0.1:%u", t->port);
	t->pid = fork();
	if (t->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		(void)!chdir(t->folder);
		execlp("openssl", "openssl", "s_server", "-accept", port, "-cert", "cert.pem",
		        "-key", "key.pem", "-dcert", "rsa.pem", "-dkey", "rsa-key.pem", "-www",
		        (char *)NULL);
		_exit(9);
	}
}

static void tls_stop(struct tls *t)
{
	char path[128];
	kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	static const char *const files[] = { "key.pem", "cert.pem", "rsa-key.pem", "rsa.pem" };
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", t->folder, files[i]);
		unlink(path);
	}
	rmdir(t->folder);
}

static void probe_for(
        struct stage *s, struct asked *a, unsigned port, struct str name, enum fetch_keys keys)
{
	free(a->body);
	*a = (struct asked){ .probe = { .address = STR("127.0.0.1"),
		                     .port = (uint16_t)port,
		                     .server_name = name,
		                     .keys = keys,
		                     .done = probed } };
	fetch_probe(s->fetch, &a->probe);
	wait_for(s, a);
}

static void probe(struct stage *s, struct asked *a, unsigned port, struct str name)
{
	probe_for(s, a, port, name, FETCH_KEYS_ANY);
}

/* Of two certificates each is seen by who can do with it alone. */
static void probe_both(struct stage *s, struct asked *a, const struct tls *t)
{
	probe_for(s, a, t->port, STR("shop.example.com"), FETCH_KEYS_RSA);
	assert_string_equal(a->body, t->rsa_pem);
	probe_for(s, a, t->port, STR("shop.example.com"), FETCH_KEYS_ECDSA);
	assert_string_equal(a->body, t->pem);
}

static void tls_is_verified_and_probed(void **state)
{
	(void)state;
	struct stage s;
	struct tls t;
	struct asked a = { .done = false };
	char url[64];
	stage_init(&s);
	tls_start(&t);
	/* Until it listens: making its process takes a moment. */
	for (int64_t until = loop_mono(s.loop) + 10 * SECOND; loop_mono(s.loop) < until;) {
		probe(&s, &a, t.port, STR("shop.example.com"));
		if (a.code == ERR_NONE)
			break;
	}
	assert_string_equal(a.text, "");
	assert_string_equal(a.body, t.pem);
	probe(&s, &a, t.port, STR_NONE);
	assert_string_equal(a.body, t.pem);
	probe_both(&s, &a, &t);
	free(a.body);

	a = (struct asked){ .done = false };
	snprintf(url, sizeof url, "https://localhost:%u/", t.port);
	ask(&s, &a, url);
	assert_int_equal(a.code, ERR_REFUSED);
	assert_non_null(strstr(a.text, "is not trusted (self"));
	assert_non_null(strstr(a.text, "root certificate by `trust FILE` in the issuer block."));
	a.call.trust = str_c(t.pem);
	ask(&s, &a, url);
	assert_string_equal(a.text, "");
	assert_int_equal(a.status, 200);
	snprintf(url, sizeof url, "https://127.0.0.1:%u/", t.port);
	ask(&s, &a, url); /* the certificate has not that name */
	assert_int_equal(a.code, ERR_REFUSED);
	assert_non_null(strstr(a.text, "is for another name (")); /* no word of `trust` */
	assert_non_null(strstr(a.text, "). Check the spelling of the URL, and whether"));
	a.call.trust = STR("no PEM");
	ask(&s, &a, url);
	assert_non_null(strstr(a.text, "the certificates to trust cannot be read"));
	tls_stop(&t);
	free(a.body);

	/* A listener that speaks no TLS, and none at all. */
	a = (struct asked){ .done = false };
	s.server.answer = STR("HTTP/1.1 400 Bad Request\r\n\r\n");
	probe(&s, &a, s.server.port, STR("shop.example.com"));
	assert_int_equal(a.code, ERR_PROTOCOL);
	assert_non_null(strstr(a.text, "did not complete the TLS handshake"));
	free(a.body);
	a = (struct asked){ .done = false };
	probe(&s, &a, t.port, STR("shop.example.com"));
	assert_int_equal(a.code, ERR_UNREACHABLE);
	free(a.body);
	a = (struct asked){ .probe = { .address = STR("localhost"), .port = 1, .done = probed } };
	fetch_probe(s.fetch, &a.probe);
	wait_for(&s, &a);
	assert_int_equal(a.code, ERR_INPUT);
	free(a.body);
	stage_done(&s);
}

/* ---- diagnosis ---- */

#define NONCE "nonce-of-sixteen-or-more"

static const struct {
	const char *url, *address, *expected;
	bool anywhere;
	const char *text; /* of the refusal; NULL: allowed */
} dials[] = {
	{ "http://shop.example.com/" NONCE, "198.41.30.7", NONCE ".x", false, NULL },
	{ "https://shop.example.com/?" NONCE, "2a00::7", NONCE ".x", false, NULL },
	{ "http://shop.example.com/" NONCE, "10.0.0.1", NONCE ".x", true, NULL },
	{ "http://shop.example.com/" NONCE, "10.0.0.1", NONCE ".x", false, "not a public address" },
	{ "http://shop.example.com/" NONCE, "127.0.0.1", NONCE ".x", false,
	        "not a public address" },
	{ "http://shop.example.com/" NONCE, "169.254.169.254", NONCE ".x", false,
	        "not a public address" },
	{ "http://shop.example.com/" NONCE, "::ffff:127.0.0.1", NONCE ".x", false,
	        "not a public address" },
	{ "http://shop.example.com/" NONCE, "fe80::1", NONCE ".x", false, "not a public address" },
	{ "http://shop.example.com/" NONCE, "64:ff9b::7f00:1", NONCE ".x", false,
	        "not a public address" },
	{ "http://shop.example.com/" NONCE, "2002:7f00:1::", NONCE ".x", false,
	        "not a public address" },
	{ "http://shop.example.com/admin", "198.41.30.7", NONCE ".x", false, "its own nonce" },
	{ "http://shop.example.com/", "198.41.30.7", ".x", false, "its own nonce" },
	{ "http://shop.example.com/short", "198.41.30.7", "short.x", false, "its own nonce" },
	{ "http://shop.example.com:22/" NONCE, "198.41.30.7", NONCE ".x", true,
	        "not asked on port 22" },
	{ "https://shop.example.com:80/" NONCE, "198.41.30.7", NONCE ".x", true,
	        "not asked on port 80" },
	{ "ftp://shop.example.com/" NONCE, "198.41.30.7", NONCE ".x", true, "not a URL" },
	{ "http://shop.example.com/ " NONCE, "198.41.30.7", NONCE ".x", true, "not a URL" },
	{ "http://shop.example.com/\n" NONCE, "198.41.30.7", NONCE ".x", true, "not a URL" },
	{ "http://shop.example.com/" NONCE, "shop.example.com", NONCE ".x", true,
	        "not an IP address" },
};

static void diagnosis_asks_only_for_its_nonce(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dials / sizeof *dials; i++) {
		struct msg_dial m = { .url = str_c(dials[i].url),
			.address = str_c(dials[i].address),
			.expected = str_c(dials[i].expected),
			.http_port = 80,
			.https_port = 443,
			.anywhere = dials[i].anywhere };
		struct err err = ERR_INIT;
		struct url url;
		struct sockaddr_storage address;
		bool allowed = rule_allows_dial(&m, &url, &address, &err);
		if (allowed != !dials[i].text || (!allowed && !strstr(err.text, dials[i].text)))
			print_message("dial %zu: %s\n", i, err.text);
		assert_int_equal(allowed, !dials[i].text);
		assert_true(allowed || strstr(err.text, dials[i].text));
	}
}

/* Lists of revoked certificates are named by http mostly (RFC 5280 8), and signed. */
static void only_what_is_signed_is_asked_by_http_elsewhere(void **state)
{
	(void)state;
	static const struct {
		const char *purpose, *method;
		bool allowed;
	} rows[] = { { "revocation", "GET", true }, { "revocation", "POST", true },
		{ "revocation", "DELETE", false }, { "acme", "GET", false },
		{ "webhook", "POST", false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct err err = ERR_INIT;
		struct url url;
		assert_true(url_parse(STR("http://crl.ca.test/7.crl"), &url, &err));
		assert_int_equal(rule_allows(rule_find(str_c(rows[i].purpose)),
		                         str_c(rows[i].method), &url, &err),
		        rows[i].allowed);
	}
}

/* They are really asked there, whatever comes of it: nobody is at that address (RFC 5737). */
static void by_http_elsewhere(void **state)
{
	(void)state;
	struct stage s;
	struct asked a = { .call = { .purpose = "revocation", .timeout = 300 } };
	stage_init(&s);
	ask(&s, &a, "http://192.0.2.1:1/7.crl");
	if (a.code == ERR_INPUT || a.code == ERR_NONE)
		fail_msg("%s", a.text);
	stage_done(&s);
}

struct dialling {
	struct fetch_dial dial;
	struct fetch_resolve resolve;
	bool done, matched;
	unsigned status;
	char text[1024], headers[1024], outcome[32];
};

static void dial_done(
        struct fetch_dial *dial, const struct fetch_dialled *came, const struct err *err)
{
	struct dialling *d = OWNER(dial, struct dialling, dial);
	d->done = true;
	snprintf(d->text, sizeof d->text, "%s", err ? err->text : "");
	d->matched = came && came->matched;
	d->status = came ? came->status : 0;
	snprintf(d->headers, sizeof d->headers, "%.*s", STR_ARG(came ? came->headers : STR("")));
}

static void dial(struct stage *s, struct dialling *d, bool anywhere)
{
	char url[256];
	*d = (struct dialling){ 0 };
	snprintf(url, sizeof url, "http://shop.example.com:%u/" NONCE, s->server.port);
	d->dial = (struct fetch_dial){ .url = str_c(url),
		.address = STR("127.0.0.1"),
		.expected = STR(NONCE ".rest"),
		.http_port = (uint16_t)s->server.port,
		.https_port = 443,
		.anywhere = anywhere,
		.timeout = SECOND,
		.done = dial_done };
	fetch_dial(s->fetch, &d->dial);
	assert_false(d->done);
	int64_t until = loop_mono(s->loop) + 10 * SECOND;
	while (!d->done && loop_mono(s->loop) < until)
		loop_turn(s->loop, 100);
	assert_true(d->done);
}

static void a_dial_tells_no_body(void **state)
{
	(void)state;
	struct stage s;
	struct dialling d;
	stage_init(&s);
	s.server.answer = STR("HTTP/1.1 200 OK\r\nServer: nginx\r\nSet-Cookie: secret\r\n"
	                      "Content-Length: 30\r\n\r\n" NONCE ".rest\n");
	dial(&s, &d, /* anywhere= */ true);
	assert_string_equal(d.text, "");
	assert_true(d.matched);
	assert_int_equal(d.status, 200);
	assert_string_equal(d.headers, "server: nginx\n");
	assert_non_null(
	        strstr(s.server.asked, "GET /" NONCE " HTTP/1.1\r\nHost: shop.example.com"));

	s.server.answer = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother");
	dial(&s, &d, /* anywhere= */ true);
	assert_false(d.matched);
	s.server.answer = STR("HTTP/1.1 404 No\r\nContent-Length: 29\r\n\r\n" NONCE ".rest");
	dial(&s, &d, /* anywhere= */ true);
	assert_false(d.matched);
	s.server.answer = STR("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\n"
	                      "Content-Length: 0\r\n\r\n");
	dial(&s, &d, /* anywhere= */ true);
	assert_int_equal(d.status, 302);
	assert_string_equal(d.headers, "location: http://127.0.0.1/\n");

	s.server.requests = 0;
	dial(&s, &d, /* anywhere= */ false);
	assert_non_null(strstr(d.text, "127.0.0.1 is not asked: it is not a public address"));
	assert_int_equal(s.server.requests, 0);
	s.server.answer = STR("");
	dial(&s, &d, /* anywhere= */ true);
	assert_non_null(strstr(d.text, "did not answer within 1 s"));
	stage_done(&s);
}

static void resolve_done(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	struct dialling *d = OWNER(r, struct dialling, resolve);
	d->done = true;
	assert_null(err);
	snprintf(d->outcome, sizeof d->outcome, "%.*s", STR_ARG(came->outcome));
}

static void a_question_ends_with_its_outcome(void **state)
{
	(void)state;
	struct stage s;
	struct dialling d = { .resolve = { .name = STR("shop.example.com"),
		                      .servers = STR("no address"),
		                      .type = "A",
		                      .done = resolve_done } };
	stage_init(&s);
	fetch_resolve(s.fetch, &d.resolve);
	for (int i = 0; i < 50 && !d.done; i++)
		loop_turn(s.loop, 50);
	assert_string_equal(d.outcome, "no-server");
	d.done = false;
	d.resolve.servers = STR("127.0.0.1:1");
	fetch_resolve(s.fetch, &d.resolve);
	fetch_resolve_abort(&d.resolve);
	for (int i = 0; i < 5; i++)
		loop_turn(s.loop, 10);
	assert_false(d.done);
	stage_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(diagnosis_asks_only_for_its_nonce),
		cmocka_unit_test(only_what_is_signed_is_asked_by_http_elsewhere),
		cmocka_unit_test(by_http_elsewhere),
		cmocka_unit_test(a_dial_tells_no_body),
		cmocka_unit_test(a_question_ends_with_its_outcome),
		cmocka_unit_test(a_post_is_answered),
		cmocka_unit_test(answers_have_sentences),
		cmocka_unit_test(a_large_answer_arrives_whole),
		cmocka_unit_test(what_is_refused_says_why),
		cmocka_unit_test(an_abort_is_heard),
		cmocka_unit_test(tls_is_verified_and_probed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
