/* Setup links: a token of 256 random bits that makes one administrator, once, within half an hour.
 * Only its hash is kept; used and expired ones for a week, so that we can say so. */
#include "portal/people.h"

#define KEPT (7 * DAY)
static const char link_label[] = "everseal setup link";

struct setup_link {
	struct map_node node; /* by hash */
	struct row row;
	char hash[DIGEST_HEX + 1];
	int64_t created, used; /* used 0: not yet */
	bool taken;            /* by a request that is under way */
};
static struct map links;

static struct setup_link *link_of_row(const struct row *r)
{
	return OWNER((struct row *)r, struct setup_link, row);
}

static void write_link(
        const struct row *r, struct json_writer *w, int64_t version, struct buf *blob)
{
	(void)version, (void)blob;
	json_write_time(w, "created", link_of_row(r)->created);
	json_write_time(w, "used", link_of_row(r)->used);
}

static void link_free(struct setup_link *l)
{
	row_done(&l->row);
	map_remove(&links, &l->node);
	free(l);
}

static void removed(struct row *r)
{
	link_free(link_of_row(r));
}

static const struct row_kind link_kind = {
	.name = STR_INIT("setup-link"),
	.write = write_link,
	.removed = removed,
};

static struct setup_link *link_make(struct str hash)
{
	struct setup_link *l = mem_new(struct setup_link);
	snprintf(l->hash, sizeof l->hash, "%.*s", STR_ARG(hash));
	row_init(&l->row, &link_kind, l->hash, 0);
	map_add(&links, str_c(l->hash), &l->node);
	return l;
}

struct load {
	struct store_scan scan;
	struct err *err;
};

static bool load_link(struct store_scan *scan, const struct record *record)
{
	struct load *load = OWNER(scan, struct load, scan);
	JSON_AUTO *value = json_parse(record->value, "A link's record", load->err);
	if (!value || record->id.n != DIGEST_HEX)
		return true;
	struct setup_link *l = link_make(record->id);
	l->row.version = record->version;
	clock_from_rfc3339(json_text(value, "created"), &l->created);
	clock_from_rfc3339(json_text(value, "used"), &l->used);
	return true;
}

bool links_load(struct err *err)
{
	struct load l = { .scan.each = load_link, .err = err };
	return store_each(portal.store, STR("setup-link"), &l.scan, err);
}

void links_close(void)
{
	MAP_EACH (n, &links)
		link_free(OWNER(n, struct setup_link, node));
	map_done(&links);
	links = (struct map)MAP_INIT;
}

/* Those that are no longer spoken of, and the oldest of too many. */
static void forget_old(void)
{
	struct setup_link *oldest = NULL;
	size_t count = 0;
	MAP_EACH (n, &links) {
		struct setup_link *l = OWNER(n, struct setup_link, node);
		if (l->row.leaving)
			continue;
		if (l->created + KEPT < loop_wall(portal.loop)) {
			row_remove(&l->row, NULL);
			continue;
		}
		count++;
		if (!oldest || l->created < oldest->created)
			oldest = l;
	}
	if (count >= LINKS_MOST)
		row_remove(&oldest->row, NULL);
}

void link_new(struct str origin, struct buf *ret_link, int64_t *ret_expires, struct row_wait *wait)
{
	SECRET_AUTO random = token_new(TOKEN_BYTES);
	BUF_AUTO token = BUF_SECRET_INIT(64);
	char hash[DIGEST_HEX + 1];
	forget_old();
	buf_add_base64url(&token, secret_bytes(&random));
	token_digest(link_label, buf_str(&token), hash);
	struct setup_link *l = link_make(str_c(hash));
	l->created = loop_wall(portal.loop);
	row_save(&l->row, wait);
	buf_add(ret_link, origin);
	buf_add_c(ret_link, "/#setup=");
	buf_add(ret_link, buf_str(&token));
	*ret_expires = l->created + LINK_LIFE;
}

static struct setup_link *find(struct str token)
{
	char hash[DIGEST_HEX + 1];
	token_digest(link_label, token, hash);
	struct map_node *n = map_find(&links, str_c(hash));
	struct setup_link *l = n ? OWNER(n, struct setup_link, node) : NULL;
	return l && !l->row.leaving ? l : NULL;
}

#define ANOTHER ERR_REMEDY "Make a new one on the server: `everseal admin link`."

bool link_is_good(struct str token, struct call_failure *f, struct err *err)
{
	const struct setup_link *l = find(token);
	char when[CLOCK_TEXT];
	f->status = l ? 410 : 404;
	f->code = l ? "used" : NULL;
	if (!l)
		return err_set(err, ERR_NOT_FOUND,
		        "This link is not known here: it is another server's, or too old." ANOTHER);
	if (l->used)
		return err_set(err, ERR_CONFLICT,
		        "This link was used on %s; make a new one there: `everseal admin link`",
		        clock_rfc3339(l->used, when));
	if (l->taken)
		return err_set(
		        err, ERR_CONFLICT, "This link is being used at this moment." ANOTHER);
	if (loop_wall(portal.loop) >= l->created + LINK_LIFE)
		return err_set(err, ERR_CONFLICT,
		        "This link expired on %s; make a new one there: `everseal admin link`",
		        clock_rfc3339(l->created + LINK_LIFE, when));
	f->status = 0;
	return true;
}

void link_take(struct str token)
{
	struct setup_link *l = find(token);
	if (l)
		l->taken = true;
}

void link_put_back(struct str token)
{
	struct setup_link *l = find(token);
	if (l)
		l->taken = false;
}

void link_use(struct str token)
{
	struct setup_link *l = find(token);
	if (!l)
		return;
	l->taken = false;
	l->used = loop_wall(portal.loop);
	row_save(&l->row, NULL);
}
