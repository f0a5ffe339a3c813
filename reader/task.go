// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// Job is a source that a pool shall scan. The pool owns the source from Add on
// and closes it.
type Job struct {
	Source      *Source
	Destination Destination
	Every       time.Duration
	Idle        bool // do not read it before Task.SetActive(true)

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
	idle      bool          // not wanted for now
	cost      time.Duration // smoothed CPU time of one scan
	took      time.Duration // smoothed time of one scan
	effective time.Duration

	scans, errors, replaced uint64
	last                    ScanStats
	lastErr                 error
	failing                 bool
	hold                    time.Duration
	discarded               uint64
	read, late              histogram
	calls                   histogram // of one scan
}

// TaskStats is what a task has done since it was added.
type TaskStats struct {
	Info          Info
	Scans, Errors uint64
	Replaced      uint64        // maps that took the pin's place
	Last          ScanStats     // the last completed scan
	Discarded     uint64        // elements that moved on while they were copied, in all scans
	LastError     error         // of a scan, or of looking at the pin; kept after recovery
	Failing       bool          // the last attempt failed
	Active        bool          // wanted; it is read if the pool is active, too
	Every         time.Duration // as asked for
	Effective     time.Duration // as stretched to stay within the duty
	ReadP50       time.Duration // duration of whole scans
	ReadP99       time.Duration
	ReadMax       time.Duration
	HoldMax       time.Duration // longest single call into the kernel; see ScanStats
	CPU           time.Duration // of one scan, smoothed
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

// SetActive switches between reading the source and letting it rest, while the
// pool's other sources go on. A scan that runs is finished; on becoming active
// the source is due at once. What rests takes no part of the duty.
func (t *Task) SetActive(active bool) {
	p := t.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if active == !t.idle {
		return
	}
	t.idle = !active
	if active {
		now := time.Now()
		t.force(now)
		t.due = now // what was due while it rested is not overdue
	}
	p.ration()
	p.rouse()
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
		Last: t.last, LastError: t.lastErr, Failing: t.failing, Active: !t.idle,
		Every: t.job.Every, Effective: max(t.effective, t.job.Every),
		ReadP50: t.read.quantile(0.5), ReadP99: t.read.quantile(0.99), ReadMax: t.read.max,
		Discarded: t.discarded, HoldMax: t.hold, CPU: t.cost, LateP99: t.late.quantile(0.99),
	}
}

// demand is the share of one CPU that the interval asked for would take.
func (t *Task) demand() float64 {
	if t.idle {
		return 0
	}
	return float64(t.cost) / float64(t.job.Every)
}

// interval is what lies between two scans.
func (t *Task) interval() time.Duration { return max(t.effective, t.job.Every) }

// deadline is when the scan after the one that is due is due.
func (t *Task) deadline() time.Time { return t.due.Add(t.interval()) }

// run scans one task on a worker.
func (p *Pool) run(t *Task) {
	runtime.LockOSThread() // whose clock is read
	defer runtime.UnlockOSThread()
	p.mu.Lock()
	wanted := p.active && !t.idle && !t.removed
	if wanted {
		late := time.Since(t.due)
		t.late.add(late)
		p.gauge.late.add(late)
	} else {
		p.release(t)
	}
	p.mu.Unlock()
	if !wanted {
		return
	}
	pinErr := p.follow(t)
	// Opening a map that took the place of another is no part of reading it:
	// loading a program takes longer than many a scan.
	began, cpu := time.Now(), p.cpuTime()
	t.job.Source.pass.calls = &t.calls // nobody but this worker uses either now
	stats, err := t.job.Source.Scan(p.scanning, t.job.Destination)
	if t.job.OnScan != nil {
		t.job.OnScan(stats, errors.Join(err, pinErr))
	}
	p.finish(t, turn{time.Since(began), p.cpuTime() - cpu, stats, err, pinErr})
}

// release gives a task back that was handed out. The caller holds mu.
func (p *Pool) release(t *Task) {
	t.running = false
	p.running--
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

// turn is one scan as its worker saw it.
type turn struct {
	took, cpu   time.Duration
	stats       ScanStats
	err, pinErr error
}

// finish files a scan and decides when the next is due.
func (p *Pool) finish(t *Task, r turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.scans+t.errors == 0 {
		t.cost, t.took = r.cpu, r.took
	}
	t.file(&r)
	now := time.Now()
	p.busy += r.cpu
	p.gauge.calls.merge(&t.calls)
	t.cost += (r.cpu - t.cost) / 4
	t.took += (r.took - t.took) / 4
	p.ration()
	t.effective = max(t.job.Every, time.Duration(float64(t.cost)/p.share))
	// Scans whose time has passed are left out, the rhythm is kept.
	missed := max(0, now.Sub(t.due)-1) / t.effective
	t.due = t.due.Add((missed + 1) * t.effective)
	if t.forced {
		t.due = now
	}
	p.release(t) // in one go: a Force in between would get lost
}

// file counts a scan. A pin that cannot be looked at is an error, too, though
// the map behind it was read.
func (t *Task) file(r *turn) {
	stats, err := r.stats, r.err
	t.hold = max(t.hold, stats.HoldMax)
	t.discarded += uint64(stats.Discarded)
	switch {
	case err == nil:
		t.scans++
		t.last = stats
		t.read.add(stats.Duration)
	case errors.Is(err, context.Canceled):
		return // the pool is stopping; nothing is wrong with the source
	}
	if err = errors.Join(err, r.pinErr); err != nil {
		t.errors++
		t.lastErr = err
	}
	t.failing = err != nil
}
