#include "files/parts.h"

/* "a-b", "a-", "-n" (RFC 9110 14.1.1). False: malformed. length 0: not satisfiable. */
static bool read_one(struct str spec, uint64_t size, struct range *ret_range)
{
	size_t dash = str_find(spec, '-');
	struct str first = str_head(spec, dash), last = str_from(spec, dash + 1);
	uint64_t start = 0, end = UINT64_MAX;
	if (dash == spec.n || (first.n == 0 && last.n == 0) ||
	        (first.n && !str_to_u64(first, &start)) || (last.n && !str_to_u64(last, &end)))
		return false;
	if (first.n == 0) {
		uint64_t length = end < size ? end : size;
		*ret_range = (struct range){ size - length, length };
		return true;
	}
	if (end < start)
		return false;
	*ret_range = (struct range){ 0 };
	if (start < size)
		*ret_range = (struct range){ start, (end < size ? end + 1 : size) - start };
	return true;
}

static bool overlap(const struct range *a, const struct range *b)
{
	return a->start < b->start + b->length && b->start < a->start + a->length;
}

/* RFC 9110 14.2, 17.15: who asks for the same bytes several times gets them once, with the rest. */
static bool overlaps_any(const struct range *all, size_t count, const struct range *new)
{
	for (size_t i = 0; i < count; i++)
		if (overlap(&all[i], new))
			return true;
	return false;
}

enum ranges range_read(
        struct str header, uint64_t size, struct range ret_ranges[RANGES_MOST], size_t *ret_count)
{
	size_t count = 0, seen = 0;
	struct str unit = str_head(header, str_find(header, '=')),
	           list = str_from(header, unit.n + 1), spec;
	if (!str_eq_nocase(str_trim(unit), STR("bytes")) || unit.n == header.n)
		return RANGES_NONE;
	while (str_split(&list, ',', &spec)) {
		struct range range;
		spec = str_trim(spec);
		if (spec.n == 0)
			continue;
		if (++seen > RANGES_MOST || !read_one(spec, size, &range) ||
		        overlaps_any(ret_ranges, count, &range))
			return RANGES_NONE;
		if (range.length)
			ret_ranges[count++] = range;
	}
	if (seen == 0)
		return RANGES_NONE;
	*ret_count = count;
	return count ? RANGES_SOME : RANGES_UNSATISFIABLE;
}
