// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// pin makes the map that create returns and pins it in the shell's bpffs.
func (s *shell) pin(name string, create func() (*ebpf.Map, error)) *ebpf.Map {
	s.t.Helper()
	m, err := create()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { m.Close() })
	bpftest.Pin(s.t, m, s.bpffs, name)
	return m
}

var (
	typeU8   = &btf.Int{Name: "__u8", Size: 1}
	typeU16  = &btf.Int{Name: "__u16", Size: 2}
	typeU32  = &btf.Int{Name: "__u32", Size: 4}
	typeU64  = &btf.Int{Name: "__u64", Size: 8}
	typeS32  = &btf.Int{Name: "__s32", Size: 4, Encoding: btf.Signed}
	typeChar = &btf.Int{Name: "char", Size: 1, Encoding: btf.Char}
)

func arrayOf(t btf.Type, n uint32) *btf.Array {
	return &btf.Array{Index: typeU32, Type: t, Nelems: n}
}

func member(name string, t btf.Type, offsetBytes int) btf.Member {
	return btf.Member{Name: name, Type: t, Offset: btf.Bits(8 * offsetBytes)}
}

// typedMap has two rows of
//
//	struct key { __u32 id; __u16 port; __u8 proto; };
//	struct value {
//		__u64 bytes; struct { __s32 x, y; } point; __u32 hist[3]; char comm[8];
//		enum state { CLOSED, OPEN } state; __u32 fin:1, window:11;
//		union { __u32 v4; __u8 raw[4]; } addr; __u8 mac[4];
//	};
func typedMap() (*ebpf.Map, error) {
	key := &btf.Struct{Name: "key", Size: 8, Members: []btf.Member{
		member("id", typeU32, 0), member("port", typeU16, 4), member("proto", typeU8, 6),
	}}
	point := &btf.Struct{Size: 8, Members: []btf.Member{member("x", typeS32, 0), member("y", typeS32, 4)}}
	state := &btf.Enum{Name: "state", Size: 4, Values: []btf.EnumValue{{Name: "CLOSED"}, {Name: "OPEN", Value: 1}}}
	addr := &btf.Union{Size: 4, Members: []btf.Member{member("v4", typeU32, 0), member("raw", arrayOf(typeU8, 4), 0)}}
	value := &btf.Struct{Name: "value", Size: 56, Members: []btf.Member{
		member("bytes", typeU64, 0), member("point", point, 8), member("hist", arrayOf(typeU32, 3), 16),
		member("comm", arrayOf(typeChar, 8), 28), member("state", state, 36),
		{Name: "fin", Type: typeU32, Offset: 320, BitfieldSize: 1}, {Name: "window", Type: typeU32, Offset: 321, BitfieldSize: 11},
		member("addr", addr, 44), member("mac", arrayOf(typeU8, 4), 48),
	}}
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "typed", Type: ebpf.Hash, KeySize: 8, ValueSize: 56, MaxEntries: 16, Key: key, Value: value,
	})
	for id, comm := range []string{"curl", "a\"b\\"} {
		if err == nil {
			err = m.Put([]byte{byte(id), 0, 0, 0, 0x35, 0, 17, 0}, typedValue(uint32(id), comm))
		}
	}
	return m, err
}

func typedValue(id uint32, comm string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, 1<<63+uint64(id))
	for _, word := range []uint32{^uint32(0), 2, 10, 20, 30} { // point.x is -1
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	b = append(b, append([]byte(comm), make([]byte, 8-len(comm))...)...)
	b = binary.LittleEndian.AppendUint32(b, 1+6*id) // OPEN, then one without a name
	b = binary.LittleEndian.AppendUint32(b, 1|1500<<1)
	b = append(b, 10, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef)
	return append(b, make([]byte, 56-len(b))...)
}

// perCPUMap has one row: on CPU n, the number n+1.
func perCPUMap() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "percpu", Type: ebpf.PerCPUHash, KeySize: 4, ValueSize: 8, MaxEntries: 4, Key: typeU32, Value: typeU64,
	})
	values := make([]uint64, ebpf.MustPossibleCPU())
	for i := range values {
		values[i] = uint64(i) + 1
	}
	if err == nil {
		err = m.Put(uint32(7), values)
	}
	return m, err
}

// plainMap has one row and no types.
func plainMap() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "plain", Type: ebpf.Hash, KeySize: 2, ValueSize: 5, MaxEntries: 4})
	if err == nil {
		err = m.Put([]byte{1, 0xff}, []byte("hello"))
	}
	return m, err
}

// ringbufMap is a map that cannot be read as a table.
func ringbufMap() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{Name: "ringbuf", Type: ebpf.RingBuf, MaxEntries: 4096})
}

// largeMap has rows that do not fit a small ring.
func largeMap() (*ebpf.Map, error) {
	return ebpf.NewMap(&ebpf.MapSpec{Name: "large", Type: ebpf.Hash, KeySize: 4, ValueSize: 4000, MaxEntries: 4})
}
