/* Which CA is asked: of several the one whose turn it is; and what never had a certificate is first
 * tried on its staging, if it has one. */
#include "renew/private.h"

static const char rehearsal_suffix[] = "/rehearsal"; /* no issuer's name has a slash */

struct str ca_next(const struct registration *g)
{
	return g->issuer_count ? g->issuers[g->turn.at % g->issuer_count] : g->issuer;
}

/* Somebody may have had one for the same name from elsewhere: what he does is no mistake. */
static bool never_had(const struct registration *g)
{
	for (size_t i = 0; i < g->name_count; i++) {
		bool had = false;
		for (const struct name_entry *e = names_first(g->renewals, g->names[i]); e;
		        e = names_next(e))
			had |= e->registration->held.is;
		if (!had)
			return true;
	}
	return false;
}

static bool should_rehearse(const struct registration *g, const struct config_issuer *issuer)
{
	return g->renewals->config->rehearsal && issuer && issuer->rehearsal.n && !g->rehearsed &&
	       !g->held.version && never_had(g);
}

void ca_choose(struct registration *g)
{
	const struct str name = ca_next(g);
	g->rehearsing = should_rehearse(g, config_issuer(g->renewals->config, name));
	snprintf(g->ca, sizeof g->ca, "%.*s%s", STR_ARG(name),
	        g->rehearsing ? rehearsal_suffix : "");
}

bool ca_choose_next(struct registration *g)
{
	for (size_t i = 1; i < g->issuer_count; i++) {
		const struct str name = g->issuers[(g->turn.at + i) % g->issuer_count];
		const struct config_issuer *issuer = config_issuer(g->renewals->config, name);
		if (!issuer)
			continue;
		g->turn = (struct issuer_turn){ .at = (g->turn.at + i) % g->issuer_count };
		ca_choose(g);
		return true;
	}
	return false;
}

struct str ca_issuer(const struct registration *g)
{
	struct str name = str_c(g->ca);
	if (str_ends(name, STR("/rehearsal")))
		name.n -= sizeof rehearsal_suffix - 1;
	return name;
}

struct str ca_directory(const struct registration *g)
{
	const struct config_issuer *issuer = config_issuer(g->renewals->config, ca_issuer(g));
	if (!issuer)
		return STR_NONE;
	return g->rehearsing ? issuer->rehearsal : issuer->directory;
}

static struct issuer_row row_of(
        struct arena *a, const struct config *c, const struct config_issuer *i, bool rehearsal)
{
	return (struct issuer_row){
		.name = rehearsal ? arena_printf(a, "%.*s%s", STR_ARG(i->name), rehearsal_suffix)
		                  : i->name,
		.directory = rehearsal ? i->rehearsal : i->directory,
		.trust = i->trust,
		.eab_kid = i->eab_kid,
		.eab_hmac = i->eab_hmac,
		.http_port = c->challenge_http,
		.https_port = c->challenge_https,
	};
}

const struct issuer_row *renew_issuer_rows(
        struct arena *a, const struct config *c, size_t *ret_count)
{
	struct issuer_row *rows = arena_array(a, struct issuer_row, 2 * c->issuer_count);
	size_t count = 0;
	for (size_t i = 0; i < c->issuer_count; i++) {
		rows[count++] = row_of(a, c, &c->issuers[i], /* rehearsal= */ false);
		if (c->issuers[i].rehearsal.n)
			rows[count++] = row_of(a, c, &c->issuers[i], /* rehearsal= */ true);
	}
	*ret_count = count;
	return rows;
}
