/* SPDX-License-Identifier: Apache-2.0 */
/* What every consumer in C and C++ does with rows, wherever they come from. */
#ifndef RINGSIDE_BENCH_ROWS_H
#define RINGSIDE_BENCH_ROWS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Rows come out of other CPUs' caches, and processors do not fetch ahead from page
 * to page by themselves, nor from frame to frame. Two pages of values are early
 * enough. One request for each cache line and not more: the next consumer on this
 * CPU finds the rows at hand, and only pays for asking. */
enum { ROWS_AHEAD = 8192, ROWS_LINE = 64, ROWS_GROUP = 8 };

/* The sum of three words of a row. */
static inline uint64_t sum_row(const uint8_t *key, const uint8_t *value)
{
	uint32_t k;
	uint64_t v[2];
	memcpy(&k, key, sizeof(k));
	memcpy(v, value, sizeof(v));
	return k + v[0] + v[1];
}

/* The sum of all rows'. */
static inline uint64_t sum_rows(const uint8_t *keys, size_t key_stride, const uint8_t *values, size_t value_stride, size_t rows, int ahead)
{
	uint64_t sum = 0;
	size_t i = 0;
	for (; rows - i >= ROWS_GROUP; i += ROWS_GROUP) {
		const uint8_t *key = keys + i * key_stride, *value = values + i * value_stride;
		if (ahead)
#pragma GCC unroll 8
			for (size_t at = 0; at < ROWS_GROUP * value_stride; at += ROWS_LINE)
				__builtin_prefetch(value + ROWS_AHEAD + at);
#pragma GCC unroll 8
		for (size_t j = 0; j < ROWS_GROUP; j++)
			sum += sum_row(key + j * key_stride, value + j * value_stride);
	}
	for (; i < rows; i++)
		sum += sum_row(keys + i * key_stride, values + i * value_stride);
	return sum;
}

#endif
