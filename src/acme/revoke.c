/* Revocation by the account's key (RFC 8555 7.6). */
#include "acme/step.h"

void flow_set_revoke(struct flow *f, const struct flow_want *want)
{
	BUF_AUTO base64 = BUF_INIT(ACME_PAYLOAD_MOST);
	buf_add_base64url(&base64, want->revoke);
	keep(f, &f->revoke, buf_str(&base64));
	f->revoke_reason = want->revoke_reason;
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
	return post(f, f->directory.revoke_cert);
}

/* Also of "alreadyRevoked": so a lost answer is asked for once more without harm. */
struct next heard_revoke(struct flow *f, const struct answer *a)
{
	(void)f;
	(void)a;
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
