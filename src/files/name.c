#include "files/parts.h"

static bool segment_fits(struct str segment)
{
	for (size_t i = 0; i < segment.n; i++) {
		unsigned char c = (unsigned char)segment.p[i];
		if (c < 0x20 || c == 0x7f || c == '\\') /* TARGET_DATA_SLASH is among them */
			return false;
	}
	return segment.n > 0 && segment.n <= 255 &&
	       (segment.p[0] != '.' || str_eq(segment, STR(".well-known")));
}

/* Of a route for one path the file has that path's last name. */
static struct str behind(const struct route *r, struct str plain)
{
	if (r->beneath)
		return str_from(plain, r->path.n + 1);
	while (str_ends(plain, STR("/")))
		plain.n--;
	size_t last = plain.n;
	while (last > 0 && plain.p[last - 1] != '/')
		last--;
	return str_from(plain, last);
}

bool file_name(const struct exchange *ex, struct str *ret_name)
{
	struct target t;
	struct refusal why;
	if (!target_read(ex->request.path, ex->arena, &t, &why) || str_eq(t.path, STR("*")))
		return false;
	struct str name = behind(ex->route->action, target_plain(&t, 0, ex->arena));
	struct str rest = name, segment;
	while (str_split(&rest, '/', &segment)) {
		bool last = !rest.p && segment.n == 0; /* a '/' stands at the end */
		if (!last && !segment_fits(segment))
			return false;
	}
	*ret_name = name;
	return true;
}
