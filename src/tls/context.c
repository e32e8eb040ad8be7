#include "base/secret.h"
#include "net/address.h"
#include "tls/inside.h"
#include <openssl/err.h>
#include <openssl/evp.h>

/* Mozilla "intermediate" 5.7, TLS 1.2; the suites of TLS 1.3 are libssl's defaults. */
#define SUITES                                                                                     \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                               \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS       "X25519:prime256v1:secp384r1"
#define GROUPS_LATER "X25519MLKEM768:" GROUPS /* known to OpenSSL since 3.5 */

enum { PAIRS_MOST = 4096 };

/* Application data of the SSL would be 96 bytes more. */
struct tls_conn *tls_conn_of(const SSL *ssl)
{
	return BIO_get_data(SSL_get_rbio(ssl));
}

static bool opened_address(const struct tls_conn *t, struct sockaddr_storage *ret)
{
	if (!t->hello || !t->hello->opened)
		return conn_local(t->below.conn, ret);
	*ret = address_whole(t->hello->opened);
	return true;
}

/* Who opens an address sends no server name (RFC 6066 3): it is the one that he is connected to, if
 * there is a certificate for it. */
static struct str name_for(
        const struct tls_conn *t, struct str server_name, char room[ADDRESS_TEXT])
{
	struct sockaddr_storage opened;
	struct cert_record unused;
	if (server_name.n > 0)
		return server_name;
	if (opened_address(t, &opened)) {
		const struct str address = str_c(address_text(&opened, room));
		if (cert_table_find(t->worker->certs, address, &unused))
			return address;
	}
	return t->default_name;
}

static bool find(struct tls_conn *t, struct str server_name, struct cert_record *ret_record)
{
	const struct cert_table *certs = t->worker->certs;
	char room[ADDRESS_TEXT];
	const struct str name = name_for(t, server_name, room);
	return (name.n > 0 && cert_table_find(certs, name, ret_record)) ||
	       cert_table_find(certs, STR("*"), ret_record);
}

/* RFC 6066 3: an address is no server name. Some clients send one; it counts as none. */
static struct str server_name_of(const SSL *ssl)
{
	struct str name = str_c(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	struct sockaddr_storage unused;
	return name.n > 0 && address_parse(name, 0, &unused) ? STR_NONE : name;
}

/* Called for every ClientHello, with a server name or without, resumed or not. */
static int choose(SSL *ssl, int *ret_alert, void *unused)
{
	(void)unused;
	struct tls_conn *t = tls_conn_of(ssl);
	struct cert_record r;
	if (t->proves)
		return SSL_TLSEXT_ERR_OK;
	if (!find(t, server_name_of(ssl), &r)) {
		*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	t->temporary = (r.flags & CERT_TEMPORARY) != 0;
	return SSL_TLSEXT_ERR_OK;
}

/* Always false. */
static bool our_fault(struct tls_conn *t, const struct err *err)
{
	if (!t->fault)
		t->fault = mem_new(struct err);
	*t->fault = *err;
	return false;
}

static struct pair_source source_of(const struct tls_conn *t, const struct cert_record *r)
{
	const bool fresh = r->staple.n && r->staple_until > loop_wall(t->worker->loop);
	return (struct pair_source){
		.number = r->number,
		.leaf = r->leaf,
		.key = r->key,
		.chain = r->chain,
		.chain_count = r->chain_count,
		.chain_number = r->chain_number,
		.staple = fresh ? r->staple : STR_NONE,
	};
}

/* Called only where a certificate is needed: not on resumption. */
static int attach(SSL *ssl, void *unused)
{
	(void)unused;
	struct tls_conn *t = tls_conn_of(ssl);
	struct pair_cache *pairs = t->worker->pairs;
	struct cert_record r, beside;
	struct err err;
	if (t->proves)
		return 1; /* it has that of the proof */
	if (!find(t, server_name_of(ssl), &r))
		return 0;
	const struct pair_source source = source_of(t, &r);
	if (!cert_table_beside(t->worker->certs, &r, &beside))
		return keys_attach(ssl, pairs, &source, &err) || our_fault(t, &err);
	const struct pair_source other = source_of(t, &beside);
	return keys_attach_either(ssl, pairs, &source, &other, &err) || our_fault(t, &err);
}

/* Of a client that asks whether the certificate is revoked; after `attach`. */
static int has_staple(SSL *ssl, void *unused)
{
	(void)unused;
	const unsigned char *answer;
	return SSL_get_tlsext_status_ocsp_resp(ssl, &answer) > 0 ? SSL_TLSEXT_ERR_OK
	                                                         : SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301 3.2: no protocol in common is fatal. A client of HTTP/1.0 may say so. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_size,
        const unsigned char *offered, unsigned offered_size, void *unused)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1\x08http/1.0";
	enum { HTTP2 = 3 }; /* its part of them */
	(void)unused;
	struct tls_conn *t = tls_conn_of(ssl);
	if (t->proves) {
		*ret_name = offered + 1; /* there is one */
		*ret_size = offered[0];
		return SSL_TLSEXT_ERR_OK;
	}
	unsigned skip = t->offers_http2 ? 0 : HTTP2;
	unsigned char *name;
	if (SSL_select_next_proto(&name, ret_size, ours + skip, sizeof ours - 1 - skip, offered,
	            offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret_name = name;
	t->chose_http2 = *ret_size == HTTP2 - 1;
	return SSL_TLSEXT_ERR_OK;
}

/* RFC 6066 3: a list of one host_name, as it stands in the ClientHello. */
static struct str server_name_sent(SSL *ssl)
{
	const unsigned char *p;
	size_t n;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5)
		return STR_NONE;
	size_t size = (size_t)p[3] << 8 | p[4];
	if (p[2] != TLSEXT_NAMETYPE_host_name || size != n - 5)
		return STR_NONE;
	struct sockaddr_storage unused;
	struct str name = str_n(p + 5, size);
	return address_parse(name, 0, &unused) ? STR_NONE : name;
}

static bool is_usual(const struct tls_rules *rules)
{
	return !rules->modern && rules->client_ca.n == 0;
}

static bool follow(struct tls_conn *t, const struct tls_rules *rules)
{
	if (SSL_set_session_id_context(t->ssl, rules->identity, sizeof rules->identity) != 1)
		return false;
	if (rules->modern && SSL_set_min_proto_version(t->ssl, TLS1_3_VERSION) != 1)
		return false;
	return rules->client_ca.n == 0 || tls_require_client(t, rules);
}

/* RFC 8737 3: its list of protocols has one. */
static bool asks_for_proof(SSL *ssl)
{
	static const unsigned char only[] = "\x00\x0b\x0a"
	                                    "acme-tls/1";
	const unsigned char *p;
	size_t n;
	return SSL_client_hello_get0_ext(
	               ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &n) == 1 &&
	       n == sizeof only - 1 && memcmp(p, only, n) == 0;
}

/* No ticket is good for it, nor given. */
static bool show(struct tls_conn *t, const struct tls_proof *proof)
{
	static const unsigned char identity[] = "acme-tls/1";
	const struct pair_source source = { .leaf = proof->leaf, .key = proof->key };
	struct err err = ERR_INIT;
	t->proves = true;
	SSL_set_options(t->ssl, SSL_OP_NO_TICKET);
	return (SSL_set_num_tickets(t->ssl, 0) == 1 &&
	               SSL_set_session_id_context(t->ssl, identity, sizeof identity - 1) == 1 &&
	               keys_attach_once(t->ssl, t->worker->pairs, &source, &err)) ||
	       our_fault(t, &err);
}

static int prove(struct tls_conn *t, int *ret_alert)
{
	struct tls_proof proof;
	*ret_alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	if (!t->hello->proof(t->hello, server_name_sent(t->ssl), &proof))
		return SSL_CLIENT_HELLO_ERROR;
	*ret_alert = SSL_AD_INTERNAL_ERROR;
	return show(t, &proof) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

static int ask_rules(struct tls_conn *t, int *ret_alert)
{
	char room[ADDRESS_TEXT];
	const struct tls_rules *rules =
	        t->hello ? t->hello->rules(t->hello, name_for(t, server_name_sent(t->ssl), room))
	                 : NULL;
	if (!rules || is_usual(rules) || follow(t, rules))
		return SSL_CLIENT_HELLO_SUCCESS;
	*ret_alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* The first of all callbacks: no version is chosen yet, and no ticket looked at. Called again when
 * a handshake that stood still goes on. */
static int greet(SSL *ssl, int *ret_alert, void *unused)
{
	(void)unused;
	struct tls_conn *t = tls_conn_of(ssl);
	if (t->hello && t->hello->proof && asks_for_proof(ssl))
		return prove(t, ret_alert);
	enum tls_turn turn = TLS_GOES_ON;
	if (t->hello && t->hello->turn)
		turn = t->hello->turn(t->hello, server_name_sent(ssl));
	t->waits = turn == TLS_WAITS;
	if (turn == TLS_GOES_ON)
		return ask_rules(t, ret_alert);
	*ret_alert = SSL_AD_UNRECOGNIZED_NAME;
	return t->waits ? SSL_CLIENT_HELLO_RETRY : SSL_CLIENT_HELLO_ERROR;
}

static void set_callbacks(SSL_CTX *ctx, struct tls_worker *w)
{
	SSL_CTX_set_app_data(ctx, w);
	SSL_CTX_set_client_hello_cb(ctx, greet, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, choose);
	SSL_CTX_set_cert_cb(ctx, attach, NULL);
	SSL_CTX_set_tlsext_status_cb(ctx, has_staple);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	tls_tickets_use(ctx);
}

void tls_context_init(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
}

bool tls_context_policy(SSL_CTX *ctx)
{
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, SUITES) == 1 &&
	       (SSL_CTX_set1_groups_list(ctx, GROUPS_LATER) == 1 ||
	               SSL_CTX_set1_groups_list(ctx, GROUPS) == 1);
}

static SSL_CTX *intermediate_new(struct tls_worker *w)
{
	static const unsigned char policy[] = "intermediate"; /* tickets are good for it alone */
	SSL_CTX *ctx = SSL_CTX_new_ex(w->lib, NULL, TLS_server_method());
	if (!ctx)
		return NULL;
	tls_context_init(ctx);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	bool ok = tls_context_policy(ctx) && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
	          SSL_CTX_set_session_id_context(ctx, policy, sizeof policy - 1) == 1;
	if (!ok) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	set_callbacks(ctx, w);
	return ctx;
}

struct tls_worker *tls_worker_new(
        struct loop *loop, const struct cert_table *certs, struct err *err)
{
	/* What stands in a machine's openssl.cnf changes nothing here: we open no path. */
	(void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct tls_worker *w = mem_new(struct tls_worker);
	w->loop = loop;
	w->certs = certs;
	w->gather = mem_alloc(TLS_RECORD);
	list_init(&w->stores);
	w->bio = tls_bio_new();
	w->lib = OSSL_LIB_CTX_new();
	if (w->lib) {
		w->intermediate = intermediate_new(w);
		w->ticket_cipher = EVP_CIPHER_fetch(w->lib, "AES-256-CBC", NULL);
		w->pairs = pair_cache_new(w->lib, PAIRS_MOST);
	}
	if (w->intermediate && w->ticket_cipher)
		return w;
	(void)err_set(err, ERR_IO, "OpenSSL cannot be used for TLS: %s.",
	        ERR_reason_error_string(ERR_peek_last_error()));
	tls_worker_free(&w);
	return NULL;
}

void tls_worker_free(struct tls_worker **w)
{
	struct tls_worker *gone = *w;
	*w = NULL;
	if (!gone)
		return;
	tls_stores_free(gone);
	pair_cache_free(&gone->pairs);
	EVP_CIPHER_free(gone->ticket_cipher);
	SSL_CTX_free(gone->intermediate);
	OSSL_LIB_CTX_free(gone->lib);
	BIO_meth_free(gone->bio);
	wipe(&gone->tickets, sizeof gone->tickets);
	free(gone->gather);
	free(gone->spare);
	free(gone);
}
