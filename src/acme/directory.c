/* The directory (RFC 8555 7.1.1): where to ask for what. */
#include "acme/step.h"

struct acme_ask ask_directory(struct flow *f)
{
	return (struct acme_ask){ .effect = ACME_GET, .url = f->directory_url };
}

static struct str usable(
        struct arena *a, const struct json *object, const char *key, struct str url)
{
	const struct str text = json_text(object, key);
	return url_usable(url, text) ? arena_str(a, text) : STR_NONE;
}

static const char *first_missing(const struct acme_directory *d)
{
	if (d->new_nonce.n == 0)
		return "newNonce";
	if (d->new_account.n == 0)
		return "newAccount";
	return d->new_order.n == 0 ? "newOrder" : NULL;
}

bool acme_directory_read(struct arena *a, struct str body, struct str url,
        struct acme_directory *ret_directory, struct err *err)
{
	struct err no_json;
	JSON_AUTO *root = json_parse(body, "The directory", &no_json);
	if (!json_is_object(root))
		return err_set(err, ERR_PROTOCOL,
		        "%.*s is not an ACME directory: %s is there." ERR_REMEDY
		        "Copy the URL from the CA's "
		        "documentation.",
		        STR_ARG(url), body_words(body));
	const struct json *meta = json_object(root, "meta");
	struct acme_directory d = {
		.new_nonce = usable(a, root, "newNonce", url),
		.new_account = usable(a, root, "newAccount", url),
		.new_order = usable(a, root, "newOrder", url),
		.revoke_cert = usable(a, root, "revokeCert", url),
		.key_change = usable(a, root, "keyChange", url),
		.renewal_info = usable(a, root, "renewalInfo", url),
		.terms = usable(a, meta, "termsOfService", url),
		.website = usable(a, meta, "website", url),
	};
	if (first_missing(&d))
		return err_set(err, ERR_PROTOCOL,
		        "%.*s is not an ACME directory: it is JSON without a usable URL for "
		        "\"%s\"." ERR_REMEDY "Copy the "
		        "URL from the CA's documentation.",
		        STR_ARG(url), first_missing(&d));
	json_bool(meta, "externalAccountRequired", &d.external_account_required);
	*ret_directory = d;
	return true;
}

struct next heard_directory(struct flow *f, const struct answer *a)
{
	struct err err;
	if (!acme_directory_read(&f->arena, a->reply->body, f->directory_url, &f->directory, &err))
		return fail(err.code, "%s", err.text);
	return go_first(f);
}
