// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// counters has integers of all widths, in odd order, with padding.
func counters() *btf.Struct {
	s16, u16 := cInt("short", 2, btf.Signed), cInt("unsigned short", 2, btf.Unsigned)
	inner := &btf.Struct{Name: "inner", Size: 8, Members: []btf.Member{at("lo", u32Type, 0), at("hi", s32Type, 4)}}
	return &btf.Struct{Name: "counters", Size: 48, Members: []btf.Member{
		at("bytes", u64Type, 0), at("errors", u32Type, 8), at("delta", s64Type, 16),
		at("small", u8Type, 24), at("drift", s16, 26), at("ports", arrayOf(u16, 2), 28),
		at("in", arrayOf(inner, 2), 32),
	}}
}

// countersOf is what one CPU counted for a key.
func countersOf(key, cpu int) []byte {
	le, b := binary.LittleEndian, make([]byte, 48)
	le.PutUint64(b, uint64(1)<<40+uint64(key))
	le.PutUint32(b[8:], 1<<32-1-uint32(key)) // two of them need 33 bits
	le.PutUint64(b[16:], uint64(int64(-key-cpu)))
	b[24] = 255
	le.PutUint16(b[26:], 1<<16-300)
	le.PutUint16(b[28:], 65535)
	le.PutUint16(b[30:], uint16(cpu))
	le.PutUint32(b[32:], 1<<31)
	le.PutUint32(b[36:], 1<<31)
	le.PutUint32(b[40:], uint32(key))
	le.PutUint32(b[44:], 1<<32-5)
	return b
}

// countersJSON is the sum over CPUs, calculated another way.
func countersJSON(key, cpus int) string {
	n, below := cpus, cpus*(cpus-1)/2
	return fmt.Sprintf(`{"bytes":%d,"errors":%d,"delta":%d,"small":%d,"drift":%d,"ports":[%d,%d],"in":[{"lo":%d,"hi":%d},{"lo":%d,"hi":%d}]}`,
		n*(1<<40+key), n*(1<<32-1-key), -n*key-below, n*255, -n*300, n*65535, below, n<<31, -n<<31, n*key, -n*5)
}

func TestSumOverCPUs(t *testing.T) {
	const rows = 300
	cpus := ebpf.MustPossibleCPU()
	for _, typ := range []ebpf.MapType{ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.PerCPUArray} {
		m, pin := bpftest.NewPinned(t, "counters", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 48,
			MaxEntries: rows * map[bool]uint32{true: 8, false: 1}[typ == ebpf.LRUCPUHash], Key: u32Type, Value: counters()})
		want := map[string]string{}
		for key := range rows {
			values := make([][]byte, cpus)
			for cpu := range values {
				values[cpu] = countersOf(key, cpu)
			}
			if err := m.Put(uint32(key), values); err != nil {
				t.Fatal(err)
			}
			want[string(bytesOf(uint32(key), 4))] = countersJSON(key, cpus)
		}
		for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter, reader.EngineBatch, reader.EngineWalk} {
			if typ == ebpf.LRUCPUHash && engine == reader.EngineIter || typ == ebpf.PerCPUArray && engine == reader.EngineSweep {
				continue
			}
			t.Run(typ.String()+"/"+engine, func(t *testing.T) {
				s := open(t, pin, reader.Options{Engine: engine, PerCPU: reader.Sum, MaxHold: time.Second})
				info := s.Info()
				if info.CPUs != 0 || info.SummedCPUs != cpus || info.ValueSize != 11*8 || info.Schema.Value.Size != 11*8 {
					t.Fatalf("%+v", info)
				}
				dst := readertest.For(t, s, 1<<13)
				for range 2 {
					got := scan(t, s, dst)
					for key, text := range want {
						if sum := string(info.Schema.Value.Append(nil, []byte(got[key]))); sum != text {
							t.Fatalf("key %x\n got %s\nwant %s", key, sum, text)
						}
					}
					if len(got) != len(want) && typ != ebpf.PerCPUArray {
						t.Fatalf("%d rows of %d", len(got), len(want))
					}
					dst.LendLeast = true
				}
			})
		}
	}
}

func TestSumRefused(t *testing.T) {
	everything, _ := everything()
	for _, tc := range []struct {
		name string
		spec ebpf.MapSpec
		part string
	}{
		{"one value", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, Key: u32Type, Value: u64Type}, "one value a key"},
		{"no type", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 8}, "the map was created without types"},
		{"text", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 96, Key: u32Type, Value: everything}, "struct flow.comm[0] is a char"},
		{"bits", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 4, Key: u32Type, Value: &btf.Struct{Name: "bits", Size: 4,
			Members: []btf.Member{{Name: "low", Type: u32Type, BitfieldSize: 3}}}}, "struct bits.low is a bitfield"},
		{"many", ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 520, Key: u32Type, Value: arrayOf(u64Type, 65)}, "more than 64 integers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.MaxEntries = 4
			_, pin := bpftest.NewPinned(t, "m", &tc.spec)
			_, err := reader.Open(pin, reader.Options{PerCPU: reader.Sum})
			if !errors.Is(err, reader.ErrUnsupported) || !strings.Contains(err.Error(), tc.part) {
				t.Errorf("got %v, want ErrUnsupported with %q", err, tc.part)
			}
		})
	}
}

// Values that are nothing but 8-byte counters take a path of their own.
func TestSumOfWords(t *testing.T) {
	cpus := ebpf.MustPossibleCPU()
	for words := 1; words <= 34; words += 11 {
		m, pin := bpftest.NewPinned(t, "words", &ebpf.MapSpec{Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: uint32(8 * words),
			MaxEntries: 100, Key: u32Type, Value: arrayOf(u64Type, uint32(words))})
		want := map[string]string{}
		for key := range uint32(100) {
			values, sum := make([][]byte, cpus), make([]byte, 8*words)
			for cpu := range values {
				values[cpu] = make([]byte, 8*words)
				for w := range words {
					v := uint64(key)<<40 + uint64(cpu*1000+w)
					binary.LittleEndian.PutUint64(values[cpu][8*w:], v)
					binary.LittleEndian.PutUint64(sum[8*w:], binary.LittleEndian.Uint64(sum[8*w:])+v)
				}
			}
			if err := m.Put(key, values); err != nil {
				t.Fatal(err)
			}
			want[string(bytesOf(key, 4))] = string(sum)
		}
		for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter, reader.EngineBatch} {
			s := open(t, pin, reader.Options{Engine: engine, PerCPU: reader.Sum, MaxHold: time.Second})
			dst := readertest.For(t, s, 1<<14)
			for range 2 {
				same(t, scan(t, s, dst), want)
			}
		}
	}
}
