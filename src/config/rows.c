/* Which directives there are, and the one way in which all of them are read. */
#include "config/parts.h"

/* clang-format off */
static const struct row top_rows[] = {
	{ .setting = { "state", SETTING_SPECIAL, .params = "DIRECTORY",
		.fallback = "/var/lib/everseal", .restart = true, .help =
		"Where Everseal keeps all that it must not forget: accounts, keys, certificates, what is "
		"edited on the page. An absolute path. The directory is made with mode 0700 if it does not "
		"exist; the commands find the running server through it." },
	  .special = config_set_state, .least_params = 1, .most_params = 1 },
	{ .setting = { "http", SETTING_SPECIAL, .params = "ADDRESS:PORT… [{ proxy-protocol }]",
		.fallback = "0.0.0.0:80 [::]:80", .help =
		"Listen here for plain HTTP: challenges of certificate authorities, and requests, which go "
		"to the application or, with *force-ssl*, are sent on to HTTPS. Addresses are numeric; "
		"0.0.0.0 is every IPv4 address, [::] every IPv6 address and no IPv4 one." },
	  .special = config_set_http, .least_params = 1, .repeats = true, .block = SCOPE_LISTENER },
	{ .setting = { "https", SETTING_SPECIAL, .params = "ADDRESS:PORT… [{ proxy-protocol }]",
		.fallback = "0.0.0.0:443 [::]:443", .help =
		"Listen here for HTTPS. Every site is served on all of these addresses." },
	  .special = config_set_https, .least_params = 1, .repeats = true, .block = SCOPE_LISTENER },
	{ .setting = { "page", SETTING_SPECIAL, .params = "ADDRESS:PORT [NAME]",
		.fallback = "127.0.0.1:8007", .help =
		"Where the configuration page lives: an address of its own, and the name by which it may "
		"be called besides an IP address and localhost. The name may not be a site's. On an address "
		"that is not loopback it is HTTPS only. *page off*: there is no page." },
	  .special = config_set_page, .least_params = 1, .most_params = 2 },
	{ .setting = { "user", SETTING_SPECIAL, .params = "USER",
		.fallback = "everseal-net", .restart = true, .help =
		"Whom the processes that talk to the network become when Everseal is started by root. "
		"Must not own the state directory. If there is no user everseal-net and this line is "
		"absent, it is nobody." },
	  .special = config_set_user, .least_params = 1, .most_params = 1 },
	{ .setting = { "email", SETTING_SPECIAL, .params = "MAIL", .fallback = "", .help =
		"The address that certificate authorities are given as the account's contact." },
	  .special = config_set_email, .least_params = 1, .most_params = 1 },
	{ .setting = { "agree-to-terms", SETTING_SPECIAL, .params = "yes|no", .fallback = "no", .help =
		"Whether you agree to the terms of service of the certificate authorities that are used "
		"here. With *email* and *agree-to-terms yes* every site of this file gets its certificate "
		"by itself; without them it is served with a temporary self-signed one until somebody "
		"registers it." },
	  .special = config_set_agree, .least_params = 1, .most_params = 1 },
	{ .setting = { "issuer", SETTING_SPECIAL, .params = "NAME… | NAME { … }", .fallback = "", .help =
		"With a block: defines a certificate authority that speaks ACME. Without: chooses who "
		"issues for the sites that do not say it themselves; of several the first is asked, and "
		"the next one when it has failed again and again for reasons of its own: it is down, "
		"errs, or a limit of it is reached. The renewal after that begins with the first again. "
		"Built in are letsencrypt, letsencrypt-staging, zerossl and google (which need an *eab*), "
		"buypass and internal, Everseal's own small authority for development and private names: "
		"`everseal issuer root` prints what its certificates are trusted by, and a site that "
		"chooses it needs neither email nor terms. If no line chooses, the first one that defines "
		"an issuer does; without any it is internal for localhost, .test, .internal, names of "
		"one word and addresses of private networks, else letsencrypt. For such names an authority "
		"of the public that is built in is refused." },
	  .special = config_set_issuer, .least_params = 1, .repeats = true,
	  .block = SCOPE_ISSUER },
	{ .setting = { "rehearsal", SETTING_SPECIAL, .params = "yes|no", .fallback = "yes", .help =
		"Whether a name that never had a certificate is first tried on the staging of its "
		"authority, if that has one, so that mistakes do not use up what the authority allows. "
		"See *rehearsal* in the block of *issuer*." },
	  .special = config_set_rehearsals, .least_params = 1, .most_params = 1 },
	{ .setting = { "key-type", SETTING_SPECIAL, .params = "p256|p384|rsa2048|rsa3072|rsa4096…",
		.fallback = "p256", .help =
		"The type of the certificates' keys: an ECDSA one (p256, p384), an RSA one, or one of each, "
		"such as p256 rsa2048. Then each has a certificate of its own: visitors get that with the "
		"ECDSA key where their client can do with it, the other one otherwise. After a change a new "
		"certificate is ordered; the old one is served until it is there." },
	  .special = config_set_key_type, .least_params = 1 },
	{ .setting = { "profile", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"Which of the authority's profiles is ordered; *everseal issuer test* and the page tell "
		"those that it offers. A change counts from the next renewal. Without this line it is the "
		"authority's default." },
	  .special = config_set_profile, .least_params = 1, .most_params = 1 },
	{ .setting = { "preferred-chain", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"Where the authority offers several chains: the one whose last certificate has this common "
		"name as its issuer. If there is none, it is the authority's default." },
	  .special = config_set_preferred_chain, .least_params = 1, .most_params = 1 },
	{ .setting = { "reuse-key", SETTING_SPECIAL, .params = "yes|no", .fallback = "no", .help =
		"Renew with the key of the certificate in use, for those who pin it. Otherwise every "
		"certificate gets a new key; in any case one whose predecessor is revoked for keyCompromise, or whose authority takes that key no more." },
	  .special = config_set_reuse_key, .least_params = 1, .most_params = 1 },
	{ .setting = { "force-ssl", SETTING_SPECIAL, .params = "yes|no", .fallback = "no", .help =
		"Send visitors who come over plain HTTP on to HTTPS. Acts only while a certificate other "
		"than the temporary one is served; challenges are answered before it. Who came to a "
		"*trusted-proxy* by HTTPS, as its X-Forwarded-Proto or, where there is none, its Forwarded "
		"says (proto=https, in what it says of the visitor), is not sent on." },
	  .special = config_set_force_ssl, .least_params = 1, .most_params = 1 },
	{ .setting = { "hsts", SETTING_SPECIAL, .params = "TIME [include-subdomains] [preload] | off",
		.fallback = "", .help =
		"Tell browsers to use nothing but HTTPS for so long (HTTP Strict Transport Security). "
		"*off* tells those that remember to forget it. *preload* needs *include-subdomains* and "
		"at least 1y. Sent over HTTPS only, and only while a certificate other than the temporary "
		"one is served." },
	  .special = config_set_hsts, .least_params = 1 },
	{ .setting = { "resolver", SETTING_SPECIAL, .params = "ADDRESS[:PORT]…", .fallback = "", .help =
		"DNS servers to ask for names of applications, for diagnosis and DNS challenges; port 53 if "
		"none is given. Without this line the system's are asked." },
	  .special = config_set_resolver, .least_params = 1, .repeats = true },
	{ .setting = { "site", SETTING_SPECIAL, .params = "NAME… { … } | * { … }", .fallback = "",
		.help =
		"An application behind these names, all of them in one certificate. *site \\** is what "
		"stands behind every name that has no site of its own." },
	  .special = config_set_site, .least_params = 1, .repeats = true, .block = SCOPE_SITE },
	{ .setting = { "dns-challenge", SETTING_SPECIAL, .params = "{ … }", .fallback = "", .help =
		"How control of names is proven by DNS, which wildcards need and which works without any "
		"port open to the world: by updates of a name server (*update*), by a program of "
		"yours (*program*), or by a zone that is delegated to Everseal (*delegated*)." },
	  .special = config_set_dns_challenge, .block = SCOPE_DNS },
	{ .setting = { "notify", SETTING_SPECIAL,
		.params = "mail ADDRESS { … } | webhook URL { … } | program PATH [ARGUMENT…] [{ … }]",
		.fallback = "", .help =
		"Whom to tell of what happens to certificates: that they were renewed, that it failed, "
		"that they expire, that their CA has revoked them or wants them back, that others are "
		"served; and to CAs: that one does not answer, that a limit is near or reached, that its "
		"terms changed. One message for each matter, and one when it is solved. May be given "
		"several times. A webhook is sent JSON by POST. A program gets five more words: the "
		"event, its level, *open* or *solved*, the name and the text. What cannot be delivered is "
		"tried again for a day. `everseal notify test` tries each. Mailboxes and webhooks can "
		"also be added on the page and by `everseal notify add`; who stands here goes first." },
	  .special = config_set_notify, .least_params = 2, .repeats = true, .block = SCOPE_NOTIFY },
	{ .setting = { "challenge-ports", SETTING_SPECIAL, .params = "{ http PORT; https PORT }",
		.fallback = "", .help =
		"The ports on which the outside world reaches us, if a router or a container maps them to "
		"other ones, or if a test authority asks on others. URLs that Everseal writes carry this "
		"HTTPS port." },
	  .special = config_set_challenge_ports, .block = SCOPE_PORTS },
	{ .setting = { "trusted-proxy", SETTING_SPECIAL, .params = "ADDRESS[/PREFIX]…",
		.fallback = "", .help =
		"Proxies in front of Everseal whose X-Forwarded-… and Forwarded headers are believed. "
		"Everybody else's are dropped, and so are his X-Real-IP, X-Original-…, Front-End-Https and "
		"what else applications take from a proxy. The visitor is then the last address in "
		"X-Forwarded-For, or where there is none in Forwarded, that is not trusted itself; it is "
		"the proxy if what stands there is no address. A malformed Forwarded is answered with 400." },
	  .special = config_set_trusted_proxy, .least_params = 1, .repeats = true },
	{ .setting = { "access-log", SETTING_SPECIAL,
		.params = "off | common|combined|json PATH|stderr", .fallback = "off", .help =
		"A line for each request, in one of Apache's formats or as a JSON object, appended to that "
		"file, or among the server's own lines. Cookies and credentials are never in it; what a "
		"client sends can break no line. The file is opened again by SIGUSR1 and by *everseal "
		"reload*, after it was moved away. A disk that is too slow loses lines, which the server's "
		"log tells, and holds up no request. Status 499: the client left before he was answered. "
		"Everseal may write beneath the directories that this line named when it started, and "
		"/var/log/everseal." },
	  .special = config_set_access_log, .least_params = 1, .most_params = 2 },
	{ .setting = { "tls-policy", SETTING_SPECIAL, .params = "modern|intermediate",
		.fallback = "intermediate", .help =
		"Which TLS is spoken, by Mozilla's recommendations: *intermediate* is TLS 1.2 and 1.3, "
		"which every browser of the last ten years speaks; *modern* is TLS 1.3 alone." },
	  .special = config_set_tls_policy, .least_params = 1, .most_params = 1 },
	{ .setting = { "workers", SETTING_COUNT, offsetof(struct config, workers), .fallback = "0",
		.least = 0, .most = 1024, .restart = true, .help =
		"Threads that serve. 0 is one for each processor." } },
};

/* In a site, and in a route, where they win; headers of both are changed. */
#define RULE_ROWS                                                                                  \
	{ .setting = { "redirect", SETTING_SPECIAL, .params = "TARGET [301|302|303|307|308]",      \
		.fallback = "", .help =                                                            \
		"Answer with a redirect to this URL or path; 302 if no status is given. *$path* "  \
		"stands for the path that was asked for, *$rest* for what of it lies behind the "  \
		"route's own (without the slash between them), *$query* for the query with its "   \
		"question mark, *$host* for the host: *https://www.example.com$path$query*." },     \
	  .special = config_set_redirect, .least_params = 1, .most_params = 2 },                   \
	{ .setting = { "respond", SETTING_SPECIAL, .params = "STATUS [TEXT]", .fallback = "",      \
		.help = "Answer with this status, and this text as text/plain." },                 \
	  .special = config_set_respond, .least_params = 1, .most_params = 2 },                    \
	{ .setting = { "root", SETTING_SPECIAL, .params = "DIRECTORY", .fallback = "", .help =     \
		"Answer with the files beneath this directory; in a route, by what of the path "   \
		"lies behind the route's own. See FILES." },                                       \
	  .special = config_set_root, .least_params = 1, .most_params = 1 },                       \
	{ .setting = { "encode", SETTING_SPECIAL, .params = "gzip | off", .fallback = "off",       \
		.help =                                                                            \
		"Compress text in answers for clients that can read it. Never of answers that set " \
		"cookies, say *no-transform*, are parts of something, or are small." },            \
	  .special = config_set_encode, .least_params = 1, .most_params = 1 },                     \
	{ .setting = { "basic-auth", SETTING_SPECIAL, .params = "USER HASH | off",                 \
		.fallback = "off", .secret = true, .help =                                         \
		"Let in only those who give this name and the password that belongs to this hash, " \
		"which *everseal admin hash* makes. Several lines: several people. A password that " \
		"was right passes for five minutes without being compared again; wrong ones make "  \
		"their address wait longer and longer. The application gets the header, too; "      \
		"*request-header remove Authorization* keeps it from it. Use it with *force-ssl*: " \
		"over plain HTTP passwords can be read on the way." },                             \
	  .special = config_set_basic_auth, .least_params = 1, .most_params = 2,                   \
	  .repeats = true },                                                                       \
	{ .setting = { "forward-auth", SETTING_SPECIAL, .params = "URL [copy NAME…] | off",        \
		.fallback = "off", .help =                                                         \
		"Ask an application whether a request may come in: it gets the head as a GET of "  \
		"this URL, with X-Forwarded-Method and X-Forwarded-Uri. A status of 2xx lets the " \
		"request in, with the headers of that answer named behind *copy*, which clients "  \
		"cannot give themselves; any other answer goes to the client." },                  \
	  .special = config_set_forward_auth, .least_params = 1 },                                 \
	{ .setting = { "allow", SETTING_SPECIAL, .params = "ADDRESS[/PREFIX]… | all",              \
		.fallback = "", .help =                                                            \
		"Who may come; with it, all who are not named may not, and get 403. The narrowest " \
		"of the ranges in *allow* and *deny* that an address lies in decides. A route that " \
		"has either of them does not go by its site's." },                                 \
	  .special = config_set_allow, .least_params = 1, .repeats = true },                       \
	{ .setting = { "deny", SETTING_SPECIAL, .params = "ADDRESS[/PREFIX]… | all",               \
		.fallback = "", .help = "Who may not come, and gets 403." },                       \
	  .special = config_set_deny, .least_params = 1, .repeats = true },                        \
	{ .setting = { "maintenance", SETTING_SPECIAL, .params = "[TEXT] | off", .fallback = "off", \
		.help =                                                                            \
		"Answer with 503, Retry-After and this text, for the time being. Whoever *allow* "  \
		"names still comes through." },                                                    \
	  .special = config_set_maintenance, .most_params = 1 },                                   \
	{ .setting = { "header", SETTING_SPECIAL,                                                  \
		.params = "set NAME VALUE | add NAME VALUE | remove NAME", .fallback = "", .help =  \
		"Change a header of every answer, whoever gives it. All of *remove* comes before "  \
		"*set*, and that before *add*; the site's before the route's. Headers that HTTP "   \
		"itself needs cannot be changed." },                                               \
	  .special = config_set_header, .least_params = 2, .most_params = 3, .repeats = true },    \
	{ .setting = { "request-header", SETTING_SPECIAL,                                          \
		.params = "set NAME VALUE | add NAME VALUE | remove NAME", .fallback = "", .help =  \
		"The same of requests, before the application gets them." },                       \
	  .special = config_set_request_header, .least_params = 2, .most_params = 3,               \
	  .repeats = true }

static const struct row route_rows[] = {
	{ .setting = { "proxy", SETTING_SPECIAL, .params = "UPSTREAM… [{ … }]", .fallback = "", .help =
		"The application for this route, as in a site. It gets the whole path. A route without "
		"*proxy*, *redirect*, *respond* or *root* has rules of its own for what the site answers." },
	  .special = config_set_route_proxy, .least_params = 1, .repeats = true, .block = SCOPE_PROXY },
	RULE_ROWS,
};

static const struct row site_rows[] = {
	{ .setting = { "proxy", SETTING_SPECIAL, .params = "UPSTREAM… [{ … }]", .fallback = "", .help =
		"The application, or several among which requests are shared out: each goes to the one with "
		"the fewest under way. An _UPSTREAM_ is ADDRESS:PORT or NAME:PORT, with http:// in front if "
		"you like, or https:// if it speaks TLS, which is verified, or h2c:// if it speaks HTTP/2 "
		"without TLS, as gRPC does, or unix: and the path of a socket. "
		"localhost is 127.0.0.1. A name is resolved again whenever its DNS records "
		"expire, and each of its addresses is an application of its own; while it cannot be "
		"resolved the last addresses are kept. The block says more of all of them." },
	  .special = config_set_proxy, .least_params = 1, .repeats = true, .block = SCOPE_PROXY },
	{ .setting = { "force-ssl", SETTING_SPECIAL, .params = "yes|no", .fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_force_ssl, .least_params = 1, .most_params = 1 },
	{ .setting = { "hsts", SETTING_SPECIAL, .params = "TIME [include-subdomains] [preload] | off",
		.fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_hsts, .least_params = 1 },
	{ .setting = { "email", SETTING_SPECIAL, .params = "MAIL", .fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_email, .least_params = 1, .most_params = 1 },
	{ .setting = { "issuer", SETTING_SPECIAL, .params = "NAME…", .fallback = "", .help =
		"Who issues this site's certificate: a built-in issuer, or one that the file defines; of "
		"several, as at top level." },
	  .special = config_set_site_issuer, .least_params = 1 },
	{ .setting = { "key-type", SETTING_SPECIAL, .params = "p256|p384|rsa2048|rsa3072|rsa4096…",
		.fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_key_type, .least_params = 1 },
	{ .setting = { "profile", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_profile, .least_params = 1, .most_params = 1 },
	{ .setting = { "preferred-chain", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_preferred_chain, .least_params = 1, .most_params = 1 },
	{ .setting = { "reuse-key", SETTING_SPECIAL, .params = "yes|no", .fallback = "", .help =
		"As at top level, for this site." },
	  .special = config_set_site_reuse_key, .least_params = 1, .most_params = 1 },
	{ .setting = { "dns-challenge", SETTING_SPECIAL, .params = "{ … }", .fallback = "", .help =
		"How control of names is proven by DNS, which wildcards need and which works without any "
		"port open to the world; instead of what the top level says: by updates of a name server (*update*), by a program of "
		"yours (*program*), or by a zone that is delegated to Everseal (*delegated*)." },
	  .special = config_set_site_dns_challenge, .block = SCOPE_DNS },
	{ .setting = { "on-demand", SETTING_SPECIAL, .params = "{ … }", .fallback = "", .help =
		"Certificates for names that are not known beforehand, in *site \\** or a site with a "
		"wildcard: one is issued when a visitor asks for the name, see ON DEMAND. The site's "
		"wildcards get no certificate of their own then." },
	  .special = config_set_on_demand, .block = SCOPE_DEMAND },
	{ .setting = { "challenge", SETTING_SPECIAL, .params = "pass", .fallback = "", .help =
		"Hand requests for challenges that are not ours to the application, which has an ACME "
		"client of its own." },
	  .special = config_set_site_challenge, .least_params = 1, .most_params = 1 },
	{ .setting = { "tls-policy", SETTING_SPECIAL, .params = "modern|intermediate", .fallback = "",
		.help =
		"As at top level, for this site. A request for it on a connection that was made for a site "
		"with another policy or *client-ca* is answered with 421." },
	  .special = config_set_site_tls_policy, .least_params = 1, .most_params = 1 },
	{ .setting = { "client-ca", SETTING_SPECIAL, .params = "FILE", .fallback = "", .help =
		"Serve only clients that show a certificate issued by one of the authorities in FILE, in "
		"PEM, at most ten of them. The application is told by X-Client-Cert-Subject, -Fingerprint "
		"(SHA-256) and -Serial; such headers of clients are dropped. Plain HTTP is redirected. Read "
		"when the configuration is read." },
	  .special = config_set_client_ca, .least_params = 1, .most_params = 1 },
	{ .setting = { "access-log", SETTING_SPECIAL, .params = "off", .fallback = "", .help =
		"Keep this site's requests out of the access log." },
	  .special = config_set_site_access_log, .least_params = 1, .most_params = 1 },
	{ .setting = { "renew-before", SETTING_SPECIAL, .params = "TIME", .fallback = "", .help =
		"Renew when so much of the certificate's life is left, instead of when the authority "
		"suggests it or, failing that, 21 days or a third of its life before the end, whichever is "
		"less. A third of its life passes at least; what is not shorter than that life does not "
		"count, and `everseal status` and `everseal check` say so." },
	  .special = config_set_site_renew_before, .least_params = 1, .most_params = 1 },
	{ .setting = { "route", SETTING_SPECIAL, .params = "PATH { … }", .fallback = "", .help =
		"Rules of its own for a path: */api/* is /api and all beneath it, */status* that path "
		"alone, with or without a slash at its end. Of several routes the one with the longest "
		"path is for a request; what none is for, the site answers itself, or with 404 if it only "
		"has routes. Upper and lower case differ. A path that programs may read in several ways is "
		"refused if these lead to different routes; see PATHS. A name that is registered or added on "
		"the page has the rules of *site \\**; its routes, too, unless it was given an application "
		"of its own." },
	  .special = config_set_route, .least_params = 1, .most_params = 1, .repeats = true,
	  .block = SCOPE_ROUTE },
	RULE_ROWS,
};

static const struct row proxy_rows[] = {
	{ .setting = { "weight", SETTING_SPECIAL, .params = "UPSTREAM NUMBER", .fallback = "1", .help =
		"This one of the applications gets so many times the requests of one with weight 1. From 1 "
		"to 1000." },
	  .special = config_set_weight, .least_params = 2, .most_params = 2, .repeats = true },
	{ .setting = { "sticky", SETTING_SPECIAL, .params = "COOKIE", .fallback = "", .help =
		"Visitors stay with the application that answered them first, by a cookie of this name; "
		"they go to another one when theirs is left out." },
	  .special = config_set_sticky, .least_params = 1, .most_params = 1 },
	{ .setting = { "send-proxy", SETTING_SPECIAL, .params = "v1|v2", .fallback = "", .help =
		"Begin every connection to these applications with the PROXY protocol, which tells them who "
		"the visitor is; they have to expect it. Such a connection serves one visitor's connection "
		"only. Health checks say that they are no visitor's." },
	  .special = config_set_send_proxy, .least_params = 1, .most_params = 1 },
	{ .setting = { "trust", SETTING_SPECIAL, .params = "FILE", .fallback = "", .help =
		"Certificates in PEM that vouch for these applications where they are https://, instead of "
		"the system's: their authority's, or their own. Read when the configuration is read. An "
		"error where none of them is https://." },
	  .special = config_set_upstream_trust, .least_params = 1, .most_params = 1 },
	{ .setting = { "server-name", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"The name that an https:// application is asked for and that its certificate has to have. "
		"Without this line it is the name or IP address by which it is written. An error where none "
		"of them is https://." },
	  .special = config_set_server_name, .least_params = 1, .most_params = 1 },
	{ .setting = { "health", SETTING_SPECIAL, .params = "PATH [{ … }]", .fallback = "", .help =
		"Ask each application for this path again and again, by GET with the address as Host; one "
		"that does not answer as expected is left out until it does." },
	  .special = config_set_health, .least_params = 1, .most_params = 1, .block = SCOPE_HEALTH },
};

static const struct row issuer_rows[] = {
	{ .setting = { "directory", SETTING_SPECIAL, .params = "URL", .fallback = "", .help =
		"The URL of the authority's ACME directory (RFC 8555), which begins with https://. One that is "
		"built in keeps its own." },
	  .special = config_set_directory, .least_params = 1, .most_params = 1 },
	{ .setting = { "rehearsal", SETTING_SPECIAL, .params = "URL | off", .fallback = "", .help =
		"The directory of this authority's staging, on which a name that never had a certificate "
		"is tried first; letsencrypt has one built in. *trust* and *eab* count there, too." },
	  .special = config_set_rehearsal, .least_params = 1, .most_params = 1 },
	{ .setting = { "trust", SETTING_SPECIAL, .params = "FILE", .fallback = "", .help =
		"Certificates in PEM that vouch for the directory's own HTTPS, instead of the system's. "
		"Read when the configuration is read." },
	  .special = config_set_trust, .least_params = 1, .most_params = 1 },
	{ .setting = { "eab", SETTING_SPECIAL, .params = "KID KEY", .fallback = "", .secret = true,
		.help =
		"The key identifier and the key, in base64url, by which the authority ties the account to "
		"a customer (external account binding). The key is best kept elsewhere: see *SECRETS*." },
	  .special = config_set_eab, .least_params = 2, .most_params = 2 },
};

static const struct row port_rows[] = {
	{ .setting = { "http", SETTING_SPECIAL, .params = "PORT", .fallback = "80", .help =
		"The port on which the outside world reaches our plain HTTP." },
	  .special = config_set_port_http, .least_params = 1, .most_params = 1 },
	{ .setting = { "https", SETTING_SPECIAL, .params = "PORT", .fallback = "443", .help =
		"The port on which the outside world reaches our HTTPS." },
	  .special = config_set_port_https, .least_params = 1, .most_params = 1 },
};

static const struct row dns_rows[] = {
	{ .setting = { "update", SETTING_SPECIAL, .params = "ADDRESS[:PORT]", .fallback = "", .help =
		"Records are added and removed by DNS updates (RFC 2136) to this name server, the primary "
		"of the zone. A CNAME at *\\_acme-challenge.NAME* is followed." },
	  .special = config_set_dns_update, .least_params = 1, .most_params = 1 },
	{ .setting = { "zone", SETTING_SPECIAL, .params = "NAME", .fallback = "", .help =
		"The zone that is updated. Without this line the server is asked for it." },
	  .special = config_set_dns_zone, .least_params = 1, .most_params = 1 },
	{ .setting = { "tsig", SETTING_SPECIAL, .params = "KEYNAME HMAC SECRET", .fallback = "",
		.secret = true, .help =
		"The key that updates are signed with (RFC 8945): its name, hmac-sha256, hmac-sha512 or "
		"hmac-sha1, and its secret in base64, as the name server's configuration has them. The "
		"secret is best kept elsewhere: see *SECRETS*. Both clocks have to be right within five "
		"minutes." },
	  .special = config_set_dns_tsig, .least_params = 3, .most_params = 3 },
	{ .setting = { "program", SETTING_SPECIAL, .params = "PATH [ARGUMENT…]", .fallback = "", .help =
		"This program is run with its arguments and five more words: *begin*, *done* or "
		"*failed*, the type (dns-01), the name, the token and the value of the TXT record at "
		"*\\_acme-challenge.NAME*. *begin* adds the record, the others remove it. No shell is "
		"between; the environment is PATH, HOME, USER, LOGNAME and LANG. What it prints is shown "
		"with the attempt; any exit status but 0 is a failure. It may run several times at once, "
		"for different names." },
	  .special = config_set_dns_program, .least_params = 1 },
	{ .setting = { "run-as", SETTING_SPECIAL, .params = "USER", .fallback = "", .help =
		"Whom the program runs as, with the user's own group alone. Needed if Everseal is started "
		"by root; without root it is who Everseal runs as." },
	  .special = config_set_dns_run_as, .least_params = 1, .most_params = 1 },
	{ .setting = { "timeout", SETTING_SPECIAL, .params = "TIME", .fallback = "5min", .help =
		"How long the program may run. It and all that it started are ended then. From 1s to 1h." },
	  .special = config_set_dns_timeout, .least_params = 1, .most_params = 1 },
	{ .setting = { "delegated", SETTING_SPECIAL, .params = "ZONE [NAMESERVER]", .fallback = "",
		.help =
		"Everseal itself answers for this zone, which the zone above delegates to it: an NS record "
		"for ZONE that names NAMESERVER, by default ns.ZONE with its address as glue. Each name then "
		"needs one CNAME record, once; the first attempt says which, on the page and by *everseal "
		"lets-encrypt status*. Of use where nobody may change the names' own zone by program." },
	  .special = config_set_dns_delegated, .least_params = 1, .most_params = 2 },
	{ .setting = { "listen", SETTING_SPECIAL, .params = "ADDRESS[:PORT]…", .fallback = "", .help =
		"Where the delegated zone is answered, by UDP and TCP; port 53 if none is given. The "
		"addresses that are no 0.0.0.0 or [::] are also what is answered for ns.ZONE." },
	  .special = config_set_dns_listen, .least_params = 1 },
	{ .setting = { "persist", SETTING_SPECIAL, .params = "yes|no", .fallback = "no", .help =
		"Prove control by a TXT record at *\\_validation-persist.NAME* that stays (dns-persist-01), "
		"where the authority offers that. The attempt says which record is to be added." },
	  .special = config_set_dns_persist, .least_params = 1, .most_params = 1 },
	{ .setting = { "check", SETTING_SPECIAL, .params = "off | ADDRESS[:PORT]…", .fallback = "",
		.help =
		"Before the authority is told, every name server of the zone is asked until it has the "
		"record. This line names others to ask instead, for zones that look different from here; "
		"*off* asks nobody." },
	  .special = config_set_dns_check, .least_params = 1 },
	{ .setting = { "wait", SETTING_SPECIAL, .params = "TIME", .fallback = "2min", .help =
		"How long that is waited for; then the authority is told all the same. Up to 1h." },
	  .special = config_set_dns_wait, .least_params = 1, .most_params = 1 },
};

static const struct row demand_rows[] = {
	{ .setting = { "ask", SETTING_SPECIAL, .params = "URL", .fallback = "", .secret = true, .help =
		"Ask here whether a name may have a certificate: by GET, with *name* and *client*, the "
		"visitor's address, as parameters of the query. 200 means yes, any other answer no; "
		"while nothing answers, or with a status of 500 and above, handshakes are refused. "
		"Redirects are not followed; there are 10s for the answer." },
	  .special = config_set_demand_ask, .least_params = 1, .most_params = 1 },
	{ .setting = { "allow", SETTING_SPECIAL, .params = "PATTERN…", .fallback = "", .help =
		"Only these names: a name itself, *\\*.example.com* for one label in front, "
		"*\\*\\*.example.com* for one or more. Without *ask* there has to be such a line." },
	  .special = config_set_demand_allow, .least_params = 1, .repeats = true },
	{ .setting = { "budget", SETTING_SPECIAL, .params = "NUMBER/h", .fallback = "10/h", .help =
		"How many names may be ordered for in one hour, whatever became of them. Kept over a "
		"restart. From 1/h to 1000/h." },
	  .special = config_set_demand_budget, .least_params = 1, .most_params = 1 },
};

static const struct row notify_rows[] = {
	{ .setting = { "server", SETTING_SPECIAL, .params = "smtps://HOST[:PORT] | smtp://HOST[:PORT]",
		.fallback = "", .help =
		"Of mail: the server that takes the message. smtps speaks TLS from the start (port 465); "
		"smtp begins without and changes to it by STARTTLS (port 587), but for a server on this "
		"machine, which needs none." },
	  .special = config_set_notify_server, .least_params = 1, .most_params = 1 },
	{ .setting = { "from", SETTING_SPECIAL, .params = "MAIL", .fallback = "", .help =
		"Of mail: the address that messages come from." },
	  .special = config_set_notify_from, .least_params = 1, .most_params = 1 },
	{ .setting = { "user", SETTING_SPECIAL, .params = "NAME PASSWORD", .fallback = "",
		.secret = true, .help =
		"Of mail: as whom to sign in at the server. The password is best kept elsewhere: see "
		"*SECRETS*." },
	  .special = config_set_notify_user, .least_params = 2, .most_params = 2 },
	{ .setting = { "secret", SETTING_SPECIAL, .params = "SECRET", .fallback = "", .secret = true,
		.help =
		"Of a webhook: what its messages are signed with. The header *Everseal-Signature* is "
		"*t=SECONDS,v1=HEX*: HEX is the HMAC-SHA256 under the secret of SECONDS, a full stop and "
		"the body. Refuse what does not fit, and what is older than five minutes. Best kept "
		"elsewhere: see *SECRETS*." },
	  .special = config_set_notify_secret, .least_params = 1, .most_params = 1 },
	{ .setting = { "trust", SETTING_SPECIAL, .params = "FILE", .fallback = "", .help =
		"Of mail and webhooks: certificates in PEM that vouch for the server, instead of the "
		"system's. Read when the configuration is read." },
	  .special = config_set_notify_trust, .least_params = 1, .most_params = 1 },
	{ .setting = { "run-as", SETTING_SPECIAL, .params = "USER", .fallback = "", .help =
		"Of a program: whom it runs as, with the user's own group alone. Needed if Everseal is "
		"started by root; without root it is who Everseal runs as." },
	  .special = config_set_notify_run_as, .least_params = 1, .most_params = 1 },
	{ .setting = { "timeout", SETTING_SPECIAL, .params = "TIME", .fallback = "1min", .help =
		"Of a program: how long it may run. From 1s to 1h." },
	  .special = config_set_notify_timeout, .least_params = 1, .most_params = 1 },
	{ .setting = { "level", SETTING_SPECIAL, .params = "info|warning|problem", .fallback = "info",
		.help =
		"What is told: everything, that it was renewed, too (*info*); what does not go well "
		"(*warning*); what visitors notice, or soon will (*problem*)." },
	  .special = config_set_notify_level, .least_params = 1, .most_params = 1 },
};

static const struct row listener_rows[] = {
	{ .setting = { "proxy-protocol", SETTING_SPECIAL, .params = "", .fallback = "", .help =
		"Every connection to these addresses begins with the PROXY protocol, version 1 or 2, as "
		"HAProxy and the balancers of clouds speak it: what it says is the client's address, and "
		"the one that the client has opened: if it sends no server name, its certificate is that "
		"address's. Only "
		"a *trusted-proxy* may connect there; everybody else's connections are closed." },
	  .special = config_set_proxy_protocol },
};
/* clang-format on */

#define BLOCK(text, rows) { text, rows, sizeof(rows) / sizeof *(rows) }
const struct block config_blocks[SCOPE_COUNT] = {
	[SCOPE_TOP] = BLOCK(NULL, top_rows),
	[SCOPE_SITE] = BLOCK("site NAME { … }", site_rows),
	[SCOPE_ROUTE] = BLOCK("route PATH { … }", route_rows),
	[SCOPE_PROXY] = BLOCK("proxy UPSTREAM { … }", proxy_rows),
	[SCOPE_HEALTH] = { "health PATH { … }", NULL, 0 },
	[SCOPE_ISSUER] = BLOCK("issuer NAME { … }", issuer_rows),
	[SCOPE_PORTS] = BLOCK("challenge-ports { … }", port_rows),
	[SCOPE_LISTENER] = BLOCK("https ADDRESS:PORT { … }", listener_rows),
	[SCOPE_DNS] = BLOCK("dns-challenge { … }", dns_rows),
	[SCOPE_DEMAND] = BLOCK("on-demand { … }", demand_rows),
	[SCOPE_NOTIFY] = BLOCK("notify WAY TO { … }", notify_rows),
};

static struct config_rows handed_in(const struct reader *r, enum scope scope)
{
	return scope == SCOPE_TOP      ? r->source->extra
	       : scope == SCOPE_PROXY  ? r->source->proxy
	       : scope == SCOPE_HEALTH ? r->source->health
	                               : (struct config_rows){ 0 };
}

static size_t row_count(const struct reader *r, enum scope scope)
{
	return config_blocks[scope].count + handed_in(r, scope).count;
}

static struct row row_at(const struct reader *r, enum scope scope, size_t i)
{
	const struct block *b = &config_blocks[scope];
	return i < b->count ? b->rows[i]
	                    : (struct row){ .setting = handed_in(r, scope).at[i - b->count] };
}

static size_t find(const struct reader *r, enum scope scope, struct str name)
{
	size_t i = 0;
	while (i < row_count(r, scope) && !str_eq_c(name, row_at(r, scope, i).setting.name))
		i++;
	return i;
}

/* A word that is unknown here may be at home in another block, or be mistyped. */
static void refuse_unknown(struct reader *r, const struct node *n, enum scope scope)
{
	const struct str name = n->name.text, s = config_shown(name);
	for (enum scope other = SCOPE_TOP; other < SCOPE_COUNT; other++) {
		if (other == scope || find(r, other, name) == row_count(r, other))
			continue;
		if (other == SCOPE_TOP)
			config_problem(&r->problems, n->name.at,
			        "`%.*s` stands at top level, not in a block.", STR_ARG(s));
		else
			config_problem(&r->problems, n->name.at, "`%.*s` stands in a block: `%s`.",
			        STR_ARG(s), config_blocks[other].opens);
		return;
	}
	struct nearest nearest = { .typed = name };
	for (size_t i = 0; i < row_count(r, scope); i++)
		nearest_try(&nearest, row_at(r, scope, i).setting.name);
	if (nearest_is_close(&nearest))
		config_problem(&r->problems, n->name.at,
		        "There is no directive \"%.*s\": did you mean `%s`?", STR_ARG(s),
		        nearest.word);
	else
		config_problem(&r->problems, n->name.at,
		        "There is no directive \"%.*s\": the nearest here is `%s`; "
		        "everseal.conf(5) "
		        "lists all.",
		        STR_ARG(s), nearest.word);
}

bool config_is_rule(struct str directive)
{
	const struct block *b = &config_blocks[SCOPE_ROUTE];
	size_t i = 0;
	while (i < b->count && !str_eq_c(directive, b->rows[i].setting.name))
		i++;
	return str_eq_c(directive, "route") || (i < b->count && !str_eq_c(directive, "proxy"));
}

static const char *params_of(const struct setting *s)
{
	static const char *const texts[] = {
#define X(name, text) [SETTING_##name] = text,
		SETTING_TYPES(X)
#undef X
	};
	return s->params ? s->params : texts[s->type];
}

static bool shape_fits(struct reader *r, const struct row *row, const struct node *n)
{
	const struct setting *s = &row->setting;
	const size_t least = row->special ? row->least_params : 1;
	const size_t most = row->special ? row->most_params : 1;
	const bool unlimited = row->special && most == 0 && row->least_params > 0;
	if (n->param_count < least) {
		config_problem(&r->problems, n->name.at, "`%s` is incomplete: write `%s %s`.",
		        s->name, s->name, params_of(s));
		return false;
	}
	if (!unlimited && n->param_count > most) {
		config_problem(&r->problems, n->params[most].at,
		        "\"%.*s\" is one word too many: write `%s %s`.",
		        STR_ARG(config_shown(n->params[most].text)), s->name, params_of(s));
		return false;
	}
	if (n->block && row->block == SCOPE_TOP) {
		config_problem(&r->problems, n->block_at, "`%s` takes no block: write `%s %s`.",
		        s->name, s->name, params_of(s));
		return false;
	}
	return true;
}

/* Rows without a parser of their own at top level: workers, and those handed in. */
static void read_number(struct reader *r, const struct setting *s, const struct node *n, size_t i)
{
	struct err err = ERR_INIT;
	int64_t value;
	if (!config_value_bounded(s, n->params[0].text, &value, &err))
		config_problem(&r->problems, n->params[0].at, "%s", err.text);
	else if (i >= config_blocks[SCOPE_TOP].count)
		r->c->limits[i - config_blocks[SCOPE_TOP].count].value = value;
	else
		*(uint64_t *)((char *)r->c + s->offset) = (uint64_t)value;
}

void config_rows_defaults(struct reader *r)
{
	struct config *c = r->c;
	c->limits = arena_array(&c->arena, struct config_limit, r->source->extra.count);
	c->limit_count = r->source->extra.count;
	for (size_t i = 0; i < c->limit_count; i++) {
		const struct setting *s = &r->source->extra.at[i];
		struct err err = ERR_INIT;
		c->limits[i].name = s->name;
		CHECK(config_value_bounded(s, str_c(s->fallback), &c->limits[i].value, &err));
	}
}

void config_rows_read(struct reader *r, const struct node *parent, enum scope scope)
{
	struct config_at *seen = arena_array(&r->scratch, struct config_at, row_count(r, scope));
	for (const struct node *n = parent->children; n; n = n->next) {
		const size_t i = find(r, scope, n->name.text);
		if (i == row_count(r, scope)) {
			refuse_unknown(r, n, scope);
			continue;
		}
		const struct row row = row_at(r, scope, i);
		if (seen[i].line && !row.repeats) {
			config_problem(&r->problems, n->name.at,
			        "`%s` was given already, in line %u.", row.setting.name,
			        seen[i].line);
			continue;
		}
		seen[i] = n->name.at;
		if (n->broken || !shape_fits(r, &row, n))
			continue;
		if (row.special)
			row.special(r, n);
		else if (scope == SCOPE_TOP)
			read_number(r, &row.setting, n, i);
		else
			config_set_option(r, &row.setting, &n->params[0]);
	}
}
