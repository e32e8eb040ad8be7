/* Authorizations and challenges: what proof of a name is wanted, and telling the CA that it is in
 * place (RFC 8555 7.5). */
#include "acme/step.h"

#include "base/ip.h"

enum { TOKEN_LEAST = 16, TOKEN_MOST = 128, CONFLICTS_MOST = 5 };

struct acme_ask ask_authz(struct flow *f)
{
	return post_as_get(f->names[f->at].authz);
}

/* RFC 8555 7.1.4: the identifier of a wildcard is without "*.", and the authorization says so. */
static bool is_about(struct str name, struct str identifier, bool wildcard)
{
	if (acme_is_wildcard(name) != wildcard)
		return false;
	return str_eq_nocase(acme_without_wildcard(name), identifier) || ip_same(name, identifier);
}

static void exchange(struct flow_name *a, struct flow_name *b)
{
	const struct flow_name here = *a, there = *b;
	*a = there;
	a->name = here.name;
	a->choice = here.choice;
	*b = here;
	b->name = there.name;
	b->choice = there.choice;
}

/* Nothing says that authorizations come in the order of the names: what was asked at f->at may be
 * another name's. Then the two names exchange all but themselves. */
static size_t whose(struct flow *f, const struct json *authz)
{
	const struct str value = json_text(json_object(authz, "identifier"), "value");
	bool wildcard = false;
	json_bool(authz, "wildcard", &wildcard);
	for (size_t i = 0; i < f->name_count; i++) {
		if (i == f->at || !is_about(f->names[i].name, value, wildcard))
			continue;
		exchange(&f->names[f->at], &f->names[i]);
		return i;
	}
	return f->at;
}

/* The next name that may tell why the order is invalid. */
static struct next seek_reason(struct flow *f, size_t from)
{
	for (size_t i = from; i < f->name_count; i++)
		if (!f->names[i].valid && f->names[i].authz.n)
			return go_to_name(ACME_STEP_authz, i);
	return fail_invalid(f);
}

struct next why_invalid(struct flow *f)
{
	f->order_invalid = true;
	return seek_reason(f, 0);
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		const bool fits = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		                  (c >= 'a' && c <= 'z') || c == '-' || c == '_';
		if (!fits)
			return false;
	}
	return s.n >= TOKEN_LEAST && s.n <= TOKEN_MOST;
}

static struct next heard_to_prove(struct flow *f, const struct answer *a, size_t at)
{
	struct flow_name *name = &f->names[at];
	const struct json *challenges = json_array(a->body, "challenges");
	const struct json *challenge = choose_challenge(name, challenges);
	if (!challenge)
		return fail_no_type(f, name, challenges);
	const struct str status = json_text(challenge, "status"),
	                 token = json_text(challenge, "token");
	if (str_eq_c(status, "invalid"))
		return proof_failed(f, a, at);
	if (name->type != CHALLENGE_DNS_PERSIST_01 && !is_token(token))
		return not_acme(f, a, "token for the challenge");
	if (!keep_url(f, &name->challenge, json_text(challenge, "url")))
		return not_acme(f, a, "URL of the challenge");
	if (!str_eq(name->token, token))
		name->published = false;
	keep(f, &name->token, token);
	/* Our answer got there although nobody told us: it is not sent twice. */
	if (str_eq_c(status, "processing") || str_eq_c(status, "valid"))
		name->answered = true;
	return go_names(f);
}

struct next heard_authz(struct flow *f, const struct answer *a)
{
	const size_t asked = f->at, at = whose(f, a->body);
	const struct str status = json_text(a->body, "status");
	if (status.n == 0)
		return not_acme(f, a, "\"status\"");
	if (str_eq_c(status, "valid")) {
		f->names[at].valid = true;
		return f->order_invalid ? seek_reason(f, asked + 1) : go_names(f);
	}
	/* RFC 8555 7.1.6: else invalid, deactivated, expired, revoked */
	if (!str_eq_c(status, "pending"))
		return proof_failed(f, a, at);
	return f->order_invalid ? seek_reason(f, asked + 1) : heard_to_prove(f, a, at);
}

struct next heard_authz_refused(struct flow *f, const struct answer *a)
{
	return f->order_invalid ? fail_invalid(f) : refused(f, a);
}

/* RFC 8555 7.5.1: an empty object says that the proof is in place. */
struct acme_ask ask_challenge(struct flow *f)
{
	if (tokens_missing(f))
		return publish();
	buf_add_c(&f->payload, "{}");
	return post(f, f->names[f->at].challenge);
}

struct next heard_challenge(struct flow *f, const struct answer *a)
{
	(void)a; /* what became of it is read from the order */
	f->names[f->at].answered = true;
	return go_names(f);
}

/* Another of our requests is being worked on, or the CA thinks so: what its authorization still
 * calls pending then is answered once more. It may read so while it is looked at, too: after some
 * times it counts as answered. */
static struct next heard_conflict(struct flow *f, const struct answer *a)
{
	struct flow_name *name = &f->names[f->at];
	name->answered = ++name->conflicts >= CONFLICTS_MOST;
	if (name->answered)
		return go_names(f);
	struct next n = poll_again(f, a, ACME_STEP_authz, "the CA is looking at the proof already");
	n.at = f->at;
	return n;
}

/* Else the authorization is read again, once: it knows whether we were heard before. */
struct next heard_challenge_refused(struct flow *f, const struct answer *a)
{
	struct flow_name *name = &f->names[f->at];
	if (a->reply->status == 409)
		return heard_conflict(f, a);
	if (name->refused)
		return refused(f, a);
	name->refused = true;
	return go_to_name(ACME_STEP_authz, f->at);
}
