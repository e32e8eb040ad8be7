#include "worker/tickets.h"
#include "base/log.h"
#include "base/secret.h"

/* As it stands in the memory: zeros at first. */
struct kept {
	int64_t until; /* mono ms, the same for all processes */
	struct tls_ticket_keys keys;
};

static void rotate(struct timer *timer);

static void use(struct tickets *t, const struct kept *k)
{
	t->keys = k->keys;
	timer_start(&t->rotate, t->loop, k->until - loop_mono(t->loop), rotate);
	t->changed(t);
}

/* False: there are none whose time has not come. */
static bool use_kept(struct tickets *t)
{
	struct kept k = { 0 };
	const int64_t now = loop_mono(t->loop);
	const bool good = t->fd > 0 && pread(t->fd, &k, sizeof k, 0) == sizeof k && k.until > now &&
	                  k.until <= now + TICKETS_LIFE;
	if (good)
		use(t, &k);
	wipe(&k, sizeof k);
	return good;
}

static void use_own(struct tickets *t)
{
	struct kept k = { .until = loop_mono(t->loop) + TICKETS_LIFE, .keys = t->keys };
	if (t->fd > 0 && pwrite(t->fd, &k, sizeof k, 0) != sizeof k)
		log_warning(NULL, "The keys of session tickets cannot be kept: sessions cannot be "
		                  "resumed after a restart of this process.");
	use(t, &k);
	wipe(&k, sizeof k);
}

/* Another process may have done it first. */
static void rotate(struct timer *timer)
{
	struct tickets *t = OWNER(timer, struct tickets, rotate);
	struct err err;
	if (use_kept(t))
		return;
	if (!tls_ticket_keys_rotate(&t->keys, &err))
		log_error(NULL, "%s, keeping the old key for session tickets.", err.text);
	use_own(t);
}

bool tickets_start(
        struct tickets *t, struct loop *loop, void (*changed)(struct tickets *t), struct err *err)
{
	*t = (struct tickets){ .loop = loop, .changed = changed };
	if (!tls_ticket_keys_rotate(&t->keys, err))
		return false;
	timer_start(&t->rotate, loop, 0, rotate);
	return true;
}

void tickets_keep(struct tickets *t, int fd)
{
	if (t->fd > 0)
		close(t->fd);
	t->fd = fd;
	if (!use_kept(t))
		use_own(t);
}

void tickets_done(struct tickets *t)
{
	timer_stop(&t->rotate);
	if (t->fd > 0)
		close(t->fd);
	wipe(&t->keys, sizeof t->keys);
}
