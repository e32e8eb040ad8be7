/* Changes of zones for control. */
#include "base/clock.h"
#include "fetcher/fetcher.h"

static bool make(struct dns_exchange *x, struct buf *out)
{
	struct change *c = OWNER(x, struct change, exchange);
	return dns_update_make(out, &c->change, x->id, &c->mac);
}

static enum dns_heard heard(struct dns_exchange *x, struct str bytes, enum dns_outcome *ret_outcome)
{
	struct change *c = OWNER(x, struct change, exchange);
	const struct dns_updated u = { .change = &c->change,
		.id = x->id,
		.mac = buf_str(&c->mac),
		.server = str_c(x->server),
		.now = loop_wall(c->loop) / SECOND };
	*ret_outcome = DNS_FOUND;
	return dns_update_read(bytes, &u, &c->err) ? DNS_HEARD_END : DNS_HEARD_FOREIGN;
}

static void no_answer(struct change *c, enum dns_outcome outcome)
{
	const char *server = c->exchange.server;
	if (outcome == DNS_NO_NAME)
		err_set(&c->err, ERR_INPUT,
		        "%.*s cannot be put into the zone %.*s: it is no name, or the key's secret "
		        "is no base64.",
		        STR_ARG(c->change.name), STR_ARG(c->change.zone));
	else if (outcome == DNS_GARBLED)
		err_set(&c->err, ERR_PROTOCOL,
		        "The name server %s answered something that is not DNS.", server);
	else
		err_set(&c->err, ERR_TIMEOUT,
		        "The name server %s does not answer to an update of the zone %.*s, neither "
		        "by UDP nor by TCP." ERR_REMEDY
		        "Check its address in `update`, and that no firewall is between.",
		        server, STR_ARG(c->change.zone));
}

static void done(struct dns_exchange *x, enum dns_outcome outcome)
{
	struct change *c = OWNER(x, struct change, exchange);
	if (outcome != DNS_FOUND)
		no_answer(c, outcome);
	link_send(c->control, updated, .id = c->id, .error = c->err.code,
	        .sentence = str_c(c->err.text));
	change_free(c);
}

static struct str keep(struct change *c, struct str text)
{
	const size_t from = c->texts.n;
	buf_add(&c->texts, text);
	return str_n(c->texts.p + from, c->texts.n - from);
}

static void keep_all(struct change *c, const struct msg_update *m)
{
	const struct str *const texts[] = { &m->zone, &m->name, &m->value, &m->key_name, &m->hmac,
		&m->secret };
	size_t total = 0;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		total += texts[i]->n;
	c->texts = BUF_SECRET(LINK_MESSAGE_MOST);
	CHECK(buf_room(&c->texts, total)); /* so that it does not move */
	c->change = (struct dns_change){ .zone = keep(c, m->zone),
		.name = keep(c, m->name),
		.value = keep(c, m->value),
		.remove = m->remove,
		.key_name = keep(c, m->key_name),
		.hmac = keep(c, m->hmac),
		.secret = keep(c, m->secret) };
}

void change_begin(
        struct list *changes, struct link *control, struct loop *loop, const struct msg_update *m)
{
	struct change *c = mem_new(struct change);
	c->id = m->id;
	c->control = control;
	c->loop = loop;
	c->mac = BUF(256);
	keep_all(c, m);
	c->exchange.timeout = m->timeout;
	c->exchange.tcp_last = true;
	c->exchange.make = make;
	c->exchange.heard = heard;
	c->exchange.done = done;
	dns_servers_from(m->server, &c->exchange.servers);
	list_add_last(changes, &c->node);
	dns_exchange_start(&c->exchange, loop);
}

void change_free(struct change *c)
{
	dns_exchange_abort(&c->exchange);
	list_remove(&c->node);
	buf_done(&c->texts);
	buf_done(&c->mac);
	free(c);
}
