#include "issue/board.h"
#include "base/err.h"

/* A link to one serve. */
struct seat {
	struct list node;
	struct link *serve;
	uint32_t bit; /* its own in struct notice's `confirmed` */
};

struct board {
	struct loop *loop;
	struct map notices; /* by token */
	struct list seats, told; /* told: notices whose `ready` fires at the end of this turn */
	struct later later;
};

struct board *board_new(struct loop *loop)
{
	struct board *b = mem_new(struct board);
	b->loop = loop;
	list_init(&b->seats);
	list_init(&b->told);
	return b;
}

void board_free(struct board **board)
{
	struct board *b = *board;
	if (!b)
		return;
	LIST_EACH(n, &b->seats)
		free(OWNER(n, struct seat, node));
	later_stop(&b->later);
	map_done(&b->notices);
	free(b);
	*board = NULL;
}

static void fire(struct later *l)
{
	struct board *b = OWNER(l, struct board, later);
	while (!list_empty(&b->told)) {
		struct notice *n = OWNER(list_first(&b->told), struct notice, waiting);
		list_remove(&n->waiting);
		n->ready(n);
	}
}

/* Tells the owner once every serve answers the token, and there is one. */
static void settle(struct board *b, struct notice *n)
{
	uint32_t all = 0;
	LIST_EACH(s, &b->seats)
		all |= OWNER(s, struct seat, node)->bit;
	if (n->told || !all || (n->confirmed & all) != all)
		return;
	n->told = true;
	list_add_last(&b->told, &n->waiting);
	later_start(&b->later, b->loop, fire);
}

static void send_notice(struct seat *s, const struct notice *n)
{
	link_send(s->serve, challenge, .token = n->token, .thumbprint = n->thumbprint,
		.name = n->name);
}

void board_publish(struct board *b, struct notice *n, void (*ready)(struct notice *n))
{
	n->ready = ready;
	n->told = false;
	n->confirmed = 0;
	map_add(&b->notices, n->token, &n->node);
	LIST_EACH(s, &b->seats)
		send_notice(OWNER(s, struct seat, node), n);
}

void board_withdraw(struct board *b, struct notice *n)
{
	if (!n->token.n || map_find(&b->notices, n->token) != &n->node)
		return;
	map_remove(&b->notices, &n->node);
	list_remove(&n->waiting);
	LIST_EACH(s, &b->seats)
		link_send(OWNER(s, struct seat, node)->serve, challenge_gone, .token = n->token);
}

static uint32_t free_bit(const struct board *b)
{
	uint32_t used = 0;
	LIST_EACH(n, &b->seats)
		used |= OWNER(n, struct seat, node)->bit;
	CHECK(~used);
	return ~used & (used + 1);
}

void board_attach(struct board *b, struct link *serve)
{
	struct seat *s = mem_new(struct seat);
	s->serve = serve;
	s->bit = free_bit(b);
	list_add_last(&b->seats, &s->node);
	MAP_EACH(n, &b->notices)
		send_notice(s, OWNER(n, struct notice, node));
}

static struct seat *seat_of(struct board *b, const struct link *serve)
{
	LIST_EACH(n, &b->seats)
		if (OWNER(n, struct seat, node)->serve == serve)
			return OWNER(n, struct seat, node);
	return NULL;
}

void board_detach(struct board *b, struct link *serve)
{
	struct seat *gone = seat_of(b, serve);
	if (!gone)
		return;
	list_remove(&gone->node);
	MAP_EACH(m, &b->notices) {
		struct notice *n = OWNER(m, struct notice, node);
		n->confirmed &= ~gone->bit;
		settle(b, n);
	}
	free(gone);
}

void board_heard_ready(struct board *b, struct link *serve, struct str token)
{
	struct map_node *m = map_find(&b->notices, token);
	const struct seat *s = seat_of(b, serve);
	if (!m || !s)
		return;
	struct notice *n = OWNER(m, struct notice, node);
	n->confirmed |= s->bit;
	settle(b, n);
}
