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
	return go_to(f->in_doubt ? ACME_STEP_which_key : ACME_STEP_rollover);
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

/* RFC 8555 7.3.5: signed by both keys; the next one is stored before the CA hears of it.
 *
 * From then on the CA knows the account by one of the two, and only the CA knows by which: unless
 * it says in so many words that the key is changed, it is asked for the account by the next key,
 * then by that of now. */
enum { KEY_CHANGES_MOST = 3 };

struct acme_ask ask_rollover(struct flow *f)
{
	if (!f->inner.n)
		return (struct acme_ask){ .effect = ACME_NEXT_KEY };
	buf_add(&f->payload, f->inner);
	return post(f, f->directory.key_change);
}

struct next heard_rollover(struct flow *f, const struct answer *a)
{
	(void)f;
	return a->body ? (struct next){ .what = FLOW_DONE } : go_to(ACME_STEP_which_key);
}

struct next heard_rollover_refused(struct flow *f, const struct answer *a)
{
	const struct next n = refused(f, a);
	const struct str says = err_message(&n.err), remedy = err_remedy(&n.err);
	f->refusal =
	        arena_printf(&f->arena, "%.*s" ERR_REMEDY "%.*s", STR_ARG(says), STR_ARG(remedy));
	return go_to(ACME_STEP_which_key);
}

/* RFC 8555 7.3.1 */
static struct acme_ask ask_which(struct flow *f, enum acme_effect by)
{
	buf_add_c(&f->payload, "{\"onlyReturnExisting\":true}");
	struct acme_ask ask = post(f, f->directory.new_account);
	ask.effect = by;
	return ask;
}

struct acme_ask ask_which_key(struct flow *f)
{
	return ask_which(f, ACME_POST_NEW);
}

struct next heard_which_key(struct flow *f, const struct answer *a)
{
	if (!url_usable(f->directory_url, a->reply->location))
		return not_acme(f, a, "URL of the account (Location)");
	/* The next key may be another account's, which the CA says of it by 409 as well. */
	return str_eq(a->reply->location, f->account) ? (struct next){ .what = FLOW_DONE }
	                                              : go_to(ACME_STEP_which_old);
}

struct next heard_no_next_key(struct flow *f, const struct answer *a)
{
	(void)f;
	(void)a;
	return go_to(ACME_STEP_which_old);
}

struct acme_ask ask_which_old(struct flow *f)
{
	return ask_which(f, ACME_POST_JWK);
}

/* The key of now is the account's: the change is asked for again, unless it was refused. */
struct next heard_which_old(struct flow *f, const struct answer *a)
{
	if (!str_eq(a->reply->location, f->account))
		return not_acme(f, a, "URL of the account (Location)");
	f->in_doubt = false;
	if (f->refusal.n)
		return fail(ERR_REFUSED, "%.*s", STR_ARG(f->refusal));
	if (++f->key_changes < KEY_CHANGES_MOST)
		return go_to(ACME_STEP_rollover);
	return fail(ERR_UNREACHABLE,
	        "%.*s was asked %d times for another key of the account, and does not do "
	        "it." ERR_REMEDY "The account goes on with the key that it has. Ask for the change "
	        "once more another day.",
	        STR_ARG(ca_of(f)), KEY_CHANGES_MOST);
}

/* Between the two questions it may have changed. */
struct next heard_neither_key(struct flow *f, const struct answer *a)
{
	(void)a;
	if (!f->neither) {
		f->neither = true;
		return go_to(ACME_STEP_which_key);
	}
	f->in_doubt = false;
	return fail(ERR_NOT_FOUND,
	        "%.*s knows no account of ours by its next key, and none by that of "
	        "now." ERR_REMEDY "Another one is made with the next certificate from there.",
	        STR_ARG(ca_of(f)));
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

/* RFC 8555 7.3.2 and 7.3.6: the account as it is now. A page of somebody in between is not it. */
struct next heard_changed(struct flow *f, const struct answer *a)
{
	if (a->reply->body.n && !a->body)
		return not_acme(f, a, "");
	return (struct next){ .what = FLOW_DONE };
}
