/* GET /metrics: what Prometheus scrapes. Labels per name stay few, however many names there are:
 * sites and upstreams as serve counts them, certificates the NAMES_MOST that end first, of each
 * CA's limits the BUDGETS_MOST that are used up most. */
#include "notify/metrics.h"
#include "issue/limits.h"
#include "keys/digest.h"
#include "portal/sites.h"
#include "renew/demand.h"

enum { NAMES_MOST = 200, BUDGETS_MOST = 20, ABOUT_MOST = 253 };

#define LABEL(l_name, l_value) { .name = (l_name), .value = (l_value) }

struct scrape {
	struct call_part part;
	struct portal_count count;
	struct call *call;
};

static void gauge(struct buf *out, const char *name, const char *help, int64_t value)
{
	metrics_family(out, name, METRICS_GAUGE, help);
	metrics_int(out, &(struct metrics_sample){ .name = name }, value);
}

/* ---- certificates ---- */

struct certificates {
	struct renew_view_each each;
	struct renew_view *first; /* those that end first, the first of them at 0 */
	size_t kept;
	int64_t lamps[LAMP_COUNT];
};

static void take_view(struct renew_view_each *e, const struct renew_view *v)
{
	struct certificates *all = OWNER(e, struct certificates, each);
	all->lamps[v->lamp]++;
	if (!v->held || v->lamp == LAMP_OFF)
		return;
	size_t at = all->kept;
	while (at && all->first[at - 1].not_after > v->not_after)
		at--;
	if (at == NAMES_MOST)
		return;
	if (all->kept < NAMES_MOST)
		all->kept++;
	memmove(&all->first[at + 1], &all->first[at], (all->kept - at - 1) * sizeof *all->first);
	all->first[at] = *v;
}

static void write_time_of(struct buf *out, const struct certificates *all, const char *name,
        int64_t (*time_of)(const struct renew_view *v))
{
	for (size_t i = 0; i < all->kept; i++) {
		const struct renew_view *v = &all->first[i];
		const int64_t at = time_of(v);
		if (at)
			metrics_seconds(out,
			        &(struct metrics_sample){ .name = name,
			                .labels = { LABEL("name", v->names[0]),
			                        LABEL("issuer", v->issuer), LABEL("id", v->id) } },
			        at);
	}
}

static int64_t expiry_of(const struct renew_view *v)
{
	return v->not_after;
}

static int64_t renewal_of(const struct renew_view *v)
{
	return v->next_renewal;
}

static void write_certificates(struct buf *out, struct arena *a)
{
	struct certificates all = { .each.view = take_view };
	all.first = arena_array(a, struct renew_view, NAMES_MOST + 1);
	renew_each(portal_renewals, &all.each);
	metrics_family(out, "everseal_certificates", METRICS_GAUGE,
	        "Certificates by the state that the page shows.");
	for (unsigned i = 0; i < LAMP_COUNT; i++)
		metrics_int(out,
		        &(struct metrics_sample){ .name = "everseal_certificates",
		                .labels = { LABEL("state", str_c(lamp_name((enum lamp)i))) } },
		        all.lamps[i]);
	if (!all.kept)
		return;
	metrics_family(out, "everseal_certificate_expiry_timestamp_seconds", METRICS_GAUGE,
	        "When a certificate in use expires; the 200 that expire first.");
	write_time_of(out, &all, "everseal_certificate_expiry_timestamp_seconds", expiry_of);
	metrics_family(out, "everseal_certificate_renewal_timestamp_seconds", METRICS_GAUGE,
	        "When it is renewed next; of the same certificates.");
	write_time_of(out, &all, "everseal_certificate_renewal_timestamp_seconds", renewal_of);
}

/* ---- on demand ---- */

static void write_demands(struct buf *out)
{
	static const char name[] = "everseal_demands_total";
	static const struct {
		enum demand_verdict verdict;
		const char *label;
	} answers[] = { { DEMAND_ISSUED, "issued" }, { DEMAND_DENIED, "denied" },
		{ DEMAND_BUSY, "busy" } };
	metrics_family(out, name, METRICS_COUNTER,
	        "Handshakes for names without a certificate, as they were answered (on-demand).");
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
		metrics_int(out,
		        &(struct metrics_sample){ .name = name,
		                .labels = { LABEL("answer", str_c(answers[i].label)) } },
		        (int64_t)renew_demands_answered(portal_renewals, answers[i].verdict));
}

/* ---- attempts ---- */

static void write_attempts(struct buf *out)
{
	struct renew_totals totals;
	static const char name[] = "everseal_attempts_failed_total";
	renew_totals(portal_renewals, &totals);
	metrics_family(out, "everseal_attempts_succeeded_total", METRICS_COUNTER,
	        "Attempts at a certificate that ended with one.");
	metrics_int(out, &(struct metrics_sample){ .name = "everseal_attempts_succeeded_total" },
	        (int64_t)totals.succeeded);
	metrics_family(out, name, METRICS_COUNTER,
	        "Attempts at a certificate that failed, by the error's code.");
	for (unsigned i = ERR_NONE + 1; i <= ERR_CANCELED; i++)
		metrics_int(out,
		        &(struct metrics_sample){ .name = name,
		                .labels = { LABEL(
		                        "cause", str_c(err_code_name((enum err_code)i))) } },
		        (int64_t)totals.failed[i]);
	gauge(out, "everseal_attempts_under_way", "Attempts under way.", (int64_t)totals.under_way);
	gauge(out, "everseal_attempts_queued", "Attempts that wait for a place or a port.",
	        (int64_t)totals.queued);
	gauge(out, "everseal_attempts_at_limit", "Attempts that wait until a CA's limit has room.",
	        (int64_t)totals.at_limit);
}

static bool orders_of(const struct config_issuer *issuer, struct limit *ret_limit)
{
	struct limit limits[LIMIT_COUNT];
	const struct str any = STR("");
	const size_t n =
	        limits_of(issuers_limits(portal.issuers), issuer->directory, &any, 1, limits);
	for (size_t i = 0; i < n; i++)
		if (limits[i].kind == LIMIT_ORDERS) {
			*ret_limit = limits[i];
			return true;
		}
	return false;
}

static void write_limits(struct buf *out, bool most)
{
	const char *name = most ? "everseal_ca_orders_limit" : "everseal_ca_orders_used";
	const struct config *config = portal_host->ops->config(portal_host);
	struct limit limit;
	metrics_family(out, name, METRICS_GAUGE,
	        most ? "New orders that the CA takes within its window."
	             : "New orders counted against the CA's limit now.");
	for (size_t i = 0; i < config->issuer_count; i++)
		if (orders_of(&config->issuers[i], &limit))
			metrics_int(out,
			        &(struct metrics_sample){ .name = name,
			                .labels = { LABEL("issuer", config->issuers[i].name) } },
			        most ? limit.most : limit.used);
}

/* What the CAs' other limits count by domain, set of names or name: of each issuer those that are
 * nearest to their limit. */
static const char *const budget_kinds[LIMIT_COUNT] = { [LIMIT_DOMAIN] = "domain",
	[LIMIT_SET] = "names",
	[LIMIT_FAILED] = "failures",
	[LIMIT_ACCOUNTS] = "accounts" };
struct budgets {
	struct str issuer;
	struct limit nearest[1 + BUDGETS_MOST]; /* the first is that of the orders */
	size_t count;
};

/* A set of names may be long: then the first, how many more, and what tells it from others. */
static struct str about_short(struct arena *a, struct str about)
{
	unsigned char hash[DIGEST_SHA256];
	size_t more = 0;
	if (about.n <= ABOUT_MOST)
		return about;
	for (size_t i = 0; i < about.n; i++)
		more += about.p[i] == ' ';
	digest_sha256(about, hash);
	return arena_printf(a, "%.*s and %zu more, %02x%02x%02x%02x",
	        STR_ARG(str_head(about, str_find(about, ' '))), more, hash[0], hash[1], hash[2],
	        hash[3]);
}

static size_t budgets_of(struct arena *a, struct budgets **ret)
{
	const struct config *config = portal_host->ops->config(portal_host);
	struct budgets *all = arena_array(a, struct budgets, config->issuer_count);
	for (size_t i = 0; i < config->issuer_count; i++) {
		struct budgets *b = &all[i];
		b->issuer = config->issuers[i].name;
		b->count = limits_nearest(issuers_limits(portal.issuers),
		        config->issuers[i].directory, a, b->nearest, 1 + BUDGETS_MOST);
		for (size_t n = 1; n < b->count; n++)
			b->nearest[n].about = about_short(a, b->nearest[n].about);
	}
	*ret = all;
	return config->issuer_count;
}

static void write_budget(struct buf *out, const char *name, const struct budgets *b, bool most)
{
	for (size_t n = 1; n < b->count; n++) {
		const struct limit *limit = &b->nearest[n];
		metrics_int(out,
		        &(struct metrics_sample){ .name = name,
		                .labels = { LABEL("issuer", b->issuer),
		                        LABEL("kind", str_c(budget_kinds[limit->kind])),
		                        LABEL("about", limit->about) } },
		        most ? limit->most : limit->used);
	}
}

static void write_budgets(struct buf *out, struct arena *a)
{
	static const struct {
		const char *name, *help;
	} families[] = {
		{ "everseal_ca_budget_used",
		        "Counted against a CA's limit by registered domain, exact set of names or "
		        "name now; of each CA the 20 nearest to their limit." },
		{ "everseal_ca_budget_limit", "What the CA takes; of the same." },
	};
	struct budgets *all;
	const size_t count = budgets_of(a, &all);
	for (size_t f = 0; f < 2; f++) {
		metrics_family(out, families[f].name, METRICS_GAUGE, families[f].help);
		for (size_t i = 0; i < count; i++)
			write_budget(out, families[f].name, &all[i], /* most= */ f == 1);
	}
}

/* ---- telling people ---- */

static void write_messages(struct buf *out)
{
	const struct notify_totals totals = notify_totals(portal.notify);
	gauge(out, "everseal_messages_waiting", "Messages to people that did not arrive yet.",
	        (int64_t)totals.waiting);
	metrics_family(
	        out, "everseal_messages_arrived_total", METRICS_COUNTER, "Messages that arrived.");
	metrics_int(out, &(struct metrics_sample){ .name = "everseal_messages_arrived_total" },
	        (int64_t)totals.arrived);
	metrics_family(out, "everseal_messages_lost_total", METRICS_COUNTER,
	        "Messages that were given up, or found no room.");
	metrics_int(out, &(struct metrics_sample){ .name = "everseal_messages_lost_total" },
	        (int64_t)totals.lost);
}

/* ---- the data plane ---- */

static const struct {
	const char *label, *requests, *bytes, *under_way, *durations, *of;
} words[COUNTERS_KINDS] = {
	[COUNTERS_SITE] = { "site", "everseal_requests_total", "everseal_response_bytes_total",
	        "everseal_requests_under_way", "everseal_request_duration_seconds", "site" },
	[COUNTERS_UPSTREAM] = { "upstream", "everseal_upstream_requests_total",
	        "everseal_upstream_response_bytes_total", "everseal_upstream_requests_under_way",
	        "everseal_upstream_request_duration_seconds", "upstream" },
};

static void write_requests(
        struct buf *out, enum counters_kind kind, const struct portal_counted *row)
{
	char class[] = "0xx";
	for (unsigned i = 0; i < COUNTERS_CLASSES; i++) {
		class[0] = (char)('1' + i);
		metrics_int(out,
		        &(struct metrics_sample){ .name = words[kind].requests,
		                .labels = { LABEL(words[kind].label, row->name),
		                        LABEL("status", str_c(class)) } },
		        (int64_t)row->numbers->requests[i]);
	}
}

static void write_bytes(struct buf *out, enum counters_kind kind, const struct portal_counted *row)
{
	metrics_int(out,
	        &(struct metrics_sample){ .name = words[kind].bytes,
	                .labels = { LABEL(words[kind].label, row->name) } },
	        (int64_t)row->numbers->sent);
}

static void write_under_way(
        struct buf *out, enum counters_kind kind, const struct portal_counted *row)
{
	metrics_int(out,
	        &(struct metrics_sample){ .name = words[kind].under_way,
	                .labels = { LABEL(words[kind].label, row->name) } },
	        row->numbers->under_way);
}

static void write_durations(
        struct buf *out, enum counters_kind kind, const struct portal_counted *row)
{
	ARENA_AUTO a = ARENA_INIT;
	const char *name = words[kind].durations;
	struct metrics_sample s = { .labels = { LABEL(words[kind].label, row->name) } };
	int64_t sum = 0;
	s.name = arena_printf(&a, "%s_bucket", name).p;
	s.labels[1].name = "le";
	for (unsigned i = 0; i < COUNTERS_BUCKETS; i++) {
		sum += (int64_t)row->numbers->latencies[i];
		s.labels[1].value =
		        i == COUNTERS_BUCKETS - 1
		                ? STR("+Inf")
		                : arena_printf(&a, "%g", (double)counters_latencies[i] / 1000);
		metrics_int(out, &s, sum);
	}
	s.labels[1].name = NULL;
	s.name = arena_printf(&a, "%s_sum", name).p;
	metrics_seconds(out, &s, (int64_t)row->numbers->latency);
	s.name = arena_printf(&a, "%s_count", name).p;
	metrics_int(out, &s, sum);
}

static void write_kind(struct buf *out, enum counters_kind kind, const struct portal_counts *c)
{
	const struct {
		const char *name, *help;
		enum metrics_kind kind;
		void (*write)(
		        struct buf *out, enum counters_kind kind, const struct portal_counted *row);
	} families[] = {
		{ words[kind].requests, "Requests answered, by the class of the status.",
		        METRICS_COUNTER, write_requests },
		{ words[kind].bytes, "Bytes of content sent to clients.", METRICS_COUNTER,
		        write_bytes },
		{ words[kind].under_way, "Requests that are being answered.", METRICS_GAUGE,
		        write_under_way },
		{ words[kind].durations, "From a request's head to the end of its answer.",
		        METRICS_HISTOGRAM, write_durations },
	};
	for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
		metrics_family(out, families[f].name, families[f].kind, families[f].help);
		for (size_t i = 0; i < c->count; i++)
			if (c->rows[i].kind == kind)
				families[f].write(out, kind, &c->rows[i]);
	}
}

static void write_handshakes(struct buf *out, const uint64_t *handshakes)
{
	static const char name[] = "everseal_tls_handshakes_total";
	static const char *const outcomes[HANDSHAKES] = { [HANDSHAKE_FULL] = "full",
		[HANDSHAKE_RESUMED] = "resumed",
		[HANDSHAKE_FAILED] = "failed" };
	metrics_family(out, name, METRICS_COUNTER,
	        "TLS handshakes with clients; failed: by whosever fault.");
	for (unsigned i = 0; i < HANDSHAKES; i++)
		metrics_int(out,
		        &(struct metrics_sample){
		                .name = name, .labels = { LABEL("outcome", str_c(outcomes[i])) } },
		        (int64_t)handshakes[i]);
}

/* ---- the answer ---- */

static void write_all(struct portal_count *q, const struct portal_counts *counts)
{
	struct call *c = OWNER(q, struct scrape, count)->call;
	struct buf *out = &c->answer;
	metrics_family(out, "everseal_build_info", METRICS_GAUGE, "Always 1; the version.");
	metrics_int(out,
	        &(struct metrics_sample){ .name = "everseal_build_info",
	                .labels = { LABEL("version", STR(EVERSEAL_VERSION)) } },
	        1);
	gauge(out, "everseal_draining", "1 while load balancers are told to send nobody.",
	        portal_host->draining);
	write_certificates(out, &c->arena);
	write_attempts(out);
	write_demands(out);
	write_limits(out, /* most= */ false);
	write_limits(out, /* most= */ true);
	write_budgets(out, &c->arena);
	write_messages(out);
	write_handshakes(out, counts->handshakes);
	write_kind(out, COUNTERS_SITE, counts);
	write_kind(out, COUNTERS_UPSTREAM, counts);
	call_answer_file(c, METRICS_TYPE, NULL);
}

static void let_go(struct call_part *p)
{
	portal_host->ops->count_abort(portal_host, &OWNER(p, struct scrape, part)->count);
}

static void get_metrics(struct call *c)
{
	struct scrape *s = arena_new(&c->arena, struct scrape);
	*s = (struct scrape){ .count.done = write_all, .call = c };
	call_keep(c, &s->part, let_go);
	portal_host->ops->count(portal_host, &s->count);
}

const struct route metrics_routes[] = {
	{ "GET", "/metrics", SCOPE_READ, get_metrics },
	{ 0 },
};
