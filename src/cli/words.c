#include "cli/words.h"

const struct option_words options[OPTION_COUNT] = {
#define X(id, word, value, help) [OPTION_##id] = { word, value, help },
	OPTIONS(X)
#undef X
};

#define HAS(id) (UINT64_C(1) << OPTION_##id)
_Static_assert(OPTION_COUNT <= 64, "each option is a bit of verb_words.options");
enum { OPERANDS_MANY = 100 };
#define WHERE (HAS(CONFIG) | HAS(STATE))

/* clang-format off */
const struct verb_words verbs[VERB_COUNT] = {
	[VERB_RUN] = { "run", NULL, 0, WHERE | HAS(DEV_PAGE), 0,
		"serve in the foreground",
		"Starts the server and stays in the foreground; the log goes to stderr. SIGTERM and SIGINT "
		"end it, SIGHUP makes it read its configuration again. A configuration file that does not "
		"exist stands for all defaults unless --config names it." },
	[VERB_CHECK] = { "check", NULL, 0, HAS(CONFIG) | HAS(JSON), 0,
		"check a configuration",
		"Reads the configuration and says what is wrong with it, each error on a line: file, line, "
		"column, and a sentence. Changes nothing, and needs no running server. As with `run`, a file "
		"that does not exist stands for all defaults unless --config names it. A `renew-before` that "
		"is too long for the certificates that the site gets is a warning, as far as a running "
		"server, or the rules of `issuer internal`, tell how long those are good for." },
	[VERB_RELOAD] = { "reload", NULL, 0, WHERE | HAS(JSON), 0,
		"read the configuration again",
		"Makes the running server read its configuration again. Connections that are open live on. "
		"A bad file changes nothing, and its errors are printed; so are the warnings of a good one, as "
		"`check` gives them." },
	[VERB_UPGRADE] = { "upgrade", NULL, 0, WHERE | HAS(JSON), 0,
		"replace the running program by the one that is installed",
		"Puts the program that now stands where the running one was started from in its place: no "
		"connection is refused, those that are open go on and end within `drain-timeout`. The new "
		"program is first asked whether it takes the configuration. If it is not ready in 10 "
		"seconds, the old one goes on, and it is said why." },
	[VERB_DRAIN] = { "drain", "on|off", 1, WHERE, 0,
		"tell load balancers to send no visitors here",
		"While draining, the health check GET /api/octopusservernodes/ping on the page's address is "
		"answered with 418 instead of 200, so that a load balancer sends nobody new. Whoever comes "
		"is served. A start of Everseal ends it." },
	[VERB_STATUS] = { "status", NULL, 0, WHERE | HAS(JSON), 0,
		"show listeners, sites and certificates",
		"Shows the running server: where it listens, or who holds the port; its sites; each "
		"certificate with its end, the next renewal and the rule that set it, and the last error; "
		"and the fences that stand around its processes." },
	[VERB_REGISTER] = { "lets-encrypt register", NULL, 0,
		WHERE | HAS(NAME) | HAS(EMAIL) | HAS(AGREE_TOS) | HAS(PROXY) | HAS(ISSUER) | HAS(ADDRESS) |
		HAS(PORT) | HAS(KEY_TYPE) | HAS(PROFILE) | HAS(DESPITE_HSTS) | HAS(WAIT) |
		HAS(JSON), HAS(NAME),
		"obtain a certificate and renew it for ever",
		"Registers DNS names or IP addresses: the running server obtains a certificate for them from a certificate "
		"authority, serves it, and renews it from then on.\n\n"
		"Returns when the request is stored: it survives any crash from then on. With --wait it "
		"follows the steps and ends with the outcome, or where a limit of the authority lets it "
		"wait, with the date. The same names, issuer and key type again "
		"return what is there and order nothing. While browsers may remember that a name is reached "
		"over HTTPS only, an authority that they do not trust needs --despite-hsts." },
	[VERB_CERTIFICATE] = { "lets-encrypt status", "[NAME]", 1, WHERE | HAS(JSON), 0,
		"show certificates and their renewal",
		"Shows one certificate, by any of its names, or all of them." },
	[VERB_RENEW] = { "lets-encrypt renew", "[NAME]", 1, WHERE | HAS(WAIT) | HAS(JSON), 0,
		"renew a certificate now",
		"Renews the certificate with that name at once instead of when it is due. The name may be "
		"left out if there is only one certificate. The old certificate is served until the new one "
		"is, and kept if there is none." },
	[VERB_DISABLE] = { "lets-encrypt disable", "[NAME]", 1,
		WHERE | HAS(DESPITE_HSTS) | HAS(WAIT) | HAS(JSON), 0,
		"stop renewing a certificate",
		"Stops the renewal of the certificate with that name, which is still served until it "
		"expires. While browsers may remember that its names are reached over HTTPS only, it says "
		"until when, and needs --despite-hsts." },
	[VERB_REVOKE] = { "lets-encrypt revoke", "NAME", 1,
		WHERE | HAS(REASON) | HAS(DESPITE_HSTS) | HAS(WAIT) | HAS(JSON), 0,
		"revoke a certificate",
		"Revokes the certificate with that name at its certificate authority, for one whose key "
		"may be in wrong hands. A new certificate is ordered first, unless the name is no longer "
		"renewed; then visitors are locked out, and while browsers may remember that the name is "
		"reached over HTTPS only, it says until when, and needs --despite-hsts. Where the account that "
		"ordered it is gone, the certificate's own key revokes it." },
	[VERB_IMPORT] = { "import", "NAME FILE", 2, WHERE | HAS(MANY) | HAS(PASSWORD_FILE) | HAS(REMOVE) | HAS(DESPITE_HSTS), 0,
		"serve a certificate that somebody else has issued",
		"Serves NAME with the certificate in FILE, at once: PEM with the server's certificate, each "
		"followed by its issuer's, and the private key; or PKCS#12 (.pfx, .p12) with the same, in "
		"any order, whose password is asked for unless --password-file gives it. Key, names, order and dates are checked; the "
		"key is kept sealed. It is served for its other names, too, unless they have certificates of "
		"their own. Importing again replaces it. Everseal does not renew it.\n\n"
		"With --many it imports the files NAME.pem of a directory; the first that does not do ends "
		"it, and those before it are served.\n\n"
		"With --remove it removes the certificate that was imported for NAME, and its key; to have it "
		"back it must be imported again. It says what visitors get from then on: another certificate "
		"that is there for NAME, else the temporary one. If there is no other and browsers may "
		"remember that the name is reached over HTTPS only, it says until when, and needs "
		"--despite-hsts." },
	[VERB_EXPORT] = { "export", "NAME", 1, WHERE | HAS(FORMAT) | HAS(TO) | HAS(PASSWORD_FILE) | HAS(KEY_TYPE), HAS(TO),
		"write a certificate with its key to a file",
		"Writes the certificate with that name, its chain and its private key to a new file that "
		"only its owner can read: PEM, or PKCS#12 (AES-256, PBKDF2, SHA-256) under a password that "
		"is asked for unless --password-file gives it. Where a certificate with an RSA key stands "
		"beside one with an ECDSA key, --key-type says which. Private keys leave by this command alone, on the machine "
		"itself." },
	[VERB_BACKUP] = { "backup", "FILE", 1, WHERE | HAS(WITH_KEY), 0,
		"copy the whole state to a file",
		"Writes a copy of all that the running server keeps, as one moment had it, to a new file "
		"that only its owner can read: accounts, certificates, keys, sites, people. Secrets are in "
		"it as they are stored, sealed: without the master key nobody can use them, and neither can "
		"`everseal restore`. Keep the master key (STATE/master.key, or the credential) at another "
		"place, or put it into the backup with --with-key." },
	[VERB_RESTORE] = { "restore", "FILE", 1, WHERE, 0,
		"make the state of a new server from a backup",
		"Puts what `everseal backup` has written into the state directory, which must be empty but "
		"for the master key, and not in use. All or nothing: an interrupted restore can be begun "
		"anew. `everseal run` then serves every certificate without asking an authority, and renews "
		"them by the same accounts. A backup without the master key needs it put into the directory "
		"as master.key (mode 0400), before or after, or given as the credential master.key." },
	[VERB_DIAGNOSE] = { "lets-encrypt diagnose", "NAME", 1, WHERE | HAS(JSON), 0,
		"find what stops a name from being issued for or served",
		"Asks the running server to look at a name as a certificate authority would, registered or "
		"not: DNS, each address on its own, redirects, what stands in between, CAA, rate limits, the "
		"clock, HTTPS and HSTS. Each finding is OK, Warning, Problem or Cannot see from here, with "
		"what to do. Takes up to 25 seconds, changes nothing, and stops nothing.\n\n"
		"Ends with 1 if registering the name now would fail." },
	[VERB_SITE_ADD] = { "site add", "NAME...", OPERANDS_MANY,
		WHERE | HAS(PROXY) | HAS(FORCE_SSL) | HAS(NO_FORCE_SSL) | HAS(HSTS) | HAS(JSON), 0,
		"serve names by an application of their own",
		"Adds a site: its names are served by the application at --proxy, else by that of the "
		"configuration's `site *`. It is kept in the store; sites of the configuration file stay "
		"there. It has a temporary certificate until it is registered." },
	[VERB_SITE_SET] = { "site set", "NAME", 1,
		WHERE | HAS(PROXY) | HAS(FORCE_SSL) | HAS(NO_FORCE_SSL) | HAS(HSTS) | HAS(JSON), 0,
		"change a site",
		"Changes the site with that name at once. What the configuration file sets is changed "
		"there, and nowhere else." },
	[VERB_SITE_LIST] = { "site list", NULL, 0, WHERE | HAS(JSON), 0,
		"list the sites",
		"Lists the sites with their state. With --json it prints one object a line." },
	[VERB_SITE_REMOVE] = { "site remove", "NAME", 1, WHERE | HAS(DESPITE_HSTS) | HAS(JSON), 0,
		"remove a site",
		"Removes the site with that name and stops the renewal of its certificate, which is kept. "
		"While browsers may remember that its names are reached over HTTPS only, it says until "
		"when, and needs --despite-hsts." },
	[VERB_ISSUER_CONTACT] = { "issuer contact", "ISSUER MAIL", 2, WHERE | HAS(JSON), 0,
		"change the e-mail address of an account",
		"Tells the certificate authority another e-mail address for the account there." },
	[VERB_ISSUER_DEACTIVATE] = { "issuer deactivate", "ISSUER", 1, WHERE | HAS(JSON), 0,
		"end an account",
		"Deactivates the account at the certificate authority: nothing is ordered or revoked by it "
		"any more, and nobody who has its key can. Certificates stay what they are. The next order "
		"makes a new account, with a new key." },
	[VERB_ISSUER_ROLLOVER] = { "issuer rollover", "ISSUER", 1, WHERE | HAS(JSON), 0,
		"give an account another key",
		"Makes a new key for the account at the certificate authority, and exchanges it there. It "
		"waits until no attempt at a certificate from there is under way. If the authority falls "
		"silent after it may have heard of the new key, both are kept, and it is asked again until "
		"it says which of them it knows; to ask at once, give the command once more." },
	[VERB_ISSUER_LIST] = { "issuer list", NULL, 0, WHERE | HAS(JSON), 0,
		"list the certificate authorities",
		"Lists the certificate authorities that the configuration knows." },
	[VERB_ISSUER_ROOT] = { "issuer root", NULL, 0, WHERE | HAS(JSON), 0,
		"print what the internal authority's certificates are trusted by",
		"Prints the roots of Everseal's own authority (issuer internal) in PEM: install the one for "
		"private names where certificates for localhost, .test or .internal are to be trusted. Each "
		"root is good for the names in its subject and for no others." },
	[VERB_ISSUER_TEST] = { "issuer test", "ISSUER", 1, WHERE | HAS(JSON), 0,
		"ask a certificate authority for its directory",
		"Asks the certificate authority for its directory and says whether it answers." },
	[VERB_NOTIFY_ADD] = { "notify add", "MAIL|URL|-", 1,
		WHERE | HAS(SERVER) | HAS(FROM) | HAS(USER) | HAS(LEVEL) | HAS(JSON), 0,
		"tell somebody of what happens",
		"Tells whoever reads that mailbox, or the webhook at that URL, of what happens to "
		"certificates. A mailbox needs --server and --from. The secret that signs what a webhook "
		"gets is asked for on the terminal, or read as one line from standard input; and before it, "
		"with - instead of a URL, the URL, which may hold a token. It is kept in "
		"the store, secrets sealed; a program is named by `notify` in the configuration alone." },
	[VERB_NOTIFY_SET] = { "notify set", "TARGET", 1,
		WHERE | HAS(TO) | HAS(SECRET) | HAS(SERVER) | HAS(FROM) | HAS(USER) | HAS(LEVEL) | HAS(JSON), 0,
		"change how somebody is told",
		"Changes the target with that id, or that is listed like this. Another --server needs the "
		"password again. What the configuration file sets is changed there, and nowhere else." },
	[VERB_NOTIFY_LIST] = { "notify list", NULL, 0, WHERE | HAS(JSON), 0,
		"list who is told",
		"Lists who is told of what happens, and whether messages arrive. With --json it prints one "
		"object a line." },
	[VERB_NOTIFY_REMOVE] = { "notify remove", "TARGET", 1, WHERE | HAS(JSON), 0,
		"tell somebody nothing any more",
		"Removes the target with that id, or that is listed like this. Messages that wait for it are "
		"dropped." },
	[VERB_NOTIFY_TEST] = { "notify test", "[TARGET]", 1, WHERE | HAS(JSON), 0,
		"send a test message to those who are told of what happens",
		"Sends a test message to each target, of the configuration and of the store, or to the one "
		"with that id, or that is listed like this; and says which arrived, and of the others why not. Fails if one did not." },
	[VERB_ADMIN_LINK] = { "admin link", NULL, 0, WHERE | HAS(JSON), 0,
		"print a link that makes an administrator of the page",
		"Prints a link to the page. Whoever opens it within 30 minutes gives a name and a password "
		"and becomes an administrator; it works once." },
	[VERB_ADMIN_CREATE] = { "admin create", "NAME", 1, WHERE | HAS(SCOPE) | HAS(JSON), 0,
		"add a person who may use the page",
		"Adds a person. The password is asked for on the terminal, or read as one line from "
		"standard input." },
	[VERB_ADMIN_PASSWORD] = { "admin password", "NAME", 1, WHERE | HAS(JSON), 0,
		"set a person's password",
		"Sets the password of somebody who cannot sign in any more; it is asked for on the "
		"terminal, or read as one line from standard input. Ends the person's sessions, switches "
		"the second factor off, and ends every wait after wrong passwords." },
	[VERB_ADMIN_PEOPLE] = { "admin people", NULL, 0, WHERE | HAS(JSON), 0,
		"list the people who may use the page",
		"Lists people with scope and second factor. With --json it prints one object a line." },
	[VERB_ADMIN_REMOVE] = { "admin remove", "NAME", 1, WHERE | HAS(JSON), 0,
		"remove a person",
		"Removes a person, who is signed out everywhere. The last administrator stays." },
	[VERB_ADMIN_TOKEN] = { "admin token", "add NAME | list | remove ID", 2,
		WHERE | HAS(SCOPE) | HAS(DAYS) | HAS(JSON), 0,
		"make, list or remove API tokens",
		"With `add` it makes a token for the API and prints it alone; it is never shown again. "
		"With `list` it shows all of them, with `remove` it ends one." },
	[VERB_ADMIN_HASH] = { "admin hash", NULL, 0, 0, 0,
		"make the hash of a password for basic-auth",
		"Asks for a password on the terminal, or reads it as one line from standard input, and "
		"prints its argon2id hash, which a line `basic-auth USER HASH` in the configuration takes. "
		"Needs no running server." },
	[VERB_HELP] = { "help", "[COMMAND]", 2, 0, 0,
		"explain a command",
		"Prints the help of a command, or the list of all." },
};
/* clang-format on */
