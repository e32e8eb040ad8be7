/* Any bytes as the begin of a backup: a head that is written to the same bytes, or a sentence. */
#include "store/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = ERR_INIT;
	struct archive_head head, again;
	size_t used = 0, used_again = 0;
	if (!archive_read_head(str_n(data, size), &head, &used, &err)) {
		CHECK(err.code != ERR_NONE && err.text[0]);
		return 0;
	}
	CHECK(used <= size && head.database >= 0 && strlen(head.key_id) == MASTER_ID);
	BUF_AUTO out = BUF_INIT(ARCHIVE_HEAD_MOST);
	archive_write_head(&head, &out);
	CHECK(buf_ok(&out) && archive_read_head(buf_str(&out), &again, &used_again, &err));
	CHECK(used_again == out.n && again.database == head.database &&
	        again.with_key == head.with_key && !strcmp(again.key_id, head.key_id));
	return 0;
}
