/* A year in one picture (SVG): what the CA was asked each day, and how long the certificate that
 * was nearest to its end had left. */
#ifndef TEST_YEAR_PICTURE_H
#define TEST_YEAR_PICTURE_H

#include "plan.h"

struct day {
	unsigned issued[LIFE_COUNT]; /* certificates */
	unsigned orders, windows;    /* questions when to renew */
	int64_t least_left;          /* ms, of the certificate that had least left; with `any` */
	bool any;
};
void picture_draw(const struct plan *p, const struct day *days, struct buf *out);

#endif
