// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"time"

	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC through the Go runtime, which has it without a
// system call; only the distance between the two zero points has to be asked.
type clock struct {
	start time.Time
	zero  int64 // CLOCK_MONOTONIC at start, ns
}

func newClock() (clock, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return clock{}, err
	}
	return clock{time.Now(), ts.Nano()}, nil
}

// now is CLOCK_MONOTONIC in nanoseconds.
func (c *clock) now() int64 { return c.zero + int64(time.Since(c.start)) }
