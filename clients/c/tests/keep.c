/* SPDX-License-Identifier: Apache-2.0 */
/* keep SOCKET SOURCE: keeps a table and prints what it is after every change, and
 * every remark, until stdin ends. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "ringside.h"

static void show(const struct ringside_table *t)
{
	const void *key, *value;
	uint64_t sum = 0, first;
	for (size_t at = 0; ringside_table_each(t, &at, &key, &value);) {
		memcpy(&first, value, sizeof(first));
		sum += first;
	}
	printf("%s %zu %" PRIu64 "\n", ringside_table_fresh(t) ? "fresh" : "stale", ringside_table_rows(t), sum);
}

int main(int argc, char **argv)
{
	static const char *const remarks[] = {"", "", "", "", "lost", "gone", "hangs", "restart", "evicted"};
	struct ringside_options o;
	struct ringside *r;
	struct ringside_table *t;
	const struct ringside_batch *b;
	struct pollfd in = {.fd = 0, .events = POLLIN};
	if (argc != 3)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	ringside_options_init(&o);
	o.socket = argv[1];
	o.source = argv[2];
	if (ringside_attach(&o, &r) < 0 || ringside_table_open(r, argv[2], NULL, &t) < 0)
		return 1;
	puts("attached");
	int n = 0;
	while (n >= 0 && poll(&in, 1, 0) == 0) {
		n = ringside_next(r, &b);
		if (n == 0)
			ringside_wait(r, 1000);
		if (n != 1)
			continue;
		if (b->kind >= RINGSIDE_LOST)
			puts(remarks[b->kind]);
		n = ringside_table_apply(t, b);
		if (n == 1)
			show(t);
	}
	puts(n < 0 ? ringside_last_error(r) : "end");
	ringside_table_close(t);
	ringside_close(r);
	return n < 0;
}
