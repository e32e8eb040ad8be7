/* Whether CAs have revoked what is held: who is asked when, and whose answer counts. Each leaf says
 * here where to ask, and comes with the certificate of who signed it. */
#include "renew_world.h"

#include "certs/cert.h"
#include "renew/import.h"
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define LIST "http://crl.ca.test/1.crl"
#define NAME "shop.example.com"

/* A question that is not answered yet. */
struct asked {
	struct list node;
	struct fetch_call *call;
	struct buf body;
	char url[128];
};
static struct list waiting;
static struct buf questions; /* "METHOD URL", one a line */
static const struct fetch_ops *to_ca;

static EVP_PKEY *own, *foreign;
static X509 *issuer;
static struct buf issuer_der;
/* What the next leaf says. */
static const char *list_url;
static bool by_ocsp; /* http://NAME.ocsp.ca.test */
static bool alone;   /* without its issuer */
static bool must_staple;
/* Until when answers that it is good are valid, wall ms; 0: they do not say. */
static int64_t answers_until;

/* The CA */

static X509 *certified(EVP_PKEY *key)
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

static void add_point(X509 *leaf, int nid, const char *text)
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

static struct ca_order *last_order(const struct scripted_ca *ca)
{
	return &ca->orders[ca->order_count - 1];
}

static void sign_anew(struct ca_order *o, X509 *leaf)
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
static void add_list(unsigned from, unsigned to, EVP_PKEY *by, struct buf *out)
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

static void asked_are(const char *all)
{
	assert_string_equal(buf_c(&questions), all);
	buf_clear(&questions);
}

static struct asked *asked_at(const char *url)
{
	LIST_EACH (n, &waiting)
		if (!strcmp(OWNER(n, struct asked, node)->url, url))
			return OWNER(n, struct asked, node);
	fail_msg("%s is not asked", url);
	return NULL;
}

static void answer_with(const char *url, unsigned status, struct str body)
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

static void answer_list(const char *url, unsigned from, unsigned to)
{
	BUF_AUTO der = BUF(64 << 10);
	add_list(from, to, own, &der);
	answer_with(url, 200, buf_str(&der));
}

static void answer_by(const char *url, bool revoked, EVP_PKEY *by)
{
	BUF_AUTO der = BUF(64 << 10);
	add_answer(&asked_at(url)->body, revoked, by, &der);
	answer_with(url, 200, buf_str(&der));
}

/* The world */

static int setup(void **state)
{
	static struct fetch_ops ops;
	world_setup(state);
	list_init(&waiting);
	questions = issuer_der = BUF(64 << 10);
	list_url = LIST;
	by_ocsp = alone = must_staple = false;
	answers_until = 0;
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

static int teardown(void **state)
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* The first gets serial number 1001, and so on. */
static void registered(const char *name)
{
	struct wish w;
	wish_name(&w, name);
	wish_wait(&w);
	run_until_idle();
	status_is(name, "ok");
}

static void disabled(const char *name)
{
	struct wish w;
	wish_disable(&w, name, /* despite= */ true);
	wish_wait(&w);
}

static void next_day(void)
{
	run_for(place, DAY);
}

static void is_not_revoked(const char *name)
{
	assert_string_equal(said(name, "revoked"), "null");
	assert_int_equal(logged_count("The CA has revoked"), 0);
}

static void a_list_is_asked_for_once_for_all_that_name_it(void **state)
{
	(void)state;
	registered("a.example.com");
	registered("b.example.com");
	registered("c.example.com");
	asked_are("");
	next_day();
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1002, 1002);
	logged_has("The CA has revoked the certificate for b.example.com on "
	           "2027-01-01T12:00:00Z, says " LIST ". A new one is ordered.");
	run_until_idle();
	assert_int_equal(place->ca.order_count, 4);
	assert_int_equal(last_order(&place->ca)->serial, 1004);
	assert_string_equal(last_order(&place->ca)->names[0], "b.example.com");
	status_is("b.example.com", "ok");
	assert_string_equal(said("b.example.com", "revoked"), "null");
	next_day(); /* again, and the list is still the same */
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1002, 1002);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 4);
	assert_int_equal(logged_count("The CA has revoked"), 1);
	assert_int_equal(logged_count("does not say whether"), 0);
}

static void each_of_a_list_that_is_revoked_is_renewed(void **state)
{
	(void)state;
	registered("a.example.com");
	registered("b.example.com");
	next_day();
	answer_list(LIST, 1000, 1009);
	run_until_idle();
	assert_int_equal(logged_count("The CA has revoked"), 2);
	assert_int_equal(place->ca.order_count, 4);
}

static void a_list_says_nothing_of_those_that_name_another(void **state)
{
	(void)state;
	registered("a.example.com");
	list_url = "http://crl.ca.test/2.crl";
	registered("b.example.com");
	next_day();
	asked_at("http://crl.ca.test/2.crl");
	answer_list(LIST, 1002, 1002);
	is_not_revoked("b.example.com");
	answer_list("http://crl.ca.test/2.crl", 1001, 1001);
	is_not_revoked("a.example.com");
	assert_int_equal(logged_count("does not say whether"), 0);
}

#define RESPONDER "http://" NAME ".ocsp.ca.test"

static void a_responder_is_asked_about_each(void **state)
{
	(void)state;
	by_ocsp = true;
	registered(NAME);
	asked_are("POST " RESPONDER "\n"); /* what it says is shown */
	answers_until = loop_wall(place->loop) + 100 * DAY;
	answer_by(RESPONDER, /* revoked= */ false, own);
	next_day();
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	answer_list(LIST, 1, 1);
	answer_by(RESPONDER, /* revoked= */ false, own);
	is_not_revoked(NAME);
	next_day();
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	answer_by(RESPONDER, /* revoked= */ true, own);
	logged_has("The CA has revoked the certificate for " NAME " on 2027-01-01T12:00:00Z, "
	           "says " RESPONDER ". A new one is ordered.");
	answer_list(LIST, 1001, 1001); /* it is known already */
	run_until_idle();
	assert_int_equal(logged_count("The CA has revoked"), 1);
	assert_int_equal(logged_count("does not say whether"), 0);
	assert_int_equal(place->ca.order_count, 2);
	status_is(NAME, "ok");
}

static void what_has_changed_meanwhile_is_not_meant(void **state)
{
	(void)state;
	struct wish w;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	next_day();
	wish_renew(&w, NAME);
	wish_wait(&w);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 2);
	answer_by(RESPONDER, /* revoked= */ true, own);
	is_not_revoked(NAME);
	assert_int_equal(logged_count("does not say whether"), 0);
	status_is(NAME, "ok");
	next_day(); /* about the new one */
	answer_by(RESPONDER, /* revoked= */ true, own);
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

static void what_is_known_and_stored_is_not_told_again(void **state)
{
	(void)state;
	by_ocsp = true;
	registered(NAME);
	disabled(NAME);
	next_day();
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	answer_by(RESPONDER, /* revoked= */ true, own);
	run_for(place, SECOND);
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

static void who_cannot_be_believed_stops_nothing(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *body, *why;
	} rows[] = {
		{ 200, "<html>", "What came is no list of revoked certificates" },
		{ 404, "", "It answers with status 404. Nothing to do." },
		{ 0, "", "Nobody is there." },
	};
	BUF_AUTO der = BUF(64 << 10);
	registered(NAME);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		next_day();
		answer_with(LIST, rows[i].status, str_c(rows[i].body));
		BUF_AUTO line = BUF(512);
		buf_printf(&line,
		        LIST " does not say whether certificates are revoked, it is asked again "
		             "within a day: %s",
		        rows[i].why);
		logged_has(buf_c(&line));
	}
	add_list(1001, 1001, foreign, &der);
	next_day();
	answer_with(LIST, 200, buf_str(&der));
	logged_has("within a day: The list of revoked certificates is not signed by who issued");
	assert_int_equal(logged_count("does not say whether"), 4);
	is_not_revoked(NAME);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 1);
}

static void nor_does_a_responder(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	next_day();
	answer_by(RESPONDER, /* revoked= */ true, foreign);
	logged_has(RESPONDER
	        " does not say whether certificates are revoked, it is asked again "
	        "within a day: The answer whether the certificate is revoked is not signed "
	        "by who issued it.");
	is_not_revoked(NAME);
}

/* Without its issuer nothing could be verified; what says nowhere where to ask, is not asked. */
static void some_are_not_asked_about(void **state)
{
	(void)state;
	alone = true;
	registered("a.example.com");
	alone = false;
	list_url = NULL;
	registered("b.example.com");
	next_day();
	asked_are("");
}

static void nor_is_what_has_ended(void **state)
{
	(void)state;
	registered(NAME);
	disabled(NAME);
	for (int day = 1; day < 90; day++) {
		next_day();
		asked_are("GET " LIST "\n");
		answer_list(LIST, 1, 1);
	}
	next_day();
	next_day();
	status_is(NAME, "expired");
	buf_clear(&questions); /* of the last day */
	next_day();
	asked_are("");
}

static void what_is_not_renewed_stays_revoked(void **state)
{
	(void)state;
	registered(NAME);
	disabled(NAME);
	next_day();
	answer_list(LIST, 1001, 1001);
	logged_has("The CA has revoked the certificate for " NAME " on 2027-01-01T12:00:00Z, "
	           "says " LIST ". No new one is ordered: renewal is disabled");
	run_until_idle();
	status_is(NAME, "revoked");
	assert_string_equal(said(NAME, "revoked"), "\"2027-01-01T12:00:00Z\"");
	buf_clear(&questions);
	next_day();
	asked_are(""); /* it is known */
	world_kill();
	world_start(NULL);
	status_is(NAME, "revoked");
	assert_string_equal(said(NAME, "revoked"), "\"2027-01-01T12:00:00Z\"");
	run_for(place, MINUTE);
	asked_are("");
	assert_int_equal(place->ca.order_count, 1);
}

/* A revocation that people have wished for is under way. */
static void nor_is_what_is_being_revoked(void **state)
{
	(void)state;
	struct wish w = { 0 };
	registered(NAME);
	disabled(NAME);
	place->ca.down = true;
	renew_revoke(
	        world.renewals, &w.q, &(struct renew_revoke_want){ .name = STR(NAME) }, wish_done);
	wish_wait(&w);
	next_day();
	asked_are("");
}

static void nor_is_what_another_has_taken_the_place_of(void **state)
{
	(void)state;
	struct wish w = { 0 };
	const struct str both[] = { STR("a.example.com"), STR("b.example.com") };
	by_ocsp = true;
	list_url = NULL;
	wish_register(&w, &(struct register_want){ .names = both,
	                          .name_count = 2,
	                          .email = STR("ops@example.com"),
	                          .agree_tos = true });
	wish_wait(&w);
	run_until_idle();
	run_for(place, MINUTE);
	asked_are("POST http://a.example.com.ocsp.ca.test\n");
	by_ocsp = false;
	list_url = LIST;
	registered("a.example.com");
	assert_int_equal(place->ca.order_count, 2);
	next_day();
	asked_are("GET " LIST "\n");
}

/* So many, since it was asked last. */
static void asked_count_is(unsigned expected)
{
	unsigned count = 0;
	for (size_t i = 0; i < questions.n; i++)
		count += questions.p[i] == '\n';
	assert_int_equal(count, expected);
	buf_clear(&questions);
}

static const char *first_waiting(void)
{
	assert_false(list_empty(&waiting));
	return OWNER(list_first(&waiting), struct asked, node)->url;
}

static void at_most_four_are_asked_at_once(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	const char *const names[] = { "a.example.com", "b.example.com", "c.example.com",
		"d.example.com", "e.example.com", "f.example.com" };
	for (size_t i = 0; i < 6; i++)
		registered(names[i]);
	for (int day = 1; day <= 2; day++) {
		next_day();
		asked_count_is(4);
		answer_by(first_waiting(), /* revoked= */ false, own);
		asked_count_is(1);
		answer_with(first_waiting(), 0, STR_NONE);
		asked_count_is(1);
		for (int i = 0; i < 4; i++)
			answer_by(first_waiting(), /* revoked= */ false, own);
		asked_count_is(0);
		assert_true(list_empty(&waiting));
	}
	next_day();
	next_day(); /* those that are still under way are not asked again */
	asked_count_is(4);
	world_kill(); /* some are asked, some are not yet */
	assert_true(list_empty(&waiting));
	world_start(NULL);
	run_for(place, SECOND);
	asked_count_is(4);
}

static void what_the_list_says_is_not_asked_the_responder(void **state)
{
	(void)state;
	by_ocsp = true;
	registered("a.example.com");
	registered("b.example.com");
	registered("c.example.com");
	registered("d.example.com");
	answers_until = loop_wall(place->loop) + 100 * DAY;
	for (int i = 0; i < 4; i++)
		answer_by(first_waiting(), /* revoked= */ false, own);
	asked_count_is(4);
	next_day();
	asked_count_is(4); /* the list, and about three of them */
	answer_list(LIST, 1001, 1004);
	asked_count_is(0);
	for (int i = 0; i < 3; i++)
		answer_by(first_waiting(), /* revoked= */ true, own);
	assert_int_equal(logged_count("The CA has revoked"), 4);
	assert_int_equal(logged_count("does not say whether"), 0);
	run_until_idle();
	assert_int_equal(place->ca.order_count, 8);
}

static void what_could_not_be_stored_is_asked_again_after_a_restart(void **state)
{
	(void)state;
	char id[300];
	registered(NAME);
	disabled(NAME);
	snprintf(id, sizeof id, "%s", registration_find(world.renewals, STR(NAME))->id);
	next_day();
	store_full(place, true);
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	logged_has("That the certificate for " NAME " is revoked could not be stored, the next "
	           "start asks again: ");
	status_is(NAME, "revoked");
	store_full(place, false);
	assert_int_equal(record_version(place, "revoked", id), 0);
	world_kill();
	buf_clear(&questions);
	world_start(NULL);
	run_for(place, SECOND);
	asked_are("GET " LIST "\n");
	answer_list(LIST, 1001, 1001);
	run_for(place, SECOND);
	assert_int_equal(record_version(place, "revoked", id), 1);
	assert_int_equal(logged_count("could not be stored"), 1);
}

/* The second of them, too, replaces what was stored of the first. */
static void it_may_happen_again(void **state)
{
	(void)state;
	registered(NAME);
	const char *id = registration_find(world.renewals, STR(NAME))->id;
	for (unsigned round = 0; round < 2; round++) {
		next_day();
		answer_list(LIST, 1001, 1001 + round);
		run_until_idle();
		assert_int_equal(record_version(place, "revoked", id), 1 + round);
		assert_int_equal(place->ca.order_count, 2 + round);
	}
	assert_int_equal(logged_count("could not be stored"), 0);
}

/* Answers that handshakes show */

static int64_t shown_until(const char *name)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (!strcmp(world.shown[i].name, name))
			return world.shown[i].staple ? world.shown[i].staple_until : 0;
	return -1;
}

static void good_for(int64_t life)
{
	answers_until = (loop_wall(place->loop) + life) / 1000 * 1000;
	answer_by(RESPONDER, /* revoked= */ false, own);
}

static void an_answer_is_shown_until_it_is_old(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	assert_true(shown_until(NAME) == 0);
	good_for(10 * DAY);
	const int64_t first = answers_until;
	assert_true(shown_until(NAME) == first);
	run_for(place, SECOND);
	world_kill();
	world_start(NULL); /* it was kept */
	assert_true(shown_until(NAME) == first);
	/* The one of the daily question is as good. */
	run_for(place, DAY);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == first);
	run_for(place, 5 * DAY);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until && answers_until > first);
	/* Nothing that is over is given to serve again. */
	run_for(place, 11 * DAY);
	held_install(registration_find(world.renewals, STR(NAME)));
	assert_true(shown_until(NAME) == 0);
	is_not_revoked(NAME);
}

static void what_is_no_newer_is_not_installed_again(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(10 * DAY);
	const int64_t first = answers_until;
	const unsigned installs = world.installs;
	run_for(place, DAY);
	good_for(20 * DAY); /* too early */
	assert_int_equal(world.installs, installs);
	run_for(place, 5 * DAY);
	answers_until = first; /* the same once more */
	answer_by(RESPONDER, /* revoked= */ false, own);
	assert_int_equal(world.installs, installs);
	assert_true(shown_until(NAME) == first);
	run_for(place, DAY);
	good_for(10 * DAY);
	assert_int_equal(world.installs, installs + 1);
}

/* Half of six hours is three, whatever is looked at daily. */
static void a_short_one_is_asked_for_in_time(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(6 * HOUR);
	asked_are("POST " RESPONDER "\n");
	run_for(place, HOUR);
	world_kill();
	world_start(NULL);
	run_for(place, MINUTE);
	asked_are("POST " RESPONDER "\n"); /* as is everybody after a start */
	answer_by(RESPONDER, /* revoked= */ false, own);
	run_for(place, HOUR + 50 * MINUTE);
	asked_are("");
	run_for(place, 20 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	/* Where nothing comes that lasts longer, it is not asked for without end. */
	good_for(10 * SECOND);
	run_for(place, 50 * MINUTE);
	asked_are("");
	run_for(place, 20 * MINUTE);
	asked_are("POST " RESPONDER "\n");
}

static void what_is_revoked_is_shown_as_good_no_more(void **state)
{
	(void)state;
	by_ocsp = true;
	list_url = NULL;
	registered(NAME);
	good_for(10 * DAY);
	disabled(NAME);
	next_day();
	answer_by(RESPONDER, /* revoked= */ true, own);
	assert_true(shown_until(NAME) == 0);
	run_for(place, SECOND);
	world_kill();
	world_start(NULL);
	assert_true(shown_until(NAME) == 0);
}

static void a_responder_that_is_silent_is_asked_less_and_less(void **state)
{
	(void)state;
	by_ocsp = must_staple = true;
	list_url = NULL;
	registered(NAME);
	buf_clear(&questions);
	answer_with(RESPONDER, 0, STR_NONE);
	logged_has("The certificate for " NAME " may only be shown with an answer of its OCSP "
	           "responder (must-staple), and " RESPONDER " gives none: browsers refuse it.");
	assert_non_null(
	        strstr(registration_view(registration_find(world.renewals, STR(NAME))).why.p,
	                "(must-staple)"));
	run_for(place, 50 * MINUTE);
	asked_are("");
	run_for(place, 15 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	answer_with(RESPONDER, 0, STR_NONE);
	run_for(place, 110 * MINUTE);
	asked_are("");
	run_for(place, 15 * MINUTE);
	asked_are("POST " RESPONDER "\n");
	good_for(10 * DAY);
	assert_int_equal(registration_view(registration_find(world.renewals, STR(NAME))).why.n, 0);
	assert_true(shown_until(NAME) == answers_until);
}

/* Those that were imported */

#define BROUGHT NAME "-imported"

/* Serial number 7, for 90 days; for NAME, which its CA says. */
static X509 *leaf_with(EVP_PKEY *key)
{
	X509 *x = certified(key);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	ASN1_TIME_set(X509_getm_notBefore(x), loop_wall(place->loop) / 1000 - 60);
	ASN1_TIME_set(X509_getm_notAfter(x), (loop_wall(place->loop) + 90 * DAY) / 1000);
	X509_delete_ext(x, 0);
	add_point(x, NID_subject_alt_name, "DNS:" NAME);
	return x;
}

static void imported(struct import *i, const struct err *err)
{
	if (err)
		fail_msg("%s", err->text);
	i->done = NULL;
}

static void brought(EVP_PKEY *key)
{
	struct import i;
	struct ca_order o = { .names = { NAME }, .pem = BUF(16 << 10) };
	X509 *leaf = leaf_with(key);
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	sign_anew(&o, leaf);
	CHECK(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
	const long n = BIO_get_mem_data(bio, &pem);
	buf_add(&o.pem, str_n(pem, (size_t)n));
	world.chain = 1;
	import_start(world.renewals, &i, &(struct import_want){ STR(NAME), buf_str(&o.pem) }, 1,
	        imported);
	turn_until(place, !i.done);
	run_for(place, SECOND);
	buf_done(&o.pem);
	X509_free(leaf);
	BIO_free(bio);
}

static void restarted(void)
{
	run_for(place, SECOND);
	world_kill();
	world_start(NULL);
}

static void what_was_imported_is_shown_with_an_answer(void **state)
{
	(void)state;
	by_ocsp = true;
	brought(foreign);
	asked_are("POST " RESPONDER "\n");
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	restarted();
	assert_true(shown_until(NAME) == answers_until);
	run_for(place, MINUTE);
	asked_are("GET " LIST "\nPOST " RESPONDER "\n");
	good_for(20 * DAY);
	answer_list(LIST, 1, 6);
	run_for(place, 5 * DAY + HOUR);
	good_for(10 * DAY);
	assert_true(shown_until(NAME) == answers_until);
	answer_list(LIST, 7, 7);
	logged_has("The CA has revoked the imported certificate for " NAME " on "
	           "2027-01-01T12:00:00Z, says " LIST ". Everseal does not renew it: ");
	for (int again = 0; again < 2; again++) {
		status_is(BROUGHT, "revoked");
		assert_string_equal(said(BROUGHT, "revoked"), "\"2027-01-01T12:00:00Z\"");
		assert_true(shown_until(NAME) == 0);
		restarted();
		buf_clear(&questions);
		run_for(place, 2 * DAY);
		asked_are("");
	}
	assert_int_equal(logged_count("The CA has revoked"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_asked_for_once_for_all_that_name_it),
		TEST(each_of_a_list_that_is_revoked_is_renewed),
		TEST(a_list_says_nothing_of_those_that_name_another),
		TEST(a_responder_is_asked_about_each),
		TEST(what_has_changed_meanwhile_is_not_meant),
		TEST(what_is_known_and_stored_is_not_told_again),
		TEST(who_cannot_be_believed_stops_nothing),
		TEST(nor_does_a_responder),
		TEST(some_are_not_asked_about),
		TEST(nor_is_what_has_ended),
		TEST(what_is_not_renewed_stays_revoked),
		TEST(nor_is_what_is_being_revoked),
		TEST(nor_is_what_another_has_taken_the_place_of),
		TEST(at_most_four_are_asked_at_once),
		TEST(what_the_list_says_is_not_asked_the_responder),
		TEST(what_could_not_be_stored_is_asked_again_after_a_restart),
		TEST(it_may_happen_again),
		TEST(an_answer_is_shown_until_it_is_old),
		TEST(what_is_no_newer_is_not_installed_again),
		TEST(a_short_one_is_asked_for_in_time),
		TEST(what_is_revoked_is_shown_as_good_no_more),
		TEST(a_responder_that_is_silent_is_asked_less_and_less),
		TEST(what_was_imported_is_shown_with_an_answer),
	};
	return cmocka_run_group_tests_name("renew_revoked", tests, NULL, NULL);
}
