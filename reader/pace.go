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

// note learns from a call, from a cheaper one faster: what is sought is the
// kernel's cost of a row, and a thread that lost its processor in between
// measures more than that, never less. One such call must not collapse the
// chunk.
func (p *pace) note(rows int, ns int64) {
	if rows <= 0 {
		return
	}
	cost := max(1, float64(ns)/float64(rows))
	if cost < p.perRow {
		p.perRow += (cost - p.perRow) / 4
	} else {
		p.perRow += (min(cost, 4*p.perRow) - p.perRow) / 16
	}
}
