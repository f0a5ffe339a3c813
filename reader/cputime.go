// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadCPU is how long the calling thread has run. The goroutine must be
// locked to its thread for two readings to have anything to do with each other.
// One costs about three of the cheapest system calls, so it goes around calls
// that take a hundred times as long, or around whole scans.
//
// Wall time is no substitute: a thread that lost its processor inside a call
// holds up nobody, and took nothing of the duty. Nor is getrusage, whose sums
// are as old as the last tick of the scheduler.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0 // every Linux has it
	}
	return time.Duration(ts.Nano())
}
