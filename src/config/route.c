/* Routes within a site, and the rules that stand in a site as well as in a route. */
#include "config/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PATH_MOST = 1024, TEXT_MOST = 16 << 10, NOTICE_MOST = 900 };

#define PROBLEM(r, w, ...) config_problem(&(r)->problems, (w)->at, __VA_ARGS__)

/* --- what answers */

static const char *const action_names[] = {
#define X(name, text) [CONFIG_##name] = text,
	CONFIG_ACTIONS(X)
#undef X
};

static bool set_action(struct reader *r, const struct node *n, enum config_action action)
{
	struct config_rules *rules = r->rules;
	if (rules->action) {
		PROBLEM(r, &n->name, "`%s` stands beside `%s` in line %u: one of them answers.",
		        action_names[action], action_names[rules->action], rules->action_at.line);
		return false;
	}
	rules->action = action;
	rules->action_at = n->name.at;
	return true;
}

static bool read_status(
        struct reader *r, const struct word *w, const char *allowed, unsigned *ret_status)
{
	uint64_t status;
	bool number =
	        w->text.n == 3 && str_to_u64(w->text, &status) && status >= 200 && status <= 599;
	if (number && allowed) {
		struct str rest = str_c(allowed), word = STR_NONE;
		while (str_split(&rest, ' ', &word) && !str_eq(word, w->text))
			;
		number = str_eq(word, w->text);
	}
	if (number)
		*ret_status = (unsigned)status;
	else if (allowed)
		PROBLEM(r, w, "\"%.*s\" is no status of a redirect: they are %s.",
		        STR_ARG(config_shown(w->text)), allowed);
	else
		PROBLEM(r, w, "\"%.*s\" is no status of an answer: write a number from 200 to 599.",
		        STR_ARG(config_shown(w->text)));
	return number;
}

static const struct str path_word = STR_INIT("$path"), rest_word = STR_INIT("$rest"),
                        query_word = STR_INIT("$query"), host_word = STR_INIT("$host");

static bool is_known(struct str at)
{
	return str_starts(at, path_word) || str_starts(at, rest_word) ||
	       str_starts(at, query_word) || str_starts(at, host_word);
}

static bool words_are_known(struct reader *r, const struct word *w)
{
	for (size_t i = 0; i < w->text.n; i++) {
		const char c = w->text.p[i];
		const bool visible = c > ' ' && c < 0x7f && c != '"' && c != '<' && c != '>' &&
		                     c != '\\' && c != '#';
		if (!visible) {
			PROBLEM(r, w,
			        "A URL has only visible ASCII characters, without \" < > # "
			        "and \\: write others as %%XX.");
			return false;
		}
		if (c == '$' && !is_known(str_from(w->text, i))) {
			PROBLEM(r, w,
			        "Behind $ may stand path, rest, query or host: \"%.*s\" is "
			        "none of them.",
			        STR_ARG(config_shown(str_from(w->text, i))));
			return false;
		}
	}
	return true;
}

/* Where the authority of "http://…" ends. */
static size_t authority_end(struct str text, size_t start)
{
	size_t i = start;
	while (i < text.n) {
		const char c = text.p[i];
		const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		                  (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' ||
		                  c == '[' || c == ']';
		if (str_starts(str_from(text, i), host_word))
			i += host_word.n;
		else if (fits)
			i++;
		else
			break;
	}
	return i;
}

/* What visitors write must not become the name of another server. */
static bool leads_where_it_says(struct str text)
{
	if (str_starts(text, STR("/"))) {
		struct str rest = str_from(text, 1);
		if (str_starts(rest, rest_word)) {
			rest = str_from(rest, rest_word.n);
			return rest.n == 0 || rest.p[0] == '?' || str_starts(rest, query_word);
		}
		return !str_starts(rest, STR("/")) && !str_starts(rest, path_word);
	}
	const size_t start = str_starts(text, STR("http://"))    ? 7
	                     : str_starts(text, STR("https://")) ? 8
	                                                         : 0;
	const size_t end = authority_end(text, start);
	const struct str rest = str_from(text, end);
	return start > 0 && end > start &&
	       (rest.n == 0 || rest.p[0] == '/' || rest.p[0] == '?' ||
	               str_starts(rest, path_word) || str_starts(rest, query_word));
}

void config_set_redirect(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	const struct word *w = &n->params[0];
	if (!set_action(r, n, CONFIG_REDIRECT) || !words_are_known(r, w))
		return;
	if (!leads_where_it_says(w->text) || w->text.n > PATH_MOST)
		PROBLEM(r, w,
		        "\"%.*s\" is no place to redirect to: write a URL such as "
		        "https://www.example.com$path$query, or a path such as /new/$rest.",
		        STR_ARG(config_shown(w->text)));
	rules->text = arena_str(&r->c->arena, w->text);
	rules->status = 302;
	if (n->param_count > 1)
		(void)read_status(r, &n->params[1], "301 302 303 307 308", &rules->status);
}

void config_set_respond(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	if (!set_action(r, n, CONFIG_RESPOND) ||
	        !read_status(r, &n->params[0], NULL, &rules->status) || n->param_count < 2)
		return;
	const struct word *w = &n->params[1];
	if (rules->status == 204 || rules->status == 205 || rules->status == 304)
		PROBLEM(r, w, "An answer with %u has no text.", rules->status);
	if (w->text.n > TEXT_MOST)
		PROBLEM(r, w,
		        "This text is longer than %d KiB: put it into a file, and use "
		        "`root`.",
		        TEXT_MOST >> 10);
	rules->text = arena_str(&r->c->arena, w->text);
}

void config_set_root(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	if (!set_action(r, n, CONFIG_ROOT))
		return;
	r->rules->text = arena_str(&r->c->arena, w->text);
	if (!str_starts(w->text, STR("/"))) {
		PROBLEM(r, w, "\"%.*s\" is not an absolute path: write one that begins with /.",
		        STR_ARG(config_shown(w->text)));
		return;
	}
	LIST_PUSH(&r->scratch, r->roots, r->root_count, (struct root_use){ r->rules->text, w->at });
	const int fd = open(r->rules->text.p, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		PROBLEM(r, w, "The directory %.*s cannot be opened: %s.",
		        STR_ARG(config_shown(w->text)), strerror(errno));
	else
		(void)close(fd);
}

static void read_route_proxy(struct reader *r, const struct node *n)
{
	struct config_site outer = r->site;
	r->site = r->route.applications;
	config_set_proxy(r, n);
	r->route.applications = r->site;
	r->site = outer;
}

void config_set_route_proxy(struct reader *r, const struct node *n)
{
	if (r->rules->action == CONFIG_PROXY || set_action(r, n, CONFIG_PROXY))
		read_route_proxy(r, n);
}

/* --- who may come */

static void add_access(struct reader *r, const struct word *w, struct str cidr, bool allow)
{
	struct config_rules *rules = r->rules;
	for (size_t i = 0; i < rules->access_count; i++) {
		if (!str_eq(rules->access[i].cidr, cidr))
			continue;
		PROBLEM(r, w, "%.*s is named already, in line %u.", STR_ARG(config_shown(w->text)),
		        rules->access[i].at.line);
		return;
	}
	LIST_PUSH(&r->c->arena, rules->access, rules->access_count,
	        (struct config_access){ cidr, allow, w->at });
}

static void read_access(struct reader *r, const struct node *n, bool allow)
{
	for (size_t i = 0; i < n->param_count; i++) {
		const struct word *w = &n->params[i];
		struct err err = ERR_INIT;
		struct str cidr;
		if (str_eq_c(w->text, "all")) {
			add_access(r, w, STR("0.0.0.0/0"), allow);
			add_access(r, w, STR("::/0"), allow);
		} else if (config_value_cidr(&r->c->arena, w->text, &cidr, &err)) {
			add_access(r, w, cidr, allow);
		} else {
			PROBLEM(r, w, "%s", err.text);
		}
	}
}

void config_set_allow(struct reader *r, const struct node *n)
{
	read_access(r, n, /* allow= */ true);
}

void config_set_deny(struct reader *r, const struct node *n)
{
	read_access(r, n, /* allow= */ false);
}

void config_set_maintenance(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	rules->maintenance_set = true;
	rules->maintenance = n->param_count == 0 || !str_eq_c(n->params[0].text, "off");
	if (!rules->maintenance || n->param_count == 0)
		return;
	if (n->params[0].text.n > NOTICE_MOST)
		PROBLEM(r, &n->params[0], "This text is longer than %d bytes.", NOTICE_MOST);
	rules->notice = arena_str(&r->c->arena, n->params[0].text);
}

void config_set_encode(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	r->rules->gzip_set = true;
	r->rules->gzip = str_eq_c(w->text, "gzip");
	if (!r->rules->gzip && !str_eq_c(w->text, "off"))
		PROBLEM(r, w,
		        "\"%.*s\" is unknown to `encode`: write `encode gzip` or `encode "
		        "off`.",
		        STR_ARG(config_shown(w->text)));
}

static bool is_hash(struct str s)
{
	bool fits = str_starts(s, STR("$argon2id$v=19$m=")) && s.n < 128;
	for (size_t i = 0; i < s.n; i++)
		fits = fits && s.p[i] > ' ' && s.p[i] < 0x7f;
	return fits;
}

static void add_user(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	const struct word *w = &n->params[0];
	struct config_user user = { .name = arena_str(&r->c->arena, w->text), .at = w->at };
	struct err err = ERR_INIT;
	if (w->text.n == 0 || w->text.n > 128 || str_has(w->text, ':'))
		PROBLEM(r, w, "A name has 1 to 128 bytes, and no colon.");
	for (size_t i = 0; i < rules->user_count; i++)
		if (str_eq(rules->users[i].name, user.name))
			PROBLEM(r, w, "%.*s is named already, in line %u.",
			        STR_ARG(config_shown(w->text)), rules->users[i].at.line);
	if (!config_value_secret(&r->c->arena, n->params[1].text, "hash", &user.hash, &err))
		PROBLEM(r, &n->params[1], "%s", err.text);
	else if (!is_hash(user.hash))
		PROBLEM(r, &n->params[1],
		        "This is no argon2id hash of a password: make one by "
		        "`everseal admin hash`.");
	LIST_PUSH(&r->c->arena, rules->users, rules->user_count, user);
}

void config_set_basic_auth(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	bool off = n->param_count == 1 && str_eq_c(n->params[0].text, "off");
	if (n->param_count == 1 && !off)
		PROBLEM(r, &n->name, "`basic-auth` is incomplete: write `basic-auth USER HASH`.");
	else if (rules->auth_set && (off || rules->user_count == 0))
		PROBLEM(r, &n->name, "`basic-auth off` stands beside another `basic-auth`.");
	else if (!off)
		add_user(r, n);
	rules->auth_set = true;
}

/* --- headers */

static const char *const everybodys[] = { "connection", "keep-alive", "proxy-connection", "te",
	"trailer", "transfer-encoding", "upgrade", "content-length", NULL };
static const char *const of_answers[] = { "content-encoding", "content-range", "date",
	"proxy-authenticate", "strict-transport-security", NULL };
static const char *const of_requests[] = { "host", "expect", "proxy-authorization", "via",
	"forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip",
	"proxy", NULL };

static bool is_among(struct str name, const char *const *names)
{
	while (*names && !str_eq_c(name, *names))
		names++;
	return *names != NULL;
}

static bool is_token(struct str s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	for (size_t i = 0; i < s.n; i++) {
		const char c = ascii_lower(s.p[i]);
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr(others, c))
			return false;
	}
	return s.n > 0 && s.n <= 256;
}

/* In lower case; what applications cannot tell from a name of ours is ours. */
static bool read_name(struct reader *r, const struct word *w, bool request, struct str *ret_name)
{
	struct str lower = arena_str(&r->c->arena, w->text), folded = arena_str(&r->scratch, lower);
	if (!is_token(w->text) || strlen(lower.p) != lower.n) {
		PROBLEM(r, w, "\"%.*s\" is not the name of a header.",
		        STR_ARG(config_shown(w->text)));
		return false;
	}
	for (size_t i = 0; i < lower.n; i++) {
		const char c = ascii_lower(lower.p[i]);
		((char *)lower.p)[i] = c;
		((char *)folded.p)[i] = c == '_' ? '-' : c;
	}
	if (str_eq_c(folded, "strict-transport-security") && !request) {
		PROBLEM(r, w, "Strict-Transport-Security is what `hsts` says: write that.");
		return false;
	}
	bool told = request && str_starts(folded, STR("x-client-cert-")); /* by client-ca */
	if (told || is_among(folded, everybodys) ||
	        is_among(folded, request ? of_requests : of_answers)) {
		PROBLEM(r, w, "%.*s is Everseal's own: it cannot be changed.",
		        STR_ARG(config_shown(w->text)));
		return false;
	}
	*ret_name = lower;
	return true;
}

static bool is_new(struct reader *r, const struct word *w, const struct config_header *new)
{
	for (size_t i = 0; i < r->rules->header_count; i++) {
		const struct config_header *h = &r->rules->headers[i];
		if (h->request != new->request || !str_eq(h->name, new->name) ||
		        (h->change == CONFIG_HEADER_ADD && new->change == CONFIG_HEADER_ADD))
			continue;
		PROBLEM(r, w, "%.*s is named already, in line %u.", STR_ARG(config_shown(w->text)),
		        h->at.line);
		return false;
	}
	return true;
}

static void read_header(struct reader *r, const struct node *n, bool request)
{
	static const char *const words[] = { "set", "add", "remove" };
	const char *directive = request ? "request-header" : "header";
	struct config_header h = { .request = request, .at = n->name.at };
	size_t change = 0;
	while (change < 3 && !str_eq_c(n->params[0].text, words[change]))
		change++;
	h.change = (enum config_header_change)change;
	const size_t wanted = h.change == CONFIG_HEADER_REMOVE ? 2 : 3;
	if (change == 3 || n->param_count != wanted) {
		PROBLEM(r, &n->params[0],
		        "Write `%s set NAME VALUE`, `%s add NAME VALUE` or `%s remove NAME`.",
		        directive, directive, directive);
		return;
	}
	if (!read_name(r, &n->params[1], request, &h.name) || !is_new(r, &n->params[1], &h))
		return;
	if (wanted == 3)
		h.value = arena_str(&r->c->arena, str_trim(n->params[2].text));
	if (h.value.n > PATH_MOST * 8)
		PROBLEM(r, &n->params[2], "This value is longer than %d KiB.", PATH_MOST * 8 >> 10);
	LIST_PUSH(&r->c->arena, r->rules->headers, r->rules->header_count, h);
}

void config_set_header(struct reader *r, const struct node *n)
{
	read_header(r, n, /* request= */ false);
}

void config_set_request_header(struct reader *r, const struct node *n)
{
	read_header(r, n, /* request= */ true);
}

static void add_copies(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	if (n->param_count == 1)
		return;
	if (!str_eq_c(n->params[1].text, "copy") || n->param_count == 2) {
		PROBLEM(r, &n->params[1], "Behind the URL may stand `copy` and names of headers.");
		return;
	}
	for (size_t i = 2; i < n->param_count; i++) {
		struct str name;
		if (read_name(r, &n->params[i], /* request= */ true, &name))
			LIST_PUSH(&r->c->arena, rules->copies, rules->copy_count, name);
	}
}

/* "http://127.0.0.1:9091/verify?x": an application as in `proxy`, then a path. */
static bool read_asked(
        struct reader *r, const struct word *w, struct config_upstream *u, struct err *err)
{
	size_t scheme = str_starts(w->text, STR("http://"))    ? 7
	                : str_starts(w->text, STR("https://")) ? 8
	                                                       : 0;
	size_t path = scheme + str_find(str_from(w->text, scheme), '/');
	struct str rest = str_from(w->text, path);
	if (!scheme)
		return err_set(err, ERR_INPUT,
		        "\"%.*s\" is no URL: write one such as http://127.0.0.1:9091/verify.",
		        STR_ARG(config_shown(w->text)));
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] >= 0x7f || rest.p[i] == '#' || rest.p[i] == '\\')
			return err_set(err, ERR_INPUT,
			        "The path of this URL has characters that "
			        "it may not have.");
	r->rules->forward_path = rest.n ? arena_str(&r->c->arena, rest) : STR("/");
	return config_value_upstream(&r->c->arena, str_head(w->text, path), u, err) &&
	       config_upstream_is_somewhere(u, err);
}

void config_set_forward_auth(struct reader *r, const struct node *n)
{
	struct config_rules *rules = r->rules;
	struct config_upstream u;
	struct err err = ERR_INIT;
	rules->forward_set = true;
	if (n->param_count == 1 && str_eq_c(n->params[0].text, "off"))
		return;
	if (!read_asked(r, &n->params[0], &u, &err)) {
		PROBLEM(r, &n->params[0], "%s", err.text);
		return;
	}
	rules->forward = arena_new(&r->c->arena, struct config_upstream);
	*rules->forward = u;
	add_copies(r, n);
}

/* --- routes */

/* Why a path cannot be a route's, or NULL. */
static const char *wrong_with(struct str path)
{
	struct str rest = path, segment;
	if (!str_starts(path, STR("/")))
		return "it does not begin with /";
	for (size_t i = 0; i < path.n; i++)
		if (strchr("%?#\\;*", path.p[i]))
			return "it may have none of % ? # \\ ; * (characters are written as they "
			       "are, not encoded; what a path begins with is enough)";
	while (str_split(&rest, '/', &segment))
		if (str_eq_c(segment, ".") || str_eq_c(segment, ".."))
			return "it has a dot segment";
	for (size_t i = 1; i < path.n; i++)
		if (path.p[i] == '/' && path.p[i - 1] == '/')
			return "it has // within";
	return path.n > PATH_MOST ? "it is too long" : NULL;
}

static bool read_path(struct reader *r, const struct word *w)
{
	struct config_route *route = &r->route;
	const char *wrong = wrong_with(w->text);
	if (str_eq_c(w->text, "/")) {
		PROBLEM(r, w,
		        "Every path begins with /: write what is for all of them into the "
		        "site itself.");
		return false;
	}
	if (wrong) {
		PROBLEM(r, w, "\"%.*s\" is no path of a route: %s.", STR_ARG(config_shown(w->text)),
		        wrong);
		return false;
	}
	route->beneath = str_ends(w->text, STR("/"));
	route->path = str_head(w->text, w->text.n - route->beneath);
	route->path = arena_str(&r->c->arena, route->path);
	for (size_t i = 0; i < r->site.route_count; i++) {
		const struct config_route *other = &r->site.routes[i];
		if (other->beneath != route->beneath || !str_eq(other->path, route->path))
			continue;
		PROBLEM(r, w, "This site has a route %.*s already, in line %u.",
		        STR_ARG(config_shown(w->text)), other->at.line);
		return false;
	}
	return true;
}

void config_set_route(struct reader *r, const struct node *n)
{
	r->route = (struct config_route){ .at = n->name.at };
	const bool fits = read_path(r, &n->params[0]);
	if (!n->block || !n->children)
		PROBLEM(r, &n->name,
		        "This route says nothing: add a block, such as `route %.*s { "
		        "proxy ADDRESS:PORT }`.",
		        STR_ARG(config_shown(n->params[0].text)));
	r->rules = &r->route.rules;
	config_rows_read(r, n, SCOPE_ROUTE);
	config_settle_proxy(r, &r->route.applications);
	r->rules = &r->site.rules;
	if (fits)
		LIST_PUSH(&r->c->arena, r->site.routes, r->site.route_count, r->route);
}

void config_check_actions(struct reader *r, const struct node *n, bool has_proxy)
{
	const struct config_site *s = &r->site;
	if (has_proxy && s->rules.action)
		config_problem(&r->problems, s->rules.action_at,
		        "`%s` stands beside `proxy`: one of them answers.",
		        action_names[s->rules.action]);
	else if (!has_proxy && !s->rules.action && !s->route_count)
		config_problem(&r->problems, n->name.at,
		        "This site does not say where its application listens: add a block with "
		        "`proxy ADDRESS:PORT`.");
}

/* --- as text, for those who only look */

static void show_word(struct buf *out, struct str word)
{
	bool bare = word.n > 0;
	for (size_t i = 0; i < word.n && bare; i++)
		bare = !strchr(" \t{};#\"'", word.p[i]);
	if (bare)
		buf_add(out, word);
	else if (!str_has(word, '\''))
		buf_printf(out, "'%.*s'", STR_ARG(word));
	else
		buf_printf(out, "\"%.*s\"", STR_ARG(word));
}

static void show(struct buf *out, const struct node *n)
{
	const bool secret = str_eq_c(n->name.text, "basic-auth");
	buf_add(out, n->name.text);
	for (size_t i = 0; i < n->param_count; i++) {
		buf_add_c(out, " ");
		if (secret && i > 0)
			buf_add_c(out, "…");
		else
			show_word(out, n->params[i].text);
	}
	if (!n->block)
		return;
	buf_add_c(out, " {");
	for (const struct node *child = n->children; child; child = child->next) {
		buf_add_c(out, child == n->children ? " " : "; ");
		show(out, child);
	}
	buf_add_c(out, " }");
}

void config_show_rules(struct reader *r, const struct node *n)
{
	struct config_site *s = &r->site;
	for (const struct node *child = n->children; child; child = child->next) {
		if (!config_is_rule(child->name.text))
			continue;
		BUF_AUTO line = BUF_INIT(64 << 10);
		show(&line, child);
		LIST_PUSH(&r->c->arena, s->shown_rules, s->shown_rule_count,
		        arena_str(&r->c->arena, buf_str(&line)));
	}
}
