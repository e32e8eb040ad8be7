/* The GET of diagnosis: what a CA would do to see a challenge, one step of it. Of the answer only
 * status, time, a few headers and whether the body was the text expected leave this process. */
#include "base/clock.h"
#include "fetcher/fetcher.h"
#include "net/address.h"

enum { SEEN_MOST = 512, HEADER_MOST = 2048 };

/* The body counts as far as a CA would read it, and is dropped here. */
static size_t body(char *bytes, size_t size, size_t count, void *transfer)
{
	struct transfer *t = transfer;
	buf_add(&t->body_seen, str_n(bytes, size * count));
	return buf_ok(&t->body_seen) ? size * count : 0;
}

static bool may_be_dialled(struct transfer *t, const struct sockaddr_storage *to)
{
	return t->anywhere || address_is_public(to);
}

/* Whatever libcurl makes of the URL, the address that it dials is looked at. */
static curl_socket_t open_public(void *transfer, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = transfer;
	struct sockaddr_storage address = { 0 };
	(void)purpose;
	memcpy(&address, &to->addr, to->addrlen < sizeof address ? to->addrlen : sizeof address);
	if (may_be_dialled(t, &address))
		return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	err_set(&t->err, ERR_PERMISSION, "%s is not a public address.", buf_c(&t->authority));
	return CURL_SOCKET_BAD;
}

static void set_limits(struct transfer *t)
{
	transfer_set_text(t, CURLOPT_PROTOCOLS_STR, t->url.https ? "https" : "http");
	transfer_set_text(t, CURLOPT_PROXY, "");
	transfer_set_long(t, CURLOPT_FOLLOWLOCATION, 0);
	transfer_set_long(t, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	transfer_set_long(t, CURLOPT_FRESH_CONNECT, 1);
	transfer_set_long(t, CURLOPT_FORBID_REUSE, 1);
	/* A CA does not judge certificates behind a redirect (RFC 8555 8.3: http; the redirect
	 * may lead to https with the one that is to be replaced). */
	transfer_set_long(t, CURLOPT_SSL_VERIFYPEER, 0);
	transfer_set_long(t, CURLOPT_SSL_VERIFYHOST, 0);
	transfer_set_long(t, CURLOPT_SSL_SESSIONID_CACHE, 0);
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETFUNCTION, open_public);
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, transfer_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	transfer_set_agent(t);
}

static void set_target(
        struct transfer *t, const struct msg_dial *m, const struct sockaddr_storage *address)
{
	char text[ADDRESS_TEXT];
	BUF_AUTO to = BUF(256);
	buf_add(&t->url_text, m->url);
	buf_add(&t->expected, m->expected);
	buf_add_c(&t->authority, address_text_port(address, text));
	buf_printf(&to, "::%s", text);
	t->connect_to = curl_slist_append(NULL, buf_c(&to));
	CHECK(t->connect_to);
	transfer_set_text(t, CURLOPT_URL, buf_c(&t->url_text));
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
}

struct transfer *transfer_dial(struct link *control, const struct msg_dial *m)
{
	struct transfer *t = transfer_make(control, m->id, m->timeout);
	struct sockaddr_storage address;
	t->dial = true;
	t->anywhere = m->anywhere;
	t->expected = BUF(SEEN_MOST);
	t->body_seen = BUF(SEEN_MOST);
	if (!rule_allows_dial(m, &t->url, &address, &t->err))
		return t;
	set_target(t, m, &address);
	set_limits(t);
	return t;
}

/* ---- the answer ---- */

/* What diagnosis speaks of: where it leads, who answers, when, and what browsers are told. */
static bool is_told(struct str name)
{
	static const char *const names[] = { "location", "date", "server", "via",
		"strict-transport-security", "cf-ray", "x-amz-cf-id", "x-served-by", "x-cache",
		"x-akamai-transformed", "x-azure-ref", "x-vercel-id", "x-nf-request-id",
		"fly-request-id", "x-sucuri-id", "x-bunny-cache", "cdn-cache" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (str_eq_c(name, names[i]))
			return true;
	return false;
}

static void add_told(struct buf *out, struct str headers)
{
	struct str line;
	while (str_split(&headers, '\n', &line)) {
		if (line.n > HEADER_MOST || !is_told(str_head(line, str_find(line, ':'))))
			continue;
		buf_add(out, line);
		buf_add_char(out, '\n');
	}
}

static struct str without_end(struct str s)
{
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	return s;
}

static int64_t took(const struct transfer *t)
{
	curl_off_t us = 0;
	curl_easy_getinfo(t->easy, CURLINFO_TOTAL_TIME_T, &us);
	return (int64_t)us / 1000;
}

/* Too long a body is an answer like any other that is not ours. */
static bool is_answer(const struct transfer *t, CURLcode code)
{
	return code == CURLE_OK || (code == CURLE_WRITE_ERROR && t->body_seen.over);
}

void dial_answer(struct transfer *t, CURLcode code)
{
	struct err err = ERR_INIT;
	long status = 0;
	BUF_AUTO headers = BUF(32 << 10);
	if (!is_answer(t, code) || t->err.code != ERR_NONE) {
		explain(t, code, &err);
		link_send(t->control, dialled, .id = t->id, .error = err.code,
		        .sentence = str_c(err.text), .ms = took(t));
		return;
	}
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	add_told(&headers, buf_str(&t->reply_headers));
	bool matched = status == 200 && buf_ok(&t->body_seen) &&
	               str_eq(without_end(buf_str(&t->body_seen)), buf_str(&t->expected));
	link_send(t->control, dialled, .id = t->id, .status = status, .headers = buf_str(&headers),
	        .matched = matched, .ms = took(t));
}
