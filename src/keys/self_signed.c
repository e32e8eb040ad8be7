/* The temporary certificate, served until a CA's takes its place. */
#include "keys/key.h"

#include <openssl/rand.h>

enum { SERIAL_BYTES = 16 };

/* RFC 5280 4.1.2.2: positive, unique; 127 random bits. */
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

/* RFC 5280 4.1.2.4: an issuer has a name; it is the subject's, since we sign for ourselves. */
static bool set_names(X509 *cert)
{
	X509_NAME *name = X509_get_subject_name(cert);
	return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
	               (const unsigned char *)"Everseal temporary certificate", -1, -1, 0) == 1 &&
	       X509_set_issuer_name(cert, name) == 1;
}

static bool set_times(X509 *cert, int64_t not_before, int64_t not_after)
{
	return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(not_before / 1000)) &&
	       ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(not_after / 1000));
}

static bool add_text_extension(X509 *cert, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static bool add_extensions(X509 *cert, X509_EXTENSION *alt_names)
{
	return X509_add_ext(cert, alt_names, -1) == 1 &&
	       add_text_extension(cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_text_extension(cert, NID_key_usage, "critical,digitalSignature") &&
	       add_text_extension(cert, NID_ext_key_usage, "serverAuth") &&
	       add_text_extension(cert, NID_subject_key_identifier, "hash");
}

static bool fill(X509 *cert, const struct key *key, X509_EXTENSION *alt_names)
{
	return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) && set_names(cert) &&
	       X509_set_pubkey(cert, key->pkey) == 1 && add_extensions(cert, alt_names);
}

bool key_self_signed(const struct key *key, const struct str *names, size_t count,
        int64_t not_before, int64_t not_after, struct buf *out_der, struct err *err)
{
	X509_EXTENSION *alt_names = key_alt_names(names, count, err);
	if (!alt_names)
		return false;
	X509 *cert = X509_new();
	unsigned char *der = NULL;
	int n = -1;
	if (cert && fill(cert, key, alt_names) && set_times(cert, not_before, not_after) &&
	        X509_sign(cert, key->pkey, key_sha256()) > 0)
		n = i2d_X509(cert, &der);
	bool ok = key_add_der(out_der, der, n);
	X509_free(cert);
	X509_EXTENSION_free(alt_names);
	return ok || key_openssl_failed(err, "The temporary certificate could not be made");
}
