/* The types of challenge that we can answer (RFC 8555 8, RFC 8737, DNS-PERSIST-01), and
 * the names that they can prove. A CA may offer others: they are ignored. */
#ifndef ACME_CHALLENGE_H
#define ACME_CHALLENGE_H

#include "base/buf.h"

#define CHALLENGE_TYPES(X)                                                                         \
	X(HTTP_01, "http-01")                                                                      \
	X(TLS_ALPN_01, "tls-alpn-01")                                                              \
	X(DNS_01, "dns-01") X(DNS_PERSIST_01, "dns-persist-01")
enum challenge_type {
#define X(name, text) CHALLENGE_##name,
	CHALLENGE_TYPES(X)
#undef X
	        CHALLENGE_TYPE_COUNT
};
const char *challenge_type_name(enum challenge_type type);
bool challenge_type_from_name(struct str name, enum challenge_type *ret_type);

/* What one name is to be proved with: the first of them that the CA offers. */
struct challenge_choice {
	enum challenge_type types[CHALLENGE_TYPE_COUNT];
	size_t count;
};

/* "*." in front: proved by DNS only (RFC 8555 7.1.3); the identifier is without it. */
bool acme_is_wildcard(struct str name);
struct str acme_without_wildcard(struct str name);
/* Whether any CA takes a proof of that type for such a name. */
bool challenge_type_proves(enum challenge_type type, struct str name);

/* RFC 8555 8.1 */
void challenge_key_authorization(struct str token, struct str thumbprint, struct buf *out);

#endif
