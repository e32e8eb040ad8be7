/* The state of things, registrations, certificates and tasks. */
#include "portal/call.h"

static void get_status(struct call *c)
{
	struct json_writer w;
	call_object(c, &w);
	portal_host->ops->status(portal_host, &w);
	renew_status(portal_renewals, &w);
	json_write_end(&w);
	call_answer(c, 200);
}

static void get_certificate(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	json_write_init(&w, &c->answer);
	if (renew_status_of(portal_renewals, c->item, &w, &err))
		call_answer(c, 200);
	else
		call_fail(c, &err);
}

/* What a request to renew/ came to: the id, and the task to follow. */
static void requested(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct call *c = OWNER(q, struct call, request);
	if (err) {
		call_fail(c, err);
		return;
	}
	struct json_writer w;
	call_object(c, &w);
	json_write_text(&w, "id", id);
	if (task.n)
		json_write_text(&w, "task", task);
	else
		json_write_null(&w, "task");
	json_write_bool(&w, "existing", existing);
	json_write_end(&w);
	call_answer(c, existing || !task.n ? 200 : 201);
}

/* Reads "names" (a list of texts, or one text). */
static bool read_names(struct call *c, struct register_want *want, struct err *err)
{
	struct str one = json_text(c->json, "names");
	const struct json *list = json_array(c->json, "names");
	size_t count = one.n ? 1 : json_count(list);
	if (!count)
		return err_set(err, ERR_INPUT, "Give at least one DNS name.");
	struct str *names = arena_array(&c->arena, struct str, count);
	for (size_t i = 0; i < count; i++)
		names[i] = one.n ? one : json_value_text(json_at(list, i));
	want->names = names;
	want->name_count = count;
	return true;
}

static void post_registration(struct call *c)
{
	struct err err = ERR_INIT;
	struct register_want want = {
		.email = json_text(c->json, "email"),
		.proxy = json_text(c->json, "proxy"),
		.issuer = json_text(c->json, "issuer"),
		.address = json_text(c->json, "address"),
		.key_type = json_text(c->json, "key_type"),
		.profile = json_text(c->json, "profile"),
	};
	int64_t port = 0;
	json_bool(c->json, "agree_tos", &want.agree_tos);
	if (json_int(c->json, "port", &port) && (port < 1 || port > 65535))
		err_set(&err, ERR_INPUT, "A port is a number from 1 to 65535.");
	want.port = (uint16_t)port;
	if (!err.code && read_names(c, &want, &err))
		renew_register(portal_renewals, &c->request, &want, requested);
	else
		call_fail(c, &err);
}

static void post_renew(struct call *c)
{
	renew_now(portal_renewals, &c->request, c->item, requested);
}

static void post_disable(struct call *c)
{
	bool despite = false;
	json_bool(c->json, "despite_hsts", &despite);
	renew_disable(portal_renewals, &c->request, c->item, despite, requested);
}

static void get_tasks(struct call *c)
{
	struct json_writer w;
	call_object(c, &w);
	task_list(portal_renewals, &w, 100);
	json_write_end(&w);
	call_answer(c, 200);
}

static void get_task_details(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	json_write_init(&w, &c->answer);
	if (task_details(portal_renewals, c->item, &w, &err))
		call_answer(c, 200);
	else
		call_fail(c, &err);
}

static void task_event(struct task_reader *t, struct str json)
{
	call_stream_line(OWNER(t, struct call, reader), json);
}

static void task_ended(struct task_reader *t)
{
	call_stream_end(OWNER(t, struct call, reader));
}

static void get_task_events(struct call *c)
{
	struct err err = ERR_INIT;
	struct str query = str_from(c->ex->request.path, str_find(c->ex->request.path, '?'));
	uint64_t from = 0;
	if (str_starts(query, STR("?from=")) && !str_to_u64(str_from(query, 6), &from)) {
		err_set(&err, ERR_INPUT, "`from` is the number of the first event wanted.");
		call_fail(c, &err);
		return;
	}
	c->reader = (struct task_reader){ .event = task_event, .ended = task_ended };
	if (!task_read(portal_renewals, &c->reader, c->item, (size_t)from, &err))
		call_fail(c, &err);
	else
		call_stream(c);
}

static void reloaded(struct portal_reload *r, const struct err *err)
{
	struct call *c = OWNER(r, struct call, reload);
	if (err) {
		call_fail(c, err);
		return;
	}
	call_done(c);
}

static void post_reload(struct call *c)
{
	c->reload.done = reloaded;
	portal_host->ops->reload(portal_host, &c->reload);
}

const struct route state_routes[] = {
	{ "GET", "/api/status", SCOPE_READ, get_status },
	{ "POST", "/api/registrations", SCOPE_OPERATE, post_registration },
	{ "GET", "/api/certificates/*", SCOPE_READ, get_certificate },
	{ "POST", "/api/certificates/*/renew", SCOPE_OPERATE, post_renew },
	{ "POST", "/api/certificates/*/disable", SCOPE_OPERATE, post_disable },
	{ "GET", "/api/tasks", SCOPE_READ, get_tasks },
	{ "GET", "/api/tasks/*/details", SCOPE_READ, get_task_details },
	{ "GET", "/api/tasks/*/events", SCOPE_READ, get_task_events },
	{ "POST", "/api/reload", SCOPE_ADMINISTER, post_reload },
	{ 0 },
};
