//go:build ignore
// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Times the system calls of one thread, from the tracepoint at their entry to the one at their exit.
 *
 * What the thread spends off its processor meanwhile is left out: how long a call stays is a property
 * of the call, who else wants to run is not.
 */
#include "kernel.h"

char __license[] SEC("license") = "Dual BSD/GPL";

/*
 * Written by that thread alone, but for the clock's readings at a switch, which its processor writes
 * while it is neither here nor there.
 */
struct timed {
	__u64 thread; /* 0: nobody is watched */
	__u64 calls;
	__u64 total_ns;
	__u64 longest_ns;
	__u64 entered_ns; /* 0: it is not in a call */
	__u64 left_ns;    /* 0: it is running */
	__u64 away_ns;    /* during this call */
	__u64 absent_ns;  /* since it is watched */
};

volatile struct timed timed = {};

static __always_inline int watched(void)
{
	return timed.thread && (__u32)bpf_get_current_pid_tgid() == timed.thread;
}

/* Run by the thread that is to be watched: so it need not know its number outside of a container. */
SEC("syscall")
int watch_calls(void *ctx)
{
	timed.calls = 0;
	timed.total_ns = 0;
	timed.longest_ns = 0;
	timed.entered_ns = 0;
	timed.left_ns = 0;
	timed.absent_ns = 0;
	timed.thread = (__u32)bpf_get_current_pid_tgid();
	return 0;
}

/* Run by that thread as well; this call is not counted. */
SEC("syscall")
int leave_calls(void *ctx)
{
	timed.thread = 0;
	return 0;
}

SEC("raw_tp/sys_enter")
int enter_call(void *ctx)
{
	if (!watched())
		return 0;
	timed.away_ns = 0;
	timed.entered_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("raw_tp/sys_exit")
int exit_call(void *ctx)
{
	__u64 took, now = bpf_ktime_get_ns();

	if (!watched() || !timed.entered_ns)
		return 0;
	took = now - timed.entered_ns - timed.away_ns;
	timed.entered_ns = 0;
	timed.calls++;
	timed.total_ns += took;
	if (took > timed.longest_ns)
		timed.longest_ns = took;
	return 0;
}

/* args: preempt, prev, next. */
SEC("raw_tp/sched_switch")
int switch_thread(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 away, wanted = timed.thread;

	if (!wanted)
		return 0;
	if ((__u32)bpf_get_current_pid_tgid() == wanted) {
		timed.left_ns = bpf_ktime_get_ns();
		return 0;
	}
	if (BPF_CORE_READ((struct task_struct *)ctx->args[2], pid) != wanted || !timed.left_ns)
		return 0;
	away = bpf_ktime_get_ns() - timed.left_ns;
	timed.away_ns += away;
	timed.absent_ns += away;
	timed.left_ns = 0;
	return 0;
}
