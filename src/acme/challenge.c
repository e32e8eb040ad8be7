#include "acme/challenge.h"
#include "base/err.h"
#include "base/ip.h"

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

/* RFC 8738 7: no address is proved by DNS. */
bool challenge_type_proves(enum challenge_type type, struct str name)
{
	const bool by_dns = type == CHALLENGE_DNS_01 || type == CHALLENGE_DNS_PERSIST_01;
	if (acme_is_wildcard(name))
		return by_dns;
	return !by_dns || !ip_is(name);
}

void challenge_key_authorization(struct str token, struct str thumbprint, struct buf *out)
{
	buf_add(out, token);
	buf_add_char(out, '.');
	buf_add(out, thumbprint);
}
