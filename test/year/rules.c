#include "rules.h"

#include "certs/name.h"

const char *const rule_about[RULE_COUNT] = {
#define X(name, about, most, window) about,
	RULES(X)
#undef X
};
static const struct size {
	unsigned most;
	int64_t window; /* ms */
} sizes[RULE_COUNT] = {
#define X(name, about, most, window) { most, window },
	RULES(X)
#undef X
};

/* 0: there is room for one more; else the ms until there is. */
static int64_t wait_for(const struct bucket *b, enum rule rule, int64_t now)
{
	const struct size *s = &sizes[rule];
	const int64_t whole = (b->whole > now ? b->whole : now) + s->window / s->most;
	return whole > now + s->window ? whole - now - s->window : 0;
}

static void take(struct bucket *b, enum rule rule, int64_t now)
{
	b->whole = (b->whole > now ? b->whole : now) + sizes[rule].window / sizes[rule].most;
}

/* What is counted for one domain, or one name. */
struct counted {
	struct map_node node;
	char *key;
	struct bucket certificates, failures;
};

static struct counted *counted_of(struct map *map, struct str key)
{
	struct map_node *n = map_find(map, key);
	if (n)
		return OWNER(n, struct counted, node);
	struct counted *c = mem_new(struct counted);
	c->key = str_dup(key);
	map_add(map, str_c(c->key), &c->node);
	return c;
}

static void forget(struct map *map)
{
	MAP_EACH (n, map) {
		struct counted *c = OWNER(n, struct counted, node);
		map_remove(map, n);
		free(c->key);
		free(c);
	}
	map_done(map);
}

void rules_done(struct rules *r)
{
	forget(&r->domains);
	forget(&r->names);
}

static struct counted *domain_of(struct rules *r, const char *name)
{
	return counted_of(&r->domains, name_registered_domain(str_c(name)));
}

static struct counted *name_of(struct rules *r, const char *name)
{
	return counted_of(&r->names, str_c(name));
}

/* True: the limit is passed. */
static bool is_passed(struct rules *r, enum rule rule, const struct bucket *b, int64_t now)
{
	const bool passed = wait_for(b, rule, now) > 0;
	r->refused[rule] += passed;
	return passed;
}

/* The words that Let's Encrypt has for it. */
static void say(enum rule rule, struct str name, struct buf *out)
{
	if (rule == RULE_ORDERS)
		buf_add_c(out, "too many new orders (300) from this account in the last 3h0m0s");
	else if (rule == RULE_SET)
		buf_add_c(out, "too many certificates (5) already issued for this exact set of "
		               "identifiers in the last 168h0m0s");
	else if (rule == RULE_DOMAIN)
		buf_printf(out,
		        "too many certificates (50) already issued for \\\"%.*s\\\" in the last "
		        "168h0m0s",
		        STR_ARG(name_registered_domain(name)));
	else
		buf_printf(out,
		        "too many failed authorizations (5) for \\\"%.*s\\\" in the last 1h0m0s",
		        STR_ARG(name));
}

static enum rule passed_by(struct rules *r, const struct rule_order *o, const struct bucket **ret)
{
	const struct counted *name = name_of(r, o->name), *domain = domain_of(r, o->name);
	const struct {
		enum rule rule;
		const struct bucket *bucket;
		bool counts;
	} all[] = {
		{ RULE_ORDERS, &r->orders, !o->exempt && !o->renewal },
		{ RULE_DOMAIN, &domain->certificates, !o->exempt && !o->renewal },
		{ RULE_SET, &name->certificates, !o->exempt },
		{ RULE_FAILED, &name->failures, true },
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		*ret = all[i].bucket;
		if (all[i].counts && is_passed(r, all[i].rule, *ret, o->now))
			return all[i].rule;
	}
	return RULE_COUNT;
}

enum rule rules_order(
        struct rules *r, const struct rule_order *o, int64_t *ret_wait, struct buf *out)
{
	const struct bucket *passed;
	const enum rule rule = passed_by(r, o, &passed);
	if (rule == RULE_COUNT && !o->exempt && !o->renewal)
		take(&r->orders, RULE_ORDERS, o->now);
	if (rule == RULE_COUNT)
		return rule;
	*ret_wait = wait_for(passed, rule, o->now);
	say(rule, str_c(o->name), out);
	return rule;
}

static void spend(struct rules *r, enum rule rule, struct bucket *b, int64_t now)
{
	r->exceeded[rule] += wait_for(b, rule, now) > 0;
	take(b, rule, now);
}

void rules_issued(struct rules *r, const struct rule_order *o)
{
	if (!o->exempt && !o->renewal)
		spend(r, RULE_DOMAIN, &domain_of(r, o->name)->certificates, o->now);
	if (!o->exempt)
		spend(r, RULE_SET, &name_of(r, o->name)->certificates, o->now);
}

void rules_failed(struct rules *r, const char *name, int64_t now)
{
	spend(r, RULE_FAILED, &name_of(r, name)->failures, now);
}

static enum rule rule_of(const char *url)
{
	if (strstr(url, "/renewal/"))
		return RULE_WINDOWS;
	if (strstr(url, "/directory"))
		return RULE_DIRECTORIES;
	return strstr(url, "/nonce") ? RULE_NONCES : RULE_REQUESTS;
}

bool rules_allow_request(struct rules *r, const char *url, int64_t now)
{
	const enum rule rule = rule_of(url);
	struct bucket *b = &r->requests[rule];
	if (is_passed(r, rule, b, now))
		return false;
	take(b, rule, now);
	return true;
}
