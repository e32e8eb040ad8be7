/* everseal site add|set|list|remove */
#include "cli/certificate.h"
#include "cli/client.h"
#include "cli/show.h"
#include "config/kept.h"

static bool write_hsts(const struct command *c, struct json_writer *w, struct err *err)
{
	struct hsts hsts;
	if (!command_has(c, OPTION_HSTS))
		return true;
	if (!kept_parse_hsts(command_value(c, OPTION_HSTS), &hsts, err))
		return err_prefix(err, "--hsts");
	json_write_object(w, "hsts");
	json_write_int(w, "max_age", hsts.max_age);
	json_write_bool(w, "subdomains", hsts.subdomains);
	json_write_bool(w, "preload", hsts.preload);
	json_write_end(w);
	return true;
}

/* --proxy "A B": several addresses of the application. */
static void write_proxy(const struct command *c, struct json_writer *w)
{
	struct str rest = command_value(c, OPTION_PROXY), word;
	if (!command_has(c, OPTION_PROXY))
		return;
	json_write_array(w, "proxy");
	while (str_split(&rest, ' ', &word))
		if (word.n)
			json_write_text(w, NULL, word);
	json_write_end(w);
}

static bool write_want(const struct command *c, bool names, struct buf *out, struct err *err)
{
	struct json_writer w;
	if (command_has(c, OPTION_FORCE_SSL) && command_has(c, OPTION_NO_FORCE_SSL))
		return err_set(err, ERR_INPUT, "Give --force-ssl or --no-force-ssl, not both.");
	json_write_init(&w, out);
	json_write_object(&w, NULL);
	if (names) {
		json_write_array(&w, "names");
		for (size_t i = 0; i < c->operand_count; i++)
			json_write_text(&w, NULL, c->operands[i]);
		json_write_end(&w);
	}
	write_proxy(c, &w);
	if (command_has(c, OPTION_FORCE_SSL) || command_has(c, OPTION_NO_FORCE_SSL))
		json_write_bool(&w, "force_ssl", command_has(c, OPTION_FORCE_SSL));
	if (!write_hsts(c, &w, err))
		return false;
	json_write_end(&w);
	return true;
}

static bool needs_name(const struct command *c, struct err *err)
{
	return c->operand_count || err_set(err, ERR_INPUT, "Name the site; see `everseal help %s`.",
	                                   verbs[c->verb].words);
}

static struct str path_of(struct command *c)
{
	return arena_printf(
	        &c->arena, "/api/sites/%.*s", STR_ARG(command_escaped(c, c->operands[0])));
}

int command_site_add(struct command *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_INIT(1 << 20);
	if (!needs_name(c, &err) || !write_want(c, /* names= */ true, &body, &err))
		return command_usage(&err);
	const struct question q = {
		.method = "POST", .path = STR("/api/sites"), .body = buf_str(&body)
	};
	return command_do(
	        c, &q, "is served. `everseal lets-encrypt register` obtains its certificate.");
}

int command_site_set(struct command *c)
{
	struct err err = ERR_INIT;
	BUF_AUTO body = BUF_INIT(1 << 20);
	if (!needs_name(c, &err) || !write_want(c, /* names= */ false, &body, &err))
		return command_usage(&err);
	if (body.n <= 2) {
		err_set(&err, ERR_INPUT,
		        "Say what to set: --proxy, --force-ssl, --no-force-ssl or --hsts.");
		return command_usage(&err);
	}
	const struct question q = { .method = "PUT", .path = path_of(c), .body = buf_str(&body) };
	return command_do(c, &q, "is changed.");
}

int command_site_remove(struct command *c)
{
	struct err err = ERR_INIT;
	if (!needs_name(c, &err))
		return command_usage(&err);
	const struct question q = { .method = "DELETE",
		.path = path_of(c),
		.body = command_has(c, OPTION_DESPITE_HSTS) ? STR("{\"despite_hsts\":true}")
		                                            : STR("{}") };
	return command_do(c, &q, "is removed, its certificate is kept.");
}

/* ---- the list ---- */

static struct str hsts_text(struct arena *a, const struct json *site)
{
	int64_t age = 0;
	json_int(json_object(site, "hsts"), "max_age", &age);
	return age ? show_span(a, age * SECOND) : STR("off");
}

static void add_site(struct arena *a, struct table *t, const struct json *site)
{
	struct table_row *row = table_add(t);
	bool force = false;
	json_bool(site, "force_ssl", &force);
	row->cells[0] = show_names(a, json_array(site, "names"), 2);
	row->cells[1] = show_clean(a, json_text(site, "state"));
	row->cells[2] = show_list(a, json_array(site, "upstreams"), 2);
	row->cells[3] = force ? STR("yes") : STR("no");
	row->cells[4] = hsts_text(a, site);
	row->cells[5] = json_object(site, "source") ? STR("file") : STR("page or command");
	table_note(t, row, show_clean(a, json_text(site, "why")));
}

/* Page after page, so that 100,000 sites hold nothing up. */
static bool each_page(
        struct command *c, struct str state, struct arena *a, struct table *t, struct err *err)
{
	struct str cursor = STR_NONE;
	bool json = command_has(c, OPTION_JSON);
	do {
		const struct question q = { .method = "GET",
			.path = arena_printf(a, "/api/sites?sort=name&limit=200%s%.*s",
			        cursor.n ? "&cursor=" : "", STR_ARG(cursor)) };
		JSON_AUTO *page = client_ask_json(state, &q, err);
		const struct json *items = json_array(page, "items");
		if (!page)
			return false;
		for (size_t i = 0; i < json_count(items); i++) {
			if (json)
				certificate_print(json_at(items, i));
			else
				add_site(a, t, json_at(items, i));
		}
		cursor = json_text(page, "next").n ? arena_str(a, json_text(page, "next"))
		                                   : STR_NONE;
	} while (cursor.n);
	return true;
}

int command_site_list(struct command *c)
{
	struct str state;
	struct err err = ERR_INIT;
	BUF_AUTO out = BUF_INIT(256 << 20);
	struct table t = { .arena = &c->arena,
		.heads = { "NAMES", "STATE", "APPLICATION", "FORCE SSL", "HSTS", "SET IN" } };
	if (!command_state(c, &state, &err) || !each_page(c, state, &c->arena, &t, &err))
		return command_fail(&err);
	if (command_has(c, OPTION_JSON))
		return EXIT_DONE;
	if (t.count)
		table_print(&t, &out);
	fputs(t.count ? buf_c(&out) : "No sites yet: `everseal site add` makes one.\n", stdout);
	return EXIT_DONE;
}
