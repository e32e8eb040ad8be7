/* Prometheus' text format, version 0.0.4: families of samples with labels.
 *
 * Whoever scrapes keeps a series for each set of labels for ever: what has one label per name must
 * be bounded by whoever writes it. */
#ifndef NOTIFY_METRICS_H
#define NOTIFY_METRICS_H

#include "base/buf.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_kind { METRICS_GAUGE, METRICS_COUNTER, METRICS_HISTOGRAM };

/* name, help: literals; names of counters end in _total. Samples follow at once. */
void metrics_family(struct buf *out, const char *name, enum metrics_kind kind, const char *help);

struct metrics_label {
	const char *name;
	struct str value; /* any bytes; what is not UTF-8 is replaced */
};
enum { METRICS_LABELS = 3 };
struct metrics_sample {
	const char *name; /* of the family, or with _bucket, _sum, _count */
	struct metrics_label labels[METRICS_LABELS]; /* up to the first without a name */
};
void metrics_int(struct buf *out, const struct metrics_sample *s, int64_t value);
/* ms as seconds, as Prometheus wants times and durations. */
void metrics_seconds(struct buf *out, const struct metrics_sample *s, int64_t ms);

#endif
