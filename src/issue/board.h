/* The open challenges (token -> thumbprint, or server name -> certificate), as every serve process
 * must know them before the CA is told. A token is published when all serves that are attached have
 * said so; a serve that attaches later gets the whole table before its first generation. If all of
 * them go after that, a CA may have asked in vain: the notice has lapsed. */
#ifndef ISSUE_BOARD_H
#define ISSUE_BOARD_H

#include "base/list.h"
#include "base/map.h"
#include "link/link.h"

struct board;
struct board *board_new(struct loop *loop);
void board_free(struct board **b); /* after its notices were withdrawn */

/* A token on the board: the caller's, until withdrawn. A CA may give the same token to several
 * attempts (it knows that one proof is enough): it stands until the last of them withdraws it. */
struct notice {
	void (*ready)(struct notice *n);
	/* May be NULL. Somebody fetched the token, most likely the CA: from that address. */
	void (*seen)(struct notice *n, struct str client);
	/* May be NULL. After `ready` there was a moment without any serve that answers it. */
	void (*lapsed)(struct notice *n);
	struct list node;  /* among those of its token */
	struct post *post; /* NULL when not published */
	struct later later;
	bool told;
};
struct notice_text {
	struct str token, thumbprint, name; /* copied */
	/* DER, of a proof by TLS: name is the server name then. Empty: by HTTP. */
	struct str leaf, key;
};
/* `ready` fires once when every serve answers the token (never before board_publish has returned);
 * while no serve is attached it waits for one. */
void board_publish(struct board *b, struct notice *n, const struct notice_text *text,
        void (*ready)(struct notice *n));
void board_withdraw(struct notice *n); /* harmless if not published */

/* control/ tells of its links to serve processes: at most 32 at a time. */
void board_attach(struct board *b, struct link *serve); /* sends the table */
void board_detach(struct board *b, struct link *serve);
void board_heard_ready(struct board *b, struct link *serve, struct str token);
void board_heard_seen(struct board *b, struct str token, struct str client);

#endif
