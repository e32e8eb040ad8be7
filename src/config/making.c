/* How certificates are made: by whom, with which key and in which form. Each stands at top level
 * and in a site; the site's own wins. */
#include "config/parts.h"

/* Issuers, in order */

static bool is_new(struct reader *r, const struct config_making *m, const struct word *w)
{
	for (size_t i = 0; i < m->issuer_count; i++)
		if (str_eq(m->issuers[i], w->text)) {
			config_problem(&r->problems, w->at, "%.*s is named twice.",
			        STR_ARG(config_shown(w->text)));
			return false;
		}
	return true;
}

static void take_issuers(struct reader *r, const struct node *n, struct config_making *m)
{
	for (size_t i = 0; i < n->param_count; i++) {
		const struct word *w = &n->params[i];
		if (!is_new(r, m, w))
			return;
		LIST_PUSH(&r->c->arena, m->issuers, m->issuer_count,
		        arena_str(&r->c->arena, w->text));
		LIST_PUSH(
		        &r->scratch, r->uses, r->use_count, (struct issuer_use){ w->text, w->at });
	}
}

void config_set_issuers(struct reader *r, const struct node *n)
{
	take_issuers(r, n, &r->c->making);
}

void config_set_site_issuer(struct reader *r, const struct node *n)
{
	take_issuers(r, n, &r->site.making);
}

/* Keys */

static bool read_key_type(struct reader *r, const struct word *w, enum key_type *ret_type)
{
	static const char *const known[] = {
#define X(name, text) text,
		KEY_TYPES(X)
#undef X
	};
	BUF_AUTO names = BUF_INIT(256);
	if (key_type_from_name(w->text, ret_type))
		return true;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", known[i]);
	config_problem(&r->problems, w->at, "\"%.*s\" is no type of key: known are %s.",
	        STR_ARG(config_shown(w->text)), buf_c(&names));
	return false;
}

/* Visitors can be shown one of each kind. */
static bool may_follow(
        struct reader *r, const struct word *w, enum key_type before, enum key_type type)
{
	if (before == type)
		config_problem(&r->problems, w->at, "%s is named twice.", key_type_name(type));
	else if (key_type_is_rsa(before) == key_type_is_rsa(type))
		config_problem(&r->problems, w->at,
		        "%s and %s are both %s: visitors can be shown one certificate with an "
		        "ECDSA key and one with an RSA key.",
		        key_type_name(before), key_type_name(type),
		        key_type_is_rsa(type) ? "RSA" : "ECDSA");
	else
		return true;
	return false;
}

static void take_key_types(struct reader *r, const struct node *n, struct config_making *m)
{
	for (size_t i = 0; i < n->param_count; i++) {
		enum key_type type;
		if (!read_key_type(r, &n->params[i], &type))
			return;
		for (size_t k = 0; k < m->key_type_count; k++)
			if (!may_follow(r, &n->params[i], m->key_types[k], type))
				return;
		LIST_PUSH(&r->c->arena, m->key_types, m->key_type_count, type);
	}
}

void config_set_key_type(struct reader *r, const struct node *n)
{
	take_key_types(r, n, &r->c->making);
}

void config_set_site_key_type(struct reader *r, const struct node *n)
{
	take_key_types(r, n, &r->site.making);
}

static void take_yes_no(struct reader *r, const struct word *w, bool *ret_value)
{
	struct err err = ERR_INIT;
	if (!config_value_yes_no(w->text, ret_value, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
}

void config_set_reuse_key(struct reader *r, const struct node *n)
{
	take_yes_no(r, &n->params[0], &r->c->making.reuse_key);
}

void config_set_site_reuse_key(struct reader *r, const struct node *n)
{
	r->site.making.reuse_key_set = true;
	take_yes_no(r, &n->params[0], &r->site.making.reuse_key);
}

/* The form that the CA gives it */

static void take_word(struct reader *r, const struct word *w, struct str *ret_word)
{
	if (w->text.n && w->text.n <= 200)
		*ret_word = arena_str(&r->c->arena, w->text);
	else
		config_problem(&r->problems, w->at,
		        "This name has 1 to 200 characters; leave the line "
		        "out for the authority's default.");
}

void config_set_profile(struct reader *r, const struct node *n)
{
	take_word(r, &n->params[0], &r->c->making.profile);
}

void config_set_site_profile(struct reader *r, const struct node *n)
{
	take_word(r, &n->params[0], &r->site.making.profile);
}

void config_set_preferred_chain(struct reader *r, const struct node *n)
{
	take_word(r, &n->params[0], &r->c->making.preferred_chain);
}

void config_set_site_preferred_chain(struct reader *r, const struct node *n)
{
	take_word(r, &n->params[0], &r->site.making.preferred_chain);
}

void config_set_rehearsals(struct reader *r, const struct node *n)
{
	take_yes_no(r, &n->params[0], &r->c->rehearsal);
}

/* The site's own wins */

static void inherit(struct config_making *m, const struct config_making *file)
{
	if (!m->issuer_count) {
		m->issuers = file->issuers;
		m->issuer_count = file->issuer_count;
	}
	if (!m->key_type_count) {
		m->key_types = file->key_types;
		m->key_type_count = file->key_type_count;
	}
	if (!m->profile.p)
		m->profile = file->profile;
	if (!m->preferred_chain.p)
		m->preferred_chain = file->preferred_chain;
	if (!m->reuse_key_set)
		m->reuse_key = file->reuse_key;
}

static struct str first(const struct config_making *m)
{
	return m->issuer_count ? m->issuers[0] : STR_NONE;
}

void config_inherit_making(struct config *c)
{
	c->issuer = first(&c->making);
	for (size_t i = 0; i < c->site_count; i++) {
		inherit(&c->sites[i].making, &c->making);
		c->sites[i].issuer = first(&c->sites[i].making);
	}
}
