/* Reading segments: serve's side. Links nothing but libc.
 *
 * The index is an open-addressed table of 64-bit slots, each one atomic word:
 *
 *	hash 63..43 · segment 42..29 · offset / 8 28..10 · name within the record 9..2 · state 1..0
 *
 * so that a reader sees a name's old record or its new one, never a mixture. Which name a slot
 * stands for is told by the record. A slot that was live stays live or becomes a tombstone: a
 * reader's probe never misses a name that is there throughout. Growing makes a new index and
 * publishes it by one store. */
#include "certs/table.h"

#include "certs/record.h"

#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	SLOTS_LEAST = 64,
	STATE_EMPTY = 0,
	STATE_LIVE = 1,
	STATE_TOMBSTONE = 2,
	NAME_SHIFT = 2,
	OFFSET_SHIFT = 10,
	SEGMENT_SHIFT = 29,
	HASH_SHIFT = 43,
};
_Static_assert(SEGMENT_BYTES / RECORD_ALIGN == 1 << (SEGMENT_SHIFT - OFFSET_SHIFT), "offsets fit");
_Static_assert(SEGMENTS_MOST == 1 << (HASH_SHIFT - SEGMENT_SHIFT), "segments fit");
_Static_assert(RECORD_NAMES_MOST < 1 << (OFFSET_SHIFT - NAME_SHIFT), "names fit");

struct index {
	size_t size; /* a power of two */
	size_t used; /* not empty: the writer's */
	_Atomic(uint64_t) slots[];
};

struct mapped {
	struct str bytes;
	size_t id;    /* its place in the table, and in slots */
	size_t first; /* the id of its run's segment 0 */
	uint64_t run;
	size_t read; /* offset: the writer's */
};

/* Unpublished, perhaps still looked at. */
struct retired {
	struct retired *next;
	uint64_t epoch;
	struct index *index;
	struct mapped *mapped;
};

struct cert_table {
	_Atomic(struct index *) index;
	_Atomic(struct mapped *) mapped[SEGMENTS_MOST];
	_Atomic(size_t) live;
	_Atomic(uint64_t) epoch;
	/* the writer's own */
	uint64_t run, last_number;
	size_t run_first, run_count; /* ids of the current run, in a ring */
	size_t mapped_count;
	struct retired *retired;
	struct cert_reader *readers;
};

static struct index *index_new(size_t size)
{
	struct index *x = mem_alloc(sizeof *x + size * sizeof *x->slots);
	x->size = size;
	return x;
}

struct cert_table *cert_table_new(void)
{
	struct cert_table *t = mem_new(struct cert_table);
	atomic_init(&t->index, index_new(SLOTS_LEAST));
	hash_keyed(STR("")); /* its key is made before there are readers */
	return t;
}

static void mapped_free(struct cert_table *t, struct mapped *m)
{
	atomic_store_explicit(&t->mapped[m->id], NULL, memory_order_release);
	munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
	t->mapped_count--;
	free(m);
}

static void retired_free(struct cert_table *t, struct retired *r)
{
	free(r->index);
	if (r->mapped)
		mapped_free(t, r->mapped);
	free(r);
}

void cert_table_free(struct cert_table **table)
{
	struct cert_table *t = *table;
	if (!t)
		return;
	for (struct retired *r = t->retired, *next; r; r = next) {
		next = r->next;
		retired_free(t, r);
	}
	for (size_t i = 0; i < SEGMENTS_MOST; i++)
		if (t->mapped[i])
			mapped_free(t, t->mapped[i]);
	free(t->index);
	free(t);
	*table = NULL;
}

void cert_reader_add(struct cert_table *t, struct cert_reader *r)
{
	r->table = t;
	r->next = t->readers;
	atomic_init(&r->seen, atomic_load(&t->epoch));
	t->readers = r;
}

void cert_reader_remove(struct cert_table *t, struct cert_reader *r)
{
	struct cert_reader **at = &t->readers;
	while (*at && *at != r)
		at = &(*at)->next;
	CHECK(*at);
	*at = r->next;
}

/* Acquire: what was unpublished before that epoch is not found after it. Release: what was looked
 * at before is no longer looked at when the writer sees it. */
void cert_reader_quiet(struct cert_reader *r)
{
	uint64_t now = atomic_load_explicit(&r->table->epoch, memory_order_acquire);
	if (atomic_load_explicit(&r->seen, memory_order_relaxed) != now)
		atomic_store_explicit(&r->seen, now, memory_order_release);
}

/* The epoch that every reader has seen; 0 as long as there is none to ask. */
static uint64_t seen_by_all(const struct cert_table *t)
{
	uint64_t least = t->readers ? UINT64_MAX : 0;
	for (struct cert_reader *r = t->readers; r; r = r->next) {
		uint64_t seen = atomic_load_explicit(&r->seen, memory_order_acquire);
		least = seen < least ? seen : least;
	}
	return least;
}

static void reclaim(struct cert_table *t)
{
	uint64_t seen = t->retired ? seen_by_all(t) : 0;
	for (struct retired **at = &t->retired; *at;) {
		struct retired *r = *at;
		if (r->epoch > seen) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		retired_free(t, r);
	}
}

/* One of the two is given; it was unpublished before. */
static void retire(struct cert_table *t, struct index *index, struct mapped *mapped)
{
	struct retired *r = mem_new(struct retired);
	*r = (struct retired){ .next = t->retired, .index = index, .mapped = mapped };
	r->epoch = atomic_fetch_add(&t->epoch, 1) + 1;
	t->retired = r;
}

static uint64_t slot_make(uint64_t hash, size_t segment, size_t offset, size_t name)
{
	return hash >> HASH_SHIFT << HASH_SHIFT | (uint64_t)segment << SEGMENT_SHIFT |
	       (uint64_t)(offset / RECORD_ALIGN) << OFFSET_SHIFT | (uint64_t)name << NAME_SHIFT |
	       STATE_LIVE;
}

static unsigned slot_state(uint64_t slot)
{
	return slot & 3;
}

static size_t slot_segment(uint64_t slot)
{
	return slot >> SEGMENT_SHIFT & (SEGMENTS_MOST - 1);
}

static const struct mapped *mapped_at(const struct cert_table *t, size_t id)
{
	return atomic_load_explicit(&t->mapped[id % SEGMENTS_MOST], memory_order_acquire);
}

/* The record that a live slot stands for, and its name. */
static bool slot_read(const struct cert_table *t, uint64_t slot, const struct mapped **ret_mapped,
        struct record *ret_record, struct str *ret_name)
{
	const struct mapped *m = mapped_at(t, slot_segment(slot));
	size_t offset =
	        (size_t)(slot >> OFFSET_SHIFT) % (SEGMENT_BYTES / RECORD_ALIGN) * RECORD_ALIGN;
	if (!m || !record_open(m->bytes, offset, ret_record))
		return false;
	size_t skip = record_plain_items(ret_record) +
	              (slot >> NAME_SHIFT) % (1 << (OFFSET_SHIFT - NAME_SHIFT));
	struct str rest = ret_record->items;
	for (size_t i = 0; i <= skip; i++)
		if (!record_item(&rest, ret_name))
			return false;
	*ret_mapped = m;
	return true;
}

/* Where in the index a probe for the name ends: at its slot, or at the first empty one. */
struct probe {
	bool found;
	size_t at, reusable; /* reusable: a tombstone on the way, else `at` */
	const struct mapped *mapped;
	struct record record;
};

static struct probe probe(
        const struct cert_table *t, const struct index *x, struct str name, uint64_t hash)
{
	struct probe p = { .reusable = x->size };
	for (p.at = hash & (x->size - 1);; p.at = (p.at + 1) & (x->size - 1)) {
		uint64_t slot = atomic_load_explicit(&x->slots[p.at], memory_order_acquire);
		struct str its_name;
		if (slot_state(slot) == STATE_EMPTY)
			break;
		if (slot_state(slot) == STATE_TOMBSTONE && p.reusable == x->size)
			p.reusable = p.at;
		p.found = slot_state(slot) == STATE_LIVE &&
		          slot >> HASH_SHIFT == hash >> HASH_SHIFT &&
		          slot_read(t, slot, &p.mapped, &p.record, &its_name) &&
		          str_eq(its_name, name);
		if (p.found)
			break;
	}
	if (p.found || p.reusable == x->size)
		p.reusable = p.at;
	return p;
}

static void slot_store(struct index *x, size_t at, uint64_t slot)
{
	atomic_store_explicit(&x->slots[at], slot, memory_order_release);
}

/* Copies the live slots into a new index, of which they take at most half. */
static void grow(struct cert_table *t)
{
	struct index *old = t->index;
	size_t size = SLOTS_LEAST;
	while (size < 2 * atomic_load(&t->live))
		size *= 2;
	struct index *new = index_new(size);
	for (size_t i = 0; i < old->size; i++) {
		uint64_t slot = old->slots[i];
		const struct mapped *m;
		struct record record;
		struct str name;
		if (slot_state(slot) != STATE_LIVE || !slot_read(t, slot, &m, &record, &name))
			continue;
		size_t at = hash_keyed(name) & (size - 1);
		while (new->slots[at])
			at = (at + 1) & (size - 1);
		slot_store(new, at, slot);
		new->used++;
	}
	atomic_store_explicit(&t->index, new, memory_order_release);
	retire(t, old, NULL);
}

static void put(
        struct cert_table *t, const struct mapped *m, size_t offset, size_t nth, struct str name)
{
	struct index *x = t->index;
	if ((x->used + 1) * 4 > x->size * 3) {
		grow(t);
		x = t->index;
	}
	uint64_t hash = hash_keyed(name);
	struct probe p = probe(t, x, name, hash);
	if (!p.found) {
		x->used += slot_state(x->slots[p.reusable]) == STATE_EMPTY;
		atomic_fetch_add(&t->live, 1);
	}
	slot_store(x, p.reusable, slot_make(hash, m->id, offset, nth));
}

static void drop(struct cert_table *t, struct str name)
{
	struct probe p = probe(t, t->index, name, hash_keyed(name));
	if (!p.found)
		return;
	slot_store(t->index, p.at, STATE_TOMBSTONE);
	atomic_fetch_sub(&t->live, 1);
}

/* What a record of segment m refers to, which may stand in another segment of its run. */
static const struct mapped *open_other(const struct cert_table *t, const struct mapped *m,
        uint64_t place, struct record *ret_other)
{
	size_t segment, offset;
	record_place_split(place, &segment, &offset);
	if (segment >= SEGMENTS_MOST)
		return NULL;
	const struct mapped *its = mapped_at(t, m->first + segment);
	return its && its->run == m->run && record_open(its->bytes, offset, ret_other) ? its : NULL;
}

static void index_names(
        struct cert_table *t, const struct mapped *m, size_t offset, const struct record *r)
{
	struct str rest = r->items, item;
	size_t skip = record_plain_items(r);
	for (size_t i = 0; record_item(&rest, &item); i++) {
		if (i < skip)
			continue;
		if (r->head.kind == RECORD_CERTIFICATE)
			put(t, m, offset, i - skip, item);
		else
			drop(t, item);
	}
}

/* What r of segment m refers to must be of that kind and have been read before: only then is it
 * known to check out. */
static bool check_other(const struct cert_table *t, const struct mapped *m, const struct record *r,
        uint64_t place, enum record_kind kind)
{
	struct record other;
	size_t segment, offset;
	record_place_split(place, &segment, &offset);
	size_t own = (m->id + SEGMENTS_MOST - m->first) % SEGMENTS_MOST;
	if (segment > own || (segment == own && offset >= m->read))
		return false;
	return open_other(t, m, place, &other) && other.head.kind == kind && record_check(&other) &&
	       other.head.number < r->head.number && other.head.number > 0;
}

static bool check_others(const struct cert_table *t, const struct mapped *m, const struct record *r)
{
	const uint64_t chain = r->head.chain, beside = record_beside(r);
	return (!chain || check_other(t, m, r, chain, RECORD_CHAIN)) &&
	       (!beside || check_other(t, m, r, beside, RECORD_BESIDE));
}

static bool read_record(struct cert_table *t, struct mapped *m, size_t valid)
{
	struct record r;
	if (!record_open(str_head(m->bytes, valid), m->read, &r) || !record_check(&r) ||
	        r.head.number <= t->last_number)
		return false;
	if ((r.head.kind == RECORD_CERTIFICATE || r.head.kind == RECORD_BESIDE) &&
	        !check_others(t, m, &r))
		return false;
	index_names(t, m, m->read, &r);
	t->last_number = r.head.number;
	m->read += r.head.bytes;
	return true;
}

bool cert_table_advance(struct cert_table *t, size_t index, size_t valid, struct err *err)
{
	struct mapped *m =
	        index < t->run_count ? t->mapped[(t->run_first + index) % SEGMENTS_MOST] : NULL;
	if (!m)
		return err_set(
		        err, ERR_PROTOCOL, "Segment %zu of the certificates is not here.", index);
	if (valid > SEGMENT_BYTES || valid < m->read)
		return err_set(err, ERR_PROTOCOL,
		        "Segment %zu of the certificates cannot be valid to %zu: it was read to "
		        "%zu.",
		        index, valid, m->read);
	while (m->read < valid)
		if (!read_record(t, m, valid))
			return err_set(err, ERR_PROTOCOL,
			        "Segment %zu of the certificates has a broken record at %zu, "
			        "keeping what "
			        "was read before it.",
			        index, m->read);
	reclaim(t);
	return true;
}

/* The seal against shrinking is what makes it safe to read. */
static bool map_bytes(int fd, struct str *ret_bytes, struct err *err)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) != 0 ||
	        st.st_size != SEGMENT_BYTES)
		return err_set(err, ERR_PROTOCOL, "What came is not a segment of certificates.");
	void *p = mmap(NULL, SEGMENT_BYTES, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(err, ERR_IO, errno, "A segment of certificates cannot be mapped");
	madvise(p, SEGMENT_BYTES, MADV_DONTDUMP);
	*ret_bytes = str_n(p, SEGMENT_BYTES);
	return true;
}

static bool map_next(struct cert_table *t, int fd, struct err *err)
{
	size_t id = (t->run_first + t->run_count) % SEGMENTS_MOST;
	struct str bytes;
	if (t->run_count == SEGMENTS_MOST || t->mapped[id])
		return err_set(err, ERR_LIMIT, "There are too many segments of certificates.");
	if (!map_bytes(fd, &bytes, err))
		return false;
	struct mapped *m = mem_new(struct mapped);
	*m = (struct mapped){ .bytes = bytes, .id = id, .first = t->run_first, .run = t->run };
	atomic_store_explicit(&t->mapped[id], m, memory_order_release);
	t->run_count++;
	t->mapped_count++;
	return true;
}

bool cert_table_map(struct cert_table *t, size_t index, int fd, struct err *err)
{
	reclaim(t);
	if (index == 0 && t->run_count > 0) {
		t->run_first = (t->run_first + t->run_count) % SEGMENTS_MOST;
		t->run_count = 0;
		t->run++;
	}
	bool ok = index == t->run_count
	                  ? map_next(t, fd, err)
	                  : err_set(err, ERR_PROTOCOL,
	                            "Segment %zu of the certificates came out of order.", index);
	close(fd);
	return ok;
}

static bool is_old(const struct cert_table *t, size_t id)
{
	const struct mapped *m = t->mapped[id];
	return m && m->run != t->run;
}

static bool is_retired(const struct cert_table *t, const struct mapped *m)
{
	for (const struct retired *r = t->retired; r; r = r->next)
		if (r->mapped == m)
			return true;
	return false;
}

/* A segment stays published while a reader may hold a slot that stands for it. */
void cert_table_sweep(struct cert_table *t)
{
	struct index *x = t->index;
	for (size_t i = 0; i < x->size; i++) {
		uint64_t slot = x->slots[i];
		if (slot_state(slot) != STATE_LIVE || !is_old(t, slot_segment(slot)))
			continue;
		slot_store(x, i, STATE_TOMBSTONE);
		atomic_fetch_sub(&t->live, 1);
	}
	for (size_t id = 0; id < SEGMENTS_MOST; id++)
		if (is_old(t, id) && !is_retired(t, t->mapped[id]))
			retire(t, NULL, t->mapped[id]);
	reclaim(t);
}

size_t cert_table_mapped(const struct cert_table *t)
{
	return t->mapped_count;
}

/* What stands in segment m; the places in it are made such that they tell the segment's id. */
static bool fill(const struct cert_table *t, const struct mapped *m, const struct record *r,
        struct cert_record *ret)
{
	struct cert_record c = { .number = r->head.number,
		.flags = r->head.flags & ~(unsigned)RECORD_FLAGS };
	struct str rest = r->items;
	struct record chain, beside;
	if (!record_item(&rest, &c.leaf) || !record_item(&rest, &c.key))
		return false;
	record_staple(r, &c.staple_until, &c.staple);
	const uint64_t place = record_beside(r);
	const struct mapped *its = place ? open_other(t, m, place, &beside) : NULL;
	if (its)
		c.beside = record_place(
		        its->id, (size_t)(beside.items.p - its->bytes.p) - sizeof beside.head);
	if (r->head.chain != 0) {
		if (!open_other(t, m, r->head.chain, &chain))
			return false;
		rest = chain.items;
		c.chain_number = chain.head.number;
		while (c.chain_count < RECORD_CHAIN_MOST &&
		        record_item(&rest, &c.chain[c.chain_count]))
			c.chain_count++;
	}
	*ret = c;
	return true;
}

static bool find(const struct cert_table *t, struct str name, struct cert_record *ret_record)
{
	const struct index *x = atomic_load_explicit(&t->index, memory_order_acquire);
	struct probe p = probe(t, x, name, hash_keyed(name));
	return p.found && fill(t, p.mapped, &p.record, ret_record);
}

bool cert_table_find(const struct cert_table *t, struct str name, struct cert_record *ret_record)
{
	char text[RECORD_NAME_BYTES_MOST];
	if (name.n == 0 || name.n > RECORD_NAME_BYTES_MOST)
		return false;
	for (size_t i = 0; i < name.n; i++)
		text[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] - 'A' + 'a')
		                                               : name.p[i];
	if (find(t, str_n(text, name.n), ret_record))
		return true;
	size_t dot = str_find(name, '.');
	if (dot == 0 || dot == name.n)
		return false;
	text[dot - 1] = '*';
	return find(t, str_n(text + dot - 1, name.n - dot + 1), ret_record);
}

bool cert_table_beside(
        const struct cert_table *t, const struct cert_record *found, struct cert_record *ret_record)
{
	size_t id, offset;
	struct record r;
	if (!found->beside)
		return false;
	record_place_split(found->beside, &id, &offset);
	const struct mapped *m = mapped_at(t, id);
	return m && record_open(m->bytes, offset, &r) && fill(t, m, &r, ret_record);
}

size_t cert_table_count(const struct cert_table *t)
{
	return atomic_load_explicit(&t->live, memory_order_relaxed);
}
