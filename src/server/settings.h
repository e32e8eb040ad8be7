/* The data plane's settings: one list makes struct limits' defaults, the rows for file and manual,
 * and the names of `limit` messages. */
#ifndef SERVER_SETTINGS_H
#define SERVER_SETTINGS_H

#include "base/err.h"
#include "base/setting.h"
#include "server/site.h"

/* Offsets are into struct limits. */
extern const struct setting server_settings[];
extern const size_t server_setting_count;

void limits_init(struct limits *l); /* the defaults */
/* By the setting's name, as in msg_limit. */
MUST_CHECK bool limits_set(struct limits *l, struct str name, int64_t value, struct err *err);

#endif
