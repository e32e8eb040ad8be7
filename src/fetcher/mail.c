/* A message by e-mail (RFC 5321), as libcurl sends it: TLS from the start (smtps), or by STARTTLS
 * (smtp), which only a server on this machine may do without. Who it is from and to, and the user
 * and password, stand where an HTTP request has its headers. */
#include "fetch/fetch.h"
#include "fetcher/fetcher.h"

enum { TLS_PORT = 465, STARTTLS_PORT = 587 };

static bool read_url(struct transfer *t, struct err *err)
{
	const struct str text = buf_str(&t->url_text), tls = STR("smtps://"),
	                 plain = STR("smtp://");
	struct url *url = &t->url;
	url->https = str_starts(text, tls);
	if (!url->https && !str_starts(text, plain))
		return err_set(err, ERR_INPUT,
		        "The URL of a mail server begins with smtps:// or smtp://.");
	if (!url_parse_hostport(str_from(text, url->https ? tls.n : plain.n),
	            url->https ? TLS_PORT : STARTTLS_PORT, &url->host, &url->port, err))
		return false;
	url->host_is_ipv6 = str_has(url->host, ':');
	buf_printf(&t->authority, url->host_is_ipv6 ? "[%.*s]:%u" : "%.*s:%u", STR_ARG(url->host),
	        (unsigned)url->port);
	return true;
}

/* The first line by which the server refuses something. */
static size_t hear_line(char *bytes, size_t size, size_t count, void *transfer)
{
	struct transfer *t = transfer;
	const struct str all = str_n(bytes, size * count);
	const struct str line = str_trim(str_head(all, str_find(all, '\r')));
	if (!t->reply_headers.n && line.n >= 3 && (line.p[0] == '4' || line.p[0] == '5'))
		buf_add(&t->reply_headers, str_head(line, 300));
	return size * count;
}

/* As it stands there: unlike a header's value, a password may begin and end with spaces. */
static struct str credential(struct str lines, struct str begin)
{
	struct str line;
	while (str_split(&lines, '\n', &line))
		if (str_starts(line, begin))
			return str_from(line, begin.n);
	return STR_NONE;
}

static void set_user(struct transfer *t)
{
	const struct str lines = buf_str(&t->headers_text);
	const struct str user = credential(lines, STR("user: "));
	if (!user.n)
		return;
	BUF_AUTO name = BUF(1024), password = BUF_SECRET(4096);
	buf_add(&name, user);
	buf_add(&password, credential(lines, STR("password: ")));
	transfer_set_text(t, CURLOPT_USERNAME, buf_c(&name));
	transfer_set_text(t, CURLOPT_PASSWORD, buf_c(&password));
}

static bool set_envelope(struct transfer *t, struct err *err)
{
	const struct str lines = buf_str(&t->headers_text);
	const struct str from = fetch_header_of(lines, "from", 0);
	const struct str to = fetch_header_of(lines, "to", 0);
	BUF_AUTO address = BUF(512);
	if (!from.n || !to.n || from.n > 320 || to.n > 320)
		return err_set(err, ERR_INPUT,
		        "A message needs an address to come from, and one to go to.");
	buf_printf(&address, "<%.*s>", STR_ARG(from));
	transfer_set_text(t, CURLOPT_MAIL_FROM, buf_c(&address));
	buf_clear(&address);
	buf_printf(&address, "<%.*s>", STR_ARG(to));
	t->headers = curl_slist_append(NULL, buf_c(&address));
	CHECK(t->headers);
	curl_easy_setopt(t->easy, CURLOPT_MAIL_RCPT, t->headers);
	return true;
}

static void set_server(struct transfer *t)
{
	const bool here = url_is_loopback(&t->url), plain = here && !t->url.https;
	transfer_set_text(t, CURLOPT_URL, buf_c(&t->url_text));
	transfer_set_text(t, CURLOPT_PROTOCOLS_STR, t->url.https ? "smtps" : "smtp");
	transfer_set_long(t, CURLOPT_USE_SSL, plain ? CURLUSESSL_NONE : CURLUSESSL_ALL);
	/* Each message signs in for itself. */
	transfer_set_long(t, CURLOPT_FRESH_CONNECT, 1);
	transfer_set_long(t, CURLOPT_FORBID_REUSE, 1);
	if (here)
		transfer_set_text(t, CURLOPT_NOPROXY, "*");
	transfer_set_sockets(t, /* loopback= */ plain);
	curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, hear_line);
	curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
}

bool mail_prepare(struct transfer *t, struct err *err)
{
	if (!buf_ok(&t->url_text) || !buf_ok(&t->trust) || !buf_ok(&t->body) ||
	        !buf_ok(&t->headers_text))
		return err_set(err, ERR_LIMIT, "The message is too large to be sent.");
	if (!read_url(t, err) || !set_envelope(t, err))
		return false;
	set_server(t);
	set_user(t);
	transfer_set_long(t, CURLOPT_UPLOAD, 1);
	transfer_set_long(t, CURLOPT_INFILESIZE, (long)t->body.n);
	transfer_set_body(t);
	return true;
}

bool mail_explain(const struct transfer *t, CURLcode code, struct err *ret_err)
{
	const char *to = buf_c(&t->authority), *said = buf_c(&t->reply_headers);
	if (code == CURLE_LOGIN_DENIED)
		err_set(ret_err, ERR_REFUSED,
		        "%s does not take this user and password%s%s." ERR_REMEDY
		        "Check both where this target is set.",
		        to, *said ? ": " : "", said);
	else if (code == CURLE_USE_SSL_FAILED)
		err_set(ret_err, ERR_REFUSED,
		        "%s offers no TLS, and without it nothing is sent to another "
		        "machine." ERR_REMEDY "Write smtps:// with the port on which it does.",
		        to);
	else if (*said)
		err_set(ret_err, ERR_REFUSED, "%s refused the message: %s.", to, said);
	else if (code == CURLE_WEIRD_SERVER_REPLY || code == CURLE_FTP_WEIRD_SERVER_REPLY)
		err_set(ret_err, ERR_PROTOCOL,
		        "%s is no mail server, or speaks TLS where `smtp` begins without it: write "
		        "smtps:// if it does.",
		        to);
	return ret_err->code != ERR_NONE;
}
