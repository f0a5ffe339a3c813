//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How long the map reading calls of one process stay in the kernel, by the kernel's own clock.
 *
 * The tracepoints are those of all system calls: each one of the whole machine pays for them, which is
 * why the loader attaches them only when told to.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

#define BUCKETS 496  /* eight to each power of two, as package reader's histogram */
#define THREADS 1024 /* of which a call may be in flight; those that have ended are forgotten in time */

/* uapi/linux/bpf.h: the calls that read one element, or one batch. */
#define BPF_MAP_LOOKUP_ELEM 1
#define BPF_MAP_GET_NEXT_KEY 4
#define BPF_MAP_LOOKUP_BATCH 24

const volatile __u32 nr_bpf = 0; /* number of bpf(2) on this architecture */

/*
 * Calls of about the same length, and the last of them: so the longest call of all is known by name, and
 * there is no second way to report it on, which could be full.
 */
struct bucket {
	__u64 calls;
	__u64 took_ns;
	__u32 thread;
	__u32 cmd;
};

/* Shared with the loader, which reads it and never writes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, struct bucket);
} histogram SEC(".maps");

struct call {
	__u64 began_ns; /* 0: none is in flight */
	__u64 cmd;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, THREADS);
	__type(key, __u32);
	__type(value, struct call);
} in_flight SEC(".maps");

/* The process to time, as the initial pid namespace numbers it: see learn_self. */
__u32 self = 0;

static __always_inline int begin(__u64 ids, __u32 cmd)
{
	struct call c = {};
	__u32 thread = (__u32)ids;

	if (cmd != BPF_MAP_LOOKUP_BATCH && cmd != BPF_MAP_LOOKUP_ELEM && cmd != BPF_MAP_GET_NEXT_KEY)
		return 0;
	c.cmd = cmd;
	c.began_ns = bpf_ktime_get_ns(); /* last, as it stands */
	bpf_map_update_elem(&in_flight, &thread, &c, BPF_ANY);
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

/* The top four bits of v, and where they stand. */
static __always_inline __u32 bucket_of(__u64 v)
{
	__u32 exponent;

	if (v < 8)
		return (__u32)v;
	exponent = log2_floor(v) - 3;
	return exponent * 8 + (__u32)(v >> exponent);
}

static __always_inline int end(__u64 ids)
{
	__u64 now = bpf_ktime_get_ns(), took;
	__u32 thread = (__u32)ids, i;
	struct bucket *b;
	struct call *c;

	c = bpf_map_lookup_elem(&in_flight, &thread);
	if (!c || !c->began_ns)
		return 0;
	took = now > c->began_ns ? now - c->began_ns : 0; /* ended on a CPU whose clock is a hair behind */
	c->began_ns = 0; /* the row stays for the thread's next call */
	i = bucket_of(took);
	b = bpf_map_lookup_elem(&histogram, &i);
	if (!b)
		return 0;
	__sync_fetch_and_add(&b->calls, 1);
	b->took_ns = took;
	b->thread = thread;
	b->cmd = (__u32)c->cmd;
	return 0;
}

/* The first argument of a system call, on each architecture. */
struct pt_regs___x86 {
	unsigned long di;
} __attribute__((preserve_access_index));

struct pt_regs___arm64 {
	__u64 regs[31];
} __attribute__((preserve_access_index));

static __always_inline __u32 first_argument(__u64 regs)
{
	if (bpf_core_field_exists(((struct pt_regs___x86 *)0)->di))
		return BPF_CORE_READ((struct pt_regs___x86 *)regs, di);
	return BPF_CORE_READ((struct pt_regs___arm64 *)regs, regs[0]);
}

/* args: registers, number */
SEC("raw_tp/sys_enter")
int enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 ids;

	if ((__u32)ctx->args[1] != nr_bpf)
		return 0;
	ids = bpf_get_current_pid_tgid();
	if (ids >> 32 != self)
		return 0;
	return begin(ids, first_argument(ctx->args[0]));
}

SEC("raw_tp/sys_exit")
int leave(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 ids = bpf_get_current_pid_tgid();

	if (ids >> 32 != self)
		return 0;
	return end(ids);
}

/*
 * Run by the loader, in its own context: inside a pid namespace it does not know the number that the
 * other programs see.
 */
SEC("raw_tp")
int learn_self(struct bpf_raw_tracepoint_args *ctx)
{
	self = bpf_get_current_pid_tgid() >> 32;
	return 0;
}
