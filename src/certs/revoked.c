#include "certs/revoked.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

struct crl {
	X509_CRL *x;
};

static X509 *certificate(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *x = der.n && der.n <= INT32_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
	ERR_clear_error();
	return x;
}

static bool ended(const unsigned char *p, struct str der)
{
	return p == (const unsigned char *)der.p + der.n;
}

/* 0: it cannot be read. */
static int64_t wall_of(const ASN1_TIME *time)
{
	struct tm tm;
	return time && ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 : 0;
}

/* Lists */

void crl_free(struct crl **crl)
{
	if (*crl)
		X509_CRL_free((*crl)->x);
	free(*crl);
	*crl = NULL;
}

struct crl *crl_read(struct str der, struct err *err)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509_CRL *x = der.n && der.n <= INT32_MAX ? d2i_X509_CRL(NULL, &p, (long)der.n) : NULL;
	struct crl *crl = mem_new(struct crl);
	crl->x = x;
	ERR_clear_error();
	if (x && ended(p, der))
		return crl;
	crl_free(&crl);
	err_set(err, ERR_PROTOCOL,
	        "What came is no list of revoked certificates (a CRL in DER)." ERR_REMEDY
	        "Nothing to do: it is asked for again. If that goes on, tell the CA.");
	return NULL;
}

bool crl_signed_by(const struct crl *crl, struct str issuer, struct err *err)
{
	X509 *by = certificate(issuer);
	bool ok = by && X509_CRL_verify(crl->x, X509_get0_pubkey(by)) == 1;
	X509_free(by);
	ERR_clear_error();
	return ok || err_set(err, ERR_PROTOCOL,
	                     "The list of revoked certificates is not signed by who issued the "
	                     "certificate." ERR_REMEDY
	                     "Nothing to do: it is not believed, and asked for again.");
}

bool crl_has_serial(const struct crl *crl, struct str serial)
{
	BUF_AUTO text = BUF(256);
	BIGNUM *number = NULL;
	X509_REVOKED *entry = NULL;
	buf_add(&text, serial);
	const bool read = BN_hex2bn(&number, buf_c(&text)) == (int)serial.n && serial.n > 0;
	ASN1_INTEGER *asked = read ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
	const bool has = asked && X509_CRL_get0_by_serial(crl->x, &entry, asked) != 0;
	ASN1_INTEGER_free(asked);
	BN_free(number);
	ERR_clear_error();
	return has;
}

bool crl_lists(const struct crl *crl, struct str leaf, int64_t *ret_at)
{
	X509 *x = certificate(leaf);
	X509_REVOKED *entry = NULL;
	/* 2: taken back from the list. */
	const bool is = x && X509_CRL_get0_by_cert(crl->x, &entry, x) == 1;
	if (is)
		*ret_at = wall_of(X509_REVOKED_get0_revocationDate(entry));
	X509_free(x);
	ERR_clear_error();
	return is;
}

/* Answers about one */

/* So far its clock may be ahead of ours. */
#define EARLY_MOST INT64_C(300000)

/* By SHA-1, as RFC 6960 4.3 wants every responder to know. */
static OCSP_CERTID *id_of(struct str leaf, struct str issuer)
{
	X509 *x = certificate(leaf), *by = certificate(issuer);
	OCSP_CERTID *id = x && by ? OCSP_cert_to_id(EVP_sha1(), x, by) : NULL;
	X509_free(x);
	X509_free(by);
	return id;
}

static bool unreadable(struct err *err)
{
	return err_set(err, ERR_INPUT, "The certificate or that of its issuer cannot be read.");
}

bool ocsp_request(struct str leaf, struct str issuer, struct buf *out, struct err *err)
{
	OCSP_CERTID *id = id_of(leaf, issuer);
	ERR_clear_error();
	if (!id)
		return unreadable(err);
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	unsigned char *der = NULL;
	CHECK(request && OCSP_request_add0_id(request, id));
	int n = i2d_OCSP_REQUEST(request, &der);
	CHECK(n > 0);
	buf_add(out, str_n(der, (size_t)n));
	OPENSSL_free(der);
	OCSP_REQUEST_free(request);
	return true;
}

static OCSP_RESPONSE *response_of(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	OCSP_RESPONSE *r =
	        der.n && der.n <= INT32_MAX ? d2i_OCSP_RESPONSE(NULL, &p, (long)der.n) : NULL;
	if (r && !ended(p, der)) {
		OCSP_RESPONSE_free(r);
		r = NULL;
	}
	return r;
}

/* RFC 6960 4.2.2.2: signed by the issuer, or by whom the issuer has let. */
static bool verified(OCSP_BASICRESP *basic, const struct ocsp_about *about)
{
	X509 *issuer = certificate(about->issuer);
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *with = sk_X509_new_null();
	CHECK(store && with);
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(store);
	X509_VERIFY_PARAM_set_time(param, (time_t)(about->now / 1000));
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	const bool ok = issuer && X509_STORE_add_cert(store, issuer) == 1 &&
	                sk_X509_push(with, issuer) > 0 &&
	                OCSP_basic_verify(basic, with, store, OCSP_NOEXPLICIT) == 1;
	sk_X509_free(with);
	X509_STORE_free(store);
	X509_free(issuer);
	return ok;
}

/* RFC 6960 4.2.2.1: who gives no next update may say otherwise at any time. */
static struct ocsp_said good(int64_t from, int64_t until, int64_t now)
{
	const bool valid = from && from <= now + EARLY_MOST && until > now;
	return valid ? (struct ocsp_said){ .from = from, .until = until } : (struct ocsp_said){ 0 };
}

static bool about_it(OCSP_BASICRESP *basic, const struct ocsp_about *about, struct ocsp_said *ret)
{
	OCSP_CERTID *id = id_of(about->leaf, about->issuer);
	ASN1_GENERALIZEDTIME *at = NULL, *from = NULL, *until = NULL;
	int state = -1;
	const bool found = id && OCSP_resp_find_status(basic, id, &state, NULL, &at, &from, &until);
	OCSP_CERTID_free(id);
	*ret = (struct ocsp_said){ 0 };
	if (state == V_OCSP_CERTSTATUS_REVOKED)
		ret->revoked = wall_of(at);
	else if (state == V_OCSP_CERTSTATUS_GOOD)
		*ret = good(wall_of(from), wall_of(until), about->now);
	return found;
}

static bool read_response(OCSP_RESPONSE *response, const struct ocsp_about *about,
        struct ocsp_said *ret, struct err *err)
{
	static const char remedy[] = ERR_REMEDY "Nothing to do: it is asked again.";
	if (!response)
		return err_set(err, ERR_PROTOCOL,
		        "What came is no answer whether a certificate is revoked (OCSP).%s",
		        remedy);
	const int status = OCSP_response_status(response);
	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return err_set(err, ERR_REFUSED,
		        "The CA's OCSP responder does not answer whether the certificate is "
		        "revoked: %s.%s",
		        OCSP_response_status_str(status), remedy);
	OCSP_BASICRESP *basic = OCSP_response_get1_basic(response);
	bool ok = basic && verified(basic, about);
	if (!ok)
		err_set(err, ERR_PROTOCOL,
		        "The answer whether the certificate is revoked is not signed by who issued "
		        "it." ERR_REMEDY "Nothing to do: it is not believed, and asked for again.");
	else if (!about_it(basic, about, ret))
		ok = err_set(err, ERR_PROTOCOL,
		        "The CA's OCSP responder answers about another certificate.%s", remedy);
	OCSP_BASICRESP_free(basic);
	return ok;
}

bool ocsp_read(
        struct str der, const struct ocsp_about *about, struct ocsp_said *ret, struct err *err)
{
	OCSP_RESPONSE *response = response_of(der);
	const bool ok = read_response(response, about, ret, err);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return ok;
}
