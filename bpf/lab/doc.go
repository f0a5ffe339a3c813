// SPDX-License-Identifier: Apache-2.0

// Package lab is the kernel's side of the experiments: what cannot be
// measured, or brought about, from outside.
//
// [Calls] times the system calls of one thread, between entry and exit, by the
// kernel's clock, with the time left out in which the thread was not running.
// [Writer] changes a map from within the kernel, on as many threads as wanted.
// [Emitter] submits records that say when they were due.
// [Probe] counts events twice, by a program that always runs and by one of the
// kind that other tools use, which does not run while somebody has switched
// instrumentation off on its CPU.
//
// Who writes: the programs, into variables of their own and, the writer, into
// the map it is given. Who reads: the experiment, through mapped memory.
//
// What may go wrong: tracepoints can be missing, or programs not permitted;
// opening says so. All need root, and the threads' numbers are those of the
// initial pid namespace.
package lab
