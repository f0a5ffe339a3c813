// SPDX-License-Identifier: Apache-2.0

package delay

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func TestEveryDurationHasItsBucket(t *testing.T) {
	last := -1
	for _, ns := range []uint64{0, 1, 31, 32, 33, 63, 64, 65, 1000, 1 << 20, 1<<20 + 1<<15, 1 << 40, math.MaxInt64} {
		i := index(ns)
		if i < last || i >= buckets || upper(i) < ns || float64(upper(i)-ns) > float64(ns)/sub+1 {
			t.Errorf("%d ns are in bucket %d, up to %d", ns, i, upper(i))
		}
		last = i
	}
}

func TestQuantiles(t *testing.T) {
	var h, other, back Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram says something")
	}
	for i := range 1000 {
		to := &h
		if i%2 == 0 {
			to = &other
		}
		to.Add(time.Duration(i+1) * time.Microsecond)
	}
	h.Add(-time.Second)
	h.Merge(&other)
	text, err := json.Marshal(&h)
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if err != nil || back != h {
		t.Errorf("it does not come back from %s: %v", text, err)
	}
	if h.Total() != 1001 || h.Max() != time.Millisecond {
		t.Errorf("%d durations, at most %v", h.Total(), h.Max())
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Microsecond, 0.99: 990 * time.Microsecond, 1: time.Millisecond} {
		if got := h.Quantile(q); got < want || got > want+want/sub {
			t.Errorf("quantile %g is %v, want about %v", q, got, want)
		}
	}
	if err := json.Unmarshal([]byte(`{"counts":{"99999":1}}`), &back); err == nil {
		t.Error("a bucket that does not exist was taken")
	}
}
