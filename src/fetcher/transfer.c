/* One request or probe as a libcurl handle. */
#include "base/clock.h"
#include "fetcher/fetcher.h"
#include "net/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CONNECT_MOST (10 * SECOND)
#define TIMEOUT_MOST HOUR
enum {
	SENT_MOST = 1 << 20,
	BODY_MOST = 64 << 20,
	HEADERS_MOST = 32 << 10, /* of a reply; fits into one message */
	PIECE = 32 << 10,
};

void transfer_set_long(struct transfer *t, CURLoption option, long value)
{
	CHECK(curl_easy_setopt(t->easy, option, value) == CURLE_OK);
}

void transfer_set_text(struct transfer *t, CURLoption option, const char *value)
{
	CHECK(curl_easy_setopt(t->easy, option, value) == CURLE_OK);
}

struct transfer *transfer_make(struct link *control, int64_t id, int64_t timeout)
{
	struct transfer *t = mem_new(struct transfer);
	t->control = control;
	t->id = id;
	t->timeout = timeout < 1 ? 1 : timeout > TIMEOUT_MOST ? TIMEOUT_MOST : timeout;
	t->url_text = BUF(LINK_MESSAGE_MOST);
	t->method = BUF(32);
	t->headers_text = BUF_SECRET(LINK_MESSAGE_MOST); /* mail: with the password */
	t->trust = BUF(SENT_MOST);
	t->body = BUF(SENT_MOST);
	t->authority = BUF(512);
	t->reply_headers = BUF(HEADERS_MOST);
	t->easy = curl_easy_init();
	CHECK(t->easy);
	transfer_set_text(t, CURLOPT_PRIVATE, (const char *)t);
	transfer_set_text(t, CURLOPT_ERRORBUFFER, t->said);
	transfer_set_long(t, CURLOPT_NOSIGNAL, 1);
	transfer_set_long(
	        t, CURLOPT_QUICK_EXIT, 1); /* an abort does not wait for a resolver that is stuck */
	transfer_set_long(t, CURLOPT_TIMEOUT_MS, (long)t->timeout);
	transfer_set_long(t, CURLOPT_CONNECTTIMEOUT_MS,
	        (long)(t->timeout < CONNECT_MOST ? t->timeout : CONNECT_MOST));
	transfer_set_long(t, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	return t;
}

struct transfer *transfer_new(struct link *control, const struct msg_fetch *m)
{
	struct transfer *t = transfer_make(control, m->id, m->timeout);
	t->rule = rule_find(m->purpose);
	buf_add(&t->method, m->method);
	buf_add(&t->url_text, m->url);
	buf_add(&t->headers_text, m->headers);
	t->most = m->most < 0 ? 0 : m->most > BODY_MOST ? BODY_MOST : (size_t)m->most;
	return t;
}

void transfer_free(struct transfer **ret_t, struct engine *e)
{
	struct transfer *t = *ret_t;
	if (!t)
		return;
	if (t->running)
		curl_multi_remove_handle(e->multi, t->easy);
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	curl_slist_free_all(t->connect_to);
	struct buf *const bufs[] = { &t->url_text, &t->method, &t->headers_text, &t->trust,
		&t->body, &t->authority, &t->reply_headers, &t->expected, &t->body_seen };
	for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
		buf_done(bufs[i]);
	list_remove(&t->node);
	free(t);
	*ret_t = NULL;
}

/* ---- what comes in ---- */

static void send_head(struct transfer *t)
{
	if (t->replied)
		return;
	t->replied = true;
	long status = 0;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (!link_send(t->control, reply, .id = t->id, .status = status,
	            .headers = buf_str(&t->reply_headers)))
		err_set(&t->err, ERR_LIMIT,
		        "Too many answers wait to be read; this one was dropped.");
}

static void add_lower(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_add_char(out, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
}

/* Each head begins with a status line: those of 1xx and of a proxy are dropped when the next one
 * comes. Lines after the body are trailers. */
size_t transfer_header(char *bytes, size_t size, size_t count, void *transfer)
{
	struct transfer *t = transfer;
	struct str line = str_n(bytes, size * count);
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	size_t colon = str_find(line, ':');
	if (t->replied)
		return size * count;
	if (str_starts(line, STR("HTTP/"))) {
		buf_clear(&t->reply_headers);
	} else if (colon < line.n) {
		add_lower(&t->reply_headers, str_head(line, colon));
		buf_add_c(&t->reply_headers, ": ");
		buf_add(&t->reply_headers, str_trim(str_from(line, colon + 1)));
		buf_add_char(&t->reply_headers, '\n');
	}
	if (buf_ok(&t->reply_headers))
		return size * count;
	err_set(&t->err, ERR_LIMIT, "%s answered with more than %d KiB of headers.",
	        buf_c(&t->authority), HEADERS_MOST >> 10);
	return 0;
}

static size_t body(char *bytes, size_t size, size_t count, void *transfer)
{
	struct transfer *t = transfer;
	struct str rest = str_n(bytes, size * count);
	t->got += rest.n;
	if (t->got > t->most) {
		err_set(&t->err, ERR_LIMIT, "%s answered with more than %zu KiB.",
		        buf_c(&t->authority), t->most >> 10);
		return 0;
	}
	send_head(t);
	for (; rest.n > 0 && t->err.code == ERR_NONE; rest = str_from(rest, PIECE))
		if (!link_send(t->control, reply_body, .id = t->id, .piece = str_head(rest, PIECE)))
			err_set(&t->err, ERR_LIMIT,
			        "Too many answers wait to be read; this one was dropped.");
	return t->err.code == ERR_NONE ? size * count : 0;
}

/* ---- what goes out ---- */

static bool is_loopback(const struct sockaddr *address)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	if (address->sa_family == AF_INET) {
		memcpy(&in, address, sizeof in);
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family != AF_INET6)
		return false;
	memcpy(&in6, address, sizeof in6);
	return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

/* Plain http leaves this machine by no name, whatever its resolver says. */
static curl_socket_t open_loopback(void *transfer, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = transfer;
	(void)purpose;
	if (is_loopback(&to->addr))
		return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	err_set(&t->err, ERR_INPUT,
	        "%s is not on this machine, and plain http is only for servers that are: write "
	        "https:// in its URL.",
	        buf_c(&t->authority));
	return CURL_SOCKET_BAD;
}

/* However the name was resolved. */
static curl_socket_t open_routed(void *transfer, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct transfer *t = transfer;
	struct sockaddr_storage at = { 0 };
	(void)purpose;
	memcpy(&at, &to->addr, to->addrlen < sizeof at ? to->addrlen : sizeof at);
	if (!address_is_link_local(&at))
		return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	err_set(&t->err, ERR_PERMISSION,
	        "%s has a link-local address, which only the configuration file may name.",
	        buf_c(&t->authority));
	return CURL_SOCKET_BAD;
}

void transfer_set_sockets(struct transfer *t, bool loopback)
{
	if (!loopback && !t->rule->no_link_local)
		return;
	curl_easy_setopt(
	        t->easy, CURLOPT_OPENSOCKETFUNCTION, loopback ? open_loopback : open_routed);
	curl_easy_setopt(t->easy, CURLOPT_OPENSOCKETDATA, t);
}

static bool is_text(struct str line)
{
	for (size_t i = 0; i < line.n; i++)
		if ((unsigned char)line.p[i] < ' ' || line.p[i] == 127)
			return false;
	return true;
}

static void add_header(struct transfer *t, const char *line)
{
	struct curl_slist *longer = curl_slist_append(t->headers, line);
	CHECK(longer);
	t->headers = longer;
}

static bool set_headers(struct transfer *t, struct err *err)
{
	struct str rest = buf_str(&t->headers_text), line;
	while (str_split(&rest, '\n', &line)) {
		if (!line.n)
			continue;
		if (!is_text(line) || str_find(line, ':') == line.n)
			return err_set(err, ERR_INPUT, "A header of the request is not a header.");
		char *text = str_dup(line);
		add_header(t, text);
		free(text);
	}
	add_header(t, "Expect:"); /* bodies are small: nobody waits for 100 Continue */
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
	return true;
}

/* The body of a POST. It cannot be read twice, so that libcurl does not send the request again
 * where a connection that was kept ends without an answer: the other side may have done what it
 * was asked. */
static size_t give_body(char *to, size_t size, size_t count, void *transfer)
{
	struct transfer *t = transfer;
	const struct str piece = str_head(str_from(buf_str(&t->body), t->sent), size * count);
	if (piece.n)
		memcpy(to, piece.p, piece.n);
	t->sent += piece.n;
	return piece.n;
}

void transfer_set_body(struct transfer *t)
{
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, give_body);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
}

static void set_method(struct transfer *t)
{
	struct str method = buf_str(&t->method);
	if (str_eq_c(method, "HEAD"))
		transfer_set_long(t, CURLOPT_NOBODY, 1);
	if (!str_eq_c(method, "POST"))
		return;
	transfer_set_long(t, CURLOPT_POST, 1);
	transfer_set_long(t, CURLOPT_POSTFIELDSIZE, (long)t->body.n);
	transfer_set_body(t);
}

static void set_trust(struct transfer *t)
{
	const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
	if (t->trust.n > 0) {
		struct curl_blob pem = { .data = t->trust.p, .len = t->trust.n };
		curl_easy_setopt(t->easy, CURLOPT_CAINFO_BLOB, &pem);
		transfer_set_text(
		        t, CURLOPT_CAPATH, NULL); /* else the system's would be trusted as well */
		return;
	}
	if (file)
		transfer_set_text(t, CURLOPT_CAINFO, file);
	if (folder)
		transfer_set_text(t, CURLOPT_CAPATH, folder);
}

static void set_limits(struct transfer *t)
{
	transfer_set_text(t, CURLOPT_PROTOCOLS_STR, t->url.https ? "https" : "http");
	transfer_set_long(t, CURLOPT_FOLLOWLOCATION, 0);
	if (url_is_loopback(&t->url))
		transfer_set_text(t, CURLOPT_NOPROXY, "*");
	transfer_set_sockets(t, /* loopback= */ !t->url.https && !t->rule->http);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, transfer_header);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, body);
	curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
	transfer_set_long(t, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
}

void transfer_set_agent(struct transfer *t)
{
	char agent[128];
	snprintf(agent, sizeof agent, "Everseal/" EVERSEAL_VERSION " (libcurl/%s)",
	        curl_version_info(CURLVERSION_NOW)->version);
	transfer_set_text(t, CURLOPT_USERAGENT, agent);
}

static bool prepare(struct transfer *t, struct err *err)
{
	if (!buf_ok(&t->url_text) || !buf_ok(&t->method) || !buf_ok(&t->trust) || !buf_ok(&t->body))
		return err_set(err, ERR_LIMIT, "The request is too large to be sent.");
	if (!url_parse(buf_str(&t->url_text), &t->url, err) ||
	        !rule_allows(t->rule, buf_str(&t->method), &t->url, err))
		return false;
	buf_printf(&t->authority, t->url.host_is_ipv6 ? "[%.*s]" : "%.*s", STR_ARG(t->url.host));
	if (t->url.port != (t->url.https ? 443 : 80))
		buf_printf(&t->authority, ":%u", (unsigned)t->url.port);
	return set_headers(t, err);
}

static bool prepare_http(struct transfer *t, struct err *err)
{
	if (!prepare(t, err))
		return false;
	transfer_set_text(t, CURLOPT_URL, buf_c(&t->url_text));
	set_method(t);
	set_limits(t);
	transfer_set_agent(t);
	return true;
}

static bool run(struct transfer *t, struct engine *e, struct err *err)
{
	t->running = curl_multi_add_handle(e->multi, t->easy) == CURLM_OK;
	return t->running || err_set(err, ERR_IO, "The request could not be started.");
}

bool transfer_start(struct transfer *t, struct engine *e, struct err *err)
{
	if (t->probe || t->dial)
		return run(t, e, err);
	if (t->rule && t->rule->mail ? !mail_prepare(t, err) : !prepare_http(t, err))
		return false;
	set_trust(t);
	return run(t, e, err);
}

/* ---- probes ---- */

/* Whatever certificate it shows is the answer, so none is refused; a resumed session would show
 * none. */
static void set_probe(struct transfer *t, const char *url, const char *to)
{
	t->connect_to = curl_slist_append(NULL, to);
	CHECK(t->connect_to);
	transfer_set_text(t, CURLOPT_URL, url);
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
	transfer_set_text(t, CURLOPT_PROTOCOLS_STR, "https");
	transfer_set_text(t, CURLOPT_PROXY, "");
	transfer_set_long(t, CURLOPT_CONNECT_ONLY, 1);
	transfer_set_long(t, CURLOPT_CERTINFO, 1);
	transfer_set_long(t, CURLOPT_SSL_VERIFYPEER, 0);
	transfer_set_long(t, CURLOPT_SSL_VERIFYHOST, 0);
	transfer_set_long(t, CURLOPT_SSL_SESSIONID_CACHE, 0);
	transfer_set_long(t, CURLOPT_FRESH_CONNECT, 1);
	transfer_set_long(t, CURLOPT_FORBID_REUSE, 1);
	transfer_set_long(t, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
}

struct transfer *transfer_probe(struct link *control, const struct msg_probe *m)
{
	struct transfer *t = transfer_make(control, m->id, m->timeout);
	char address[INET6_ADDRSTRLEN + 1], url[512], to[128];
	struct in6_addr in6;
	struct in_addr in;
	t->probe = true;
	t->url.https = true;
	snprintf(address, sizeof address, "%.*s", STR_ARG(m->address));
	bool ipv6 = inet_pton(AF_INET6, address, &in6) == 1;
	if ((!ipv6 && inet_pton(AF_INET, address, &in) != 1) || m->port < 1 ||
	        m->port > UINT16_MAX) {
		err_set(&t->err, ERR_INPUT, "\"%s\" is no address of a listener.", address);
		return t;
	}
	const char *bracketed = ipv6 ? "[%s]:%d" : "%s:%d";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	buf_printf(&t->authority, bracketed, address, (int)m->port);
#pragma GCC diagnostic pop
	snprintf(to, sizeof to, "::%s", buf_c(&t->authority));
	if (m->server_name.n > 0)
		snprintf(url, sizeof url, "https://%.*s:%d/",
		        STR_ARG(str_head(m->server_name, 255)), (int)m->port);
	else
		snprintf(url, sizeof url, "https://%s/", buf_c(&t->authority));
	set_probe(t, url, to);
	probe_offer(t, (enum fetch_keys)m->keys);
	return t;
}

/* The leaf as PEM, out of libcurl's list of "Name:value". */
static struct str leaf_of(struct transfer *t)
{
	static const char prefix[] = "Cert:";
	struct curl_certinfo *chain = NULL;
	curl_easy_getinfo(t->easy, CURLINFO_CERTINFO, &chain);
	if (!chain || chain->num_of_certs < 1)
		return STR_NONE;
	for (struct curl_slist *s = chain->certinfo[0]; s; s = s->next)
		if (strncmp(s->data, prefix, sizeof prefix - 1) == 0)
			return str_c(s->data + sizeof prefix - 1);
	return STR_NONE;
}

/* ---- the answer ---- */

void transfer_refuse(struct transfer *t, const struct err *err)
{
	if (t->probe)
		link_send(t->control, probed, .id = t->id, .error = err->code,
		        .sentence = str_c(err->text));
	else if (t->dial)
		link_send(t->control, dialled, .id = t->id, .error = err->code,
		        .sentence = str_c(err->text));
	else
		link_send(t->control, reply_end, .id = t->id, .error = err->code,
		        .sentence = str_c(err->text));
}

void transfer_answer(struct transfer *t, CURLcode code)
{
	struct err err = ERR_INIT;
	if (t->dial) {
		dial_answer(t, code);
		return;
	}
	if (code == CURLE_OK && !t->probe)
		send_head(t);
	struct str leaf = code == CURLE_OK && t->probe ? leaf_of(t) : STR_NONE;
	if (code == CURLE_OK && t->probe && !leaf.n)
		err_set(&err, ERR_PROTOCOL, "%s showed no certificate.", buf_c(&t->authority));
	else if (code != CURLE_OK || t->err.code != ERR_NONE)
		explain(t, code, &err);
	if (err.code != ERR_NONE)
		transfer_refuse(t, &err);
	else if (t->probe)
		link_send(t->control, probed, .id = t->id, .leaf_pem = leaf);
	else
		link_send(t->control, reply_end, .id = t->id);
}
