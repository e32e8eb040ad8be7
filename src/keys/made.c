/* What all certificates have in common that we sign ourselves. */
#include "keys/key.h"

#include <openssl/rand.h>

enum { SERIAL_BYTES = 16 };

/* RFC 5280 4.1.2.2: positive, unique; 126 random bits. */
static bool set_serial(X509 *cert)
{
	unsigned char bytes[SERIAL_BYTES];
	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return false;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40);
	BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
	bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
	BN_free(n);
	return ok;
}

static bool set_times(X509 *cert, int64_t not_before, int64_t not_after)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(not_before / 1000)) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(not_after / 1000));
}

X509 *made_new(const struct key *key, int64_t not_before, int64_t not_after)
{
	X509 *cert = X509_new();
	if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	        set_times(cert, not_before, not_after) && X509_set_pubkey(cert, key->pkey) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

bool made_name(X509_NAME *name, const char *common_name)
{
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
	               (const unsigned char *)common_name, -1, -1, 0) == 1;
}

bool made_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

bool made_sign(X509 *cert, const struct key *signer, struct buf *out_der)
{
	unsigned char *der = NULL;
	int n = X509_sign(cert, signer->pkey, key_sha256()) > 0 ? i2d_X509(cert, &der) : -1;
	return key_add_der(out_der, der, n);
}
