/* HTTPS as visitors meet it: who shows which certificate on port 443, and what browsers were told
 * never to forget. */
#include "diagnose/facts.h"
#include "fetch/fetch.h"

static bool is_own(const struct facts *f, const struct fact_address *at)
{
	return f->own_leaf_sha.n && str_eq(at->leaf_sha, f->own_leaf_sha);
}

static void say_own(struct findings *out, struct finding *finding)
{
	const struct facts *f = out->facts;
	finding->state = FINDING_OK;
	finding->sentence = f->certified
	                            ? STR("Open, tried from this machine. Serves the certificate "
	                                  "from here.")
	                            : STR("Open, tried from this machine. Serves the temporary "
	                                  "certificate until the name is registered.");
}

static void say_closed(struct findings *out, const struct fact_address *at, struct finding *finding)
{
	struct arena *a = out->arena;
	finding->state = FINDING_WARNING;
	finding->sentence = arena_printf(a,
	        "%.*s does not show a certificate on port %u: %s Registering does not need it, "
	        "visitors do.",
	        STR_ARG(at->text), out->facts->https_port, at->probe_err.text);
	finding->fix = arena_printf(a, "Open TCP port %u to this machine in router and firewall.",
	        out->facts->https_port);
}

static void say_foreign(
        struct findings *out, const struct fact_address *at, struct finding *finding)
{
	struct arena *a = out->arena;
	finding->state = FINDING_WARNING;
	finding->sentence = arena_printf(a,
	        "%.*s shows another certificate than this server does: for %.*s, issued by %.*s. "
	        "Something else answers there.",
	        STR_ARG(at->text), STR_ARG(at->leaf_names.n ? at->leaf_names : STR("no name")),
	        STR_ARG(at->leaf_issuer.n ? at->leaf_issuer : STR("itself")));
	finding->fix =
	        STR("Point the record to this machine, or deliver the certificate to whatever "
	            "stands in front.");
}

static bool same(const struct facts *f, const struct fact_address *a, const struct fact_address *b)
{
	if (a->probe_err.code != ERR_NONE || b->probe_err.code != ERR_NONE)
		return false;
	return str_eq(a->leaf_sha, b->leaf_sha) || (is_own(f, a) && is_own(f, b));
}

static bool told_before(const struct facts *f, const struct fact_address *at)
{
	for (const struct fact_address *b = f->addresses; b < at; b++)
		if (b->probed && same(f, b, at))
			return true;
	return false;
}

void judge_https(struct findings *out)
{
	const struct facts *f = out->facts;
	if (!f->own_leaf_done)
		return;
	for (size_t i = 0; i < f->address_count; i++) {
		const struct fact_address *at = &f->addresses[i];
		struct finding finding = { .area = AREA_PORT443,
			.subject = at->text,
			.what = arena_printf(out->arena, "Port %u", f->https_port) };
		if (!at->probed || told_before(f, at))
			continue;
		finding.proof = arena_printf(out->arena,
		        "%.*s handshake with %.*s port %u for %.*s\n%s%.*s",
		        STR_ARG(proof_time(out->arena, at->probe_at)), STR_ARG(at->text),
		        f->https_port, STR_ARG(f->name),
		        at->probe_err.code != ERR_NONE ? at->probe_err.text
		                                       : "certificate SHA-256 ",
		        STR_ARG(at->leaf_sha));
		if (at->probe_err.code != ERR_NONE)
			say_closed(out, at, &finding);
		else if (is_own(f, at))
			say_own(out, &finding);
		else
			say_foreign(out, at, &finding);
		finding_add(out, &finding);
	}
}

/* ---- HSTS ---- */

/* Whole top-level domains on the browsers' built-in lists. */
static const char *preloaded_suffix(struct str name)
{
	static const char *const suffixes[] = { "app", "bank", "boo", "channel", "dad", "day",
		"dev", "eat", "esq", "fly", "foo", "gle", "gmail", "google", "hangout", "ing",
		"insurance", "meet", "meme", "mov", "new", "nexus", "page", "phd", "play", "prof",
		"rsvp", "search", "youtube", "zip" };
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		struct str s = str_c(suffixes[i]);
		if (name.n > s.n && str_ends(name, s) && name.p[name.n - s.n - 1] == '.')
			return suffixes[i];
	}
	return NULL;
}

static struct str hsts_of(const struct fact_path *p)
{
	return p->done && p->count && p->hops[0].err.code == ERR_NONE
	               ? fetch_header_of(p->hops[0].headers, "strict-transport-security", 0)
	               : STR_NONE;
}

/* RFC 6797 6.1.1: max-age, which may be quoted; 0 takes it back. */
static bool is_on(struct str hsts)
{
	char text[256];
	snprintf(text, sizeof text, "%.*s", STR_ARG(str_head(hsts, 255)));
	const char *at = strcasestr(text, "max-age=");
	if (!at)
		return false;
	at += strlen("max-age=");
	at += *at == '"';
	return *at >= '1' && *at <= '9';
}

static bool has_subdomains(struct str hsts)
{
	char text[256];
	snprintf(text, sizeof text, "%.*s", STR_ARG(str_head(hsts, 255)));
	return strcasestr(text, "includesubdomains");
}

/* Who it is that binds browsers to HTTPS, as the beginning of a sentence; STR_NONE: nobody. */
static struct str who_binds(struct arena *a, const struct facts *f)
{
	struct str own = hsts_of(&f->https), parent = hsts_of(&f->parent_https);
	char until[CLOCK_TEXT];
	const char *suffix = preloaded_suffix(f->name);
	if (suffix)
		return arena_printf(a, "All of .%s is on the browsers' built-in lists", suffix);
	if (is_on(own))
		return arena_printf(
		        a, "%.*s sends HSTS (%.*s)", STR_ARG(f->name), STR_ARG(str_head(own, 100)));
	if (is_on(parent) && has_subdomains(parent))
		return arena_printf(a, "%.*s sends HSTS for every name under it (%.*s)",
		        STR_ARG(f->parent), STR_ARG(str_head(parent, 100)));
	if (f->hsts_until)
		return arena_printf(a, "Everseal has sent HSTS, and browsers remember it until %s",
		        clock_rfc3339(f->hsts_until, until));
	return STR_NONE;
}

void judge_hsts(struct findings *out)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	const bool asked = (!f->https.wanted || f->https.done) &&
	                   (!f->parent_https.wanted || f->parent_https.done);
	if (!f->addresses_done || !asked)
		return;
	struct str who = who_binds(a, f);
	struct finding finding = { .area = AREA_HSTS, .what = STR("HSTS") };
	finding.proof = proof_of_path(a, &f->https);
	if (who.n && f->certified) {
		finding.state = FINDING_OK;
		finding.sentence = arena_printf(
		        a, "%.*s; a certificate is there, so it is in nobody's way.", STR_ARG(who));
	} else if (who.n) {
		finding.state = FINDING_WARNING;
		finding.sentence = arena_printf(a,
		        "%.*s: browsers refuse plain HTTP for %.*s and let nobody pass "
		        "the temporary "
		        "certificate. Challenges are not affected.",
		        STR_ARG(who), STR_ARG(f->name));
		finding.fix = STR("Register the name: from then on visitors get through.");
	} else if (!f->https.count || f->https.hops[0].err.code != ERR_NONE) {
		finding.state = FINDING_UNSEEN;
		finding.sentence = arena_printf(
		        a, "%.*s did not answer by HTTPS, so no HSTS was seen.", STR_ARG(f->name));
	} else {
		finding.state = FINDING_OK;
		struct str parent =
		        f->parent.n ? arena_printf(a, " or %.*s", STR_ARG(f->parent)) : STR_NONE;
		finding.sentence = arena_printf(a,
		        "Neither sent nor preloaded for %.*s%.*s, as far as seen from "
		        "here: nothing "
		        "stands in the way. hstspreload.org tells of single names.",
		        STR_ARG(f->name), STR_ARG(parent));
	}
	finding_add(out, &finding);
}
