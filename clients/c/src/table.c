/* SPDX-License-Identifier: Apache-2.0 */
/* The current content of one map: docs/protocol.md, section 3.2. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "reader.h"
#include "rowset.h"

static const size_t default_max_bytes = 256u << 20;

enum building {
	NOTHING,  /* no scan, or one that is of no use */
	KEYFRAME, /* into next, which replaces rows */
	CHANGES,  /* into log, which is applied to rows */
};

struct ringside_table {
	struct ringside *reader;
	char name[S_NAME_BYTES];
	size_t max_bytes;
	uint64_t seed;

	bool fresh, known; /* known: rows are those of some scan */
	struct rowset rows, next;
	uint64_t scan, time_ns; /* of rows */

	/* The source, as it was when the last batch came. */
	uint64_t ring;     /* counts restarts: numbers of another ring mean nothing */
	uint32_t number;
	bool placed;       /* there was a batch, and expected is what follows it */
	uint32_t expected; /* source_seq */

	enum building building;
	uint64_t building_scan;
	/* A change scan that is not complete: for each row a byte (is it
	 * there?), the key, and if it is the value. */
	uint8_t *log;
	size_t log_bytes, log_room;
};

int ringside_table_open(struct ringside *r, const char *source,
	const struct ringside_table_options *options, struct ringside_table **out)
{
	*out = NULL;
	size_t size = options ? options->size : sizeof(*options);
	if (size < sizeof(*options))
		return fail(&r->why, EINVAL, "table options of %zu bytes", size);
	for (size_t i = sizeof(*options); i < size; i++)
		if (((const unsigned char *)options)[i] != 0)
			return fail(&r->why, E2BIG, "a table option that version " RINGSIDE_VERSION " does not know");
	size_t n = strlen(source);
	if (n == 0 || n >= S_NAME_BYTES)
		return fail(&r->why, n ? ENAMETOOLONG : EINVAL, "the name of a table's source has %zu bytes", n);
	struct ringside_table *t = calloc(1, sizeof(*t));
	if (!t)
		return fail(&r->why, ENOMEM, "no memory for a table");
	t->reader = r;
	t->max_bytes = options && options->max_bytes ? options->max_bytes : default_max_bytes;
	memcpy(t->name, source, n);
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != (ssize_t)sizeof(t->seed))
		t->seed = (uint64_t)clock_ns() ^ (uint64_t)(uintptr_t)t;
	t->seed |= 1; /* 0 is that of no set */
	*out = t;
	return 0;
}

void ringside_table_close(struct ringside_table *t)
{
	if (!t)
		return;
	rowset_free(&t->rows);
	rowset_free(&t->next);
	free(t->log);
	free(t);
}

/* Drops a scan in the making. */
static void abandon(struct ringside_table *t)
{
	t->building = NOTHING;
	t->log_bytes = 0;
	rowset_clear(&t->next); /* its memory serves the next keyframe */
}

/* What is known stays, and is not the newest any more. */
static int make_stale(struct ringside_table *t)
{
	bool was = t->fresh;
	abandon(t);
	t->fresh = false;
	return was;
}

/* A stale table of a source that publishes changes asks for a keyframe. */
static void wish(const struct ringside_table *t, const struct ringside_batch *b)
{
	if (!t->fresh && t->building != KEYFRAME && (b->source->flags & RINGSIDE_SOURCE_CHANGES))
		(void)ringside_ask(t->reader, b->source); /* nobody there: a restart brings one anyway */
}

static bool fits(const struct ringside_table *t, size_t more)
{
	return rowset_bytes(&t->rows) + rowset_bytes_grown(&t->next) + t->log_room + more <= t->max_bytes;
}

static int too_large(struct ringside_table *t)
{
	make_stale(t);
	return fail(&t->reader->why, ENOSPC, "table of source \"%s\": the map does not fit into %zu bytes; raise max_bytes", t->name, t->max_bytes);
}

static int no_memory(struct ringside_table *t)
{
	make_stale(t);
	return fail(&t->reader->why, ENOMEM, "table of source \"%s\": out of memory", t->name);
}

/* Makes room for n more bytes of log. */
static int reserve(struct ringside_table *t, size_t n)
{
	if (n <= t->log_room - t->log_bytes)
		return 0;
	size_t room = 2 * t->log_room > t->log_bytes + n ? 2 * t->log_room : t->log_bytes + n;
	if (!fits(t, room - t->log_room))
		return too_large(t);
	uint8_t *log = realloc(t->log, room);
	if (!log)
		return no_memory(t);
	t->log = log;
	t->log_room = room;
	return 0;
}

static int note_changes(struct ringside_table *t, const struct ringside_batch *b)
{
	bool there = b->kind == RINGSIDE_ROWS;
	size_t each = 1 + (size_t)b->key_size + b->value_size;
	int err = b->rows ? reserve(t, each * b->rows) : 0;
	for (uint32_t i = 0; !err && i < b->rows; i++) {
		t->log[t->log_bytes++] = there;
		memcpy(t->log + t->log_bytes, ringside_key(b, i), b->key_size);
		t->log_bytes += b->key_size;
		if (b->value_size > 0) /* deletes have none */
			memcpy(t->log + t->log_bytes, ringside_value(b, i), b->value_size);
		t->log_bytes += b->value_size;
	}
	return err;
}

static int note_rows(struct ringside_table *t, const struct ringside_batch *b)
{
	for (uint32_t i = 0; i < b->rows; i++) {
		if (b->kind == RINGSIDE_DELETES) {
			rowset_delete(&t->next, ringside_key(b, i));
			continue;
		}
		if (!fits(t, 0))
			return too_large(t);
		if (!rowset_put(&t->next, ringside_key(b, i), ringside_value(b, i)))
			return no_memory(t);
	}
	return 0;
}

static int apply_log(struct ringside_table *t)
{
	if (!t->log) /* no scan has brought anything yet */
		return 0;
	const uint8_t *end = t->log + t->log_bytes;
	uint32_t key = t->rows.key_size, value = t->rows.value_size;
	for (const uint8_t *p = t->log; p < end;) {
		bool there = *p++;
		if (!there)
			rowset_delete(&t->rows, p);
		else if (rowset_bytes_grown(&t->rows) + t->log_room > t->max_bytes)
			return too_large(t);
		else if (!rowset_put(&t->rows, p, p + key))
			return no_memory(t);
		p += key + (there ? value : 0);
	}
	return 0;
}

/* LAST has come: what was gathered counts, all at once. */
static int finish(struct ringside_table *t, const struct ringside_batch *b)
{
	int err = 0;
	if (t->building == KEYFRAME) {
		struct rowset old = t->rows;
		t->rows = t->next;
		t->next = old;
	} else {
		err = apply_log(t);
	}
	abandon(t);
	if (err)
		return err;
	t->fresh = t->known = true;
	t->scan = b->scan;
	t->time_ns = b->time_ns;
	return 1;
}

/* A scan begins. One that broke off leaves the table stale. */
static int begin(struct ringside_table *t, const struct ringside_batch *b)
{
	int changed = t->building != NOTHING ? make_stale(t) : 0;
	if (b->flags & RINGSIDE_KEYFRAME) {
		t->building = KEYFRAME;
		if (t->next.key_size != b->source->key_size || t->next.value_size != b->source->value_size || !t->next.seed) {
			rowset_free(&t->next);
			rowset_init(&t->next, b->source->key_size, b->source->value_size, t->seed);
		}
	} else if (t->fresh) {
		t->building = CHANGES;
	}
	t->building_scan = b->scan;
	return changed;
}

/* Whether b follows what came before, of the same source. If not, the table is
 * stale. */
static int follow(struct ringside_table *t, const struct ringside_batch *b)
{
	uint64_t ring = t->reader->count.restarts;
	bool same = t->placed && t->ring == ring && t->number == b->source->number;
	bool follows = same && t->expected == b->source_seq;
	t->placed = true;
	t->ring = ring;
	t->number = b->source->number;
	t->expected = b->source_seq + 1;
	return follows ? 0 : make_stale(t);
}

int ringside_table_apply(struct ringside_table *t, const struct ringside_batch *b)
{
	if (t->reader->lent != NOT_LENT)
		return fail(&t->reader->why, EINVAL, "a table takes copies, not leases, which may be overwritten");
	if (b->kind == RINGSIDE_LOST || b->kind == RINGSIDE_RESTART)
		return make_stale(t);
	if ((b->kind != RINGSIDE_ROWS && b->kind != RINGSIDE_DELETES) || strcmp(b->source->name, t->name) != 0)
		return 0;
	int changed = follow(t, b);
	if (b->flags & RINGSIDE_FIRST)
		changed |= begin(t, b);
	else if (t->building != NOTHING && t->building_scan != b->scan)
		changed |= make_stale(t);
	wish(t, b);
	if (t->building == NOTHING)
		return changed;
	bool keyframe = t->building == KEYFRAME;
	if (keyframe != ((b->flags & RINGSIDE_KEYFRAME) != 0))
		return make_stale(t) | changed;
	int err = keyframe ? note_rows(t, b) : note_changes(t, b);
	if (err)
		return err;
	return b->flags & RINGSIDE_LAST ? finish(t, b) : changed;
}

bool ringside_table_fresh(const struct ringside_table *t) { return t->fresh; }
size_t ringside_table_rows(const struct ringside_table *t) { return t->rows.count; }
uint32_t ringside_table_key_size(const struct ringside_table *t) { return t->known ? t->rows.key_size : 0; }
uint32_t ringside_table_value_size(const struct ringside_table *t) { return t->known ? t->rows.value_size : 0; }
uint64_t ringside_table_scan(const struct ringside_table *t) { return t->scan; }
uint64_t ringside_table_time_ns(const struct ringside_table *t) { return t->time_ns; }

const void *ringside_table_get(const struct ringside_table *t, const void *key) { return rowset_get(&t->rows, key); }

bool ringside_table_each(const struct ringside_table *t, size_t *at, const void **key, const void **value)
{
	if (*at >= t->rows.count)
		return false;
	const uint8_t *row = rowset_row(&t->rows, (uint32_t)(*at)++);
	*key = row;
	*value = row + t->rows.value_at;
	return true;
}
