//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Submits records to a ringbuf, from within the kernel.
 *
 * Each record says who submitted it and as which of the submitter's. What the buffer has no room for is
 * counted and not numbered, so that the numbers of what is in it have no gaps.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

#define MAX_RECORD 65536
#define SUBMITTERS 8
#define SCRAP 40

/* The beginning of a record, as far as the record goes. */
struct event {
	__u64 seq;
	__u64 time_ns;
	__u32 submitter;
	__u32 length;
};

/* Without it the compiler leaves the type out of the object's BTF. */
const struct event *unused_event __attribute__((unused));

struct submission {
	__u64 seq;           /* of the next record; counted on */
	__u64 failed;        /* records that there was no room for; counted on */
	__u64 discarded;     /* records that were reserved and taken back; counted on */
	__u32 submitter;     /* below SUBMITTERS */
	__u32 count;         /* of records to try */
	__u32 least;         /* bytes of a record: from here, */
	__u32 most;          /* in steps, up to here, */
	__u32 step;          /* and round again; 0: always the least */
	__u32 discard_every; /* one to be discarded comes before each so many records; 0: none */
	__u32 retry;         /* try until there is room, some million times */
	__u32 wakeup;        /* flags of bpf_ringbuf_output */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} target SEC(".maps");

/* What records are made of: each submitter's own. */
struct content {
	__u8 bytes[MAX_RECORD];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SUBMITTERS);
	__type(key, __u32);
	__type(value, struct content);
} contents SEC(".maps");

volatile __u32 held = 0;   /* a record is reserved and not yet submitted */
volatile __u32 let_go = 0; /* 1: submit it; 2: discard it */

static __u32 length_of(struct submission *s)
{
	__u32 span = s->most - s->least + 1;

	if (!s->step || !span)
		return s->least;
	return s->least + (__u32)(s->seq * s->step) % span;
}

struct attempt {
	struct content *content;
	__u32 length;
	__u32 flags;
	long error;
};

static long output(__u32 i, void *ctx)
{
	struct attempt *a = ctx;
	__u32 length = a->length;

	if (length > MAX_RECORD)
		return 1;
	a->error = bpf_ringbuf_output(&target, a->content, length, a->flags);
	return a->error == 0;
}

static long step(__u32 i, void *ctx)
{
	struct submission *s = *(struct submission **)ctx;
	__u32 submitter = s->submitter;
	struct content *c = bpf_map_lookup_elem(&contents, &submitter);
	struct event *e = (struct event *)c;
	struct attempt a = {.content = c, .length = length_of(s), .flags = s->wakeup, .error = -1};

	if (!c)
		return 1;
	if (s->discard_every && s->seq % s->discard_every == 0) {
		__u64 *scrap = bpf_ringbuf_reserve(&target, SCRAP, 0);

		if (scrap) {
			*scrap = ~0ULL;
			bpf_ringbuf_discard(scrap, BPF_RB_NO_WAKEUP);
			s->discarded++;
		}
	}
	e->seq = s->seq;
	e->time_ns = bpf_ktime_get_ns();
	e->submitter = submitter;
	e->length = a.length;
	if (s->retry)
		bpf_loop(1 << 23, output, &a, 0);
	else
		output(0, &a);
	if (a.error)
		s->failed++;
	else
		s->seq++;
	return 0;
}

SEC("syscall")
int submit(struct submission *s)
{
	struct submission copy = *s;
	struct submission *at = &copy;

	bpf_loop(copy.count, step, &at, 0);
	*s = copy;
	return 0;
}

static long idle(__u32 i, void *ctx)
{
	return let_go != 0;
}

static long idle_longer(__u32 i, void *ctx)
{
	bpf_loop(1 << 23, idle, 0, 0);
	return let_go != 0;
}

/* Reserves a record and keeps it busy until it is told what to do with it. */
SEC("syscall")
int hold(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&target, sizeof(*e), 0);

	if (!e)
		return 1;
	e->seq = ~0ULL;
	e->time_ns = 0;
	e->submitter = ~0U;
	e->length = sizeof(*e);
	held = 1;
	bpf_loop(1 << 12, idle_longer, 0, 0);
	if (let_go == 2)
		bpf_ringbuf_discard(e, 0);
	else
		bpf_ringbuf_submit(e, 0);
	return 0;
}
