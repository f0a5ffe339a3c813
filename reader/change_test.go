// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// eachEngine runs a test for every engine that reads 4 + 8 byte rows.
func eachEngine(t *testing.T, f func(t *testing.T, m *ebpf.Map, pin string, o reader.Options)) {
	for _, tc := range []struct {
		engine string
		spec   ebpf.MapSpec
	}{
		{reader.EngineMmap, ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EnginePump, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EnginePump, ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineSweep, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineIter, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineIter, ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineBatch, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineBatch, ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
		{reader.EngineWalk, ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 500}},
	} {
		t.Run(fmt.Sprintf("%s/%s", tc.engine, tc.spec.Type), func(t *testing.T) {
			m, pin := bpftest.NewPinned(t, "flows", &tc.spec)
			f(t, m, pin, reader.Options{Engine: tc.engine})
		})
	}
}

func TestMapFrozenWhileRead(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		want := fill(t, m, 500)
		s := open(t, pin, o)
		dst := readertest.For(t, s, 1<<14)
		same(t, scan(t, s, dst), want)
		if err := m.Freeze(); err != nil {
			t.Fatalf("the reader keeps the owner from freezing: %v", err)
		}
		same(t, scan(t, s, dst), want)
		again := open(t, pin, o) // opened when it was frozen already
		same(t, scan(t, again, dst), want)
		if s.Info().Frozen || !again.Info().Frozen {
			t.Errorf("frozen: %v before, %v after", s.Info().Frozen, again.Info().Frozen)
		}
	})
}

func TestMapEmptiedAndFilledBetweenFrames(t *testing.T) {
	for _, engine := range []string{reader.EngineIter, reader.EngineBatch, reader.EngineWalk} {
		m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 4000})
		want := fill(t, m, 4000)
		s := open(t, pin, reader.Options{Engine: engine})
		dst := readertest.For(t, s, 1<<13) // several frames
		claims := 0
		dst.OnClaim = func() error {
			if claims++; claims == 2 {
				for k := range want {
					if err := m.Delete([]byte(k)); err != nil {
						return err
					}
				}
			}
			return nil
		}
		// What was read before the deletion is right; the scan ends by itself.
		stats, err := s.Scan(context.Background(), dst)
		if err != nil && !errors.Is(err, reader.ErrChanged) {
			t.Fatal(err)
		}
		if stats.Rows == 0 || stats.Rows == len(want) {
			t.Errorf("%s: %d rows of a map emptied in mid-scan", engine, stats.Rows)
		}
		for k, v := range dst.Map() {
			if want[k] != v {
				t.Fatalf("%s: key %x: %x", engine, k, v)
			}
		}
		if got := scan(t, s, dst); len(got) != 0 || len(dst.Frames) != 1 {
			t.Errorf("%s: %d rows in %d frames of an empty map", engine, len(got), len(dst.Frames))
		}
		dst.OnClaim = nil
		want = fill(t, m, 3000)
		same(t, scan(t, s, dst), want)
	}
}

func TestPinRemovedWhileRead(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		want := fill(t, m, 500)
		s := open(t, pin, o)
		dst := readertest.For(t, s, 1<<14)
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		if replaced, err := s.Replaced(); replaced || err != nil {
			t.Fatalf("removed pin: replaced %v, %v", replaced, err)
		}
		if state := s.Info().PinState; state != reader.Unpinned {
			t.Errorf("state %q", state)
		}
		same(t, scan(t, s, dst), want)

		// The same map comes back under the same path: it is no replacement.
		bpftest.Pin(t, m, filepath.Dir(pin), filepath.Base(pin))
		if replaced, err := s.Replaced(); replaced || err != nil || s.Info().PinState != reader.Pinned {
			t.Errorf("pinned again: replaced %v, %v, %q", replaced, err, s.Info().PinState)
		}
	})
}

func TestPinReplaced(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		s := open(t, pin, o)
		if replaced, err := s.Replaced(); replaced || err != nil {
			t.Fatalf("untouched: %v, %v", replaced, err)
		}
		if n := testing.AllocsPerRun(20, func() { s.Replaced() }); n != 0 {
			t.Errorf("looking at the pin allocates %v times", n)
		}
		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		bpftest.Pin(t, bpftest.NewMap(t, &small), filepath.Dir(pin), filepath.Base(pin))
		if replaced, err := s.Replaced(); !replaced || err != nil || s.Info().PinState != reader.Replaced {
			t.Errorf("replaced %v, %v, %q", replaced, err, s.Info().PinState)
		}

		if err := os.Remove(pin); err != nil {
			t.Fatal(err)
		}
		if err := bpftest.NewProgram(t, "p").Pin(pin); err != nil {
			t.Fatal(err)
		}
		if replaced, err := s.Replaced(); replaced || !errors.Is(err, reader.ErrNotMap) {
			t.Errorf("a program under the pin: %v, %v", replaced, err)
		}
	})
}

func TestBucketLargerThanFrame(t *testing.T) {
	// A map of 2 entries has 2 buckets; 16 rounds make it next to certain that
	// both keys meet in one of them, which a frame of one row cannot take.
	spec := ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4000, MaxEntries: 2}
	spilled := false
	for range 16 {
		m, pin := bpftest.NewPinned(t, "large", &spec)
		want := fill(t, m, 2)
		s := open(t, pin, reader.Options{Consistency: reader.Locked})
		dst := readertest.For(t, s, 4096)
		same(t, scan(t, s, dst), want)
		stats, err := s.Scan(context.Background(), dst)
		if err != nil {
			t.Fatal(err)
		}
		spilled = spilled || stats.ScratchBytes > 0
		if e := s.Info().Engine; e != reader.EngineBatch {
			t.Errorf("engine %s: %s", e, s.Info().EngineReason)
		}
	}
	if !spilled {
		t.Error("no bucket was ever larger than a frame: the case was not tested")
	}
}

func TestRowLargerThanFrame(t *testing.T) {
	_, pin := bpftest.NewPinned(t, "large", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4096, MaxEntries: 2})
	s := open(t, pin, reader.Options{})
	_, err := s.Scan(context.Background(), readertest.New(t, 4096))
	if !errors.Is(err, reader.ErrTooLarge) {
		t.Fatalf("got %v, want ErrTooLarge", err)
	}
	for _, part := range []string{pin, "key 4", "value 4096", "take 4160", "holds 4096"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	info := s.Info()
	if info.Fits(4160) != nil || info.Fits(4159) == nil {
		t.Error("Fits disagrees with its own arithmetic")
	}
}

func TestKernelWithoutBatch(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		if o.Engine != reader.EngineBatch {
			return // only batch is taken away
		}
		want := fill(t, m, 500)
		var early, late *reader.Source
		if err := bpftest.WithoutBPF(t, unix.EPERM, func() (err error) {
			early, err = reader.Open(pin, reader.Options{})
			return err
		}, unix.BPF_PROG_LOAD); err != nil {
			t.Fatal(err)
		}
		defer early.Close()
		dst := readertest.For(t, early, 1<<14)
		err := bpftest.WithoutBPF(t, unix.EINVAL, func() (err error) {
			if late, err = reader.Open(pin, reader.Options{}); err != nil {
				return err
			}
			// Chosen when batch still worked: the scan is repeated.
			_, err = early.Scan(context.Background(), dst)
			return err
		}, unix.BPF_MAP_LOOKUP_BATCH, unix.BPF_PROG_LOAD)
		if err != nil {
			t.Fatal(err)
		}
		defer late.Close()
		same(t, dst.Map(), want)
		if i := early.Info(); i.Engine != reader.EngineWalk || !strings.Contains(i.EngineReason, "batch was given up") {
			t.Errorf("at run time: %s: %s", i.Engine, i.EngineReason)
		}
		if i := late.Info(); i.Engine != reader.EngineWalk || !strings.Contains(i.EngineReason, "not batch: ") {
			t.Errorf("at open: %s: %s", i.Engine, i.EngineReason)
		}
		same(t, scan(t, late, dst), want)
	})
}

func TestMmapableArrayWithoutTheRightToWrite(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable, KeySize: 4, ValueSize: 8, MaxEntries: 50})
	want := fill(t, m, 50)
	if err := os.Chmod(pin, 0o444); err != nil {
		t.Fatal(err)
	}
	var s *reader.Source
	if err := bpftest.AsUser(t, bpftest.Nobody, func() (err error) {
		s, err = reader.Open(pin, reader.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if i := s.Info(); i.Engine != reader.EngineBatch || !strings.Contains(i.EngineReason, "not mmap: mapping needs the pin to be opened for writing") {
		t.Errorf("%s: %s", i.Engine, i.EngineReason)
	}
	same(t, scan(t, s, readertest.For(t, s, 1<<14)), want)
}

func TestInterruptedScanHasNoLast(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		want := fill(t, m, 500)
		s := open(t, pin, o)
		dst := readertest.For(t, s, 1<<12)
		ctx, cancel := context.WithCancel(context.Background())
		dst.OnClaim = func() error {
			if len(dst.Frames) == 1 {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		if _, err := s.Scan(ctx, dst); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
		if f := dst.Frames[0]; !f.First || f.Last || len(dst.Frames) != 1 {
			t.Errorf("%+v", dst.Frames)
		}
		before := dst.Frames[0].Scan
		dst.OnClaim = nil
		same(t, scan(t, s, dst), want)
		if dst.Frames[0].Scan == before {
			t.Error("the scan number was used twice")
		}
	})
}

func TestScanAllocatesNothing(t *testing.T) {
	eachEngine(t, func(t *testing.T, m *ebpf.Map, pin string, o reader.Options) {
		fill(t, m, 500)
		s := open(t, pin, o)
		dst, ctx := readertest.New(t, 1<<12), context.Background()
		if n := testing.AllocsPerRun(20, func() {
			if _, err := s.Scan(ctx, dst); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations a scan", n)
		}
	})
}
