/* SPDX-License-Identifier: Apache-2.0 */
/* scanhash MAP: a line for each whole scan of a map: how many rows it had, and a
 * hash of them that does not depend on their order. It does so in every language,
 * so the lines of two readers of one ring can be compared. */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>

#include <ringside.h>

static uint64_t fnv1a(uint64_t hash, const void *bytes, uint32_t n)
{
	for (const unsigned char *b = bytes; n > 0; n--, b++)
		hash = (hash ^ *b) * UINT64_C(0x100000001b3);
	return hash;
}

int main(int argc, char **argv)
{
	struct ringside *r;
	struct ringside_options o;
	const struct ringside_batch *b;
	bool whole = false;
	uint64_t rows = 0, hash = 0;  /* of the scan so far, while whole */
	uint64_t seen = 0, lost = 0;  /* rows since attach */
	int n;

	if (argc != 2)
		errx(2, "usage: scanhash MAP");
	ringside_options_init(&o);
	o.source = argv[1];
	if (ringside_attach(&o, &r) < 0)
		errx(1, "%s", ringside_last_error(NULL));
	while ((n = ringside_next(r, &b)) >= 0) {
		if (n == 0) {
			ringside_wait(r, -1);
			continue;
		}
		if (b->kind != RINGSIDE_ROWS) {
			lost += b->lost.rows;
			whole = false;
			continue;
		}
		if (b->flags & RINGSIDE_FIRST)
			whole = true, rows = hash = 0;
		for (uint32_t i = 0; i < b->rows; i++)
			hash += fnv1a(fnv1a(UINT64_C(0xcbf29ce484222325), ringside_key(b, i), b->key_size), ringside_value(b, i), b->value_size);
		rows += b->rows;
		seen += b->rows;
		if (b->flags & RINGSIDE_LAST && whole) {
			printf("{\"scan\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"hash\":\"%016" PRIx64 "\",\"seen\":%" PRIu64 ",\"lost\":%" PRIu64 "}\n",
				b->scan, rows, hash, seen, lost);
			fflush(stdout);
		}
	}
	errx(1, "%s", ringside_last_error(r));
}
