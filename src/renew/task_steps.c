/* A task's events as the page shows them: one step for all that tell of the same thing, each with
 * the time that it took. */
#include "renew/private.h"

static bool same_step(const struct event *a, const struct event *b)
{
	return str_eq(a->step, b->step) && str_eq(a->subject, b->subject);
}

static bool is(const struct event *e, const char *step)
{
	return str_eq_c(e->step, step);
}

/* The latest event that tells of the same thing. */
static size_t last_of(const struct task *t, size_t first)
{
	size_t last = first;
	for (size_t i = first + 1; i < t->count && !is(&t->events[i], "again"); i++)
		if (same_step(&t->events[i], &t->events[first]))
			last = i;
	return last;
}

static bool is_first(const struct task *t, size_t i)
{
	return !task_event_before(t, i, t->events[i].step, t->events[i].subject) ||
	       is(&t->events[i], "again");
}

/* Where another step begins: proofs of several names go on side by side, and end together. */
static size_t next_step(const struct task *t, size_t first)
{
	size_t i = first + 1;
	while (i < t->count &&
	        (str_eq(t->events[i].step, t->events[first].step) || !is_first(t, i)))
		i++;
	return i;
}

static void write_step(const struct task *t, size_t first, struct json_writer *w)
{
	const size_t last = last_of(t, first), next = next_step(t, first);
	const struct event *begun = &t->events[first], *said = &t->events[last];
	const bool over = next < t->count && !is(&t->events[next], "end");
	json_write_object(w, NULL);
	json_write_int(w, "seq", (int64_t)last);
	json_write_time(w, "at", begun->at);
	json_write_int(w, "ms", begun->at - t->queued);
	if (next < t->count)
		json_write_int(w, "took", t->events[next].at - begun->at);
	else
		json_write_null(w, "took");
	json_write_text(w, "step", begun->step);
	json_write_c(w, "subject", begun->subject.n ? begun->subject.p : NULL);
	json_write_text(w, "text", said->text);
	json_write_c(w, "state", task_state_name(over ? TASK_SUCCESS : t->state));
	json_write_end(w);
}

/* How it ended is the task's own state, and its error; it is a step only if nothing was done. */
void task_write_steps(struct renewals *r, struct str id, const char *key, struct json_writer *w)
{
	const struct task *t = task_find(r, id);
	json_write_array(w, key);
	for (size_t i = 0; t && i < t->count; i++)
		if (is_first(t, i) && (i == 0 || !is(&t->events[i], "end")))
			write_step(t, i, w);
	json_write_end(w);
}

void task_write_error(const struct task_view *t, const char *key, struct json_writer *w)
{
	if (!t->error) {
		json_write_null(w, key);
		return;
	}
	json_write_object(w, key);
	error_write(w, t->error);
	json_write_c(w, "ca_text", t->ca_text.n ? t->ca_text.p : NULL);
	json_write_end(w);
}
