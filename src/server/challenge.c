#include "server/challenge.h"
#include "base/log.h"
#include "base/secret.h"
#include "net/address.h"
#include "server/told.h"
#include "server/worker.h"

#define CHALLENGE_PATH STR("/.well-known/acme-challenge/")

struct challenge {
	struct map_node node; /* its key is `token` */
	char *token, *thumbprint;
	char *server_name; /* of a proof by TLS, with leaf and key; else NULL */
	struct secret leaf, key;
	uint64_t number; /* rises with each that is told */
	unsigned epoch;
};

static struct challenge *challenge_of(struct map_node *node)
{
	return node ? OWNER(node, struct challenge, node) : NULL;
}

static void forget(struct challenges *c, struct challenge *gone)
{
	map_remove(&c->open, &gone->node);
	free(gone->token);
	free(gone->thumbprint);
	free(gone->server_name);
	secret_done(&gone->leaf);
	secret_done(&gone->key);
	free(gone);
}

void challenges_done(struct challenges *c)
{
	MAP_EACH (node, &c->open)
		forget(c, challenge_of(node));
	map_done(&c->open);
}

static struct challenge *add(struct challenges *c, struct str token)
{
	challenge_close(c, token);
	struct challenge *new = mem_new(struct challenge);
	new->token = str_dup(token);
	new->number = c->told++;
	new->epoch = c->epoch;
	map_add(&c->open, str_c(new->token), &new->node);
	return new;
}

void challenge_open(struct challenges *c, struct str token, struct str thumbprint)
{
	add(c, token)->thumbprint = str_dup(thumbprint);
}

void challenge_open_tls(struct challenges *c, const struct msg_challenge_tls *m)
{
	struct challenge *new = add(c, m->token);
	new->server_name = str_dup(m->server_name);
	new->leaf = secret_copy(m->leaf);
	new->key = secret_copy(m->key);
}

void challenge_close(struct challenges *c, struct str token)
{
	struct map_node *node = map_find(&c->open, token);
	if (node)
		forget(c, challenge_of(node));
}

void challenges_epoch(struct challenges *c, unsigned epoch)
{
	c->epoch = epoch;
}

void challenges_forget(struct challenges *c)
{
	MAP_EACH (node, &c->open) {
		if (challenge_of(node)->epoch != c->epoch)
			forget(c, challenge_of(node));
	}
}

struct str challenge_thumbprint(const struct challenges *c, struct str token)
{
	struct challenge *found = c ? challenge_of(map_find(&c->open, token)) : NULL;
	return found && found->thumbprint ? str_c(found->thumbprint) : STR_NONE;
}

bool challenge_token_valid(struct str token)
{
	if (token.n < 16 || token.n > 128)
		return false;
	for (size_t i = 0; i < token.n; i++) {
		char c = token.p[i];
		bool alphanumeric =
		        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alphanumeric && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* RFC 8555 8.3: the key authorization, as application/octet-stream. */
static void give(struct exchange *ex, struct str token, struct str thumbprint)
{
	struct str text = arena_printf(ex->arena, "%.*s.%.*s", STR_ARG(token), STR_ARG(thumbprint));
	exchange_answer_text(ex, 200, STR("application/octet-stream"), text);
}

static void tell(struct exchange *ex, const char *answer)
{
	char client[ADDRESS_TEXT];
	struct str fields = arena_printf(ex->arena, "name=%.*s client=%s",
	        STR_ARG(ex->request.host), address_text(&ex->client, client));
	struct str text =
	        arena_printf(ex->arena, "Challenge %s://%.*s%.*s: %s.", ex->tls ? "https" : "http",
	                STR_ARG(ex->request.authority), STR_ARG(ex->request.path), answer);
	worker_tell(ex->worker, log, .level = LOG_INFO, .fields = fields, .text = text);
}

/* For the steps that the page shows: the CA was here. */
static void tell_seen(struct exchange *ex, struct str token)
{
	char client[ADDRESS_TEXT];
	worker_tell(ex->worker, challenge_seen, .token = token,
	        .client = str_c(address_text(&ex->client, client)));
}

/* The open challenges first, then the default account's thumbprint, so that any node answers any
 * token. */
static bool answer_token(struct exchange *ex, struct str token)
{
	struct str thumbprint = challenge_thumbprint(ex->worker->challenges, token);
	if (thumbprint.p) {
		tell(ex, "answered with the thumbprint of the order that is open");
		tell_seen(ex, token);
	} else if (ex->site && ex->site->challenge_pass) {
		tell(ex, "not ours, handed to the application");
		return false;
	} else if (ex->generation->thumbprint.n > 0) {
		thumbprint = ex->generation->thumbprint;
		tell(ex, "no such order is open here, answered with the default account's "
		         "thumbprint");
	} else {
		tell(ex, "no such order is open here, and there is no account yet, answered with "
		         "404");
		exchange_answer(ex, 404, "No challenge with this token is open here.");
		return true;
	}
	give(ex, token, thumbprint);
	return true;
}

static bool method_reads(const struct request *r)
{
	return str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
}

bool challenge_answered(struct exchange *ex)
{
	if (!ex->worker->challenges || !str_starts(ex->request.path, CHALLENGE_PATH))
		return false;
	struct str token = str_from(ex->request.path, CHALLENGE_PATH.n);
	token = str_head(token, str_find(token, '?'));
	if (method_reads(&ex->request) && challenge_token_valid(token))
		return answer_token(ex, token);
	if (ex->site && ex->site->challenge_pass)
		return false;
	tell(ex, "no token, answered with 404");
	exchange_answer(ex, 404, "This is no token of a challenge.");
	return true;
}

/* ---- by TLS ---- */

/* Two orders may prove one name at a time: of the two it is the newer one that a CA asks about. */
static const struct challenge *asked_for(const struct challenges *c, struct str server_name)
{
	const struct challenge *found = NULL;
	MAP_EACH (node, &c->open) {
		const struct challenge *at = challenge_of(node);
		if (at->server_name && str_eq_nocase(str_c(at->server_name), server_name) &&
		        (!found || at->number > found->number))
			found = at;
	}
	return found;
}

/* What is said of it goes into the log. */
static bool is_name(struct str server_name)
{
	for (size_t i = 0; i < server_name.n; i++) {
		char c = ascii_lower(server_name.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' &&
		        c != '_')
			return false;
	}
	return server_name.n > 0 && server_name.n < 256;
}

bool challenge_proof(struct worker *w, const struct sockaddr_storage *client,
        struct str server_name, struct tls_proof *ret_proof)
{
	char address[ADDRESS_TEXT];
	if (!is_name(server_name))
		return false;
	const struct challenge *found =
	        w->challenges ? asked_for(w->challenges, server_name) : NULL;
	BUF_AUTO fields = BUF(1024), text = BUF(1024);
	buf_printf(&fields, "name=%.*s client=%s", STR_ARG(server_name),
	        address_text(client, address));
	buf_printf(&text, "Challenge acme-tls/1 of %.*s: %s.", STR_ARG(server_name),
	        found ? "answered with the certificate of the order that is open"
	              : "no such order is open here, refused");
	worker_tell(w, log, .level = LOG_INFO, .fields = buf_str(&fields), .text = buf_str(&text));
	if (!found)
		return false;
	worker_tell(w, challenge_seen, .token = str_c(found->token), .client = str_c(address));
	*ret_proof = (struct tls_proof){ secret_bytes(&found->leaf), secret_bytes(&found->key) };
	return true;
}
