/* CAA (RFC 8659), with the account and the methods that RFC 8657 adds, as a CA would judge it for
 * names without a wildcard. */
#include "diagnose/facts.h"

struct caa {
	bool issue, forbidden_by_unknown;
	bool ours, our_account, our_method; /* the best of the records that name us */
	struct str others;                  /* those that are named, for the sentence */
	struct str unknown, account, methods;
};

static struct str next_word(struct str *rest)
{
	size_t space = str_find(*rest, ' ');
	struct str word = str_head(*rest, space);
	*rest = str_from(*rest, space + 1);
	return word;
}

static bool is_identity(const struct facts *f, struct str domain)
{
	struct str rest = f->ca.identities, line;
	while (str_split(&rest, '\n', &line))
		if (str_eq_nocase(line, domain))
			return true;
	return false;
}

static bool has_method(struct str methods, const char *method)
{
	struct str one;
	while (str_split(&methods, ',', &one))
		if (str_eq_c(str_trim(one), method))
			return true;
	return false;
}

/* RFC 8659 4.2: the domain, then "; name=value" any number of times. */
static void read_issue(struct arena *a, const struct facts *f, struct str value, struct caa *c)
{
	struct str domain, parameter;
	bool account = true, method = true;
	if (!str_split(&value, ';', &domain))
		domain = STR("");
	domain = str_trim(domain);
	c->issue = true;
	if (!domain.n || !is_identity(f, domain)) {
		if (domain.n)
			c->others = c->others.n ? arena_printf(a, "%.*s, %.*s", STR_ARG(c->others),
			                                  STR_ARG(domain))
			                        : domain;
		return;
	}
	while (str_split(&value, ';', &parameter)) {
		size_t equals = str_find(parameter, '=');
		struct str name = str_trim(str_head(parameter, equals));
		struct str is = str_trim(str_from(parameter, equals + 1));
		if (str_eq_nocase(name, STR("accounturi"))) {
			account = f->ca.account.n && str_eq(is, f->ca.account);
			c->account = is;
		} else if (str_eq_nocase(name, STR("validationmethods"))) {
			method = has_method(is, "http-01");
			c->methods = is;
		}
	}
	c->ours = true;
	c->our_account |= account && method;
	c->our_method |= method;
}

static void read_record(struct arena *a, const struct facts *f, struct str line, struct caa *c)
{
	uint64_t flags = 0;
	bool critical = str_to_u64(next_word(&line), &flags) && (flags & 128);
	struct str tag = next_word(&line);
	static const char *const known[] = { "issue", "issuewild", "iodef", "issuemail",
		"contactemail", "contactphone", "issuevmc" };
	bool is_known = false;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		is_known |= str_eq_nocase(tag, str_c(known[i]));
	if (str_eq_nocase(tag, STR("issue")))
		read_issue(a, f, line, c);
	if (critical && !is_known) {
		c->forbidden_by_unknown = true;
		c->unknown = tag;
	}
}

static struct str identity(const struct facts *f)
{
	return str_head(f->ca.identities, str_find(f->ca.identities, '\n'));
}

static void add_verdict(struct findings *out, struct finding *finding)
{
	const struct facts *f = out->facts;
	const struct fact_question *q = &f->questions[DNS_CAA];
	finding->area = AREA_CAA;
	finding->stops = finding->state == FINDING_PROBLEM;
	if (!finding->what.n)
		finding->what = q->owner.n ? q->owner : f->name;
	finding->proof = proof_of_question(out->arena, f, DNS_CAA);
	finding_add(out, finding);
}

static void problem(struct findings *out, struct str sentence, struct str fix)
{
	add_verdict(out,
	        &(struct finding){ .state = FINDING_PROBLEM, .sentence = sentence, .fix = fix });
}

static void say_refused(struct findings *out, const struct caa *c)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	struct str id = identity(f), owner = f->questions[DNS_CAA].owner;
	struct str fix = arena_printf(a,
	        "Add to %.*s the record CAA 0 issue \"%.*s\", or remove the CAA records there.",
	        STR_ARG(owner), STR_ARG(id));
	if (c->others.n)
		problem(out,
		        arena_printf(a, "Allows only %.*s: %.*s refuses.", STR_ARG(c->others),
		                STR_ARG(f->ca.title)),
		        fix);
	else
		problem(out,
		        arena_printf(a, "Forbids every authority to issue: %.*s refuses.",
		                STR_ARG(f->ca.title)),
		        fix);
}

static void say_method(struct findings *out, const struct caa *c)
{
	struct arena *a = out->arena;
	problem(out,
	        arena_printf(a,
	                "Allows %.*s only by %.*s; Everseal proves control by http-01, and %.*s "
	                "refuses that.",
	                STR_ARG(identity(out->facts)), STR_ARG(c->methods),
	                STR_ARG(out->facts->ca.title)),
	        STR("Add http-01 to validationmethods in the CAA record, or take that part out."));
}

static void say_account(struct findings *out, const struct caa *c)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	if (f->ca.account.n) {
		problem(out,
		        arena_printf(a,
		                "Allows %.*s for the account %.*s only; Everseal's is %.*s, and "
		                "%.*s refuses that.",
		                STR_ARG(identity(f)), STR_ARG(c->account), STR_ARG(f->ca.account),
		                STR_ARG(f->ca.title)),
		        arena_printf(a, "Put accounturi=%.*s into the CAA record.",
		                STR_ARG(f->ca.account)));
		return;
	}
	add_verdict(out,
	        &(struct finding){ .state = FINDING_WARNING,
	                .sentence = arena_printf(a,
	                        "Allows %.*s for the account %.*s only. Everseal has no account "
	                        "there yet; the one that it makes will be another.",
	                        STR_ARG(identity(f)), STR_ARG(c->account)),
	                .fix = STR("Take accounturi out of the CAA record, register, and put "
	                           "Everseal's own account in: Issuers shows it.") });
}

static void say_allowed(struct findings *out, const struct caa *c)
{
	struct arena *a = out->arena;
	struct str by = c->methods.n ? arena_printf(a, "by %.*s", STR_ARG(c->methods))
	                             : STR("by any method");
	struct str whom = c->account.n ? STR("Everseal's account") : STR("any account");
	add_verdict(
	        out, &(struct finding){ .state = FINDING_OK,
	                     .sentence = arena_printf(a, "Allows %.*s, %.*s and %.*s.",
	                             STR_ARG(identity(out->facts)), STR_ARG(by), STR_ARG(whom)) });
}

static void judge_records(struct findings *out)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	struct caa c = { 0 };
	struct str rest = f->questions[DNS_CAA].records, line;
	while (str_split(&rest, '\n', &line))
		if (line.n)
			read_record(a, f, line, &c);
	if (c.forbidden_by_unknown)
		problem(out,
		        arena_printf(a,
		                "Has a critical record \"%.*s\" that authorities do not know: they "
		                "refuse then.",
		                STR_ARG(c.unknown)),
		        STR("Remove that record, or take its flag 128 off."));
	else if (!c.issue)
		add_verdict(out, &(struct finding){ .state = FINDING_OK,
		                         .sentence = STR("Its CAA records restrict nobody who "
		                                         "issues for this name.") });
	else if (!f->ca.identities.n)
		add_verdict(out,
		        &(struct finding){ .state = FINDING_UNSEEN,
		                .sentence = arena_printf(a,
		                        "Allows only %.*s; %.*s does not say by which name CAA "
		                        "records know it.",
		                        STR_ARG(c.others.n ? c.others : STR("nobody")),
		                        STR_ARG(f->ca.title)),
		                .fix = STR("Ask whoever runs that authority for its CAA name.") });
	else if (!c.ours)
		say_refused(out, &c);
	else if (!c.our_method)
		say_method(out, &c);
	else if (!c.our_account)
		say_account(out, &c);
	else
		say_allowed(out, &c);
}

static void say_unread(struct findings *out)
{
	const struct facts *f = out->facts;
	const struct fact_question *q = &f->questions[DNS_CAA];
	struct arena *a = out->arena;
	if (q->err.code == ERR_NONE && q->outcome == DNS_FAILED)
		problem(out,
		        arena_printf(a,
		                "The CAA records of %.*s cannot be read: DNS answers SERVFAIL. "
		                "%.*s refuses then.",
		                STR_ARG(q->owner), STR_ARG(f->ca.title)),
		        STR("Have the domain's name servers or its DNSSEC repaired, or let them "
		            "answer questions for CAA."));
	else
		add_verdict(out,
		        &(struct finding){ .state = FINDING_UNSEEN,
		                .what = STR("Not read"),
		                .sentence = STR("The CAA records were not seen: this machine's "
		                                "resolver did not answer."),
		                .fix = STR("Check `resolver` in the configuration, or "
		                           "/etc/resolv.conf.") });
}

void judge_caa(struct findings *out)
{
	const struct facts *f = out->facts;
	const struct fact_question *q = &f->questions[DNS_CAA];
	if (!q->done || (!f->ca.done && !f->ca.none))
		return;
	if (f->ca.none)
		add_verdict(out, &(struct finding){ .state = FINDING_OK,
		                         .what = STR("Not asked"),
		                         .sentence = STR("No authority outside is asked: this name "
		                                         "is issued for here.") });
	else if (f->is_address)
		finding_add(out,
		        &(struct finding){ .area = AREA_CAA,
		                .state = FINDING_OK,
		                .what = STR("Not asked"),
		                .sentence = STR("CAA records are about domains: none stands in the "
		                                "way of a certificate for an address.") });
	else if (q->err.code == ERR_NONE && q->outcome == DNS_FOUND)
		judge_records(out);
	else if (q->err.code == ERR_NONE && (q->outcome == DNS_NONE || q->outcome == DNS_NO_NAME))
		add_verdict(
		        out, &(struct finding){ .state = FINDING_OK,
		                     .what = STR("None"),
		                     .sentence = arena_printf(out->arena,
		                             "DNS has no CAA record for %.*s or above it: every "
		                             "authority may issue.",
		                             STR_ARG(f->name)) });
	else
		say_unread(out);
}
