// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/bpftest"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/readertest"
)

// allowedCPUs are those that the test may use.
func allowedCPUs(t *testing.T) (cpus []int) {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

func TestCheckCPUs(t *testing.T) {
	allowed := allowedCPUs(t)
	if err := errors.Join(reader.CheckCPUs(nil), reader.CheckCPUs(allowed)); err != nil {
		t.Error(err)
	}
	err := reader.CheckCPUs([]int{allowed[0], 1000, -1})
	if !errors.Is(err, reader.ErrCPUs) || !strings.Contains(err.Error(), "CPU 1000,-1") || !strings.Contains(err.Error(), "this process has") {
		t.Errorf("got %v", err)
	}
}

func TestWorkersStayOnTheirCPUs(t *testing.T) {
	bpftest.RequireRoot(t)
	allowed := allowedCPUs(t)
	cpu := allowed[len(allowed)-1]
	p := reader.NewPool(reader.PoolOptions{CPUs: []int{cpu}})
	_, pin := bpftest.NewPinned(t, "flows", &small)
	type seen struct {
		cpus   unix.CPUSet
		thread int
	}
	scans := make(chan seen, 100)
	_, err := p.Add(reader.Job{
		Source: open(t, pin, reader.Options{}), Destination: readertest.New(t, 4096), Every: time.Millisecond,
		OnScan: func(_ reader.ScanStats, err error) {
			s := seen{thread: unix.Gettid()}
			if err := errors.Join(err, unix.SchedGetaffinity(0, &s.cpus)); err != nil {
				t.Error(err)
			}
			select {
			case scans <- s:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	threads := map[int]bool{}
	for range 10 {
		s := <-scans
		threads[s.thread] = true
		if s.cpus.Count() != 1 || !s.cpus.IsSet(cpu) {
			t.Fatalf("a worker may run on %d CPUs", s.cpus.Count())
		}
	}
	if s := p.Stats(); len(s.CPUs) != 1 || s.Roaming != nil {
		t.Errorf("%+v", s)
	}
	if err := p.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	// The binding ends with its thread. Only the process's first thread cannot
	// end; the runtime then never uses it again.
	delete(threads, os.Getpid())
	deadline := time.Now().Add(10 * time.Second)
	for thread := range threads {
		for exists(fmt.Sprintf("/proc/self/task/%d", thread)) {
			if time.Now().After(deadline) {
				t.Fatalf("thread %d lives on", thread)
			}
			runtime.Gosched()
		}
	}
	if got := allowedCPUs(t); len(got) != len(allowed) {
		t.Errorf("the process is left with CPUs %v of %v", got, allowed)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestWorkersThatMayNotStay(t *testing.T) {
	inPool(t, reader.PoolOptions{CPUs: []int{1000}}, func(t *testing.T, p *reader.Pool) {
		_, d := add(t, p, time.Second, 0)
		after(3500 * time.Millisecond)
		if s := p.Stats(); d.scans.Load() != 4 || !errors.Is(s.Roaming, reader.ErrCPUs) {
			t.Errorf("%d scans, %+v", d.scans.Load(), s)
		}
	})
}

// Waiting for room in a ring is not reading.
func TestDutyIsCPUTime(t *testing.T) {
	bpftest.RequireRoot(t)
	synctest.Test(t, func(t *testing.T) {
		p := reader.NewPool(reader.PoolOptions{Duty: 0.2})
		defer p.Stop(context.Background())
		_, d := add(t, p, 100*time.Millisecond, 90*time.Millisecond)
		after(10 * time.Second)
		if s := p.Stats(); s.Stretch != 1 || s.Busy <= 0 || s.Busy > time.Second || d.scans.Load() < 99 {
			t.Errorf("%d scans, %+v", d.scans.Load(), s)
		}
	})
}

func TestPoolTimesCallsInTheKernel(t *testing.T) {
	for _, kernel := range []bool{false, true} {
		inPool(t, reader.PoolOptions{KernelTiming: kernel}, func(t *testing.T, p *reader.Pool) {
			_, pin := bpftest.NewPinned(t, "flows", &ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 16})
			s, err := reader.Open(pin, reader.Options{Engine: reader.EngineBatch})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Add(reader.Job{Source: s, Destination: readertest.New(t, 4096), Every: 100 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			after(5 * time.Second)
			l := p.Stats().Latency
			// Time is synthetic here, and calls take none of it, but for the kernel.
			if l.Kernel != kernel || l.KernelError != nil || l.Calls == 0 || l.CallP99 > 0 != kernel {
				t.Errorf("by the kernel %v: %+v", kernel, l)
			}
		})
	}
}

func TestPoolWithoutTheRightToTime(t *testing.T) {
	err := bpftest.AsUser(t, bpftest.Nobody, func() error {
		p := reader.NewPool(reader.PoolOptions{KernelTiming: true})
		if l := p.Stats().Latency; l.Kernel || !errors.Is(l.KernelError, os.ErrPermission) {
			t.Errorf("%+v", l)
		}
		return p.Stop(context.Background())
	})
	if err != nil {
		t.Error(err)
	}
}
