#include "server/auth.h"

#include "base/buf.h"
#include "net/address.h"
#include "server/rules.h"
#include "server/worker.h"

enum { ATTEMPTS_MOST = 64, PASSED_MOST = 4096, CREDENTIALS_MOST = 2 << 10, KEY = 33 };
static const int64_t PATIENCE = 15 * SECOND, PASSES_FOR = 5 * MINUTE;

struct attempt {
	struct map_node node; /* by key */
	char key[KEY];
	int64_t id;
	struct auth *auth;
	struct list waiting; /* struct applicant */
	struct timer timer;
};

struct passed {
	struct map_node node;
	char key[KEY];
	int64_t until; /* mono ms */
};

struct auth {
	struct worker *worker;
	struct map attempts, passed;
	int64_t last_id;
};

/* An exchange that waits for an attempt. */
struct applicant {
	struct handling handling;
	struct list node;
	struct exchange *ex;
	void (*go_on)(struct exchange *ex);
};

static struct auth *auth_of(struct worker *w)
{
	if (w->auth)
		return w->auth;
	w->auth = mem_new(struct auth);
	w->auth->worker = w;
	/* An answer meant for a data plane before this one fits no question of ours. */
	char seed[64];
	snprintf(seed, sizeof seed, "auth %u", w->index);
	w->auth->last_id = (int64_t)(hash_keyed(str_c(seed)) >> 1 & ~UINT64_C(0xffffffff));
	return w->auth;
}

static void forget_attempt(struct attempt *t)
{
	timer_stop(&t->timer);
	map_remove(&t->auth->attempts, &t->node);
	free(t);
}

static void forget_passed(struct map *passed, int64_t until)
{
	MAP_EACH (n, passed) {
		struct passed *p = OWNER(n, struct passed, node);
		if (p->until > until)
			continue;
		map_remove(passed, n);
		free(p);
	}
}

void auth_free(struct auth **a)
{
	struct auth *gone = *a;
	*a = NULL;
	if (!gone)
		return;
	MAP_EACH (n, &gone->attempts)
		forget_attempt(OWNER(n, struct attempt, node));
	forget_passed(&gone->passed, INT64_MAX);
	map_done(&gone->attempts);
	map_done(&gone->passed);
	free(gone);
}

/* --- what has passed */

static bool has_passed(struct auth *a, struct str key)
{
	struct map_node *n = map_find(&a->passed, key);
	return n && OWNER(n, struct passed, node)->until > loop_mono(a->worker->loop);
}

static void note_passed(struct auth *a, const char *key)
{
	int64_t now = loop_mono(a->worker->loop);
	struct map_node *n = map_find(&a->passed, str_c(key));
	if (!n && a->passed.count >= PASSED_MOST)
		forget_passed(&a->passed, now);
	if (!n && a->passed.count >= PASSED_MOST)
		forget_passed(&a->passed, INT64_MAX);
	struct passed *p = n ? OWNER(n, struct passed, node) : mem_new(struct passed);
	p->until = now + PASSES_FOR;
	if (n)
		return;
	memcpy(p->key, key, sizeof p->key);
	map_add(&a->passed, str_c(p->key), &p->node);
}

/* --- answers */

static void answer_later(struct exchange *ex, unsigned status, int64_t wait, const char *sentence)
{
	headers_add(&ex->also, ex->arena, STR("retry-after"),
	        arena_printf(ex->arena, "%lld", (long long)(wait + SECOND - 1) / SECOND));
	exchange_answer(ex, status, sentence);
}

static void ask_for_password(struct exchange *ex, const char *sentence)
{
	headers_add(&ex->also, ex->arena, STR("www-authenticate"),
	        arena_printf(ex->arena, "Basic realm=\"%.*s\", charset=\"UTF-8\"",
	                STR_ARG(ex->site->name)));
	exchange_answer(ex, 401, sentence);
}

static void decide(struct applicant *who, enum password_verdict verdict, int64_t wait)
{
	struct exchange *ex = who->ex;
	ex->handling = NULL;
	switch (verdict) {
	case PASSWORD_FITS:
		who->go_on(ex);
		return;
	case PASSWORD_WRONG:
		ask_for_password(ex, "The name or the password is wrong.");
		return;
	case PASSWORD_WAIT:
		answer_later(ex, 429, wait,
		        "Too many wrong passwords came from your address: wait a moment.");
		return;
	case PASSWORD_BUSY:
		answer_later(ex, 503, 2 * SECOND,
		        "Passwords cannot be checked just now: try again in a moment.");
		return;
	}
}

static void end_attempt(struct attempt *t, enum password_verdict verdict, int64_t wait)
{
	struct list waiting;
	list_init(&waiting);
	LIST_EACH (n, &t->waiting) {
		list_remove(n);
		list_add_last(&waiting, n);
	}
	if (verdict == PASSWORD_FITS)
		note_passed(t->auth, t->key);
	forget_attempt(t);
	while (!list_empty(&waiting)) {
		struct list *first = list_first(&waiting);
		list_remove(first);
		decide(OWNER(first, struct applicant, node), verdict, wait);
	}
}

static void took_too_long(struct timer *timer)
{
	end_attempt(OWNER(timer, struct attempt, timer), PASSWORD_BUSY, 0);
}

void auth_heard(struct worker *w, const struct msg_password_checked *m)
{
	if (!w->auth || m->verdict < 0 || m->verdict > PASSWORD_BUSY)
		return;
	MAP_EACH (n, &w->auth->attempts) {
		struct attempt *t = OWNER(n, struct attempt, node);
		if (t->id != m->id)
			continue;
		end_attempt(t, (enum password_verdict)m->verdict, m->wait);
		return;
	}
}

/* --- questions */

static void body(struct handling *h, struct str piece)
{
	(void)h;
	(void)piece;
}

static void nothing(struct handling *h)
{
	(void)h;
}

static void gone(struct handling *h)
{
	list_remove(&OWNER(h, struct applicant, handling)->node);
}

static const struct handling_ops waiting_ops = {
	.body = body, .body_end = nothing, .room = nothing, .gone = gone
};

static void wait_for(struct attempt *t, struct exchange *ex, void (*go_on)(struct exchange *ex))
{
	struct applicant *who = arena_new(ex->arena, struct applicant);
	who->handling.ops = &waiting_ops;
	who->ex = ex;
	who->go_on = go_on;
	ex->handling = &who->handling;
	list_add_last(&t->waiting, &who->node);
}

static struct attempt *attempt_new(struct auth *a, const char *key)
{
	struct attempt *t = mem_new(struct attempt);
	memcpy(t->key, key, sizeof t->key);
	t->auth = a;
	t->id = ++a->last_id;
	list_init(&t->waiting);
	map_add(&a->attempts, str_c(t->key), &t->node);
	timer_start(&t->timer, a->worker->loop, PATIENCE, took_too_long);
	return t;
}

static void ask_control(struct exchange *ex, int64_t id, struct str credentials)
{
	char client[ADDRESS_TEXT];
	size_t colon = str_find(credentials, ':');
	worker_tell(ex->worker, check_password, .id = id, .users = ex->route->users,
	        .client = str_c(address_text(&ex->client, client)),
	        .user = str_head(credentials, colon), .password = str_from(credentials, colon + 1));
}

/* 128 bits of what was given and of whom it was given for. */
static void key_of(const struct exchange *ex, struct str credentials, char ret_key[KEY])
{
	BUF_AUTO text = BUF_SECRET_INIT(8 << 10);
	buf_printf(&text, "1%.*s ", STR_ARG(ex->route->users));
	buf_add(&text, credentials);
	uint64_t high = hash_keyed(buf_str(&text));
	text.p[0] = '2';
	snprintf(ret_key, KEY, "%016llx%016llx", (unsigned long long)high,
	        (unsigned long long)hash_keyed(buf_str(&text)));
}

static void look_at(struct exchange *ex, struct str credentials, void (*go_on)(struct exchange *ex))
{
	struct auth *a = auth_of(ex->worker);
	char key[KEY];
	key_of(ex, credentials, key);
	if (has_passed(a, str_c(key))) {
		go_on(ex);
		return;
	}
	struct map_node *n = map_find(&a->attempts, str_c(key));
	if (n) {
		wait_for(OWNER(n, struct attempt, node), ex, go_on);
	} else if (a->attempts.count >= ATTEMPTS_MOST || !ex->worker->tell) {
		answer_later(ex, 503, 2 * SECOND,
		        "Passwords cannot be checked just now: try again in a moment.");
	} else {
		struct attempt *t = attempt_new(a, key);
		wait_for(t, ex, go_on);
		ask_control(ex, t->id, credentials);
	}
}

/* Two of them would be read by us and by the application as two different people. */
static bool is_given_twice(const struct headers *h)
{
	size_t count = 0;
	for (size_t i = 0; i < h->count; i++)
		count += str_eq(h->at[i].name, STR("authorization"));
	return count > 1;
}

/* RFC 7617 2: "Basic", then name:password in base64. */
static bool read_credentials(const struct headers *h, struct buf *ret_credentials)
{
	struct str given = headers_find(h, STR("authorization")), scheme = STR("Basic ");
	if (!str_eq_nocase(str_head(given, scheme.n), scheme) || given.n > CREDENTIALS_MOST)
		return false;
	return buf_decode_base64(ret_credentials, str_trim(str_from(given, scheme.n))) &&
	       str_has(buf_str(ret_credentials), ':');
}

void auth_start(struct exchange *ex, void (*go_on)(struct exchange *ex))
{
	BUF_AUTO credentials = BUF_SECRET_INIT(CREDENTIALS_MOST);
	if (is_given_twice(&ex->request.headers))
		exchange_answer(ex, 400, "There is more than one Authorization.");
	else if (read_credentials(&ex->request.headers, &credentials))
		look_at(ex, buf_str(&credentials), go_on);
	else
		ask_for_password(ex, "This page needs a name and a password.");
}
