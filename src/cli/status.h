/* What /api/status says, laid out for people. `now`: wall ms. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/command.h"
#include "json/json.h"

void status_show(const struct json *status, int64_t now, struct buf *out);
void status_certificates(const struct json *status, int64_t now, struct buf *out);
void status_certificate(const struct json *certificate, int64_t now, struct buf *out);

#endif
