/* Whether the CNAME is there that lets a zone of our own prove the name. */
#include "diagnose/facts.h"

static struct str last_line(struct str lines)
{
	struct str last = STR_NONE, line;
	while (str_split(&lines, '\n', &line))
		if (line.n)
			last = line;
	return last;
}

static void say(struct findings *out, const struct finding *said)
{
	const struct facts *f = out->facts;
	struct finding finding = *said;
	finding.area = AREA_DNS;
	finding.subject = f->delegation.name;
	finding.stops = finding.state == FINDING_PROBLEM && f->delegation.needed;
	finding.proof =
	        proof_of_asked(out->arena, &f->delegation.asked, DNS_TXT, f->delegation.name);
	finding_add(out, &finding);
}

/* What does not work without it. */
static struct str without(struct arena *a, const struct facts *f)
{
	return arena_printf(a,
	        f->delegation.needed ? "Proofs by DNS fail, and without them *.%.*s gets no "
	                               "certificate."
	                             : "Proofs by DNS fail for %.*s.",
	        STR_ARG(f->name));
}

static void say_missing(struct findings *out, struct str leads_to)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const struct str why = without(a, f);
	say(out,
	        &(struct finding){ .state = FINDING_PROBLEM,
	                .what = leads_to.n ? STR("CNAME elsewhere") : STR("No CNAME"),
	                .sentence = leads_to.n ? arena_printf(a,
	                                                 "Its CNAME leads to %.*s, not to the zone "
	                                                 "that Everseal answers. %.*s",
	                                                 STR_ARG(leads_to), STR_ARG(why))
	                                       : arena_printf(a,
	                                                 "No CNAME leads from there to the zone "
	                                                 "that Everseal answers. %.*s",
	                                                 STR_ARG(why)),
	                .fix = arena_printf(a,
	                        "%s this record where the domain's DNS is managed: %.*s",
	                        leads_to.n ? "Correct it to" : "Add",
	                        STR_ARG(f->delegation.record)) });
}

/* The CNAME is right, or cannot be seen; asked through it, nobody answers. */
static void say_failed(struct findings *out, bool leads_here)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const struct str why = without(a, f);
	say(out,
	        &(struct finding){ .state = FINDING_PROBLEM,
	                .what = STR("SERVFAIL"),
	                .sentence = leads_here
	                                    ? arena_printf(a,
	                                              "Its CNAME is right, but nobody answers for "
	                                              "the zone that it leads to. %.*s",
	                                              STR_ARG(why))
	                                    : arena_printf(a,
	                                              "DNS answers SERVFAIL: the domain's name "
	                                              "servers do not answer, or its DNSSEC is "
	                                              "broken. %.*s",
	                                              STR_ARG(why)),
	                .fix = leads_here
	                               ? STR("Let the NS record of that zone lead to this machine, "
	                                     "and open port 53 (UDP and TCP) to it.")
	                               : STR("Have the domain's name servers or its DNSSEC "
	                                     "repaired.") });
}

void judge_delegation(struct findings *out)
{
	const struct facts *f = out->facts;
	const struct fact_question *q = &f->delegation.asked;
	const struct str leads_to = last_line(q->aliases);
	const bool leads_here = leads_to.n && str_eq_nocase(leads_to, f->delegation.target);
	if (!f->delegation.name.n || !q->done)
		return;
	if (q->err.code == ERR_NONE && q->outcome == DNS_FAILED && (leads_here || !leads_to.n))
		say_failed(out, leads_here);
	else if (leads_here)
		say(out, &(struct finding){ .state = FINDING_OK,
		                 .what = STR("CNAME"),
		                 .sentence =
		                         STR("Leads to the zone that Everseal answers: proofs by "
		                             "DNS can be given.") });
	else if (q->err.code == ERR_NONE &&
	         (leads_to.n || q->outcome == DNS_FOUND || q->outcome == DNS_NONE ||
	                 q->outcome == DNS_NO_NAME))
		say_missing(out, leads_to);
	else
		say(out, &(struct finding){ .state = FINDING_UNSEEN,
		                 .what = STR("CNAME"),
		                 .sentence =
		                         STR("Whether its CNAME leads to the zone that Everseal "
		                             "answers was not seen: the resolver did not answer."),
		                 .fix = STR("Check `resolver` in the configuration, or "
		                            "/etc/resolv.conf.") });
}
