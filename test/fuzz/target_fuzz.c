/* Paths as strangers write them: the normal form is one, and readings have dot segments only if
 * they say so. */
#include "http/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_segments(struct str path, bool dots)
{
	struct str segment;
	CHECK(str_starts(path, STR("/")));
	while (str_split(&path, '/', &segment))
		CHECK(dots || (!str_eq(segment, STR(".")) && !str_eq(segment, STR(".."))));
}

static void check_readings(const struct target *t, struct arena *a)
{
	unsigned reading = 0;
	do {
		struct str plain = target_plain(t, reading, a);
		CHECK(plain.n <= t->path.n);
		check_segments(plain, reading && !(reading & TARGET_DOTS));
		reading = target_next_reading(reading, t->ambiguous);
	} while (reading);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = ARENA_INIT;
	struct target t, again;
	struct refusal why = { 0 };
	struct str raw = str_n(data, size);
	if (!target_read(raw, &a, &t, &why)) {
		CHECK(why.status == 400 && why.why);
	} else if (!str_eq(t.path, STR("*"))) {
		CHECK(t.path.n + t.query.n <= raw.n);
		check_segments(t.path, false);
		CHECK(target_read(t.path, &a, &again, &why) && str_eq(t.path, again.path));
		CHECK(again.ambiguous == t.ambiguous && again.query.n == 0);
		check_readings(&t, &a);
	}
	arena_done(&a);
	return 0;
}
