/* /api/certificates and /api/registrations: what renew/ has, and what people wish of it. */
#include "certs/name.h"
#include "portal/lists.h"
#include "portal/wish.h"

/* ---- the list ---- */

static const char *const sorts[] = { "state", "name", "expires", "renews", NULL };
enum sort { SORT_STATE, SORT_NAME, SORT_EXPIRES, SORT_RENEWS };

struct row {
	struct list_item item;
	struct str id;
};

struct listing_certificates {
	struct renew_view_each each;
	struct list_page page;
	bool by_state;
	enum lamp state;
	size_t lamps[LAMP_COUNT];
};

static int64_t number_of(const struct renew_view *v, unsigned sort)
{
	switch (sort) {
	case SORT_STATE:
		return v->lamp;
	case SORT_EXPIRES:
		return v->not_after ? v->not_after : INT64_MAX;
	case SORT_RENEWS:
		return v->next_renewal ? v->next_renewal : INT64_MAX;
	default:
		return 0;
	}
}

static bool matches(const struct listing_certificates *l, const struct renew_view *v)
{
	bool found = false;
	for (size_t i = 0; !found && i < v->name_count; i++)
		found = list_found(&l->page, v->names[i]);
	return found && (!l->by_state || v->lamp == l->state) &&
	       (!l->page.issuer.n || str_eq(v->issuer, l->page.issuer));
}

static void offer(struct renew_view_each *each, const struct renew_view *v)
{
	struct listing_certificates *l = OWNER(each, struct listing_certificates, each);
	l->lamps[v->lamp]++;
	if (!matches(l, v))
		return;
	struct row *row = arena_new(&l->page.call->arena, struct row);
	row->id = v->id;
	row->item.key = (struct list_key){ number_of(v, l->page.sort), v->id };
	list_offer(&l->page, &row->item);
}

static void write_counts(const struct listing_certificates *l, struct json_writer *w)
{
	json_write_object(w, "counts");
	for (enum lamp lamp = 0; lamp < LAMP_COUNT; lamp++)
		json_write_int(w, lamp_name(lamp), (int64_t)l->lamps[lamp]);
	json_write_end(w);
}

static bool read_query(struct listing_certificates *l, struct call *c, struct err *err)
{
	if (!list_begin(&l->page, c, sorts, err))
		return false;
	l->by_state = l->page.state.n;
	return !l->by_state || lamp_from_name(l->page.state, &l->state) ||
	       err_set(err, ERR_INPUT, "There is no state \"%.*s\" that a certificate could have.",
	               STR_ARG(str_head(l->page.state, 40)));
}

static void get_certificates(struct call *c)
{
	struct json_writer w;
	struct err err = ERR_INIT;
	struct listing_certificates l = { .each.view = offer };
	if (!read_query(&l, c, &err)) {
		call_fail(c, &err);
		return;
	}
	renew_each(portal_renewals, &l.each);
	list_items(&l.page, &w);
	for (size_t i = 0; i < l.page.count; i++) {
		struct row *row = OWNER(l.page.rows[i], struct row, item);
		renew_write(portal_renewals, row->id, NULL, &w);
	}
	list_end(&l.page, &w);
	write_counts(&l, &w);
	json_write_end(&w);
	call_answer(c, 200);
}

/* ---- one ---- */

static bool find(struct call *c, struct renew_view *ret)
{
	struct err err = ERR_INIT;
	if (renew_find(portal_renewals, c->item, ret))
		return true;
	err_set(&err, ERR_NOT_FOUND,
	        "There is no certificate for %.*s: `everseal status` lists those that there are.",
	        STR_ARG(str_head(c->item, 260)));
	call_fail(c, &err);
	return false;
}

static void get_certificate(struct call *c)
{
	struct json_writer w;
	struct renew_view v;
	if (!find(c, &v))
		return;
	json_write_init(&w, &c->answer);
	renew_write(portal_renewals, v.id, NULL, &w);
	call_answer(c, 200);
}

/* The key goes to nobody but the machine's owner. */
static bool wants_key(struct call *c, struct err *err)
{
	if (!str_eq_c(call_query(c, "with"), "key"))
		return false;
	if (c->who.scope == SCOPE_OWNER)
		return true;
	return err_set(err, ERR_PERMISSION,
	        "A private key leaves only on the machine itself." ERR_REMEDY
	        "Use `everseal export` there.");
}

static void get_export(struct call *c)
{
	struct err err = ERR_INIT;
	struct renew_view v;
	if (!find(c, &v))
		return;
	const bool key = wants_key(c, &err);
	const struct renew_export_want want = { c->item, call_query(c, "key_type"), key };
	struct str file = arena_printf(&c->arena, "%.*s.pem", STR_ARG(v.names[0]));
	c->answer.secret = c->backlog.secret = key;
	if (err.code || !renew_export(portal_renewals, &want, &c->answer, &err)) {
		call_fail(c, &err);
		return;
	}
	if (key)
		audit_add(c, "Certificate exported with its key", v.names[0], STR_NONE, STR_NONE);
	call_answer_file(c, "application/x-pem-file", file.p);
}

static void post_renew(struct call *c)
{
	struct renew_view v;
	if (!find(c, &v))
		return;
	struct wish *wish = wish_new(c, "Renew now", v.names[0]);
	renew_now(portal_renewals, &wish->request, c->item, wish_done);
}

static void post_disable(struct call *c)
{
	struct renew_view v;
	if (!find(c, &v))
		return;
	struct wish *wish = wish_new(c, "Renewal disabled", v.names[0]);
	renew_disable(
	        portal_renewals, &wish->request, c->item, wish_despite_hsts(c, &v), wish_done);
}

/* Over the page the name is typed; the machine's owner has said it on the command line. */
static bool is_meant(struct call *c, const struct renew_view *v)
{
	struct err err = ERR_INIT;
	struct str typed = str_trim(json_text(c->json, "name"));
	for (size_t i = 0; i < v->name_count; i++)
		if (str_eq_nocase(typed, v->names[i]))
			return true;
	if (c->who.scope == SCOPE_OWNER)
		return true;
	err_set(&err, ERR_INPUT,
	        "Type %.*s to revoke its certificate: visitors' browsers refuse it "
	        "from then on.",
	        STR_ARG(v->names[0]));
	call_fail_field(c, &err, "name", STR_NONE);
	return false;
}

static void post_revoke(struct call *c)
{
	struct renew_view v;
	if (!find(c, &v) || !is_meant(c, &v))
		return;
	struct renew_revoke_want want = { .name = c->item,
		.reason = json_text(c->json, "reason"),
		.despite_hsts = wish_despite_hsts(c, &v) };
	struct wish *wish = wish_new(c, "Revocation asked for", v.names[0]);
	renew_revoke(portal_renewals, &wish->request, &want, wish_done);
}

/* ---- registering ---- */

/* Each name is looked at here first, so that the page can offer what would do. */
static bool names_fit(struct call *c, const struct register_want *want)
{
	for (size_t i = 0; i < want->name_count; i++) {
		struct name name;
		struct err err = ERR_INIT;
		struct str offered = STR_NONE;
		if (name_read(&c->arena, want->names[i], /* public_only= */ false, &name, &err))
			continue;
		call_fail_field(c, &err, "names",
		        name_offered(&c->arena, want->names[i], &offered) ? offered : STR_NONE);
		return false;
	}
	return true;
}

/* "names" (a list of texts, or one text), or "name". */
static bool read_names(struct call *c, struct register_want *want)
{
	struct err err = ERR_INIT;
	struct str one = json_text(c->json, "names");
	const struct json *list = json_array(c->json, "names");
	if (!one.n && !list)
		one = json_text(c->json, "name");
	size_t count = one.n ? 1 : json_count(list);
	if (!count) {
		err_set(&err, ERR_INPUT, "Give at least one DNS name.");
		call_fail_field(c, &err, "names", STR_NONE);
		return false;
	}
	struct str *names = arena_array(&c->arena, struct str, count);
	for (size_t i = 0; i < count; i++)
		names[i] = one.n ? one : json_value_text(json_at(list, i));
	want->names = names;
	want->name_count = count;
	return names_fit(c, want);
}

static bool read_port(struct call *c, struct register_want *want)
{
	struct err err = ERR_INIT;
	int64_t port = 0;
	if (json_int(c->json, "port", &port) && (port < 1 || port > UINT16_MAX)) {
		err_set(&err, ERR_INPUT, "A port is a number from 1 to 65535.");
		call_fail_field(c, &err, "port", STR_NONE);
		return false;
	}
	want->port = (uint16_t)port;
	return true;
}

/* A text, or a list of one: one application. */
static bool read_proxy(struct call *c, struct register_want *want)
{
	struct err err = ERR_INIT;
	const struct json *given = json_member(c->json, "proxy");
	const struct json *list = json_array(c->json, "proxy");
	if (!given || (list && !json_count(list)))
		return true;
	want->proxy = json_value_text(list ? json_at(list, 0) : given);
	if (want->proxy.p && json_count(list) <= 1)
		return true;
	err_set(&err, ERR_INPUT,
	        "The application is one text, its address and port, such as 127.0.0.1:3000.");
	call_fail_field(c, &err, "proxy", STR_NONE);
	return false;
}

static const struct call_member registration_members[] = {
	{ NULL, "names", MEMBER_TEXTS },
	{ NULL, "name", MEMBER_TEXT },
	{ NULL, "email", MEMBER_TEXT },
	{ NULL, "proxy", MEMBER_TEXTS },
	{ NULL, "issuer", MEMBER_TEXT },
	{ NULL, "address", MEMBER_TEXT },
	{ NULL, "key_type", MEMBER_TEXT },
	{ NULL, "profile", MEMBER_TEXT },
	{ NULL, "port", MEMBER_NUMBER },
	{ NULL, "agree_tos", MEMBER_BOOL },
	{ NULL, "primary", MEMBER_BOOL },
	{ NULL, "despite_hsts", MEMBER_INSISTENCE },
	{ 0 },
};

/* The first one is, whether it wants to or not. */
static bool is_primary(struct call *c)
{
	struct renew_view v;
	bool wanted = false;
	json_bool(c->json, "primary", &wanted);
	return wanted || !renew_primary(portal_renewals, &v);
}

static void post_registration(struct call *c)
{
	struct register_want want = {
		.email = json_text(c->json, "email"),
		.issuer = json_text(c->json, "issuer"),
		.address = json_text(c->json, "address"),
		.key_type = json_text(c->json, "key_type"),
		.profile = json_text(c->json, "profile"),
	};
	json_bool(c->json, "agree_tos", &want.agree_tos);
	if (!call_members_fit(c, registration_members) || !read_names(c, &want) ||
	        !read_port(c, &want) || !read_proxy(c, &want) ||
	        !call_has_address(c, want.address, "address"))
		return;
	want.despite_hsts = call_despite_hsts(c, want.names, want.name_count);
	struct wish *wish = wish_new(c, "Registered", want.names[0]);
	wish->primary = is_primary(c);
	renew_register(portal_renewals, &wish->request, &want, wish_done);
}

const struct route certificate_routes[] = {
	{ "GET", "/api/certificates", SCOPE_READ, get_certificates },
	{ "GET", "/api/certificates/*", SCOPE_READ, get_certificate },
	{ "POST", "/api/certificates/*/renew", SCOPE_OPERATE, post_renew },
	{ "POST", "/api/certificates/*/disable", SCOPE_OPERATE, post_disable },
	{ "POST", "/api/certificates/*/revoke", SCOPE_OPERATE, post_revoke },
	{ "GET", "/api/certificates/*/export", SCOPE_READ, get_export },
	{ "POST", "/api/registrations", SCOPE_OPERATE, post_registration },
	{ 0 },
};
