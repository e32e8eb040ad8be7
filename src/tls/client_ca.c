/* Client certificates: whose they may be, and what they say. */
#include "tls/inside.h"
#include <openssl/err.h>
#include <openssl/x509.h>

enum { STORES_MOST = 64 };

/* A site's client_ca, decoded: kept by its identity. */
struct store {
	struct list node;
	unsigned char identity[16];
	X509_STORE *store;
	STACK_OF(X509_NAME) * names; /* told to clients, so that they choose */
};

static void store_free(struct store *s)
{
	X509_STORE_free(s->store);
	sk_X509_NAME_pop_free(s->names, X509_NAME_free);
	free(s);
}

static void drop_last(struct tls_worker *w)
{
	struct store *s = OWNER(list_last(&w->stores), struct store, node);
	list_remove(&s->node);
	w->store_count--;
	store_free(s);
}

void tls_stores_free(struct tls_worker *w)
{
	while (w->store_count > 0)
		drop_last(w);
}

static bool add(
        struct store *s, OSSL_LIB_CTX *lib, const unsigned char **p, const unsigned char *end)
{
	X509 *certificate = X509_new_ex(lib, NULL);
	X509_NAME *name = NULL;
	bool ok = d2i_X509(&certificate, p, end - *p) &&
	          X509_STORE_add_cert(s->store, certificate) == 1;
	if (ok)
		name = X509_NAME_dup(X509_get_subject_name(certificate));
	ok = name && sk_X509_NAME_push(s->names, name) > 0;
	X509_free(certificate);
	return ok;
}

/* An intermediate may be trusted by itself. */
static bool fill(struct store *s, OSSL_LIB_CTX *lib, struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p, *end = p + der.n;
	while (p < end)
		if (!add(s, lib, &p, end))
			return false;
	return X509_STORE_set_flags(s->store, X509_V_FLAG_PARTIAL_CHAIN) == 1;
}

static struct store *store_new(struct tls_worker *w, const struct tls_rules *rules)
{
	struct store *s = mem_new(struct store);
	memcpy(s->identity, rules->identity, sizeof s->identity);
	s->store = X509_STORE_new();
	s->names = sk_X509_NAME_new_null();
	if (s->store && s->names && fill(s, w->lib, rules->client_ca))
		return s;
	ERR_clear_error();
	store_free(s);
	return NULL;
}

static struct store *find(struct tls_worker *w, const struct tls_rules *rules)
{
	LIST_EACH (node, &w->stores) {
		struct store *s = OWNER(node, struct store, node);
		if (memcmp(s->identity, rules->identity, sizeof s->identity) != 0)
			continue;
		list_remove(node);
		return s;
	}
	struct store *s = store_new(w, rules);
	if (s && w->store_count == STORES_MOST)
		drop_last(w);
	w->store_count += s != NULL;
	return s;
}

bool tls_require_client(struct tls_conn *t, const struct tls_rules *rules)
{
	struct store *s = find(t->worker, rules);
	if (!s)
		return false;
	list_add_first(&t->worker->stores, &s->node);
	SSL_set_verify(t->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	STACK_OF(X509_NAME) *names =
	        sk_X509_NAME_deep_copy(s->names, X509_NAME_dup, X509_NAME_free);
	if (!names || SSL_set1_verify_cert_store(t->ssl, s->store) != 1)
		return false;
	SSL_set_client_CA_list(t->ssl, names);
	return true;
}

/* ---- what they say ---- */

static void add_hex(const unsigned char *bytes, size_t n, char *ret_text)
{
	for (size_t i = 0; i < n; i++)
		(void)snprintf(ret_text + 2 * i, 3, "%02x", bytes[i]);
}

/* ASCII without controls. */
static bool print_name(const X509_NAME *name, char *ret_text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	if (!bio)
		return false;
	(void)X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	int n = BIO_read(bio, ret_text, (int)size - 1);
	ret_text[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	return n > 0;
}

bool conn_tls_client(const struct conn *c, struct tls_client *ret_peer)
{
	const struct tls_conn *t = OWNER((struct conn *)c, struct tls_conn, conn);
	X509 *certificate = SSL_get0_peer_certificate(t->ssl);
	unsigned char hash[32];
	unsigned size = sizeof hash;
	*ret_peer = (struct tls_client){ 0 };
	if (!certificate || SSL_get_verify_result(t->ssl) != X509_V_OK ||
	        X509_digest(certificate, EVP_sha256(), hash, &size) != 1)
		return false;
	add_hex(hash, size, ret_peer->fingerprint);
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	if (ASN1_STRING_length(serial) < (int)sizeof ret_peer->serial / 2)
		add_hex(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial),
		        ret_peer->serial);
	(void)print_name(
	        X509_get_subject_name(certificate), ret_peer->subject, sizeof ret_peer->subject);
	return true;
}
