/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once, and never more than a budget. */
#ifndef RINGSIDE_ARENA_H
#define RINGSIDE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t budget; /* bytes that may still be taken */
};

/* Zeroed and aligned for anything; NULL: out of memory or over budget. */
void *arena_take(struct arena *a, size_t bytes);
/* A NUL-terminated copy. */
char *arena_string(struct arena *a, const char *s, size_t bytes);
void arena_free(struct arena *a);

#endif
