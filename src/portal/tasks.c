/* /api/tasks: what was done, step by step, in the form of the seed system. */
#include "portal/tasks.h"
#include "portal/events.h"
#include "portal/lists.h"
#include "portal/sites.h"
#include "portal/wish.h"

enum { TAKE = 30, TAKE_MOST = 200 };

/* ---- one task ---- */

static void write_span(struct json_writer *w, const char *key, int64_t ms)
{
	BUF_AUTO text = BUF(64);
	int64_t s = ms / SECOND;
	if (s >= 120)
		buf_printf(&text, "%lld minutes", (long long)(s / 60));
	else
		buf_printf(&text, "%lld second%s", (long long)s, s == 1 ? "" : "s");
	json_write_text(w, key, buf_str(&text));
}

static void write_links(struct json_writer *w, struct str id)
{
	BUF_AUTO self = BUF(128), details = BUF(128);
	buf_printf(&self, "/api/tasks/%.*s", STR_ARG(id));
	buf_printf(&details, "%s/details", buf_c(&self));
	json_write_object(w, "Links");
	json_write_text(w, "Self", buf_str(&self));
	json_write_text(w, "Details", buf_str(&details));
	json_write_end(w);
}

/* The name that a task is for, as people read it; null if that is no IDN. */
static void write_unicode(struct json_writer *w, struct str arguments)
{
	ARENA_AUTO scratch = ARENA_INIT;
	struct err ignored = ERR_INIT;
	JSON_AUTO *given = arguments.n ? json_parse(arguments, "The arguments", &ignored) : NULL;
	const struct str unicode = sites_unicode(&scratch, json_text(given, "DnsName"));
	if (unicode.n)
		json_write_text(w, "Unicode", unicode);
	else
		json_write_null(w, "Unicode");
}

static void write_task(struct json_writer *w, const char *key, const struct task_view *t)
{
	int64_t until = t->finished ? t->finished : loop_wall(portal.loop);
	json_write_object(w, key);
	json_write_text(w, "Id", t->id);
	json_write_c(w, "Name", t->name);
	json_write_c(w, "Description", t->description);
	json_write_c(w, "State", t->state);
	json_write_raw(w, "Arguments", t->arguments.n ? t->arguments : STR("{}"));
	json_write_time(w, "QueueTime", t->queued);
	json_write_time(w, "StartTime", t->started);
	json_write_time(w, "LastUpdatedTime", t->finished ? t->finished : t->started);
	json_write_time(w, "CompletedTime", t->finished);
	write_span(w, "Duration", t->started ? until - t->started : 0);
	json_write_bool(w, "IsCompleted", t->ended);
	json_write_bool(w, "FinishedSuccessfully", t->succeeded);
	json_write_bool(w, "HasBeenPickedUpByProcessor", t->started > 0);
	json_write_bool(w, "HasWarningsOrErrors", t->error != NULL);
	json_write_c(w, "ErrorMessage", t->error ? t->error->text : NULL);
	json_write_text(w, "About", t->about);
	write_unicode(w, t->arguments);
	write_links(w, t->id);
	json_write_end(w);
}

bool task_object(struct json_writer *w, const char *key, struct str id)
{
	struct task_view t;
	if (!task_view(portal_renewals, id, &t))
		return false;
	write_task(w, key, &t);
	return true;
}

/* ---- the log of the seed system, made of our steps ---- */

static const char *log_status(const char *state)
{
	return !strcmp(state, "Queued")      ? "Pending"
	       : !strcmp(state, "Executing") ? "Running"
	                                     : state;
}

static void write_element(
        struct json_writer *w, const char *category, struct str at, struct str text)
{
	json_write_object(w, NULL);
	json_write_c(w, "Category", category);
	json_write_text(w, "OccurredAt", at);
	json_write_text(w, "MessageText", text);
	json_write_end(w);
}

static void write_log(struct json_writer *w, const struct task_view *t, const struct json *steps)
{
	json_write_array(w, "ActivityLogs");
	json_write_object(w, NULL);
	json_write_c(w, "Status", log_status(t->state));
	json_write_c(w, "Name", t->description);
	json_write_time(w, "Started", t->started);
	json_write_time(w, "Ended", t->finished);
	json_write_array(w, "LogElements");
	for (size_t i = 0; i < json_count(steps); i++) {
		const struct json *step = json_at(steps, i);
		bool failed = str_eq_c(json_text(step, "state"), "Failed");
		write_element(w, failed ? "Error" : "Info", json_text(step, "at"),
		        json_text(step, "text"));
	}
	json_write_end(w);
	json_write_array(w, "Children");
	json_write_end(w);
	json_write_end(w);
	json_write_end(w);
}

bool task_members(struct json_writer *w, struct str id)
{
	struct task_view t;
	struct json_writer steps_writer;
	struct err err = ERR_INIT;
	BUF_AUTO text = BUF(8 << 20);
	if (!task_view(portal_renewals, id, &t))
		return false;
	json_write_init(&steps_writer, &text);
	task_write_steps(portal_renewals, id, NULL, &steps_writer);
	JSON_AUTO *steps = json_parse(buf_str(&text), "The steps", &err);
	write_task(w, "Task", &t);
	write_log(w, &t, steps);
	json_write_raw(w, "Steps", steps ? buf_str(&text) : STR("[]"));
	task_write_error(&t, "Error", w);
	return true;
}

static void not_found(struct call *c)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_NOT_FOUND, "There is no task %.*s.", STR_ARG(str_head(c->item, 80)));
	call_fail(c, &err);
}

static void get_task(struct call *c)
{
	struct json_writer w;
	json_write_init(&w, &c->answer);
	if (task_object(&w, NULL, c->item))
		call_answer(c, 200);
	else
		not_found(c);
}

static void get_details(struct call *c)
{
	struct json_writer w;
	call_object(c, &w);
	if (!task_members(&w, c->item)) {
		not_found(c);
		return;
	}
	write_links(&w, c->item);
	json_write_end(&w);
	call_answer(c, 200);
}

/* ---- the list ---- */

static const char *const sorts[] = { "queued", NULL };
#define STATES(X) X("Queued") X("Executing") X("Success") X("Failed") X("Canceled")
static const char *const states[] = {
#define X(text) text,
	STATES(X)
#undef X
};
enum { STATE_COUNT = sizeof states / sizeof *states };

struct task_row {
	struct list_item item;
	struct str id;
};

struct listing_tasks {
	struct task_view_each each;
	struct list_page page;
	bool by_skip;
	size_t skip, take, counts[STATE_COUNT];
};

static bool offer(struct task_view_each *each, const struct task_view *t)
{
	struct listing_tasks *l = OWNER(each, struct listing_tasks, each);
	uint64_t number = 0;
	for (size_t i = 0; i < STATE_COUNT; i++)
		l->counts[i] += !strcmp(t->state, states[i]);
	if ((l->page.state.n && !str_eq_nocase(l->page.state, str_c(t->state))) ||
	        !list_found(&l->page, t->arguments) || !str_to_u64(t->id, &number))
		return true;
	struct task_row *row = arena_new(&l->page.call->arena, struct task_row);
	row->id = arena_str(&l->page.call->arena, t->id);
	row->item.key = (struct list_key){ -(int64_t)number, row->id };
	if (!l->by_skip || (l->page.total >= l->skip && l->page.total - l->skip < l->take))
		list_offer(&l->page, &row->item);
	else
		l->page.total++;
	return true;
}

static bool read_count(
        struct call *c, const char *key, size_t most, size_t *ret, bool *ret_given, struct err *err)
{
	struct str text = call_query(c, key);
	uint64_t n = *ret;
	if (!text.n)
		return true;
	if (!str_to_u64(text, &n) || n > most)
		return err_set(err, ERR_INPUT, "`%s` is a number from 0 to %zu.", key, most);
	*ret = (size_t)n;
	*ret_given = true;
	return true;
}

static void write_list(struct listing_tasks *l, struct json_writer *w)
{
	size_t per_page = l->by_skip ? l->take : l->page.limit;
	size_t pages = per_page ? (l->page.total + per_page - 1) / per_page : 0;
	json_write_c(w, "ItemType", "Task");
	json_write_int(w, "TotalResults", (int64_t)l->page.total);
	json_write_int(w, "ItemsPerPage", (int64_t)per_page);
	json_write_int(w, "NumberOfPages", (int64_t)pages);
	json_write_int(w, "LastPageNumber", pages ? (int64_t)pages - 1 : 0);
	list_settle(&l->page);
	json_write_array(w, "Items");
	for (size_t i = 0; i < l->page.count; i++)
		task_object(w, NULL, OWNER(l->page.rows[i], struct task_row, item)->id);
	json_write_end(w);
	list_write_place(&l->page, w);
	json_write_object(w, "counts");
	for (size_t i = 0; i < STATE_COUNT; i++)
		json_write_int(w, states[i], (int64_t)l->counts[i]);
	json_write_end(w);
	json_write_object(w, "Links");
	json_write_c(w, "Self", "/api/tasks");
	json_write_end(w);
}

static struct str about_id(struct call *c)
{
	struct renew_view v;
	struct str about = call_query(c, "about");
	return about.n && renew_find(portal_renewals, about, &v) ? v.id : about;
}

static void get_tasks(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	struct listing_tasks l = { .each.task = offer, .take = TAKE };
	if (!list_begin(&l.page, c, sorts, &err) ||
	        !read_count(c, "skip", 1 << 30, &l.skip, &l.by_skip, &err) ||
	        !read_count(c, "take", TAKE_MOST, &l.take, &l.by_skip, &err)) {
		call_fail(c, &err);
		return;
	}
	if (l.by_skip)
		l.page.limit = LIST_LIMIT_MOST;
	task_each(portal_renewals, about_id(c), &l.each);
	call_object(c, &w);
	write_list(&l, &w);
	json_write_end(&w);
	call_answer(c, 200);
}

/* ---- followed by the command line ---- */

static void task_event(struct task_reader *t, struct str json)
{
	call_stream_line(OWNER(t, struct call, reader), json);
}

static void task_ended(struct task_reader *t)
{
	call_stream_end(OWNER(t, struct call, reader));
}

static void get_events(struct call *c)
{
	struct err err = ERR_INIT;
	struct str text = call_query(c, "from");
	uint64_t from = 0;
	if (text.n && !str_to_u64(text, &from)) {
		err_set(&err, ERR_INPUT, "`from` is the number of the first event wanted.");
		call_fail(c, &err);
		return;
	}
	c->reader = (struct task_reader){ .event = task_event, .ended = task_ended };
	if (!task_read(portal_renewals, &c->reader, c->item, (size_t)from, &err)) {
		call_fail(c, &err);
		return;
	}
	if (c->who.session || c->who.token)
		events_bound(c);
	call_stream(c);
}

/* ---- a new one ---- */

struct find_newest {
	struct task_view_each each;
	struct call *call;
	struct str id;
};

static bool newest(struct task_view_each *each, const struct task_view *t)
{
	struct find_newest *f = OWNER(each, struct find_newest, each);
	f->id = arena_str(&f->call->arena, t->id);
	return false;
}

static void configured(struct wish *wish, struct str id, struct str task, bool existing)
{
	struct call *c = wish->call;
	struct json_writer w;
	struct err err = ERR_INIT;
	struct find_newest f = { .each.task = newest, .call = c, .id = task };
	(void)existing;
	if (!task.n)
		task_each(portal_renewals, id, &f.each);
	json_write_init(&w, &c->answer);
	if (task_object(&w, NULL, f.id)) {
		call_answer(c, 201);
		return;
	}
	err_set(&err, ERR_CONFLICT,
	        "%.*s is configured already, nothing was ordered: GET "
	        "/api/letsencryptconfiguration "
	        "shows what is there.",
	        STR_ARG(wish->subject));
	call_fail(c, &err);
}

static bool refuse(struct call *c, const char *field, const char *sentence)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_INPUT, "%s", sentence);
	call_fail_field(c, &err, field, STR_NONE);
	return false;
}

static bool read_arguments(struct call *c, struct register_want *want)
{
	const struct json *a = json_object(c->json, "Arguments");
	struct str path = json_text(a, "Path");
	int64_t port = 0;
	if (!a)
		return refuse(c, "Arguments",
		        "The task has no Arguments: give DnsName, "
		        "RegistrationEmailAddress and "
		        "AcceptLetsEncryptTermsOfService.");
	if (path.n && !str_eq_c(path, "/"))
		return refuse(c, "Path", "Everseal serves whole names: Path can only be \"/\".");
	if (json_int(a, "HttpsPort", &port) && (port < 1 || port > UINT16_MAX))
		return refuse(c, "HttpsPort", "A port is a number from 1 to 65535.");
	struct str *name = arena_new(&c->arena, struct str);
	*name = json_text(a, "DnsName");
	want->names = name;
	want->name_count = 1;
	want->email = json_text(a, "RegistrationEmailAddress");
	want->address = json_text(a, "IPAddress");
	want->port = (uint16_t)port;
	json_bool(a, "AcceptLetsEncryptTermsOfService", &want->agree_tos);
	return true;
}

static const char *seed_name(const char *field)
{
	static const char *const names[][2] = {
		{ "names", "DnsName" },
		{ "email", "RegistrationEmailAddress" },
		{ "agree_tos", "AcceptLetsEncryptTermsOfService" },
		{ "address", "IPAddress" },
		{ "port", "HttpsPort" },
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(field, names[i][0]))
			return names[i][1];
	return field;
}

static void post_task(struct call *c)
{
	struct register_want want = { 0 };
	if (!str_eq_c(json_text(c->json, "Name"), "ConfigureLetsEncrypt")) {
		refuse(c, "Name",
		        "Only a task with the Name ConfigureLetsEncrypt can be asked for.");
		return;
	}
	if (!read_arguments(c, &want) || !call_has_address(c, want.address, "IPAddress"))
		return;
	struct wish *wish = wish_new(c, "Let's Encrypt configured", want.names[0]);
	wish->granted = configured;
	wish->primary = true;
	wish->fields = seed_name;
	renew_register(portal_renewals, &wish->request, &want, wish_done);
}

const struct route task_routes[] = {
	{ "GET", "/api/tasks", SCOPE_READ, get_tasks },
	{ "POST", "/api/tasks", SCOPE_OPERATE, post_task },
	{ "GET", "/api/tasks/*", SCOPE_READ, get_task },
	{ "GET", "/api/tasks/*/details", SCOPE_READ, get_details },
	{ "GET", "/api/tasks/*/events", SCOPE_READ, get_events },
	{ 0 },
};
