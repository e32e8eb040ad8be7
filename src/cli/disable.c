/* everseal lets-encrypt disable */
#include "cli/certificate.h"

int command_disable(struct command *c)
{
	return certificate_do(c, "disable",
	        "is no longer renewed. A certificate that it has is served until it expires.",
	        command_has(c, OPTION_DESPITE_HSTS) ? STR("{\"despite_hsts\":true}") : STR("{}"));
}
