/* Writes of many parts through TLS: they arrive in order, and small ones share a record. */
#include "keys/keys.h"
#include "tls/tls.h"
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { PARTS = 5, PIPE = 256 << 10, MOST = 64 << 10 };

static struct {
	struct loop *loop;
	struct cert_table *certs;
	struct tls_worker *worker;
	struct tls_ticket_keys tickets;
	struct conn_holder server, far;
	struct conn *near; /* below TLS */
	SSL_CTX *ctx;
	SSL *client;
	BIO *in, *out;
	unsigned records; /* of content, that the client got */
	const struct conn_ops *below;
	struct buf writes; /* below TLS: '+' more was to follow, '.' it was not */
} rig;

static struct cert_table *table_of(const char *name)
{
	struct err err;
	struct str names[] = { str_c(name) };
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF_INIT(64 << 10);
	assert_true(key_self_signed(key, names, 1, 0, DAY, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	const struct cert_record r = { .leaf = buf_str(&der), .key = secret_bytes(&secret) };
	struct segments *s = segments_new();
	struct cert_table *t = cert_table_new();
	uint64_t number;
	assert_true(segments_add(s, names, 1, &r, &number, &err));
	assert_true(cert_table_map(t, 0, dup(segments_fd(s, 0)), &err));
	assert_true(cert_table_advance(t, 0, segments_valid(s, 0), &err));
	segments_free(&s);
	return t;
}

static void server_ready(struct conn *c, unsigned events)
{
	char p[100];
	(void)events;
	while (conn_read(c, p, sizeof p) > 0)
		;
}

static void far_ready(struct conn *c, unsigned events)
{
	char p[4096];
	(void)events;
	for (ssize_t n; (n = conn_read(c, p, sizeof p)) > 0;)
		assert_int_equal(BIO_write(rig.in, p, (int)n), n);
}

static void settle(void)
{
	char p[4096];
	for (int i = 0; i < 6; i++) {
		for (int n; (n = BIO_read(rig.out, p, sizeof p)) > 0;) {
			struct iovec v = { p, (size_t)n };
			assert_int_equal(conn_write(rig.far.conn, &v, 1), n);
		}
		loop_turn(rig.loop, 0);
	}
}

/* RFC 8446 5.1: what a record says outside that it is; in TLS 1.2 that is the truth. */
static void count_records(
        int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	(void)version, (void)ssl, (void)arg;
	enum { CONTENT = 23 };
	if (!sent && type == SSL3_RT_HEADER && n > 0 && *(const unsigned char *)p == CONTENT)
		rig.records++;
}

static int setup(void **state)
{
	struct err err;
	struct conn *far;
	(void)state;
	memset(&rig, 0, sizeof rig);
	rig.loop = loop_new(&clock_system);
	rig.certs = table_of("a.test");
	assert_true(tls_ticket_keys_rotate(&rig.tickets, &err));
	rig.worker = tls_worker_new(rig.loop, rig.certs, &err);
	assert_non_null(rig.worker);
	tls_worker_ticket_keys(rig.worker, &rig.tickets);
	conn_pipe_new(rig.loop, PIPE, &rig.near, &far);
	conn_hold(&rig.far, far, far_ready);
	conn_hold(&rig.server, conn_tls_new(rig.worker, rig.near, STR_NONE), server_ready);
	rig.ctx = SSL_CTX_new(TLS_client_method());
	rig.client = SSL_new(rig.ctx);
	rig.in = BIO_new(BIO_s_mem());
	rig.out = BIO_new(BIO_s_mem());
	SSL_set_bio(rig.client, rig.in, rig.out);
	SSL_set_max_proto_version(rig.client, TLS1_2_VERSION);
	SSL_set_tlsext_host_name(rig.client, "a.test");
	SSL_set_msg_callback(rig.client, count_records);
	for (int i = 0; i < 10 && SSL_connect(rig.client) != 1; i++)
		settle();
	assert_true(SSL_is_init_finished(rig.client));
	assert_true(conn_tls_established(rig.server.conn));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	conn_free(&rig.server.conn);
	conn_free(&rig.far.conn);
	SSL_free(rig.client);
	SSL_CTX_free(rig.ctx);
	tls_worker_free(&rig.worker);
	cert_table_free(&rig.certs);
	loop_free(&rig.loop);
	return 0;
}

/* As many as fit go into one record, of 16 KiB at most; a large part is not copied for that. */
static const struct {
	size_t parts[PARTS];
	int count;
	unsigned records;
} cases[] = {
	{ { 1 }, 1, 1 },
	{ { 1, 2, 3 }, 3, 1 },
	{ { 10, 0, 0, 20, 0 }, 5, 1 },
	{ { 0, 0, 5 }, 3, 1 },
	{ { 0, 0 }, 2, 0 },
	{ { 16384 }, 1, 1 },
	{ { 16385 }, 1, 2 },
	{ { 16000, 384 }, 2, 1 },
	{ { 16000, 384, 0 }, 3, 1 },
	{ { 16000, 385 }, 2, 2 },
	{ { 10, 16384 }, 2, 2 },
	{ { 20000, 5 }, 2, 2 },
	{ { 5, 40000, 5 }, 3, 3 },
	{ { 8192, 8192, 8192, 8192, 1 }, 5, 3 },
};

static void parts_arrive_in_order(void **state)
{
	(void)state;
	static char all[MOST], got[MOST];
	for (size_t i = 0; i < MOST; i++)
		all[i] = (char)(i * 7 + i / 251);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct iovec v[PARTS];
		size_t whole = 0, have = 0;
		for (int k = 0; k < cases[i].count; k++) {
			v[k] = (struct iovec){ all + whole, cases[i].parts[k] };
			whole += cases[i].parts[k];
		}
		rig.records = 0;
		assert_int_equal(conn_write(rig.server.conn, v, cases[i].count), whole);
		settle();
		for (int n; (n = SSL_read(rig.client, got + have, (int)(MOST - have))) > 0;)
			have += (size_t)n;
		assert_int_equal(have, whole);
		assert_memory_equal(got, all, whole);
		if (rig.records != cases[i].records)
			fail_msg("case %zu: %u records, want %u", i, rig.records, cases[i].records);
	}
}

static ssize_t seen_write(struct conn *c, const struct iovec *v, int count)
{
	buf_add_char(&rig.writes, c->more ? '+' : '.');
	return rig.below->write(c, v, count);
}

/* So that the kernel sends several records at once, and the last one without waiting. */
static void all_but_the_last_say_that_more_follows(void **state)
{
	(void)state;
	static char part[50000];
	static const struct {
		size_t first, second;
		const char *writes;
	} large[] = { { 100, 0, "." }, { 16384, 0, "." }, { 40000, 0, "++." }, { 32768, 0, "+." },
		{ 16384, 5, "+." }, { 5, 32768, "++." }, { 50000, 40000, "+++++." } };
	struct conn_ops seen = *rig.near->ops;
	rig.below = rig.near->ops;
	rig.writes = BUF(100);
	seen.write = seen_write;
	rig.near->ops = &seen;
	for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
		struct iovec v[] = { { part, large[i].first }, { part, large[i].second } };
		buf_clear(&rig.writes);
		assert_int_equal(
		        conn_write(rig.server.conn, v, 2), large[i].first + large[i].second);
		settle();
		if (strcmp(buf_c(&rig.writes), large[i].writes))
			fail_msg("case %zu: %s, want %s", i, buf_c(&rig.writes), large[i].writes);
		assert_false(rig.near->more);
	}
	rig.near->ops = rig.below;
	buf_done(&rig.writes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parts_arrive_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
		        all_but_the_last_say_that_more_follows, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
