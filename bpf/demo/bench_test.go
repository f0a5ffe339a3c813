// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"runtime"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"golang.org/x/sys/unix"
)

// BenchmarkSyscall is one of the cheapest system calls there is, bare and with parts of the demo
// attached: nothing but entry, exit, and the programs on sys_enter. The differences are their price.
func BenchmarkSyscall(b *testing.B) {
	for _, c := range []struct {
		name  string
		parts []string
	}{
		{"bare", nil},
		{Syscalls, []string{Syscalls}},
		{Processes, []string{Processes}},
		{"all", []string{Syscalls, Processes, SchedLatency, TCPStates}},
	} {
		b.Run(c.name, func(b *testing.B) {
			attachParts(b, c.parts)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				getppid(1)
			}
		})
	}
}

func attachParts(b *testing.B, names []string) {
	bpftest.RequireRoot(b)
	if len(names) == 0 {
		return
	}
	wanted := slices.DeleteFunc(sources(), func(s source) bool { return !slices.Contains(names, s.name) })
	d, err := load(wanted, pidNamespace{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkPrograms wakes a sleeping thread again and again and reports what the kernel itself measures
// of each program: time per run, its two clock readings included.
func BenchmarkPrograms(b *testing.B) {
	bpftest.RequireRoot(b)
	stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
	if err != nil {
		bpftest.Skip(b, "needs run time statistics of BPF programs (5.8): %v", err)
	}
	defer stats.Close()
	d, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		passHotPotato(b)
	}
	for _, l := range d.loaded {
		for name, program := range l.coll.Programs {
			s, err := program.Stats()
			if err != nil {
				b.Fatal(err)
			}
			if s.RunCount > 0 {
				b.ReportMetric(float64(s.Runtime.Nanoseconds())/float64(s.RunCount), "ns/"+name)
			}
		}
	}
}
