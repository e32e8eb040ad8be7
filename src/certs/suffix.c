/* The only file that knows libpsl, with the public suffix list that Debian ships. */
#include "certs/name.h"

#include "base/err.h"
#include "base/ip.h"

#include <libpsl.h>
#include <stdio.h>

enum { NAME_MOST = 253 };

static bool terminate(struct str ascii, char ret_text[NAME_MOST + 1])
{
	if (ascii.n == 0 || ascii.n > NAME_MOST || memchr(ascii.p, 0, ascii.n))
		return false;
	memcpy(ret_text, ascii.p, ascii.n);
	ret_text[ascii.n] = 0;
	return true;
}

struct str name_registered_domain(struct str ascii)
{
	char text[NAME_MOST + 1];
	if (ip_is(ascii) || !terminate(ascii, text))
		return STR_NONE;
	const char *domain = psl_registrable_domain(psl_builtin(), text);
	return domain ? str_from(ascii, (size_t)(domain - text)) : STR_NONE;
}

struct str name_counted_for(struct str ascii, char room[NAME_NETWORK])
{
	unsigned char address[IP_BYTES];
	char text[IP_TEXT];
	if (ip_read(ascii, address) == 16) {
		memset(address + 8, 0, 8);
		snprintf(room, NAME_NETWORK, "%s/64", ip_text(address, 16, text));
		return str_c(room);
	}
	const struct str domain = name_registered_domain(ascii);
	return domain.n ? domain : ascii;
}

/* ICANN's part of the list only: the owner of a "private" suffix like github.io may well want a
 * certificate for it. */
bool name_is_public_suffix(struct str ascii)
{
	char text[NAME_MOST + 1];
	return terminate(ascii, text) && psl_is_public_suffix2(psl_builtin(), text,
	                                         PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) == 1;
}
