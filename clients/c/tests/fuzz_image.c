/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer over whole rings: whatever the bytes are, reading them ends, stays
 * inside them, and takes a bounded amount of memory. */
#include <errno.h>
#include <string.h>

#include "reader.h"

enum { MAX_TOUCHED = 64 }; /* rows of one batch */

static unsigned touch(const void *bytes, size_t n)
{
	const unsigned char *b = bytes;
	return n > 0 ? (unsigned)b[0] + b[n - 1] : 0;
}

static unsigned touch_row(const struct ringside_batch *b, uint32_t i)
{
	uint32_t length;
	unsigned sum = 0;
	if (b->kind == RINGSIDE_EVENTS) {
		const void *event = ringside_event(b, i, &length);
		return event ? touch(event, length) : 0;
	}
	sum += touch(ringside_key(b, i), b->key_size);
	return b->kind == RINGSIDE_ROWS ? sum + touch(ringside_value(b, i), b->value_size) : sum;
}

static unsigned touch_batch(const struct ringside_batch *b)
{
	unsigned sum = 0;
	if (b->source)
		for (uint32_t i = 0; i < b->rows && i < MAX_TOUCHED; i++)
			sum += touch_row(b, i) + touch_row(b, b->rows - 1 - i);
	return sum;
}

static unsigned read_all(struct ringside *r, bool lease)
{
	const struct ringside_batch *b;
	struct ringside_table *t;
	struct ringside_table_options o = {.size = sizeof(o), .max_bytes = 1 << 20};
	unsigned sum = 0;
	if (ringside_table_open(r, "flows", &o, &t) < 0)
		return 0;
	for (int n; (n = lease ? ringside_lease(r, &b) : ringside_next(r, &b)) >= 0;) {
		if (n == 0)
			continue;
		sum += touch_batch(b);
		if (lease)
			ringside_lease_end(r);
		else
			ringside_table_apply(t, b);
	}
	for (uint32_t n = 0; n < ringside_sources(r) && n < MAX_TOUCHED; n++) {
		const struct ringside_source *src = ringside_source(r, n);
		sum += src && src->schema ? touch(src->schema, src->schema_bytes) : 0;
	}
	ringside_table_close(t);
	return sum;
}

/* A wrong checksum is refused at once, and would be all that is ever tried. */
static void seal(uint8_t *image)
{
	uint64_t h = 0xcbf29ce484222325ull;
	for (size_t i = 0; i < H_CHECKSUM; i++)
		h = (h ^ image[i]) * 0x100000001b3ull;
	memcpy(image + H_CHECKSUM, &h, sizeof(h));
}

static volatile unsigned seen; /* so that no reading is optimised away */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t image[1 << 20];
	static const uint32_t starts[] = {RINGSIDE_START_BEGINNING, RINGSIDE_START_DEFAULT, RINGSIDE_START_KEYFRAME, RINGSIDE_START_HEAD};
	if (size < 2 * PAGE_BYTES || size > sizeof(image))
		return 0;
	memcpy(image, data, size);
	seal(image);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		struct ringside_options o;
		struct ringside *r;
		ringside_options_init(&o);
		o.start = starts[i];
		o.source = starts[i] == RINGSIDE_START_KEYFRAME ? "flows" : NULL;
		if (reader_open_memory(image, size, &o, &r) < 0)
			return 0;
		seen += read_all(r, i % 2 == 1);
		ringside_close(r);
	}
	return 0;
}
