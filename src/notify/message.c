/* A message as it is sent. */
#include "keys/token.h"
#include "notify/inside.h"

#include <time.h>
#include <unistd.h>

enum { BODY_MOST = 64 << 10, LINE = 57 /* bytes on a line of base64 */ };

static void take_names(struct notice *n, const struct notify_fact *f)
{
	n->names = arena_array(&n->arena, struct str, f->name_count + 1);
	for (size_t i = 0; i < f->name_count; i++)
		n->names[n->name_count++] = arena_str(&n->arena, f->names[i]);
}

struct notice *notice_new(
        enum matter_kind kind, bool solved, const struct notify_fact *f, int64_t at)
{
	struct notice *n = mem_new(struct notice);
	const struct matter_words *w = matter_words(kind);
	n->refs = 1;
	n->kind = kind;
	n->solved = solved;
	n->level = w->level;
	n->at = at;
	take_names(n, f);
	n->issuer = arena_str(&n->arena, f->issuer);
	n->name = w->of_issuer || !n->name_count ? n->issuer : n->names[0];
	n->not_after = f->not_after;
	n->subject = kind == MATTER_TEST ? STR("Everseal: a test message")
	                                 : arena_printf(&n->arena, "Everseal: %.*s %s",
	                                           STR_ARG(n->name), solved ? w->solved : w->is);
	n->id = arena_printf(&n->arena, "%lld-%s-%016llx", (long long)at, w->name,
	        (unsigned long long)hash_keyed(n->subject));
	return n;
}

struct notice *notice_ref(struct notice *n)
{
	n->refs++;
	return n;
}

void notice_unref(struct notice **notice)
{
	struct notice *n = *notice;
	*notice = NULL;
	if (!n || --n->refs)
		return;
	arena_done(&n->arena);
	free(n);
}

/* ---- mail (RFC 5322) ---- */

static void add_date(struct buf *out, int64_t wall)
{
	char text[64];
	struct tm tm;
	const time_t seconds = (time_t)(wall / SECOND);
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_printf(out, "Date: %s\r\n", text);
}

static void add_body(struct buf *out, struct str text)
{
	for (; text.n; text = str_from(text, LINE)) {
		buf_add_base64(out, str_head(text, LINE));
		buf_add_c(out, "\r\n");
	}
}

/* Neither subject nor addresses hold anything but one line of ASCII. */
void message_mail(const struct notice *n, const struct config_notify *to, struct buf *out)
{
	const struct str domain = str_from(to->from, str_find(to->from, '@') + 1);
	add_date(out, n->at);
	buf_printf(
	        out, "From: Everseal <%.*s>\r\nTo: <%.*s>\r\n", STR_ARG(to->from), STR_ARG(to->to));
	buf_printf(out, "Subject: %.*s\r\n", STR_ARG(n->subject));
	buf_printf(out, "Message-ID: <%.*s@%.*s>\r\n", STR_ARG(n->id), STR_ARG(domain));
	buf_printf(out, "Auto-Submitted: auto-generated\r\nX-Everseal-Event: %s\r\n",
	        matter_words(n->kind)->name);
	buf_add_c(out, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	               "Content-Transfer-Encoding: base64\r\n\r\n");
	add_body(out, n->text);
}

/* ---- webhooks ---- */

void message_json(const struct notice *n, struct buf *out)
{
	struct json_writer w;
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	json_write_text(&w, "id", n->id);
	json_write_c(&w, "event", matter_words(n->kind)->name);
	json_write_c(&w, "level", config_level_name(n->level));
	json_write_c(&w, "state", n->solved ? "solved" : "open");
	json_write_time(&w, "at", n->at);
	json_write_text(&w, "name", n->name);
	json_write_array(&w, "names");
	for (size_t i = 0; i < n->name_count; i++)
		json_write_text(&w, NULL, n->names[i]);
	json_write_end(&w);
	json_write_text(&w, "issuer", n->issuer);
	json_write_time(&w, "not_after", n->not_after);
	json_write_text(&w, "subject", n->subject);
	json_write_text(&w, "text", n->text);
	json_write_end(&w);
}

static bool read_level(struct str name, enum config_level *ret_level)
{
	for (enum config_level l = CONFIG_LEVEL_INFO; l <= CONFIG_LEVEL_PROBLEM; l++)
		if (str_eq_c(name, config_level_name(l))) {
			*ret_level = l;
			return true;
		}
	return false;
}

static void read_names(struct notice *n, const struct json *names)
{
	n->names = arena_array(&n->arena, struct str, json_count(names) + 1);
	for (; n->name_count < json_count(names); n->name_count++)
		n->names[n->name_count] =
		        arena_str(&n->arena, json_value_text(json_at(names, n->name_count)));
}

struct notice *message_read(const struct json *json)
{
	enum matter_kind kind;
	enum config_level level;
	if (!matter_from_name(json_text(json, "event"), &kind) ||
	        !read_level(json_text(json, "level"), &level))
		return NULL;
	struct notice *n = mem_new(struct notice);
	n->refs = 1;
	n->kind = kind;
	n->level = level;
	n->solved = str_eq(json_text(json, "state"), STR("solved"));
	n->id = arena_str(&n->arena, json_text(json, "id"));
	n->name = arena_str(&n->arena, json_text(json, "name"));
	n->issuer = arena_str(&n->arena, json_text(json, "issuer"));
	n->subject = arena_str(&n->arena, json_text(json, "subject"));
	n->text = arena_str(&n->arena, json_text(json, "text"));
	clock_from_rfc3339(json_text(json, "at"), &n->at);
	clock_from_rfc3339(json_text(json, "not_after"), &n->not_after);
	read_names(n, json_array(json, "names"));
	return n;
}

void message_sign(struct str secret, struct str body, int64_t now, struct buf *out)
{
	unsigned char mac[HMAC_SHA256];
	BUF_AUTO text = BUF(BODY_MOST + 64);
	const long long seconds = (long long)(now / SECOND);
	buf_printf(&text, "%lld.", seconds);
	buf_add(&text, body);
	hmac_sha256(secret, buf_str(&text), mac);
	buf_printf(out, "Everseal-Signature: t=%lld,v1=", seconds);
	buf_add_hex(out, str_n(mac, sizeof mac));
	buf_add_char(out, '\n');
}
