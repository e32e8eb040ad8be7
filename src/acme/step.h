/* What the steps of the flow share among themselves: what they hear, and the verdicts they give.
 * Private to acme/.
 *
 * A file of this folder is one message or a pair: what says it (ask_…) and what hears its answer
 * (heard_…) stand together. heard_… is called for answers that are neither silence, refusal nor
 * outage: flow.c has judged those. */
#ifndef ACME_STEP_H
#define ACME_STEP_H

#include "acme/flow.h"
#include "base/clock.h"

/* A reply, with what flow.c found in it. */
struct answer {
	const struct acme_reply *reply;
	const struct json *body; /* an object, or NULL */
};

#define X(name, ask, heard, lost)                                                                  \
	struct acme_ask ask(struct flow *f);                                                       \
	struct next heard(struct flow *f, const struct answer *a);
ACME_STEPS(X)
#undef X

/* Refusals that have a way on; each ends in refused() if it has none. */
struct next heard_no_account(struct flow *f, const struct answer *a);
struct next heard_account_refused(struct flow *f, const struct answer *a);
struct next heard_account_gone(struct flow *f, const struct answer *a);
struct next heard_order_refused(struct flow *f, const struct answer *a);
struct next heard_authz_refused(struct flow *f, const struct answer *a);
struct next heard_challenge_refused(struct flow *f, const struct answer *a);
struct next heard_not_ready(struct flow *f, const struct answer *a);

/* The chain that is asked for is not there, or not the wanted one: the next, else the default. */
struct next next_chain(struct flow *f);
/* The download failed: it is tried some times more. */
struct next download_again(struct flow *f, const struct answer *a, const struct next *failed);

/* Proofs. The challenge of that type in an authorization, or NULL. */
const struct json *challenge_of(const struct json *challenges, enum challenge_type type);
/* What the authorization that was read offers is kept; the first type of the name's choice that is
 * among it. NULL: there is none. */
const struct json *choose_challenge(struct flow_name *name, const struct json *challenges);
struct next fail_no_type(
        struct flow *f, const struct flow_name *name, const struct json *challenges);
/* The name's authorization failed: why, and whether another type is tried. */
struct next proof_failed(struct flow *f, const struct answer *a, size_t at);

void flow_set_revoke(struct flow *f, const struct flow_want *want);
/* True: the account may not revoke it, and its own key does instead. Once at most. */
bool revoke_by_key(struct flow *f);
struct next heard_revoke_refused(struct flow *f, const struct answer *a);
struct next heard_rollover_refused(struct flow *f, const struct answer *a);
struct next heard_no_next_key(struct flow *f, const struct answer *a);
struct next heard_neither_key(struct flow *f, const struct answer *a);
struct next heard_deactivate_refused(struct flow *f, const struct answer *a);
struct next go_change(const struct flow *f);
/* The member "contact" with the e-mail address, or empty. */
void write_contact(const struct flow *f, struct json_writer *w);
/* After the account: the order, or the revocation. */
struct next go_revoke(const struct flow *f);

/* What is wanted of the directory. */
void directory_read_profiles(struct arena *a, const struct json *list, struct acme_directory *d);
bool profile_known(const struct flow *f);
struct next fail_profile(const struct flow *f);

/* Verdicts. */
struct next go_to(enum acme_step step);
struct next go_to_name(enum acme_step step, size_t at);
/* The first step whose result is not there yet: directory, account, order, await. */
struct next go_first(const struct flow *f);
/* The first name that needs something, else the order. */
struct next go_names(const struct flow *f);
/* Waits as long as the CA asks, or as we would; what it asks for is added to the attempt's time. */
struct next later(struct flow *f, const struct answer *a, struct next n, int64_t own);
/* The same question again after a wait that grows from poll to poll. `words` say what for: a
 * literal. */
struct next poll_again(
        struct flow *f, const struct answer *a, enum acme_step step, const char *words);
__attribute__((format(printf, 2, 3))) struct next fail(enum err_code code, const char *format, ...);
/* The CA said no: f->problem, if it gave one. */
struct next refused(struct flow *f, const struct answer *a);
/* The answer is not one that ACME knows; `lacks` names what it has no usable form of. */
struct next not_acme(struct flow *f, const struct answer *a, const char *lacks);
/* The order is invalid, and no authorization tells why. */
struct next fail_invalid(struct flow *f);
struct next why_invalid(struct flow *f);

/* Asking. The payload is written into f->payload. */
struct acme_ask post_as_get(const struct str url);
struct acme_ask post(struct flow *f, struct str url);
bool tokens_missing(const struct flow *f);
struct acme_ask publish(void);

/* Keeping. Texts are copied into the flow. */
void keep(struct flow *f, struct str *place, struct str text);
/* A URL that we may ask: https, or http where the directory is http. Else nothing is kept. */
bool keep_url(struct flow *f, struct str *place, struct str text);
bool url_usable(struct str directory_url, struct str text);

/* Problems. */
struct str problem_type(
        const struct json *problem); /* without the URN's prefix; STR_NONE if none */
/* f->problem becomes this one; NULL or no object clears it. */
void problem_keep(struct flow *f, const struct json *problem, unsigned status);
const char *problem_advice(struct str type); /* "" or a sentence */
/* The page that the problem tells people to open, or STR_NONE. */
struct str problem_page(const struct flow *f);
/* Who wished for a change has to do so again, unlike with all else that waiting may heal. why: a
 * sentence. */
struct next change_ended(const struct flow *f, enum err_code code, struct str why);
/* At most 640 bytes of acme_problem_words, for a sentence. */
struct str problem_words(struct flow *f);

/* What a text looks like that is no ACME: "a web page (HTML)". */
const char *body_words(struct str body);
struct str ca_of(const struct flow *f);

/* An attempt may take ten minutes, and as long as the CA asks us to wait, up to an hour. */
#define ATTEMPT_TIME (10 * MINUTE)
#define ATTEMPT_MOST HOUR
#define WAIT_MOST    (366 * DAY) /* what a CA may ask for without the sum overflowing */
enum { POLL_FIRST = 50, POLL_MOST = 5000, LOST_FIRST = 1000, LOST_MOST = 30000 };

#endif
