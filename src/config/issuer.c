#include "config/parts.h"

#include "base/url.h"
#include "certs/cert.h"

enum { TRUST_MOST = 1 << 20 };

void config_issuers_init(struct config *c)
{
	static const struct config_issuer builtin[] = {
		{ .name = STR_INIT("letsencrypt"),
		        .directory = STR_INIT("https://acme-v02.api.letsencrypt.org/directory"),
		        .rehearsal = STR_INIT(
		                "https://acme-staging-v02.api.letsencrypt.org/directory") },
		{ .name = STR_INIT("letsencrypt-staging"),
		        .directory = STR_INIT(
		                "https://acme-staging-v02.api.letsencrypt.org/directory") },
		{ .name = STR_INIT("zerossl"),
		        .directory = STR_INIT("https://acme.zerossl.com/v2/DV90") },
		{ .name = STR_INIT("google"),
		        .directory = STR_INIT("https://dv.acme-v02.api.pki.goog/directory") },
		{ .name = STR_INIT("buypass"),
		        .directory = STR_INIT("https://api.buypass.com/acme/directory") },
		{ .name = STR_INIT("internal") },
	};
	for (size_t i = 0; i < sizeof builtin / sizeof *builtin; i++)
		LIST_PUSH(&c->arena, c->issuers, c->issuer_count, builtin[i]);
}

static bool name_fits(struct reader *r, const struct word *w)
{
	bool fits = w->text.n > 0 && w->text.n <= 64 && w->text.p[0] != '-';
	for (size_t i = 0; i < w->text.n && fits; i++) {
		const char c = w->text.p[i];
		fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
	}
	if (!fits)
		config_problem(&r->problems, w->at,
		        "\"%.*s\" cannot name an issuer: use small letters, digits and hyphens, "
		        "and put "
		        "its URL into the block: `issuer NAME { directory URL }`.",
		        STR_ARG(config_shown(w->text)));
	return fits;
}

static void choose(struct reader *r, const struct node *n)
{
	if (r->issuer_choice_at.line) {
		config_problem(&r->problems, n->name.at,
		        "`issuer` was chosen already, in line %u: other issuers may be named in "
		        "sites.",
		        r->issuer_choice_at.line);
		return;
	}
	r->issuer_choice_at = n->params[0].at;
	config_set_issuers(r, n);
}

static struct config_issuer *find(struct config *c, struct str name)
{
	for (size_t i = 0; i < c->issuer_count; i++)
		if (str_eq(c->issuers[i].name, name))
			return &c->issuers[i];
	return NULL;
}

const struct config_issuer *config_issuer(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->issuer_count; i++)
		if (str_eq(c->issuers[i].name, name))
			return &c->issuers[i];
	return NULL;
}

static const struct node *directory_in(const struct node *n)
{
	const struct node *child = n->children;
	while (child && !str_eq_c(child->name.text, "directory"))
		child = child->next;
	return child;
}

/* Its name says to everybody which authority it is: to the account, the limits and who reads it. */
static bool is_elsewhere(struct reader *r, const struct node *n, const struct config_issuer *before)
{
	const struct node *asked = directory_in(n);
	if (!asked || !r->issuer.directory.p || str_eq(r->issuer.directory, before->directory))
		return false;
	config_problem(&r->problems, asked->name.at,
	        "`%.*s` is built in, with the directory %.*s: give an authority at another one a "
	        "name of its own.",
	        STR_ARG(before->name), STR_ARG(before->directory));
	return true;
}

/* A built-in issuer may be defined again, to give it a trust file or an account binding. */
static void keep(struct reader *r, const struct node *n, struct config_issuer *before)
{
	struct config *c = r->c;
	const bool given = r->issuer.directory.p;
	if (before && is_elsewhere(r, n, before))
		return;
	if (before && !given)
		r->issuer.directory = before->directory;
	if (before && !given && !r->issuer.rehearsal_set)
		r->issuer.rehearsal = before->rehearsal;
	if (!r->issuer.directory.p && !directory_in(n))
		config_problem(&r->problems, n->name.at,
		        "This issuer has no `directory`: add the URL of its ACME directory.");
	if (!r->first_issuer.p)
		r->first_issuer = r->issuer.name;
	if (before)
		*before = r->issuer;
	else
		LIST_PUSH(&c->arena, c->issuers, c->issuer_count, r->issuer);
}

void config_set_issuer(struct reader *r, const struct node *n)
{
	const struct word *w = &n->params[0];
	for (size_t i = 0; i < n->param_count; i++)
		if (!name_fits(r, &n->params[i]))
			return;
	if (!n->block) {
		choose(r, n);
		return;
	}
	if (n->param_count > 1) {
		config_problem(&r->problems, n->params[1].at,
		        "A block defines one issuer: give each a block of its own, and choose them "
		        "with `issuer NAME…`.");
		return;
	}
	struct config_issuer *before = find(r->c, w->text);
	r->issuer = (struct config_issuer){ .at = n->name.at };
	r->issuer.name = arena_str(&r->c->arena, w->text);
	config_rows_read(r, n, SCOPE_ISSUER);
	if (before && before->at.line)
		config_problem(&r->problems, w->at,
		        "The issuer %.*s was defined already, in line %u.",
		        STR_ARG(config_shown(w->text)), before->at.line);
	else if (str_eq_c(w->text, "internal"))
		config_problem(&r->problems, w->at,
		        "`internal` is Everseal's own authority and has no directory: give yours "
		        "another "
		        "name.");
	else
		keep(r, n, before);
}

/* RFC 8555 6.1: HTTPS only. */
static void take_directory(struct reader *r, const struct word *w, struct str *ret_directory)
{
	struct err err = ERR_INIT;
	struct url url;
	if (!url_parse(w->text, &url, &err))
		config_problem(&r->problems, w->at, "%s", err.text);
	else if (!url.https)
		config_problem(&r->problems, w->at,
		        "An ACME directory is spoken to over HTTPS only: write https://.");
	else
		*ret_directory = arena_str(&r->c->arena, w->text);
}

void config_set_directory(struct reader *r, const struct node *n)
{
	take_directory(r, &n->params[0], &r->issuer.directory);
}

void config_set_rehearsal(struct reader *r, const struct node *n)
{
	r->issuer.rehearsal_set = true;
	if (!str_eq_c(n->params[0].text, "off"))
		take_directory(r, &n->params[0], &r->issuer.rehearsal);
}

/* Each block between BEGIN and END must hold a certificate that can be read. */
static bool trust_fits(struct reader *r, struct str pem, struct err *err)
{
	const char *begin = "-----BEGIN CERTIFICATE-----", *end = "-----END CERTIFICATE-----";
	size_t found = 0;
	for (struct str rest = pem; rest.n;) {
		const char *from = memmem(rest.p, rest.n, begin, strlen(begin));
		if (!from)
			break;
		rest = str_from(rest, (size_t)(from - rest.p));
		const char *to = memmem(rest.p, rest.n, end, strlen(end));
		const size_t n = to ? (size_t)(to - rest.p) + strlen(end) : rest.n;
		struct str der[CHAIN_MOST];
		size_t count;
		struct cert cert;
		if (!cert_chain_from_pem(&r->scratch, str_head(rest, n), der, &count, err) ||
		        !cert_read(&r->scratch, der[0], &cert, err))
			return false;
		found++;
		rest = str_from(rest, n);
	}
	return found ||
	       err_set(err, ERR_INPUT,
	               "It holds no certificate in PEM (\"-----BEGIN CERTIFICATE-----\").");
}

void config_read_trust(struct reader *r, const struct word *w, struct str *ret_pem)
{
	struct err err = ERR_INIT;
	struct str pem;
	if (!config_value_file(&r->c->arena, w->text, TRUST_MOST, &pem, &err)) {
		config_problem(&r->problems, w->at, "%s", err.text);
		return;
	}
	if (!trust_fits(r, pem, &err))
		config_problem(&r->problems, w->at, "\"%.*s\" is of no use: %s",
		        STR_ARG(config_shown(w->text)), err.text);
	else
		*ret_pem = pem;
}

void config_set_trust(struct reader *r, const struct node *n)
{
	config_read_trust(r, &n->params[0], &r->issuer.trust);
}

void config_set_eab(struct reader *r, const struct node *n)
{
	struct arena *a = &r->c->arena;
	struct err err = ERR_INIT;
	struct str kid, key;
	if (!config_value_secret(a, n->params[0].text, "key identifier", &kid, &err)) {
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
		return;
	}
	if (!config_value_secret(a, n->params[1].text, "key", &key, &err)) {
		config_problem(&r->problems, n->params[1].at, "%s", err.text);
		return;
	}
	while (str_ends(key, STR("=")))
		key.n--;
	BUF_AUTO bytes = BUF_INIT(64 << 10);
	const bool fits = buf_decode_base64url(&bytes, key) && bytes.n > 0;
	buf_wipe(&bytes);
	if (!fits) {
		config_problem(&r->problems, n->params[1].at,
		        "The key is not base64url: copy it as the authority shows it.");
		return;
	}
	r->issuer.eab_kid = kid;
	r->issuer.eab_hmac = key;
}
