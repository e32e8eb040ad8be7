#include "loop/inside.h"

#include "base/err.h"

void watches_init(struct loop *loop)
{
	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	CHECK(loop->epoll >= 0);
	loop->free_slot = NO_SLOT;
}

void watches_done(struct loop *loop)
{
	for (uint32_t i = 0; i < loop->slot_count; i++) {
		struct slot *slot = &loop->slots[i];
		if (!slot->watch)
			continue;
		slot->watch->loop = NULL;
		if (slot->closes)
			close(slot->watch->fd);
	}
	free(loop->slots);
	close(loop->epoll);
}

static void more_slots(struct loop *loop)
{
	const uint32_t old = loop->slot_count, count = old ? old * 2 : 64;
	CHECK(count > old && count < NO_SLOT);
	loop->slots = mem_grow(loop->slots, sizeof *loop->slots, count);
	for (uint32_t i = old; i < count; i++)
		loop->slots[i] = (struct slot){ .next_free = i + 1 < count ? i + 1 : NO_SLOT };
	loop->free_slot = old;
	loop->slot_count = count;
}

void watch_begin(struct watch *w, struct loop *loop, uint32_t events)
{
	CHECK(!w->loop);
	if (loop->free_slot == NO_SLOT)
		more_slots(loop);
	w->loop = loop;
	w->slot = loop->free_slot;
	struct slot *slot = &loop->slots[w->slot];
	loop->free_slot = slot->next_free;
	loop->watches++;
	slot->watch = w;
	slot->closes = false;
	struct epoll_event event = {
		.events = events,
		.data.u64 = (uint64_t)slot->generation << 32 | w->slot,
	};
	CHECK(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, w->fd, &event) == 0);
}

void watch_start(
        struct watch *w, struct loop *loop, int fd, void (*ready)(struct watch *w, unsigned events))
{
	w->fd = fd;
	w->ready = ready;
	watch_begin(w, loop, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void watch_start_listener(
        struct watch *w, struct loop *loop, int fd, void (*ready)(struct watch *w, unsigned events))
{
	w->fd = fd;
	w->ready = ready;
	watch_begin(w, loop, EPOLLIN | EPOLLEXCLUSIVE);
}

static void give_back_slot(struct watch *w)
{
	struct loop *loop = w->loop;
	struct slot *slot = &loop->slots[w->slot];
	slot->watch = NULL;
	slot->generation++;
	slot->next_free = loop->free_slot;
	loop->free_slot = w->slot;
	loop->watches--;
	w->loop = NULL;
}

void watch_stop(struct watch *w)
{
	if (!w->loop)
		return;
	CHECK(epoll_ctl(w->loop->epoll, EPOLL_CTL_DEL, w->fd, NULL) == 0);
	give_back_slot(w);
}

void watch_close(struct watch *w)
{
	if (!w->loop)
		return;
	give_back_slot(w);
	close(w->fd);
}

static unsigned bits_of(uint32_t events)
{
	unsigned bits = 0;
	if (events & EPOLLIN)
		bits |= WATCH_IN;
	if (events & EPOLLOUT)
		bits |= WATCH_OUT;
	if (events & EPOLLRDHUP)
		bits |= WATCH_IN | WATCH_END;
	if (events & (EPOLLERR | EPOLLHUP))
		bits |= WATCH_IN | WATCH_OUT | WATCH_END;
	return bits;
}

void watches_dispatch(struct loop *loop, int count)
{
	for (int i = 0; i < count; i++) {
		const uint64_t data = loop->events[i].data.u64;
		const struct slot *slot = &loop->slots[(uint32_t)data];
		if (slot->watch && slot->generation == (uint32_t)(data >> 32))
			slot->watch->ready(slot->watch, bits_of(loop->events[i].events));
	}
}
