/* SPDX-License-Identifier: Apache-2.0 */
#include "rowset.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 64 };

static size_t up8(size_t n) { return (n + 7) & ~(size_t)7; }

void rowset_init(struct rowset *s, uint32_t key_size, uint32_t value_size, uint64_t seed)
{
	*s = (struct rowset){.key_size = key_size, .value_size = value_size, .value_at = up8(key_size), .seed = seed};
	s->stride = s->value_at + up8(value_size);
}

void rowset_free(struct rowset *s)
{
	free(s->rows);
	free(s->slots);
	rowset_init(s, s->key_size, s->value_size, s->seed);
}

void rowset_clear(struct rowset *s)
{
	s->count = 0;
	if (s->slots)
		memset(s->slots, 0, ((size_t)s->mask + 1) * sizeof(*s->slots));
}

/* Two slots for a row: half of them are free at least. */
static size_t bytes_of(const struct rowset *s, size_t room) { return room * (s->stride + 2 * sizeof(*s->slots)); }

size_t rowset_bytes(const struct rowset *s) { return bytes_of(s, s->room); }

static uint32_t next_room(const struct rowset *s) { return s->room ? 2 * s->room : FIRST_ROOM; }

size_t rowset_bytes_grown(const struct rowset *s)
{
	return s->count < s->room ? rowset_bytes(s) : bytes_of(s, next_room(s));
}

/* Multiplies to 128 bits and folds: every bit of the key reaches every bit. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 wide;
	wide m = (wide)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash(const struct rowset *s, const uint8_t *key)
{
	uint64_t h = s->seed ^ s->key_size;
	size_t n = s->key_size;
	for (; n >= 8; n -= 8, key += 8) {
		uint64_t w;
		memcpy(&w, key, 8);
		h = mix(h ^ w, 0x9e3779b97f4a7c15ull);
	}
	uint64_t w = 0;
	memcpy(&w, key, n);
	return mix(h ^ w, s->seed | 1);
}

/* The slot that holds the key, or the free one where it would go. */
static uint32_t find(const struct rowset *s, const uint8_t *key)
{
	uint32_t at = (uint32_t)hash(s, key) & s->mask;
	while (s->slots[at] && memcmp(rowset_row(s, s->slots[at] - 1), key, s->key_size) != 0)
		at = (at + 1) & s->mask;
	return at;
}

static bool grow(struct rowset *s)
{
	uint32_t room = next_room(s);
	size_t slots = 2 * (size_t)room;
	if (room > UINT32_MAX / 4)
		return false;
	uint8_t *rows = realloc(s->rows, room * (s->stride ? s->stride : 1));
	if (!rows)
		return false;
	s->rows = rows;
	uint32_t *fresh = calloc(slots, sizeof(*fresh));
	if (!fresh)
		return false;
	free(s->slots);
	s->slots = fresh;
	s->mask = (uint32_t)slots - 1;
	s->room = room;
	for (uint32_t i = 0; i < s->count; i++)
		s->slots[find(s, rowset_row(s, i))] = i + 1;
	return true;
}

bool rowset_put(struct rowset *s, const void *key, const void *value)
{
	if (s->count == s->room && (!s->room || !s->slots[find(s, key)]) && !grow(s))
		return false;
	uint32_t at = find(s, key);
	if (!s->slots[at]) {
		uint8_t *row = rowset_row(s, s->count);
		memset(row, 0, s->stride);
		memcpy(row, key, s->key_size);
		s->slots[at] = ++s->count;
	}
	if (s->value_size > 0)
		memcpy(rowset_row(s, s->slots[at] - 1) + s->value_at, value, s->value_size);
	return true;
}

/* Closes the gap at a slot: whoever stands behind it and would rather stand in it
 * moves there. */
static void close_gap(struct rowset *s, uint32_t gap)
{
	for (uint32_t at = (gap + 1) & s->mask; s->slots[at]; at = (at + 1) & s->mask) {
		uint32_t home = (uint32_t)hash(s, rowset_row(s, s->slots[at] - 1)) & s->mask;
		if (((at - home) & s->mask) < ((at - gap) & s->mask))
			continue;
		s->slots[gap] = s->slots[at];
		gap = at;
	}
	s->slots[gap] = 0;
}

void rowset_delete(struct rowset *s, const void *key)
{
	uint32_t at = s->count ? find(s, key) : 0;
	if (s->count == 0 || !s->slots[at])
		return;
	uint32_t row = s->slots[at] - 1, last = s->count - 1;
	close_gap(s, at);
	if (row != last) { /* the last row takes its place */
		s->slots[find(s, rowset_row(s, last))] = row + 1;
		memcpy(rowset_row(s, row), rowset_row(s, last), s->stride);
	}
	s->count--;
}

const void *rowset_get(const struct rowset *s, const void *key)
{
	if (s->count == 0)
		return NULL;
	uint32_t slot = s->slots[find(s, key)];
	return slot ? rowset_row(s, slot - 1) + s->value_at : NULL;
}
