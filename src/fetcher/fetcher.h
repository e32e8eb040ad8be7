/* The fetch process: makes every outgoing connection of control, by libcurl. It keeps no state and
 * no key; each request comes with its limits, and each purpose has a rule of its own (rules.c). */
#ifndef FETCHER_FETCHER_H
#define FETCHER_FETCHER_H

#include "base/url.h"
#include "link/link.h"
#include <curl/curl.h>

/* libcurl's sockets and timers in our loop. */
struct engine {
	struct loop *loop;
	CURLM *multi;
	int sockets; /* an epoll of its own: libcurl wants level-triggered sockets */
	struct watch watch;
	struct later rest;
	struct timer timer;
	void (*finished)(struct engine *e, CURL *easy, CURLcode code); /* may remove easy */
};
void engine_init(struct engine *e, struct loop *loop,
        void (*finished)(struct engine *e, CURL *easy, CURLcode code));
void engine_done(struct engine *e); /* when nothing is left in it */

/* What a purpose may ask for. */
struct rule {
	const char *purpose;
	bool http_to_loopback; /* http too, if the host is this machine; else https only */
	bool own_issuer;       /* an untrusted certificate may be that of the user's own CA */
	const char *const *methods;
};
const struct rule *rule_find(struct str purpose);
/* False if the rule forbids that method or URL. */
MUST_CHECK bool rule_allows(
        const struct rule *rule, struct str method, const struct url *url, struct err *err);
bool url_is_loopback(const struct url *url); /* by its name or address */

/* A request or a probe, from the first message to the last answer. */
struct transfer {
	struct list node;
	int64_t id, timeout;
	bool probe, running, replied;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	const struct rule *rule;
	struct buf url_text, method, headers_text, trust, body; /* of a request */
	struct url url;                                         /* into url_text */
	struct buf authority; /* "host" or "host:port", for sentences */
	size_t most, got;
	unsigned status;
	struct buf reply_headers;
	struct err err; /* why we broke it off ourselves */
	char said[CURL_ERROR_SIZE];
	struct link *control;
};
/* Takes the message's fields over; nothing is asked yet. */
struct transfer *transfer_new(struct link *control, const struct msg_fetch *m);
MUST_CHECK bool transfer_start(struct transfer *t, struct engine *e, struct err *err);
struct transfer *transfer_probe(struct link *control, const struct msg_probe *m);
void transfer_answer(struct transfer *t, CURLcode code); /* tells control how it ended */
void transfer_refuse(struct transfer *t, const struct err *err);
void transfer_free(struct transfer **t, struct engine *e);

/* Why there is no answer, as a finished sentence. */
void explain(const struct transfer *t, CURLcode code, struct err *ret_err);

/* The process: the link to the supervisor and the one to control. */
struct fetcher {
	struct loop *loop;
	struct engine engine;
	struct link supervisor, control;
	struct list transfers;
	struct buf fences;
};
void fetcher_init(struct fetcher *f, struct loop *loop, int supervisor);
void fetcher_done(struct fetcher *f);

#endif
