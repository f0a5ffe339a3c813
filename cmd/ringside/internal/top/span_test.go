// SPDX-License-Identifier: Apache-2.0

package top

import (
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	const second = uint64(time.Second)
	for name, c := range map[string]struct {
		span Span
		want float64
	}{
		"full: from scan to scan":                  {Span{From: 10 * second, To: 12 * second, Scans: 20, Looked: 11 * second}, 2},
		"changes: news in every scan":              {Span{From: 10 * second, To: 11 * second, Scans: 10, Changes: true, Looked: 10*second + second/20}, 1},
		"changes: news after a minute":             {Span{From: 10 * second, To: 70 * second, Scans: 600, Changes: true, Looked: 69 * second}, 1.1},
		"changes: a scan takes longer than a look": {Span{From: 10 * second, To: 20 * second, Scans: 1, Changes: true, Looked: 19 * second}, 10},
		"changes: stale at the last look":          {Span{From: 10 * second, To: 70 * second, Scans: 600, Changes: true}, 60},
		"no later scan":                            {Span{From: 10 * second, To: 10 * second, Changes: true, Looked: 11 * second}, 0},
		"read before the look, seen after":         {Span{From: 10 * second, To: 11 * second, Scans: 1000, Changes: true, Looked: 12 * second}, 0.001},
	} {
		if got := c.span.Seconds(); got != c.want {
			t.Errorf("%s: %v s, want %v", name, got, c.want)
		}
	}
}
