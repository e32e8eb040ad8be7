#include "issue/limits.h"
#include "acme/flow.h"
#include "base/map.h"
#include "certs/name.h"

#include <time.h>

enum { WEEK_DAYS = 7, RECORD_MOST = 64 << 10, SENTENCE_MOST = 1024 };
#define WINDOWS   4 /* that are looked back to */
#define LOOK_BACK (WINDOWS * WEEK_DAYS * DAY)

/* What the CAs publish; staging is for trying out. */
struct figure {
	enum limit_kind kind;
	unsigned most;
	int64_t window;
};
static const struct figure production[] = {
	{ LIMIT_ORDERS, 300, 3 * HOUR },
	{ LIMIT_DOMAIN, 50, WEEK_DAYS *DAY },
	{ LIMIT_SET, 5, WEEK_DAYS *DAY },
	{ LIMIT_FAILED, 5, HOUR },
	{ LIMIT_ACCOUNTS, 10, 3 * HOUR },
};
static const struct figure staging[] = {
	{ LIMIT_ORDERS, 1500, 3 * HOUR },
	{ LIMIT_DOMAIN, 30000, WEEK_DAYS *DAY },
	{ LIMIT_SET, 30000, WEEK_DAYS *DAY },
	{ LIMIT_FAILED, 200, HOUR },
	{ LIMIT_ACCOUNTS, 50, 3 * HOUR },
};
static const struct {
	const char *directory;
	const struct figure *figures;
} known[] = {
	{ "https://acme-v02.api.letsencrypt.org/directory", production },
	{ "https://acme-staging-v02.api.letsencrypt.org/directory", staging },
};

static const struct figure *figures_of(struct str directory)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_c(directory, known[i].directory))
			return known[i].figures;
	return NULL;
}

static const char *const kind_names[] = {
#define X(name, text) text,
	LIMIT_KINDS(X)
#undef X
};
static const char *const what_names[] = { "order", "certificate", "renewal", "failure", "account" };

struct spent {
	struct list node; /* the oldest first */
	struct limits *limits;
	struct arena arena;
	char id[48];
	int64_t at, version;
	struct spending is;
	struct store_tx tx;
};

struct limits {
	struct loop *loop;
	struct store *store;
	const struct log *log;
	struct list all, claims;
	struct list refusals;
	uint64_t number; /* so that ids differ */
};

/* What a CA said. */
struct refusal {
	struct list node;
	struct arena arena;
	struct str directory, words, about;
	enum limit_scope scope;
	struct str *names; /* sorted */
	size_t count;
	bool busy;
	int64_t at, until;
};

static void refusal_free(struct refusal *f)
{
	list_remove(&f->node);
	arena_done(&f->arena);
	free(f);
}

struct limits *limits_new(struct loop *loop, struct store *store, const struct log *log)
{
	struct limits *l = mem_new(struct limits);
	l->loop = loop;
	l->store = store;
	l->log = log;
	list_init(&l->all);
	list_init(&l->claims);
	list_init(&l->refusals);
	return l;
}

static void spent_free(struct spent *s)
{
	list_remove(&s->node);
	store_tx_abort(&s->tx);
	arena_done(&s->arena);
	free(s);
}

void limits_free(struct limits **limits)
{
	struct limits *l = *limits;
	if (!l)
		return;
	LIST_EACH (n, &l->all)
		spent_free(OWNER(n, struct spent, node));
	LIST_EACH (n, &l->refusals)
		refusal_free(OWNER(n, struct refusal, node));
	free(l);
	*limits = NULL;
}

/* Keeping */

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct spent *spent_new(struct limits *l, enum spent_what what, struct str directory)
{
	struct spent *s = mem_new(struct spent);
	s->limits = l;
	s->is.what = what;
	s->is.directory = arena_str(&s->arena, directory);
	list_add_last(&l->all, &s->node);
	return s;
}

static void sort_names(struct spending *s)
{
	if (s->count)
		qsort(s->names, s->count, sizeof *s->names, by_text);
}

static void keep_names(struct spending *s, struct arena *a, const struct str *names, size_t count)
{
	s->names = arena_array(a, struct str, count);
	for (s->count = 0; s->count < count; s->count++)
		s->names[s->count] = arena_str(a, names[s->count]);
	sort_names(s);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct spent *s = OWNER(tx, struct spent, tx);
	if (err)
		log_warning(s->limits->log,
		        "What the CA's limits leave could not be stored, it is counted anew after "
		        "the next start: %s",
		        err->text);
	else
		s->version = 1;
}

static void store(struct spent *s)
{
	BUF_AUTO value = BUF(RECORD_MOST);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_int(&w, "at", s->at);
	json_write_c(&w, "what", what_names[s->is.what]);
	json_write_text(&w, "directory", s->is.directory);
	json_write_array(&w, "names");
	for (size_t i = 0; i < s->is.count; i++)
		json_write_text(&w, NULL, s->is.names[i]);
	json_write_end(&w);
	json_write_end(&w);
	store_tx_put(&s->tx, STR("spent"), str_c(s->id), 0, buf_str(&value), STR_NONE);
	store_tx_start(s->limits->store, &s->tx, stored);
}

static void forgotten(struct store_tx *tx, const struct err *err)
{
	(void)err; /* then it goes with the next start */
	spent_free(OWNER(tx, struct spent, tx));
}

/* One whose write is under way is young, or looked at again with the next. */
static void prune(struct limits *l)
{
	const int64_t oldest = loop_wall(l->loop) - LOOK_BACK;
	LIST_EACH (n, &l->all) {
		struct spent *s = OWNER(n, struct spent, node);
		if (s->at > oldest)
			return;
		if (s->tx.store)
			continue;
		store_tx_delete(&s->tx, STR("spent"), str_c(s->id), s->version);
		store_tx_start(l->store, &s->tx, forgotten);
	}
}

void limits_spent(struct limits *l, enum spent_what what, struct str directory,
        const struct str *names, size_t count)
{
	if (!figures_of(directory))
		return;
	prune(l);
	struct spent *s = spent_new(l, what, directory);
	s->at = loop_wall(l->loop);
	snprintf(s->id, sizeof s->id, "%016llx-%llx", (unsigned long long)s->at,
	        (unsigned long long)++l->number);
	keep_names(&s->is, &s->arena, names, count);
	store(s);
}

void limits_claim(struct limits *l, struct limit_claim *c, const struct limit_order *o)
{
	if (!figures_of(o->directory) || o->exempt)
		return;
	limits_unclaim(c);
	c->ordered = false;
	c->spending.what = o->renewal ? SPENT_RENEWAL : SPENT_CERTIFICATE;
	c->spending.directory = arena_str(&c->arena, o->directory);
	keep_names(&c->spending, &c->arena, o->names, o->count);
	list_add_last(&l->claims, &c->node);
}

void limits_unclaim(struct limit_claim *c)
{
	list_remove(&c->node);
	arena_clear(&c->arena);
}

struct load {
	struct store_scan scan;
	struct limits *limits;
};

static void read_spent(struct spent *s, const struct json *json)
{
	const struct json *names = json_array(json, "names");
	s->is.count = json_count(names);
	s->is.names = arena_array(&s->arena, struct str, s->is.count);
	for (size_t i = 0; i < s->is.count; i++)
		s->is.names[i] = arena_str(&s->arena, json_value_text(json_at(names, i)));
	sort_names(&s->is);
	json_int(json, "at", &s->at);
}

static bool load_spent(struct store_scan *scan, const struct record *record)
{
	struct limits *l = OWNER(scan, struct load, scan)->limits;
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The stored count", &err);
	const struct str what = json_text(json, "what");
	for (size_t i = 0; i < sizeof what_names / sizeof *what_names; i++) {
		if (!str_eq_c(what, what_names[i]) || record->id.n >= sizeof((struct spent *)0)->id)
			continue;
		struct spent *s = spent_new(l, (enum spent_what)i, json_text(json, "directory"));
		snprintf(s->id, sizeof s->id, "%.*s", STR_ARG(record->id));
		s->version = record->version;
		read_spent(s, json);
	}
	return true;
}

/* Ids begin with the time, so the scan is in order. */
bool limits_load(struct limits *l, struct err *err)
{
	struct load load = { .scan.each = load_spent, .limits = l };
	l->number = (uint64_t)loop_wall(l->loop) << 16; /* unlike those of an earlier run */
	return store_each(l->store, STR("spent"), &load.scan, err);
}

/* Counting */

static bool same_names(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static bool has_domain(const struct spending *s, struct str domain)
{
	char room[NAME_NETWORK];
	for (size_t i = 0; i < s->count; i++)
		if (str_eq(name_counted_for(s->names[i], room), domain))
			return true;
	return false;
}

static bool has_name(const struct spending *s, struct str name)
{
	for (size_t i = 0; i < s->count; i++)
		if (str_eq(s->names[i], name))
			return true;
	return false;
}

/* What an order of these names (sorted) is counted with. */
struct asked {
	struct str directory, about;
	const struct str *sorted;
	size_t count;
	struct limit_reserve reserve;
	bool renewal, has_account;
};

static bool counts(const struct spending *s, enum limit_kind kind, const struct asked *a)
{
	if (!str_eq(s->directory, a->directory))
		return false;
	switch (kind) {
	case LIMIT_ORDERS:
		return s->what == SPENT_ORDER;
	case LIMIT_DOMAIN:
		return s->what == SPENT_CERTIFICATE && has_domain(s, a->about);
	case LIMIT_SET:
		return (s->what == SPENT_CERTIFICATE || s->what == SPENT_RENEWAL) &&
		       same_names(s->names, s->count, a->sorted, a->count);
	case LIMIT_FAILED:
		return s->what == SPENT_FAILURE && has_name(s, a->about);
	case LIMIT_ACCOUNTS:
		return s->what == SPENT_ACCOUNT;
	case LIMIT_COUNT:
		break;
	}
	return false;
}

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What has to be left, at most all but one. */
static int64_t reserved(const struct figure *f, const struct asked *a)
{
	const unsigned wanted = f->kind == LIMIT_ORDERS   ? a->reserve.orders
	                        : f->kind == LIMIT_DOMAIN ? a->reserve.certificates
	                                                  : 0;
	return wanted < f->most ? wanted : f->most - 1;
}

/* What seems to come from days ahead was counted while the clock was wrong. */
static bool too_old_or_new(const struct spent *s, const struct figure *f, int64_t now)
{
	return s->at <= now - WINDOWS * f->window || s->at > now + DAY;
}

static bool claims(const struct limit_claim *c, enum limit_kind kind, const struct asked *a)
{
	if (kind == LIMIT_ORDERS)
		return c->spending.what == SPENT_CERTIFICATE && !c->ordered &&
		       str_eq(c->spending.directory, a->directory);
	return counts(&c->spending, kind, a);
}

/* Whoever renews is not counted by these. */
static bool is_for_new_names(enum limit_kind kind)
{
	return kind == LIMIT_ORDERS || kind == LIMIT_DOMAIN;
}

/* whole: when all will have come back; that may be a window away, no more. */
static struct limit limit_at(
        const struct figure *f, struct str about, int64_t now, int64_t whole, int64_t keep)
{
	const int64_t each = f->window / f->most;
	struct limit limit = {
		.kind = f->kind, .most = f->most, .window = f->window, .about = about
	};
	limit.used = (unsigned)((later_of(whole, now) - now + each - 1) / each);
	if (limit.used)
		limit.more = whole - (limit.used - 1) * each;
	if (whole + each * (1 + keep) > now + f->window)
		limit.next = whole + each * (1 + keep) - f->window;
	return limit;
}

/* Each puts off the moment when all has come back. */
static struct limit count_one(const struct limits *l, const struct figure *f, const struct asked *a)
{
	const int64_t now = loop_wall(l->loop), each = f->window / f->most;
	int64_t whole = 0;
	LIST_EACH (n, &l->all) {
		const struct spent *s = OWNER(n, struct spent, node);
		if (too_old_or_new(s, f, now) || !counts(&s->is, f->kind, a))
			continue;
		whole = later_of(whole, s->at) + each;
	}
	LIST_EACH (n, &l->claims)
		if (claims(OWNER(n, struct limit_claim, node), f->kind, a))
			whole = later_of(whole, now) + each;
	struct limit limit = limit_at(f, a->about, now, whole, reserved(f, a));
	if ((a->renewal && is_for_new_names(f->kind)) ||
	        (a->has_account && f->kind == LIMIT_ACCOUNTS))
		limit.next = 0;
	return limit;
}

static bool is_fuller(const struct limit *a, const struct limit *b)
{
	return a->used > b->used || (a->used == b->used && a->next > b->next);
}

/* For a limit that is counted by domain or by name: of the one that has used up most. */
static struct limit count_fullest(const struct limits *l, const struct figure *f, struct asked a)
{
	const bool by_domain = f->kind == LIMIT_DOMAIN, by_name = f->kind == LIMIT_FAILED;
	struct limit fullest = { 0 };
	char room[NAME_NETWORK];
	for (size_t i = 0; i < a.count && (i == 0 || by_domain || by_name); i++) {
		const struct str name = a.sorted[i];
		a.about = by_domain ? name_counted_for(name, room) : by_name ? name : STR_NONE;
		struct limit limit = count_one(l, f, &a);
		if (limit.about.p == room)
			limit.about = name;
		if (i == 0 || is_fuller(&limit, &fullest))
			fullest = limit;
	}
	return fullest;
}

static size_t count_all(const struct limits *l, struct asked a, struct limit ret[LIMIT_COUNT])
{
	ARENA_AUTO arena = ARENA_INIT;
	const struct figure *figures = figures_of(a.directory);
	struct str *sorted = arena_array(&arena, struct str, a.count);
	if (!figures || !a.count)
		return 0;
	memcpy(sorted, a.sorted, a.count * sizeof *sorted);
	qsort(sorted, a.count, sizeof *sorted, by_text);
	a.sorted = sorted;
	for (size_t i = 0; i < LIMIT_COUNT; i++)
		ret[i] = count_fullest(l, &figures[i], a);
	return LIMIT_COUNT;
}

size_t limits_of(const struct limits *l, struct str directory, const struct str *names,
        size_t count, struct limit ret[LIMIT_COUNT])
{
	return count_all(
	        l, (struct asked){ .directory = directory, .sorted = names, .count = count }, ret);
}

/* The nearest */

struct bucket { /* of one limit, for one domain, set or name */
	struct map_node node;
	const struct figure *figure;
	struct str about;
	int64_t whole;
	const struct spending *last; /* that counts for it */
};
struct buckets {
	struct map all;
	struct arena *arena;
	const struct figure *figure;
	int64_t at; /* when that which is poured was spent */
};

static void pour(struct buckets *b, struct str about, const struct spending *s)
{
	ARENA_AUTO a = ARENA_INIT;
	const struct str key =
	        arena_printf(&a, "%u %.*s", (unsigned)b->figure->kind, STR_ARG(about));
	struct map_node *n = map_find(&b->all, key);
	if (!n) {
		struct bucket *new = arena_new(b->arena, struct bucket);
		new->figure = b->figure;
		new->about = arena_str(b->arena, about);
		map_add(&b->all, arena_str(b->arena, key), &new->node);
		n = &new->node;
	}
	struct bucket *bucket = OWNER(n, struct bucket, node);
	if (bucket->last == s)
		return; /* two names of one domain */
	bucket->last = s;
	bucket->whole = later_of(bucket->whole, b->at) + b->figure->window / b->figure->most;
}

static void pour_set(struct buckets *b, const struct spending *s)
{
	BUF_AUTO names = BUF(RECORD_MOST);
	for (size_t i = 0; i < s->count; i++)
		buf_printf(&names, "%s%.*s", i ? " " : "", STR_ARG(s->names[i]));
	pour(b, buf_str(&names), s);
}

static void pour_one(struct buckets *b, const struct spending *s)
{
	char room[NAME_NETWORK];
	const enum limit_kind kind = b->figure->kind;
	if (kind == LIMIT_ORDERS && s->what == SPENT_ORDER)
		pour(b, STR(""), s);
	if (kind == LIMIT_ACCOUNTS && s->what == SPENT_ACCOUNT)
		pour(b, STR(""), s);
	if (kind == LIMIT_SET && (s->what == SPENT_CERTIFICATE || s->what == SPENT_RENEWAL))
		pour_set(b, s);
	for (size_t i = 0; i < s->count; i++) {
		if (kind == LIMIT_DOMAIN && s->what == SPENT_CERTIFICATE)
			pour(b, name_counted_for(s->names[i], room), s);
		if (kind == LIMIT_FAILED && s->what == SPENT_FAILURE)
			pour(b, s->names[i], s);
	}
}

static void pour_claim(struct buckets *b, const struct limit_claim *c)
{
	if (b->figure->kind != LIMIT_ORDERS)
		pour_one(b, &c->spending);
	else if (c->spending.what == SPENT_CERTIFICATE && !c->ordered)
		pour(b, STR(""), &c->spending);
}

/* Of one limit all that was spent, and what is under way. */
static void pour_all(struct buckets *b, const struct limits *l, struct str directory)
{
	const int64_t now = loop_wall(l->loop);
	LIST_EACH (n, &l->all) {
		const struct spent *s = OWNER(n, struct spent, node);
		b->at = s->at;
		if (str_eq(s->is.directory, directory) && !too_old_or_new(s, b->figure, now))
			pour_one(b, &s->is);
	}
	b->at = now;
	LIST_EACH (n, &l->claims) {
		const struct limit_claim *c = OWNER(n, struct limit_claim, node);
		if (str_eq(c->spending.directory, directory))
			pour_claim(b, c);
	}
}

static bool is_nearer(const struct limit *a, const struct limit *b)
{
	const uint64_t of_a = (uint64_t)a->used * b->most, of_b = (uint64_t)b->used * a->most;
	return of_a > of_b || (of_a == of_b && str_cmp(a->about, b->about) < 0);
}

/* ret[0], the orders, stays where it is. */
static size_t insert(struct limit *ret, size_t count, size_t most, const struct limit *limit)
{
	size_t at = count;
	while (at > 1 && is_nearer(limit, &ret[at - 1]))
		at--;
	if (at >= most)
		return count;
	const size_t end = count < most ? count : most - 1;
	memmove(&ret[at + 1], &ret[at], (end - at) * sizeof *ret);
	ret[at] = *limit;
	return end + 1;
}

size_t limits_nearest(const struct limits *l, struct str directory, struct arena *a,
        struct limit *ret, size_t most)
{
	const struct figure *figures = figures_of(directory);
	const int64_t now = loop_wall(l->loop);
	struct buckets b = { .arena = a };
	size_t count = 1;
	if (!figures || !most)
		return 0;
	for (b.figure = figures; b.figure < figures + LIMIT_COUNT; b.figure++)
		pour_all(&b, l, directory);
	ret[0] = limit_at(&figures[LIMIT_ORDERS], STR_NONE, now, 0, 0);
	MAP_EACH (n, &b.all) {
		const struct bucket *k = OWNER(n, struct bucket, node);
		const struct limit limit = limit_at(k->figure, k->about, now, k->whole, 0);
		if (limit.kind == LIMIT_ORDERS)
			ret[0] = limit;
		else if (limit.used)
			count = insert(ret, count, most, &limit);
	}
	map_done(&b.all);
	return count;
}

/* What CAs said */

static bool has_words(struct str text, const char *words)
{
	return memmem(text.p, text.n, words, strlen(words)) != NULL;
}

static struct str quoted(struct str text)
{
	const char *from = memchr(text.p, '"', text.n);
	if (!from)
		return STR_NONE;
	const struct str rest = str_from(text, (size_t)(from - text.p) + 1);
	const char *to = memchr(rest.p, '"', rest.n);
	return to ? str_head(rest, (size_t)(to - rest.p)) : STR_NONE;
}

/* In Let's Encrypt's words: "too many new orders (300) from this account in the last 3h0m0s", "too
 * many certificates (50) already issued for "example.com" in the last 168h0m0s", "… for this exact
 * set of identifiers …", "too many failed authorizations (5) for "example.com" …". */
enum limit_scope limit_scope_of(struct str words, struct str *ret_about)
{
	*ret_about = quoted(words);
	if (has_words(words, "exact set"))
		return LIMIT_SCOPE_SET;
	if (has_words(words, "new orders") || has_words(words, "this account"))
		return LIMIT_SCOPE_ACCOUNT;
	if (has_words(words, "failed authorizations"))
		return ret_about->n ? LIMIT_SCOPE_NAME : LIMIT_SCOPE_SET;
	if (has_words(words, "certificates") && ret_about->n)
		return LIMIT_SCOPE_DOMAIN;
	return LIMIT_SCOPE_SET;
}

/* Only the longest of several about the same is kept; those that are over go. */
static void forget_refusals(struct limits *l, int64_t now)
{
	LIST_EACH (n, &l->refusals) {
		struct refusal *f = OWNER(n, struct refusal, node);
		if (f->until <= now)
			refusal_free(f);
	}
}

void limits_refused(struct limits *l, const struct limit_refusal *r)
{
	const int64_t now = loop_wall(l->loop), longest = now + WEEK_DAYS * DAY;
	forget_refusals(l, now);
	struct refusal *f = mem_new(struct refusal);
	struct str about;
	f->scope = limit_scope_of(r->words, &about);
	f->busy = r->busy;
	f->at = now;
	if (r->busy)
		f->scope = LIMIT_SCOPE_ACCOUNT;
	f->until = r->until < longest ? r->until : longest;
	f->directory = arena_str(&f->arena, r->directory);
	f->words = arena_str(&f->arena, r->words);
	f->about = arena_str(&f->arena, about);
	f->names = arena_array(&f->arena, struct str, r->count);
	for (f->count = 0; f->count < r->count; f->count++)
		f->names[f->count] = arena_str(&f->arena, r->names[f->count]);
	if (f->count)
		qsort(f->names, f->count, sizeof *f->names, by_text);
	list_add_last(&l->refusals, &f->node);
}

static bool concerns(const struct refusal *f, const struct limit_order *o, const struct str *sorted)
{
	if (!str_eq(f->directory, o->directory))
		return false;
	if (f->scope == LIMIT_SCOPE_ACCOUNT)
		return true;
	if (o->exempt)
		return false;
	if (f->scope == LIMIT_SCOPE_SET)
		return same_names(f->names, f->count, sorted, o->count);
	char room[NAME_NETWORK];
	for (size_t i = 0; i < o->count; i++)
		if (str_eq_nocase(f->about, f->scope == LIMIT_SCOPE_NAME
		                                    ? sorted[i]
		                                    : name_counted_for(sorted[i], room)))
			return true;
	return false;
}

static int64_t lasts_until(const struct refusal *f, const struct limit_order *o)
{
	const int64_t most = f->at + o->busy_most;
	return f->busy && o->busy_most && most < f->until ? most : f->until;
}

/* The one that lasts longest; NULL: none. */
static const struct refusal *refusal_of(const struct limits *l, const struct limit_order *o)
{
	ARENA_AUTO arena = ARENA_INIT;
	const int64_t now = loop_wall(l->loop);
	const struct refusal *found = NULL;
	struct str *sorted = arena_array(&arena, struct str, o->count);
	memcpy(sorted, o->names, o->count * sizeof *sorted);
	qsort(sorted, o->count, sizeof *sorted, by_text);
	LIST_EACH (n, &l->refusals) {
		const struct refusal *f = OWNER(n, struct refusal, node);
		const int64_t until = lasts_until(f, o);
		if (until > now && concerns(f, o, sorted) &&
		        (!found || until > lasts_until(found, o)))
			found = f;
	}
	return found;
}

/* Words */

static void add_limit(const struct limit *l, struct buf *out)
{
	switch (l->kind) {
	case LIMIT_ORDERS:
		buf_printf(out, "%u orders in 3 hours for one account", l->most);
		break;
	case LIMIT_DOMAIN:
		buf_printf(out, "%u certificates a week for the names of %.*s", l->most,
		        STR_ARG(l->about));
		break;
	case LIMIT_SET:
		buf_printf(out, "%u certificates a week for the same names", l->most);
		break;
	case LIMIT_FAILED:
		buf_printf(
		        out, "%u failed validations an hour for %.*s", l->most, STR_ARG(l->about));
		break;
	case LIMIT_ACCOUNTS:
		buf_printf(out, "%u new accounts in 3 hours for one address", l->most);
		break;
	case LIMIT_COUNT:
		break;
	}
}

/* "27 Nov, 14:02 UTC" */
static void add_date(int64_t wall, struct buf *out)
{
	char text[64] = "";
	struct tm tm;
	/* A try at the full minute would come too early. */
	const time_t seconds = (time_t)((wall + MINUTE - 1) / MINUTE * (MINUTE / SECOND));
	if (!gmtime_r(&seconds, &tm))
		return;
	strftime(text, sizeof text, "%b, %H:%M UTC", &tm);
	buf_printf(out, "%d %s", tm.tm_mday, text);
}

static void add_sentence(const struct limit *l, struct str directory, struct buf *out)
{
	buf_printf(out, "%.*s's limit: ", STR_ARG(acme_ca_name(directory)));
	add_limit(l, out);
	if (!l->next) {
		buf_printf(out, "; %u of them used.", l->used);
		return;
	}
	buf_add_c(out, ". Next try ");
	add_date(l->next, out);
	buf_add_c(out, ".");
}

static bool refused(
        const struct refusal *f, int64_t until, struct limit_wait *ret_wait, struct err *err)
{
	BUF_AUTO date = BUF(64);
	add_date(until, &date);
	*ret_wait = (struct limit_wait){ .until = until };
	return err_set(err, ERR_LIMIT,
	        "%.*s asks to wait." ERR_WHY "It said: %.*s. Next try %s." ERR_REMEDY
	        "Nothing to do.",
	        STR_ARG(acme_ca_name(f->directory)), STR_ARG(str_head(f->words, 600)),
	        buf_c(&date));
}

static const struct limit *longest_of(const struct limit *all, size_t count)
{
	const struct limit *last = NULL;
	for (size_t i = 0; i < count; i++)
		if (all[i].next && (!last || all[i].next > last->next))
			last = &all[i];
	return last;
}

static bool is_reserved(const struct limit *l)
{
	return l->used < l->most;
}

static uint64_t hash_of(const struct limit *l, struct str directory)
{
	BUF_AUTO text = BUF(SENTENCE_MOST);
	buf_printf(&text, "%d %.*s %.*s", (int)l->kind, STR_ARG(directory), STR_ARG(l->about));
	return hash_keyed(buf_str(&text));
}

bool limits_allow(const struct limits *l, const struct limit_order *o, struct limit_wait *ret_wait,
        struct err *err)
{
	struct limit all[LIMIT_COUNT];
	const struct refusal *said = o->count && !o->wished ? refusal_of(l, o) : NULL;
	const struct asked asked = { .directory = o->directory,
		.sorted = o->names,
		.count = o->count,
		.reserve = o->reserve,
		.renewal = o->renewal,
		.has_account = o->has_account };
	const size_t n = o->exempt ? 0 : count_all(l, asked, all);
	const struct limit *last = longest_of(all, n);
	const int64_t until = said ? lasts_until(said, o) : 0;
	if (said && (!last || until > last->next))
		return refused(said, until, ret_wait, err);
	if (!last)
		return true;
	struct limit limit = *last;
	limit.next = later_of(limit.next, o->not_before);
	BUF_AUTO text = BUF(SENTENCE_MOST);
	add_sentence(&limit, o->directory, &text);
	*ret_wait = (struct limit_wait){ .until = limit.next,
		.each = limit.window / limit.most,
		.what = hash_of(&limit, o->directory) };
	return err_set(err, ERR_LIMIT, "%s%s" ERR_REMEDY "Nothing to do.", buf_c(&text),
	        is_reserved(last) ? " What is left is kept for the renewals of the next days."
	                          : "");
}

bool limits_low(const struct limits *l, struct str directory, const struct str *names, size_t count,
        struct str *ret_about, struct err *ret_how)
{
	struct limit all[LIMIT_COUNT];
	const size_t n = limits_of(l, directory, names, count, all);
	for (size_t i = 0; i < n; i++) {
		BUF_AUTO text = BUF(SENTENCE_MOST);
		if (all[i].kind == LIMIT_FAILED || all[i].kind == LIMIT_ACCOUNTS ||
		        all[i].used * 5 < all[i].most * 4)
			continue;
		add_sentence(&all[i], directory, &text);
		*ret_about = all[i].kind == LIMIT_SET ? names[0] : all[i].about;
		err_set(ret_how, ERR_LIMIT,
		        "%s" ERR_REMEDY "Register no more names than needed: what is left is for "
		        "renewals.",
		        buf_c(&text));
		return true;
	}
	return false;
}

void limit_write(const struct limit *limit, struct str directory, struct json_writer *w)
{
	BUF_AUTO sentence = BUF(SENTENCE_MOST);
	add_sentence(limit, directory, &sentence);
	json_write_object(w, NULL);
	json_write_c(w, "limit", kind_names[limit->kind]);
	if (limit->about.n)
		json_write_text(w, "about", limit->about);
	else
		json_write_null(w, "about");
	json_write_int(w, "used", limit->used);
	json_write_int(w, "most", limit->most);
	json_write_int(w, "reserved", limit->reserved);
	json_write_int(w, "seconds", limit->window / SECOND);
	json_write_time(w, "next", limit->next);
	json_write_time(w, "more", limit->more);
	json_write_text(w, "sentence", buf_str(&sentence));
	json_write_end(w);
}

/* Waits */

enum { WAITS_MOST = 20 };

static bool about_the_same(const struct refusal *a, const struct refusal *b)
{
	return a->scope == b->scope &&
	       (a->scope == LIMIT_SCOPE_ACCOUNT ||
	               (a->scope == LIMIT_SCOPE_SET
	                               ? same_names(a->names, a->count, b->names, b->count)
	                               : str_eq_nocase(a->about, b->about)));
}

/* Of several about the same the longest. */
static size_t take_wait(const struct refusal **all, size_t count, const struct refusal *f)
{
	size_t at = 0;
	while (at < count && !about_the_same(all[at], f))
		at++;
	if (at < count && all[at]->until >= f->until)
		return count;
	if (at == count && count < WAITS_MOST)
		count++;
	else if (at == count && all[--at]->until >= f->until)
		return count;
	for (; at && all[at - 1]->until < f->until; at--)
		all[at] = all[at - 1];
	all[at] = f;
	return count;
}

static void write_about(const struct refusal *f, struct json_writer *w)
{
	BUF_AUTO names = BUF(SENTENCE_MOST);
	for (size_t i = 0; f->scope == LIMIT_SCOPE_SET && i < f->count; i++)
		buf_printf(&names, "%s%.*s", i ? " " : "", STR_ARG(f->names[i]));
	if (f->scope == LIMIT_SCOPE_ACCOUNT)
		json_write_null(w, "about");
	else
		json_write_text(w, "about", names.n ? buf_str(&names) : f->about);
}

static void write_wait(const struct refusal *f, struct json_writer *w)
{
	struct err sentence = ERR_INIT;
	struct limit_wait wait;
	(void)!refused(f, f->until, &wait, &sentence);
	json_write_object(w, NULL);
	json_write_text(w, "ca", acme_ca_name(f->directory));
	write_about(f, w);
	json_write_text(w, "words", str_head(f->words, 600));
	json_write_time(w, "until", f->until);
	json_write_c(w, "sentence", sentence.text);
	json_write_end(w);
}

void limits_write_waits(const struct limits *l, struct str directory, struct json_writer *w)
{
	const struct refusal *all[WAITS_MOST];
	const int64_t now = loop_wall(l->loop);
	size_t count = 0;
	LIST_EACH (n, &l->refusals) {
		const struct refusal *f = OWNER(n, struct refusal, node);
		if (f->until > now && str_eq(f->directory, directory))
			count = take_wait(all, count, f);
	}
	json_write_array(w, "waits");
	for (size_t i = 0; i < count; i++)
		write_wait(all[i], w);
	json_write_end(w);
}
