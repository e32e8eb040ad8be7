#include "issue/alpn01.h"
#include "base/clock.h"
#include "base/ip.h"
#include "keys/keys.h"

/* Clocks of CAs and ours differ; proofs take minutes. */
#define BEFORE DAY
#define AFTER  (7 * DAY)

struct alpn01 {
	struct prover prover;
	struct loop *loop;
	struct board *board;
	struct approach *approach;
};

/* A proof's certificate on the board. */
struct shown {
	struct notice notice;
	struct proving *proving;
	struct later failed; /* instead of it */
	struct err err;
};

static void ready(struct notice *n)
{
	struct proving *at = OWNER(n, struct shown, notice)->proving;
	at->ready(at, NULL);
}

static void seen(struct notice *n, struct str client)
{
	struct proving *at = OWNER(n, struct shown, notice)->proving;
	if (at->seen)
		at->seen(at, client);
}

static void lapsed(struct notice *n)
{
	OWNER(n, struct shown, notice)->proving->lapsed = true;
}

static void fail_later(struct later *l)
{
	struct shown *s = OWNER(l, struct shown, failed);
	s->proving->ready(s->proving, &s->err);
}

/* Whether the CA reaches us beyond that is found out by trying. */
static bool can(struct prover *p, struct str name, struct err *ret_why_not)
{
	struct approach *a = OWNER(p, struct alpn01, prover)->approach;
	(void)name;
	return !a || a->open(a, ret_why_not);
}

/* RFC 3596 2.5 */
static void add_nibbles(const unsigned char *address, size_t n, struct buf *out)
{
	while (n-- > 0)
		buf_printf(out, "%x.%x.", address[n] & 0xf, address[n] >> 4);
	buf_add_c(out, "ip6.arpa");
}

void alpn01_server_name(struct str name, struct buf *out)
{
	unsigned char a[IP_BYTES];
	const size_t n = ip_read(name, a);
	if (n == 4)
		buf_printf(out, "%u.%u.%u.%u.in-addr.arpa", a[3], a[2], a[1], a[0]);
	else if (n)
		add_nibbles(a, n, out);
	else
		buf_add(out, name);
}

static bool make(const struct alpn01 *p, const struct proof_text *text, const struct key *key,
        struct buf *leaf, struct err *err)
{
	BUF_AUTO authorization = BUF(1024);
	const int64_t now = loop_wall(p->loop);
	challenge_key_authorization(text->token, text->thumbprint, &authorization);
	const struct key_validated what = { .name = text->name,
		.authorization = buf_str(&authorization),
		.not_before = now - BEFORE,
		.not_after = now + AFTER };
	return key_validation(key, &what, leaf, err);
}

/* A CA may give one token for proofs by HTTP and by TLS: a colon stands in none. */
static void publish(const struct alpn01 *p, struct shown *s, const struct proof_text *text,
        struct str leaf, const struct secret *key)
{
	BUF_AUTO token = BUF(1024), server_name = BUF(1024);
	buf_printf(&token, "tls-alpn-01:%.*s", STR_ARG(text->token));
	alpn01_server_name(text->name, &server_name);
	board_publish(p->board, &s->notice,
	        &(struct notice_text){ .token = buf_str(&token),
	                .thumbprint = text->thumbprint,
	                .name = buf_str(&server_name),
	                .leaf = leaf,
	                .key = secret_bytes(key) },
	        ready);
}

static void place(struct prover *prover, struct proving *at, const struct proof_text *text)
{
	const struct alpn01 *p = OWNER(prover, struct alpn01, prover);
	struct shown *s = mem_new(struct shown);
	at->state = s;
	s->proving = at;
	s->notice = (struct notice){ .seen = seen, .lapsed = lapsed };
	BUF_AUTO leaf = BUF(16 << 10);
	KEY_AUTO *key = key_new(KEY_P256, &s->err);
	if (!key || !make(p, text, key, &leaf, &s->err)) {
		later_start(&s->failed, p->loop, fail_later);
		return;
	}
	SECRET_AUTO der = key_to_der(key);
	publish(p, s, text, buf_str(&leaf), &der);
}

static void withdraw(struct proving *at, bool valid)
{
	struct shown *s = at->state;
	(void)valid;
	board_withdraw(&s->notice);
	later_stop(&s->failed);
	free(s);
	at->state = NULL;
}

static const struct prover_ops ops = { .can = can, .place = place, .withdraw = withdraw };

struct prover *alpn01_new(struct loop *loop, struct board *b, struct approach *approach)
{
	struct alpn01 *p = mem_new(struct alpn01);
	p->prover.ops = &ops;
	p->loop = loop;
	p->board = b;
	p->approach = approach;
	return &p->prover;
}

void alpn01_free(struct prover **p)
{
	if (*p)
		free(OWNER(*p, struct alpn01, prover));
	*p = NULL;
}
