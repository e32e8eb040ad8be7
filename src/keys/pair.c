/* The LRU of decoded pairs. Each pair owns its certificate and key and refers to its chain; a chain
 * dies with the last pair that refers to it. */
#include "keys/pair.h"

#include "base/list.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/ssl.h>

struct chain {
	struct chain *next; /* in its bucket */
	uint64_t number;    /* 0: in no bucket */
	size_t refs;
	STACK_OF(X509) * certs;
};

struct pair {
	struct list recent; /* in pair_cache.recent */
	struct pair *next;  /* in its bucket */
	uint64_t number;
	X509 *leaf;
	EVP_PKEY *key;
	struct chain *chain; /* counted; NULL if nothing stands above the leaf */
};

struct pair_cache {
	OSSL_LIB_CTX *lib;
	size_t most, count, size; /* size: of both tables, a power of two */
	struct list recent;       /* first = last used */
	struct pair **pairs;
	struct chain **chains;
};

/* Numbers are our own and rise by one: their low bits spread well. */
static struct pair **pair_bucket(const struct pair_cache *c, uint64_t number)
{
	return &c->pairs[number & (c->size - 1)];
}

static struct chain **chain_bucket(const struct pair_cache *c, uint64_t number)
{
	return &c->chains[number & (c->size - 1)];
}

struct pair_cache *pair_cache_new(OSSL_LIB_CTX *lib, size_t most)
{
	CHECK(most > 0);
	struct pair_cache *c = mem_new(struct pair_cache);
	c->lib = lib;
	c->most = most;
	for (c->size = 16; c->size < most; c->size *= 2)
		;
	c->pairs = mem_array(sizeof(struct pair *), c->size);
	c->chains = mem_array(sizeof(struct chain *), c->size);
	list_init(&c->recent);
	return c;
}

size_t pair_cache_count(const struct pair_cache *c)
{
	return c->count;
}

static void chain_unref(struct pair_cache *c, struct chain *chain)
{
	if (!chain || --chain->refs > 0)
		return;
	if (chain->number != 0) {
		struct chain **at = chain_bucket(c, chain->number);
		while (*at != chain)
			at = &(*at)->next;
		*at = chain->next;
	}
	sk_X509_pop_free(chain->certs, X509_free);
	free(chain);
}

/* Frees a pair, half-built ones too. */
static void pair_free(struct pair_cache *c, struct pair *pair)
{
	X509_free(pair->leaf);
	EVP_PKEY_free(pair->key);
	chain_unref(c, pair->chain);
	free(pair);
}

static void forget(struct pair_cache *c, struct pair *pair)
{
	struct pair **at = pair_bucket(c, pair->number);
	while (*at != pair)
		at = &(*at)->next;
	*at = pair->next;
	list_remove(&pair->recent);
	c->count--;
	pair_free(c, pair);
}

void pair_cache_free(struct pair_cache **c)
{
	if (!*c)
		return;
	LIST_EACH (node, &(*c)->recent)
		forget(*c, OWNER(node, struct pair, recent));
	free((*c)->pairs);
	free((*c)->chains);
	free(*c);
	*c = NULL;
}

static X509 *decode_cert(const struct pair_cache *c, struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *cert = X509_new_ex(c->lib, NULL);
	if (!cert || der.n == 0 || der.n > INT32_MAX || !d2i_X509(&cert, &p, (long)der.n)) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

/* What key_to_der makes of a P-256 key, always: SEC 1 ECPrivateKey of 121 bytes. Its halves are
 * taken by their offsets: OpenSSL's decoder, which tries every format, takes twenty times as
 * long. */
enum {
	SEC1_BYTES = 121,
	SEC1_PRIVATE = 7,
	SEC1_PRIVATE_BYTES = 32,
	SEC1_MIDDLE_BYTES = 17,
	SEC1_PUBLIC = 56,
	SEC1_PUBLIC_BYTES = 65,
};

static bool is_usual_sec1(struct str der)
{
	static const unsigned char head[SEC1_PRIVATE] = { 0x30, 0x77, 2, 1, 1, 4, 32 };
	static const unsigned char middle[SEC1_MIDDLE_BYTES] = { 0xa0, 0x0a, 6, 8, 0x2a, 0x86, 0x48,
		0xce, 0x3d, 3, 1, 7, 0xa1, 0x44, 3, 0x42, 0 };
	return der.n == SEC1_BYTES && memcmp(der.p, head, sizeof head) == 0 &&
	       memcmp(der.p + SEC1_PRIVATE + SEC1_PRIVATE_BYTES, middle, sizeof middle) == 0;
}

static EVP_PKEY *key_of_params(const struct pair_cache *c, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(c->lib, "EC", NULL);
	EVP_PKEY *key = NULL;
	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *decode_usual(const struct pair_cache *c, struct str der)
{
	const unsigned char *bytes = (const unsigned char *)der.p;
	BIGNUM *secret = BN_secure_new();
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;
	if (secret && build && BN_bin2bn(bytes + SEC1_PRIVATE, SEC1_PRIVATE_BYTES, secret) &&
	        OSSL_PARAM_BLD_push_utf8_string(
	                build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY,
	                bytes + SEC1_PUBLIC, SEC1_PUBLIC_BYTES) == 1 &&
	        OSSL_PARAM_BLD_push_BN_pad(
	                build, OSSL_PKEY_PARAM_PRIV_KEY, secret, SEC1_PRIVATE_BYTES) == 1)
		key = key_of_params(c, build);
	OSSL_PARAM_BLD_free(build);
	BN_clear_free(secret);
	return key;
}

static EVP_PKEY *decode_key(const struct pair_cache *c, struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	if (is_usual_sec1(der))
		return decode_usual(c, der);
	if (der.n == 0 || der.n > INT32_MAX)
		return NULL;
	return d2i_AutoPrivateKey_ex(NULL, &p, (long)der.n, c->lib, NULL);
}

static struct chain *find_chain(const struct pair_cache *c, uint64_t number)
{
	struct chain *chain = number != 0 ? *chain_bucket(c, number) : NULL;
	while (chain && chain->number != number)
		chain = chain->next;
	return chain;
}

static bool decode_chain(
        const struct pair_cache *c, const struct pair_source *source, STACK_OF(X509) * into)
{
	for (size_t i = 0; i < source->chain_count; i++) {
		X509 *cert = decode_cert(c, source->chain[i]);
		if (!cert || sk_X509_push(into, cert) <= 0) {
			X509_free(cert);
			return false;
		}
	}
	return true;
}

/* A counted chain, or NULL. */
static struct chain *chain_ref(struct pair_cache *c, const struct pair_source *source)
{
	struct chain *chain = find_chain(c, source->chain_number);
	if (chain) {
		chain->refs++;
		return chain;
	}
	STACK_OF(X509) *certs = sk_X509_new_null();
	if (!certs || !decode_chain(c, source, certs)) {
		sk_X509_pop_free(certs, X509_free);
		return NULL;
	}
	chain = mem_new(struct chain);
	*chain = (struct chain){ .number = source->chain_number, .refs = 1, .certs = certs };
	if (chain->number == 0)
		return chain;
	chain->next = *chain_bucket(c, chain->number);
	*chain_bucket(c, chain->number) = chain;
	return chain;
}

static struct pair *decode(struct pair_cache *c, const struct pair_source *source, struct err *err)
{
	const char *what = "certificate";
	struct pair *pair = mem_new(struct pair);
	pair->number = source->number;
	pair->leaf = decode_cert(c, source->leaf);
	if (pair->leaf) {
		what = "key";
		pair->key = decode_key(c, source->key);
	}
	if (pair->key) {
		what = "chain";
		pair->chain = source->chain_count ? chain_ref(c, source) : NULL;
	}
	if (pair->key && (pair->chain || !source->chain_count))
		return pair;
	ERR_clear_error();
	err_set(err, ERR_CORRUPT,
	        "Certificate number %llu cannot be served: its %s cannot be decoded.",
	        (unsigned long long)source->number, what);
	pair_free(c, pair);
	return NULL;
}

static struct pair *find(const struct pair_cache *c, uint64_t number)
{
	struct pair *pair = *pair_bucket(c, number);
	while (pair && pair->number != number)
		pair = pair->next;
	return pair;
}

static void insert(struct pair_cache *c, struct pair *pair)
{
	if (c->count == c->most)
		forget(c, OWNER(list_last(&c->recent), struct pair, recent));
	pair->next = *pair_bucket(c, pair->number);
	*pair_bucket(c, pair->number) = pair;
	list_add_first(&c->recent, &pair->recent);
	c->count++;
}

/* The handshake owns its copy. */
static bool staple(SSL *ssl, struct str answer)
{
	if (!answer.n || SSL_get_tlsext_status_type(ssl) != TLSEXT_STATUSTYPE_ocsp)
		return true;
	void *copy = OPENSSL_memdup(answer.p, answer.n);
	return copy && SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)answer.n) == 1;
}

static bool use(
        SSL *ssl, const struct pair *pair, const struct pair_source *source, struct err *err)
{
	if (SSL_use_cert_and_key(ssl, pair->leaf, pair->key,
	            pair->chain ? pair->chain->certs : NULL, /* override= */ 1) == 1 &&
	        staple(ssl, source->staple))
		return true;
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return err_set(err, ERR_CORRUPT, "Certificate number %llu cannot be served: %s.",
	        (unsigned long long)pair->number, reason ? reason : "OpenSSL does not say why");
}

bool keys_attach_once(
        SSL *ssl, struct pair_cache *cache, const struct pair_source *source, struct err *err)
{
	struct pair *pair = decode(cache, source, err);
	if (!pair)
		return false;
	bool ok = use(ssl, pair, source, err);
	pair_free(cache, pair);
	return ok;
}

/* Out of the cache, else into it; NULL: it cannot be decoded. */
static struct pair *pair_of(
        struct pair_cache *cache, const struct pair_source *source, struct err *err)
{
	struct pair *pair = find(cache, source->number);
	if (pair) {
		list_remove(&pair->recent);
		list_add_first(&cache->recent, &pair->recent);
		return pair;
	}
	pair = decode(cache, source, err);
	if (pair)
		insert(cache, pair);
	return pair;
}

static bool use_or_forget(SSL *ssl, struct pair_cache *cache, struct pair *pair,
        const struct pair_source *source, struct err *err)
{
	if (use(ssl, pair, source, err))
		return true;
	forget(cache, pair);
	return false;
}

bool keys_attach(
        SSL *ssl, struct pair_cache *cache, const struct pair_source *source, struct err *err)
{
	struct pair *pair = pair_of(cache, source, err);
	return pair && use_or_forget(ssl, cache, pair, source, err);
}

/* ---- which of two ---- */

/* A curve with the signature scheme that TLS 1.3 binds to it (RFC 8446 4.2.3); TLS 1.2 lets any
 * hash go with any curve (RFC 8422 5.1.1). */
enum { CURVES = 2, GROUPS_MOST = 128 };
static const struct curve {
	int bits, nid;
	unsigned scheme;
} curves[CURVES] = {
	{ 256, NID_X9_62_prime256v1, 0x0403 },
	{ 384, NID_secp384r1, 0x0503 },
};

static const struct curve *curve_of(const struct pair *pair)
{
	for (size_t i = 0; i < CURVES; i++)
		if (EVP_PKEY_get_base_id(pair->key) == EVP_PKEY_EC &&
		        EVP_PKEY_get_bits(pair->key) == curves[i].bits)
			return &curves[i];
	return NULL;
}

static bool has_scheme(SSL *ssl, const struct curve *curve)
{
	unsigned char sign, hash;
	const int count = SSL_get_sigalgs(ssl, 0, NULL, NULL, NULL, NULL, NULL);
	for (int i = 0; i < count; i++) {
		SSL_get_sigalgs(ssl, i, NULL, NULL, NULL, &sign, &hash);
		const unsigned scheme = (unsigned)hash << 8 | sign;
		if (scheme == curve->scheme)
			return true;
		for (size_t k = 0; SSL_version(ssl) < TLS1_3_VERSION && k < CURVES; k++)
			if (scheme == curves[k].scheme)
				return true;
	}
	return false;
}

static bool has_curve(SSL *ssl, const struct curve *curve)
{
	int groups[GROUPS_MOST];
	const long count = SSL_get1_groups(ssl, NULL);
	if (count > GROUPS_MOST)
		return false;
	(void)SSL_get1_groups(ssl, groups);
	for (long i = 0; i < count; i++)
		if (groups[i] == curve->nid)
			return true;
	return false;
}

/* One of its cipher suites that is ours, too, and signs with ECDSA. */
static bool has_suite(SSL *ssl)
{
	const STACK_OF(SSL_CIPHER) *ours = SSL_get_ciphers(ssl);
	const STACK_OF(SSL_CIPHER) *its = SSL_get_client_ciphers(ssl);
	for (int i = 0; i < sk_SSL_CIPHER_num(its); i++) {
		const SSL_CIPHER *c = sk_SSL_CIPHER_value(its, i);
		if (SSL_CIPHER_get_auth_nid(c) != NID_auth_ecdsa)
			continue;
		for (int k = 0; k < sk_SSL_CIPHER_num(ours); k++)
			if (SSL_CIPHER_get_id(sk_SSL_CIPHER_value(ours, k)) == SSL_CIPHER_get_id(c))
				return true;
	}
	return false;
}

static bool suits(SSL *ssl, const struct pair *pair)
{
	const struct curve *curve = curve_of(pair);
	if (!curve || !has_scheme(ssl, curve))
		return false;
	return SSL_version(ssl) >= TLS1_3_VERSION || (has_curve(ssl, curve) && has_suite(ssl));
}

bool keys_attach_either(SSL *ssl, struct pair_cache *cache, const struct pair_source *first,
        const struct pair_source *beside, struct err *err)
{
	const struct pair_source *source = first;
	struct pair *pair = pair_of(cache, first, err);
	if (!pair || !suits(ssl, pair)) {
		source = beside;
		pair = pair_of(cache, beside, err);
	}
	return pair && use_or_forget(ssl, cache, pair, source, err);
}
