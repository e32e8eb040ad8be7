/* The account: looked up by its key before one is created, so that there never is a second one. */
#include "acme/step.h"

void write_contact(const struct flow *f, struct json_writer *w)
{
	BUF_AUTO mailto = BUF_INIT(1024);
	buf_printf(&mailto, "mailto:%.*s", STR_ARG(f->email));
	json_write_array(w, "contact");
	if (f->email.n)
		json_write_text(w, NULL, buf_str(&mailto));
	json_write_end(w);
}

/* RFC 8555 7.3.1: onlyReturnExisting; 7.3: newAccount. */
struct acme_ask ask_account(struct flow *f)
{
	if (f->account_looked_up && f->can_bind && !f->binding.n)
		return (struct acme_ask){ .effect = ACME_BIND };
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	if (!f->account_looked_up) {
		json_write_bool(&w, "onlyReturnExisting", /* value= */ true);
	} else {
		if (f->terms_agreed)
			json_write_bool(&w, "termsOfServiceAgreed", /* value= */ true);
		if (f->email.n)
			write_contact(f, &w);
		if (f->binding.n)
			json_write_raw(&w, "externalAccountBinding", f->binding);
	}
	json_write_end(&w);
	struct acme_ask ask = post(f, f->directory.new_account);
	ask.effect = ACME_POST_JWK;
	return ask;
}

struct next heard_account(struct flow *f, const struct answer *a)
{
	/* RFC 8555 7.1.2: valid, deactivated, revoked */
	const struct str status = json_text(a->body, "status");
	if (status.n && !str_eq_c(status, "valid") && revoke_by_key(f))
		return go_revoke(f);
	if (status.n && !str_eq_c(status, "valid"))
		return fail(ERR_REFUSED,
		        "The account %.*s at %.*s is %.*s, and an account key cannot be used again "
		        "after "
		        "that." ERR_REMEDY
		        "Remove the stored account key, so that a new account is made.",
		        STR_ARG(a->reply->location), STR_ARG(ca_of(f)),
		        STR_ARG(str_head(status, 40)));
	if (!keep_url(f, &f->account, a->reply->location))
		return not_acme(f, a, "URL of the account (Location)");
	return go_first(f);
}

/* RFC 8555 7.3.4 */
static struct next fail_needs_binding(struct flow *f)
{
	return fail(ERR_REFUSED,
	        "%.*s takes only accounts that are bound to a contract with it (external account "
	        "binding, EAB), and none is configured." ERR_REMEDY
	        "Get a key identifier and a key there, and put them into the issuer's block in "
	        "the configuration, as `eab IDENTIFIER @FILE`; or choose another issuer.",
	        STR_ARG(ca_of(f)));
}

/* What is wrong with an account that was asked for without fault in its contract. */
static bool is_about_binding(const struct flow *f)
{
	static const char *const others[] = { "invalidContact", "unsupportedContact",
		"userActionRequired", "badPublicKey", "badSignatureAlgorithm" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (str_eq_c(f->problem.type, others[i]))
			return false;
	return f->binding.n && f->problem.json.n;
}

/* Some CAs say that they want a binding where they are only asked whether there is an account. */
struct next heard_account_refused(struct flow *f, const struct answer *a)
{
	const bool wants_binding = str_eq_c(f->problem.type, "externalAccountRequired");
	if (wants_binding && !f->account_looked_up && f->can_bind)
		return heard_no_account(f, a);
	/* RFC 8555 7.3.6: what a CA says of an account that is deactivated. */
	if (str_eq_c(f->problem.type, "unauthorized") && revoke_by_key(f))
		return go_revoke(f);
	if (wants_binding && !f->can_bind)
		return fail_needs_binding(f);
	if (!is_about_binding(f))
		return refused(f, a);
	return fail(ERR_REFUSED,
	        "%.*s refused to bind the account (external account binding, EAB): "
	        "%.*s." ERR_REMEDY
	        "Compare `eab` in the issuer's block with what the CA gave you. Many are good "
	        "for one account only: get a new one.",
	        STR_ARG(ca_of(f)), STR_ARG(problem_words(f)));
}

struct next heard_no_account(struct flow *f, const struct answer *a)
{
	if (f->account_looked_up)
		return refused(f, a);
	f->account_looked_up = true;
	if (revoke_by_key(f))
		return go_revoke(f);
	if (f->revoke.n)
		return fail(ERR_REFUSED,
		        "%.*s knows no account of ours, so it does not let us revoke." ERR_REMEDY
		        "Revoke with the account that the certificate was ordered by.",
		        STR_ARG(ca_of(f)));
	if (f->change)
		return fail(ERR_NOT_FOUND,
		        "%.*s knows no account of ours: there is nothing to change." ERR_REMEDY
		        "One is made with the first certificate from there.",
		        STR_ARG(ca_of(f)));
	if (f->directory.external_account_required && !f->can_bind)
		return fail_needs_binding(f);
	if (f->directory.terms.n && !f->terms_agreed)
		return fail(ERR_INPUT,
		        "%.*s makes an account only for who accepts its terms of "
		        "service, %.*s." ERR_REMEDY "Read and "
		        "accept them.",
		        STR_ARG(ca_of(f)), STR_ARG(f->directory.terms));
	return go_to(ACME_STEP_account);
}

/* The CA forgot the account that we know (a test CA was restarted): once, it is looked up anew. */
struct next heard_account_gone(struct flow *f, const struct answer *a)
{
	if (f->account_forgotten)
		return refused(f, a);
	f->account_forgotten = true;
	f->account_looked_up = false;
	f->account = STR_NONE;
	return go_to(ACME_STEP_account);
}
