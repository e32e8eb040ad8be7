/* What the files of dns/ that speak ldns share. */
#ifndef DNS_WIRE_H
#define DNS_WIRE_H

#include "dns/dns.h"
#include <ldns/ldns.h>

/* A name as ldns has it; NULL if it cannot be one. The caller frees it (ldns_rdf_deep_free). */
ldns_rdf *dns_name_rdf(struct str name);
/* Appends the message's bytes. */
MUST_CHECK bool dns_add_wire(struct buf *out, const ldns_pkt *p);

#endif
