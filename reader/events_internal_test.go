// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"testing"
	"time"
)

// TestLookout: staying awake grows where it pays, ends where it does not, and
// never takes more than its share.
func TestLookout(t *testing.T) {
	var l lookout
	l.allow(0.5)
	now := int64(time.Second)
	if l.begin(now) != 0 {
		t.Error("awake before anything was seen")
	}
	for range 10 { // 10 us apart
		l.slept(10 * time.Microsecond)
	}
	if w := l.begin(now); w != longestSpin {
		t.Errorf("window %v after events close behind each other", w)
	}
	for range 20 {
		l.spun(longestSpin, false)
		l.slept(time.Second)
	}
	if w := l.begin(now); w != 0 {
		t.Errorf("window %v after a quiet while", w)
	}
	l.slept(time.Microsecond)
	l.slept(time.Microsecond)
	spent := time.Duration(0)
	began := now
	for now < began+int64(time.Second) {
		w := l.begin(now)
		l.spun(w, true)
		spent += w
		now += int64(w) + int64(time.Microsecond)
	}
	if spent > time.Second/2+spinSavings || spent < time.Second/4 {
		t.Errorf("%v of a second were spent awake, half was allowed", spent)
	}
	l.allow(0)
	now += int64(time.Hour)
	for l.begin(now) > 0 {
		l.spun(longestSpin, true)
	}
	if w := l.begin(now + int64(time.Hour)); w != 0 {
		t.Errorf("window %v of nothing", w)
	}
}

// TestNap: events are left to gather only where they come thick, and for no longer
// than a small part of the ringbuf has room for.
func TestNap(t *testing.T) {
	const took = 100 * time.Microsecond
	for _, c := range []struct {
		events, each, size int
		want               time.Duration
	}{
		{0, 0, 1 << 20, 0},
		{worthANap/2 - 1, 8, 1 << 20, 0},
		{worthANap / 2, 8, 1 << 20, longestNap},
		{1000, 16, 8 * 1000 * 32, took},
		{1000, 16, 8 * 100 * 32, 0}, // it would be full before one has slept
	} {
		f := flow{events: 7, bytes: 9, at: 11}
		if n := f.nap(7+uint64(c.events), 9+uint64(c.events*c.each), 11+int64(took), c.size); n != c.want {
			t.Errorf("%+v: %v", c, n)
		}
	}
}
