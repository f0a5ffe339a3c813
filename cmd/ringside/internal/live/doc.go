// SPDX-License-Identifier: Apache-2.0

// Package live is the demo: the whole product in ten seconds, on built-in BPF
// programs.
//
// Three parts run. The workload (package bpf/demo) counts in BPF maps and pins
// them. The sidecar, in this process, serves those pins. The consumer, a process
// of uid 65534 without any capability, attaches and does nothing but read.
//
// The consumer computes everything that is shown, including the count of its own
// system calls, which it finds in the very map it reads. It may not print: a
// write(2) would be a system call of the thread that is on show. So it leaves its
// figures in one shared page (page.go), and this process, which started it,
// paints them (screen.go).
//
// What may go wrong is said before anything is started: no right to load
// programs, no place to mount. What was started is removed again on the way out;
// what a killed demo left is removed by the next one.
package live
