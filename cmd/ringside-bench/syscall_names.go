// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Whose a system call is.
const (
	whoseRuntime = "Go runtime"
	whoseOurs    = "ours"
	whoseTold    = "the experiment" // being told over a pipe, and answering
)

// known are the calls that turn up in a Go program that reads memory and sleeps
// on a socket. Those of the runtime are never made by code of ours.
var known = map[int32]struct{ name, whose string }{
	unix.SYS_FUTEX:           {"futex", whoseRuntime},
	unix.SYS_NANOSLEEP:       {"nanosleep", whoseRuntime},
	unix.SYS_CLOCK_NANOSLEEP: {"clock_nanosleep", whoseRuntime},
	unix.SYS_SCHED_YIELD:     {"sched_yield", whoseRuntime},
	unix.SYS_TGKILL:          {"tgkill", whoseRuntime},
	unix.SYS_GETPID:          {"getpid", whoseRuntime},
	unix.SYS_RT_SIGRETURN:    {"rt_sigreturn", whoseRuntime},
	unix.SYS_RT_SIGPROCMASK:  {"rt_sigprocmask", whoseRuntime},
	unix.SYS_SIGALTSTACK:     {"sigaltstack", whoseRuntime},
	unix.SYS_EPOLL_PWAIT:     {"epoll_pwait", whoseRuntime},
	unix.SYS_EPOLL_CTL:       {"epoll_ctl", whoseRuntime},
	unix.SYS_MADVISE:         {"madvise", whoseRuntime},
	unix.SYS_CLONE:           {"clone", whoseRuntime},
	unix.SYS_RESTART_SYSCALL: {"restart_syscall", whoseRuntime},
	unix.SYS_READ:            {"read", whoseOurs},
	unix.SYS_WRITE:           {"write", whoseRuntime}, // wakes its poller; a consumer that is attached sends nothing
	unix.SYS_RECVFROM:        {"recvfrom", whoseOurs},
	unix.SYS_RECVMSG:         {"recvmsg", whoseOurs},
	unix.SYS_SENDTO:          {"sendto", whoseOurs},
	unix.SYS_CLOCK_GETTIME:   {"clock_gettime", whoseOurs},
	unix.SYS_MMAP:            {"mmap", whoseOurs},
	unix.SYS_MUNMAP:          {"munmap", whoseOurs},
}

// nameOf tells a call's name and whose it is. What is not known is ours.
func nameOf(nr int32) (name, whose string) {
	if k, ok := known[nr]; ok {
		return k.name, k.whose
	}
	return fmt.Sprintf("syscall %d", nr), whoseOurs
}

// callRows lists calls: for each kind of thread the sum, also of nothing, and
// then each call by its name, most often first.
func callRows(contender string, calls map[call]uint64, rows uint64) []syscallRow {
	row := func(thread, name, whose string, calls uint64) syscallRow {
		return syscallRow{contender, thread, name, whose, calls, rows, float64(calls) * 1e6 / float64(max(rows, 1))}
	}
	// Our client maps memory when it attaches, for which descriptors come by message.
	// Without one it was the runtime, whose heap has grown.
	attached := calls[call{readingThread, unix.SYS_RECVMSG}]+calls[call{otherThreads, unix.SYS_RECVMSG}] > 0
	var out []syscallRow
	for _, thread := range []string{readingThread, otherThreads} {
		sum, single := uint64(0), []syscallRow(nil)
		for c, n := range calls {
			if c.thread == thread && n > 0 {
				name, whose := nameOf(c.nr)
				switch {
				case thread == otherThreads && (c.nr == unix.SYS_READ || c.nr == unix.SYS_WRITE):
					whose = whoseTold
				case c.nr == unix.SYS_MMAP && !attached:
					whose = whoseRuntime
				}
				single = append(single, row(thread, name, whose, n))
				sum += n
			}
		}
		slices.SortFunc(single, func(a, b syscallRow) int {
			return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.Syscall, b.Syscall))
		})
		out = append(append(out, row(thread, anyCall, "", sum)), single...)
	}
	return out
}

// oursWhileReading sums up what the reading thread did on our account, for a
// million rows.
func oursWhileReading(rows []syscallRow) float64 {
	sum := 0.0
	for _, r := range rows {
		if r.Contender == byReading && r.Thread == readingThread && r.Whose == whoseOurs {
			sum += r.PerMillion
		}
	}
	return sum
}
