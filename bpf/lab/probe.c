//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Counts timers that expire while one thread runs: all of them, and those that are shown to a program
 * as other tools attach them.
 *
 * Timers interrupt whatever a processor is doing, reading maps included. The kernel runs a program at a
 * raw tracepoint whatever else is going on; one at a tracepoint only while nobody has switched
 * instrumentation off on that processor, as bpf(2) does around every lookup.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

struct counted {
	__u64 thread; /* 0: nobody is watched */
	__u64 all;
	__u64 shown;
};

volatile struct counted counted = {};

static __always_inline int watched(void)
{
	return counted.thread && (__u32)bpf_get_current_pid_tgid() == counted.thread;
}

/* Both run by the thread that is to be watched. */
SEC("syscall")
int watch_timers(void *ctx)
{
	counted.all = 0;
	counted.shown = 0;
	counted.thread = (__u32)bpf_get_current_pid_tgid();
	return 0;
}

SEC("syscall")
int leave_timers(void *ctx)
{
	counted.thread = 0;
	return 0;
}

/* Plain additions: a thread runs on one processor at a time, and timers do not interrupt each other. */
SEC("raw_tp/hrtimer_expire_entry")
int every_timer(void *ctx)
{
	if (watched())
		counted.all++;
	return 0;
}

SEC("tracepoint/timer/hrtimer_expire_entry")
int shown_timer(void *ctx)
{
	if (watched())
		counted.shown++;
	return 0;
}
