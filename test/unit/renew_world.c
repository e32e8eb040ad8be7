#include "renew_world.h"

struct world world;

static const char *ring(struct str s)
{
	static char texts[8][4096];
	static unsigned next;
	char *text = texts[next++ % 8];
	CHECK(s.n < sizeof texts[0]);
	snprintf(text, sizeof texts[0], "%.*s", STR_ARG(s));
	return text;
}

const char *date(int64_t wall)
{
	char text[CLOCK_TEXT], quoted[CLOCK_TEXT + 2];
	snprintf(quoted, sizeof quoted, "\"%s\"", clock_rfc3339(wall, text));
	return ring(str_c(quoted));
}

/* Serving */

static struct shown *shown_of(struct str name)
{
	for (size_t i = 0; i < INSTALLED; i++)
		if (str_eq_c(name, world.shown[i].name))
			return &world.shown[i];
	return NULL;
}

static void check(const struct serving_certificate *c)
{
	struct err err = ERR_INIT;
	KEY_AUTO *key = key_from_der(secret_bytes(c->key), "It", &err);
	assert_non_null(key);
	assert_true(key_fits(key, c->leaf));
	assert_true(c->id.n && c->name_count);
	assert_int_equal(c->chain_count, world.chain);
	for (size_t i = 0; i < c->chain_count; i++)
		assert_true(str_eq(c->chain[i], world.issuer.n ? world.issuer : c->leaf));
}

static void show(struct str name, const struct serving_certificate *c)
{
	struct shown *s = shown_of(name);
	if (!s) {
		s = shown_of(STR(""));
		CHECK(s && name.n < sizeof s->name);
		snprintf(s->name, sizeof s->name, "%.*s", STR_ARG(name));
		s->pem = s->before = s->beside = BUF(16 << 10);
	}
	buf_clear(&s->before);
	buf_add_buf(&s->before, &s->pem);
	buf_clear(&s->pem);
	cert_to_pem(c->leaf, &s->pem);
	s->staple = c->staple.n;
	s->staple_until = c->staple_until;
	buf_clear(&s->beside);
	if (c->beside)
		cert_to_pem(c->beside->leaf, &s->beside);
}

static void install(struct serving *s, const struct serving_certificate *c)
{
	(void)s;
	check(c);
	if (c->beside)
		check(c->beside);
	for (size_t i = 0; i < c->name_count; i++)
		show(c->names[i], c);
	world.installs++;
	buf_printf(&world.place.diary, "install %.*s\n", STR_ARG(c->names[0]));
}

static void change_done(struct later *l)
{
	(void)l;
	struct err err = ERR_INIT;
	if (world.change_refused)
		err_set(&err, ERR_BUSY, "%s", world.change_refused);
	while (!list_empty(&world.changing)) {
		struct serving_change *c =
		        OWNER(list_first(&world.changing), struct serving_change, node);
		list_remove(&c->node);
		c->done(c, err.code ? &err : NULL);
	}
}

static void change(struct serving *s, struct serving_change *c)
{
	(void)s;
	world.changes++;
	list_add_last(&world.changing, &c->node);
	later_start(&world.change_later, world.place.loop, change_done);
}

static void change_abort(struct serving *s, struct serving_change *c)
{
	(void)s;
	list_remove(&c->node);
}

static bool bound(struct serving *s, const struct address *a, struct err *err)
{
	(void)s;
	if (!world.unbound)
		return true;
	return err_set(
	        err, ERR_BUSY, "Port %u of %.*s is held by nginx.", a->port, STR_ARG(a->host));
}

static void forget(struct serving *s, const struct str *names, size_t count)
{
	(void)s;
	for (size_t i = 0; i < count; i++) {
		struct shown *shown = shown_of(names[i]);
		if (!shown)
			continue;
		buf_done(&shown->pem);
		buf_done(&shown->before);
		*shown = (struct shown){ 0 };
		buf_printf(&world.place.diary, "forget %.*s\n", STR_ARG(names[i]));
	}
}

static bool provable(struct serving *s, struct str name, struct err *err)
{
	(void)s;
	assert_true(name.n > 0);
	return !world.unprovable || err_set(err, ERR_BUSY, "%s", world.unprovable);
}

static bool unobstructed(struct serving *s, struct err *err)
{
	(void)s;
	return !world.obstacle || err_set(err, ERR_BUSY, "%s", world.obstacle);
}

static size_t addresses(
        struct serving *s, struct str name, struct serving_address *ret, size_t most)
{
	(void)s;
	assert_true(name.n && world.addresses <= most);
	for (size_t i = 0; i < world.addresses; i++)
		ret[i] = (struct serving_address){ STR("127.0.0.1"), (uint16_t)(443 + i) };
	return world.addresses;
}

static bool shows(
        struct scripted_ca *ca, const struct fetch_probe *p, struct buf *pem, struct err *err)
{
	(void)ca;
	const struct shown *s = shown_of(p->server_name);
	assert_string_equal(p->address.p, "127.0.0.1");
	buf_printf(&world.place.diary, "handshake %.*s %u\n", STR_ARG(p->server_name), p->port);
	if (world.dark || !s)
		return err_set(err, ERR_REFUSED, "The connection was refused.");
	bool lags = world.lagging && s->before.n;
	world.lagging -= lags;
	const bool other = s->beside.n && p->keys == FETCH_KEYS_RSA;
	buf_add_buf(pem, lags ? &s->before : other ? &s->beside : &s->pem);
	return true;
}

static void add_key(struct str pem, struct buf *out)
{
	ARENA_AUTO a = ARENA_INIT;
	struct str chain[CHAIN_MOST];
	size_t count;
	struct cert leaf;
	struct err err = ERR_INIT;
	assert_true(cert_chain_from_pem(&a, pem, chain, &count, &err));
	assert_true(cert_read(&a, chain[0], &leaf, &err));
	buf_printf(out, "%s%.*s", out->n ? ", " : "", STR_ARG(leaf.key_type));
}

const char *shown_keys(const char *name)
{
	BUF_AUTO text = BUF(100);
	const struct shown *s = shown_of(str_c(name));
	if (s)
		add_key(buf_str(&s->pem), &text);
	if (s && s->beside.n)
		add_key(buf_str(&s->beside), &text);
	return ring(buf_str(&text));
}

static size_t listeners(struct serving *s, struct address *ret, size_t most)
{
	(void)s;
	assert_true(most > 0);
	ret[0] = (struct address){ .host = STR("127.0.0.1"), .port = 7443 };
	return 1;
}

static const struct serving_ops serving_ops = {
	.install = install,
	.change = change,
	.change_abort = change_abort,
	.bound = bound,
	.provable = provable,
	.unobstructed = unobstructed,
	.forget = forget,
	.addresses = addresses,
	.listeners = listeners,
};

/* The world */

int world_setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof world);
	list_init(&world.changing);
	world.serving.ops = &serving_ops;
	world.addresses = 1;
	place_init(&world.place);
	world.place.ca.shows = shows;
	return 0;
}

static struct config *parsed(const char *text)
{
	struct err err = ERR_INIT;
	struct config *c = config_parse(
	        &(struct config_source){ .file = "test.conf" }, str_c(text), NULL, &err);
	if (!c)
		fail_msg("%s", err.text);
	return c;
}

/* As control does: issuers first, then renewals; the old configuration is gone afterwards. */
static void configure(struct config *next)
{
	ARENA_AUTO a = ARENA_INIT;
	size_t count;
	struct config *old = world.config;
	world.config = next;
	const struct issuer_row *from = renew_issuer_rows(&a, next, &count);
	struct issuer_row *rows = arena_array(&a, struct issuer_row, count);
	for (size_t i = 0; i < count; i++) {
		rows[i] = from[i];
		rows[i].trust = STR("the root");
	}
	issuers_set(world.place.issuers, rows, count);
	if (world.renewals)
		renewals_configure(world.renewals, next);
	if (old && old != next)
		config_free(&old);
}

void world_configure(const char *text)
{
	configure(parsed(text));
}

void world_begin(const char *config)
{
	struct err err = ERR_INIT;
	configure(config ? parsed(config) : world.config);
	world.renewals = renewals_new(&(struct renew_needs){ .loop = world.place.loop,
	                                      .store = world.place.store,
	                                      .master = world.place.master,
	                                      .issuers = world.place.issuers,
	                                      .fetch = &world.place.ca.fetch,
	                                      .serving = &world.serving,
	                                      .log = &world.place.log },
	        &err);
	if (!world.renewals)
		fail_msg("%s", err.text);
	renewals_configure(world.renewals, world.config);
}

void world_start(const char *config)
{
	if (!world.place.store)
		place_open(&world.place);
	world_begin(config);
	renewals_begin(world.renewals);
}

void world_kill(void)
{
	renewals_free(&world.renewals);
	CHECK(!world.renewals);
	later_stop(&world.change_later);
	list_init(&world.changing);
	place_close(&world.place);
}

int world_teardown(void **state)
{
	(void)state;
	store_full(&world.place, false);
	renewals_free(&world.renewals);
	config_free(&world.config);
	for (size_t i = 0; i < INSTALLED; i++) {
		buf_done(&world.shown[i].pem);
		buf_done(&world.shown[i].before);
		buf_done(&world.shown[i].beside);
	}
	place_done(&world.place);
	return 0;
}

/* Wishes */

void wish_done(struct renew_request *q, struct str id, struct str task, bool existing,
        const struct err *err)
{
	struct wish *w = OWNER(q, struct wish, q);
	assert_false(w->done);
	w->done = true;
	w->existing = existing;
	snprintf(w->id, sizeof w->id, "%.*s", STR_ARG(id));
	snprintf(w->task, sizeof w->task, "%.*s", STR_ARG(task));
	w->err = err ? *err : (struct err)ERR_INIT;
}

void wish_register(struct wish *w, const struct register_want *want)
{
	*w = (struct wish){ 0 };
	renew_register(world.renewals, &w->q, want, wish_done);
	assert_false(w->done);
}

void wish_name(struct wish *w, const char *name)
{
	const struct str names[] = { str_c(name) };
	wish_register(w, &(struct register_want){
	                         .names = names,
	                         .name_count = 1,
	                         .email = STR("ops@example.com"),
	                         .agree_tos = true,
	                 });
}

void wish_renew(struct wish *w, const char *name)
{
	*w = (struct wish){ 0 };
	renew_now(world.renewals, &w->q, str_c(name), wish_done);
	assert_false(w->done);
}

void wish_disable(struct wish *w, const char *name, bool despite)
{
	*w = (struct wish){ 0 };
	renew_disable(world.renewals, &w->q, str_c(name), despite, wish_done);
	assert_false(w->done);
}

void wish_wait(struct wish *w)
{
	turn_until(&world.place, w->done);
	if (w->err.code)
		fail_msg("%s", w->err.text);
}

void wish_refused(struct wish *w, enum err_code code, const char *sentence)
{
	turn_until(&world.place, w->done);
	assert_string_equal(w->err.text, sentence);
	assert_int_equal(w->err.code, code);
}

/* Looking */

const char *said(const char *name, const char *member)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO text = BUF(64 << 10), value = BUF(4095);
	json_write_init(&w, &text);
	if (!renew_status_of(world.renewals, str_c(name), &w, &err))
		return ring(str_c(err.text));
	JSON_AUTO *json = json_parse(buf_str(&text), "The status", &err);
	json_print(json_member(json, member), &value);
	return ring(buf_str(&value));
}

void status_is(const char *name, const char *state)
{
	char quoted[64];
	snprintf(quoted, sizeof quoted, "\"%s\"", state);
	assert_string_equal(said(name, "state"), quoted);
}

static bool idle(void)
{
	MAP_EACH (n, &world.renewals->registrations)
		if (OWNER(n, struct registration, node)->attempting)
			return false;
	return list_empty(&world.renewals->queue) && list_empty(&world.renewals->wall.waiting);
}

void run_until_idle(void)
{
	struct place *p = &world.place;
	const int64_t start = loop_wall(p->loop);
	run_for(p, 0);
	while (!idle() && !p->ca.stopped && loop_wall(p->loop) < start + DAY)
		run_for(p, 20 + (loop_wall(p->loop) - start) / 100);
	assert_true(idle() || p->ca.stopped);
}

void task_lines(const char *task, struct buf *out)
{
	struct err err = ERR_INIT;
	struct json_writer w;
	BUF_AUTO text = BUF(1 << 20);
	json_write_init(&w, &text);
	if (!task_details(world.renewals, str_c(task), &w, &err))
		fail_msg("%s", err.text);
	JSON_AUTO *json = json_parse(buf_str(&text), "The task", &err);
	const struct json *events = json_array(json, "events");
	for (size_t i = 0; i < json_count(events); i++)
		buf_printf(out, "%.*s: %.*s\n", STR_ARG(json_text(json_at(events, i), "step")),
		        STR_ARG(json_text(json_at(events, i), "text")));
	buf_printf(out, "%.*s %.*s", STR_ARG(json_text(json, "name")),
	        STR_ARG(json_text(json, "state")));
}

void logged_has(const char *line)
{
	if (!strstr(buf_c(&logged), line))
		fail_msg("not logged: %s\nbut: %s", line, buf_c(&logged));
}

unsigned logged_count(const char *line)
{
	unsigned count = 0;
	for (const char *at = buf_c(&logged); (at = strstr(at, line)); at++)
		count++;
	return count;
}

void task_is(const char *task, const char *lines)
{
	BUF_AUTO text = BUF(64 << 10);
	task_lines(task, &text);
	assert_string_equal(buf_c(&text), lines);
}
