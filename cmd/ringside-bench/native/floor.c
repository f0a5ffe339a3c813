/* SPDX-License-Identifier: Apache-2.0 */
/* floor publish ROWS | floor consume FILE ROWS: what delivery alone cannot do
 * without. A scan is copied once into memory that everybody maps, in huge pages,
 * a number says so, and one futex wakes all. Nobody is protected from anybody and
 * nobody would notice a loss: two scans take turns in the memory. Told what to do
 * as consumer.c and iceoryx.cpp are; "attach" answers a publisher's parent with
 * the descriptor that consumers open. */
#include <err.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

enum { KEY = 4, VALUE = 32, HUGE_PAGE = 2 << 20, COLLAPSE = 25 /* MADV_COLLAPSE */ };

static size_t rows, slot;      /* of a scan; bytes from one to the next */
static uint8_t *scans;         /* shared */
static uint8_t scratch[SCRATCH]; /* the publisher's */
static _Atomic uint32_t *newest; /* number of the scan that is there */
static uint64_t total;         /* so that reading is no dead code */

static void map(int fd, int prot)
{
	size_t bytes = 3 * slot; /* the last for the number */
	uint8_t *room = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *at = room + (-(uintptr_t)room & (HUGE_PAGE - 1));
	if (room == MAP_FAILED || mmap(at, bytes, prot, MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd, 0) != at)
		err(71, "map");
	scans = at;
	newest = (_Atomic uint32_t *)(at + 2 * slot);
}

static int publish_attach(void)
{
	int fd = memfd_create("floor", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)(3 * slot)) != 0)
		err(71, "memory");
	memset(scratch, 1, sizeof(scratch));
	map(fd, PROT_READ | PROT_WRITE);
	(void)madvise(scans, 3 * slot, COLLAPSE);
	return fd;
}

static uint64_t processor_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t publish(uint32_t first, uint32_t last, uint64_t every_ns)
{
	struct timespec due;
	uint64_t took = 0;
	clock_gettime(CLOCK_MONOTONIC, &due);
	for (uint32_t scan = first; scan <= last; scan++) {
		due.tv_nsec += (long)every_ns;
		due.tv_sec += due.tv_nsec / 1000000000;
		due.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
		uint64_t before = processor_ns();
		put_scan(scans + scan % 2 * slot, scratch, rows * (KEY + VALUE));
		atomic_store(newest, scan);
		syscall(SYS_futex, newest, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
		took += processor_ns() - before;
	}
	return took;
}

static uint64_t take(uint32_t until)
{
	static uint32_t seen;
	uint64_t got = 0;
	while (seen < until) {
		uint32_t scan = atomic_load(newest);
		if (scan == seen) {
			struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
			struct timespec second = {.tv_sec = 1};
			if (syscall(SYS_futex, newest, FUTEX_WAIT, scan, &second, NULL, 0) != 0 && poll(&in, 1, 0) == 1 && (in.revents & POLLHUP))
				exit(0); /* a parent that died does not say goodbye */
			continue;
		}
		const uint8_t *keys = scans + scan % 2 * slot;
		total += sum_rows(keys, KEY, keys + rows * KEY, VALUE, rows);
		got += rows;
		seen = scan;
	}
	return got;
}

int main(int argc, char **argv)
{
	char line[96];
	uint32_t first, last;
	uint64_t every;
	if (argc < 3)
		errx(64, "usage: floor publish ROWS | floor consume FILE ROWS");
	rows = strtoull(argv[argc - 1], NULL, 10);
	slot = (rows * (KEY + VALUE) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t answer = 0, began = processor_ns();
		if (strcmp(line, "attach\n") == 0 && argc == 3)
			answer = (uint64_t)publish_attach();
		else if (strcmp(line, "attach\n") == 0)
			map(open(argv[2], O_RDWR | O_CLOEXEC), PROT_READ);
		else if (sscanf(line, "publish %" SCNu32 " %" SCNu32 " %" SCNu64, &first, &last, &every) == 3)
			answer = publish(first, last, every);
		else if (sscanf(line, "take %" SCNu32, &last) == 1)
			answer = take(last);
		else
			errx(64, "told to %s", line);
		printf("ok %" PRIu64 " %" PRIu64 "\n", answer, processor_ns() - began);
		fflush(stdout);
	}
	return total == 1;
}
