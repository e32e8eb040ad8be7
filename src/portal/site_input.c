/* What a request says of a site, checked member by member. */
#include "base/url.h"
#include "certs/name.h"
#include "net/address.h"
#include "portal/site_work.h"

static bool refuse(struct call *c, const struct err *err, const char *field, struct str offered)
{
	call_fail_field(c, err, field, offered);
	return false;
}

static bool is_version(struct site_input *in)
{
	int64_t version;
	struct err err = ERR_INIT;
	struct json_writer w;
	if (!in->entry || !json_int(in->call->json, "version", &version) ||
	        version == in->entry->version)
		return true;
	BUF_AUTO details = BUF(1 << 20);
	json_write_init(&w, &details);
	json_write_object(&w, NULL);
	json_write_int(&w, "version", in->entry->version);
	site_entry_write(&w, "current", in->entry);
	json_write_end(&w);
	err_set(&err, ERR_CONFLICT,
	        "%.*s was changed meanwhile: look at what is there now, and decide again.",
	        STR_ARG(site_name_of(&in->entry->site)));
	call_fail_with(in->call, &err, &(struct call_failure){ .details = buf_str(&details) });
	return false;
}

/* ---- texts ---- */

/* A list of texts, or one text. False if it is neither. */
static bool read_texts(struct call *c, const char *key, struct str **ret_at, size_t *ret_count)
{
	struct str one = json_text(c->json, key);
	const struct json *list = json_array(c->json, key);
	size_t count = one.p ? 1 : json_count(list);
	if (!one.p && !list)
		return false;
	*ret_at = arena_array(&c->arena, struct str, count);
	*ret_count = count;
	for (size_t i = 0; i < count; i++)
		(*ret_at)[i] = one.p ? one : json_value_text(json_at(list, i));
	return true;
}

/* For the first of the names that cannot be taken as it was typed. */
static struct str offered_name(struct call *c, const struct str *typed, size_t count)
{
	struct err err = ERR_INIT;
	struct str offered = STR_NONE;
	for (size_t i = 0; i < count; i++) {
		struct name name;
		if (name_read(&c->arena, typed[i], /* public_only= */ false, &name, &err))
			continue;
		return name_offered(&c->arena, typed[i], &offered) ? offered : STR_NONE;
	}
	return STR_NONE;
}

/* The same of the application's addresses. */
static struct str offered_address(struct call *c, const struct str *typed, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct err err = ERR_INIT;
		struct url url;
		struct sockaddr_storage at;
		char text[ADDRESS_TEXT];
		if (url_parse(str_trim(typed[i]), &url, &err) && !url.https &&
		        address_parse(url.host, url.port, &at))
			return arena_str(&c->arena, str_c(address_text_port(&at, text)));
	}
	return STR_NONE;
}

/* ---- names ---- */

static bool same_names(const struct kept_value *v, const struct str *names, size_t count)
{
	bool same = v->name_count == count;
	for (size_t i = 0; same && i < count; i++)
		same = str_eq(v->names[i], names[i]);
	return same;
}

static bool same_upstreams(const struct config_upstream *a, size_t a_count,
        const struct config_upstream *b, size_t b_count)
{
	bool same = a_count == b_count;
	for (size_t i = 0; same && i < a_count; i++)
		same = str_eq(a[i].shown, b[i].shown);
	return same;
}

/* A site that registering alone has made gives its name to one that is added. */
static bool gives_way(const struct site_input *in, const struct site_entry *other)
{
	bool made_by_store =
	        other->site.kept && other->site.kept->value && !other->site.kept->value->overlay;
	return other == in->entry || (!other->site.in_file && !made_by_store);
}

static bool name_is_free(const struct site_input *in, struct str name, struct err *err)
{
	const struct config *config = portal_host->ops->config(portal_host);
	const struct kept *kept = portal_host->ops->kept(portal_host);
	const struct site_entry *other = site_find(name);
	const struct kept_site *own = kept_with_name(kept, name, /* overlay= */ false);
	if (config->page_name.n && str_eq(name, config->page_name))
		return err_set(err, ERR_INPUT,
		        "%.*s is the page's name: a site needs another, since the page shares its "
		        "origin with nobody.",
		        STR_ARG(name));
	if (other && other->site.in_file && other != in->entry)
		return err_set(err, ERR_INPUT,
		        "%.*s has a site already, set in the configuration file, line %u: a name "
		        "belongs to one site.",
		        STR_ARG(name), other->site.settings.at.line);
	if ((other && !gives_way(in, other)) ||
	        (own && (!in->entry || own != in->entry->site.kept)))
		return err_set(err, ERR_INPUT,
		        "%.*s has a site already: change that one, or remove it first.",
		        STR_ARG(name));
	return true;
}

/* A registered site that becomes one of its own keeps the application that it was given. */
static bool keep_application(struct site_input *in, struct err *err)
{
	const struct site_entry *e = in->entry, *fallback = site_find(STR("*"));
	struct kept_value *v = in->value;
	if (!e || !v->overlay || v->upstream_count ||
	        (fallback &&
	                same_upstreams(e->site.settings.upstreams, e->site.settings.upstream_count,
	                        fallback->site.settings.upstreams,
	                        fallback->site.settings.upstream_count)))
		return true;
	size_t count = e->site.settings.upstream_count;
	struct str *shown = arena_array(&in->call->arena, struct str, count);
	for (size_t i = 0; i < count; i++)
		shown[i] = e->site.settings.upstreams[i].shown;
	struct kept_listeners listeners = renew_listeners(portal_renewals, &in->call->arena);
	return kept_read_upstreams(v, shown, count, &listeners, err);
}

/* Names that the site had and is not to have any more. */
static bool may_drop(struct site_input *in, const struct kept_value *before)
{
	struct str *gone = arena_array(&in->call->arena, struct str, before->name_count);
	size_t count = 0;
	for (size_t i = 0; in->entry && i < before->name_count; i++) {
		bool stays = false;
		for (size_t k = 0; !stays && k < in->value->name_count; k++)
			stays = str_eq(before->names[i], in->value->names[k]);
		if (!stays)
			gone[count++] = before->names[i];
	}
	return site_may_drop(in->call, gone, count);
}

static bool read_names(struct site_input *in)
{
	struct kept_value *v = in->value;
	struct err err = ERR_INIT;
	struct str *typed = NULL;
	size_t count = 0;
	bool given = read_texts(in->call, "names", &typed, &count);
	if (!given && in->entry)
		return true;
	struct kept_value before = *v;
	if (in->entry && same_names(v, typed, count))
		return true;
	if (in->entry && in->entry->site.in_file)
		return call_locked(in->call, &in->entry->site.settings.at, "change it there");
	if (!kept_read_names(v, typed, count, &err))
		return refuse(in->call, &err, "names", offered_name(in->call, typed, count));
	for (size_t i = 0; i < v->name_count; i++)
		if (!name_is_free(in, v->names[i], &err))
			return refuse(in->call, &err, "names", STR_NONE);
	if (in->entry && same_names(&before, v->names, v->name_count))
		return true;
	if (!may_drop(in, &before))
		return false;
	if (!keep_application(in, &err))
		return refuse(in->call, &err, "proxy", STR_NONE);
	v->overlay = false;
	in->changes++;
	return true;
}

/* ---- the application ---- */

static bool shown_already(const struct site_input *in, const struct str *typed, size_t count)
{
	const struct config_site *s = &in->entry->site.settings;
	bool same = s->upstream_count == count;
	for (size_t i = 0; same && i < count; i++)
		same = str_eq(s->upstreams[i].shown, typed[i]);
	return same;
}

/* Something has to stand behind it: its own application, or that of `site *`. */
static bool has_application(struct site_input *in)
{
	struct err err = ERR_INIT;
	if (in->value->overlay || in->value->upstream_count || site_find(STR("*")))
		return true;
	err_set(&err, ERR_INPUT,
	        "Nothing stands behind %.*s: give the application's address and port, such as "
	        "127.0.0.1:3000.",
	        STR_ARG(in->value->names[0]));
	return refuse(in->call, &err, "proxy", STR_NONE);
}

static bool read_upstreams(struct site_input *in)
{
	struct kept_value *v = in->value;
	struct err err = ERR_INIT;
	struct str *typed = NULL;
	size_t count = 0;
	if (!read_texts(in->call, "proxy", &typed, &count) ||
	        (in->entry && shown_already(in, typed, count)))
		return true;
	if (in->entry && in->entry->site.in_file)
		return call_locked(in->call, &in->entry->site.settings.at, "change it there");
	struct kept_listeners listeners = renew_listeners(portal_renewals, &in->call->arena);
	struct config_upstream *before = v->upstreams;
	size_t before_count = v->upstream_count;
	if (!kept_read_upstreams(v, typed, count, &listeners, &err))
		return refuse(in->call, &err, "proxy", offered_address(in->call, typed, count));
	in->changes += !same_upstreams(before, before_count, v->upstreams, v->upstream_count);
	return true;
}

/* ---- switches ---- */

static bool read_force_ssl(struct site_input *in)
{
	struct kept_value *v = in->value;
	bool wanted;
	if (!json_bool(in->call->json, "force_ssl", &wanted))
		return true;
	bool is = in->entry ? in->entry->site.settings.force_ssl : v->force_ssl;
	if (in->entry && in->entry->site.force_ssl_locked && wanted != is)
		return call_locked(
		        in->call, &in->entry->site.settings.force_ssl_at, "change it there");
	if (in->entry && wanted == is)
		return true;
	v->force_ssl_set = true;
	v->force_ssl = wanted;
	in->changes++;
	return true;
}

static bool same_hsts(const struct hsts *a, const struct hsts *b)
{
	return a->set == b->set && a->max_age == b->max_age && a->subdomains == b->subdomains &&
	       a->preload == b->preload;
}

/* null or max_age 0 is off. Browsers are told so (max-age=0) if they may have been told of it. */
static struct hsts wanted_hsts(const struct site_input *in, const struct json *o)
{
	struct hsts h = { 0 };
	json_int(o, "max_age", &h.max_age);
	json_bool(o, "subdomains", &h.subdomains);
	json_bool(o, "preload", &h.preload);
	const struct kept_value *v = in->value;
	bool told = renew_hsts_until(portal_renewals, v->names, v->name_count) > 0;
	h.set = h.max_age || told || (in->entry && in->entry->site.settings.hsts.set);
	if (!h.max_age)
		h = (struct hsts){ .set = h.set };
	return h;
}

static bool read_hsts(struct site_input *in)
{
	struct kept_value *v = in->value;
	struct err err = ERR_INIT;
	if (!json_member(in->call->json, "hsts") && !json_member_is_null(in->call->json, "hsts"))
		return true;
	struct hsts wanted = wanted_hsts(in, json_object(in->call->json, "hsts"));
	const struct hsts *is = in->entry ? &in->entry->site.settings.hsts : &v->hsts;
	if (same_hsts(is, &wanted))
		return true;
	if (in->entry && in->entry->site.hsts_locked)
		return call_locked(in->call, &in->entry->site.settings.hsts.at, "change it there");
	if (!kept_check_hsts(&wanted, &err))
		return refuse(in->call, &err, "hsts", STR_NONE);
	v->hsts = wanted;
	in->changes++;
	return true;
}

static const struct call_member site_members[] = {
	{ NULL, "names", MEMBER_TEXTS },
	{ NULL, "proxy", MEMBER_TEXTS },
	{ NULL, "version", MEMBER_NUMBER },
	{ NULL, "force_ssl", MEMBER_BOOL },
	{ NULL, "hsts", MEMBER_OBJECT },
	{ "hsts", "max_age", MEMBER_NUMBER },
	{ "hsts", "subdomains", MEMBER_BOOL },
	{ "hsts", "preload", MEMBER_BOOL },
	{ NULL, "despite_hsts", MEMBER_INSISTENCE },
	{ 0 },
};

bool site_input_read(struct site_input *in)
{
	struct err err = ERR_INIT;
	if (!in->call->json) {
		err_set(&err, ERR_INPUT, "The request has no body: send the site as JSON.");
		call_fail(in->call, &err);
		return false;
	}
	return call_members_fit(in->call, site_members) && is_version(in) && read_names(in) &&
	       read_upstreams(in) && has_application(in) && read_force_ssl(in) && read_hsts(in);
}
