#include "base/secret.h"

#include "base/err.h"

void wipe(void *p, size_t n)
{
	if (n)
		explicit_bzero(p, n);
}

struct secret secret_copy(struct str bytes)
{
	if (bytes.n == 0)
		return SECRET_NONE;
	struct secret s = { mem_alloc(bytes.n), bytes.n };
	memcpy(s.p, bytes.p, bytes.n);
	return s;
}

void secret_done(struct secret *s)
{
	if (s->p)
		wipe(s->p, s->n);
	free(s->p);
	*s = SECRET_NONE;
}

struct str secret_bytes(const struct secret *s)
{
	return str_n(s->p, s->n);
}

bool secret_eq(const struct secret *a, struct str b)
{
	if (a->n != b.n)
		return false;
	/* volatile: the loop may not end at the first difference. */
	volatile unsigned char difference = 0;
	for (size_t i = 0; i < b.n; i++)
		difference = difference | (a->p[i] ^ (unsigned char)b.p[i]);
	return difference == 0;
}
