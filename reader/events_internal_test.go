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
