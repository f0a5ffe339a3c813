// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Loads as they are seen: one each second.
var (
	busy   = load{late: time.Millisecond, waited: true}
	spent  = load{late: time.Millisecond, waited: true, spent: true}
	calls  = load{late: 100 * time.Microsecond, call: time.Millisecond, waited: true}
	brief  = load{late: 400 * time.Microsecond, waited: true}
	slowly = load{late: time.Millisecond, spare: true} // the threads come late, not the workers
	spare  = load{late: 100 * time.Microsecond, call: 300 * time.Microsecond, spare: true}
	full   = load{late: 100 * time.Microsecond}
)

func TestSizing(t *testing.T) {
	type span struct {
		seconds int
		load    load
		want    int // workers at its end
	}
	for name, spans := range map[string][]span{
		"grows by two, every ten seconds": {{1, busy, 4}, {9, busy, 4}, {1, busy, 6}, {9, busy, 6}, {1, busy, 7}, {60, busy, 7}},
		"not without duty":                {{60, spent, 2}, {1, busy, 4}},
		"for calls that take long":        {{1, calls, 4}},
		"not for a short wait":            {{60, brief, 2}},
		"not where no work waits":         {{60, slowly, 2}, {60, full, 2}},
		"shrinks by one, every thirty":    {{1, busy, 4}, {29, spare, 4}, {1, spare, 3}, {29, spare, 3}, {1, spare, 2}, {90, spare, 2}},
		"stays while nobody is idle":      {{1, busy, 4}, {90, full, 4}},
		"stays while threads come late":   {{1, busy, 4}, {90, slowly, 4}},
		"one busy second starts over":     {{1, busy, 4}, {25, spare, 4}, {1, full, 4}, {29, spare, 4}, {1, spare, 3}},
		"grows again after shrinking":     {{1, busy, 4}, {30, spare, 3}, {9, busy, 3}, {1, busy, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := sizing{least: 2, most: 7, now: 2, growAbove: defaultGrowAbove, shrinkBelow: defaultShrinkBelow}
				for i, span := range spans {
					for range span.seconds {
						l := span.load
						l.from = time.Now()
						time.Sleep(time.Second)
						l.to = time.Now()
						s.decide(l)
					}
					if s.now != span.want {
						t.Fatalf("span %d: %d workers, want %d (%+v)", i, s.now, span.want, s.last)
					}
				}
			})
		})
	}
}

func TestSizingSaysWhy(t *testing.T) {
	s := sizing{least: 2, most: 9, now: 2, growAbove: defaultGrowAbove, shrinkBelow: defaultShrinkBelow}
	at := time.Unix(1000, 0)
	for _, tc := range []struct {
		load load
		want string
	}{
		{busy, "work waited, and one in a hundred scans began 1ms late"},
		{calls, "work waited, and one in a hundred calls took 1ms in the kernel"},
		{spare, "nothing to do for 30s"},
	} {
		tc.load.from, tc.load.to = at, at.Add(time.Minute)
		at = tc.load.to
		before := s.now
		s.decide(tc.load)
		if c := s.last; c.From != before || c.To != s.now || c.At != at || !strings.Contains(c.Reason, tc.want) {
			t.Errorf("%+v, want %q", c, tc.want)
		}
	}
}

func TestSizingOptions(t *testing.T) {
	for _, tc := range []struct {
		o           PoolOptions
		least, most int
	}{
		{PoolOptions{Workers: 1}, 1, 1},
		{PoolOptions{Workers: 2}, 2, 2},
	} {
		if s := newSizing(tc.o); s.least != tc.least || s.most != tc.most || s.now != tc.least {
			t.Errorf("%+v: %+v", tc.o, s)
		}
	}
	if s := newSizing(PoolOptions{GrowAbove: 50 * time.Microsecond}); s.shrinkBelow > s.growAbove {
		t.Errorf("would shrink at what makes it grow: %+v", s)
	}
}

// What a thread did not run is no hold.
func TestHeldIsOnCPU(t *testing.T) {
	runtime.LockOSThread() // whose clock is read
	defer runtime.UnlockOSThread()
	var p pass
	p.begin(1)
	p.held(int64(24 * time.Hour)) // as if suspended since yesterday
	if h := p.stats.HoldMax; h <= 0 || h > time.Hour {
		t.Errorf("held for %v", h)
	}
	first := p.stats.HoldMax
	p.begin(2)
	p.held(int64(first / 2)) // below what is known: as measured
	if p.stats.HoldMax != first/2 || p.longest != first {
		t.Errorf("held for %v, longest %v of %v", p.stats.HoldMax, p.longest, first)
	}
}

func TestHistogramMerge(t *testing.T) {
	var a, b, c histogram
	for i := range 100 {
		b.add(time.Duration(i) * time.Millisecond)
	}
	kept := b
	a.merge(&b)
	a.merge(&b)
	if a != kept || b != (histogram{}) {
		t.Error("merging into an empty one is moving")
	}
	c.put(histIndex(uint64(time.Millisecond)), 99)
	c.put(histIndex(uint64(time.Second)), 1)
	c.put(3, 0)
	if p := c.quantile(0.5); p < time.Millisecond || p > 1130*time.Microsecond || c.total != 100 || c.max < time.Second {
		t.Errorf("p50 %v of %d, max %v", p, c.total, c.max)
	}
}
