/* What a name may be proved with here. */
#include "issue/issuer.h"

/* By DNS only where the configuration sets it up, and then it is meant. */
static const struct challenge_choice usual = {
	{ CHALLENGE_DNS_PERSIST_01, CHALLENGE_DNS_01, CHALLENGE_HTTP_01, CHALLENGE_TLS_ALPN_01 }, 4
};

/* What the name may be proved with here: of the types that are wanted. */
static bool choose_types(const struct issuers *i, const struct challenge_choice *wanted,
        struct str name, struct challenge_choice *ret_choice, struct err *err)
{
	BUF_AUTO reasons = BUF(4096);
	for (size_t k = 0; k < wanted->count; k++) {
		const enum challenge_type type = wanted->types[k];
		struct prover *p = i->needs.provers[type];
		struct err why_not = ERR_INIT;
		if (!p || !challenge_type_proves(type, name))
			continue;
		if (prover_can(p, acme_without_wildcard(name), &why_not))
			ret_choice->types[ret_choice->count++] = type;
		else
			buf_printf(&reasons, " %s: %s", challenge_type_name(type), why_not.text);
	}
	return ret_choice->count || !reasons.n ||
	       err_set(err, ERR_INPUT, "%.*s cannot be proved from here.%s", STR_ARG(name),
	               buf_c(&reasons));
}

bool issuers_can_prove(const struct issuers *i, struct str name, struct err *ret_why_not)
{
	struct challenge_choice unused = { 0 };
	return choose_types(i, &usual, name, &unused, ret_why_not);
}

const char *issuers_cannot(const struct issuers *i, struct str name, struct err *ret_why_not)
{
	for (size_t k = 0; k < usual.count; k++) {
		const enum challenge_type type = usual.types[k];
		struct prover *p = i->needs.provers[type];
		const bool by_port = type == CHALLENGE_HTTP_01 || type == CHALLENGE_TLS_ALPN_01;
		if (!p || !challenge_type_proves(type, name))
			continue;
		if (prover_can(p, name, ret_why_not))
			return NULL;
		if (by_port)
			return challenge_type_name(type);
	}
	return NULL;
}

struct challenge_choice *choose_proofs(
        const struct issuers *i, const struct attempt_want *want, struct arena *a, struct err *err)
{
	struct challenge_choice *choices =
	        arena_array(a, struct challenge_choice, want->name_count);
	struct challenge_choice wanted = want->type_count ? (struct challenge_choice){ 0 } : usual;
	for (size_t k = 0; k < want->type_count; k++)
		wanted.types[wanted.count++] = want->types[k];
	for (size_t k = 0; k < want->name_count && !want->revoke.n; k++)
		if (!choose_types(i, &wanted, want->names[k], &choices[k], err))
			return NULL;
	return choices;
}
