/* everseal lets-encrypt renew */
#include "cli/certificate.h"

int command_renew(struct command *c)
{
	return certificate_do(c, "renew",
	        "is being renewed: `everseal lets-encrypt status` shows how it goes.", STR("{}"));
}
