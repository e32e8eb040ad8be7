/* The seed system's resources about Let's Encrypt, so that its users' scripts work unchanged: the
 * root document, /api/letsencryptconfiguration, and the ping of load balancers. */
#include "portal/sites.h"
#include "portal/wish.h"

static void get_root(struct call *c)
{
	static const char *const links[][2] = {
		{ "Self", "/api" },
		{ "LetsEncryptConfiguration", "/api/letsencryptconfiguration" },
		{ "Tasks", "/api/tasks{/id}{?skip,take}" },
		{ "OctopusServerNodes", "/api/octopusservernodes" },
		{ "Sites", "/api/sites" },
		{ "Certificates", "/api/certificates" },
		{ "Issuers", "/api/issuers" },
		{ "Bindings", "/api/bindings" },
		{ "Events", "/api/events" },
		{ "Audit", "/api/audit" },
		{ "Session", "/api/session" },
		{ "OpenApi", "/api/openapi.json" },
	};
	struct json_writer w;
	call_object(c, &w);
	json_write_c(&w, "Application", "Everseal");
	/* Strangers need not know the version. */
	json_write_c(&w, "Version", c->who.scope >= SCOPE_READ ? EVERSEAL_VERSION : NULL);
	json_write_c(&w, "ApiVersion", "3.0.0");
	json_write_object(&w, "Links");
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		json_write_c(&w, links[i][0], links[i][1]);
	json_write_end(&w);
	json_write_end(&w);
	call_answer(c, 200);
}

static void get_ping(struct call *c)
{
	struct json_writer w;
	char name[256] = "";
	gethostname(name, sizeof name - 1);
	call_object(c, &w);
	json_write_c(&w, "Id", "OctopusServerNodes-1");
	json_write_c(&w, "Name", name);
	json_write_bool(&w, "IsInMaintenanceMode", portal_host->draining);
	json_write_bool(&w, "IsOffline", false);
	json_write_end(&w);
	call_answer(c, portal_host->draining ? 418 : 200);
}

/* ---- the configuration ---- */

/* Where its name is served: what was asked for, else the file's first https line. */
static struct address bound_to(const struct renew_view *v)
{
	const struct config *config = portal_host->ops->config(portal_host);
	const struct site_entry *site = v ? site_find(v->names[0]) : NULL;
	if (site && site->site.listen.host.n)
		return site->site.listen;
	if (config->https_count)
		return config->https[0];
	return (struct address){ .host = STR("0.0.0.0"), .port = 443 };
}

static void write_configuration(struct json_writer *w, const struct renew_view *v)
{
	struct address at = bound_to(v);
	BUF_AUTO thumbprint = BUF(64);
	for (size_t i = 0; v && i < v->thumbprint.n; i++)
		buf_add_char(&thumbprint, v->thumbprint.p[i] >= 'a' && v->thumbprint.p[i] <= 'f'
		                                  ? (char)(v->thumbprint.p[i] - 'a' + 'A')
		                                  : v->thumbprint.p[i]);
	json_write_object(w, NULL);
	json_write_c(w, "Id", "letsencrypt-configuration");
	json_write_bool(w, "Enabled", v && v->renewed);
	json_write_text(w, "DnsName", v ? v->names[0] : STR(""));
	json_write_text(w, "RegistrationEmailAddress", v ? v->email : STR(""));
	json_write_bool(w, "AcceptLetsEncryptTermsOfService", v);
	json_write_int(w, "HttpsPort", at.port);
	json_write_text(w, "IPAddress", at.host);
	json_write_c(w, "Path", "/");
	json_write_c(w, "CertificateThumbprint", thumbprint.n ? buf_c(&thumbprint) : NULL);
	json_write_time(w, "CertificateExpiryDate", v ? v->not_after : 0);
	json_write_time(w, "LastModifiedOn", v ? v->created : 0);
	json_write_object(w, "Links");
	json_write_c(w, "Self", "/api/letsencryptconfiguration");
	json_write_end(w);
	json_write_end(w);
}

static void answer_configuration(struct call *c)
{
	struct renew_view v;
	struct json_writer w;
	json_write_init(&w, &c->answer);
	write_configuration(&w, renew_primary(portal_renewals, &v) ? &v : NULL);
	call_answer(c, 200);
}

static void disabled(struct wish *w, struct str id, struct str task, bool existing)
{
	(void)id;
	(void)task;
	(void)existing;
	answer_configuration(w->call);
}

static void refuse(struct call *c, enum err_code code, const char *sentence)
{
	struct err err = ERR_INIT;
	err_set(&err, code, "%s", sentence);
	if (code == ERR_INPUT)
		call_fail_field(c, &err, "Enabled", STR_NONE);
	else
		call_fail(c, &err);
}

static void put_configuration(struct call *c)
{
	struct renew_view v;
	bool wanted;
	if (!json_bool(c->json, "Enabled", &wanted)) {
		refuse(c, ERR_INPUT,
		        "Say {\"Enabled\": false} to stop the renewal; everything else "
		        "is set by configuring again.");
		return;
	}
	bool has = renew_primary(portal_renewals, &v), is = has && v.renewed;
	if (wanted == is) {
		answer_configuration(c);
		return;
	}
	if (wanted) {
		refuse(c, ERR_CONFLICT,
		        has ? "Let's Encrypt is disabled and is not enabled by this switch: "
		              "configure "
		              "it again, on the page or by a task ConfigureLetsEncrypt."
		            : "Let's Encrypt is not configured yet: configure it, on the page or "
		              "by a "
		              "task ConfigureLetsEncrypt.");
		return;
	}
	struct wish *wish = wish_new(c, "Let's Encrypt disabled", v.names[0]);
	wish->granted = disabled;
	renew_disable(portal_renewals, &wish->request, v.id, wish_despite_hsts(c, &v), wish_done);
}

const struct route letsencrypt_routes[] = {
	{ "GET", "/api", SCOPE_NONE, get_root },
	{ "GET", "/api/letsencryptconfiguration", SCOPE_READ, answer_configuration },
	{ "PUT", "/api/letsencryptconfiguration", SCOPE_OPERATE, put_configuration },
	{ "GET", "/api/octopusservernodes/ping", SCOPE_NONE, get_ping },
	{ 0 },
};
