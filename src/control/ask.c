/* What the API asks about sites and listeners. */
#include "control/control.h"

static struct control *control_of(struct portal_host *h)
{
	return OWNER(h, struct control, host);
}

const struct config *ask_config(struct portal_host *h)
{
	return control_of(h)->config;
}

struct kept *ask_kept(struct portal_host *h)
{
	return &control_of(h)->kept;
}

int64_t ask_generation(struct portal_host *h)
{
	const struct control *c = control_of(h);
	return c->current ? c->current->number : 0;
}

void ask_each_site(struct portal_host *h, struct portal_site_each *each)
{
	struct control *c = control_of(h);
	SITES_AUTO sites;
	sites_collect(c, c->config, &sites);
	for (size_t i = 0; i < sites.count; i++)
		if (site_has_names(&sites.at[i]))
			each->site(each, &sites.at[i], site_url_port(c->config, &sites.at[i]));
}

void ask_change(struct portal_host *h, struct serving_change *change)
{
	generation_want(control_of(h), NULL, change);
}

void ask_change_abort(struct portal_host *h, struct serving_change *change)
{
	(void)h;
	generation_change_abort(change);
}

size_t ask_listeners(struct portal_host *h, struct portal_listener *ret, size_t most)
{
	struct control *c = control_of(h);
	size_t count = 0;
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		if (!b->wanted || count == most)
			continue;
		ret[count++] = (struct portal_listener){
			.address = { .host = str_c(b->host), .port = b->port },
			.tls = b->tls,
			.state = binding_state(c, b),
			.holder = b->holder && *b->holder ? b->holder : NULL,
			.error = binding_why(b),
		};
	}
	return count;
}

void ask_page(struct portal_host *h, struct json_writer *w, const char *key)
{
	page_write(control_of(h), w, key);
}

void ask_upstreams(struct portal_host *h, struct json_writer *w, const char *key,
        const struct str *shown, size_t count)
{
	upstreams_write_shown(control_of(h), w, key, shown, count);
}

/* ---- who holds a port ---- */

bool ask_holder(struct portal_host *h, struct portal_holder *q)
{
	struct control *c = control_of(h);
	q->number = ++c->last_question;
	if (!link_send(&c->supervisor, who_holds, .id = q->number, .address = q->address.host,
	            .port = q->address.port))
		return false;
	list_add_last(&c->questions, &q->node);
	return true;
}

void ask_holder_abort(struct portal_host *h, struct portal_holder *q)
{
	(void)h;
	list_remove(&q->node);
}

void ask_heard_holder(struct control *c, const struct msg_holder *m)
{
	LIST_EACH (n, &c->questions) {
		struct portal_holder *q = OWNER(n, struct portal_holder, node);
		if (q->number != m->id)
			continue;
		list_remove(&q->node);
		q->done(q, m->holder);
		return;
	}
}
