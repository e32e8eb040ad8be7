/* The site object of the API. */
#include "portal/sites.h"

const char *issuer_title(struct str name)
{
	static const struct {
		const char *name, *title;
	} known[] = {
		{ "letsencrypt", "Let's Encrypt" },
		{ "letsencrypt-staging", "Let's Encrypt (staging)" },
		{ "zerossl", "ZeroSSL" },
		{ "google", "Google Trust Services" },
		{ "buypass", "Buypass" },
		{ "internal", "Everseal's own authority" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_c(name, known[i].name))
			return known[i].title;
	return NULL;
}

static void write_or_null(struct json_writer *w, const char *key, struct str text)
{
	if (text.n)
		json_write_text(w, key, text);
	else
		json_write_null(w, key);
}

static void write_issuer(struct json_writer *w, struct str name)
{
	const char *title = issuer_title(name);
	write_or_null(w, "issuer", name);
	if (title)
		json_write_c(w, "issuer_title", title);
	else
		write_or_null(w, "issuer_title", name);
}

static void write_names(struct json_writer *w, const struct site_entry *e)
{
	const struct config_site *s = &e->site.settings;
	json_write_text(w, "name", site_name_of(&e->site));
	json_write_array(w, "names");
	if (s->fallback)
		json_write_c(w, NULL, "*");
	for (size_t i = 0; i < s->name_count; i++)
		json_write_text(w, NULL, s->names[i]);
	json_write_end(w);
	write_or_null(w, "unicode", e->unicode);
	json_write_bool(w, "fallback", s->fallback);
}

static void write_hsts(struct json_writer *w, const struct hsts *h)
{
	if (!h->set) {
		json_write_null(w, "hsts");
		return;
	}
	json_write_object(w, "hsts");
	json_write_int(w, "max_age", h->max_age);
	json_write_bool(w, "subdomains", h->subdomains);
	json_write_bool(w, "preload", h->preload);
	json_write_end(w);
}

static void write_file(struct json_writer *w, const char *key, const struct config_at *at)
{
	json_write_object(w, key);
	json_write_text(w, "file", portal_host->ops->config(portal_host)->file);
	json_write_int(w, "line", at->line);
	json_write_end(w);
}

/* Who said so: the file, the store, or nobody in particular. */
static void write_source(
        struct json_writer *w, const char *key, const struct config_at *locked, bool stored)
{
	if (locked)
		write_file(w, key, locked);
	else
		json_write_c(w, key, stored ? "store" : NULL);
}

static void write_sources(struct json_writer *w, const struct site_entry *e)
{
	const struct config_site *s = &e->site.settings;
	write_source(w, "source", e->site.in_file ? &s->at : NULL, /* stored= */ true);
	write_source(w, "force_ssl_source", e->site.force_ssl_locked ? &s->force_ssl_at : NULL,
	        e->force_ssl_kept);
	write_source(w, "hsts_source", e->site.hsts_locked ? &s->hsts.at : NULL, e->hsts_kept);
}

static void write_where(struct json_writer *w, const struct site_entry *e)
{
	BUF_AUTO url = BUF(512);
	const struct str name = site_name_of(&e->site);
	if (e->site.listen.host.n) {
		json_write_object(w, "listen");
		json_write_text(w, "address", e->site.listen.host);
		json_write_int(w, "port", e->site.listen.port);
		json_write_end(w);
	} else {
		json_write_null(w, "listen");
	}
	if (!e->site.settings.fallback)
		buf_printf(&url, str_has(name, ':') ? "https://[%.*s]" : "https://%.*s",
		        STR_ARG(name));
	if (url.n && e->url_port != 443)
		buf_printf(&url, ":%u", e->url_port);
	json_write_c(w, "url", url.n ? buf_c(&url) : NULL);
}

static void write_state(
        struct json_writer *w, const struct site_entry *e, bool has, const struct renew_view *v)
{
	json_write_c(w, "state", lamp_name(has ? v->lamp : e->lamp));
	write_or_null(w, "why", has ? v->why : STR_NONE);
}

static void write_certificates(struct json_writer *w, const struct site_entry *e, struct str beside)
{
	if (!e->certificate.n || !renew_write(portal_renewals, e->certificate, "certificate", w))
		json_write_null(w, "certificate");
	if (!beside.n || !renew_write(portal_renewals, beside, "beside", w))
		json_write_null(w, "beside");
}

static void write_states(struct json_writer *w, const struct config_site *s)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str *shown = arena_array(&a, struct str, s->upstream_count);
	for (size_t i = 0; i < s->upstream_count; i++)
		shown[i] = s->upstreams[i].shown;
	if (portal_host->ops->upstreams)
		portal_host->ops->upstreams(
		        portal_host, w, "upstream_states", shown, s->upstream_count);
}

void site_entry_write(struct json_writer *w, const char *key, const struct site_entry *e)
{
	const struct config_site *s = &e->site.settings;
	struct renew_view v;
	bool has = e->certificate.n && renew_find(portal_renewals, e->certificate, &v);
	json_write_object(w, key);
	write_names(w, e);
	write_state(w, e, has, &v);
	json_write_array(w, "upstreams");
	for (size_t i = 0; i < s->upstream_count; i++)
		json_write_text(w, NULL, s->upstreams[i].shown);
	json_write_end(w);
	json_write_array(w, "rules");
	for (size_t i = 0; i < s->shown_rule_count; i++)
		json_write_text(w, NULL, s->shown_rules[i]);
	json_write_end(w);
	write_states(w, s);
	json_write_bool(w, "force_ssl", s->force_ssl);
	write_hsts(w, &s->hsts);
	json_write_time(w, "hsts_promised_until",
	        renew_hsts_until(portal_renewals, s->names, s->name_count));
	write_issuer(w, e->issuer);
	write_where(w, e);
	write_sources(w, e);
	json_write_int(w, "version", e->version);
	write_certificates(w, e, has ? v.beside : STR_NONE);
	json_write_end(w);
}

bool site_write(struct json_writer *w, const char *key, struct str name)
{
	const struct site_entry *e = site_find(name);
	if (e)
		site_entry_write(w, key, e);
	return e;
}

void sites_write_counts(struct json_writer *w, const char *key)
{
	json_write_object(w, key);
	for (enum lamp lamp = 0; lamp < LAMP_COUNT; lamp++)
		json_write_int(w, lamp_name(lamp), (int64_t)sites_count(lamp));
	json_write_end(w);
}
