/* SPDX-License-Identifier: Apache-2.0 */
/* starts FILE SOURCE: how many frames are read from each start, of the source and
 * of all. */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "ringside.h"

static void count(const char *file, uint32_t start, const char *source)
{
	struct ringside *r;
	struct ringside_options o;
	struct ringside_stats s = {.size = sizeof(s)};
	const struct ringside_batch *b;
	int n;
	ringside_options_init(&o);
	o.start = start;
	o.source = source;
	if (ringside_open_file(file, &o, &r) < 0)
		errx(1, "%s", ringside_last_error(NULL));
	while ((n = ringside_next(r, &b)) == 1)
		;
	if (n != -ENODATA || ringside_stats(r, &s) < 0)
		errx(1, "%s", ringside_last_error(r));
	printf(" %" PRIu64 "-%" PRIu64, s.frames, s.lost_frames);
	ringside_close(r);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: starts FILE SOURCE");
	for (uint32_t start = RINGSIDE_START_DEFAULT; start <= RINGSIDE_START_BEGINNING; start++) {
		count(argv[1], start, NULL);
		count(argv[1], start, argv[2]);
	}
	putchar('\n');
	return 0;
}
