/* The certificate that proves control of a name by TLS (RFC 8737). */
#include "keys/digest.h"
#include "keys/key.h"

#define ACME_IDENTIFIER "1.3.6.1.5.5.7.1.31"
enum { OCTET_STRING = 4 };

/* RFC 8737 3: critical; an OCTET STRING of SHA-256 of the key authorization. */
static bool add_authorization(X509 *cert, struct str authorization)
{
	unsigned char der[2 + DIGEST_SHA256] = { OCTET_STRING, DIGEST_SHA256 };
	digest_sha256(authorization, der + 2);
	ASN1_OBJECT *type = OBJ_txt2obj(ACME_IDENTIFIER, /* no_name= */ 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension = NULL;
	if (type && value && ASN1_OCTET_STRING_set(value, der, sizeof der) == 1)
		extension = X509_EXTENSION_create_by_OBJ(NULL, type, /* critical= */ 1, value);
	bool ok = extension && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(type);
	return ok;
}

static bool set_names(X509 *cert)
{
	return made_name(X509_get_subject_name(cert), "Everseal proof of control") &&
	       X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1;
}

/* RFC 8737 3: subjectAltName holds the name that is proved and no other. */
bool key_validation(const struct key *key, const struct key_validated *what, struct buf *out_der,
        struct err *err)
{
	X509_EXTENSION *alt_name = key_alt_names(&what->name, 1, err);
	if (!alt_name)
		return false;
	X509 *cert = made_new(key, what->not_before, what->not_after);
	bool ok = cert && set_names(cert) && X509_add_ext(cert, alt_name, -1) == 1 &&
	          add_authorization(cert, what->authorization) && made_sign(cert, key, out_der);
	X509_free(cert);
	X509_EXTENSION_free(alt_name);
	return ok || key_openssl_failed(err, "The certificate that proves %.*s could not be made",
	                     STR_ARG(what->name));
}
