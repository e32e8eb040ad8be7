/* What headers ask of a file: ranges, conditions, codings. The first line is the header's name, the
 * rest its value; a byte before them is the file's size. */
#include "files/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_ranges(struct str value, uint64_t size)
{
	struct range r[RANGES_MOST];
	size_t count = 0;
	if (range_read(value, size, r, &count) != RANGES_SOME)
		return;
	CHECK(count > 0 && count <= RANGES_MOST);
	uint64_t all = 0;
	for (size_t i = 0; i < count; i++) {
		CHECK(r[i].length > 0 && r[i].start < size && r[i].length <= size - r[i].start);
		all += r[i].length;
	}
	CHECK(all <= size); /* none overlaps another */
}

static void check_conditions(struct str name, struct str value, uint64_t size)
{
	struct arena a = ARENA_INIT;
	const struct file f = { .fd = -1,
		.size = size,
		.modified = INT64_C(1767225600) * SECOND,
		.etag = size % 2 ? STR("\"abc\"") : STR("W/\"abc\"") };
	struct request r = { .method = STR("GET") };
	headers_add(&r.headers, &a, name, value);
	enum verdict alone = file_condition(&r, &f, f.modified + DAY);
	CHECK(alone != VERDICT_RANGE || str_eq_c(name, "range"));
	headers_add(&r.headers, &a, STR("range"), STR("bytes=0-"));
	enum verdict ranged = file_condition(&r, &f, f.modified + DAY);
	CHECK(ranged == alone || alone == VERDICT_SEND);
	(void)http_accepts(&r.headers, STR("gzip"));
	arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_n(data + 1, size ? size - 1 : 0), name;
	if (size == 0)
		return 0;
	check_ranges(text, data[0]);
	check_ranges(text, UINT64_MAX - data[0]);
	if (str_split(&text, '\n', &name))
		check_conditions(name, text.p ? text : STR(""), data[0]);
	(void)http_type_compresses(text);
	(void)file_type(text);
	return 0;
}
