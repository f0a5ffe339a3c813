//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How long a thread waits between being woken and running, as a histogram of powers of two.
 *
 * The histogram is a mmapable array: its reader needs no system call and no lock, and sees each
 * 8-byte word whole.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

#define BUCKETS 40 /* 2^39 ns is nine minutes; the last bucket also holds what is longer */

struct latency_bucket {
	__u64 from_ns; /* shortest wait in this bucket, written by the loader; the next one's is its end */
	__u64 wakeups;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, struct latency_bucket);
} sched_latency SEC(".maps");

/*
 * When each thread was woken; 0 once it runs. Rows stay for the thread's next wait, because storing a
 * word is cheaper than deleting and inserting; the LRU forgets the threads that are gone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __s32);
	__type(value, __u64);
} woken_at SEC(".maps");

static __always_inline __s32 thread_of(__u64 task)
{
	return BPF_CORE_READ((struct task_struct *)task, pid);
}

static __always_inline int woken(__u64 task)
{
	__s32 thread = thread_of(task);
	__u64 now = bpf_ktime_get_ns();
	__u64 *at = bpf_map_lookup_elem(&woken_at, &thread);

	if (at)
		*at = now;
	else
		bpf_map_update_elem(&woken_at, &thread, &now, BPF_NOEXIST);
	return 0;
}

/* floor(log2(v)), without the loop that old verifiers would refuse. */
static __always_inline __u32 log2_floor(__u64 v)
{
	__u32 r = 0;

	if (v >> 32) { r += 32; v >>= 32; }
	if (v >> 16) { r += 16; v >>= 16; }
	if (v >> 8) { r += 8; v >>= 8; }
	if (v >> 4) { r += 4; v >>= 4; }
	if (v >> 2) { r += 2; v >>= 2; }
	if (v >> 1) r += 1;
	return r;
}

SEC("raw_tp/sched_wakeup")
int thread_woken(struct bpf_raw_tracepoint_args *ctx)
{
	return woken(ctx->args[0]);
}

SEC("raw_tp/sched_wakeup_new")
int thread_born(struct bpf_raw_tracepoint_args *ctx)
{
	return woken(ctx->args[0]);
}

/* args: preempt, prev, next. A thread that was preempted was not woken, and is not counted. */
SEC("raw_tp/sched_switch")
int thread_runs(struct bpf_raw_tracepoint_args *ctx)
{
	__s32 thread = thread_of(ctx->args[2]);
	struct latency_bucket *b;
	__u64 *at, now, waited;
	__u32 bucket;

	if (!thread) /* idle */
		return 0;
	at = bpf_map_lookup_elem(&woken_at, &thread);
	if (!at || !*at)
		return 0;
	now = bpf_ktime_get_ns();
	waited = now > *at ? now - *at : 0; /* woken on another CPU whose clock is a hair ahead */
	*at = 0;
	bucket = log2_floor(waited);
	if (bucket >= BUCKETS)
		bucket = BUCKETS - 1;
	b = bpf_map_lookup_elem(&sched_latency, &bucket);
	if (b)
		__sync_fetch_and_add(&b->wakeups, 1);
	return 0;
}
