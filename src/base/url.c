#include "base/url.h"

#include "base/ip.h"

enum { NAME_MOST = 253 };

static bool letter_or_digit(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static bool hex_digit(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static bool one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

/* What DNS and hosts files hold, '_' included; RFC 3986's further characters name no host. */
static bool name_fits(struct str host)
{
	for (size_t i = 0; i < host.n; i++)
		if (!letter_or_digit(host.p[i]) && !one_of(host.p[i], "-._"))
			return false;
	return host.n > 0 && host.n <= NAME_MOST;
}

static bool ipv6_fits(struct str host)
{
	unsigned char bytes[IP_BYTES];
	return ip_read(host, bytes) == 16;
}

static bool parse_port(struct str digits, uint16_t *ret_port, struct err *err)
{
	uint64_t port;
	if (!str_to_u64(digits, &port) || port < 1 || port > UINT16_MAX)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is not a port: write a number from 1 to 65535.",
		        STR_ARG(str_head(digits, 40)));
	*ret_port = (uint16_t)port;
	return true;
}

struct authority {
	struct str host, port; /* port: digits; STR_NONE without ':' */
	bool ipv6;
};

static bool split_bracketed(struct str text, struct authority *ret, struct err *err)
{
	const size_t end = str_find(text, ']');
	const struct str host = str_from(str_head(text, end), 1), after = str_from(text, end + 1);
	if (end == text.n || !ipv6_fits(host))
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is not an IPv6 address in brackets, such as [::1].",
		        STR_ARG(str_head(text, 60)));
	if (after.n && after.p[0] != ':')
		return err_set(err, ERR_INPUT,
		        "After \"%.*s]\" only a colon and a port may follow.",
		        STR_ARG(str_head(text, end)));
	*ret = (struct authority){ host, after.n ? str_n(after.p + 1, after.n - 1) : STR_NONE,
		true };
	return true;
}

static bool split_authority(struct str text, struct authority *ret, struct err *err)
{
	if (str_starts(text, STR("[")))
		return split_bracketed(text, ret, err);
	const size_t colon = str_find(text, ':');
	const struct str host = str_head(text, colon);
	if (ipv6_fits(text))
		return err_set(err, ERR_INPUT, "The IPv6 address %.*s needs brackets: [%.*s].",
		        STR_ARG(text), STR_ARG(text));
	if (host.n == 0)
		return err_set(err, ERR_INPUT, "There is no host name or IP address%s.",
		        text.n ? " before the port" : "");
	if (!name_fits(host))
		return err_set(err, ERR_INPUT, "\"%.*s\" is not a host name or IP address.",
		        STR_ARG(str_head(host, 260)));
	const struct str port =
	        colon < text.n ? str_n(text.p + colon + 1, text.n - colon - 1) : STR_NONE;
	*ret = (struct authority){ host, port, false };
	return true;
}

bool url_parse_hostport(struct str text, uint16_t default_port, struct str *ret_host,
        uint16_t *ret_port, struct err *err)
{
	struct authority a;
	uint16_t port = default_port;
	if (!split_authority(text, &a, err))
		return false;
	if (!a.port.p && default_port == 0)
		return err_set(err, ERR_INPUT, "The port is missing: write \"%.*s:PORT\".",
		        STR_ARG(str_head(text, 260)));
	if (a.port.p && !parse_port(a.port, &port, err))
		return false;
	*ret_host = a.host;
	*ret_port = port;
	return true;
}

static bool take_scheme(struct str *rest, bool *ret_https)
{
	const struct str http = STR("http://"), https = STR("https://");
	*ret_https = str_eq_nocase(str_head(*rest, https.n), https);
	if (!*ret_https && !str_eq_nocase(str_head(*rest, http.n), http))
		return false;
	*rest = str_from(*rest, *ret_https ? https.n : http.n);
	return true;
}

static size_t first_of(struct str s, const char *any_of)
{
	size_t i = 0;
	while (i < s.n && !one_of(s.p[i], any_of))
		i++;
	return i;
}

/* RFC 3986 2: these and no others; brackets are let through, as queries often have them. */
static bool characters_fit(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] <= ' ' || s.p[i] > '~' || one_of(s.p[i], "\"<>\\^`{|}"))
			return false;
		if (s.p[i] != '%')
			continue;
		if (s.n - i < 3 || !hex_digit(s.p[i + 1]) || !hex_digit(s.p[i + 2]))
			return false;
	}
	return true;
}

static bool parse_authority(struct str text, struct url *u, struct err *err)
{
	struct authority a;
	if (str_has(text, '@'))
		return err_set(err, ERR_INPUT,
		        "The URL has a user name or password before '@': leave it out.");
	if (!split_authority(text, &a, err))
		return false;
	u->host = a.host;
	u->host_is_ipv6 = a.ipv6;
	u->port = u->https ? 443 : 80;
	/* RFC 3986 3.2.3: a colon without digits means the scheme's own port. */
	return a.port.n == 0 || parse_port(a.port, &u->port, err);
}

bool url_parse(struct str text, struct url *ret_url, struct err *err)
{
	struct url u = { 0 };
	struct str rest = text;
	if (!take_scheme(&rest, &u.https))
		return err_set(err, ERR_INPUT, "The URL does not start with https:// or http://.");
	const size_t end = first_of(rest, "/?#");
	if (!parse_authority(str_head(rest, end), &u, err))
		return false;
	rest = str_from(rest, end);
	rest = str_head(rest, str_find(rest, '#'));
	if (!characters_fit(rest))
		return err_set(err, ERR_INPUT,
		        "The URL has a character that must be written as '%%' and two digits.");
	const size_t question = str_find(rest, '?');
	u.path = str_head(rest, question);
	u.query =
	        question < rest.n ? str_n(rest.p + question + 1, rest.n - question - 1) : STR_NONE;
	*ret_url = u;
	return true;
}

bool url_is_loopback(const struct url *url)
{
	static const unsigned char six[IP_BYTES] = { [IP_BYTES - 1] = 1 };
	unsigned char bytes[IP_BYTES];
	const size_t n = ip_read(url->host, bytes);
	if (n == 0)
		return str_eq_nocase(url->host, STR("localhost"));
	return n == 4 ? bytes[0] == 127 : !memcmp(bytes, six, sizeof six);
}
