/* The runs of this process: who may begin one, and what is shown of them. */
#include "base/ip.h"
#include "certs/name.h"
#include "diagnose/run.h"
#include <sys/random.h>

enum { STARTS_KEPT = 512, ID_BYTES = 9 };

struct start { /* who has begun one, and when */
	uint64_t who;
	int64_t at; /* mono; 0: none */
};
struct runs {
	struct diagnose_needs needs;
	struct list runs; /* newest last */
	size_t count;
	struct start starts[STARTS_KEPT];
	size_t next_start;
	struct later later;
};

struct kept_run {
	struct run run;
	struct runs *runs;
	uint64_t who; /* hashed */
	bool changed;
};

static struct kept_run *owner(struct run *run)
{
	return OWNER(run, struct kept_run, run);
}

struct runs *runs_new(const struct diagnose_needs *needs)
{
	struct runs *r = mem_new(struct runs);
	r->needs = *needs;
	list_init(&r->runs);
	return r;
}

static void forget(struct runs *r, struct run *run)
{
	list_remove(&run->node);
	r->count--;
	run_done(run);
	free(owner(run));
}

void runs_free(struct runs **runs)
{
	struct runs *r = *runs;
	if (!r)
		return;
	LIST_EACH (node, &r->runs)
		forget(r, OWNER(node, struct run, node));
	later_stop(&r->later);
	free(r);
	*runs = NULL;
}

static struct run *find(struct runs *r, struct str id)
{
	LIST_EACH (node, &r->runs) {
		struct run *run = OWNER(node, struct run, node);
		if (str_eq_c(id, run->id))
			return run;
	}
	return NULL;
}

/* ---- beginning ---- */

/* Seconds until the oldest of the last minute's is a minute old; 0: one may begin. */
static int64_t wait_of(const struct runs *r, uint64_t who, int64_t now)
{
	size_t count = 0;
	int64_t oldest = now;
	for (size_t i = 0; i < STARTS_KEPT; i++) {
		const struct start *s = &r->starts[i];
		if (!s->at || s->who != who || now - s->at >= MINUTE)
			continue;
		count++;
		oldest = s->at < oldest ? s->at : oldest;
	}
	return count < RUNS_A_MINUTE ? 0 : (oldest + MINUTE - now + SECOND - 1) / SECOND;
}

static size_t under_way(const struct runs *r)
{
	size_t count = 0;
	LIST_EACH (node, &r->runs)
		count += !OWNER(node, struct run, node)->facts.over;
	return count;
}

/* The oldest that is over makes room. */
static void make_room(struct runs *r)
{
	LIST_EACH (node, &r->runs) {
		struct run *run = OWNER(node, struct run, node);
		if (r->count >= RUNS_KEPT && run->facts.over)
			forget(r, run);
	}
}

/* Told together at the end of the turn: a run often moves several times in one. */
static void tell(struct later *l)
{
	struct runs *r = OWNER(l, struct runs, later);
	LIST_EACH (node, &r->runs) {
		struct kept_run *k = owner(OWNER(node, struct run, node));
		if (k->changed)
			r->needs.host->ops->changed(r->needs.host, str_c(k->run.id));
		k->changed = false;
	}
}

static void changed(struct run *run)
{
	struct runs *r = owner(run)->runs;
	owner(run)->changed = true;
	later_start(&r->later, r->needs.loop, tell);
}

static bool may_begin(struct runs *r, struct str who, int64_t *ret_wait, struct err *err)
{
	int64_t mono = loop_mono(r->needs.loop);
	*ret_wait = wait_of(r, hash_keyed(who), mono);
	if (*ret_wait)
		return err_set(err, ERR_LIMIT,
		        "Ten diagnoses a minute are as many as one may run: wait %d s.",
		        (int)*ret_wait);
	if (under_way(r) >= RUNS_AT_ONCE)
		return err_set(err, ERR_BUSY,
		        "%d diagnoses are under way: wait until one of them is done.",
		        RUNS_AT_ONCE);
	r->starts[r->next_start++ % STARTS_KEPT] =
	        (struct start){ .who = hash_keyed(who), .at = mono ? mono : 1 };
	return true;
}

static void make_id(char ret_id[RUN_ID])
{
	unsigned char bytes[ID_BYTES];
	BUF_AUTO text = BUF(RUN_ID);
	CHECK(getrandom(bytes, sizeof bytes, 0) == sizeof bytes);
	buf_add_hex(&text, str_n(bytes, sizeof bytes));
	snprintf(ret_id, RUN_ID, "%s", buf_c(&text));
}

bool run_begin(struct runs *r, struct str name, struct str who, char ret_id[RUN_ID],
        int64_t *ret_wait, struct err *err)
{
	struct kept_run *k = mem_new(struct kept_run);
	struct run *run = &k->run;
	struct name read;
	*ret_wait = 0;
	if (!name_read(&run->arena, name, /* public_only= */ false, &read, err) ||
	        !may_begin(r, who, ret_wait, err)) {
		arena_done(&run->arena);
		free(k);
		return false;
	}
	make_room(r);
	struct str domain = name_registered_domain(read.ascii);
	k->runs = r;
	k->who = hash_keyed(who);
	run->needs = &r->needs;
	run->changed = changed;
	run->facts.name = read.ascii;
	run->facts.is_address = ip_is(read.ascii);
	run->facts.unicode = read.unicode;
	run->facts.parent = domain.n && !str_eq(domain, read.ascii) ? domain : STR_NONE;
	make_id(run->id);
	list_add_last(&r->runs, &run->node);
	r->count++;
	memcpy(ret_id, run->id, RUN_ID);
	run_start(run);
	return true;
}

bool run_end(struct runs *r, struct str id)
{
	struct run *run = find(r, id);
	if (run)
		forget(r, run);
	return run;
}

bool run_is_of(struct runs *r, struct str id, struct str who)
{
	struct run *run = find(r, id);
	return run && owner(run)->who == hash_keyed(who);
}

/* ---- showing ---- */

static void write_optional(struct json_writer *w, const char *key, struct str text)
{
	if (text.n)
		json_write_text(w, key, text);
	else
		json_write_null(w, key);
}

static void write_finding(struct json_writer *w, const struct finding *f)
{
	json_write_object(w, NULL);
	json_write_c(w, "area", area_name(f->area));
	write_optional(w, "subject", f->subject);
	json_write_c(w, "state", finding_state_name(f->state));
	json_write_bool(w, "stops", f->stops);
	json_write_text(w, "what", f->what);
	json_write_text(w, "sentence", f->sentence);
	write_optional(w, "fix", f->fix);
	write_optional(w, "proof", f->proof);
	json_write_end(w);
}

static void write_findings(struct json_writer *w, const struct findings *all)
{
	json_write_array(w, "findings");
	for (enum area area = 0; area <= AREA_HSTS; area++)
		for (size_t i = 0; i < all->count; i++)
			if (all->at[i].area == area)
				write_finding(w, &all->at[i]);
	json_write_end(w);
}

bool run_write(struct runs *r, struct str id, struct json_writer *w)
{
	const struct run *run = find(r, id);
	if (!run)
		return false;
	ARENA_AUTO a = ARENA_INIT;
	struct findings *all = arena_new(&a, struct findings);
	bool fails = false;
	judge(&a, &run->facts, all);
	struct str sentence = judge_outcome(&a, all, &fails);
	json_write_object(w, NULL);
	json_write_c(w, "id", run->id);
	json_write_text(w, "name", run->facts.name);
	json_write_text(w, "unicode", run->facts.unicode);
	json_write_bool(w, "done", run->facts.over);
	json_write_time(w, "at", run->began);
	json_write_int(w, "ms", run->facts.over ? run->took : run->facts.now - run->began);
	json_write_c(w, "outcome", !run->facts.over ? NULL : fails ? "fail" : "pass");
	write_optional(w, "sentence", run->facts.over ? sentence : STR_NONE);
	write_findings(w, all);
	json_write_end(w);
	return true;
}
