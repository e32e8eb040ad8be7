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
	bool bound;                   /* an account needs an external account binding */
	bool special;                 /* the names are ca_special_names */
	unsigned offers;              /* types of challenge, bit 1 << type; 0: http-01 */
	unsigned not_found;           /* types by which the last name's proof is not found */
	const char *profile;          /* an order must ask for it */
	unsigned chains, chain;       /* other chains offered; the number of the wanted one */
	bool replaced;                /* an order with `replaces` is refused */
	bool fails;                   /* the last name's proof is not found */
	unsigned nonces_refused;      /* in percent */
	unsigned luck;                /* which ones */
	int64_t retry_after;          /* with each order, ms; 0: none */
};

struct ca_authz {
	bool valid, answered, failed;
	enum challenge_type type; /* by which it was answered */
	unsigned published;       /* the driver has put the token in place; bit 1 << type */
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
	char nonce[32], location[64], links[512];
};

#define CA_CHAIN                                                                                   \
	"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"                           \
	"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
/* The default one, and one that ends in another root. */
#define CA_CHAIN_ONE                                                                               \
	"-----BEGIN CERTIFICATE-----\n"                                                            \
	"MIIBfDCCASOgAwIBAgIUJ/7cAWzxvRIeGDjJkpOUjIi47ZkwCgYIKoZIzj0EAwIw\n"                       \
	"EzERMA8GA1UEAwwIUm9vdCBPbmUwIBcNMjYxMTMwMDczMDU2WhgPMjEyNjExMDYw\n"                       \
	"NzMwNTZaMBMxETAPBgNVBAMMCFJvb3QgT25lMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"                       \
	"AQcDQgAEZvbRHDw5UZudSeGuE06jMYo65ESjVyYfNKJNdJA+I382v9cn2QX9cgP4\n"                       \
	"XKAk0+A1NnggP7jBUGBhpIb1wGrjb6NTMFEwHQYDVR0OBBYEFICi3icLsJPTKAJl\n"                       \
	"p6KXxvpSDvEaMB8GA1UdIwQYMBaAFICi3icLsJPTKAJlp6KXxvpSDvEaMA8GA1Ud\n"                       \
	"EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgfc0p1nqxPJIp1iB1rz4LZseK\n"                       \
	"xV8kbQ0jzMU7UXLf0rkCIG2rs8h8DvH6ncAxwlN/OsP9x/3uGsUGQAY5W5Ji0PUF\n"                       \
	"-----END CERTIFICATE-----\n"
#define CA_CHAIN_TWO                                                                               \
	"-----BEGIN CERTIFICATE-----\n"                                                            \
	"MIIBfTCCASOgAwIBAgIUP9DMycEJH0runzHXYQnju6NK2yswCgYIKoZIzj0EAwIw\n"                       \
	"EzERMA8GA1UEAwwIUm9vdCBUd28wIBcNMjYxMTMwMDczMDU2WhgPMjEyNjExMDYw\n"                       \
	"NzMwNTZaMBMxETAPBgNVBAMMCFJvb3QgVHdvMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"                       \
	"AQcDQgAEII7S0+HhKGdZPGtmZH3Ug7loocrXnjR5zL0/xmyKjfrgybWbYVXwEUFt\n"                       \
	"1gWoQtHsBEuf5LHzz/RjeO5MOOG2G6NTMFEwHQYDVR0OBBYEFBtVlLAPTb7jJ8XH\n"                       \
	"rvwnKHREjFHxMB8GA1UdIwQYMBaAFBtVlLAPTb7jJ8XHrvwnKHREjFHxMA8GA1Ud\n"                       \
	"EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgINQlfBQjGO2dp2wdFTJRUE50\n"                       \
	"jdK77VFJ7CPVB/Bm2cMCIQCh8sKhJU2Q2euYNyRRbmooqltSbJ9oIrpwUnrltcJo\n"                       \
	"7w==\n"                                                                                   \
	"-----END CERTIFICATE-----\n"
#define CA_BINDING   "{\"protected\":\"e30\",\"payload\":\"e30\",\"signature\":\"c2ln\"}"
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
void ca_publish(struct ca *ca, const struct flow_name *name);
void ca_withdraw_all(struct ca *ca);

/* The names that the script speaks of: a.test, b.test, … */
extern const struct str ca_names[CA_NAMES];
/* A wildcard beside its domain, and an address. */
extern const struct str ca_special_names[CA_NAMES];
const struct str *ca_names_of(const struct ca_script *script);

#endif
