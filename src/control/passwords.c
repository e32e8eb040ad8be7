/* Passwords of `basic-auth`, compared for serve: hashed on the thread that compares those of the
 * page, behind them, and fewer and fewer for an address that sends wrong ones. */
#include "control/control.h"
#include "portal/hashing.h"
#include "portal/throttle.h"

enum { CHECKS_MOST = 64 };

struct check {
	struct list node;
	struct hashing hashing;
	struct control *control;
	int64_t id;
	char client[64];
};

static void answer(struct control *c, int64_t id, enum password_verdict verdict, int64_t wait)
{
	link_send(&c->serve, password_checked, .id = id, .verdict = verdict, .wait = wait);
}

static void check_free(struct check *k)
{
	hashing_abort(&k->hashing);
	list_remove(&k->node);
	free(k);
}

static void compared(struct hashing *h)
{
	struct check *k = OWNER(h, struct check, hashing);
	if (h->fits)
		throttle_give_back(THROTTLE_VISITOR, str_c(k->client));
	answer(k->control, k->id, h->fits ? PASSWORD_FITS : PASSWORD_WRONG, 0);
	check_free(k);
}

/* "": nobody of that name. */
static const char *hash_of(const struct rows *rows, struct str users, struct str name)
{
	const struct rows_users *u = rows ? rows->users : NULL;
	while (u && !str_eq(u->fingerprint, users))
		u = u->next;
	for (size_t i = 0; u && i < u->count; i++)
		if (str_eq(u->at[i].name, name))
			return u->at[i].hash.p;
	return "";
}

static const char *find_hash(const struct control *c, const struct msg_check_password *m)
{
	const struct rows *const all[] = { c->current, c->plan, c->previous };
	const char *hash = "";
	for (size_t i = 0; i < sizeof all / sizeof *all && !*hash; i++)
		hash = hash_of(all[i], m->users, m->user);
	return hash;
}

/* An IPv6 network of 64 bits is one customer. */
static void client_key(struct str client, char *key, size_t size)
{
	struct sockaddr_storage a;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a;
	snprintf(key, size, "%.*s", STR_ARG(str_head(client, 60)));
	if (!address_parse(client, 0, &a) || a.ss_family != AF_INET6 ||
	        IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return;
	const uint8_t *b = six->sin6_addr.s6_addr;
	snprintf(key, size, "%02x%02x:%02x%02x:%02x%02x:%02x%02x", b[0], b[1], b[2], b[3], b[4],
	        b[5], b[6], b[7]);
}

static size_t under_way(const struct control *c)
{
	size_t n = 0;
	LIST_EACH (node, &c->password_checks)
		n++;
	return n;
}

void passwords_check(struct control *c, const struct msg_check_password *m)
{
	struct err err = ERR_INIT;
	struct check *k = mem_new(struct check);
	*k = (struct check){ .control = c, .id = m->id };
	list_add_last(&c->password_checks, &k->node);
	client_key(m->client, k->client, sizeof k->client);
	int64_t now = loop_mono(c->loop);
	int64_t wait = throttle_wait(THROTTLE_VISITOR, str_c(k->client), now);
	struct hashing_of what = { HASHING_VISITOR, m->password, find_hash(c, m) };
	if (wait > 0) {
		answer(c, m->id, PASSWORD_WAIT, wait);
		check_free(k);
	} else if (under_way(c) > CHECKS_MOST ||
	           !hashing_start(&k->hashing, what, compared, &err)) {
		answer(c, m->id, PASSWORD_BUSY, 0);
		check_free(k);
	} else {
		throttle_charge(THROTTLE_VISITOR, str_c(k->client), now);
	}
}

void passwords_forget(struct control *c)
{
	LIST_EACH (n, &c->password_checks)
		check_free(OWNER(n, struct check, node));
}
