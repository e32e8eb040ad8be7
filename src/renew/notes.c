/* Writes that nobody waits for: what CAs say of certificates, which a start can ask again. */
#include "renew/private.h"

struct note {
	struct list node;
	struct renewals *renewals;
	struct store_tx tx;
};

static void note_free(struct note *n)
{
	list_remove(&n->node);
	free(n);
}

static void stored(struct store_tx *tx, const struct err *err)
{
	struct note *n = OWNER(tx, struct note, tx);
	if (err)
		log_warning(n->renewals->needs.log,
		        "What a CA says of a certificate could not be stored, the next start asks "
		        "again: %s",
		        err->text);
	note_free(n);
}

static struct note *note_new(struct renewals *r)
{
	struct note *n = mem_new(struct note);
	n->renewals = r;
	store_tx_init(&n->tx);
	list_add_last(&r->notes, &n->node);
	return n;
}

static int64_t version_of(struct renewals *r, struct str kind, struct str id)
{
	BUF_AUTO text = BUF(1024);
	buf_add(&text, id);
	return stored_version(r, kind, buf_c(&text));
}

void note_put(struct renewals *r, struct str kind, struct str id, struct str value, struct str blob)
{
	struct note *n = note_new(r);
	store_tx_put(&n->tx, kind, id, version_of(r, kind, id), value, blob);
	store_tx_start(r->needs.store, &n->tx, stored);
}

void note_delete(struct renewals *r, struct str kind, struct str id)
{
	const int64_t version = version_of(r, kind, id);
	if (!version)
		return;
	struct note *n = note_new(r);
	store_tx_delete(&n->tx, kind, id, version);
	store_tx_start(r->needs.store, &n->tx, stored);
}

void notes_stop(struct renewals *r)
{
	LIST_EACH (l, &r->notes) {
		struct note *n = OWNER(l, struct note, node);
		store_tx_abort(&n->tx);
		note_free(n);
	}
}
