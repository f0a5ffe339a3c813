// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"testing"

	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
)

var _ changes.Sink = (*destination)(nil)

// newTestRing makes a ring with one source, checked whole at the end.
func newTestRing(t *testing.T) (*shm.Publisher, *shm.Producer) {
	t.Helper()
	p, err := shm.Create(shm.Config{Name: "test", DataBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(p.Check(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	producer, err := p.AddSource(shm.SourceInfo{Name: "flows", KeySize: 4, ValueSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	return p, producer
}

// put publishes one frame of three rows.
func put(d *destination, first, last bool) error {
	b, err := d.Claim(context.Background(), 64, 256)
	if err != nil {
		return err
	}
	clear(b)
	d.Commit(reader.Frame{Rows: 3, Length: 88, Keys: reader.Column{Offset: 0, Stride: 4}, Values: reader.Column{Offset: 64, Stride: 8},
		Scan: 7, TimeNS: 99, First: first, Last: last, Keyframe: true})
	return nil
}

func TestFramesArriveAsTheReaderMadeThem(t *testing.T) {
	p, producer := newTestRing(t)
	d := &destination{}
	d.next.Store(producer)
	if err := errors.Join(put(d, true, false), put(d, false, true)); err != nil {
		t.Fatal(err)
	}
	c := shm.NewCursor(p.Ring(), shm.Position{}, shm.StartOldest, shm.AnySource)
	for i, want := range []shm.Flags{shm.FlagKeyframe | shm.FlagFirst, shm.FlagKeyframe | shm.FlagLast} {
		h, _, _, state := c.Peek()
		if state != shm.Ready || h.Kind != shm.KindRows || h.Flags != want || h.Rows != 3 || h.Scan != 7 || h.TimeNS != 99 ||
			h.KeyStride != 4 || h.ValueStride != 8 || h.ValuesOffset-h.KeysOffset != 64 {
			t.Fatalf("frame %d: %v %+v", i, state, h)
		}
		c.Advance()
	}
}

func TestPublishingAllocatesNothing(t *testing.T) {
	_, producer := newTestRing(t)
	d := &destination{}
	d.next.Store(producer)
	if n := testing.AllocsPerRun(1000, func() {
		if err := put(d, true, true); err != nil {
			t.Fatal(err)
		}
		d.scanned()
	}); n != 0 {
		t.Fatalf("%v allocations a frame", n)
	}
}

// TestScanIsNotSplitOverTwoRings: a ring that is replaced ends the scan, and
// the next one goes to the new ring from its first frame on.
func TestScanIsNotSplitOverTwoRings(t *testing.T) {
	before, from := newTestRing(t)
	after, to := newTestRing(t)
	d := &destination{}
	d.next.Store(from)
	if err := put(d, true, false); err != nil {
		t.Fatal(err)
	}
	d.next.Store(to)
	if err := put(d, false, false); err != nil { // the old one still takes it
		t.Fatal(err)
	}
	if err := before.Finish(context.Background(), shm.StateSuperseded); err != nil {
		t.Fatal(err)
	}
	err := put(d, false, true)
	if !errors.Is(err, errMoved) || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v; the pool must not count it as the source's fault", err)
	}
	d.Abort() // harmless without a claim
	d.scanned()
	if err := put(d, true, true); err != nil {
		t.Fatal(err)
	}
	if b, a := before.Totals().Frames, after.Totals().Frames; b != 2 || a != 1 {
		t.Fatalf("%d frames in the old ring, %d in the new", b, a)
	}
}
