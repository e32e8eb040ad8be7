/* DNS questions for control. */
#include "fetcher/fetcher.h"
#include <fcntl.h>

enum {
	RESOLV_CONF_MOST = 64 << 10,
	HOSTS_MOST = 1 << 20,
	HOSTS_TTL = 60, /* s: nobody tells when that file changes */
	PIECE = 4096
};

static void read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (char *room; (room = buf_room(out, PIECE));) {
		ssize_t n = read(fd, room, PIECE);
		if (n <= 0)
			break;
		buf_grew(out, (size_t)n);
	}
	close(fd);
}

/* The file is read each time: it changes when a machine moves. */
static void choose_servers(struct dns_lookup *l, struct str servers)
{
	if (servers.n) {
		dns_servers_from(servers, &l->exchange.servers);
		return;
	}
	BUF_AUTO text = BUF(RESOLV_CONF_MOST);
	read_file("/etc/resolv.conf", &text);
	dns_servers_of_system(buf_str(&text), &l->exchange.servers);
}

void question_free(struct question *q)
{
	dns_lookup_done(&q->lookup);
	list_remove(&q->node);
	free(q);
}

static void answered(struct dns_lookup *l)
{
	struct question *q = OWNER(l, struct question, lookup);
	link_send(q->control, resolved, .id = q->id,
	        .outcome = str_c(dns_outcome_name(l->answer.outcome)), .owner = l->owner,
	        .aliases = buf_str(&l->answer.aliases), .records = buf_str(&l->answer.records),
	        .server = str_c(l->exchange.server), .ms = l->exchange.ms, .ttl = l->answer.ttl);
	question_free(q);
}

/* Whether this machine's own file says it, and then it is answered. */
static bool is_in_hosts(struct link *control, const struct msg_resolve *m, enum dns_type type)
{
	BUF_AUTO text = BUF(HOSTS_MOST), found = BUF(PIECE);
	read_file("/etc/hosts", &text);
	if (!m->hosts || (type != DNS_A && type != DNS_AAAA) ||
	        !dns_hosts_find(buf_str(&text), m->name, type, &found))
		return false;
	link_send(control, resolved, .id = m->id, .outcome = str_c(dns_outcome_name(DNS_FOUND)),
	        .owner = m->name, .records = buf_str(&found), .server = STR("/etc/hosts"),
	        .ttl = HOSTS_TTL);
	return true;
}

void question_ask(struct list *questions, struct link *control, struct loop *loop,
        const struct msg_resolve *m)
{
	enum dns_type type;
	if (dns_type_from_name(m->type, &type) && is_in_hosts(control, m, type))
		return;
	struct question *q = mem_new(struct question);
	q->id = m->id;
	q->control = control;
	q->lookup.name = m->name;
	q->lookup.exchange.timeout = m->timeout;
	q->lookup.authoritative = m->authoritative;
	q->lookup.done = answered;
	if (dns_type_from_name(m->type, &q->lookup.type))
		choose_servers(&q->lookup, m->servers);
	list_add_last(questions, &q->node);
	dns_lookup_start(&q->lookup, loop);
}
