// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
)

// NewMap creates a map that lives as long as the test.
func NewMap(tb testing.TB, spec *ebpf.MapSpec) *ebpf.Map {
	tb.Helper()
	RequireMap(tb, spec.Type)
	m, err := ebpf.NewMap(spec)
	if err != nil {
		tb.Fatalf("create %s map: %v", spec.Type, err)
	}
	tb.Cleanup(func() { m.Close() })
	return m
}

// Pin pins a map under dir and returns the pin's path.
func Pin(tb testing.TB, m *ebpf.Map, dir, name string) string {
	tb.Helper()
	path := filepath.Join(dir, name)
	// A clone: cilium/ebpf moves the pin of a map that has one already.
	again, err := m.Clone()
	if err != nil {
		tb.Fatal(err)
	}
	defer again.Close()
	if err := again.Pin(path); err != nil {
		tb.Fatalf("pin %s: %v", path, err)
	}
	return path
}

// NewPinned creates a map and pins it in a bpffs of its own.
func NewPinned(tb testing.TB, name string, spec *ebpf.MapSpec) (*ebpf.Map, string) {
	tb.Helper()
	m := NewMap(tb, spec)
	return m, Pin(tb, m, MountBPFFS(tb), name)
}
