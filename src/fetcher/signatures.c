/* Which signatures a probe offers to verify: a server with certificates of several kinds shows the
 * one that fits. libcurl of Debian 12 has no option for it. */
#include "fetcher/fetcher.h"
#include <openssl/ssl.h>

static const char ecdsa[] = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512";
static const char rsa[] = "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
                          "RSA+SHA256:RSA+SHA384:RSA+SHA512";

static CURLcode offer(CURL *easy, void *ssl, void *schemes)
{
	(void)easy;
	return SSL_CTX_set1_sigalgs_list(ssl, schemes) == 1 ? CURLE_OK : CURLE_SSL_CONNECT_ERROR;
}

void probe_offer(struct transfer *t, enum fetch_keys keys)
{
	if (keys != FETCH_KEYS_ECDSA && keys != FETCH_KEYS_RSA)
		return;
	const char *schemes = keys == FETCH_KEYS_RSA ? rsa : ecdsa;
	CHECK(curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_FUNCTION, offer) == CURLE_OK);
	CHECK(curl_easy_setopt(t->easy, CURLOPT_SSL_CTX_DATA, schemes) == CURLE_OK);
}
