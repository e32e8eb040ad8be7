/* Proofs by DNS (RFC 8555 8.4): the value is put at _acme-challenge.NAME, or where a CNAME there
 * leads, in one of three ways (config.h: config_dns), and looked for at the zone's own name servers
 * before the CA is told.
 *
 *	update     a name server is asked for the zone and to change it
 *	program    is run: begin, then done or failed
 *	delegated  our own zone answers, to which a CNAME has to lead
 *
 * What is taken away afterwards goes on in the background; it is dropped if the process ends. */
#ifndef ISSUE_DNS01_H
#define ISSUE_DNS01_H

#include "base/log.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "issue/dns_table.h"
#include "issue/program.h"
#include "issue/prover.h"

struct dns01_needs {
	struct loop *loop;
	struct fetch *fetch;
	struct programs *programs;
	const struct log *log;
};
struct prover *dns01_new(const struct dns01_needs *needs);
void dns01_free(struct prover **p); /* once all is withdrawn */
/* Borrowed until the next one. */
void dns01_configure(struct prover *p, const struct config *config);
struct dns_table *dns01_table(struct prover *p);

/* What the configuration says for a name: its site's own block, else that of the top level. */
const struct config_dns *dns01_way(const struct config *config, struct str name);
/* The CNAME record that a name needs, once, before the delegated zone can prove it. False: it needs
 * none, its proofs go another way. */
#define DNS01_PREFIX "_acme-challenge."
bool dns01_target(const struct config_dns *way, struct str name, struct buf *ret_target);
/* As a zone file says it. */
bool dns01_record(const struct config_dns *way, struct str name, struct buf *ret_line);
/* Lines for fetch_resolve. */
void dns01_resolvers(const struct config *config, struct buf *out);

#endif
