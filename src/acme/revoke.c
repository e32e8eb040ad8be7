/* Revocation by the account's key (RFC 8555 7.6); where the account is gone, or is another one than
 * the certificate was ordered by, by the certificate's own. */
#include "acme/step.h"

void flow_set_revoke(struct flow *f, const struct flow_want *want)
{
	BUF_AUTO base64 = BUF_INIT(ACME_PAYLOAD_MOST);
	buf_add_base64url(&base64, want->revoke);
	keep(f, &f->revoke, buf_str(&base64));
	f->revoke_reason = want->revoke_reason;
	f->has_key = want->has_key;
}

bool revoke_by_key(struct flow *f)
{
	const bool can = f->revoke.n && f->has_key && !f->by_key;
	f->by_key |= can;
	return can;
}

struct next go_revoke(const struct flow *f)
{
	if (f->directory.revoke_cert.n)
		return go_to(ACME_STEP_revoke);
	return fail(ERR_REFUSED,
	        "%.*s offers no revocation: its directory has no usable \"revokeCert\"." ERR_REMEDY
	        "Ask the CA how it revokes.",
	        STR_ARG(ca_of(f)));
}

/* The reason "unspecified" is best left out (RFC 5280 5.3.1). */
struct acme_ask ask_revoke(struct flow *f)
{
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	json_write_text(&w, "certificate", f->revoke);
	if (f->revoke_reason)
		json_write_int(&w, "reason", f->revoke_reason);
	json_write_end(&w);
	struct acme_ask ask = post(f, f->directory.revoke_cert);
	if (f->by_key)
		ask.effect = ACME_POST_NEW;
	return ask;
}

struct next heard_revoke_refused(struct flow *f, const struct answer *a)
{
	const bool unknown = str_eq_c(f->problem.type, "accountDoesNotExist");
	if ((unknown || str_eq_c(f->problem.type, "unauthorized")) && revoke_by_key(f))
		return go_revoke(f);
	return unknown && !f->by_key ? heard_account_gone(f, a) : refused(f, a);
}

/* Also of "alreadyRevoked": so a lost answer is asked for once more without harm, and so is one of
 * somebody in between (RFC 8555 7.6: there is nothing to say but the status). */
struct next heard_revoke(struct flow *f, const struct answer *a)
{
	if (a->reply->body.n && !a->body)
		return not_acme(f, a, "");
	return (struct next){ .what = FLOW_DONE };
}

bool acme_reason_from_name(struct str name, unsigned *ret_reason)
{
	static const struct {
		unsigned number;
		const char *name;
	} reasons[] = {
#define X(number, name) { number, name },
		REVOKE_REASONS(X)
#undef X
	};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (str_eq_c(name, reasons[i].name)) {
			*ret_reason = reasons[i].number;
			return true;
		}
	return false;
}
