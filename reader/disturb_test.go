// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// probe is a program as other tools have them, where timers expire: that
// interrupts whatever a CPU is doing, reading maps included.
func probe(t *testing.T) (missed func() uint64) {
	t.Helper()
	bpftest.RequireRoot(t)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.TracePoint, License: "GPL", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	attach(t, p, "timer/hrtimer_expire_entry")
	return func() uint64 {
		stats, err := p.Stats()
		if err != nil {
			t.Fatal(err)
		}
		return stats.RecursionMisses
	}
}

// attach attaches a program to a tracepoint, through a tracefs of its own: not
// every machine has one mounted.
func attach(t *testing.T, p *ebpf.Program, tracepoint string) {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		bpftest.Skip(t, "needs tracefs: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "events", tracepoint, "id"))
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
	if err != nil {
		bpftest.Skip(t, "needs the tracepoint %s: %v", tracepoint, err)
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	// On one CPU; the program runs on all.
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1}, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		t.Fatalf("open the tracepoint: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, p.FD()), unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0)); err != nil {
		t.Fatalf("attach: %v", err)
	}
}

// TestOthersMissNothing reads at full speed beside a probe. The kernel counts
// what it did not show to the probe because a lookup was under way.
func TestOthersMissNothing(t *testing.T) {
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 20_000})
	fill(t, m, 20_000)
	missed := probe(t)
	// read scans until so many were missed, or the time is over.
	read := func(engine string, enough uint64, d time.Duration) uint64 {
		s, dst := open(t, pin, reader.Options{Engine: engine, MaxHold: time.Second}), readertest.New(t, 1<<20)
		before := missed()
		for end := time.Now().Add(d); time.Now().Before(end) && missed()-before < enough; {
			if _, err := s.Scan(context.Background(), dst); err != nil {
				t.Fatal(err)
			}
		}
		return missed() - before
	}
	if n := read(reader.EngineBatch, 1, 10*time.Second); n == 0 {
		bpftest.Skip(t, "no lookup ever made this kernel miss a timer: there is nothing to avoid")
	}
	for _, engine := range []string{reader.EnginePump, reader.EngineSweep, reader.EngineIter} {
		// Anybody on this machine may look something up meanwhile, and that is
		// counted, too: one quiet round is enough.
		rounds := 0
		for n := uint64(1); n > 0; rounds++ {
			if rounds == 10 {
				t.Errorf("%s: a probe missed events in each of %d rounds", engine, rounds)
				break
			}
			n = read(engine, 1, 300*time.Millisecond)
		}
		t.Logf("%s: nothing missed in round %d", engine, rounds)
	}
}
