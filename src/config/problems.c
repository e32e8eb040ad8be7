#include "config/parts.h"

#include <stdarg.h>

enum { SHOWN_MOST = 80 };

struct str config_shown(struct str word)
{
	if (word.n <= SHOWN_MOST)
		return word;
	size_t n = SHOWN_MOST;
	while (n > 0 && ((unsigned char)word.p[n] & 0xc0) == 0x80)
		n--;
	return str_head(word, n);
}

static bool before(struct config_at a, struct config_at b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

void config_problem(struct problems *p, struct config_at at, const char *format, ...)
{
	const bool full = p->count == CONFIG_ERRORS_MOST;
	if (full && !before(at, p->at[p->count - 1].at))
		return;
	char text[1024];
	struct err clean = ERR_INIT;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	err_set(&clean, ERR_INPUT, "%s", text);
	size_t i = full ? p->count - 1 : p->count++;
	for (; i > 0 && before(at, p->at[i - 1].at); i--)
		p->at[i] = p->at[i - 1];
	p->at[i] = (struct problem){ at, arena_str(p->arena, str_c(clean.text)) };
}

void config_problems_print(const struct problems *p, const char *file, struct buf *ret_lines)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct problem *one = &p->at[i];
		if (one->at.line)
			buf_printf(ret_lines, "%s:%u:%u: %.*s\n", file, one->at.line,
			        one->at.column, STR_ARG(one->sentence));
		else
			buf_printf(ret_lines, "%s: %.*s\n", file, STR_ARG(one->sentence));
	}
}
