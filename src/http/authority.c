#include "http/authority.h"

#include "base/ip.h"

enum { HOST_MOST = 255 };

static bool is_name_byte(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
	       c == '_' || c == '~';
}

static bool is_ipv6(struct str s)
{
	unsigned char bytes[IP_BYTES];
	return ip_read(s, bytes) == 16;
}

/* What stands behind the host: nothing, ":" or ":" port. */
static bool read_port(struct str rest, uint16_t *ret_port)
{
	*ret_port = 0;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ':' || rest.n > 6)
		return false;
	unsigned port = 0;
	for (size_t i = 1; i < rest.n; i++) {
		unsigned digit = (unsigned)(unsigned char)rest.p[i] - '0';
		if (digit > 9 || (i == 1 && digit == 0))
			return false;
		port = port * 10 + digit;
	}
	*ret_port = (uint16_t)port;
	return port <= UINT16_MAX;
}

bool authority_read(char *p, size_t n, struct authority *ret_authority)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] | 0x20);
	struct authority a = { .text = { p, n } };
	size_t end = 0;
	if (n > 0 && p[0] == '[') {
		end = str_find(a.text, ']');
		if (end == n)
			return false;
		a.host = (struct str){ p + 1, end - 1 };
		end++;
		if (!is_ipv6(a.host))
			return false;
	} else {
		while (end < n && is_name_byte((unsigned char)p[end]))
			end++;
		a.host = (struct str){ p, end };
		if (end == 0 || end > HOST_MOST)
			return false;
		/* "example.com." is the same name (RFC 1034 3.1): sites know it without the dot. */
		if (end > 1 && p[end - 1] == '.')
			a.host.n--;
	}
	if (!read_port(str_from(a.text, end), &a.port))
		return false;
	if (a.port == 0)
		a.text.n = end;
	*ret_authority = a;
	return true;
}

struct str authority_site(const struct authority *authority, struct arena *a)
{
	unsigned char bytes[IP_BYTES];
	char text[IP_TEXT];
	if (!str_has(authority->host, ':') || ip_read(authority->host, bytes) != 16)
		return authority->host;
	const struct str written = str_c(ip_text(bytes, 16, text));
	return str_eq(written, authority->host) ? authority->host : arena_str(a, written);
}
