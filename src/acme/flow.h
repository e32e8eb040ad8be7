/* One certificate from an ACME CA (RFC 8555), as a table of steps without I/O.
 *
 *	order of events          who
 *	ask = flow_ask(f)        the step says what it wants: an HTTP exchange, or an effect
 *	… driver does it …       sends it signed, or executes the effect
 *	n = flow_heard(f, reply) after an exchange: what the answer means: GO, DONE or FAIL
 *	n = flow_did(f, failed)  after an effect (ACME_PUBLISH, ACME_CSR, ACME_BIND)
 *	flow_take(f, &n)         the one line that assigns f->step; then the driver saves the flow
 *	… waits n.after ms …     and asks again, until DONE (f->chain is there) or FAIL (n.err)
 *
 * A flow is flat, serialisable data; saved at every GO, it is what the page shows, and a restart is
 * the same event as a lost answer: flow_load, then flow_take of what flow_lost says, then go on. It
 * holds no key, no socket, no clock: the driver (issue/) signs, waits, stores.
 *
 * What all replies share is judged once in flow_heard, before the step sees them: nonce and
 * badNonce, 429 and 5xx with Retry-After, problem documents (RFC 7807), silence.
 *
 * Disadvantage: the order of steps is read in the table, the conditions between them in the steps;
 * who looks for "the program" finds it in neither alone. */
#ifndef ACME_FLOW_H
#define ACME_FLOW_H

#include "acme/challenge.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

/* clang-format off */
#define ACME_STEPS(X)                                                                              \
	/* step       we say           the answer means    if lost, resume at */                  \
	X(directory,  ask_directory,   heard_directory,    directory)                              \
	X(account,    ask_account,     heard_account,      account)                                \
	X(order,      ask_new_order,   heard_order,        order)                                  \
	X(authz,      ask_authz,       heard_authz,        authz)     /* per name */               \
	X(answer,     ask_challenge,   heard_challenge,    authz)     /* per name */               \
	X(await,      ask_order,       heard_await,        await)                                  \
	X(finalize,   ask_finalize,    heard_await,        await)                                  \
	X(download,   ask_certificate, heard_certificate,  download)                               \
	/* instead of all after the account, where a certificate is to be revoked */               \
	X(revoke,     ask_revoke,      heard_revoke,       revoke)                                 \
	/* or where the account is to be changed */                                            \
	X(contact,    ask_contact,     heard_changed,      contact)                                \
	X(rollover,   ask_rollover,    heard_rollover,     which_key)                              \
	X(which_key,  ask_which_key,   heard_which_key,    which_key)  /* the next one? */         \
	X(which_old,  ask_which_old,   heard_which_old,    which_key)  /* or that of now? */       \
	X(deactivate, ask_deactivate,  heard_changed,      deactivate)

enum acme_step {
#define X(name, ask, heard, lost) ACME_STEP_##name,
	ACME_STEPS(X)
#undef X
	ACME_STEP_COUNT
};
/* clang-format on */
const char *acme_step_name(enum acme_step step);
const char *acme_step_words(enum acme_step step); /* for people: "Prove control of the name" */

/* A CA's problem (RFC 7807, RFC 8555 6.7), whole. Texts live with whatever holds it. */
struct problem {
	struct str type; /* with "urn:ietf:params:acme:error:" removed if it starts so */
	struct str detail;
	struct str instance; /* URL of a page for people */
	unsigned status;     /* HTTP */
	struct str json; /* whole, subproblems included; STR_NONE above 8 KiB: then words only */
};

/* One of meta.profiles: what may be asked for by its name, and the CA's words for it. */
struct acme_profile {
	struct str name, text;
};
enum { ACME_PROFILES_MOST = 32 };

/* The directory (RFC 8555 7.1.1), as far as we use it. Members not sent are STR_NONE. */
struct acme_directory {
	struct str new_nonce, new_account, new_order, revoke_cert, key_change, renewal_info;
	struct str terms, website;
	bool external_account_required;
	struct acme_profile *profiles;
	size_t profile_count;
};
struct acme_directory acme_directory_copy(struct arena *a, const struct acme_directory *d);
/* Says in words why a text is not an ACME directory (HTML, other JSON, missing members). */
MUST_CHECK bool acme_directory_read(struct arena *a, struct str body, struct str url,
        struct acme_directory *ret_directory, struct err *err);

enum { FLOW_NAMES_MOST = 100, ACME_PAYLOAD_MOST = 48 << 10 };

/* One name's authorization within the flow. */
struct flow_name {
	struct str name;
	/* What is tried, the first that is offered; a type that failed is taken out. */
	struct challenge_choice choice;
	struct str authz, challenge, token; /* URLs and token once known */
	enum challenge_type type;           /* of `challenge` */
	unsigned offered;                   /* bit 1 << type: by the authorization that was read */
	bool valid;                         /* the CA says so, or asks no proof of it */
	bool answered;                      /* we told the CA, or it already knew */
	bool published;                     /* the token is in place */
	bool refused;       /* the CA refused our answer once; its authorization was read again */
	unsigned conflicts; /* how often it said that it is looking at the proof already; bounded */
};

/* What may be wanted of the account instead of a certificate (RFC 8555 7.3.2, 7.3.5, 7.3.6). */
#define ACME_CHANGES(X) X(none) X(contact) X(rollover) X(deactivate)
enum acme_change {
#define X(name) CHANGE_##name,
	ACME_CHANGES(X)
#undef X
};

enum acme_effect {
	ACME_GET,      /* unsigned GET: the directory */
	ACME_HEAD,     /* newNonce */
	ACME_POST,     /* JWS by kid: flow->account; payload "" is POST-as-GET (RFC 8555 6.3) */
	ACME_POST_JWK, /* JWS by jwk: newAccount (RFC 8555 7.3) */
	ACME_POST_NEW, /* the same, by the account's next key, or that of what is revoked */
	ACME_PUBLISH,  /* put every token in place that is not `published`, then flow_did */
	ACME_CSR, /* make key and CSR for all names, store the key, flow_set_csr, then flow_did */
	ACME_NEXT_KEY, /* make the account's next key, store it, flow_set_inner, then flow_did */
	ACME_BIND,     /* sign the account's key with the CA's secret, flow_set_binding, flow_did */
};

struct flow {
	struct arena arena; /* owns every text below but the problem's */
	/* What is wanted; set by flow_new. */
	struct str directory_url, email;
	bool terms_agreed;
	struct flow_name *names;
	size_t name_count;
	struct str profile;
	struct str replaces;        /* RFC 9773: certificate ID, or STR_NONE; cleared if refused */
	struct str preferred_chain; /* common name of its top; STR_NONE: the CA's default */
	bool can_bind;              /* the driver has what ACME_BIND needs */
	unsigned http_port, https_port; /* that CAs ask on */
	/* How far it is. */
	enum acme_step step;
	size_t at; /* the name that a per-name step is about; 0 where there is none */
	struct acme_directory directory;
	bool directory_kept;    /* it was read before this attempt; not saved */
	struct str account;     /* URL; STR_NONE until known. The driver stores it */
	bool account_looked_up; /* onlyReturnExisting said that there is none */
	bool account_forgotten; /* the CA did not know `account`; happens once at most */
	struct str binding;     /* RFC 8555 7.3.4; set by flow_set_binding */
	struct str order, finalize, certificate; /* URLs */
	/* Other chains for the same certificate, a URL a line; the one that is asked for. */
	struct str alternates, alternate;
	struct str note;    /* what turned out otherwise than wanted, for the page; or STR_NONE */
	bool order_invalid; /* the authorizations are read once more for the reason */
	struct str csr;     /* DER; set by flow_set_csr */
	struct str revoke;  /* the certificate, base64url of DER; STR_NONE: one is wanted */
	unsigned revoke_reason;
	bool has_key;            /* the driver has its key */
	bool by_key;             /* which signs, since the account may not revoke it any more */
	enum acme_change change; /* of the account is wanted, no certificate */
	bool change_sent;        /* the CA may have heard of it */
	struct str inner; /* the JWS within keyChange, by the next key; set by flow_set_inner */
	/* The CA may know the account by its next key, or by that of now: whoever drops one of them
	 * may lose the account. FAIL leaves it so; DONE means the next one. */
	bool in_doubt;
	bool neither;         /* it knew none of them once; asked once more */
	unsigned key_changes; /* that the CA did not do; bounded */
	struct str refusal; /* the sentence of the CA's no, until it is known which key it knows */
	struct str chain;   /* PEM as sent, once DONE; nobody has checked it yet */
	uint64_t turns, bad_nonces, lost, polls; /* totals, for the page; turns are bounded */
	unsigned other_types;                    /* orders begun anew for another type; bounded */
	unsigned downloads;                      /* that brought no certificate; bounded */
	unsigned bad_nonces_in_row, lost_in_row; /* ended by any other answer; bounded */
	int64_t poll_wait;                       /* ms; grows from poll to poll */
	int64_t started;                         /* wall ms */
	/* wall ms, 0: not yet set. Ten minutes and what the CA asks us to wait; at most an hour. */
	int64_t deadline, deadline_most;
	struct arena problem_arena;
	struct problem problem; /* of the last answer; empty after a good one */
	struct str waiting_for; /* why the next ask is delayed; for the page */
	/* Of this turn only, not saved. */
	enum acme_effect asked;
	struct buf nonce; /* the last Replay-Nonce */
	struct buf payload;
};

/* Texts are copied. now is wall ms. */
struct flow_want {
	struct str directory_url, email, profile, replaces; /* email may be STR_NONE */
	bool terms_agreed;                                  /* a person accepted the CA's terms */
	struct str preferred_chain;
	const struct str *names; /* ASCII, normalised: DNS names, wildcards, IP addresses */
	size_t name_count;
	/* One per name: what it may be proved with, in order of preference. NULL: http-01. Types
	 * that no CA takes for such a name are left out. */
	const struct challenge_choice *choices;
	unsigned http_port, https_port; /* that the CA asks us on; 0: 80, 443 */
	/* RFC 8555 7.6: not a new certificate is wanted, but that this one (DER) is revoked, for
	 * that reason. DONE without a chain says so; one that is revoked already is as well. */
	struct str revoke;
	unsigned revoke_reason;
	bool has_key; /* the driver can sign with its key, if the account may not revoke it */
	/* Nor that, but that the account is changed: no names then; contact: `email` becomes its
	 * only one. DONE without a chain says so. */
	enum acme_change change;
	int64_t now;
};
/* RFC 5280 5.3.1: those that a subscriber may give. */
#define REVOKE_REASONS(X)                                                                          \
	X(0, "unspecified")                                                                        \
	X(1, "keyCompromise")                                                                      \
	X(3, "affiliationChanged")                                                                 \
	X(4, "superseded")                                                                         \
	X(5, "cessationOfOperation")
bool acme_reason_from_name(struct str name, unsigned *ret_reason);
/* Refuses what can never succeed: no name, more than FLOW_NAMES_MOST, one without a proof. */
MUST_CHECK struct flow *flow_new(const struct flow_want *want, struct err *err);
void flow_free(struct flow **f);
#define FLOW_AUTO __attribute__((cleanup(flow_free))) struct flow
/* What issue/ knows of the CA already: saves the directory and account steps. Before the first
 * flow_ask. */
void flow_know_directory(struct flow *f, const struct acme_directory *d);
void flow_know_account(struct flow *f, struct str url);

struct str *flow_names(struct arena *a, const struct flow *f); /* borrowed, name_count of them */
void flow_save(const struct flow *f, struct buf *out_json);
MUST_CHECK struct flow *flow_load(struct str json, struct err *err);

struct acme_ask {
	enum acme_effect effect;
	struct str url;
	struct str nonce;   /* for the POSTs: used once, whatever becomes of the request */
	struct str payload; /* JSON. Both live until the next flow_heard */
	const char *accept; /* "application/pem-certificate-chain" for the download, else NULL */
};
struct acme_ask flow_ask(struct flow *f);

/* An answer; status 0 is silence (could not connect, time-out, cut off): `silence` says what, and
 * is there then. */
struct acme_reply {
	unsigned status;
	struct str body, nonce, location;
	struct str links;    /* the values of Link, one a line */
	int64_t retry_after; /* ms from now, already parsed from seconds or date; -1: not given */
	int64_t now;         /* wall ms */
	const struct err *silence;
};

enum flow_what { FLOW_GO, FLOW_DONE, FLOW_FAIL };
struct next {
	enum flow_what what;
	enum acme_step step;
	int64_t after;    /* ms to wait before asking */
	size_t at;        /* the name a per-name step goes to */
	bool ca_at_fault; /* FAIL or delay through outage, 5xx, limits or answers that are no ACME:
	                     another issuer may help */
	int64_t not_before; /* FAIL: the CA said when to try again (wall ms), else 0 */
	/* GO: the proof of name `at` failed, as err says; it is ordered anew, to be proved by
	 * another type. The driver takes all proofs away and counts the failure. */
	bool other_type;
	bool unplaced;  /* the same of one that could not be placed: in the same order */
	struct err err; /* FAIL, other_type, unplaced: the sentence */
};
struct next flow_heard(struct flow *f, const struct acme_reply *reply);
/* An effect was executed (ACME_PUBLISH, ACME_CSR): the same step asks again, now for HTTP. If it
 * failed, `failed` says why and the flow fails with it; else it is NULL. */
struct next flow_did(struct flow *f, const struct err *failed);
/* Instead, within ACME_PUBLISH: the proof of that name could not be placed, as err says. The driver
 * has taken away what it placed beside it. Another type is tried, if there is one. */
struct next flow_unplaced(struct flow *f, size_t at, const struct err *why);
/* The profile that is ordered: the wanted one; for addresses without any the CA's "shortlived", if
 * it offers that. STR_NONE: none. */
struct str order_profile(const struct flow *f);
/* The process was restarted while an answer was under way: first call after flow_load. The attempt
 * gets a new deadline, tokens that are still needed are asked for again by ACME_PUBLISH, and the
 * CA is asked how far the order is before anything is done twice. */
struct next flow_lost(struct flow *f, int64_t now);
void flow_take(struct flow *f, const struct next *n); /* f->step and f->at are assigned here only */
void flow_set_csr(struct flow *f, struct str der);
/* Whether ACME_BIND may be asked for; known anew after each flow_new and flow_load. */
void flow_can_bind(struct flow *f, bool can);
void flow_set_binding(struct flow *f, struct str jws);
void flow_set_inner(struct flow *f, struct str jws);
/* Whether ACME_PUBLISH is about that name. */
bool flow_name_to_place(const struct flow_name *name);

/* How people call the CA: "Let's Encrypt", else its host. */
struct str acme_ca_name(struct str directory_url);
/* What a sentence says of a problem: detail, type, and subproblems with their names. No full stop.
 * Text of the CA: show it through err_set, which takes control characters out. */
void acme_problem_words(const struct problem *p, struct buf *out);

/* RFC 8555 6.2: the protected header. kid empty: jwk is used instead. nonce empty: none, as within
 * keyChange (7.3.5). */
struct acme_header {
	const char *algorithm; /* of the key that signs */
	struct str nonce, url, kid, jwk;
};
void acme_protected(struct buf *out, const struct acme_header *h);
/* RFC 8555 7.3.4: that of an external account binding (HS256); its payload is the account's JWK. */
void acme_binding_protected(struct buf *out, struct str url, struct str kid);

/* The target of the next link with that relation (RFC 8288); values of Link, separated by commas or
 * line ends. False: there is none left. */
bool acme_next_link(struct str *rest, const char *relation, struct str *ret_target);

#endif
