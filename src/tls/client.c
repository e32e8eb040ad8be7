/* The client's side: to an application that is verified. */
#include "base/map.h"
#include "tls/inside.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

/* Where a pool's sessions are kept: SSL's app data is the connection. */
static int new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_conn *t = tls_conn_of(ssl);
	if (!t->session)
		return 0;
	tls_session_free(t->session);
	*t->session = session;
	return 1;
}

void tls_session_free(struct ssl_session_st **session)
{
	SSL_SESSION_free(*session);
	*session = NULL;
}

/* ---- whom to trust ---- */

static bool add_roots(struct tls_worker *w, SSL_CTX *ctx, struct str ders)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	const unsigned char *p = (const unsigned char *)ders.p, *end = p + ders.n;
	bool ok = true;
	while (ok && p < end) {
		X509 *x = X509_new_ex(w->lib, NULL);
		ok = x && d2i_X509(&x, &p, end - p) && X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	return ok;
}

static SSL_CTX *context_new(struct tls_worker *w, struct str ders)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(w->lib, NULL, TLS_client_method());
	if (!ctx)
		return NULL;
	tls_context_init(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, new_session);
	/* A root of one's own may be an intermediate, or the application's own certificate. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx), X509_V_FLAG_PARTIAL_CHAIN);
	if (tls_context_policy(ctx) && add_roots(w, ctx, ders))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

struct tls_trust *tls_trust_ref(struct tls_worker *w, struct str ders)
{
	uint64_t hash = hash_keyed(ders);
	for (struct tls_trust *t = w->trusts; t; t = t->next) {
		if (t->hash != hash)
			continue;
		t->refs++;
		return t;
	}
	struct tls_trust *t = mem_new(struct tls_trust);
	*t = (struct tls_trust){ .worker = w, .next = w->trusts, .hash = hash, .refs = 1 };
	t->ctx = context_new(w, ders);
	ERR_clear_error();
	w->trusts = t;
	return t;
}

void tls_trust_unref(struct tls_trust **trust)
{
	struct tls_trust *t = *trust;
	*trust = NULL;
	if (!t || --t->refs > 0)
		return;
	struct tls_trust **at = &t->worker->trusts;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* ---- why not ---- */

static const char *words_of(long why)
{
	switch (why) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "its certificate is for another name: say which by `server-name`";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "its certificate has expired";
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "nobody who is trusted vouches for its certificate: name its authority by "
		       "`trust`";
	default:
		return X509_verify_cert_error_string(why);
	}
}

void tls_client_failed(struct tls_conn *t)
{
	long why = SSL_get_verify_result(t->ssl);
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	if (!t->fault)
		t->fault = mem_new(struct err);
	if (t->plain)
		err_set(t->fault, ERR_PROTOCOL, "it does not speak TLS: write http:// instead");
	else if (why != X509_V_OK)
		err_set(t->fault, ERR_PROTOCOL, "%s", words_of(why));
	else
		err_set(t->fault, ERR_PROTOCOL, "TLS failed: %s",
		        reason ? reason : "the application broke it off");
}

/* ---- the connection ---- */

static bool expect(SSL *ssl, const struct tls_peer *peer)
{
	char text[256];
	snprintf(text, sizeof text, "%.*s", STR_ARG(peer->name.n ? peer->name : peer->address));
	if (!peer->name.n)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), text) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, text) == 1 && SSL_set1_host(ssl, text) == 1;
}

struct conn *conn_tls_connect(struct conn *below, const struct tls_peer *peer)
{
	static const unsigned char http[] = "\x08http/1.1";
	struct tls_trust *trust = peer->trust;
	if (!trust->ctx)
		return conn_free(&below), NULL;
	struct tls_conn *t = tls_conn_new(trust->worker, below, trust->ctx);
	t->client = true;
	t->session = peer->session;
	SSL_set_connect_state(t->ssl);
	CHECK(expect(t->ssl, peer));
	CHECK(SSL_set_alpn_protos(t->ssl, http, sizeof http - 1) == 0);
	if (t->session && *t->session)
		(void)SSL_set_session(t->ssl, *t->session);
	return &t->conn;
}
