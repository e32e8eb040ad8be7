#include "net/proxy_protocol.h"
#include <arpa/inet.h>

#define SIGNATURE STR("\r\n\r\n\0\r\nQUIT\n")

enum {
	V1_MOST = 107,    /* with its CRLF */
	V2_FIXED = 16,    /* signature, version and command, family, length */
	V2_VERSION = 0x2, /* the upper half of its byte */
	FOUR = 12,        /* bytes of addresses and ports */
	SIX = 36,
	UNIX = 216,
};

/* ---- version 1: a line of text ---- */

/* Digits without a leading zero. */
static bool read_port(struct str text, uint16_t *ret_port)
{
	uint64_t port;
	if (text.n > 5 || !str_to_u64(text, &port) || port > UINT16_MAX ||
	        (text.n > 1 && text.p[0] == '0'))
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

static bool read_address(
        struct str host, struct str port, bool six, struct sockaddr_storage *ret_address)
{
	uint16_t number;
	return read_port(port, &number) && str_has(host, ':') == six &&
	       address_parse(host, number, ret_address);
}

/* line: without "PROXY " and CRLF. */
static bool read_line(struct str line, struct proxy_preface *p)
{
	struct str words[5], rest = line;
	size_t count = 0;
	if (str_eq(line, STR("UNKNOWN")) || str_starts(line, STR("UNKNOWN ")))
		return true;
	while (count < 5 && str_split(&rest, ' ', &words[count]))
		count++;
	bool six = str_eq(words[0], STR("TCP6"));
	if (count < 5 || rest.p || (!six && !str_eq(words[0], STR("TCP4"))))
		return false;
	p->told = true;
	return read_address(words[1], words[3], six, &p->from) &&
	       read_address(words[2], words[4], six, &p->to);
}

static enum proxy_protocol read_v1(struct str in, struct proxy_preface *p)
{
	const struct str begin = STR("PROXY ");
	struct str text = str_head(in, V1_MOST);
	size_t end = str_find(text, '\r');
	if (!str_starts(begin, str_head(in, begin.n)))
		return PROXY_PROTOCOL_BAD;
	if (end + 1 >= text.n)
		return in.n < V1_MOST ? PROXY_PROTOCOL_MORE : PROXY_PROTOCOL_BAD;
	if (end < begin.n || text.p[end + 1] != '\n')
		return PROXY_PROTOCOL_BAD;
	p->size = end + 2;
	return read_line(str_from(str_head(text, end), begin.n), p) ? PROXY_PROTOCOL_DONE
	                                                            : PROXY_PROTOCOL_BAD;
}

/* ---- version 2: binary ---- */

static unsigned byte_at(struct str s, size_t i)
{
	return (unsigned char)s.p[i];
}

static void take_four(struct sockaddr_storage *ret, const char *host, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	memcpy(&a.sin_addr, host, 4);
	memcpy(&a.sin_port, port, 2);
	*ret = (struct sockaddr_storage){ 0 };
	memcpy(ret, &a, sizeof a);
}

static void take_six(struct sockaddr_storage *ret, const char *host, const char *port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	memcpy(&a.sin6_addr, host, 16);
	memcpy(&a.sin6_port, port, 2);
	*ret = (struct sockaddr_storage){ 0 };
	memcpy(ret, &a, sizeof a);
}

/* TCP over IPv4 or IPv6, or what the balancer cannot name. UDP comes over no stream. */
static bool read_addresses(unsigned family, struct str part, struct proxy_preface *p)
{
	const char *at = part.p;
	switch (family) {
	case 0x11:
		if (part.n < FOUR)
			return false;
		take_four(&p->from, at, at + 8);
		take_four(&p->to, at + 4, at + 10);
		p->told = true;
		return true;
	case 0x21:
		if (part.n < SIX)
			return false;
		take_six(&p->from, at, at + 32);
		take_six(&p->to, at + 16, at + 34);
		p->told = true;
		return true;
	case 0x31:
		return part.n >= UNIX;
	default:
		return family == 0;
	}
}

static enum proxy_protocol read_v2(struct str in, struct proxy_preface *p)
{
	enum { LOCAL = 0, PROXY = 1 };
	if (in.n < V2_FIXED)
		return PROXY_PROTOCOL_MORE;
	unsigned command = byte_at(in, 12) & 0xf;
	size_t length = byte_at(in, 14) << 8 | byte_at(in, 15);
	if (byte_at(in, 12) >> 4 != V2_VERSION || command > PROXY ||
	        length > PROXY_PROTOCOL_MOST - V2_FIXED)
		return PROXY_PROTOCOL_BAD;
	p->size = V2_FIXED + length;
	if (in.n < p->size)
		return PROXY_PROTOCOL_MORE;
	if (command == LOCAL)
		return PROXY_PROTOCOL_DONE;
	struct str part = str_n(in.p + V2_FIXED, length);
	return read_addresses(byte_at(in, 13), part, p) ? PROXY_PROTOCOL_DONE : PROXY_PROTOCOL_BAD;
}

enum proxy_protocol proxy_protocol_read(struct str in, struct proxy_preface *ret_preface)
{
	struct proxy_preface p = { 0 };
	if (in.n == 0)
		return PROXY_PROTOCOL_MORE;
	bool second = str_starts(SIGNATURE, str_head(in, SIGNATURE.n));
	enum proxy_protocol result = second ? read_v2(in, &p) : read_v1(in, &p);
	if (result == PROXY_PROTOCOL_DONE)
		*ret_preface = p;
	return result;
}

/* ---- writing ---- */

/* IPv4 within IPv6 (RFC 4291 2.5.5.2). */
static void as_six(const struct sockaddr_storage *a, unsigned char ret_bytes[16])
{
	if (a->ss_family == AF_INET6) {
		memcpy(ret_bytes, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
		return;
	}
	memset(ret_bytes, 0, 10);
	memset(ret_bytes + 10, 0xff, 2);
	memcpy(ret_bytes + 12, &((const struct sockaddr_in *)a)->sin_addr, 4);
}

static bool is_internet(const struct sockaddr_storage *a)
{
	return a && (a->ss_family == AF_INET || a->ss_family == AF_INET6);
}

/* A mapped address counts as the IPv4 address that it holds, if both do. */
static bool both_four(const struct sockaddr_storage *from, const struct sockaddr_storage *to)
{
	char a[ADDRESS_TEXT], b[ADDRESS_TEXT];
	return !strchr(address_text(from, a), ':') && !strchr(address_text(to, b), ':');
}

static const char *text_of(const struct sockaddr_storage *a, bool four, char ret_text[ADDRESS_TEXT])
{
	unsigned char bytes[16];
	if (four)
		return address_text(a, ret_text);
	as_six(a, bytes);
	return inet_ntop(AF_INET6, bytes, ret_text, ADDRESS_TEXT);
}

struct str proxy_protocol_v1(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
        char ret_text[PROXY_PROTOCOL_WRITTEN])
{
	char a[ADDRESS_TEXT], b[ADDRESS_TEXT];
	if (!is_internet(from) || !is_internet(to))
		return STR("PROXY UNKNOWN\r\n");
	bool four = both_four(from, to);
	int n = snprintf(ret_text, PROXY_PROTOCOL_WRITTEN, "PROXY TCP%c %s %s %u %u\r\n",
	        four ? '4' : '6', text_of(from, four, a), text_of(to, four, b), address_port(from),
	        address_port(to));
	CHECK(n > 0 && n < PROXY_PROTOCOL_WRITTEN);
	return str_n(ret_text, (size_t)n);
}

static size_t put_address(const struct sockaddr_storage *a, bool four, char *ret_bytes)
{
	unsigned char six[16];
	size_t n = four ? 4 : sizeof six;
	as_six(a, six);
	memcpy(ret_bytes, six + sizeof six - n, n);
	return n;
}

static size_t put_port(const struct sockaddr_storage *a, char *ret_bytes)
{
	uint16_t port = htons(address_port(a));
	memcpy(ret_bytes, &port, sizeof port);
	return sizeof port;
}

struct str proxy_protocol_v2(const struct sockaddr_storage *from, const struct sockaddr_storage *to,
        char ret_text[PROXY_PROTOCOL_WRITTEN])
{
	bool told = is_internet(from) && is_internet(to);
	bool four = told && both_four(from, to);
	size_t n = SIGNATURE.n;
	memcpy(ret_text, SIGNATURE.p, n);
	ret_text[n++] = (char)(V2_VERSION << 4 | told);
	ret_text[n++] = (char)(!told ? 0 : four ? 0x11 : 0x21);
	ret_text[n++] = 0;
	ret_text[n++] = (char)(!told ? 0 : four ? FOUR : SIX);
	if (told) {
		n += put_address(from, four, ret_text + n);
		n += put_address(to, four, ret_text + n);
		n += put_port(from, ret_text + n);
		n += put_port(to, ret_text + n);
	}
	return str_n(ret_text, n);
}
