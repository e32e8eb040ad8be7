/* The open challenges (token -> thumbprint), as every serve process must know them before the CA is
 * told. A token is published when all serves that are attached have said so; a serve that attaches
 * later gets the whole table before its first generation. */
#ifndef ISSUE_BOARD_H
#define ISSUE_BOARD_H

#include "base/list.h"
#include "base/map.h"
#include "link/link.h"

struct board;
struct board *board_new(struct loop *loop);
void board_free(struct board **b);

/* A token on the board: the caller's, until withdrawn. `ready` fires once when every serve answers
 * it (never before board_publish has returned); while no serve is attached it waits for one. */
struct notice {
	void (*ready)(struct notice *n);
	struct map_node node;
	struct str token, thumbprint, name; /* must live until withdrawn */
	struct list waiting;
	uint32_t confirmed; /* one bit per serve that answers it */
	bool told;
};
void board_publish(struct board *b, struct notice *n, void (*ready)(struct notice *n));
void board_withdraw(struct board *b, struct notice *n); /* harmless if not published */

/* control/ tells of its links to serve processes. */
void board_attach(struct board *b, struct link *serve); /* sends the table */
void board_detach(struct board *b, struct link *serve);
void board_heard_ready(struct board *b, struct link *serve, struct str token);

#endif
