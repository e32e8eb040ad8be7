/* What a step may answer: go on, wait, fail in so many words. */
#include "acme/step.h"

#include "base/url.h"
#include <stdarg.h>

struct next go_to(enum acme_step step)
{
	return (struct next){ .what = FLOW_GO, .step = step };
}

struct next go_to_name(enum acme_step step, size_t at)
{
	return (struct next){ .what = FLOW_GO, .step = step, .at = at };
}

struct next go_first(const struct flow *f)
{
	if (f->directory.new_order.n == 0)
		return go_to(ACME_STEP_directory);
	if (f->order.n == 0 && !f->revoke.n && !profile_known(f))
		return fail_profile(f);
	if (f->account.n == 0 && !f->by_key)
		return go_to(ACME_STEP_account);
	if (f->revoke.n)
		return go_revoke(f);
	if (f->change)
		return go_change(f);
	return go_to(f->order.n == 0 ? ACME_STEP_order : ACME_STEP_await);
}

struct next go_names(const struct flow *f)
{
	for (size_t i = 0; i < f->name_count; i++)
		if (!f->names[i].valid && f->names[i].challenge.n == 0)
			return go_to_name(ACME_STEP_authz, i);
	for (size_t i = 0; i < f->name_count; i++)
		if (!f->names[i].valid && !f->names[i].answered)
			return go_to_name(ACME_STEP_answer, i);
	return go_to(ACME_STEP_await);
}

struct next fail(enum err_code code, const char *format, ...)
{
	char text[sizeof(((struct err *)0)->text)];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	struct next n = { .what = FLOW_FAIL,
		.ca_at_fault = code == ERR_UNREACHABLE || code == ERR_PROTOCOL ||
		               code == ERR_TIMEOUT || code == ERR_LIMIT };
	err_set(&n.err, code, "%s", text);
	return n;
}

static const char *step_noun(enum acme_step step)
{
	static const char *const nouns[] = {
		[ACME_STEP_directory] = "the directory",
		[ACME_STEP_account] = "the account",
		[ACME_STEP_order] = "the order",
		[ACME_STEP_authz] = "the authorization",
		[ACME_STEP_answer] = "the answer to the challenge",
		[ACME_STEP_await] = "the state of the order",
		[ACME_STEP_finalize] = "the certificate request",
		[ACME_STEP_download] = "the certificate",
		[ACME_STEP_revoke] = "the revocation",
		[ACME_STEP_contact] = "the account's contact",
		[ACME_STEP_rollover] = "the account's next key",
		[ACME_STEP_which_key] = "the account's next key",
		[ACME_STEP_which_old] = "the account's key",
		[ACME_STEP_deactivate] = "the end of the account",
	};
	return nouns[step];
}

/* " of shop.example.com" where a step is about one name. */
static struct str of_name(const struct flow *f)
{
	return f->step == ACME_STEP_authz || f->step == ACME_STEP_answer ? f->names[f->at].name
	                                                                 : STR_NONE;
}

static const char *of(const struct flow *f)
{
	return of_name(f).n ? " of " : "";
}

struct next not_acme(struct flow *f, const struct answer *a, const char *lacks)
{
	const struct str ca = ca_of(f), name = of_name(f);
	if (!a->body || a->reply->status >= 300 || a->reply->status < 200)
		return fail(ERR_PROTOCOL,
		        "%.*s answered about %s%s%.*s with HTTP %u and %s, which is "
		        "not ACME." ERR_REMEDY "Check the "
		        "issuer's directory URL %.*s, and what stands between here and there.",
		        STR_ARG(ca), step_noun(f->step), of(f), STR_ARG(name), a->reply->status,
		        body_words(a->reply->body), STR_ARG(f->directory_url));
	return fail(ERR_PROTOCOL,
	        "The answer of %.*s about %s%s%.*s has no usable %s, so that it cannot be "
	        "followed." ERR_REMEDY "Try "
	        "again; if it comes back, ask the CA or choose another issuer.",
	        STR_ARG(ca), step_noun(f->step), of(f), STR_ARG(name), lacks);
}

/* A link for people to open: no script, no path of ours. */
static bool is_page(struct str link)
{
	struct url url;
	struct err no_url;
	return link.n && url_parse(link, &url, &no_url);
}

struct str problem_page(const struct flow *f)
{
	const struct str link = f->problem.instance, detail = f->problem.detail;
	if (is_page(link))
		return link;
	/* Let's Encrypt puts it into the words, with more of them behind it. */
	const char *at = detail.n ? memmem(detail.p, detail.n, "https://", 8) : NULL;
	struct str rest = at ? str_from(detail, (size_t)(at - detail.p)) : STR_NONE,
	           page = STR_NONE;
	str_split(&rest, ' ', &page);
	while (page.n && strchr(".,;:)", page.p[page.n - 1]))
		page.n--;
	return is_page(page) ? page : STR_NONE;
}

struct next refused(struct flow *f, const struct answer *a)
{
	const struct str ca = ca_of(f), name = of_name(f), words = problem_words(f);
	if (words.n == 0)
		return not_acme(f, a, "");
	const struct str type = f->problem.type, link = f->problem.instance;
	/* RFC 8555 7.3.3: the page that tells what to agree to */
	const bool act = str_eq_c(type, "userActionRequired") && is_page(link);
	struct next n = fail(ERR_REFUSED, "%.*s refused %s%s%.*s: %.*s." ERR_REMEDY "%s%.*s%s",
	        STR_ARG(ca), step_noun(f->step), of(f), STR_ARG(name), STR_ARG(words),
	        act ? "Do what it asks for on " : problem_advice(type),
	        STR_ARG(act ? link : STR_NONE), act ? " and try again." : "");
	n.ca_at_fault = str_eq_c(type, "serverInternal");
	return n;
}

struct next change_ended(const struct flow *f, enum err_code code, struct str why)
{
	if (f->in_doubt)
		return fail(code, "%.*s did not say which key the account has: %.*s",
		        STR_ARG(ca_of(f)), STR_ARG(why));
	if (f->change_sent)
		return fail(code,
		        "%.*s did not say whether the account is changed: %.*s" ERR_REMEDY
		        "Ask for the change once more when it answers.",
		        STR_ARG(ca_of(f)), STR_ARG(why));
	return fail(code,
	        "The account at %.*s is not changed: %.*s" ERR_REMEDY
	        "Ask for the change once more when it answers.",
	        STR_ARG(ca_of(f)), STR_ARG(why));
}

static struct next waited_long(struct flow *f, const struct answer *a)
{
	const int64_t begun = f->deadline_most - ATTEMPT_MOST;
	const long long minutes = (a->reply->now - begun + MINUTE / 2) / MINUTE;
	if (f->change)
		return change_ended(f, ERR_TIMEOUT,
		        arena_printf(&f->problem_arena, "no answer came in %lld minutes, %.*s.",
		                minutes, STR_ARG(f->waiting_for)));
	return fail(ERR_TIMEOUT,
	        "No certificate came from %.*s in %lld minutes: %.*s." ERR_REMEDY
	        "It is tried again; if it "
	        "comes back, "
	        "look whether the CA reports an outage, or choose another issuer.",
	        STR_ARG(ca_of(f)), minutes, STR_ARG(f->waiting_for));
}

static struct next told_to_wait(struct flow *f, const struct answer *a, int64_t until)
{
	char text[CLOCK_TEXT];
	const struct str words = a->reply->status >= 400 ? problem_words(f) : STR_NONE;
	struct next n;
	if (f->change)
		n = change_ended(f, ERR_LIMIT,
		        arena_printf(&f->problem_arena, "it asks to wait until %s%s%.*s.",
		                clock_rfc3339(until, text), words.n ? ": " : "", STR_ARG(words)));
	else
		n = fail(ERR_LIMIT,
		        "%.*s asks to wait until %s%s%.*s." ERR_REMEDY
		        "Nothing to do: it is tried again then.",
		        STR_ARG(ca_of(f)), clock_rfc3339(until, text), words.n ? ": " : "",
		        STR_ARG(words));
	n.not_before = until;
	return n;
}

struct next later(struct flow *f, const struct answer *a, struct next n, int64_t own)
{
	const int64_t asked = a->reply->retry_after < WAIT_MOST ? a->reply->retry_after : WAIT_MOST;
	n.after = asked > own ? asked : own;
	if (asked > own)
		f->deadline += asked;
	if (f->deadline > f->deadline_most)
		f->deadline = f->deadline_most;
	if (a->reply->now + n.after <= f->deadline)
		return n;
	return asked > own ? told_to_wait(f, a, a->reply->now + asked) : waited_long(f, a);
}

struct next poll_again(
        struct flow *f, const struct answer *a, enum acme_step step, const char *words)
{
	const int64_t own = f->poll_wait;
	f->polls++;
	f->poll_wait = own * 3 / 2 < POLL_MOST ? own * 3 / 2 : POLL_MOST;
	f->waiting_for = str_c(words);
	return later(f, a, go_to(step), own);
}
