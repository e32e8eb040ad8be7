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
/* Read into the value. False: the call was answered with why not. */
bool site_input_read(struct site_input *in);
/* The version that the request replaces, if it says one, is the one that is there. */
bool site_input_version(struct site_input *in);
/* Answers 403: what the file sets stays. Always false. */
bool site_locked(struct call *c, const struct config_at *at, const char *what_to_do);

/* Takes the value over, and answers the call with the site once it stands and is stored. */
void site_work_start(struct site_input *in, struct kept_site *site, unsigned status);
void site_work_remove(struct call *c, struct site_entry *e);
void site_work_close(void); /* by sites_close */

#endif
