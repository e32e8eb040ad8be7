#include "base/log.h"

#include "base/clock.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static const char *const level_names[] = {
#define X(name, text) [LOG_##name] = text,
	LOG_LEVELS(X)
#undef X
};

static log_sink *sink = log_to_stderr;
static const char *process = "";
static _Atomic enum log_level most_level = LOG_INFO;

const char *log_level_name(enum log_level level)
{
	CHECK((unsigned)level < sizeof level_names / sizeof *level_names);
	return level_names[level];
}

void log_to(log_sink *to)
{
	sink = to;
}

void log_set_process(const char *name)
{
	process = name;
}

void log_set_level(enum log_level most)
{
	atomic_store_explicit(&most_level, most, memory_order_relaxed);
}

/* Text of one line on the stack: what no longer fits is cut. */
struct line {
	size_t n;
	char text[6 * 1024];
};

static void add(struct line *l, struct str s)
{
	const struct str fits = str_head(s, sizeof l->text - l->n);
	if (fits.n)
		memcpy(l->text + l->n, fits.p, fits.n);
	l->n += fits.n;
}

static struct str line_str(const struct line *l)
{
	return str_n(l->text, l->n);
}

static void add_escaped_byte(struct line *l, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	if (c == '\n')
		add(l, STR("\\n"));
	else if (c == '\r')
		add(l, STR("\\r"));
	else if (c == '\t')
		add(l, STR("\\t"));
	else
		add(l, str_n((char[]){ '\\', 'x', hex[c >> 4], hex[c & 15] }, 4));
}

/* Control characters (C1 in UTF-8 too: terminals obey it) and what is not UTF-8 become escapes. */
static void add_clean(struct line *l, struct str s)
{
	while (s.n) {
		const unsigned char first = (unsigned char)s.p[0];
		const size_t bytes = str_utf8(s);
		const bool c1 = bytes == 2 && first == 0xc2 && (unsigned char)s.p[1] < 0xa0;
		if (bytes == 0 || first < 0x20 || first == 0x7f || c1) {
			add_escaped_byte(l, first);
			s = str_from(s, 1);
		} else {
			add(l, str_head(s, bytes));
			s = str_from(s, bytes);
		}
	}
}

static bool wants_quotes(const char *value)
{
	return value[0] == '\0' || value[strcspn(value, " \"=\\:\t\r\n")] != '\0';
}

static void add_quoted(struct line *l, const char *value)
{
	add(l, STR("\""));
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			add(l, STR("\\"));
		add(l, str_n(value, 1));
	}
	add(l, STR("\""));
}

static void add_fields(struct line *l, const struct log *log)
{
	if (!log)
		return;
	add_fields(l, log->parent);
	if (!log->key)
		return;
	if (l->n)
		add(l, STR(" "));
	add(l, str_c(log->key));
	add(l, STR("="));
	const char *value = log->value ? log->value : "";
	if (wants_quotes(value))
		add_quoted(l, value);
	else
		add(l, str_c(value));
}

void log_line(enum log_level level, struct str fields, struct str text)
{
	if (level > atomic_load_explicit(&most_level, memory_order_relaxed))
		return;
	struct line clean_fields = { .n = 0 }, clean_text = { .n = 0 };
	add_clean(&clean_fields, fields);
	add_clean(&clean_text, text);
	sink(level, line_str(&clean_fields), line_str(&clean_text));
}

__attribute__((format(printf, 3, 0))) static void log_args(
        enum log_level level, const struct log *l, const char *format, va_list args)
{
	if (level > atomic_load_explicit(&most_level, memory_order_relaxed))
		return;
	char text[4096];
	const int n = vsnprintf(text, sizeof text, format, args);
	CHECK(n >= 0);
	struct line fields = { .n = 0 };
	add_fields(&fields, l);
	log_line(level, line_str(&fields), str_c(text));
}

#define LOG_FUNCTION(name, level)                                                                  \
	void name(const struct log *l, const char *format, ...)                                    \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, format);                                                            \
		log_args(level, l, format, args);                                                  \
		va_end(args);                                                                      \
	}
LOG_FUNCTION(log_error, LOG_ERROR)
LOG_FUNCTION(log_warning, LOG_WARNING)
LOG_FUNCTION(log_info, LOG_INFO)
LOG_FUNCTION(log_debug, LOG_DEBUG)

/* "2026-11-24T15:43:29.120Z" */
static void add_time(struct line *l)
{
	char seconds[CLOCK_TEXT], fraction[8];
	const int64_t now = clock_system.wall(&clock_system);
	clock_rfc3339(now, seconds);
	snprintf(fraction, sizeof fraction, ".%03uZ", (unsigned)(now % SECOND));
	add(l, str_n(seconds, strlen(seconds) - 1));
	add(l, str_c(fraction));
}

static void add_word(struct line *l, struct str word)
{
	if (word.n == 0)
		return;
	add(l, STR(" "));
	add(l, word);
}

/* One write: lines of several threads and processes do not mix. */
void log_to_stderr(enum log_level level, struct str fields, struct str text)
{
	struct line l = { .n = 0 };
	add_time(&l);
	add_word(&l, str_c(log_level_name(level)));
	add_word(&l, str_c(process));
	add_word(&l, fields);
	add(&l, STR(": "));
	add(&l, text);
	if (l.n == sizeof l.text)
		l.n--;
	add(&l, STR("\n"));
	if (write(STDERR_FILENO, l.text, l.n) < 0)
		return; /* a log that cannot be written has nobody to tell */
}
