// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// A deleted key sends the kernel's "next key" back to the first one.
func TestWalkOverAHashIsSentBack(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 64, MaxEntries: 64})
	want := fill(t, m, 64)
	s := open(t, pin, reader.Options{Engine: reader.EngineWalk})
	dst := readertest.For(t, s, 1<<14)
	scan(t, s, dst)
	next := dst.Rows[10].Key // the walk meets the keys in this order each time
	dst.LendLeast = true     // one row of 64 bytes a frame
	dst.OnClaim = func() error {
		if len(dst.Frames) == 10 {
			return m.Delete(next)
		}
		return nil
	}
	dst.Reset()
	if _, err := s.Scan(context.Background(), dst); !errors.Is(err, reader.ErrChanged) {
		t.Fatalf("got %v, want ErrChanged", err)
	}
	for _, f := range dst.Frames {
		if f.Last {
			t.Error("an interrupted scan has a last frame")
		}
	}
	if s.Info().Engine != reader.EngineWalk {
		t.Error("churn is no reason to give an engine up")
	}
	dst.Map() // no key twice
	dst.OnClaim, dst.LendLeast = nil, false
	delete(want, string(next))
	same(t, scan(t, s, dst), want)
}

// Stacks are numbered, so their walk can go on where it was.
func TestWalkOverStacksGoesOn(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "stacks", &ebpf.MapSpec{Type: ebpf.StackTrace, KeySize: 4, ValueSize: 127 * 8, MaxEntries: 1000})
	for range 6 {
		traceStack(t, m) // each program has its own address
	}
	s := open(t, pin, reader.Options{})
	dst := readertest.For(t, s, 1<<14)
	scan(t, s, dst)
	var ids []uint32
	for _, r := range dst.Rows {
		ids = append(ids, binary.LittleEndian.Uint32(r.Key))
	}
	if len(ids) < 3 || !slices.IsSorted(ids) {
		t.Fatalf("stacks %v", ids)
	}
	dst.LendLeast = true
	dst.OnClaim = func() error {
		if len(dst.Frames) == 1 {
			return m.Delete(ids[1])
		}
		return nil
	}
	got := scan(t, s, dst)
	if len(got) != len(ids)-1 {
		t.Errorf("%d stacks, want all %d but the one deleted", len(got), len(ids))
	}
}

func TestConsistencyIsWhatTheEngineKeeps(t *testing.T) {
	for _, tc := range []struct {
		spec   ebpf.MapSpec
		engine string
		want   reader.Consistency
	}{
		{ebpf.MapSpec{Type: ebpf.Hash}, reader.EngineBatch, reader.Locked},
		{ebpf.MapSpec{Type: ebpf.Hash}, reader.EngineWalk, reader.Walked},
		{ebpf.MapSpec{Type: ebpf.Array}, reader.EngineBatch, reader.Locked},
		{ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable}, reader.EngineMmap, reader.Locked},
	} {
		tc.spec.KeySize, tc.spec.ValueSize, tc.spec.MaxEntries = 4, 8, 4
		_, pin := bpftest.NewPinned(t, "flows", &tc.spec)
		for ask, want := range map[reader.Consistency]reader.Consistency{"": reader.Walked, reader.Walked: reader.Walked, reader.Locked: tc.want} {
			if got := open(t, pin, reader.Options{Engine: tc.engine, Consistency: ask}).Info().Consistency; got != want {
				t.Errorf("%s by %s, asked for %q: %q, want %q", tc.spec.Type, tc.engine, ask, got, want)
			}
		}
	}
}
