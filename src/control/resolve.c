/* Names of applications: resolved by fetch whenever their records expire, and told to serve outside
 * of generations. A name is not waited for, and while it does not resolve its last addresses are
 * kept.
 *
 * One that page or API gave is `limited`: what it may not stand for (kept.h) is left out, and so
 * its port belongs to it. serve knows it by a key of its own then. */
#include "control/control.h"

#include "dns/dns.h"
#include "net/address.h"
#include <errno.h>
#include <fcntl.h>

enum { ADDRESSES_MOST = 4096, HOST_NAME_MOST = 300 };
static const int64_t LEAST = 5 * SECOND, MOST = HOUR, RETRY_MOST = MINUTE;

struct answer {
	struct fetch_resolve question;
	struct host *host;
};

struct host {
	struct map_node node; /* by key */
	struct control *control;
	struct str name; /* in the key */
	uint16_t port;   /* of limited ones, else 0 */
	bool wanted;
	struct answer v4, v6;
	unsigned awaited;  /* answers */
	struct buf found;  /* in this round: addresses with spaces between */
	int64_t ttl;       /* ms, the least of this round */
	struct buf why;    /* it was not resolved; empty: it was */
	struct buf told;   /* to serve */
	unsigned failures; /* in a row */
	struct timer again;
	int folder; /* of a Unix socket, else -1 */
	ino_t is;   /* which that is */
	char key[];
};

static struct host *host_of(struct map_node *n)
{
	return OWNER(n, struct host, node);
}

static void ask(struct host *h);
static void find_socket(struct host *h);
static bool is_socket(const struct host *h);

static void due(struct timer *t)
{
	ask(OWNER(t, struct host, again));
}

static void tell(const struct host *h)
{
	(void)link_send(&h->control->serve, host, .name = h->node.key,
	        .addresses = buf_str(&h->told), .fd = h->folder);
}

/* ---- what came ---- */

static bool may_be(struct host *h, const struct sockaddr_storage *at, struct err *err)
{
	ARENA_AUTO a = ARENA_INIT;
	if (!h->port)
		return !address_is_any(at);
	struct kept_listeners ours = renew_listeners(h->control->renewals, &a);
	return kept_upstream_allowed(h->name, at, &ours, err);
}

static void take_address(struct host *h, struct str text)
{
	struct sockaddr_storage at;
	struct err err = ERR_INIT;
	if (!address_parse(text, h->port, &at))
		return;
	if (!may_be(h, &at, &err)) {
		buf_clear(&h->why);
		buf_add_c(&h->why, err.text);
		return;
	}
	buf_add_c(&h->found, h->found.n ? " " : "");
	buf_add(&h->found, text);
}

static const char *words_of(struct str outcome)
{
	static const struct {
		enum dns_outcome outcome;
		const char *words;
	} known[] = {
		{ DNS_NO_NAME, "there is no such name in DNS" },
		{ DNS_NONE, "it has no address in DNS" },
		{ DNS_FAILED, "the name's own DNS servers do not answer" },
		{ DNS_REFUSED, "the DNS server refuses to answer this machine" },
		{ DNS_NO_SERVER, "there is no DNS server to ask" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (str_eq_c(outcome, dns_outcome_name(known[i].outcome)))
			return known[i].words;
	return "the DNS server did not answer";
}

/* What A says of a failure counts before what AAAA says. */
static void note_failure(struct host *h, const char *words)
{
	if (!h->why.n)
		buf_add_c(&h->why, words);
}

static void warn(struct host *h)
{
	struct control *c = h->control;
	if (h->failures > 1)
		return;
	if (h->told.n)
		log_warning(&c->log,
		        "The application's name %.*s cannot be resolved (%s), keeping its last "
		        "addresses: %s.",
		        STR_ARG(h->name), buf_c(&h->why), buf_c(&h->told));
	else
		log_warning(&c->log,
		        "The application's name %.*s cannot be resolved (%s); it is asked for "
		        "again, and requests are answered with 502 until then.",
		        STR_ARG(h->name), buf_c(&h->why));
}

static void resolved(struct host *h)
{
	struct control *c = h->control;
	bool changed = !str_eq(buf_str(&h->told), buf_str(&h->found));
	h->failures = 0;
	buf_clear(&h->why);
	if (!changed)
		return;
	buf_clear(&h->told);
	buf_add_buf(&h->told, &h->found);
	tell(h);
	log_info(&c->log, "The application's name %.*s stands for %s.", STR_ARG(h->name),
	        buf_c(&h->told));
}

/* Servers shuffle what they answer: the order is ours. */
static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void sort_found(struct host *h)
{
	struct str all[2 * DNS_RECORDS_MOST], rest = buf_str(&h->found);
	BUF_AUTO sorted = BUF(ADDRESSES_MOST);
	size_t count = 0;
	while (count < sizeof all / sizeof *all && str_split(&rest, ' ', &all[count]))
		count++;
	qsort(all, count, sizeof *all, by_text);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && str_eq(all[i], all[i - 1]))
			continue;
		buf_add_c(&sorted, sorted.n ? " " : "");
		buf_add(&sorted, all[i]);
	}
	buf_clear(&h->found);
	buf_add_buf(&h->found, &sorted);
}

static int64_t within(int64_t least, int64_t value, int64_t most)
{
	return value < least ? least : value > most ? most : value;
}

static void round_ended(struct host *h)
{
	int64_t wait = within(LEAST, h->ttl, MOST);
	if (h->found.n) {
		sort_found(h);
		resolved(h);
	} else {
		h->failures++;
		wait = within(LEAST, LEAST << (h->failures < 5 ? h->failures - 1 : 4), RETRY_MOST);
		warn(h);
	}
	timer_start(&h->again, h->control->loop, wait, due);
}

static void answered(
        struct fetch_resolve *q, const struct fetch_resolved *came, const struct err *err)
{
	struct host *h = OWNER(q, struct answer, question)->host;
	struct str rest = came ? came->records : STR_NONE, line;
	if (err)
		note_failure(h, "the process that asks DNS did not answer");
	else if (!came->records.n)
		note_failure(h, words_of(came->outcome));
	else if (came->ttl * SECOND < h->ttl)
		h->ttl = came->ttl * SECOND;
	while (str_split(&rest, '\n', &line))
		take_address(h, line);
	if (--h->awaited == 0)
		round_ended(h);
}

/* ---- asking ---- */

static void ask_for(struct host *h, struct answer *a, const char *type, struct str servers)
{
	a->host = h;
	a->question = (struct fetch_resolve){
		.name = h->name, .servers = servers, .type = type, .hosts = true, .done = answered
	};
	h->awaited++;
	fetch_resolve(h->control->fetch, &a->question);
}

static void ask(struct host *h)
{
	if (is_socket(h)) {
		find_socket(h);
		return;
	}
	const struct config *config = h->control->config;
	BUF_AUTO servers = BUF(ADDRESSES_MOST);
	for (size_t i = 0; i < config->resolver_count; i++)
		buf_printf(&servers, "%.*s\n", STR_ARG(config->resolvers[i]));
	buf_clear(&h->found);
	buf_clear(&h->why);
	h->ttl = MOST;
	ask_for(h, &h->v4, "A", buf_str(&servers));
	ask_for(h, &h->v6, "AAAA", buf_str(&servers));
}

/* ---- Unix sockets ---- */

static bool is_socket(const struct host *h)
{
	return str_starts(h->name, STR("unix:/"));
}

static bool is_failing(const struct host *h)
{
	return upstreams_fails(h->control, h->node.key);
}

static void open_folder(struct host *h, const char *folder, struct str file)
{
	struct stat st;
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	buf_clear(&h->why);
	if (fd < 0 || fstat(fd, &st) != 0) {
		h->failures++;
		buf_printf(&h->why, "%s: %s", folder, strerror(errno));
		if (h->failures == 1)
			log_warning(&h->control->log,
			        "The directory of the application's socket %.*s cannot be opened "
			        "(%s); it is looked for again.",
			        STR_ARG(h->name), buf_c(&h->why));
		return;
	}
	h->failures = 0;
	if (h->folder >= 0 && h->is == st.st_ino) {
		(void)close(fd);
		return;
	}
	if (h->folder >= 0)
		(void)close(h->folder);
	h->folder = fd;
	h->is = st.st_ino;
	buf_clear(&h->told);
	buf_add(&h->told, file);
	tell(h);
}

/* An application that is started anew may make its directory anew: it is looked at while the
 * application fails. */
static void find_socket(struct host *h)
{
	struct str path = str_from(h->name, 5);
	size_t name = path.n;
	while (path.p[name - 1] != '/')
		name--;
	char *folder = str_dup(str_head(path, name));
	open_folder(h, folder, str_from(path, name));
	free(folder);
	if (h->failures || is_failing(h))
		timer_start(&h->again, h->control->loop, SECOND, due);
}

void resolve_failing(struct control *c, struct str address)
{
	struct map_node *n = map_find(&c->hosts, address);
	if (n && is_socket(host_of(n)))
		find_socket(host_of(n));
}

/* ---- which there are ---- */

static struct host *host_new(struct control *c, struct str key, struct str name, uint16_t port)
{
	struct host *h = mem_alloc(sizeof *h + key.n + 1);
	memcpy(h->key, key.p, key.n);
	h->control = c;
	h->name = str_n(h->key + (name.p - key.p), name.n);
	h->port = port;
	h->folder = -1;
	h->found = h->told = BUF(ADDRESSES_MOST);
	h->why = BUF(1024);
	map_add(&c->hosts, str_n(h->key, key.n), &h->node);
	return h;
}

static void host_free(struct host *h)
{
	map_remove(&h->control->hosts, &h->node);
	timer_stop(&h->again);
	fetch_resolve_abort(&h->v4.question);
	fetch_resolve_abort(&h->v6.question);
	buf_done(&h->found);
	buf_done(&h->told);
	buf_done(&h->why);
	if (h->folder >= 0)
		(void)close(h->folder);
	free(h);
}

struct str resolve_key(
        struct arena *a, const struct config_upstream *u, const struct config_proxy *p)
{
	struct sockaddr_storage at;
	if (!p->limited || u->scheme == UPSTREAM_UNIX || address_parse(u->host, u->port, &at))
		return arena_str(a, u->host);
	return arena_printf(a, "%.*s limited %u", STR_ARG(u->host), u->port);
}

static void want(struct control *c, const struct msg_upstream *m)
{
	struct sockaddr_storage at;
	bool limited = m->scheme != UPSTREAM_UNIX && str_has(m->host, ' ');
	struct str name = limited ? str_head(m->host, str_find(m->host, ' ')) : m->host;
	if (address_parse(m->host, 0, &at))
		return;
	struct map_node *node = map_find(&c->hosts, m->host);
	struct host *h =
	        node ? host_of(node)
	             : host_new(c, m->host, name, name.n < m->host.n ? (uint16_t)m->port : 0);
	h->wanted = true;
	if (!node)
		ask(h);
}

void resolve_want(struct control *c, const struct rows *rows)
{
	for (size_t i = 0; rows && i < rows->count; i++)
		if (rows->at[i].type == MSG_upstream)
			want(c, &rows->at[i].is.upstream);
}

void resolve_settle(struct control *c)
{
	MAP_EACH (n, &c->hosts)
		host_of(n)->wanted = false;
	resolve_want(c, c->previous);
	resolve_want(c, c->current);
	resolve_want(c, c->plan);
	MAP_EACH (n, &c->hosts) {
		struct host *h = host_of(n);
		if (h->wanted)
			continue;
		buf_clear(&h->told);
		if (h->folder >= 0)
			(void)close(h->folder);
		h->folder = -1;
		tell(h);
		host_free(h);
	}
}

void resolve_send(struct control *c)
{
	MAP_EACH (n, &c->hosts)
		if (host_of(n)->told.n)
			tell(host_of(n));
}

void resolve_done(struct control *c)
{
	MAP_EACH (n, &c->hosts)
		host_free(host_of(n));
	map_done(&c->hosts);
}

bool resolve_find(const struct control *c, struct str key, struct resolve_about *ret)
{
	struct map_node *n = map_find(&c->hosts, key);
	if (!n)
		return false;
	const struct host *h = host_of(n);
	*ret = (struct resolve_about){ .addresses = buf_str(&h->told),
		.why = buf_str(h->failures ? &h->why : &(struct buf)BUF_INIT(1)) };
	return true;
}
