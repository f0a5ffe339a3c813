// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"math"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// control is the publisher's control page, word by word. The publisher stores,
// everybody loads.
type control struct {
	// hw is the highest byte ever claimed. It never decreases. It is the only
	// warning that old bytes may be overwritten.
	hw *atomic.Uint64
	// head: everything before it is readable.
	head *atomic.Uint64
	// tail is a frame start one to two eighths of a ring above hw-size: the
	// oldest place from which a reader can resume without being lapped at once.
	tail *atomic.Uint64
	// last is the start of the newest frame.
	last *atomic.Uint64
	// heartbeat is CLOCK_MONOTONIC, stored several times a second.
	heartbeat *atomic.Uint64
	// state is a State.
	state *atomic.Uint64
	// realtime is CLOCK_REALTIME - CLOCK_MONOTONIC, in nanoseconds.
	realtime *atomic.Uint64
	// catalogLen and heapLen count what has been appended.
	catalogLen, heapLen *atomic.Uint64
}

func controlOf(m memory) control {
	at := func(off uint64) *atomic.Uint64 { return m.word(headerSize + off) }
	return control{
		hw: at(offHW), head: at(offHead), tail: at(offTail), last: at(offLast),
		heartbeat: at(offHeartbeat), state: at(offState), realtime: at(offRealtime),
		catalogLen: at(offCatalogLen), heapLen: at(offHeapLen),
	}
}

// Go's own clock is CLOCK_MONOTONIC, had without a system call but counted from
// a zero of its own. The distance between the two is the same for ever.
var started, startedNS = bothClocks()

// bothClocks reads them at one moment, as well as that can be: the kernel's between
// two looks at Go's, in the quickest of some tries. One that is wrong by the time of
// a first system call makes every frame look a microsecond older than it is.
func bothClocks() (at time.Time, ns uint64) {
	least := time.Duration(math.MaxInt64)
	for range 10 {
		before := time.Now()
		kernel := clock(unix.CLOCK_MONOTONIC)
		if took := time.Since(before); took < least {
			least, at, ns = took, before, kernel-uint64(took/2)
		}
	}
	return at, ns
}

// Monotonic is CLOCK_MONOTONIC in nanoseconds, the clock of frames, heartbeats
// and of bpf_ktime_get_ns. It makes no system call.
func Monotonic() uint64 { return startedNS + uint64(time.Since(started)) }

// clock asks the kernel.
func clock(id int32) uint64 {
	var ts unix.Timespec
	// Fails only for a clock that the kernel does not know.
	_ = unix.ClockGettime(id, &ts)
	return uint64(ts.Nano())
}
