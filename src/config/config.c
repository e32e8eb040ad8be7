#include "config/parts.h"

enum { ERRORS_TEXT_MOST = CONFIG_ERRORS_MOST * 2048, DNS_NAME_MOST = 256 };

static void config_done(struct config *c)
{
	struct arena arena = c->arena;
	arena_done(&arena);
}

void config_free(struct config **c)
{
	if (*c)
		config_done(*c);
	free(*c);
	*c = NULL;
}

/* The errors go out as lines; the first is the err. */
static void report(const struct reader *r, struct buf *ret_errors, struct err *err)
{
	BUF_AUTO lines = BUF_INIT(ERRORS_TEXT_MOST);
	config_problems_print(&r->problems, r->source->file, &lines);
	const struct str all = buf_str(&lines);
	if (ret_errors)
		buf_add(ret_errors, all);
	const struct str first = str_head(all, str_find(all, '\n'));
	err_set(err, ERR_INPUT, "%.*s", STR_ARG(first));
}

/* ---- sites by name ---- */

struct config_named {
	struct str name;
	const struct config_site *site;
};

static int by_name(const void *a, const void *b)
{
	return str_cmp(
	        ((const struct config_named *)a)->name, ((const struct config_named *)b)->name);
}

static void index_sites(struct config *c)
{
	size_t count = 0;
	for (size_t i = 0; i < c->site_count; i++)
		count += c->sites[i].name_count + c->sites[i].fallback;
	c->named = arena_array(&c->arena, struct config_named, count);
	for (size_t i = 0; i < c->site_count; i++) {
		const struct config_site *s = &c->sites[i];
		for (size_t k = 0; k < s->name_count; k++)
			c->named[c->named_count++] = (struct config_named){ s->names[k], s };
		if (s->fallback)
			c->named[c->named_count++] = (struct config_named){ STR("*"), s };
	}
	if (count)
		qsort(c->named, count, sizeof *c->named, by_name);
}

static const struct config_site *named(const struct config *c, struct str name)
{
	const struct config_named key = { .name = name }, *found = NULL;
	if (c->named_count)
		found = bsearch(&key, c->named, c->named_count, sizeof key, by_name);
	return found ? found->site : NULL;
}

const struct config_site *config_site_of(const struct config *c, struct str name)
{
	BUF_AUTO wild = BUF(DNS_NAME_MOST);
	const struct config_site *s = named(c, name);
	const size_t dot = str_find(name, '.');
	if (s)
		return s;
	buf_add_char(&wild, '*');
	buf_add(&wild, str_from(name, dot));
	if (dot > 0 && dot < name.n && buf_ok(&wild))
		s = named(c, buf_str(&wild));
	return s ? s : named(c, STR("*"));
}

/* ---- reading ---- */

struct config *config_parse(const struct config_source *source, struct str text,
        struct buf *ret_errors, struct err *err)
{
	struct config *c = mem_new(struct config);
	struct reader r = { .c = c, .source = source };
	r.problems.arena = &r.scratch;
	c->file = arena_str(&c->arena, str_c(source->file));
	config_defaults(c);
	config_issuers_init(c);
	config_rows_defaults(&r);
	config_rows_read(&r, config_tree(&r.scratch, text, &r.problems), SCOPE_TOP);
	config_check(&r);
	if (r.problems.count) {
		report(&r, ret_errors, err);
		config_free(&c);
	} else {
		index_sites(c);
	}
	map_done(&r.site_names);
	arena_done(&r.scratch);
	return c;
}

struct config *config_read(
        const struct config_source *source, struct buf *ret_errors, struct err *err)
{
	struct arena file = ARENA_INIT;
	struct str text = STR("");
	struct config *c = NULL;
	const bool read =
	        config_value_file(&file, str_c(source->file), CONFIG_FILE_MOST, &text, err);
	if (read || (source->optional && err->code == ERR_NOT_FOUND)) {
		c = config_parse(source, text, ret_errors, err);
	} else {
		err_prefix(err, "The configuration file ");
		if (ret_errors)
			buf_printf(ret_errors, "%s\n", err->text);
	}
	if (c)
		*err = (struct err)ERR_INIT;
	arena_done(&file);
	return c;
}

struct str config_state_of(const char *file, struct arena *a)
{
	struct arena scratch = ARENA_INIT;
	struct problems ignored = { .arena = &scratch };
	struct err err = ERR_INIT;
	struct str text, state = STR("/var/lib/everseal");
	if (config_value_file(&scratch, str_c(file), CONFIG_FILE_MOST, &text, &err)) {
		const struct node *n = config_tree(&scratch, text, &ignored)->children;
		while (n && (!str_eq_c(n->name.text, "state") || n->param_count != 1 ||
		                    !str_starts(n->params[0].text, STR("/"))))
			n = n->next;
		if (n)
			state = n->params[0].text;
	}
	state = arena_str(a, state);
	while (state.n > 1 && str_ends(state, STR("/")))
		state.n--;
	arena_done(&scratch);
	return state;
}
