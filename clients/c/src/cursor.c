/* SPDX-License-Identifier: Apache-2.0 */
#include "cursor.h"

#include <errno.h>
#include <inttypes.h>

#include "fail.h"

enum { MAX_TRIES = 64 }; /* pads skipped and jumps made in one call */

static void decode(struct header *h, const uint64_t *w)
{
	*h = (struct header){
		.length = (uint32_t)w[0], .kind = (uint8_t)(w[0] >> 32), .flags = (uint8_t)(w[0] >> 40), .source = (uint16_t)(w[0] >> 48),
		.rows = (uint32_t)w[1], .source_seq = (uint32_t)(w[1] >> 32),
		.keys_off = (uint32_t)w[2], .key_stride = (uint32_t)(w[2] >> 32),
		.values_off = (uint32_t)w[3], .value_stride = (uint32_t)(w[3] >> 32),
		.seq = w[4], .rows_before = w[5], .scan = w[6], .time_ns = w[7],
	};
}

static bool column_fits(uint32_t off, uint32_t stride, uint32_t rows, uint32_t size, uint32_t length)
{
	if (rows == 0)
		return true;
	/* 64 bits hold any product of two of 32. */
	return off >= FRAME_HEADER_BYTES && stride >= size && rows <= length &&
		(uint64_t)off + (uint64_t)(rows - 1) * stride + size <= length;
}

static bool extents_fit(const struct header *h, const struct ringside_source *src)
{
	switch (h->kind) {
	case FRAME_ROWS:
		return column_fits(h->keys_off, h->key_stride, h->rows, src->key_size, h->length) &&
			column_fits(h->values_off, h->value_stride, h->rows, src->value_size, h->length);
	case FRAME_DELETES:
		return column_fits(h->keys_off, h->key_stride, h->rows, src->key_size, h->length);
	case FRAME_EVENTS:
		return h->keys_off >= FRAME_HEADER_BYTES && h->key_stride == 8 &&
			(uint64_t)h->keys_off + (uint64_t)h->rows * 8 <= h->length;
	case FRAME_MARK:
		return h->rows == 0;
	}
	return true; /* a later minor version's kind: never interpreted */
}

/* Holds a header against the ring. It passed the comparison with hw, so it is
 * what the publisher wrote, and what is wrong with it is no bad luck. */
static enum status check(struct cursor *c, const struct header *h, uint64_t head, struct text *why)
{
	const struct position *p = &c->pos;
	const struct ring *r = c->ring;
	bool counts = c->resumed ? h->seq >= p->seq && h->rows_before >= p->rows : h->seq == p->seq && h->rows_before == p->rows;
	if (head - p->offset > r->data_bytes) {
		fail(why, EBADMSG, "the ring is corrupt: head is %" PRIu64 ", before the reader's %" PRIu64, head, p->offset);
		return CORRUPT;
	}
	if (h->length < FRAME_HEADER_BYTES || h->length % FRAME_ALIGN != 0 || h->length > r->largest_frame ||
	    (p->offset & r->mask) + h->length > r->data_bytes || h->length > head - p->offset) {
		fail(why, EBADMSG, "the ring is corrupt: frame at %" PRIu64 " has length %" PRIu32 ", head is %" PRIu64, p->offset, h->length, head);
		return CORRUPT;
	}
	if (h->kind == FRAME_PAD)
		return READY;
	if (!counts) {
		fail(why, EBADMSG, "the ring is corrupt: frame at %" PRIu64 " is number %" PRIu64 " after row %" PRIu64
			", expected %" PRIu64 " after %" PRIu64, p->offset, h->seq, h->rows_before, p->seq, p->rows);
		return CORRUPT;
	}
	int err = sources_get(c->sources, r, h->source, &c->src, why);
	if (err)
		return err == -ENOMEM ? FAILED : CORRUPT;
	if (!extents_fit(h, c->src)) {
		fail(why, EBADMSG, "the ring is corrupt: frame at %" PRIu64 " describes rows outside itself", p->offset);
		return CORRUPT;
	}
	return READY;
}

/* Stored when a frame is left; the cursor last, so that the sidecar never sees
 * progress without its counts. */
static void report(const struct cursor *c)
{
	if (!c->page)
		return;
	word_store(c->page + P_NEXT_SEQ, c->pos.seq);
	word_store(c->page + P_NEXT_ROWS, c->pos.rows);
	word_store(c->page + P_LOST_FRAMES, c->lost.frames);
	word_store(c->page + P_LOST_ROWS, c->lost.rows);
	word_store(c->page + P_LAPS, c->lost.laps);
	word_release(c->page + P_CURSOR, c->pos.offset);
}

/* Where the policy says that reading goes on. */
static uint64_t resume_word(struct cursor *c)
{
	const struct ring *r = c->ring;
	if (c->start == RINGSIDE_START_HEAD)
		return word_acquire(r->control + C_LAST);
	if (c->start == RINGSIDE_START_KEYFRAME && c->source != ANY_SOURCE) {
		c->source = source_successor(r, c->source);
		return c->source < ring_sources(r) ? word_acquire(ring_record(r, c->source) + S_KEYFRAME_POS) : UINT64_MAX;
	}
	return word_acquire(r->control + C_TAIL);
}

/* Jumps to a frame that is still there. What was skipped its header will tell: it
 * has the counts of everything before it. */
static void resume(struct cursor *c)
{
	uint64_t to = resume_word(c);
	c->resumed = true;
	/* A keyframe's place is stored a moment before head passes the keyframe. */
	if (to <= c->pos.offset || to >= ring_head(c->ring) || ring_overtaken(c->ring, to))
		to = word_acquire(c->ring->control + C_LAST);
	c->pos.offset = to & ~(uint64_t)(FRAME_ALIGN - 1); /* a hostile word stays in bounds, too */
}

/* Nothing to read. The state is stored after the final head, so head is loaded
 * once more behind it. */
static enum status nothing(const struct cursor *c)
{
	bool live = ring_state(c->ring) == STATE_LIVE;
	return !live && ring_head(c->ring) == c->pos.offset ? ENDED : EMPTY;
}

enum status cursor_peek(struct cursor *c, struct text *why)
{
	uint64_t w[FRAME_HEADER_BYTES / 8];
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		uint64_t head = ring_head(c->ring);
		if (c->pos.offset == head)
			return nothing(c);
		const uint8_t *frame = cursor_frame(c);
		for (size_t i = 0; i < FRAME_HEADER_BYTES / 8; i++)
			w[i] = word_relaxed(frame + 8 * i);
		load_load(); /* the copy is complete before hw is loaded */
		if (ring_overtaken(c->ring, c->pos.offset)) {
			resume(c);
			continue;
		}
		decode(&c->h, w);
		enum status s = check(c, &c->h, head, why);
		if (s != READY)
			return s;
		if (c->h.kind != FRAME_PAD) {
			c->pending = (struct account){c->h.seq - c->pos.seq, c->h.rows_before - c->pos.rows, c->resumed};
			return READY;
		}
		c->pos.offset += c->h.length;
		report(c);
	}
	return LAPPED;
}

bool cursor_valid(struct cursor *c)
{
	load_load(); /* every load of the payload is complete before hw is loaded */
	if (!ring_overtaken(c->ring, c->pos.offset))
		return true;
	resume(c);
	return false;
}

void cursor_advance(struct cursor *c)
{
	c->lost.frames += c->pending.frames;
	c->lost.rows += c->pending.rows;
	c->lost.laps += c->pending.laps;
	c->pos.offset += c->h.length;
	c->pos.seq = c->h.seq + 1;
	c->pos.rows = c->h.rows_before + c->h.rows;
	c->resumed = false;
	report(c);
}
