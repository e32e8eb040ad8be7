/* What follows from the facts: the parts in their order, limits, the clock, and the sentence above
 * all. */
#include "diagnose/facts.h"

const char *finding_state_name(enum finding_state s)
{
	static const char *const names[] = {
#define X(name, text) [FINDING_##name] = text,
		FINDING_STATES(X)
#undef X
	};
	return names[s];
}

const char *area_name(enum area a)
{
	static const char *const names[] = {
#define X(name, text) [AREA_##name] = text,
		AREAS(X)
#undef X
	};
	return names[a];
}

void finding_add(struct findings *f, const struct finding *finding)
{
	if (f->count < FINDINGS_MOST)
		f->at[f->count++] = *finding;
	else
		f->over = true;
}

/* ---- words ---- */

struct str proof_time(struct arena *a, int64_t wall)
{
	char text[CLOCK_TEXT];
	clock_rfc3339(wall, text);
	return arena_printf(a, "%.8s.%03dZ", text + 11, (int)(wall % SECOND));
}

struct str span_text(struct arena *a, int64_t ms)
{
	if (ms < SECOND)
		return arena_printf(a, "%d ms", (int)ms);
	return arena_printf(a, "%.1f s", (double)ms / (double)SECOND);
}

struct str proof_of_question(struct arena *a, const struct facts *f, enum dns_type type)
{
	const struct fact_question *q = &f->questions[type];
	return proof_of_asked(a, q, type, type == DNS_CAA && q->owner.n ? q->owner : f->name);
}

struct str proof_of_asked(
        struct arena *a, const struct fact_question *q, enum dns_type type, struct str name)
{
	BUF_AUTO out = BUF(16 << 10);
	struct str rest, line;
	buf_printf(&out, "%.*s %s %.*s", STR_ARG(proof_time(a, q->at)), dns_type_name(type),
	        STR_ARG(name));
	if (q->server.n)
		buf_printf(&out, " asked of %.*s", STR_ARG(q->server));
	buf_printf(&out, "\n%.*s ", STR_ARG(proof_time(a, q->at + q->ms)));
	if (q->err.code != ERR_NONE)
		buf_add_c(&out, q->err.text);
	else
		buf_add_c(&out, dns_outcome_name(q->outcome));
	for (rest = q->aliases; str_split(&rest, '\n', &line);)
		if (line.n)
			buf_printf(&out, "\nCNAME %.*s", STR_ARG(line));
	for (rest = q->records; str_split(&rest, '\n', &line);)
		if (line.n)
			buf_printf(&out, "\n%s %.*s", dns_type_name(type), STR_ARG(line));
	return arena_str(a, buf_str(&out));
}

static void add_headers(struct buf *out, struct str headers)
{
	struct str line;
	while (str_split(&headers, '\n', &line))
		if (line.n)
			buf_printf(out, "\n    %.*s", STR_ARG(line));
}

struct str proof_of_path(struct arena *a, const struct fact_path *path)
{
	BUF_AUTO out = BUF(64 << 10);
	for (size_t i = 0; i < path->count; i++) {
		const struct fact_hop *h = &path->hops[i];
		buf_printf(&out, "%s%.*s GET %.*s from %.*s\n%.*s ", i ? "\n" : "",
		        STR_ARG(proof_time(a, h->at)), STR_ARG(h->url), STR_ARG(h->address),
		        STR_ARG(proof_time(a, h->at + h->ms)));
		if (h->err.code != ERR_NONE)
			buf_add_c(&out, h->err.text);
		else
			buf_printf(&out, "status %u, our nonce %s", h->status,
			        h->matched ? "came back" : "did not come back");
		add_headers(&out, h->headers);
	}
	return arena_str(a, buf_str(&out));
}

/* ---- limits ---- */

static void add_limit(struct findings *out, const struct fact_limit *l)
{
	struct arena *a = out->arena;
	const bool full = l->used >= l->most;
	finding_add(out,
	        &(struct finding){ .area = AREA_LIMITS,
	                .state = full ? FINDING_PROBLEM : FINDING_WARNING,
	                .stops = full,
	                .what = arena_printf(a, "%d of %d", (int)l->used, (int)l->most),
	                .sentence = l->sentence,
	                .fix = full ? STR("Wait until then. Everseal counts and tries by itself.")
	                            : arena_printf(a,
	                                      "Repair what is wrong before the next try, or "
	                                      "rehearse with %.*s's staging.",
	                                      STR_ARG(out->facts->ca.title)) });
}

/* The last but one of what a limit allows is worth a word. */
static bool is_near(const struct fact_limit *l)
{
	return l->most > 0 && l->used > 0 && l->used * 5 >= l->most * 4;
}

static void judge_limits(struct findings *out)
{
	const struct facts *f = out->facts;
	size_t told = 0;
	for (size_t i = 0; i < f->limit_count; i++) {
		if (!is_near(&f->limits[i]))
			continue;
		add_limit(out, &f->limits[i]);
		told++;
	}
	if (told)
		return;
	struct arena *a = out->arena;
	if (f->ca.none || !f->limit_count)
		finding_add(out,
		        &(struct finding){ .area = AREA_LIMITS,
		                .state = FINDING_OK,
		                .what = STR("None known"),
		                .sentence = arena_printf(a, "Everseal knows no limits of %.*s.",
		                        STR_ARG(f->ca.title)) });
	else
		finding_add(
		        out, &(struct finding){ .area = AREA_LIMITS,
		                     .state = FINDING_OK,
		                     .what = STR("Room left"),
		                     .sentence = arena_printf(a,
		                             "Nothing is near a limit of %.*s, by our own count.",
		                             STR_ARG(f->ca.title)),
		                     .proof = f->limits[0].sentence });
}

/* ---- the clock ---- */

static void add_clock(struct findings *out, int64_t ahead)
{
	struct arena *a = out->arena;
	const int64_t apart = ahead < 0 ? -ahead : ahead;
	struct finding finding = { .area = AREA_CLOCK,
		.state = apart < MINUTE ? FINDING_OK
		         : apart < HOUR ? FINDING_WARNING
		                        : FINDING_PROBLEM,
		.what = arena_printf(a, "%.*s apart",
		        STR_ARG(apart <= 2 * SECOND ? STR("Less than 2 s") : span_text(a, apart))),
		.sentence = arena_printf(a, "From the Date that %.*s sent at %.8s UTC.",
		        STR_ARG(out->facts->ca.title), proof_time(a, out->facts->ca.at).p) };
	if (finding.state != FINDING_OK) {
		finding.sentence = arena_printf(a,
		        "This machine's clock is %.*s %s, by the Date that %.*s sent. Certificates "
		        "look expired or not yet valid here, and renewals come at the wrong time.",
		        STR_ARG(span_text(a, apart)), ahead > 0 ? "ahead" : "behind",
		        STR_ARG(out->facts->ca.title));
		finding.fix = STR("Set the clock, and let a time service keep it: `timedatectl "
		                  "set-ntp true`.");
	}
	finding_add(out, &finding);
}

/* A Date has whole seconds: within two of them the clock is right. */
static void judge_clock(struct findings *out)
{
	const struct facts *f = out->facts;
	struct arena *a = out->arena;
	if (!f->ca.done && !f->ca.none)
		return;
	if (f->ca.date) {
		add_clock(out, f->ca.at - f->ca.date);
		return;
	}
	finding_add(
	        out, &(struct finding){ .area = AREA_CLOCK,
	                     .state = FINDING_UNSEEN,
	                     .what = STR("Not compared"),
	                     .sentence = f->ca.none ? STR("Nobody outside was asked for the time.")
	                                 : f->ca.err.code != ERR_NONE
	                                         ? arena_printf(a, "%.*s did not answer: %s",
	                                                   STR_ARG(f->ca.title), f->ca.err.text)
	                                         : arena_printf(a, "%.*s sent no Date.",
	                                                   STR_ARG(f->ca.title)),
	                     .fix = STR("Compare it by hand: `date -u`.") });
}

/* ---- all ---- */

void judge(struct arena *a, const struct facts *f, struct findings *ret)
{
	ret->arena = a;
	ret->facts = f;
	ret->count = 0;
	ret->over = false;
	judge_dns(ret);
	judge_addresses(ret);
	judge_delegation(ret);
	judge_listeners(ret);
	judge_redirects(ret);
	judge_caa(ret);
	judge_limits(ret);
	judge_clock(ret);
	judge_https(ret);
	judge_hsts(ret);
}

struct str judge_outcome(struct arena *a, const struct findings *f, bool *ret_fails)
{
	const struct finding *stop = NULL;
	size_t states[4] = { 0 };
	for (size_t i = 0; i < f->count; i++) {
		states[f->at[i].state]++;
		if (!stop && f->at[i].stops)
			stop = &f->at[i];
	}
	*ret_fails = stop;
	if (stop)
		return arena_printf(a, "Registering %.*s now would fail: %.*s",
		        STR_ARG(f->facts->name), STR_ARG(stop->sentence));
	if (states[FINDING_UNSEEN] + states[FINDING_WARNING] + states[FINDING_PROBLEM])
		return arena_printf(a,
		        "Nothing that was seen would stop %.*s from being registered.",
		        STR_ARG(f->facts->name));
	return arena_printf(a, "All is well: %.*s can be registered.", STR_ARG(f->facts->name));
}
