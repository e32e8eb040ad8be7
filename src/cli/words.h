/* The words of the command line: one list of options, one of commands. Parsing, help texts and the
 * manual everseal(1) are made from them. */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "base/buf.h"

/* id, word behind the two hyphens, what its value is (NULL: it takes none), help */
#define OPTIONS(X)                                                                                 \
	X(CONFIG, "config", "FILE",                                                                \
	        "The configuration file. Default: /etc/everseal/everseal.conf.")                   \
	X(STATE, "state", "DIR",                                                                   \
	        "The state directory, if it is not the one that the configuration names.")         \
	X(JSON, "json", NULL, "Print JSON for programs instead of text for people.")               \
	X(WAIT, "wait", NULL, "Print each step as it happens, and end with the outcome.")          \
	X(NAME, "name", "NAME",                                                                    \
	        "A DNS name, such as shop.example.com, or an IP address. May be given several "    \
	        "times: all names are in one certificate.")                                        \
	X(EMAIL, "email", "MAIL",                                                                  \
	        "The address that the certificate authority is given. Default: the "               \
	        "configuration's.")                                                                \
	X(AGREE_TOS, "agree-tos", NULL,                                                            \
	        "You agree to the certificate authority's terms of service. Not needed if the "    \
	        "configuration says `agree-to-terms yes`.")                                        \
	X(PROXY, "proxy", "ADDRESS:PORT",                                                          \
	        "Where the application behind the names listens. Default: the site that the "      \
	        "configuration has for them, or its `site *`.")                                    \
	X(ISSUER, "issuer", "ISSUER",                                                              \
	        "Who issues: letsencrypt, letsencrypt-staging, zerossl, google, buypass, "         \
	        "internal, or an issuer of the configuration.")                                    \
	X(ADDRESS, "address", "IP",                                                                \
	        "The IP address to serve the names on. Default: the configuration's `https` "      \
	        "lines.")                                                                          \
	X(PORT, "port", "N", "The port to serve the names on. Default: likewise.")                 \
	X(KEY_TYPE, "key-type", "T",                                                               \
	        "The type of the certificate's key: p256, p384, rsa2048, rsa3072 or rsa4096. To "  \
	        "register one of each kind: p256,rsa2048. Default: the configuration's, else "     \
	        "p256. Of two that are there `export` takes the one with the ECDSA key.")          \
	X(PROFILE, "profile", "P",                                                                 \
	        "One of the certificate profiles that the authority offers; '' is none, or what "  \
	        "the configuration says.")                                                         \
	X(DESPITE_HSTS, "despite-hsts", NULL,                                                      \
	        "Do it although browsers still remember that these names are reached over HTTPS "  \
	        "only.")                                                                           \
	X(FORCE_SSL, "force-ssl", NULL,                                                            \
	        "Send visitors from HTTP to HTTPS. Challenges are still answered.")                \
	X(NO_FORCE_SSL, "no-force-ssl", NULL, "Let visitors stay on HTTP.")                        \
	X(HSTS, "hsts", "TIME",                                                                    \
	        "Tell browsers to use nothing but HTTPS for so long, such as 300s, 1h, 1d or 1y; " \
	        "behind the time may stand include-subdomains and preload, then quote all. `off` " \
	        "sends max-age=0.")                                                                \
	X(REASON, "reason", "REASON",                                                              \
	        "Why it is revoked: unspecified, keyCompromise, affiliationChanged, superseded "   \
	        "or cessationOfOperation.")                                                        \
	X(FORMAT, "format", "FORMAT", "The form of what is written: pem or pkcs12. Default: pem.") \
	X(TO, "to", "FILE",                                                                        \
	        "The file to write, which must not exist yet. Of `notify set`: the mailbox or "    \
	        "URL to tell instead, or - as of `notify add`.")                                   \
	X(MANY, "many", "DIR",                                                                     \
	        "Import every file NAME.pem of that directory; _.example.com.pem is for "          \
	        "*.example.com.")                                                                  \
	X(REMOVE, "remove", "NAME",                                                                \
	        "Remove the certificate that was imported for NAME, with its key, instead of "     \
	        "importing one.")                                                                  \
	X(PASSWORD_FILE, "password-file", "FILE",                                                  \
	        "The file whose first line is the password of the PKCS#12 file. Default: it is "   \
	        "asked for on the terminal.")                                                      \
	X(WITH_KEY, "with-key", NULL,                                                              \
	        "Put the master key into the backup: whoever has that file has every secret.")     \
	X(SCOPE, "scope", "SCOPE",                                                                 \
	        "What a person or token may do: read, operate or administer. A person's "          \
	        "default: administer.")                                                            \
	X(DAYS, "days", "N", "How many days a token lives. Default: until it is removed.")         \
	X(SERVER, "server", "URL",                                                                 \
	        "The mail server: smtps://HOST[:PORT], or smtp://HOST[:PORT] with STARTTLS.")      \
	X(FROM, "from", "MAIL", "The address that messages come from.")                            \
	X(USER, "user", "USER",                                                                    \
	        "Who signs in to the mail server; the password is asked for on the terminal, or "  \
	        "read as one line from standard input. '' is nobody.")                             \
	X(SECRET, "secret", NULL,                                                                  \
	        "Give the webhook another secret, which is asked for on the terminal, or read as " \
	        "one line from standard input.")                                                   \
	X(LEVEL, "level", "LEVEL",                                                                 \
	        "How much something has to matter for it to be told: info, warning or problem. "   \
	        "Default: warning.")                                                               \
	X(DEV_PAGE, "dev-page", "DIR",                                                             \
	        "Serve the page's files from this directory instead of those built in: for "       \
	        "working on the page.")                                                            \
	X(HELP, "help", NULL, "Print the help of a command and do nothing else.")                  \
	X(VERSION, "version", NULL, "Print the version and do nothing else.")

enum option {
#define X(id, word, value, help) OPTION_##id,
	OPTIONS(X)
#undef X
	        OPTION_COUNT
};
struct option_words {
	const char *word, *value, *help;
};
extern const struct option_words options[OPTION_COUNT];

/* id, words */
#define VERBS(X)                                                                                   \
	X(RUN, "run")                                                                              \
	X(CHECK, "check")                                                                          \
	X(RELOAD, "reload")                                                                        \
	X(UPGRADE, "upgrade")                                                                      \
	X(DRAIN, "drain")                                                                          \
	X(STATUS, "status")                                                                        \
	X(REGISTER, "lets-encrypt register")                                                       \
	X(CERTIFICATE, "lets-encrypt status")                                                      \
	X(RENEW, "lets-encrypt renew")                                                             \
	X(DISABLE, "lets-encrypt disable")                                                         \
	X(REVOKE, "lets-encrypt revoke")                                                           \
	X(DIAGNOSE, "lets-encrypt diagnose")                                                       \
	X(IMPORT, "import")                                                                        \
	X(EXPORT, "export")                                                                        \
	X(BACKUP, "backup")                                                                        \
	X(RESTORE, "restore")                                                                      \
	X(SITE_ADD, "site add")                                                                    \
	X(SITE_SET, "site set")                                                                    \
	X(SITE_LIST, "site list")                                                                  \
	X(SITE_REMOVE, "site remove")                                                              \
	X(ISSUER_CONTACT, "issuer contact")                                                        \
	X(ISSUER_DEACTIVATE, "issuer deactivate")                                                  \
	X(ISSUER_LIST, "issuer list")                                                              \
	X(ISSUER_ROLLOVER, "issuer rollover")                                                      \
	X(ISSUER_ROOT, "issuer root")                                                              \
	X(ISSUER_TEST, "issuer test")                                                              \
	X(NOTIFY_ADD, "notify add")                                                                \
	X(NOTIFY_SET, "notify set")                                                                \
	X(NOTIFY_LIST, "notify list")                                                              \
	X(NOTIFY_REMOVE, "notify remove")                                                          \
	X(NOTIFY_TEST, "notify test")                                                              \
	X(ADMIN_LINK, "admin link")                                                                \
	X(ADMIN_CREATE, "admin create")                                                            \
	X(ADMIN_PASSWORD, "admin password")                                                        \
	X(ADMIN_PEOPLE, "admin people")                                                            \
	X(ADMIN_REMOVE, "admin remove")                                                            \
	X(ADMIN_TOKEN, "admin token")                                                              \
	X(ADMIN_HASH, "admin hash")                                                                \
	X(HELP, "help")

enum verb {
#define X(id, words) VERB_##id,
	VERBS(X)
#undef X
	        VERB_COUNT
};
struct verb_words {
	const char *words;
	const char *operands; /* "[NAME]", or NULL */
	size_t operands_most;
	uint64_t options;    /* bits 1 << OPTION_…; --help and --version go without saying */
	uint64_t required;   /* likewise */
	const char *summary; /* half a sentence */
	const char *help;    /* paragraphs, separated by an empty line */
};
extern const struct verb_words verbs[VERB_COUNT];

/* everseal(1)'s sections on commands and on options, in scdoc. */
void cli_manual_commands(struct buf *out);
void cli_manual_options(struct buf *out);
/* Whether every command and option has its text. */
bool cli_manual_complete(void);

#endif
