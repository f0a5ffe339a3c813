/* SPDX-License-Identifier: Apache-2.0 */
/* rows SOCKET [SECONDS]: what a row costs in a lease, and copied, in nanoseconds:
 * the time spent in batches over the rows that were in them, in the fastest of
 * many passes over what is in the ring. Prints one JSON object. */
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <ringside.h>

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

struct tally {
	uint64_t rows, ns, sum;
};

enum { MAX_PASSES = 1 << 16 };

/* What a row cost in the fastest pass: when nobody else had the processor. */
struct passes {
	double ns;
	int n;
	uint64_t rows, sum;
};

/* Touches every key and every value: their first words, summed. */
static uint64_t sum(const struct ringside_batch *b)
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < b->rows; i++) {
		uint32_t key;
		uint64_t value;
		memcpy(&key, ringside_key(b, i), sizeof(key));
		memcpy(&value, ringside_value(b, i), sizeof(value));
		all += key + value;
	}
	return all;
}

/* The clock runs from the look for a batch to the end of it. False: nothing is
 * left. */
static bool read_one(struct ringside *r, bool lease, struct tally *t)
{
	const struct ringside_batch *b;
	uint64_t began = now();
	int n = lease ? ringside_lease(r, &b) : ringside_next(r, &b);
	if (n < 0)
		errx(69, "%s", ringside_last_error(r));
	if (n == 0)
		return false;
	uint64_t rows = b->kind == RINGSIDE_ROWS ? b->rows : 0;
	uint64_t got = rows > 0 ? sum(b) : 0;
	if ((lease && ringside_lease_end(r) != 1) || rows == 0)
		return true;
	t->ns += now() - began;
	t->rows += rows;
	t->sum += got;
	return true;
}

/* Reads what is in the ring once, in leases or copying. */
static void pass(const struct ringside_options *o, bool lease, struct passes *p)
{
	struct tally t = {0, 0, 0};
	struct ringside *r;
	if (ringside_attach(o, &r) < 0)
		errx(69, "%s", ringside_last_error(NULL));
	for (int batches = 0; batches < 100000 && read_one(r, lease, &t); batches++)
		;
	ringside_close(r);
	if (t.rows == 0)
		errx(69, "%s: no rows", o->socket);
	double ns = (double)t.ns / (double)t.rows;
	if (p->n++ == 0 || ns < p->ns)
		p->ns = ns;
	p->rows += t.rows;
	p->sum += t.sum;
}

int main(int argc, char **argv)
{
	struct ringside_options o;
	struct passes leases = {0, 0, 0, 0}, copies = leases;
	if (argc < 2)
		errx(64, "usage: rows SOCKET [SECONDS]");
	uint64_t seconds = argc > 2 ? strtoull(argv[2], NULL, 10) : 2;
	ringside_options_init(&o);
	o.socket = argv[1];
	o.start = RINGSIDE_START_OLDEST;
	/* In turn, so that whatever else runs is shared by both. */
	for (uint64_t end = now() + seconds * 1000000000; now() < end && copies.n < MAX_PASSES;) {
		pass(&o, true, &leases);
		pass(&o, false, &copies);
	}
	printf("{\"lease_ns_per_row\":%.3f,\"lease_rows\":%" PRIu64 ",\"copy_ns_per_row\":%.3f,\"copy_rows\":%" PRIu64 ",\"sum\":%" PRIu64 "}\n",
		leases.ns, leases.rows, copies.ns, copies.rows, leases.sum + copies.sum);
	return 0;
}
