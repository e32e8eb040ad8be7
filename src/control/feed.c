/* Certificates on their way to one serve. */
#include "control/control.h"

void feed_init(struct feed *f, struct link *serve)
{
	*f = (struct feed){ .segments = segments_new(), .serve = serve };
}

void feed_done(struct feed *f)
{
	segments_free(&f->segments);
}

/* Tells of the segments from `from` on; those from `unknown` on serve does not have yet. */
static void tell(const struct feed *f, size_t from, size_t unknown)
{
	for (size_t i = from; i < segments_count(f->segments); i++) {
		if (i >= unknown)
			link_send(f->serve, segment, .index = (int64_t)i,
			        .fd = segments_fd(f->segments, i));
		link_send(f->serve, segment_valid, .index = (int64_t)i,
		        .valid = (int64_t)segments_valid(f->segments, i));
	}
}

/* Something was written when there were `had` segments: into the last of them, or a new one. */
static void tell_written(const struct feed *f, size_t had)
{
	tell(f, segments_count(f->segments) - 1, had);
}

void feed_all(const struct feed *f)
{
	tell(f, 0, 0);
}

bool feed_add(struct feed *f, const struct str *names, size_t count,
        const struct cert_record *record, struct err *err)
{
	size_t had = segments_count(f->segments);
	uint64_t number;
	if (!segments_add(f->segments, names, count, record, &number, err))
		return false;
	tell_written(f, had);
	return true;
}

bool feed_forget(struct feed *f, struct str name, struct err *err)
{
	size_t had = segments_count(f->segments);
	if (!segments_forget(f->segments, &name, 1, err))
		return false;
	tell_written(f, had);
	return true;
}

static struct cert_record record_of(const struct serving_certificate *cert)
{
	struct cert_record record = {
		.leaf = cert->leaf,
		.key = secret_bytes(cert->key),
		.chain_count = cert->chain_count,
		.staple = cert->staple,
		.staple_until = cert->staple_until,
	};
	for (size_t i = 0; i < cert->chain_count; i++)
		record.chain[i] = cert->chain[i];
	return record;
}

/* serve is told of both with the next record. */
bool feed_certificate(struct feed *f, const struct str *names, size_t count,
        const struct serving_certificate *cert, struct err *err)
{
	struct cert_record record = record_of(cert);
	size_t had = segments_count(f->segments);
	uint64_t number;
	if (cert->beside) {
		const struct cert_record beside = record_of(cert->beside);
		if (!segments_add_beside(f->segments, &beside, &record.beside, err))
			return false;
	}
	bool added = segments_add(f->segments, names, count, &record, &number, err);
	tell(f, had ? had - 1 : 0, had);
	return added;
}
