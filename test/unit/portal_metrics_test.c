/* GET /metrics of a server with a hundred thousand sites that wait for their certificate, as many
 * certificates that are served, and as many sites and upstreams that were asked, whose names are as
 * long as names can be: how many series that makes, and how many bytes, is bounded. */
#include "issue/limits.h"
#include "notify/notify.h"
#include "portal/call.h"
#include "portal_rig.h"
#include "renew/private.h"
#include "server/site.h"

enum {
	MANY = 100000,
	AT_ONCE = 5000,
	CERTIFICATES = 200,
	BUDGETS = 20,
	OF_ONE = COUNTERS_CLASSES + COUNTERS_BUCKETS + 4, /* series of a site, or of an upstream */
	OTHERS = 100,
	LINE_MOST = 400,
};

/* ---- what there is ---- */

static void import_many(void)
{
	for (int from = 0; from < MANY; from += AT_ONCE) {
		struct writing w = { 0 };
		for (int i = from; i < from + AT_ONCE; i++) {
			char id[64], value[256];
			snprintf(id, sizeof id, "held%d.example.com", i);
			snprintf(value, sizeof value,
			        "{\"names\":[\"%s\"],\"issuer\":\"Corp\","
			        "\"not_before\":\"2026-11-01T00:00:00Z\","
			        "\"not_after\":\"2027-0%d-01T00:00:00Z\"}",
			        id, 1 + i % 9);
			store_tx_put(&w.tx, STR("imported"), str_c(id), 0, str_c(value), STR_NONE);
		}
		start(&place, &w);
		writing_wait(&place, &w);
		assert_int_equal(w.err.code, ERR_NONE);
	}
}

static struct config *many_sites(void)
{
	BUF_AUTO text = BUF(16 << 20);
	struct err err = ERR_INIT;
	buf_add_c(&text, "email ops@example.com\nagree-to-terms yes\n");
	for (int i = 0; i < MANY; i++)
		buf_printf(&text, "site waits%d.example.com { proxy 127.0.0.1:3000; }\n", i);
	struct config *c = config_parse(
	        &(struct config_source){ .file = "test.conf" }, buf_str(&text), NULL, &err);
	if (!c)
		fail_msg("%s", err.text);
	return c;
}

/* As many exchanges, each with a site and an upstream of its own, by two threads. */
static void visit_many(struct counts *sum)
{
	for (int thread = 0; thread < 2; thread++) {
		struct worker w = { .loop = place.loop };
		for (int i = 0; i < MANY; i++) {
			char name[254];
			snprintf(name, sizeof name, "%0253d", thread * MANY / 2 + i);
			const struct site site = { .name = str_c(name) };
			struct exchange ex = { .worker = &w, .asked = &site, .status = 200 };
			counters_begin(&ex);
			counters_upstream(&ex, str_c(name));
			counters_end(&ex);
		}
		counts_add(sum, &w.counts);
		counts_done(&w.counts);
	}
}

/* ---- the server around it ---- */

static struct portal_count *asked;

static void count(struct portal_host *h, struct portal_count *q)
{
	(void)h;
	asked = q;
}

static void count_abort(struct portal_host *h, struct portal_count *q)
{
	(void)h, (void)q;
}

static void tell(const struct counts *sum)
{
	ARENA_AUTO a = ARENA_INIT;
	struct portal_counts told = { .handshakes = sum->handshakes };
	struct portal_counted *rows = arena_array(
	        &a, struct portal_counted, (size_t)COUNTERS_KINDS * (COUNTERS_MOST + 1));
	for (unsigned kind = 0; kind < COUNTERS_KINDS; kind++) {
		assert_in_range(sum->of[kind].count, COUNTERS_MOST, COUNTERS_MOST + 1);
		MAP_EACH (n, &sum->of[kind])
			rows[told.count++] = (struct portal_counted){ .kind = kind,
				.name = n->key,
				.numbers = OWNER(n, struct counters, node) };
	}
	told.rows = rows;
	asked->done(asked, &told);
}

static void no_each(struct notify_source *s, struct notify_each *e)
{
	(void)s, (void)e;
}

static void install(struct serving *s, const struct serving_certificate *c)
{
	(void)s, (void)c;
}

struct server {
	struct portal_host_ops ops;
	struct serving_ops serving_ops;
	struct serving serving;
	struct notify_source source;
	struct fetch fetch;
	struct log log;
	struct issuers *issuers;
	struct renewals *renewals;
	struct notify *notify;
	struct config *config;
};

static void server_open(struct server *s)
{
	struct err err = ERR_INIT;
	s->ops = host_ops;
	s->ops.count = count;
	s->ops.count_abort = count_abort;
	host.ops = &s->ops;
	s->serving_ops.install = install;
	s->serving.ops = &s->serving_ops;
	s->source.each = no_each;
	s->config = many_sites();

	config.issuers = s->config->issuers;
	config.issuer_count = s->config->issuer_count;
	s->issuers = issuers_new(&(struct issue_needs){ .loop = place.loop,
	        .store = place.store,
	        .master = master,
	        .fetch = &s->fetch,
	        .log = &s->log });
	s->renewals = renewals_new(&(struct renew_needs){ .loop = place.loop,
	                                   .store = place.store,
	                                   .master = master,
	                                   .issuers = s->issuers,
	                                   .fetch = &s->fetch,
	                                   .serving = &s->serving,
	                                   .log = &s->log },
	        &err);
	assert_non_null(s->renewals);

	renewals_configure(s->renewals, s->config);

	s->notify = notify_new(&(struct notify_needs){ .loop = place.loop,
	                               .store = place.store,
	                               .fetch = &s->fetch,
	                               .source = &s->source },
	        &err);
	assert_non_null(s->notify);
	const struct portal_needs needs = { .loop = place.loop,
		.store = place.store,
		.master = master,
		.renewals = s->renewals,
		.issuers = s->issuers,
		.notify = s->notify,
		.host = &host };
	if (!portal_open(&needs, &err))
		fail_msg("%s", err.text);
}

static void server_close(struct server *s)
{
	portal_close();
	notify_free(&s->notify);
	renewals_free(&s->renewals);
	issuers_free(&s->issuers);
	config.issuers = NULL;
	config.issuer_count = 0;
	config_free(&s->config);
	host.ops = &host_ops;
}

/* As many certificates of Let's Encrypt's as it has names, each for a domain of its own; one for as
 * many long names as a certificate may have, several of another domain, and a proof that failed. */
static void spend_many(const struct server *s)
{
	struct limits *l = issuers_limits(s->issuers);
	const struct str directory = STR("https://acme-v02.api.letsencrypt.org/directory");
	char names[100][254];
	struct str set[100];
	for (int i = 0; i < MANY; i++) {
		snprintf(names[0], sizeof names[0], "www.n%d.com", i);
		set[0] = str_c(names[0]);
		limits_spent(l, SPENT_CERTIFICATE, directory, set, 1);
	}
	for (int i = 0; i < 100; i++) {
		snprintf(names[i], sizeof names[i], "%0240d.long.com", i);
		set[i] = str_c(names[i]);
	}
	for (int i = 0; i < 4; i++)
		limits_spent(l, SPENT_CERTIFICATE, directory, set, 100);
	const struct str bad = STR("bad.example.org");
	for (int i = 0; i < 3; i++)
		limits_spent(l, SPENT_FAILURE, directory, &bad, 1);
}

/* ---- what is said ---- */

/* "name 7", "name{label="value"} 7.5". */
static bool is_sample(struct str line)
{
	const size_t at = line.n && line.p[line.n - 1] != '}' ? str_find(line, '{') : line.n;
	const struct str head = str_head(line, at < line.n ? at : str_find(line, ' '));
	const char *space = memrchr(line.p, ' ', line.n);
	if (!str_starts(head, STR("everseal_")) || !space || line.n > LINE_MOST)
		return false;
	for (const char *p = space + 1; p < line.p + line.n; p++)
		if ((*p < '0' || *p > '9') && *p != '.')
			return false;
	return at == line.n || space[-1] == '}';
}

static size_t samples_of(struct str text, const char *start)
{
	struct str line;
	size_t n = 0;
	while (str_split(&text, '\n', &line)) {
		if (!line.n || line.p[0] == '#')
			continue;
		if (!is_sample(line))
			fail_msg("not a sample: %.*s", STR_ARG(line));
		n += str_starts(line, str_c(start));
	}
	return n;
}

static void labels_stay_few_with_a_hundred_thousand_names(void **state)
{
	(void)state;
	static struct server s;
	struct counts sum = { 0 };
	struct client c;
	portal_close();

	import_many();

	server_open(&s);
	visit_many(&sum);
	spend_many(&s);

	begin(&c, R("GET", "/metrics", .owner = true));
	c.body = BUF(CALL_ANSWER_MOST + 1);
	assert_non_null(asked);
	tell(&sum);
	wait_end(&c);
	assert_int_equal(c.status, 200);

	const struct str text = buf_str(&c.body);
	const size_t all = samples_of(text, "everseal_"), most = COUNTERS_MOST + 1;
	print_message("# %zu series, %zu bytes\n", all, text.n);
	assert_true(str_ends(text, STR("\n")));
	assert_true(text.n < CALL_ANSWER_MOST);
	assert_int_equal(
	        samples_of(text, "everseal_certificate_expiry_timestamp_seconds{"), CERTIFICATES);
	assert_true(samples_of(text, "everseal_certificate_renewal_timestamp_seconds{") <=
	            CERTIFICATES);
	assert_in_range(samples_of(text, "everseal_requests_under_way{"), most - 1, most);
	assert_in_range(samples_of(text, "everseal_upstream_requests_under_way{"), most - 1, most);
	assert_true(
	        all <= 2 * CERTIFICATES + COUNTERS_KINDS * OF_ONE * most + 2 * BUDGETS + OTHERS);
	assert_int_equal(samples_of(text, "everseal_ca_budget_used{"), BUDGETS);
	assert_int_equal(samples_of(text, "everseal_ca_budget_limit{"), BUDGETS);
	static const char *const budgets[] = {
		"everseal_ca_budget_used{issuer=\"letsencrypt\",kind=\"failures\","
		"about=\"bad.example.org\"} 3\n",
		"everseal_ca_budget_limit{issuer=\"letsencrypt\",kind=\"failures\","
		"about=\"bad.example.org\"} 5\n",
		".long.com and 99 more, ",
	};
	for (size_t i = 0; i < 3; i++)
		if (!strstr(buf_c(&c.body), budgets[i]))
			fail_msg("no %s", budgets[i]);
	assert_non_null(strstr(buf_c(&c.body), "everseal_certificates{state=\"ok\"} "));

	finish(&c);
	counts_done(&sum);
	server_close(&s);
	open_portal();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(labels_stay_few_with_a_hundred_thousand_names),
	};
	return cmocka_run_group_tests_name("portal_metrics", tests, NULL, NULL);
}
