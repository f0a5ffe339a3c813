// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
)

// TestFootprint weighs a sidecar that is built for the purpose.
func TestFootprint(t *testing.T) {
	bpftest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "ringside")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", path, "../ringside").CombinedOutput(); err != nil {
		t.Fatalf("build a sidecar: %v\n%s", err, out)
	}
	binary, err := weigh(path)
	if err != nil || binary.Bytes == 0 || binary.Note != "stripped" {
		t.Errorf("%+v, %v", binary, err)
	}
	b, err := newBench("footprint", tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.residence(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if m.RSS == 0 || m.Rings == 0 || m.beside() == 0 || m.beside() > m.RSS {
		t.Errorf("%+v", m)
	}
	if err := b.close(); err != nil {
		t.Error(err)
	}
}

// Without a sidecar there is a sentence about that, not a failure: all other
// experiments can be made.
func TestFootprintWithoutASidecar(t *testing.T) {
	bpftest.RequireRoot(t)
	if path, err := sidecarBinary(); err == nil {
		t.Fatalf("the tests' directory has a %s", path)
	}
	r, err := runFootprint(t.Context(), &bench{name: "footprint", options: tiny, stderr: t.Output()})
	if err != nil || len(r.Figures) != 0 || len(r.Method) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestNoSidecarWithoutItsReason(t *testing.T) {
	bpftest.RequireRoot(t)
	b, err := newBench("footprint", tiny, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.startSidecar(t.Context(), "/bin/false", sidecarName, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.await(t.Context()); err == nil {
		t.Error("a program that ends at once is taken for a sidecar")
	}
	b.close() // whose error is that of the program
}
