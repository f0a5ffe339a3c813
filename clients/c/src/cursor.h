/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the frames of one ring in order: docs/protocol.md, section 5. */
#ifndef RINGSIDE_CURSOR_H
#define RINGSIDE_CURSOR_H

#include "source.h"

enum status {
	READY,   /* there is a frame */
	EMPTY,   /* nothing new yet */
	ENDED,   /* everything was read and nothing will follow */
	LAPPED,  /* the publisher is so fast that no frame could be caught in 64 tries */
	CORRUPT, /* the ring contradicts itself: final */
	FAILED,  /* no memory for a new source */
};

struct header {
	uint32_t length;
	uint8_t kind, flags;
	uint16_t source;
	uint32_t rows, source_seq;
	uint32_t keys_off, key_stride, values_off, value_stride;
	uint64_t seq, rows_before, scan, time_ns;
};

struct account {
	uint64_t frames, rows, laps;
};

struct cursor {
	const struct ring *ring;
	struct sources *sources;
	struct position pos;
	bool resumed;    /* the last step was a jump, so counts may be higher than expected */
	uint32_t start;  /* where to resume: enum ringside_start */
	uint32_t source; /* whose keyframe; ANY_SOURCE */
	uint8_t *page;   /* the consumer's; NULL: nobody looks */

	struct header h; /* of the frame that peek found, and its source */
	const struct ringside_source *src;
	struct account pending; /* found with it */
	struct account lost;    /* before the frames that were left */
};

/* Finds the next frame. READY: c->h and c->src are checked; the payload may be
 * overwritten at any time and counts only after cursor_valid. Otherwise why says
 * what CORRUPT and FAILED mean. */
enum status cursor_peek(struct cursor *c, struct text *why);

/* The frame that peek found, header and all. */
static inline const uint8_t *cursor_frame(const struct cursor *c)
{
	return c->ring->data + (c->pos.offset & c->ring->mask);
}

/* Whether all that was read since peek was the frame. If not, the cursor has
 * gone on: peek again. */
bool cursor_valid(struct cursor *c);

/* Leaves the frame that peek found. */
void cursor_advance(struct cursor *c);

#endif
