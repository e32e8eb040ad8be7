/* How a generation comes to stand: the addresses are bound, serve prepares the rows, then it is
 * committed; any refusal before that changes nothing. One at a time; what is asked for meanwhile
 * goes into the next one.
 *
 * A serve that is restarted gets the generation in force again (or the one that was on its way).
 * A generation under which serve died three times in 10 s is rolled back to the one before. */
#include "control/control.h"
#include <errno.h>

static void go_on(struct control *c);

static void turn(struct later *l)
{
	go_on(OWNER(l, struct control, turn));
}

void generation_init(struct control *c)
{
	list_init(&c->bindings);
	list_init(&c->changes);
	list_init(&c->waiting);
	for (size_t i = 0; i < sizeof c->deaths / sizeof *c->deaths; i++)
		c->deaths[i] = INT64_MIN / 2;
}

void rows_free(struct rows **r)
{
	if (!*r)
		return;
	config_free(&(*r)->config);
	free((*r)->at);
	arena_done(&(*r)->arena);
	free(*r);
	*r = NULL;
}

/* ---- the end of a plan ---- */

static void finish_changes(struct control *c, const struct err *err)
{
	struct list ended;
	list_init(&ended);
	while (!list_empty(&c->changes)) {
		struct list *n = list_first(&c->changes);
		list_remove(n);
		list_add_last(&ended, n);
	}
	while (!list_empty(&ended)) {
		struct serving_change *change = OWNER(list_first(&ended), struct serving_change, node);
		list_remove(&change->node);
		change->done(change, err);
	}
}

/* Bindings that nothing in force needs are given back. */
static void release_unwanted(struct control *c)
{
	LIST_EACH(n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->wanted)
			continue;
		link_send(&c->supervisor, release, .id = b->id);
		if (b->fd >= 0)
			close(b->fd);
		list_remove(&b->node);
		free(b->host);
		free(b->holder);
		free(b);
	}
}

static void refuse(struct control *c, const struct err *err)
{
	log_error(&c->log, "Generation %lld is refused, keeping the one before: %s",
		(long long)c->last_number, err->text);
	if (c->plan)
		link_send(&c->serve, abort, .number = c->plan->number);
	c->sending = NULL;
	rows_free(&c->plan);
	config_free(&c->next_config);
	c->stage = PLAN_NONE;
	rows_want_bindings(c, c->config);
	release_unwanted(c);
	finish_changes(c, err);
	later_start(&c->turn, c->loop, turn);
}

static void stands(struct control *c)
{
	struct config *old = NULL;
	if (c->next_config) {
		old = c->config;
		c->config = c->next_config;
		c->next_config = NULL;
	}
	rows_free(&c->previous);
	c->previous = c->current;
	if (c->previous)
		c->previous->config = old; /* lives until nothing can roll back to it */
	c->current = c->plan;
	c->plan = NULL;
	c->stage = PLAN_NONE;
	release_unwanted(c);
	if (old || !c->begun)
		renewals_configure(c->renewals, c->config);
	if (!c->begun) {
		c->begun = true;
		link_send(&c->supervisor, ready, .status = STR("serving"));
		renewals_begin(c->renewals);
	}
	finish_changes(c, NULL);
	later_start(&c->turn, c->loop, turn);
}

/* ---- its stages ---- */

/* Rows go by serve's credit, so that many sites do not pile up in the link. */
static void send_rows(struct control *c)
{
	struct rows *r = c->sending;
	while (r && c->next_row < r->count && c->credit > 0) {
		const struct msg *m = &r->at[c->next_row++];
		link_send_message(&c->serve, m->type, &m->is);
		c->credit--;
	}
	if (!r || c->next_row < r->count)
		return;
	link_send(&c->serve, generation_end, .number = r->number);
	c->sending = NULL;
}

static void begin_rows(struct control *c, struct rows *r)
{
	if (!link_alive(&c->serve))
		return;
	c->sending = r;
	c->next_row = 0;
	link_send(&c->serve, generation, .number = r->number, .thumbprint = str_c(c->thumbprint));
	send_rows(c);
}

void generation_credit(struct control *c, int64_t messages)
{
	c->credit += messages;
	send_rows(c);
}

/* Whether every address has been answered; *ret_failed is one that could not be had. */
static bool all_answered(struct control *c, struct binding **ret_failed)
{
	*ret_failed = NULL;
	LIST_EACH(n, &c->bindings) {
		struct binding *b = OWNER(n, struct binding, node);
		if (b->wanted && b->fd < 0 && !b->error)
			return false;
		if (b->wanted && b->fd < 0)
			*ret_failed = b;
	}
	return true;
}

bool binding_error(const struct binding *b, struct err *err)
{
	if (b->holder && *b->holder)
		return err_set(err, ERR_BUSY, "%s holds port %u of %s. Everseal takes nothing away: choose "
			"another address or port, or stop it.", b->holder, b->port, b->host);
	if (b->error == EACCES)
		return err_set(err, ERR_PERMISSION, "Port %u of %s needs a right that Everseal does not "
			"have: start it as root, or give it CAP_NET_BIND_SERVICE.", b->port, b->host);
	return err_sys(err, ERR_BUSY, b->error, "Port %u of %s cannot be bound", b->port, b->host);
}

static bool bound_or_refused(struct control *c)
{
	struct binding *failed;
	if (!all_answered(c, &failed))
		return false;
	if (!failed || !c->strict)
		return true;
	struct err err = ERR_INIT;
	binding_error(failed, &err);
	refuse(c, &err);
	return false;
}

static void begin(struct control *c)
{
	if (!c->again && list_empty(&c->waiting) && !c->waiting_config)
		return;
	c->again = false;
	c->last_number++;
	c->next_config = c->waiting_config;
	c->waiting_config = NULL;
	c->strict = c->next_config && c->begun;
	while (!list_empty(&c->waiting)) {
		struct list *n = list_first(&c->waiting);
		list_remove(n);
		list_add_last(&c->changes, n);
	}
	rows_want_bindings(c, c->next_config ? c->next_config : c->config);
	c->stage = PLAN_BINDING;
}

static void go_on(struct control *c)
{
	if (c->stage == PLAN_NONE)
		begin(c);
	if (c->stage != PLAN_BINDING || !bound_or_refused(c))
		return;
	c->plan = rows_build(c, c->next_config ? c->next_config : c->config);
	c->plan->number = c->last_number;
	c->stage = PLAN_SENT;
	begin_rows(c, c->plan);
}

void generation_want(struct control *c, struct config *config, struct serving_change *change)
{
	if (config) {
		config_free(&c->waiting_config);
		c->waiting_config = config;
	}
	if (change)
		list_add_last(&c->waiting, &change->node);
	c->again = true;
	later_start(&c->turn, c->loop, turn);
}

void generation_change_abort(struct serving_change *change)
{
	list_remove(&change->node);
}

/* ---- what the others say ---- */

static struct binding *binding_by_id(struct control *c, int64_t id)
{
	LIST_EACH(n, &c->bindings)
		if (OWNER(n, struct binding, node)->id == id)
			return OWNER(n, struct binding, node);
	return NULL;
}

static void say_binding(struct control *c, const struct binding *b)
{
	struct err err = ERR_INIT;
	if (b->fd >= 0) {
		log_info(&c->log, "Listening on %s, port %u.", b->host, b->port);
		return;
	}
	binding_error(b, &err);
	log_error(&c->log, "%s It is tried again every second.", err.text);
}

void generation_bound(struct control *c, const struct msg_bound *m)
{
	struct binding *b = binding_by_id(c, m->id);
	if (!b) {
		if (m->fd >= 0)
			close(m->fd);
		return;
	}
	bool late = c->stage == PLAN_NONE;
	if (b->fd >= 0)
		close(b->fd);
	b->fd = m->fd;
	b->error = m->fd < 0 ? (int)m->error : 0;
	free(b->holder);
	b->holder = str_dup(m->holder);
	say_binding(c, b);
	if (late && b->fd >= 0)
		c->again = true;
	later_start(&c->turn, c->loop, turn);
}

void generation_heard(struct control *c, const struct msg *m)
{
	struct rows *target = c->plan ? c->plan : c->current;
	if (!target)
		return;
	if (m->type == MSG_prepared && m->is.prepared.number == target->number) {
		link_send(&c->serve, commit, .number = target->number);
	} else if (m->type == MSG_refused && c->plan && m->is.refused.number == c->plan->number) {
		struct err err = ERR_INIT;
		err_set(&err, ERR_REFUSED, "%.*s", STR_ARG(m->is.refused.sentence));
		refuse(c, &err);
	} else if (m->type == MSG_committed && c->plan && m->is.committed.number == c->plan->number) {
		stands(c);
	}
}

/* ---- serve comes and goes ---- */

void generation_serve_came(struct control *c)
{
	c->credit = 0;
	serving_send(c);
	board_attach(c->board, &c->serve);
	if (c->plan || c->current)
		begin_rows(c, c->plan ? c->plan : c->current);
}

static bool died_thrice(struct control *c)
{
	int64_t now = loop_mono(c->loop);
	c->deaths[0] = c->deaths[1];
	c->deaths[1] = c->deaths[2];
	c->deaths[2] = now;
	return now - c->deaths[0] < 10 * SECOND;
}

static void roll_back(struct control *c)
{
	log_error(&c->log, "The data plane died three times in 10 s under generation %lld, going back "
		"to generation %lld.", (long long)c->current->number, (long long)c->previous->number);
	rows_free(&c->current);
	c->current = c->previous;
	c->previous = NULL;
	if (!c->current->config)
		return;
	struct config *failed = c->config;
	c->config = c->current->config;
	c->current->config = NULL;
	renewals_configure(c->renewals, c->config);
	config_free(&failed);
}

void generation_serve_went(struct control *c)
{
	struct err err = ERR_INIT;
	board_detach(c->board, &c->serve);
	c->sending = NULL;
	if (!died_thrice(c))
		return;
	if (c->plan && c->begun) {
		err_set(&err, ERR_REFUSED, "The data plane died three times in 10 s while it prepared "
			"the new configuration.");
		refuse(c, &err);
	} else if (!c->plan && c->previous) {
		roll_back(c);
	}
}
