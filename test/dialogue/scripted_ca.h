/* An ACME CA in memory, for dialogues: it plays the script that it is given and counts what must
 * happen once. Strict where the RFC is: a nonce is good once, a challenge is answered once, an
 * order finalized once; whoever does otherwise finds it in `complaint`. */
#ifndef TEST_SCRIPTED_CA_H
#define TEST_SCRIPTED_CA_H

#include "acme/flow.h"

enum { CA_NAMES = 4, CA_ORDERS = 8, CA_NONCES = 1 << 14 };

struct ca_script {
	unsigned names;
	unsigned pending, processing; /* polls that the order stays so */
	unsigned reused;              /* bit i: name i needs no proof */
	bool reversed;                /* authorizations come in the other order */
	bool quiet;                   /* a challenge that is being checked still reads "pending" */
	bool has_account;             /* the key is known already */
	bool replaced;                /* an order with `replaces` is refused */
	bool fails;                   /* the last name's proof is not found */
	unsigned nonces_refused;      /* in percent */
	unsigned luck;                /* which ones */
	int64_t retry_after;          /* with each order, ms; 0: none */
};

struct ca_authz {
	bool valid, answered, failed;
	bool published; /* the driver has put the token in place */
	unsigned accepted;
};
struct ca_order {
	struct ca_authz authz[CA_NAMES];
	unsigned pending, processing;
	bool finalized, made;
};

struct ca {
	struct ca_script script;
	unsigned char nonces[CA_NONCES]; /* 0: never given; 1: good; 2: used */
	unsigned nonce_count;
	bool account;
	unsigned accounts_made, order_count, finalized, downloads;
	struct ca_order orders[CA_ORDERS];
	uint64_t noise;
	const char *complaint;
	/* The reply under way. */
	struct buf body;
	char nonce[32], location[64];
};

#define CA_CHAIN                                                                                   \
	"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"                           \
	"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
#define CA_DIRECTORY "https://ca.test/directory"
#define CA_ACCOUNT   "https://ca.test/account/1"

void ca_init(struct ca *ca, const struct ca_script *script);
void ca_done(struct ca *ca);
/* Hears a request and answers. Texts of the reply live until the next one. kid: the account that
 * the request is signed for. */
void ca_hear(
        struct ca *ca, const struct acme_ask *ask, struct str kid, struct acme_reply *ret_reply);
/* Refuses a request with badNonce, whatever its nonce was. */
void ca_refuse_nonce(struct ca *ca, const struct acme_ask *ask, struct acme_reply *ret_reply);

/* The driver's tokens: put in place, and gone with its process. */
void ca_publish(struct ca *ca, struct str token);
void ca_withdraw_all(struct ca *ca);

/* The names that the script speaks of: a.test, b.test, … */
extern const struct str ca_names[CA_NAMES];

#endif
