/* The command line, read; and what the commands share. Each command is one file with one function
 * that returns the exit status: 0 done, 1 it failed and a sentence on stderr says why, 2 wrong
 * usage, 3 what was asked waits at a limit, a sentence on stderr says until when. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "base/arena.h"
#include "base/err.h"
#include "cli/words.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_WAITS = 3, OPERANDS_MOST = 100 };

struct command {
	enum verb verb;   /* VERB_COUNT: none was given */
	struct str group; /* its first word, if there are several with it; else STR_NONE */
	const char *values[OPTION_COUNT]; /* NULL: not given; "" for those without a value */
	const char **names;               /* of --name */
	size_t name_count;
	struct str operands[OPERANDS_MOST];
	size_t operand_count;
	struct arena arena;
};

/* On failure the sentence names the nearest word, or what is missing, and where to read on. */
MUST_CHECK bool command_parse(struct command *c, int argc, char **argv, struct err *err);
bool command_has(const struct command *c, enum option o);
struct str command_value(const struct command *c, enum option o); /* STR_NONE: not given */
const char *command_config(const struct command *c);
/* As a segment of a path (RFC 3986 3.3). */
struct str command_escaped(struct command *c, struct str text);
/* As seen from the working directory. NUL-terminated. */
struct str command_absolute(struct command *c, const char *path);
/* By --state, else by the configuration, which may be absent unless it was named. */
MUST_CHECK bool command_state(struct command *c, struct str *ret_state, struct err *err);

bool command_is_group(struct str word); /* "lets-encrypt" */

/* Sets the sentence for words that are no command, with the nearest one. Always false. */
bool command_unknown(struct str words, struct err *err);
int command_fail(const struct err *err);  /* the sentence to stderr, EXIT_FAILED */
int command_usage(const struct err *err); /* likewise, EXIT_USAGE */

void help_all(struct buf *out);
void help_verb(enum verb verb, struct buf *out);
void help_group(struct str group, struct buf *out); /* `lets-encrypt`: its commands */

int command_check(struct command *c);
int command_reload(struct command *c);
int command_upgrade(struct command *c);
int command_drain(struct command *c);
int command_status(struct command *c);
int command_register(struct command *c);
int command_certificate(struct command *c);
int command_renew(struct command *c);
int command_disable(struct command *c);
int command_revoke(struct command *c);
int command_import(struct command *c);
int command_export(struct command *c);
int command_backup(struct command *c);
int command_restore(struct command *c);
int command_site_add(struct command *c);
int command_site_set(struct command *c);
int command_site_list(struct command *c);
int command_site_remove(struct command *c);
int command_issuer_contact(struct command *c);
int command_issuer_deactivate(struct command *c);
int command_issuer_list(struct command *c);
int command_issuer_rollover(struct command *c);
int command_issuer_root(struct command *c);
int command_issuer_test(struct command *c);
int command_notify_add(struct command *c);
int command_notify_set(struct command *c);
int command_notify_list(struct command *c);
int command_notify_remove(struct command *c);
int command_notify_test(struct command *c);
int command_diagnose(struct command *c);
int command_admin_link(struct command *c);
int command_admin_create(struct command *c);
int command_admin_password(struct command *c);
int command_admin_people(struct command *c);
int command_admin_remove(struct command *c);
int command_admin_token(struct command *c);
int command_admin_hash(struct command *c);

#endif
