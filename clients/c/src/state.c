/* SPDX-License-Identifier: Apache-2.0 */
/* Sources, statistics, and what is asked of the sidecar through the page. */
#include <errno.h>

#include "reader.h"

uint32_t ringside_sources(struct ringside *r)
{
	return r->phase == READING ? ring_sources(&r->lease.ring) : r->sources.room;
}

const struct ringside_source *ringside_source(struct ringside *r, uint32_t n)
{
	const struct ringside_source *src = NULL;
	if (r->phase != READING) /* what is known of the last ring */
		return n < r->sources.room ? r->sources.all[n] : NULL;
	if (n < ring_sources(&r->lease.ring))
		sources_get(&r->sources, &r->lease.ring, n, &src, &r->why);
	return src;
}

const struct ringside_source *ringside_source_by_name(struct ringside *r, const char *name)
{
	for (uint32_t n = ringside_sources(r); n-- > 0;) {
		const struct ringside_source *src = ringside_source(r, n);
		if (src && strcmp(src->name, name) == 0)
			return src;
	}
	return NULL;
}

const char *ringside_last_error(const struct ringside *r) { return r ? r->why.s : thread_failure(); }

static uint64_t counted(const uint64_t *from) { return __atomic_load_n(from, __ATOMIC_RELAXED); }

/* The ring is mapped as long as the lock is held. The count may be ahead of a
 * total that is a moment old. */
static void lag(const struct ringside *r, struct ringside_stats *s)
{
	bool *lock = (bool *)(uintptr_t)&r->lock; /* no reader is ever a constant object */
	reader_lock(lock);
	if (r->lease.ring.base) {
		struct position all = ring_totals(&r->lease.ring);
		uint64_t seq = counted(&r->count.seq), rows = counted(&r->count.rows_before);
		s->lag_frames = all.seq > seq ? all.seq - seq : 0;
		s->lag_rows = all.rows > rows ? all.rows - rows : 0;
		s->epoch = r->lease.ring.epoch;
	}
	reader_unlock(lock);
}

int ringside_stats(const struct ringside *r, struct ringside_stats *to)
{
	struct ringside_stats s = {.size = to->size};
	if (to->size < sizeof(to->size))
		return -EINVAL;
	s.frames = counted(&r->count.frames);
	s.rows = counted(&r->count.rows);
	s.lost_frames = counted(&r->count.lost_frames);
	s.lost_rows = counted(&r->count.lost_rows);
	s.laps = counted(&r->count.laps);
	s.restarts = counted(&r->count.restarts);
	s.away = __atomic_load_n(&r->count.away, __ATOMIC_RELAXED);
	lag(r, &s);
	memcpy(to, &s, to->size < sizeof(s) ? to->size : sizeof(s));
	return 0;
}

uint64_t ringside_realtime_ns(const struct ringside *r, uint64_t time_ns)
{
	const struct ring *ring = &r->lease.ring;
	return ring->base ? time_ns + word_relaxed(ring->control + C_REALTIME_OFFSET) : time_ns;
}

int ringside_ask(struct ringside *r, const struct ringside_source *source)
{
	if (r->phase != READING || !r->lease.page || r->hung_up)
		return fail(&r->why, ENOTCONN, "nobody is there to ask for a keyframe");
	uint64_t wish = ASK_ALL;
	if (source)
		wish = (uint64_t)source->number + 1;
	/* One word holds one wish: two different ones are a wish for all. */
	uint64_t standing = word_relaxed(r->lease.page + P_ASK);
	word_store(r->lease.page + P_ASK, standing != 0 && standing != wish ? ASK_ALL : wish);
	return 0;
}
