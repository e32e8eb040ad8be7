/* The task log: what was done, step by step, kept for the page. Events live in memory as they will
 * be read; the record is written when a task begins and when it ends. */
#include "renew/private.h"

enum { EVENT_MOST = 16 << 10, RECORD_MOST = 4 << 20 };

static const char *const state_names[] = {
#define X(name, text) text,
	TASK_STATES(X)
#undef X
};

static struct task_reader *reader_behind(struct task *t)
{
	LIST_EACH (n, &t->readers)
		if (OWNER(n, struct task_reader, node)->next < t->count)
			return OWNER(n, struct task_reader, node);
	return NULL;
}

/* A reader may stop within its callback, and be gone. */
static void notify(struct later *l)
{
	struct task *t = OWNER(l, struct task, later);
	for (struct task_reader *reader; (reader = reader_behind(t));)
		reader->event(reader, t->events[reader->next++]);
	while (t->state != TASK_EXECUTING && !list_empty(&t->readers)) {
		struct task_reader *reader =
		        OWNER(list_first(&t->readers), struct task_reader, node);
		list_remove(&reader->node);
		reader->ended(reader);
	}
}

static void add_event(struct task *t, struct str json)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 16;
		t->events = mem_grow(t->events, sizeof *t->events, t->cap);
	}
	t->events[t->count++] = arena_str(&t->arena, json);
	if (!list_empty(&t->readers))
		later_start(&t->later, t->renewals->needs.loop, notify);
}

static void event_begin(struct task *t, struct json_writer *w, struct buf *out, const char *step)
{
	json_write_init(w, out);
	json_write_object(w, NULL);
	json_write_int(w, "seq", (int64_t)t->count);
	json_write_time(w, "at", loop_wall(t->renewals->needs.loop));
	json_write_int(w, "ms", loop_wall(t->renewals->needs.loop) - t->started);
	json_write_c(w, "step", step);
}

void task_step(struct task *t, const char *step, struct str text)
{
	BUF_AUTO out = BUF(EVENT_MOST);
	struct json_writer w;
	event_begin(t, &w, &out, step);
	json_write_text(&w, "text", text);
	json_write_c(&w, "state", state_names[TASK_EXECUTING]);
	json_write_end(&w);
	add_event(t, buf_str(&out));
}

static struct task *task_make(struct renewals *r, struct str id)
{
	struct task *t = mem_new(struct task);
	t->renewals = r;
	snprintf(t->id, sizeof t->id, "%.*s", STR_ARG(id));
	list_init(&t->readers);
	map_add(&r->tasks, str_c(t->id), &t->node);
	list_add_last(&r->task_order, &t->order);
	return t;
}

static void task_free(struct task *t)
{
	LIST_EACH (n, &t->readers)
		list_remove(n);
	store_tx_abort(&t->tx);
	later_stop(&t->later);
	map_remove(&t->renewals->tasks, &t->node);
	list_remove(&t->order);
	free(t->events);
	arena_done(&t->arena);
	free(t);
}

static void forgotten(struct store_tx *tx, const struct err *err)
{
	struct task *t = OWNER(tx, struct task, tx);
	(void)err; /* then the record goes at the next start, with the first new task */
	notify(&t->later);
	task_free(t);
}

static void forget(struct task *t)
{
	store_tx_delete(&t->tx, STR("task"), str_c(t->id), t->version);
	store_tx_start(t->renewals->needs.store, &t->tx, forgotten);
}

/* Only the newest are kept; the record goes with the task. */
static void forget_oldest(struct renewals *r)
{
	size_t too_many = r->tasks.count < TASKS_KEPT ? 0 : r->tasks.count - TASKS_KEPT + 1;
	LIST_EACH (n, &r->task_order) {
		struct task *t = OWNER(n, struct task, order);
		if (!too_many)
			return;
		if (t->state == TASK_EXECUTING || !list_empty(&t->readers))
			continue;
		too_many--;
		if (!t->tx.store)
			forget(t);
	}
}

static struct task *task_new(struct renewals *r, const char *name, struct str about)
{
	char id[32];
	forget_oldest(r);
	snprintf(id, sizeof id, "%010lld", (long long)++r->last_task);
	struct task *t = task_make(r, str_c(id));
	t->name = str_c(name);
	t->about = arena_str(&t->arena, about);
	t->started = loop_wall(r->needs.loop);
	return t;
}

struct task *task_find(struct renewals *r, struct str id)
{
	struct map_node *n = map_find(&r->tasks, id);
	return n ? OWNER(n, struct task, node) : NULL;
}

/* The record */

static void write_members(const struct task *t, struct json_writer *w)
{
	json_write_c(w, "id", t->id);
	json_write_text(w, "name", t->name);
	json_write_text(w, "about", t->about);
	json_write_c(w, "state", state_names[t->state]);
	json_write_time(w, "started", t->started);
	json_write_time(w, "ended", t->ended);
}

static void write_task(const struct task *t, struct json_writer *w)
{
	json_write_object(w, NULL);
	write_members(t, w);
	json_write_array(w, "events");
	for (size_t i = 0; i < t->count; i++)
		json_write_raw(w, NULL, t->events[i]);
	json_write_end(w);
	json_write_end(w);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct task *t = OWNER(tx, struct task, tx);
	if (err)
		log_warning(t->renewals->needs.log,
		        "What task %s did could not be stored, it is lost "
		        "at the next start: %s",
		        t->id, err->text);
	else
		t->version++;
	if (t->changed)
		task_store(t);
}

/* While one write is under way the next waits for it. */
void task_store(struct task *t)
{
	t->changed = true;
	if (t->tx.store)
		return;
	t->changed = false;
	BUF_AUTO value = BUF(RECORD_MOST);
	struct json_writer w;
	json_write_init(&w, &value);
	write_task(t, &w);
	store_tx_put(&t->tx, STR("task"), str_c(t->id), t->version, buf_str(&value), STR_NONE);
	store_tx_start(t->renewals->needs.store, &t->tx, stored);
}

void task_end(struct task *t, const char *text, const struct err *failed)
{
	BUF_AUTO out = BUF(EVENT_MOST);
	struct json_writer w;
	t->state = failed ? TASK_FAILED : TASK_SUCCESS;
	t->ended = loop_wall(t->renewals->needs.loop);
	event_begin(t, &w, &out, "end");
	json_write_c(&w, "text", failed ? failed->text : text);
	json_write_c(&w, "state", state_names[t->state]);
	if (failed) {
		json_write_object(&w, "error");
		json_write_c(&w, "code", err_code_name(failed->code));
		json_write_c(&w, "message", failed->text);
		json_write_end(&w);
	}
	json_write_end(&w);
	add_event(t, buf_str(&out));
	task_store(t);
}

void task_give_up(struct task *t, const char *why)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_CANCELED, "Given up: %s.", why);
	task_end(t, NULL, &err);
}

struct task *task_for(struct registration *g, const char *name)
{
	struct task *t = task_find(g->renewals, str_c(g->task_id));
	if (t && t->state == TASK_EXECUTING)
		return t;
	t = task_new(g->renewals, name, str_c(g->id));
	snprintf(g->task_id, sizeof g->task_id, "%s", t->id);
	task_store(t);
	return t;
}

/* Loading */

static enum task_state state_of(struct str name)
{
	for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++)
		if (str_eq_c(name, state_names[i]))
			return (enum task_state)i;
	return TASK_FAILED;
}

static void read_events(struct task *t, const struct json *events)
{
	for (size_t i = 0; i < json_count(events); i++) {
		BUF_AUTO text = BUF(EVENT_MOST);
		json_print(json_at(events, i), &text);
		add_event(t, buf_str(&text));
	}
}

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load_task(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The stored task", &err);
	uint64_t number = 0;
	if (!json || record->id.n >= sizeof((struct task *)0)->id ||
	        !str_to_u64(record->id, &number))
		return true;
	struct task *t = task_make(r, record->id);
	t->name = arena_str(&t->arena, json_text(json, "name"));
	t->about = arena_str(&t->arena, json_text(json, "about"));
	t->state = state_of(json_text(json, "state"));
	clock_from_rfc3339(json_text(json, "started"), &t->started);
	clock_from_rfc3339(json_text(json, "ended"), &t->ended);
	t->version = record->version;
	read_events(t, json_array(json, "events"));
	if ((int64_t)number > r->last_task)
		r->last_task = (int64_t)number;
	return true;
}

bool tasks_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_task, .renewals = r };
	return store_each(r->needs.store, STR("task"), &load.scan, err);
}

void tasks_free(struct renewals *r)
{
	MAP_EACH (n, &r->tasks)
		task_free(OWNER(n, struct task, node));
	map_done(&r->tasks);
}

/* Reading */

bool task_read(
        struct renewals *r, struct task_reader *reader, struct str id, size_t from, struct err *err)
{
	struct task *t = task_find(r, id);
	if (!t)
		return err_set(err, ERR_NOT_FOUND, "There is no task %.*s.", STR_ARG(id));
	reader->next = from;
	list_add_last(&t->readers, &reader->node);
	later_start(&t->later, r->needs.loop, notify);
	return true;
}

void task_read_stop(struct task_reader *reader)
{
	list_remove(&reader->node);
}

void task_list(struct renewals *r, struct json_writer *w, size_t most)
{
	json_write_array(w, "tasks");
	for (struct list *n = list_last(&r->task_order); n && most; most--) {
		json_write_object(w, NULL);
		write_members(OWNER(n, struct task, order), w);
		json_write_end(w);
		n = n->prev == &r->task_order ? NULL : n->prev;
	}
	json_write_end(w);
}

bool task_details(struct renewals *r, struct str id, struct json_writer *w, struct err *err)
{
	struct task *t = task_find(r, id);
	if (!t)
		return err_set(err, ERR_NOT_FOUND, "There is no task %.*s.", STR_ARG(id));
	write_task(t, w);
	return true;
}
