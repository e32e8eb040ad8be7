#include "internal.h"

void write_free(struct store_write **w)
{
	if (!*w)
		return;
	for (struct store_op *op = (*w)->first, *next; op; op = next) {
		next = op->next;
		free(op);
	}
	free((*w)->err);
	free(*w);
	*w = NULL;
}

void batch_add(struct store_batch *b, struct store_write *w)
{
	if (b->last)
		b->last->next = w;
	else
		b->first = w;
	b->last = w;
}

void batch_free(struct store_batch **b)
{
	for (struct store_write *w = (*b)->first, *next; w; w = next) {
		next = w->next;
		write_free(&w);
	}
	free(*b);
	*b = NULL;
}

void store_tx_init(struct store_tx *tx)
{
	*tx = (struct store_tx){ 0 };
}

static struct str copy(char **room, struct str s)
{
	struct str kept = { *room, s.n };
	if (s.n)
		memcpy(*room, s.p, s.n);
	*room += s.n;
	return kept;
}

static void add_op(struct store_tx *tx, const struct store_op *from)
{
	CHECK(!tx->store && from->kind.n && from->id.n && from->replaces >= 0);
	size_t bytes = from->kind.n + from->id.n + from->value.n + from->blob.n;
	struct store_op *op = mem_alloc(sizeof *op + bytes);
	char *room = op->bytes;
	op->removes = from->removes;
	op->replaces = from->replaces;
	op->kind = copy(&room, from->kind);
	op->id = copy(&room, from->id);
	op->value = copy(&room, from->value);
	op->blob = copy(&room, from->blob);
	if (!tx->write)
		tx->write = mem_new(struct store_write);
	if (tx->write->last)
		tx->write->last->next = op;
	else
		tx->write->first = op;
	tx->write->last = op;
}

void store_tx_put(struct store_tx *tx, struct str kind, struct str id, int64_t replaces,
        struct str value, struct str blob)
{
	add_op(tx, &(struct store_op){ .kind = kind,
	                   .id = id,
	                   .replaces = replaces,
	                   .value = value,
	                   .blob = blob });
}

void store_tx_delete(struct store_tx *tx, struct str kind, struct str id, int64_t replaces)
{
	add_op(tx, &(struct store_op){
	                   .kind = kind, .id = id, .replaces = replaces, .removes = true });
}

void store_tx_abort(struct store_tx *tx)
{
	if (tx->store)
		tx->write->tx = NULL;
	else
		write_free(&tx->write);
	tx->store = NULL;
	tx->write = NULL;
}
