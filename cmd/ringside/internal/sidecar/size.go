// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"fmt"
	"math/bits"

	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

const (
	minRing = 1 << 20
	maxRing = 256 << 20
	// keptScans is how many full scans of its largest map a ring holds: a
	// consumer that was away for three of them still finds the fourth whole.
	keptScans = 4
	// framesInRing: a frame is at most an eighth of the ring.
	framesInRing = 8
	// smallEvents is the largest ring that is made so that its frames hold every
	// record that the ringbuf does; beyond it, records are taken to be much
	// smaller than the buffer they are in.
	smallEvents = 16 << 20
)

// scanBytes is what one scan takes if the map is full.
func scanBytes(i *reader.Info) uint64 {
	if i.Engine == reader.EngineRingbuf {
		return uint64(i.MaxEntries)
	}
	return uint64(i.MaxEntries) * uint64(i.AlignedBytes())
}

// leastRing is the smallest ring with frames that hold a row of the map, or a
// record of the type that it is said to have.
func leastRing(i *reader.Info) uint64 {
	if i.Engine == reader.EngineRingbuf {
		record := 0
		if i.Schema != nil && i.Schema.Value != nil {
			record = i.Schema.Value.Size
		}
		return powerOfTwo(uint64(shm.EventBytes(record)+shm.HeaderBytes) * framesInRing)
	}
	return powerOfTwo(uint64(i.RowBytes()+shm.HeaderBytes) * framesInRing)
}

func powerOfTwo(n uint64) uint64 { return 1 << bits.Len64(max(n, 1)-1) }

// fittingRing is the size of a ring that suits a map, or the reason why it
// would be larger than anyone expects who has not asked for it.
func fittingRing(i *reader.Info) (uint64, error) {
	size := max(minRing, powerOfTwo(keptScans*scanBytes(i)), leastRing(i))
	if i.Engine == reader.EngineRingbuf {
		// A ringbuf may be larger than what is taken for a ring unasked: its
		// readers have the less time, and nothing else is wrong with it.
		every := powerOfTwo(scanBytes(i) * 2 * framesInRing)
		return min(max(size, min(every, smallEvents)), max(maxRing, leastRing(i))), nil
	}
	if size <= maxRing {
		return size, nil
	}
	return 0, fmt.Errorf("%s: %w: %d rows of %d + %d bytes, each aligned to 8, are %s a scan, %d scans are %s, and a ring is at most %s unless you say so; "+
		"set --ring-bytes (rings[].bytes) to what the map really needs, at least %s",
		i.Pin, shm.ErrTooLarge, i.MaxEntries, i.KeySize, i.ValueSize, size64(scanBytes(i)), keptScans, size64(keptScans*scanBytes(i)),
		size64(maxRing), size64(max(leastRing(i), config.LeastBytes)))
}

// fits holds a map against a ring whose size was configured. A scan that is
// larger than the ring is the user's choice, who may know that the map is never
// full; a row that is larger than a frame is not.
func fits(i *reader.Info, ringBytes uint64) error {
	need := leastRing(i)
	if need <= powerOfTwo(ringBytes) {
		return nil
	}
	if i.Engine == reader.EngineRingbuf {
		return fmt.Errorf("%s: %w: a record of its type takes more than a frame holds, which is at most an eighth of a ring of %s; set --ring-bytes (rings[].bytes) to at least %s",
			i.Pin, shm.ErrTooLarge, size64(powerOfTwo(ringBytes)), size64(need))
	}
	return fmt.Errorf("%s: %w: a row of %d + %d bytes takes %d in a frame, a frame is at most an eighth of a ring of %s, which is %d with its header; "+
		"set --ring-bytes (rings[].bytes) to at least %s",
		i.Pin, shm.ErrTooLarge, i.KeySize, i.ValueSize, i.RowBytes(), size64(powerOfTwo(ringBytes)), powerOfTwo(ringBytes)/framesInRing, size64(need))
}

// size64 prints a size as a person would write it in the configuration.
type size64 uint64

func (n size64) String() string {
	for _, u := range []struct {
		name  string
		bytes uint64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		switch {
		case uint64(n) >= u.bytes && uint64(n)%u.bytes == 0:
			return fmt.Sprintf("%d%s", uint64(n)/u.bytes, u.name)
		case uint64(n) >= u.bytes:
			return fmt.Sprintf("%.1f%s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return fmt.Sprintf("%dB", uint64(n))
}
