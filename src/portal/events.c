#include "portal/events.h"

enum {
	RING = 1000,
	STREAMS_MOST = 64,
	STREAMS_EACH = 16,
	BEAT = 10 * 1000,
	BACKLOG_MOST = 64 << 10,
	EVENT_MOST = 1 << 20,
};

struct event {
	struct map_node node; /* by kind and subject; not of fixed texts, nor once superseded */
	bool in_map;
	const struct event_kind *kind; /* NULL: a fixed text, or superseded */
	const char *name;              /* of a fixed text */
	char *key, *text;              /* key: kind, '/', subject · text: of a fixed one */
};

struct stream {
	struct call_part part;
	struct call *call;
	struct list node;
	struct str person, key; /* whose it is, and by which session or token */
	uint64_t next;          /* number of the event it gets next */
};

struct bound {
	struct call_part part;
	struct call *call;
	struct list node;
};

static struct {
	char boot[17];
	struct event ring[RING];
	uint64_t last; /* the newest event's number; the first has 1 */
	struct map changed;
	struct list streams;
	struct list bound; /* streams of other resources */
	size_t stream_count;
	struct timer beat;
	struct later later;
} events;

static struct event *at(uint64_t number)
{
	return &events.ring[number % RING];
}

static void clear(struct event *e)
{
	if (e->in_map)
		map_remove(&events.changed, &e->node);
	free(e->key);
	free(e->text);
	*e = (struct event){ 0 };
}

/* ---- sending ---- */

static void add_event(struct buf *out, const char *name, uint64_t number, struct str json)
{
	if (number)
		buf_printf(out, "id: %s-%llu\n", events.boot, (unsigned long long)number);
	buf_printf(out, "event: %s\ndata: ", name);
	buf_add(out, json);
	buf_add_c(out, "\n\n");
}

static void tell(struct stream *s, const char *name, uint64_t number, struct str json)
{
	BUF_AUTO out = BUF_INIT(EVENT_MOST + 1024);
	add_event(&out, name, number, json);
	call_stream_text(s->call, buf_str(&out));
}

static struct str subject_of(const struct event *e)
{
	return str_from(str_c(e->key), strlen(e->kind->name) + 1);
}

static void send_numbered(struct stream *s, uint64_t number)
{
	const struct event *e = at(number);
	if (e->text)
		tell(s, e->name, number, str_c(e->text));
	if (!e->kind)
		return;
	BUF_AUTO json = BUF_INIT(EVENT_MOST);
	struct json_writer w;
	json_write_init(&w, &json);
	if (e->kind->write(&w, subject_of(e)) && buf_ok(&json))
		tell(s, e->kind->name, number, buf_str(&json));
}

static bool has_room(const struct stream *s)
{
	return !s->call->ending && s->call->backlog.n - s->call->sent < BACKLOG_MOST;
}

static void go_on(struct stream *s)
{
	if (has_room(s) && s->next + RING <= events.last) {
		s->next = events.last + 1;
		tell(s, "reset", events.last, STR("{}"));
	}
	while (has_room(s) && s->next <= events.last)
		send_numbered(s, s->next++);
}

static void all_go_on(struct later *l)
{
	(void)l;
	LIST_EACH (n, &events.streams)
		go_on(OWNER(n, struct stream, node));
}

static struct stream *stream_of(struct call *c)
{
	LIST_EACH (n, &events.streams)
		if (OWNER(n, struct stream, node)->call == c)
			return OWNER(n, struct stream, node);
	return NULL;
}

static void drained(struct call *c)
{
	struct stream *s = stream_of(c);
	if (s && s->next <= events.last)
		later_start(&events.later, portal.loop, all_go_on);
}

/* A client that takes nothing any more is cut off with the next beat. */
static void end(struct stream *s)
{
	struct call *c = s->call;
	tell(s, "session", 0, STR("{\"ended\":true}"));
	call_stream_end(c);
}

/* In the middle of it, so that whoever reads it sees that it is not whole. */
static void cut(struct bound *b)
{
	call_stream_cut(b->call, "The session or token that asked for this has ended.");
}

static bool is_over(const struct token *t)
{
	return t && t->expires && t->expires <= loop_wall(portal.loop);
}

static void cut_expired(void)
{
	LIST_EACH (n, &events.bound)
		if (is_over(OWNER(n, struct bound, node)->call->who.token))
			cut(OWNER(n, struct bound, node));
}

static void beat(struct timer *t)
{
	BUF_AUTO json = BUF_INIT(256);
	struct json_writer w;
	json_write_init(&w, &json);
	json_write_object(&w, NULL);
	json_write_time(&w, "server_time", loop_wall(portal.loop));
	json_write_end(&w);
	LIST_EACH (n, &events.streams) {
		struct stream *s = OWNER(n, struct stream, node);
		if (s->call->ending)
			call_stream_cut(s->call, "It has ended.");
		else if (is_over(s->call->who.token))
			end(s);
		else if (has_room(s))
			tell(s, "beat", 0, buf_str(&json));
	}
	cut_expired();
	timer_start(t, portal.loop, BEAT, beat);
}

/* ---- what has happened ---- */

static struct event *add(void)
{
	struct event *e = at(++events.last);
	clear(e);
	later_start(&events.later, portal.loop, all_go_on);
	return e;
}

void events_changed(const struct event_kind *kind, struct str subject)
{
	BUF_AUTO key = BUF_INIT(4096);
	if (!events.streams.next)
		return;
	buf_printf(&key, "%s/%.*s", kind->name, STR_ARG(subject));
	struct map_node *before = map_find(&events.changed, buf_str(&key));
	if (before)
		clear(OWNER(before, struct event, node));
	struct event *e = add();
	e->kind = kind;
	e->key = str_dup(buf_str(&key));
	e->in_map = true;
	map_add(&events.changed, str_c(e->key), &e->node);
}

void events_say(const char *name, struct str json)
{
	if (!events.streams.next)
		return;
	struct event *e = add();
	e->name = name;
	e->text = str_dup(json);
}

static bool is_by(const struct call *c, const struct session *s, const struct token *t)
{
	return s ? c->who.session == s : c->who.token == t;
}

static void end_all(const struct session *s, const struct token *t)
{
	if (!events.streams.next)
		return;
	LIST_EACH (n, &events.streams)
		if (is_by(OWNER(n, struct stream, node)->call, s, t))
			end(OWNER(n, struct stream, node));
	LIST_EACH (n, &events.bound)
		if (is_by(OWNER(n, struct bound, node)->call, s, t))
			cut(OWNER(n, struct bound, node));
}

void events_session_ended(const struct session *s)
{
	end_all(s, /* t= */ NULL);
}

void events_token_ended(const struct token *t)
{
	end_all(/* s= */ NULL, t);
}

/* The page then asks anew what this session may do. */
void events_person_changed(const struct person *p)
{
	if (!events.streams.next)
		return;
	LIST_EACH (n, &events.streams) {
		struct stream *s = OWNER(n, struct stream, node);
		if (!s->call->ending && s->call->who.person == p)
			tell(s, "session", 0, STR("{\"ended\":false}"));
	}
}

static void let_bound_go(struct call_part *p)
{
	list_remove(&OWNER(p, struct bound, part)->node);
}

void events_bound(struct call *c)
{
	struct bound *b = arena_new(&c->arena, struct bound);
	b->call = c;
	call_keep(c, &b->part, let_bound_go);
	list_add_last(&events.bound, &b->node);
}

void events_id(char ret_id[EVENT_ID])
{
	snprintf(ret_id, EVENT_ID, "%s-%llu", events.boot, (unsigned long long)events.last);
}

const char *events_boot(void)
{
	return events.boot;
}

/* ---- the resource ---- */

static void let_go(struct call_part *p)
{
	list_remove(&OWNER(p, struct stream, part)->node);
	events.stream_count--;
}

/* The number behind `since`; false if that is not one of this start's, or too old. */
static bool is_remembered(struct str since, uint64_t *ret_number)
{
	uint64_t number;
	size_t dash = str_find(since, '-');
	if (!str_eq_c(str_head(since, dash), events.boot) ||
	        !str_to_u64(str_from(since, dash + 1), &number) || number > events.last ||
	        number + RING <= events.last)
		return false;
	*ret_number = number;
	return true;
}

/* A browser that reconnects by itself says what it has in a header, and repeats the old URL. */
static struct str wanted_since(struct call *c)
{
	struct str header = headers_find(&c->ex->request.headers, STR("last-event-id"));
	return header.n ? header : call_query(c, "since");
}

/* ---- who gives way ---- */

static struct str key_of(const struct who *who)
{
	return str_c(who->session ? who->session->id : who->token ? who->token->id : "");
}

static bool is_any(const struct stream *a, const struct stream *b)
{
	(void)a, (void)b;
	return true;
}

static bool same_person(const struct stream *a, const struct stream *b)
{
	return str_eq(a->person, b->person);
}

static bool same_key(const struct stream *a, const struct stream *b)
{
	return same_person(a, b) && str_eq(a->key, b->key);
}

typedef bool same(const struct stream *a, const struct stream *b);

static size_t count_of(const struct stream *s, same *is_same)
{
	size_t count = 0;
	LIST_EACH (n, &events.streams)
		count += is_same(OWNER(n, struct stream, node), s);
	return count;
}

/* Among those streams: the oldest of whoever has most, if he has more even without it than the new
 * one's owner then has; so nobody is turned out by whom he would turn out again. */
static struct stream *greediest(const struct stream *new, same *among, same *owner)
{
	struct stream *found = NULL;
	size_t most = count_of(new, owner) + 1;
	LIST_EACH (n, &events.streams) {
		struct stream *s = OWNER(n, struct stream, node);
		size_t has = among(s, new) ? count_of(s, owner) : 0;
		if (has <= most)
			continue;
		found = s;
		most = has;
	}
	return found;
}

/* False: there is no room for it. */
static bool make_room(const struct stream *new)
{
	struct stream *out = NULL;
	if (count_of(new, same_person) >= STREAMS_EACH)
		out = greediest(new, same_person, same_key);
	else if (events.stream_count < STREAMS_MOST)
		return true;
	else
		out = greediest(new, is_any, same_person);
	if (out)
		call_stream_cut(out->call, "Whoever has fewer streams gets one.");
	return out;
}

static void say_hello(struct stream *s)
{
	BUF_AUTO json = BUF_INIT(1024);
	struct json_writer w;
	json_write_init(&w, &json);
	json_write_object(&w, NULL);
	json_write_c(&w, "boot", events.boot);
	json_write_c(&w, "version", EVERSEAL_VERSION);
	json_write_end(&w);
	tell(s, "hello", 0, buf_str(&json));
}

static void refuse(struct call *c)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_BUSY,
	        "Too many pages watch: %d are the most, %d of one person." ERR_REMEDY
	        "Close some of them; this one tries again.",
	        STREAMS_MOST, STREAMS_EACH);
	call_fail(c, &err);
}

static void get_events(struct call *c)
{
	struct stream *s = arena_new(&c->arena, struct stream);
	*s = (struct stream){ .call = c,
		.person = arena_str(&c->arena, who_person(&c->who)),
		.key = arena_str(&c->arena, key_of(&c->who)) };
	if (!make_room(s)) {
		refuse(c);
		return;
	}
	struct str since = wanted_since(c);
	uint64_t number = events.last;
	bool reset = since.n && !is_remembered(since, &number);
	s->next = number + 1;
	call_keep(c, &s->part, let_go);
	list_add_last(&events.streams, &s->node);
	events.stream_count++;
	c->drained = drained;
	bool only_head = str_eq_c(c->ex->request.method, "HEAD");
	call_stream_as(c, "text/event-stream");
	if (only_head)
		return;
	say_hello(s);
	if (reset)
		tell(s, "reset", events.last, STR("{}"));
	later_start(&events.later, portal.loop, all_go_on);
}

const struct route event_routes[] = {
	{ "GET", "/api/events", SCOPE_READ, get_events },
	{ 0 },
};

void events_open(void)
{
	SECRET_AUTO random = token_new(8);
	BUF_AUTO boot = BUF_INIT(32);
	buf_add_hex(&boot, secret_bytes(&random));
	snprintf(events.boot, sizeof events.boot, "%s", buf_c(&boot));
	list_init(&events.streams);
	list_init(&events.bound);
	timer_start(&events.beat, portal.loop, BEAT, beat);
}

void events_close(void)
{
	if (!events.streams.next)
		return;
	timer_stop(&events.beat);
	later_stop(&events.later);
	for (size_t i = 0; i < RING; i++)
		clear(&events.ring[i]);
	map_done(&events.changed);
	events.changed = (struct map)MAP_INIT;
	events.last = 0;
	events.streams = events.bound = (struct list){ 0 };
}
