#include "fetcher/fetcher.h"
#include <arpa/inet.h>

/* ACME (RFC 8555 6.1: HTTPS) to any CA, one's own in the same network included; a test CA on this
 * machine may do without TLS. The CA's URLs are taken as they are: no redirects. */
static const char *const acme_methods[] = { "GET", "HEAD", "POST", NULL };

static const struct rule rules[] = {
	{ .purpose = "acme",
	        .http_to_loopback = true,
	        .own_issuer = true,
	        .methods = acme_methods },
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

bool url_is_loopback(const struct url *url)
{
	char text[INET6_ADDRSTRLEN + 1];
	struct in_addr in;
	struct in6_addr in6;
	snprintf(text, sizeof text, "%.*s", STR_ARG(url->host));
	if (inet_pton(AF_INET, text, &in) == 1)
		return ntohl(in.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &in6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&in6);
	return str_eq_nocase(url->host, STR("localhost"));
}

bool rule_allows(const struct rule *rule, struct str method, const struct url *url, struct err *err)
{
	if (!rule)
		return err_set(err, ERR_INPUT,
		        "The process for outgoing requests knows no rule for this purpose.");
	if (!is_in(rule->methods, method))
		return err_set(err, ERR_INPUT, "The method \"%.*s\" is not allowed for %s.",
		        STR_ARG(str_head(method, 20)), rule->purpose);
	if (!url->https && !(rule->http_to_loopback && url_is_loopback(url)))
		return err_set(err, ERR_INPUT,
		        "%.*s is asked only by https: write https:// in its URL. Plain http is for "
		        "servers on this machine (localhost, 127.0.0.1, [::1]).",
		        STR_ARG(url->host));
	return true;
}
