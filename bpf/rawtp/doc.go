// SPDX-License-Identifier: Apache-2.0

// Package rawtp attaches programs to raw tracepoints: one system call, without what package link of
// cilium/ebpf brings along.
//
// Who calls: the packages that load our programs. What may go wrong: the kernel does not have the
// tracepoint, or the process may not attach to it; the error names it.
package rawtp
