// SPDX-License-Identifier: Apache-2.0

package reader

import "time"

const (
	// callBudget is how long one call may fill a claim directly. Whoever claims
	// next on the same ring becomes visible only after us.
	callBudget = 200 * time.Microsecond
	// defaultMaxHold is the longest stay in the kernel to aim for.
	defaultMaxHold = 2 * time.Millisecond
	// startNSPerRow sizes the first call: pessimistic, so that it is short.
	startNSPerRow = 200
)

// pace turns a time budget into a number of rows, from what rows have cost.
type pace struct {
	budget float64 // ns
	perRow float64 // ns, smoothed
}

func newPace(maxHold time.Duration) pace {
	return pace{float64(min(callBudget, maxHold)), startNSPerRow}
}

// rows is how many to ask for next, at most limit.
func (p *pace) rows(limit int) int {
	return max(1, min(limit, int(p.budget/p.perRow)))
}

// note learns from a call. One slow call (preempted, a sparse stretch of the
// map) counts an eighth, so it neither collapses the chunk nor is ignored.
func (p *pace) note(rows int, ns int64) {
	if rows > 0 {
		p.perRow += (max(1, float64(ns)/float64(rows)) - p.perRow) / 8
	}
}
