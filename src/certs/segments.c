/* Writing segments: control's side. */
#include "certs/record.h"
#include "certs/table.h"

#include "base/buf.h"
#include "base/map.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

struct segment {
	int fd;
	char *p;
	size_t valid;
};

/* A chain that was written; the key is its items where they stand in the segment. */
struct interned {
	struct map_node node;
	uint64_t place;
};

struct segments {
	struct segment *at;
	size_t count;
	uint64_t next_number;
	struct map chains;
};

/* Nanoseconds since the machine was started, then one by one: higher than any number that an
 * earlier control gave out, since none gives out one in a nanosecond. */
static uint64_t first_number(void)
{
	struct timespec t;
	CHECK(clock_gettime(CLOCK_BOOTTIME, &t) == 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec + 1;
}

struct segments *segments_new(void)
{
	struct segments *s = mem_new(struct segments);
	s->next_number = first_number();
	return s;
}

void segments_free(struct segments **s)
{
	if (!*s)
		return;
	MAP_EACH (node, &(*s)->chains)
		free(OWNER(node, struct interned, node));
	map_done(&(*s)->chains);
	for (size_t i = 0; i < (*s)->count; i++) {
		munmap((*s)->at[i].p, SEGMENT_BYTES);
		close((*s)->at[i].fd);
	}
	free((*s)->at);
	free(*s);
	*s = NULL;
}

/* After the seals nobody can shrink it under its readers, and only this mapping can write. */
static bool segment_open(struct segment *ret, struct err *err)
{
	struct segment new = { .fd = memfd_create(
		                       "everseal-certificates", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	if (new.fd < 0)
		return err_sys(err, ERR_IO, errno, "No memory for certificates could be had");
	void *p = ftruncate(new.fd, SEGMENT_BYTES) == 0
	                  ? mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, new.fd, 0)
	                  : MAP_FAILED;
	if (p != MAP_FAILED &&
	        fcntl(new.fd, F_ADD_SEALS,
	                F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0) {
		new.p = p;
		madvise(p, SEGMENT_BYTES, MADV_DONTDUMP);
		*ret = new;
		return true;
	}
	int number = errno;
	if (p != MAP_FAILED)
		munmap(p, SEGMENT_BYTES);
	close(new.fd);
	return err_sys(err, ERR_IO, number, "No memory for certificates could be had");
}

static bool has_room(const struct segments *s, size_t bytes)
{
	return s->count > 0 && SEGMENT_BYTES - s->at[s->count - 1].valid >= bytes;
}

/* Room for that many bytes in the last segment. */
static bool make_room(struct segments *s, size_t bytes, struct err *err)
{
	struct segment new;
	if (has_room(s, bytes))
		return true;
	if (bytes > SEGMENT_BYTES)
		return err_set(err, ERR_LIMIT,
		        "The certificate is too large to be served: %zu bytes with its chain and "
		        "key.",
		        bytes);
	if (s->count == SEGMENTS_MOST)
		return err_set(err, ERR_LIMIT, "There is no room for more certificates; restart.");
	if (!segment_open(&new, err))
		return false;
	s->at = mem_grow(s->at, sizeof *s->at, s->count + 1);
	s->at[s->count++] = new;
	return true;
}

static size_t record_bytes(const struct buf *items)
{
	size_t n = sizeof(struct record_head) + items->n;
	return (n + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static void add_item(struct buf *items, struct str item)
{
	uint32_t n = (uint32_t)item.n;
	if (item.n > SEGMENT_BYTES) {
		items->over = true;
		return;
	}
	buf_add(items, str_n(&n, sizeof n));
	buf_add(items, item);
}

/* Leaf, key and what may stand between them and the names. Returns the flags for that. */
static uint32_t add_plain(struct buf *items, const struct cert_record *r)
{
	BUF_AUTO staple = BUF(SEGMENT_BYTES);
	add_item(items, r->leaf);
	add_item(items, r->key);
	if (r->beside)
		add_item(items, str_n(&r->beside, sizeof r->beside));
	if (r->staple.n) {
		buf_add(&staple, str_n(&r->staple_until, sizeof r->staple_until));
		buf_add(&staple, r->staple);
		add_item(items, buf_str(&staple));
	}
	return (r->beside ? RECORD_HAS_BESIDE : 0) | (r->staple.n ? RECORD_HAS_STAPLE : 0);
}

/* Appends a record, for which there is room. Returns its place. */
static uint64_t append(struct segments *s, struct record_head head, const struct buf *items)
{
	struct segment *last = &s->at[s->count - 1];
	size_t offset = last->valid;
	head.bytes = (uint32_t)record_bytes(items);
	head.item_bytes = (uint32_t)items->n;
	head.number = s->next_number++;
	memcpy(last->p + offset, &head, sizeof head);
	if (items->n > 0)
		memcpy(last->p + offset + sizeof head, items->p, items->n);
	last->valid += head.bytes;
	return record_place(s->count - 1, offset);
}

static uint64_t append_chain(struct segments *s, const struct buf *items, size_t count)
{
	struct record_head head = { .kind = RECORD_CHAIN, .items = (uint16_t)count };
	struct interned *chain = mem_new(struct interned);
	size_t segment, offset;
	chain->place = append(s, head, items);
	record_place_split(chain->place, &segment, &offset);
	const char *written = s->at[segment].p + offset + sizeof head;
	map_add(&s->chains, str_n(written, items->n), &chain->node);
	return chain->place;
}

static bool check_names(const struct str *names, size_t count, struct err *err)
{
	if (count == 0 || count > RECORD_NAMES_MOST)
		return err_set(err, ERR_LIMIT,
		        "A certificate is served for 1 to %d names, not %zu.", RECORD_NAMES_MOST,
		        count);
	for (size_t i = 0; i < count; i++)
		if (names[i].n == 0 || names[i].n > RECORD_NAME_BYTES_MOST)
			return err_set(err, ERR_INPUT, "A name of %zu bytes cannot be served.",
			        names[i].n);
	return true;
}

static bool check_record(const struct cert_record *record, struct err *err)
{
	if (record->leaf.n == 0 || record->key.n == 0)
		return err_set(
		        err, ERR_INPUT, "A certificate without leaf or key cannot be served.");
	for (size_t i = 0; i < record->chain_count; i++)
		if (record->chain[i].n == 0)
			return err_set(err, ERR_INPUT, "An empty certificate stands in the chain.");
	CHECK(record->chain_count <= RECORD_CHAIN_MOST);
	return true;
}

/* The chain's place, 0 without one; it is written if it was not there. `more` is what will be
 * written behind it, in the same segment. */
static bool intern(struct segments *s, const struct cert_record *record, const struct buf *more,
        uint64_t *ret_place, struct err *err)
{
	BUF_AUTO items = BUF_INIT(SEGMENT_BYTES);
	for (size_t i = 0; i < record->chain_count; i++)
		add_item(&items, record->chain[i]);
	if (!buf_ok(&items) || !buf_ok(more))
		return err_set(err, ERR_LIMIT, "The certificate is too large to be served.");
	struct map_node *known = items.n > 0 ? map_find(&s->chains, buf_str(&items)) : NULL;
	bool writes = items.n > 0 && !known;
	if (!make_room(s, record_bytes(more) + (writes ? record_bytes(&items) : 0), err))
		return false;
	*ret_place = known    ? OWNER(known, struct interned, node)->place
	             : writes ? append_chain(s, &items, record->chain_count)
	                      : 0;
	return true;
}

bool segments_add(struct segments *s, const struct str *names, size_t name_count,
        const struct cert_record *record, uint64_t *ret_number, struct err *err)
{
	BUF_AUTO items = BUF_INIT(SEGMENT_BYTES);
	const bool beside = record->beside, staple = record->staple.n;
	struct record_head head = { .kind = RECORD_CERTIFICATE,
		.items = (uint16_t)(name_count + 2U + beside + staple),
		.flags = record->flags };
	if (!check_names(names, name_count, err) || !check_record(record, err))
		return false;
	head.flags |= add_plain(&items, record);
	for (size_t i = 0; i < name_count; i++)
		add_item(&items, names[i]);
	bool ok = intern(s, record, &items, &head.chain, err);
	if (ok) {
		*ret_number = s->next_number;
		append(s, head, &items);
	}
	buf_wipe(&items);
	return ok;
}

bool segments_add_beside(
        struct segments *s, const struct cert_record *record, uint64_t *ret_beside, struct err *err)
{
	BUF_AUTO items = BUF_INIT(SEGMENT_BYTES);
	struct record_head head = { .kind = RECORD_BESIDE, .items = record->staple.n ? 3 : 2 };
	if (!check_record(record, err))
		return false;
	CHECK(!record->beside);
	head.flags = add_plain(&items, record);
	bool ok = intern(s, record, &items, &head.chain, err);
	if (ok)
		*ret_beside = append(s, head, &items);
	buf_wipe(&items);
	return ok;
}

bool segments_forget(
        struct segments *s, const struct str *names, size_t name_count, struct err *err)
{
	BUF_AUTO items = BUF_INIT(SEGMENT_BYTES);
	struct record_head head = { .kind = RECORD_FORGET, .items = (uint16_t)name_count };
	if (!check_names(names, name_count, err))
		return false;
	for (size_t i = 0; i < name_count; i++)
		add_item(&items, names[i]);
	if (!make_room(s, record_bytes(&items), err))
		return false;
	append(s, head, &items);
	return true;
}

size_t segments_count(const struct segments *s)
{
	return s->count;
}

int segments_fd(const struct segments *s, size_t index)
{
	CHECK(index < s->count);
	return s->at[index].fd;
}

size_t segments_valid(const struct segments *s, size_t index)
{
	CHECK(index < s->count);
	return s->at[index].valid;
}
