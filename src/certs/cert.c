/* Reading certificates by OpenSSL, copied into the arena at once. */
#include "certs/cert.h"

#include "base/ip.h"
#include "certs/pattern.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

enum {
	NAME_ON_A_LINE = 1024,
	ARI_ID_MOST = 512,
	URL_MOST = 2048,
};

static X509 *decode(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	if (der.n == 0 || der.n > INT32_MAX)
		return NULL;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	if (x && p != (const unsigned char *)der.p + der.n) {
		X509_free(x);
		x = NULL;
	}
	ERR_clear_error();
	return x;
}

static struct str asn1_bytes(const ASN1_STRING *s)
{
	return str_n(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* A host name in the preferred syntax (RFC 5280 4.2.1.6), a wildcard, or something that people do
 * put there ('_'): nothing that could deceive where it is shown. */
static bool is_shown_dns_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0 && s.n <= 253;
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i];
	return str_n(p, s.n);
}

static struct str address(struct arena *a, struct str bytes)
{
	char text[IP_TEXT];
	if (bytes.n != 4 && bytes.n != 16)
		return STR_NONE;
	return arena_str(a, str_c(ip_text((const unsigned char *)bytes.p, bytes.n, text)));
}

/* Names of other kinds are not for servers. */
static struct str alt_name(struct arena *a, const GENERAL_NAME *entry)
{
	int type = 0;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(entry, &type);
	if (type == GEN_DNS && is_shown_dns_name(asn1_bytes(value)))
		return lower(a, asn1_bytes(value));
	return type == GEN_IPADD ? address(a, asn1_bytes(value)) : STR_NONE;
}

static bool read_names(struct arena *a, const X509 *x, struct cert *c, struct err *err)
{
	int found = -1;
	GENERAL_NAMES *list = X509_get_ext_d2i(x, NID_subject_alt_name, &found, NULL);
	if (!list && found != -1)
		return err_set(err, ERR_INPUT,
		        "The certificate's list of names (subjectAltName) cannot be read.");
	int count = list ? sk_GENERAL_NAME_num(list) : 0;
	c->names = arena_array(a, struct str, (size_t)count);
	for (int i = 0; i < count; i++) {
		struct str name = alt_name(a, sk_GENERAL_NAME_value(list, i));
		if (name.p)
			c->names[c->name_count++] = name;
	}
	GENERAL_NAMES_free(list);
	return true;
}

static struct str shown(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		p[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
	return str_n(p, s.n);
}

static struct str whole_name(struct arena *a, const X509_NAME *name)
{
	BIO *line = BIO_new(BIO_s_mem());
	CHECK(line);
	char *p = NULL;
	X509_NAME_print_ex(line, name, 0, XN_FLAG_ONELINE & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
	long n = BIO_get_mem_data(line, &p);
	struct str text = shown(a, str_head(str_n(p, (size_t)n), NAME_ON_A_LINE));
	BIO_free(line);
	return text;
}

static struct str read_name(struct arena *a, const X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (at < 0)
		return whole_name(a, name);
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0)
		return whole_name(a, name);
	struct str text = shown(a, str_n(utf8, (size_t)n));
	OPENSSL_free(utf8);
	return text;
}

/* The content of the INTEGER, leading zero and sign as they stand in the DER: appends bytes. */
static bool serial_bytes(const X509 *x, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &der);
	/* X.690 8.1.3.4: below 128 bytes the length is one byte; OpenSSL's own is never longer
	 * here. */
	if (n > 2 && der[1] < 0x80)
		buf_add(out, str_n(der + 2, (size_t)n - 2));
	OPENSSL_free(der);
	return n > 2 && buf_ok(out);
}

static bool read_serial(struct arena *a, X509 *x, struct cert *c, struct err *err)
{
	BUF_AUTO bytes = BUF_INIT(128), text = BUF_INIT(ARI_ID_MOST);
	if (!serial_bytes(x, &bytes))
		return err_set(err, ERR_INPUT, "The certificate's serial number is too long.");
	buf_add_hex(&text, buf_str(&bytes));
	c->serial = arena_str(a, buf_str(&text));
	const ASN1_OCTET_STRING *authority = X509_get0_authority_key_id(x);
	if (!authority)
		return true;
	/* RFC 9773 4.1: keyIdentifier and serial number, base64url each, joined by a period. */
	buf_clear(&text);
	buf_add_base64url(&text, asn1_bytes(authority));
	buf_add_char(&text, '.');
	buf_add_base64url(&text, buf_str(&bytes));
	if (buf_ok(&text))
		c->ari_id = arena_str(a, buf_str(&text));
	return true;
}

/* Where to ask (RFC 5280 4.2.1.13, 4.2.2.1) */

static bool is_url(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n <= URL_MOST && (str_starts(s, STR("http://")) || str_starts(s, STR("https://")));
}

static void take_url(struct arena *a, const GENERAL_NAME *name, struct str *to)
{
	int type = 0;
	const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
	if (!to->n && type == GEN_URI && is_url(asn1_bytes(value)))
		*to = arena_str(a, asn1_bytes(value));
}

/* Lists that are about some reasons only, or from somebody else, are left out. */
static void take_point(struct arena *a, const DIST_POINT *point, struct str *to)
{
	const DIST_POINT_NAME *at = point->distpoint;
	if (!at || at->type != 0 || point->reasons || point->CRLissuer)
		return;
	for (int i = 0; i < sk_GENERAL_NAME_num(at->name.fullname); i++)
		take_url(a, sk_GENERAL_NAME_value(at->name.fullname, i), to);
}

static void read_points(struct arena *a, const X509 *x, struct cert *c)
{
	CRL_DIST_POINTS *lists = X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL);
	for (int i = 0; i < sk_DIST_POINT_num(lists); i++)
		take_point(a, sk_DIST_POINT_value(lists, i), &c->crl_url);
	CRL_DIST_POINTS_free(lists);
	AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(info); i++) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(info, i);
		if (OBJ_obj2nid(d->method) == NID_ad_OCSP)
			take_url(a, d->location, &c->ocsp_url);
	}
	AUTHORITY_INFO_ACCESS_free(info);
}

static bool must_staple(const X509 *x)
{
	enum { STATUS_REQUEST = 5 };
	TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
	bool must = false;
	for (int i = 0; i < sk_ASN1_INTEGER_num(features); i++)
		must |= ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST;
	TLS_FEATURE_free(features);
	return must;
}

static const char *curve_name(int nid)
{
	switch (nid) {
	case NID_X9_62_prime256v1:
		return "P-256";
	case NID_secp384r1:
		return "P-384";
	case NID_secp521r1:
		return "P-521";
	default:
		return OBJ_nid2sn(nid);
	}
}

/* RFC 8017 A.1.1: SEQUENCE { modulus, publicExponent }. 0 if it is something else. */
static int rsa_bits(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	ASN1_SEQUENCE_ANY *parts = d2i_ASN1_SEQUENCE_ANY(NULL, &p, (long)der.n);
	const ASN1_TYPE *modulus =
	        sk_ASN1_TYPE_num(parts) == 2 ? sk_ASN1_TYPE_value(parts, 0) : NULL;
	BIGNUM *n = modulus && modulus->type == V_ASN1_INTEGER
	                    ? ASN1_INTEGER_to_BN(modulus->value.integer, NULL)
	                    : NULL;
	int bits = n ? BN_num_bits(n) : 0;
	BN_free(n);
	sk_ASN1_TYPE_pop_free(parts, ASN1_TYPE_free);
	return bits;
}

static struct str read_key_type(struct arena *a, const X509 *x)
{
	ASN1_OBJECT *algorithm = NULL;
	const unsigned char *key = NULL;
	int key_bytes = 0, params_type = 0;
	X509_ALGOR *id = NULL;
	const void *params = NULL;
	if (X509_PUBKEY_get0_param(&algorithm, &key, &key_bytes, &id, X509_get_X509_PUBKEY(x)) != 1)
		return arena_str(a, STR("unknown"));
	X509_ALGOR_get0(NULL, &params_type, &params, id);
	int nid = OBJ_obj2nid(algorithm);
	if (nid == NID_X9_62_id_ecPublicKey && params_type == V_ASN1_OBJECT)
		return arena_str(a, str_c(curve_name(OBJ_obj2nid(params))));
	if (nid == NID_rsaEncryption)
		return arena_printf(a, "RSA %d", rsa_bits(str_n(key, (size_t)key_bytes)));
	return arena_str(a, str_c(nid == NID_undef ? "unknown" : OBJ_nid2ln(nid)));
}

static bool read_time(const ASN1_TIME *time, int64_t *ret_wall_ms)
{
	struct tm tm;
	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return false;
	*ret_wall_ms = (int64_t)timegm(&tm) * 1000;
	return true;
}

static void read_digest(struct str der, const EVP_MD *md, const char *digits, char *ret_hex)
{
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	CHECK(EVP_Digest(der.p, der.n, hash, &n, md, NULL) == 1);
	for (unsigned i = 0; i < n; i++) {
		ret_hex[2 * i] = digits[hash[i] >> 4];
		ret_hex[2 * i + 1] = digits[hash[i] & 15];
	}
	ret_hex[2 * n] = 0;
}

static bool read_all(struct arena *a, X509 *x, struct str der, struct cert *c, struct err *err)
{
	if (!read_time(X509_get0_notBefore(x), &c->not_before) ||
	        !read_time(X509_get0_notAfter(x), &c->not_after))
		return err_set(err, ERR_INPUT, "The certificate's dates cannot be read.");
	if (!read_names(a, x, c, err) || !read_serial(a, x, c, err))
		return false;
	c->subject = read_name(a, X509_get_subject_name(x));
	c->issuer = read_name(a, X509_get_issuer_name(x));
	c->key_type = read_key_type(a, x);
	read_points(a, x, c);
	c->must_staple = must_staple(x);
	read_digest(der, EVP_sha1(), "0123456789ABCDEF", c->sha1);
	read_digest(der, EVP_sha256(), "0123456789abcdef", c->sha256);
	c->is_ca = X509_check_ca(x) == 1;
	c->self_signed = X509_self_signed(x, /* verify_signature= */ 0) == 1;
	return true;
}

bool cert_read(struct arena *a, struct str der, struct cert *ret_cert, struct err *err)
{
	X509 *x = decode(der);
	if (!x)
		return err_set(err, ERR_INPUT, "This is not a certificate (X.509 in DER).");
	struct cert c = { 0 };
	bool ok = read_all(a, x, der, &c, err);
	if (ok)
		*ret_cert = c;
	X509_free(x);
	ERR_clear_error();
	return ok;
}

bool cert_covers(const struct cert *c, struct str name)
{
	for (size_t i = 0; i < c->name_count; i++)
		if (pattern_covers(c->names[i], name) || ip_same(c->names[i], name))
			return true;
	return false;
}
