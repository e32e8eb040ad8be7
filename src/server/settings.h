/* The data plane's settings: one list makes struct limits' defaults, the rows for file and manual,
 * and the names of `limit` messages. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "base/err.h"
#include "base/setting.h"
#include "server/site.h"

/* All that follow, for a struct config_source. */
#define SERVER_SETTINGS                                                                            \
	.extra = { server_settings, server_setting_count },                                        \
	.proxy = { upstream_settings, upstream_setting_count },                                    \
	.health = { health_settings, health_setting_count }

/* Offsets are into struct limits. */
extern const struct setting server_settings[];
extern const size_t server_setting_count;

/* Those of a group of upstreams, and of its health check. Offsets are into struct
 * upstream_options. */
extern const struct setting upstream_settings[], health_settings[];
extern const size_t upstream_setting_count, health_setting_count;

void upstream_options_init(struct upstream_options *o); /* the defaults */
/* By the setting's name, as in msg_upstreams_option. */
MUST_CHECK bool upstream_options_set(
        struct upstream_options *o, struct str name, int64_t value, struct err *err);

void limits_init(struct limits *l); /* the defaults */
/* By the setting's name, as in msg_limit. */
MUST_CHECK bool limits_set(struct limits *l, struct str name, int64_t value, struct err *err);

#endif
