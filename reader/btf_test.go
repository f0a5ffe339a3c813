// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
	"github.com/ringside-bpf/ringside/shm/schema"
)

func cInt(name string, size uint32, enc btf.IntEncoding) *btf.Int {
	return &btf.Int{Name: name, Size: size, Encoding: enc}
}

var (
	u8Type   = &btf.Typedef{Name: "__u8", Type: cInt("unsigned char", 1, btf.Unsigned)}
	u32Type  = &btf.Typedef{Name: "__u32", Type: cInt("unsigned int", 4, btf.Unsigned)}
	u64Type  = &btf.Typedef{Name: "__u64", Type: cInt("unsigned long long", 8, btf.Unsigned)}
	s32Type  = cInt("int", 4, btf.Signed)
	s64Type  = cInt("long", 8, btf.Signed)
	charType = cInt("char", 1, btf.Signed)
	boolType = cInt("_Bool", 1, btf.Bool)
)

func arrayOf(t btf.Type, n uint32) *btf.Array { return &btf.Array{Index: u32Type, Type: t, Nelems: n} }

// at makes members at byte offsets.
func at(name string, t btf.Type, offset uint32) btf.Member {
	return btf.Member{Name: name, Type: t, Offset: btf.Bits(offset * 8)}
}

// everything is a value that uses each kind of type once.
func everything() (*btf.Struct, []byte) {
	state := &btf.Enum{Name: "state", Size: 4, Signed: true, Values: []btf.EnumValue{{Name: "LOST", Value: math.MaxUint64}, {Name: "OPEN", Value: 1}}}
	wide := &btf.Enum{Name: "wide", Size: 8, Values: []btf.EnumValue{{Name: "HUGE", Value: 1 << 40}}}
	point := &btf.Struct{Name: "point", Size: 8, Members: []btf.Member{at("x", s32Type, 0), at("y", s32Type, 4)}}
	addr := &btf.Union{Name: "addr", Size: 4, Members: []btf.Member{at("v4", u32Type, 0), at("octets", arrayOf(u8Type, 4), 0)}}
	anon := &btf.Union{Size: 8, Members: []btf.Member{at("bytes", u64Type, 0), at("packets", u32Type, 0)}}
	t := &btf.Struct{Name: "flow", Size: 96, Members: []btf.Member{
		at("id", &btf.Const{Type: u64Type}, 0), at("delta", s64Type, 8),
		at("comm", arrayOf(charType, 8), 16), at("state", state, 24), at("path", arrayOf(point, 2), 28),
		at("addr", addr, 44), at("", anon, 48), at("wide", wide, 56), at("next", &btf.Pointer{Target: &btf.Volatile{Type: point}}, 64),
		at("ratio", &btf.Float{Name: "double", Size: 8}, 72), at("up", boolType, 80),
		{Name: "low", Type: u32Type, Offset: 84*8 + 0, BitfieldSize: 3},
		{Name: "neg", Type: s32Type, Offset: 84*8 + 3, BitfieldSize: 5},
		{Name: "on", Type: boolType, Offset: 84*8 + 8, BitfieldSize: 1},
		at("tail", u64Type, 88),
	}}
	b := make([]byte, 96)
	le := binary.LittleEndian
	le.PutUint64(b, math.MaxUint64)
	le.PutUint64(b[8:], uint64(math.MaxUint64-41)) // -42
	copy(b[16:], "tcpd")
	le.PutUint32(b[24:], math.MaxUint32)
	le.PutUint32(b[28:], 3)
	le.PutUint32(b[40:], math.MaxUint32-6) // -7
	copy(b[44:], []byte{10, 0, 0, 1})
	le.PutUint64(b[48:], 1<<32+5)
	le.PutUint64(b[56:], 1<<40)
	le.PutUint64(b[64:], 4096)
	le.PutUint64(b[72:], math.Float64bits(0.25))
	b[80] = 1
	b[84], b[85] = 5|0x1e<<3, 1 // low 5, neg -2, on
	le.PutUint64(b[88:], 7)
	return t, b
}

const everythingJSON = `{"id":18446744073709551615,"delta":-42,"comm":"tcpd","state":"LOST",` +
	`"path":[{"x":3,"y":0},{"x":0,"y":-7}],"addr":{"v4":16777226,"octets":"0a000001"},` +
	`"bytes":4294967301,"packets":5,"wide":"HUGE","next":4096,"ratio":0.25,"up":true,` +
	`"low":5,"neg":-2,"on":true,"tail":7}`

func TestSchemaFromBTF(t *testing.T) {
	typ, value := everything()
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 96, MaxEntries: 8, Key: u32Type, Value: typ})
	if err := m.Put(uint32(9), value); err != nil {
		t.Fatal(err)
	}
	s := open(t, pin, reader.Options{})
	info := s.Info()
	if info.Schema == nil || info.SchemaReason != "" {
		t.Fatalf("no schema: %q", info.SchemaReason)
	}
	if k := info.Schema.Key; k.Kind != schema.Uint || k.Name != "__u32" || info.Schema.Value.Name != "struct flow" {
		t.Errorf("key %+v, value %s", k, info.Schema.Value.Name)
	}
	// As a client would: over the wire, then by the bytes of a scanned row.
	wire, err := schema.Decode(info.Schema.Encode())
	if err != nil {
		t.Fatal(err)
	}
	row := scan(t, s, readertest.For(t, s, 1<<14))[string(bytesOf(9, 4))]
	got := string(wire.Value.Append(nil, []byte(row)))
	if got != everythingJSON || !json.Valid([]byte(got)) {
		t.Errorf("got  %s\nwant %s", got, everythingJSON)
	}
}

func TestSchemaOfGlobalVariables(t *testing.T) {
	section := &btf.Datasec{Name: ".bss", Size: 16, Vars: []btf.VarSecinfo{
		{Type: &btf.Var{Name: "drops", Type: u64Type, Linkage: btf.GlobalVar}, Offset: 0, Size: 8},
		{Type: &btf.Var{Name: "limit", Type: s32Type, Linkage: btf.GlobalVar}, Offset: 8, Size: 4},
	}}
	_, pin := bpftest.NewPinned(t, "bss", &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1, Key: &btf.Void{}, Value: section})
	info := open(t, pin, reader.Options{}).Info()
	if info.Schema == nil || info.Schema.Key != nil || info.Schema.Value == nil {
		t.Fatalf("%+v, %s", info.Schema, info.SchemaReason)
	}
	got := string(info.Schema.Value.Append(nil, bytesOf(17, 16)[:4]))
	if got != `{"drops":null,"limit":null}` {
		t.Error(got)
	}
}

func TestSchemaMissing(t *testing.T) {
	_, bare := bpftest.NewPinned(t, "bare", &small)
	info := open(t, bare, reader.Options{}).Info()
	if info.Schema != nil || !strings.Contains(info.SchemaReason, "without types") {
		t.Errorf("%+v, %q", info.Schema, info.SchemaReason)
	}

	typ, _ := everything()
	_, typed := bpftest.NewPinned(t, "typed", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 96, MaxEntries: 8, Key: u32Type, Value: typ})
	err := bpftest.WithoutBPF(t, unix.EPERM, func() error {
		s, err := reader.Open(typed, reader.Options{})
		if err != nil {
			return err
		}
		defer s.Close()
		if info := s.Info(); info.Schema != nil || !strings.Contains(info.SchemaReason, "CAP_SYS_ADMIN") {
			return errors.New("reason: " + info.SchemaReason)
		}
		return nil
	}, unix.BPF_BTF_GET_FD_BY_ID)
	if err != nil {
		t.Error(err)
	}
}

func TestSpinLockedValues(t *testing.T) {
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{at("val", u32Type, 0)}}
	value := &btf.Struct{Name: "guarded", Size: 16, Members: []btf.Member{at("lock", lock, 0), at("hits", u64Type, 8)}}
	for _, typ := range []ebpf.MapType{ebpf.Hash, ebpf.Array} {
		for _, engine := range []string{reader.EngineBatch, reader.EngineWalk} {
			m, pin := bpftest.NewPinned(t, "guarded", &ebpf.MapSpec{Type: typ, KeySize: 4, ValueSize: 16, MaxEntries: 4, Key: u32Type, Value: value})
			want := make(map[string]string)
			for i := range uint32(4) {
				row := make([]byte, 16)
				row[8] = byte(i + 1)
				if err := m.Put(i, row); err != nil {
					t.Fatal(err)
				}
				want[string(bytesOf(i, 4))] = string(row)
			}
			s := open(t, pin, reader.Options{Engine: engine})
			if !s.Info().SpinLock {
				t.Errorf("%s: the lock was not found", typ)
			}
			same(t, scan(t, s, readertest.For(t, s, 1<<14)), want)
		}
	}
	_, plain := bpftest.NewPinned(t, "plain", &small)
	if open(t, plain, reader.Options{}).Info().SpinLock {
		t.Error("a lock where there is none")
	}
}
