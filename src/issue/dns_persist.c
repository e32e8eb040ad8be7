#include "issue/dns_persist.h"
#include "base/clock.h"
#include "base/url.h"

#define PREFIX "_validation-persist."

struct persist {
	struct prover prover;
	struct dns01_needs needs;
	const struct config *config;
};

struct looking {
	struct persist *persist;
	struct proving *at;
	char *name, *account;
	struct fetch_resolve resolve;
};

static bool can(struct prover *prover, struct str name, struct err *ret_why_not)
{
	const struct persist *s = OWNER(prover, struct persist, prover);
	if (s->config && dns01_way(s->config, acme_without_wildcard(name))->persist)
		return true;
	return err_set(ret_why_not, ERR_NOT_FOUND,
	        "Records that stay are not used to prove names." ERR_REMEDY
	        "Write `persist yes` into `dns-challenge` if they are to be.");
}

/* RFC 8659 4.2's form: the CA's domain, then parameters "name=value" behind semicolons. */
bool dns_persist_fits(struct str text, struct str account, int64_t now)
{
	struct str part;
	bool fits = false;
	if (!str_split(&text, ';', &part) || !str_trim(part).n)
		return false;
	while (str_split(&text, ';', &part)) {
		const size_t equal = str_find(part, '=');
		const struct str name = str_trim(str_head(part, equal));
		const struct str value = str_trim(str_from(part, equal + 1));
		uint64_t until;
		if (str_eq_nocase(name, STR("accounturi")))
			fits = str_eq(value, account);
		else if (str_eq_nocase(name, STR("persistUntil")) &&
		         (!str_to_u64(value, &until) || until <= (uint64_t)now))
			return false;
	}
	return fits;
}

/* By what domain a CA calls itself is its own to say; of Let's Encrypt it is known. */
static struct str issuer_domain(struct str account)
{
	struct url url;
	struct err ignored = ERR_INIT;
	if (!url_parse(account, &url, &ignored))
		return STR("CA");
	return str_ends(url.host, STR(".letsencrypt.org")) ? STR("letsencrypt.org") : url.host;
}

static void answered(
        struct fetch_resolve *r, const struct fetch_resolved *came, const struct err *err)
{
	const struct looking *l = OWNER(r, struct looking, resolve);
	const struct str account = str_c(l->account), domain = issuer_domain(account);
	const int64_t now = loop_wall(l->persist->needs.loop) / SECOND;
	struct str lines = err ? STR_NONE : came->records, line;
	struct err missing = ERR_INIT;
	while (str_split(&lines, '\n', &line)) {
		if (!dns_persist_fits(line, account, now))
			continue;
		l->at->ready(l->at, NULL);
		return;
	}
	err_set(&missing, ERR_NOT_FOUND,
	        PREFIX "%s has no TXT record for this account." ERR_REMEDY
	               "Add this one, with \"; policy=wildcard\" behind it for wildcards: " PREFIX
	               "%s. TXT \"%.*s; accounturi=%s\"",
	        l->name, l->name, STR_ARG(domain), l->account);
	l->at->ready(l->at, &missing);
}

static void place(struct prover *prover, struct proving *at, const struct proof_text *text)
{
	struct looking *l = mem_new(struct looking);
	BUF_AUTO resolvers = BUF(4096), record = BUF(512);
	l->persist = OWNER(prover, struct persist, prover);
	l->at = at;
	at->state = l;
	l->name = str_dup(text->name);
	l->account = str_dup(text->account);
	if (l->persist->config)
		dns01_resolvers(l->persist->config, &resolvers);
	buf_printf(&record, PREFIX "%s", l->name);
	l->resolve = (struct fetch_resolve){ .name = buf_str(&record),
		.servers = buf_str(&resolvers),
		.type = "TXT",
		.timeout = 10 * SECOND,
		.done = answered };
	fetch_resolve(l->persist->needs.fetch, &l->resolve);
}

static void withdraw(struct proving *at, bool valid)
{
	struct looking *l = at->state;
	(void)valid;
	at->state = NULL;
	fetch_resolve_abort(&l->resolve);
	free(l->name);
	free(l->account);
	free(l);
}

static const struct prover_ops ops = { .can = can, .place = place, .withdraw = withdraw };

struct prover *dns_persist_new(const struct dns01_needs *needs)
{
	struct persist *s = mem_new(struct persist);
	s->prover.ops = &ops;
	s->needs = *needs;
	return &s->prover;
}

void dns_persist_free(struct prover **p)
{
	if (*p)
		free(OWNER(*p, struct persist, prover));
	*p = NULL;
}

void dns_persist_configure(struct prover *p, const struct config *config)
{
	OWNER(p, struct persist, prover)->config = config;
}
