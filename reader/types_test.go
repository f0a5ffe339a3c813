// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

func TestScanPerCPU(t *testing.T) {
	cpus := ebpf.MustPossibleCPU()
	for _, typ := range []ebpf.MapType{ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUArray} {
		for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter, reader.EngineBatch, reader.EngineWalk} {
			if typ == ebpf.LRUCPUHash && engine == reader.EngineIter || typ == ebpf.PerCPUArray && engine == reader.EngineSweep {
				continue // it would change what the map keeps
			}
			t.Run(typ.String()+"/"+engine, func(t *testing.T) {
				m, pin := bpftest.NewPinned(t, "counts", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 300})
				want := make(map[string]string)
				for i := range uint32(300) {
					values, row := make([]uint32, cpus), make([]byte, 8*cpus)
					for c := range values {
						values[c] = i + uint32(c)<<16
						binary.LittleEndian.PutUint32(row[8*c:], values[c])
					}
					if err := m.Put(i, values); err != nil {
						if typ == ebpf.LRUCPUHash {
							continue
						}
						t.Fatal(err)
					}
					want[string(bytesOf(i, 4))] = string(row)
				}
				s := open(t, pin, reader.Options{Engine: engine})
				info := s.Info()
				if info.CPUs != cpus || info.ValueSize != 8*cpus || info.MapValueSize != 4 {
					t.Fatalf("%+v", info)
				}
				got := scan(t, s, readertest.For(t, s, 1<<14))
				if typ == ebpf.LRUCPUHash {
					// An LRU may have evicted; what is there must be right.
					if len(got) == 0 {
						t.Fatal("no row")
					}
					for k := range want {
						if _, ok := got[k]; !ok {
							delete(want, k)
						}
					}
				}
				same(t, got, want)
			})
		}
	}
}

func TestScanLPMTrie(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "routes", &ebpf.MapSpec{Type: ebpf.LPMTrie, Flags: 1, /* BPF_F_NO_PREALLOC */
		KeySize: 8, ValueSize: 4, MaxEntries: 500})
	want := make(map[string]string)
	for i := range uint32(200) {
		key := make([]byte, 8)
		binary.LittleEndian.PutUint32(key, 24) // prefix length
		key[4], key[5] = byte(i), 10
		if err := m.Put(key, i); err != nil {
			t.Fatal(err)
		}
		want[string(key)] = string(bytesOf(i, 4))
	}
	for _, engine := range []string{"", reader.EngineWalk} {
		s := open(t, pin, reader.Options{Engine: engine})
		same(t, scan(t, s, readertest.For(t, s, 1<<14)), want)
	}
}

func TestScanMapsOfMaps(t *testing.T) {
	inner := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	for _, typ := range []ebpf.MapType{ebpf.ArrayOfMaps, ebpf.HashOfMaps} {
		t.Run(typ.String(), func(t *testing.T) {
			m, pin := bpftest.NewPinned(t, "outer", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 4, MaxEntries: 20, InnerMap: inner})
			want := make(map[string]string)
			for _, key := range []uint32{2, 7, 8, 19} { // an array of maps has holes
				in := bpftest.NewMap(t, inner)
				info, err := in.Info()
				if err != nil {
					t.Fatal(err)
				}
				id, _ := info.ID()
				if err := m.Put(key, in); err != nil {
					t.Fatal(err)
				}
				want[string(bytesOf(key, 4))] = string(bytesOf(uint32(id), 4))
			}
			for _, engine := range []string{"", reader.EngineWalk} {
				s := open(t, pin, reader.Options{Engine: engine})
				same(t, scan(t, s, readertest.For(t, s, 1<<14)), want)
				if v := s.Info().Schema.Value; v == nil || v.Name != "map_id" {
					t.Errorf("value %+v, want the id of a map", v)
				}
			}
		})
	}
}

func TestRefusedTypesSayWhy(t *testing.T) {
	for _, spec := range []ebpf.MapSpec{
		{Type: ebpf.PerfEventArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.CGroupArray, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.SockMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.SockHash, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.Queue, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.Stack, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.BloomFilter, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.RingBuf, MaxEntries: 4096},
		{Type: ebpf.CPUMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
		{Type: ebpf.DevMap, KeySize: 4, ValueSize: 4, MaxEntries: 1},
	} {
		t.Run(spec.Type.String(), func(t *testing.T) {
			_, pin := bpftest.NewPinned(t, "odd", &spec)
			_, err := reader.Open(pin, reader.Options{})
			if !errors.Is(err, reader.ErrUnsupported) {
				t.Fatalf("got %v, want ErrUnsupported", err)
			}
			text := err.Error()
			if !strings.Contains(text, pin) || !strings.Contains(text, " map: it ") && !strings.Contains(text, " map: reading ") {
				t.Errorf("no reason in %q", text)
			}
		})
	}
}

// traceStack runs a program that stores its own stack.
func traceStack(tb testing.TB, m *ebpf.Map) {
	tb.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.RawTracepoint, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R2, m.FD()), asm.Mov.Imm(asm.R3, 0),
		asm.FnGetStackid.Call(), asm.Return(),
	}})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	if _, err := p.Run(&ebpf.RunOptions{Context: make([]byte, 8)}); err != nil {
		tb.Fatalf("run: %v", err)
	}
}

func TestScanStackTraces(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "stacks", &ebpf.MapSpec{Type: ebpf.StackTrace, KeySize: 4, ValueSize: 127 * 8, MaxEntries: 1000})
	s := open(t, pin, reader.Options{})
	dst := readertest.For(t, s, 1<<14)
	if got := scan(t, s, dst); len(got) != 0 {
		t.Fatalf("%d stacks before any was stored", len(got))
	}
	traceStack(t, m)
	info := s.Info()
	if info.Engine != reader.EngineWalk || !strings.Contains(info.EngineReason, "not batch: ") {
		t.Errorf("engine %s: %s", info.Engine, info.EngineReason)
	}
	got := scan(t, s, dst)
	if len(got) != 1 {
		t.Fatalf("%d stacks", len(got))
	}
	for _, stack := range got {
		if ip := binary.LittleEndian.Uint64([]byte(stack)); ip>>63 == 0 {
			t.Errorf("the innermost frame is at %#x, not in the kernel", ip)
		}
		if text := string(info.Schema.Value.Append(nil, []byte(stack))); text[0] != '[' {
			t.Error(text)
		}
	}
}
