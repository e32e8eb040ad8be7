/* JOSE: JWK (RFC 7517), its thumbprint (RFC 7638), JWS (RFC 7515) with ES256 and ES384 (RFC 7518
 * 3.4), RS256 (3.3) and HS256 (3.2). */
#include "keys/key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

enum {
	DIGEST = 32,
	DER_SIGNATURE_MOST = 120,
	SIGNATURE_MOST = 1024, /* of an RSA key of 8192 bits */
	THUMBPRINT_INPUT = 256,
};

static bool is_rsa(const struct key *key)
{
	return EVP_PKEY_is_a(key->pkey, "RSA");
}

static bool is_p384(const struct key *key)
{
	return !is_rsa(key) && EVP_PKEY_get_bits(key->pkey) == 384;
}

const char *key_algorithm(const struct key *key)
{
	return is_rsa(key) ? "RS256" : is_p384(key) ? "ES384" : "ES256";
}

/* Without leading zeros, or with as many as make it that long. */
static void add_number(const struct key *key, const char *name, int size, struct buf *out)
{
	BIGNUM *n = NULL;
	unsigned char bytes[SIGNATURE_MOST];
	CHECK(EVP_PKEY_get_bn_param(key->pkey, name, &n) == 1);
	const int used = size ? size : BN_num_bytes(n);
	CHECK(used <= (int)sizeof bytes && BN_bn2binpad(n, bytes, used) == used);
	BN_free(n);
	buf_add_base64url(out, str_n(bytes, (size_t)used));
}

static int coordinate_of(const struct key *key)
{
	return EVP_PKEY_get_bits(key->pkey) / 8;
}

static void add_rsa(const struct key *key, struct buf *out)
{
	/* RFC 7518 6.3.1.1: no leading zeros. */
	buf_add_c(out, "{\"e\":\"");
	add_number(key, OSSL_PKEY_PARAM_RSA_E, 0, out);
	buf_add_c(out, "\",\"kty\":\"RSA\",\"n\":\"");
	add_number(key, OSSL_PKEY_PARAM_RSA_N, 0, out);
	buf_add_c(out, "\"}");
}

static void add_ec(const struct key *key, struct buf *out)
{
	/* RFC 7518 6.2.1.2: the full size of a coordinate, with its leading zeros. */
	buf_printf(out, "{\"crv\":\"P-%d\",\"kty\":\"EC\",\"x\":\"", coordinate_of(key) * 8);
	add_number(key, OSSL_PKEY_PARAM_EC_PUB_X, coordinate_of(key), out);
	buf_add_c(out, "\",\"y\":\"");
	add_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, coordinate_of(key), out);
	buf_add_c(out, "\"}");
}

/* RFC 7638 3.2, 3.3: the required members in lexicographic order, without white space. */
void key_jwk(const struct key *key, struct buf *out)
{
	if (is_rsa(key))
		add_rsa(key, out);
	else
		add_ec(key, out);
}

static void digest(struct str bytes, unsigned char ret_digest[DIGEST])
{
	CHECK(EVP_Digest(bytes.p, bytes.n, ret_digest, NULL, key_sha256(), NULL) == 1);
}

void key_thumbprint(const struct key *key, char ret_text[JWK_THUMBPRINT + 1])
{
	BUF_AUTO jwk = BUF_INIT(THUMBPRINT_INPUT);
	BUF_AUTO text = BUF_INIT(JWK_THUMBPRINT);
	unsigned char hash[DIGEST];
	key_jwk(key, &jwk);
	digest(buf_str(&jwk), hash);
	buf_add_base64url(&text, str_n(hash, sizeof hash));
	CHECK(buf_ok(&text) && text.n == JWK_THUMBPRINT);
	memcpy(ret_text, buf_c(&text), JWK_THUMBPRINT + 1);
}

/* RFC 7518 3.4: R and S in full size, big-endian, one behind the other; OpenSSL makes DER. */
static bool raw_of(const unsigned char *der, size_t n, int coordinate, unsigned char *ret_raw)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	bool ok =
	        sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret_raw, coordinate) == coordinate &&
	        BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret_raw + coordinate, coordinate) == coordinate;
	ECDSA_SIG_free(sig);
	return ok;
}

static bool sign_ec(const struct key *key, struct str text, unsigned char *ret_raw, size_t *ret_n)
{
	unsigned char hash[EVP_MAX_MD_SIZE], der[DER_SIGNATURE_MOST];
	unsigned hashed = 0;
	size_t n = sizeof der;
	const EVP_MD *md = is_p384(key) ? EVP_sha384() : key_sha256();
	CHECK(EVP_Digest(text.p, text.n, hash, &hashed, md, NULL) == 1);
	if (EVP_PKEY_sign(key->signer, der, &n, hash, hashed) != 1)
		return false;
	*ret_n = 2 * (size_t)coordinate_of(key);
	return raw_of(der, n, coordinate_of(key), ret_raw);
}

/* RFC 7518 3.3: RSASSA-PKCS1-v1_5, OpenSSL's default for these keys. */
static bool sign_rsa(const struct key *key, struct str text, unsigned char *ret_raw, size_t *ret_n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = SIGNATURE_MOST;
	const bool ok =
	        ctx && EVP_DigestSignInit(ctx, NULL, key_sha256(), NULL, key->pkey) == 1 &&
	        EVP_DigestSign(ctx, ret_raw, &n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	*ret_n = n;
	return ok;
}

static bool sign(const struct key *key, struct str text, unsigned char ret_raw[SIGNATURE_MOST],
        size_t *ret_n)
{
	return is_rsa(key) ? sign_rsa(key, text, ret_raw, ret_n)
	                   : sign_ec(key, text, ret_raw, ret_n);
}

/* RFC 7518 3.2 */
static bool mac(struct str secret, struct str text, unsigned char ret_code[DIGEST])
{
	size_t n = 0;
	return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret.p, secret.n,
	               (const unsigned char *)text.p, text.n, ret_code, DIGEST, &n) &&
	       n == DIGEST;
}

/* RFC 7515 5.1: what is signed is the two parts in base64url with a dot between them. */
struct jws {
	struct buf head, body, input;
};

static bool jws_init(struct jws *j, struct str protected_header, struct str payload, size_t most)
{
	*j = (struct jws){ BUF_INIT(most), BUF_INIT(most), BUF_INIT(most) };
	buf_add_base64url(&j->head, protected_header);
	buf_add_base64url(&j->body, payload);
	buf_add_buf(&j->input, &j->head);
	buf_add_char(&j->input, '.');
	buf_add_buf(&j->input, &j->body);
	return buf_ok(&j->head) && buf_ok(&j->body) && buf_ok(&j->input);
}

static void jws_done(struct jws *j)
{
	buf_done(&j->head);
	buf_done(&j->body);
	buf_done(&j->input);
}

static bool jws_write(const struct jws *j, struct str signature, struct buf *out, struct err *err)
{
	buf_add_c(out, "{\"protected\":\"");
	buf_add_buf(out, &j->head);
	buf_add_c(out, "\",\"payload\":\"");
	buf_add_buf(out, &j->body);
	buf_add_c(out, "\",\"signature\":\"");
	buf_add_base64url(out, signature);
	buf_add_c(out, "\"}");
	return buf_ok(out) || err_set(err, ERR_LIMIT, "The signed message is too long.");
}

bool key_jws(const struct key *key, struct str protected_header, struct str payload,
        struct buf *out, struct err *err)
{
	struct jws j;
	unsigned char raw[SIGNATURE_MOST];
	size_t n = 0;
	bool ok;
	if (!jws_init(&j, protected_header, payload, out->ceiling))
		ok = err_set(err, ERR_LIMIT, "The message to be signed is too long.");
	else if (!sign(key, buf_str(&j.input), raw, &n))
		ok = key_openssl_failed(err, "The message could not be signed");
	else
		ok = jws_write(&j, str_n(raw, n), out, err);
	jws_done(&j);
	return ok;
}

bool key_jws_hmac(struct str secret, struct str protected_header, struct str payload,
        struct buf *out, struct err *err)
{
	struct jws j;
	unsigned char code[DIGEST];
	bool ok;
	if (!jws_init(&j, protected_header, payload, out->ceiling))
		ok = err_set(err, ERR_LIMIT, "The message to be signed is too long.");
	else if (!mac(secret, buf_str(&j.input), code))
		ok = key_openssl_failed(err, "The message could not be signed");
	else
		ok = jws_write(&j, str_n(code, sizeof code), out, err);
	jws_done(&j);
	return ok;
}
