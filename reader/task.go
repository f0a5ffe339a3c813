// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"time"
)

// Job is a source that a pool shall scan. The pool owns the source from Add on
// and closes it.
type Job struct {
	Source      *Source
	Destination Destination
	Every       time.Duration

	// OnReplaced is called when another map is found under the source's pin,
	// with the source that is now outdated. It opens the new map and says where
	// its rows go; the pool closes the old source. With an error the old map is
	// read on, and the pin tried again before the next scan. Nil: the old map is
	// read on.
	OnReplaced func(old *Source) (*Source, Destination, error)
	// OnScan is called after each scan, from its worker.
	OnScan func(ScanStats, error)
}

// Task is a job in a pool.
type Task struct {
	pool *Pool
	gone chan struct{} // closed when the pool is done with it

	// All below are the pool's, under its mutex; while running is set, the
	// worker may read job without it.
	job       Job
	due       time.Time
	running   bool
	forced    bool // due again as soon as the running scan ends
	removed   bool
	cost      time.Duration // smoothed time of one scan
	effective time.Duration

	scans, errors, replaced uint64
	last                    ScanStats
	lastErr                 error
	failing                 bool
	hold                    time.Duration
	read, late              histogram
}

// TaskStats is what a task has done since it was added.
type TaskStats struct {
	Info          Info
	Scans, Errors uint64
	Replaced      uint64        // maps that took the pin's place
	Last          ScanStats     // the last completed scan
	LastError     error         // of a scan, or of looking at the pin; kept after recovery
	Failing       bool          // the last attempt failed
	Every         time.Duration // as asked for
	Effective     time.Duration // as stretched to stay within the duty
	ReadP50       time.Duration // duration of whole scans
	ReadP99       time.Duration
	ReadMax       time.Duration
	HoldMax       time.Duration // longest single call into the kernel
	LateP99       time.Duration // from due to started
}

// Force makes the source due now. A scan that is already running does not
// count: its beginning may be older than the wish.
func (t *Task) Force() {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	t.force(time.Now())
	t.pool.rouse()
}

func (t *Task) force(now time.Time) {
	if t.running {
		t.forced = true
	} else if t.due.After(now) {
		t.due = now
	}
}

// Remove stops scanning the source and closes it. It waits for a scan that is
// running.
func (t *Task) Remove() {
	p := t.pool
	p.mu.Lock()
	t.removed = true
	if !t.running {
		p.forget(t)
		t.end()
	}
	p.mu.Unlock()
	<-t.gone
}

// end closes the source once. The caller holds the pool's mutex.
func (t *Task) end() error {
	select {
	case <-t.gone:
		return nil
	default:
		close(t.gone)
		return t.job.Source.Close()
	}
}

// Stats is a snapshot.
func (t *Task) Stats() TaskStats {
	t.pool.mu.Lock()
	defer t.pool.mu.Unlock()
	return TaskStats{
		Info: t.job.Source.Info(), Scans: t.scans, Errors: t.errors, Replaced: t.replaced,
		Last: t.last, LastError: t.lastErr, Failing: t.failing,
		Every: t.job.Every, Effective: max(t.effective, t.job.Every),
		ReadP50: t.read.quantile(0.5), ReadP99: t.read.quantile(0.99), ReadMax: t.read.max,
		HoldMax: t.hold, LateP99: t.late.quantile(0.99),
	}
}

// run scans one task on a worker.
func (p *Pool) run(t *Task) {
	began := time.Now()
	p.mu.Lock()
	wanted := p.active && !t.removed
	if wanted {
		t.late.add(began.Sub(t.due))
	}
	p.mu.Unlock()
	if !wanted {
		p.release(t)
		return
	}
	pinErr := p.follow(t)
	// Opening a map that took the place of another is no part of reading it:
	// loading a program takes longer than many a scan.
	began = time.Now()
	stats, err := t.job.Source.Scan(p.scanning, t.job.Destination)
	if t.job.OnScan != nil {
		t.job.OnScan(stats, errors.Join(err, pinErr))
	}
	p.finish(t, began, stats, err, pinErr)
}

// release gives a task back that was handed out and then not wanted any more.
func (p *Pool) release(t *Task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.running = false
	p.rouse()
	if t.removed {
		p.forget(t)
		t.end()
	}
}

// follow looks whether the pin holds another map now, and goes over to it.
func (p *Pool) follow(t *Task) error {
	replaced, err := t.job.Source.Replaced()
	if err != nil || !replaced || t.job.OnReplaced == nil {
		return err
	}
	old := t.job.Source
	next, dst, err := t.job.OnReplaced(old)
	if err != nil {
		return err
	}
	p.mu.Lock()
	t.job.Source, t.job.Destination = next, dst
	t.replaced++
	p.mu.Unlock()
	return old.Close()
}

// finish files a scan and decides when the next is due.
func (p *Pool) finish(t *Task, began time.Time, stats ScanStats, err, pinErr error) {
	p.mu.Lock()
	now := time.Now()
	t.file(stats, err, pinErr)
	spent := now.Sub(began)
	p.busy += spent
	if t.cost == 0 {
		t.cost = spent
	}
	t.cost += (spent - t.cost) / 4
	p.stretch = max(1, p.demand()/p.duty)
	t.effective = time.Duration(float64(t.job.Every) * p.stretch)
	// Scans whose time has passed are left out, the rhythm is kept.
	missed := max(0, now.Sub(t.due)-1) / t.effective
	t.due = t.due.Add((missed + 1) * t.effective)
	if t.forced {
		t.due = now
	}
	p.mu.Unlock()
	p.release(t)
}

// file counts a scan. A pin that cannot be looked at is an error, too, though
// the map behind it was read.
func (t *Task) file(stats ScanStats, err, pinErr error) {
	t.hold = max(t.hold, stats.HoldMax)
	switch {
	case err == nil:
		t.scans++
		t.last = stats
		t.read.add(stats.Duration)
	case errors.Is(err, context.Canceled):
		return // the pool is stopping; nothing is wrong with the source
	}
	if err = errors.Join(err, pinErr); err != nil {
		t.errors++
		t.lastErr = err
	}
	t.failing = err != nil
}
