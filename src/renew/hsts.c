/* HSTS as browsers remember it: the longest promise per host, so that nothing locks visitors out
 * before it has run out. */
#include "renew/private.h"

static struct hsts_promise *promise_of(struct renewals *r, struct str host)
{
	struct map_node *n = map_find(&r->promises, host);
	return n ? OWNER(n, struct hsts_promise, node) : NULL;
}

static struct hsts_promise *promise_new(struct renewals *r, struct str host)
{
	struct hsts_promise *p = mem_new(struct hsts_promise);
	p->renewals = r;
	p->host = str_dup(host);
	map_add(&r->promises, str_c(p->host), &p->node);
	return p;
}

static void store_promise(struct hsts_promise *p);

static void stored(struct store_tx *tx, const struct err *err)
{
	struct hsts_promise *p = OWNER(tx, struct hsts_promise, tx);
	if (err) {
		log_warning(p->renewals->needs.log,
		        "What browsers remember of HSTS for %s could not be "
		        "stored: %s",
		        p->host, err->text);
		return;
	}
	p->version++;
	if (p->until > p->storing)
		store_promise(p);
}

static void store_promise(struct hsts_promise *p)
{
	BUF_AUTO value = BUF(1024);
	struct json_writer w;
	p->storing = p->until;
	json_write_init(&w, &value);
	json_write_object(&w, NULL);
	json_write_int(&w, "age", p->age);
	json_write_time(&w, "until", p->until);
	json_write_end(&w);
	store_tx_put(&p->tx, STR("hsts"), str_c(p->host), p->version, buf_str(&value), STR_NONE);
	store_tx_start(p->renewals->needs.store, &p->tx, stored);
}

/* A browser that comes again forgets by max-age=0, one that stays away does not: the promise only
 * grows. */
void renew_hsts_sent(struct renewals *r, struct str host, int64_t age, int64_t at)
{
	struct hsts_promise *p = promise_of(r, host);
	int64_t until = at + age * SECOND;
	if (!age || (p && p->until >= until))
		return;
	if (!p)
		p = promise_new(r, host);
	p->until = until;
	p->age = age;
	if (!p->tx.store)
		store_promise(p);
}

int64_t promised_until(struct renewals *r, const struct str *names, size_t count)
{
	int64_t until = 0;
	for (size_t i = 0; i < count; i++) {
		const struct hsts_promise *p = promise_of(r, names[i]);
		if (p && p->until > until)
			until = p->until;
	}
	return until > loop_wall(r->needs.loop) ? until : 0;
}

struct load {
	struct store_scan scan;
	struct renewals *renewals;
};

static bool load_promise(struct store_scan *scan, const struct record *record)
{
	struct renewals *r = OWNER(scan, struct load, scan)->renewals;
	struct err err = ERR_INIT;
	JSON_AUTO *json = json_parse(record->value, "The stored HSTS promise", &err);
	struct hsts_promise *p = promise_new(r, record->id);
	p->version = record->version;
	json_int(json, "age", &p->age);
	clock_from_rfc3339(json_text(json, "until"), &p->until);
	return true;
}

int64_t renew_hsts_until(struct renewals *r, const struct str *names, size_t count)
{
	return promised_until(r, names, count);
}

bool promises_load(struct renewals *r, struct err *err)
{
	struct load load = { .scan.each = load_promise, .renewals = r };
	return store_each(r->needs.store, STR("hsts"), &load.scan, err);
}

void promises_free(struct renewals *r)
{
	MAP_EACH (n, &r->promises) {
		struct hsts_promise *p = OWNER(n, struct hsts_promise, node);
		store_tx_abort(&p->tx);
		map_remove(&r->promises, n);
		free(p->host);
		free(p);
	}
	map_done(&r->promises);
}
