#include "dns/dns.h"

static const char *const types[] = {
#define X(name, text) [DNS_##name] = text,
	DNS_TYPES(X)
#undef X
};

static const char *const outcomes[] = {
#define X(name, text) [DNS_##name] = text,
	DNS_OUTCOMES(X)
#undef X
};

const char *dns_type_name(enum dns_type type)
{
	return types[type];
}

bool dns_type_from_name(struct str name, enum dns_type *ret_type)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!str_eq_c(name, types[i]))
			continue;
		*ret_type = (enum dns_type)i;
		return true;
	}
	return false;
}

const char *dns_outcome_name(enum dns_outcome outcome)
{
	return outcomes[outcome];
}

bool dns_outcome_from_name(struct str name, enum dns_outcome *ret_outcome)
{
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
		if (!str_eq_c(name, outcomes[i]))
			continue;
		*ret_outcome = (enum dns_outcome)i;
		return true;
	}
	return false;
}
