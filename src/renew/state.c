/* The record renewal: what a restart must not forget. */
#include "renew/private.h"

static void write_error(const struct registration *g, struct json_writer *w)
{
	if (!g->last_error.code)
		return;
	json_write_object(w, "last_error");
	error_write(w, &g->last_error);
	json_write_time(w, "at", g->last_error_at);
	json_write_end(w);
}

static void write_issued(const struct registration *g, struct json_writer *w)
{
	json_write_array(w, "issued");
	for (size_t i = 0; i < g->issued_count; i++)
		json_write_time(w, NULL, g->issued[i]);
	json_write_end(w);
}

void state_put(struct registration *g, struct store_tx *tx, bool healthy)
{
	BUF_AUTO value = BUF(64 << 10);
	struct json_writer w;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_bool(&w, "disabled", g->disabled);
	json_write_bool(&w, "rehearsed", g->rehearsed);
	json_write_time(&w, "visited", healthy && g->held.is ? 0 : g->visited);
	json_write_int(&w, "failures", healthy ? 0 : g->failures);
	json_write_time(&w, "next_try", healthy ? 0 : g->next_try);
	json_write_int(&w, "issuer_at", healthy ? 0 : (int64_t)g->turn.at);
	json_write_int(&w, "issuer_failures", healthy ? 0 : g->turn.failures);
	if (!healthy) {
		write_error(g, &w);
		window_put(g, &w);
	}
	write_issued(g, &w);
	json_write_end(&w);
	store_tx_put(
	        tx, STR("renewal"), str_c(g->id), g->state_version++, buf_str(&value), STR_NONE);
}

void state_be_healthy(struct registration *g)
{
	if (g->held.is) /* that it came on demand counts as a visit to the first one */
		g->visited = 0;
	g->failures = 0;
	g->next_try = 0;
	g->turn = (struct issuer_turn){ 0 };
	g->last_error = (struct err)ERR_INIT;
	g->last_error_at = 0;
}

static unsigned read_count(const struct json *json, const char *key)
{
	int64_t count = 0;
	return json_int(json, key, &count) && count > 0 && count < INT32_MAX ? (unsigned)count : 0;
}

static void read_issued(struct registration *g, const struct json *issued)
{
	g->issued_count = 0;
	for (size_t i = 0; i < json_count(issued) && g->issued_count < ISSUED_KEPT; i++)
		g->issued_count += clock_from_rfc3339(
		        json_value_text(json_at(issued, i)), &g->issued[g->issued_count]);
}

static void read_state(struct registration *g, const struct record *record)
{
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The stored state of a renewal", &err);
	g->state_version = record->version;
	json_bool(json, "disabled", &g->disabled);
	json_bool(json, "rehearsed", &g->rehearsed);
	g->failures = read_count(json, "failures");
	g->turn = (struct issuer_turn){ read_count(json, "issuer_at"),
		read_count(json, "issuer_failures") };
	clock_from_rfc3339(json_text(json, "next_try"), &g->next_try);
	clock_from_rfc3339(json_text(json, "visited"), &g->visited);
	const struct json *last = json_object(json, "last_error");
	error_read(last, &g->last_error);
	clock_from_rfc3339(json_text(last, "at"), &g->last_error_at);
	read_issued(g, json_array(json, "issued"));
	window_read(g, json);
}

void state_reload(struct registration *g)
{
	ARENA_AUTO a = ARENA_INIT;
	struct record record;
	struct err err = ERR_INIT;
	state_be_healthy(g);
	g->disabled = g->rehearsed = false;
	g->state_version = 0;
	if (store_get(g->renewals->needs.store, &a, STR("renewal"), str_c(g->id), &record, &err))
		read_state(g, &record);
}

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load_state(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct registration *g = registration_by_id(r, record->id);
	if (!g)
		g = registration_new(r, record->id);
	read_state(g, record);
	return true;
}

bool states_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_state, .renewals = r };
	return store_each(r->needs.store, STR("renewal"), &load.scan, err);
}
