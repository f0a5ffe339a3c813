/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that prove themselves: the words of a value follow from its first, which
 * is the row's number, and the key is its low half. The sidecar of these tests
 * makes them. */
#ifndef RINGSIDE_TESTS_FLOW_H
#define RINGSIDE_TESTS_FLOW_H

#include <string.h>

#include "ringside.h"

static inline uint64_t flow_word(uint64_t row, int i)
{
	uint64_t w = row * 0x9E3779B97F4A7C15ull + (uint64_t)i;
	return i == 0 ? w : w << (7 * i) | w >> (64 - 7 * i);
}

static inline bool flow_is_whole(const struct ringside_batch *b, uint32_t i)
{
	uint32_t key;
	uint64_t v[4];
	memcpy(&key, ringside_key(b, i), sizeof(key));
	memcpy(v, ringside_value(b, i), sizeof(v));
	return key == (uint32_t)v[0] && v[1] == flow_word(v[0], 1) && v[2] == flow_word(v[0], 2) && v[3] == flow_word(v[0], 3);
}

static inline bool flows_are_whole(const struct ringside_batch *b)
{
	for (uint32_t i = 0; i < b->rows; i++)
		if (!flow_is_whole(b, i))
			return false;
	return true;
}

#endif
