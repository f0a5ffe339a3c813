// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// probes counts timers that expire while the calling thread runs: all of them,
// and those that were shown to a program as other tools have them. Timers
// interrupt whatever a CPU is doing, reading maps included; looking at one thread
// only leaves out what other processes do to each other.
func probes(t *testing.T) (read func() (all, shown uint64)) {
	t.Helper()
	counts := bpftest.NewMap(t, &ebpf.MapSpec{Type: ebpf.Array, Flags: mmapable, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	memory, err := counts.Memory()
	if err != nil {
		t.Fatal(err)
	}
	count := func(i int64) uint64 {
		var b [8]byte
		if _, err := memory.ReadAt(b[:], 8*i); err != nil {
			t.Error(err)
		}
		return binary.LittleEndian.Uint64(b[:])
	}
	// The kernel runs a program at a raw tracepoint whatever else is going on.
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "hrtimer_expire_entry", Program: counter(t, ebpf.RawTracepoint, counts, 0)})
	if err != nil {
		bpftest.Skip(t, "needs the raw tracepoint hrtimer_expire_entry: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	attach(t, counter(t, ebpf.TracePoint, counts, 1), "timer/hrtimer_expire_entry")
	return func() (uint64, uint64) {
		for {
			// A timer between looking at the one and at the other would look like a
			// difference.
			all, shown := count(0), count(1)
			if all == count(0) {
				return all, shown
			}
		}
	}
}

// counter adds to a count when it runs on the calling thread.
func counter(t *testing.T, typ ebpf.ProgramType, counts *ebpf.Map, index uint32) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: typ, License: "GPL", Instructions: asm.Instructions{
		asm.FnGetCurrentPidTgid.Call(),
		asm.JNE.Imm32(asm.R0, int32(unix.Gettid()), "out"), // the low half is the thread
		asm.LoadMapValue(asm.R1, counts.FD(), 8*index),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
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

// TestOthersMissNothing reads at full speed and compares what was shown to a
// tracing program with what happened.
func TestOthersMissNothing(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 32, MaxEntries: 20_000})
	fill(t, m, 20_000)
	counts := probes(t)
	for _, engine := range []string{reader.EngineBatch, reader.EngineWalk, reader.EnginePump, reader.EngineSweep, reader.EngineIter} {
		s, dst := open(t, pin, reader.Options{Engine: engine, MaxHold: time.Second}), readertest.New(t, 1<<20)
		lookups := engine == reader.EngineBatch || engine == reader.EngineWalk
		allBefore, shownBefore := counts()
		happened, missed := uint64(0), uint64(0)
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			if _, err := s.Scan(context.Background(), dst); err != nil {
				t.Fatal(err)
			}
			all, shown := counts()
			happened = all - allBefore
			missed = happened - (shown - shownBefore)
			if happened >= 50 && (missed > 0 || !lookups) {
				break
			}
		}
		t.Logf("%s: %d of %d events missed", engine, missed, happened)
		switch {
		case happened == 0:
			t.Errorf("%s: nothing happened", engine)
		case lookups && missed == 0:
			t.Errorf("%s: no lookup made the kernel miss an event: the test sees nothing", engine)
		case !lookups && missed > 0:
			t.Errorf("%s: others missed %d of %d events", engine, missed, happened)
		}
	}
}
