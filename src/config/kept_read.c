/* What people type for a site, checked. The sentences go to the page, beside the field. */
#include "certs/name.h"
#include "config/kept.h"
#include "config/parts.h"
#include "net/address.h"

static bool is_there(const struct kept_value *v, struct str name)
{
	for (size_t i = 0; i < v->name_count; i++)
		if (str_eq(v->names[i], name))
			return true;
	return false;
}

bool kept_read_names(struct kept_value *v, const struct str *typed, size_t count, struct err *err)
{
	if (!count)
		return err_set(err, ERR_INPUT, "Give at least one DNS name.");
	if (count > SITE_NAMES_MOST)
		return err_set(err, ERR_INPUT,
		        "%zu names are too many for one site, since a certificate holds %d: make "
		        "several sites of them.",
		        count, SITE_NAMES_MOST);
	v->names = arena_array(&v->arena, struct str, count);
	v->name_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct name name;
		if (!name_read(&v->arena, typed[i], /* public_only= */ false, &name, err))
			return false;
		if (!is_there(v, name.ascii))
			v->names[v->name_count++] = name.ascii;
	}
	return true;
}

static bool refuse_socket(struct err *err)
{
	return err_set(err, ERR_INPUT,
	        "Only the configuration file may name a Unix socket as an application: give an IP "
	        "address and port, such as 127.0.0.1:3000.");
}

bool kept_read_upstream(
        struct arena *a, struct str typed, struct config_upstream *ret, struct err *err)
{
	struct str text = str_trim(typed);
	if (str_starts(text, STR("/")) || str_starts(text, STR("unix:")))
		return refuse_socket(err);
	return config_value_upstream(a, text, ret, err) ||
	       (text.n && err_prefix(err, "The application's address: "));
}

static bool this_machine(const struct sockaddr_storage *at)
{
	struct local_addresses ours = { 0 };
	bool is = address_is_ours(&ours, at, /* mono= */ 1);
	local_addresses_done(&ours);
	return is;
}

static bool is_own_port(const struct kept_listeners *l, uint16_t port)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->at[i].port == port)
			return true;
	return false;
}

bool kept_upstream_allowed(const struct str shown, const struct sockaddr_storage *at,
        const struct kept_listeners *listeners, struct err *err)
{
	char text[ADDRESS_TEXT];
	if (address_is_any(at))
		return err_set(err, ERR_INPUT, "Nobody can connect to %s.", address_text(at, text));
	if (address_is_link_local(at))
		return err_set(err, ERR_INPUT,
		        "%.*s is a link-local address; only the configuration file may name one "
		        "as an application.",
		        STR_ARG(shown));
	if (is_own_port(listeners, address_port(at)) && this_machine(at))
		return err_set(err, ERR_INPUT,
		        "%.*s is where Everseal itself listens, not the application.",
		        STR_ARG(shown));
	return true;
}

/* What a name stands for is judged whenever it is resolved. */
bool kept_check_upstream(
        const struct config_upstream *u, const struct kept_listeners *listeners, struct err *err)
{
	struct sockaddr_storage at;
	if (u->scheme == UPSTREAM_UNIX)
		return refuse_socket(err);
	if (!config_upstream_is_somewhere(u, err))
		return false;
	return !address_parse(u->host, u->port, &at) ||
	       kept_upstream_allowed(u->shown, &at, listeners, err);
}

static bool is_twin(const struct kept_value *v, const struct config_upstream *u)
{
	for (size_t i = 0; i < v->upstream_count; i++)
		if (config_same_upstream(&v->upstreams[i], u))
			return true;
	return false;
}

bool kept_read_upstreams(struct kept_value *v, const struct str *typed, size_t count,
        const struct kept_listeners *listeners, struct err *err)
{
	if (count > SITE_UPSTREAMS_MOST)
		return err_set(err, ERR_INPUT,
		        "A site has at most %d addresses of its application.", SITE_UPSTREAMS_MOST);
	v->upstreams = arena_array(&v->arena, struct config_upstream, count);
	v->upstream_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct config_upstream u;
		if (!kept_read_upstream(&v->arena, typed[i], &u, err) ||
		        !kept_check_upstream(&u, listeners, err))
			return false;
		if (!is_twin(v, &u))
			v->upstreams[v->upstream_count++] = u;
	}
	return true;
}

bool kept_check_hsts(const struct hsts *hsts, struct err *err)
{
	const int64_t year = 365 * (DAY / SECOND);
	if (hsts->max_age < 0 || hsts->max_age > 10 * year)
		return err_set(err, ERR_INPUT,
		        "HSTS lasts from 1 second to 10 years; usual are 300, 3600, 86400 and "
		        "31536000 seconds. 0 switches it off.");
	/* https://hstspreload.org: a year at least, and all subdomains. */
	if (hsts->preload && (!hsts->subdomains || hsts->max_age < year))
		return err_set(err, ERR_INPUT,
		        "Browsers take no name into their preload list without all of it: a year "
		        "(31536000 seconds) at least, and all subdomains.");
	return true;
}

static bool hsts_word(struct str word, struct hsts *hsts, struct err *err)
{
	if (str_eq_c(word, "include-subdomains"))
		hsts->subdomains = true;
	else if (str_eq_c(word, "preload"))
		hsts->preload = true;
	else if (word.n)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is unknown here: behind the time may stand include-subdomains "
		        "and preload.",
		        STR_ARG(str_head(word, 40)));
	return true;
}

bool kept_parse_hsts(struct str text, struct hsts *ret_hsts, struct err *err)
{
	struct hsts hsts = { .set = true };
	struct str rest = str_trim(text), word = STR("");
	int64_t ms = 0;
	(void)str_split(&rest, ' ', &word);
	if (str_eq_c(word, "off") && !rest.n) {
		*ret_hsts = hsts;
		return true;
	}
	if (!config_value_duration(word, &ms, err))
		return false;
	hsts.max_age = ms / SECOND;
	while (str_split(&rest, ' ', &word))
		if (!hsts_word(word, &hsts, err))
			return false;
	if (!kept_check_hsts(&hsts, err))
		return false;
	*ret_hsts = hsts;
	return true;
}
