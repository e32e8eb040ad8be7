/* Changes of the account: its contact, its key, its end. */
#include "acme/step.h"

struct next go_change(const struct flow *f)
{
	switch (f->change) {
	case CHANGE_contact:
		return go_to(ACME_STEP_contact);
	case CHANGE_deactivate:
		return go_to(ACME_STEP_deactivate);
	case CHANGE_rollover:
	case CHANGE_none:
		break;
	}
	if (!f->directory.key_change.n)
		return fail(ERR_REFUSED,
		        "%.*s offers no change of an account's key: its directory has no usable "
		        "\"keyChange\"." ERR_REMEDY "Deactivate the account instead: the next "
		        "certificate makes a new one.",
		        STR_ARG(ca_of(f)));
	return go_to(f->inner.n ? ACME_STEP_which_key : ACME_STEP_rollover);
}

/* RFC 8555 7.3.2 */
struct acme_ask ask_contact(struct flow *f)
{
	struct json_writer w;
	json_write_init(&w, &f->payload);
	json_write_object(&w, NULL);
	write_contact(f, &w);
	json_write_end(&w);
	return post(f, f->account);
}

/* RFC 8555 7.3.5: signed by both keys; the next one is stored before the CA hears of it. */
struct acme_ask ask_rollover(struct flow *f)
{
	if (!f->inner.n)
		return (struct acme_ask){ .effect = ACME_NEXT_KEY };
	buf_add(&f->payload, f->inner);
	return post(f, f->directory.key_change);
}

/* Nobody knows whether we were heard: an account that the next key finds has it. */
struct acme_ask ask_which_key(struct flow *f)
{
	buf_add_c(&f->payload, "{\"onlyReturnExisting\":true}");
	struct acme_ask ask = post(f, f->directory.new_account);
	ask.effect = ACME_POST_NEW;
	return ask;
}

struct next heard_old_key(struct flow *f, const struct answer *a)
{
	(void)f;
	(void)a;
	return go_to(ACME_STEP_rollover);
}

/* 409 names the account that has this key: ours, if we were heard before. */
struct next heard_rollover_refused(struct flow *f, const struct answer *a)
{
	if (a->reply->status == 409 && str_eq(a->reply->location, f->account))
		return (struct next){ .what = FLOW_DONE };
	return refused(f, a);
}

/* RFC 8555 7.3.6 */
struct acme_ask ask_deactivate(struct flow *f)
{
	buf_add_c(&f->payload, "{\"status\":\"deactivated\"}");
	return post(f, f->account);
}

/* Who has lost an answer before may have been heard: the key is good for nothing since. */
struct next heard_deactivate_refused(struct flow *f, const struct answer *a)
{
	if (f->lost && str_eq_c(f->problem.type, "unauthorized"))
		return (struct next){ .what = FLOW_DONE };
	return refused(f, a);
}

struct next heard_changed(struct flow *f, const struct answer *a)
{
	(void)f;
	(void)a;
	return (struct next){ .what = FLOW_DONE };
}
