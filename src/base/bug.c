/* The two ways in which this program ends itself: a bug, and no memory. */
#include "base/err.h"

void bug(const char *file, int line, const char *what)
{
	char text[512];
	const int n = snprintf(text, sizeof text, "everseal: bug at %s:%d: %s\n", file, line, what);
	if (n > 0 && write(STDERR_FILENO, text, strnlen(text, sizeof text)) < 0)
		abort();
	abort();
}

static void *or_abort(void *p)
{
	if (!p)
		BUG("out of memory");
	return p;
}

void *mem_alloc(size_t bytes)
{
	return or_abort(calloc(1, bytes ? bytes : 1));
}

void *mem_array(size_t size, size_t count)
{
	return or_abort(calloc(count ? count : 1, size ? size : 1));
}

void *mem_grow(void *p, size_t size, size_t count)
{
	return or_abort(reallocarray(p, count ? count : 1, size ? size : 1));
}
