#include "base/ip.h"
#include "base/err.h"

#include <arpa/inet.h>

size_t ip_read(struct str text, unsigned char *ret_bytes)
{
	char copy[IP_TEXT];
	if (text.n == 0 || text.n >= sizeof copy || str_has(text, '\0'))
		return 0;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	if (inet_pton(AF_INET, copy, ret_bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, copy, ret_bytes) == 1 ? 16 : 0;
}

bool ip_is(struct str text)
{
	unsigned char bytes[IP_BYTES];
	return ip_read(text, bytes) > 0;
}

bool ip_same(struct str a, struct str b)
{
	unsigned char x[IP_BYTES], y[IP_BYTES];
	const size_t n = ip_read(a, x);
	return n > 0 && n == ip_read(b, y) && memcmp(x, y, n) == 0;
}

const char *ip_text(const unsigned char *bytes, size_t n, char ret_text[IP_TEXT])
{
	CHECK(inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, ret_text, IP_TEXT));
	return ret_text;
}

bool ip_is_near(const unsigned char *b, size_t n)
{
	static const unsigned char loopback[IP_BYTES] = { [IP_BYTES - 1] = 1 };
	if (n != 4)
		return memcmp(b, loopback, IP_BYTES) == 0 || (b[0] & 0xfe) == 0xfc ||
		       (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
	return b[0] == 127 || b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
	       (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254) ||
	       (b[0] == 100 && (b[1] & 0xc0) == 64);
}
