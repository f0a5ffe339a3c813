//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * System calls counted by thread and number.
 *
 * The map is a per-CPU hash and not an LRU: an LRU throws out the rows that are used least, and the row
 * of a thread that has stopped making system calls is exactly the one a reader wants to see standing
 * still. So nothing is ever evicted; what does not fit is counted in `uncounted`, and the loader
 * removes the rows of threads that have exited (Demo.Sweep).
 */
#include "current.h"

char __license[] SEC("license") = "Dual BSD/GPL";

/* Architectures number their calls below this; the argument itself is whatever a thread put there. */
#define NR_LIMIT 1024

struct syscall_key {
	__u32 tgid;
	__u32 tid;
	__s32 nr; /* -1: no such call on any architecture */
};

struct syscall_count {
	__u64 calls;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 32768); /* the loader lowers it where there are many CPUs */
	__type(key, struct syscall_key);
	__type(value, struct syscall_count);
} syscalls SEC(".maps");

/* Calls that found no room in the map. As long as it stands still, every count is exact. */
__u64 uncounted = 0;

SEC("raw_tp/sys_enter")
int count_syscall(struct bpf_raw_tracepoint_args *ctx)
{
	struct syscall_count first = { .calls = 1 };
	struct syscall_count *count;
	struct syscall_key key;
	__u64 ids = current_ids();
	__u64 nr = ctx->args[1];

	key.tgid = ids >> 32;
	key.tid = (__u32)ids;
	/* Folded, or one thread that calls at random numbers would fill the map with its rows. */
	key.nr = nr < NR_LIMIT ? (__s32)nr : -1;

	count = bpf_map_lookup_elem(&syscalls, &key);
	if (count) {
		/* Plain: the key holds the thread, and a thread is not in two system calls at once. */
		count->calls++;
		return 0;
	}
	if (bpf_map_update_elem(&syscalls, &key, &first, BPF_NOEXIST))
		__sync_fetch_and_add(&uncounted, 1);
	return 0;
}
