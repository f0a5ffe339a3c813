// SPDX-License-Identifier: Apache-2.0

package stat

import "testing"

func TestOf(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"nothing", nil, Summary{}},
		{"one", []float64{7}, Summary{1, 7, 7, 7}},
		{"unsorted", []float64{3, 1, 2}, Summary{3, 1.2, 2, 2.8}},
		{"even", []float64{1, 2, 3, 4}, Summary{4, 1.3, 2.5, 3.7}},
		{"an outlier moves no median", []float64{1, 1, 1, 1, 1000}, Summary{5, 1, 1, 600.4}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := Of(tc.values)
			if got.N != tc.want.N || far(got.P10, tc.want.P10) || far(got.Median, tc.want.Median) || far(got.P90, tc.want.P90) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func far(a, b float64) bool { return a-b > 1e-9 || b-a > 1e-9 }

func TestOfLeavesItsArgument(t *testing.T) {
	values := []float64{3, 1, 2}
	if Of(values); values[0] != 3 || values[1] != 1 {
		t.Errorf("sorted in place: %v", values)
	}
}

// A machine that was twice as slow for some rounds must not show in a ratio.
func TestComparisonsArePaired(t *testing.T) {
	a, b := []float64{2, 4, 2, 40}, []float64{1, 2, 1, 20}
	if got := Ratio(a, b); got.P10 != 2 || got.Median != 2 || got.P90 != 2 {
		t.Errorf("ratio %+v", got)
	}
	if got := Difference(a, b); got.Median != 1.5 {
		t.Errorf("difference %+v", got)
	}
	if got := Ratio([]float64{1, 2}, []float64{0, 1}); got.N != 1 || got.Median != 2 {
		t.Errorf("division by zero: %+v", got)
	}
}

func TestBy(t *testing.T) {
	type sample struct{ rows, ns float64 }
	got := By([]sample{{2, 10}, {2, 20}, {2, 30}}, func(s sample) float64 { return s.ns / s.rows })
	if got.Median != 10 {
		t.Errorf("got %+v", got)
	}
}
