/* The fetch process: makes every outgoing connection of control, by libcurl. It keeps no state and
 * no key; each request comes with its limits, and each purpose has a rule of its own (rules.c). */
#ifndef FETCHER_FETCHER_H
#define FETCHER_FETCHER_H

#include "base/arena.h"
#include "base/url.h"
#include "dns/dns.h"
#include "fetch/fetch.h"
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
	bool http;             /* http too, wherever the host is */
	bool mail;             /* not HTTP at all: mail.c */
	bool no_link_local;    /* no address of 169.254.0.0/16 or fe80::/10 */
	const char *trust_in;  /* the block in which `trust FILE` names the user's own CA */
	const char *const *methods;
};
const struct rule *rule_find(struct str purpose);
/* False if the rule forbids that method or URL. */
MUST_CHECK bool rule_allows(
        const struct rule *rule, struct str method, const struct url *url, struct err *err);
/* The rule of purpose "diagnosis": by http or https, to one of two ports, a URL that has our own
 * nonce in it, a public address unless the name is configured here. */
MUST_CHECK bool rule_allows_dial(const struct msg_dial *m, struct url *ret_url,
        struct sockaddr_storage *ret_address, struct err *err);

/* question.c: one DNS question for control. */
struct question {
	struct list node;
	int64_t id;
	struct link *control;
	struct buf servers;
	struct dns_lookup lookup;
};
void question_ask(struct list *questions, struct link *control, struct loop *loop,
        const struct msg_resolve *m);
void question_free(struct question *q);

/* update.c: one change of a zone. */
struct change {
	struct list node;
	int64_t id;
	struct link *control;
	struct buf texts; /* with the secret in it: wiped */
	struct dns_change change;
	struct buf mac;
	struct err err;
	struct dns_exchange exchange;
	struct loop *loop;
};
void change_begin(
        struct list *changes, struct link *control, struct loop *loop, const struct msg_update *m);
void change_free(struct change *c);

/* responder.c: the delegated zones, as control has told of them. */
struct responder {
	struct loop *loop;
	struct list sockets, clients; /* struct responder_socket, struct responder_client */
	size_t client_count;
	struct arena arena; /* of what is answered */
	struct dns_zone *zones;
	size_t count;
	struct arena next_arena; /* of what is being told */
	struct dns_zone *next;
	size_t next_count;
	int64_t second; /* mono, and how many datagrams were answered in it */
	unsigned answered;
};
void responder_init(struct responder *r, struct loop *loop);
void responder_done(struct responder *r);
void responder_reset(struct responder *r); /* control is gone, and its table with it */
/* True if the message was for it. */
bool responder_heard(struct responder *r, struct link *control, const struct msg *m);

/* A request or a probe, from the first message to the last answer. */
struct transfer {
	struct list node;
	int64_t id, timeout;
	bool probe, dial, running, replied;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	const struct rule *rule;
	struct buf url_text, method, headers_text, trust, body; /* of a request */
	struct url url;                                         /* into url_text */
	struct buf authority; /* "host" or "host:port", for sentences */
	size_t most, got, sent;
	unsigned status;
	struct buf reply_headers;
	struct err err;                 /* why we broke it off ourselves */
	struct buf expected, body_seen; /* of a dial */
	bool anywhere;
	char said[CURL_ERROR_SIZE];
	struct link *control;
};
/* Takes the message's fields over; nothing is asked yet. */
struct transfer *transfer_new(struct link *control, const struct msg_fetch *m);
MUST_CHECK bool transfer_start(struct transfer *t, struct engine *e, struct err *err);
struct transfer *transfer_probe(struct link *control, const struct msg_probe *m);
void probe_offer(struct transfer *t, enum fetch_keys keys); /* signatures.c */
/* dial.c: the GET of diagnosis. One that its rule forbids has t->err set. */
struct transfer *transfer_dial(struct link *control, const struct msg_dial *m);
void dial_answer(struct transfer *t, CURLcode code);
void transfer_answer(struct transfer *t, CURLcode code); /* tells control how it ended */
void transfer_refuse(struct transfer *t, const struct err *err);
void transfer_free(struct transfer **t, struct engine *e);

/* Within transfer files: a handle with its limits, and how it is told what came. */
struct transfer *transfer_make(struct link *control, int64_t id, int64_t timeout);
void transfer_set_long(struct transfer *t, CURLoption option, long value);
void transfer_set_text(struct transfer *t, CURLoption option, const char *value);
void transfer_set_agent(struct transfer *t);
size_t transfer_header(char *bytes, size_t size, size_t count, void *transfer);

void transfer_set_body(struct transfer *t); /* t->body is what is sent */
/* What its rule says of where it may go; loopback: it leaves this machine by no name. */
void transfer_set_sockets(struct transfer *t, bool loopback);

/* mail.c: purpose "mail" */
MUST_CHECK bool mail_prepare(struct transfer *t, struct err *err);
/* False: nothing that is particular to mail. */
bool mail_explain(const struct transfer *t, CURLcode code, struct err *ret_err);

/* Why there is no answer, as a finished sentence. */
void explain(const struct transfer *t, CURLcode code, struct err *ret_err);

/* The process: the link to the supervisor and the one to control. */
struct fetcher {
	struct loop *loop;
	struct engine engine;
	struct link supervisor, control;
	struct list transfers, questions, changes;
	struct responder responder;
	struct buf fences;
};
void fetcher_init(struct fetcher *f, struct loop *loop, int supervisor);
void fetcher_done(struct fetcher *f);

#endif
