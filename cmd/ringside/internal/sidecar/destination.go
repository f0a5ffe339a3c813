// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// errMoved ends a scan whose ring was replaced under it. Nothing is wrong with
// the source, which the pool knows by the wrapped error.
var errMoved = fmt.Errorf("the ring was replaced during the scan: %w", context.Canceled)

// destination puts the rows of one source into its ring. It is used by the
// worker that scans the source; only next is set from elsewhere. It allocates
// nothing.
type destination struct {
	next     atomic.Pointer[shm.Producer] // where the next scan goes
	producer *shm.Producer                // where this scan goes; nil between scans
	begun    *shm.Producer                // where the last went
}

var _ reader.Filler = (*destination)(nil)

// scanned ends the stay on one producer. A scan must not be split over two
// rings: neither would have its beginning and its end.
func (d *destination) scanned() { d.producer = nil }

func (d *destination) current() *shm.Producer {
	if d.producer == nil {
		d.producer = d.next.Load()
	}
	return d.producer
}

// Begin implements changes.Sink.
func (d *destination) Begin() (same bool) {
	same = d.begun == d.current()
	d.begun = d.current()
	return same
}

// Stalled makes it a reader.Staller.
func (d *destination) Stalled() bool {
	p := d.next.Load()
	return p != nil && p.Stalled()
}

func (d *destination) Largest() int { return d.current().Largest() }

func (d *destination) Claim(ctx context.Context, least, most int) ([]byte, error) {
	b, err := d.current().Claim(ctx, least, most)
	if errors.Is(err, shm.ErrClosed) {
		return nil, errMoved
	}
	return b, err
}

func (d *destination) Commit(f reader.Frame) {
	kind, flags := shm.KindRows, shm.Flags(0)
	if f.Deletes {
		kind = shm.KindDeletes
	}
	if f.Keyframe {
		flags |= shm.FlagKeyframe
	}
	if f.First {
		flags |= shm.FlagFirst
	}
	if f.Last {
		flags |= shm.FlagLast
	}
	d.producer.Commit(shm.Content{
		Kind: kind, Flags: flags, Rows: uint32(f.Rows), Bytes: f.Length,
		KeysOffset: uint32(f.Keys.Offset), KeyStride: uint32(f.Keys.Stride),
		ValuesOffset: uint32(f.Values.Offset), ValueStride: uint32(f.Values.Stride),
		Scan: f.Scan, TimeNS: uint64(f.TimeNS),
	})
}

// Fill implements reader.Filler.
func (d *destination) Fill(to, from []byte) { d.producer.Fill(to, from) }

func (d *destination) Abort() { d.current().Abort() }
