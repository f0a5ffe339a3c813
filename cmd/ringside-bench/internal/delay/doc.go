// SPDX-License-Identifier: Apache-2.0

// Package delay counts durations, so that the rare ones can be told as well as
// the usual ones: fixed memory, no allocation, percentiles right to within 3 %.
//
// One goroutine adds; histograms of several processes are merged after they came
// as JSON, in which only buckets that hold something are written.
package delay
