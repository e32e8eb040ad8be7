#include "net/address.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/ip.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <sys/un.h>

/* The address as bytes: 4 for IPv4 and mapped IPv4, 16 for IPv6, none for another family. */
static struct str bytes_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return str_n(&((const struct sockaddr_in *)a)->sin_addr, 4);
	if (a->ss_family != AF_INET6)
		return STR_NONE;
	const struct in6_addr *six = &((const struct sockaddr_in6 *)a)->sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(six))
		return str_n(six->s6_addr + 12, 4);
	return str_n(six, 16);
}

bool address_parse(struct str host, uint16_t port, struct sockaddr_storage *ret_address)
{
	char text[INET6_ADDRSTRLEN];
	if (host.n == 0 || host.n >= sizeof text || str_has(host, '\0'))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	struct sockaddr_storage a = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)&a;
	if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(port);
	} else {
		return false;
	}
	*ret_address = a;
	return true;
}

/* inet_ntop prints by way of sprintf, which a request on its way would feel. */
static void put_four(struct str bytes, char *p)
{
	for (size_t i = 0; i < 4; i++) {
		unsigned n = (unsigned char)bytes.p[i];
		if (n >= 100)
			*p++ = (char)('0' + n / 100);
		if (n >= 10)
			*p++ = (char)('0' + n / 10 % 10);
		*p++ = (char)('0' + n % 10);
		*p++ = i < 3 ? '.' : '\0';
	}
}

const char *address_text(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT])
{
	struct str bytes = bytes_of(a);
	ret_text[0] = '\0';
	if (bytes.n == 4)
		put_four(bytes, ret_text);
	else if (bytes.n > 0)
		(void)inet_ntop(AF_INET6, bytes.p, ret_text, ADDRESS_TEXT);
	return ret_text;
}

const char *address_text_port(const struct sockaddr_storage *a, char ret_text[ADDRESS_TEXT])
{
	char host[ADDRESS_TEXT];
	address_text(a, host);
	bool six = strchr(host, ':') != NULL;
	(void)snprintf(
	        ret_text, ADDRESS_TEXT, six ? "[%.60s]:%u" : "%.60s:%u", host, address_port(a));
	return ret_text;
}

uint16_t address_port(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)a)->sin_port);
	return a->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port) : 0;
}

void address_set_port(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET)
		((struct sockaddr_in *)a)->sin_port = htons(port);
	else if (a->ss_family == AF_INET6)
		((struct sockaddr_in6 *)a)->sin6_port = htons(port);
}

socklen_t address_size(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return sizeof(struct sockaddr_in);
	if (a->ss_family == AF_UNIX)
		return sizeof(struct sockaddr_un);
	return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof *a;
}

struct address_kept address_keep(const struct sockaddr_storage *a)
{
	struct address_kept k = { .family = a->ss_family };
	if (a->ss_family == AF_INET || a->ss_family == AF_INET6)
		memcpy(&k, a, address_size(a));
	return k;
}

struct sockaddr_storage address_whole(const struct address_kept *k)
{
	struct sockaddr_storage a = { 0 };
	memcpy(&a, k, sizeof *k);
	return a;
}

bool address_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	struct str x = bytes_of(a), y = bytes_of(b);
	return x.n > 0 && str_eq(x, y);
}

static bool has_prefix(struct str address, struct str prefix, unsigned bits)
{
	if (address.n != prefix.n || bits > prefix.n * 8)
		return false;
	if (memcmp(address.p, prefix.p, bits / 8) != 0)
		return false;
	if (bits % 8 == 0)
		return true;
	unsigned char mask = (unsigned char)(0xff << (8 - bits % 8));
	return (((unsigned char)address.p[bits / 8] ^ (unsigned char)prefix.p[bits / 8]) & mask) ==
	       0;
}

bool cidr_parse(struct str text, struct cidr *ret_cidr)
{
	struct str host = str_head(text, str_find(text, '/'));
	struct sockaddr_storage a;
	if (!address_parse(host, 0, &a))
		return false;
	uint64_t most = a.ss_family == AF_INET ? 32 : 128, bits = most;
	if (host.n < text.n && !str_to_u64(str_from(text, host.n + 1), &bits))
		return false;
	if (bits > most)
		return false;
	struct str bytes = bytes_of(&a);
	/* ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
	if (a.ss_family == AF_INET6 && bytes.n == 4)
		bits = bits >= 96 ? bits - 96 : 0;
	struct cidr c = { .size = (unsigned char)bytes.n, .bits = (unsigned char)bits };
	memcpy(c.bytes, bytes.p, bytes.n);
	*ret_cidr = c;
	return true;
}

bool cidr_valid(struct str cidr)
{
	struct cidr unused;
	return cidr_parse(cidr, &unused);
}

bool address_within(const struct sockaddr_storage *a, const struct cidr *c)
{
	return has_prefix(bytes_of(a), str_n(c->bytes, c->size), c->bits);
}

bool address_in_cidr(const struct sockaddr_storage *a, struct str cidr)
{
	struct cidr c;
	return cidr_parse(cidr, &c) && address_within(a, &c);
}

static bool in_any(const struct sockaddr_storage *a, const char *const *cidrs)
{
	for (; *cidrs; cidrs++) {
		if (address_in_cidr(a, str_c(*cidrs)))
			return true;
	}
	return false;
}

bool address_is_any(const struct sockaddr_storage *a)
{
	static const char *const cidrs[] = { "0.0.0.0", "::", NULL };
	return in_any(a, cidrs);
}

bool address_is_loopback(const struct sockaddr_storage *a)
{
	struct str bytes = bytes_of(a);
	if (bytes.n == 4)
		return bytes.p[0] == 127;
	return bytes.n == 16 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}

bool address_is_link_local(const struct sockaddr_storage *a)
{
	/* By NAT64 and 6to4 (RFC 6052, 3056), too. */
	static const char *const cidrs[] = { "169.254.0.0/16", "fe80::/10", "64:ff9b::a9fe:0/112",
		"2002:a9fe::/32", NULL };
	return in_any(a, cidrs);
}

bool address_is_private(const struct sockaddr_storage *a)
{
	static const char *const cidrs[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"100.64.0.0/10", "fc00::/7", NULL };
	return in_any(a, cidrs);
}

/* RFC 6890 and its registry. An address in the notation that embeds an IPv4 address counts as not
 * public, whatever is embedded. */
static const char *const set_aside[] = { "0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20" };

static bool is_ipv4(const struct sockaddr_storage *a)
{
	return a->ss_family == AF_INET || address_in_cidr(a, STR("0.0.0.0/0"));
}

bool address_is_public(const struct sockaddr_storage *a)
{
	if (address_is_any(a) || address_is_loopback(a) || address_is_link_local(a) ||
	        address_is_private(a))
		return false;
	for (size_t i = 0; i < sizeof set_aside / sizeof *set_aside; i++)
		if (address_in_cidr(a, str_c(set_aside[i])))
			return false;
	return is_ipv4(a) || address_in_cidr(a, STR("2000::/3"));
}

static bool is_this_machine(struct str host)
{
	struct local_addresses ours = { 0 };
	struct sockaddr_storage a;
	const bool is = address_parse(host, 0, &a) && address_is_ours(&ours, &a, /* mono= */ 1);
	local_addresses_done(&ours);
	return is;
}

/* An address that no interface has is that of a router in front, which leads to one that has. */
struct str address_dialled(struct str host, struct str name)
{
	const bool all_four = str_eq_c(host, "0.0.0.0"), all_six = str_eq_c(host, "::");
	const struct str here = all_four ? STR("127.0.0.1") : all_six ? STR("::1") : host;
	if (!ip_is(name))
		return here;
	if (str_has(host, ':') != str_has(name, ':'))
		return STR_NONE;
	if (!is_this_machine(name))
		return here;
	return all_four || all_six || str_eq(host, name) ? name : STR_NONE;
}

void local_addresses_done(struct local_addresses *l)
{
	free(l->at);
	*l = (struct local_addresses){ 0 };
}

static void remember(struct local_addresses *l, const struct sockaddr *a)
{
	if (a->sa_family != AF_INET && a->sa_family != AF_INET6)
		return;
	l->at = mem_grow(l->at, sizeof *l->at, l->count + 1);
	struct sockaddr_storage *own = &l->at[l->count++];
	*own = (struct sockaddr_storage){ .ss_family = a->sa_family };
	memcpy(own, a, address_size(own));
}

/* An interface list that the kernel does not give leaves the one from before. */
static void ask_kernel(struct local_addresses *l, int64_t mono)
{
	l->asked = mono;
	struct ifaddrs *all;
	if (getifaddrs(&all) != 0)
		return;
	l->count = 0;
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (i->ifa_addr)
			remember(l, i->ifa_addr);
	}
	freeifaddrs(all);
}

bool address_is_ours(struct local_addresses *l, const struct sockaddr_storage *a, int64_t mono)
{
	if (address_is_loopback(a))
		return true;
	if (l->asked == 0 || mono - l->asked >= MINUTE)
		ask_kernel(l, mono);
	for (size_t i = 0; i < l->count; i++) {
		if (address_same_host(a, &l->at[i]))
			return true;
	}
	return false;
}
