/* SPDX-License-Identifier: Apache-2.0 */
/* One ring's memory, checked: after ring_check no offset taken from its geometry
 * leaves it. */
#ifndef RINGSIDE_RING_H
#define RINGSIDE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "memory.h"
#include "protocol.h"

struct text; /* fail.h */

struct ring {
	const uint8_t *base; /* NULL: there is no ring */
	uint64_t bytes;
	uint64_t epoch;
	uint32_t records; /* room in the catalog */
	uint64_t heap_bytes;
	uint32_t largest_frame;
	uint64_t catalog_off, heap_off, data_off;
	const uint8_t *control, *catalog, *heap, *data;
	uint64_t data_bytes, mask;
};

/* Where reading stands: before a frame that has these counts. */
struct position {
	uint64_t offset, seq, rows;
};

/* Holds a private copy of the first two pages against the file's size, and fills
 * in what needs no memory. bytes: of the file. */
int ring_check(struct ring *ring, const uint8_t *pages, uint64_t bytes, struct text *why);

/* Points a checked ring at its memory. */
void ring_place(struct ring *ring, const uint8_t *base);

/* Checks and maps a ring that a sidecar lent. */
int ring_map(struct ring *ring, int fd, struct text *why);

/* Reads a ring from a file, or out of memory, into private memory. */
int ring_read(struct ring *ring, int fd, struct text *why);
int ring_copy(struct ring *ring, const uint8_t *image, size_t bytes, struct text *why);

void ring_unmap(struct ring *ring);

static inline uint64_t ring_head(const struct ring *r) { return word_acquire(r->control + C_HEAD); }
static inline uint64_t ring_state(const struct ring *r) { return word_acquire(r->control + C_STATE); }

/* Whether the bytes at pos may have been overwritten by now. */
static inline bool ring_overtaken(const struct ring *r, uint64_t pos)
{
	return word_relaxed(r->control + C_HW) - pos > r->data_bytes;
}

static inline uint32_t ring_sources(const struct ring *r)
{
	uint64_t n = word_acquire(r->control + C_CATALOG_LEN);
	if (n > r->records)
		n = r->records;
	return n > ANY_SOURCE ? ANY_SOURCE : (uint32_t)n; /* frames can name no more */
}

static inline const uint8_t *ring_record(const struct ring *r, uint32_t n)
{
	return r->catalog + (uint64_t)n * RECORD_BYTES;
}

/* How much was published in all. */
struct position ring_totals(const struct ring *ring);

#endif
