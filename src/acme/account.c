/* The account: looked up by its key before one is created, so that there never is a second one. */
#include "acme/step.h"

/* RFC 8555 7.3.1: onlyReturnExisting; 7.3: newAccount. */
struct acme_ask ask_account(struct flow *f)
{
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	if (!f->account_looked_up) {
		json_write_bool(&w, "onlyReturnExisting", /* value= */ true);
	} else {
		if (f->terms_agreed)
			json_write_bool(&w, "termsOfServiceAgreed", /* value= */ true);
		if (f->email.n) {
			BUF_AUTO mailto = BUF_INIT(1024);
			buf_printf(&mailto, "mailto:%.*s", STR_ARG(f->email));
			json_write_array(&w, "contact");
			json_write_text(&w, NULL, buf_str(&mailto));
			json_write_end(&w);
		}
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
	        "binding, "
	        "EAB), and this program cannot send one yet." ERR_REMEDY "Choose another issuer.",
	        STR_ARG(ca_of(f)));
}

struct next heard_no_account(struct flow *f, const struct answer *a)
{
	if (f->account_looked_up)
		return refused(f, a);
	f->account_looked_up = true;
	if (f->revoke.n)
		return fail(ERR_REFUSED,
		        "%.*s knows no account of ours, so it does not let us revoke." ERR_REMEDY
		        "Revoke with the account that the certificate was ordered by.",
		        STR_ARG(ca_of(f)));
	if (f->directory.external_account_required)
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
