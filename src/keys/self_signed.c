/* The temporary certificate, served until a CA's takes its place. */
#include "keys/key.h"

/* RFC 5280 4.1.2.4: an issuer has a name; it is the subject's, since we sign for ourselves. */
static bool set_names(X509 *cert)
{
	return made_name(X509_get_subject_name(cert), "Everseal temporary certificate") &&
	       X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1;
}

static bool add_extensions(X509 *cert, X509_EXTENSION *alt_names)
{
	return X509_add_ext(cert, alt_names, -1) == 1 &&
	       made_extension(cert, cert, NID_basic_constraints, "critical,CA:FALSE") &&
	       made_extension(cert, cert, NID_key_usage, "critical,digitalSignature") &&
	       made_extension(cert, cert, NID_ext_key_usage, "serverAuth") &&
	       made_extension(cert, cert, NID_subject_key_identifier, "hash");
}

bool key_self_signed(const struct key *key, const struct str *names, size_t count,
        int64_t not_before, int64_t not_after, struct buf *out_der, struct err *err)
{
	X509_EXTENSION *alt_names = key_alt_names(names, count, err);
	if (!alt_names)
		return false;
	X509 *cert = made_new(key, not_before, not_after);
	bool ok = cert && set_names(cert) && add_extensions(cert, alt_names) &&
	          made_sign(cert, key, out_der);
	X509_free(cert);
	X509_EXTENSION_free(alt_names);
	return ok || key_openssl_failed(err, "The temporary certificate could not be made");
}
