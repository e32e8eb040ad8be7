/* A simulated year of everything that control does for certificates: renew, issue, acme, store and
 * keys are the real ones, the database is a real one, kills are kills. Only the clock and the CA
 * are not real: the clock goes on to the next timer at once, and the CA enforces its limits.
 *
 *	year [--full] [--picture FILE] [--log]
 *
 * Without --full a few weeks of fewer names. TAP on stdout, figures as its comments. */
#include "../unit/issue_place.h"
#include "loop/inside.h"
#include "picture.h"
#include "renew/private.h"
#include "rules.h"

#include <malloc.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/time.h>

#define LE "https://acme-v02.api.letsencrypt.org/directory"

enum { REMEMBERED = 32 << 10, SPAN = 3, LOG_KINDS = 4 };

/* What the CA was asked. */
struct asked {
	unsigned requests, most_a_second, orders, refused, already_replaced, exempt;
	unsigned windows, issued[LIFE_COUNT], failed;
	int64_t second;
	unsigned in_second;
};

static struct year {
	const struct plan *plan;
	struct place place;
	struct config *config;
	struct renewals *renewals;
	struct serving serving;
	struct list changing;
	struct later change_later;
	struct rules rules;
	struct asked asked;
	struct site *sites;
	struct map by_name;
	struct day *days;
	unsigned *orders_by_hour, *windows_by_hour;
	int64_t began;
	int64_t least_left[LIFE_COUNT]; /* when its successor was served, ms */
	unsigned expired, unserved, log_lines[LOG_KINDS];
	bool log;
	struct timer hourly;
	size_t killed, recalled;
	size_t heap_early, heap_late, records_early, records_late;
	char words[512];
} year;

static int64_t now(void)
{
	return loop_wall(year.place.loop);
}

static unsigned hour(void)
{
	return (unsigned)((now() - year.began) / HOUR);
}

static struct day *today(void)
{
	return &year.days[hour() / 24];
}

static struct site *site_of(struct str name)
{
	struct map_node *n = map_find(&year.by_name, name);
	CHECK(n);
	return OWNER(n, struct site, node);
}

/* The CA */

/* Near two thirds of its life, or half of a short one; 1 % on both sides. In the past for what it
 * wants replaced. */
static bool window_of(struct scripted_ca *ca, const struct ca_order *o, struct ca_window *ret)
{
	const struct site *s = site_of(str_c(o->names[0]));
	const int64_t life = o->not_after - o->not_before;
	const int64_t at = o->not_after - (life < 10 * DAY ? life / 2 : life / 3);
	(void)ca;
	if (s->recalled_at > o->at)
		*ret = (struct ca_window){ now() - HOUR, now() - HOUR / 2,
			"https://ca.test/incident" };
	else
		*ret = (struct ca_window){ at - life / 100, at + life / 100, NULL };
	return true;
}

static void count_request(const char *url)
{
	struct asked *a = &year.asked;
	const int64_t second = now() / SECOND;
	a->in_second = second == a->second ? a->in_second + 1 : 1;
	a->second = second;
	a->requests++;
	if (a->in_second > a->most_a_second)
		a->most_a_second = a->in_second;
	if (!strstr(url, "/renewal/"))
		return;
	a->windows++;
	today()->windows++;
	year.windows_by_hour[hour()]++;
}

static bool refuses_request(struct scripted_ca *ca, const char *url, struct ca_refusal *ret)
{
	const struct outage *o = plan_outage(year.plan, hour());
	(void)ca;
	count_request(url);
	*ret = (struct ca_refusal){ 503, "serverInternal", "Service busy; retry later.", 0 };
	if (o && o->kind == OUTAGE_PATIENCE)
		ret->seconds = HOUR / SECOND;
	if (o)
		return true;
	const bool refused = !rules_allow_request(&year.rules, url, now());
	if (refused && year.log)
		fprintf(stderr, "%u.%02u refused: %s\n", hour() / 24, hour() % 24, url);
	return refused;
}

static bool in_window(struct scripted_ca *ca, const struct ca_order *o)
{
	struct ca_window w;
	return window_of(ca, o, &w) && now() >= w.start && now() <= w.end;
}

static struct rule_order rule_order_of(const struct ca_order *o)
{
	return (struct rule_order){ .name = o->names[0],
		.now = now(),
		.exempt = o->exempt,
		.renewal = site_of(str_c(o->names[0]))->issued };
}

static bool refuses_order(
        struct scripted_ca *ca, const struct ca_order *order, struct ca_refusal *ret)
{
	struct ca_order *o = (struct ca_order *)order;
	struct ca_order *before =
	        o->replaces[0] ? scripted_ca_order_of(ca, str_c(o->replaces)) : NULL;
	BUF_AUTO words = BUF(sizeof year.words - 1);
	int64_t wait = 0;
	if (before && before->replaced) {
		year.asked.already_replaced++;
		*ret = (struct ca_refusal){ 409, "alreadyReplaced", "It has been replaced.", 0 };
		return true;
	}
	o->exempt = before && in_window(ca, before);
	const struct rule_order asked = rule_order_of(o);
	const enum rule rule = rules_order(&year.rules, &asked, &wait, &words);
	if (rule == RULE_COUNT) {
		if (before)
			before->replaced = true;
		year.asked.orders++;
		year.asked.exempt += o->exempt;
		today()->orders++;
		year.orders_by_hour[hour()]++;
		return false;
	}
	snprintf(year.words, sizeof year.words, "%s", buf_c(&words));
	*ret = (struct ca_refusal){ 429, "rateLimited", year.words, wait / SECOND + 1 };
	year.asked.refused++;
	return true;
}

static bool finds(struct scripted_ca *ca, const struct ca_order *o, size_t i)
{
	(void)ca;
	const bool found = !plan_is_dead(site_of(str_c(o->names[i])), hour());
	if (!found)
		rules_failed(&year.rules, o->names[i], now());
	year.asked.failed += !found;
	return found;
}

static void issued(struct scripted_ca *ca, const struct ca_order *o)
{
	struct site *s = site_of(str_c(o->names[0]));
	const struct rule_order order = rule_order_of(o);
	(void)ca;
	rules_issued(&year.rules, &order);
	s->issued++;
	year.asked.issued[s->life]++;
	today()->issued[s->life]++;
}

static const struct ca_rules ca_rules = {
	.refuses_request = refuses_request,
	.refuses_order = refuses_order,
	.finds = finds,
	.issued = issued,
};

static int64_t lifetime_of(const char *name)
{
	return life_hours[site_of(str_c(name))->life] * HOUR;
}

/* Serving */

static void install(struct serving *serving, const struct serving_certificate *c)
{
	ARENA_AUTO a = ARENA_INIT;
	struct site *s = site_of(c->names[0]);
	struct cert leaf;
	struct err err = ERR_INIT;
	(void)serving;
	CHECK(cert_read(&a, c->leaf, &leaf, &err));
	const int64_t left = s->not_after - now();
	if (s->not_after && leaf.not_after > s->not_after) {
		year.expired += left <= 0;
		if (left < year.least_left[s->life])
			year.least_left[s->life] = left;
	}
	s->not_after = leaf.not_after;
	s->installed_at = now();
	buf_clear(&s->pem);
	cert_to_pem(c->leaf, &s->pem);
}

static bool shows(
        struct scripted_ca *ca, const struct fetch_probe *p, struct buf *pem, struct err *err)
{
	(void)ca;
	(void)err;
	buf_add_buf(pem, &site_of(p->server_name)->pem);
	return true;
}

static void change_done(struct later *l)
{
	(void)l;
	while (!list_empty(&year.changing)) {
		struct serving_change *c =
		        OWNER(list_first(&year.changing), struct serving_change, node);
		list_remove(&c->node);
		c->done(c, NULL);
	}
}

static void change(struct serving *s, struct serving_change *c)
{
	(void)s;
	list_add_last(&year.changing, &c->node);
	later_start(&year.change_later, year.place.loop, change_done);
}

static void change_abort(struct serving *s, struct serving_change *c)
{
	(void)s;
	list_remove(&c->node);
}

static bool bound(struct serving *s, const struct address *a, struct err *err)
{
	(void)s;
	(void)a;
	(void)err;
	return true;
}

static bool provable(struct serving *s, struct str name, struct err *err)
{
	(void)s;
	(void)name;
	(void)err;
	return true;
}

static bool unobstructed(struct serving *s, struct err *err)
{
	(void)s;
	(void)err;
	return true;
}

static size_t addresses(
        struct serving *s, struct str name, struct serving_address *ret, size_t most)
{
	(void)s;
	(void)name;
	CHECK(most > 0);
	ret[0] = (struct serving_address){ STR("127.0.0.1"), 443 };
	return 1;
}

static size_t listeners(struct serving *s, struct address *ret, size_t most)
{
	(void)s;
	CHECK(most > 0);
	ret[0] = (struct address){ .host = STR("127.0.0.1"), .port = 443 };
	return 1;
}

static const struct serving_ops serving_ops = {
	.install = install,
	.change = change,
	.change_abort = change_abort,
	.bound = bound,
	.provable = provable,
	.unobstructed = unobstructed,
	.addresses = addresses,
	.listeners = listeners,
};

/* Control */

static struct config *configuration(bool with_late)
{
	struct err err = ERR_INIT;
	BUF_AUTO text = BUF(1 << 20);
	buf_add_c(&text, "email ops@example.com\nagree-to-terms yes\nrehearsal no\n");
	for (unsigned i = 0; i < year.plan->names; i++)
		if (with_late || !year.sites[i].is_late)
			buf_printf(
			        &text, "site %s { proxy 127.0.0.1:3000; }\n", year.sites[i].name);
	struct config *c = config_parse(
	        &(struct config_source){ .file = "year.conf" }, buf_str(&text), NULL, &err);
	if (!c)
		fail_msg("%s", err.text);
	return c;
}

static void configure(bool with_late)
{
	ARENA_AUTO a = ARENA_INIT;
	struct config *old = year.config;
	size_t count;
	year.config = configuration(with_late);
	const struct issuer_row *from = renew_issuer_rows(&a, year.config, &count);
	struct issuer_row *rows = arena_array(&a, struct issuer_row, count);
	for (size_t i = 0; i < count; i++) {
		rows[i] = from[i];
		rows[i].trust = STR("the root");
	}
	issuers_set(year.place.issuers, rows, count);
	if (year.renewals)
		renewals_configure(year.renewals, year.config);
	config_free(&old);
}

static void start(void)
{
	struct err err = ERR_INIT;
	const bool with_late = hour() >= year.plan->late_at;
	configure(with_late);
	year.renewals = renewals_new(&(struct renew_needs){ .loop = year.place.loop,
	                                     .store = year.place.store,
	                                     .master = year.place.master,
	                                     .issuers = year.place.issuers,
	                                     .fetch = &year.place.ca.fetch,
	                                     .serving = &year.serving,
	                                     .log = &year.place.log },
	        &err);
	if (!year.renewals)
		fail_msg("%s", err.text);
	renewals_configure(year.renewals, year.config);
	renewals_begin(year.renewals);
}

static void stop(void)
{
	renewals_free(&year.renewals);
	later_stop(&year.change_later);
	list_init(&year.changing);
	place_close(&year.place);
}

/* Every hour */

static void count_log(void)
{
	struct str rest = buf_str(&logged), line;
	CHECK(buf_ok(&logged));
	while (str_split(&rest, '\n', &line)) {
		for (int i = 0; i < LOG_KINDS; i++)
			year.log_lines[i] +=
			        str_starts(line, str_c(log_level_name((enum log_level)i)));
		if (year.log)
			fprintf(stderr, "%u.%02u %.*s\n", hour() / 24, hour() % 24, STR_ARG(line));
	}
	buf_clear(&logged);
}

static void look_at_sites(void)
{
	struct day *d = today();
	for (unsigned i = 0; i < year.plan->names; i++) {
		const struct site *s = &year.sites[i];
		const int64_t left = s->not_after - now();
		if (!s->not_after || s->never)
			continue;
		year.unserved += left <= 0;
		if (!d->any || left < d->least_left)
			d->least_left = left;
		d->any = true;
	}
}

static void recall(const struct recall *r)
{
	for (unsigned i = 0; i < year.plan->names; i++)
		if ((!r->short_only || year.sites[i].life == LIFE_6) && i * 37 % 100 < r->percent)
			year.sites[i].recalled_at = now();
}

struct counting {
	struct store_scan scan;
	size_t count;
};

static bool counting(struct store_scan *scan, const struct record *record)
{
	(void)record;
	OWNER(scan, struct counting, scan)->count++;
	return true;
}

static size_t records(const char *kind)
{
	struct counting c = { .scan.each = counting };
	struct err err = ERR_INIT;
	if (!store_each(year.place.store, str_c(kind), &c.scan, &err))
		fail_msg("%s", err.text);
	return c.count;
}

/* Without what the CA remembers; 0 under a sanitizer, whose memory is not told. */
static size_t heap(void)
{
	size_t of_ca = REMEMBERED * sizeof(struct ca_order);
	for (unsigned i = 0; i < REMEMBERED; i++)
		of_ca += year.place.ca.orders[i].pem.cap;
	const size_t all = mallinfo2().uordblks + mallinfo2().hblkhd;
	return all > of_ca ? all - of_ca : 0;
}

static off_t file_size(const char *name)
{
	struct stat st;
	char path[128];
	snprintf(path, sizeof path, "%s/%s", year.place.dir, name);
	return stat(path, &st) ? 0 : st.st_size;
}

static void say_state(void)
{
	static const char *const kinds[] = { "certificate", "renewal", "task", "spent", "flow",
		"flow-key" };
	printf("# day %u: database %lld KiB + %lld KiB of log, heap %zu KiB, records:", hour() / 24,
	        (long long)file_size("everseal.db") >> 10,
	        (long long)file_size("everseal.db-wal") >> 10, heap() >> 10);
	size_t sum = 0;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const size_t count = records(kinds[i]);
		sum += count;
		printf(" %s %zu", kinds[i], count);
	}
	printf("; %u orders\n", year.asked.orders);
	fflush(stdout);
	if (hour() / 24 <= year.plan->days / 3) {
		year.heap_early = heap();
		year.records_early = sum;
	}
	year.heap_late = heap();
	year.records_late = sum;
}

static void every_hour(struct timer *t)
{
	const struct plan *p = year.plan;
	timer_start(t, year.place.loop, HOUR, every_hour);
	look_at_sites();
	count_log();
	buf_clear(&year.place.diary);
	if (hour() == p->late_at)
		configure(/* with_late= */ true);
	if (year.recalled < p->recall_count && hour() >= p->recalls[year.recalled].at)
		recall(&p->recalls[year.recalled++]);
	year.place.ca.down =
	        plan_outage(p, hour()) && plan_outage(p, hour())->kind == OUTAGE_SILENT;
	if (hour() && hour() % (p->days * 24 / 12) == 0)
		say_state();
}

/* On to the next timer at once: what other threads do holds the clock, and what was sent to
 * another end of this process is there already. */
static void turn(void)
{
	struct loop *loop = year.place.loop;
	struct pollfd ready = { .fd = loop->epoll, .events = POLLIN };
	timers_settle(loop);
	const int64_t next = timers_wait(loop);
	if (next > 0 && !loop->holds && list_empty(&loop->laters) && !poll(&ready, 1, 0))
		clock_fake_advance(&year.place.clock, next);
	loop_turn(loop, loop->holds ? -1 : 0);
}

static void live(void)
{
	const int64_t end = year.began + year.plan->days * DAY;
	while (now() < end - MINUTE) {
		turn();
		if (year.killed == year.plan->kill_count || hour() < year.plan->kills[year.killed])
			continue;
		stop();
		place_open(&year.place);
		start();
		year.killed++;
	}
}

/* The outcome */

static unsigned cases, failures;

__attribute__((format(printf, 2, 3))) static void check(bool ok, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	printf("%sok %u - ", ok ? "" : "not ", ++cases);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	failures += !ok;
}

static unsigned most_in(const unsigned *by_hour, unsigned hours)
{
	unsigned most = 0;
	for (unsigned i = 0; i + hours <= year.plan->days * 24; i++) {
		unsigned sum = 0;
		for (unsigned k = 0; k < hours; k++)
			sum += by_hour[i + k];
		if (sum > most)
			most = sum;
	}
	return most;
}

static int by_number(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
	return (x > y) - (x < y);
}

/* What so many of 100 hours do not pass. */
static void say_hours(const char *what, const unsigned *by_hour)
{
	const size_t hours = year.plan->days * (size_t)24;
	unsigned *sorted = mem_array(sizeof *sorted, hours);
	memcpy(sorted, by_hour, hours * sizeof *sorted);
	qsort(sorted, hours, sizeof *sorted, by_number);
	printf("# %s in an hour: at most %u in half of the hours, %u in 99 of 100, %u in all; %u "
	       "in a day\n",
	        what, sorted[hours / 2], sorted[hours * 99 / 100], sorted[hours - 1],
	        most_in(by_hour, 24));
	free(sorted);
}

static void check_limits(void)
{
	for (enum rule i = 0; i < RULE_COUNT; i++)
		check(!year.rules.refused[i] && !year.rules.exceeded[i],
		        "%s: %u refused, %u beyond the limit", rule_about[i], year.rules.refused[i],
		        year.rules.exceeded[i]);
}

static void check_sites(void)
{
	unsigned without = 0, served_never = 0, nevers = 0;
	for (unsigned i = 0; i < year.plan->names; i++) {
		const struct site *s = &year.sites[i];
		nevers += s->never;
		served_never += s->never && s->not_after;
		without += !s->never && s->not_after <= now();
	}
	check(!year.expired && !year.unserved, "no certificate expires: %u did, for %u hours",
	        year.expired, year.unserved);
	check(!without && !served_never, "each name has a certificate but those %u never found",
	        nevers);
}

static void say_figures(void)
{
	const struct asked *a = &year.asked;
	const unsigned days = year.plan->days, names = year.plan->names;
	unsigned issued_all = 0;
	for (enum life i = 0; i < LIFE_COUNT; i++) {
		issued_all += a->issued[i];
		printf("# %u days: %u certificates; least left when the next one was served: "
		       "%.1f days\n",
		        life_days[i], a->issued[i], (double)year.least_left[i] / (double)DAY);
	}
	printf("# %u names, %u days: %u certificates, %u orders (%u exempt, %u already replaced), "
	       "%u failed proofs\n",
	        names, days, issued_all, a->orders, a->exempt, a->already_replaced, a->failed);
	printf("# %u requests, at most %u in a second; %u questions when to renew, %.1f a day and "
	       "certificate\n",
	        a->requests, a->most_a_second, a->windows, (double)a->windows / days / names);
	say_hours("orders", year.orders_by_hour);
	say_hours("questions when to renew", year.windows_by_hour);
	printf("# log lines:");
	for (int i = 0; i < LOG_KINDS; i++)
		printf(" %s %u", log_level_name((enum log_level)i), year.log_lines[i]);
	printf("\n");
}

static void draw(const char *file)
{
	BUF_AUTO svg = BUF(4 << 20);
	picture_draw(year.plan, year.days, &svg);
	FILE *f = fopen(file, "w");
	if (!f || fwrite(buf_c(&svg), svg.n, 1, f) != 1 || fclose(f))
		fail_msg("%s cannot be written", file);
}

static void prepare(void)
{
	const struct itimerval most = { .it_value.tv_sec = 3600 };
	place_init(&year.place);
	CHECK(!setitimer(ITIMER_PROF, &most, NULL));
	struct scripted_ca *ca = &year.place.ca;
	scripted_ca_remember(ca, REMEMBERED);
	ca->directory = LE;
	ca->rules = &ca_rules;
	ca->window_of = window_of;
	ca->window_again = 6 * HOUR / SECOND;
	ca->lifetime_of = lifetime_of;
	ca->latency = SECOND / 10;
	ca->shows = shows;
	year.serving.ops = &serving_ops;
	year.began = now();
	list_init(&year.changing);
	year.sites = plan_sites(year.plan);
	for (unsigned i = 0; i < year.plan->names; i++)
		map_add(&year.by_name, str_c(year.sites[i].name), &year.sites[i].node);
	for (enum life i = 0; i < LIFE_COUNT; i++)
		year.least_left[i] = 90 * DAY;
	year.days = mem_array(sizeof *year.days, year.plan->days + 1);
	year.orders_by_hour = mem_array(sizeof *year.orders_by_hour, year.plan->days * 24 + 24);
	year.windows_by_hour = mem_array(sizeof *year.windows_by_hour, year.plan->days * 24 + 24);
}

static void clear(void)
{
	stop();
	timer_stop(&year.hourly);
	for (unsigned i = 0; i < year.plan->names; i++)
		buf_done(&year.sites[i].pem);
	config_free(&year.config);
	map_done(&year.by_name);
	rules_done(&year.rules);
	free(year.sites);
	free(year.days);
	free(year.orders_by_hour);
	free(year.windows_by_hour);
	place_done(&year.place);
}

int main(int argc, char **argv)
{
	const char *picture = NULL;
	year.plan = &plan_smoke;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--full"))
			year.plan = &plan_year;
		else if (!strcmp(argv[i], "--log"))
			year.log = true;
		else if (!strcmp(argv[i], "--picture") && i + 1 < argc)
			picture = argv[++i];
	}
	prepare();
	start();
	every_hour(&year.hourly);
	live();
	count_log();
	check_sites();
	check_limits();
	check(!year.place.ca.complaint, "the CA complains of nothing: %s",
	        year.place.ca.complaint ? year.place.ca.complaint : "");
	check(year.heap_late <= year.heap_early + year.heap_early / 4,
	        "memory does not grow: %zu, then %zu KiB", year.heap_early >> 10,
	        year.heap_late >> 10);
	check(year.records_late <= year.records_early + year.records_early / 4,
	        "the history does not grow: %zu, then %zu records", year.records_early,
	        year.records_late);
	say_figures();
	if (picture)
		draw(picture);
	printf("1..%u\n", cases);
	clear();
	return failures > 0;
}
