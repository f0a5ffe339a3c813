// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/latency"
)

// lookEvery is how often the number of workers is thought over.
const lookEvery = time.Second

// The kernel counts in the buckets of a histogram.
var _ = [histBuckets]uint64(latency.Counts{})

// PoolLatency is what the number of workers follows, over the last second or so
// in which there was something to read.
type PoolLatency struct {
	LateP99 time.Duration // from due to started
	CallP99 time.Duration // single calls (engines batch and walk) in the kernel
	Calls   uint64
	Waited  bool // work was due and found no worker
	Spare   bool // at every moment there was an idle worker

	// Kernel tells that calls are timed by the kernel; KernelError why they are
	// not although they should be.
	Kernel      bool
	KernelError error
	// Slow counts the calls so far that stayed in the kernel for longer than
	// half a millisecond, Longest is the longest of all. Only the kernel knows.
	Slow    uint64
	Longest latency.Call
}

// gauge collects what the workers had to do since it was reset. The pool's
// mutex guards it.
type gauge struct {
	began   time.Time
	late    histogram
	calls   histogram
	least   int           // idle workers
	oldest  time.Duration // for how long work has waited that still does
	waited  bool
	kernel  *latency.Meter // nil: calls are timed by who makes them
	counted latency.Counts
	seen    PoolLatency
}

func newGauge(kernel bool) gauge {
	var g gauge
	if kernel {
		g.kernel, g.seen.KernelError = latency.Open()
		g.seen.Kernel = g.kernel != nil
	}
	return g
}

func (g *gauge) reset(now time.Time, free int) {
	g.began, g.least, g.oldest, g.waited = now, free, 0, false
	g.late, g.calls = histogram{}, histogram{}
}

// free notes how many workers are idle now.
func (g *gauge) free(n int) { g.least = min(g.least, n) }

// waiting notes since when work that is due has found no worker; 0: there is
// none.
func (g *gauge) waiting(oldest time.Duration) {
	g.oldest = oldest
	if oldest > 0 {
		g.waited = true
	}
}

// look sums up, if it is time to.
func (g *gauge) look(now time.Time, spent bool) (load, bool) {
	if now.Sub(g.began) < lookEvery {
		return load{}, false
	}
	g.askKernel()
	s := &g.seen
	// What still waits will be as late as that, at least.
	s.LateP99 = max(g.late.quantile(0.99), g.oldest)
	s.CallP99, s.Calls = g.calls.quantile(0.99), g.calls.total
	s.Waited, s.Spare = g.waited, g.least > 0
	return load{
		from: g.began, to: now, late: s.LateP99, call: s.CallP99,
		waited: s.Waited, spare: s.Spare, spent: spent,
	}, true
}

// askKernel replaces what workers measured by what the kernel did.
func (g *gauge) askKernel() {
	if g.kernel == nil {
		return
	}
	g.calls = histogram{}
	slow := histIndex(uint64(defaultGrowAbove))
	now := g.kernel.Counts()
	for i, n := range now {
		n -= g.counted[i]
		g.calls.put(i, uint32(n))
		if i > slow {
			g.seen.Slow += n
		}
	}
	g.counted, g.seen.Longest = now, g.kernel.Longest()
}

// programs are those of ours that may miss events, by the kernel's ids.
func (g *gauge) programs() []ebpf.ProgramID {
	if g.kernel == nil {
		return nil
	}
	return g.kernel.Programs()
}

func (g *gauge) close() error {
	if g.kernel == nil {
		return nil
	}
	err := g.kernel.Close()
	g.kernel = nil
	return err
}
