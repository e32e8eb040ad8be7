#include "acme/challenge.h"
#include "base/err.h"

#include <arpa/inet.h>

static const char *const names[] = {
#define X(name, text) text,
	CHALLENGE_TYPES(X)
#undef X
};

const char *challenge_type_name(enum challenge_type type)
{
	CHECK(type < CHALLENGE_TYPE_COUNT);
	return names[type];
}

bool challenge_type_from_name(struct str name, enum challenge_type *ret_type)
{
	for (enum challenge_type type = 0; type < CHALLENGE_TYPE_COUNT; type++)
		if (str_eq_c(name, names[type])) {
			*ret_type = type;
			return true;
		}
	return false;
}

bool acme_is_wildcard(struct str name)
{
	return str_starts(name, STR("*."));
}

struct str acme_without_wildcard(struct str name)
{
	return acme_is_wildcard(name) ? str_from(name, 2) : name;
}

size_t acme_address(struct str name, unsigned char ret_bytes[16])
{
	char text[INET6_ADDRSTRLEN];
	if (name.n >= sizeof text)
		return 0;
	snprintf(text, sizeof text, "%.*s", STR_ARG(name));
	if (inet_pton(AF_INET, text, ret_bytes) == 1)
		return 4;
	return inet_pton(AF_INET6, text, ret_bytes) == 1 ? 16 : 0;
}

bool challenge_type_proves(enum challenge_type type, struct str name)
{
	unsigned char address[16];
	const bool by_dns = type == CHALLENGE_DNS_01 || type == CHALLENGE_DNS_PERSIST_01;
	if (acme_is_wildcard(name))
		return by_dns;
	return !by_dns || !acme_address(name, address);
}

void challenge_key_authorization(struct str token, struct str thumbprint, struct buf *out)
{
	buf_add(out, token);
	buf_add_char(out, '.');
	buf_add(out, thumbprint);
}
