// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/rs/zerolog"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/acl"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/config"
	"github.com/ringside-bpf/ringside/cmd/ringside/internal/status"
	"github.com/ringside-bpf/ringside/reader/changes"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/handoff"
)

// serveTexts starts a sidecar whose file can be exchanged.
func serveTexts(t *testing.T, text string) (*running, func(text string) (*Changes, error)) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	var file atomic.Value
	file.Store(text)
	load := func() (*config.Config, error) {
		c, err := config.Parse("file", []byte("version: 1\n"+file.Load().(string)))
		if err == nil {
			c.Socket.Path = socket
		}
		return c, err
	}
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, Options{Version: "test", Log: zerolog.New(zerolog.NewTestWriter(t)), Lookup: acl.LookupGroup, Config: load})
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s)
	return r, func(text string) (*Changes, error) {
		file.Store(text)
		return s.ReloadConfig()
	}
}

// TestReloadUnderWay: whatever changes while maps are scanned, every ring stays
// whole, what has not changed is not disturbed, and what is asked for is there.
func TestReloadUnderWay(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	for _, name := range []string{"a", "b", "c"} {
		bpftest.Pin(t, newMap(t, 300, 512), dir, name)
	}
	file := func(bytes, every string, maps string) string {
		return fmt.Sprintf("reader: {read_when_idle: true, duty: 100%%}\nrings: [{name: main, bytes: 1MiB}, {name: other, bytes: %s}]\n"+
			"maps:\n - {path: %s/a, every: 2ms}\n - {path: '%s/%s', every: %s, ring: other}\n", bytes, dir, dir, maps, every)
	}
	r, reload := serveTexts(t, file("1MiB", "2ms", "b"))
	a, c := r.attach(shm.StartHead)
	for i := range 24 {
		bytes, every, maps := []string{"1MiB", "2MiB"}[i%2], []string{"2ms", "3ms", "4ms"}[i%3], []string{"b", "[bc]", "c", "c"}[i/2%4]
		if _, err := reload(file(bytes, every, maps)); err != nil {
			t.Fatal(err)
		}
		r.checkRings(t)
		r.frames(a, c, func(shm.Header) bool { return true })
		r.eventually("the sources", func(d *status.Document) bool {
			return len(d.Rings) == 2 && len(d.Rings[1].Sources) == map[string]int{"b": 1, "[bc]": 2, "c": 1}[maps] && d.Rings[1].Sources[0].Scans > 0
		})
	}
	if a.Ring.State() != shm.StateLive || a.Ring.Sources() != 1 || c.Loss().Frames != 0 && c.Loss().Laps == 0 {
		t.Errorf("the ring that never changed is %v with %d sources, lost %+v", a.Ring.State(), a.Ring.Sources(), c.Loss())
	}
	// A ring that is no longer wanted ends, and its memory goes with its readers.
	changes, err := reload(fmt.Sprintf("reader: {read_when_idle: true, duty: 100%%}\nrings: [{name: new}]\nmaps: [{path: %s/b, ring: new}]\n", dir))
	if err != nil || len(changes.Rings) != 0 || len(changes.Ended) != 2 || len(changes.Added) != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
	if d := r.status(); d.Sidecar.Memory.History == 0 {
		t.Error("the memory of a ring that went is in nobody's books")
	}
	if end := r.frames(a, c, func(shm.Header) bool { return false }); end != shm.Ended || a.Ring.State() != shm.StateEnded {
		t.Errorf("the reader of a ring that went finds %v, %v", end, a.Ring.State())
	}
	a.Close()
	until(t, "the old rings to be given back", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.leaving) == 0
	})
}

// TestReloadThatCannotBe changes nothing.
func TestReloadThatCannotBe(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	large := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4000, MaxEntries: 4})
	bpftest.Pin(t, large, dir, "a")
	good := fmt.Sprintf("rings: [{name: main}]\nmaps: [{path: %s/a}]\n", dir)
	r, reload := serveTexts(t, good)
	epoch := r.status().Rings[0].Epoch
	for name, text := range map[string]string{
		"no YAML":            "maps: {",
		"no such group":      fmt.Sprintf("rings: [{name: main, allow: {groups: [no-such-group]}}]\nmaps: [{path: %s/a}]\n", dir),
		"too small":          fmt.Sprintf("rings: [{name: main, bytes: 4KiB}]\nmaps: [{path: %s/a}]\n", dir),
		"the reader's share": "reader: {duty: 50%}\n" + good,
	} {
		if changes, err := reload(text); err == nil {
			t.Errorf("%s: %+v", name, changes)
		}
	}
	if changes, err := reload(good); err != nil || len(changes.Rings)+len(changes.Ended)+len(changes.Added)+len(changes.Removed)+len(changes.Changed) != 0 {
		t.Errorf("%+v, %v", changes, err)
	}
	if now := r.status().Rings[0].Epoch; now != epoch {
		t.Errorf("epoch %s, was %s", now, epoch)
	}
}

// TestReloadOfAMapThatCannotBeOpenedAnew: what nobody reads any more says so, until
// it is found again.
func TestReloadOfAMapThatCannotBeOpenedAnew(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	m := newMap(t, 3, 16)
	pin := bpftest.Pin(t, m, dir, "a")
	file := func(every string) string {
		return fmt.Sprintf("rings: [{name: main}]\nmaps: [{path: %s, every: %s}]\n", pin, every)
	}
	r, reload := serveTexts(t, file("5ms"))
	a, c := r.attach(shm.StartHead)
	defer a.Close()
	r.frames(a, c, func(h shm.Header) bool { return h.Rows == 3 })
	if err := os.Remove(pin); err != nil { // it is read on, but cannot be had again
		t.Fatal(err)
	}
	if changes, err := reload(file("6ms")); err != nil || len(changes.Changed) != 1 {
		t.Fatalf("%+v, %v", changes, err)
	}
	if state, _ := a.Ring.SourceState(0); state != shm.SourceGone {
		t.Errorf("a map that is not read is %v", state)
	}
	if err := m.Pin(pin); err != nil {
		t.Fatal(err)
	}
	r.frames(a, c, func(h shm.Header) bool { return h.Source == 1 && h.Rows == 3 })
	if state, by := a.Ring.SourceState(0); state != shm.SourceSuperseded || by != 1 {
		t.Errorf("found again, and the old source is %v by %d", state, by)
	}
}

// TestReloadThatFailsIsTriedAgain: a ring that could not be made is still what the
// next reload has to make.
func TestReloadThatFailsIsTriedAgain(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	bpftest.Pin(t, newMap(t, 3, 16), dir, "a")
	file := func(bytes string) string {
		return fmt.Sprintf("rings: [{name: main, bytes: %s}]\nmaps: [{path: %s/a}]\n", bytes, dir)
	}
	r, reload := serveTexts(t, file("1MiB"))
	r.newEpoch = func(shm.Config) (*epoch, error) { return nil, syscall.ENOMEM }
	if changes, err := reload(file("2MiB")); !errors.Is(err, syscall.ENOMEM) {
		t.Errorf("%+v, %v", changes, err)
	}
	r.newEpoch = newEpoch
	if changes, err := reload(file("2MiB")); err != nil || len(changes.Rings) != 1 || r.status().Rings[0].Bytes != 2<<20 {
		t.Errorf("%+v, %v, a ring of %d bytes", changes, err, r.status().Rings[0].Bytes)
	}
}

// TestCommandsAreForTheOwner: who is not root or the sidecar's own user is refused.
func TestCommandsAreForTheOwner(t *testing.T) {
	r, _ := serveTexts(t, "rings: [{name: main, allow: {uids: [65534]}}]\nmaps: [{path: "+bpftest.MountBPFFS(t)+"/a}]\n")
	stranger := handoff.Peer{UID: bpftest.Nobody}
	if _, err := r.Reload(stranger); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
	if err := r.TakeOver(stranger); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
	if err := r.TakeOver(handoff.Peer{}); err != nil {
		t.Error(err)
	}
	if err := r.TakeOver(handoff.Peer{}); !errors.Is(err, errLeaving) {
		t.Errorf("twice: %v", err)
	}
}

// TestTakeoverOfOneThatEnds: whoever comes when the sidecar is ending already waits
// for that.
func TestTakeoverOfOneThatEnds(t *testing.T) {
	cfg, err := config.Flags{Maps: []string{filepath.Join(bpftest.MountBPFFS(t), "a")}, Socket: filepath.Join(t.TempDir(), "s")}.Resolve("")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Version: "test", Log: zerolog.New(zerolog.NewTestWriter(t)), Lookup: acl.LookupGroup}
	first, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- first.Run(t.Context()) }()
	if err := first.TakeOver(handoff.Peer{}); err != nil { // for somebody who does not come
		t.Fatal(err)
	}
	o.TakeOver = true
	second, err := New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, second).attach(shm.StartHead)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited for %s", what)
		}
	}
}

// TestWhatHangsKeepsItsMemory: a scan that does not end is left behind by a
// reload, and by a pin that goes; what it works in stays until it comes back.
func TestWhatHangsKeepsItsMemory(t *testing.T) {
	s := &Sidecar{log: newLogger(zerolog.New(zerolog.NewTestWriter(t)))}
	r := &ring{config: config.Ring{Name: "main"}}
	r.current.Store(&epoch{})
	x := r.source(&config.Map{Mode: config.Changes}, "/nowhere/a")
	info := mapOf(8, 4, 8)
	stage, err := changes.New(x.dst, info, changes.Options{Budget: changes.NewBudget(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	comes := make(chan struct{})
	x.stage, x.stream = stage, &stream{stop: func() {}, done: comes}
	r.sources = []*source{x}
	x.ended = s.ending(x)
	s.retire(&pattern{ring: r, want: x.want}, nil)
	if len(r.sources) != 1 {
		t.Error("taken off the list while it is scanned")
	}
	s.mu.Lock()
	s.retireOld(&ringPlan{ring: r, before: r.sources}, &Changes{})
	r.sources = []*source{x}
	s.dismiss([]*ring{r}, &Changes{}, time.Now())
	if x.stage == nil {
		t.Error("its memory was given back while it is scanned")
	}
	s.mu.Unlock()
	close(comes)
	if <-x.ended; x.stage != nil {
		t.Error("its memory was kept")
	}
}

// TestRulesThatChangeWhileOneAttaches: whom the new ones do not let in gets nothing.
func TestRulesThatChangeWhileOneAttaches(t *testing.T) {
	dir := bpftest.MountBPFFS(t)
	r := serve(t, config.Flags{Maps: []string{bpftest.Pin(t, newMap(t, 1, 4), dir, "a")}, AllowUIDs: []string{"1000"}})
	for _, uid := range []uint32{1000, 7} {
		a, c := r.attach(shm.StartHead)
		r.mu.Lock()
		var late handoff.Lease
		for l := range r.leases {
			late = *l
		}
		r.mu.Unlock()
		late.Peer = handoff.Peer{UID: uid, GID: uid}
		r.Attached(&late) // as Attach had allowed it
		r.mu.Lock()
		delete(r.leases, &late)
		r.mu.Unlock()
		if uid == 7 {
			until(t, "the lease to be taken back", func() bool {
				_, err := a.Wait(t.Context(), a.Ring.Head())
				return errors.Is(err, handoff.ErrHangup)
			})
		} else if s := r.frames(a, c, func(shm.Header) bool { return true }); s != shm.Ready {
			t.Errorf("uid %d gets nothing: %v", uid, s)
		}
		a.Close()
		until(t, "the lease to end", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return len(r.leases) == 0
		})
	}
}
