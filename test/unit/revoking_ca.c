#include "revoking_ca.h"

#include "certs/cert.h"
#include <openssl/ocsp.h>
#include <openssl/pem.h>

struct list waiting;
struct buf questions;
static const struct fetch_ops *to_ca;

EVP_PKEY *own, *foreign;
X509 *issuer;
static struct buf issuer_der;
const char *list_url;
bool by_ocsp, alone, must_staple;
int64_t answers_until;
int answer_bytes;

/* The CA */

X509 *certified(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
	        (const unsigned char *)"Script CA", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20260101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), "20360101000000Z");
	X509_set_pubkey(x, key);
	X509_EXTENSION *e =
	        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
	CHECK(X509_sign(x, key, EVP_sha256()));
	return x;
}

void add_point(X509 *leaf, int nid, const char *text)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, text);
	CHECK(e && X509_add_ext(leaf, e, -1));
	X509_EXTENSION_free(e);
}

static void write_pem(X509 *x, struct buf *out)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	CHECK(n > 0);
	cert_to_pem(str_n(der, (size_t)n), out);
	OPENSSL_free(der);
}

struct ca_order *last_order(const struct scripted_ca *ca)
{
	return &ca->orders[ca->order_count - 1];
}

void sign_anew(struct ca_order *o, X509 *leaf)
{
	char text[160];
	if (list_url) {
		snprintf(text, sizeof text, "URI:%s", list_url);
		add_point(leaf, NID_crl_distribution_points, text);
	}
	if (by_ocsp) {
		snprintf(text, sizeof text, "OCSP;URI:http://%s.ocsp.ca.test", o->names[0]);
		add_point(leaf, NID_info_access, text);
	}
	if (must_staple)
		add_point(leaf, NID_tlsfeature, "status_request");
	CHECK(X509_sign(leaf, own, EVP_sha256()));
	buf_clear(&o->pem);
	write_pem(leaf, &o->pem);
	if (!alone)
		write_pem(issuer, &o->pem);
}

/* Those that were not yet are signed anew. */
static void certify(struct scripted_ca *ca)
{
	world.chain = alone ? 0 : 1;
	for (unsigned i = 0; i < ca->order_count; i++) {
		struct ca_order *o = &ca->orders[i];
		BIO *bio = BIO_new_mem_buf(o->pem.p, (int)o->pem.n);
		X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		if (leaf && X509_verify(leaf, own) != 1)
			sign_anew(o, leaf);
		X509_free(leaf);
		BIO_free(bio);
	}
}

/* Of the serial numbers from..to; signed by whom. */
void add_list(unsigned from, unsigned to, EVP_PKEY *by, struct buf *out)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_new();
	unsigned char *der = NULL;
	ASN1_TIME_set_string(at, "20270101120000Z");
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, at);
	for (unsigned i = from; i <= to; i++) {
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();
		ASN1_INTEGER_set(serial, i);
		X509_REVOKED_set_serialNumber(entry, serial);
		X509_REVOKED_set_revocationDate(entry, at);
		X509_CRL_add0_revoked(crl, entry);
		ASN1_INTEGER_free(serial);
	}
	X509_CRL_sort(crl);
	CHECK(X509_CRL_sign(crl, by, EVP_sha256()));
	int n = i2d_X509_CRL(crl, &der);
	CHECK(n > 0);
	buf_add(out, str_n(der, (size_t)n));
	OPENSSL_free(der);
	ASN1_TIME_free(at);
	X509_CRL_free(crl);
}

/* The answer to that question. */
static void add_answer(const struct buf *question, bool revoked, EVP_PKEY *by, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)question->p;
	OCSP_REQUEST *request = d2i_OCSP_REQUEST(NULL, &p, (long)question->n);
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	ASN1_TIME *at = ASN1_TIME_new(), *from = NULL, *until = NULL;
	unsigned char *der = NULL;
	CHECK(request && OCSP_request_onereq_count(request) == 1);
	ASN1_TIME_set_string(at, "20270101120000Z");
	if (answers_until) {
		from = ASN1_TIME_set(NULL, loop_wall(place->loop) / 1000);
		until = ASN1_TIME_set(NULL, answers_until / 1000);
	}
	OCSP_basic_add1_status(basic, OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0)),
	        revoked ? V_OCSP_CERTSTATUS_REVOKED : V_OCSP_CERTSTATUS_GOOD,
	        OCSP_REVOKED_STATUS_NOSTATUS, at, from ? from : at, until);
	if (answer_bytes)
		CHECK(OCSP_basic_add1_nonce(basic, NULL, answer_bytes));
	CHECK(OCSP_basic_sign(basic, issuer, by, EVP_sha256(), NULL, 0) || by != own);
	if (by != own) {
		X509 *liar = certified(by);
		CHECK(OCSP_basic_sign(basic, liar, by, EVP_sha256(), NULL, 0));
		X509_free(liar);
	}
	OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	int n = i2d_OCSP_RESPONSE(response, &der);
	CHECK(n > 0);
	buf_add(out, str_n(der, (size_t)n));
	OPENSSL_free(der);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_REQUEST_free(request);
	ASN1_TIME_free(at);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
}

/* What is asked */

static void asked_free(struct asked *a)
{
	list_remove(&a->node);
	buf_done(&a->body);
	free(a);
}

static void start(struct fetch *f, struct fetch_call *call)
{
	if (strcmp(call->purpose, "revocation") != 0) {
		to_ca->start(f, call);
		return;
	}
	const bool post = !strcmp(call->method, "POST");
	struct asked *a = mem_new(struct asked);
	a->call = call;
	a->body = BUF(4096);
	buf_add(&a->body, call->body);
	snprintf(a->url, sizeof a->url, "%.*s", STR_ARG(call->url));
	buf_printf(&questions, "%s %s\n", call->method, a->url);
	list_add_last(&waiting, &a->node);
	assert_true(
	        str_eq_c(call->headers, post ? "Content-Type: application/ocsp-request\n" : ""));
	assert_int_equal(call->body.n > 0, post);
	assert_int_equal(call->most, 1 << 20);
	call->fetch = f;
}

static void abort_call(struct fetch *f, struct fetch_call *call)
{
	if (strcmp(call->purpose, "revocation") != 0) {
		to_ca->abort(f, call);
		return;
	}
	call->fetch = NULL;
	LIST_EACH (n, &waiting)
		if (OWNER(n, struct asked, node)->call == call)
			asked_free(OWNER(n, struct asked, node));
}

void asked_are(const char *all)
{
	assert_string_equal(buf_c(&questions), all);
	buf_clear(&questions);
}

struct asked *asked_at(const char *url)
{
	LIST_EACH (n, &waiting)
		if (!strcmp(OWNER(n, struct asked, node)->url, url))
			return OWNER(n, struct asked, node);
	fail_msg("%s is not asked", url);
	return NULL;
}

void answer_with(const char *url, unsigned status, struct str body)
{
	struct asked *a = asked_at(url);
	struct fetch_call *call = a->call;
	struct err err = ERR_INIT;
	const struct fetch_reply reply = { .status = status, .body = body };
	asked_free(a);
	call->fetch = NULL;
	if (!status)
		err_set(&err, ERR_UNREACHABLE, "Nobody is there.");
	call->done(call, status ? &reply : NULL, status ? NULL : &err);
}

void answer_list(const char *url, unsigned from, unsigned to)
{
	BUF_AUTO der = BUF(64 << 10);
	add_list(from, to, own, &der);
	answer_with(url, 200, buf_str(&der));
}

void answer_by(const char *url, bool revoked, EVP_PKEY *by)
{
	BUF_AUTO der = BUF(64 << 10);
	add_answer(&asked_at(url)->body, revoked, by, &der);
	answer_with(url, 200, buf_str(&der));
}

/* The world */

int revoking_setup(void **state)
{
	static struct fetch_ops ops;
	world_setup(state);
	list_init(&waiting);
	questions = issuer_der = BUF(64 << 10);
	list_url = LIST;
	by_ocsp = alone = must_staple = false;
	answers_until = answer_bytes = 0;
	own = EVP_EC_gen("P-256");
	foreign = EVP_EC_gen("P-256");
	issuer = certified(own);
	unsigned char *der = NULL;
	int n = i2d_X509(issuer, &der);
	CHECK(n > 0);
	buf_add(&issuer_der, str_n(der, (size_t)n));
	OPENSSL_free(der);
	world.issuer = buf_str(&issuer_der);
	to_ca = place->ca.fetch.ops;
	ops = *to_ca;
	ops.start = start;
	ops.abort = abort_call;
	place->ca.fetch.ops = &ops;
	place->ca.on_download = certify;
	world_start(BASE);
	return 0;
}

int revoking_teardown(void **state)
{
	int result = world_teardown(state);
	assert_true(list_empty(&waiting));
	EVP_PKEY_free(own);
	EVP_PKEY_free(foreign);
	X509_free(issuer);
	buf_done(&questions);
	buf_done(&issuer_der);
	return result;
}

/* The first gets serial number 1001, and so on. */
void registered(const char *name)
{
	struct wish w;
	wish_name(&w, name);
	wish_wait(&w);
	run_until_idle();
	status_is(name, "ok");
}

void disabled(const char *name)
{
	struct wish w;
	wish_disable(&w, name, /* despite= */ true);
	wish_wait(&w);
}

void next_day(void)
{
	run_for(place, DAY);
}

void is_not_revoked(const char *name)
{
	assert_string_equal(said(name, "revoked"), "null");
	assert_int_equal(logged_count("The CA has revoked"), 0);
}

/* So many, since it was asked last. */
void asked_count_is(unsigned expected)
{
	unsigned count = 0;
	for (size_t i = 0; i < questions.n; i++)
		count += questions.p[i] == '\n';
	assert_int_equal(count, expected);
	buf_clear(&questions);
}

const char *first_waiting(void)
{
	assert_false(list_empty(&waiting));
	return OWNER(list_first(&waiting), struct asked, node)->url;
}

int64_t shown_until(const char *name)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (!strcmp(world.shown[i].name, name))
			return world.shown[i].staple ? world.shown[i].staple_until : 0;
	return -1;
}

void good_for(int64_t life)
{
	answers_until = (loop_wall(place->loop) + life) / 1000 * 1000;
	answer_by(RESPONDER, /* revoked= */ false, own);
}
