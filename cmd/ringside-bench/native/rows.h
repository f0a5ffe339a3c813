/* SPDX-License-Identifier: Apache-2.0 */
/* What every consumer in C and C++ does with rows, wherever they come from. */
#ifndef RINGSIDE_BENCH_ROWS_H
#define RINGSIDE_BENCH_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
