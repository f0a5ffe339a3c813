/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 4096 };

struct arena_block {
	struct arena_block *next;
	size_t used, bytes;
	alignas(max_align_t) unsigned char memory[];
};

static struct arena_block *add_block(struct arena *a, size_t bytes)
{
	if (bytes < BLOCK_BYTES)
		bytes = BLOCK_BYTES;
	if (bytes > a->budget)
		return NULL;
	struct arena_block *b = calloc(1, sizeof(*b) + bytes);
	if (!b)
		return NULL;
	a->budget -= bytes;
	b->bytes = bytes;
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

void *arena_take(struct arena *a, size_t bytes)
{
	const size_t align = alignof(max_align_t);
	if (bytes > a->budget + BLOCK_BYTES)
		return NULL; /* and the sum below does not overflow */
	bytes = (bytes + align - 1) & ~(align - 1);
	struct arena_block *b = a->blocks;
	if (!b || b->bytes - b->used < bytes)
		b = add_block(a, bytes);
	if (!b)
		return NULL;
	void *p = b->memory + b->used;
	b->used += bytes;
	return p;
}

char *arena_string(struct arena *a, const char *s, size_t bytes)
{
	char *copy = arena_take(a, bytes + 1);
	if (copy && bytes > 0)
		memcpy(copy, s, bytes);
	return copy;
}

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;
		free(a->blocks);
		a->blocks = next;
	}
}
