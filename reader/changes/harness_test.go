// SPDX-License-Identifier: Apache-2.0

package changes_test

import (
	"context"
	"errors"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
)

var errTorn = errors.New("the test tears this scan")

// ring is a real ring, with one consumer that may fall behind.
type ring struct {
	tb        testing.TB
	publisher *shm.Publisher
	cursor    *shm.Cursor
	buf       []byte
	tables    map[uint16]*table
	frames    int
	bytes     uint64
	laps      uint64
}

func newRing(tb testing.TB, bytes uint64) *ring {
	tb.Helper()
	p, err := shm.Create(shm.Config{Name: "changes", DataBytes: bytes})
	if err != nil {
		tb.Fatal(err)
	}
	r := &ring{tb: tb, publisher: p, tables: map[uint16]*table{}}
	tb.Cleanup(func() {
		if err := errors.Join(p.Check(), p.Close()); err != nil {
			tb.Error(err)
		}
	})
	r.buf = make([]byte, p.Geometry().LargestFrame)
	r.cursor = shm.NewCursor(p.Ring(), shm.Position{}, shm.StartOldest, shm.AnySource)
	return r
}

// drain reads at most so many frames.
func (r *ring) drain(most int) {
	r.tb.Helper()
	for range most {
		h, payload, lost, status := r.cursor.Next(r.buf)
		if status == shm.Empty || status == shm.Ended || status == shm.Lapped {
			return
		}
		if status != shm.Ready {
			r.tb.Fatalf("status %d: %v", status, r.cursor.Err())
		}
		if lost != (shm.Loss{}) {
			r.laps++
			for _, t := range r.tables {
				t.lost()
			}
		}
		r.frames++
		r.bytes += uint64(h.Length)
		if t := r.tables[h.Source]; t != nil {
			t.apply(&h, payload)
		}
	}
}

// behind is how much the consumer has not read.
func (r *ring) behind() uint64 { return r.publisher.Totals().Head - r.cursor.Position().Offset }

// sink leads to a ring, as the sidecar's does, and tears scans where it is told.
type sink struct {
	next, now, begun *shm.Producer
	tear             func() bool // nil: never
}

func (s *sink) current() *shm.Producer {
	if s.now == nil {
		s.now = s.next
	}
	return s.now
}

func (s *sink) Begin() (same bool) {
	same = s.begun == s.current()
	s.begun = s.current()
	return same
}

func (s *sink) Largest() int { return s.current().Largest() }

func (s *sink) Claim(ctx context.Context, least, most int) ([]byte, error) {
	if s.tear != nil && s.tear() {
		return nil, errTorn
	}
	return s.current().Claim(ctx, least, most)
}

func (s *sink) Abort() { s.current().Abort() }

func (s *sink) Commit(f reader.Frame) {
	c := shm.Content{
		Kind: shm.KindRows, Rows: uint32(f.Rows), Bytes: f.Length,
		KeysOffset: uint32(f.Keys.Offset), KeyStride: uint32(f.Keys.Stride),
		ValuesOffset: uint32(f.Values.Offset), ValueStride: uint32(f.Values.Stride),
		Scan: f.Scan, TimeNS: uint64(f.TimeNS),
	}
	for flag, set := range map[shm.Flags]bool{shm.FlagFirst: f.First, shm.FlagLast: f.Last, shm.FlagKeyframe: f.Keyframe} {
		if set {
			c.Flags |= flag
		}
	}
	if f.Deletes {
		c.Kind = shm.KindDeletes
	}
	s.current().Commit(c)
}

// feed is one map on its way into a ring.
type feed struct {
	tb     testing.TB
	m      *ebpf.Map
	source *reader.Source
	stage  *changes.Stage
	sink   *sink
	table  *table
	info   reader.Info
}

func open(tb testing.TB, m *ebpf.Map, o reader.Options) *reader.Source {
	tb.Helper()
	o.Lookups = true
	s, err := reader.Open(bpftest.Pin(tb, m, bpftest.MountBPFFS(tb), "map"), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func newFeed(tb testing.TB, r *ring, m *ebpf.Map, ro reader.Options, so changes.Options) *feed {
	tb.Helper()
	f := &feed{tb: tb, m: m, source: open(tb, m, ro), sink: new(sink)}
	f.info = f.source.Info()
	f.join(r)
	if so.Budget == nil {
		so.Budget = changes.NewBudget(256 << 20)
	}
	var err error
	if f.stage, err = changes.New(f.sink, &f.info, so); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := f.stage.Close(); err != nil || so.Budget.Used() != 0 {
			tb.Errorf("%v, %d bytes are still used", err, so.Budget.Used())
		}
	})
	return f
}

// join makes the next scan go to a ring.
func (f *feed) join(r *ring) {
	f.tb.Helper()
	p, err := r.publisher.AddSource(shm.SourceInfo{Name: "map", KeySize: uint32(f.info.KeySize), ValueSize: uint32(f.info.ValueSize)})
	if err != nil {
		f.tb.Fatal(err)
	}
	f.sink.next = p
	f.table = &table{key: f.info.KeySize, value: f.info.ValueSize}
	r.tables[p.Number()] = f.table
}

// scan makes one pass, which may be torn only if the sink tears.
func (f *feed) scan() error {
	f.tb.Helper()
	_, err := f.source.Scan(f.tb.Context(), f.stage)
	f.sink.now = nil
	if err != nil && !(errors.Is(err, errTorn) && f.sink.tear != nil) {
		f.tb.Fatal(err)
	}
	return err
}
