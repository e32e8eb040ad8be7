#include "portal/wish.h"
#include "certs/name.h"
#include "net/address.h"

enum { TYPED_MOST = 100 }; /* names, as many as a certificate has */

static struct list wishes = { &wishes, &wishes };

static void wish_free(struct wish *w)
{
	renew_request_abort(&w->request);
	list_remove(&w->node);
	arena_done(&w->arena);
	free(w);
}

static void let_go(struct call_part *p)
{
	struct wish *w = OWNER(p, struct wish, part);
	w->call = NULL;
	if (w->ended)
		wish_free(w);
}

struct wish *wish_new(struct call *c, const char *what, struct str subject)
{
	struct wish *w = mem_new(struct wish);
	w->call = c;
	w->author = audit_author(c, &w->arena);
	w->what = what;
	w->subject = arena_str(&w->arena, subject);
	call_keep(c, &w->part, let_go);
	list_add_last(&wishes, &w->node);
	return w;
}

void wishes_close(void)
{
	LIST_EACH (n, &wishes) {
		struct wish *w = OWNER(n, struct wish, node);
		audit_add_by(&w->author, w->what, w->subject, STR_NONE,
		        STR("not known, Everseal ended first"));
		wish_free(w);
	}
}

static void answer(struct call *c, struct str id, struct str task, bool existing)
{
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

/* While browsers remember HSTS the page asks for the name to be typed, and says until when. */
static void refuse(struct wish *w, const struct err *err)
{
	struct renew_view v;
	struct json_writer json;
	BUF_AUTO details = BUF(1024);
	int64_t until = w->request.hsts_until;
	if (w->request.field) {
		call_fail_field(w->call, err,
		        w->fields ? w->fields(w->request.field) : w->request.field, STR_NONE);
		return;
	}
	if (!until && err->code == ERR_CONFLICT && strstr(err->text, "HTTPS") &&
	        renew_find(portal_renewals, w->subject, &v))
		until = renew_hsts_until(portal_renewals, v.names, v.name_count);
	if (!until) {
		call_fail(w->call, err);
		return;
	}
	json_write_init(&json, &details);
	json_write_object(&json, NULL);
	json_write_time(&json, "hsts_until", until);
	json_write_end(&json);
	call_fail_with(w->call, err,
	        &(struct call_failure){
	                .status = 403, .code = "hsts", .details = buf_str(&details) });
}

static void note(const struct wish *w, bool existing)
{
	const struct renew_request *q = &w->request;
	if (!existing)
		audit_add_by(&w->author, w->what, w->subject, STR_NONE,
		        q->after[0] ? str_c(q->after) : STR_NONE);
	else if (q->before[0] && strcmp(q->before, q->after) != 0)
		audit_add_by(&w->author, "Registration changed", w->subject, str_c(q->before),
		        str_c(q->after));
}

static void grant(struct wish *w, struct str id, struct str task, bool existing)
{
	note(w, existing);
	if (w->primary)
		renew_set_primary(portal_renewals, id);
	if (w->call && w->granted)
		w->granted(w, id, task, existing);
	else if (w->call)
		answer(w->call, id, task, existing);
}

void wish_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct wish *w = OWNER(q, struct wish, request);
	bool listened_to = w->call;
	w->ended = listened_to; /* then it goes with the call */
	if (!err)
		grant(w, id, task, existing);
	else if (listened_to)
		refuse(w, err);
	if (!listened_to)
		wish_free(w);
}

bool call_has_address(struct call *c, struct str address, const char *field)
{
	struct err err = ERR_INIT;
	struct sockaddr_storage at;
	struct local_addresses ours = { 0 };
	struct str host = str_trim(address);
	if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
		host = str_n(host.p + 1, host.n - 2);
	bool has = !address_parse(host, 443, &at) || address_is_any(&at) ||
	           address_is_ours(&ours, &at, /* mono= */ 1);
	local_addresses_done(&ours);
	if (has)
		return true;
	err_set(&err, ERR_INPUT,
	        "This machine does not have the address %.*s." ERR_REMEDY
	        "Choose one that it has, or 0.0.0.0 for all.",
	        STR_ARG(host));
	call_fail_field(c, &err, field, STR_NONE);
	return false;
}

static bool is_name(struct call *c, struct str typed, struct str name)
{
	struct name read;
	struct err err = ERR_INIT;
	return str_eq_nocase(typed, name) ||
	       (name_read(&c->arena, typed, /* public_only= */ false, &read, &err) &&
	               str_eq(read.ascii, name));
}

static bool is_typed(struct call *c, struct str name)
{
	struct str rest = json_text(c->json, "despite_hsts"), word;
	int left = TYPED_MOST;
	while (left > 0 && str_split(&rest, ' ', &word))
		if (word.n && left-- > 0 && is_name(c, word, name))
			return true;
	return false;
}

bool call_despite_hsts(struct call *c, const struct str *names, size_t count)
{
	bool despite = false;
	json_bool(c->json, "despite_hsts", &despite);
	for (size_t i = 0; !despite && i < count; i++)
		despite = is_typed(c, names[i]);
	return despite;
}

bool wish_despite_hsts(struct call *c, const struct renew_view *v)
{
	return call_despite_hsts(c, v->names, v->name_count);
}
