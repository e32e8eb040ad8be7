#include "keys/foreign.h"
#include "base/buf.h"
#include "keys/key.h"
#include <openssl/err.h>
#include <openssl/x509.h>

enum { KEY_MOST = 32 << 10 };

/* ---- PEM ---- */

static const struct {
	struct str begin, end;
} kinds[] = {
	{ STR_INIT("-----BEGIN PRIVATE KEY-----"), STR_INIT("-----END PRIVATE KEY-----") },
	{ STR_INIT("-----BEGIN EC PRIVATE KEY-----"), STR_INIT("-----END EC PRIVATE KEY-----") },
	{ STR_INIT("-----BEGIN RSA PRIVATE KEY-----"), STR_INIT("-----END RSA PRIVATE KEY-----") },
};

static size_t find_text(struct str s, struct str what)
{
	const char *at = s.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
	return at ? (size_t)(at - s.p) : s.n;
}

/* RFC 7468 2: white space within the base64 text is ignored. */
static bool decode(struct str body, struct secret *ret_der)
{
	struct buf text = BUF_SECRET(2 * KEY_MOST), der = BUF_SECRET(KEY_MOST);
	for (size_t i = 0; i < body.n; i++)
		if (!strchr(" \t\r\n", body.p[i]) || !body.p[i])
			buf_add_char(&text, body.p[i]);
	bool ok = buf_ok(&text) && text.n > 0 && buf_decode_base64(&der, buf_str(&text));
	if (ok)
		*ret_der = secret_copy(buf_str(&der));
	buf_wipe(&text);
	buf_wipe(&der);
	return ok;
}

static bool no_key(struct str pem, struct err *err)
{
	bool encrypted = find_text(pem, STR("ENCRYPTED")) < pem.n;
	if (encrypted)
		return err_set(err, ERR_INPUT,
		        "The private key is encrypted." ERR_REMEDY
		        "Decrypt it first, with `openssl pkey -in FILE -out FILE`.");
	return err_set(err, ERR_INPUT,
	        "There is no private key in it (-----BEGIN PRIVATE KEY-----)." ERR_REMEDY
	        "Put certificate, chain and key into one file, in this order.");
}

bool foreign_key_from_pem(struct str pem, struct secret *ret_der, struct err *err)
{
	struct str body = STR_NONE;
	unsigned count = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct str rest = str_from(pem, find_text(pem, kinds[i].begin) + kinds[i].begin.n);
		size_t end = find_text(rest, kinds[i].end);
		if (rest.n == 0 || end == rest.n)
			continue;
		body = str_head(rest, end);
		count += find_text(rest, kinds[i].begin) < rest.n ? 2 : 1;
	}
	if (count == 0)
		return no_key(pem, err);
	if (count > 1)
		return err_set(err, ERR_INPUT, "There are several private keys in it.");
	return decode(body, ret_der) ||
	       (str_has(body, ':') ? no_key(STR("ENCRYPTED"), err)
	                           : err_set(err, ERR_INPUT, "Its private key is damaged."));
}

/* ---- what fits together ---- */

static X509 *read_certificate(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	return der.n <= INT32_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
}

static EVP_PKEY *read_key(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	return der.n <= INT32_MAX ? d2i_AutoPrivateKey_ex(NULL, &p, (long)der.n, NULL, NULL) : NULL;
}

static bool judge_key(const EVP_PKEY *key, X509 *leaf, struct err *err)
{
	if (!key)
		return err_set(err, ERR_INPUT, "Its private key cannot be read.");
	if (!key_usable(key))
		return err_set(err, ERR_INPUT,
		        "Its key is of a type that is not served with: RSA of 2048 to 8192 bits, "
		        "ECDSA P-256 and P-384 are.");
	if (!leaf || X509_check_private_key(leaf, key) != 1)
		return err_set(err, ERR_INPUT,
		        "The private key is not that of the first certificate." ERR_REMEDY
		        "Give the key that the certificate was made for, and the server's "
		        "certificate before the others.");
	return true;
}

bool foreign_key_fits(const struct secret *der, struct str leaf_der, struct err *err)
{
	EVP_PKEY *key = read_key(secret_bytes(der));
	X509 *leaf = read_certificate(leaf_der);
	bool fits = judge_key(key, leaf, err);
	EVP_PKEY_free(key);
	X509_free(leaf);
	ERR_clear_error();
	return fits;
}

static bool issued(X509 *issuer, X509 *subject)
{
	return issuer && subject && X509_check_issued(issuer, subject) == X509_V_OK &&
	       X509_verify(subject, X509_get0_pubkey(issuer)) == 1;
}

bool foreign_chain_fits(const struct str *chain, size_t count, struct err *err)
{
	bool fits = true;
	for (size_t i = 0; fits && i + 1 < count; i++) {
		X509 *subject = read_certificate(chain[i]),
		     *issuer = read_certificate(chain[i + 1]);
		fits = issued(issuer, subject);
		X509_free(subject);
		X509_free(issuer);
		ERR_clear_error();
		if (!fits)
			(void)err_set(err, ERR_INPUT,
			        "Certificate %zu of the chain was not issued by certificate "
			        "%zu." ERR_REMEDY
			        "Put them in order: the server's, then each followed by its "
			        "issuer's.",
			        i + 1, i + 2);
	}
	return fits;
}
