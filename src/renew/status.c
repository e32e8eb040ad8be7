/* What is known of each certificate, as the API tells it. */
#include "renew/import.h"
#include "renew/private.h"

/* One whose task has ended is only being stored: what became of it is known already. */
static bool is_working(const struct registration *g)
{
	return list_linked(&g->queued) || (g->attempting && g->task && task_under_way(g->task));
}

static const char *state_of(const struct registration *g)
{
	int64_t now = wall_now(g->renewals);
	if (g->held.is && g->held.leaf.not_after <= now)
		return "expired";
	if (is_working(g))
		return "working";
	if (revoked_at(g))
		return "revoked";
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
		return g->turn.at ? "the last attempt failed; another issuer is asked then"
		                  : "the last attempt failed";
	}
	if (!g->held.is)
		return NULL;
	const struct renewal_time when = schedule_when(g);
	*ret_at = when.at;
	return revoked_at(g) ? when.why : g->reason;
}

/* The next attempt and why then, or why there is none. */
static const char *next_of(const struct registration *g, int64_t *ret_at)
{
	const char *why = registration_blocked(g);
	*ret_at = 0;
	if (why)
		return why;
	if (!is_working(g))
		return scheduled(g, ret_at);
	if (!g->waiting.code)
		return "an attempt is under way";
	*ret_at = g->waiting_until;
	return g->waiting.text;
}

static enum lamp lamp(const struct registration *g)
{
	const bool asked_for = g->in_file || g->in_store;
	return lamp_of(&(struct lamp_facts){
	        .now = wall_now(g->renewals),
	        .not_before = g->held.is ? g->held.leaf.not_before : 0,
	        .not_after = g->held.is ? g->held.leaf.not_after : 0,
	        .held = g->held.is,
	        .revoked = revoked_at(g),
	        .replaced = !asked_for || (g->held.is && held_superseded(g)),
	        .off = g->disabled || (g->held.is && registration_blocked(g)),
	        .working = is_working(g),
	        .failed = g->failures > 0,
	        .should_be_seen = g->held.is && g->renewals->begun,
	        .seen = g->served_at > 0,
	        .differs = g->served_err.code != ERR_NONE,
	});
}

/* Under way for what, or the last error. */
static struct str why_of(const struct registration *g)
{
	if (is_working(g))
		return str_c(g->waiting.code ? g->waiting.text : "An attempt is under way.");
	if (revoked_at(g))
		return registration_blocked(g)
		               ? STR("The certificate that is served is revoked: browsers that ask "
		                     "its CA refuse it. Register the name again for a new "
		                     "one.")
		               : STR("The certificate that is served is revoked: browsers that ask "
		                     "its CA refuse it. A new one is ordered as soon as its CA's "
		                     "limits allow it.");
	if (g->last_error.code)
		return str_c(g->last_error.text);
	if (g->held.is && staple_is_missed(g->renewals, str_c(g->held.leaf.sha1)))
		return STR("Browsers refuse the certificate, which may only be shown with an "
		           "answer of its CA's OCSP responder (must-staple): that gives "
		           "none. It is asked again; if it goes on, let the CA issue it without "
		           "that (profile), or choose another issuer.");
	return g->served_at && g->served_err.code ? str_c(g->served_err.text) : STR_NONE;
}

static const struct err *error_of(const struct registration *g)
{
	if (is_working(g) && g->waiting.code)
		return &g->waiting;
	return g->last_error.code ? &g->last_error : NULL;
}

struct renew_view registration_view(const struct registration *g)
{
	const struct held *h = &g->held;
	struct renew_view v = {
		.id = str_c(g->id),
		.names = g->names,
		.name_count = g->name_count,
		.issuer = g->issuer,
		.email = g->email,
		.lamp = lamp(g),
		.state = state_of(g),
		.held = h->is,
		.in_store = g->in_store,
		.in_file = g->in_file,
		.primary = registration_primary(g),
		.renewed = registration_wanted(g) && (h->is || !demand_is(g)),
		.created = g->created,
		.not_before = h->is ? h->leaf.not_before : 0,
		.not_after = h->is ? h->leaf.not_after : 0,
		.why = why_of(g),
		.task = task_find(g->renewals, str_c(g->task_id)) ? str_c(g->task_id) : STR_NONE,
	};
	v.reason = next_of(g, &v.next_renewal);
	v.seen = g->seen_at;
	v.replaced =
	        (!g->in_file && !g->in_store) || (h->is && held_superseded(g)) || demand_blocked(g);
	v.failures = g->failures;
	v.since = h->is ? h->since : 0;
	v.revoked = revoked_at(g);
	v.recalled = h->is && g->suggestion.window.moved_back;
	v.explanation = g->suggestion.explanation;
	v.error = error_of(g);
	v.served = g->served_at && g->served_err.code ? &g->served_err : NULL;
	const struct registration *beside = registration_beside(g);
	v.beside = str_c(beside ? beside->id : NULL);
	v.second = beside && key_type_is_rsa(g->key_type);
	if (h->is) {
		v.thumbprint = str_c(h->leaf.sha1);
		v.serial = h->leaf.serial;
		v.issued_by = h->leaf.issuer;
	}
	return v;
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
	json_write_c(w, "sha256", h->leaf.sha256);
	json_write_text(w, "key_type", h->leaf.key_type);
	json_write_int(w, "chain", (int64_t)h->chain_count);
}

static void write_names(struct json_writer *w, const struct str *names, size_t count)
{
	json_write_array(w, "names");
	for (size_t i = 0; i < count; i++)
		json_write_text(w, NULL, names[i]);
	json_write_end(w);
}

/* What the handshake saw; null as long as none showed a certificate. */
static void write_served_leaf(const struct registration *g, struct json_writer *w)
{
	const bool other = g->served_leaf.serial.n > 0;
	const struct cert *leaf = other ? &g->served_leaf : &g->held.leaf;
	if (!g->served_at || (!other && g->served_err.code)) {
		json_write_null(w, "served_leaf");
		return;
	}
	json_write_object(w, "served_leaf");
	write_names(w, leaf->names, leaf->name_count);
	json_write_text(w, "serial", leaf->serial);
	json_write_c(w, "thumbprint", leaf->sha1);
	json_write_text(w, "key_type", leaf->key_type);
	json_write_text(w, "issued_by", leaf->issuer);
	json_write_time(w, "not_after", leaf->not_after);
	json_write_end(w);
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
	error_write(w, &g->last_error);
	json_write_time(w, "at", g->last_error_at);
	json_write_end(w);
}

/* What clients get that cannot do with its key, or could do with a better one. */
static void write_beside(const struct registration *g, struct json_writer *w)
{
	const struct registration *other = registration_beside(g);
	if (!other) {
		json_write_null(w, "beside");
		return;
	}
	json_write_object(w, "beside");
	json_write_c(w, "id", other->id);
	json_write_c(w, "key_type", key_type_name(other->key_type));
	json_write_end(w);
}

/* By whom and how the next one is made. */
static void write_how(const struct registration *g, struct json_writer *w)
{
	json_write_array(w, "issuers");
	for (size_t i = 0; i < g->issuer_count; i++)
		json_write_text(w, NULL, g->issuers[i]);
	json_write_end(w);
	json_write_text(w, "next_issuer", ca_next(g));
	json_write_text(w, "issued_from", g->held.is ? g->held.issuer : STR_NONE);
	json_write_bool(w, "rehearsing", is_working(g) && g->rehearsing);
	json_write_c(w, "wanted_key_type", key_type_name(g->key_type));
	json_write_text(w, "profile", registration_profile(g));
	write_beside(g, w);
}

static void write_registration(const struct registration *g, const char *key, struct json_writer *w)
{
	const struct renew_view v = registration_view(g);
	json_write_object(w, key);
	json_write_text(w, "id", v.id);
	write_names(w, v.names, v.name_count);
	json_write_text(w, "issuer", v.issuer);
	json_write_text(w, "email", v.email);
	json_write_c(w, "state", v.state);
	json_write_c(w, "lamp", lamp_name(v.lamp));
	json_write_bool(w, "primary", v.primary);
	json_write_bool(w, "on_demand", demand_is(g));
	json_write_bool(w, "temporary", !v.held);
	write_held(&g->held, w);
	json_write_time(w, "next_renewal", v.next_renewal);
	json_write_c(w, "reason", v.reason);
	window_write(g, w);
	write_how(g, w);
	json_write_time(w, "next_check", v.held ? look_at_next(g->renewals) : 0);
	json_write_time(w, "revoked", revoked_at(g));
	write_served(g, w);
	write_served_leaf(g, w);
	json_write_int(w, "failures", g->failures);
	json_write_c(w, "task", v.task.n ? g->task_id : NULL);
	write_error(g, w);
	json_write_end(w);
}

void renew_status(struct renewals *r, struct json_writer *w)
{
	json_write_array(w, "certificates");
	MAP_EACH (n, &r->registrations) {
		const struct registration *g = OWNER(n, struct registration, node);
		if (registration_shown(g))
			write_registration(g, NULL, w);
	}
	imported_status(r, w);
	json_write_end(w);
	renew_demands_write(r, w);
}

bool renew_status_of(struct renewals *r, struct str name, struct json_writer *w, struct err *err)
{
	return renew_write(r, name, NULL, w) || no_certificate(name, err);
}

bool renew_write(struct renewals *r, struct str name, const char *key, struct json_writer *w)
{
	const struct registration *g = registration_find(r, name);
	const struct imported *m = g ? NULL : imported_find(r, name);
	if (g)
		write_registration(g, key, w);
	else if (m)
		imported_write(m, key, w);
	return g || m;
}

bool no_certificate(struct str name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND,
	        "There is no certificate for %.*s." ERR_REMEDY
	        "`everseal status` lists those that there are.",
	        STR_ARG(name));
}
