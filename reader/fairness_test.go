// SPDX-License-Identifier: Apache-2.0

package reader_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ringside-bpf/ringside/reader"
)

// gaps records the longest time between the beginnings of two scans.
type gaps struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (g *gaps) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.longest = 0
}

func (g *gaps) most() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.longest
}

func (g *gaps) note() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !g.last.IsZero() {
		g.longest = max(g.longest, now.Sub(g.last))
	}
	g.last = now
	return nil
}

// A scan that takes longer than others may wait never takes the last worker, so
// they are as good as alone.
func TestPoolKeepsAWorkerForSmallMaps(t *testing.T) {
	for _, huge := range []int{1, 3} {
		t.Run(fmt.Sprint(huge), func(t *testing.T) {
			inPool(t, reader.PoolOptions{Workers: 2, Duty: 100}, func(t *testing.T, p *reader.Pool) {
				var scans []*slow
				for range huge {
					_, d := add(t, p, 10*time.Millisecond, 80*time.Millisecond)
					scans = append(scans, d)
				}
				var small [4]*slow
				for i := range small {
					_, small[i] = add(t, p, 50*time.Millisecond, 2*time.Millisecond)
				}
				after(time.Second) // how long the huge ones take is not known at first
				for _, d := range small {
					d.starts.forget()
				}
				after(5 * time.Second)
				for i, d := range small {
					if late := d.starts.most() - 50*time.Millisecond; late > 10*time.Millisecond {
						t.Errorf("small map %d was late by %v", i, late)
					}
				}
				for i, d := range scans {
					if n := int(d.scans.Load()) * huge; n < 70 {
						t.Errorf("huge map %d was scanned %d/%d times in 6 s", i, n, huge)
					}
				}
			})
		})
	}
}

// A map that would take all the duty, and more, takes none from those that ask
// for little.
func TestPoolSharesTheDuty(t *testing.T) {
	inPool(t, reader.PoolOptions{Workers: 2, Duty: 0.2}, func(t *testing.T, p *reader.Pool) {
		huge, h := add(t, p, 10*time.Millisecond, 80*time.Millisecond) // would take 8 CPUs
		rival, r := add(t, p, 40*time.Millisecond, 40*time.Millisecond)
		var small []*reader.Task
		for range 4 {
			task, _ := add(t, p, 50*time.Millisecond, time.Millisecond) // 2 % each
			small = append(small, task)
		}
		after(60 * time.Second)
		for i, task := range small {
			if s := task.Stats(); s.Effective != s.Every || s.Scans < 1195 {
				t.Errorf("small map %d: %d scans, each %v", i, s.Scans, s.Effective)
			}
		}
		// 20 - 4 x 2 = 12 % are left: 6 % each.
		if e := huge.Stats().Effective; e < 1300*time.Millisecond || e > 1370*time.Millisecond || h.scans.Load() < 40 {
			t.Errorf("huge: %d scans, each %v", h.scans.Load(), e)
		}
		if e := rival.Stats().Effective; e < 650*time.Millisecond || e > 690*time.Millisecond || r.scans.Load() < 80 {
			t.Errorf("rival: %d scans, each %v", r.scans.Load(), e)
		}
		if s := p.Stats(); s.Busy > 13*time.Second || s.Stretch < 130 || s.Stretch > 137 {
			t.Errorf("%+v", s)
		}
	})
}

// With one worker alone there is none to keep, and nobody starves.
func TestPoolWithOneWorker(t *testing.T) {
	inPool(t, reader.PoolOptions{Workers: 1, Duty: 100}, func(t *testing.T, p *reader.Pool) {
		_, huge := add(t, p, 10*time.Millisecond, 80*time.Millisecond)
		_, small := add(t, p, 50*time.Millisecond, 2*time.Millisecond)
		after(10 * time.Second)
		if h, s := huge.scans.Load(), small.scans.Load(); h < 60 || s < 60 {
			t.Errorf("%d and %d scans", h, s)
		}
	})
}

// Small maps that keep a worker and more busy do not lock a huge one out.
func TestPoolStarvesNobody(t *testing.T) {
	inPool(t, reader.PoolOptions{Workers: 2, Duty: 100}, func(t *testing.T, p *reader.Pool) {
		_, huge := add(t, p, 100*time.Millisecond, 80*time.Millisecond)
		for range 16 {
			add(t, p, 10*time.Millisecond, time.Millisecond)
		}
		after(5 * time.Second)
		if n := huge.scans.Load(); n < 5 {
			t.Errorf("the huge map was scanned %d times", n)
		}
	})
}

// processors lets the pool have as many workers as the test needs.
func processors(t *testing.T, n int) {
	before := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

func TestPoolGrowsAndShrinks(t *testing.T) {
	processors(t, 8)
	inPool(t, reader.PoolOptions{Duty: 100, Workers: 5}, func(t *testing.T, p *reader.Pool) {
		var tasks []*reader.Task
		for range 4 { // four scans of 80 ms each 100 ms: two workers cannot
			task, _ := add(t, p, 100*time.Millisecond, 80*time.Millisecond)
			tasks = append(tasks, task)
		}
		if s := p.Stats(); s.Workers != 2 || s.WorkersMin != 2 || s.WorkersMax != 5 || !s.Change.At.IsZero() {
			t.Errorf("at first: %+v", s)
		}
		after(5 * time.Second)
		s := p.Stats()
		if s.Workers != 4 || s.Change.From != 2 || s.Change.To != 4 || s.Change.Reason == "" {
			t.Errorf("after 5 s: %+v", s)
		}
		after(time.Minute)
		if s := p.Stats(); s.Workers != 4 || s.Latency.Waited || s.Latency.LateP99 > time.Millisecond {
			t.Errorf("four scans, four workers: %+v", s)
		}
		for _, task := range tasks[1:] {
			task.Remove()
		}
		after(45 * time.Second)
		if n := p.Stats().Workers; n != 3 {
			t.Errorf("%d workers 45 s after the load has gone", n)
		}
		after(2 * time.Minute)
		if s := p.Stats(); s.Workers != 2 || !s.Latency.Spare {
			t.Errorf("at last: %+v", s)
		}
	})
}

func TestPoolDoesNotGrowBeyondItsDuty(t *testing.T) {
	processors(t, 8)
	inPool(t, reader.PoolOptions{Duty: 1}, func(t *testing.T, p *reader.Pool) {
		for range 8 {
			add(t, p, 100*time.Millisecond, 80*time.Millisecond)
		}
		after(time.Minute)
		// In the first second, before the cost is known, it may have grown once.
		if s := p.Stats(); s.Workers > 4 || s.Stretch < 5 {
			t.Errorf("%+v", s)
		}
	})
}
