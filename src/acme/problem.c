/* A CA's problem: kept whole, and said in a sentence. */
#include "acme/step.h"

#include "base/url.h"

enum { JSON_MOST = 8 << 10, WORDS_MOST = 640, SUBPROBLEMS_MOST = 100 };

/* What the type of a refusal tells us to do. */
static const struct {
	const char *type, *words;
} advice[] = {
	{ "accountDoesNotExist", "Register again: an account is made then." },
	{ "alreadyReplaced", "Order without naming the certificate to replace." },
	{ "badCSR", "Look at the names and the key type." },
	{ "badRevocationReason", "Choose another reason, or none." },
	{ "badPublicKey", "Choose another key type." },
	{ "badSignatureAlgorithm", "Choose another issuer: this one does not take ECDSA P-256." },
	{ "caa", "Allow this CA in the domain's CAA record, or remove the record." },
	{ "externalAccountRequired",
	        "Configure the external account binding (EAB) that the CA gives." },
	{ "invalidContact", "Give another e-mail address." },
	{ "invalidProfile", "Choose a profile that the CA's directory lists, or none." },
	{ "rateLimited", "Nothing to do but to wait." },
	{ "rejectedIdentifier", "Choose a name that this CA issues certificates for." },
	{ "serverInternal", "The fault is the CA's: it is tried again." },
	{ "unauthorized", "Look whether the account is still valid and may order these names." },
	{ "unsupportedContact", "Give another e-mail address." },
	{ "unsupportedIdentifier", "Choose a name that this CA issues certificates for." },
	{ "userActionRequired", "The CA wants you to agree to something: look at its site." },
};

const char *problem_advice(struct str type)
{
	for (size_t i = 0; i < sizeof advice / sizeof *advice; i++)
		if (str_eq_c(type, advice[i].type))
			return advice[i].words;
	return "Try again; if it comes back, show this text to the CA.";
}

struct str problem_type(const struct json *problem)
{
	const struct str urn = STR("urn:ietf:params:acme:error:");
	const struct str type = json_text(problem, "type");
	return str_starts(type, urn) ? str_from(type, urn.n) : type;
}

void problem_keep(struct flow *f, const struct json *problem, unsigned status)
{
	arena_clear(&f->problem_arena);
	f->problem = (struct problem){ 0 };
	if (!json_is_object(problem))
		return;
	struct arena *a = &f->problem_arena;
	BUF_AUTO text = BUF_INIT(JSON_MOST);
	json_print(problem, &text);
	f->problem = (struct problem){
		.type = arena_str(a, problem_type(problem)),
		.detail = arena_str(a, str_head(json_text(problem, "detail"), JSON_MOST)),
		.instance = arena_str(a, str_head(json_text(problem, "instance"), JSON_MOST)),
		.status = status,
		.json = buf_ok(&text) ? arena_str(a, buf_str(&text)) : STR_NONE,
	};
}

static struct str without_stop(struct str s)
{
	s = str_trim(s);
	while (s.n && (s.p[s.n - 1] == '.' || s.p[s.n - 1] == '\n'))
		s.n--;
	return s;
}

static void add_words(struct buf *out, struct str type, struct str detail)
{
	detail = without_stop(detail);
	buf_add(out, detail.n ? detail : type);
	if (detail.n && type.n && !str_eq_c(type, "about:blank"))
		buf_printf(out, " (%.*s)", STR_ARG(type));
}

/* RFC 8555 6.7.1: each subproblem may say which identifier it is about. */
static void add_subproblem(struct buf *out, const struct json *sub)
{
	const struct str name = json_text(json_object(sub, "identifier"), "value");
	const struct str type = problem_type(sub), detail = json_text(sub, "detail");
	if (type.n == 0 && detail.n == 0)
		return;
	buf_add_c(out, "; ");
	buf_add(out, name);
	buf_add_c(out, name.n ? ": " : "");
	add_words(out, type, detail);
}

void acme_problem_words(const struct problem *p, struct buf *out)
{
	add_words(out, p->type, p->detail);
	struct err no_json;
	JSON_AUTO *whole = p->json.n ? json_parse(p->json, "The problem", &no_json) : NULL;
	const struct json *subs = json_array(whole, "subproblems");
	for (size_t i = 0; i < json_count(subs) && i < SUBPROBLEMS_MOST; i++)
		add_subproblem(out, json_at(subs, i));
}

struct str problem_words(struct flow *f)
{
	BUF_AUTO words = BUF_INIT(4 * JSON_MOST);
	acme_problem_words(&f->problem, &words);
	const struct str s = buf_str(&words);
	if (s.n <= WORDS_MOST)
		return arena_str(&f->problem_arena, s);
	return arena_printf(&f->problem_arena, "%.*s…", STR_ARG(str_head(s, WORDS_MOST)));
}

const char *body_words(struct str body)
{
	const struct str start = str_head(body, 512);
	for (size_t i = 0; i < start.n; i++) {
		const struct str rest = str_from(start, i);
		if (str_eq_nocase(str_head(rest, 5), STR("<html")) ||
		        str_eq_nocase(str_head(rest, 9), STR("<!doctype")))
			return "a web page (HTML)";
	}
	if (str_trim(body).n == 0)
		return "nothing";
	struct err no_json;
	JSON_AUTO *value = json_parse(body, "The answer", &no_json);
	return value ? "other JSON" : "text that is not JSON";
}

static const struct {
	const char *host, *name;
} cas[] = {
	{ "acme-v02.api.letsencrypt.org", "Let's Encrypt" },
	{ "acme-staging-v02.api.letsencrypt.org", "Let's Encrypt (staging)" },
	{ "acme.zerossl.com", "ZeroSSL" },
	{ "dv.acme-v02.api.pki.goog", "Google Trust Services" },
	{ "api.buypass.com", "Buypass" },
};

struct str acme_ca_name(struct str directory_url)
{
	struct url url;
	struct err err;
	if (!url_parse(directory_url, &url, &err))
		return directory_url.n ? directory_url : STR("The CA");
	for (size_t i = 0; i < sizeof cas / sizeof *cas; i++)
		if (str_eq_nocase(url.host, str_c(cas[i].host)))
			return str_c(cas[i].name);
	const struct str authority = str_from(directory_url, str_find(directory_url, '/') + 2);
	return str_head(authority, str_find(authority, '/'));
}

struct str ca_of(const struct flow *f)
{
	return acme_ca_name(f->directory_url);
}

bool url_usable(struct str directory_url, struct str text)
{
	struct url url, directory;
	struct err err;
	if (!url_parse(text, &url, &err))
		return false;
	return url.https || (url_parse(directory_url, &directory, &err) && !directory.https);
}
