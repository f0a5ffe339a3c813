/* SPDX-License-Identifier: Apache-2.0 */
/* pair RECORDS PERIOD_NS: the least that publishing to a busy consumer takes. One
 * process looks at the clock, writes a frame of two cache lines into a ring of 1 MB
 * and then its end; another one, bound to the last CPU, waits for the end to move,
 * reads the frame, sees that it was not overwritten and looks at the clock. Prints
 * the nanoseconds between both looks, a line for each record. */
#include <err.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FRAME = 128, RING = 1 << 20, SECOND = 1000000000 };

struct shared {
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) _Atomic uint64_t claimed;
	_Alignas(4096) uint64_t data[RING / 8];
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void bind_last(int last)
{
	cpu_set_t all, some;
	if (sched_getaffinity(0, sizeof(all), &all) != 0)
		err(71, "sched_getaffinity");
	int left = CPU_COUNT(&all);
	if (left < 2)
		return;
	CPU_ZERO(&some);
	for (int cpu = 0; left > 0; cpu++)
		if (CPU_ISSET(cpu, &all) && (--left == 0) == last)
			CPU_SET(cpu, &some);
	if (sched_setaffinity(0, sizeof(some), &some) != 0)
		err(71, "sched_setaffinity");
}

static void publish(struct shared *s, long records, uint64_t period)
{
	uint64_t due = now();
	for (long i = 0; i < records; i++) {
		due += period;
		struct timespec t = {.tv_sec = (time_t)(due / SECOND), .tv_nsec = (long)(due % SECOND)};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
			;
		uint64_t at = (uint64_t)i * FRAME, *frame = &s->data[at % RING / 8];
		atomic_store(&s->claimed, at + FRAME);
		memset(frame, 1, FRAME);
		frame[7] = now();
		atomic_store(&s->head, at + FRAME);
	}
}

static void consume(struct shared *s, long records, uint64_t *took)
{
	uint64_t copy[FRAME / 8];
	for (long i = 0; i < records; i++) {
		uint64_t at = (uint64_t)i * FRAME;
		while (atomic_load_explicit(&s->head, memory_order_acquire) <= at)
			;
		memcpy(copy, &s->data[at % RING / 8], FRAME);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load(&s->claimed) - at > RING)
			errx(70, "overtaken");
		took[i] = now() - copy[7];
	}
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(64, "usage: pair RECORDS PERIOD_NS");
	long records = atol(argv[1]);
	uint64_t *took = calloc((size_t)records + 1, sizeof(*took));
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!took || s == MAP_FAILED)
		err(71, "memory");
	pid_t publisher = fork();
	if (publisher < 0)
		err(71, "fork");
	bind_last(publisher != 0);
	if (publisher == 0) {
		publish(s, records, strtoull(argv[2], NULL, 10));
		_exit(0);
	}
	consume(s, records, took);
	waitpid(publisher, NULL, 0);
	for (long i = 0; i < records; i++)
		printf("%llu\n", (unsigned long long)took[i]);
	return 0;
}
