#include "issue/board.h"
#include "base/err.h"
#include "base/secret.h"

/* A link to one serve. */
struct seat {
	struct list node;
	struct link *serve;
	uint32_t bit; /* its own in struct post's `confirmed` */
};

/* What stands for one token. */
struct post {
	struct map_node node; /* by token */
	struct board *board;
	char *token, *thumbprint, *name;
	struct secret leaf, key; /* empty: it is proved by HTTP */
	struct list notices;     /* those who want it there */
	uint32_t confirmed;      /* one bit per serve that answers it */
};

struct board {
	struct loop *loop;
	struct map posts;
	struct list seats;
};

struct board *board_new(struct loop *loop)
{
	struct board *b = mem_new(struct board);
	b->loop = loop;
	list_init(&b->seats);
	return b;
}

void board_free(struct board **board)
{
	struct board *b = *board;
	if (!b)
		return;
	CHECK(!b->posts.count);
	LIST_EACH (n, &b->seats)
		free(OWNER(n, struct seat, node));
	map_done(&b->posts);
	free(b);
	*board = NULL;
}

static void tell(struct later *l)
{
	struct notice *n = OWNER(l, struct notice, later);
	n->ready(n);
}

/* Tells the owners once every serve answers the token, and there is one. */
static void settle(struct post *p)
{
	uint32_t all = 0;
	LIST_EACH (s, &p->board->seats)
		all |= OWNER(s, struct seat, node)->bit;
	if (!all || (p->confirmed & all) != all)
		return;
	LIST_EACH (n, &p->notices) {
		struct notice *notice = OWNER(n, struct notice, node);
		if (!notice->told)
			later_start(&notice->later, p->board->loop, tell);
		notice->told = true;
	}
}

static void send_post(const struct seat *s, const struct post *p)
{
	if (p->leaf.n)
		link_send(s->serve, challenge_tls, .token = str_c(p->token),
		        .server_name = str_c(p->name), .leaf = secret_bytes(&p->leaf),
		        .key = secret_bytes(&p->key));
	else
		link_send(s->serve, challenge, .token = str_c(p->token),
		        .thumbprint = str_c(p->thumbprint), .name = str_c(p->name));
}

static struct post *post_new(struct board *b, const struct notice_text *text)
{
	struct post *p = mem_new(struct post);
	p->board = b;
	p->token = str_dup(text->token);
	p->thumbprint = str_dup(text->thumbprint);
	p->name = str_dup(text->name);
	p->leaf = secret_copy(text->leaf);
	p->key = secret_copy(text->key);
	list_init(&p->notices);
	map_add(&b->posts, str_c(p->token), &p->node);
	LIST_EACH (s, &b->seats)
		send_post(OWNER(s, struct seat, node), p);
	return p;
}

static void post_free(struct post *p)
{
	LIST_EACH (s, &p->board->seats)
		link_send(OWNER(s, struct seat, node)->serve, challenge_gone,
		        .token = str_c(p->token));
	map_remove(&p->board->posts, &p->node);
	free(p->token);
	free(p->thumbprint);
	free(p->name);
	secret_done(&p->leaf);
	secret_done(&p->key);
	free(p);
}

static struct post *post_of(const struct board *b, struct str token)
{
	struct map_node *n = map_find(&b->posts, token);
	return n ? OWNER(n, struct post, node) : NULL;
}

void board_publish(struct board *b, struct notice *n, const struct notice_text *text,
        void (*ready)(struct notice *n))
{
	struct post *p = post_of(b, text->token);
	n->post = p ? p : post_new(b, text);
	n->ready = ready;
	n->told = false;
	list_add_last(&n->post->notices, &n->node);
	settle(n->post);
}

void board_withdraw(struct notice *n)
{
	struct post *p = n->post;
	if (!p)
		return;
	n->post = NULL;
	later_stop(&n->later);
	list_remove(&n->node);
	if (list_empty(&p->notices))
		post_free(p);
}

static uint32_t free_bit(const struct board *b)
{
	uint32_t used = 0;
	LIST_EACH (n, &b->seats)
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
	MAP_EACH (n, &b->posts)
		send_post(s, OWNER(n, struct post, node));
}

static struct seat *seat_of(struct board *b, const struct link *serve)
{
	LIST_EACH (n, &b->seats)
		if (OWNER(n, struct seat, node)->serve == serve)
			return OWNER(n, struct seat, node);
	return NULL;
}

/* Whoever was told that it is answered may rely on it no longer. */
static void lapse(struct post *p)
{
	LIST_EACH (n, &p->notices) {
		struct notice *notice = OWNER(n, struct notice, node);
		if (notice->told && notice->lapsed)
			notice->lapsed(notice);
	}
}

void board_detach(struct board *b, struct link *serve)
{
	struct seat *gone = seat_of(b, serve);
	if (!gone)
		return;
	list_remove(&gone->node);
	MAP_EACH (m, &b->posts) {
		struct post *p = OWNER(m, struct post, node);
		p->confirmed &= ~gone->bit;
		if (!p->confirmed)
			lapse(p);
		settle(p);
	}
	free(gone);
}

void board_heard_seen(struct board *b, struct str token, struct str client)
{
	struct post *p = post_of(b, token);
	if (!p)
		return;
	LIST_EACH (n, &p->notices) {
		struct notice *notice = OWNER(n, struct notice, node);
		if (notice->seen)
			notice->seen(notice, client);
	}
}

void board_heard_ready(struct board *b, struct link *serve, struct str token)
{
	struct post *p = post_of(b, token);
	const struct seat *s = seat_of(b, serve);
	if (!p || !s)
		return;
	p->confirmed |= s->bit;
	settle(p);
}
