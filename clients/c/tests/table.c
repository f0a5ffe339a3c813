/* SPDX-License-Identifier: Apache-2.0 */
/* table IMAGE: tables, fed with batches of our own making. The image only lends
 * its reader. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "reader.h"
#include "ringside.h"
#include "rowset.h"

static struct ringside *reader;
static struct ringside_source source = {.name = "m", .key_size = 4, .value_size = 8};
static uint32_t seq;
static uint64_t scan;

static int feed(struct ringside_table *t, uint32_t kind, uint32_t flags, uint32_t from, uint32_t rows, uint64_t plus)
{
	static uint32_t keys[4096];
	static uint64_t values[4096];
	for (uint32_t i = 0; i < rows; i++) {
		keys[i] = from + i;
		values[i] = from + i + plus;
	}
	if (flags & RINGSIDE_FIRST)
		scan++;
	struct ringside_batch b = {.kind = kind, .flags = flags, .rows = rows, .source = &source, .source_seq = seq++,
		.scan = scan, .keys = (const uint8_t *)keys, .key_size = 4, .key_stride = 4};
	if (kind == RINGSIDE_ROWS) {
		b.values = (const uint8_t *)values;
		b.value_size = 8;
		b.value_stride = 8;
	}
	return ringside_table_apply(t, &b);
}

static bool has(const struct ringside_table *t, uint32_t key, uint64_t value)
{
	const void *v = ringside_table_get(t, &key);
	return v && memcmp(v, &value, sizeof(value)) == 0;
}

static bool lacks(const struct ringside_table *t, uint32_t key) { return !ringside_table_get(t, &key); }

enum { WHOLE = RINGSIDE_FIRST | RINGSIDE_LAST, KEY = RINGSIDE_KEYFRAME };

static struct ringside_table *new_table(size_t max_bytes)
{
	struct ringside_table_options o = {.size = sizeof(o), .max_bytes = max_bytes};
	struct ringside_table *t;
	CHECK(ringside_table_open(reader, "m", &o, &t) == 0);
	CHECK(!ringside_table_fresh(t) && ringside_table_rows(t) == 0 && lacks(t, 1) && ringside_table_key_size(t) == 0);
	return t;
}

static void keyframes_replace(void)
{
	struct ringside_table *t = new_table(0);
	const void *k, *v;
	CHECK(feed(t, RINGSIDE_ROWS, KEY, 0, 10, 0) == 0); /* its FIRST was missed */
	CHECK(feed(t, RINGSIDE_ROWS, KEY | RINGSIDE_LAST, 10, 10, 0) == 0 && !ringside_table_fresh(t));
	CHECK(feed(t, RINGSIDE_ROWS, KEY | RINGSIDE_FIRST, 0, 1000, 0) == 0 && ringside_table_rows(t) == 0);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | RINGSIDE_LAST, 1000, 1000, 0) == 1);
	CHECK(ringside_table_fresh(t) && ringside_table_rows(t) == 2000 && has(t, 1999, 1999) && lacks(t, 2000));
	CHECK(ringside_table_key_size(t) == 4 && ringside_table_value_size(t) == 8 && ringside_table_scan(t) == scan);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 5, 3, 7) == 1 && ringside_table_rows(t) == 3 && has(t, 5, 12) && lacks(t, 4));
	size_t at = 0, n = 0;
	while (ringside_table_each(t, &at, &k, &v))
		n++;
	CHECK(n == 3);
	ringside_table_close(t);
}

static void changes_come_all_at_once(void)
{
	struct ringside_table *t = new_table(0);
	CHECK(feed(t, RINGSIDE_ROWS, WHOLE, 0, 5, 0) == 0 && ringside_table_rows(t) == 0); /* nothing to change yet */
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 100, 0) == 1);
	CHECK(feed(t, RINGSIDE_ROWS, RINGSIDE_FIRST, 50, 100, 1000) == 0 && has(t, 50, 50) && lacks(t, 100));
	CHECK(feed(t, RINGSIDE_DELETES, 0, 0, 10, 0) == 0 && has(t, 0, 0));
	CHECK(feed(t, RINGSIDE_ROWS, RINGSIDE_LAST, 0, 0, 0) == 1);
	CHECK(ringside_table_fresh(t) && ringside_table_rows(t) == 140 && has(t, 50, 1050) && has(t, 149, 1149) && lacks(t, 9) && has(t, 10, 10));
	/* A scan that breaks off changes nothing but the trust. */
	CHECK(feed(t, RINGSIDE_ROWS, RINGSIDE_FIRST, 0, 10, 0) == 0 && ringside_table_fresh(t));
	CHECK(feed(t, RINGSIDE_ROWS, WHOLE, 0, 10, 0) == 1 && !ringside_table_fresh(t) && lacks(t, 0));
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 10, 0) == 1 && ringside_table_fresh(t) && ringside_table_rows(t) == 10);
	ringside_table_close(t);
}

static void loss_makes_stale(void)
{
	struct ringside_table *t = new_table(0);
	const struct ringside_batch lost = {.kind = RINGSIDE_LOST}, gone = {.kind = RINGSIDE_GONE};
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 10, 0) == 1);
	CHECK(ringside_table_apply(t, &gone) == 0 && ringside_table_fresh(t));
	CHECK(ringside_table_apply(t, &lost) == 1 && !ringside_table_fresh(t) && has(t, 3, 3));
	CHECK(ringside_table_apply(t, &lost) == 0);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 10, 0) == 1 && ringside_table_fresh(t));
	seq++; /* a frame is missing */
	CHECK(feed(t, RINGSIDE_ROWS, WHOLE, 0, 1, 5) == 1 && !ringside_table_fresh(t) && has(t, 0, 0));
	CHECK(feed(t, RINGSIDE_ROWS, KEY | RINGSIDE_FIRST, 0, 1, 0) == 0);
	seq++; /* and one within a keyframe */
	CHECK(feed(t, RINGSIDE_ROWS, KEY | RINGSIDE_LAST, 1, 1, 0) == 0 && !ringside_table_fresh(t));
	/* Another map under the same name: what is known stays until its keyframe. */
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 10, 0) == 1);
	source.number = 1;
	CHECK(feed(t, RINGSIDE_ROWS, WHOLE, 0, 1, 5) == 1 && !ringside_table_fresh(t) && ringside_table_rows(t) == 10);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 2, 0) == 1 && ringside_table_rows(t) == 2);
	ringside_table_close(t);
}

static void memory_is_bounded(void)
{
	struct ringside_table *t = new_table(64 << 10);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 500, 0) == 1);
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 4096, 0) == -ENOSPC && !ringside_table_fresh(t) && ringside_table_rows(t) == 500);
	CHECK(strstr(ringside_last_error(reader), "max_bytes"));
	CHECK(feed(t, RINGSIDE_ROWS, KEY | WHOLE, 0, 500, 0) == 1 && ringside_table_fresh(t));
	CHECK(feed(t, RINGSIDE_ROWS, RINGSIDE_FIRST, 0, 4096, 0) == -ENOSPC && !ringside_table_fresh(t));
	ringside_table_close(t);
}

/* Sets against a plain array, with deletions in any order. */
static void sets_hold(void)
{
	enum { KEYS = 512 };
	struct rowset s;
	bool in[KEYS] = {false};
	uint64_t random = 42;
	rowset_init(&s, 2, 3, 1);
	for (int step = 0; step < 100000; step++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		uint16_t key = (uint16_t)(random >> 33) % KEYS;
		uint8_t value[3] = {(uint8_t)key, (uint8_t)(key >> 8), 7};
		if (random >> 63) {
			CHECK(rowset_put(&s, &key, value));
			in[key] = true;
		} else {
			rowset_delete(&s, &key);
			in[key] = false;
		}
		uint16_t other = (uint16_t)(random >> 20) % KEYS;
		const uint8_t *v = rowset_get(&s, &other);
		CHECK((v != NULL) == in[other] && (!v || (v[0] == (uint8_t)other && v[2] == 7)));
	}
	uint32_t n = 0;
	for (int i = 0; i < KEYS; i++)
		n += in[i];
	CHECK(n == s.count);
	rowset_free(&s);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2 && ringside_open_file(argv[1], NULL, &reader) == 0);
	keyframes_replace();
	changes_come_all_at_once();
	loss_makes_stale();
	memory_is_bounded();
	sets_hold();
	ringside_close(reader);
	return 0;
}
