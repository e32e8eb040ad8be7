/* Whatever the file says, it is either a configuration that keeps its promises, or errors in their
 * order, each a line with a sentence. */
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct setting rows[] = {
	{ .name = "idle-timeout",
	        .type = SETTING_DURATION,
	        .fallback = "75s",
	        .least = 100,
	        .most = 1000000,
	        .help = "" },
	{ .name = "body-most",
	        .type = SETTING_SIZE,
	        .fallback = "0",
	        .least = 0,
	        .most = INT64_MAX,
	        .help = "" },
};

static void check_site(const struct config *c, const struct config_site *s)
{
	CHECK(s->upstream_count > 0);
	CHECK(s->fallback == (s->name_count == 0));
	for (size_t i = 0; i < s->name_count; i++)
		for (size_t j = 0; j < s->names[i].n; j++)
			CHECK(s->names[i].p[j] > ' ' && s->names[i].p[j] < 0x7f);
	CHECK(!s->issuer.p || config_issuer(c, s->issuer));
	CHECK(s->hsts.max_age >= 0);
}

static void check(const struct config *c)
{
	CHECK(str_starts(c->state, STR("/")));
	CHECK(c->http_count && c->https_count);
	CHECK(!c->issuer.p || config_issuer(c, c->issuer));
	for (size_t i = 0; i < c->limit_count; i++)
		CHECK(c->limits[i].value >= rows[i].least && c->limits[i].value <= rows[i].most);
	for (size_t i = 0; i < c->site_count; i++)
		check_site(c, &c->sites[i]);
}

static void check_lines(struct str lines)
{
	struct str line;
	size_t count = 0;
	while (str_split(&lines, '\n', &line) && line.p && line.n) {
		CHECK(str_starts(line, STR("f:")));
		CHECK(str_ends(line, STR(".")) || str_ends(line, STR("?")));
		for (size_t i = 0; i < line.n; i++)
			CHECK((unsigned char)line.p[i] >= ' ' && line.p[i] != 0x7f);
		count++;
	}
	CHECK(count > 0 && count <= CONFIG_ERRORS_MOST);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct config_source source = {
		.file = "f", .extra = { rows, 2 }, .proxy = { rows, 2 }, .health = { rows, 2 }
	};
	struct err err = ERR_INIT;
	BUF_AUTO lines = BUF_INIT(1 << 20);
	struct config *c = config_parse(&source, str_n(data, size), &lines, &err);
	if (c)
		check(c);
	else
		check_lines(buf_str(&lines));
	config_free(&c);
	return 0;
}
