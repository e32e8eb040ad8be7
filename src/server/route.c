#include "server/route.h"
#include "server/auth.h"
#include "server/challenge.h"
#include "server/forward_auth.h"
#include "server/rules.h"
#include "server/shed.h"
#include "server/visitor.h"
#include "server/worker.h"

static bool has_own_certificate(const struct exchange *ex)
{
	struct cert_record r;
	return ex->worker->certs && cert_table_find(ex->worker->certs, ex->request.host, &r) &&
	       (r.flags & CERT_TEMPORARY) == 0;
}

/* In one hop to where the site's https URL is; the query stays. */
static void redirect_to_https(struct exchange *ex)
{
	struct str host = ex->request.host, path = ex->request.path;
	bool six = str_has(host, ':');
	struct str port = STR("");
	if (ex->site->url_port != 443 && ex->site->url_port != 0)
		port = ARENA_JOIN(ex->arena, STR(":"), arena_u64(ex->arena, ex->site->url_port));
	if (!str_starts(path, STR("/"))) /* OPTIONS * */
		path = STR("/");
	exchange_redirect(ex, ARENA_JOIN(ex->arena, six ? STR("https://[") : STR("https://"), host,
	                              six ? STR("]") : STR(""), port, path));
}

/* An application is redirected to only where browsers trust the certificate. The page knows no
 * plain HTTP but on a loopback address, whatever its certificate is. */
static bool redirected(struct exchange *ex)
{
	bool page = ex->site->kind == SITE_CONTROL;
	if (ex->tls || !ex->site->force_ssl)
		return false;
	if (!page && (str_eq(ex->proto, STR("https")) || !has_own_certificate(ex)))
		return false;
	redirect_to_https(ex);
	return true;
}

static void answer_unknown(struct exchange *ex)
{
	const struct site *fallback = ex->generation->fallback;
	struct str host = ex->request.host, sentence;
	if (fallback && fallback->kind == SITE_CONTROL)
		sentence = arena_printf(ex->arena,
		        "This page is not named %.*s: open it by its IP address or as localhost, "
		        "or give it that name in the configuration, behind the address in the "
		        "line `page`.",
		        STR_ARG(host));
	else
		sentence = arena_printf(
		        ex->arena, "No site named %.*s is served here.", STR_ARG(host));
	exchange_answer(ex, 421, sentence.p);
}

/* Nothing is in the way any more. */
static void serve(struct exchange *ex)
{
	enum site_kind kind = ex->site->kind;
	if (ex->route) {
		kind = ex->route->action->kind;
		ex->site = ex->route->action->to;
		rules_change(&ex->route->request, ex->arena, &ex->request.headers);
	}
	const struct handler *handler = ex->worker->handlers[kind];
	if (handler)
		handler->start(ex);
	else
		exchange_answer(ex, 404, "No application stands behind this name.");
}

static void ask_application(struct exchange *ex)
{
	if (ex->route && ex->route->forward)
		forward_auth_start(ex, serve);
	else
		serve(ex);
}

static bool same_rules(const struct exchange *ex)
{
	static const struct secured usual;
	const struct secured *has = ex->secured ? ex->secured : &usual;
	return memcmp(has->identity, ex->site->tls.identity, sizeof has->identity) == 0;
}

/* RFC 9110 7.4, 15.5.20: what was agreed on with one site is no word for another that asks for
 * other certificates of clients, or another policy. Over plain HTTP nobody has shown any. */
static bool misdirected(struct exchange *ex)
{
	if (!ex->tls && ex->site->tls.client_ca.n > 0) {
		redirect_to_https(ex);
		return true;
	}
	if (!ex->tls || same_rules(ex))
		return false;
	exchange_answer(ex, 421,
	        "This connection was made for another site, which has other rules for TLS or for "
	        "certificates of clients: open a new one for this name.");
	return true;
}

void exchange_route(struct exchange *ex)
{
	ex->started = loop_mono(ex->worker->loop);
	bool known = visitor_find(ex);
	ex->site = ex->asked = generation_site(ex->generation, ex->request.host);
	counters_begin(ex);
	if (!known) {
		exchange_answer(ex, 400, "The header field Forwarded is malformed.");
		return;
	}
	if (challenge_answered(ex) || shed(ex))
		return;
	if (!ex->site) {
		answer_unknown(ex);
		return;
	}
	if (misdirected(ex))
		return;
	if (redirected(ex) || !route_choose(ex))
		return;
	if (ex->route && !rules_admit(ex))
		return;
	if (ex->route && ex->route->users.n)
		auth_start(ex, ask_application);
	else
		ask_application(ex);
}
