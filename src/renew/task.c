/* The task log: what was done, step by step, kept for the page. The record is written when a task
 * begins, when its certificate is stored, and when it ends; what happens between is in memory
 * only. */
#include "renew/private.h"

enum { EVENT_MOST = 32 << 10, RECORD_MOST = 4 << 20 };

static const char *const state_names[] = {
#define X(name, text) text,
	TASK_STATES(X)
#undef X
};

static const char *const task_names[] = {
#define X(name, text, description) text,
	TASK_NAMES(X)
#undef X
};

static const char *const descriptions[] = {
#define X(name, text, description) description,
	TASK_NAMES(X)
#undef X
};

const char *task_state_name(enum task_state state)
{
	return state_names[state];
}

bool task_under_way(const struct task *t)
{
	return t->state == TASK_QUEUED || t->state == TASK_EXECUTING;
}

/* Events */

static bool is_end(const struct event *e)
{
	return str_eq_c(e->step, "end");
}

/* What was said of the error, and by whom, comes with the event that ends the task. */
static void write_error(const struct task *t, struct json_writer *w)
{
	json_write_object(w, "error");
	error_write(w, &t->error);
	json_write_c(w, "ca_text", t->ca_text.n ? t->ca_text.p : NULL);
	json_write_end(w);
}

static void write_event(const struct task *t, size_t i, struct json_writer *w)
{
	const struct event *e = &t->events[i];
	json_write_object(w, NULL);
	json_write_int(w, "seq", (int64_t)i);
	json_write_time(w, "at", e->at);
	json_write_int(w, "ms", e->at - t->queued);
	json_write_text(w, "step", e->step);
	if (e->subject.n)
		json_write_text(w, "subject", e->subject);
	json_write_text(w, "text", e->text);
	json_write_c(w, "state", state_names[e->state]);
	if (is_end(e) && t->error.code)
		write_error(t, w);
	if (is_end(e) && t->next_try)
		json_write_time(w, "next_try", t->next_try);
	json_write_end(w);
}

static struct task_reader *reader_behind(struct task *t)
{
	LIST_EACH (n, &t->readers)
		if (OWNER(n, struct task_reader, node)->next < t->count)
			return OWNER(n, struct task_reader, node);
	return NULL;
}

static void give_next(struct task *t, struct task_reader *reader)
{
	BUF_AUTO out = BUF(EVENT_MOST);
	struct json_writer w;
	json_write_init(&w, &out);
	write_event(t, reader->next++, &w);
	reader->event(reader, buf_str(&out));
}

/* A reader may stop within its callback, and be gone. */
static void notify(struct later *l)
{
	struct task *t = OWNER(l, struct task, later);
	for (struct task_reader *reader; (reader = reader_behind(t));)
		give_next(t, reader);
	while (!task_under_way(t) && !list_empty(&t->readers)) {
		struct task_reader *reader =
		        OWNER(list_first(&t->readers), struct task_reader, node);
		list_remove(&reader->node);
		reader->ended(reader);
	}
}

static void add_event(struct task *t, const struct event *e)
{
	if (t->count == t->cap) {
		t->cap = t->cap ? 2 * t->cap : 16;
		t->events = mem_grow(t->events, sizeof *t->events, t->cap);
	}
	t->events[t->count++] = (struct event){
		.at = e->at,
		.state = e->state,
		.step = arena_str(&t->arena, e->step),
		.subject = arena_str(&t->arena, e->subject),
		.text = arena_str(&t->arena, e->text),
	};
	tell_task(t);
	if (!list_empty(&t->readers))
		later_start(&t->later, t->renewals->needs.loop, notify);
}

const struct event *task_event_before(
        const struct task *t, size_t end, struct str step, struct str subject)
{
	for (size_t i = end; i-- > 0;) {
		const struct event *e = &t->events[i];
		if (str_eq(e->step, step) && str_eq(e->subject, subject))
			return e;
		if (str_eq_c(e->step, "again"))
			return NULL;
	}
	return NULL;
}

void task_step_about(struct task *t, const char *step, struct str subject, struct str text)
{
	const struct event *before = task_event_before(t, t->count, str_c(step), subject);
	if (before && str_eq(before->text, text) && before->state == t->state)
		return;
	add_event(t, &(struct event){ .at = loop_wall(t->renewals->needs.loop),
	                     .state = t->state,
	                     .step = str_c(step),
	                     .subject = subject,
	                     .text = text });
}

void task_step(struct task *t, const char *step, struct str text)
{
	task_step_about(t, step, STR_NONE, text);
}

/* Its life */

static struct task *task_make(struct renewals *r, struct str id)
{
	struct task *t = mem_new(struct task);
	t->renewals = r;
	snprintf(t->id, sizeof t->id, "%.*s", STR_ARG(id));
	list_init(&t->readers);
	list_init(&t->fetches);
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
	list_remove(&t->to_tell);
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
		if (task_under_way(t) || !list_empty(&t->readers))
			continue;
		too_many--;
		if (!t->tx.store)
			forget(t);
	}
}

/* As the seed system's task has them. */
static struct str arguments_of(struct arena *a, const struct registration *g)
{
	BUF_AUTO out = BUF(64 << 10);
	struct json_writer w;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	json_write_text(&w, "DnsName", g->name_count ? g->names[0] : STR_NONE);
	json_write_array(&w, "DnsNames");
	for (size_t i = 0; i < g->name_count; i++)
		json_write_text(&w, NULL, g->names[i]);
	json_write_end(&w);
	json_write_text(&w, "RegistrationEmailAddress", g->email);
	json_write_text(&w, "Issuer", g->issuer);
	if (g->listen.host.n) {
		json_write_text(&w, "IPAddress", g->listen.host);
		json_write_int(&w, "HttpsPort", g->listen.port);
	}
	json_write_end(&w);
	return arena_str(a, buf_str(&out));
}

struct task *task_new(struct registration *g, enum task_name name)
{
	struct renewals *r = g->renewals;
	char id[32];
	forget_oldest(r);
	snprintf(id, sizeof id, "%010lld", (long long)++r->last_task);
	struct task *t = task_make(r, str_c(id));
	t->name = name;
	t->about = arena_str(&t->arena, str_c(g->id));
	t->arguments = arguments_of(&t->arena, g);
	t->queued = loop_wall(r->needs.loop);
	tell_task(t);
	return t;
}

struct task *task_find(struct renewals *r, struct str id)
{
	struct map_node *n = map_find(&r->tasks, id);
	return n ? OWNER(n, struct task, node) : NULL;
}

void task_begin(struct task *t)
{
	if (t->state != TASK_QUEUED)
		return;
	t->state = TASK_EXECUTING;
	t->started = loop_wall(t->renewals->needs.loop);
	tell_task(t);
}

/* The record */

static void write_members(const struct task *t, struct json_writer *w)
{
	json_write_c(w, "id", t->id);
	json_write_c(w, "name", task_names[t->name]);
	json_write_c(w, "description", descriptions[t->name]);
	json_write_text(w, "about", t->about);
	json_write_c(w, "state", state_names[t->state]);
	json_write_time(w, "queued", t->queued);
	json_write_time(w, "started", t->started);
	json_write_time(w, "ended", t->ended);
}

static void write_details(const struct task *t, struct json_writer *w)
{
	write_members(t, w);
	json_write_raw(w, "arguments", t->arguments.n ? t->arguments : STR("{}"));
	json_write_array(w, "events");
	for (size_t i = 0; i < t->count; i++)
		write_event(t, i, w);
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
	json_write_object(&w, NULL);
	write_details(t, &w);
	json_write_bool(&w, "issued", t->issued);
	json_write_end(&w);
	store_tx_put(&t->tx, STR("task"), str_c(t->id), t->version, buf_str(&value), STR_NONE);
	store_tx_start(t->renewals->needs.store, &t->tx, stored);
}

void task_issued(struct task *t)
{
	t->issued = true;
	task_store(t);
}

static void ca_said(struct task *t, struct str text)
{
	t->ca_text = text.n ? arena_str(&t->arena, text) : STR_NONE;
}

void task_keep_ca_text(struct task *t, const struct flow *flow)
{
	BUF_AUTO text = BUF(32 << 10);
	if (flow)
		acme_problem_words(&flow->problem, &text);
	ca_said(t, buf_str(&text));
}

static enum task_state end_state(const struct err *failed)
{
	if (!failed)
		return TASK_SUCCESS;
	return failed->code == ERR_CANCELED ? TASK_CANCELED : TASK_FAILED;
}

void task_end(struct task *t, const char *text, const struct err *failed)
{
	t->state = end_state(failed);
	t->ended = loop_wall(t->renewals->needs.loop);
	if (failed)
		t->error = *failed;
	add_event(t, &(struct event){ .at = t->ended,
	                     .state = t->state,
	                     .step = STR("end"),
	                     .text = str_c(failed ? failed->text : text) });
	task_store(t);
}

void task_give_up(struct task *t, const char *why)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_CANCELED, "Given up: %s.", why);
	task_end(t, NULL, &err);
}

struct task *task_for(struct registration *g, enum task_name name)
{
	struct task *t = task_find(g->renewals, str_c(g->task_id));
	if (t && task_under_way(t))
		return t;
	t = task_new(g, name);
	snprintf(g->task_id, sizeof g->task_id, "%s", t->id);
	task_store(t);
	return t;
}

/* Loading */

static size_t index_of(struct str text, const char *const *names, size_t count, size_t otherwise)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq_c(text, names[i]))
			return i;
	return otherwise;
}

static enum task_state state_of(struct str name)
{
	return (enum task_state)index_of(
	        name, state_names, sizeof state_names / sizeof *state_names, TASK_FAILED);
}

static void read_event(struct task *t, const struct json *json)
{
	const struct json *error = json_object(json, "error");
	struct event e = { .state = state_of(json_text(json, "state")),
		.step = json_text(json, "step"),
		.subject = json_text(json, "subject"),
		.text = json_text(json, "text") };
	int64_t ms = 0;
	json_int(json, "ms", &ms);
	e.at = t->queued + ms;
	clock_from_rfc3339(json_text(json, "next_try"), &t->next_try);
	if (error) {
		error_read(error, &t->error);
		ca_said(t, json_text(error, "ca_text"));
	}
	add_event(t, &e);
}

static void read_task(struct task *t, const struct json *json)
{
	BUF_AUTO arguments = BUF(64 << 10);
	const struct json *events = json_array(json, "events");
	t->name = (enum task_name)index_of(json_text(json, "name"), task_names,
	        sizeof task_names / sizeof *task_names, TASK_RENEW);
	t->about = arena_str(&t->arena, json_text(json, "about"));
	t->state = state_of(json_text(json, "state"));
	json_print(json_object(json, "arguments"), &arguments);
	t->arguments = arena_str(&t->arena, buf_str(&arguments));
	clock_from_rfc3339(json_text(json, "queued"), &t->queued);
	clock_from_rfc3339(json_text(json, "started"), &t->started);
	clock_from_rfc3339(json_text(json, "ended"), &t->ended);
	json_bool(json, "issued", &t->issued);
	for (size_t i = 0; i < json_count(events); i++)
		read_event(t, json_at(events, i));
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
	t->version = record->version;
	read_task(t, json);
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
		return err_set(err, ERR_NOT_FOUND,
		        "There is no task %.*s." ERR_REMEDY
		        "GET /api/tasks lists those that are kept.",
		        STR_ARG(id));
	reader->next = from;
	list_add_last(&t->readers, &reader->node);
	later_start(&t->later, r->needs.loop, notify);
	return true;
}

void task_read_stop(struct task_reader *reader)
{
	list_remove(&reader->node);
}

static struct list *before(const struct renewals *r, const struct list *n)
{
	return n->prev == &r->task_order ? NULL : n->prev;
}

void task_list(struct renewals *r, struct json_writer *w, size_t most)
{
	json_write_array(w, "tasks");
	for (struct list *n = list_last(&r->task_order); n && most; most--) {
		json_write_object(w, NULL);
		write_members(OWNER(n, struct task, order), w);
		json_write_end(w);
		n = before(r, n);
	}
	json_write_end(w);
}

bool task_details(struct renewals *r, struct str id, struct json_writer *w, struct err *err)
{
	struct task *t = task_find(r, id);
	if (!t)
		return err_set(err, ERR_NOT_FOUND,
		        "There is no task %.*s." ERR_REMEDY
		        "GET /api/tasks lists those that are kept.",
		        STR_ARG(id));
	json_write_object(w, NULL);
	write_details(t, w);
	json_write_end(w);
	return true;
}

static struct task_view view_of(const struct task *t)
{
	return (struct task_view){
		.id = str_c(t->id),
		.about = t->about,
		.name = task_names[t->name],
		.description = descriptions[t->name],
		.state = state_names[t->state],
		.ended = !task_under_way(t),
		.succeeded = t->state == TASK_SUCCESS,
		.queued = t->queued,
		.started = t->started,
		.finished = t->ended,
		.arguments = t->arguments.n ? t->arguments : STR("{}"),
		.error = t->error.code ? &t->error : NULL,
		.ca_text = t->ca_text,
	};
}

bool task_view(struct renewals *r, struct str id, struct task_view *ret_view)
{
	const struct task *t = task_find(r, id);
	if (!t)
		return false;
	*ret_view = view_of(t);
	return true;
}

void task_each(struct renewals *r, struct str about, struct task_view_each *e)
{
	for (struct list *n = list_last(&r->task_order); n; n = before(r, n)) {
		const struct task *t = OWNER(n, struct task, order);
		const struct task_view view = view_of(t);
		if ((!about.n || str_eq(t->about, about)) && !e->task(e, &view))
			return;
	}
}
