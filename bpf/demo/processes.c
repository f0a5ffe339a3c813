//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * What each process does: time on a CPU, context switches, system calls.
 *
 * All of it is charged when a thread leaves its CPU, or stays there long. A system call only raises a
 * counter of that CPU, so that the path every thread takes a million times a second stays a handful of
 * instructions.
 */
#include "current.h"

char __license[] SEC("license") = "Dual BSD/GPL";

/* A thread that never yields is charged every so many system calls, or so often by the clock. */
#define CALLS_AT_MOST 256
#define STAY_AT_MOST_NS 20000000

struct process_key {
	__u32 tgid;
};

struct process {
	char comm[16];
	__u64 runtime_ns;
	__u64 switches;
	__u64 syscalls;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct process_key);
	__type(value, struct process);
} processes SEC(".maps");

/* What the running thread of this CPU has not been charged for yet. */
struct slice {
	__u64 since_ns; /* 0 before the first switch: its start was not seen */
	__u64 syscalls;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct slice);
} slices SEC(".maps");

static __always_inline struct slice *this_slice(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&slices, &zero);
}

static __always_inline struct process *current_process(__u64 ids)
{
	struct process_key key = { .tgid = ids >> 32 };
	struct process *p = bpf_map_lookup_elem(&processes, &key);
	struct process fresh = {};

	if (p) {
		/* The first thread's name is the process's; it changes at exec. */
		if (key.tgid == (__u32)ids)
			bpf_get_current_comm(p->comm, sizeof(p->comm));
		return p;
	}
	bpf_get_current_comm(fresh.comm, sizeof(fresh.comm));
	bpf_map_update_elem(&processes, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&processes, &key);
}

static __always_inline void charge(struct slice *s, __u64 switches)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 ran = s->since_ns ? now - s->since_ns : 0;
	__u64 syscalls = s->syscalls;
	struct process *p;

	s->since_ns = now;
	s->syscalls = 0;
	if (!bpf_get_current_pid_tgid()) /* idle */
		return;
	p = current_process(current_ids());
	if (!p)
		return;
	__sync_fetch_and_add(&p->runtime_ns, ran);
	__sync_fetch_and_add(&p->switches, switches);
	__sync_fetch_and_add(&p->syscalls, syscalls);
}

SEC("raw_tp/sys_enter")
int enter_syscall(void *ctx)
{
	struct slice *s = this_slice();

	if (s && ++s->syscalls >= CALLS_AT_MOST)
		charge(s, 0);
	return 0;
}

/* Runs before the switch: the current thread is the one that leaves. */
SEC("raw_tp/sched_switch")
int leave_cpu(void *ctx)
{
	struct slice *s = this_slice();

	if (s)
		charge(s, 1);
	return 0;
}

/* The scheduler's own account, on every tick: for whoever neither leaves its CPU nor calls the kernel. */
SEC("raw_tp/sched_stat_runtime")
int stay_on_cpu(struct bpf_raw_tracepoint_args *ctx)
{
	struct slice *s;

	if (ctx->args[0] != bpf_get_current_task()) /* of another CPU's thread */
		return 0;
	s = this_slice();
	if (s && s->since_ns && bpf_ktime_get_ns() - s->since_ns >= STAY_AT_MOST_NS)
		charge(s, 0);
	return 0;
}
