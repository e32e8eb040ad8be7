/* What portal is made of, opened and closed; and its first word to somebody who has no account. */
#include "portal/assets.h"
#include "portal/diagnosis.h"
#include "portal/events.h"
#include "portal/hashing.h"
#include "portal/people.h"
#include "portal/sites.h"
#include "portal/targets.h"
#include "portal/throttle.h"
#include "portal/wish.h"

struct portal_needs portal;
struct portal_host *portal_host;
struct renewals *portal_renewals;

static struct {
	struct row_wait wait;
	struct buf link;
} greeting;

static bool load(struct err *err)
{
	return people_load(err) && sessions_load(err) && tokens_load(err) && links_load(err) &&
	       audit_load(err) && targets_load(err);
}

bool portal_open(const struct portal_needs *needs, struct err *err)
{
	portal = *needs;
	portal_host = needs->host;
	portal_renewals = needs->renewals;
	assets_from(needs->dev_page);
	hashing_open(needs->loop);
	events_open();
	if (!load(err))
		return false;
	sites_open();
	diagnosis_open();
	feed_open();
	return true;
}

void portal_close(void)
{
	if (!portal.loop)
		return;
	row_wait_abort(&greeting.wait);
	buf_done(&greeting.link);
	wishes_close();
	feed_close();
	diagnosis_close();
	lookups_close();
	trials_close();
	sites_close();
	events_close();
	targets_close();
	audit_close();
	links_close();
	tokens_close();
	sessions_close();
	people_close();
	throttle_clear();
	hashing_close();
	portal = (struct portal_needs){ 0 };
}

/* ---- where the page is ---- */

bool page_is_on(struct err *err)
{
	if (portal_host->ops->config(portal_host)->page_listen.host.n)
		return true;
	return err_set(err, ERR_CONFLICT,
	        "The configuration says `page off`: a link would lead nowhere." ERR_REMEDY
	        "Give the page an address, such as `page 127.0.0.1:8007`, then `everseal reload`.");
}

/* What a browser on this machine can open: an address that stands for all is this machine's own. */
void page_url(struct buf *out)
{
	const struct config *config = portal_host->ops->config(portal_host);
	const struct address *at = &config->page_listen;
	struct str host = config->page_name.n ? config->page_name : at->host;
	struct sockaddr_storage address;
	bool known = address_parse(at->host, at->port, &address);
	if (!config->page_name.n && known && address_is_any(&address))
		host = STR("localhost");
	bool six = str_has(host, ':');
	buf_printf(out, "http%s://%s%.*s%s:%u", known && address_is_loopback(&address) ? "" : "s",
	        six ? "[" : "", STR_ARG(host), six ? "]" : "", at->port);
}

/* ---- the first link ---- */

static void link_stored(struct row_wait *w, const struct err *err)
{
	(void)w;
	if (err)
		log_error(portal.log, "The setup link could not be stored: %s", err->text);
	else
		fprintf(stderr,
		        "\nOpen this to make the first administrator (within 30 minutes, once):\n"
		        "  %s\n\n",
		        buf_c(&greeting.link));
	buf_done(&greeting.link);
}

void portal_greet(void)
{
	BUF_AUTO origin = BUF_INIT(1024);
	int64_t expires;
	struct err off = ERR_INIT;
	if (people_any() || !page_is_on(&off))
		return;
	if (!isatty(STDERR_FILENO)) {
		log_info(portal.log,
		        "The page has no administrator yet: run `everseal admin link` and open the "
		        "link that it prints.");
		return;
	}
	page_url(&origin);
	greeting.link = BUF_SECRET(2048);
	greeting.wait.done = link_stored;
	link_new(buf_str(&origin), &greeting.link, &expires, &greeting.wait);
}
