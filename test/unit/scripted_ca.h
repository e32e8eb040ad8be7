/* An ACME CA in memory behind `struct fetch`, for the suites of issue/ and renew/: it reads real
 * JWS and signs real certificates, strict where the RFC is: a nonce is good once, a challenge is
 * answered once and while its token is served, an order finalized once. Who does otherwise finds it
 * in `complaint`. What happens is written down, one line each, in `diary`. */
#ifndef TEST_SCRIPTED_CA_H
#define TEST_SCRIPTED_CA_H

#include "base/buf.h"
#include "fetch/fetch.h"
#include "loop/loop.h"

enum { CA_ORDERS = 512, CA_ORDER_NAMES = 4, CA_ACCOUNTS = 8, CA_NONCES = 1 << 16 };
struct scripted_ca;

enum ca_leaf { LEAF_GOOD, LEAF_OTHER_KEY, LEAF_OTHER_NAME, LEAF_EXPIRED, LEAF_EARLY, LEAF_NO_PEM };
/* What becomes of request number `fault_at` (the first is 1). STOP: the process is to be killed,
 * before or after the CA has heard it; `stopped` says so. */
enum ca_fault { FAULT_NONE, FAULT_LOST, FAULT_UNANSWERED, FAULT_STOP_BEFORE, FAULT_STOP_AFTER };

struct ca_window {
	int64_t start, end; /* wall ms */
	const char *explanation;
};

struct ca_order {
	unsigned number;
	char replaces[160], profile[32];
	unsigned serial;
	char names[CA_ORDER_NAMES][64];
	size_t count;
	bool valid[CA_ORDER_NAMES], failed[CA_ORDER_NAMES], by_tls[CA_ORDER_NAMES];
	unsigned accepted[CA_ORDER_NAMES];
	unsigned polls;
	bool finalized, token_changed;
	bool replaced, exempt; /* the rules' own */
	struct buf pem;
	int64_t at, not_before, not_after; /* wall ms */
};

/* What a CA refuses, and what it counts for that. Each may be NULL. */
struct ca_refusal {
	unsigned status;
	const char *type, *detail;
	int64_t seconds; /* Retry-After; 0: none */
};
struct ca_rules {
	bool (*refuses_request)(struct scripted_ca *ca, const char *url, struct ca_refusal *ret);
	bool (*refuses_order)(
	        struct scripted_ca *ca, const struct ca_order *o, struct ca_refusal *ret);
	/* Of an order whose name number i is being proved: whether the proof is found. */
	bool (*finds)(struct scripted_ca *ca, const struct ca_order *o, size_t i);
	void (*issued)(struct scripted_ca *ca, const struct ca_order *o);
};

struct scripted_ca {
	struct fetch fetch;
	struct loop *loop;
	struct buf *diary;            /* NULL: nothing is written down */
	const struct ca_rules *rules; /* or NULL */
	const char *directory;        /* URL; CA_DIRECTORY unless set */
	const char *terms;            /* URL of its terms; empty: it has none */
	/* The script. */
	int64_t lifetime, latency;
	int64_t (*lifetime_of)(const char *name); /* instead of lifetime; or NULL */
	bool down;
	const char *down_at;   /* or only that URL is; NULL */
	const char *silent_at; /* it hears that URL, then is down; NULL */
	int64_t busy_for; /* the directory is 503, to be asked again in so many seconds; or 0 */
	enum ca_leaf leaf;
	unsigned fault_at;
	enum ca_fault fault;
	unsigned processing; /* polls until a certificate is made */
	bool changes_token;  /* refuses the first answer to a challenge, and gives another token */
	unsigned account_base;      /* the number in the URL of the first account */
	bool same_tokens;           /* the same name gets the same token each time */
	bool remembers;             /* knows every name to be proved */
	const char *revoke_refused; /* the type of the problem, or NULL */
	bool revoke_by_key;         /* an account is refused so, the certificate's own key is not */
	const char *refused;        /* a name whose proof is never found */
	const char *rejected;       /* a name that it issues nothing for */
	const char *refused_type;   /* the type of challenge by which no proof is found, or NULL */
	bool offers_tls;            /* beside http-01 */
	bool offers_persist;        /* instead of that, DNS-PERSIST-01, which has no token */
	const char *eab_kid, *eab_hmac; /* an account must be bound by it; or NULL */
	bool other_chain;      /* a second one, up to another root, is linked from the first */
	unsigned keys_refused; /* so many requests for a certificate are, as if of a bad key */
	const char *limited;   /* a name whose order is rate limited, for `limited_for` seconds */
	int64_t limited_for;
	/* Whether a visitor gets an answer for that token now; the certificate that a handshake
	 * shows. */
	/* ARI: the window of the certificate that was ordered as this one; false: 404. NULL: the
	 * directory knows nothing of it. Or what is sent, whole. */
	bool (*window_of)(struct scripted_ca *ca, const struct ca_order *o, struct ca_window *ret);
	const char *window_body;
	int64_t window_again;     /* Retry-After in seconds; 0: none */
	int64_t clock_off;        /* its clock is so much later than ours, ms */
	const char *limit_detail; /* of `limited`, and its status if not 429 */
	unsigned limit_status;
	bool (*answers)(struct scripted_ca *ca, struct str token);
	/* The status with which an application answers what `on-demand` asks; 0: it does not. */
	unsigned (*may)(struct scripted_ca *ca, const char *url);
	bool (*shows)(struct scripted_ca *ca, const struct fetch_probe *p, struct buf *pem,
	        struct err *err);
	void (*on_download)(struct scripted_ca *ca); /* or NULL */
	/* What happened. */
	bool stopped;
	const char *complaint;
	unsigned windows_asked;
	unsigned requests, accounts_made, account_count, order_count, finalized, downloads, probes;
	char accounts[CA_ACCOUNTS][256]; /* JWK */
	struct ca_order *orders;         /* number n at n % order_room: the latest ones */
	unsigned order_room;
	/* Its own. */
	struct list pending, probing;
	unsigned nonces;
	unsigned char nonce_used[CA_NONCES]; /* of the latest ones */
	struct ca_keys *keys;
	unsigned revocations, rollovers;
	bool deactivated;   /* the last account */
	char contact[64];   /* of the last account that was changed: the member, as text */
	struct buf revoked; /* the last one, DER */
};

void scripted_ca_init(struct scripted_ca *ca, struct loop *loop);
void scripted_ca_done(struct scripted_ca *ca);
/* So many orders are remembered, instead of CA_ORDERS; before the first. */
void scripted_ca_remember(struct scripted_ca *ca, unsigned orders);
/* The order of the certificate whose ARI id (RFC 9773 4.1) that is; NULL: not remembered. */
struct ca_order *scripted_ca_order_of(struct scripted_ca *ca, struct str ari_id);

#define CA_DIRECTORY "https://ca.test/directory"

#endif
