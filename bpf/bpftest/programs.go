// SPDX-License-Identifier: Apache-2.0

package bpftest

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// NewProgram loads a raw tracepoint program that lives as long as the test. It
// refers to the given maps, and does nothing.
func NewProgram(tb testing.TB, name string, maps ...*ebpf.Map) *ebpf.Program {
	tb.Helper()
	RequireRoot(tb)
	var code asm.Instructions
	for _, m := range maps {
		code = append(code, asm.LoadMapPtr(asm.R1, m.FD()))
	}
	code = append(code, asm.Mov.Imm(asm.R0, 0), asm.Return())
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: name, Type: ebpf.RawTracepoint, License: "Dual BSD/GPL", Instructions: code,
	})
	if err != nil {
		tb.Fatalf("load program %s: %v", name, err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// NewLink attaches such a program where it runs rarely.
func NewLink(tb testing.TB) link.Link {
	tb.Helper()
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{
		Name: "mark_victim", Program: NewProgram(tb, "ringside_test"),
	})
	if err != nil {
		tb.Fatalf("attach: %v", err)
	}
	tb.Cleanup(func() { l.Close() })
	return l
}
