/* How a generation comes to stand: its addresses are bound, serve prepares its rows, then it is
 * committed; any refusal before that changes nothing. One at a time; what is asked for meanwhile
 * goes into the next one.
 *
 * A serve that is new gets the generation in force first, then the one that is on its way. A
 * generation under which serve died three times in 10 s is rolled back to the one before: to the
 * configuration before, or, if that is the same, to the sites and listeners before; those that it
 * had more are held back until the file is read again. */
#include "control/control.h"

/* The first generation goes on without addresses that nothing is heard of for so long: the
 * supervisor tries a busy port for 2 s, and what is stored is to be served. */
static const int64_t PATIENCE = SECOND / 4;
/* serve gives credit for every message, but rows alone use it up. */
enum { CREDIT_MOST = 1024 };

static void go_on(struct control *c);

static void turn(struct later *l)
{
	go_on(OWNER(l, struct control, turn));
}

static void forget_deaths(struct control *c)
{
	for (size_t i = 0; i < sizeof c->deaths / sizeof *c->deaths; i++)
		c->deaths[i] = INT64_MIN / 2;
}

void generation_init(struct control *c)
{
	list_init(&c->bindings);
	list_init(&c->password_checks);
	list_init(&c->changes);
	list_init(&c->waiting);
	list_init(&c->reloading);
	c->trouble = BUF(4096);
	forget_deaths(c);
}

void generation_done(struct control *c)
{
	timer_stop(&c->patience);
	later_stop(&c->turn);
	rows_free(&c->plan);
	rows_free(&c->current);
	rows_free(&c->previous);
	config_free(&c->next_config);
	config_free(&c->waiting_config);
	held_back_clear(c);
	LIST_EACH (n, &c->bindings)
		OWNER(n, struct binding, node)->wanted = false;
	bindings_release(c);
	buf_done(&c->trouble);
}

/* ---- what serve is told ---- */

/* A listener that has gone since is left out: it is only so for a generation that was taken back
 * into force, and comes with the next one. */
static void send_row(struct control *c, const struct msg *m)
{
	if (m->type != MSG_listener) {
		link_send_message(&c->serve, m->type, &m->is);
		return;
	}
	const struct binding *b = binding_by_id(c, m->is.listener.id);
	struct msg_listener row = m->is.listener;
	row.fd = b ? b->fd : -1;
	if (row.fd >= 0)
		link_send_message(&c->serve, MSG_listener, &row);
}

/* Rows go by serve's credit, so that many sites do not pile up in the link. */
static void send_rows(struct control *c)
{
	const struct rows *r = c->offered;
	if (!r || c->next_row > r->count)
		return;
	while (c->next_row < r->count && c->credit > 0) {
		send_row(c, &r->at[c->next_row++]);
		c->credit--;
	}
	if (c->next_row < r->count)
		return;
	link_send(&c->serve, generation_end, .number = r->number);
	c->next_row = r->count + 1;
}

/* The generation in force if serve lacks it, then the plan. A serve that was started for the plan
 * has that first: it opens no directory that its first one did not bring. */
static void offer(struct control *c)
{
	bool lacks = c->current && !c->serve_has_current && !(c->renewing && c->plan);
	struct rows *r = lacks ? c->current : c->plan;
	if (!r || c->offered || !link_alive(&c->serve))
		return;
	c->offered = r;
	c->next_row = 0;
	link_send(&c->serve, generation, .number = r->number, .thumbprint = str_c(c->thumbprint),
	        .sticky_key = str_n(c->sticky_key, sizeof c->sticky_key));
	send_rows(c);
}

void generation_credit(struct control *c, int64_t messages)
{
	if (messages <= 0)
		return;
	c->credit = messages < CREDIT_MOST - c->credit ? c->credit + messages : CREDIT_MOST;
	send_rows(c);
}

/* ---- the end of a plan ---- */

static void move_all(struct list *from, struct list *to)
{
	LIST_EACH (n, from) {
		list_remove(n);
		list_add_last(to, n);
	}
}

static void finish_changes(struct control *c, const struct err *err)
{
	struct list ended;
	list_init(&ended);
	move_all(&c->changes, &ended);
	while (!list_empty(&ended)) {
		struct serving_change *change =
		        OWNER(list_first(&ended), struct serving_change, node);
		list_remove(&change->node);
		change->done(change, err);
	}
}

/* What became of a generation, for the log and, until the next one stands, for status. */
static void say_trouble(struct control *c, const struct err *err)
{
	log_error(&c->log, "%s", err->text);
	if (c->rolled_back)
		return;
	buf_clear(&c->trouble);
	buf_add_c(&c->trouble, err->text);
}

static const struct config *planned(const struct control *c)
{
	return c->next_config ? c->next_config : c->config;
}

/* What was to come after the plan is refused with it. */
static void refuse_waiting_config(struct control *c)
{
	c->making_way = false;
	config_free(&c->waiting_config);
	move_all(&c->reloading, &c->changes);
}

/* Nothing of the plan is left, and nothing has changed. */
static void refuse(struct control *c, const struct err *err)
{
	struct err said = *err;
	err_prefix(&said, "Generation %lld is refused, %s", (long long)c->last_number,
	        c->begun ? "keeping the one before" : "nothing is served yet");
	say_trouble(c, &said);
	if (c->plan && c->offered == c->plan) {
		link_send(&c->serve, abort, .number = c->plan->number);
		c->offered = NULL;
	}
	if (c->making_way)
		refuse_waiting_config(c);
	rows_free(&c->plan);
	config_free(&c->next_config);
	c->stage = PLAN_NONE;
	forget_deaths(c);
	bindings_restore(c, c->last_number);
	serving_settle(c);
	finish_changes(c, err);
	offer(c);
	later_start(&c->turn, c->loop, turn);
}

/* Those settings that processes take at their start. */
static void say_later(struct control *c, const struct config *old)
{
	const struct {
		const char *name;
		bool changed;
	} at_start[] = {
		{ "state", !str_eq(old->state, c->config->state) },
		{ "user", !str_eq(old->user, c->config->user) },
		{ "workers", old->workers != c->config->workers },
	};
	for (size_t i = 0; i < sizeof at_start / sizeof *at_start; i++)
		if (at_start[i].changed)
			log_warning(&c->log,
			        "`%s` has changed in the configuration, which takes effect "
			        "when Everseal is started again; keeping the old one until then.",
			        at_start[i].name);
}

static struct config *take_next_config(struct control *c)
{
	struct config *old = c->config;
	c->config = c->next_config;
	c->next_config = NULL;
	held_back_clear(c);
	c->rolled_back = false;
	say_later(c, old);
	control_configured(c);
	return old;
}

/* Who had found us late would have ended us by now. */
static void proven(struct timer *t)
{
	struct control *c = OWNER(t, struct control, proof);
	struct err err = ERR_INIT;
	if (!store_proven(c->store, &err))
		log_warning(
		        &c->log, "%s A copy of the database as it was before is kept.", err.text);
}

static void begin_serving(struct control *c)
{
	c->begun = true;
	link_send(&c->supervisor, ready, .status = STR("serving"));
	timer_start(&c->proof, c->loop, MINUTE, proven);
	renewals_begin(c->renewals);
	notify_begin(c->notify);
}

/* Its predecessor, which has served all the while, may end. */
static void renewed(struct control *c)
{
	if (c->renewing)
		link_send(&c->supervisor, renewed, .process = PROCESS_SERVE);
	c->renewing = false;
}

static void stands(struct control *c)
{
	renewed(c);
	c->offered = NULL;
	c->serve_has_current = true;
	rows_free(&c->previous);
	c->previous = c->current;
	c->current = c->plan;
	c->plan = NULL;
	c->stage = PLAN_NONE;
	c->making_way = false;
	forget_deaths(c);
	struct config *old = c->next_config ? take_next_config(c) : NULL;
	if (!c->rolled_back)
		buf_clear(&c->trouble);
	if (c->previous)
		c->previous->config = old; /* lives until nothing can roll back to it */
	else
		config_free(&old);
	bindings_release(c);
	resolve_settle(c);
	serving_settle(c);
	if (!c->begun)
		begin_serving(c);
	renewals_listening(c->renewals);
	portal_sites_changed();
	finish_changes(c, NULL);
	later_start(&c->turn, c->loop, turn);
}

/* ---- the stages of a plan ---- */

static void patience_over(struct timer *t)
{
	go_on(OWNER(t, struct control, patience));
}

/* The file that was read again goes first and alone, so that its refusal refuses nobody else. An
 * address of ours that one of its own overlaps goes before that, in a generation without it: the
 * kernel binds no two such. */
static void begin(struct control *c)
{
	c->last_number++;
	if (c->waiting_config && c->begun && bindings_give_way(c, c->waiting_config)) {
		c->making_way = true;
		c->stage = PLAN_BINDING;
		return;
	}
	c->next_config = c->waiting_config;
	c->waiting_config = NULL;
	move_all(c->next_config ? &c->reloading : &c->waiting, &c->changes);
	if (!c->next_config)
		c->again = false;
	bindings_want(c, planned(c), c->last_number);
	c->stage = PLAN_BINDING;
	if (!c->begun)
		timer_start(&c->patience, c->loop, PATIENCE, patience_over);
}

/* Of the first generation, what can be had is served. */
static bool may_be_built(struct control *c)
{
	const struct binding *failed = bindings_failed(c, c->last_number);
	struct err err = ERR_INIT;
	if (failed && c->next_config && c->begun) {
		binding_error(failed, &err);
		refuse(c, &err);
		return false;
	}
	return bindings_answered(c) || (!c->begun && !timer_active(&c->patience));
}

static void build(struct control *c)
{
	timer_stop(&c->patience);
	c->plan = rows_build(c, planned(c));
	c->plan->number = c->last_number;
	resolve_want(c, c->plan);
	c->stage = PLAN_OFFERED;
	offer(c);
}

static void go_on(struct control *c)
{
	bool key_under_way = list_linked(&c->key_call.node);
	if (c->stage == PLAN_NONE && (c->again || c->waiting_config) &&
	        (c->begun || !key_under_way))
		begin(c);
	if (c->stage == PLAN_BINDING && may_be_built(c))
		build(c);
}

void generation_want(struct control *c, struct config *config, struct serving_change *change)
{
	if (config) {
		config_free(&c->waiting_config);
		c->waiting_config = config;
	} else {
		c->again = true;
	}
	if (change)
		list_add_last(config ? &c->reloading : &c->waiting, &change->node);
	later_start(&c->turn, c->loop, turn);
}

void generation_change_abort(struct serving_change *change)
{
	list_remove(&change->node);
}

/* A listener that comes after the rows were built goes into a generation of its own. */
void generation_bound(struct control *c, const struct msg_bound *m)
{
	if (bindings_heard(c, m) && c->stage != PLAN_BINDING)
		c->again = true;
	renewals_listening(c->renewals);
	later_start(&c->turn, c->loop, turn);
}

/* ---- going back ---- */

static void say_rolled_back(struct control *c, bool file)
{
	struct err err = ERR_INIT;
	BUF_AUTO names = BUF(2048);
	held_back_names(c, &names);
	err_set(&err, ERR_REFUSED,
	        "The data plane died three times in 10 s under generation %lld, going "
	        "back to generation %lld.%s%s%s%s",
	        (long long)c->current->number, (long long)c->previous->number,
	        file ? " The configuration before is in force again: mend the file, then `everseal "
	               "reload`."
	             : "",
	        names.n ? " Left out until `everseal reload`: " : "", buf_c(&names),
	        names.n ? "." : "");
	say_trouble(c, &err);
	c->rolled_back = true;
}

static struct config *take_back_config(struct control *c)
{
	struct config *failed = c->config;
	c->config = c->previous->config;
	c->previous->config = NULL;
	control_configured(c);
	return failed;
}

static void roll_back(struct control *c)
{
	struct config *failed = c->previous->config ? take_back_config(c) : NULL;
	if (!failed)
		held_back_add(c, c->current, c->previous);
	say_rolled_back(c, /* file= */ failed);
	config_free(&failed);
	rows_free(&c->current);
	c->current = c->previous;
	c->previous = NULL;
	forget_deaths(c);
	if (c->stage == PLAN_NONE)
		bindings_restore(c, c->last_number);
	else
		bindings_want(c, planned(c), c->last_number);
	serving_settle(c);
}

/* serve has had it before: it is not the rows that are wrong. */
static void current_refused(struct control *c, struct str sentence)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_REFUSED, "The data plane does not take generation %lld again: %.*s",
	        (long long)c->current->number, STR_ARG(sentence));
	say_trouble(c, &err);
	c->offered = NULL;
	if (c->previous)
		roll_back(c);
	else
		c->serve_has_current = true; /* as far as it can: the next one may do better */
	offer(c);
}

/* ---- what serve says ---- */

static void refused(struct control *c, struct str sentence)
{
	struct err err = ERR_INIT;
	if (c->offered == c->current) {
		current_refused(c, sentence);
		return;
	}
	err_set(&err, ERR_REFUSED, "%.*s", STR_ARG(sentence));
	refuse(c, &err);
}

static void committed(struct control *c)
{
	if (c->offered == c->plan) {
		stands(c);
		return;
	}
	c->offered = NULL;
	c->serve_has_current = true;
	renewed(c);
	offer(c);
}

static int64_t number_in(const struct msg *m)
{
	return m->type == MSG_prepared  ? m->is.prepared.number
	       : m->type == MSG_refused ? m->is.refused.number
	                                : m->is.committed.number;
}

void generation_heard(struct control *c, const struct msg *m)
{
	if (!c->offered || number_in(m) != c->offered->number)
		return;
	if (m->type == MSG_prepared)
		link_send(&c->serve, commit, .number = c->offered->number);
	else if (m->type == MSG_refused)
		refused(c, m->is.refused.sentence);
	else
		committed(c);
}

/* ---- serve comes and goes ---- */

void generation_outgrown(struct control *c, int64_t number)
{
	if (!c->offered || number != c->offered->number)
		return;
	log_info(&c->log, "A directory is new to the data plane: another process takes over, "
	                  "which may read it.");
	c->offered = NULL;
	c->renewing = true;
	link_send(&c->supervisor, renew, .process = PROCESS_SERVE);
}

void generation_serve_came(struct control *c)
{
	c->credit = 0;
	feed_all(&c->feed);
	c->serve_logs = false;
	access_log_reopen(c);
	resolve_send(c);
	board_attach(c->board, &c->serve);
	page_seat(c, /* beside_serve= */ true);
	offer(c);
	/* What one serve has refused another may take. */
	if (!c->current && !c->plan)
		generation_want(c, NULL, NULL);
}

static bool died_thrice(struct control *c)
{
	int64_t now = loop_mono(c->loop);
	c->deaths[0] = c->deaths[1];
	c->deaths[1] = c->deaths[2];
	c->deaths[2] = now;
	return now - c->deaths[0] < 10 * SECOND;
}

void generation_serve_replaced(struct control *c)
{
	passwords_forget(c);
	upstreams_forget(c);
	counted_forget(c);
	board_detach(c->board, &c->serve);
	page_seat(c, /* beside_serve= */ false);
	c->offered = NULL;
	c->serve_has_current = false;
}

void generation_serve_went(struct control *c)
{
	struct err err = ERR_INIT;
	generation_serve_replaced(c);
	if (!died_thrice(c))
		return;
	if (c->plan && c->current) {
		err_set(&err, ERR_REFUSED,
		        "The data plane died three times in 10 s while it prepared "
		        "what is new.");
		refuse(c, &err);
	} else if (c->previous) {
		roll_back(c);
	}
}
