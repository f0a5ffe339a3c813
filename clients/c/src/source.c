/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fail.h"
#include "schema.h"

enum {
	/* What the records and schemas of one ring may take. A ring that has more to
	 * say goes on without schemas: its rows are bytes. */
	SCHEMA_BUDGET = 64 << 20,
};

void sources_init(struct sources *s) { *s = (struct sources){.arena = {.budget = SCHEMA_BUDGET}}; }

void sources_free(struct sources *s)
{
	for (uint32_t n = 0; n < s->room; n++)
		free(s->all[n]);
	free(s->all);
	arena_free(&s->arena);
	sources_init(s);
}

static int make_room(struct sources *s, uint32_t room)
{
	if (room <= s->room)
		return 0;
	struct ringside_source **all = realloc(s->all, room * sizeof(*all));
	if (!all)
		return -ENOMEM;
	memset(all + s->room, 0, (room - s->room) * sizeof(*all));
	s->all = all;
	s->room = room;
	return 0;
}

/* Copies the text, which is never looked at in the ring again, and parses it. */
static void load_schema(struct sources *s, const struct ring *ring, struct ringside_source *src,
	uint64_t off, uint32_t length)
{
	char *text = length > 0 && length <= SCHEMA_MAX_BYTES ? arena_take(&s->arena, (size_t)length + 1) : NULL;
	if (!text)
		return;
	copy_racy(text, ring->heap + off, length);
	if (!schema_parse(text, length, &s->arena, &src->key, &src->value))
		return;
	src->schema = text;
	src->schema_bytes = length;
	/* A type of another size than the catalog's does not describe the rows. */
	if (src->key && src->key->size != src->key_size)
		src->key = NULL;
	if (src->value && !(src->flags & RINGSIDE_SOURCE_EVENTS) && src->value->size != src->map_value_size)
		src->value = NULL;
}

static const char *check_record(const uint8_t *rec, uint32_t n, const struct ring *ring)
{
	uint32_t cpus = get32(rec + S_CPUS), length = get32(rec + S_SCHEMA_LEN);
	if (get32(rec + S_NUMBER) != n)
		return "its number is another";
	if (length > ring->heap_bytes || get64(rec + S_SCHEMA_OFF) > ring->heap_bytes - length)
		return "its schema lies outside the heap";
	if ((get32(rec + S_FLAGS) & RINGSIDE_SOURCE_PER_CPU) && (cpus == 0 || get32(rec + S_VALUE_SIZE) % cpus != 0))
		return "its value is no whole number of slots";
	return NULL;
}

static struct ringside_source *decode(const uint8_t *rec)
{
	struct ringside_source *src = calloc(1, sizeof(*src) + S_NAME_BYTES);
	if (!src)
		return NULL;
	char *name = (char *)(src + 1);
	memcpy(name, rec + S_NAME, S_NAME_BYTES - 1); /* the last byte stays NUL */
	*src = (struct ringside_source){
		.name = name, .number = get32(rec + S_NUMBER), .map_id = get32(rec + S_MAP_ID), .map_type = get32(rec + S_MAP_TYPE),
		.max_entries = get32(rec + S_MAX_ENTRIES), .key_size = get32(rec + S_KEY_SIZE),
		.value_size = get32(rec + S_VALUE_SIZE), .flags = get32(rec + S_FLAGS), .created_ns = get64(rec + S_CREATED),
	};
	src->slot_size = src->map_value_size = src->value_size;
	if (src->flags & RINGSIDE_SOURCE_PER_CPU) {
		src->cpus = get32(rec + S_CPUS);
		src->slot_size = src->value_size / src->cpus;
		uint32_t holds = get32(rec + S_MAP_VALUE_SIZE);
		src->map_value_size = holds < src->slot_size ? holds : src->slot_size;
	}
	return src;
}

int sources_get(struct sources *s, const struct ring *ring, uint32_t n,
	const struct ringside_source **out, struct text *why)
{
	uint64_t rec[S_CONSTANT_BYTES / 8];
	uint32_t counted = ring_sources(ring);
	if (n < s->room && s->all[n]) {
		*out = s->all[n];
		return 0;
	}
	*out = NULL;
	if (n >= counted)
		return fail(why, EBADMSG, "the ring is corrupt: source %" PRIu32 " of %" PRIu32, n, counted);
	copy_racy(rec, ring_record(ring, n), sizeof(rec));
	const uint8_t *bytes = (const uint8_t *)rec;
	const char *wrong = check_record(bytes, n, ring);
	if (wrong)
		return fail(why, EBADMSG, "the ring is corrupt: record of source %" PRIu32 ": %s", n, wrong);
	struct ringside_source *src = make_room(s, counted) == 0 ? decode(bytes) : NULL;
	if (!src)
		return fail(why, ENOMEM, "no memory for source %" PRIu32, n);
	load_schema(s, ring, src, get64(bytes + S_SCHEMA_OFF), get32(bytes + S_SCHEMA_LEN));
	*out = s->all[n] = src;
	return 0;
}

uint32_t sources_find(struct sources *s, const struct ring *ring, const char *name, struct text *why)
{
	for (uint32_t n = ring_sources(ring); n-- > 0;) {
		const struct ringside_source *src;
		if (sources_get(s, ring, n, &src, why) == 0 && strcmp(src->name, name) == 0)
			return n;
	}
	return ANY_SOURCE;
}

uint32_t source_successor(const struct ring *ring, uint32_t n)
{
	uint32_t counted = ring_sources(ring);
	while (n < counted) {
		const uint8_t *rec = ring_record(ring, n);
		uint64_t by = word_acquire(rec + S_SUPERSEDED_BY);
		/* A successor is a later one, or the record lies: that ends the walk. */
		if (word_acquire(rec + S_STATE) != SOURCE_SUPERSEDED || by <= (uint64_t)n + 1 || by > counted)
			break;
		n = (uint32_t)by - 1;
	}
	return n;
}
