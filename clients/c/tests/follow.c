/* SPDX-License-Identifier: Apache-2.0 */
/* follow SOCKET read|lease|poll|busy: reads, checks every row, and prints what
 * happens, until stdin ends. Another thread asks for statistics all the time. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow.h"

static bool done;

static void *watch_stats(void *arg)
{
	const struct ringside *r = arg;
	uint64_t rows = 0;
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		struct ringside_stats s = {.size = sizeof(s)};
		if (ringside_stats(r, &s) != 0 || s.rows < rows) {
			puts("statistics go backwards");
			exit(1);
		}
		rows = s.rows;
		poll(NULL, 0, 1);
	}
	return NULL;
}

static bool stdin_ended(void)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};
	return poll(&p, 1, 0) > 0;
}

static void tell(const struct ringside_batch *b)
{
	static int batches;
	switch (b->kind) {
	case RINGSIDE_ROWS:
		if (++batches % 100 == 1)
			printf("reading %d\n", batches);
		break;
	case RINGSIDE_LOST:
		printf("lost %" PRIu64 " %" PRIu64 " %s\n", b->lost.frames, b->lost.rows, b->lost.exact ? "true" : "false");
		break;
	case RINGSIDE_GONE:
		puts("gone");
		break;
	case RINGSIDE_HANGS:
		puts("hangs");
		break;
	case RINGSIDE_EVICTED:
		puts("evicted");
		break;
	case RINGSIDE_RESTART:
		printf("restart %s\n", b->lost.exact ? "true" : "false");
		break;
	}
}

/* One batch; what ringside_next or ringside_lease returned. */
static int one(struct ringside *r, bool lease)
{
	const struct ringside_batch *b;
	int n = lease ? ringside_lease(r, &b) : ringside_next(r, &b);
	if (n != 1)
		return n;
	bool whole = b->kind != RINGSIDE_ROWS || flows_are_whole(b);
	if (lease && ringside_lease_end(r) == 0)
		return 1; /* it was overwritten: whatever was seen is nothing */
	if (!whole) {
		puts("torn");
		exit(1);
	}
	tell(b);
	return 1;
}

/* Nothing to read just now. */
static int pass_time(struct ringside *r, const char *how)
{
	if (strcmp(how, "busy") == 0)
		return ringside_wait(r, 0);
	if (strcmp(how, "poll") != 0)
		return ringside_wait(r, 100);
	struct pollfd p[] = {{.fd = ringside_fd(r), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	int n = ringside_arm(r);
	if (n == 0)
		n = poll(p, 2, -1);
	return n < 0 ? n : ringside_wait(r, 0);
}

int main(int argc, char **argv)
{
	struct ringside_options o;
	struct ringside *r;
	pthread_t watcher;
	if (argc != 3)
		return 64;
	setvbuf(stdout, NULL, _IOLBF, 0);
	ringside_options_init(&o);
	o.socket = argv[1];
	o.start = RINGSIDE_START_OLDEST;
	int n = ringside_attach(&o, &r);
	if (n < 0) {
		puts(ringside_last_error(NULL));
		return 1;
	}
	puts("attached");
	pthread_create(&watcher, NULL, watch_stats, r);
	while (n >= 0 && !stdin_ended()) {
		while ((n = one(r, strcmp(argv[2], "lease") == 0)) == 1)
			;
		if (n == 0)
			n = pass_time(r, argv[2]);
		if (n == -EINTR)
			n = 0; /* the process was stopped for a while */
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	pthread_join(watcher, NULL);
	struct ringside_stats s = {.size = sizeof(s)};
	ringside_stats(r, &s);
	if (n < 0)
		printf("error %d: %s\n", n, ringside_last_error(r));
	printf("end %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s.frames, s.rows, s.lost_frames, s.lost_rows, s.restarts);
	ringside_close(r);
	return n < 0;
}
