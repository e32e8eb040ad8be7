/* PKCS#10 certificate requests (RFC 2986). */
#include "keys/key.h"

#include "base/ip.h"

#include <openssl/err.h>

static bool is_dns_text(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || (unsigned char)name.p[i] >= 0x7f)
			return false;
	return name.n > 0 && name.n <= 253;
}

/* RFC 5280 4.2.1.6: iPAddress holds the 4 or 16 bytes of the address. */
static bool push_name(GENERAL_NAMES *list, struct str name)
{
	unsigned char address[IP_BYTES];
	size_t n = ip_read(name, address);
	struct str value = n ? str_n(address, n) : name;
	ASN1_STRING *text = ASN1_STRING_type_new(n ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	GENERAL_NAME *entry = GENERAL_NAME_new();
	CHECK(text && entry && ASN1_STRING_set(text, value.p, (int)value.n) == 1);
	GENERAL_NAME_set0_value(entry, n ? GEN_IPADD : GEN_DNS, text);
	return sk_GENERAL_NAME_push(list, entry) > 0;
}

X509_EXTENSION *key_alt_names(const struct str *names, size_t count, struct err *err)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	X509_EXTENSION *extension = NULL;
	CHECK(list && count > 0);
	bool ok = true;
	for (size_t i = 0; i < count && ok; i++) {
		ok = is_dns_text(names[i]);
		if (ok)
			CHECK(push_name(list, names[i]));
		else
			err_set(err, ERR_INPUT,
			        "\"%.*s\" cannot stand in a certificate: a name there "
			        "is 1 to 253 characters of ASCII without spaces.",
			        STR_ARG(names[i]));
	}
	if (ok) {
		extension = X509V3_EXT_i2d(NID_subject_alt_name, /* critical= */ 0, list);
		CHECK(extension);
	}
	GENERAL_NAMES_free(list);
	return extension;
}

/* No subject: the CA takes the names from the SAN (RFC 8555 7.4), and newer profiles drop the
 * CN. */
static bool fill(X509_REQ *request, const struct key *key, X509_EXTENSION *alt_names)
{
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	bool ok = extensions && sk_X509_EXTENSION_push(extensions, alt_names) > 0 &&
	          X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	          X509_REQ_set_pubkey(request, key->pkey) == 1 &&
	          X509_REQ_add_extensions(request, extensions) == 1 &&
	          X509_REQ_sign(request, key->pkey, key_sha256()) > 0;
	sk_X509_EXTENSION_free(extensions);
	return ok;
}

bool key_csr(const struct key *key, const struct str *names, size_t count, struct buf *out_der,
        struct err *err)
{
	X509_EXTENSION *alt_names = key_alt_names(names, count, err);
	if (!alt_names)
		return false;
	X509_REQ *request = X509_REQ_new();
	unsigned char *der = NULL;
	int n = request && fill(request, key, alt_names) ? i2d_X509_REQ(request, &der) : -1;
	bool ok = key_add_der(out_der, der, n);
	X509_REQ_free(request);
	X509_EXTENSION_free(alt_names);
	return ok || key_openssl_failed(err, "The certificate request could not be made");
}
