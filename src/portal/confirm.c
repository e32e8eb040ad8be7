/* What calls of this module wait for: a row that is written, a password that is checked or
 * hashed. */
#include "portal/hashing.h"
#include "portal/people.h"
#include "portal/throttle.h"

bool call_wrong(struct call *c, const struct err *err, const char *field)
{
	call_fail_field(c, err, field, STR_NONE);
	return false;
}

/* ---- a row ---- */

static void saving_let_go(struct call_part *p)
{
	row_wait_abort(&OWNER(p, struct call_saving, part)->wait);
}

static void saved(struct row_wait *wait, const struct err *err)
{
	struct call_saving *s = OWNER(wait, struct call_saving, wait);
	if (err)
		call_fail(s->call, err);
	else
		s->then(s->call);
}

struct call_saving *call_saving(struct call *c, void (*then)(struct call *c))
{
	struct call_saving *s = arena_new(&c->arena, struct call_saving);
	*s = (struct call_saving){ .wait.done = saved, .call = c, .then = then ? then : call_done };
	call_keep(c, &s->part, saving_let_go);
	return s;
}

/* ---- a password ---- */

struct asking {
	struct call_part part;
	struct hashing hashing;
	struct call *call;
	const char *field;
	void (*confirmed)(struct call *c, struct person *p);
	void (*hashed)(struct call *c, const char *hash);
};

static void asking_let_go(struct call_part *p)
{
	struct asking *a = OWNER(p, struct asking, part);
	hashing_abort(&a->hashing);
	wipe(a->hashing.hash, sizeof a->hashing.hash);
}

static struct asking *asking_new(struct call *c)
{
	struct asking *a = arena_new(&c->arena, struct asking);
	a->call = c;
	call_keep(c, &a->part, asking_let_go);
	return a;
}

static struct str throttle_key(struct call *c)
{
	return arena_printf(&c->arena, "%.*s again", STR_ARG(c->who.name));
}

static void compared(struct hashing *h)
{
	struct asking *a = OWNER(h, struct asking, hashing);
	struct call *c = a->call;
	struct err err = ERR_INIT;
	if (!call_still_may(c))
		return;
	if (h->fits) {
		throttle_give_back(THROTTLE_CODE, throttle_key(c));
		a->confirmed(c, c->who.person);
		return;
	}
	err_set(&err, ERR_INPUT,
	        "The password is wrong." ERR_REMEDY "Give the one that you sign in with.");
	call_wrong(c, &err, a->field);
}

bool call_wait(struct call *c, int64_t wait)
{
	struct err err = ERR_INIT;
	if (wait <= 0)
		return false;
	long long seconds = (wait + SECOND - 1) / SECOND;
	err_set(&err, ERR_LIMIT,
	        "Too many tries: wait %lld s, or run `everseal admin password` on the server.",
	        seconds);
	call_fail_wait(c, &err, seconds);
	return true;
}

/* Whether a person signed in asks, rather than a token or the machine's owner. */
static bool is_person(struct call *c)
{
	struct err err = ERR_INIT;
	if (c->who.person)
		return true;
	err_set(&err, ERR_PERMISSION, "This is for people who have signed in, not for %.*s.",
	        STR_ARG(c->who.name));
	call_fail(c, &err);
	return false;
}

void call_confirm(struct call *c, struct str password, const char *field,
        void (*then)(struct call *c, struct person *p))
{
	struct err err = ERR_INIT;
	int64_t now = loop_mono(portal.loop);
	if (!is_person(c) || call_wait(c, throttle_wait(THROTTLE_CODE, throttle_key(c), now)))
		return;
	struct asking *a = asking_new(c);
	a->confirmed = then;
	a->field = field;
	throttle_charge(THROTTLE_CODE, throttle_key(c), now);
	struct hashing_of what = { HASHING_KNOWN, password, c->who.person->hash };
	if (hashing_start(&a->hashing, what, compared, &err))
		return;
	throttle_give_back(THROTTLE_CODE, throttle_key(c));
	call_fail(c, &err);
}

static void hashed(struct hashing *h)
{
	struct asking *a = OWNER(h, struct asking, hashing);
	if (h->fits && !call_still_may(a->call))
		return;
	if (h->fits)
		a->hashed(a->call, h->hash);
	else
		call_fail(a->call, &h->err);
}

void call_hash(struct call *c, struct str password, void (*then)(struct call *c, const char *hash))
{
	struct err err = ERR_INIT;
	struct hashing_of what = { c->who.scope == SCOPE_OWNER ? HASHING_OWNER : HASHING_KNOWN,
		password, NULL };
	struct asking *a = asking_new(c);
	a->hashed = then;
	if (!hashing_start(&a->hashing, what, hashed, &err))
		call_fail(c, &err);
}
