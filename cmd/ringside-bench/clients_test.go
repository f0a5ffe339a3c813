// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

func TestClients(t *testing.T) {
	bpftest.RequireRoot(t)
	missing := language{name: "Fortran", prepare: func(context.Context, *language, string) error { return errors.New("nobody wrote it") }}
	d := testWith(t, "clients", func(b *bench) (*result, error) {
		r, err := b.clients(t.Context(), []int{512, 2048}, append(only(byGo), missing))
		if err == nil && !slices.Contains(r.Method, "Left out: Fortran (nobody wrote it).") {
			t.Errorf("what is left out is not told: %q", r.Method)
		}
		return r, err
	})
	mustHave(t, d.Rows, []string{"contender"}, []string{"entries", "lease_ns_per_row", "copies_ns_per_row", "rounds"})
	if len(d.Rows) != 2 || len(d.Figures) != 2 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}

// What other languages print is understood.
func TestClientInC(t *testing.T) {
	bpftest.RequireRoot(t)
	b, err := newBench("clients", tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := b.lieReady(t.Context(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	l := only(byC)[0]
	if err := l.prepare(t.Context(), &l, t.TempDir()); err != nil {
		t.Log(err)
	} else if c, err := l.read(t.Context(), socket, 4096); err != nil || c.lease() <= 0 || c.copies() <= 0 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

func TestTable(t *testing.T) {
	d := runTiny(t, "table")
	mustHave(t, d.Rows, []string{"contender"}, []string{"entries", "ns", "rounds"})
	if len(d.Rows) != 8*3 || len(d.Figures) != 4 {
		t.Errorf("%d rows, %d figures", len(d.Rows), len(d.Figures))
	}
}
