/* Within certs/ only: the layout of a record in a segment, written by segments.c and read by
 * table.c. Links nothing but libc. */
#ifndef CERTS_RECORD_H
#define CERTS_RECORD_H

#include "base/str.h"

enum record_kind { RECORD_CHAIN = 1, RECORD_CERTIFICATE = 2, RECORD_FORGET = 3, RECORD_BESIDE = 4 };
enum {
	RECORD_ALIGN = 8,
	RECORD_NAMES_MOST = 250,
	RECORD_NAME_BYTES_MOST = 253,
	RECORD_CHAIN_MOST = 10,
	SEGMENTS_MOST = 1 << 14,
	RECORD_HAS_BESIDE = 1 << 16, /* in `flags`, beside those of table.h */
	RECORD_HAS_STAPLE = 1 << 17,
	RECORD_FLAGS = RECORD_HAS_BESIDE | RECORD_HAS_STAPLE,
};

/* Followed by `items` items, each a uint32_t length and bytes, then zeros up to `bytes`. The items
 * are: chain: DER each; certificate: leaf, key, with RECORD_HAS_BESIDE the record_place of what
 * stands beside it, with RECORD_HAS_STAPLE its staple, then the names; beside: leaf, key, staple;
 * forget: names. A staple is an int64_t, until when (wall ms), and the answer. */
struct record_head {
	uint32_t bytes; /* the whole record, a multiple of RECORD_ALIGN */
	uint16_t kind, items;
	uint64_t number;
	uint64_t chain; /* certificate, beside: record_place of its chain, or 0 */
	uint32_t flags;
	uint32_t item_bytes; /* without the zeros */
};

struct record {
	struct record_head head;
	struct str items;
};

/* Never 0. Segments are counted within their run. */
uint64_t record_place(size_t segment, size_t offset);
void record_place_split(uint64_t place, size_t *ret_segment, size_t *ret_offset);

/* The record at the offset, within the bounds of `segment`. Its items may still be nonsense. */
bool record_open(struct str segment, size_t offset, struct record *ret_record);
bool record_item(struct str *rest, struct str *ret_item);
/* How many items of a record of that kind come before the names. */
size_t record_plain_items(const struct record *r);
/* The record_place of what stands beside a certificate; 0: nothing does. */
uint64_t record_beside(const struct record *r);
/* False: it has no staple. */
bool record_staple(const struct record *r, int64_t *ret_until, struct str *ret_der);
/* Whether the record is in itself what its kind has to be. */
bool record_check(const struct record *r);

#endif
