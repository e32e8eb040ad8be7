/* Who opens an address sends no server name: the certificate is that of the address that he is
 * connected to. Over ports of the loopback interface, since a pipe has no address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keys/keys.h"
#include "net/address.h"
#include "tls/tls.h"
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

static struct loop *loop;
static struct cert_table *certs;
static struct tls_worker *worker;
static char ruled[100]; /* the name that rules were asked for */

/* The name in its certificate is `shown`. */
static void add_certificate(struct segments *s, const char *name, const char *shown)
{
	struct err err = ERR_INIT;
	const struct str names[] = { str_c(name) }, in_it[] = { str_c(shown) };
	KEY_AUTO *key = key_new(KEY_P256, &err);
	BUF_AUTO der = BUF_INIT(64 << 10);
	uint64_t number;
	assert_true(key_self_signed(key, in_it, 1, 0, DAY, &der, &err));
	SECRET_AUTO secret = key_to_der(key);
	const struct cert_record r = { .leaf = buf_str(&der), .key = secret_bytes(&secret) };
	assert_true(segments_add(s, names, 1, &r, &number, &err));
}

static int setup(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	struct segments *s = segments_new();
	add_certificate(s, "127.0.0.2", "two.test");
	add_certificate(s, "::1", "six.test");
	add_certificate(s, "default.test", "default.test");
	add_certificate(s, "*", "star.test");
	loop = loop_new(&clock_system);
	certs = cert_table_new();
	assert_true(cert_table_map(certs, 0, dup(segments_fd(s, 0)), &err));
	assert_true(cert_table_advance(certs, 0, segments_valid(s, 0), &err));
	segments_free(&s);
	worker = tls_worker_new(loop, certs, &err);
	assert_non_null(worker);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tls_worker_free(&worker);
	cert_table_free(&certs);
	loop_free(&loop);
	return 0;
}

static const struct tls_rules *rules(struct tls_hello *h, struct str name)
{
	(void)h;
	snprintf(ruled, sizeof ruled, "%.*s", STR_ARG(name));
	return NULL;
}

static void ready(struct conn *c, unsigned events)
{
	(void)c, (void)events;
}

/* Connected to that address: the client's socket; the server's end is the conn. */
static int connect_to(const char *address, struct conn **ret_server)
{
	struct sockaddr_storage at, peer;
	assert_true(address_parse(str_c(address), 0, &at));
	const int listener = conn_listen(&at);
	assert_true(listener >= 0);
	assert_true(conn_local_address(listener, &at));
	const int client = socket(at.ss_family, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&at, address_size(&at)), 0);
	assert_int_equal(fcntl(client, F_SETFL, O_NONBLOCK), 0);
	const int fd = conn_accept(listener, &peer);
	assert_true(fd >= 0);
	close(listener);
	*ret_server = conn_tcp_new(loop, fd);
	return client;
}

static void shown_name(const SSL *client, char *text, size_t size)
{
	X509 *leaf = SSL_get1_peer_certificate(client);
	assert_non_null(leaf);
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
	snprintf(text, size, "%.*s", ASN1_STRING_length(name->d.dNSName),
	        (const char *)ASN1_STRING_get0_data(name->d.dNSName));
	GENERAL_NAMES_free(names);
	X509_free(leaf);
}

struct way {
	const char *address, *server_name, *default_name, *shown, *ruled;
	const char *opened; /* as somebody in between says; NULL: nobody does */
};

/* The name in the certificate that a client is shown. */
static void shake(const struct way *w, char *ret_name, size_t size)
{
	struct sockaddr_storage named = { 0 };
	assert_true(!w->opened || address_parse(str_c(w->opened), 443, &named));
	const struct address_kept kept = address_keep(&named);
	struct tls_hello hello = { .rules = rules, .opened = w->opened ? &kept : NULL };
	struct conn_holder server = { 0 };
	struct conn *tcp;
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *client = SSL_new(ctx);
	const int fd = connect_to(w->address, &tcp);
	conn_hold(&server, conn_tls_new(worker, tcp, str_c(w->default_name)), ready);
	conn_tls_ask(server.conn, &hello);
	SSL_set_fd(client, fd);
	if (w->server_name)
		SSL_set_tlsext_host_name(client, w->server_name);
	int result = 0;
	for (int i = 0; i < 1000 && (result = SSL_connect(client)) != 1; i++)
		loop_turn(loop, 10);
	assert_int_equal(result, 1);
	shown_name(client, ret_name, size);
	conn_free(&server.conn);
	SSL_free(client);
	SSL_CTX_free(ctx);
	close(fd);
}

static void the_certificate_of_the_address(void **state)
{
	(void)state;
	static const struct way cases[] = {
		{ "127.0.0.2", NULL, NULL, "two.test", "127.0.0.2", NULL },
		{ "127.0.0.2", NULL, "default.test", "two.test", "127.0.0.2", NULL },
		{ "127.0.0.2", "127.0.0.2", "default.test", "two.test", "127.0.0.2", NULL },
		{ "127.0.0.2", "default.test", NULL, "default.test", "default.test", NULL },
		{ "127.0.0.2", "nobody.test", "default.test", "star.test", "nobody.test", NULL },
		{ "127.0.0.3", NULL, "default.test", "default.test", "default.test", NULL },
		{ "127.0.0.3", NULL, NULL, "star.test", "", NULL },
		{ "::1", NULL, "default.test", "six.test", "::1", NULL },
		{ "::1", NULL, NULL, "two.test", "127.0.0.2", "127.0.0.2" },
		{ "127.0.0.2", NULL, NULL, "six.test", "::1", "::1" },
		{ "127.0.0.2", NULL, "default.test", "default.test", "default.test", "192.0.2.1" },
		{ "127.0.0.2", "nobody.test", NULL, "star.test", "nobody.test", "::1" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char shown[100];
		shake(&cases[i], shown, sizeof shown);
		assert_string_equal(shown, cases[i].shown);
		assert_string_equal(ruled, cases[i].ruled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_certificate_of_the_address, setup, teardown),
	};
	return cmocka_run_group_tests_name("tls_address", tests, NULL, NULL);
}
