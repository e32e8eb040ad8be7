/* Who did what, from where, from what to what. Records are only ever added: nothing here or in the
 * API changes one, and only age (400 days) and number (100,000) remove them.
 *
 * An id is the record's number, so that their order is that of time. */
#include "portal/events.h"
#include "portal/pace.h"

enum {
	RECORDS_MOST = 100000,
	PRUNED_AT_ONCE = 500,
	TEXT_MOST = 1000,
	RECORD_MOST = 32 << 10, /* four texts, each of whose characters may become six */
	LIMIT = 50,
	LIMIT_MOST = 200,
	EXPORTED_AT_ONCE = 200,
	ID_TEXT = 24,
	FAILURES_AT_ONCE = 30,
	UNWRITTEN_MOST = 4096,
};
#define AGE_MOST      (400 * DAY)
#define PRUNING       (1 * DAY)
#define FAILURES_EACH (1 * MINUTE) /* one more may be told */
#define KIND          STR("audit")

struct writing {
	struct store_tx tx;
	struct list node;
	struct buf json; /* the item, as the API shows it */
};

static struct {
	int64_t last, count;
	struct list writes;
	struct store_tx pruning;
	struct timer timer;
	size_t unwritten; /* of writes */
	int64_t lost;     /* for there were too many unwritten */
	int64_t failures_left, failures_at, failures_untold;
	struct pace exports;
} audit;

/* ---- pruning ---- */

struct old {
	struct store_scan scan;
	int64_t too_many, before;
	size_t found;
	struct store_tx *tx;
};

static bool is_old(struct store_scan *scan, const struct record *record)
{
	struct old *o = OWNER(scan, struct old, scan);
	struct err err = ERR_INIT;
	JSON_AUTO *value = json_parse(record->value, "An audit record", &err);
	int64_t at = 0;
	clock_from_rfc3339(json_text(value, "at"), &at);
	if ((o->too_many <= 0 && at >= o->before) || o->found >= PRUNED_AT_ONCE)
		return false;
	o->too_many--;
	o->found++;
	store_tx_delete(o->tx, KIND, record->id, record->version);
	return true;
}

static void prune(struct timer *t);

static void pruned(struct store_tx *tx, const struct err *err)
{
	(void)tx;
	if (err)
		log_warning(portal.log, "Old audit records stay for a day more: %s", err->text);
	timer_start(&audit.timer, portal.loop, err ? PRUNING : 0, prune);
}

static void prune(struct timer *t)
{
	struct err err = ERR_INIT;
	struct old o = { .scan.each = is_old,
		.too_many = audit.count - RECORDS_MOST,
		.before = loop_wall(portal.loop) - AGE_MOST,
		.tx = &audit.pruning };
	timer_start(t, portal.loop, PRUNING, prune);
	if (!store_walk(portal.store, (struct store_range){ .kind = KIND }, &o.scan, &err))
		log_warning(portal.log, "Old audit records stay: %s", err.text);
	if (!o.found)
		return;
	audit.count -= (int64_t)o.found;
	timer_stop(t);
	store_tx_start(portal.store, &audit.pruning, pruned);
}

/* ---- adding ---- */

static void writing_free(struct writing *w)
{
	store_tx_abort(&w->tx);
	list_remove(&w->node);
	audit.unwritten--;
	buf_done(&w->json);
	free(w);
}

static void written(struct store_tx *tx, const struct err *err)
{
	struct writing *w = OWNER(tx, struct writing, tx);
	if (err)
		log_error(portal.log, "This audit record is lost to the store: %s (%s)",
		        buf_c(&w->json), err->text);
	else
		events_say("audit", buf_str(&w->json));
	writing_free(w);
}

struct entry {
	struct str who, address, what, subject, before, after;
};

static void write_short(struct json_writer *w, const char *key, struct str text)
{
	if (text.n)
		json_write_text(w, key, str_head(text, TEXT_MOST));
	else
		json_write_null(w, key);
}

static void write_entry(struct buf *out, const char *id, const struct entry *e)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_c(&w, "id", id);
	json_write_time(&w, "at", loop_wall(portal.loop));
	json_write_text(&w, "who", e->who);
	write_short(&w, "address", e->address);
	json_write_text(&w, "what", e->what);
	write_short(&w, "subject", e->subject);
	write_short(&w, "before", e->before);
	write_short(&w, "after", e->after);
	json_write_end(&w);
}

/* While the disk does not follow, memory stays bounded; the log has each of them. */
static bool is_lost(void)
{
	if (audit.unwritten >= UNWRITTEN_MOST) {
		if (!audit.lost++)
			log_error(portal.log,
			        "%d audit records wait for the disk, so further ones are only in "
			        "this log.",
			        UNWRITTEN_MOST);
		return true;
	}
	if (audit.lost)
		log_error(portal.log, "%lld audit records were only logged: the disk was slow.",
		        (long long)audit.lost);
	audit.lost = 0;
	return false;
}

static void keep(const struct entry *e)
{
	if (is_lost())
		return;
	struct writing *w = mem_new(struct writing);
	char id[ID_TEXT];
	snprintf(id, sizeof id, "%012lld", (long long)++audit.last);
	w->json = BUF(RECORD_MOST);
	write_entry(&w->json, id, e);
	CHECK(buf_ok(&w->json));
	audit.count++;
	audit.unwritten++;
	list_add_last(&audit.writes, &w->node);
	store_tx_init(&w->tx);
	store_tx_put(&w->tx, KIND, str_c(id), 0, buf_str(&w->json), STR_NONE);
	store_tx_start(portal.store, &w->tx, written);
	if (audit.count > RECORDS_MOST + PRUNED_AT_ONCE && !audit.pruning.store)
		timer_start(&audit.timer, portal.loop, 0, prune);
}

static struct str from_where(const struct call *c, char text[ADDRESS_TEXT])
{
	int family = c->ex->client.ss_family;
	if (family != AF_INET && family != AF_INET6)
		return STR("control.sock");
	return str_c(address_text(&c->ex->client, text));
}

struct audit_author audit_author(const struct call *c, struct arena *a)
{
	char text[ADDRESS_TEXT];
	return (struct audit_author){ arena_str(a, c->who.name),
		arena_str(a, from_where(c, text)) };
}

void audit_add_by(const struct audit_author *by, const char *what, struct str subject,
        struct str before, struct str after)
{
	log_info(portal.log, "%.*s from %.*s: %s%s%.*s%s%.*s%s%.*s.", STR_ARG(by->who),
	        STR_ARG(by->address), what, subject.n ? ", " : "", STR_ARG(subject),
	        before.n ? ", before: " : "", STR_ARG(before), after.n ? ", now: " : "",
	        STR_ARG(after));
	if (audit.writes.next)
		keep(&(struct entry){ by->who, by->address, str_c(what), subject, before, after });
}

void audit_add(
        struct call *c, const char *what, struct str subject, struct str before, struct str after)
{
	char text[ADDRESS_TEXT];
	audit_add_by(&(struct audit_author){ c->who.name, from_where(c, text) }, what, subject,
	        before, after);
}

/* A flood of failures must not push out what people did. */
static bool failure_is_told(void)
{
	int64_t now = loop_mono(portal.loop), more = (now - audit.failures_at) / FAILURES_EACH;
	if (more > 0) {
		audit.failures_left += more;
		audit.failures_at += more * FAILURES_EACH;
	}
	if (audit.failures_left > FAILURES_AT_ONCE)
		audit.failures_left = FAILURES_AT_ONCE;
	if (audit.failures_left <= 0) {
		audit.failures_untold++;
		return false;
	}
	audit.failures_left--;
	return true;
}

void audit_failure(struct call *c, struct str name)
{
	if (!failure_is_told())
		return;
	struct str more = STR_NONE;
	if (audit.failures_untold)
		more = arena_printf(
		        &c->arena, "%lld more before this one", (long long)audit.failures_untold);
	audit.failures_untold = 0;
	c->who.name = STR("somebody");
	audit_add(c, "Sign-in failed", name, STR_NONE, more);
}

/* ---- reading ---- */

struct page {
	struct store_scan scan;
	struct call *call;
	struct json_writer w;
	struct str search, subject, cursor;
	size_t limit, shown, total,
	        newer;         /* total: that match; newer: that match, before the page */
	struct str oldest;     /* id of the last one shown */
	struct str *newer_ids; /* the last `limit` of the newer ones, in a ring */
	struct arena ids;
};

/* ASCII case ignored. */
static bool has(struct str text, struct str search)
{
	for (size_t i = 0; i + search.n <= text.n; i++)
		if (str_eq_nocase(str_head(str_from(text, i), search.n), search))
			return true;
	return false;
}

static bool matches(const struct page *p, const struct record *record)
{
	struct err err = ERR_INIT;
	if (p->search.n && !has(record->value, p->search))
		return false;
	if (!p->subject.n)
		return true;
	JSON_AUTO *value = json_parse(record->value, "An audit record", &err);
	return str_eq(json_text(value, "subject"), p->subject);
}

/* The newest first. The cursor is the id of the last one on the page before. */
static bool take(struct store_scan *scan, const struct record *record)
{
	struct page *p = OWNER(scan, struct page, scan);
	if (!matches(p, record))
		return true;
	p->total++;
	if (p->cursor.n && str_cmp(record->id, p->cursor) >= 0) {
		p->newer++;
		p->newer_ids[p->newer % (p->limit + 1)] = arena_str(&p->ids, record->id);
	} else if (p->shown < p->limit) {
		p->shown++;
		json_write_raw(&p->w, NULL, record->value);
		p->oldest = arena_str(&p->call->arena, record->id);
	}
	return true;
}

static void write_place(struct page *p)
{
	size_t rest = p->total - p->newer - p->shown;
	json_write_int(&p->w, "total", (int64_t)p->total);
	json_write_int(&p->w, "from", (int64_t)p->newer + (p->shown > 0));
	json_write_object(&p->w, "counts");
	json_write_end(&p->w);
	if (rest)
		json_write_text(&p->w, "next", p->oldest);
	else
		json_write_null(&p->w, "next");
	if (p->newer > p->limit)
		json_write_text(
		        &p->w, "previous", p->newer_ids[(p->newer - p->limit) % (p->limit + 1)]);
	else
		json_write_c(&p->w, "previous", p->newer ? "first" : NULL);
}

static bool read_page(struct call *c, struct page *p, struct err *err)
{
	uint64_t limit = LIMIT, id;
	struct str text = call_query(c, "limit");
	*p = (struct page){ .scan.each = take, .call = c };
	p->search = call_query(c, "search");
	p->subject = call_query(c, "subject");
	p->cursor = call_query(c, "cursor");
	if (str_eq_c(p->cursor, "first"))
		p->cursor = STR_NONE;
	if (text.n && (!str_to_u64(text, &limit) || limit < 1 || limit > LIMIT_MOST))
		return err_set(err, ERR_INPUT, "`limit` is a number from 1 to %d.", LIMIT_MOST);
	p->limit = (size_t)limit;
	if (p->cursor.n && !str_to_u64(p->cursor, &id))
		return err_set(err, ERR_INPUT, "`cursor` is not one of this list's: leave it out.");
	p->newer_ids = arena_array(&c->arena, struct str, p->limit + 1);
	return true;
}

static void get_audit(struct call *c)
{
	struct page p;
	struct err err = ERR_INIT;
	if (!read_page(c, &p, &err)) {
		call_fail_field(c, &err, p.limit ? "cursor" : "limit", STR_NONE);
		return;
	}
	call_object(c, &p.w);
	json_write_array(&p.w, "items");
	struct store_range all = { .kind = KIND, .backwards = true };
	bool ok = store_walk(portal.store, all, &p.scan, &err);
	if (ok) {
		json_write_end(&p.w);
		write_place(&p);
		json_write_end(&p.w);
		call_answer(c, 200);
	} else {
		call_fail(c, &err);
	}
	arena_done(&p.ids);
}

/* ---- export: the oldest first, some at a time as the client takes them ---- */

struct exporting {
	struct call_part part;
	struct store_scan scan;
	struct call *call;
	char after[ID_TEXT]; /* the last one sent */
	size_t sent;
	struct buf lines;
};

static void let_go(struct call_part *p)
{
	buf_done(&OWNER(p, struct exporting, part)->lines);
}

static bool export_one(struct store_scan *scan, const struct record *record)
{
	struct exporting *x = OWNER(scan, struct exporting, scan);
	if (x->sent == EXPORTED_AT_ONCE)
		return false;
	x->sent++;
	buf_add(&x->lines, record->value);
	buf_add_char(&x->lines, '\n');
	snprintf(x->after, sizeof x->after, "%.*s", STR_ARG(record->id));
	return true;
}

static struct exporting *exporting_of(struct call *c)
{
	return OWNER(c->parts, struct exporting, part);
}

/* At the end nothing is left to send, or the store cannot be read: then the stream is cut off, so
 * that the client does not take it for whole. */
static void export_more(struct call *c)
{
	struct exporting *x = exporting_of(c);
	struct err err = ERR_INIT;
	struct store_range range = { .kind = KIND, .from = str_c(x->after) };
	x->sent = 0;
	buf_clear(&x->lines);
	if (!store_walk(portal.store, range, &x->scan, &err)) {
		log_error(portal.log, "The audit cannot be exported: %s", err.text);
		call_stream_cut(c, "The audit cannot be read any further.");
	} else if (x->sent) {
		call_stream_text(c, buf_str(&x->lines));
	} else {
		call_stream_end(c);
	}
}

/* One record a minute for each of them: a client that asks without end must not push out what
 * people did. */
static void tell_export(struct call *c)
{
	if (!pace_take(&audit.exports, c->who.name, loop_mono(portal.loop)))
		audit_add(c, "Audit exported", STR_NONE, STR_NONE, STR_NONE);
}

static void get_export(struct call *c)
{
	struct exporting *x = arena_new(&c->arena, struct exporting);
	x->scan.each = export_one;
	x->lines = BUF(EXPORTED_AT_ONCE * RECORD_MOST);
	x->call = c;
	call_keep(c, &x->part, let_go);
	call_header(c, STR("content-disposition"), STR("attachment; filename=\"audit.jsonl\""));
	bool only_head = str_eq_c(c->ex->request.method, "HEAD");
	if (!only_head)
		tell_export(c);
	c->drained = export_more;
	call_stream_as(c, "application/x-ndjson");
	if (!only_head)
		export_more(c);
}

const struct route audit_routes[] = {
	{ "GET", "/api/audit", SCOPE_READ, get_audit },
	{ "GET", "/api/audit/export", SCOPE_ADMINISTER, get_export },
	{ 0 },
};

/* ---- opening ---- */

struct counting {
	struct store_scan scan;
};

static bool count_one(struct store_scan *scan, const struct record *record)
{
	uint64_t number;
	(void)scan;
	audit.count++;
	if (str_to_u64(record->id, &number) && (int64_t)number > audit.last)
		audit.last = (int64_t)number;
	return true;
}

bool audit_load(struct err *err)
{
	struct counting c = { .scan.each = count_one };
	audit.last = audit.count = audit.lost = 0;
	audit.unwritten = 0;
	audit.exports = (struct pace){ .most = 1 };
	audit.failures_left = FAILURES_AT_ONCE;
	audit.failures_at = loop_mono(portal.loop);
	list_init(&audit.writes);
	store_tx_init(&audit.pruning);
	if (!store_each(portal.store, KIND, &c.scan, err))
		return false;
	timer_start(&audit.timer, portal.loop, MINUTE, prune);
	return true;
}

void audit_close(void)
{
	if (!audit.writes.next)
		return;
	LIST_EACH (n, &audit.writes)
		writing_free(OWNER(n, struct writing, node));
	pace_clear(&audit.exports);
	store_tx_abort(&audit.pruning);
	timer_stop(&audit.timer);
	audit.writes = (struct list){ 0 };
}
