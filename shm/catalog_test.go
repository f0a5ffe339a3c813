// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestCatalogRoundTrip(t *testing.T) {
	p := newTestRing(t, 16<<10)
	want := SourceInfo{Name: "flows", MapID: 42, MapType: 5, KeySize: 4, ValueSize: 64, MapValueSize: 30, CPUs: 2,
		Flags: SourcePerCPU | SourceLockedScan, MaxEntries: 1024, Schema: []byte(`{"version":1}`)}
	first, err := p.AddSource(want)
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.AddSource(want)
	if err != nil {
		t.Fatal(err)
	}
	ring := p.Ring()
	if got := p.shared.heapLen.Load(); got != 16 {
		t.Errorf("two equal schemas take %d bytes, want one of 16", got)
	}
	for n := range 2 {
		got, err := ring.Source(n)
		if err != nil {
			t.Fatal(err)
		}
		want.Number, want.CreatedNS = uint16(n), got.CreatedNS
		if !reflect.DeepEqual(got, want) {
			t.Errorf("source %d: %+v", n, got)
		}
	}
	first.Supersede(second)
	if s, by := ring.SourceState(0); s != SourceSuperseded || by != 1 {
		t.Errorf("superseded source: %v by %d", s, by)
	}
	second.Retire()
	if s, by := ring.SourceState(1); s != SourceGone || by != -1 {
		t.Errorf("retired source: %v by %d", s, by)
	}
	if _, err := ring.Source(2); err == nil {
		t.Error("read a record that does not exist")
	}
}

func TestCatalogIsBounded(t *testing.T) {
	p := newTestRing(t, 16<<10)
	if _, err := p.AddSource(SourceInfo{Name: strings.Repeat("n", SourceNameBytes)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("long name: %v", err)
	}
	if _, err := p.AddSource(SourceInfo{Name: "s", Schema: bytes.Repeat([]byte("x"), 5000)}); !errors.Is(err, ErrCatalogFull) {
		t.Errorf("schema larger than the heap: %v", err)
	}
	for range p.Geometry().CatalogCap {
		addSource(t, p, "s")
	}
	if _, err := p.AddSource(SourceInfo{Name: "s"}); !errors.Is(err, ErrCatalogFull) {
		t.Errorf("one too many: %v", err)
	}
}
