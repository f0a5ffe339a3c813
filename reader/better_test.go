// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// broken is an engine that worked when it was opened.
type broken struct{ closed bool }

func (*broken) scan(context.Context, Destination, *pass) error {
	return fmt.Errorf("%w: it broke", errEngine)
}

func (b *broken) close() error { b.closed = true; return nil }

// sink lends memory and counts rows.
type sink struct {
	mem  []byte
	rows int
}

func (s *sink) Largest() int                                         { return len(s.mem) }
func (s *sink) Claim(_ context.Context, _, most int) ([]byte, error) { return s.mem[:most], nil }
func (s *sink) Commit(f Frame)                                       { s.rows += f.Rows }
func (s *sink) Abort()                                               {}

func TestBetterEngineIsTriedAgain(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 10})
	if err := m.Put(uint32(1), uint64(2)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(pin, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dst := &sink{mem: make([]byte, 1<<12)}
	scan := func(engine string, reasons ...string) {
		t.Helper()
		dst.rows = 0
		if _, err := s.Scan(context.Background(), dst); err != nil || dst.rows != 1 {
			t.Fatalf("%d rows, %v", dst.rows, err)
		}
		if s.info.Engine != engine {
			t.Fatalf("engine %s, want %s: %s", s.info.Engine, engine, s.info.EngineReason)
		}
		for _, r := range reasons {
			if !strings.Contains(s.info.EngineReason, r) {
				t.Errorf("the reason %q lacks %q", s.info.EngineReason, r)
			}
		}
	}

	scan(EnginePump)
	b := new(broken)
	s.install(b, EngineSweep, "for this test")
	scan(EngineIter, "sweep was given up: engine failed: it broke") // the scan itself was repeated
	if !b.closed || s.better.at == 0 || s.better.pause != firstPause {
		t.Errorf("closed %v, better %+v", b.closed, s.better)
	}
	scan(EngineIter, "sweep was given up") // not time yet

	s.better.at = nowNS() // now it is
	scan(EnginePump)
	if s.better.at != 0 || strings.Contains(s.info.EngineReason, "given up") {
		t.Errorf("%+v, %s", s.better, s.info.EngineReason)
	}

	s.install(new(broken), EngineSweep, "for this test")
	scan(EngineIter)
	if s.better.pause != 2*firstPause {
		t.Errorf("the second pause is %v, want twice %v", s.better.pause, firstPause)
	}
}
