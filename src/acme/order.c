/* The order: its status drives all that follows (RFC 8555 7.1.6). */
#include "acme/step.h"

#include "base/ip.h"

/* RFC 8738: addresses are identifiers of a type of their own. */
static const char *identifier_type(struct str name)
{
	return ip_is(name) ? "ip" : "dns";
}

bool profile_known(const struct flow *f)
{
	for (size_t i = 0; i < f->directory.profile_count; i++)
		if (str_eq(f->directory.profiles[i].name, f->profile))
			return true;
	return f->profile.n == 0;
}

/* Let's Encrypt certifies addresses in that one alone. */
struct str order_profile(const struct flow *f)
{
	static const struct str for_addresses = STR_INIT("shortlived");
	bool any = false;
	for (size_t i = 0; i < f->name_count; i++)
		any |= ip_is(f->names[i].name);
	for (size_t i = 0; any && !f->profile.n && i < f->directory.profile_count; i++)
		if (str_eq(f->directory.profiles[i].name, for_addresses))
			return for_addresses;
	return f->profile;
}

struct next fail_profile(const struct flow *f)
{
	const struct acme_directory *d = &f->directory;
	BUF_AUTO known = BUF_INIT(512);
	for (size_t i = 0; i < d->profile_count; i++)
		buf_printf(&known, "%s%.*s", i ? ", " : "", STR_ARG(d->profiles[i].name));
	return fail(ERR_INPUT, "%.*s offers no profile \"%.*s\"; it has %s." ERR_REMEDY "%s",
	        STR_ARG(ca_of(f)), STR_ARG(f->profile), known.n ? buf_c(&known) : "none",
	        known.n ? "Choose one of them, or none." : "Order without a profile.");
}

/* RFC 8555 7.4; profile: draft-ietf-acme-profiles; replaces: RFC 9773 5 */
struct acme_ask ask_new_order(struct flow *f)
{
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	json_write_array(&w, "identifiers");
	for (size_t i = 0; i < f->name_count; i++) {
		json_write_object(&w, NULL);
		json_write_c(&w, "type", identifier_type(f->names[i].name));
		json_write_text(&w, "value", f->names[i].name);
		json_write_end(&w);
	}
	json_write_end(&w);
	if (order_profile(f).n)
		json_write_text(&w, "profile", order_profile(f));
	/* RFC 9773 5: for CAs that offer renewal information */
	if (f->replaces.n && f->directory.renewal_info.n)
		json_write_text(&w, "replaces", f->replaces);
	json_write_end(&w);
	return post(f, f->directory.new_order);
}

/* RFC 8555 7.1.3: there may be fewer authorizations than names; what is not asked is proved. */
static bool read_authorizations(struct flow *f, const struct json *list)
{
	for (size_t i = 0; i < f->name_count; i++) {
		struct flow_name fresh = { .name = f->names[i].name,
			.choice = f->names[i].choice,
			.valid = i >= json_count(list) };
		if (!fresh.valid && !keep_url(f, &fresh.authz, json_value_text(json_at(list, i))))
			return false;
		f->names[i] = fresh;
	}
	return true;
}

struct next heard_order(struct flow *f, const struct answer *a)
{
	const struct json *list = json_array(a->body, "authorizations");
	const struct str status = json_text(a->body, "status");
	const bool pending = status.n == 0 || str_eq_c(status, "pending");
	if (json_count(list) > f->name_count)
		return fail(ERR_PROTOCOL,
		        "%.*s asks for %zu proofs for %zu names, which cannot be "
		        "followed." ERR_REMEDY "Choose "
		        "another "
		        "issuer.",
		        STR_ARG(ca_of(f)), json_count(list), f->name_count);
	if (pending && json_count(list) == 0)
		return not_acme(f, a, "\"authorizations\"");
	if (!read_authorizations(f, list))
		return not_acme(f, a, "URL in \"authorizations\"");
	if (!keep_url(f, &f->order, a->reply->location))
		return not_acme(f, a, "URL of the order (Location)");
	if (!pending)
		return heard_await(f, a);
	keep_url(f, &f->finalize, json_text(a->body, "finalize"));
	return go_names(f);
}

/* RFC 9773 5: 409 alreadyReplaced; other CAs say 403, 404 or 500 of a certificate that they do not
 * want to see replaced. Without `replaces` it is an order like any other. */
struct next heard_order_refused(struct flow *f, const struct answer *a)
{
	const unsigned status = a->reply->status;
	if (f->replaces.n == 0 ||
	        (status != 403 && status != 404 && status != 409 && status != 500))
		return refused(f, a);
	f->replaces = STR_NONE;
	f->directory_kept = false; /* it is right: an order was heard there */
	return go_to(ACME_STEP_order);
}

struct acme_ask ask_order(struct flow *f)
{
	return tokens_missing(f) ? publish() : post_as_get(f->order);
}

static struct next heard_pending(struct flow *f, const struct answer *a)
{
	const struct next n = go_names(f);
	if (n.step != ACME_STEP_await)
		return n;
	return poll_again(f, a, ACME_STEP_await, "the CA is checking the names");
}

static struct next heard_ready(struct flow *f, const struct answer *a)
{
	for (size_t i = 0; i < f->name_count; i++)
		f->names[i].valid = true;
	if (f->step == ACME_STEP_finalize)
		return poll_again(
		        f, a, ACME_STEP_await, "the CA has not taken the certificate request");
	if (f->finalize.n == 0)
		return not_acme(f, a, "URL in \"finalize\"");
	if (f->csr.n == 0)
		f->poll_wait = POLL_FIRST; /* another thing to wait for */
	return go_to(ACME_STEP_finalize);
}

/* Answers to await and finalize alike: both are the order. */
struct next heard_await(struct flow *f, const struct answer *a)
{
	const struct str status = json_text(a->body, "status");
	keep_url(f, &f->finalize, json_text(a->body, "finalize"));
	if (str_eq_c(status, "pending"))
		return heard_pending(f, a);
	if (str_eq_c(status, "processing"))
		return poll_again(f, a, ACME_STEP_await, "the CA is making the certificate");
	if (str_eq_c(status, "ready"))
		return heard_ready(f, a);
	if (str_eq_c(status, "invalid")) {
		problem_keep(f, json_object(a->body, "error"), a->reply->status);
		return why_invalid(f);
	}
	if (!str_eq_c(status, "valid") && f->step == ACME_STEP_finalize)
		return poll_again(f, a, ACME_STEP_await,
		        "the CA does not say what became of the certificate request");
	if (!str_eq_c(status, "valid"))
		return not_acme(f, a, "\"status\"");
	if (!keep_url(f, &f->certificate, json_text(a->body, "certificate")))
		return not_acme(f, a, "URL in \"certificate\"");
	return go_to(ACME_STEP_download);
}

struct next fail_invalid(struct flow *f)
{
	const struct str words = problem_words(f);
	if (words.n == 0)
		return fail(ERR_REFUSED,
		        "%.*s gave the order up (it is \"invalid\") and does not "
		        "say why." ERR_REMEDY "Try "
		        "again; if it "
		        "comes back, ask the CA about %.*s.",
		        STR_ARG(ca_of(f)), STR_ARG(f->order));
	struct next n = fail(ERR_REFUSED, "%.*s gave the order up: %.*s." ERR_REMEDY "%s",
	        STR_ARG(ca_of(f)), STR_ARG(words), problem_advice(f->problem.type));
	n.ca_at_fault = str_eq_c(f->problem.type, "serverInternal");
	return n;
}
