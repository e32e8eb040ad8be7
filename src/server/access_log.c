#include "server/access_log.h"
#include "net/address.h"
#include "server/site.h"
#include "server/worker.h"

/* Of what a client sends, so many bytes are kept: escaped, they still fit a portion. */
enum { PATH_MOST = 2048, FIELD_MOST = 512, CLIENT_LEFT = 499 };

bool access_format_read(struct str word, enum access_format *ret_format)
{
	static const struct {
		const char *word;
		enum access_format format;
	} formats[] = {
#define X(name, text) { text, ACCESS_##name },
		ACCESS_FORMATS(X)
#undef X
	};
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (!str_eq_c(word, formats[i].word))
			continue;
		*ret_format = formats[i].format;
		return true;
	}
	return false;
}

/* ---- what a line tells ---- */

static const char *version_of(const struct exchange *ex)
{
	static const char *const versions[] = {
		[HTTP_1_0] = "HTTP/1.0", [HTTP_1_1] = "HTTP/1.1", [HTTP_2] = "HTTP/2.0"
	};
	return versions[ex->request.version];
}

static unsigned status_of(const struct exchange *ex)
{
	return ex->status ? ex->status : CLIENT_LEFT;
}

static int64_t duration_of(const struct exchange *ex)
{
	return ex->started ? loop_mono(ex->worker->loop) - ex->started : 0;
}

static struct str header_of(const struct exchange *ex, struct str name)
{
	return str_head(headers_find(&ex->request.headers, name), FIELD_MOST);
}

/* ---- as Apache writes it ---- */

static void add_escaped(struct buf *out, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			buf_printf(out, "\\x%02X", c);
		else
			buf_add_char(out, (char)c);
	}
}

static void add_quoted(struct buf *out, struct str text)
{
	buf_add_c(out, " \"");
	if (text.n > 0)
		add_escaped(out, text);
	else
		buf_add_char(out, '-');
	buf_add_char(out, '"');
}

/* "24/Nov/2026:15:43:29 +0000" */
static void add_date(struct buf *out, const struct exchange *ex)
{
	time_t t = (time_t)(loop_wall(ex->worker->loop) / SECOND);
	char text[64];
	struct tm tm;
	gmtime_r(&t, &tm);
	(void)strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S +0000", &tm);
	buf_add_c(out, text);
}

static void add_common(struct buf *out, const struct exchange *ex)
{
	char client[ADDRESS_TEXT];
	buf_printf(out, "%s - - [", address_text(&ex->client, client));
	add_date(out, ex);
	buf_add_c(out, "] \"");
	if (ex->request.method.n > 0) {
		add_escaped(out, str_head(ex->request.method, FIELD_MOST));
		buf_add_char(out, ' ');
		add_escaped(out, str_head(ex->request.path, PATH_MOST));
		buf_printf(out, " %s", version_of(ex));
	} else {
		buf_add_char(out, '-');
	}
	buf_printf(out, "\" %u %llu", status_of(ex), (unsigned long long)ex->sent);
}

/* ---- as JSON ---- */

static void add_json_byte(struct buf *out, unsigned char c)
{
	if (c == '\0')
		buf_add_c(out, "\\ufffd"); /* many readers take no NUL */
	else if (c == '"' || c == '\\')
		buf_printf(out, "\\%c", c);
	else if (c < 0x20 || c == 0x7f)
		buf_printf(out, "\\u%04x", c);
	else
		buf_add_char(out, (char)c);
}

static void add_member(struct buf *out, const char *key, struct str value)
{
	buf_printf(out, ",\"%s\":", key);
	if (!value.p) {
		buf_add_c(out, "null");
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < value.n;) {
		size_t n = str_utf8(str_from(value, i));
		if (n == 1)
			add_json_byte(out, (unsigned char)value.p[i]);
		else if (n > 1)
			buf_add(out, str_n(value.p + i, n));
		else
			buf_add_c(out, "\\ufffd");
		i += n > 0 ? n : 1;
	}
	buf_add_char(out, '"');
}

static void add_json(struct buf *out, const struct exchange *ex)
{
	const struct request *r = &ex->request;
	char text[ADDRESS_TEXT], time[CLOCK_TEXT];
	int64_t ms = duration_of(ex);
	buf_printf(out, "{\"time\":\"%s\"", clock_rfc3339(loop_wall(ex->worker->loop), time));
	add_member(out, "client", str_c(address_text(&ex->client, text)));
	add_member(out, "method", str_head(r->method, FIELD_MOST));
	add_member(out, "host", str_head(r->authority, FIELD_MOST));
	add_member(out, "path", str_head(r->path, PATH_MOST));
	add_member(out, "version", str_c(version_of(ex)));
	buf_printf(out, ",\"status\":%u,\"bytes\":%llu,\"duration\":%lld.%03lld", status_of(ex),
	        (unsigned long long)ex->sent, (long long)(ms / 1000), (long long)(ms % 1000));
	add_member(out, "referer", header_of(ex, STR("referer")));
	add_member(out, "agent", header_of(ex, STR("user-agent")));
	add_member(out, "site", ex->asked ? ex->asked->name : STR_NONE);
	add_member(out, "upstream", str_head(ex->upstream, FIELD_MOST));
	add_member(out, "tls", ex->secured ? str_c(ex->secured->version) : STR_NONE);
	buf_add_c(out, "}");
}

void access_log_line(const struct exchange *ex, enum access_format format, struct buf *out)
{
	if (format == ACCESS_JSON) {
		add_json(out, ex);
	} else {
		add_common(out, ex);
		if (format == ACCESS_COMBINED) {
			add_quoted(out, header_of(ex, STR("referer")));
			add_quoted(out, header_of(ex, STR("user-agent")));
		}
	}
	buf_add_char(out, '\n');
}

/* ---- on its way ---- */

void access_log_flush(struct worker *w)
{
	struct access_log *log = &w->access_log;
	timer_stop(&log->hand_over);
	if (log->lines.n > 0)
		w->log_lines(w, &log->lines, log->count);
	buf_done(&log->lines);
	log->count = 0;
}

void access_log_done(struct worker *w)
{
	access_log_flush(w);
}

static void waited(struct timer *t)
{
	struct access_log *log = OWNER(t, struct access_log, hand_over);
	access_log_flush(OWNER(log, struct worker, access_log));
}

void access_log_note(const struct exchange *ex)
{
	struct worker *w = ex->worker;
	struct access_log *log = &w->access_log;
	const struct generation *g = ex->generation;
	if (!w->log_lines || g->access_format == ACCESS_OFF || (ex->asked && ex->asked->unlogged))
		return;
	log->lines.ceiling = ACCESS_LINES_MOST;
	access_log_line(ex, (enum access_format)g->access_format, &log->lines);
	CHECK(buf_ok(&log->lines));
	log->count++;
	if (log->lines.n >= ACCESS_PORTION)
		access_log_flush(w);
	else if (!timer_active(&log->hand_over))
		timer_start(&log->hand_over, w->loop, ACCESS_WAIT, waited);
}
