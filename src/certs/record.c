#include "certs/record.h"

uint64_t record_place(size_t segment, size_t offset)
{
	return ((uint64_t)segment << 32 | offset) + 1;
}

void record_place_split(uint64_t place, size_t *ret_segment, size_t *ret_offset)
{
	*ret_segment = (size_t)((place - 1) >> 32);
	*ret_offset = (size_t)((place - 1) & UINT32_MAX);
}

/* The head is copied once, so that what was checked is what is used. */
bool record_open(struct str segment, size_t offset, struct record *ret_record)
{
	struct record r;
	if (offset % RECORD_ALIGN != 0 || offset > segment.n || segment.n - offset < sizeof r.head)
		return false;
	memcpy(&r.head, segment.p + offset, sizeof r.head);
	if (r.head.bytes < sizeof r.head || r.head.bytes % RECORD_ALIGN != 0 ||
	        r.head.bytes > segment.n - offset ||
	        r.head.item_bytes > r.head.bytes - sizeof r.head)
		return false;
	r.items = (struct str){ segment.p + offset + sizeof r.head, r.head.item_bytes };
	*ret_record = r;
	return true;
}

bool record_item(struct str *rest, struct str *ret_item)
{
	uint32_t n;
	if (rest->n < sizeof n)
		return false;
	memcpy(&n, rest->p, sizeof n);
	if (n > rest->n - sizeof n)
		return false;
	*ret_item = (struct str){ rest->p + sizeof n, n };
	*rest = str_from(*rest, sizeof n + n);
	return true;
}

size_t record_plain_items(const struct record *r)
{
	const size_t staple = r->head.flags & RECORD_HAS_STAPLE ? 1 : 0;
	if (r->head.kind == RECORD_CERTIFICATE)
		return (r->head.flags & RECORD_HAS_BESIDE ? 3 : 2) + staple;
	if (r->head.kind == RECORD_BESIDE)
		return 2 + staple;
	return r->head.kind == RECORD_FORGET ? 0 : r->head.items;
}

uint64_t record_beside(const struct record *r)
{
	struct str rest = r->items, item = STR_NONE;
	uint64_t place = 0;
	if (r->head.kind != RECORD_CERTIFICATE || !(r->head.flags & RECORD_HAS_BESIDE))
		return 0;
	for (size_t i = 0; i < 3; i++)
		if (!record_item(&rest, &item))
			return 0;
	if (item.n == sizeof place)
		memcpy(&place, item.p, sizeof place);
	return place;
}

bool record_staple(const struct record *r, int64_t *ret_until, struct str *ret_der)
{
	struct str rest = r->items, item = STR_NONE;
	const bool may = r->head.kind == RECORD_CERTIFICATE || r->head.kind == RECORD_BESIDE;
	if (!may || !(r->head.flags & RECORD_HAS_STAPLE))
		return false;
	for (size_t i = 0; i < record_plain_items(r); i++)
		if (!record_item(&rest, &item))
			return false;
	if (item.n <= sizeof *ret_until)
		return false;
	memcpy(ret_until, item.p, sizeof *ret_until);
	*ret_der = str_from(item, sizeof *ret_until);
	return true;
}

static bool check_extras(const struct record *r)
{
	int64_t until;
	struct str der;
	return (!(r->head.flags & RECORD_HAS_BESIDE) || record_beside(r) != 0) &&
	       (!(r->head.flags & RECORD_HAS_STAPLE) || record_staple(r, &until, &der));
}

static bool check_items(const struct record *r)
{
	const size_t plain = record_plain_items(r);
	struct str rest = r->items, item;
	for (size_t i = 0; i < r->head.items; i++) {
		if (!record_item(&rest, &item) || item.n == 0)
			return false;
		if (i >= plain && item.n > RECORD_NAME_BYTES_MOST)
			return false;
	}
	return rest.n == 0;
}

bool record_check(const struct record *r)
{
	const size_t items = r->head.items, plain = record_plain_items(r);
	switch (r->head.kind) {
	case RECORD_CHAIN:
		return items >= 1 && items <= RECORD_CHAIN_MOST && check_items(r);
	case RECORD_CERTIFICATE:
		return items > plain && items <= RECORD_NAMES_MOST + plain && check_items(r) &&
		       check_extras(r);
	case RECORD_BESIDE:
		return items == plain && check_items(r) && check_extras(r);
	case RECORD_FORGET:
		return items >= 1 && items <= RECORD_NAMES_MOST && check_items(r);
	default:
		return false;
	}
}
