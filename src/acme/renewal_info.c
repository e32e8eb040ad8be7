#include "acme/renewal_info.h"
#include "base/clock.h"
#include "base/url.h"
#include "json/json.h"

enum { EXPLANATION_MOST = 2000 };
/* Dates outside of them are a CA's mistake, not a wish. */
static const int64_t year_2000 = INT64_C(946684800000), year_2100 = INT64_C(4102444800000);

static bool read_date(
        const struct json *window, const char *key, int64_t *ret_wall, struct err *err)
{
	const struct str text = json_text(window, key);
	int64_t wall = 0;
	if (!clock_from_rfc3339(text, &wall))
		return err_set(err, ERR_PROTOCOL,
		        "The CA's renewal information has no usable date for \"%s\"." ERR_REMEDY
		        "Nothing to do: it is asked again, and the rule counts meanwhile.",
		        key);
	if (wall < year_2000 || wall >= year_2100)
		return err_set(err, ERR_PROTOCOL,
		        "The CA's renewal information names an absurd date for \"%s\": "
		        "%.*s." ERR_REMEDY
		        "Nothing to do: it is asked again, and the rule counts meanwhile.",
		        key, STR_ARG(str_head(text, 40)));
	*ret_wall = wall;
	return true;
}

/* RFC 9773 4.2: for people, so only what a browser opens without harm. */
static struct str read_explanation(struct arena *a, const struct json *root)
{
	const struct str text = json_text(root, "explanationURL");
	struct url url;
	struct err ignored;
	const bool usable = text.n <= EXPLANATION_MOST && url_parse(text, &url, &ignored);
	return usable ? arena_str(a, text) : STR_NONE;
}

bool acme_renewal_info_read(
        struct arena *a, struct str body, struct renewal_info *ret_info, struct err *err)
{
	JSON_AUTO *root = json_parse(body, "The CA's renewal information", err);
	if (!root)
		return false;
	const struct json *window = json_object(root, "suggestedWindow");
	struct renewal_info info = { 0 };
	if (!read_date(window, "start", &info.start, err) ||
	        !read_date(window, "end", &info.end, err))
		return false;
	if (info.end <= info.start)
		return err_set(err, ERR_PROTOCOL,
		        "The CA's renewal information is a window that ends before it "
		        "begins." ERR_REMEDY
		        "Nothing to do: it is asked again, and the rule counts meanwhile.");
	info.explanation = read_explanation(a, root);
	*ret_info = info;
	return true;
}

void acme_renewal_info_url(struct str renewal_info, struct str ari_id, struct buf *out)
{
	buf_add(out, renewal_info);
	if (!str_ends(renewal_info, STR("/")))
		buf_add_char(out, '/');
	buf_add(out, ari_id);
}
