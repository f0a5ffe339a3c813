// SPDX-License-Identifier: Apache-2.0

// Package demo is a small workload of real BPF maps, for `ringside demo` and for anyone who wants to
// see what ringside reads without writing a BPF program first. Each part is one C source, one pinned
// map, and one map type:
//
//	syscalls        per-CPU hash      system calls by thread and number
//	processes       LRU hash          CPU time, context switches and system calls by process
//	sched_latency   mmapable array    time from being woken to running, in powers of two
//	tcp_states      hash              TCP state changes, by from and to
//
// Who writes: the kernel, in programs on raw tracepoints, from [Load] to [Demo.Close]. [Demo.Sweep]
// removes the rows of exited threads. Who reads: whoever opens the pins that [Demo.Pin] makes.
//
// Numbers of processes and threads are those of the pid namespace that called Load, so a consumer in
// the same namespace finds its own rows by os.Getpid and gettid. What that namespace cannot see is
// counted as process 0.
//
// What may go wrong: a kernel may lack a tracepoint, a map type or BTF. Then that part is left out and
// [Demo.Parts] says why; Load fails only if nothing is left. The syscalls map may be full: calls
// that found no room are counted ([Demo.Uncounted]), and while that number stands still every count is
// exact. The process may be killed: its programs go with it; the pinned maps stay as they were until the
// next [Settle] recognises the directory it lived in and removes it.
package demo
