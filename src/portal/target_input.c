/* What a request says of an alert target. */
#include "base/url.h"
#include "certs/name.h"
#include "net/address.h"
#include "portal/targets.h"

struct str target_shown(struct arena *a, const struct config_notify *want)
{
	return arena_printf(a, "%s %.*s", config_notify_way_name(want->way), STR_ARG(want->shown));
}

/* STR_NONE: not given, or empty. */
static struct str typed(struct target_input *in, const char *member)
{
	const struct str text = str_trim(json_text(in->call->json, member));
	in->field = member;
	return text.n ? text : STR_NONE;
}

static bool read_way(struct target_input *in, struct err *err)
{
	const struct str way = typed(in, "way");
	enum config_notify_way read = in->want.way;
	if (in->was && !way.n)
		return true;
	if (!config_notify_way_from_name(way, &read))
		return err_set(err, ERR_INPUT, "A target is told by mail or webhook: say which.");
	if (in->was && read != in->was->want.way)
		return err_set(err, ERR_INPUT,
		        "A target stays what it is: remove it, and add the other one.");
	if (read == CONFIG_NOTIFY_PROGRAM)
		return err_set(err, ERR_INPUT,
		        "Only the configuration file may name a program, since it runs on this "
		        "machine: write `notify program` there, then `everseal reload`.");
	in->want.way = read;
	return true;
}

/* What would change nothing is not taken as if it did. */
static bool fits_way(struct target_input *in, struct err *err)
{
	static const struct {
		const char *member;
		enum config_notify_way way;
	} belongs[] = { { "server", CONFIG_NOTIFY_MAIL }, { "from", CONFIG_NOTIFY_MAIL },
		{ "user", CONFIG_NOTIFY_MAIL }, { "password", CONFIG_NOTIFY_MAIL },
		{ "secret", CONFIG_NOTIFY_WEBHOOK } };
	for (size_t i = 0; i < sizeof belongs / sizeof *belongs; i++) {
		in->field = belongs[i].member;
		if (belongs[i].way != in->want.way && json_text(in->call->json, in->field).p)
			return err_set(err, ERR_INPUT, "`%s` says nothing to a %s: leave it out.",
			        in->field, config_notify_way_name(in->want.way));
	}
	return true;
}

/* As of applications; what a name stands for is judged whenever it is resolved. */
static bool is_routed(struct str host, struct err *err)
{
	struct sockaddr_storage at;
	return !address_parse(host, 443, &at) || !address_is_link_local(&at) ||
	       err_set(err, ERR_INPUT,
	               "%.*s is a link-local address, which only the configuration file may name.",
	               STR_ARG(host));
}

static bool is_new(const struct target_input *in, struct err *err)
{
	const struct kept_target *twin = target_twin(&in->want);
	const struct config_notify *of_file =
	        notify_in_file(portal.notify, in->want.way, in->want.to);
	if (of_file)
		return err_set(err, ERR_INPUT,
		        "%.*s is told already, by the configuration file, line %u.",
		        STR_ARG(in->want.shown), of_file->at.line);
	return !twin || twin == in->was ||
	       err_set(err, ERR_INPUT, "%.*s is told already: change that target.",
	               STR_ARG(in->want.shown));
}

static bool read_to(struct target_input *in, struct err *err)
{
	const bool mail = in->want.way == CONFIG_NOTIFY_MAIL;
	const struct str to = typed(in, "to");
	if (in->was && !to.n)
		return true;
	if (!to.n)
		return err_set(err, ERR_INPUT, "%s",
		        mail ? "Give the e-mail address of who is told."
		             : "Give the webhook's URL, such as https://hooks.example.com/alerts.");
	return config_notify_read_to(in->arena, to, &in->want, err) &&
	       (mail || is_routed(in->want.shown, err)) && is_new(in, err);
}

static bool read_level(struct target_input *in, struct err *err)
{
	const struct str level = typed(in, "level");
	if (!level.n || config_level_from_name(level, &in->want.level))
		return true;
	return err_set(err, ERR_INPUT, "A level is info, warning or problem.");
}

/* ---- by mail ---- */

static bool read_server(struct target_input *in, struct err *err)
{
	const struct str server = typed(in, "server");
	struct str host;
	uint16_t port;
	if (in->was && !server.n)
		return true;
	if (!server.n)
		return err_set(
		        err, ERR_INPUT, "Give the mail server, such as smtps://mail.example.com.");
	if (!config_notify_read_server(in->arena, server, &in->want.server, err))
		return false;
	const struct str rest = str_from(in->want.server, str_find(in->want.server, ':') + 3);
	return url_parse_hostport(rest, 0, &host, &port, err) && is_routed(host, err);
}

static bool read_from(struct target_input *in, struct err *err)
{
	const struct str from = typed(in, "from");
	struct str email;
	if (in->was && !from.n)
		return true;
	if (!from.n)
		return err_set(err, ERR_INPUT,
		        "Give the e-mail address that messages come from: your mail server has to "
		        "allow it.");
	if (!email_read(from, &email, err))
		return false;
	in->want.from = arena_str(in->arena, email);
	return true;
}

static bool read_user(struct target_input *in, struct err *err)
{
	const struct str user = typed(in, "user");
	if (user.n && !config_notify_check_line(user, "user", err))
		return false;
	if (user.n)
		in->want.user = arena_str(in->arena, user);
	else if (json_text(in->call->json, "user").p) /* empty: there is none any more */
		in->want.user = in->want.password = STR_NONE;
	return true;
}

/* One that was typed for one server is given to no other. */
static bool read_password(struct target_input *in, struct err *err)
{
	const struct str password = json_text(in->call->json, "password");
	in->field = "password";
	if (password.n && !in->want.user.n)
		return err_set(
		        err, ERR_INPUT, "Give the user as well to whom this password belongs.");
	if (password.n && !config_notify_check_line(password, "password", err))
		return false;
	if (password.n) {
		in->want.password = arena_str(in->arena, password);
		return true;
	}
	if (in->was && in->want.password.n && !str_eq(in->was->want.server, in->want.server))
		return err_set(err, ERR_INPUT,
		        "Type the password again: the one that is kept was for another server.");
	return !in->want.user.n || in->want.password.n ||
	       err_set(err, ERR_INPUT,
	               "Give the password of %.*s, or leave the user empty if the mail server asks "
	               "for none.",
	               STR_ARG(str_head(in->want.user, 80)));
}

/* ---- by webhook ---- */

static bool read_secret(struct target_input *in, struct err *err)
{
	const struct str secret = json_text(in->call->json, "secret");
	in->field = "secret";
	if (!secret.n && !in->want.secret.n)
		return err_set(err, ERR_INPUT,
		        "Give a secret that the receiver knows, too: each message is signed with "
		        "it.");
	if (secret.n && !config_notify_check_line(secret, "secret", err))
		return false;
	if (secret.n)
		in->want.secret = arena_str(in->arena, secret);
	return true;
}

bool target_input_read(struct target_input *in, struct err *err)
{
	if (!read_way(in, err) || !fits_way(in, err) || !read_to(in, err) || !read_level(in, err))
		return false;
	if (in->want.way == CONFIG_NOTIFY_WEBHOOK)
		return read_secret(in, err);
	return read_server(in, err) && read_from(in, err) && read_user(in, err) &&
	       read_password(in, err);
}
