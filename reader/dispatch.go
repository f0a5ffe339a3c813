// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"math"
	"runtime"
	"time"
)

// patience is how many times its own duration a long scan stands back for
// shorter ones. It then takes the last worker for a tenth of the time.
const patience = 10

// stallLook is how soon work that has no worker finds out that one of them waits
// for a consumer.
const stallLook = 10 * time.Millisecond

// dispatch hands due tasks to free workers, and keeps as many of them as the
// measured latency asks for.
func (p *Pool) dispatch() {
	defer close(p.queue)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, wait := p.next(time.Now())
		if !p.staff() {
			return
		}
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

// staff brings the number of workers to what was decided. It returns false when
// the pool is stopping.
func (p *Pool) staff() bool {
	for {
		p.mu.Lock()
		missing := p.size.now + p.stalled - p.alive
		if missing > 0 {
			p.alive++
			p.stopped.Go(p.work)
		} else if missing < 0 {
			p.alive--
		}
		p.mu.Unlock()
		if missing == 0 {
			return true
		}
		if missing < 0 {
			select {
			case p.queue <- nil:
			case <-p.stopping:
				return false
			}
		}
	}
}

// next takes a task that is due and has a worker, or says how long there is
// none.
func (p *Pool) next(now time.Time) (*Task, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.active {
		return nil, time.Hour // until roused
	}
	stallers, stalled := p.countStalled()
	p.stalled = stalled
	free := p.size.now + p.stalled - p.running
	first, oldest, wait := p.choose(now, free)
	if first != nil {
		first.running, first.forced = true, false
		p.running++
		p.gauge.free(free - 1)
	} else {
		p.gauge.waiting(oldest)
		if oldest > 0 && stallers > stalled { // nobody tells when a stall begins
			wait = min(wait, stallLook)
		}
	}
	if l, ok := p.gauge.look(now, p.demand() >= p.duty); ok {
		p.size.decide(l)
		p.gauge.reset(now, p.size.now-p.running)
	}
	return first, wait
}

// countStalled counts the scans that wait for a consumer of a lossless ring: they
// take no CPU and no call into the kernel, so they must not take a worker from
// other rings either. One source has one scan, which bounds them. The caller
// holds mu.
func (p *Pool) countStalled() (stallers, stalled int) {
	for _, t := range p.tasks {
		if s, ok := t.job.Destination.(Staller); ok && t.running {
			stallers++
			if s.Stalled() {
				stalled++
			}
		}
	}
	return stallers, stalled
}

// choose finds the most urgent task that may have one of so many free workers,
// and else how long the first to be refused has been due, and when to look
// again. The caller holds mu.
func (p *Pool) choose(now time.Time, free int) (first *Task, oldest, wait time.Duration) {
	wait = time.Hour
	longest := p.longest(free)
	for _, t := range p.tasks {
		late := now.Sub(t.due)
		switch {
		case t.running || t.idle:
		case late < 0:
			wait = min(wait, -late)
		case free <= 0 || t.took > longest && late < patience*t.took:
			oldest = max(oldest, late, 1)
			wait = min(wait, lookEvery)
		case first == nil || t.deadline().Before(first.deadline()):
			first = t
		}
	}
	return first, oldest, wait
}

// longest is how long a scan may take that gets one of so many free workers. The
// last one is kept for the tasks that could be on time: for as long as the scan
// takes, each of them may become due and find no other. The caller holds mu.
func (p *Pool) longest(free int) time.Duration {
	if free != 1 || p.size.now == 1 {
		return math.MaxInt64
	}
	longest := time.Duration(math.MaxInt64)
	for _, t := range p.tasks {
		if every := t.interval(); !t.running && !t.idle && t.took <= every/2 {
			longest = min(longest, every/2)
		}
	}
	return longest
}

// work is one worker. It ends when it is sent home or the pool stops.
func (p *Pool) work() {
	if len(p.cpus) > 0 {
		runtime.LockOSThread() // for good: the thread ends with its binding
		if err := stayOn(p.cpus); err != nil {
			p.mu.Lock()
			p.roaming = err
			p.mu.Unlock()
		}
	}
	for t := range p.queue {
		if t == nil {
			return
		}
		p.run(t)
	}
}
