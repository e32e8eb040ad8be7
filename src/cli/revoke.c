/* everseal lets-encrypt revoke */
#include "cli/certificate.h"

int command_revoke(struct command *c)
{
	BUF_AUTO body = BUF_INIT(4096);
	struct json_writer w;
	json_write_init(&w, &body);
	json_write_object(&w, NULL);
	if (command_has(c, OPTION_REASON))
		json_write_text(&w, "reason", command_value(c, OPTION_REASON));
	if (command_has(c, OPTION_DESPITE_HSTS))
		json_write_bool(&w, "despite_hsts", /* value= */ true);
	json_write_end(&w);
	return certificate_do(c, "revoke",
	        "will be revoked, once a new certificate is there: `everseal lets-encrypt status` "
	        "shows how it goes.",
	        buf_str(&body));
}
