// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
)

const (
	// defaultDuty is the share of one CPU that reading may take.
	defaultDuty = 0.2
	// leastWorkers is one for scans that take long, and one for those that must
	// not wait for them, even on a single CPU: the kernel divides that one fairly.
	leastWorkers = 2
)

// interruptPatience is what an interrupted scan has to come to its end: it is
// between two calls into the kernel, or in one that may take max_hold.
const interruptPatience = time.Second

// ErrHangs: a call into the kernel does not return.
var ErrHangs = errors.New("a scan hangs in the kernel and cannot be interrupted: what its thread waits for is in /proc/PID/task/*/stack")

// ErrStopped is returned for work given to a pool that was stopped.
var ErrStopped = errors.New("the pool has stopped")

// PoolOptions for [NewPool]. The zero value is good.
type PoolOptions struct {
	Workers int     // most scans at the same time; default and limit: GOMAXPROCS, or 2 if that is more
	Duty    float64 // share of one CPU to spend reading; default 0.2
	Idle    bool    // start without reading, until SetActive(true)
	CPUs    []int   // workers run on these only; default: wherever the process may

	// GrowAbove and ShrinkBelow are the latencies that the number of workers
	// follows: scans that begin late because no worker is free, and single calls
	// that stay long in the kernel. Default 500 and 200 us.
	GrowAbove, ShrinkBelow time.Duration
	// KernelTiming measures single calls by the kernel's clock and not by ours.
	// It slows down every system call of the machine. Where it cannot be had,
	// PoolStats says why.
	KernelTiming bool
}

// Pool scans sources at their own cadence. One scan per source runs at a time;
// of those that are due, the one whose next is due first goes first. When all
// cadences together would cost more than the duty, it is shared out evenly: who
// asks for less than a share keeps the cadence, and what is left over is shared
// by the others, whose intervals are stretched. So a huge map that is wanted
// often is read as often as that goes, and costs no small one its cadence.
//
// The number of workers follows measured latency: two more, at most every 10 s,
// when work waits although there is duty left; one less, at most every 30 s,
// when one has nothing to do. A scan that takes so long that others would be
// late leaves a worker to them.
//
// All methods may be called from any goroutine, except from within a job's own
// callbacks.
type Pool struct {
	duty    float64
	cpus    []int
	cpuTime func() time.Duration // of the calling thread

	queue    chan *Task    // due tasks, taken by whichever worker is free; nil sends one home
	wake     chan struct{} // something changed: look at the tasks again
	stopping chan struct{}
	stopped  sync.WaitGroup

	// scanning ends when a stop runs out of patience.
	scanning context.Context
	abandon  context.CancelFunc

	mu      sync.Mutex
	tasks   []*Task
	active  bool
	closed  bool
	share   float64 // of one CPU, that one source may take
	stretch float64
	busy    time.Duration
	alive   int // workers that were started and not sent home
	running int // of them, with a task in hand
	stalled int // of these, waiting for a consumer: as many workers more
	size    sizing
	gauge   gauge
	roaming error // why workers do not stay on the CPUs they should
}

// PoolStats is the pool as a whole.
type PoolStats struct {
	Workers    int // now, within the two that follow
	WorkersMin int
	WorkersMax int
	Change     Change // the last of their number
	Running    int    // scans at this moment
	Active     bool
	Duty       float64       // allowed share of one CPU
	Demand     float64       // share that the wished-for intervals would take
	Stretch    float64       // factor on the interval that is stretched most, at least 1
	Busy       time.Duration // CPU time of scans so far
	Latency    PoolLatency
	CPUs       []int // workers stay on; empty: any
	Roaming    error // why they do not
}

// NewPool starts the workers.
func NewPool(o PoolOptions) *Pool { return newPool(o, threadCPU) }

func newPool(o PoolOptions, cpuTime func() time.Duration) *Pool {
	if o.Duty <= 0 {
		o.Duty = defaultDuty
	}
	p := &Pool{
		duty: o.Duty, active: !o.Idle, stretch: 1, share: o.Duty, cpus: slices.Clone(o.CPUs), cpuTime: cpuTime,
		queue: make(chan *Task), wake: make(chan struct{}, 1), stopping: make(chan struct{}),
		size: newSizing(o), gauge: newGauge(o.KernelTiming),
	}
	p.scanning, p.abandon = context.WithCancel(context.Background())
	p.gauge.reset(time.Now(), p.size.now)
	p.stopped.Go(p.dispatch)
	return p
}

func newSizing(o PoolOptions) sizing {
	most := max(leastWorkers, runtime.GOMAXPROCS(0))
	if o.Workers > 0 {
		most = min(o.Workers, most)
	}
	s := sizing{least: min(leastWorkers, most), most: most, growAbove: o.GrowAbove, shrinkBelow: o.ShrinkBelow}
	if s.growAbove <= 0 {
		s.growAbove = defaultGrowAbove
	}
	if s.shrinkBelow <= 0 {
		s.shrinkBelow = min(defaultShrinkBelow, s.growAbove)
	}
	s.now = s.least
	return s
}

// Add begins to scan a source. The first scan is due at once, unless the job is
// to rest until it is wanted.
func (p *Pool) Add(j Job) (*Task, error) {
	if j.Source == nil || j.Destination == nil || j.Every <= 0 {
		return nil, errors.New("a job needs a source, a destination and an interval")
	}
	t := &Task{pool: p, job: j, due: time.Now(), idle: j.Idle, gone: make(chan struct{})}
	t.took = time.Duration(j.Source.Info().MaxEntries) * startNSPerRow
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrStopped
	}
	p.tasks = append(p.tasks, t)
	p.rouse()
	return t, nil
}

// SetActive switches between reading and idling. A scan that runs is finished;
// on becoming active every source is due at once that does not rest by itself
// (see Task.SetActive).
func (p *Pool) SetActive(active bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if active && !p.active {
		now := time.Now()
		for _, t := range p.tasks {
			t.force(now)
			t.due = now // what was due while idle is not overdue
		}
		p.gauge.reset(now, p.size.now-p.running)
	}
	p.active = active
	p.rouse()
}

// Force makes every source due now, as Task.Force does.
func (p *Pool) Force() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, t := range p.tasks {
		t.force(now)
	}
	p.rouse()
}

// Stats is a snapshot.
func (p *Pool) Stats() PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PoolStats{
		Workers: p.size.now, WorkersMin: p.size.least, WorkersMax: p.size.most, Change: p.size.last,
		Running: p.running, Active: p.active, Duty: p.duty, Demand: p.demand(), Stretch: p.stretch, Busy: p.busy,
		Latency: p.gauge.seen, CPUs: p.cpus, Roaming: p.roaming,
	}
}

// Stop lets running scans finish, interrupts them when ctx ends, and closes all
// sources. It returns ctx's error if anything had to be interrupted, and ErrHangs
// if that was of no use: then a scan runs on, and what it uses must stay.
func (p *Pool) Stop(ctx context.Context) error {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.stopping)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.stopped.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
		p.abandon()
		select {
		case <-done:
		case <-time.After(interruptPatience):
			return errors.Join(err, ErrHangs)
		}
	}
	p.abandon()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		err = errors.Join(err, t.end())
	}
	p.tasks = nil
	return errors.Join(err, p.gauge.close())
}

// Programs are the pool's own BPF programs that are shown events, and may miss
// some, by the kernel's ids.
func (p *Pool) Programs() []ebpf.ProgramID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gauge.programs()
}

// rouse makes dispatch look again. The caller holds mu.
func (p *Pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// demand is the share of one CPU that the wished-for intervals cost. The caller
// holds mu.
func (p *Pool) demand() float64 {
	var sum float64
	for _, t := range p.tasks {
		sum += t.demand()
	}
	return sum
}

// ration finds the largest share that everyone may take without all of them
// taking more than the duty. The caller holds mu.
func (p *Pool) ration() {
	most := 0.0
	for level := p.duty / float64(max(len(p.tasks), 1)); ; {
		left, hungry := p.duty, 0
		for _, t := range p.tasks {
			d := t.demand()
			most = max(most, d)
			if d > level {
				hungry++
			} else {
				left -= d
			}
		}
		p.share = level
		// Each round satisfies one more source, or is the last.
		next := left / float64(max(hungry, 1))
		if hungry == 0 || next <= level*(1+1e-6) {
			break
		}
		level = next
	}
	p.stretch = max(1, most/p.share)
}

// forget takes a task off the list, and leaves its share to the others. The
// caller holds mu.
func (p *Pool) forget(t *Task) {
	p.tasks = slices.DeleteFunc(p.tasks, func(other *Task) bool { return other == t })
	p.ration()
}
