/* /api/diagnosis: what could stop a name from being issued for or served. */
#ifndef PORTAL_DIAGNOSIS_H
#define PORTAL_DIAGNOSIS_H

#include "portal/call.h"

extern const struct route diagnosis_routes[];
/* Called by portal_open and portal_close. */
void diagnosis_open(void);
void diagnosis_close(void);

#endif
