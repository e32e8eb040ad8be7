/* GET /api/events: what has changed, as server-sent events, each with the whole object as it is
 * when the event is sent.
 *
 * The last 1,000 changes are remembered by kind and subject, numbered BOOT-N; a later change of the
 * same thing takes the place of the earlier one. A stream is a place in that row: it goes on as its
 * client takes what it has, and whoever falls behind its beginning is told to `reset`. So a slow
 * client costs 64 KiB and no more.
 *
 * At most 64 streams, 16 of one person, with those of his tokens. Where no more fit, the oldest
 * stream of whoever has most gives way to who has fewer: among all people, and among one person's
 * sessions and tokens. So nobody, however many he opens, keeps others out. */
#ifndef PORTAL_EVENTS_H
#define PORTAL_EVENTS_H

#include "portal/people.h"

enum { EVENT_ID = 40 };

/* What kind of thing changes: its event's name, and what writes the object of that subject. */
struct event_kind {
	const char *name;
	bool (*write)(
	        struct json_writer *w, struct str subject); /* false: it is gone, say nothing */
};

void events_open(void);
void events_close(void);
void events_changed(const struct event_kind *kind, struct str subject);
void events_say(const char *name, struct str json); /* an event whose text is fixed */
void events_session_ended(const struct session *s); /* its streams end */
void events_token_ended(const struct token *t);
void events_person_changed(const struct person *p); /* his scope is another one */
/* For a call that is to be the stream of another resource: it is cut when the session or the token
 * it was asked for with ends. */
void events_bound(struct call *c);
/* The newest event's: what has come before it is in a snapshot made now. */
void events_id(char ret_id[EVENT_ID]);
const char *events_boot(void); /* another one at each start */

/* feed.c: sites, counts and tasks as renew/ and the configuration change them. */
void feed_open(void);
void feed_close(void);
void feed_counts(void); /* what `counts` tells may differ: that is told, once a second at most */

#endif
