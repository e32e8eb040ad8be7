/* Keys: made, decoded, encoded. The header's promise that they are never seen is kept by secret. */
#include "keys/key.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>
#include <pthread.h>

enum { RSA_BITS_LEAST = 2048, RSA_BITS_MOST = 8192 };

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

/* Types */

static const struct {
	const char *group;      /* ECDSA: as EVP_EC_gen calls it */
	const char *group_name; /* and EVP_PKEY_get_group_name */
	int bits;               /* RSA */
} types[] = {
	[KEY_P256] = { .group = "P-256", .group_name = SN_X9_62_prime256v1 },
	[KEY_P384] = { .group = "P-384", .group_name = SN_secp384r1 },
	[KEY_RSA2048] = { .bits = 2048 },
	[KEY_RSA3072] = { .bits = 3072 },
	[KEY_RSA4096] = { .bits = 4096 },
};

const char *key_type_name(enum key_type type)
{
	static const char *const names[] = {
#define X(name, text) text,
		KEY_TYPES(X)
#undef X
	};
	CHECK(type < KEY_TYPE_COUNT);
	return names[type];
}

bool key_type_from_name(struct str name, enum key_type *ret_type)
{
	for (enum key_type type = 0; type < KEY_TYPE_COUNT; type++)
		if (str_eq_c(name, key_type_name(type))) {
			*ret_type = type;
			return true;
		}
	return false;
}

bool key_type_is_rsa(enum key_type type)
{
	return type >= KEY_RSA2048;
}

static bool is_of(const EVP_PKEY *pkey, enum key_type type)
{
	char group[32] = "";
	if (types[type].bits)
		return EVP_PKEY_is_a(pkey, "RSA") && EVP_PKEY_get_bits(pkey) == types[type].bits;
	return EVP_PKEY_is_a(pkey, "EC") &&
	       EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) == 1 &&
	       strcmp(group, types[type].group_name) == 0;
}

bool key_type_of(const struct key *key, enum key_type *ret_type)
{
	for (enum key_type type = 0; type < KEY_TYPE_COUNT; type++)
		if (is_of(key->pkey, type)) {
			*ret_type = type;
			return true;
		}
	return false;
}

bool key_usable(const EVP_PKEY *pkey)
{
	const int bits = EVP_PKEY_get_bits(pkey);
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return bits >= RSA_BITS_LEAST && bits <= RSA_BITS_MOST;
	return is_of(pkey, KEY_P256) || is_of(pkey, KEY_P384);
}

struct key *key_new(enum key_type type, struct err *err)
{
	EVP_PKEY *pkey = types[type].bits ? EVP_RSA_gen((unsigned)types[type].bits)
	                                  : EVP_EC_gen(types[type].group);
	if (pkey)
		return wrap(pkey, err);
	key_openssl_failed(err, "No key could be made");
	return NULL;
}

static bool verifies(EVP_PKEY *pkey, const unsigned char *signature, size_t n, struct str digest)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool fits =
	        ctx && EVP_PKEY_verify_init(ctx) == 1 &&
	        EVP_PKEY_verify(ctx, signature, n, (const unsigned char *)digest.p, digest.n) == 1;
	EVP_PKEY_CTX_free(ctx);
	return fits;
}

/* A private key without its public half is legal in SEC 1; a wrong half would sign what nobody can
 * verify. OpenSSL's own check looks for the primes of RSA anew, which takes a second. */
static bool halves_fit(const struct key *key)
{
	static const char digest[] = "a digest of thirty-two bytes ...";
	unsigned char signature[RSA_BITS_MOST / 8];
	size_t n = sizeof signature;
	return EVP_PKEY_sign(key->signer, signature, &n, (const unsigned char *)digest,
	               strlen(digest)) == 1 &&
	       verifies(key->pkey, signature, n, str_c(digest));
}

static struct key *wrap_fitting(EVP_PKEY *pkey, const char *what, struct err *err)
{
	struct key *key = wrap(pkey, err);
	if (!key || halves_fit(key))
		return key;
	ERR_clear_error();
	err_set(err, ERR_CORRUPT, "%s is damaged: its private and public halves do not fit.", what);
	key_free(&key);
	return NULL;
}

struct key *key_from_der(struct str der, const char *what, struct err *err)
{
	const unsigned char *p = (const unsigned char *)der.p;
	EVP_PKEY *pkey = NULL;
	if (der.n > 0 && der.n <= INT32_MAX)
		pkey = d2i_AutoPrivateKey_ex(NULL, &p, (long)der.n, NULL, NULL);
	bool whole = pkey && p == (const unsigned char *)der.p + der.n;
	if (whole && key_usable(pkey))
		return wrap_fitting(pkey, what, err);
	ERR_clear_error();
	if (whole)
		err_set(err, ERR_INPUT,
		        "%s is of a type that is not used here: ECDSA P-256 and P-384 are, and "
		        "RSA of 2048 to 8192 bits.",
		        what);
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
