/* The block `on-demand`: certificates for names that become known by a handshake. */
#include "base/url.h"
#include "certs/name.h"
#include "certs/pattern.h"
#include "config/parts.h"

enum { BUDGET_DEFAULT = 10, BUDGET_MOST = 1000, PATTERNS_MOST = 1000, URL_MOST = 1500 };

bool config_demand_allows(const struct config_demand *d, struct str name)
{
	for (size_t i = 0; i < d->allow_count; i++)
		if (pattern_allows(d->allow[i], name))
			return true;
	return d->at.line && !d->allow_count;
}

/* The fragment, if there is one, is never sent. */
void config_set_demand_ask(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	struct err err = ERR_INIT;
	struct url url;
	if (!url_parse(w->text, &url, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
	else if (w->text.n > URL_MOST)
		config_problem(&r->problems, w->at, "A URL has at most %d characters.", URL_MOST);
	else
		r->demand.ask = arena_str(&r->c->arena, str_head(w->text, str_find(w->text, '#')));
}

static bool read_pattern(struct reader *r, const struct word *w, struct str *ret_pattern)
{
	const struct str deep = STR("**.");
	struct arena *a = &r->c->arena;
	struct err err = ERR_INIT;
	struct name name;
	const bool is_deep = str_starts(w->text, deep), stands = str_starts(w->text, STR("*"));
	if (!(stands ? name_read_wildcard : name_read_dns)(a,
	            is_deep ? str_from(w->text, 1) : w->text, /* public_only= */ false, &name,
	            &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return false;
	}
	*ret_pattern = is_deep ? arena_printf(a, "*%.*s", STR_ARG(name.ascii)) : name.ascii;
	return true;
}

void config_set_demand_allow(struct reader *r, const struct node *n)
{
	struct config_demand *d = &r->demand;
	struct str pattern;
	if (d->allow_count + n->param_count > PATTERNS_MOST)
		config_problem(&r->problems, n->name.at,
		        "`on-demand` takes at most %d patterns: `ask` decides about more.",
		        PATTERNS_MOST);
	for (size_t i = 0; i < n->param_count; i++)
		if (read_pattern(r, &n->params[i], &pattern))
			LIST_PUSH(&r->c->arena, d->allow, d->allow_count, pattern);
}

void config_set_demand_budget(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	uint64_t count = 0;
	if (str_ends(w->text, STR("/h")) && str_to_u64(str_head(w->text, w->text.n - 2), &count) &&
	        count > 0 && count <= BUDGET_MOST)
		r->demand.budget = count;
	else
		config_problem(&r->problems, w->at,
		        "\"%.*s\" is no budget: write how many names may be ordered for in an "
		        "hour, from 1/h to %d/h.",
		        STR_ARG(config_shown(w->text)), BUDGET_MOST);
}

/* Without a name that stands for others every name of the site is known beforehand. */
static bool has_unknown_names(const struct config_site *s)
{
	for (size_t i = 0; i < s->name_count; i++)
		if (str_starts(s->names[i], STR("*.")))
			return true;
	return s->fallback;
}

static void check_block(struct reader *r, const struct node *n)
{
	const struct config_demand *d = &r->demand;
	if (!d->ask.p && !d->allow_count)
		config_problem(&r->problems, n->name.at,
		        "`on-demand` would order a certificate for whatever name a stranger asks "
		        "for: write `ask URL`, `allow PATTERN`, or both in it.");
	if (!has_unknown_names(&r->site))
		config_problem(&r->problems, n->name.at,
		        "`on-demand` is for names that are not known beforehand: it stands in "
		        "`site *` or in a site with a wildcard such as *.example.com.");
}

void config_set_on_demand(struct reader *r, const struct node *n)
{
	if (!n->block) {
		config_problem(&r->problems, n->name.at,
		        "`on-demand` is incomplete: write `on-demand { ask URL; allow PATTERN… "
		        "}`.");
		return;
	}
	r->demand = (struct config_demand){ .at = n->name.at, .budget = BUDGET_DEFAULT };
	const size_t before = r->problems.count;
	config_rows_read(r, n, SCOPE_DEMAND);
	if (r->problems.count == before)
		check_block(r, n);
	r->site.demand = r->demand;
}

/* Email and terms may come from the top level. */
void config_check_demand(struct reader *r, const struct config_site *s)
{
	const bool agreed = s->email.n && r->c->agree_to_terms;
	if (s->demand.at.line && !agreed && !str_eq_c(s->issuer, "internal"))
		config_problem(&r->problems, s->demand.at,
		        "`on-demand` orders certificates by itself: add `email MAIL` and "
		        "`agree-to-terms yes` at top level, or `issuer internal` here.");
}
