/* A CA that says what it has revoked: each leaf says where to ask, and comes with the certificate
 * of who signed it. */
#ifndef TEST_REVOKING_CA_H
#define TEST_REVOKING_CA_H

#include "renew_world.h"

#include <openssl/x509v3.h>

#define LIST      "http://crl.ca.test/1.crl"
#define NAME      "shop.example.com"
#define RESPONDER "http://" NAME ".ocsp.ca.test"

/* A question that is not answered yet. */
struct asked {
	struct list node;
	struct fetch_call *call;
	struct buf body;
	char url[128];
};
extern struct list waiting;
extern struct buf questions; /* "METHOD URL", one a line */

extern EVP_PKEY *own, *foreign;
extern X509 *issuer;
/* What the next leaf says. */
extern const char *list_url;
extern bool by_ocsp; /* http://NAME.ocsp.ca.test */
extern bool alone;   /* without its issuer */
extern bool must_staple;
/* Until when answers that it is good are valid, wall ms; 0: they do not say. */
extern int64_t answers_until;
extern int answer_bytes; /* that each has beside what it says */

X509 *certified(EVP_PKEY *key);
void add_point(X509 *leaf, int nid, const char *text);
struct ca_order *last_order(const struct scripted_ca *ca);
void sign_anew(struct ca_order *o, X509 *leaf);
/* Of the serial numbers from..to; signed by whom. */
void add_list(unsigned from, unsigned to, EVP_PKEY *by, struct buf *out);

/* All that were asked, since the last time. */
void asked_are(const char *all);
void asked_count_is(unsigned expected);
struct asked *asked_at(const char *url);
const char *first_waiting(void);
/* Status 0: nobody is there. */
void answer_with(const char *url, unsigned status, struct str body);
void answer_list(const char *url, unsigned from, unsigned to);
void answer_by(const char *url, bool revoked, EVP_PKEY *by);
/* The responder of NAME says so for that long. */
void good_for(int64_t life);
/* 0: without an answer; -1: not at all. */
int64_t shown_until(const char *name);

/* The first gets serial number 1001, and so on. */
void registered(const char *name);
void disabled(const char *name);
void next_day(void);
void is_not_revoked(const char *name);

int revoking_setup(void **state);
int revoking_teardown(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, revoking_setup, revoking_teardown)

#endif
