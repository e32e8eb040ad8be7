/* The only file that knows libidn2. */
#include "certs/idn.h"

#include <idn2.h>

/* Borrowed text as the library wants it. A NUL within would hide what follows. */
static char *terminated(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	memcpy(p, s.p ? s.p : "", s.n);
	return p;
}

static bool take(struct arena *a, int rc, char *made, struct str *ret, const char **ret_reason)
{
	if (rc == IDN2_OK)
		*ret = arena_str(a, (struct str){ made, strlen(made) });
	else
		*ret_reason = idn2_strerror(rc);
	idn2_free(made);
	return rc == IDN2_OK;
}

bool idn_to_ascii(struct arena *a, struct str name, struct str *ret_ascii, const char **ret_reason)
{
	char *made = NULL;
	int rc = idn2_to_ascii_8z(terminated(a, name), &made,
	        IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL | IDN2_USE_STD3_ASCII_RULES);
	return take(a, rc, made, ret_ascii, ret_reason);
}

bool idn_to_unicode(
        struct arena *a, struct str ascii, struct str *ret_unicode, const char **ret_reason)
{
	char *made = NULL;
	int rc = idn2_to_unicode_8z8z(terminated(a, ascii), &made, 0);
	return take(a, rc, made, ret_unicode, ret_reason);
}
