#include "issue/http01.h"

struct http01 {
	struct prover prover;
	struct board *board;
	struct approach *approach;
};

/* A proof's token on the board. */
struct pinned {
	struct notice notice;
	struct proving *proving;
};

static void ready(struct notice *n)
{
	struct proving *at = OWNER(n, struct pinned, notice)->proving;
	at->ready(at, NULL);
}

static void seen(struct notice *n, struct str client)
{
	struct proving *at = OWNER(n, struct pinned, notice)->proving;
	if (at->seen)
		at->seen(at, client);
}

static void lapsed(struct notice *n)
{
	OWNER(n, struct pinned, notice)->proving->lapsed = true;
}

/* Whether the CA reaches us beyond that is found out by trying. */
static bool can(struct prover *p, struct str name, struct err *ret_why_not)
{
	struct approach *a = OWNER(p, struct http01, prover)->approach;
	(void)name;
	return !a || a->open(a, ret_why_not);
}

static void place(struct prover *p, struct proving *at, const struct proof_text *text)
{
	struct pinned *pinned = mem_new(struct pinned);
	at->state = pinned;
	pinned->proving = at;
	pinned->notice = (struct notice){ .seen = seen, .lapsed = lapsed };
	board_publish(OWNER(p, struct http01, prover)->board, &pinned->notice,
	        &(struct notice_text){
	                .token = text->token, .thumbprint = text->thumbprint, .name = text->name },
	        ready);
}

static void withdraw(struct proving *at, bool valid)
{
	struct pinned *pinned = at->state;
	(void)valid;
	board_withdraw(&pinned->notice);
	free(pinned);
	at->state = NULL;
}

static const struct prover_ops ops = { .can = can, .place = place, .withdraw = withdraw };

struct prover *http01_new(struct board *b, struct approach *approach)
{
	struct http01 *h = mem_new(struct http01);
	h->prover.ops = &ops;
	h->board = b;
	h->approach = approach;
	return &h->prover;
}

void http01_free(struct prover **p)
{
	if (*p)
		free(OWNER(*p, struct http01, prover));
	*p = NULL;
}
