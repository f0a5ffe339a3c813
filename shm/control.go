// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"sync/atomic"

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

// clock asks the kernel.
func clock(id int32) uint64 {
	var ts unix.Timespec
	// Fails only for a clock that the kernel does not know.
	_ = unix.ClockGettime(id, &ts)
	return uint64(ts.Nano())
}
