// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// figures are what the consumer found, all of it by reading the ring.
type figures struct {
	UID          int    `json:"uid"`
	Capabilities string `json:"capabilities"` // effective, as the kernel prints them
	PID          int    `json:"pid"`
	TID          int    `json:"tid"` // of the reading thread

	Rows      uint64 `json:"rows"`
	Batches   uint64 `json:"batches"`
	LostRows  uint64 `json:"lost_rows"`
	ElapsedNS int64  `json:"elapsed_ns"` // since reading began

	// Scans counts complete scans of the system call map since reading began.
	// With the first of them the thread's own calls were Before, with the latest
	// Now: the difference was made while it read.
	Scans  uint64          `json:"scans"`
	Before map[int32]int64 `json:"before"`
	Now    map[int32]int64 `json:"now"`

	Processes   []process `json:"processes"`   // busiest first
	WaitP50NS   uint64    `json:"wait_p50_ns"` // of threads that were woken, for a CPU
	WaitP99NS   uint64    `json:"wait_p99_ns"`
	TCPChanges  uint64    `json:"tcp_changes"` // since the demo was loaded
	Connections uint64    `json:"connections"` // those that reached ESTABLISHED
}

// process is one line of the busiest.
type process struct {
	PID      uint32  `json:"pid"`
	Name     string  `json:"name"`
	CPU      float64 `json:"cpu"` // share of one CPU
	Syscalls float64 `json:"syscalls_per_second"`
}

// whileReading are the reading thread's own system calls, by number, made
// between the first complete scan and the latest.
func (f *figures) whileReading() map[int32]int64 {
	made := map[int32]int64{}
	for nr, n := range f.Now {
		if n > f.Before[nr] {
			made[nr] = n - f.Before[nr]
		}
	}
	return made
}

func total(calls map[int32]int64) (n int64) {
	for _, c := range calls {
		n += c
	}
	return n
}

func (f *figures) seconds() float64 { return float64(f.ElapsedNS) / 1e9 }

func (f *figures) rowsPerSecond() float64 {
	if f.ElapsedNS <= 0 {
		return 0
	}
	return float64(f.Rows) / f.seconds()
}

// runtimeCalls are what a Go program's scheduler, timers and memory management
// ask of the kernel by themselves. Anything else would be ours.
var runtimeCalls = map[int32]string{
	unix.SYS_FUTEX: "futex", unix.SYS_RT_SIGRETURN: "rt_sigreturn", unix.SYS_TGKILL: "tgkill",
	unix.SYS_NANOSLEEP: "nanosleep", unix.SYS_EPOLL_PWAIT: "epoll_pwait", unix.SYS_SCHED_YIELD: "sched_yield",
	unix.SYS_MADVISE: "madvise", unix.SYS_MMAP: "mmap", unix.SYS_MUNMAP: "munmap",
	unix.SYS_GETPID: "getpid", unix.SYS_RT_SIGPROCMASK: "rt_sigprocmask",
}

func callName(nr int32) string {
	if name, ok := runtimeCalls[nr]; ok {
		return name
	}
	return fmt.Sprintf("number %d", nr)
}

// describeCalls names calls and counts, most frequent first.
func describeCalls(calls map[int32]int64) string {
	if len(calls) == 0 {
		return "none"
	}
	numbers := make([]int32, 0, len(calls))
	for nr := range calls {
		numbers = append(numbers, nr)
	}
	slices.SortFunc(numbers, func(a, b int32) int {
		if calls[a] != calls[b] {
			return int(calls[b] - calls[a])
		}
		return int(a - b)
	})
	var parts []string
	for _, nr := range numbers {
		parts = append(parts, fmt.Sprintf("%s %d", callName(nr), calls[nr]))
	}
	return strings.Join(parts, ", ")
}
