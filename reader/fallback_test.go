// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// wantEngine fails unless a source is read by an engine, for reasons.
func wantEngine(t *testing.T, s *reader.Source, engine string, parts ...string) {
	t.Helper()
	info := s.Info()
	if info.Engine != engine {
		t.Errorf("engine %s, want %s: %s", info.Engine, engine, info.EngineReason)
	}
	for _, part := range parts {
		if !strings.Contains(info.EngineReason, part) {
			t.Errorf("the reason %q lacks %q", info.EngineReason, part)
		}
	}
}

func TestProgramsRefused(t *testing.T) {
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.Array} {
		m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 8, MaxEntries: 500})
		want := fill(t, m, 500)
		var s *reader.Source
		if err := bpftest.WithoutBPF(t, unix.EPERM, func() (err error) {
			s, err = reader.Open(pin, reader.Options{})
			return err
		}, unix.BPF_PROG_LOAD); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		wantEngine(t, s, reader.EngineBatch, "not pump: ", "not iter: ", "not permitted")
		same(t, scan(t, s, readertest.For(t, s, 1<<14)), want)
	}
}

func TestProgramsRunWithoutRights(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		want := fill(t, m, 500)
		s := open(t, pin, o)
		dst := readertest.For(t, s, 1<<14)
		// As after privileges were dropped: opened as root, never run before.
		if err := bpftest.AsUser(t, bpftest.Nobody, func() error {
			_, err := s.Scan(context.Background(), dst)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		same(t, dst.Map(), want)
		wantEngine(t, s, o.Engine)
	})
}

func TestLockedScansTakeTheLock(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "flows", &small)
	wantEngine(t, open(t, pin, reader.Options{Consistency: reader.Locked}), reader.EngineBatch, "not pump: it takes no lock")
	// An array has neither locks nor keys that could be missed.
	_, pin = bpftest.NewPinned(t, "table", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 5})
	wantEngine(t, open(t, pin, reader.Options{Consistency: reader.Locked}), reader.EnginePump)
}

func TestRowsThatNoProgramGives(t *testing.T) {
	// A row larger than what one read of an iterator gives.
	_, pin := bpftest.NewPinned(t, "huge", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 40_000, MaxEntries: 4})
	if _, err := reader.Open(pin, reader.Options{Engine: reader.EngineIter}); err == nil || !strings.Contains(err.Error(), "takes 40008") {
		t.Errorf("iter: %v", err)
	}
	// Looking up the rows of an LRU would change what it throws out.
	_, pin = bpftest.NewPinned(t, "lru", &ebpf.MapSpec{Type: ebpf.LRUCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 64})
	if _, err := reader.Open(pin, reader.Options{Engine: reader.EngineIter}); err == nil || !strings.Contains(err.Error(), "throws out") {
		t.Errorf("iter: %v", err)
	}
	// Tries have no order that a program could follow.
	_, pin = bpftest.NewPinned(t, "routes", &ebpf.MapSpec{Type: ebpf.LPMTrie, Flags: 1, KeySize: 8, ValueSize: 4, MaxEntries: 5})
	wantEngine(t, open(t, pin, reader.Options{}), reader.EngineBatch, "not pump: no program reads such a map")
}

func TestSweepNeedsScratch(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 20_000})
	want := fill(t, m, 100)
	o := reader.Options{Engine: reader.EngineSweep, MaxHold: time.Second, Scratch: 64 << 10}
	s := open(t, pin, o)
	dst := readertest.For(t, s, 1<<14)
	same(t, scan(t, s, dst), want)

	// It grows with the map.
	small, _ := s.Scan(context.Background(), readertest.New(t, 1<<14))
	want = fill(t, m, 3000)
	same(t, scan(t, s, dst), want)
	grown, _ := s.Scan(context.Background(), readertest.New(t, 1<<14))
	if small.ScratchBytes >= grown.ScratchBytes || grown.ScratchBytes > o.Scratch {
		t.Errorf("scratch of %d, then %d bytes of at most %d", small.ScratchBytes, grown.ScratchBytes, o.Scratch)
	}

	// Until it may not.
	fill(t, m, 20_000)
	if _, err := s.Scan(context.Background(), dst); err == nil || !strings.Contains(err.Error(), "20000 rows of 16 bytes do not fit into 65536") {
		t.Errorf("got %v", err)
	}
}

func TestHoldIsKept(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 20_000})
	want := fill(t, m, 20_000)
	// The kernel's own walk cannot be kept that short: it is passed over.
	if _, err := reader.Open(pin, reader.Options{Engine: reader.EngineSweep, MaxHold: 1}); err == nil || !strings.Contains(err.Error(), "alone took longer than the 1ns") {
		t.Errorf("sweep: %v", err)
	}
	// Ranges can: the shorter, the more of them. One nanosecond is over before
	// the first look at the clock, and that is one look every few rows.
	s := open(t, pin, reader.Options{MaxHold: 1})
	wantEngine(t, s, reader.EnginePump)
	same(t, scan(t, s, readertest.For(t, s, 1<<20)), want)
	wantEngine(t, s, reader.EnginePump)
}
