#include "keys/authority.h"
#include "base/ip.h"
#include "keys/key.h"

#include <openssl/err.h>

enum { CONSTRAINTS_MOST = 16 << 10 };

/* As ip_is_near has them. */
#define ADDRESSES                                                                                  \
	",permitted;IP:127.0.0.0/255.0.0.0,permitted;IP:10.0.0.0/255.0.0.0"                        \
	",permitted;IP:172.16.0.0/255.240.0.0,permitted;IP:192.168.0.0/255.255.0.0"                \
	",permitted;IP:169.254.0.0/255.255.0.0,permitted;IP:100.64.0.0/255.192.0.0"                \
	",permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"                                \
	",permitted;IP:fc00::/fe00::,permitted;IP:fe80::/ffc0::"

/* What is not named at all would be permitted: addresses are excluded by name. */
#define NO_ADDRESSES ",excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::"

/* Of DNS names one that nobody has. */
#define NO_NAMES ",permitted;DNS:invalid"

/* RFC 5280 4.2.1.10: an address with its mask. Whether it is one. */
static bool add_permitted(struct buf *value, struct str name)
{
	unsigned char bytes[IP_BYTES], mask[IP_BYTES];
	char text[IP_TEXT];
	const size_t n = ip_read(name, bytes);
	memset(mask, 0xff, sizeof mask);
	if (n > 0)
		buf_printf(value, ",permitted;IP:%.*s/%s", STR_ARG(name), ip_text(mask, n, text));
	else
		buf_printf(value, ",permitted;DNS:%.*s", STR_ARG(name));
	return n > 0;
}

static bool add_constraints(X509 *cert, const struct authority_root *root)
{
	BUF_AUTO value = BUF(CONSTRAINTS_MOST);
	size_t addresses = 0;
	buf_add_c(&value, "critical");
	for (size_t i = 0; i < root->count; i++)
		addresses += add_permitted(&value, root->names[i]);
	if (addresses == root->count)
		buf_add_c(&value, NO_NAMES);
	if (root->addresses || !addresses)
		buf_add_c(&value, root->addresses ? ADDRESSES : NO_ADDRESSES);
	return made_extension(cert, cert, NID_name_constraints, buf_c(&value));
}

static bool fill_root(X509 *cert, const struct authority_root *root)
{
	BUF_AUTO name = BUF(256);
	buf_add(&name, root->common_name);
	X509_NAME *subject = X509_get_subject_name(cert);
	return made_name(subject, buf_c(&name)) && X509_set_issuer_name(cert, subject) == 1 &&
	       made_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       made_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       made_extension(cert, cert, NID_subject_key_identifier, "hash") &&
	       add_constraints(cert, root);
}

bool authority_root_make(const struct key *key, const struct authority_root *root,
        struct buf *out_der, struct err *err)
{
	X509 *cert = made_new(key, root->not_before, root->not_after);
	bool ok = cert && fill_root(cert, root) && made_sign(cert, key, out_der);
	X509_free(cert);
	return ok ||
	       key_openssl_failed(err, "The root of the internal authority could not be made");
}

/* RFC 5280 4.1.2.6: the subject is empty, so the names are critical. */
static bool fill_leaf(X509 *cert, X509 *root, X509_EXTENSION *alt_names)
{
	return X509_set_issuer_name(cert, X509_get_subject_name(root)) == 1 &&
	       X509_EXTENSION_set_critical(alt_names, 1) == 1 &&
	       X509_add_ext(cert, alt_names, -1) == 1 &&
	       made_extension(cert, root, NID_basic_constraints, "critical,CA:FALSE") &&
	       made_extension(cert, root, NID_key_usage, "critical,digitalSignature") &&
	       made_extension(cert, root, NID_ext_key_usage, "serverAuth") &&
	       made_extension(cert, root, NID_subject_key_identifier, "hash") &&
	       made_extension(cert, root, NID_authority_key_identifier, "keyid:always");
}

/* OpenSSL looks at what it has decoded, not at what it was told to encode. */
static bool permits(X509 *root, struct str leaf_der)
{
	const unsigned char *p = (const unsigned char *)leaf_der.p;
	X509 *leaf = d2i_X509(NULL, &p, (long)leaf_der.n);
	NAME_CONSTRAINTS *constraints = X509_get_ext_d2i(root, NID_name_constraints, NULL, NULL);
	const bool fits = leaf && constraints && X509_check_purpose(leaf, -1, 0) == 1 &&
	                  NAME_CONSTRAINTS_check(leaf, constraints) == X509_V_OK;
	NAME_CONSTRAINTS_free(constraints);
	X509_free(leaf);
	return fits;
}

static bool make_leaf(const struct key *root_key, X509 *root, X509 *cert, X509_EXTENSION *alt_names,
        struct buf *out_der, struct err *err)
{
	BUF_AUTO der = BUF(64 << 10);
	if (!fill_leaf(cert, root, alt_names) || !made_sign(cert, root_key, &der))
		return key_openssl_failed(err, "The certificate could not be made");
	if (!permits(root, buf_str(&der)))
		return err_set(err, ERR_INPUT,
		        "The root of the internal authority does not permit that name.");
	buf_add(out_der, buf_str(&der));
	return true;
}

bool authority_leaf_make(const struct key *root_key, struct str root_der, const struct key *key,
        const struct authority_leaf *leaf, struct buf *out_der, struct err *err)
{
	X509_EXTENSION *alt_names = key_alt_names(leaf->names, leaf->count, err);
	if (!alt_names)
		return false;
	const unsigned char *p = (const unsigned char *)root_der.p;
	X509 *root = d2i_X509(NULL, &p, (long)root_der.n);
	X509 *cert = made_new(key, leaf->not_before, leaf->not_after);
	bool ok = root && cert ? make_leaf(root_key, root, cert, alt_names, out_der, err)
	                       : key_openssl_failed(err, "The certificate could not be made");
	X509_free(cert);
	X509_free(root);
	X509_EXTENSION_free(alt_names);
	return ok;
}
