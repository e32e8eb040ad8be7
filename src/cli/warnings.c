#include "cli/warnings.h"

#include "cli/client.h"
#include "issue/internal.h"
#include "renew/renew.h"
#include "server/settings.h"

struct config *warnings_config(struct command *c, struct buf *errors)
{
	const bool named = command_has(c, OPTION_CONFIG);
	const struct config_source source = {
		.file = command_config(c), .optional = !named, SERVER_SETTINGS
	};
	struct err err = ERR_INIT;
	return config_read(&source, errors, &err);
}

/* Whether what is held came from where the next one will, and as what. */
static bool is_alike(const struct json *held, const struct config_site *s, struct str issuer)
{
	return str_eq(json_text(held, "issued_from"), issuer) &&
	       str_eq(json_text(held, "profile"), s->making.profile);
}

/* How long the certificate lives that is held for the site: ms; 0: nobody knows. Without a
 * server that answers *asks becomes false. */
static int64_t life_held(
        struct command *c, const struct config_site *s, struct str issuer, bool *asks)
{
	struct err err = ERR_INIT;
	struct str state;
	int64_t from, until;
	const struct question q = { .method = "GET",
		.path = arena_printf(&c->arena, "/api/certificates/%.*s",
		        STR_ARG(command_escaped(c, s->names[0]))) };
	JSON_AUTO *held =
	        *asks && command_state(c, &state, &err) ? client_ask_json(state, &q, &err) : NULL;
	*asks = *asks && (held || err.code == ERR_NOT_FOUND);
	if (!held || !is_alike(held, s, issuer) ||
	        !clock_from_rfc3339(json_text(held, "not_before"), &from) ||
	        !clock_from_rfc3339(json_text(held, "not_after"), &until))
		return 0;
	return until - from;
}

static void warn(
        const struct command *c, const struct config_site *s, int64_t life, struct buf *out)
{
	const char *misfit = renewal_misfit(life, s->renew_before);
	const bool days = life >= 2 * DAY;
	if (misfit)
		buf_printf(out,
		        "%s:%u:%u: The certificate of %.*s is good for %lld %s: %s. Give less.\n",
		        command_config(c), s->renew_before_at.line, s->renew_before_at.column,
		        STR_ARG(s->names[0]), (long long)(life / (days ? DAY : HOUR)),
		        days ? "days" : "hours", misfit);
}

void warnings_find(struct command *c, const struct config *config, struct buf *out)
{
	bool asks = true;
	for (size_t i = 0; i < config->site_count; i++) {
		const struct config_site *s = &config->sites[i];
		if (!s->renew_before_at.line || !s->name_count)
			continue;
		const struct str issuer = registration_issuer(config, s->issuer, s->names[0]);
		const struct config_issuer *row = config_issuer(config, issuer);
		const int64_t life = row && !row->directory.n ? INTERNAL_LEAF_LIFE
		                                              : life_held(c, s, issuer, &asks);
		if (life)
			warn(c, s, life, out);
	}
}
