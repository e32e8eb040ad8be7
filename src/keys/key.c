/* Keys: made, decoded, encoded. The header's promise that they are never seen is kept by secret. */
#include "keys/key.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <pthread.h>

static EVP_MD *sha256;

static void fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	CHECK(sha256);
}

const EVP_MD *key_sha256(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, fetch_sha256);
	return sha256;
}

bool key_openssl_failed(struct err *err, const char *format, ...)
{
	char what[512];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	ERR_clear_error();
	return err_set(
	        err, ERR_INPUT, "%s: OpenSSL says \"%s\".", what, reason ? reason : "no reason");
}

bool key_add_der(struct buf *out, unsigned char *der, int n)
{
	if (n > 0)
		buf_add(out, str_n(der, (size_t)n));
	OPENSSL_free(der);
	return n > 0 && buf_ok(out);
}

/* Takes over pkey. */
static struct key *wrap(EVP_PKEY *pkey, struct err *err)
{
	struct key *key = mem_new(struct key);
	key->pkey = pkey;
	key->signer = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (key->signer && EVP_PKEY_sign_init(key->signer) == 1)
		return key;
	key_openssl_failed(err, "The key cannot sign");
	key_free(&key);
	return NULL;
}

struct key *key_new(struct err *err)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	if (pkey)
		return wrap(pkey, err);
	key_openssl_failed(err, "No key could be made");
	return NULL;
}

static bool is_p256(const EVP_PKEY *pkey)
{
	char group[32] = "";
	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
	       strcmp(group, SN_X9_62_prime256v1) == 0;
}

/* A private key without its public half is legal in SEC 1; a wrong half would sign what nobody can
 * verify. */
static bool halves_fit(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool fit = ctx && EVP_PKEY_pairwise_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return fit;
}

struct key *key_from_der(struct str der, const char *what, struct err *err)
{
	const unsigned char *p = (const unsigned char *)der.p;
	EVP_PKEY *pkey = NULL;
	if (der.n > 0 && der.n <= INT32_MAX)
		pkey = d2i_AutoPrivateKey_ex(NULL, &p, (long)der.n, NULL, NULL);
	bool whole = pkey && p == (const unsigned char *)der.p + der.n;
	if (whole && is_p256(pkey) && halves_fit(pkey))
		return wrap(pkey, err);
	ERR_clear_error();
	if (whole && !is_p256(pkey))
		err_set(err, ERR_INPUT,
		        "%s is not an ECDSA P-256 key; other types are not used here.", what);
	else if (whole)
		err_set(err, ERR_CORRUPT,
		        "%s is damaged: its private and public halves do not fit.", what);
	else
		err_set(err, ERR_CORRUPT, "%s is not a private key in DER (SEC 1 or PKCS#8).",
		        what);
	EVP_PKEY_free(pkey);
	return NULL;
}

struct secret key_to_der(const struct key *key)
{
	unsigned char *der = NULL;
	int n = i2d_PrivateKey(key->pkey, &der);
	CHECK(n > 0);
	struct secret s = secret_copy(str_n(der, (size_t)n));
	OPENSSL_clear_free(der, (size_t)n);
	return s;
}

void key_free(struct key **key)
{
	if (!*key)
		return;
	EVP_PKEY_CTX_free((*key)->signer);
	EVP_PKEY_free((*key)->pkey);
	free(*key);
	*key = NULL;
}

bool key_fits(const struct key *key, struct str leaf_der)
{
	const unsigned char *p = (const unsigned char *)leaf_der.p;
	X509 *leaf = leaf_der.n > 0 && leaf_der.n <= INT32_MAX
	                     ? d2i_X509(NULL, &p, (long)leaf_der.n)
	                     : NULL;
	bool fits = leaf && X509_check_private_key(leaf, key->pkey) == 1;
	X509_free(leaf);
	ERR_clear_error();
	return fits;
}
