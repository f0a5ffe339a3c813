// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// asking looks keys up when a scan has ended.
type asking struct {
	*readertest.Memory
	keys  []byte
	found []bool
}

func (a *asking) Finish(ctx context.Context, look *reader.Lookup) error {
	return look.Find(ctx, a.keys, a.found)
}

// TestLookup finds the keys that are there, and no others, in all ways.
func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name, how string
		spec      ebpf.MapSpec
	}{
		{"hash", "a program", ebpf.MapSpec{Type: ebpf.Hash, KeySize: 8}},
		{"lru", "a program", ebpf.MapSpec{Type: ebpf.LRUHash, KeySize: 8}},
		{"array", "bpf(2)", ebpf.MapSpec{Type: ebpf.Array, KeySize: 4}},
		{"trie", "bpf(2): in a trie", ebpf.MapSpec{Type: ebpf.LPMTrie, KeySize: 8, Flags: unix.BPF_F_NO_PREALLOC}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.ValueSize, tt.spec.MaxEntries = 8, 100
			m, pin := bpftest.NewPinned(t, "map", &tt.spec)
			s := open(t, pin, reader.Options{Lookups: true})
			if how := s.Info().Lookup; !strings.HasPrefix(how, tt.how) {
				t.Fatalf("%q, want %q", how, tt.how)
			}
			a := &asking{Memory: readertest.New(t, 1<<16), found: make([]bool, 150)}
			for i := range 150 {
				key := make([]byte, 8)
				binary.LittleEndian.PutUint32(key, uint32(i))
				if tt.spec.Type == ebpf.LPMTrie { // each a prefix of the next
					binary.LittleEndian.PutUint32(key, uint32(i%33))
					key[4] = byte(i/33<<5) & ^byte(0xff>>min(i%33, 8))
				}
				a.keys = append(a.keys, key[:tt.spec.KeySize]...)
				if there(&tt.spec, i) && tt.spec.Type != ebpf.Array {
					if err := m.Put(key[:tt.spec.KeySize], uint64(i)); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 2 { // once more in an empty map
				if _, err := s.Scan(t.Context(), a); err != nil {
					t.Fatal(err)
				}
				for i, found := range a.found {
					if key := a.keys[i*int(tt.spec.KeySize):][:tt.spec.KeySize]; found != (m.Type() == ebpf.Array && i < 100 || has(t, m, key)) {
						t.Fatalf("key %d (%x): %v", i, key, found)
					}
				}
				if tt.spec.Type != ebpf.Array {
					for i := range 150 {
						m.Delete(a.keys[i*int(tt.spec.KeySize):][:tt.spec.KeySize])
					}
				}
			}
		})
	}
}

func there(spec *ebpf.MapSpec, i int) bool { return i%3 == 0 && i < int(spec.MaxEntries) }

// has asks the map for all its keys, which no prefix can answer for another.
func has(t *testing.T, m *ebpf.Map, key []byte) bool {
	t.Helper()
	var k, v []byte
	it := m.Iterate()
	for it.Next(&k, &v) {
		if string(k) == string(key) {
			return true
		}
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return false
}
