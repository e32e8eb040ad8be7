/* A URL taken apart (RFC 3986, only http and https, no userinfo). Parts are borrowed from the text.
 * Also the parsing of "ADDRESS:PORT", shared by file, commands and page. */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/err.h"

struct url {
	bool https;
	struct str host;   /* without brackets */
	bool host_is_ipv6; /* was in brackets */
	uint16_t port;     /* 80 or 443 if not given */
	struct str path;   /* starts with '/', or is empty */
	struct str query;  /* without '?'; STR_NONE if absent */
};

/* A fragment is dropped: it is never sent (RFC 9110 4.2.5). No sentence repeats the URL, which may
 * hold a secret; the caller says where it stood. */
MUST_CHECK bool url_parse(struct str text, struct url *ret_url, struct err *err);

bool url_is_loopback(const struct url *url); /* by its name or address */

/* "127.0.0.1:80", "[::1]:80", "localhost:3000", with default_port != 0 also without a port. The
 * host comes without brackets: only an IPv6 address has a ':' in it. Port 0 is refused. */
MUST_CHECK bool url_parse_hostport(struct str text, uint16_t default_port, struct str *ret_host,
        uint16_t *ret_port, struct err *err);

#endif
