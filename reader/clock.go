// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// clock reads CLOCK_MONOTONIC through the Go runtime, which has it without a
// system call; only the distance between the two zero points has to be asked.
type clock struct {
	start time.Time
	zero  int64 // CLOCK_MONOTONIC at start, ns
}

// newClock reads both at one moment, as well as that can be: the kernel's between
// two looks at Go's, in the quickest of some tries. One that is wrong by the time of
// a first system call makes every scan look a microsecond older than it is.
func newClock() (c clock, err error) {
	least := time.Duration(math.MaxInt64)
	for range 10 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return clock{}, err
		}
		if took := time.Since(before); took < least {
			least, c = took, clock{before, ts.Nano() - int64(took/2)}
		}
	}
	return c, nil
}

// now is CLOCK_MONOTONIC in nanoseconds.
func (c *clock) now() int64 { return c.zero + int64(time.Since(c.start)) }
