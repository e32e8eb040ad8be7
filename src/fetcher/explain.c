/* Errors of libcurl in words that a person can act on. */
#include "fetcher/fetcher.h"
#include <errno.h>

static double seconds(const struct transfer *t)
{
	return (double)t->timeout / 1000;
}

static bool reached(const struct transfer *t, CURLINFO moment)
{
	curl_off_t us = 0;
	return curl_easy_getinfo(t->easy, moment, &us) == CURLE_OK && us > 0;
}

/* libcurl's own words, without its prefix. */
static const char *words(const struct transfer *t, CURLcode code)
{
	static const char prefix[] = "SSL certificate problem: ";
	if (!t->said[0])
		return curl_easy_strerror(code);
	bool prefixed = strncmp(t->said, prefix, sizeof prefix - 1) == 0;
	return t->said + (prefixed ? sizeof prefix - 1 : 0);
}

static void timed_out(const struct transfer *t, struct err *err)
{
	const char *to = buf_c(&t->authority);
	if (!reached(t, CURLINFO_NAMELOOKUP_TIME_T))
		err_set(err, ERR_TIMEOUT,
		        "%s could not be looked up: this machine's resolver did not answer. Check "
		        "/etc/resolv.conf.",
		        to);
	else if (!reached(t, CURLINFO_CONNECT_TIME_T))
		err_set(err, ERR_TIMEOUT,
		        "%s did not accept a connection in time; a firewall may be dropping it on "
		        "the way.",
		        to);
	else if (t->url.https && !reached(t, CURLINFO_APPCONNECT_TIME_T))
		err_set(err, ERR_TIMEOUT,
		        "%s accepted the connection, but did not finish the TLS handshake in time.",
		        to);
	else if (!reached(t, CURLINFO_STARTTRANSFER_TIME_T))
		err_set(err, ERR_TIMEOUT,
		        "%s accepted the connection, but did not answer within %g s.", to,
		        seconds(t));
	else
		err_set(err, ERR_TIMEOUT, "%s did not finish its answer within %g s.", to,
		        seconds(t));
}

static void not_connected(const struct transfer *t, struct err *err)
{
	const char *to = buf_c(&t->authority);
	long number = 0;
	curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &number);
	if (number == ECONNREFUSED)
		err_set(err, ERR_UNREACHABLE,
		        "%s refuses connections: no server listens there, or a firewall rejects "
		        "it.",
		        to);
	else if (number == ETIMEDOUT)
		err_set(err, ERR_TIMEOUT,
		        "%s did not accept a connection in time; a firewall may be dropping it on "
		        "the way.",
		        to);
	else if (number == ENETUNREACH || number == EHOSTUNREACH)
		err_set(err, ERR_UNREACHABLE,
		        "%s cannot be reached from this machine: it has no way to that address.",
		        to);
	else if (number)
		err_sys(err, ERR_UNREACHABLE, (int)number, "%s cannot be reached", to);
	else
		err_set(err, ERR_UNREACHABLE, "%s cannot be reached: %s.", to,
		        words(t, CURLE_COULDNT_CONNECT));
}

/* What OpenSSL found wrong with a certificate: X509_V_ERR_… of <openssl/x509_vfy.h>, fixed by its
 * ABI. libcurl itself looks at the name, before it keeps that nothing was. */
enum { VERIFY_GOOD = 0, VERIFY_UNSAID = 1, VERIFY_NOT_YET_VALID = 9, VERIFY_EXPIRED = 10 };

static void not_trusted(const struct transfer *t, struct err *err)
{
	const char *why = words(t, CURLE_PEER_FAILED_VERIFICATION), *to = buf_c(&t->authority);
	long verified = -1;
	curl_easy_getinfo(t->easy, CURLINFO_SSL_VERIFYRESULT, &verified);
	if (verified == VERIFY_EXPIRED || verified == VERIFY_NOT_YET_VALID)
		err_set(err, ERR_REFUSED,
		        "The certificate of %s cannot be used (%s)." ERR_REMEDY
		        "Check this machine's clock; if it is right, that server's operator has to "
		        "put a current certificate in place.",
		        to, why);
	else if (verified == VERIFY_GOOD || verified == VERIFY_UNSAID)
		err_set(err, ERR_REFUSED,
		        "The certificate that was shown for %s is for another name (%s)." ERR_REMEDY
		        "Check the spelling of the URL, and whether the name leads to another "
		        "server or a proxy answers in between.",
		        to, why);
	else if (t->rule && t->rule->trust_in)
		err_set(err, ERR_REFUSED,
		        "The certificate of %s is not trusted (%s)." ERR_REMEDY
		        "If it is your own CA, name its root certificate by `trust FILE` in the %s "
		        "block.",
		        to, why, t->rule->trust_in);
	else
		err_set(err, ERR_REFUSED, "The certificate of %s is not trusted (%s).", to, why);
}

/* The rest differs in words only. */
static const struct {
	CURLcode code;
	enum err_code err;
	const char *sentence; /* after the authority */
	bool with_words;
} sentences[] = {
	{ CURLE_COULDNT_RESOLVE_HOST, ERR_UNREACHABLE,
	        "was not found: no address is known for that name. Check its spelling and this "
	        "machine's resolver.",
	        false },
	{ CURLE_COULDNT_RESOLVE_PROXY, ERR_UNREACHABLE,
	        "cannot be reached: the proxy named in the environment was not found", true },
	{ CURLE_SSL_CACERT_BADFILE, ERR_INPUT,
	        "was not asked: the certificates to trust cannot be read. Check the file that "
	        "`trust` "
	        "names, or install the package ca-certificates.",
	        false },
	{ CURLE_SSL_CONNECT_ERROR, ERR_PROTOCOL, "did not complete the TLS handshake", true },
	{ CURLE_GOT_NOTHING, ERR_UNREACHABLE, "cut the connection before it answered.", false },
	{ CURLE_SEND_FAIL_REWIND, ERR_UNREACHABLE, "cut the connection before it answered.",
	        false },
	{ CURLE_SEND_ERROR, ERR_UNREACHABLE, "cut the connection while it was being asked.",
	        false },
	{ CURLE_RECV_ERROR, ERR_UNREACHABLE, "cut the connection before its answer was complete.",
	        false },
	{ CURLE_PARTIAL_FILE, ERR_UNREACHABLE, "cut the connection before its answer was complete.",
	        false },
	{ CURLE_HTTP2, ERR_PROTOCOL, "broke the rules of HTTP/2", true },
	{ CURLE_HTTP2_STREAM, ERR_PROTOCOL, "broke off its answer", true },
	{ CURLE_WEIRD_SERVER_REPLY, ERR_PROTOCOL, "answered something that is not HTTP.", false },
	{ CURLE_UNSUPPORTED_PROTOCOL, ERR_PROTOCOL, "answered something that is not HTTP.", false },
};

static void by_table(const struct transfer *t, CURLcode code, struct err *err)
{
	const char *to = buf_c(&t->authority);
	for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
		if (sentences[i].code != code)
			continue;
		if (sentences[i].with_words)
			err_set(err, sentences[i].err, "%s %s: %s.", to, sentences[i].sentence,
			        words(t, code));
		else
			err_set(err, sentences[i].err, "%s %s", to, sentences[i].sentence);
		return;
	}
	err_set(err, ERR_IO, "%s could not be asked: %s.", to, words(t, code));
}

void explain(const struct transfer *t, CURLcode code, struct err *ret_err)
{
	if (t->err.code != ERR_NONE)
		*ret_err = t->err;
	else if (t->rule && t->rule->mail && mail_explain(t, code, ret_err))
		return;
	else if (code == CURLE_OPERATION_TIMEDOUT)
		timed_out(t, ret_err);
	else if (code == CURLE_COULDNT_CONNECT)
		not_connected(t, ret_err);
	else if (code == CURLE_PEER_FAILED_VERIFICATION)
		not_trusted(t, ret_err);
	else
		by_table(t, code, ret_err);
}
