/* TLS over a pipe in memory, with libssl's own client at the far end. */
#include "keys/keys.h"
#include "tls/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PIPE = 4 << 10 };

static struct loop *loop;
static struct cert_table *certs;
static struct tls_worker *workers[2];
static struct tls_ticket_keys tickets;

/* Both ends of one connection. */
struct talk {
	struct conn_holder server, far;
	struct buf got;     /* by the server */
	struct buf to_send; /* by the server */
	bool told, writable, ended, failed, far_ended, far_deaf;
	SSL *client;
	BIO *in, *out; /* of the client, in memory */
	struct buf unsent;
};

static void add_certificate(struct segments *s, const char *name, unsigned flags)
{
	struct err err;
	struct str names[] = { str_c(name), STR("extra.test") };
	bool star = strcmp(name, "*") == 0;
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF_INIT(64 << 10);
	assert_true(key_self_signed(key, star ? names + 1 : names, 1, 0, DAY, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	struct cert_record r = {
		.flags = flags, .leaf = buf_str(&der), .key = secret_bytes(&secret)
	};
	uint64_t number;
	assert_true(segments_add(s, names, 1, &r, &number, &err));
}

/* s is freed. */
static struct cert_table *table_of_segments(struct segments *s)
{
	struct err err;
	struct cert_table *t = cert_table_new();
	assert_true(cert_table_map(t, 0, dup(segments_fd(s, 0)), &err));
	assert_true(cert_table_advance(t, 0, segments_valid(s, 0), &err));
	segments_free(&s);
	return t;
}

static struct cert_table *table_of(const char *const *names)
{
	struct segments *s = segments_new();
	for (; *names; names++)
		add_certificate(s, *names, strcmp(*names, "temporary.test") ? 0 : CERT_TEMPORARY);
	return table_of_segments(s);
}

static void start_with(const char *const *names)
{
	struct err err;
	loop = loop_new(&clock_system);
	certs = table_of(names);
	assert_true(tls_ticket_keys_rotate(&tickets, &err));
	assert_true(tls_ticket_keys_rotate(&tickets, &err));
	for (int i = 0; i < 2; i++) {
		workers[i] = tls_worker_new(loop, certs, &err);
		assert_non_null(workers[i]);
		tls_worker_ticket_keys(workers[i], &tickets);
	}
}

static int setup(void **state)
{
	static const char *const names[] = { "a.test", "*.wild.test", "temporary.test", NULL };
	(void)state;
	start_with(names);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_worker_free(&workers[0]);
	tls_worker_free(&workers[1]);
	cert_table_free(&certs);
	loop_free(&loop);
	return 0;
}

static void send_some(struct talk *t)
{
	while (t->to_send.n > 0) {
		size_t first = t->to_send.n < 10 ? t->to_send.n : 10;
		struct iovec v[2] = { { t->to_send.p, first },
			{ t->to_send.p + first, t->to_send.n - first } };
		ssize_t n = conn_write(t->server.conn, v, 2);
		if (n < 0)
			return;
		buf_consume(&t->to_send, (size_t)n);
	}
}

static void server_ready(struct conn *c, unsigned events)
{
	struct talk *t = OWNER(c->holder, struct talk, server);
	char p[1000];
	ssize_t n;
	t->told = true;
	if (events & CONN_OUT) {
		t->writable = true;
		send_some(t);
	}
	if (!(events & CONN_IN))
		return;
	do {
		n = conn_read(c, p, sizeof p);
		if (n > 0)
			buf_add(&t->got, str_n(p, (size_t)n));
		t->ended = t->ended || n == 0;
		t->failed = t->failed || n == CONN_FAILED;
	} while (n == (ssize_t)sizeof p);
}

static void far_ready(struct conn *c, unsigned events)
{
	struct talk *t = OWNER(c->holder, struct talk, far);
	char p[1000];
	ssize_t n = 1;
	while (events & CONN_IN && n > 0 && !t->far_deaf) {
		n = conn_read(c, p, sizeof p);
		if (n > 0)
			assert_int_equal(BIO_write(t->in, p, (int)n), n);
		t->far_ended = t->far_ended || n == 0;
	}
}

static void push(struct talk *t)
{
	char p[4096];
	int n;
	while ((n = BIO_read(t->out, p, sizeof p)) > 0)
		buf_add(&t->unsent, str_n(p, (size_t)n));
	struct iovec v = { t->unsent.p, t->unsent.n };
	ssize_t put = t->unsent.n > 0 ? conn_write(t->far.conn, &v, 1) : 0;
	if (put > 0)
		buf_consume(&t->unsent, (size_t)put);
}

static void settle(struct talk *t)
{
	for (int i = 0; i < 12; i++) {
		push(t);
		loop_turn(loop, 0);
	}
}

struct hello {
	const char *server_name, *alpn; /* NULL: none; alpn in wire form */
	const char *default_name;
	int version; /* of the client, 0: any */
	SSL_SESSION *session;
	int worker;
};

static struct tls_hello *asking; /* NULL: nobody knows of any rules */

static void talk_init(struct talk *t, SSL_CTX *ctx, const struct hello *h)
{
	struct conn *near, *far;
	*t = (struct talk){
		.got = BUF_INIT(1 << 24), .to_send = BUF_INIT(1 << 24), .unsent = BUF_INIT(1 << 24)
	};
	conn_pipe_new(loop, PIPE, &near, &far);
	conn_hold(&t->far, far, far_ready);
	struct conn *tls = conn_tls_new(workers[h->worker], near, str_c(h->default_name));
	conn_hold(&t->server, tls, server_ready);
	if (asking)
		conn_tls_ask(tls, asking);
	t->client = SSL_new(ctx);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	SSL_set_bio(t->client, t->in, t->out);
	if (h->server_name)
		SSL_set_tlsext_host_name(t->client, h->server_name);
	if (h->alpn)
		SSL_set_alpn_protos(
		        t->client, (const unsigned char *)h->alpn, (unsigned)strlen(h->alpn));
	if (h->version)
		SSL_set_max_proto_version(t->client, h->version);
	if (h->session)
		SSL_set_session(t->client, h->session);
}

/* Whether the handshake succeeded; *ret_reason is the client's error otherwise. */
static bool shake(struct talk *t, int *ret_reason)
{
	for (int i = 0; i < 10; i++) {
		ERR_clear_error();
		int r = SSL_connect(t->client), why = SSL_get_error(t->client, r);
		*ret_reason = ERR_GET_REASON(ERR_peek_last_error());
		ERR_clear_error();
		settle(t);
		assert_int_equal(ERR_peek_error(), 0); /* we leave nothing behind */
		if (r == 1)
			return true;
		if (why != SSL_ERROR_WANT_READ)
			return false;
	}
	*ret_reason = 0;
	return false;
}

static void talk_done(struct talk *t)
{
	conn_free(&t->server.conn);
	conn_free(&t->far.conn);
	SSL_free(t->client);
	buf_done(&t->got);
	buf_done(&t->to_send);
	buf_done(&t->unsent);
}

static SSL_CTX *client_ctx(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(ctx, 0);
	return ctx;
}

static void served_name(const SSL *client, char *text, size_t size)
{
	X509 *leaf = SSL_get1_peer_certificate(client);
	assert_non_null(leaf);
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
	snprintf(text, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
	        ASN1_STRING_get0_data(name->d.dNSName));
	GENERAL_NAMES_free(names);
	X509_free(leaf);
}

static void certificate_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *server_name, *default_name;
		const char *served; /* NULL: unrecognized_name */
		bool temporary;
	} cases[] = {
		{ "a.test", NULL, "a.test", false },
		{ "A.Test", NULL, "a.test", false },
		{ "x.wild.test", NULL, "*.wild.test", false },
		{ "x.y.wild.test", NULL, NULL, false },
		{ "temporary.test", NULL, "temporary.test", true },
		{ "nobody.test", "a.test", NULL, false },
		{ NULL, "a.test", "a.test", false },
		{ NULL, "nobody.test", NULL, false },
		{ NULL, NULL, NULL, false },
		{ "127.0.0.1", "a.test", "a.test", false },
		{ "127.0.0.1", NULL, NULL, false },
	};
	SSL_CTX *ctx = client_ctx();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hello h = { cases[i].server_name, .default_name = cases[i].default_name };
		struct talk t;
		int reason = 0;
		talk_init(&t, ctx, &h);
		assert_int_equal(shake(&t, &reason), cases[i].served != NULL);
		assert_true(t.told);
		if (cases[i].served) {
			char name[100];
			served_name(t.client, name, sizeof name);
			assert_string_equal(name, cases[i].served);
			assert_int_equal(conn_tls_temporary(t.server.conn), cases[i].temporary);
		} else {
			assert_int_equal(reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
			assert_true(t.failed);
		}
		assert_int_equal(conn_tls_established(t.server.conn), cases[i].served != NULL);
		assert_null(conn_tls_fault(t.server.conn));
		talk_done(&t);
	}
	SSL_CTX_free(ctx);
}

static void fallback_certificate(void **state)
{
	(void)state;
	static const char *const names[] = { "a.test", "*", NULL };
	start_with(names);
	SSL_CTX *ctx = client_ctx();
	static const char *const asked[] = { "nobody.test", NULL };
	for (int i = 0; i < 2; i++) {
		struct talk t;
		int reason;
		char name[100];
		talk_init(&t, ctx, &(struct hello){ .server_name = asked[i] });
		assert_true(shake(&t, &reason));
		served_name(t.client, name, sizeof name);
		assert_string_equal(name, "extra.test");
		talk_done(&t);
	}
	SSL_CTX_free(ctx);
	teardown(NULL);
}

static void add_pair(struct segments *s, const char *name, enum key_type first)
{
	struct err err;
	const struct str names[] = { str_c(name) };
	struct cert_record r[2] = { 0 };
	struct buf der[2] = { BUF_INIT(64 << 10), BUF_INIT(64 << 10) };
	struct secret keys[2];
	uint64_t number;
	for (int i = 0; i < 2; i++) {
		KEY_AUTO *key = key_new(i ? KEY_RSA2048 : first, &err);
		assert_true(key_self_signed(key, names, 1, 0, DAY, &der[i], &err));
		keys[i] = key_to_der(key);
		r[i].leaf = buf_str(&der[i]);
		r[i].key = secret_bytes(&keys[i]);
	}
	assert_true(segments_add_beside(s, &r[1], &r[0].beside, &err));
	assert_true(segments_add(s, names, 1, &r[0], &number, &err));
	for (int i = 0; i < 2; i++) {
		secret_done(&keys[i]);
		buf_done(&der[i]);
	}
}

/* "EC 256", "EC 384", "RSA 2048", or that there was no handshake. */
static void served_key(const char *server_name, int version, const char *schemes,
        const char *ciphers, char *ret_text, size_t size)
{
	SSL_CTX *ctx = client_ctx();
	struct talk t;
	int reason;
	assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, schemes), 1);
	assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
	if (strcmp(ciphers, "ALL"))
		assert_int_equal(SSL_CTX_set1_groups_list(ctx, "X25519:P-256"), 1);
	talk_init(&t, ctx, &(struct hello){ .server_name = server_name, .version = version });
	snprintf(ret_text, size, "none");
	if (shake(&t, &reason)) {
		X509 *leaf = SSL_get1_peer_certificate(t.client);
		const EVP_PKEY *key = X509_get0_pubkey(leaf);
		snprintf(ret_text, size, "%s %d",
		        EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? "RSA" : "EC",
		        EVP_PKEY_get_bits(key));
		X509_free(leaf);
	}
	talk_done(&t);
	SSL_CTX_free(ctx);
}

/* ECDSA where the client can, whichever it prefers; RSA otherwise. */
static void two_kinds_of_keys(void **state)
{
	(void)state;
#define OLD "ECDHE-RSA-AES128-GCM-SHA256"
	static const struct {
		const char *server_name, *schemes, *ciphers;
		int version;
		const char *served;
	} cases[] = {
		{ "a.test", "ECDSA+SHA256:RSA-PSS+SHA256", "ALL", 0, "EC 256" },
		{ "a.test", "RSA-PSS+SHA256:ECDSA+SHA256", "ALL", 0, "EC 256" },
		{ "a.test", "ECDSA+SHA256", "ALL", 0, "EC 256" },
		{ "a.test", "RSA-PSS+SHA256", "ALL", 0, "RSA 2048" },
		{ "x.wild.test", "RSA-PSS+SHA256", "ALL", 0, "RSA 2048" },
		{ "x.wild.test", "RSA-PSS+SHA256:ECDSA+SHA256", "ALL", 0, "EC 256" },
		{ "a.test", "ECDSA+SHA384:RSA-PSS+SHA256", "ALL", 0, "RSA 2048" },
		{ "a.test", "ECDSA+SHA384:RSA-PSS+SHA256", "ALL", TLS1_2_VERSION, "EC 256" },
		{ "a.test", "RSA+SHA256", "ALL", TLS1_2_VERSION, "RSA 2048" },
		{ "a.test", "RSA+SHA256:ECDSA+SHA256", "ALL", TLS1_2_VERSION, "EC 256" },
		{ "a.test", "ECDSA+SHA256", "ALL", TLS1_2_VERSION, "EC 256" },
		{ "a.test", "ECDSA+SHA256:RSA+SHA256", OLD, TLS1_2_VERSION, "RSA 2048" },
		{ "a.test", "ECDSA+SHA256:RSA+SHA256", "ECDHE-ECDSA-AES128-SHA:" OLD,
		        TLS1_2_VERSION, "RSA 2048" },
		{ "p384.test", "ECDSA+SHA256:RSA-PSS+SHA256", "ALL", 0, "RSA 2048" },
		{ "p384.test", "ECDSA+SHA384:RSA-PSS+SHA256", "ALL", 0, "EC 384" },
		{ "p384.test", "ECDSA+SHA256:RSA+SHA256", "ALL", TLS1_2_VERSION, "EC 384" },
		{ "p384.test", "ECDSA+SHA256:RSA+SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256:" OLD,
		        TLS1_2_VERSION, "RSA 2048" }, /* no such curve */
		{ "alone.test", "RSA-PSS+SHA256", "ALL", 0, "none" },
	};
	struct err err;
	struct segments *s = segments_new();
	loop = loop_new(&clock_system);
	add_pair(s, "a.test", KEY_P256);
	add_pair(s, "*.wild.test", KEY_P256);
	add_pair(s, "p384.test", KEY_P384);
	add_certificate(s, "alone.test", 0);
	certs = table_of_segments(s);
	workers[0] = tls_worker_new(loop, certs, &err);
	assert_true(tls_ticket_keys_rotate(&tickets, &err));
	tls_worker_ticket_keys(workers[0], &tickets);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char served[20];
		served_key(cases[i].server_name, cases[i].version, cases[i].schemes,
		        cases[i].ciphers, served, sizeof served);
		if (strcmp(served, cases[i].served))
			fail_msg("case %zu: got %s, want %s", i, served, cases[i].served);
	}
	teardown(NULL);
}

/* What a client sends in place of TLS is given back, if it is text. */
static void text_in_place_of_tls(void **state)
{
	(void)state;
	static const struct {
		const char *sent;
		bool text;
	} cases[] = { { "GET / HTTP/1.1\r\n", true }, { "Z", true }, { "a", true }, { "z", true },
		{ "A", true }, { "\x16garbage", false }, { "\x80garbage", false },
		{ "@garbage", false }, { "[garbage", false }, { "`garbage", false },
		{ "{garbage", false } };
	static const struct hello hello = { .server_name = "a.test" };
	SSL_CTX *ctx = client_ctx();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct talk t;
		char heard[8] = "", answer[] = "400";
		talk_init(&t, ctx, &hello);
		buf_add_c(&t.unsent, cases[i].sent);
		settle(&t);
		assert_true(t.failed);
		BUF_AUTO bytes = BUF_INIT(0), whole = BUF_INIT(100);
		struct conn *below = conn_tls_plain(&t.server.conn, &bytes);
		assert_int_equal(below != NULL, cases[i].text);
		if (below) {
			/* OpenSSL 3.5 has taken no more than a record's header. */
			char rest[64];
			const ssize_t n = conn_read(below, rest, sizeof rest);
			buf_add(&whole, buf_str(&bytes));
			buf_add(&whole, str_n(rest, n > 0 ? (size_t)n : 0));
			assert_string_equal(buf_c(&whole), cases[i].sent);
			assert_null(t.server.conn);
			conn_hold(&t.server, below, server_ready);
			assert_int_equal(conn_write(below, &(struct iovec){ answer, 3 }, 1), 3);
			settle(&t);
			assert_int_equal(BIO_read(t.in, heard, sizeof heard), 3);
			assert_string_equal(heard, "400");
		}
		talk_done(&t);
	}
	struct talk t;
	int reason;
	BUF_AUTO bytes = BUF_INIT(0);
	talk_init(&t, ctx, &hello);
	assert_true(shake(&t, &reason));
	assert_null(conn_tls_plain(&t.server.conn, &bytes));
	talk_done(&t);
	SSL_CTX_free(ctx);
}

static void protocols(void **state)
{
	(void)state;
	static const struct {
		const char *alpn;
		int version, reason; /* 0: succeeds */
	} cases[] = {
		{ NULL, TLS1_3_VERSION, 0 },
		{ NULL, TLS1_2_VERSION, 0 },
		{ NULL, TLS1_1_VERSION, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION },
		{ "\x08http/1.1", 0, 0 },
		{ "\x02h2\x08http/1.1", 0, 0 },
		{ "\x08http/1.0\x08http/1.1", 0, 0 },
		{ "\x08http/1.0", 0, 0 }, /* the only one that gets it */
		{ "\x03xyz", 0, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL },
	};
	SSL_CTX *ctx = client_ctx();
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct talk t;
		int reason = 0;
		talk_init(&t, ctx,
		        &(struct hello){ "a.test", cases[i].alpn, .version = cases[i].version });
		assert_int_equal(shake(&t, &reason), cases[i].reason == 0);
		if (cases[i].reason != 0 &&
		        cases[i].reason != SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL)
			assert_int_equal(reason, cases[i].reason);
		if (cases[i].alpn && cases[i].reason == 0) {
			const unsigned char *chosen;
			unsigned n;
			SSL_get0_alpn_selected(t.client, &chosen, &n);
			assert_int_equal(n, 8);
			bool newer = strstr(cases[i].alpn, "http/1.1");
			assert_memory_equal(chosen, newer ? "http/1.1" : "http/1.0", 8);
		}
		talk_done(&t);
	}
	SSL_CTX_free(ctx);
}

/* A connection that leaves a session; whether it resumed `session`. */
static bool connects(SSL_CTX *ctx, SSL_SESSION *session, int worker, int version, SSL_SESSION **ret)
{
	struct talk t;
	int reason;
	char byte;
	talk_init(&t, ctx,
	        &(struct hello){ "temporary.test", .session = session, .worker = worker,
	                .version = version });
	assert_true(shake(&t, &reason));
	assert_true(conn_tls_temporary(t.server.conn)); /* resumed or not */
	settle(&t);
	assert_int_equal(SSL_read(t.client, &byte, 1), -1);
	bool resumed = SSL_session_reused(t.client);
	if (ret)
		*ret = SSL_get1_session(t.client);
	SSL_shutdown(t.client);
	talk_done(&t);
	return resumed;
}

static void tickets_are_shared_and_rotate(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	for (int v = TLS1_2_VERSION; v <= TLS1_3_VERSION; v++) {
		struct err err;
		SSL_SESSION *session;
		for (int i = 0; i < 2; i++) /* by zeros anybody may seal */
			tls_worker_ticket_keys(workers[i], &(struct tls_ticket_keys){ 0 });
		assert_false(connects(ctx, NULL, 0, v, &session));
		assert_false(connects(ctx, session, 1, v, NULL));
		SSL_SESSION_free(session);
		for (int i = 0; i < 2; i++)
			tls_worker_ticket_keys(workers[i], &tickets);
		assert_false(connects(ctx, NULL, 0, v, &session));
		assert_true(connects(ctx, session, 1, v, NULL));
		assert_true(tls_ticket_keys_rotate(&tickets, &err));
		tls_worker_ticket_keys(workers[1], &tickets);
		assert_true(connects(ctx, session, 1, v, NULL));
		assert_true(tls_ticket_keys_rotate(&tickets, &err));
		tls_worker_ticket_keys(workers[1], &tickets);
		assert_false(connects(ctx, session, 1, v, NULL));
		SSL_SESSION_free(session);
	}
	SSL_CTX_free(ctx);
}

static const struct tls_rules *rules_of_wildcard(struct tls_hello *h, struct str server_name)
{
	static const struct tls_rules wild = { .modern = true, .identity = { 1 } },
	                              other = { .modern = true, .identity = { 2 } };
	(void)h;
	return str_ends(server_name, STR(".wild.test"))  ? &wild
	       : str_eq_c(server_name, "temporary.test") ? &other
	                                                 : NULL;
}

static bool resumes(SSL_CTX *ctx, const char *name, SSL_SESSION **session)
{
	struct talk t;
	int reason;
	char byte;
	talk_init(&t, ctx, &(struct hello){ name, .session = *session });
	assert_true(shake(&t, &reason));
	settle(&t);
	assert_int_equal(SSL_read(t.client, &byte, 1), -1);
	bool resumed = SSL_session_reused(t.client);
	if (!*session)
		*session = SSL_get1_session(t.client);
	SSL_shutdown(t.client);
	talk_done(&t);
	return resumed;
}

/* Whose ticket it was is of no matter, only what it was given for. */
static void tickets_are_for_the_same_rules(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to;
		bool resumed;
	} cases[] = {
		{ "x.wild.test", "x.wild.test", true },
		{ "x.wild.test", "y.wild.test", true },
		{ "x.wild.test", "a.test", false },
		{ "a.test", "x.wild.test", false },
		{ "x.wild.test", "temporary.test", false },
		{ "temporary.test", "x.wild.test", false },
		{ "a.test", "a.test", true },
	};
	struct tls_hello hello = { .rules = rules_of_wildcard };
	SSL_CTX *ctx = client_ctx();
	asking = &hello;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		SSL_SESSION *session = NULL;
		assert_false(resumes(ctx, cases[i].from, &session));
		if (resumes(ctx, cases[i].to, &session) != cases[i].resumed)
			fail_msg("from %s to %s", cases[i].from, cases[i].to);
		SSL_SESSION_free(session);
	}
	asking = NULL;
	SSL_CTX_free(ctx);
}

static void read_all(struct talk *t, struct buf *got, size_t most)
{
	char p[5000];
	for (int idle = 0; got->n < most && idle < 20; idle++) {
		settle(t);
		for (int n; (n = SSL_read(t->client, p, sizeof p)) > 0; idle = 0)
			buf_add(got, str_n(p, (size_t)n));
	}
}

/* Proofs (RFC 8737) */

static struct {
	struct buf leaf;
	struct secret key;
	char asked[100]; /* the server name, of the last time */
	unsigned times;
} shown;

static enum tls_turn turns[4]; /* as they are asked for */
static unsigned turn_count;

static enum tls_turn next_turn(struct tls_hello *h, struct str server_name)
{
	(void)h;
	assert_true(str_eq_c(server_name, "a.test"));
	return turns[turn_count++];
}

/* Stands still until it is told to go on, and is asked about again then. */
static void a_handshake_waits(void **state)
{
	(void)state;
	struct tls_hello hello = { .rules = rules_of_wildcard, .turn = next_turn };
	SSL_CTX *ctx = client_ctx();
	for (int i = 0; i < 6; i++) {
		struct talk t;
		int reason;
		const int version = i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION;
		const bool refused = i >= 4;
		turn_count = 0;
		turns[0] = turns[1] = TLS_WAITS;
		turns[2] = refused ? TLS_REFUSED : TLS_GOES_ON;
		asking = &hello;
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test", .version = version });
		assert_false(shake(&t, &reason));
		assert_true(turn_count == 1 && !t.told);
		conn_tls_go_on(t.server.conn);
		assert_true(turn_count == 2 && !t.told);
		conn_tls_go_on(t.server.conn);
		settle(&t);
		assert_int_equal(shake(&t, &reason), !refused);
		assert_int_equal(conn_tls_established(t.server.conn), !refused);
		if (refused)
			assert_int_equal(reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
		assert_int_equal(turn_count, 3);
		talk_done(&t);
	}
	/* Who waits hangs up while it stands still, or has done so before. */
	for (int i = 0; i < 2; i++) {
		struct talk t;
		turn_count = 0;
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
		assert_int_equal(SSL_connect(t.client), -1);
		ERR_clear_error();
		if (i)
			settle(&t);
		assert_false(t.told);
		push(&t);
		conn_shutdown(t.far.conn);
		settle(&t);
		assert_true(t.told && t.failed);
		assert_int_equal(turn_count, 1);
		talk_done(&t);
	}
	asking = NULL;
	SSL_CTX_free(ctx);
}

static bool proof_of_proved(struct tls_hello *h, struct str server_name, struct tls_proof *ret)
{
	(void)h;
	shown.times++;
	snprintf(shown.asked, sizeof shown.asked, "%.*s", STR_ARG(server_name));
	if (str_eq(server_name, STR("broken.test")))
		*ret = (struct tls_proof){ STR("no certificate"), STR("no key") };
	else
		*ret = (struct tls_proof){ buf_str(&shown.leaf), secret_bytes(&shown.key) };
	return str_eq(server_name, STR("a.test")) || str_eq(server_name, STR("broken.test"));
}

/* Rules that nobody who proves a name would fulfil. */
static const struct tls_rules *no_rules_for_proofs(struct tls_hello *h, struct str server_name)
{
	static const struct tls_rules modern = { .modern = true };
	(void)h;
	(void)server_name;
	return &modern;
}

static void make_proof(void)
{
	struct err err = ERR_INIT;
	KEY_AUTO *key = key_new(KEY_P256, &err);
	const struct key_validated what = { STR("proved.test"), STR("token.thumbprint"), 0, DAY };
	shown.leaf = BUF(64 << 10);
	assert_true(key_validation(key, &what, &shown.leaf, &err));
	shown.key = key_to_der(key);
}

struct proof_case {
	const char *server_name, *alpn;
	int version;
	const char *served; /* NULL: refused */
	const char *asked;  /* for the proof of that name; NULL: for none */
};

static void assert_served(const struct talk *t, const struct proof_case *wanted)
{
	const unsigned char *chosen;
	unsigned size;
	char name[100];
	served_name(t->client, name, sizeof name);
	assert_string_equal(name, wanted->served);
	SSL_get0_alpn_selected(t->client, &chosen, &size);
	const bool acme = size == 10 && memcmp(chosen, "acme-tls/1", size) == 0;
	assert_int_equal(acme, wanted->asked != NULL);
}

static void assert_proof(SSL_CTX *ctx, const struct proof_case *wanted)
{
	const struct hello h = { wanted->server_name, wanted->alpn, .version = wanted->version };
	struct talk t;
	int reason = 0;
	shown.times = 0;
	talk_init(&t, ctx, &h);
	assert_int_equal(shake(&t, &reason), wanted->served != NULL);
	assert_int_equal(shown.times, wanted->asked != NULL);
	if (wanted->asked)
		assert_string_equal(shown.asked, wanted->asked);
	if (wanted->served)
		assert_served(&t, wanted);
	else
		assert_int_equal(reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
	if (conn_tls_established(t.server.conn))
		assert_int_equal(conn_tls_proves(t.server.conn), wanted->asked != NULL);
	assert_null(conn_tls_fault(t.server.conn));
	talk_done(&t);
}

static void assert_broken_proof(SSL_CTX *ctx)
{
	static const struct hello h = { .server_name = "broken.test",
		.alpn = "\x0a"
		        "acme-tls/1" };
	struct talk t;
	int reason;
	talk_init(&t, ctx, &h);
	assert_false(shake(&t, &reason));
	assert_non_null(conn_tls_fault(t.server.conn));
	talk_done(&t);
}

static void a_proof_is_shown_to_who_asks_for_nothing_else(void **state)
{
	(void)state;
	static const struct proof_case cases[] = {
		{ "a.test",
		        "\x0a"
		        "acme-tls/1",
		        0, "proved.test", "a.test" },
		{ "a.test",
		        "\x0a"
		        "acme-tls/1",
		        TLS1_2_VERSION, "proved.test", "a.test" },
		{ "x.wild.test",
		        "\x0a"
		        "acme-tls/1",
		        0, NULL, "x.wild.test" },
		{ "nobody.test",
		        "\x0a"
		        "acme-tls/1",
		        0, NULL, "nobody.test" },
		{ NULL,
		        "\x0a"
		        "acme-tls/1",
		        0, NULL, "" },
		{ "a.test",
		        "\x0a"
		        "acme-tls/1\x08http/1.1",
		        0, "a.test", NULL },
		{ "a.test",
		        "\x08http/1.1\x0a"
		        "acme-tls/1",
		        0, "a.test", NULL },
		{ "a.test",
		        "\x0a"
		        "acme-tls/2",
		        0, NULL, NULL },
		{ "a.test",
		        "\x09"
		        "acme-tls/",
		        0, NULL, NULL },
		{ "a.test", "\x08http/1.1", 0, "a.test", NULL },
		{ "a.test", NULL, 0, "a.test", NULL },
	};
	struct tls_hello hello = { .rules = no_rules_for_proofs, .proof = proof_of_proved };
	SSL_CTX *ctx = client_ctx();
	make_proof();
	asking = &hello;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_proof(ctx, &cases[i]);
	assert_broken_proof(ctx);
	asking = NULL;
	buf_done(&shown.leaf);
	secret_done(&shown.key);
	SSL_CTX_free(ctx);
}

static void content_of_every_size(void **state)
{
	(void)state;
	static const size_t sizes[] = { 1, 9, 10, 11, 500, 8000, 16384, 16394, 16395, 70000,
		1000000 };
	SSL_CTX *ctx = client_ctx();
	char *content = mem_alloc(1000000);
	for (size_t i = 0; i < 1000000; i++)
		content[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct talk t;
		int reason;
		BUF_AUTO got = BUF_INIT(1 << 24);
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
		assert_true(shake(&t, &reason));
		buf_add(&t.to_send, str_n(content, sizes[i]));
		send_some(&t);
		read_all(&t, &got, sizes[i]);
		assert_int_equal(got.n, sizes[i]);
		assert_memory_equal(got.p, content, sizes[i]);
		for (size_t sent = 0; sent < sizes[i];) {
			size_t n = sizes[i] - sent < 3000 ? sizes[i] - sent : 3000;
			assert_int_equal(SSL_write(t.client, content + sent, (int)n), n);
			sent += n;
			settle(&t);
		}
		assert_int_equal(t.got.n, sizes[i]);
		assert_memory_equal(t.got.p, content, sizes[i]);
		talk_done(&t);
	}
	free(content);
	SSL_CTX_free(ctx);
}

/* What the connection took and the peer has no room for is not lost in silence: it is told of, and
 * so is its going. */
static void what_waits_is_told(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	char *content = mem_alloc(PIPE * 3);
	memset(content, 'x', PIPE * 3);
	for (size_t n = 1000; n <= PIPE * 3; n += 1000) {
		struct talk t;
		int reason;
		BUF_AUTO got = BUF_INIT(1 << 24);
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
		assert_true(shake(&t, &reason));
		settle(&t);
		struct iovec v = { content, n };
		assert_int_equal(conn_write(t.server.conn, &v, 1), n);
		assert_int_equal(conn_unsent(t.server.conn) > 0, n >= PIPE);
		t.writable = false;
		read_all(&t, &got, n);
		assert_int_equal(got.n, n);
		assert_int_equal(conn_unsent(t.server.conn), 0);
		assert_int_equal(t.writable, n >= PIPE);
		talk_done(&t);
	}
	free(content);
	SSL_CTX_free(ctx);
}

static void ends(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	for (int notify = 0; notify < 2; notify++) {
		struct talk t;
		int reason;
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
		assert_true(shake(&t, &reason));
		SSL_write(t.client, "bye", 3);
		if (notify)
			SSL_shutdown(t.client);
		settle(&t);
		conn_shutdown(t.far.conn);
		settle(&t);
		assert_int_equal(t.got.n, 3);
		assert_int_equal(t.ended, notify);
		assert_int_equal(t.failed, !notify);
		talk_done(&t);
	}
	SSL_CTX_free(ctx);
}

static void we_end_with_close_notify(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	struct talk t;
	int reason;
	char p[10];
	talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
	assert_true(shake(&t, &reason));
	conn_shutdown(t.server.conn);
	settle(&t);
	assert_true(t.far_ended);
	int n = SSL_read(t.client, p, sizeof p);
	assert_int_equal(SSL_get_error(t.client, n), SSL_ERROR_ZERO_RETURN);
	talk_done(&t);
	SSL_CTX_free(ctx);
}

/* Each wish for new keys is answered, and who does not read the answers is left before they fill
 * the memory. */
static void answers_that_nobody_reads(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	for (int reads = 0; reads < 2; reads++) {
		struct talk t;
		int reason;
		char p[10];
		talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
		assert_true(shake(&t, &reason));
		settle(&t);
		t.far_deaf = !reads;
		size_t most = 0;
		for (int i = 0; i < 20000 && !t.failed; i++) {
			assert_int_equal(SSL_key_update(t.client, SSL_KEY_UPDATE_REQUESTED), 1);
			assert_int_equal(SSL_do_handshake(t.client), 1);
			settle(&t);
			if (reads)
				assert_int_equal(SSL_read(t.client, p, sizeof p), -1);
			ERR_clear_error();
			size_t n = conn_unsent(t.server.conn);
			most = n > most ? n : most;
		}
		assert_int_equal(t.failed, !reads);
		assert_in_range(most, 0, 66 << 10);
		talk_done(&t);
	}
	SSL_CTX_free(ctx);
}

static void garbage_fails(void **state)
{
	(void)state;
	SSL_CTX *ctx = client_ctx();
	struct talk t;
	talk_init(&t, ctx, &(struct hello){ .server_name = "a.test" });
	char text[] = "GET / HTTP/1.1\r\n\r\n";
	struct iovec v = { text, 18 };
	assert_int_equal(conn_write(t.far.conn, &v, 1), 18);
	settle(&t);
	assert_true(t.told && t.failed);
	assert_false(conn_tls_established(t.server.conn));
	talk_done(&t);
	SSL_CTX_free(ctx);
}

#define RIGGED(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIGGED(certificate_by_name),
		cmocka_unit_test(fallback_certificate),
		cmocka_unit_test(two_kinds_of_keys),
		RIGGED(a_proof_is_shown_to_who_asks_for_nothing_else),
		RIGGED(protocols),
		RIGGED(text_in_place_of_tls),
		RIGGED(tickets_are_shared_and_rotate),
		RIGGED(tickets_are_for_the_same_rules),
		RIGGED(content_of_every_size),
		RIGGED(what_waits_is_told),
		RIGGED(ends),
		RIGGED(we_end_with_close_notify),
		RIGGED(garbage_fails),
		RIGGED(a_handshake_waits),
		RIGGED(answers_that_nobody_reads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
