/* Whatever a client sends, a line of the access log is one line, of visible ASCII in Apache's
 * formats, and one object with our members in JSON. Lines of the input: method, host, path,
 * referer, agent. */
#include "server/access_log.h"
#include "server/worker.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_apache(struct str line, unsigned quotes)
{
	unsigned found = 0;
	for (size_t i = 0; i + 1 < line.n; i++) {
		CHECK(line.p[i] >= 0x20 && line.p[i] <= 0x7e);
		found += line.p[i] == '"';
	}
	CHECK(found == quotes);
}

static void check_json(struct str line)
{
	struct err err;
	JSON_AUTO *object = json_parse(line, "A line", &err);
	int64_t status;
	CHECK(object && json_is_object(object));
	CHECK(json_int(object, "status", &status) && status == 200);
	CHECK(str_eq(json_text(object, "client"), STR("192.0.2.1")));
	unsigned members = 0;
	for (const struct json_iter *i = json_first(object); i; i = json_next(object, i))
		members++;
	CHECK(members == 14);
}

static void check_line(const struct exchange *ex, enum access_format format)
{
	BUF_AUTO line = BUF_INIT(ACCESS_LINES_MOST - ACCESS_PORTION);
	access_log_line(ex, format, &line);
	CHECK(buf_ok(&line) && line.n > 0);
	CHECK(str_find(buf_str(&line), '\n') == line.n - 1);
	if (format == ACCESS_JSON)
		check_json(buf_str(&line));
	else
		check_apache(buf_str(&line), format == ACCESS_COMBINED ? 6 : 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ARENA_AUTO a = ARENA_INIT;
	struct clock_fake clock;
	clock_fake_init(&clock, INT64_C(1795535009) * SECOND);
	struct loop *loop = loop_new(&clock.clock);
	struct worker w = { .loop = loop };
	struct exchange ex = { .worker = &w, .status = 200 };
	struct str rest = str_n(data, size), part[5] = { { 0 } };
	CHECK(address_parse(STR("192.0.2.1"), 1, &ex.client));
	for (size_t i = 0; i < 5; i++)
		(void)str_split(&rest, '\n', &part[i]);
	ex.request.method = part[0];
	ex.request.authority = part[1];
	ex.request.path = part[2];
	headers_add(&ex.request.headers, &a, STR("referer"), part[3]);
	headers_add(&ex.request.headers, &a, STR("user-agent"), part[4]);
	check_line(&ex, ACCESS_COMMON);
	check_line(&ex, ACCESS_COMBINED);
	check_line(&ex, ACCESS_JSON);
	loop_free(&loop);
	return 0;
}
