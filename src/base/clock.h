/* Time, injected: whoever needs it holds a `const struct clock *`, and a test gives a false one.
 *
 * wall = milliseconds since 1970-01-01 UTC, may jump; for dates that people and CAs speak of.
 * mono = milliseconds since some start, never goes back; for waits.
 * A wait for a wall-clock date is a timer that looks again when the clock was set (loop.h). */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

struct clock {
	int64_t (*wall)(const struct clock *);
	int64_t (*mono)(const struct clock *);
	bool fake; /* a loop on a fake clock does not sleep: it advances the clock */
};

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

extern const struct clock clock_system;

/* wall and mono advance together; wall can be set apart from it. */
struct clock_fake {
	struct clock clock;
	int64_t wall_now, mono_now;
};
void clock_fake_init(struct clock_fake *f, int64_t wall);
void clock_fake_advance(struct clock_fake *f, int64_t ms);

/* "2027-01-12T09:14:00Z" (RFC 3339, UTC); ret_text has CLOCK_TEXT bytes. Dates outside the years
 * 0 to 9999 are shown as the nearest second that is inside. */
enum { CLOCK_TEXT = 32 };
const char *clock_rfc3339(int64_t wall_ms, char ret_text[CLOCK_TEXT]);
bool clock_from_rfc3339(struct str text, int64_t *ret_wall_ms); /* with fraction and zone */
/* RFC 9110 5.6.7, all three forms; the day's name is not checked against the date. */
bool clock_from_http_date(struct str text, int64_t *ret_wall_ms);

#endif
