/* bench/custody [SECONDS]
 *
 * What a TLS 1.3 handshake with a P-256 certificate costs when its signature is made in another
 * process: in this one; over a socket pair while the thread waits; over it by an asynchronous job of
 * OpenSSL, with 32 handshakes under way. Client and server are ends of a memory pipe in this process, so
 * what counts is the difference to the first line. CPU time of the thread, and of the signer's process. */
#define _GNU_SOURCE
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/async.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { DIGEST_MOST = 64, SIGNATURE_MOST = 128, UNDER_WAY = 32 };
enum custody { HERE, WAITING, JOBS };

struct question {
	uint32_t slot, size;
	unsigned char digest[DIGEST_MOST];
};
struct answer {
	uint32_t slot, size;
	unsigned char signature[SIGNATURE_MOST];
};

static int to_signer = -1;
static enum custody custody;
static struct answer answers[UNDER_WAY]; /* by slot, for jobs; size 0: none yet */
static uint32_t current;                 /* the slot of the handshake that runs */
static int waits[UNDER_WAY];

static void check(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "custody: %s failed\n", what);
	exit(1);
}

/* --- the signer's process */

static void serve_signatures(int fd, EC_KEY *key)
{
	struct question q;
	while (recv(fd, &q, sizeof q, 0) == sizeof q) {
		unsigned size = 0;
		struct answer a = { .slot = q.slot };
		if (ECDSA_sign(0, q.digest, (int)q.size, a.signature, &size, key) != 1)
			break;
		a.size = size;
		if (send(fd, &a, sizeof a, 0) != sizeof a)
			break;
	}
	_exit(0);
}

static void pin(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	(void)sched_setaffinity(0, sizeof set, &set);
}

static pid_t start_signer(EC_KEY *key)
{
	int ends[2];
	check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		pin(1);
		serve_signatures(ends[1], key);
	}
	close(ends[1]);
	to_signer = ends[0];
	return pid;
}

/* --- the method of the key whose private part is elsewhere */

static void take_answers(int wait)
{
	struct answer a;
	while (recv(to_signer, &a, sizeof a, wait ? 0 : MSG_DONTWAIT) == sizeof a) {
		answers[a.slot] = a;
		if (wait)
			return;
	}
}

static int sign(int type, const unsigned char *digest, int n, unsigned char *signature,
        unsigned *size, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *key)
{
	(void)type, (void)kinv, (void)r, (void)key;
	struct question q = { .slot = current, .size = (uint32_t)n };
	memcpy(q.digest, digest, (size_t)n);
	answers[q.slot].size = 0;
	check(send(to_signer, &q, sizeof q, 0) == sizeof q, "send");
	while (!answers[q.slot].size) {
		if (custody != JOBS) {
			take_answers(/* wait= */ 1);
			continue;
		}
		waits[q.slot] = 1;
		ASYNC_pause_job();
	}
	waits[q.slot] = 0;
	memcpy(signature, answers[q.slot].signature, answers[q.slot].size);
	*size = answers[q.slot].size;
	return 1;
}

static EVP_PKEY *key_elsewhere(const EC_KEY *key)
{
	EC_KEY_METHOD *method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	EC_KEY *public = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
	EVP_PKEY *p = EVP_PKEY_new();
	EC_KEY_METHOD_set_sign(method, sign, NULL, NULL);
	EC_KEY_set_public_key(public, EC_KEY_get0_public_key(key));
	check(EC_KEY_set_method(public, method) == 1, "method");
	check(EVP_PKEY_assign_EC_KEY(p, public) == 1, "key");
	return p;
}

/* --- handshakes */

static X509 *certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	        (const unsigned char *)"bench.test", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	X509_set_pubkey(x, key);
	check(X509_sign(x, key, EVP_sha256()) > 0, "certificate");
	return x;
}

struct pair {
	SSL *client, *server;
};

static void begin(struct pair *p, SSL_CTX *client, SSL_CTX *server)
{
	BIO *a, *b;
	check(BIO_new_bio_pair(&a, 32 << 10, &b, 32 << 10) == 1, "pair");
	p->client = SSL_new(client);
	p->server = SSL_new(server);
	SSL_set_bio(p->client, a, a);
	SSL_set_bio(p->server, b, b);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
}

/* What waits for the signer is not touched before it has answered. */
static int advance(struct pair *p, uint32_t slot)
{
	if (waits[slot] && !answers[slot].size)
		return 0;
	current = slot;
	int c = SSL_do_handshake(p->client), s = SSL_do_handshake(p->server);
	return c == 1 && s == 1;
}

static void end(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static SSL_CTX *server_context(EVP_PKEY *key, X509 *x)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_num_tickets(ctx, 1);
	check(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1,
	        "context");
	if (custody == JOBS)
		SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
	return ctx;
}

static void measure(const char *name, EVP_PKEY *key, X509 *x, double most)
{
	SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = server_context(key, x);
	struct pair pairs[UNDER_WAY];
	size_t count = custody == JOBS ? UNDER_WAY : 1;
	unsigned done = 0;
	for (size_t i = 0; i < count; i++)
		begin(&pairs[i], client, server);
	double cpu = seconds(CLOCK_THREAD_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
	while (seconds(CLOCK_MONOTONIC) - start < most) {
		if (custody == JOBS)
			take_answers(/* wait= */ 0);
		for (uint32_t i = 0; i < count; i++) {
			if (!advance(&pairs[i], i))
				continue;
			done++;
			end(&pairs[i]);
			begin(&pairs[i], client, server);
		}
	}
	cpu = (seconds(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / done;
	printf("%-28s %8.1f µs of CPU each, %8.0f a second\n", name, cpu,
	        done / (seconds(CLOCK_MONOTONIC) - start));
	for (size_t i = 0; i < count; i++)
		end(&pairs[i]);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

int main(int argc, char **argv)
{
	double most = argc > 1 ? atof(argv[1]) : 3;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	EC_KEY *private = EVP_PKEY_get1_EC_KEY(key);
	X509 *x = certificate(key);
	signal(SIGPIPE, SIG_IGN);
	pid_t signer = start_signer(private);
	pin(0);
	EVP_PKEY *elsewhere = key_elsewhere(private);
	custody = HERE;
	measure("signed here", key, x, most);
	custody = WAITING;
	measure("signed elsewhere, waiting", elsewhere, x, most);
	custody = JOBS;
	measure("signed elsewhere, as jobs", elsewhere, x, most);
	close(to_signer);
	struct rusage used;
	wait4(signer, NULL, 0, &used);
	printf("the signer used %.2f s of CPU\n",
	        (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 +
	                (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6);
	return 0;
}
