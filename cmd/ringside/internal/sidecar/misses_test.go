// SPDX-License-Identifier: Apache-2.0

package sidecar

import (
	"context"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
)

// TestMissesOfOthersOnly: programs that came later count from nothing, those of
// ours not at all, and what a program lost before it ended stays counted.
func TestMissesOfOthersOnly(t *testing.T) {
	m := missCounter{base: map[ebpf.ProgramID]uint64{1: 10, 2: 5}, own: []ebpf.ProgramID{2}}
	m.add(map[ebpf.ProgramID]uint64{1: 13, 2: 500, 3: 4})
	m.add(map[ebpf.ProgramID]uint64{2: 900, 3: 5})
	if m.total != 3+4+1 {
		t.Errorf("%d misses, 8 wanted", m.total)
	}
}

// TestOwnProgramsAreKnown: the kernel lists those that time calls, so they can
// be left out.
func TestOwnProgramsAreKnown(t *testing.T) {
	bpftest.RequireRoot(t)
	p := reader.NewPool(reader.PoolOptions{KernelTiming: true})
	defer p.Stop(context.Background())
	if err := p.Stats().Latency.KernelError; err != nil {
		bpftest.Skip(t, "needs to time calls in the kernel: %v", err)
	}
	all, ok := countMisses()
	if !ok {
		bpftest.Skip(t, "needs to list programs")
	}
	own := p.Programs()
	if len(own) == 0 {
		t.Error("no program of ours is known")
	}
	for _, id := range own {
		if _, listed := all[id]; !listed {
			t.Errorf("program %d is not in the kernel's list", id)
		}
	}
}
