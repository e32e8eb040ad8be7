/* What the API asks of control: the state of things, and to read the file again. */
#include "control/control.h"
#include "server/settings.h"

/* ---- status ---- */

static void write_fences(struct control *c, struct json_writer *w)
{
	buf_clear(&c->fences[PROCESS_FETCH]);
	buf_add(&c->fences[PROCESS_FETCH], fetch_link_fences(c->fetch));
	bool own_user = c->uid != (int)geteuid();
	json_write_array(w, "fences");
	for (unsigned p = 0; p < PROCESS_COUNT; p++) {
		if (!c->fences[p].n)
			continue;
		json_write_object(w, NULL);
		json_write_c(w, "process", process_name((enum process)p));
		BUF_AUTO standing = BUF(1024);
		if (own_user && p != PROCESS_CONTROL)
			buf_add_c(&standing, "own-user ");
		buf_add_buf(&standing, &c->fences[p]);
		json_write_text(w, "standing", buf_str(&standing));
		json_write_end(w);
	}
	json_write_end(w);
}

const char *binding_state(const struct control *c, const struct binding *b)
{
	if (b->fd < 0)
		return b->error ? "failed" : "binding";
	return held_back_listener(c, b) ? "held back" : "listening";
}

static void write_listeners(struct control *c, struct json_writer *w)
{
	json_write_array(w, "listeners");
	LIST_EACH (n, &c->bindings) {
		const struct binding *b = OWNER(n, struct binding, node);
		json_write_object(w, NULL);
		json_write_c(w, "address", b->host);
		json_write_int(w, "port", b->port);
		json_write_c(w, "scheme", b->tls ? "https" : "http");
		json_write_c(w, "state", binding_state(c, b));
		json_write_c(w, "holder", b->holder && *b->holder ? b->holder : NULL);
		json_write_c(w, "error", binding_why(b));
		json_write_end(w);
	}
	json_write_end(w);
}

static void write_names(struct json_writer *w, const struct config_site *s)
{
	json_write_array(w, "names");
	if (s->fallback)
		json_write_c(w, NULL, "*");
	for (size_t i = 0; i < s->name_count; i++)
		json_write_text(w, NULL, s->names[i]);
	json_write_end(w);
}

static void write_source(struct control *c, struct json_writer *w, const struct served_site *site)
{
	if (!site->in_file) {
		json_write_c(w, "source", "store");
		return;
	}
	json_write_object(w, "source");
	json_write_text(w, "file", c->config->file);
	json_write_int(w, "line", site->settings.at.line);
	json_write_end(w);
}

static void write_site(struct control *c, struct json_writer *w, const struct served_site *site)
{
	const struct config_site *s = &site->settings;
	const struct hsts *hsts = s->hsts.set ? &s->hsts : &c->config->hsts;
	json_write_object(w, NULL);
	write_names(w, s);
	json_write_array(w, "upstreams");
	for (size_t i = 0; i < s->upstream_count; i++)
		json_write_text(w, NULL, s->upstreams[i].shown);
	json_write_end(w);
	json_write_bool(w, "force_ssl", s->force_ssl_set ? s->force_ssl : c->config->force_ssl);
	if (hsts->set)
		json_write_int(w, "hsts", hsts->max_age);
	else
		json_write_null(w, "hsts");
	write_source(c, w, site);
	json_write_end(w);
}

/* As they are served: what is held back is told by `problem`. */
static void write_sites(struct control *c, struct json_writer *w)
{
	SITES_AUTO sites;
	sites_collect(c, c->config, &sites);
	json_write_array(w, "sites");
	for (size_t i = 0; i < sites.count; i++)
		if (site_has_names(&sites.at[i]))
			write_site(c, w, &sites.at[i]);
	json_write_end(w);
}

static void status(struct portal_host *h, struct json_writer *w)
{
	struct control *c = OWNER(h, struct control, host);
	struct err clock = ERR_INIT;
	json_write_c(w, "version", EVERSEAL_VERSION);
	json_write_time(w, "started", c->started);
	json_write_c(w, "state", c->state);
	json_write_int(w, "generation", c->current ? c->current->number : 0);
	json_write_bool(w, "draining", h->draining);
	json_write_bool(w, "serving", link_alive(&c->serve) && c->serve_has_current);
	json_write_c(w, "problem", c->trouble.n ? buf_c(&c->trouble) : NULL);
	json_write_c(w, "clock", renew_clock(c->renewals, &clock) ? NULL : clock.text);
	json_write_c(w, "master_key",
	        master_source(c->master) == MASTER_CREDENTIAL ? "a credential"
	                                                      : "beside the database");
	write_fences(c, w);
	write_listeners(c, w);
	page_write(c, w, "page");
	write_sites(c, w);
	counted_write(c, w, "counters");
	upstreams_write(c, w, "upstreams");
	renew_limits_all(c->renewals, "issuers", w);
	notify_write(c->notify, "notify", w);
}

/* ---- reload ---- */

struct reload {
	struct serving_change change;
	struct later later; /* a file that cannot be read is told after the call has returned */
	struct list node;
	struct control *control;
	struct portal_reload *asked; /* NULL: nobody waits for the outcome */
	struct err err;
};

static void tell(struct reload *r, const struct err *err)
{
	struct portal_reload *asked = r->asked;
	if (err)
		log_error(&r->control->log,
		        "The configuration was not reloaded, keeping the old one: %s", err->text);
	else
		log_info(&r->control->log, "The configuration was reloaded.");
	if (r->control->begun)
		link_send(&r->control->supervisor, ready, .status = STR("serving"));
	list_remove(&r->node);
	free(r);
	if (asked)
		asked->done(asked, err);
}

static void in_force(struct serving_change *change, const struct err *err)
{
	tell(OWNER(change, struct reload, change), err);
}

static void unreadable(struct later *l)
{
	struct reload *r = OWNER(l, struct reload, later);
	struct err err = r->err;
	tell(r, &err);
}

/* The sentence is that of the first error; `everseal check` shows them all. */
static void say_how_many(const struct buf *errors, struct err *err)
{
	size_t count = 0;
	for (size_t i = 0; i < errors->n; i++)
		count += errors->p[i] == '\n';
	struct str first = str_head(buf_str(errors), str_find(buf_str(errors), '\n'));
	if (count > 1)
		err_set(err, ERR_INPUT,
		        "%.*s There are %zu errors: `everseal check` shows them all.",
		        STR_ARG(first), count);
}

void host_reload(struct control *c, struct portal_reload *asked)
{
	struct reload *r = mem_new(struct reload);
	BUF_AUTO errors = BUF(64 << 10);
	r->control = c;
	r->asked = asked;
	r->change.done = in_force;
	list_add_last(&c->reloads, &r->node);
	struct config *config = config_read(&c->source, &errors, &r->err);
	if (!config)
		say_how_many(&errors, &r->err);
	if (config && !access_log_usable(config, &r->err))
		config_free(&config);
	if (config)
		generation_want(c, config, &r->change);
	else
		later_start(&r->later, c->loop, unreadable);
}

static void reload(struct portal_host *h, struct portal_reload *asked)
{
	host_reload(OWNER(h, struct control, host), asked);
}

static void reload_abort(struct portal_host *h, struct portal_reload *asked)
{
	struct control *c = OWNER(h, struct control, host);
	LIST_EACH (n, &c->reloads) {
		struct reload *r = OWNER(n, struct reload, node);
		if (r->asked == asked)
			r->asked = NULL;
	}
}

static const struct portal_host_ops host_ops = {
	.status = status,
	.reload = reload,
	.reload_abort = reload_abort,
	.upgrade = upgrade_ask,
	.upgraded = upgrade_told,
	.config = ask_config,
	.kept = ask_kept,
	.generation = ask_generation,
	.each_site = ask_each_site,
	.change = ask_change,
	.change_abort = ask_change_abort,
	.listeners = ask_listeners,
	.page = ask_page,
	.upstreams = ask_upstreams,
	.count = counted_ask,
	.count_abort = counted_ask_abort,
	.holder = ask_holder,
	.holder_abort = ask_holder_abort,
};

void host_init(struct control *c)
{
	c->host.ops = &host_ops;
	c->upgrade.sentence = BUF(16 << 10);
	list_init(&c->reloads);
	list_init(&c->questions);
}

void host_done(struct control *c)
{
	buf_done(&c->upgrade.sentence);
	LIST_EACH (n, &c->reloads) {
		struct reload *r = OWNER(n, struct reload, node);
		later_stop(&r->later);
		list_remove(&r->change.node);
		list_remove(&r->node);
		free(r);
	}
}
