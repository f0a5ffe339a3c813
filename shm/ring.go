// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/shm/fence"
)

// Ring is a reader's view of a ring's memory: mapped read-only, its header
// verified. A Ring is safe for concurrent use; the cursors on it are not.
type Ring struct {
	geometry Geometry
	mem      memory
	data     memory
	mask     uint64
	shared   control
	owned    bool // mapped by Open, so unmapped by Close
}

// Open maps a ring that was received from a sidecar, and refuses it unless its
// seals make it impossible for anyone to take the memory away or write it, and
// its header agrees with its size. f may be closed afterwards.
func Open(f *os.File) (*Ring, error) {
	if err := requireSeals(f, ringSeals); err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	size := uint64(st.Size())
	if size < headerSize+controlSize {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrNotARing, size)
	}
	mem, err := mapFile(f, size, unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	r, err := newRing(mem)
	if err != nil {
		unmap(mem)
		return nil, err
	}
	r.owned = true
	return r, nil
}

func newRing(mem memory) (*Ring, error) {
	g, err := decodeGeometry(slices.Clone(mem[:headerSize]), uint64(len(mem)))
	if err != nil {
		return nil, err
	}
	return &Ring{geometry: g, mem: mem, data: mem[g.DataOffset:], mask: g.DataBytes - 1, shared: controlOf(mem)}, nil
}

// Ring is the publisher's own view of its memory as a reader sees it. It is
// valid until the publisher is closed.
func (p *Publisher) Ring() *Ring {
	return &Ring{geometry: p.geometry, mem: p.mem, data: p.data, mask: p.mask, shared: p.shared}
}

// Close unmaps the ring. Bytes lent by its cursors must not be touched later.
func (r *Ring) Close() error {
	if !r.owned {
		return nil
	}
	r.owned = false
	return unmap(r.mem)
}

// Geometry tells where the parts of the ring lie.
func (r *Ring) Geometry() Geometry { return r.geometry }

// State tells whether frames may still follow.
func (r *Ring) State() State { return State(r.shared.state.Load()) }

// Head is where the next frame will begin.
func (r *Ring) Head() uint64 { return r.shared.head.Load() }

// Totals counts what has been published, as the newest frame says. It is the
// zero value if there is none, or if frames come and go too fast to look at one.
func (r *Ring) Totals() Totals {
	var w words
	var h Header
	for range maxTries {
		last := r.shared.last.Load()
		if r.Head() == 0 {
			return Totals{}
		}
		r.data.load(last&^(frameAlign-1)&r.mask, &w)
		fence.LoadLoad() // as in Cursor.Peek
		if r.shared.hw.Load()-last <= r.geometry.DataBytes {
			h.decode(&w)
			if h.Kind == KindPad {
				return Totals{} // nothing but pads so far
			}
			return Totals{Head: last + uint64(h.Length), Frames: h.Seq + 1, Rows: h.RowsBefore + uint64(h.Rows)}
		}
	}
	return Totals{}
}

// HeartbeatNS is CLOCK_MONOTONIC when the publisher last said that it lives.
func (r *Ring) HeartbeatNS() uint64 { return r.shared.heartbeat.Load() }

// RealtimeOffsetNS turns a frame's time into the time of day: add the two.
func (r *Ring) RealtimeOffsetNS() int64 { return int64(r.shared.realtime.Load()) }

// Sources counts the catalog's records.
func (r *Ring) Sources() int {
	return int(min(r.shared.catalogLen.Load(), uint64(r.geometry.CatalogCap)))
}

// Source reads a record of the catalog, n < Sources().
func (r *Ring) Source(n int) (SourceInfo, error) {
	if n < 0 || n >= r.Sources() {
		return SourceInfo{}, fmt.Errorf("%w: source %d of %d", ErrCorrupt, n, r.Sources())
	}
	record := slices.Clone(r.record(n)[:offSrcState]) // the half that never changes
	info, at, length, err := decodeSource(record, n, &r.geometry)
	if err == nil && length > 0 {
		from := r.geometry.HeapOffset + at
		info.Schema = slices.Clone(r.mem[from : from+uint64(length)])
	}
	return info, err
}

func (r *Ring) record(n int) memory {
	off := r.geometry.CatalogOffset + uint64(n)*sourceBytes
	return r.mem[off : off+sourceBytes]
}

// SourceState is the state of source n and, if it is superseded, the number of
// the source that took its name, else -1.
func (r *Ring) SourceState(n int) (state SourceState, by int) {
	b := r.record(n)
	state = SourceState(b.word(offSrcState).Load())
	return state, int(min(b.word(offSrcSupersededBy).Load(), uint64(r.geometry.CatalogCap))) - 1
}

// keyframe is the position of source n's newest complete scan, or NoKeyframe.
func (r *Ring) keyframe(n int) uint64 {
	if n < 0 || n >= r.Sources() {
		return NoKeyframe
	}
	return r.record(n).word(offSrcKeyframe).Load()
}
