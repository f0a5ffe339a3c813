// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// objects is where the type of the Submitter's records is described.
const objects = "../../../../bpf/bpftest/submit_bpfel.o"

func newStream(t *testing.T, dir string, bytes uint32) (*bpftest.Submitter, string) {
	t.Helper()
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: bytes})
	return bpftest.NewSubmitter(t, m), bpftest.Pin(t, m, dir, "stream")
}

func serveStream(t testing.TB, pin, more, ring string) *running {
	t.Helper()
	text := fmt.Sprintf("version: 1\nrings: [{name: main%s}]\nmaps: [{path: %s, mode: events, every: 5ms%s}]\n", ring, pin, more)
	cfg, err := config.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return serveConfig(t, cfg)
}

// tally reads events and holds them to their order.
type tally struct {
	t            testing.TB
	a            *handoff.Attachment
	c            *shm.Cursor
	events, lost uint64
	timeNS       uint64
	next         map[uint32]uint64
	buf          []byte
	sum          byte
}

func (r *running) tally(start shm.Start) *tally {
	r.t.Helper()
	a, c := r.attach(start)
	return &tally{t: r.t, a: a, c: c, next: map[uint32]uint64{}, buf: make([]byte, a.Ring.Geometry().LargestFrame)}
}

// until reads until as many events were met or lost.
func (y *tally) until(total uint64) {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for y.events+y.lost < total {
		h, payload, lost, state := y.c.Next(y.buf)
		switch state {
		case shm.Ready:
			y.frame(&h, payload, lost)
		case shm.Empty:
			if _, err := y.a.Wait(ctx, y.c.Position().Offset); err != nil {
				y.t.Fatalf("after %d events and %d lost of %d: %v", y.events, y.lost, total, err)
			}
		default:
			y.t.Fatalf("%v after %d events: %v", state, y.events, y.c.Err())
		}
	}
}

func (y *tally) frame(h *shm.Header, payload []byte, lost shm.Loss) {
	y.t.Helper()
	if h.Kind != shm.KindEvents || h.Rows == 0 || h.Flags != 0 || h.Scan != 0 || h.TimeNS <= y.timeNS || h.TimeNS > monotonic.Now() {
		y.t.Fatalf("a frame of events after one of %d is %+v", y.timeNS, h)
	}
	y.timeNS = h.TimeNS
	y.lost += lost.Rows
	for i := range int(h.Rows) {
		event, ok := shm.Event(h, payload, i)
		if !ok {
			y.t.Fatalf("event %d of %+v is outside", i, h)
		}
		e := bpftest.ParseEvent(y.t, event)
		next := y.next[e.Submitter]
		if e.Seq < next || e.Seq > next && y.lost == 0 {
			y.t.Fatalf("submitter %d: event %d, expected %d", e.Submitter, e.Seq, next)
		}
		y.next[e.Submitter] = e.Seq + 1
		y.events++
	}
}

// TestEventsReachEverybody: each consumer gets every record, in order, whoever
// else reads; what was there before the first of them is part of it.
func TestEventsReachEverybody(t *testing.T) {
	s, pin := newStream(t, bpftest.MountBPFFS(t), 1<<16)
	sub := bpftest.Submission{Count: 100, Least: 24, Most: 200, Step: 7, DiscardEvery: 9}
	if err := s.Submit(&sub); err != nil {
		t.Fatal(err)
	}
	r := serveStream(t, pin, ", type: struct event, btf: "+abs(t, objects), "")
	if doc := r.status(); doc.Health.State != status.Idle || doc.Rings[0].Rows != 0 || doc.Rings[0].Sources[0].Events.BacklogBytes == 0 {
		t.Errorf("something was taken though nobody is there: %+v", doc)
	}
	list := []*tally{r.tally(shm.StartHead), r.tally(shm.StartOldest), r.tally(shm.StartOldest)}
	list[0].until(sub.Seq)
	for range 50 {
		if err := s.Submit(&sub); err != nil {
			t.Fatal(err)
		}
	}
	for _, y := range list {
		if y.until(sub.Seq); y.lost != 0 {
			t.Errorf("%d were lost of a ring of %d", y.lost, r.status().Rings[0].Bytes)
		}
	}
	info, err := list[0].a.Ring.Source(0)
	if err != nil || info.Flags != shm.SourceEvents || info.KeySize != 0 || info.ValueSize != 0 || info.MapType != uint32(ebpf.RingBuf) || len(info.Schema) == 0 {
		t.Errorf("%+v, %v", info, err)
	}
	doc := r.eventually("all to be counted", func(d *status.Document) bool { return d.Rings[0].Sources[0].Events.Events == sub.Seq })
	src := doc.Rings[0].Sources[0]
	if src.Mode != "events" || src.Engine != "ringbuf" || src.MapType != "ringbuf" || src.Events.Discarded != sub.Discarded || src.Errors != 0 {
		t.Errorf("%+v, %+v", src, src.Events)
	}
}

// TestEventsFasterThanTheirReader: what was overwritten is counted, to the event.
func TestEventsFasterThanTheirReader(t *testing.T) {
	s, pin := newStream(t, bpftest.MountBPFFS(t), 1<<14)
	r := serveStream(t, pin, "", ", bytes: 64KiB")
	y := r.tally(shm.StartHead)
	subs := []bpftest.Submission{{Count: 50, Least: 24, Most: 300, Step: 11}, {Submitter: 1, Count: 50, Least: 1000, Most: 3000, Step: 100}}
	for range 40 {
		for i := range subs {
			if err := s.Submit(&subs[i]); err != nil {
				t.Fatal(err)
			}
		}
		r.eventually("the ringbuf to be empty", func(d *status.Document) bool { return d.Rings[0].Sources[0].Events.BacklogBytes == 0 })
	}
	y.until(subs[0].Seq + subs[1].Seq)
	if y.lost == 0 || y.events == 0 || y.events+y.lost != subs[0].Seq+subs[1].Seq {
		t.Errorf("%d read, %d lost of %d and %d", y.events, y.lost, subs[0].Seq, subs[1].Seq)
	}
}

// TestEventsOutliveTheSidecar: what one sidecar did not publish, the next does.
func TestEventsOutliveTheSidecar(t *testing.T) {
	s, pin := newStream(t, bpftest.MountBPFFS(t), 1<<16)
	first := serveStream(t, pin, "", "")
	sub := bpftest.Submission{Count: 10, Least: 24}
	if err := s.Submit(&sub); err != nil {
		t.Fatal(err)
	}
	y := first.tally(shm.StartOldest)
	y.until(10)
	if err := first.end(); err != nil {
		t.Fatal(err)
	}
	if err := s.Submit(&sub); err != nil {
		t.Fatal(err)
	}
	z := serveStream(t, pin, "", "").tally(shm.StartOldest)
	z.next = y.next
	z.until(10)
}

// TestEventsOfAReplacedMap: the old ringbuf is emptied, the new one is another
// source of the same name.
func TestEventsOfAReplacedMap(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	s, pin := newStream(t, dir, 1<<14)
	r := serveStream(t, pin, "", "")
	y := r.tally(shm.StartHead)
	sub := bpftest.Submission{Count: 10, Least: 24}
	if err := s.Submit(&sub); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	next, _ := newStream(t, dir, 1<<15)
	if err := next.Submit(&bpftest.Submission{Submitter: 1, Count: 20, Least: 24}); err != nil {
		t.Fatal(err)
	}
	y.until(30)
	old, _ := y.a.Ring.SourceState(0)
	if doc := r.status(); old != shm.SourceSuperseded || doc.Rings[0].Sources[0].MaxEntries != 1<<15 {
		t.Errorf("old source %v, %+v", old, doc.Rings[0].Sources[0])
	}
}

// TestEventsThatDoNotFit: a type that no frame holds is refused, a single record
// is left out and told of.
func TestEventsThatDoNotFit(t *testing.T) {
	s, pin := newStream(t, bpftest.MountBPFFS(t), 1<<16)
	r := serveStream(t, pin, "", ", bytes: 4KiB")
	y := r.tally(shm.StartHead)
	for _, sub := range []bpftest.Submission{{Count: 3, Least: 5000}, {Submitter: 1, Count: 3, Least: 100}} {
		if err := s.Submit(&sub); err != nil {
			t.Fatal(err)
		}
	}
	y.until(3)
	doc := r.eventually("the loss to be told", func(d *status.Document) bool { return d.Health.State == status.Degraded })
	if why := doc.Health.Reasons[0]; why.Code != status.EventTooLarge || why.Remedy != "set rings[].bytes to at least 64KiB" {
		t.Errorf("%+v", why)
	}
}

func TestEventsOfAnUnknownType(t *testing.T) {
	_, pin := newStream(t, bpftest.MountBPFFS(t), 1<<14)
	r := serveStream(t, pin, ", type: struct evnt, btf: "+abs(t, objects), "")
	doc := r.eventually("the reason", func(d *status.Document) bool { return len(d.Health.Reasons) > 0 })
	if why := doc.Health.Reasons[0]; why.Code != status.SourceUnreadable {
		t.Errorf("%+v", why)
	}
}

func abs(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReloadOfEvents: what has changed is read by another stream, which goes on
// where the one before it ended.
func TestReloadOfEvents(t *testing.T) {
	s, pin := newStream(t, bpftest.MountBPFFS(t), 1<<16)
	file := func(more string) string {
		return fmt.Sprintf("maps: [{path: %s, mode: events%s}]\n", pin, more)
	}
	r, reload := serveTexts(t, file(""))
	y := r.tally(shm.StartHead)
	sub := bpftest.Submission{Count: 200, Least: 24, Most: 60, Step: 1}
	for i := range 10 {
		if err := s.Submit(&sub); err != nil {
			t.Fatal(err)
		}
		if changes, err := reload(file([]string{", every: 50ms", ", poll: true"}[i%2])); err != nil || len(changes.Changed) != 1 {
			t.Fatalf("%+v, %v", changes, err)
		}
	}
	y.until(sub.Seq)
	if doc := r.status(); y.lost != 0 || doc.Health.State != status.OK || doc.Rings[0].Sources[0].Events.ForeignBytes != 0 {
		t.Errorf("%d lost; %+v", y.lost, doc.Health)
	}
}
