//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Submits one record to a ringbuf, which says when it was due and when it was submitted.
 *
 * Both by the kernel's monotonic clock, which is also that of whoever reads the record.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

struct record {
	__u64 due_ns;
	__u64 sent_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} target SEC(".maps");

/* Not 0: there was no room. The record is kept on the stack until it is whole: the clock is read as late as
 * can be. */
SEC("syscall")
int emit(__u64 *due_ns)
{
	struct record r = {.due_ns = *due_ns};

	r.sent_ns = bpf_ktime_get_ns();
	return bpf_ringbuf_output(&target, &r, sizeof(r), 0) != 0;
}
