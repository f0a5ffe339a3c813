// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// mmapable is BPF_F_MMAPABLE.
const mmapable = 1 << 10

// open opens a pin or fails the test.
func open(tb testing.TB, pin string, o reader.Options) *reader.Source {
	tb.Helper()
	s, err := reader.Open(pin, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// scan makes one checked pass and returns the rows by key.
func scan(tb testing.TB, s *reader.Source, dst *readertest.Memory) map[string]string {
	tb.Helper()
	dst.Reset()
	stats, err := s.Scan(context.Background(), dst)
	if err != nil {
		tb.Fatal(err)
	}
	dst.CheckScan(stats)
	return dst.Map()
}

// bytesOf is n in size bytes, little-endian, cut or padded with marks.
func bytesOf(n uint32, size int) []byte {
	b := make([]byte, max(size, 4))
	binary.LittleEndian.PutUint32(b, n)
	for i := 4; i < size; i++ {
		b[i] = byte(n) ^ byte(i)
	}
	return b[:size]
}

// fill puts n entries with distinct keys into a map.
func fill(tb testing.TB, m *ebpf.Map, n int) map[string]string {
	tb.Helper()
	want := make(map[string]string, n)
	for i := range n {
		key, value := bytesOf(uint32(i), int(m.KeySize())), bytesOf(uint32(i)*3+1, int(m.ValueSize()))
		if err := m.Put(key, value); err != nil {
			tb.Fatalf("put %x: %v", key, err)
		}
		want[string(key)] = string(value)
	}
	return want
}

func same(tb testing.TB, got, want map[string]string) {
	tb.Helper()
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			tb.Fatalf("key %x: got %x (%v), want %x; %d rows of %d", k, g, ok, v, len(got), len(want))
		}
	}
	if len(got) != len(want) {
		tb.Fatalf("%d rows, want %d", len(got), len(want))
	}
}

func TestScanSizes(t *testing.T) {
	programs := []string{"pump", "iter", "batch", "walk"}
	hashes := []string{"pump", "sweep", "iter", "batch", "walk"}
	for _, tc := range []struct {
		typ                      ebpf.MapType
		flags                    uint32
		key, value, max, entries int
		engines                  []string
	}{
		{ebpf.Hash, 0, 4, 32, 5000, 5000, hashes},
		{ebpf.Hash, 0, 1, 1, 256, 256, hashes},
		{ebpf.Hash, 0, 2, 3, 1000, 999, hashes},
		{ebpf.Hash, 0, 37, 5, 1000, 700, hashes},
		{ebpf.Hash, 0, 4, 9000, 64, 50, hashes},
		{ebpf.Hash, 0, 8, 8, 1000, 0, hashes},
		{ebpf.Hash, 1 /* BPF_F_NO_PREALLOC */, 12, 31, 1000, 800, hashes},
		{ebpf.Hash, 0, 3, 7, 1000, 500, hashes},
		{ebpf.Hash, 0, 64, 255, 500, 400, hashes},
		{ebpf.Hash, 0, 65, 257, 500, 400, hashes},
		{ebpf.Hash, 0, 333, 4093, 64, 50, hashes},
		{ebpf.LRUHash, 0, 6, 4096, 512, 100, hashes},
		{ebpf.LRUHash, 0, 4, 32, 4096, 1000, hashes},
		{ebpf.Array, 0, 4, 32, 3000, 3000, programs},
		{ebpf.Array, 0, 4, 5, 1, 1, programs},
		{ebpf.Array, mmapable, 4, 32, 5000, 5000, append([]string{"mmap"}, programs...)},
		{ebpf.Array, mmapable, 4, 5, 777, 777, append([]string{"mmap"}, programs...)},
		{ebpf.Array, mmapable, 4, 9000, 33, 33, append([]string{"mmap"}, programs...)},
	} {
		for i, name := range tc.engines {
			t.Run(fmt.Sprintf("%s/%d+%d/%d/%s", tc.typ, tc.key, tc.value, tc.entries, name), func(t *testing.T) {
				m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: tc.typ, Flags: tc.flags,
					KeySize: uint32(tc.key), ValueSize: uint32(tc.value), MaxEntries: uint32(tc.max)})
				want := fill(t, m, tc.entries)
				o := reader.Options{Engine: name, MaxHold: time.Second}
				if i == 0 {
					o.Engine = "" // what would be chosen by itself
				}
				s := open(t, pin, o)
				if got := s.Info().Engine; got != name {
					t.Fatalf("engine %s (%s), want %s", got, s.Info().EngineReason, name)
				}
				dst := readertest.For(t, s, 1<<15)
				for range 3 {
					same(t, scan(t, s, dst), want)
				}
				dst.LendLeast = true // one row a frame, or as many as a bucket needs
				same(t, scan(t, s, dst), want)
			})
		}
	}
}
