/* The control process in one program with those it talks to: the case plays supervisor, serve and
 * the fetch process over real links; store and files are in a directory of their own; the clock is
 * false, and moves only when it is told to or while something is waited for. */
#ifndef UNIT_CONTROL_PLACE_H
#define UNIT_CONTROL_PLACE_H

#include "control/control.h"
#include "keys/keys.h"
#include "server/settings.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { BINDS_MOST = 32, WALL = 1800000000 };

struct bind {
	int64_t id;
	char host[48];
	int port;
	bool released;
};

/* Where serve falls silent, so that the case can kill it there. */
enum silent_at { SILENT_NEVER, SILENT_AT_ROWS, SILENT_AT_END, SILENT_AT_COMMIT };

struct place {
	struct clock_fake clock;
	struct loop *loop;
	struct control c;
	char dir[64], conf[96], state[96];

	struct link supervisor; /* the supervisor's end */
	struct bind binds[BINDS_MOST];
	size_t bind_count;
	int held[4], unheard[4]; /* ports that nginx holds · that nothing is said of */
	int ready;

	struct link serve; /* serve's end */
	struct cert_table *certs;
	struct buf told, in_force; /* rows as text, a line each */
	struct buf order;          /* the names of what came, rows left out */
	int64_t told_number, committed, aborted;
	int64_t credit, rows, least_credit;
	bool spends; /* serve gives credit only when the case does */
	const char *refuses;
	enum silent_at silent;

	struct link fetch;
	struct buf asked; /* URLs, a line each */
};

static struct buf place_log = BUF_INIT(1 << 20);

static inline void place_log_line(enum log_level level, struct str fields, struct str text)
{
	(void)fields;
	buf_printf(&place_log, "%s: %.*s\n", log_level_name(level), STR_ARG(text));
}

static inline bool logged(const char *words)
{
	return strstr(buf_c(&place_log), words);
}

/* ---- time ---- */

static inline void settle(struct place *p)
{
	for (int i = 0; i < 24; i++)
		loop_turn(p->loop, 0);
}

/* Waits in real time: the store has a thread of its own. */
#define until(p, condition)                                                                        \
	do {                                                                                       \
		int turns_ = 0;                                                                    \
		while (!(condition) && turns_++ < 5000)                                            \
			loop_turn((p)->loop, 1);                                                   \
		if (!(condition))                                                                  \
			fail_msg("%s:%d: never came: %s\nlog:\n%s", __FILE__, __LINE__,            \
			        #condition, buf_c(&place_log));                                    \
	} while (0)

static inline void later_by(struct place *p, int64_t ms)
{
	clock_fake_advance(&p->clock, ms);
	settle(p);
}

/* ---- the supervisor ---- */

static inline bool among(const int ports[4], int port)
{
	for (size_t i = 0; i < 4; i++)
		if (ports[i] == port)
			return true;
	return false;
}

/* As the kernel has it: an address and all IPv4 addresses exclude each other. */
static inline bool excluded(struct place *p, const struct bind *b)
{
	for (size_t i = 0; i < p->bind_count; i++) {
		const struct bind *o = &p->binds[i];
		bool any = !strcmp(o->host, "0.0.0.0") || !strcmp(b->host, "0.0.0.0");
		bool other = strchr(o->host, ':') || strchr(b->host, ':');
		if (o != b && !o->released && o->port == b->port && any && !other)
			return true;
	}
	return false;
}

static inline void answer_bind(struct place *p, const struct bind *b)
{
	if (excluded(p, b)) {
		link_send(&p->supervisor, bound, .id = b->id, .error = EADDRINUSE,
		        .holder = STR("everseal (process 1)"));
		return;
	}
	if (among(p->unheard, b->port))
		return;
	if (among(p->held, b->port)) {
		link_send(&p->supervisor, bound, .id = b->id, .error = EADDRINUSE,
		        .holder = STR("nginx (process 812)"));
		return;
	}
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	link_send(&p->supervisor, bound, .id = b->id, .fd = fd);
	close(fd);
}

static inline struct bind *bind_at(struct place *p, int port)
{
	for (size_t i = p->bind_count; i-- > 0;)
		if (p->binds[i].port == port)
			return &p->binds[i];
	return NULL;
}

static inline bool is_bound(struct place *p, int port)
{
	const struct bind *b = bind_at(p, port);
	return b && !b->released;
}

static inline void supervisor_side(struct link *l, const struct msg *m)
{
	struct place *p = OWNER(l, struct place, supervisor);
	if (m->type == MSG_bind) {
		struct bind *b = &p->binds[p->bind_count++];
		assert_true(p->bind_count <= BINDS_MOST);
		*b = (struct bind){ .id = m->is.bind.id, .port = (int)m->is.bind.port };
		snprintf(b->host, sizeof b->host, "%.*s", STR_ARG(m->is.bind.address));
		answer_bind(p, b);
	} else if (m->type == MSG_release) {
		for (size_t i = 0; i < p->bind_count; i++)
			if (p->binds[i].id == m->is.release.id)
				p->binds[i].released = true;
	} else if (m->type == MSG_ready) {
		p->ready++;
	}
}

/* The holder has gone away. */
static inline void free_port(struct place *p, int port)
{
	for (size_t i = 0; i < 4; i++) {
		p->held[i] = p->held[i] == port ? 0 : p->held[i];
		p->unheard[i] = p->unheard[i] == port ? 0 : p->unheard[i];
	}
	answer_bind(p, bind_at(p, port));
}

/* ---- serve ---- */

static inline void note_row(struct place *p, const struct msg *m)
{
	struct buf *b = &p->told;
	if (m->type == MSG_listener) {
		const struct msg_listener *r = &m->is.listener;
		struct stat s;
		assert_int_equal(fstat(r->fd, &s), 0);
		assert_true(S_ISCHR(s.st_mode)); /* no other descriptor of control's */
		close(r->fd);
		buf_printf(b, "listener %.*s %lld %s default=%.*s\n", STR_ARG(r->address),
		        (long long)r->port, r->tls ? "tls" : "plain", STR_ARG(r->default_name));
	} else if (m->type == MSG_site) {
		const struct msg_site *r = &m->is.site;
		buf_printf(b, "site %lld %.*s%s%s%s url=%lld hsts=%lld%s%s%s\n", (long long)r->id,
		        STR_ARG(r->name), r->fallback ? " fallback" : "",
		        r->kind == SITE_PROXY ? "" : " nothing", r->force_ssl ? " force" : "",
		        (long long)r->url_port, (long long)r->hsts_age,
		        r->hsts_subdomains ? "s" : "", r->hsts_preload ? "p" : "",
		        r->challenge_pass ? " pass" : "");
	} else if (m->type == MSG_site_name) {
		buf_printf(b, "name %lld %.*s\n", (long long)m->is.site_name.site,
		        STR_ARG(m->is.site_name.name));
	} else if (m->type == MSG_upstream) {
		buf_printf(b, "upstream %lld %.*s %lld\n", (long long)m->is.upstream.upstreams,
		        STR_ARG(m->is.upstream.host), (long long)m->is.upstream.port);
	} else if (m->type == MSG_route) {
		const struct msg_route *r = &m->is.route;
		buf_printf(b, "route %lld/%lld \"%.*s\"%s%s kind=%lld to=%lld %lld %.*s%s%s%s\n",
		        (long long)r->site, (long long)r->id, STR_ARG(r->path),
		        r->beneath ? " beneath" : "", r->inherits ? " inherits" : "",
		        (long long)r->kind, (long long)r->upstreams, (long long)r->status,
		        STR_ARG(r->text), r->gzip ? " gzip" : "",
		        r->maintenance ? " maintenance" : "", r->root >= 0 ? " root" : "");
		msg_close_fd(m);
	} else if (m->type == MSG_route_access) {
		buf_printf(b, "access %lld %s %.*s\n", (long long)m->is.route_access.route,
		        m->is.route_access.allow ? "allow" : "deny",
		        STR_ARG(m->is.route_access.cidr));
	} else if (m->type == MSG_route_copy) {
		buf_printf(b, "copy %lld %.*s\n", (long long)m->is.route_copy.route,
		        STR_ARG(m->is.route_copy.name));
	} else if (m->type == MSG_route_header) {
		const struct msg_route_header *r = &m->is.route_header;
		buf_printf(b, "header %lld %s %lld %.*s %.*s\n", (long long)r->route,
		        r->request ? "request" : "answer", (long long)r->change, STR_ARG(r->name),
		        STR_ARG(r->value));
	} else if (m->type == MSG_limit) {
		buf_printf(b, "limit %.*s %lld\n", STR_ARG(m->is.limit.name),
		        (long long)m->is.limit.value);
	} else if (m->type == MSG_trusted_proxy) {
		buf_printf(b, "trusted %.*s\n", STR_ARG(m->is.trusted_proxy.cidr));
	}
	p->rows++;
	p->credit--;
	if (p->credit < p->least_credit)
		p->least_credit = p->credit;
}

static inline void give_credit(struct place *p, int64_t n)
{
	p->credit += n;
	link_send(&p->serve, credit, .messages = n);
}

static inline void serve_prepares(struct place *p, const struct msg *m)
{
	if (m->type == MSG_generation) {
		buf_clear(&p->told);
		p->told_number = m->is.generation.number;
		buf_printf(&p->told, "thumbprint %.*s\n", STR_ARG(m->is.generation.thumbprint));
	} else if (m->type == MSG_generation_end && p->silent != SILENT_AT_END) {
		assert_int_equal(m->is.generation_end.number, p->told_number);
		if (p->refuses)
			link_send(&p->serve, refused, .number = p->told_number,
			        .sentence = str_c(p->refuses));
		else
			link_send(&p->serve, prepared, .number = p->told_number);
	} else if (m->type == MSG_commit && p->silent != SILENT_AT_COMMIT) {
		assert_int_equal(m->is.commit.number, p->told_number);
		p->committed = p->told_number;
		buf_clear(&p->in_force);
		buf_add_buf(&p->in_force, &p->told);
		link_send(&p->serve, committed, .number = p->committed);
	} else if (m->type == MSG_abort) {
		p->aborted = m->is.abort.number;
	}
}

static inline void serve_side(struct link *l, const struct msg *m)
{
	struct place *p = OWNER(l, struct place, serve);
	struct err err = ERR_INIT;
	bool row = m->type >= MSG_listener && m->type <= MSG_trusted_proxy;
	if (!row)
		buf_printf(&p->order, "%s ", msg_name(m->type));
	if (m->type == MSG_segment) {
		if (!cert_table_map(p->certs, (size_t)m->is.segment.index, m->is.segment.fd, &err))
			fail_msg("%s", err.text);
	} else if (m->type == MSG_segment_valid) {
		if (!cert_table_advance(p->certs, (size_t)m->is.segment_valid.index,
		            (size_t)m->is.segment_valid.valid, &err))
			fail_msg("%s", err.text);
	} else if (m->type == MSG_challenge) {
		link_send(l, challenge_ready, .token = m->is.challenge.token);
	} else if (row) {
		note_row(p, m);
		if (!p->spends)
			give_credit(p, 1);
	} else {
		serve_prepares(p, m);
	}
}

static inline void fetch_side(struct link *l, const struct msg *m)
{
	struct place *p = OWNER(l, struct place, fetch);
	if (m->type == MSG_fetch)
		buf_printf(&p->asked, "%.*s\n", STR_ARG(m->is.fetch.url));
	msg_close_fd(m);
}

static inline void side_ended(struct link *l, const struct err *why)
{
	(void)l;
	(void)why;
}

static const struct link_ops supervisor_end = { supervisor_side, side_ended };
static const struct link_ops serve_end = { serve_side, side_ended };
static const struct link_ops fetch_end = { fetch_side, side_ended };

static inline void pair_up(
        struct place *p, struct link *end, const struct link_ops *ops, enum process process)
{
	int fds[2];
	struct err err = ERR_INIT;
	assert_true(link_pair(fds, &err));
	link_done(end);
	link_init(end, p->loop, fds[0], ops);
	link_send(&p->supervisor, peer, .process = process, .pid = 1, .fd = fds[1]);
	close(fds[1]);
}

/* A new serve: it knows nothing. */
static inline void serve_comes(struct place *p)
{
	pair_up(p, &p->serve, &serve_end, PROCESS_SERVE);
	cert_table_free(&p->certs);
	p->certs = cert_table_new();
	p->told_number = p->committed = 0;
	p->credit = p->least_credit = 0;
	buf_clear(&p->in_force);
	buf_clear(&p->told);
	buf_clear(&p->order);
	if (!p->spends)
		give_credit(p, 256);
}

static inline void serve_dies(struct place *p)
{
	link_done(&p->serve);
	settle(p);
	assert_null(p->c.serve.loop);
}

/* ---- control ---- */

static inline void write_conf(struct place *p, const char *text)
{
	FILE *f = fopen(p->conf, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static inline bool control_starts(struct place *p, struct err *ret_err)
{
	int fds[2];
	BUF_AUTO errors = BUF(64 << 10);
	p->c = (struct control){ .source = { .file = p->conf, SERVER_SETTINGS } };
	assert_true(link_pair(fds, ret_err));
	link_init(&p->supervisor, p->loop, fds[0], &supervisor_end);
	control_init(&p->c, p->loop, fds[1]);
	p->c.config = config_read(&p->c.source, &errors, ret_err);
	if (!p->c.config)
		fail_msg("%s", buf_c(&errors));
	p->c.state = str_dup(str_c(p->state));
	return control_open(&p->c, ret_err);
}

static inline void control_ends(struct place *p)
{
	control_done(&p->c);
	link_done(&p->supervisor);
	p->bind_count = 0;
}

static inline void place_init(struct place *p, const char *conf)
{
	*p = (struct place){ 0 };
	clock_fake_init(&p->clock, WALL * SECOND);
	p->loop = loop_new(&p->clock.clock);
	p->told = p->in_force = p->asked = p->order = BUF(1 << 20);
	snprintf(p->dir, sizeof p->dir, "/tmp/everseal-control-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->conf, sizeof p->conf, "%s/everseal.conf", p->dir);
	snprintf(p->state, sizeof p->state, "%s/state", p->dir);
	buf_clear(&place_log);
	log_to(place_log_line);
	write_conf(p, conf);
}

static inline void control_begins(struct place *p)
{
	struct err err = ERR_INIT;
	if (!control_starts(p, &err))
		fail_msg("%s", err.text);
	serve_comes(p);
}

static inline void place_begin(struct place *p, const char *conf)
{
	place_init(p, conf);
	control_begins(p);
	until(p, p->committed == 1);
	settle(p);
}

static inline void remove_all(const char *dir)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(127);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static inline void place_done(struct place *p)
{
	control_ends(p);
	link_done(&p->serve);
	link_done(&p->fetch);
	cert_table_free(&p->certs);
	loop_free(&p->loop);
	buf_done(&p->told);
	buf_done(&p->in_force);
	buf_done(&p->order);
	buf_done(&p->asked);
	remove_all(p->dir);
}

/* ---- what people do ---- */

/* A reload that remembers how it ended. */
struct reloaded {
	struct portal_reload reload;
	int ended;
	struct err err;
};

static inline void reload_done(struct portal_reload *r, const struct err *err)
{
	struct reloaded *o = OWNER(r, struct reloaded, reload);
	o->ended++;
	o->err = err ? *err : (struct err)ERR_INIT;
}

static inline void reload_asks(struct place *p, struct reloaded *r, const char *conf)
{
	*r = (struct reloaded){ .reload.done = reload_done };
	write_conf(p, conf);
	p->c.host.ops->reload(&p->c.host, &r->reload);
	assert_int_equal(r->ended, 0);
}

/* Returns the sentence, or "" for a reload that went well. */
static inline const char *reload(struct place *p, const char *conf)
{
	static struct reloaded r;
	reload_asks(p, &r, conf);
	until(p, r.ended);
	settle(p);
	assert_int_equal(r.ended, 1);
	return r.err.text;
}

struct registered {
	struct renew_request request;
	int ended;
	struct err err;
};

static inline void register_done(struct renew_request *q, struct str id, struct str task,
        bool existing, const struct err *err)
{
	struct registered *r = OWNER(q, struct registered, request);
	(void)id;
	(void)task;
	(void)existing;
	r->ended++;
	r->err = err ? *err : (struct err)ERR_INIT;
}

static inline void register_name(struct place *p, struct register_want want)
{
	struct registered r = { 0 };
	want.email = STR("me@example.com");
	want.agree_tos = true;
	renew_register(p->c.renewals, &r.request, &want, register_done);
	until(p, r.ended);
	if (r.err.code)
		fail_msg("%s", r.err.text);
}
#define REGISTER(p, ...)                                                                           \
	register_name((p), (struct register_want){ .names = (const struct str[]){ __VA_ARGS__ },   \
	                           .name_count = sizeof((const struct str[]){ __VA_ARGS__ }) /     \
	                                         sizeof(struct str) })

/* ---- what can be seen ---- */

static inline void has_row(struct place *p, const char *line, bool wanted)
{
	BUF_AUTO in = BUF(1 << 20), what = BUF(4096);
	buf_printf(&in, "\n%s", buf_c(&p->in_force));
	buf_printf(&what, "\n%s\n", line);
	if ((strstr(buf_c(&in), buf_c(&what)) != NULL) != wanted)
		fail_msg("%s: \"%s\" in\n%s", wanted ? "missing" : "too much", line,
		        buf_c(&p->in_force));
}
#define assert_row(p, line)    has_row((p), (line), true)
#define assert_no_row(p, line) has_row((p), (line), false)

static inline struct json *status_of(struct place *p)
{
	BUF_AUTO out = BUF(1 << 20);
	struct json_writer w;
	struct err err = ERR_INIT;
	json_write_init(&w, &out);
	json_write_object(&w, NULL);
	p->c.host.ops->status(&p->c.host, &w);
	renew_status(p->c.renewals, &w);
	json_write_end(&w);
	struct json *json = json_parse(buf_str(&out), "The status", &err);
	if (!json)
		fail_msg("%s", err.text);
	return json;
}

/* The first object of the list whose member reads so. */
static inline const struct json *item(
        const struct json *status, const char *list, const char *key, const char *value)
{
	const struct json *all = json_array(status, list);
	assert_non_null(all);
	for (size_t i = 0; i < json_count(all); i++) {
		const struct json *o = json_at(all, i);
		int64_t number = -1;
		char text[32] = "";
		if (json_int(o, key, &number))
			snprintf(text, sizeof text, "%lld", (long long)number);
		if (str_eq_c(json_text(o, key), value) || !strcmp(text, value) ||
		        str_eq_c(json_value_text(json_at(json_array(o, key), 0)), value))
			return o;
	}
	fail_msg("no %s with %s = %s", list, key, value);
	return NULL;
}

enum shown { SHOWN_NONE, SHOWN_TEMPORARY, SHOWN_REAL };

/* What handshakes for that name get. */
static inline enum shown shown(struct place *p, const char *name)
{
	struct cert_record r;
	if (!cert_table_find(p->certs, str_c(name), &r))
		return SHOWN_NONE;
	return r.flags & CERT_TEMPORARY ? SHOWN_TEMPORARY : SHOWN_REAL;
}

/* A certificate as a CA would have issued it. */
static inline void make_certificate(const char *name, struct buf *der, struct secret *ret_key)
{
	struct err err = ERR_INIT;
	struct str names[] = { str_c(name) };
	KEY_AUTO *key = key_new(KEY_P256, &err);
	if (!key || !key_self_signed(key, names, 1, (WALL - 10 * 86400) * SECOND,
	                    (WALL + 80 * 86400) * SECOND, der, &err))
		fail_msg("%s", err.text);
	*ret_key = key_to_der(key);
}

static inline void install(struct place *p, const char *name)
{
	BUF_AUTO der = BUF(8192);
	SECRET_AUTO key = SECRET_NONE;
	make_certificate(name, &der, &key);
	struct str names[] = { str_c(name) };
	p->c.serving.ops->install(&p->c.serving, &(struct serving_certificate){ .id = names[0],
	                                                 .names = names,
	                                                 .name_count = 1,
	                                                 .leaf = buf_str(&der),
	                                                 .key = &key });
	settle(p);
}

#endif
