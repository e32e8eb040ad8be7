/* An application's address as people write it, in the file, on the page and in commands. */
#include "config/parts.h"

#include "base/ip.h"
#include "base/url.h"
#include "net/address.h"

enum { SOCKET_PATH_MOST = 107, SOCKET_NAME_MOST = 80, PORT_HTTP = 80, PORT_HTTPS = 443 };

#define EXAMPLE "such as 127.0.0.1:3000"

struct scheme {
	enum upstream_scheme scheme;
	struct str prefix;
	uint16_t port; /* if none is written; 0: it has to be */
};
static const struct scheme schemes[] = {
	{ UPSTREAM_HTTP, STR_INIT("http://"), PORT_HTTP },
	{ UPSTREAM_HTTPS, STR_INIT("https://"), PORT_HTTPS },
	{ UPSTREAM_H2C, STR_INIT("h2c://"), PORT_HTTP },
};
static const struct scheme no_scheme = { UPSTREAM_HTTP, STR_INIT(""), 0 };

static const struct scheme *scheme_of(struct str text)
{
	for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
		if (str_eq_nocase(str_head(text, schemes[i].prefix.n), schemes[i].prefix))
			return &schemes[i];
	return &no_scheme;
}

static bool read_socket(
        struct arena *a, struct str text, struct config_upstream *u, struct err *err)
{
	struct str path = str_from(text, 5);
	size_t name = path.n;
	while (name > 0 && path.p[name - 1] != '/')
		name--;
	if (!str_starts(path, STR("/")) || name == path.n || path.n > SOCKET_PATH_MOST ||
	        path.n - name > SOCKET_NAME_MOST || str_has(path, '\0'))
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is not the path of a Unix socket: write unix: and an absolute "
		        "path, such as unix:/run/app/app.sock.",
		        STR_ARG(config_shown(text)));
	*u = (struct config_upstream){ .shown = arena_str(a, text), .scheme = UPSTREAM_UNIX };
	u->host = u->shown;
	return true;
}

/* "300.0.0.1" is a mistyped address, not a name. RFC 3696 2: no top level consists of digits. */
static bool is_name(struct str host)
{
	size_t i = host.n;
	while (i > 0 && host.p[i - 1] >= '0' && host.p[i - 1] <= '9')
		i--;
	bool digits = i < host.n && (i == 0 || host.p[i - 1] == '.');
	return !digits && host.p[0] != '.' && host.p[0] != '-' && !memmem(host.p, host.n, "..", 2);
}

static bool take_host(struct str host, struct config_upstream *u, struct err *err)
{
	if (str_ends(host, STR(".")) && host.n > 1)
		host.n--;
	bool address = ip_is(host);
	if (!address && !is_name(host))
		return err_set(err, ERR_INPUT, "\"%.*s\" is neither an IP address nor a host name.",
		        STR_ARG(config_shown(host)));
	u->server_name = address ? STR_NONE : host;
	u->host = str_eq_nocase(host, STR("localhost")) ? STR("127.0.0.1") : host;
	return true;
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return str_n(p, s.n);
}

bool config_value_upstream(
        struct arena *a, struct str text, struct config_upstream *ret, struct err *err)
{
	struct config_upstream u = { 0 };
	if (!text.n)
		return err_set(
		        err, ERR_INPUT, "Give the application's address and port, " EXAMPLE ".");
	if (str_starts(text, STR("unix:")))
		return read_socket(a, text, ret, err);
	const struct scheme *scheme = scheme_of(text);
	struct str authority = str_from(text, scheme->prefix.n), host;
	size_t slash = str_find(authority, '/');
	if (str_has(str_head(authority, slash), '@')) /* a password is not repeated */
		return err_set(err, ERR_INPUT,
		        "An application's address has no user name and no password: leave out what "
		        "stands before @.");
	if (scheme->prefix.n && slash + 1 == authority.n)
		authority.n--;
	else if (slash < authority.n)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" has a path, but requests are passed on with the path that they "
		        "have: write %.*s.",
		        STR_ARG(config_shown(text)),
		        STR_ARG(str_head(text, scheme->prefix.n + slash)));
	if (!url_parse_hostport(authority, scheme->port, &host, &u.port, err) ||
	        !take_host(host, &u, err))
		return false;
	u.scheme = scheme->scheme;
	u.shown = arena_str(a, text);
	u.host = lower(a, u.host);
	u.server_name = u.server_name.n ? lower(a, u.server_name) : STR_NONE;
	*ret = u;
	return true;
}

bool config_upstream_is_somewhere(const struct config_upstream *u, struct err *err)
{
	struct sockaddr_storage at;
	if (u->scheme == UPSTREAM_UNIX || !address_parse(u->host, u->port, &at) ||
	        !address_is_any(&at))
		return true;
	return err_set(err, ERR_INPUT,
	        "Nobody can connect to %.*s: write %s:%u if the application runs here.",
	        STR_ARG(u->host), str_has(u->host, ':') ? "[::1]" : "127.0.0.1", u->port);
}

bool config_same_upstream(const struct config_upstream *a, const struct config_upstream *b)
{
	return a->scheme == b->scheme && a->port == b->port && str_eq(a->host, b->host);
}
