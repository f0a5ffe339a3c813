/* SPDX-License-Identifier: Apache-2.0 */
/* A set of rows by key: open addressing over rows that lie side by side. */
#ifndef RINGSIDE_ROWSET_H
#define RINGSIDE_ROWSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rowset {
	uint32_t key_size, value_size;
	size_t value_at, stride; /* of the value in a row, of a row; both multiples of 8 */
	uint8_t *rows;
	uint32_t *slots;         /* number of a row, plus 1; 0: free. A power of two of them */
	uint32_t count, room, mask;
	uint64_t seed;           /* so that nobody chooses keys that collide */
};

void rowset_init(struct rowset *s, uint32_t key_size, uint32_t value_size, uint64_t seed);
void rowset_free(struct rowset *s);

/* Forgets the rows, keeps the memory. */
void rowset_clear(struct rowset *s);

/* Bytes it holds, and would hold with one row more. */
size_t rowset_bytes(const struct rowset *s);
size_t rowset_bytes_grown(const struct rowset *s);

/* Adds a row or overwrites its value; false: no memory. */
bool rowset_put(struct rowset *s, const void *key, const void *value);
void rowset_delete(struct rowset *s, const void *key);

/* The value of a key, or NULL. */
const void *rowset_get(const struct rowset *s, const void *key);

static inline uint8_t *rowset_row(const struct rowset *s, uint32_t i) { return s->rows + (size_t)i * s->stride; }

#endif
