/* The access log's file: a thread that may wait for a disk, so that no worker does. What it has not
 * written yet is bounded; lines beyond that are dropped, counted and told of. */
#ifndef WORKER_LOG_WRITER_H
#define WORKER_LOG_WRITER_H

#include "base/buf.h"
#include "base/err.h"

MUST_CHECK bool log_writer_start(struct err *err);
/* Writes what it was given; nobody may give it more. */
void log_writer_end(void);
/* From now on there; takes the descriptor. -1: nowhere. From the main thread. */
void log_writer_use(int fd);
/* Whole lines, so many; takes what is in the buffer. From any thread. */
void log_writer_take(struct buf *lines, unsigned count);

#endif
