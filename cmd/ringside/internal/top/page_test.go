// SPDX-License-Identifier: Apache-2.0

package top

import "testing"

// TestNoRateYet: after one scan nobody knows how fast anything grows.
func TestNoRateYet(t *testing.T) {
	p := Page{Ranking: Ranking{Rate: true}}
	if got := p.rateCell(&row{}, nil); got != "-" {
		t.Errorf("the rate is %q", got)
	}
}
