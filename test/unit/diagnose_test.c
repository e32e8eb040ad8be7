/* The pure core of diagnosis: from facts to findings, a case for each; chains of redirects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "diagnose/facts.h"

#define NONCE "nonce-of-sixteen-or-more"
#define PATH  "/.well-known/acme-challenge/" NONCE
#define START "http://shop.example.com" PATH

/* All is well: one public address, which answers. */
static void fill(struct facts *f)
{
	*f = (struct facts){ .name = STR("shop.example.com"),
		.unicode = STR("shop.example.com"),
		.parent = STR("example.com"),
		.http_port = 80,
		.https_port = 443,
		.ca = { .name = STR("letsencrypt"),
		        .title = STR("Let's Encrypt"),
		        .identities = STR("letsencrypt.org\n"),
		        .is_public = true,
		        .done = true,
		        .date = 1700000000000,
		        .at = 1700000000200 },
		.answering = true,
		.answer_done = true,
		.addresses_done = true,
		.address_count = 1,
		.own_leaf_done = true,
		.own_leaf_sha = STR("aa"),
		.https = { .wanted = true, .done = true, .count = 1, .end = CHAIN_ANSWER },
		.listener_count = 1,
		.over = true };
	for (size_t i = 0; i < QUESTIONS; i++)
		f->questions[i] = (struct fact_question){ .done = true, .outcome = DNS_NONE };
	f->questions[DNS_A].outcome = DNS_FOUND;
	f->listeners[0] = (struct fact_listener){ .address = STR("0.0.0.0:80"), .bound = true };
	f->addresses[0] = (struct fact_address){ .text = STR("198.41.30.7"),
		.is_public = true,
		.dialled = true,
		.probed = true,
		.leaf_sha = STR("aa"),
		.path = { .wanted = true, .done = true, .count = 1, .end = CHAIN_ANSWER } };
	f->addresses[0].path.hops[0] = (struct fact_hop){ .url = STR(START),
		.address = STR("198.41.30.7"),
		.status = 200,
		.matched = true,
		.ms = 41 };
}

static struct fact_address *silent(struct facts *f, enum err_code code, const char *text)
{
	struct fact_address *a = &f->addresses[0];
	a->path.end = CHAIN_SILENT;
	a->path.hops[0].matched = false;
	a->path.hops[0].status = 0;
	a->path.hops[0].ms = 10000;
	err_set(&a->path.hops[0].err, code, "%s", text);
	return a;
}

static struct fact_address *other(struct facts *f, const char *headers)
{
	struct fact_address *a = &f->addresses[0];
	a->path.hops[0].matched = false;
	a->path.hops[0].status = 404;
	a->path.hops[0].headers = str_c(headers);
	return a;
}

static void add_second(struct facts *f, const char *text)
{
	f->addresses[f->address_count] = f->addresses[0];
	f->addresses[f->address_count].ipv6 = true;
	f->addresses[f->address_count++].text = str_c(text);
}

static void make_ipv6(struct facts *f)
{
	f->addresses[0].ipv6 = true;
	f->addresses[0].text = STR("2a00::7");
}

/* ---- what the cases change ---- */

static void nothing(struct facts *f)
{
	(void)f;
}
static void ipv6_times_out(struct facts *f)
{
	silent(f, ERR_TIMEOUT, "No answer.");
	make_ipv6(f);
}
static void times_out(struct facts *f)
{
	silent(f, ERR_TIMEOUT, "No answer.");
}
static void refuses(struct facts *f)
{
	silent(f, ERR_UNREACHABLE, "198.41.30.7:80 refuses connections: no server.");
}
static void behind_router(struct facts *f)
{
	times_out(f);
	f->behind_router = true;
}
static void behind_router_on_ipv6(struct facts *f)
{
	ipv6_times_out(f);
	f->behind_router = true;
}
static void only_ipv6_is_well(struct facts *f)
{
	add_second(f, "2a00::7");
	times_out(f);
}
static void another_server(struct facts *f)
{
	other(f, "server: nginx/1.22\n");
}
static void cloudflare_answers(struct facts *f)
{
	other(f, "server: cloudflare\ncf-ray: 1\n");
}
static void cloudflare_passes(struct facts *f)
{
	f->addresses[0].path.hops[0].headers = STR("CF-Ray: 1\n");
}
static void not_serving(struct facts *f)
{
	other(f, "");
	f->answering = false;
}
static void private_but_well(struct facts *f)
{
	f->addresses[0].is_public = false;
	f->addresses[0].text = STR("10.0.0.5");
}
static void private_for_own_ca(struct facts *f)
{
	private_but_well(f);
	f->ca.is_public = false;
}
static void private_not_dialled(struct facts *f)
{
	private_but_well(f);
	f->addresses[0].dialled = false;
	f->addresses[0].path = (struct fact_path){ 0 };
}
static void no_address(struct facts *f)
{
	f->address_count = 0;
	f->questions[DNS_A].outcome = DNS_NO_NAME;
	f->questions[DNS_AAAA].outcome = DNS_NO_NAME;
}
static void alias_to_nothing(struct facts *f)
{
	no_address(f);
	f->questions[DNS_A].aliases = STR("a.example.net\nb.example.net\n");
}
static void servfail(struct facts *f)
{
	f->questions[DNS_AAAA].outcome = DNS_FAILED;
}
static void resolver_silent(struct facts *f)
{
	f->questions[DNS_A].outcome = DNS_SILENT;
	f->address_count = 0;
}
static void many_addresses(struct facts *f)
{
	f->address_more = 3;
}
static void port_held(struct facts *f)
{
	f->listeners[0].bound = false;
	f->listeners[0].why = STR("nginx (process 812) holds the port.");
	f->listeners[0].held = true;
}
static void one_of_two_held(struct facts *f)
{
	f->listener_count = 2;
	f->listeners[1] = (struct fact_listener){ .address = STR("[::]:80") };
}
static void chain_broken(struct facts *f)
{
	f->addresses[0].path.end = CHAIN_PORT;
	f->addresses[0].path.next = STR("http://shop.example.com:8080/");
	f->addresses[0].path.hops[0].status = 302;
}
static void chain_well(struct facts *f)
{
	struct fact_path *p = &f->addresses[0].path;
	p->hops[1] = p->hops[0];
	p->hops[1].url = STR("https://shop.example.com" PATH);
	p->hops[0].matched = false;
	p->hops[0].status = 301;
	p->count = 2;
}
static void target_silent(struct facts *f)
{
	chain_well(f);
	f->addresses[0].path.end = CHAIN_SILENT;
	err_set(&f->addresses[0].path.hops[1].err, ERR_TIMEOUT, "It is silent.");
}
static void caa_has(struct facts *f, const char *records)
{
	f->questions[DNS_CAA].outcome = DNS_FOUND;
	f->questions[DNS_CAA].owner = STR("example.com");
	f->questions[DNS_CAA].records = str_c(records);
}
static void caa_allows(struct facts *f)
{
	caa_has(f, "0 issue other.net\n0 issue LetsEncrypt.org\n");
}
static void caa_other(struct facts *f)
{
	caa_has(f, "0 issue other.net\n0 issuewild letsencrypt.org\n");
}
static void caa_nobody(struct facts *f)
{
	caa_has(f, "0 issue ;\n");
}
static void caa_method(struct facts *f)
{
	caa_has(f, "0 issue letsencrypt.org; validationmethods=dns-01\n");
}
static void caa_own_method(struct facts *f)
{
	caa_has(f, "0 issue letsencrypt.org; validationmethods=dns-01,http-01\n");
}
static void caa_account(struct facts *f)
{
	f->ca.account = STR("https://ca/acct/1");
	caa_has(f, "0 issue letsencrypt.org; accounturi=https://ca/acct/2\n");
}
static void caa_own_account(struct facts *f)
{
	f->ca.account = STR("https://ca/acct/2");
	caa_has(f, "0 issue letsencrypt.org;accounturi=https://ca/acct/2\n");
}
static void caa_account_yet_unknown(struct facts *f)
{
	caa_has(f, "0 issue letsencrypt.org; accounturi=https://ca/acct/2\n");
}
static void caa_second_record_allows(struct facts *f)
{
	caa_account(f);
	caa_has(f, "0 issue letsencrypt.org; accounturi=https://ca/acct/9\n"
	           "0 issue letsencrypt.org\n");
}
static void caa_critical(struct facts *f)
{
	caa_has(f, "128 tbs x\n0 issue letsencrypt.org\n");
}
static void caa_unknown_not_critical(struct facts *f)
{
	caa_has(f, "0 tbs x\n");
}
static void caa_nameless_ca(struct facts *f)
{
	f->ca.identities = STR_NONE;
	caa_has(f, "0 issue other.net\n");
}
static void caa_servfail(struct facts *f)
{
	f->questions[DNS_CAA].outcome = DNS_FAILED;
	f->questions[DNS_CAA].owner = STR("example.com");
}
static void caa_silent(struct facts *f)
{
	f->questions[DNS_CAA].outcome = DNS_SILENT;
}
static void nobody_outside(struct facts *f)
{
	f->ca.none = true;
	caa_nobody(f);
}
static void limit(struct facts *f, int64_t used)
{
	f->limit_count = 1;
	f->limits[0] = (struct fact_limit){ .used = used,
		.most = 5,
		.limit = STR("failures"),
		.sentence = STR("So many failures.") };
}
static void limit_room(struct facts *f)
{
	limit(f, 3);
}
static void limit_near(struct facts *f)
{
	limit(f, 4);
}
static void limit_full(struct facts *f)
{
	limit(f, 5);
}
static void clock_behind(struct facts *f)
{
	f->ca.at = f->ca.date - 5 * MINUTE;
}
static void clock_far_ahead(struct facts *f)
{
	f->ca.at = f->ca.date + 2 * DAY;
}
static void ca_silent(struct facts *f)
{
	f->ca.date = 0;
	err_set(&f->ca.err, ERR_TIMEOUT, "It is silent.");
}
static void certified(struct facts *f)
{
	f->certified = true;
}
static void foreign_leaf(struct facts *f)
{
	f->addresses[0].leaf_sha = STR("bb");
	f->addresses[0].leaf_names = STR("other.example.net");
	f->addresses[0].leaf_issuer = STR("R10");
}
static void port443_closed(struct facts *f)
{
	err_set(&f->addresses[0].probe_err, ERR_UNREACHABLE, "It refuses connections.");
}
static void hsts_sent(struct facts *f)
{
	f->https.hops[0].headers = STR("strict-transport-security: Max-Age=\"300\"\n");
}
static void hsts_taken_back(struct facts *f)
{
	f->https.hops[0].headers = STR("strict-transport-security: max-age=0\n");
}
static void hsts_and_certified(struct facts *f)
{
	hsts_sent(f);
	certified(f);
}
static void parent(struct facts *f, const char *header)
{
	f->parent_https = f->https;
	f->parent_https.hops[0].headers = str_c(header);
}
static void hsts_of_parent(struct facts *f)
{
	parent(f, "strict-transport-security: max-age=9; includeSubDomains\n");
}
static void hsts_of_parent_alone(struct facts *f)
{
	parent(f, "strict-transport-security: max-age=9\n");
}
static void preloaded(struct facts *f)
{
	f->name = STR("shop.example.dev");
}
static void hsts_unseen(struct facts *f)
{
	f->https.count = 0;
}
static void is_address(struct facts *f)
{
	f->is_address = true;
	f->name = f->unicode = f->addresses[0].text;
	f->parent = STR_NONE;
	f->questions[DNS_A].records = f->name;
}
static void address_is_silent(struct facts *f)
{
	make_ipv6(f);
	is_address(f);
	silent(f, ERR_TIMEOUT, "No answer.");
}
static void address_of_another(struct facts *f)
{
	is_address(f);
	another_server(f);
}
static void private_address(struct facts *f)
{
	private_but_well(f);
	is_address(f);
}
static void hsts_promised(struct facts *f)
{
	f->hsts_until = 1800000000000;
}

static void delegated(struct facts *f)
{
	f->delegation.name = STR("_acme-challenge.shop.example.com");
	f->delegation.target = STR("ab12.acme.example.net");
	f->delegation.record =
	        STR("_acme-challenge.shop.example.com. CNAME ab12.acme.example.net.");
	f->delegation.asked = (struct fact_question){ .done = true, .outcome = DNS_NO_NAME };
}
static void delegated_for_wildcard(struct facts *f)
{
	delegated(f);
	f->delegation.needed = true;
}
static void delegated_well(struct facts *f)
{
	delegated_for_wildcard(f);
	f->delegation.asked.aliases = STR("other.example.com\nAB12.acme.example.net\n");
}
static void delegated_elsewhere(struct facts *f)
{
	delegated(f);
	f->delegation.asked.aliases = STR("ab12.acme.example.org\n");
	f->delegation.asked.outcome = DNS_FAILED;
}
static void delegated_but_silent(struct facts *f)
{
	delegated_well(f);
	f->delegation.asked.outcome = DNS_FAILED;
}
static void delegated_servfail(struct facts *f)
{
	delegated(f);
	f->delegation.asked.outcome = DNS_FAILED;
}
static void delegated_unseen(struct facts *f)
{
	delegated_for_wildcard(f);
	f->delegation.asked.outcome = DNS_SILENT;
}

static const struct {
	void (*change)(struct facts *f);
	enum area area;
	enum finding_state state;
	bool stops;
	const char *sentence, *fix; /* that they have in them; fix NULL: there is none */
} cases[] = {
	{ nothing, AREA_DNS, FINDING_OK, false,
	        "This very server answers on port 80: our own nonce came back in 41 ms.", NULL },
	{ ipv6_times_out, AREA_DNS, FINDING_PROBLEM, true,
	        "Does not answer on port 80 (time-out after 10.0 s). Let's Encrypt "
	        "tries IPv6 first "
	        "and would fail.",
	        "Repair IPv6 on this machine or in the router, or remove the AAAA record." },
	{ times_out, AREA_DNS, FINDING_PROBLEM, true,
	        "(time-out after 10.0 s). Let's Encrypt would fail.", "Open TCP port 80" },
	{ refuses, AREA_DNS, FINDING_PROBLEM, true, "Refuses connections on port 80.",
	        "correct the A record" },
	{ behind_router, AREA_DNS, FINDING_UNSEEN, false, "many routers do not lead back in",
	        "from outside" },
	{ behind_router_on_ipv6, AREA_DNS, FINDING_PROBLEM, true, "tries IPv6 first", "Repair" },
	{ only_ipv6_is_well, AREA_DNS, FINDING_WARNING, false, "tries IPv6 first and may pass",
	        "correct the A record" },
	{ another_server, AREA_DNS, FINDING_PROBLEM, true,
	        "Another server answers on port 80 (status 404, nginx/1.22), not this server.",
	        "Point the A record to this machine" },
	{ cloudflare_answers, AREA_DNS, FINDING_PROBLEM, true, "Cloudflare answers on port 80",
	        "Let Cloudflare pass /.well-known/acme-challenge/" },
	{ not_serving, AREA_DNS, FINDING_UNSEEN, false, "it is not serving", "everseal status" },
	{ private_but_well, AREA_DNS, FINDING_PROBLEM, true, "the address is not public",
	        "public address into the A record" },
	{ private_for_own_ca, AREA_DNS, FINDING_OK, false, "This very server answers", NULL },
	{ private_not_dialled, AREA_DNS, FINDING_PROBLEM, true, "It was not asked.",
	        "public address" },
	{ no_address, AREA_DNS, FINDING_PROBLEM, true,
	        "DNS has no address for it, seen from here. Registering fails until there is one.",
	        "add an A record for shop.example.com" },
	{ alias_to_nothing, AREA_DNS, FINDING_PROBLEM, true,
	        "It is an alias of b.example.net, which has none.", "Give b.example.net" },
	{ servfail, AREA_DNS, FINDING_PROBLEM, true, "DNS answers SERVFAIL when asked for AAAA",
	        "DNSSEC repaired" },
	{ resolver_silent, AREA_DNS, FINDING_UNSEEN, false, "did not answer in time",
	        "/etc/resolv.conf" },
	{ many_addresses, AREA_DNS, FINDING_UNSEEN, false, "more addresses than the 8", NULL },
	{ address_is_silent, AREA_DNS, FINDING_PROBLEM, true,
	        "(time-out after 10.0 s). Let's Encrypt would fail.",
	        "Open TCP port 80 to this machine in router and firewall." },
	{ address_of_another, AREA_DNS, FINDING_PROBLEM, true, "not this server.",
	        "Lead port 80 of 198.41.30.7 to this machine; or" },
	{ private_address, AREA_DNS, FINDING_PROBLEM, true, "the address is not public",
	        "Register this network's public address instead" },
	{ delegated, AREA_DNS, FINDING_PROBLEM, false,
	        "No CNAME leads from there to the zone that Everseal answers. Proofs by DNS fail "
	        "for shop.example.com.",
	        "Add this record where the domain's DNS is managed: "
	        "_acme-challenge.shop.example.com. CNAME ab12.acme.example.net." },
	{ delegated_for_wildcard, AREA_DNS, FINDING_PROBLEM, true,
	        "without them *.shop.example.com gets no certificate.", "Add this record" },
	{ delegated_well, AREA_DNS, FINDING_OK, false, "proofs by DNS can be given", NULL },
	{ delegated_elsewhere, AREA_DNS, FINDING_PROBLEM, false,
	        "Its CNAME leads to ab12.acme.example.org, not to the zone",
	        "Correct it to this record" },
	{ delegated_but_silent, AREA_DNS, FINDING_PROBLEM, true,
	        "Its CNAME is right, but nobody answers for the zone", "open port 53" },
	{ delegated_servfail, AREA_DNS, FINDING_PROBLEM, false,
	        "DNS answers SERVFAIL: the domain's", "DNSSEC repaired" },
	{ delegated_unseen, AREA_DNS, FINDING_UNSEEN, false, "was not seen", "/etc/resolv.conf" },
	{ is_address, AREA_CAA, FINDING_OK, false, "CAA records are about domains", NULL },
	{ nothing, AREA_PORT80, FINDING_OK, false,
	        "0.0.0.0:80. Challenges are answered before every redirect.", NULL },
	{ port_held, AREA_PORT80, FINDING_PROBLEM, true, "nginx (process 812) holds the port.",
	        "Stop who holds the port" },
	{ one_of_two_held, AREA_PORT80, FINDING_WARNING, false, "still being bound",
	        "Mend that; Everseal takes the address" },
	{ nothing, AREA_FIREWALL, FINDING_UNSEEN, false, "cannot see the router's rules",
	        "Let's Encrypt publishes no addresses" },
	{ nothing, AREA_REDIRECTS, FINDING_OK, false, "answers at once; no CDN in between", NULL },
	{ times_out, AREA_REDIRECTS, FINDING_UNSEEN, false, "No address answered", NULL },
	{ chain_broken, AREA_REDIRECTS, FINDING_PROBLEM, true,
	        "follows to port 80 by http and to port 443 by https only", "without a redirect" },
	{ chain_broken, AREA_DNS, FINDING_PROBLEM, true, "see Redirects", NULL },
	{ chain_well, AREA_REDIRECTS, FINDING_OK, false, "follows up to 10", NULL },
	{ chain_well, AREA_DNS, FINDING_OK, false, "after redirects", NULL },
	{ target_silent, AREA_REDIRECTS, FINDING_PROBLEM, true, "does not answer: It is silent.",
	        "without a redirect" },
	{ cloudflare_passes, AREA_CDN, FINDING_WARNING, false, "Cloudflare stands in between",
	        "verify" },
	{ cloudflare_answers, AREA_CDN, FINDING_PROBLEM, true, "answers the challenge itself",
	        "take the name out" },
	{ nothing, AREA_CAA, FINDING_OK, false, "every authority may issue", NULL },
	{ caa_allows, AREA_CAA, FINDING_OK, false,
	        "Allows letsencrypt.org, by any method and any account.", NULL },
	{ caa_other, AREA_CAA, FINDING_PROBLEM, true,
	        "Allows only other.net: Let's Encrypt refuses.",
	        "Add to example.com the record CAA 0 issue \"letsencrypt.org\"" },
	{ caa_nobody, AREA_CAA, FINDING_PROBLEM, true, "Forbids every authority", "CAA 0 issue" },
	{ caa_method, AREA_CAA, FINDING_PROBLEM, true, "only by dns-01", "Add http-01" },
	{ caa_own_method, AREA_CAA, FINDING_OK, false, "by dns-01,http-01 and any account.", NULL },
	{ caa_account, AREA_CAA, FINDING_PROBLEM, true,
	        "for the account https://ca/acct/2 only; Everseal's is https://ca/acct/1",
	        "accounturi=https://ca/acct/1" },
	{ caa_own_account, AREA_CAA, FINDING_OK, false, "by any method and Everseal's account.",
	        NULL },
	{ caa_account_yet_unknown, AREA_CAA, FINDING_WARNING, false, "has no account there yet",
	        "Take accounturi out" },
	{ caa_second_record_allows, AREA_CAA, FINDING_OK, false, "Allows letsencrypt.org", NULL },
	{ caa_critical, AREA_CAA, FINDING_PROBLEM, true, "critical record \"tbs\"", "flag 128" },
	{ caa_unknown_not_critical, AREA_CAA, FINDING_OK, false, "restrict nobody", NULL },
	{ caa_nameless_ca, AREA_CAA, FINDING_UNSEEN, false, "does not say by which name", "Ask" },
	{ caa_servfail, AREA_CAA, FINDING_PROBLEM, true, "cannot be read: DNS answers SERVFAIL",
	        "questions for CAA" },
	{ caa_silent, AREA_CAA, FINDING_UNSEEN, false, "were not seen", "/etc/resolv.conf" },
	{ nobody_outside, AREA_CAA, FINDING_OK, false, "No authority outside is asked", NULL },
	{ nothing, AREA_LIMITS, FINDING_OK, false, "knows no limits of Let's Encrypt", NULL },
	{ limit_room, AREA_LIMITS, FINDING_OK, false, "Nothing is near a limit", NULL },
	{ limit_near, AREA_LIMITS, FINDING_WARNING, false, "So many failures.", "staging" },
	{ limit_full, AREA_LIMITS, FINDING_PROBLEM, true, "So many failures.", "Wait" },
	{ nothing, AREA_CLOCK, FINDING_OK, false,
	        "From the Date that Let's Encrypt sent at 22:13:20", NULL },
	{ clock_behind, AREA_CLOCK, FINDING_WARNING, false, "clock is 300.0 s behind",
	        "timedatectl" },
	{ clock_far_ahead, AREA_CLOCK, FINDING_PROBLEM, false, "ahead", "timedatectl" },
	{ ca_silent, AREA_CLOCK, FINDING_UNSEEN, false, "did not answer: It is silent.",
	        "date -u" },
	{ nothing, AREA_PORT443, FINDING_OK, false, "Serves the temporary certificate until",
	        NULL },
	{ certified, AREA_PORT443, FINDING_OK, false, "Serves the certificate from here.", NULL },
	{ foreign_leaf, AREA_PORT443, FINDING_WARNING, false,
	        "another certificate than this server does: for other.example.net, issued by R10.",
	        "Point the record" },
	{ port443_closed, AREA_PORT443, FINDING_WARNING, false, "Registering does not need it",
	        "Open TCP port 443" },
	{ nothing, AREA_HSTS, FINDING_OK, false,
	        "Neither sent nor preloaded for shop.example.com or example.com", NULL },
	{ hsts_sent, AREA_HSTS, FINDING_WARNING, false, "shop.example.com sends HSTS",
	        "Register the name" },
	{ hsts_taken_back, AREA_HSTS, FINDING_OK, false, "Neither sent nor preloaded", NULL },
	{ hsts_and_certified, AREA_HSTS, FINDING_OK, false, "in nobody's way", NULL },
	{ hsts_of_parent, AREA_HSTS, FINDING_WARNING, false,
	        "example.com sends HSTS for every name", "Register" },
	{ hsts_of_parent_alone, AREA_HSTS, FINDING_OK, false, "Neither sent", NULL },
	{ preloaded, AREA_HSTS, FINDING_WARNING, false, "All of .dev is on", "Register" },
	{ hsts_unseen, AREA_HSTS, FINDING_UNSEEN, false, "no HSTS was seen", NULL },
	{ hsts_promised, AREA_HSTS, FINDING_WARNING, false, "remember it until 2027-01-15",
	        "Register" },
};

static bool has(struct str text, const char *part)
{
	return memmem(text.p, text.n, part, strlen(part));
}

static const struct finding *find(const struct findings *all, size_t i)
{
	for (size_t k = 0; k < all->count; k++) {
		const struct finding *f = &all->at[k];
		if (f->area == cases[i].area && f->state == cases[i].state &&
		        f->stops == cases[i].stops && has(f->sentence, cases[i].sentence) &&
		        (!cases[i].fix || has(f->fix, cases[i].fix)))
			return f;
	}
	return NULL;
}

static void show_all(const struct findings *all, size_t i)
{
	print_message("case %zu, \"%s\" of %s, is not among:\n", i, cases[i].sentence,
	        area_name(cases[i].area));
	for (size_t k = 0; k < all->count; k++)
		print_message("%s %s%s: %.*s | %.*s\n", area_name(all->at[k].area),
		        finding_state_name(all->at[k].state), all->at[k].stops ? " stops" : "",
		        STR_ARG(all->at[k].sentence), STR_ARG(all->at[k].fix));
}

static void each_fact_has_its_finding(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct facts *f = arena_new(&a, struct facts);
		struct findings *all = arena_new(&a, struct findings);
		fill(f);
		cases[i].change(f);
		judge(&a, f, all);
		if (!find(all, i))
			show_all(all, i);
		assert_non_null(find(all, i));
		for (size_t k = 0; k < all->count; k++) {
			const struct finding *found = &all->at[k];
			assert_true(found->what.n && found->sentence.n);
			assert_int_equal(found->sentence.p[found->sentence.n - 1], '.');
			assert_true(!found->stops || found->state == FINDING_PROBLEM);
			assert_true(found->state != FINDING_PROBLEM || found->fix.n ||
			            has(found->sentence, "see Redirects"));
		}
	}
}

static void the_outcome_names_what_stops_it(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct facts *f = arena_new(&a, struct facts);
	struct findings *all = arena_new(&a, struct findings);
	bool fails = true;
	fill(f);
	judge(&a, f, all);
	struct str sentence = judge_outcome(&a, all, &fails);
	assert_false(fails);
	assert_true(has(sentence, "Nothing that was seen would stop shop.example.com"));
	caa_other(f);
	judge(&a, f, all);
	sentence = judge_outcome(&a, all, &fails);
	assert_true(fails);
	assert_true(has(
	        sentence, "Registering shop.example.com now would fail: Allows only other.net"));
}

/* What is under way says nothing. */
static void unfinished_facts_say_nothing(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct facts *f = arena_new(&a, struct facts);
	struct findings *all = arena_new(&a, struct findings);
	f->name = STR("shop.example.com");
	f->ca.title = STR("Let's Encrypt");
	judge(&a, f, all);
	for (size_t i = 0; i < all->count; i++)
		assert_true(all->at[i].area == AREA_FIREWALL || all->at[i].area == AREA_LIMITS);
}

/* ---- redirects ---- */

static void locations_are_resolved(void **state)
{
	(void)state;
	static const struct {
		const char *base, *location, *url;
	} table[] = {
		{ "http://a.example/x/y", "https://b.example/z", "https://b.example/z" },
		{ "http://a.example/x/y", "//b.example/z#f", "http://b.example/z" },
		{ "http://a.example:81/x/y?q", "/z?r", "http://a.example:81/z?r" },
		{ "http://a.example/x/y?q/1", "z", "http://a.example/x/z" },
		{ "http://a.example", "z", "http://a.example/z" },
		{ "http://a.example/x/y?q", "?r", "http://a.example/x/y?r" },
		{ "http://[::1]:80/x", "/y", "http://[::1]:80/y" },
		{ "http://a.example/x", "mailto:a@b", "mailto:a@b" },
		{ "http://a.example/x/", "a:b/c", "a:b/c" },
	};
	ARENA_AUTO a = ARENA_INIT;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct str url = chain_resolve(&a, str_c(table[i].base), str_c(table[i].location));
		assert_string_equal(arena_str(&a, url).p, table[i].url);
	}
}

static void chains_end_as_a_ca_ends_them(void **state)
{
	(void)state;
	static const struct {
		unsigned status;
		const char *location; /* NULL: none */
		enum chain_end end;   /* NONE: it goes on */
	} table[] = {
		{ 301, "https://shop.example.com" PATH, CHAIN_NONE },
		{ 308, "http://www.example.com" PATH "?x", CHAIN_NONE },
		{ 302, "/token?t=" NONCE, CHAIN_NONE },
		{ 200, NULL, CHAIN_ANSWER },
		{ 404, NULL, CHAIN_ANSWER },
		{ 304, NULL, CHAIN_ANSWER },
		{ 303, "https://shop.example.com" PATH, CHAIN_KIND },
		{ 302, NULL, CHAIN_NOWHERE },
		{ 302, "https:///" NONCE, CHAIN_NOWHERE },
		{ 302, "ftp://shop.example.com" PATH, CHAIN_SCHEME },
		{ 302, "https://shop.example.com:444" PATH, CHAIN_PORT },
		{ 302, "https://shop.example.com:80" PATH, CHAIN_PORT },
		{ 302, "http://shop.example.com/", CHAIN_LOST },
		{ 302, START, CHAIN_LOOP },
	};
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		ARENA_AUTO a = ARENA_INIT;
		struct facts *f = arena_new(&a, struct facts);
		struct str url = STR_NONE;
		fill(f);
		struct fact_path *p = &f->addresses[0].path;
		p->hops[0].status = table[i].status;
		p->hops[0].headers = table[i].location
		                             ? arena_printf(&a, "location: %s\n", table[i].location)
		                             : STR_NONE;
		bool goes_on = chain_next(&a, f, STR(NONCE), p, &url);
		assert_int_equal(p->end, table[i].end);
		assert_int_equal(goes_on, table[i].end == CHAIN_NONE);
		assert_true(!goes_on || has(url, NONCE));
	}
}

static void ten_redirects_are_followed(void **state)
{
	(void)state;
	ARENA_AUTO a = ARENA_INIT;
	struct facts *f = arena_new(&a, struct facts);
	struct str url = STR(START);
	fill(f);
	struct fact_path *p = &f->addresses[0].path;
	for (p->count = 1;; p->count++) {
		struct fact_hop *h = &p->hops[p->count - 1];
		*h = (struct fact_hop){ .url = url, .status = 302 };
		h->headers = arena_printf(&a, "location: %s?%zu\n", START, p->count);
		if (!chain_next(&a, f, STR(NONCE), p, &url))
			break;
		assert_true(p->count < HOPS_MOST);
	}
	assert_int_equal(p->end, CHAIN_LONG);
	assert_int_equal(p->count, 11); /* the first, and ten that were redirected to */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fact_has_its_finding),
		cmocka_unit_test(the_outcome_names_what_stops_it),
		cmocka_unit_test(unfinished_facts_say_nothing),
		cmocka_unit_test(locations_are_resolved),
		cmocka_unit_test(chains_end_as_a_ca_ends_them),
		cmocka_unit_test(ten_redirects_are_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
