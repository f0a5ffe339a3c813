/* SPDX-License-Identifier: Apache-2.0 */
/* What every program in C and C++ here does with rows, wherever they come from. */
#ifndef RINGSIDE_BENCH_ROWS_H
#define RINGSIDE_BENCH_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Copies rows to where others will read them, past the caches of this processor, as
 * a publisher of ringside does (shm/nontemporal). The last store is in order with
 * all that come after it. */
static inline void put_rows(uint8_t *to, const uint8_t *from, size_t bytes)
{
#if defined(__SSE2__)
	size_t head = -(uintptr_t)to % 64 < bytes ? -(uintptr_t)to % 64 : bytes;
	memcpy(to, from, head);
	for (to += head, from += head, bytes -= head; bytes >= 64; to += 64, from += 64, bytes -= 64)
		for (size_t i = 0; i < 64; i += 16)
			_mm_stream_si128((__m128i *)(void *)(to + i), _mm_loadu_si128((const __m128i *)(const void *)(from + i)));
	_mm_sfence();
#endif
	memcpy(to, from, bytes);
}

/* Rows of a scan come to a publisher a frame at a time, in scratch that stays in the
 * caches. Here it holds the same for every frame; see fanout_carrier.go. */
enum { SCRATCH = 4096 * (4 + 32) };

static inline void put_scan(uint8_t *to, const uint8_t *scratch, size_t bytes)
{
	for (; bytes > SCRATCH; to += SCRATCH, bytes -= SCRATCH)
		put_rows(to, scratch, SCRATCH);
	put_rows(to, scratch, bytes);
}

/* Two words that are added at once. */
typedef uint64_t rows_pair __attribute__((vector_size(16)));

/* What was added up of some rows: a word of the keys, two of the values. */
struct rows_sum {
	uint64_t keys;
	rows_pair values;
};

static inline void add_row(struct rows_sum *s, const uint8_t *key, const uint8_t *value)
{
	uint32_t word;
	rows_pair words;
	memcpy(&word, key, sizeof(word));
	memcpy(&words, value, sizeof(words));
	s->keys += word;
	s->values += words;
}

/* Looks at every row. Two sums take turns, so that no addition waits for the one
 * before: measured is how the rows got here. */
static inline uint64_t sum_rows(const uint8_t *keys, size_t key_stride, const uint8_t *values, size_t value_stride, size_t rows)
{
	struct rows_sum even = {0, {0, 0}}, odd = {0, {0, 0}};
	size_t i = 0;
#pragma GCC unroll 4
	for (; rows - i >= 2; i += 2) {
		add_row(&even, keys + i * key_stride, values + i * value_stride);
		add_row(&odd, keys + (i + 1) * key_stride, values + (i + 1) * value_stride);
	}
	if (i < rows)
		add_row(&even, keys + i * key_stride, values + i * value_stride);
	rows_pair both = even.values + odd.values;
	return even.keys + odd.keys + both[0] + both[1];
}

#endif
