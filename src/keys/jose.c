/* JOSE: JWK (RFC 7517), its thumbprint (RFC 7638), JWS (RFC 7515) with ES256 (RFC 7518 3.4) and
 * HS256 (3.2). */
#include "keys/key.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

enum {
	COORDINATE = 32,
	DIGEST = 32,
	DER_SIGNATURE_MOST = 80,
	THUMBPRINT_INPUT = 256,
};

static void add_coordinate(const struct key *key, const char *name, struct buf *out)
{
	BIGNUM *n = NULL;
	unsigned char bytes[COORDINATE];
	CHECK(EVP_PKEY_get_bn_param(key->pkey, name, &n) == 1);
	/* RFC 7518 6.2.1.2: the full size of a coordinate, with its leading zeros. */
	CHECK(BN_bn2binpad(n, bytes, sizeof bytes) == sizeof bytes);
	BN_free(n);
	buf_add_base64url(out, str_n(bytes, sizeof bytes));
}

/* RFC 7638 3.2, 3.3: the required members in lexicographic order, without white space. */
void key_jwk(const struct key *key, struct buf *out)
{
	enum key_type type;
	CHECK(key_type_of(key, &type) && type == KEY_P256);
	buf_add_c(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	add_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X, out);
	buf_add_c(out, "\",\"y\":\"");
	add_coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y, out);
	buf_add_c(out, "\"}");
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

/* RFC 7518 3.4: R and S as 32 bytes each, big-endian, one behind the other; OpenSSL makes DER. */
static bool sign(const struct key *key, struct str text, unsigned char ret_raw[2 * COORDINATE])
{
	unsigned char hash[DIGEST], der[DER_SIGNATURE_MOST];
	size_t n = sizeof der;
	digest(text, hash);
	if (EVP_PKEY_sign(key->signer, der, &n, hash, sizeof hash) != 1)
		return false;
	const unsigned char *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	bool ok =
	        sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), ret_raw, COORDINATE) == COORDINATE &&
	        BN_bn2binpad(ECDSA_SIG_get0_s(sig), ret_raw + COORDINATE, COORDINATE) == COORDINATE;
	ECDSA_SIG_free(sig);
	return ok;
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
	unsigned char raw[2 * COORDINATE];
	bool ok;
	if (!jws_init(&j, protected_header, payload, out->ceiling))
		ok = err_set(err, ERR_LIMIT, "The message to be signed is too long.");
	else if (!sign(key, buf_str(&j.input), raw))
		ok = key_openssl_failed(err, "The message could not be signed");
	else
		ok = jws_write(&j, str_n(raw, sizeof raw), out, err);
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
