// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/ringside-bpf/ringside/shm/nontemporal"
)

// Producer publishes the frames of one source. It is used by one goroutine at a
// time and has at most one claim open.
type Producer struct {
	p      *Publisher
	source *sourceState
	seq    uint32 // of this source's frames
	open   *claim

	stalled atomic.Bool
}

// Content describes what was put into a claim. Offsets count from the start of
// the bytes that Claim lent, strides and offsets are in bytes.
type Content struct {
	Kind         Kind
	Flags        Flags
	Rows         uint32
	Bytes        int // of the claim that hold content; the rest is given back
	KeysOffset   uint32
	KeyStride    uint32
	ValuesOffset uint32
	ValueStride  uint32
	Scan         uint64
	TimeNS       uint64 // CLOCK_MONOTONIC when the rows had been read; 0: when all is ready to be seen
}

// Number is the source's place in the catalog.
func (r *Producer) Number() uint16 { return r.source.number }

// Stalled reports whether Claim waits for a member of a lossless ring just now. It
// may be called from any goroutine.
func (r *Producer) Stalled() bool { return r.stalled.Load() }

// Largest is the most bytes that one frame of this ring can carry.
func (r *Producer) Largest() int { return int(r.p.geometry.LargestFrame) - HeaderBytes }

// Claim lends between least and most bytes of the ring, 64-byte aligned, until
// Commit or Abort. It waits while older claims of other producers occupy the
// room, until ctx ends. It does not allocate. Only on a lossless ring does it wait
// for readers, none longer than the stall timeout.
func (r *Producer) Claim(ctx context.Context, least, most int) ([]byte, error) {
	if r.open != nil {
		panic("shm: a producer has one claim at a time")
	}
	if least > r.Largest() {
		return nil, fmt.Errorf("%d bytes in one frame: %w: an eighth of %d bytes less a header of %d is %d; make the ring at least %d bytes",
			least, ErrTooLarge, r.p.geometry.DataBytes, HeaderBytes, r.Largest(), (uint64(least)+HeaderBytes)*segments)
	}
	most = min(max(most, least), r.Largest())
	l, m := align64(uint64(least)+HeaderBytes), align64(uint64(most)+HeaderBytes)
	c, held, err := r.p.take(ctx, l, m)
	if held {
		r.stalled.Store(true)
		c, err = r.p.takeHeld(ctx, l, m)
		r.stalled.Store(false)
	}
	if err != nil {
		return nil, err
	}
	r.open = c
	c.source, c.header.Source = r.source, r.source.number
	if r.p.disk != nil {
		if err := r.p.disk.hold(c.start+c.pad+c.cap, r.p.geometry.DataBytes); err != nil {
			r.Abort()
			return nil, err
		}
	}
	from := (c.start + c.pad) & r.p.mask
	// The header's line is fetched while the frame is filled, as the source's was,
	// and not when it is whole and somebody waits for it.
	wipe(r.p.data[from : from+8])
	return r.p.data[from+HeaderBytes : from+c.cap : from+c.cap], nil
}

// A copy goes past the caches if it is at least farFill long, and the ring farRing:
// what fits into one processor's caches is better left there.
const (
	farFill = 8 << 10
	farRing = 8 << 20
)

// Fill copies from into to, a part of the open claim that is as long. What is long
// goes past this processor's caches: it will be read by others, and what it takes
// the place of was, the last time round, so to store it would be to fetch it first.
func (r *Producer) Fill(to, from []byte) {
	if len(from) < farFill || r.p.geometry.DataBytes < farRing {
		copy(to, from)
		return
	}
	nontemporal.Copy(to, from)
}

// Commit publishes the open claim: in the order of the claims, whole or not at
// all. Sleeping consumers are rung when a scan ends, at every other kind of
// frame, and whenever a quarter of the ring has gone by.
func (r *Producer) Commit(c Content) {
	open := r.open
	r.open = nil
	length := align64(uint64(c.Bytes) + HeaderBytes)
	if length > open.cap {
		panic("shm: commit is larger than its claim")
	}
	// The last bytes of the last cache line were not asked for by anyone and
	// must not carry an older frame's rows to a later reader.
	from := (open.start + open.pad) & r.p.mask
	wipe(r.p.data[from+HeaderBytes+uint64(c.Bytes) : from+length])
	open.header = Header{
		Kind: c.Kind, Flags: c.Flags, Source: open.header.Source, Rows: c.Rows, SourceSeq: r.seq,
		KeysOffset: HeaderBytes + c.KeysOffset, KeyStride: c.KeyStride,
		ValuesOffset: HeaderBytes + c.ValuesOffset, ValueStride: c.ValueStride,
		Scan: c.Scan, TimeNS: c.TimeNS,
	}
	if c.Kind == KindEvents { // has no second column
		open.header.ValuesOffset = 0
	}
	r.seq++
	r.p.settle(open, length)
}

// Skip counts frames of this source that are not published here: a recording goes
// on where a lap tore its source, and no scan may look whole that is not.
func (r *Producer) Skip(frames uint32) { r.seq += frames }

// Abort gives the open claim back unpublished. Without an open claim it does
// nothing, so that it can be deferred.
func (r *Producer) Abort() {
	if open := r.open; open != nil {
		r.open = nil
		r.p.settle(open, 0)
	}
}
