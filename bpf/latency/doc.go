// SPDX-License-Identifier: Apache-2.0

// Package latency times this process's own map reading calls by the kernel's clock: from where
// bpf(2) is entered to where it is left, without the way there and back and without what the
// language runtime adds.
//
// Who writes: two programs on the raw tracepoints sys_enter and sys_exit, into a histogram that is
// mapped here; each bucket also keeps the last of its calls. Who reads: whoever opened the [Meter].
//
// What may go wrong: loading needs CAP_BPF, CAP_PERFMON and kernel BTF; [Open] then says which is
// missing. While a meter is open every system call of the whole machine takes longer, because the
// tracepoints know no other scope (BenchmarkForeignSyscall): so nobody opens one without being told to.
package latency
