/* What the files of dns/ that speak ldns share. */
#ifndef DNS_WIRE_H
#define DNS_WIRE_H

#include "dns/dns.h"
#include <ldns/ldns.h>

/* A name as ldns has it; NULL if it cannot be one. The caller frees it (ldns_rdf_deep_free). */
ldns_rdf *dns_name_rdf(struct str name);
/* The message that the bytes are; the caller frees it (ldns_pkt_free). One with several OPT
   records (RFC 6891 6.1.1), or with a TSIG record that is not the last (RFC 8945 5.2), is none:
   ldns keeps one of each and loses the memory of the others. */
MUST_CHECK bool dns_packet_read(struct str bytes, ldns_pkt **ret);
/* Appends the message's bytes. */
MUST_CHECK bool dns_add_wire(struct buf *out, const ldns_pkt *p);

#endif
