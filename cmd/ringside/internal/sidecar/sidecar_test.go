// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

const patience = 20 * time.Second

// running is a sidecar that serves.
type running struct {
	*Sidecar
	t   testing.TB
	end func() error // as SIGTERM would
}

// serve starts a sidecar on what the flags say. It ends with the test.
func serve(t *testing.T, flags config.Flags) *running {
	t.Helper()
	cfg, err := flags.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	return serveConfig(t, cfg)
}

func serveConfig(t testing.TB, cfg *config.Config) *running {
	t.Helper()
	cfg.Socket.Path = filepath.Join(t.TempDir(), "s")
	s, err := New(cfg, Options{Version: "test", Log: zerolog.New(zerolog.NewTestWriter(t)), Lookup: acl.LookupGroup})
	if err != nil {
		t.Fatal(err)
	}
	return run(t, s)
}

// run runs a sidecar until its test ends.
func run(t testing.TB, s *Sidecar) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	ended, result := false, error(nil)
	r := &running{Sidecar: s, t: t, end: func() error {
		if !ended {
			s.checkRings(t)
			cancel()
			ended, result = true, <-done
		}
		return result
	}}
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// checkRings verifies every ring as a whole, while it is written.
func (s *Sidecar) checkRings(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rings {
		for _, e := range append(slices.Clone(r.old), r.current.Load()) {
			if err := e.publisher.Check(); err != nil {
				t.Errorf("ring %s: %v", r.config.Name, err)
			}
		}
	}
}

// status is what root would be shown.
func (r *running) status() *status.Document {
	r.t.Helper()
	text, err := r.Status(handoff.Peer{})
	if err != nil {
		r.t.Fatal(err)
	}
	var doc status.Document
	if err := json.Unmarshal(text, &doc); err != nil {
		r.t.Fatal(err)
	}
	return &doc
}

// eventually waits until the status is as it should be.
func (r *running) eventually(what string, ok func(*status.Document) bool) *status.Document {
	r.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); ; {
		doc := r.status()
		if ok(doc) {
			return doc
		}
		select {
		case <-tick.C:
		case <-late:
			text, _ := json.MarshalIndent(doc, "", " ")
			r.t.Fatalf("waited %v for %s:\n%s", patience, what, text)
		}
	}
}

// attach becomes a consumer.
func (r *running) attach(start shm.Start) (*handoff.Attachment, *shm.Cursor) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := handoff.Dial(ctx, r.config.Socket.Path)
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := conn.Attach(ctx, handoff.AttachRequest{Ring: "main", Consumer: "test", Start: start})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { a.Close() })
	return a, a.Cursor(start)
}

// frames reads until ok says that it was enough, or the ring ends.
func (r *running) frames(a *handoff.Attachment, c *shm.Cursor, ok func(shm.Header) bool) shm.Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		h, _, _, state := c.Peek()
		switch state {
		case shm.Ready:
			c.Advance()
			if ok(h) {
				return state
			}
		case shm.Empty:
			if _, err := a.Wait(ctx, c.Position().Offset); err != nil && !errors.Is(err, handoff.ErrHangup) {
				r.t.Fatalf("waiting for a frame: %v", err)
			}
		default:
			return state
		}
	}
}

func never(shm.Header) bool { return false }

// newMap makes a hash with rows in it.
func newMap(t *testing.T, rows, max int) *ebpf.Map {
	t.Helper()
	m := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: uint32(max)})
	for i := range rows {
		if err := m.Put(uint32(i), uint64(i)*7); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestNothingIsReadWhileNobodyIsAttached(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	r := serve(t, config.Flags{Maps: []string{pin + "=1h"}})
	doc := r.eventually("idle", func(d *status.Document) bool { return d.Health.State == status.Idle })
	if s := doc.Rings[0].Sources[0]; s.Scans != 0 || s.Name != "flows" || s.MapID == 0 || s.Engine == "" {
		t.Fatalf("%+v", s)
	}
	a, c := r.attach(shm.StartKeyframe)
	// Once an hour, and yet at once: an attachment makes it due.
	r.frames(a, c, func(h shm.Header) bool { return h.Flags&shm.FlagLast != 0 })
	r.eventually("ok", func(d *status.Document) bool {
		return d.Health.State == status.OK && len(d.Rings[0].Consumers) == 1 && d.Rings[0].Sources[0].Scans == 1
	})
	a.Close()
	r.eventually("idle again", func(d *status.Document) bool { return d.Health.State == status.Idle && len(d.Rings[0].Consumers) == 0 })
}

func TestStatusChangesNothing(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	r := serve(t, config.Flags{Maps: []string{pin}})
	before := r.status()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range 50 {
		conn, err := handoff.Dial(ctx, r.config.Socket.Path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Status(ctx); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	after := r.status()
	if before.Health.State != status.Idle || after.Health.State != status.Idle || after.Rings[0].Frames != 0 || len(after.Rings[0].Consumers) != 0 {
		t.Fatalf("before %+v\nafter  %+v", before, after)
	}
}

func TestMissingPinIsAwaited(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, newMap(t, 1, 4), dir, "flow")
	r := serve(t, config.Flags{Maps: []string{filepath.Join(dir, "flows")}, ReadWhenIdle: true})
	doc := r.eventually("source_missing", func(d *status.Document) bool { return len(d.Health.Reasons) == 1 })
	why := doc.Health.Reasons[0]
	if doc.Health.State != status.Failed || why.Code != status.SourceMissing || why.Remedy != "nearest: "+filepath.Join(dir, "flow") {
		t.Fatalf("%+v", doc.Health)
	}
	bpftest.Pin(t, newMap(t, 3, 4), dir, "flows")
	r.eventually("3 rows", func(d *status.Document) bool {
		return d.Health.State == status.OK && d.Rings[0].Sources[0].Entries == 3
	})
}

func TestReplacedMapIsFollowedAsANewSource(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	first := newMap(t, 3, 16)
	pin := bpftest.Pin(t, first, dir, "flows")
	r := serve(t, config.Flags{Maps: []string{pin + "=10ms"}})
	a, c := r.attach(shm.StartHead)
	r.frames(a, c, func(h shm.Header) bool { return h.Rows == 3 })
	if err := os.Remove(pin); err != nil {
		t.Fatal(err)
	}
	bpftest.Pin(t, newMap(t, 5, 16), dir, "flows")
	r.frames(a, c, func(h shm.Header) bool { return h.Source == 1 && h.Rows == 5 })
	if state, by := a.Ring.SourceState(0); state != shm.SourceSuperseded || by != 1 {
		t.Fatalf("source 0 is %v by %d", state, by)
	}
	if doc := r.status(); doc.Health.State != status.OK || len(doc.Rings[0].Sources) != 1 {
		t.Fatalf("%+v", doc)
	}
}

func TestEndTellsConsumers(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
	r := serve(t, config.Flags{Maps: []string{pin + "=1ms"}})
	a, c := r.attach(shm.StartHead)
	r.frames(a, c, func(h shm.Header) bool { return h.Flags&shm.FlagLast != 0 })
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if state := r.frames(a, c, never); state != shm.Ended || a.Ring.State() != shm.StateEnded {
		t.Fatalf("%v, ring %v", state, a.Ring.State())
	}
	if _, err := os.Lstat(r.config.Socket.Path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the socket file stays: %v", err)
	}
}

// An owner that pins a new map all the time is followed each time, and does not
// fill the log.
func TestReplacementsAreCountedNotRepeated(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	pin := bpftest.Pin(t, newMap(t, 1, 16), dir, "flows")
	r := serve(t, config.Flags{Maps: []string{pin + "=10ms"}})
	a, c := r.attach(shm.StartHead)
	const times = 4
	for i := range uint16(times) {
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		bpftest.Pin(t, newMap(t, 1, 16), dir, "flows")
		r.frames(a, c, func(h shm.Header) bool { return h.Source == i+1 })
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if e := r.log.said[utterance{"flows", "the map was replaced, following"}]; e == nil || e.suppressed != times-1 {
		t.Errorf("%+v after %d replacements", e, times)
	}
}
