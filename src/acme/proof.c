/* Which type of challenge is answered, and what becomes of one that failed. Types that we do not
 * know are ignored. */
#include "acme/step.h"

#include "base/ip.h"

/* An order is begun anew that often within an attempt: each costs the CA's limits. */
enum { OTHER_TYPES_MOST = 6 };

const struct json *challenge_of(const struct json *challenges, enum challenge_type type)
{
	for (size_t i = 0; i < json_count(challenges); i++) {
		const struct json *challenge = json_at(challenges, i);
		if (str_eq_c(json_text(challenge, "type"), challenge_type_name(type)))
			return challenge;
	}
	return NULL;
}

const struct json *choose_challenge(struct flow_name *name, const struct json *challenges)
{
	name->offered = 0;
	for (enum challenge_type type = 0; type < CHALLENGE_TYPE_COUNT; type++)
		name->offered |= challenge_of(challenges, type) ? 1u << type : 0;
	for (size_t i = 0; i < name->choice.count; i++) {
		const struct json *challenge = challenge_of(challenges, name->choice.types[i]);
		if (!challenge)
			continue;
		name->published = name->published && name->type == name->choice.types[i];
		name->type = name->choice.types[i];
		return challenge;
	}
	return NULL;
}

static void add_type(struct buf *out, struct str type)
{
	if (type.n)
		buf_printf(out, "%s%.*s", out->n ? ", " : "", STR_ARG(str_head(type, 40)));
}

struct next fail_no_type(
        struct flow *f, const struct flow_name *name, const struct json *challenges)
{
	BUF_AUTO offered = BUF_INIT(256), ours = BUF_INIT(256);
	for (size_t i = 0; i < json_count(challenges); i++)
		add_type(&offered, json_text(json_at(challenges, i), "type"));
	for (size_t i = 0; i < name->choice.count; i++)
		add_type(&ours, str_c(challenge_type_name(name->choice.types[i])));
	if (!offered.n)
		return fail(ERR_PROTOCOL,
		        "%.*s names no way to prove control of %.*s." ERR_REMEDY
		        "Try again; if it comes back, ask the CA or choose another issuer.",
		        STR_ARG(ca_of(f)), STR_ARG(name->name));
	return fail(ERR_REFUSED,
	        "%.*s lets control of %.*s be proved by %s only; from here it can be proved by "
	        "%s." ERR_REMEDY "Choose another issuer for it, or make one of the first possible.",
	        STR_ARG(ca_of(f)), STR_ARG(name->name), buf_c(&offered), buf_c(&ours));
}

/* What to do if the CA did not find the proof. */
#define POINT_HERE "Another server answers for the name: point its A and AAAA records here."
/* #: the port that the CA asks on. */
static const struct {
	enum challenge_type type;
	const char *problem, *words;
} advice[] = {
	{ CHALLENGE_HTTP_01, "connection",
	        "Open port # in the firewall or forward it here; if the name has an IPv6 "
	        "address, it must lead here too." },
	{ CHALLENGE_HTTP_01, "dns", "Repair the name's A and AAAA records." },
	{ CHALLENGE_HTTP_01, "incorrectResponse", POINT_HERE },
	{ CHALLENGE_HTTP_01, "tls",
	        "A redirect leads the CA to HTTPS that does not work: answer challenges on port "
	        "#." },
	{ CHALLENGE_HTTP_01, "unauthorized", POINT_HERE },
	{ CHALLENGE_TLS_ALPN_01, "connection",
	        "Open port # in the firewall or forward it here; if the name has an IPv6 "
	        "address, it must lead here too." },
	{ CHALLENGE_TLS_ALPN_01, "dns", "Repair the name's A and AAAA records." },
	{ CHALLENGE_TLS_ALPN_01, "incorrectResponse", POINT_HERE },
	{ CHALLENGE_TLS_ALPN_01, "tls",
	        "Something in front of this server ends TLS, such as a CDN or a load balancer: "
	        "use another proof, http-01 or dns-01." },
	{ CHALLENGE_TLS_ALPN_01, "unauthorized", POINT_HERE },
	{ CHALLENGE_DNS_01, "connection", "Look whether the zone's name servers answer." },
	{ CHALLENGE_DNS_01, "dns",
	        "Look whether all of the zone's name servers answer for _acme-challenge, and its "
	        "DNSSEC." },
	{ CHALLENGE_DNS_01, "incorrectResponse",
	        "Look whether all of the zone's name servers have the new TXT record." },
	{ CHALLENGE_DNS_01, "unauthorized",
	        "Look whether all of the zone's name servers have the new TXT record." },
};

/* RFC 8738: for addresses DNS plays no part. */
static void add_words(
        struct buf *out, const struct flow *f, const struct flow_name *name, const char *words)
{
	const size_t port = strcspn(words, "#");
	const bool https = name->type == CHALLENGE_TLS_ALPN_01;
	if (ip_is(name->name) && !strcmp(words, POINT_HERE))
		buf_printf(out,
		        "Another server is at that address: forward its ports %u and %u here.",
		        f->http_port, f->https_port);
	else if (words[port])
		buf_printf(out, "%.*s%u%s", (int)port, words, https ? f->https_port : f->http_port,
		        words + port + 1);
	else
		buf_add_c(out, words);
}

static void add_advice(struct buf *out, const struct flow *f, const struct flow_name *name)
{
	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
		if (advice[i].type == name->type && str_eq_c(f->problem.type, advice[i].problem)) {
			add_words(out, f, name, advice[i].words);
			return;
		}
	buf_add_c(out, problem_advice(f->problem.type));
}

static void add_place(struct buf *out, const struct flow *f, const struct flow_name *name)
{
	const struct str host = acme_without_wildcard(name->name);
	switch (name->type) {
	case CHALLENGE_TLS_ALPN_01:
		buf_printf(out, "%.*s on port %u (acme-tls/1)", STR_ARG(host), f->https_port);
		return;
	case CHALLENGE_DNS_01:
		buf_printf(out, "for the TXT record of _acme-challenge.%.*s", STR_ARG(host));
		return;
	case CHALLENGE_DNS_PERSIST_01:
		buf_printf(out, "for the TXT record of _validation-persist.%.*s", STR_ARG(host));
		return;
	case CHALLENGE_HTTP_01:
	case CHALLENGE_TYPE_COUNT:
		buf_printf(out, "http://%.*s", STR_ARG(host));
		if (f->http_port != 80)
			buf_printf(out, ":%u", f->http_port);
		buf_printf(out, "/.well-known/acme-challenge/%.*s", STR_ARG(name->token));
	}
}

/* RFC 8555 8.3 and 7.1.5: the CA may tell each URL that it asked; the last one failed. */
static void add_asked(struct buf *out, const struct json *challenge, const struct flow *f,
        const struct flow_name *name)
{
	const struct json *records = json_array(challenge, "validationRecord");
	const struct json *last =
	        json_count(records) ? json_at(records, json_count(records) - 1) : NULL;
	const struct str url = json_text(last, "url"), address = json_text(last, "addressUsed");
	if (url.n)
		buf_add(out, str_head(url, 300));
	else
		add_place(out, f, name);
	if (address.n)
		buf_printf(out, " at %.*s", STR_ARG(str_head(address, 60)));
}

static struct next say_failed(struct flow *f, const struct answer *a, size_t at)
{
	const struct flow_name *name = &f->names[at];
	const struct json *challenge = challenge_of(json_array(a->body, "challenges"), name->type);
	const struct json *error = json_object(challenge, "error");
	if (error)
		problem_keep(f, error, a->reply->status);
	BUF_AUTO asked = BUF_INIT(1024), advised = BUF_INIT(512);
	add_asked(&asked, challenge, f, name);
	add_advice(&advised, f, name);
	const struct str words = problem_words(f), status = json_text(a->body, "status");
	struct next n = words.n ? fail(ERR_REFUSED,
	                                  "%.*s could not prove control of %.*s." ERR_WHY
	                                  "It asked %s and says: %.*s." ERR_REMEDY "%s",
	                                  STR_ARG(ca_of(f)), STR_ARG(name->name), buf_c(&asked),
	                                  STR_ARG(words), buf_c(&advised))
	                        : fail(ERR_REFUSED,
	                                  "%.*s calls the authorization of %.*s %.*s and does not "
	                                  "say why." ERR_REMEDY "Try again; if it "
	                                  "comes back, ask the CA about %.*s.",
	                                  STR_ARG(ca_of(f)), STR_ARG(name->name),
	                                  STR_ARG(str_head(status, 40)), STR_ARG(name->authz));
	n.ca_at_fault = str_eq_c(f->problem.type, "serverInternal");
	return n;
}

/* Whether it is the way of proving that failed: what the CA will not issue, or not now, it will not
 * by another proof. */
static bool other_may_help(const struct flow *f)
{
	static const char *const ways[] = { "connection", "dns", "incorrectResponse", "tls",
		"unauthorized" };
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (str_eq_c(f->problem.type, ways[i]))
			return f->other_types < OTHER_TYPES_MOST;
	return false;
}

/* The type that failed is taken out of the name's choice; NULL: none of the others is offered. */
static const char *next_type(struct flow_name *name)
{
	struct challenge_choice left = { 0 };
	const char *next = NULL;
	for (size_t i = 0; i < name->choice.count; i++) {
		const enum challenge_type type = name->choice.types[i];
		if (type == name->type)
			continue;
		left.types[left.count++] = type;
		if (!next && name->offered >> type & 1)
			next = challenge_type_name(type);
	}
	if (next)
		name->choice = left;
	return next;
}

/* What is not answered does not fail: another challenge of the same authorization may be. */
struct next flow_unplaced(struct flow *f, size_t at, const struct err *why)
{
	struct flow_name *name = &f->names[at];
	const enum challenge_type failed = name->type;
	const char *next = next_type(name);
	if (!next)
		return flow_did(f, why);
	name->challenge = name->token = STR_NONE;
	f->note = arena_printf(&f->arena,
	        "The proof of %.*s by %s could not be put in place, %s is tried.",
	        STR_ARG(name->name), challenge_type_name(failed), next);
	struct next n = go_to_name(ACME_STEP_authz, at);
	n.unplaced = true;
	n.err = *why;
	return n;
}

/* RFC 8555 7.1.6: an authorization that failed stays so; another proof needs another order. */
static struct next order_anew(struct flow *f, size_t at, const struct err *why, const char *next)
{
	f->other_types++;
	f->order = f->finalize = f->certificate = STR_NONE;
	f->order_invalid = false;
	f->poll_wait = POLL_FIRST;
	f->note = arena_printf(&f->arena, "The proof of %.*s by %s failed, %s is tried.",
	        STR_ARG(f->names[at].name), challenge_type_name(f->names[at].type), next);
	struct next n = go_to_name(ACME_STEP_order, at);
	n.other_type = true;
	n.err = *why;
	return n;
}

struct next proof_failed(struct flow *f, const struct answer *a, size_t at)
{
	const struct next n = say_failed(f, a, at);
	const char *next = other_may_help(f) ? next_type(&f->names[at]) : NULL;
	return next ? order_anew(f, at, &n.err, next) : n;
}
