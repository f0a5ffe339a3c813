//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Submits records to a ringbuf: one that says when it was due and when it was submitted, or many as fast as
 * can be.
 *
 * Both times are by the kernel's monotonic clock, which is also that of whoever reads the record.
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

struct volley {
	__u64 records; /* to submit */
	__u64 sent;    /* less where there was no room for the next one */
};

static long emit_next(__u32 i, void *ctx)
{
	struct volley *b = ctx;
	struct record r = {.due_ns = i, .sent_ns = b->records};

	if (bpf_ringbuf_output(&target, &r, sizeof(r), 0))
		return 1;
	b->sent++;
	return 0;
}

SEC("syscall")
int burst(struct volley *b)
{
	struct volley copy = {.records = b->records};

	bpf_loop(copy.records, emit_next, &copy, 0);
	b->sent = copy.sent;
	return 0;
}
