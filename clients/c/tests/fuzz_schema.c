/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer over schemas: whatever is accepted keeps the rules that its users rely
 * on. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"

static void must(bool so)
{
	if (!so)
		abort();
}

static void walk(const struct ringside_type *t, int depth)
{
	const struct ringside_field *f;
	const struct ringside_constant *c;
	struct ringside_field found;
	must(depth <= SCHEMA_MAX_DEPTH && t->size <= SCHEMA_MAX_TYPE_SIZE && strlen(t->name) <= SCHEMA_MAX_NAME);
	for (uint32_t i = 0; (f = ringside_field(t, i)) != NULL; i++) {
		must((uint64_t)f->offset + (f->bit_size ? 0 : f->type->size) <= t->size);
		must((uint64_t)f->offset * 8 + f->bit_offset + f->bit_size <= (uint64_t)t->size * 8);
		if (ringside_find(t, f->name, &found) == 0)
			must(found.offset <= t->size);
		walk(f->type, depth + 1);
	}
	for (uint32_t i = 0; (c = ringside_constant(t, i)) != NULL; i++)
		must(c->name != NULL);
	if (t->elem) {
		must((uint64_t)t->elem->size * t->count == t->size);
		if (t->count > 0)
			must(ringside_find(t, "[0]", &found) == 0 && found.type == t->elem);
		walk(t->elem, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {.budget = 8 << 20};
	const struct ringside_type *key, *value;
	if (schema_parse((const char *)data, size, &a, &key, &value)) {
		if (key)
			walk(key, 0);
		if (value)
			walk(value, 0);
	}
	arena_free(&a);
	return 0;
}
