/* Which matters are open, as the store remembers them, and what there is to tell of them. */
#include "base/log.h"
#include "notify/inside.h"

enum { OPEN_SHOWN = 100, TEXT_MOST = 32 << 10 /* with a hundred names of 253 characters */ };
static const char kind_of_record[] = "matter";

struct entry {                /* a matter that the store has, or will have */
	struct map_node node; /* by id: "KIND SUBJECT" */
	struct follow *follow;
	char *id, *subject, *certificate;
	enum matter_kind kind;
	int64_t since; /* wall ms, when it was opened */
	int64_t next;  /* wall ms, when it is told again if nothing changes; INT64_MAX: never */
	struct matter matter;
	uint64_t seen;   /* in which round its subject was there */
	int64_t version; /* in the store; 0: it is not */
	struct store_tx tx;
	bool storing, again;
	struct notice *notice; /* told once it is stored */
};

struct trouble {              /* a registration for which something is the matter with its issuer */
	struct map_node node; /* by id: "KIND REGISTRATION" */
	char *id;
	enum matter_kind kind;
	char *subject; /* the issuer, or what of it */
};
static const enum matter_kind of_issuers[] = { MATTER_UNREACHABLE, MATTER_LIMITS, MATTER_LOW,
	MATTER_TERMS };

struct follow {
	struct notify *notify;
	struct map entries, troubles;
	int64_t begun, begun_version;
	struct store_tx begun_tx;
	struct timer due;
	int64_t next; /* wall ms, when something may change by itself; INT64_MAX: never */
	uint64_t round;
	bool first_done; /* everything was looked at once: what is not there has gone */
};

/* ---- entries ---- */

static struct str id_of(struct buf *to, enum matter_kind kind, struct str subject)
{
	buf_printf(to, "%s %.*s", matter_words(kind)->name, STR_ARG(subject));
	return buf_str(to);
}

static struct entry *entry_find(struct follow *f, enum matter_kind kind, struct str subject)
{
	BUF_AUTO id = BUF(1024);
	struct map_node *n = map_find(&f->entries, id_of(&id, kind, subject));
	return n ? OWNER(n, struct entry, node) : NULL;
}

static struct entry *entry_new(struct follow *f, enum matter_kind kind, struct str subject)
{
	BUF_AUTO id = BUF(1024);
	struct entry *e = mem_new(struct entry);
	e->follow = f;
	e->kind = kind;
	e->id = str_dup(id_of(&id, kind, subject));
	e->subject = str_dup(subject);
	e->seen = f->round;
	e->next = INT64_MAX;
	store_tx_init(&e->tx);
	map_add(&f->entries, str_c(e->id), &e->node);
	return e;
}

static void entry_free(struct entry *e)
{
	map_remove(&e->follow->entries, &e->node);
	store_tx_abort(&e->tx);
	notice_unref(&e->notice);
	free(e->id);
	free(e->subject);
	free(e->certificate);
	free(e);
}

static void entry_store(struct entry *e);

static int64_t stored_version(const struct entry *e)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record r;
	struct err ignored = ERR_INIT;
	return store_get(e->follow->notify->needs.store, &a, str_c(kind_of_record), str_c(e->id),
	               &r, &ignored)
	               ? r.version
	               : 0;
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct entry *e = OWNER(tx, struct entry, tx);
	struct notify *n = e->follow->notify;
	struct notice *notice = e->notice;
	e->notice = NULL;
	e->storing = false;
	if (err)
		e->version = stored_version(e);
	if (err)
		log_warning(n->needs.log,
		        "What was told is not stored, it may be told again after a restart: %s",
		        err->text);
	if (notice)
		notify_tell(n, notice);
	notice_unref(&notice);
	if (e->again)
		entry_store(e);
	else if (!e->matter.open)
		entry_free(e);
}

static void write_value(const struct entry *e, struct buf *out)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_c(&w, "kind", matter_words(e->kind)->name);
	json_write_c(&w, "subject", e->subject);
	json_write_int(&w, "told", e->matter.told);
	json_write_int(&w, "told_at", e->matter.told_at);
	json_write_int(&w, "since", e->since);
	json_write_c(&w, "certificate", e->certificate);
	json_write_end(&w);
}

static void entry_store(struct entry *e)
{
	BUF_AUTO value = BUF(8 << 10);
	e->again = e->storing;
	if (e->storing)
		return;
	if (!e->matter.open && !e->version) {
		entry_free(e); /* the store never had it */
		return;
	}
	e->storing = true;
	if (e->matter.open) {
		write_value(e, &value);
		store_tx_put(&e->tx, str_c(kind_of_record), str_c(e->id), e->version,
		        buf_str(&value), STR_NONE);
		e->version++;
	} else {
		store_tx_delete(&e->tx, str_c(kind_of_record), str_c(e->id), e->version);
		e->version = 0;
	}
	store_tx_start(e->follow->notify->needs.store, &e->tx, stored);
}

/* ---- words ---- */

static void add_time(struct buf *out, const char *what, int64_t at)
{
	char text[CLOCK_TEXT];
	if (at)
		buf_printf(out, "%s: %s\n", what, clock_rfc3339(at, text));
}

static void add_errors(struct buf *out, const struct notify_fact *fact, enum matter_kind kind)
{
	const struct err *why = kind == MATTER_DIFFERS ? fact->served : fact->error;
	if (why && why->code)
		buf_printf(out, "\n%s\n\n", why->text);
	if (kind == MATTER_RECALLED && fact->explanation.n)
		buf_printf(out, "\nIt says why: %.*s\n\n", STR_ARG(fact->explanation));
	if (kind == MATTER_REVOKED)
		buf_printf(out, "\nBrowsers that ask the CA refuse it. %s\n\n",
		        fact->wanted ? "A new one is ordered at once."
		                     : "It is not renewed: register its names for a new one.");
}

static struct notice *notice_about(
        struct entry *e, bool solved, const struct notify_fact *fact, int64_t now)
{
	BUF_AUTO text = BUF(TEXT_MOST);
	struct notice *n = notice_new(e->kind, solved, fact, now);
	const struct matter_words *w = matter_words(e->kind);
	n->level = matter_level(e->kind, e->matter.told);
	buf_printf(&text, "%.*s %s.\n", STR_ARG(n->name), solved ? w->solved : w->is);
	if (!solved)
		add_errors(&text, fact, e->kind);
	if (!w->of_issuer) {
		buf_add_c(&text, "Names:");
		for (size_t i = 0; i < n->name_count; i++)
			buf_printf(&text, " %.*s", STR_ARG(n->names[i]));
		buf_add_c(&text, "\n");
		add_time(&text, "Expires", n->not_after);
		add_time(&text, fact->failures ? "Next attempt" : "Next renewal", fact->next);
	}
	buf_printf(&text, "Issuer: %.*s\n", STR_ARG(n->issuer));
	n->text = arena_str(&n->arena, buf_str(&text));
	return n;
}

/* ---- judging ---- */

static void remember(
        struct entry *e, const struct matter_verdict *v, const struct matter_facts *facts)
{
	if (!e->matter.open)
		e->since = facts->now;
	e->matter.open = v->act == MATTER_TELL;
	e->matter.told = v->told;
	e->matter.told_at = facts->now;
	if (e->kind == MATTER_RENEWED && v->act == MATTER_TELL) {
		free(e->certificate);
		e->certificate = str_dup(facts->certificate);
		e->matter.certificate = str_c(e->certificate);
	}
}

static void say(struct entry *e, struct notice *notice)
{
	notice_unref(&e->notice); /* what was not yet stored is not worth telling any more */
	e->notice = notice;
	notify_moved(e->follow->notify);
	entry_store(e);
}

/* quiet: it is remembered, but something else tells of it. Returns what was done. */
static enum matter_act judge(struct follow *f, enum matter_kind kind, struct str subject,
        const struct matter_facts *facts, const struct notify_fact *fact)
{
	static const struct matter none;
	struct entry *e = entry_find(f, kind, subject);
	const struct matter_verdict v = matter_judge(kind, facts, e ? &e->matter : &none, f->begun);
	if (v.next < f->next)
		f->next = v.next;
	if (e) {
		e->seen = f->round;
		e->next = v.next;
	}
	if (v.act == MATTER_REST)
		return v.act;
	if (!e)
		e = entry_new(f, kind, subject);
	e->next = v.next;
	const unsigned told_before = e->matter.told;
	remember(e, &v, facts);
	if (v.act == MATTER_SOLVE)
		e->matter.told = told_before;
	say(e, fact && v.act != MATTER_CLOSE
	                ? notice_about(e, v.act == MATTER_SOLVE, fact, facts->now)
	                : NULL);
	return v.act;
}

/* What its issuer is to blame for is the issuer's matter, told once for all names. */
static enum matter_kind trouble_of(const struct notify_fact *fact)
{
	if (!fact->wanted || !fact->error)
		return MATTER_COUNT;
	if (fact->error->code == ERR_LIMIT)
		return MATTER_LIMITS;
	const bool silent =
	        fact->error->code == ERR_UNREACHABLE || fact->error->code == ERR_TIMEOUT;
	return silent && fact->failures ? MATTER_UNREACHABLE : MATTER_COUNT;
}

static struct matter_facts facts_of(const struct follow *f, const struct notify_fact *fact)
{
	const int64_t now = loop_wall(f->notify->needs.loop);
	const bool failing = fact->failures > 0;
	return (struct matter_facts){
		.now = now,
		.not_before = fact->not_before,
		.not_after = fact->not_after,
		.since = fact->since,
		.held = fact->certificate.n > 0,
		.wanted = fact->wanted,
		.planned = fact->wanted && !failing && fact->next > now,
		.replaced = fact->replaced,
		.failing = failing && trouble_of(fact) == MATTER_COUNT,
		.revoked = fact->revoked,
		.recalled = fact->recalled,
		.differs = fact->served && fact->served->code,
		.certificate = fact->certificate,
	};
}

/* Of several that are solved at once one is told, the worst; it tells of a new certificate, too. */
static void judge_registration(struct follow *f, const struct notify_fact *fact)
{
	static const enum matter_kind worst_first[] = { MATTER_EXPIRED, MATTER_REVOKED,
		MATTER_EXPIRING, MATTER_FAILED, MATTER_RECALLED, MATTER_DIFFERS, MATTER_RENEWED };
	const struct matter_facts facts = facts_of(f, fact);
	bool solved = false;
	for (size_t i = 0; i < sizeof worst_first / sizeof *worst_first; i++) {
		const enum matter_kind kind = worst_first[i];
		struct entry *e = entry_find(f, kind, fact->id);
		const struct matter none = { 0 };
		const struct matter_verdict v =
		        matter_judge(kind, &facts, e ? &e->matter : &none, f->begun);
		const bool again = solved && (v.act == MATTER_SOLVE || kind == MATTER_RENEWED);
		solved |= judge(f, kind, fact->id, &facts, again ? NULL : fact) == MATTER_SOLVE;
	}
}

/* ---- issuers ---- */

/* What that kind of matter is about where the registration has it, and why. Empty: it has not. */
static struct str subject_of(
        enum matter_kind kind, const struct notify_fact *fact, const struct err **ret_why)
{
	const bool by_error = trouble_of(fact) == kind;
	if (kind == MATTER_LOW || kind == MATTER_TERMS) {
		*ret_why = kind == MATTER_LOW ? fact->low : fact->terms;
		return !*ret_why ? STR_NONE : kind == MATTER_LOW ? fact->low_of : fact->issuer;
	}
	*ret_why = fact->error;
	return by_error ? fact->issuer : STR_NONE;
}

/* why NULL: no registration has it any more, as far as is known here. */
static void judge_issuer(
        struct follow *f, enum matter_kind kind, struct str subject, const struct err *why)
{
	size_t members = 0;
	const struct notify_fact about = { .issuer = subject, .error = why };
	MAP_EACH (n, &f->troubles) {
		const struct trouble *t = OWNER(n, struct trouble, node);
		members += t->kind == kind && str_eq_c(subject, t->subject);
	}
	const struct matter_facts facts = { .now = loop_wall(f->notify->needs.loop),
		.failing = members > 0 };
	if (members || f->first_done)
		judge(f, kind, subject, &facts, &about);
}

static void forget_trouble(struct follow *f, struct trouble *t)
{
	map_remove(&f->troubles, &t->node);
	free(t->id);
	free(t->subject);
	free(t);
}

static struct trouble *trouble_find(struct follow *f, enum matter_kind kind, struct str id)
{
	BUF_AUTO key = BUF(1024);
	struct map_node *n = map_find(&f->troubles, id_of(&key, kind, id));
	return n ? OWNER(n, struct trouble, node) : NULL;
}

static void end_trouble(struct follow *f, enum matter_kind kind, struct str id)
{
	struct trouble *t = trouble_find(f, kind, id);
	if (!t)
		return;
	char *subject = str_dup(str_c(t->subject));
	forget_trouble(f, t);
	judge_issuer(f, kind, str_c(subject), NULL);
	free(subject);
}

/* Whether they have changed is known only once the CA was heard again after a start. */
static void look_at_terms(struct follow *f, const struct notify_fact *fact)
{
	struct entry *e = entry_find(f, MATTER_TERMS, fact->issuer);
	if (e)
		e->seen = f->round;
	if (e && e->matter.open && fact->terms_known)
		judge_issuer(f, MATTER_TERMS, fact->issuer, NULL);
}

static void look_for(struct follow *f, enum matter_kind kind, const struct notify_fact *fact)
{
	BUF_AUTO key = BUF(1024);
	const struct err *why;
	const struct str subject = subject_of(kind, fact, &why);
	struct trouble *t = trouble_find(f, kind, fact->id);
	if (kind == MATTER_TERMS && !subject.n && !t)
		look_at_terms(f, fact);
	if (t && str_eq_c(subject, t->subject))
		return;
	end_trouble(f, kind, fact->id);
	if (!subject.n)
		return;
	t = mem_new(struct trouble);
	t->id = str_dup(id_of(&key, kind, fact->id));
	t->kind = kind;
	t->subject = str_dup(subject);
	map_add(&f->troubles, str_c(t->id), &t->node);
	judge_issuer(f, kind, subject, why);
}

static void look_for_trouble(struct follow *f, const struct notify_fact *fact)
{
	for (size_t i = 0; i < sizeof of_issuers / sizeof *of_issuers; i++)
		look_for(f, of_issuers[i], fact);
}

/* ---- rounds ---- */

struct look {
	struct notify_each each;
	struct follow *follow;
};

static void look(struct notify_each *each, const struct notify_fact *fact)
{
	struct follow *f = OWNER(each, struct look, each)->follow;
	look_for_trouble(f, fact);
	judge_registration(f, fact);
}

static void close_entry(struct entry *e)
{
	e->matter = (struct matter){ 0 };
	say(e, NULL);
}

/* What a registration was the subject of has gone with it. */
static void close_gone(struct follow *f)
{
	MAP_EACH (n, &f->entries) {
		struct entry *e = OWNER(n, struct entry, node);
		if (e->matter.open && e->seen != f->round && !matter_words(e->kind)->of_issuer)
			close_entry(e);
	}
}

/* Issuers that were in trouble before a restart, and are no more. */
static void solve_issuers(struct follow *f)
{
	MAP_EACH (n, &f->entries) {
		const struct entry *e = OWNER(n, struct entry, node);
		const bool waits = e->kind == MATTER_TERMS && e->seen == f->round;
		if (e->matter.open && matter_words(e->kind)->of_issuer && !waits)
			judge_issuer(f, e->kind, str_c(e->subject), NULL);
	}
}

static void due(struct timer *t)
{
	follow_all(OWNER(t, struct follow, due));
}

/* At most one round a minute. */
static void wait(struct follow *f)
{
	const int64_t soonest = loop_wall(f->notify->needs.loop) + MINUTE;
	timer_stop(&f->due);
	if (f->next != INT64_MAX)
		timer_start_wall(
		        &f->due, f->notify->needs.loop, f->next < soonest ? soonest : f->next, due);
}

static void begun_stored(struct store_tx *tx, const struct err *err)
{
	struct follow *f = OWNER(tx, struct follow, begun_tx);
	if (err)
		log_warning(f->notify->needs.log,
		        "Since when is told of certificates is not stored: %s", err->text);
}

static void begin(struct follow *f)
{
	BUF_AUTO value = BUF(128);
	if (f->begun)
		return;
	f->begun = loop_wall(f->notify->needs.loop);
	buf_printf(&value, "{\"at\":%lld}", (long long)f->begun);
	store_tx_put(
	        &f->begun_tx, str_c(kind_of_record), STR("begun"), 0, buf_str(&value), STR_NONE);
	store_tx_start(f->notify->needs.store, &f->begun_tx, begun_stored);
}

void follow_all(struct follow *f)
{
	struct notify_source *source = f->notify->needs.source;
	struct look l = { .each.fact = look, .follow = f };
	if (list_empty(&f->notify->targets))
		return;
	begin(f);
	f->round++;
	f->next = INT64_MAX;
	source->each(source, &l.each);
	close_gone(f);
	f->first_done = true;
	solve_issuers(f);
	wait(f);
}

void follow_one(struct follow *f, struct str id)
{
	struct notify_source *source = f->notify->needs.source;
	struct look l = { .each.fact = look, .follow = f };
	const int64_t before = f->next;
	if (list_empty(&f->notify->targets))
		return;
	if (!source->find(source, id, &l.each)) {
		for (size_t i = 0; i < sizeof of_issuers / sizeof *of_issuers; i++)
			end_trouble(f, of_issuers[i], id);
		for (unsigned k = 0; k < MATTER_COUNT; k++) {
			struct entry *e = entry_find(f, (enum matter_kind)k, id);
			if (e && e->matter.open)
				close_entry(e);
		}
	}
	if (f->next < before)
		wait(f);
}

/* ---- what is open ---- */

struct telling {
	struct notify_each each;
	const struct entry *entry;
	struct json_writer *w;
	bool done;
};

static void write_words(struct json_writer *w, const struct entry *e, struct str about)
{
	const struct matter_words *words = matter_words(e->kind);
	BUF_AUTO sentence = BUF(1024);
	buf_printf(&sentence, "%.*s %s.", STR_ARG(str_head(about, 300)), words->is);
	json_write_text(w, "about", about);
	json_write_text(w, "sentence", buf_str(&sentence));
}

static void write_fact(struct notify_each *each, const struct notify_fact *fact)
{
	struct telling *t = OWNER(each, struct telling, each);
	const enum matter_kind kind = t->entry->kind;
	const struct err *why = kind == MATTER_DIFFERS ? fact->served : fact->error;
	const bool named = !matter_words(kind)->of_issuer && fact->name_count;
	if (matter_words(kind)->of_issuer)
		(void)subject_of(kind, fact, &why);
	write_words(t->w, t->entry, named ? fact->names[0] : str_c(t->entry->subject));
	json_write_c(t->w, "why", why && why->code ? why->text : NULL);
	t->done = true;
}

/* The registration that it is about, or of an issuer one that is in trouble for its sake. */
static struct str registration_of(const struct follow *f, const struct entry *e)
{
	const struct matter_words *words = matter_words(e->kind);
	if (!words->of_issuer)
		return str_c(e->subject);
	MAP_EACH (n, &f->troubles) {
		const struct trouble *t = OWNER(n, struct trouble, node);
		if (t->kind == e->kind && !strcmp(t->subject, e->subject))
			return str_from(str_c(t->id), strlen(words->name) + 1);
	}
	return STR_NONE;
}

static void write_about(const struct follow *f, const struct entry *e, struct json_writer *w)
{
	struct notify_source *source = f->notify->needs.source;
	struct telling t = { .each.fact = write_fact, .entry = e, .w = w };
	const struct str id = registration_of(f, e);
	if (id.n)
		(void)source->find(source, id, &t.each);
	if (t.done)
		return;
	write_words(w, e, str_c(e->subject));
	json_write_null(w, "why");
}

static void write_open(const struct follow *f, const struct entry *e, struct json_writer *w)
{
	const bool never = e->next == INT64_MAX;
	json_write_object(w, NULL);
	json_write_c(w, "event", matter_words(e->kind)->name);
	json_write_c(w, "level", config_level_name(matter_level(e->kind, e->matter.told)));
	write_about(f, e, w);
	json_write_bool(w, "issuer", matter_words(e->kind)->of_issuer);
	json_write_time(w, "since", e->since);
	json_write_time(w, "told", e->matter.told_at);
	json_write_time(w, "next", never ? 0 : e->next);
	json_write_end(w);
}

void follow_write(const struct follow *f, struct json_writer *w)
{
	const bool followed = !list_empty(&f->notify->targets);
	size_t count = 0;
	json_write_array(w, "open");
	MAP_EACH (n, &f->entries) {
		const struct entry *e = OWNER(n, struct entry, node);
		if (followed && e->matter.open && e->kind != MATTER_RENEWED && count++ < OPEN_SHOWN)
			write_open(f, e, w);
	}
	json_write_end(w);
	json_write_int(w, "open_count", (int64_t)count);
}

/* ---- the store ---- */

struct load {
	struct store_scan scan;
	struct follow *follow;
};

static bool load(struct store_scan *scan, const struct record *r)
{
	struct follow *f = OWNER(scan, struct load, scan)->follow;
	struct err ignored = ERR_INIT;
	JSON_AUTO *value = json_parse(r->value, "A matter", &ignored);
	enum matter_kind kind;
	int64_t told = 0;
	if (str_eq_c(r->id, "begun")) {
		json_int(value, "at", &f->begun);
		return true;
	}
	if (!matter_from_name(json_text(value, "kind"), &kind))
		return true;
	struct entry *e = entry_new(f, kind, json_text(value, "subject"));
	e->version = r->version;
	e->matter.open = true;
	json_int(value, "told", &told);
	e->matter.told = told < 0 || told > INT16_MAX ? 1 : (unsigned)told;
	json_int(value, "told_at", &e->matter.told_at);
	e->since = e->matter.told_at;
	json_int(value, "since", &e->since);
	e->certificate = str_dup(json_text(value, "certificate"));
	e->matter.certificate = str_c(e->certificate);
	return true;
}

struct follow *follow_new(struct notify *n, struct err *err)
{
	struct follow *f = mem_new(struct follow);
	struct load l = { .scan.each = load, .follow = f };
	f->notify = n;
	f->next = INT64_MAX;
	store_tx_init(&f->begun_tx);
	if (!store_each(n->needs.store, str_c(kind_of_record), &l.scan, err))
		follow_free(&f);
	return f;
}

void follow_free(struct follow **follow)
{
	struct follow *f = *follow;
	*follow = NULL;
	if (!f)
		return;
	timer_stop(&f->due);
	store_tx_abort(&f->begun_tx);
	MAP_EACH (n, &f->entries)
		entry_free(OWNER(n, struct entry, node));
	MAP_EACH (n, &f->troubles)
		forget_trouble(f, OWNER(n, struct trouble, node));
	map_done(&f->entries);
	map_done(&f->troubles);
	free(f);
}
