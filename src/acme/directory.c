/* The directory (RFC 8555 7.1.1): where to ask for what. */
#include "acme/step.h"

enum { PROFILE_NAME_MOST = 64, PROFILE_TEXT_MOST = 500 };

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

/* draft-ietf-acme-profiles: an object of names with words for people. */
void directory_read_profiles(struct arena *a, const struct json *list, struct acme_directory *d)
{
	d->profiles = arena_array(a, struct acme_profile, ACME_PROFILES_MOST);
	for (const struct json_iter *it = json_first(list); it; it = json_next(list, it)) {
		const struct str name = json_iter_key(it),
		                 text = json_value_text(json_iter_value(it));
		if (!name.n || name.n > PROFILE_NAME_MOST || d->profile_count == ACME_PROFILES_MOST)
			continue;
		d->profiles[d->profile_count++] = (struct acme_profile){ arena_str(a, name),
			text.n <= PROFILE_TEXT_MOST ? arena_str(a, text) : STR_NONE };
	}
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
	directory_read_profiles(a, json_object(meta, "profiles"), &d);
	*ret_directory = d;
	return true;
}

static struct str copy(struct arena *a, struct str text)
{
	return text.n ? arena_str(a, text) : STR_NONE;
}

struct acme_directory acme_directory_copy(struct arena *a, const struct acme_directory *d)
{
	struct acme_directory to = *d;
	struct str *texts[] = { &to.new_nonce, &to.new_account, &to.new_order, &to.revoke_cert,
		&to.key_change, &to.renewal_info, &to.terms, &to.website };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		*texts[i] = copy(a, *texts[i]);
	to.profiles = arena_array(a, struct acme_profile, d->profile_count);
	for (size_t i = 0; i < d->profile_count; i++)
		to.profiles[i] = (struct acme_profile){ copy(a, d->profiles[i].name),
			copy(a, d->profiles[i].text) };
	return to;
}

struct next heard_directory(struct flow *f, const struct answer *a)
{
	struct err err;
	if (!acme_directory_read(&f->arena, a->reply->body, f->directory_url, &f->directory, &err))
		return fail(err.code, "%s", err.text);
	return go_first(f);
}
