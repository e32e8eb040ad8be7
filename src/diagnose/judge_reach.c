/* Whether a CA finds this very server behind the name: addresses, port 80, redirects, what stands
 * in between. */
#include "diagnose/facts.h"
#include "fetch/fetch.h"

/* ---- DNS ---- */

static bool failed(const struct fact_question *q)
{
	return q->err.code == ERR_NONE && q->outcome == DNS_FAILED;
}

static bool unseen(const struct fact_question *q)
{
	return q->err.code != ERR_NONE || q->outcome == DNS_REFUSED || q->outcome == DNS_SILENT ||
	       q->outcome == DNS_GARBLED || q->outcome == DNS_NO_SERVER;
}

static void say_failed(struct findings *out, enum dns_type type)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	finding_add(
	        out, &(struct finding){ .area = AREA_DNS,
	                     .state = FINDING_PROBLEM,
	                     .stops = !f->ca.none,
	                     .what = arena_printf(a, "%s record", dns_type_name(type)),
	                     .sentence = arena_printf(a,
	                             "DNS answers SERVFAIL when asked for %s of %.*s: the domain's "
	                             "name servers do not answer, or its DNSSEC is broken. %.*s "
	                             "refuses then.",
	                             dns_type_name(type), STR_ARG(f->name), STR_ARG(f->ca.title)),
	                     .fix = STR("Have the domain's name servers or its DNSSEC repaired."),
	                     .proof = proof_of_question(a, f, type) });
}

static const char *why_unseen(const struct fact_question *q)
{
	if (q->err.code != ERR_NONE)
		return q->err.text;
	switch (q->outcome) {
	case DNS_REFUSED:
		return "the resolver refuses to answer this machine.";
	case DNS_GARBLED:
		return "the resolver answered something that is not DNS.";
	case DNS_NO_SERVER:
		return "no resolver is configured.";
	default:
		return "the resolver did not answer in time.";
	}
}

static void say_unseen(struct findings *out, enum dns_type type)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	finding_add(out,
	        &(struct finding){ .area = AREA_DNS,
	                .state = FINDING_UNSEEN,
	                .what = arena_printf(a, "%s record", dns_type_name(type)),
	                .sentence = arena_printf(a, "DNS was not seen from here: %s",
	                        why_unseen(&f->questions[type])),
	                .fix = STR("Check `resolver` in the configuration, or /etc/resolv.conf."),
	                .proof = proof_of_question(a, f, type) });
}

static struct str last_line(struct str lines)
{
	struct str last = STR_NONE, line;
	while (str_split(&lines, '\n', &line))
		if (line.n)
			last = line;
	return last;
}

static void say_no_address(struct findings *out)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	struct str alias = last_line(f->questions[DNS_A].aliases);
	struct str sentence = STR("DNS has no address for it, seen from here. Registering fails "
	                          "until there is one.");
	struct str fix = arena_printf(a,
	        "Where the domain's DNS is managed, add an A record for %.*s with this machine's "
	        "public address.",
	        STR_ARG(f->name));
	if (alias.n) {
		sentence = arena_printf(a, "%.*s It is an alias of %.*s, which has none.",
		        STR_ARG(sentence), STR_ARG(alias));
		fix = arena_printf(a,
		        "Give %.*s an address, or let %.*s be an alias of another name.",
		        STR_ARG(alias), STR_ARG(f->name));
	}
	finding_add(out, &(struct finding){ .area = AREA_DNS,
	                         .state = FINDING_PROBLEM,
	                         .stops = !f->ca.none,
	                         .what = STR("No address"),
	                         .sentence = sentence,
	                         .fix = fix,
	                         .proof = arena_printf(a, "%.*s\n%.*s",
	                                 STR_ARG(proof_of_question(a, f, DNS_A)),
	                                 STR_ARG(proof_of_question(a, f, DNS_AAAA))) });
}

void judge_dns(struct findings *out)
{
	const struct facts *f = out->facts;
	const struct fact_question *a = &f->questions[DNS_A], *aaaa = &f->questions[DNS_AAAA];
	for (enum dns_type t = DNS_A; t <= DNS_AAAA; t++) {
		if (f->questions[t].done && failed(&f->questions[t]))
			say_failed(out, t);
		else if (f->questions[t].done && unseen(&f->questions[t]))
			say_unseen(out, t);
	}
	if (a->done && aaaa->done && f->addresses_done && !f->address_count && !failed(a) &&
	        !failed(aaaa) && !unseen(a) && !unseen(aaaa))
		say_no_address(out);
	if (f->address_more)
		finding_add(out,
		        &(struct finding){ .area = AREA_DNS,
		                .state = FINDING_UNSEEN,
		                .what = arena_printf(out->arena, "%d more", (int)f->address_more),
		                .sentence = arena_printf(out->arena,
		                        "The name has more addresses than the %d that were tried.",
		                        ADDRESSES_MOST) });
}

/* ---- each address ---- */

/* How to mend that it leads elsewhere, as the beginning of a sentence. */
static struct str lead_here(struct arena *a, const struct facts *f, const struct fact_address *at)
{
	if (f->is_address)
		return arena_printf(
		        a, "Lead port %u of %.*s to this machine", f->http_port, STR_ARG(at->text));
	return arena_printf(a, "Point the %s record to this machine", at->ipv6 ? "AAAA" : "A");
}

static struct str take_public(struct arena *a, const struct facts *f, const struct fact_address *at)
{
	if (f->is_address)
		return STR("Register this network's public address instead, and forward TCP 80 and "
		           "443 to this machine; or take `issuer internal`.");
	return arena_printf(a,
	        "Put this network's public address into the %s record, and forward TCP 80 and 443 "
	        "to this machine.",
	        at->ipv6 ? "AAAA" : "A");
}

/* Within a network of one's own a router often does not lead back in. */
static bool may_be_hairpin(const struct facts *f, const struct fact_address *a)
{
	return !a->ipv6 && a->is_public && !a->ours && f->behind_router;
}

static bool another_is_well(const struct facts *f, const struct fact_address *a)
{
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_path *p = &f->addresses[i].path;
		if (&f->addresses[i] != a && f->addresses[i].ipv6 && p->done &&
		        p->end == CHAIN_ANSWER && p->hops[p->count - 1].matched)
			return true;
	}
	return false;
}

static struct str no_answer(struct arena *a, const struct facts *f, const struct fact_hop *h)
{
	if (h->err.code == ERR_TIMEOUT)
		return arena_printf(a, "Does not answer on port %u (time-out after %.*s).",
		        f->http_port, STR_ARG(span_text(a, h->ms)));
	if (strstr(h->err.text, "refuses connections"))
		return arena_printf(a, "Refuses connections on port %u.", f->http_port);
	return arena_printf(a, "Does not answer on port %u: %s", f->http_port, h->err.text);
}

static void say_silent(struct findings *out, const struct fact_address *at, struct finding *finding)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	struct str what = no_answer(a, f, &at->path.hops[0]);
	finding->state = FINDING_PROBLEM;
	finding->stops = !f->ca.none;
	if (may_be_hairpin(f, at)) {
		finding->state = FINDING_UNSEEN;
		finding->stops = false;
		finding->sentence = arena_printf(a,
		        "%.*s This machine is behind a router, and many routers do not "
		        "lead back in "
		        "from within: %.*s may see more.",
		        STR_ARG(what), STR_ARG(f->ca.title));
		finding->fix = arena_printf(a,
		        "Forward TCP %u and %u to this machine, then try http://%.*s/ "
		        "from outside, "
		        "such as from a telephone without WLAN.",
		        f->http_port, f->https_port, STR_ARG(f->name));
	} else if (f->is_address) {
		finding->sentence = arena_printf(
		        a, "%.*s %.*s would fail.", STR_ARG(what), STR_ARG(f->ca.title));
		finding->fix = arena_printf(a,
		        "Open TCP port %u to this machine in router and firewall.", f->http_port);
	} else if (at->ipv6) {
		finding->sentence = arena_printf(a, "%.*s %.*s tries IPv6 first and would fail.",
		        STR_ARG(what), STR_ARG(f->ca.title));
		finding->fix =
		        STR("Repair IPv6 on this machine or in the router, or remove the AAAA "
		            "record.");
	} else if (another_is_well(f, at)) {
		finding->state = FINDING_WARNING;
		finding->stops = false;
		finding->sentence = arena_printf(a,
		        "%.*s %.*s tries IPv6 first and may pass; visitors without IPv6 reach "
		        "nobody.",
		        STR_ARG(what), STR_ARG(f->ca.title));
		finding->fix = arena_printf(
		        a, "Open port %u to this machine, or correct the A record.", f->http_port);
	} else {
		finding->sentence = arena_printf(
		        a, "%.*s %.*s would fail.", STR_ARG(what), STR_ARG(f->ca.title));
		finding->fix = arena_printf(a,
		        "Open TCP port %u to this machine in router and firewall, or correct the A "
		        "record.",
		        f->http_port);
	}
}

static struct str server_words(struct arena *a, const struct fact_hop *h)
{
	struct str server = fetch_header_of(h->headers, "server", 0);
	return server.n ? arena_printf(
	                          a, "status %u, %.*s", h->status, STR_ARG(str_head(server, 60)))
	                : arena_printf(a, "status %u", h->status);
}

static void say_other(struct findings *out, const struct fact_address *at, struct finding *finding)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const struct fact_hop *last = &at->path.hops[at->path.count - 1];
	const char *cdn = cdn_of(last->headers);
	finding->state = f->answering ? FINDING_PROBLEM : FINDING_UNSEEN;
	finding->stops = f->answering && !f->ca.none;
	if (!f->answering) {
		finding->sentence = STR("Somebody answers, but this server could not be told its "
		                        "nonce: it is not serving.");
		finding->fix = STR("`everseal status` says why it does not serve.");
		return;
	}
	finding->sentence = arena_printf(a, "%s answers on port %u (%.*s), not this server.",
	        cdn ? cdn : "Another server", f->http_port, STR_ARG(server_words(a, last)));
	finding->fix = cdn ? arena_printf(a,
	                             "Let %s pass /.well-known/acme-challenge/ on to this machine, "
	                             "or take the name out of it while registering.",
	                             cdn)
	                   : arena_printf(a,
	                             "%.*s; or, if that server stands in front of Everseal, let it "
	                             "pass /.well-known/acme-challenge/ on to it.",
	                             STR_ARG(lead_here(a, f, at)));
}

static void say_well(struct findings *out, const struct fact_address *at, struct finding *finding)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const struct fact_path *p = &at->path;
	int64_t ms = 0;
	for (size_t i = 0; i < p->count; i++)
		ms += p->hops[i].ms;
	finding->state = FINDING_OK;
	finding->sentence = arena_printf(a,
	        "This very server answers on port %u: our own nonce came back in %.*s%s.",
	        f->http_port, STR_ARG(span_text(a, ms)), p->count > 1 ? ", after redirects" : "");
	if (at->is_public || !f->ca.is_public)
		return;
	finding->state = FINDING_PROBLEM;
	finding->stops = true;
	finding->sentence = arena_printf(a,
	        "This very server answers, but the address is not public: %.*s cannot reach it.",
	        STR_ARG(f->ca.title));
	finding->fix = take_public(a, f, at);
}

static void say_not_public(
        struct findings *out, const struct fact_address *at, struct finding *finding)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	finding->state = f->ca.is_public ? FINDING_PROBLEM : FINDING_UNSEEN;
	finding->stops = f->ca.is_public;
	finding->sentence = arena_printf(a,
	        f->ca.is_public
	                ? "The address is not public: %.*s cannot reach it. It was not asked."
	                : "The address is not public, and the name is not configured here: it was "
	                  "not asked on behalf of %.*s.",
	        STR_ARG(f->ca.title));
	finding->fix = f->ca.is_public ? take_public(a, f, at)
	                               : STR("Add a site with this name, then diagnose it again.");
}

static void judge_address(struct findings *out, const struct fact_address *at)
{
	const struct facts *f = out->facts;
	const struct fact_path *p = &at->path;
	struct finding finding = { .area = AREA_DNS,
		.subject = at->text,
		.what = f->is_address ? at->text
		                      : arena_printf(out->arena, "%s %.*s", at->ipv6 ? "AAAA" : "A",
		                                STR_ARG(at->text)) };
	if (at->dialled && (!p->done || !f->answer_done))
		return;
	finding.proof = proof_of_path(out->arena, p);
	if (!at->dialled) {
		say_not_public(out, at, &finding);
	} else if (p->end == CHAIN_SILENT && p->count == 1) {
		say_silent(out, at, &finding);
	} else if (p->end == CHAIN_ANSWER && p->hops[p->count - 1].matched) {
		say_well(out, at, &finding);
	} else if (p->end == CHAIN_ANSWER) {
		say_other(out, at, &finding);
	} else {
		finding.state = FINDING_PROBLEM;
		finding.stops = !f->ca.none;
		finding.sentence = STR("Answers with a redirect that a certificate authority "
		                       "cannot follow to an answer: see Redirects.");
	}
	finding_add(out, &finding);
}

void judge_addresses(struct findings *out)
{
	for (size_t i = 0; i < out->facts->address_count; i++)
		judge_address(out, &out->facts->addresses[i]);
}

/* ---- port 80, and firewalls ---- */

static struct str bound_list(struct arena *a, const struct facts *f, bool tls)
{
	struct str list = STR_NONE;
	for (size_t i = 0; i < f->listener_count; i++) {
		const struct fact_listener *l = &f->listeners[i];
		if (l->tls != tls || !l->bound)
			continue;
		list = list.n ? arena_printf(a, "%.*s and %.*s", STR_ARG(list), STR_ARG(l->address))
		              : l->address;
	}
	return list;
}

static void say_listener_failed(struct findings *out, const struct fact_listener *l, bool stops)
{
	struct arena *a = out->arena;
	finding_add(out,
	        &(struct finding){ .area = l->tls ? AREA_PORT443 : AREA_PORT80,
	                .state = stops ? FINDING_PROBLEM : FINDING_WARNING,
	                .stops = stops && !l->tls && !out->facts->ca.none,
	                .what = l->address,
	                .sentence = arena_printf(a, "Everseal does not listen there. %.*s",
	                        STR_ARG(l->why.n ? l->why : STR("It is still being bound."))),
	                .fix = l->held ? STR("Stop who holds the port, or move it; Everseal takes "
	                                     "it within a second.")
	                               : STR("Mend that; Everseal takes the address within a "
	                                     "second.") });
}

void judge_listeners(struct findings *out)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	for (int tls = 0; tls <= 1; tls++) {
		struct str list = bound_list(a, f, tls);
		for (size_t i = 0; i < f->listener_count; i++)
			if (f->listeners[i].tls == tls && !f->listeners[i].bound)
				say_listener_failed(out, &f->listeners[i], /* stops= */ !list.n);
		if (list.n && !tls)
			finding_add(out, &(struct finding){ .area = AREA_PORT80,
			                         .state = FINDING_OK,
			                         .what = STR("Everseal listens"),
			                         .sentence = arena_printf(a,
			                                 "%.*s. Challenges are answered before "
			                                 "every redirect.",
			                                 STR_ARG(list)) });
	}
	finding_add(out,
	        &(struct finding){ .area = AREA_FIREWALL,
	                .state = FINDING_UNSEEN,
	                .what = STR("Firewall here"),
	                .sentence = STR("The rules of nftables and iptables can be read by root "
	                                "only, which Everseal is not."),
	                .fix = STR("As root, `nft list ruleset`: TCP 80 and 443 must be "
	                           "accepted.") });
	finding_add(out,
	        &(struct finding){ .area = AREA_FIREWALL,
	                .state = FINDING_UNSEEN,
	                .what = STR("Firewall in front"),
	                .sentence = STR("This machine cannot see the router's rules."),
	                .fix = arena_printf(a,
	                        "Allow TCP 80 and 443 from anywhere; %.*s publishes no addresses.",
	                        STR_ARG(f->ca.title)) });
}

/* ---- redirects, and what stands in between ---- */

const char *cdn_of(struct str headers)
{
	static const struct {
		const char *header, *value, *cdn; /* value: what it has in it, or NULL */
	} marks[] = {
		{ "cf-ray", NULL, "Cloudflare" },
		{ "server", "cloudflare", "Cloudflare" },
		{ "x-amz-cf-id", NULL, "Amazon CloudFront" },
		{ "via", "cloudfront", "Amazon CloudFront" },
		{ "server", "akamaighost", "Akamai" },
		{ "x-akamai-transformed", NULL, "Akamai" },
		{ "x-served-by", "cache-", "Fastly" },
		{ "x-azure-ref", NULL, "Azure Front Door" },
		{ "x-vercel-id", NULL, "Vercel" },
		{ "x-nf-request-id", NULL, "Netlify" },
		{ "fly-request-id", NULL, "Fly.io" },
		{ "x-sucuri-id", NULL, "Sucuri" },
		{ "server", "bunnycdn", "Bunny" },
		{ "x-bunny-cache", NULL, "Bunny" },
	};
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
		char text[256];
		struct str value = fetch_header_of(headers, marks[i].header, 0);
		snprintf(text, sizeof text, "%.*s", STR_ARG(str_head(value, 255)));
		if (value.p && (!marks[i].value || strcasestr(text, marks[i].value)))
			return marks[i].cdn;
	}
	return NULL;
}

static struct str why_broken(struct arena *a, const struct facts *f, const struct fact_path *p)
{
	const struct fact_hop *last = &p->hops[p->count - 1];
	switch (p->end) {
	case CHAIN_LONG:
		return arena_printf(a, "There are more than 10 redirects; %.*s follows no further.",
		        STR_ARG(f->ca.title));
	case CHAIN_LOOP:
		return arena_printf(
		        a, "The redirects go in a circle: back to %.*s.", STR_ARG(p->next));
	case CHAIN_SCHEME:
		return arena_printf(
		        a, "It leads to %.*s, which is neither http nor https.", STR_ARG(p->next));
	case CHAIN_PORT:
		return arena_printf(a,
		        "It leads to %.*s: %.*s follows to port %u by http and to port %u by https "
		        "only.",
		        STR_ARG(p->next), STR_ARG(f->ca.title), f->http_port, f->https_port);
	case CHAIN_LOST:
		return arena_printf(a, "It leads to %.*s, where the challenge's token is lost.",
		        STR_ARG(p->next));
	case CHAIN_NOWHERE:
		return arena_printf(
		        a, "Status %u without a Location that leads anywhere.", last->status);
	case CHAIN_KIND:
		return arena_printf(a,
		        "Status %u is a redirect that %.*s does not follow: 301, 302, 307 "
		        "and 308 are.",
		        last->status, STR_ARG(f->ca.title));
	case CHAIN_PRIVATE:
		return arena_printf(a,
		        "It leads to %.*s, whose address is not public and whose name is not "
		        "configured here: not followed.",
		        STR_ARG(p->next));
	case CHAIN_UNKNOWN:
		return arena_printf(
		        a, "It leads to %.*s, for which DNS has no address.", STR_ARG(p->next));
	default:
		return arena_printf(a, "It leads to %.*s, which does not answer: %s",
		        STR_ARG(last->url), last->err.text);
	}
}

static bool is_broken(const struct fact_path *p)
{
	return p->end != CHAIN_ANSWER && !(p->end == CHAIN_SILENT && p->count <= 1);
}

static void say_chain(struct findings *out, const struct fact_address *at)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const struct fact_path *p = &at->path;
	struct finding finding = { .area = AREA_REDIRECTS,
		.subject = at->text,
		.what = arena_printf(
		        a, "%d redirect%s", (int)p->count - 1, p->count == 2 ? "" : "s"),
		.proof = proof_of_path(a, p) };
	if (is_broken(p)) {
		finding.state = FINDING_PROBLEM;
		finding.stops = !f->ca.none;
		finding.what = at->text;
		finding.sentence = why_broken(a, f, p);
		finding.fix =
		        STR("Let /.well-known/acme-challenge/ be answered without a redirect, "
		            "or by one to the same path.");
	} else {
		finding.state = FINDING_OK;
		finding.sentence = arena_printf(a, "%.*s leads to %.*s; %.*s follows up to 10.",
		        STR_ARG(p->hops[0].url), STR_ARG(p->hops[p->count - 1].url),
		        STR_ARG(f->ca.title));
	}
	finding_add(out, &finding);
}

static void say_cdn(struct findings *out, const struct fact_address *at, const char *cdn)
{
	const struct fact_path *p = &at->path;
	const bool passes = p->hops[p->count - 1].matched;
	struct arena *a = out->arena;
	finding_add(out,
	        &(struct finding){ .area = AREA_CDN,
	                .state = passes ? FINDING_WARNING : FINDING_PROBLEM,
	                .stops = !passes && !out->facts->ca.none,
	                .what = str_c(cdn),
	                .sentence = passes ? arena_printf(a,
	                                             "%s stands in between and passes challenges "
	                                             "on. Visitors see its certificate, not the "
	                                             "one from here.",
	                                             cdn)
	                                   : arena_printf(a,
	                                             "%s stands in between and answers the "
	                                             "challenge itself.",
	                                             cdn),
	                .fix = passes ? STR("Nothing, if that is meant. Let it verify this "
	                                    "server's certificate.")
	                              : arena_printf(a,
	                                        "Let %s pass /.well-known/acme-challenge/ on, or "
	                                        "take the name out of it while registering.",
	                                        cdn) });
}

static bool all_done(const struct facts *f)
{
	for (size_t i = 0; i < f->address_count; i++)
		if (f->addresses[i].dialled && !f->addresses[i].path.done)
			return false;
	return f->addresses_done;
}

static const char *first_cdn(const struct facts *f, const struct fact_address **ret_at)
{
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_path *p = &f->addresses[i].path;
		for (size_t k = 0; k < p->count; k++) {
			const char *cdn = cdn_of(p->hops[k].headers);
			*ret_at = &f->addresses[i];
			if (cdn)
				return cdn;
		}
	}
	return NULL;
}

/* One row for many addresses that do the same. */
static bool told_before(const struct findings *out, const struct fact_address *at)
{
	const struct facts *f = out->facts;
	for (const struct fact_address *b = f->addresses; b < at; b++)
		if (b->path.count == at->path.count && b->path.end == at->path.end &&
		        str_eq(b->path.next, at->path.next))
			return true;
	return false;
}

#define ANSWERS "/.well-known/acme-challenge/ answers at once; %s."

void judge_redirects(struct findings *out)
{
	const struct facts *f = out->facts;
	const struct fact_address *at = NULL;
	size_t answered = 0, chains = 0;
	if (!all_done(f))
		return;
	const char *cdn = first_cdn(f, &at);
	if (cdn)
		say_cdn(out, at, cdn);
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_path *p = &f->addresses[i].path;
		if (!p->count || (p->count == 1 && p->end == CHAIN_SILENT))
			continue;
		answered++;
		if (p->count == 1 && p->end == CHAIN_ANSWER)
			continue;
		chains++;
		if (!told_before(out, &f->addresses[i]))
			say_chain(out, &f->addresses[i]);
	}
	if (chains)
		return;
	finding_add(out,
	        &(struct finding){ .area = AREA_REDIRECTS,
	                .state = answered ? FINDING_OK : FINDING_UNSEEN,
	                .what = answered ? STR("None") : STR("Not seen"),
	                .sentence =
	                        answered ? arena_printf(out->arena,
	                                           str_has(f->name, ':') ? "http://[%.*s]" ANSWERS
	                                                                 : "http://%.*s" ANSWERS,
	                                           STR_ARG(f->name),
	                                           cdn ? "see the CDN" : "no CDN in between")
	                                 : STR("No address answered, so no redirect was "
	                                       "seen.") });
}
