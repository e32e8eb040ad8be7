/* What a request wants of a site, read and checked; and its way into force. Private to sites.c. */
#ifndef PORTAL_SITE_WORK_H
#define PORTAL_SITE_WORK_H

#include "portal/sites.h"

struct site_input {
	struct call *call;
	struct site_entry *entry; /* NULL: a new site */
	struct kept_value *value; /* what is there, and then what is wanted */
	unsigned changes;         /* that differ from what is there */
};
/* Read into the value, if the version that the request replaces (if it says one) is the one that is
 * there. False: the call was answered with why not. */
bool site_input_read(struct site_input *in);
/* Whether these names may go, each of which browsers may remember to reach by HTTPS only. False:
 * the call was answered with until when, and which of them have to be typed. */
bool site_may_drop(struct call *c, const struct str *names, size_t count);

/* One change of a site at a time. True if there is one: `come` or `run` is then called, on the
 * loop, once that has ended, and looks anew. Who goes before that takes the node out of its list; a
 * call that ends does so by itself. */
struct site_turn {
	struct list node;
	void (*come)(struct site_turn *turn);
};
MUST_CHECK bool site_turn_await(
        struct site_turn *turn, const struct kept_site *site, void (*come)(struct site_turn *turn));
MUST_CHECK bool site_turn_await_call(
        struct call *c, const struct kept_site *site, void (*run)(struct call *c));
void site_turn_over(void); /* a change has ended */
void site_turns_close(void);

/* Takes the value over, and answers the call with the site once it stands and is stored. */
void site_work_start(struct site_input *in, struct kept_site *site, unsigned status);
void site_work_remove(struct call *c, struct site_entry *e);
void site_work_close(void); /* by sites_close */

#endif
