/* What is known of each certificate, as the API tells it. */
#include "renew/private.h"

static const char *state_of(const struct registration *g)
{
	int64_t now = loop_wall(g->renewals->needs.loop);
	if (g->held.is && g->held.leaf.not_after <= now)
		return "expired";
	if (g->attempting || list_linked(&g->queued))
		return "working";
	if (g->disabled)
		return "disabled";
	if (!g->in_file && !g->in_store)
		return "retired";
	if (g->failures)
		return "failed";
	return g->held.is ? "ok" : "temporary";
}

static const char *scheduled(const struct registration *g, int64_t *ret_at)
{
	if (g->next_try) {
		*ret_at = g->next_try;
		return "the last attempt failed";
	}
	if (!g->held.is)
		return NULL;
	struct renewal_time when =
	        renewal_time(g->held.leaf.not_before, g->held.leaf.not_after, g->renew_before);
	*ret_at = when.at;
	return when.why;
}

/* The next attempt and why then, or why there is none. */
static void write_next(const struct registration *g, struct json_writer *w)
{
	int64_t at = 0;
	const char *why = registration_blocked(g);
	bool working = g->attempting || list_linked(&g->queued);
	if (!why && working && g->waiting.code) {
		at = g->waiting_until;
		why = g->waiting.text;
	} else if (!why && working)
		why = "an attempt is under way";
	else if (!why)
		why = scheduled(g, &at);
	json_write_time(w, "next_renewal", at);
	json_write_c(w, "reason", why);
}

static void write_held(const struct held *h, struct json_writer *w)
{
	json_write_time(w, "not_before", h->is ? h->leaf.not_before : 0);
	json_write_time(w, "not_after", h->is ? h->leaf.not_after : 0);
	json_write_time(w, "last_renewed", h->is ? h->since : 0);
	if (!h->is)
		return;
	json_write_text(w, "serial", h->leaf.serial);
	json_write_text(w, "issued_by", h->leaf.issuer);
	json_write_c(w, "thumbprint", h->leaf.sha1);
	json_write_text(w, "key_type", h->leaf.key_type);
}

/* As a real handshake saw it: "stored" (the same), else the sentence that says what differs. */
static void write_served(const struct registration *g, struct json_writer *w)
{
	const char *served = g->served_err.code ? g->served_err.text : "stored";
	json_write_c(w, "served", g->served_at ? served : NULL);
	json_write_time(w, "served_at", g->served_at);
	json_write_time(w, "seen_from_outside", g->seen_at);
	json_write_text(w, "seen_client", g->seen_client);
}

static void write_error(const struct registration *g, struct json_writer *w)
{
	if (!g->last_error.code) {
		json_write_null(w, "last_error");
		return;
	}
	json_write_object(w, "last_error");
	json_write_c(w, "code", err_code_name(g->last_error.code));
	json_write_c(w, "message", g->last_error.text);
	json_write_time(w, "at", g->last_error_at);
	json_write_end(w);
}

static void write_registration(const struct registration *g, struct json_writer *w)
{
	json_write_object(w, NULL);
	json_write_c(w, "id", g->id);
	json_write_array(w, "names");
	for (size_t i = 0; i < g->name_count; i++)
		json_write_text(w, NULL, g->names[i]);
	json_write_end(w);
	json_write_text(w, "issuer", g->issuer);
	json_write_c(w, "state", state_of(g));
	json_write_bool(w, "temporary", !g->held.is);
	write_held(&g->held, w);
	write_next(g, w);
	write_served(g, w);
	json_write_int(w, "failures", g->failures);
	json_write_c(w, "task", task_find(g->renewals, str_c(g->task_id)) ? g->task_id : NULL);
	write_error(g, w);
	json_write_end(w);
}

void renew_status(struct renewals *r, struct json_writer *w)
{
	json_write_array(w, "certificates");
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (registration_shown(g))
			write_registration(g, w);
	}
	json_write_end(w);
}

bool renew_status_of(struct renewals *r, struct str name, struct json_writer *w, struct err *err)
{
	const struct registration *g = registration_find(r, name);
	if (!g)
		return err_set(err, ERR_NOT_FOUND,
		        "There is no certificate for %.*s: `everseal status` lists "
		        "those that there are.",
		        STR_ARG(name));
	write_registration(g, w);
	return true;
}
