/* SPDX-License-Identifier: Apache-2.0 */
/* leak SOCKET FILE...: attaches, reads, closes, many times, in every way, and
 * counts descriptors and mappings before and after. */
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "ringside.h"

static int descriptors(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* Mappings that have a name: the allocator's come and go. */
static int mappings(void)
{
	char line[512];
	int n = 0;
	FILE *f = fopen("/proc/self/maps", "re");
	while (f && fgets(line, sizeof(line), f))
		for (const char *c = line; *c; c++)
			if (*c == '/') {
				n++;
				break;
			}
	if (f)
		fclose(f);
	return n;
}

static void use(struct ringside *r)
{
	const struct ringside_batch *b;
	struct ringside_table *t;
	if (ringside_table_open(r, "flows", NULL, &t) < 0)
		exit(1);
	for (int i = 0; i < 8; i++) {
		if (ringside_next(r, &b) == 1)
			ringside_table_apply(t, b);
		if (ringside_lease(r, &b) == 1 && i % 2 == 0)
			ringside_lease_end(r);
		ringside_lease_end(r);
	}
	ringside_table_close(t);
	if (ringside_fd(r) >= 0) {
		ringside_arm(r);
		ringside_wait(r, 0);
	}
}

int main(int argc, char **argv)
{
	struct ringside_options o;
	struct ringside *r;
	int before_fds = 0, before_maps = 0;
	ringside_options_init(&o);
	o.start = RINGSIDE_START_OLDEST;
	for (int round = 0; round < 50; round++) {
		o.socket = argv[1];
		if (ringside_attach(&o, &r) < 0) {
			puts(ringside_last_error(NULL));
			return 1;
		}
		use(r);
		ringside_close(r);
		o.socket = "/nonexistent/socket";
		if (ringside_attach(&o, &r) == 0)
			return 1;
		for (int i = 2; i < argc; i++)
			if (ringside_open_file(argv[i], NULL, &r) == 0) {
				use(r);
				ringside_close(r);
			}
		if (round == 0) { /* whatever the C library keeps is there by now */
			before_fds = descriptors();
			before_maps = mappings();
		}
	}
	int fds = descriptors(), maps = mappings();
	printf("descriptors %d, then %d; mappings %d, then %d\n", before_fds, fds, before_maps, maps);
	return fds != before_fds || maps > before_maps;
}
