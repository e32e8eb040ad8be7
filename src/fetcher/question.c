/* DNS questions for control. */
#include "fetcher/fetcher.h"
#include <fcntl.h>

enum { RESOLV_CONF_MOST = 64 << 10, PIECE = 4096 };

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
		dns_servers_from(servers, &l->servers);
		return;
	}
	BUF_AUTO text = BUF(RESOLV_CONF_MOST);
	read_file("/etc/resolv.conf", &text);
	dns_servers_of_system(buf_str(&text), &l->servers);
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
	        .server = str_c(l->server), .ms = l->ms);
	question_free(q);
}

void question_ask(struct list *questions, struct link *control, struct loop *loop,
        const struct msg_resolve *m)
{
	struct question *q = mem_new(struct question);
	q->id = m->id;
	q->control = control;
	q->lookup.name = m->name;
	q->lookup.timeout = m->timeout;
	q->lookup.done = answered;
	if (dns_type_from_name(m->type, &q->lookup.type))
		choose_servers(&q->lookup, m->servers);
	list_add_last(questions, &q->node);
	dns_lookup_start(&q->lookup, loop);
}
