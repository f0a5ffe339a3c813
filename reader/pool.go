// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

// defaultDuty is the share of one CPU that reading may take.
const defaultDuty = 0.2

// ErrStopped is returned for work given to a pool that was stopped.
var ErrStopped = errors.New("the pool has stopped")

// PoolOptions for [NewPool]. The zero value is good.
type PoolOptions struct {
	Workers int     // scans at the same time; default 2, at most GOMAXPROCS
	Duty    float64 // share of one CPU to spend reading; default 0.2
	Idle    bool    // start without reading, until SetActive(true)
}

// Pool scans sources at their own cadence with a fixed number of workers. One
// scan per source runs at a time; the source that is most overdue goes first.
// When all cadences together would cost more than the duty, every interval is
// stretched by the same factor.
//
// All methods may be called from any goroutine, except from within a job's own
// callbacks.
type Pool struct {
	workers int
	duty    float64

	queue    chan *Task    // due tasks, taken by whichever worker is free
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
	stretch float64
	busy    time.Duration
}

// PoolStats is the pool as a whole.
type PoolStats struct {
	Workers int
	Active  bool
	Duty    float64       // allowed share of one CPU
	Demand  float64       // share that the wished-for intervals would take
	Stretch float64       // factor on all intervals, at least 1
	Busy    time.Duration // time spent in scans so far
}

// NewPool starts the workers.
func NewPool(o PoolOptions) *Pool {
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.Duty <= 0 {
		o.Duty = defaultDuty
	}
	p := &Pool{
		workers: min(o.Workers, runtime.GOMAXPROCS(0)), duty: o.Duty, active: !o.Idle, stretch: 1,
		queue: make(chan *Task), wake: make(chan struct{}, 1), stopping: make(chan struct{}),
	}
	p.scanning, p.abandon = context.WithCancel(context.Background())
	p.stopped.Go(p.dispatch)
	for range p.workers {
		p.stopped.Go(func() {
			for t := range p.queue {
				p.run(t)
			}
		})
	}
	return p
}

// Add begins to scan a source. The first scan is due at once.
func (p *Pool) Add(j Job) (*Task, error) {
	if j.Source == nil || j.Destination == nil || j.Every <= 0 {
		return nil, errors.New("a job needs a source, a destination and an interval")
	}
	t := &Task{pool: p, job: j, due: time.Now(), gone: make(chan struct{})}
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
// on becoming active every source is due at once.
func (p *Pool) SetActive(active bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if active && !p.active {
		now := time.Now()
		for _, t := range p.tasks {
			t.force(now)
			t.due = now // what was due while idle is not overdue
		}
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
	return PoolStats{p.workers, p.active, p.duty, p.demand(), p.stretch, p.busy}
}

// Stop lets running scans finish, interrupts them when ctx ends, and closes all
// sources. It returns ctx's error if anything had to be interrupted.
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
		<-done
	}
	p.abandon()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tasks {
		err = errors.Join(err, t.end())
	}
	p.tasks = nil
	return err
}

// rouse makes dispatch look again. The caller holds mu.
func (p *Pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// dispatch hands due tasks to the workers. With all of them busy it waits with
// the most overdue one in hand, so lateness shows how many workers are missing.
func (p *Pool) dispatch() {
	defer close(p.queue)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, wait := p.next(time.Now())
		if t != nil {
			select {
			case p.queue <- t:
			case <-p.stopping:
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.stopping:
			return
		}
	}
}

// next takes the most overdue task, or says how long there is none.
func (p *Pool) next(now time.Time) (*Task, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first *Task
	for _, t := range p.tasks {
		if !t.running && (first == nil || t.due.Before(first.due)) {
			first = t
		}
	}
	if first == nil || !p.active {
		return nil, time.Hour // until roused
	}
	if wait := first.due.Sub(now); wait > 0 {
		return nil, wait
	}
	first.running, first.forced = true, false
	return first, 0
}

// demand is the share of one CPU that the wished-for intervals cost. The caller
// holds mu.
func (p *Pool) demand() float64 {
	var sum float64
	for _, t := range p.tasks {
		sum += float64(t.cost) / float64(t.job.Every)
	}
	return sum
}

// forget takes a task off the list. The caller holds mu.
func (p *Pool) forget(t *Task) {
	p.tasks = slices.DeleteFunc(p.tasks, func(other *Task) bool { return other == t })
}
