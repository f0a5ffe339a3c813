/* SPDX-License-Identifier: Apache-2.0 */
/* consumer ring|socket PATH: a consumer in C that does what it is told, a line
 * each: "attach", then "take SCAN", which reads up to the end of that scan and
 * answers with the number of rows it was given and the processor time that took.
 * It ends with its input. */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <ringside.h>

#include "rows.h"

/* What stands before every frame on a socket; see carrier.go. */
struct header {
	uint32_t rows, bytes;
	uint32_t keys, key_stride;
	uint32_t values, value_stride;
	uint64_t scan; /* the lowest bit: it is the last frame */
};

enum { MAX_FRAME = 64 << 20 };

static uint64_t total; /* of what was read, printed so that reading it is no dead code */

/* Looks at every row. With the strides of packed arrays as constants, which is what
 * a program that knows its types would write; iceoryx.cpp has no others. */
static inline void look(const uint8_t *keys, size_t key_stride, const uint8_t *values, size_t value_stride, uint32_t rows)
{
	if (key_stride == 4 && value_stride == 32)
		total += sum_rows(keys, 4, values, 32, rows);
	else
		total += sum_rows(keys, key_stride, values, value_stride, rows);
}

/* A parent that died does not say goodbye on any other channel. */
static void check_parent(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	if (poll(&in, 1, 0) == 1 && (in.revents & POLLHUP))
		exit(0);
}

static struct ringside *ring_attach(const char *path)
{
	struct ringside_options o;
	struct ringside *r;
	ringside_options_init(&o);
	o.socket = path;
	o.ring = "bench";
	o.start = RINGSIDE_START_HEAD;
	if (ringside_attach(&o, &r) < 0)
		errx(69, "%s", ringside_last_error(NULL));
	return r;
}

/* Rows of a lease that was overtaken are not counted. */
static uint64_t ring_take(struct ringside *r, uint64_t scan)
{
	uint64_t rows = 0;
	for (;;) {
		const struct ringside_batch *b;
		int n = ringside_lease(r, &b);
		if (n < 0)
			errx(69, "%s", ringside_last_error(r));
		if (n == 0) {
			if (ringside_wait(r, 1000) == 0)
				check_parent();
			continue;
		}
		bool is_rows = b->kind == RINGSIDE_ROWS;
		bool end = is_rows && (b->flags & RINGSIDE_LAST) && b->scan >= scan;
		uint32_t got = is_rows ? b->rows : 0;
		if (got > 0)
			look(b->keys, b->key_stride, b->values, b->value_stride, got);
		if (ringside_lease_end(r) != 1)
			continue;
		rows += got;
		if (end)
			return rows;
	}
}

static int socket_attach(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0 || strlen(path) >= sizeof(to.sun_path))
		err(71, "socket for %s", path);
	strcpy(to.sun_path, path);
	if (connect(s, (struct sockaddr *)&to, sizeof(to)) != 0)
		err(69, "connect to %s", path);
	return s;
}

static void receive(int s, void *to, size_t bytes)
{
	for (uint8_t *p = to; bytes > 0;) {
		ssize_t n = recv(s, p, bytes, MSG_WAITALL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(0); /* the publisher is gone, and says itself why */
		p += n;
		bytes -= (size_t)n;
	}
}

static uint64_t socket_take(int s, uint64_t scan)
{
	static uint8_t *frame;
	uint64_t rows = 0;
	if (!frame && !(frame = malloc(MAX_FRAME)))
		err(71, "memory for a frame");
	for (;;) {
		struct header h;
		receive(s, &h, sizeof(h));
		if (h.bytes > MAX_FRAME)
			errx(70, "a frame of %u bytes", h.bytes);
		receive(s, frame, h.bytes);
		look(frame + h.keys, h.key_stride, frame + h.values, h.value_stride, h.rows);
		rows += h.rows;
		if ((h.scan & 1) && h.scan >> 1 >= scan)
			return rows;
	}
}

static uint64_t processor_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	char line[64];
	struct ringside *r = NULL;
	int s = -1;
	if (argc != 3)
		errx(64, "usage: consumer ring|socket PATH");
	bool ring = strcmp(argv[1], "ring") == 0;
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t rows = 0, scan, began = processor_ns();
		if (strcmp(line, "attach\n") == 0 && ring)
			r = ring_attach(argv[2]);
		else if (strcmp(line, "attach\n") == 0)
			s = socket_attach(argv[2]);
		else if (sscanf(line, "take %" SCNu64, &scan) == 1)
			rows = ring ? ring_take(r, scan) : socket_take(s, scan);
		else
			errx(64, "told to %s", line);
		printf("ok %" PRIu64 " %" PRIu64 "\n", rows, processor_ns() - began);
		fflush(stdout);
	}
	if (total == 1)
		fprintf(stderr, "an odd sum\n");
	return 0;
}
