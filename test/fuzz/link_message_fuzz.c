/* Any bytes decode to a message or to a sentence; a message encodes again to the same bytes. */
#include "link/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size - 1 > LINK_MESSAGE_MOST)
		return 0;
	/* The first byte says whether a descriptor came along; only its number is looked at. */
	int fd = data[0] & 1 ? 1 : -1;
	struct str bytes = str_n(data + 1, size - 1);
	struct err err = ERR_INIT;
	struct msg m;
	if (!msg_decode(bytes, fd, &m, &err)) {
		CHECK(err.code == ERR_PROTOCOL && err.text[0]);
		return 0;
	}
	BUF_AUTO again = BUF_INIT(LINK_MESSAGE_MOST);
	int again_fd;
	msg_encode(m.type, &m.is, &again, &again_fd);
	CHECK(buf_ok(&again) && again_fd == fd && str_eq(buf_str(&again), bytes));
	return 0;
}
