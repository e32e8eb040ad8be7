/* config/ inside: text → tree of directives (tree.c) → values (rows.c and the special parsers) →
 * checks of the whole (checks.c). All of them tell problems to one collector (problems.c). */
#ifndef CONFIG_PARTS_H
#define CONFIG_PARTS_H

#include "base/map.h"
#include "config/config.h"
#include "config/nearest.h"

struct problems { /* the first CONFIG_ERRORS_MOST by position */
	struct arena *arena;
	struct problem {
		struct config_at at;
		struct str sentence;
	} at[CONFIG_ERRORS_MOST];
	size_t count;
};
__attribute__((format(printf, 3, 4))) void config_problem(
        struct problems *p, struct config_at at, const char *format, ...);
void config_problems_print(const struct problems *p, const char *file, struct buf *ret_lines);
struct str config_shown(struct str word); /* cut to a length fit for a sentence */

struct word {
	struct str text;
	struct config_at at;
};

struct node { /* a directive */
	struct word name;
	struct word *params;
	size_t param_count;
	bool broken; /* it has a word that is none: told already */
	bool block;
	struct config_at block_at;
	struct node *children, *last, *next;
};
/* The children of the returned node are the file's directives; text is copied nowhere unless it
 * was escaped. */
struct node *config_tree(struct arena *a, struct str text, struct problems *p);

enum scope {
	SCOPE_TOP,
	SCOPE_SITE,
	SCOPE_ROUTE,
	SCOPE_PROXY,
	SCOPE_HEALTH,
	SCOPE_ISSUER,
	SCOPE_PORTS,
	SCOPE_LISTENER,
	SCOPE_DNS,
	SCOPE_DEMAND,
	SCOPE_NOTIFY,
	SCOPE_COUNT
};

struct reader { /* one reading of one file */
	struct config *c;
	const struct config_source *source;
	struct arena scratch; /* dies with the reading */
	struct problems problems;
	struct config_site site;     /* the one being read */
	struct config_issuer issuer; /* likewise */
	struct config_dns dns;       /* likewise */
	struct config_demand demand; /* likewise */
	struct config_notify notify; /* likewise */
	struct config_route route;   /* likewise, within site */
	struct config_rules *rules;  /* of the site or the route */
	bool proxy_protocol;         /* of the listeners being read */
	struct config_at agree_at, issuer_choice_at;
	struct str first_issuer;
	struct issuer_use { /* named before we know all of them */
		struct str name;
		struct config_at at;
	} *uses;
	size_t use_count;
	struct wildcard_use { /* of a site that says itself no way to prove it */
		struct str name;
		struct config_at at;
	} *wildcards;
	size_t wildcard_count;
	struct root_use { /* `state` may stand behind it */
		struct str directory;
		struct config_at at;
	} *roots;
	size_t root_count;
	struct map site_names;
};

struct site_entry { /* in reader->site_names */
	struct map_node node;
	struct config_at at;
};

struct row {
	struct setting setting; /* offset: in the struct of its scope */
	void (*special)(struct reader *r, const struct node *n);
	size_t least_params, most_params; /* of SPECIAL rows; 0 for most: no limit */
	bool repeats;                     /* may be given more than once */
	enum scope block;                 /* the table of its block; SCOPE_TOP: it has none */
};

struct block {
	const char *opens; /* how to open one, for sentences; NULL for the top */
	const struct row *rows;
	size_t count;
};
extern const struct block config_blocks[SCOPE_COUNT];

/* Reads a node's children by their scope's table, into config, site or issuer. */
void config_rows_read(struct reader *r, const struct node *parent, enum scope scope);
void config_rows_defaults(struct reader *r);

/* rows.c's special parsers, by file. */
void config_set_state(struct reader *r, const struct node *n);
void config_set_http(struct reader *r, const struct node *n);
void config_set_https(struct reader *r, const struct node *n);
void config_set_proxy_protocol(struct reader *r, const struct node *n);
void config_set_page(struct reader *r, const struct node *n);
void config_set_user(struct reader *r, const struct node *n);
void config_set_resolver(struct reader *r, const struct node *n);
void config_set_trusted_proxy(struct reader *r, const struct node *n);
void config_set_access_log(struct reader *r, const struct node *n);
void config_set_site_access_log(struct reader *r, const struct node *n);
void config_set_tls_policy(struct reader *r, const struct node *n);
void config_set_site_tls_policy(struct reader *r, const struct node *n);
void config_set_client_ca(struct reader *r, const struct node *n);
void config_set_port_http(struct reader *r, const struct node *n);
void config_set_port_https(struct reader *r, const struct node *n);
void config_set_challenge_ports(struct reader *r, const struct node *n);

void config_set_email(struct reader *r, const struct node *n);
void config_set_force_ssl(struct reader *r, const struct node *n);
void config_set_hsts(struct reader *r, const struct node *n);
void config_set_agree(struct reader *r, const struct node *n);

void config_set_site(struct reader *r, const struct node *n);
void config_set_site_email(struct reader *r, const struct node *n);
void config_set_site_force_ssl(struct reader *r, const struct node *n);
void config_set_site_hsts(struct reader *r, const struct node *n);
void config_set_site_challenge(struct reader *r, const struct node *n);
void config_set_site_renew_before(struct reader *r, const struct node *n);

void config_set_proxy(struct reader *r, const struct node *n);
void config_set_weight(struct reader *r, const struct node *n);
void config_set_sticky(struct reader *r, const struct node *n);
void config_set_send_proxy(struct reader *r, const struct node *n);
void config_set_server_name(struct reader *r, const struct node *n);
void config_set_upstream_trust(struct reader *r, const struct node *n);
void config_set_health(struct reader *r, const struct node *n);
/* A row that was handed in for the block of `proxy` or `health`. */
void config_set_option(struct reader *r, const struct setting *s, const struct word *w);
/* Of a site, or a route's applications, that was read. */
void config_settle_proxy(struct reader *r, struct config_site *s);

void config_set_route(struct reader *r, const struct node *n);
void config_set_route_proxy(struct reader *r, const struct node *n);
void config_set_redirect(struct reader *r, const struct node *n);
void config_set_respond(struct reader *r, const struct node *n);
void config_set_root(struct reader *r, const struct node *n);
void config_set_allow(struct reader *r, const struct node *n);
void config_set_deny(struct reader *r, const struct node *n);
void config_set_maintenance(struct reader *r, const struct node *n);
void config_set_encode(struct reader *r, const struct node *n);
void config_set_basic_auth(struct reader *r, const struct node *n);
void config_set_forward_auth(struct reader *r, const struct node *n);
void config_set_header(struct reader *r, const struct node *n);
void config_set_request_header(struct reader *r, const struct node *n);
/* Of a site's block that was read: that there is one answer, and no more. */
void config_check_actions(struct reader *r, const struct node *n, bool has_proxy);
void config_show_rules(struct reader *r, const struct node *n);
bool config_is_rule(struct str directive);

void config_issuers_init(struct config *c);
void config_set_issuer(struct reader *r, const struct node *n);
void config_set_directory(struct reader *r, const struct node *n);
void config_set_rehearsal(struct reader *r, const struct node *n);
void config_set_trust(struct reader *r, const struct node *n);
void config_set_eab(struct reader *r, const struct node *n);

void config_set_dns_challenge(struct reader *r, const struct node *n);
void config_set_site_dns_challenge(struct reader *r, const struct node *n);
void config_set_dns_update(struct reader *r, const struct node *n);
void config_set_dns_zone(struct reader *r, const struct node *n);
void config_set_dns_tsig(struct reader *r, const struct node *n);
void config_set_dns_program(struct reader *r, const struct node *n);
void config_set_dns_run_as(struct reader *r, const struct node *n);
void config_set_dns_timeout(struct reader *r, const struct node *n);
void config_set_dns_delegated(struct reader *r, const struct node *n);
void config_set_dns_listen(struct reader *r, const struct node *n);
void config_set_dns_persist(struct reader *r, const struct node *n);
void config_set_dns_check(struct reader *r, const struct node *n);
void config_set_dns_wait(struct reader *r, const struct node *n);

void config_set_on_demand(struct reader *r, const struct node *n);
void config_set_demand_ask(struct reader *r, const struct node *n);
void config_set_demand_allow(struct reader *r, const struct node *n);
void config_set_demand_budget(struct reader *r, const struct node *n);
void config_check_demand(struct reader *r, const struct config_site *s);

/* The words of a program from that parameter on, an absolute path first; and its user. */
size_t config_program_words(
        struct reader *r, const struct node *n, size_t from, struct str **ret_argv);
void config_find_user(struct reader *r, const struct word *w, struct config_run_as *ret_user);
/* Certificates in PEM in that file. */
void config_read_trust(struct reader *r, const struct word *w, struct str *ret_pem);

void config_set_notify(struct reader *r, const struct node *n);
void config_set_notify_server(struct reader *r, const struct node *n);
void config_set_notify_from(struct reader *r, const struct node *n);
void config_set_notify_user(struct reader *r, const struct node *n);
void config_set_notify_secret(struct reader *r, const struct node *n);
void config_set_notify_trust(struct reader *r, const struct node *n);
void config_set_notify_run_as(struct reader *r, const struct node *n);
void config_set_notify_timeout(struct reader *r, const struct node *n);
void config_set_notify_level(struct reader *r, const struct node *n);

/* making.c: how certificates are made, at top level and in a site. */
void config_set_issuers(struct reader *r, const struct node *n);
void config_set_site_issuer(struct reader *r, const struct node *n);
void config_set_key_type(struct reader *r, const struct node *n);
void config_set_site_key_type(struct reader *r, const struct node *n);
void config_set_profile(struct reader *r, const struct node *n);
void config_set_site_profile(struct reader *r, const struct node *n);
void config_set_preferred_chain(struct reader *r, const struct node *n);
void config_set_site_preferred_chain(struct reader *r, const struct node *n);
void config_set_reuse_key(struct reader *r, const struct node *n);
void config_set_site_reuse_key(struct reader *r, const struct node *n);
void config_set_rehearsals(struct reader *r, const struct node *n);
void config_inherit_making(struct config *c);

/* What only the whole file can tell; and the site's values that come from the top level. */
void config_check(struct reader *r);
void config_defaults(struct config *c);

/* value.c: text → value, each with a sentence of its own. */
MUST_CHECK bool config_value_yes_no(struct str text, bool *ret_value, struct err *err);
MUST_CHECK bool config_value_duration(struct str text, int64_t *ret_ms, struct err *err);
MUST_CHECK bool config_value_size(struct str text, uint64_t *ret_bytes, struct err *err);
MUST_CHECK bool config_value_bounded(const struct setting *s, struct str text, int64_t *ret_value,
        struct err *err); /* COUNT, SIZE, DURATION */
void config_value_show(
        enum setting_type type, int64_t value, struct buf *out); /* as the file says it */
/* ADDRESS:PORT with a numeric address, made canonical in the arena. */
MUST_CHECK bool config_value_endpoint(struct arena *a, struct str text, uint16_t default_port,
        struct address *ret_address, struct err *err);
/* An application's address in every form that there is, kept in the arena. Whether it may be one is
 * the caller's to say. */
MUST_CHECK bool config_value_upstream(
        struct arena *a, struct str text, struct config_upstream *ret, struct err *err);
MUST_CHECK bool config_value_cidr(
        struct arena *a, struct str text, struct str *ret_cidr, struct err *err);
/* The text itself, what @FILE holds, or what credential:NAME does. `what` for the sentence. */
MUST_CHECK bool config_value_secret(struct arena *a, struct str text, const char *what,
        struct str *ret_secret, struct err *err);
MUST_CHECK bool config_value_file(
        struct arena *a, struct str path, size_t most, struct str *ret_content, struct err *err);

/* A list in an arena that grows by one: capacity is the next power of two. */
#define LIST_PUSH(arena, array, count, ...)                                                        \
	do {                                                                                       \
		if (((count) & ((count) - 1)) == 0) {                                              \
			__auto_type bigger_ = arena_array(                                         \
			        (arena), __typeof__(*(array)), (count) ? 2 * (count) : 1);         \
			if (count)                                                                 \
				memcpy(bigger_, (array), (count) * sizeof *(array));               \
			(array) = bigger_;                                                         \
		}                                                                                  \
		(array)[(count)++] = __VA_ARGS__;                                                  \
	} while (0)

#endif
