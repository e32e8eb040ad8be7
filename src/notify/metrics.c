#include "notify/metrics.h"

void metrics_family(struct buf *out, const char *name, enum metrics_kind kind, const char *help)
{
	static const char *const kinds[] = { [METRICS_GAUGE] = "gauge",
		[METRICS_COUNTER] = "counter",
		[METRICS_HISTOGRAM] = "histogram" };
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

/* Backslash and quote have to be escaped; control characters help nobody. */
static void add_value(struct buf *out, struct str value)
{
	while (value.n) {
		const size_t n = str_utf8(value);
		const char c = value.p[0];
		if (!n || (unsigned char)c < ' ')
			buf_add_char(out, '?');
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else
			buf_add(out, str_head(value, n));
		value = str_from(value, n ? n : 1);
	}
}

static void begin(struct buf *out, const struct metrics_sample *s)
{
	buf_add_c(out, s->name);
	for (size_t i = 0; i < METRICS_LABELS && s->labels[i].name; i++) {
		buf_printf(out, "%s%s=\"", i ? "," : "{", s->labels[i].name);
		add_value(out, s->labels[i].value);
		buf_add_char(out, '"');
	}
	buf_add_c(out, s->labels[0].name ? "} " : " ");
}

void metrics_int(struct buf *out, const struct metrics_sample *s, int64_t value)
{
	begin(out, s);
	buf_printf(out, "%lld\n", (long long)value);
}

void metrics_seconds(struct buf *out, const struct metrics_sample *s, int64_t ms)
{
	const int64_t size = ms < 0 ? -ms : ms;
	begin(out, s);
	buf_printf(out, "%s%lld.%03lld\n", ms < 0 ? "-" : "", (long long)(size / 1000),
	        (long long)(size % 1000));
}
