#include "fetcher/fetcher.h"
#include "net/address.h"

/* ACME (RFC 8555 6.1: HTTPS) to any CA, one's own in the same network included; a test CA on this
 * machine may do without TLS. The CA's URLs are taken as they are: no redirects. */
static const char *const acme_methods[] = { "GET", "HEAD", "POST", NULL };
static const char *const ask_methods[] = { "GET", NULL };
static const char *const webhook_methods[] = { "POST", NULL };
static const char *const revocation_methods[] = { "GET", "POST", NULL };

static const struct rule rules[] = {
	{ .purpose = "acme",
	        .http_to_loopback = true,
	        .trust_in = "issuer",
	        .methods = acme_methods },
	/* Named by the file, and wherever it is is its owner's to say. */
	{ .purpose = "webhook",
	        .http_to_loopback = true,
	        .trust_in = "notify",
	        .methods = webhook_methods },
	/* Named by certificates, mostly by http (RFC 5280 8): what comes is signed. */
	{ .purpose = "revocation", .http = true, .methods = revocation_methods },
	/* An application that the file names, spoken to without TLS in its own network, too. */
	{ .purpose = "ask", .http = true, .methods = ask_methods },
	{ .purpose = "mail", .mail = true, .trust_in = "notify" },
	/* Named on the page: as its applications, these are not link-local, where clouds give away
	 * a machine's credentials. */
	{ .purpose = "kept-webhook",
	        .http_to_loopback = true,
	        .no_link_local = true,
	        .methods = webhook_methods },
	{ .purpose = "kept-mail", .mail = true, .no_link_local = true },
};

const struct rule *rule_find(struct str purpose)
{
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (str_eq_c(purpose, rules[i].purpose))
			return &rules[i];
	return NULL;
}

static bool is_in(const char *const *list, struct str word)
{
	for (; *list; list++)
		if (str_eq_c(word, *list))
			return true;
	return false;
}

bool rule_allows(const struct rule *rule, struct str method, const struct url *url, struct err *err)
{
	if (!rule)
		return err_set(err, ERR_INPUT,
		        "The process for outgoing requests knows no rule for this purpose.");
	if (!is_in(rule->methods, method))
		return err_set(err, ERR_INPUT, "The method \"%.*s\" is not allowed for %s.",
		        STR_ARG(str_head(method, 20)), rule->purpose);
	if (!url->https && !rule->http && !(rule->http_to_loopback && url_is_loopback(url)))
		return err_set(err, ERR_INPUT,
		        "%.*s is asked only by https: write https:// in its URL. Plain http is for "
		        "servers on this machine (localhost, 127.0.0.1, [::1]).",
		        STR_ARG(url->host));
	return true;
}

/* ---- diagnosis ---- */

enum { NONCE_LEAST = 16 };

static bool has(struct str text, struct str part)
{
	return part.n && text.n >= part.n && memmem(text.p, text.n, part.p, part.n);
}

static bool is_one_line(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || (unsigned char)s.p[i] >= 127)
			return false;
	return s.n > 0;
}

bool rule_allows_dial(const struct msg_dial *m, struct url *ret_url,
        struct sockaddr_storage *ret_address, struct err *err)
{
	struct str nonce = str_head(m->expected, str_find(m->expected, '.'));
	if (!is_one_line(m->url) || !url_parse(m->url, ret_url, err))
		return err_set(err, ERR_INPUT, "This is not a URL by http or https.");
	if (nonce.n < NONCE_LEAST || !has(m->url, nonce))
		return err_set(err, ERR_INPUT,
		        "%.*s is not asked: diagnosis asks only for its own nonce, which is not in "
		        "that URL.",
		        STR_ARG(ret_url->host));
	if (ret_url->port != (ret_url->https ? m->https_port : m->http_port))
		return err_set(err, ERR_INPUT,
		        "%.*s is not asked on port %u: a certificate authority asks by "
		        "http on port "
		        "%d and by https on port %d only.",
		        STR_ARG(ret_url->host), ret_url->port, (int)m->http_port,
		        (int)m->https_port);
	if (!address_parse(m->address, ret_url->port, ret_address))
		return err_set(err, ERR_INPUT, "\"%.*s\" is not an IP address.",
		        STR_ARG(str_head(m->address, 64)));
	return m->anywhere || address_is_public(ret_address) ||
	       err_set(err, ERR_PERMISSION,
	               "%.*s is not asked: it is not a public address, and %.*s is not a name "
	               "configured here.",
	               STR_ARG(m->address), STR_ARG(ret_url->host));
}
