#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keys/digest.h"
#include "keys/keys.h"
#include "keys/pair.h"
#include "json/json.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* The key of RFC 7515 A.3, in SEC 1 and in PKCS#8. */
static const char rfc7515_sec1[] =
        "MHcCAQEEII6bEJ5xkJi_mASH3x9dd-nLKWBuvtImO19XwhPfhPSyoAoGCCqGSM49AwEHoUQDQgAEf83OJ3D2xF1B"
        "g8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3-257rn0s2ldbqkLJK2KRiMohYjlrQ";
static const char rfc7515_pkcs8[] =
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E"
        "9LKhRANCAAR_zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURcfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpG"
        "IyiFiOWt";

static struct buf bytes_of(const char *base64url)
{
	struct buf b = BUF_INIT(10000);
	assert_true(buf_decode_base64url(&b, str_c(base64url)));
	return b;
}

static struct key *made(void)
{
	struct err err = ERR_INIT;
	struct key *key = key_new(KEY_P256, &err);
	if (!key)
		fail_msg("%s", err.text);
	return key;
}

static struct key *rfc_key(void)
{
	struct err err = ERR_INIT;
	BUF_AUTO der = bytes_of(rfc7515_sec1);
	struct key *key = key_from_der(buf_str(&der), "The key", &err);
	if (!key)
		fail_msg("%s", err.text);
	return key;
}

static void the_jwk_and_its_thumbprint_are_the_rfc_s(void **state)
{
	(void)state;
	KEY_AUTO *key = rfc_key();
	BUF_AUTO jwk = BUF_INIT(1000);
	char thumbprint[JWK_THUMBPRINT + 1];
	key_jwk(key, &jwk);
	key_thumbprint(key, thumbprint);
	assert_string_equal(buf_c(&jwk), "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":"
	                                 "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	                                 "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}");
	assert_string_equal(thumbprint, "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

static void a_key_is_the_same_after_its_der(void **state)
{
	(void)state;
	static const char *const forms[] = { rfc7515_sec1, rfc7515_pkcs8 };
	struct err err = ERR_INIT;
	KEY_AUTO *first = made();
	SECRET_AUTO der = key_to_der(first);
	KEY_AUTO *again = key_from_der(secret_bytes(&der), "The key", &err);
	assert_non_null(again);
	char a[JWK_THUMBPRINT + 1], b[JWK_THUMBPRINT + 1];
	key_thumbprint(first, a);
	key_thumbprint(again, b);
	assert_string_equal(a, b);
	assert_int_equal(der.n, 121);
	for (size_t i = 0; i < COUNT(forms); i++) {
		BUF_AUTO bytes = bytes_of(forms[i]);
		BUF_AUTO sec1 = bytes_of(rfc7515_sec1);
		KEY_AUTO *key = key_from_der(buf_str(&bytes), "The key", &err);
		assert_non_null(key);
		SECRET_AUTO out = key_to_der(key);
		assert_true(secret_eq(&out, buf_str(&sec1)));
	}
}

static struct buf der_of(EVP_PKEY *pkey)
{
	struct buf b = BUF_INIT(10000);
	unsigned char *der = NULL;
	int n = i2d_PrivateKey(pkey, &der);
	assert_true(n > 0);
	buf_add(&b, str_n(der, (size_t)n));
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	return b;
}

static void assert_no_key(struct str der, const char *sentence)
{
	struct err err = ERR_INIT;
	assert_null(key_from_der(der, "The account key", &err));
	assert_string_equal(err.text, sentence);
}

static void what_is_no_key_is_refused(void **state)
{
	(void)state;
	static const char no_der[] =
	        "The account key is not a private key in DER (SEC 1 or PKCS#8).";
	static const char other_type[] =
	        "The account key is of a type that is not used here: ECDSA P-256 and P-384 are, "
	        "and RSA of 2048 to 8192 bits.";
	assert_no_key(STR(""), no_der);
	assert_no_key(STR("-----BEGIN PRIVATE KEY-----"), no_der);
	assert_no_key(STR("\x30\x82\xff\xff"), no_der);
	BUF_AUTO p521 = der_of(EVP_EC_gen("P-521"));
	assert_no_key(buf_str(&p521), other_type);
	BUF_AUTO rsa = der_of(EVP_RSA_gen(1024));
	assert_no_key(buf_str(&rsa), other_type);
	BUF_AUTO ed25519 = der_of(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	assert_no_key(buf_str(&ed25519), other_type);
	BUF_AUTO der = bytes_of(rfc7515_sec1);
	buf_add_char(&der, 0);
	assert_no_key(buf_str(&der), no_der);
	assert_no_key(str_head(buf_str(&der), 100), no_der);
	der.p[10] ^= 1; /* of the private half */
	assert_no_key(str_head(buf_str(&der), 121),
	        "The account key is damaged: its private and public halves do not fit.");
	BUF_AUTO damaged = der_of(EVP_RSA_gen(2048));
	damaged.p[40] ^= 1; /* of the modulus */
	assert_no_key(buf_str(&damaged),
	        "The account key is damaged: its private and public halves do not fit.");
}

/* The public key that the thumbprint's owner tells, for verifying. */
static bool verifies(const struct key *key, struct str text, struct str raw)
{
	SECRET_AUTO der = key_to_der(key);
	const unsigned char *p = der.p;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)der.n);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	assert_true(ECDSA_SIG_set0(sig, BN_bin2bn((const unsigned char *)raw.p, 32, NULL),
	        BN_bin2bn((const unsigned char *)raw.p + 32, 32, NULL)));
	unsigned char *sig_der = NULL;
	int n = i2d_ECDSA_SIG(sig, &sig_der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
	          EVP_DigestVerify(
	                  ctx, sig_der, (size_t)n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(sig_der);
	ECDSA_SIG_free(sig);
	EVP_PKEY_free(pkey);
	return ok;
}

/* The signature of RFC 7515 A.3.1 over its own signing input: proves the test's verification. */
static void verification_knows_the_rfc_s_signature(void **state)
{
	(void)state;
	KEY_AUTO *key = rfc_key();
	BUF_AUTO raw = bytes_of("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
	                        "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
	static const struct str input = STR_INIT("eyJhbGciOiJFUzI1NiJ9."
	                                         "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogI"
	                                         "mh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
	                                         "cnVlfQ");
	assert_true(verifies(key, input, buf_str(&raw)));
	raw.p[63] ^= 1;
	assert_false(verifies(key, input, buf_str(&raw)));
}

static void a_jws_verifies(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	static const struct str header = STR_INIT("{\"alg\":\"ES256\",\"nonce\":\"a\"}");
	static const struct str payloads[] = { STR_INIT(""), STR_INIT("{}"),
		STR_INIT("\0\xff\xfe") };
	KEY_AUTO *key = made();
	/* often enough that a signature's half starts with a zero byte, which DER leaves out */
	for (size_t i = 0; i < 600; i++) {
		BUF_AUTO out = BUF_INIT(1000);
		assert_true(key_jws(key, header, payloads[i % COUNT(payloads)], &out, &err));
		JSON_AUTO *jws = json_parse(buf_str(&out), "The JWS", &err);
		assert_non_null(jws);
		BUF_AUTO input = BUF_INIT(1000), raw = BUF_INIT(100), payload = BUF_INIT(100);
		buf_add(&input, json_text(jws, "protected"));
		buf_add_char(&input, '.');
		buf_add(&input, json_text(jws, "payload"));
		assert_true(buf_decode_base64url(&raw, json_text(jws, "signature")));
		assert_true(buf_decode_base64url(&payload, json_text(jws, "payload")));
		assert_true(str_eq(buf_str(&payload), payloads[i % COUNT(payloads)]));
		assert_int_equal(raw.n, 64);
		assert_true(verifies(key, buf_str(&input), buf_str(&raw)));
	}
}

/* By keys that accounts do not have, but certificates do. */
static const struct {
	enum key_type type;
	const char *algorithm, *jwk; /* how that begins */
	size_t signature;
} others[] = {
	{ KEY_P384, "ES384", "{\"crv\":\"P-384\",\"kty\":\"EC\",\"x\":\"", 96 },
	{ KEY_RSA2048, "RS256", "{\"e\":\"AQAB\",\"kty\":\"RSA\",\"n\":\"", 256 },
};

static bool verifies_as(
        const struct key *key, enum key_type type, struct str text, struct str signature)
{
	SECRET_AUTO der = key_to_der(key);
	const unsigned char *p = (const unsigned char *)secret_bytes(&der).p;
	const bool rsa = type == KEY_RSA2048;
	const int half = (int)signature.n / 2;
	const unsigned char *raw = (const unsigned char *)signature.p;
	EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)secret_bytes(&der).n);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *made = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_true(pkey && sig && ctx);
	assert_true(
	        ECDSA_SIG_set0(sig, BN_bin2bn(raw, half, NULL), BN_bin2bn(raw + half, half, NULL)));
	const int n = i2d_ECDSA_SIG(sig, &made);
	const bool ok = EVP_DigestVerifyInit(
	                        ctx, NULL, rsa ? EVP_sha256() : EVP_sha384(), NULL, pkey) == 1 &&
	                EVP_DigestVerify(ctx, rsa ? raw : made, rsa ? signature.n : (size_t)n,
	                        (const unsigned char *)text.p, text.n) == 1;
	OPENSSL_free(made);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return ok;
}

static void a_jws_by_any_key_of_ours_verifies(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	KEY_AUTO *p256 = made();
	assert_string_equal(key_algorithm(p256), "ES256");
	for (size_t i = 0; i < COUNT(others); i++) {
		KEY_AUTO *key = key_new(others[i].type, &err);
		BUF_AUTO out = BUF_INIT(4000), jwk = BUF_INIT(2000);
		assert_string_equal(key_algorithm(key), others[i].algorithm);
		key_jwk(key, &jwk);
		assert_true(str_starts(buf_str(&jwk), str_c(others[i].jwk)));
		JSON_AUTO *parsed = json_parse(buf_str(&jwk), "The JWK", &err);
		BUF_AUTO number = BUF_INIT(1000);
		const bool rsa = key_type_is_rsa(others[i].type);
		assert_true(buf_decode_base64url(&number, json_text(parsed, rsa ? "n" : "y")));
		assert_int_equal(number.n, rsa ? 256 : 48);
		assert_true(key_jws(key, STR("{}"), STR("{\"a\":1}"), &out, &err));
		JSON_AUTO *jws = json_parse(buf_str(&out), "The JWS", &err);
		BUF_AUTO input = BUF_INIT(1000), raw = BUF_INIT(1000);
		buf_add(&input, json_text(jws, "protected"));
		buf_add_char(&input, '.');
		buf_add(&input, json_text(jws, "payload"));
		assert_true(buf_decode_base64url(&raw, json_text(jws, "signature")));
		assert_int_equal(raw.n, others[i].signature);
		assert_true(verifies_as(key, others[i].type, buf_str(&input), buf_str(&raw)));
		raw.p[raw.n - 1] ^= 1;
		assert_false(verifies_as(key, others[i].type, buf_str(&input), buf_str(&raw)));
	}
}

static void a_jws_too_long_for_its_buf_is_an_error(void **state)
{
	(void)state;
	KEY_AUTO *key = made();
	for (size_t ceiling = 1; ceiling < 150; ceiling += 10) {
		struct err err = ERR_INIT;
		BUF_AUTO out = BUF_INIT(ceiling);
		assert_false(key_jws(key, STR("{\"alg\":\"ES256\"}"), STR("{}"), &out, &err));
		assert_int_equal(err.code, ERR_LIMIT);
	}
}

static GENERAL_NAMES *names_of(const STACK_OF(X509_EXTENSION) * extensions)
{
	GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
	assert_non_null(names);
	return names;
}

static void assert_name(const GENERAL_NAMES *names, int index, int type, struct str want)
{
	int got = 0;
	const ASN1_STRING *value =
	        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, index), &got);
	assert_int_equal(got, type);
	assert_true(str_eq(
	        str_n(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), want));
}

static const struct str four_names[] = {
	STR_INIT("shop.example.com"),
	STR_INIT("*.example.com"),
	STR_INIT("203.0.113.7"),
	STR_INIT("2001:db8::7"),
};

static void assert_four_names(const STACK_OF(X509_EXTENSION) * extensions)
{
	GENERAL_NAMES *names = names_of(extensions);
	assert_int_equal(sk_GENERAL_NAME_num(names), 4);
	assert_name(names, 0, GEN_DNS, four_names[0]);
	assert_name(names, 1, GEN_DNS, four_names[1]);
	assert_name(names, 2, GEN_IPADD, STR("\xcb\x00\x71\x07"));
	assert_name(names, 3, GEN_IPADD, STR("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"));
	GENERAL_NAMES_free(names);
}

static void a_request_carries_the_names_and_no_subject(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	KEY_AUTO *key = made();
	BUF_AUTO der = BUF_INIT(10000);
	assert_true(key_csr(key, four_names, COUNT(four_names), &der, &err));
	const unsigned char *p = (const unsigned char *)der.p;
	X509_REQ *request = d2i_X509_REQ(NULL, &p, (long)der.n);
	assert_non_null(request);
	assert_int_equal(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)), 1);
	assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(request)), 0);
	STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
	assert_int_equal(sk_X509_EXTENSION_num(extensions), 1);
	assert_four_names(extensions);
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	X509_REQ_free(request);
}

static void a_name_that_no_certificate_can_hold_is_refused(void **state)
{
	(void)state;
	static char long_name[254];
	memset(long_name, 'a', sizeof long_name);
	const struct str bad[] = {
		STR_INIT(""),
		STR_INIT("a b"),
		STR_INIT("b\xc3\xbc.de"),
		{ long_name, sizeof long_name },
	};
	KEY_AUTO *key = made();
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct err err = ERR_INIT;
		BUF_AUTO der = BUF_INIT(10000);
		assert_false(key_csr(key, &bad[i], 1, &der, &err));
		assert_int_equal(err.code, ERR_INPUT);
		assert_false(key_self_signed(key, &bad[i], 1, 0, 1, &der, &err));
		assert_int_equal(der.n, 0);
	}
}

/* All that is made of a key, with each type. */
static void assert_usable(enum key_type type)
{
	struct err err = ERR_INIT;
	enum key_type got = KEY_TYPE_COUNT;
	KEY_AUTO *key = key_new(type, &err);
	assert_non_null(key);
	assert_true(key_type_of(key, &got));
	assert_int_equal(got, type);
	SECRET_AUTO der = key_to_der(key);
	KEY_AUTO *again = key_from_der(secret_bytes(&der), "The key", &err);
	assert_non_null(again);
	assert_true(key_type_of(again, &got));
	assert_int_equal(got, type);
	BUF_AUTO request = BUF_INIT(10000), leaf = BUF_INIT(10000);
	assert_true(key_csr(again, four_names, COUNT(four_names), &request, &err));
	const unsigned char *p = (const unsigned char *)request.p;
	X509_REQ *csr = d2i_X509_REQ(NULL, &p, (long)request.n);
	assert_int_equal(X509_REQ_verify(csr, X509_REQ_get0_pubkey(csr)), 1);
	X509_REQ_free(csr);
	assert_true(key_self_signed(key, four_names, 1, 0, 1000, &leaf, &err));
	assert_true(key_fits(again, buf_str(&leaf)));
}

static void each_type_of_key_is_made_and_used(void **state)
{
	(void)state;
	enum key_type type = KEY_TYPE_COUNT;
	for (enum key_type t = 0; t < KEY_TYPE_COUNT; t++) {
		assert_usable(t);
		assert_true(key_type_from_name(str_c(key_type_name(t)), &type));
		assert_int_equal(type, t);
	}
	type = KEY_P384;
	assert_false(key_type_from_name(STR("rsa1024"), &type));
	assert_false(key_type_from_name(STR(""), &type));
	assert_int_equal(type, KEY_P384);
}

/* Somebody else's key may be of a size that we do not make. */
static void an_rsa_key_of_another_size_is_used_too(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	enum key_type type;
	BUF_AUTO der = der_of(EVP_RSA_gen(2304));
	KEY_AUTO *key = key_from_der(buf_str(&der), "The key", &err);
	assert_non_null(key);
	assert_false(key_type_of(key, &type));
}

/* RFC 7515 A.1 */
static void a_jws_by_hmac_is_the_rfc_s(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	BUF_AUTO secret = bytes_of("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
	                           "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
	BUF_AUTO out = BUF_INIT(1000), little = BUF_INIT(100);
	static const struct str head = STR_INIT("{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}"),
	                        body = STR_INIT("{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n "
	                                        "\"http://example.com/is_root\":true}");
	assert_true(key_jws_hmac(buf_str(&secret), head, body, &out, &err));
	assert_string_equal(buf_c(&out),
	        "{\"protected\":\"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9\",\"payload\":"
	        "\"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
	        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ\",\"signature\":"
	        "\"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk\"}");
	assert_false(key_jws_hmac(buf_str(&secret), head, body, &little, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static X509 *cert_of(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(cert);
	return cert;
}

static void self_sign(const struct key *key, const char *name, struct buf *out)
{
	struct err err = ERR_INIT;
	struct str names[] = { str_c(name) };
	int64_t now = (int64_t)time(NULL) * 1000;
	if (!key_self_signed(key, names, 1, now - 3600000, now + 86400000, out, &err))
		fail_msg("%s", err.text);
}

/* RFC 8737 3, RFC 8738 3: one name, and the digest of the key authorization, which is critical. */
static void the_certificate_of_a_proof_is_the_rfc_s(void **state)
{
	(void)state;
	static const struct {
		const char *name, *alternative;
	} cases[] = { { "shop.example.com", "DNS:shop.example.com" },
		{ "192.0.2.7", "IP Address:192.0.2.7" },
		{ "2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7" } };
	struct err err = ERR_INIT;
	KEY_AUTO *key = made();
	unsigned char expected[2 + DIGEST_SHA256] = { 4, DIGEST_SHA256 };
	digest_sha256(STR("token.thumbprint"), expected + 2);
	for (size_t i = 0; i < COUNT(cases); i++) {
		BUF_AUTO der = BUF_INIT(10000);
		const struct key_validated what = { str_c(cases[i].name), STR("token.thumbprint"),
			INT64_C(1799745240000), INT64_C(1799845240000) };
		assert_true(key_validation(key, &what, &der, &err));
		assert_true(key_fits(key, buf_str(&der)));
		X509 *cert = cert_of(buf_str(&der));
		assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
		assert_int_equal(X509_get_ext_count(cert), 2);
		X509_EXTENSION *names = X509_get_ext(cert, 0), *proof = X509_get_ext(cert, 1);
		char text[100] = "", type[100] = "";
		BIO *out = BIO_new(BIO_s_mem());
		X509V3_EXT_print(out, names, 0, 0);
		assert_true(BIO_read(out, text, sizeof text - 1) > 0);
		BIO_free(out);
		assert_string_equal(text, cases[i].alternative);
		OBJ_obj2txt(type, sizeof type, X509_EXTENSION_get_object(proof), 1);
		assert_string_equal(type, "1.3.6.1.5.5.7.1.31");
		assert_int_equal(X509_EXTENSION_get_critical(proof), 1);
		const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(proof);
		assert_int_equal(ASN1_STRING_length(value), sizeof expected);
		assert_memory_equal(ASN1_STRING_get0_data(value), expected, sizeof expected);
		X509_free(cert);
	}
}

static void the_temporary_certificate_is_whole(void **state)
{
	(void)state;
	struct err err = ERR_INIT;
	KEY_AUTO *key = made(), *other = made();
	BUF_AUTO der = BUF_INIT(10000);
	assert_true(key_self_signed(key, four_names, COUNT(four_names), INT64_C(1799745240000),
	        INT64_C(2540808000000), &der, &err)); /* to 2050: GeneralizedTime */
	X509 *cert = cert_of(buf_str(&der));
	assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
	assert_int_equal(X509_self_signed(cert, 1), 1);
	assert_int_equal(X509_check_ca(cert), 0);
	assert_four_names(X509_get0_extensions(cert));
	time_t from = 1799745240, to = 2540808000;
	assert_int_equal(X509_cmp_time(X509_get0_notBefore(cert), &from), -1);
	from--;
	assert_int_equal(X509_cmp_time(X509_get0_notBefore(cert), &from), 1);
	to--;
	assert_int_equal(X509_cmp_time(X509_get0_notAfter(cert), &to), 1);
	assert_true(key_fits(key, buf_str(&der)));
	assert_false(key_fits(other, buf_str(&der)));
	assert_false(key_fits(key, STR("")));
	assert_false(key_fits(key, STR("no certificate")));
	X509_free(cert);
}

/* Two ends of TLS over memory; the server's cert_cb attaches a pair. */
struct dialogue {
	SSL_CTX *server_ctx, *client_ctx;
	struct pair_cache *cache;
	struct pair_source source;
	struct err err;
};

static int attach(SSL *ssl, void *dialogue)
{
	struct dialogue *d = dialogue;
	return keys_attach(ssl, d->cache, &d->source, &d->err) ? 1 : 0;
}

static void dialogue_init(struct dialogue *d, OSSL_LIB_CTX *lib, size_t most)
{
	*d = (struct dialogue){ .server_ctx = SSL_CTX_new_ex(lib, NULL, TLS_server_method()),
		.client_ctx = SSL_CTX_new(TLS_client_method()),
		.cache = pair_cache_new(lib, most) };
	SSL_CTX_set_cert_cb(d->server_ctx, attach, d);
}

static void dialogue_done(struct dialogue *d)
{
	SSL_CTX_free(d->server_ctx);
	SSL_CTX_free(d->client_ctx);
	pair_cache_free(&d->cache);
	assert_null(d->cache);
	pair_cache_free(&d->cache);
}

static bool shake(SSL *server, SSL *client)
{
	for (int i = 0; i < 10 && !(SSL_is_init_finished(server) && SSL_is_init_finished(client));
	        i++) {
		SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	return SSL_is_init_finished(server) && SSL_is_init_finished(client);
}

/* The chain that the client saw, as DER one behind the other; false if the handshake failed. */
static bool handshake(struct dialogue *d, struct buf *ret_seen)
{
	SSL *server = SSL_new(d->server_ctx), *client = SSL_new(d->client_ctx);
	BIO *a = NULL, *b = NULL;
	assert_true(BIO_new_bio_pair(&a, 20000, &b, 20000));
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	bool ok = shake(server, client);
	STACK_OF(X509) *seen = ok ? SSL_get_peer_cert_chain(client) : NULL;
	for (int i = 0; i < sk_X509_num(seen); i++) {
		unsigned char *der = NULL;
		int n = i2d_X509(sk_X509_value(seen, i), &der);
		buf_add(ret_seen, str_n(der, (size_t)n));
		OPENSSL_free(der);
	}
	SSL_free(server);
	SSL_free(client);
	return ok;
}

struct material {
	struct buf leaf, above;
	struct secret key;
	struct str chain[1];
};

static void material_init(struct material *m, const char *name)
{
	KEY_AUTO *key = made(), *ca = made();
	m->leaf = BUF(10000);
	m->above = BUF(10000);
	self_sign(key, name, &m->leaf);
	self_sign(ca, "ca.example", &m->above);
	m->key = key_to_der(key);
	m->chain[0] = buf_str(&m->above);
}

static void material_done(struct material *m)
{
	buf_done(&m->leaf);
	buf_done(&m->above);
	secret_done(&m->key);
}

static struct pair_source source_of(const struct material *m, uint64_t number)
{
	return (struct pair_source){ .number = number,
		.leaf = buf_str(&m->leaf),
		.key = secret_bytes(&m->key),
		.chain = m->chain,
		.chain_count = 1,
		.chain_number = 7 };
}

static void assert_sees(struct dialogue *d, struct str leaf, struct str above)
{
	BUF_AUTO seen = BUF_INIT(20000), want = BUF_INIT(20000);
	if (!handshake(d, &seen))
		fail_msg("the handshake failed: %s", d->err.text);
	buf_add(&want, leaf);
	buf_add(&want, above);
	assert_true(str_eq(buf_str(&seen), buf_str(&want)));
}

static void a_handshake_shows_the_pair_that_was_attached(void **state)
{
	(void)state;
	OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
	struct dialogue d;
	struct material one, two;
	dialogue_init(&d, lib, 10);
	material_init(&one, "one.example");
	material_init(&two, "two.example");
	for (int round = 0; round < 3; round++) {
		d.source = source_of(&one, 1);
		assert_sees(&d, buf_str(&one.leaf), buf_str(&one.above));
		d.source = source_of(&two, 2);
		/* number 7 is known: the chain is not read again */
		assert_sees(&d, buf_str(&two.leaf), buf_str(&one.above));
		d.source = source_of(&two, 3);
		d.source.chain_number = 0;
		assert_sees(&d, buf_str(&two.leaf), buf_str(&two.above));
		d.source = source_of(&two, 4);
		d.source.chain_count = 0;
		assert_sees(&d, buf_str(&two.leaf), STR(""));
	}
	assert_int_equal(pair_cache_count(d.cache), 4);
	material_done(&one);
	material_done(&two);
	dialogue_done(&d);
	OSSL_LIB_CTX_free(lib);
}

static void the_cache_holds_no_more_than_it_may(void **state)
{
	(void)state;
	struct dialogue d;
	struct material m;
	dialogue_init(&d, NULL, 3);
	material_init(&m, "one.example");
	for (uint64_t number = 1; number <= 40; number++) {
		d.source = source_of(&m, number % 5 * 16 + 1); /* all in one bucket */
		assert_sees(&d, buf_str(&m.leaf), buf_str(&m.above));
		assert_int_equal(pair_cache_count(d.cache), number < 3 ? number : 3);
	}
	/* the last used one is still decoded: it is served although its bytes are gone */
	d.source.leaf = d.source.key = STR("gone");
	assert_sees(&d, buf_str(&m.leaf), buf_str(&m.above));
	material_done(&m);
	dialogue_done(&d);
}

static void a_key_in_pkcs8_is_served_too(void **state)
{
	(void)state;
	struct dialogue d;
	BUF_AUTO leaf = BUF_INIT(10000);
	BUF_AUTO pkcs8 = bytes_of(rfc7515_pkcs8);
	KEY_AUTO *key = rfc_key();
	dialogue_init(&d, NULL, 3);
	self_sign(key, "one.example", &leaf);
	d.source =
	        (struct pair_source){ .number = 1, .leaf = buf_str(&leaf), .key = buf_str(&pkcs8) };
	assert_sees(&d, buf_str(&leaf), STR(""));
	dialogue_done(&d);
}

static void what_cannot_be_decoded_is_not_attached(void **state)
{
	(void)state;
	struct material m, other;
	material_init(&m, "one.example");
	material_init(&other, "two.example");
	static const struct str junk[] = { STR_INIT("junk") };
	static char off_curve[121];
	memcpy(off_curve, m.key.p, sizeof off_curve);
	off_curve[70] ^= 1;
	struct {
		struct pair_source source;
		const char *sentence;
	} cases[] = {
		{ source_of(&m, 9), "Certificate number 9 cannot be served: its certificate cannot "
		                    "be decoded." },
		{ source_of(&m, 9),
		        "Certificate number 9 cannot be served: its key cannot be decoded." },
		{ source_of(&m, 9),
		        "Certificate number 9 cannot be served: its key cannot be decoded." },
		{ source_of(&m, 9),
		        "Certificate number 9 cannot be served: its chain cannot be decoded." },
		{ source_of(&m, 9),
		        "Certificate number 9 cannot be served: private key mismatch." },
	};
	cases[0].source.leaf = STR("");
	cases[1].source.key = STR("junk");
	cases[2].source.key = str_n(off_curve, sizeof off_curve);
	cases[3].source.chain = junk;
	cases[4].source.key = secret_bytes(&other.key);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct dialogue d;
		BUF_AUTO seen = BUF_INIT(10000);
		dialogue_init(&d, NULL, 3);
		d.source = cases[i].source;
		assert_false(handshake(&d, &seen));
		assert_string_equal(d.err.text, cases[i].sentence);
		assert_int_equal(pair_cache_count(d.cache), 0);
		dialogue_done(&d);
	}
	material_done(&m);
	material_done(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_jwk_and_its_thumbprint_are_the_rfc_s),
		cmocka_unit_test(a_key_is_the_same_after_its_der),
		cmocka_unit_test(what_is_no_key_is_refused),
		cmocka_unit_test(verification_knows_the_rfc_s_signature),
		cmocka_unit_test(a_jws_verifies),
		cmocka_unit_test(a_jws_by_any_key_of_ours_verifies),
		cmocka_unit_test(a_jws_too_long_for_its_buf_is_an_error),
		cmocka_unit_test(the_certificate_of_a_proof_is_the_rfc_s),
		cmocka_unit_test(each_type_of_key_is_made_and_used),
		cmocka_unit_test(an_rsa_key_of_another_size_is_used_too),
		cmocka_unit_test(a_jws_by_hmac_is_the_rfc_s),
		cmocka_unit_test(a_request_carries_the_names_and_no_subject),
		cmocka_unit_test(a_name_that_no_certificate_can_hold_is_refused),
		cmocka_unit_test(the_temporary_certificate_is_whole),
		cmocka_unit_test(a_handshake_shows_the_pair_that_was_attached),
		cmocka_unit_test(the_cache_holds_no_more_than_it_may),
		cmocka_unit_test(a_key_in_pkcs8_is_served_too),
		cmocka_unit_test(what_cannot_be_decoded_is_not_attached),
	};
	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
