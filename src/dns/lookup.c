/* A look-up: one question; CAA and SOA up the tree. */
#include "dns/dns.h"

/* RFC 8659 3: the parent, unless that is the root. A zone begins at its SOA. */
static bool climb(struct dns_lookup *l)
{
	size_t dot = str_find(l->asked, '.');
	if ((l->type != DNS_CAA && l->type != DNS_SOA) || dot + 1 >= l->asked.n)
		return false;
	l->asked = str_from(l->asked, dot + 1);
	l->owner = l->asked;
	return true;
}

static bool make(struct dns_exchange *x, struct buf *out)
{
	const struct dns_lookup *l = OWNER(x, struct dns_lookup, exchange);
	const struct dns_asked asked = { l->asked, l->type, x->id, l->authoritative };
	return dns_question(out, &asked);
}

static enum dns_heard heard(struct dns_exchange *x, struct str bytes, enum dns_outcome *ret_outcome)
{
	struct dns_lookup *l = OWNER(x, struct dns_lookup, exchange);
	const struct dns_asked asked = { l->asked, l->type, x->id, l->authoritative };
	if (!dns_read(bytes, &asked, &l->answer))
		return DNS_HEARD_FOREIGN;
	const enum dns_outcome o = *ret_outcome = l->answer.outcome;
	if (l->answer.cut && !x->tcp)
		return DNS_HEARD_CUT;
	if (o == DNS_FAILED || o == DNS_REFUSED || o == DNS_GARBLED)
		return DNS_HEARD_ERROR;
	return o != DNS_FOUND && climb(l) ? DNS_HEARD_AGAIN : DNS_HEARD_END;
}

static void done(struct dns_exchange *x, enum dns_outcome outcome)
{
	struct dns_lookup *l = OWNER(x, struct dns_lookup, exchange);
	l->answer.outcome = outcome;
	l->done(l);
}

void dns_lookup_start(struct dns_lookup *l, struct loop *loop)
{
	l->exchange.make = make;
	l->exchange.heard = heard;
	l->exchange.done = done;
	dns_answer_init(&l->answer);
	snprintf(l->name_text, sizeof l->name_text, "%.*s",
	        STR_ARG(str_head(l->name, DNS_NAME_MOST)));
	l->name = l->owner = l->asked = str_c(l->name_text);
	dns_exchange_start(&l->exchange, loop);
}

void dns_lookup_abort(struct dns_lookup *l)
{
	dns_exchange_abort(&l->exchange);
}

void dns_lookup_done(struct dns_lookup *l)
{
	dns_lookup_abort(l);
	dns_answer_done(&l->answer);
}
