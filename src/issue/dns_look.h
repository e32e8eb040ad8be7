/* Whether a TXT value has arrived at every name server of its zone, before a CA is told to look.
 * All of them are asked, each by each of its addresses, again and again. It always ends:
 * one that does not answer is left out with a word, and after some time the CA is told all the
 * same. */
#ifndef ISSUE_DNS_LOOK_H
#define ISSUE_DNS_LOOK_H

#include "base/arena.h"
#include "fetch/fetch.h"
#include "loop/loop.h"

enum { DNS_LOOK_SERVERS = 8, DNS_LOOK_PLACES = 16 };

struct dns_look {
	struct loop *loop;
	struct fetch *fetch;
	struct str resolvers; /* lines, as fetch_resolve has them; these texts outlive the look */
	struct str name, value;
	struct str zone;  /* STR_NONE: to be found */
	struct str check; /* lines "ADDRESS:PORT": asked instead of the zone's servers */
	int64_t wait;     /* ms */
	void (*said)(struct dns_look *l, struct str words);
	/* Exactly once, never before dns_look_start has returned. */
	void (*done)(struct dns_look *l);
	/* the rest is the look's */
	bool started;
	struct arena arena;
	struct fetch_resolve resolve;
	struct str servers[DNS_LOOK_SERVERS];
	size_t server_count, next; /* next: its addresses are asked for */
	bool six;                  /* the IPv6 ones */
	struct dns_look_place {
		struct dns_look *look;
		struct str server, at; /* at: "ADDRESS:PORT" */
		struct fetch_resolve resolve;
		bool has, left_out;
		unsigned silent;
	} places[DNS_LOOK_PLACES];
	size_t place_count, asking;
	int64_t began;
	struct timer again;
};
void dns_look_start(struct dns_look *l);
void dns_look_abort(struct dns_look *l); /* harmless on what is not started */

#endif
