// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// filling is memory that is filled in a way of its own.
type filling struct {
	*readertest.Memory
	t      *testing.T
	filled int
}

// Fill implements reader.Filler.
func (f *filling) Fill(to, from []byte) {
	if len(to) != len(from) {
		f.t.Errorf("%d bytes into %d", len(from), len(to))
	}
	f.filled += copy(to, from)
}

// TestFill: what engines copy goes by way of a destination that has one.
func TestFill(t *testing.T) {
	const rows, key, value = 3000, 4, 40
	for _, tc := range []struct {
		engine string
		typ    ebpf.MapType
		flags  uint32
		least  int // bytes of a row that are copied
	}{
		{reader.EnginePump, ebpf.Hash, 0, key + value},
		{reader.EnginePump, ebpf.Array, 0, value}, // its keys are made
		{reader.EngineMmap, ebpf.Array, mmapable, value},
	} {
		t.Run(tc.engine+"/"+tc.typ.String(), func(t *testing.T) {
			m, pin := bpftest.NewPinned(t, "m", &ebpf.MapSpec{Type: tc.typ, Flags: tc.flags, KeySize: key, ValueSize: value, MaxEntries: rows})
			want := fill(t, m, rows)
			s := open(t, pin, reader.Options{Engine: tc.engine})
			dst := &filling{Memory: readertest.For(t, s, 1<<16), t: t}
			stats, err := s.Scan(t.Context(), dst)
			if err != nil {
				t.Fatal(err)
			}
			dst.CheckScan(stats)
			same(t, dst.Map(), want)
			if dst.filled < rows*tc.least {
				t.Errorf("%d bytes of %d", dst.filled, rows*tc.least)
			}
		})
	}
}
