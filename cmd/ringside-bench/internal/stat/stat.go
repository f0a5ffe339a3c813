// SPDX-License-Identifier: Apache-2.0

package stat

import (
	"math"
	"slices"
)

// Summary is what is reported of a series.
type Summary struct {
	N                int
	P10, Median, P90 float64
}

// Of summarises a series. Without any value everything is zero.
func Of(values []float64) Summary {
	sorted := slices.Sorted(slices.Values(values))
	return Summary{N: len(sorted), P10: quantile(sorted, 0.1), Median: quantile(sorted, 0.5), P90: quantile(sorted, 0.9)}
}

// By summarises what f says of each sample.
func By[S any](samples []S, f func(S) float64) Summary { return Of(Each(samples, f)) }

// Each is what f says of each sample.
func Each[S any](samples []S, f func(S) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return values
}

// Ratio compares two contenders: a over b, round by round. Rounds in which b is
// zero say nothing and are left out.
func Ratio(a, b []float64) Summary {
	var values []float64
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			values = append(values, a[i]/b[i])
		}
	}
	return Of(values)
}

// Difference is a less b, round by round.
func Difference(a, b []float64) Summary {
	values := make([]float64, min(len(a), len(b)))
	for i := range values {
		values[i] = a[i] - b[i]
	}
	return Of(values)
}

// quantile interpolates between the two nearest ranks of a sorted series.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := q * float64(len(sorted)-1)
	low := int(math.Floor(at))
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (sorted[high]-sorted[low])*(at-float64(low))
}
