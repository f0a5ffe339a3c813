/* SPDX-License-Identifier: Apache-2.0 */
/* A schema's JSON text as a tree of types. */
#ifndef RINGSIDE_SCHEMA_H
#define RINGSIDE_SCHEMA_H

#include "arena.h"
#include "ringside.h"

/* The bounds of docs/protocol.md, section 11. */
enum {
	SCHEMA_MAX_BYTES = 1 << 20,
	SCHEMA_MAX_DEPTH = 32,
	SCHEMA_MAX_NODES = 1 << 14,
	SCHEMA_MAX_TYPE_SIZE = 1 << 28,
	SCHEMA_MAX_NAME = 1024,
};

/* False if there is none to be had: rows are bytes then. What is NULL is not
 * described. The tree lives in the arena, which may have grown in any case. */
bool schema_parse(const char *text, size_t bytes, struct arena *arena,
	const struct ringside_type **key, const struct ringside_type **value);

#endif
