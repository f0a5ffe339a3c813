// SPDX-License-Identifier: Apache-2.0

// Package stat summarises measurements: medians and how far they spread.
//
// Means and standard deviations are left out on purpose: what disturbs a
// measurement (another process, an interrupt, a colder cache) only ever makes it
// slower, so the middle is the honest figure and the tenth and ninetieth
// percentiles show how quiet the machine was.
//
// Two contenders are compared round by round, each pass with the other's pass of
// the same round: whatever slowed the machine for a while slowed both.
package stat
