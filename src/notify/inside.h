/* What the files of notify/ share. */
#ifndef NOTIFY_INSIDE_H
#define NOTIFY_INSIDE_H

#include "base/map.h"
#include "notify/matter.h"
#include "notify/notify.h"

/* One message, the same for all targets. Counted. */
struct notice {
	unsigned refs;
	struct arena arena;
	enum matter_kind kind;
	bool solved;
	enum config_level level;
	struct str id, name; /* name: what it is called by */
	struct str *names;
	size_t name_count;
	struct str issuer, subject, text; /* text: lines */
	int64_t at, not_after;            /* wall ms; 0: none */
};
struct notice *notice_new(
        enum matter_kind kind, bool solved, const struct notify_fact *f, int64_t at);
struct notice *notice_ref(struct notice *n);
void notice_unref(struct notice **n);

/* message.c: as it is sent */
void message_mail(const struct notice *n, const struct config_notify *to, struct buf *out);
void message_json(const struct notice *n, struct buf *out);
/* What message_json wrote; NULL: it is something else. */
struct notice *message_read(const struct json *json);
/* The header that signs a webhook's body: "Everseal-Signature: t=…,v1=…\n". */
void message_sign(struct str secret, struct str body, int64_t now, struct buf *out);

/* target.c: somebody who is told, and what waits for him. Counted. */
enum { TARGET_KEY = 33 };
struct target {
	unsigned refs;
	struct list node; /* in notify.targets */
	struct notify *notify;
	struct arena arena;
	struct config_notify want; /* texts in the arena */
	struct str shown;          /* "mail ops@example.com" */
	struct str file;           /* where it is set, if it has no id */
	char key[TARGET_KEY];      /* the same after a restart; tells nothing of it */
	struct list queue;         /* struct parcel, oldest first */
	size_t queued;
	uint64_t number; /* of the latest parcel */
	unsigned tries;
	struct timer again;
	int64_t next_try;          /* wall ms, while that is started */
	struct delivery *delivery; /* of the first in the queue; NULL: it waits for its time */
	struct notice *last;       /* the last message that was tried; NULL: none yet */
	int64_t last_at;           /* wall ms */
	struct err last_error;     /* code NONE: it arrived */
	uint64_t lost, arrived;
};
struct target *target_new(struct notify *n, const struct config_notify *want, struct str file);
void target_unref(struct target **t);
void target_stop(struct target *t);   /* what is queued stays in the store */
void target_forget(struct target *t); /* there it is dropped, too */
void target_take_over(struct target *t, struct target *before);
/* What waited for it when the process before ended: a record of kind message. False: it is none. */
MUST_CHECK bool target_find_waiting(struct target *t, const struct record *r);
void target_tell(struct target *t, struct notice *notice);
/* A test was tried: one that arrives brings along what waits. */
void target_tested(struct target *t, const struct delivery *d);
void target_write(const struct target *t, struct json_writer *w);
void parcels_free(struct list *dropping); /* those that are being deleted */

/* delivery.c: one try to bring one message to one target. `done` fires once, never before
 * delivery_start has returned. */
struct delivery {
	struct list node;
	struct target *target;
	struct notice *notice;
	void (*done)(struct delivery *d, const struct err *err);
	struct fetch_call fetch;
	struct program_call program;
	struct err err; /* for who keeps it */
	bool ended;
	struct notify_test *test;
};
struct delivery *delivery_start(struct target *t, struct notice *notice,
        void (*done)(struct delivery *d, const struct err *err));
void delivery_free(struct delivery **d); /* aborts it */

/* follow.c */
struct follow;
MUST_CHECK struct follow *follow_new(struct notify *n, struct err *err);
void follow_free(struct follow **f);
void follow_all(struct follow *f);
void follow_one(struct follow *f, struct str id);
void follow_write(const struct follow *f, struct json_writer *w); /* the member "open" */

struct notify {
	struct notify_needs needs;
	struct list targets;
	struct list kept; /* struct notify_kept */
	struct follow *follow;
	struct notify_watch *watch; /* or NULL */
	struct list dropping;       /* parcels that are being deleted from the store */
	struct store_tx over;       /* deletes those that are for nobody any more */
	bool begun, looked;         /* looked: for what waits in the store */
};
void notify_moved(struct notify *n); /* what notify_write tells is another now */
void notify_tell(struct notify *n, struct notice *notice); /* every target whose level it has */

#endif
