/* Authorizations and challenges: what proof of a name is wanted, and telling the CA that it is in
 * place (RFC 8555 7.5). Only http-01 is made here; other types, known or not, are ignored. */
#include "acme/step.h"

enum { TOKEN_LEAST = 16, TOKEN_MOST = 128 };

struct acme_ask ask_authz(struct flow *f)
{
	return post_as_get(f->names[f->at].authz);
}

/* Nothing says that authorizations come in the order of the names: what was asked at f->at may be
 * another name's. Then the two names exchange all but themselves. */
static size_t whose(struct flow *f, const struct json *authz)
{
	const struct str value = json_text(json_object(authz, "identifier"), "value");
	for (size_t i = 0; i < f->name_count; i++) {
		if (i == f->at || !str_eq_nocase(f->names[i].name, value))
			continue;
		const struct flow_name here = f->names[f->at], there = f->names[i];
		f->names[f->at] = there;
		f->names[f->at].name = here.name;
		f->names[i] = here;
		f->names[i].name = there.name;
		return i;
	}
	return f->at;
}

static const struct json *http_01(const struct json *challenges)
{
	for (size_t i = 0; i < json_count(challenges); i++)
		if (str_eq_c(json_text(json_at(challenges, i), "type"), "http-01"))
			return json_at(challenges, i);
	return NULL;
}

static struct next fail_no_http_01(struct flow *f, struct str name, const struct json *challenges)
{
	BUF_AUTO offered = BUF_INIT(256);
	for (size_t i = 0; i < json_count(challenges); i++) {
		const struct str type = json_text(json_at(challenges, i), "type");
		if (type.n)
			buf_printf(&offered, "%s%.*s", offered.n ? ", " : "",
			        STR_ARG(str_head(type, 40)));
	}
	return fail(ERR_REFUSED,
	        "%.*s takes no proof over HTTP (http-01) for %.*s, only %s." ERR_REMEDY
	        "Choose another issuer "
	        "for it.",
	        STR_ARG(ca_of(f)), STR_ARG(name),
	        offered.n ? buf_c(&offered) : "none that is known");
}

/* What to do if the CA did not find the proof. */
static const struct {
	const char *type, *words;
} advice[] = {
	{ "caa", "Allow this CA in the domain's CAA record, or remove the record." },
	{ "connection", "Open port 80 in the firewall or forward it here; if the name has an IPv6 "
	                "address, it must lead here too." },
	{ "dns", "Repair the name's A and AAAA records." },
	{ "incorrectResponse",
	        "Another server answers for the name: point its A and AAAA records here." },
	{ "tls", "A redirect leads the CA to HTTPS that does not work: answer challenges on port "
	         "80." },
	{ "unauthorized",
	        "Another server answers for the name: point its A and AAAA records here." },
};

static const char *advice_for(struct str type)
{
	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
		if (str_eq_c(type, advice[i].type))
			return advice[i].words;
	return problem_advice(type);
}

/* RFC 8555 8.3 and 7.1.5: the CA may tell each URL that it asked; the last one failed. */
static void add_asked(struct buf *out, const struct json *challenge, const struct flow_name *name)
{
	const struct json *records = json_array(challenge, "validationRecord");
	const struct json *last =
	        json_count(records) ? json_at(records, json_count(records) - 1) : NULL;
	const struct str url = json_text(last, "url"), address = json_text(last, "addressUsed");
	if (url.n)
		buf_add(out, str_head(url, 300));
	else
		buf_printf(out, "http://%.*s/.well-known/acme-challenge/%.*s", STR_ARG(name->name),
		        STR_ARG(name->token));
	if (address.n)
		buf_printf(out, " at %.*s", STR_ARG(str_head(address, 60)));
}

static struct next fail_challenge(struct flow *f, const struct answer *a, size_t at)
{
	const struct flow_name *name = &f->names[at];
	const struct json *challenge = http_01(json_array(a->body, "challenges"));
	const struct json *error = json_object(challenge, "error");
	if (error || !f->order_invalid)
		problem_keep(f, error, a->reply->status);
	BUF_AUTO asked = BUF_INIT(1024);
	add_asked(&asked, challenge, name);
	const struct str words = problem_words(f), status = json_text(a->body, "status");
	struct next n = words.n ? fail(ERR_REFUSED,
	                                  "%.*s could not prove control of %.*s." ERR_WHY
	                                  "It asked %s and says: %.*s." ERR_REMEDY "%s",
	                                  STR_ARG(ca_of(f)), STR_ARG(name->name), buf_c(&asked),
	                                  STR_ARG(words), advice_for(f->problem.type))
	                        : fail(ERR_REFUSED,
	                                  "%.*s calls the authorization of %.*s %.*s and does not "
	                                  "say why." ERR_REMEDY "Try again; if it "
	                                  "comes back, ask the CA about %.*s.",
	                                  STR_ARG(ca_of(f)), STR_ARG(name->name),
	                                  STR_ARG(str_head(status, 40)), STR_ARG(name->authz));
	n.ca_at_fault = str_eq_c(f->problem.type, "serverInternal");
	return n;
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
	const struct json *challenge = http_01(challenges);
	if (!challenge)
		return fail_no_http_01(f, name->name, challenges);
	const struct str status = json_text(challenge, "status"),
	                 token = json_text(challenge, "token");
	if (str_eq_c(status, "invalid"))
		return fail_challenge(f, a, at);
	if (!is_token(token))
		return not_acme(f, a, "token for http-01");
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
		return fail_challenge(f, a, at);
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

/* 409: another of our requests is being worked on. Else the authorization is read again, once: it
 * knows whether we were heard before. */
struct next heard_challenge_refused(struct flow *f, const struct answer *a)
{
	struct flow_name *name = &f->names[f->at];
	if (a->reply->status == 409) {
		name->answered = true;
		return go_names(f);
	}
	if (name->refused)
		return refused(f, a);
	name->refused = true;
	return go_to_name(ACME_STEP_authz, f->at);
}
