// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// figure holds a measurement against what the design expects. It is a remark,
// never a verdict: another machine has other figures.
type figure struct {
	Name    string  `json:"figure"`
	Unit    string  `json:"unit"`
	Got     float64 `json:"got"`
	P10     float64 `json:"p10"`
	P90     float64 `json:"p90"`
	Bound   float64 `json:"bound"`
	AtLeast bool    `json:"at_least"` // the bound is a lower one
	Reached bool    `json:"reached"`
	Floor   string  `json:"floor,omitempty"` // what nobody could go below, and what it would give
}

const (
	times  = "×"
	nsRow  = "ns/row"
	mega   = "MB"
	hundth = "%"
)

// atMost and atLeast make figures of what was measured.
func atMost(name string, got stat.Summary, bound float64, unit string) figure {
	return figure{Name: name, Unit: unit, Got: got.Median, P10: got.P10, P90: got.P90, Bound: bound, Reached: got.Median <= bound}
}

func atLeast(name string, got stat.Summary, bound float64, unit string) figure {
	f := atMost(name, got, bound, unit)
	f.AtLeast, f.Reached = true, got.Median >= bound
	return f
}

// exactly wraps a value that was counted, not sampled.
func exactly(v float64) stat.Summary { return stat.Summary{N: 1, P10: v, Median: v, P90: v} }

func figureTable(figures []figure) *table.Table {
	if len(figures) == 0 {
		return nil
	}
	t := &table.Table{
		Title:   "Against what the design expects",
		Columns: []table.Column{table.Text("figure"), table.Number("expected"), table.Number("measured"), table.Text("spread"), table.Text(""), table.Text("floor")},
	}
	for _, f := range figures {
		verdict := "reached"
		if !f.Reached {
			verdict = "NOT REACHED"
		}
		t.Add(f.Name, f.expected(), f.with(f.Got), f.spread(), verdict, f.Floor)
	}
	return t
}

func (f *figure) expected() string {
	sign := "≤"
	if f.AtLeast {
		sign = "≥"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %g %s", sign, f.Bound, f.Unit))
}

func (f *figure) with(v float64) string { return strings.TrimSpace(table.Figure(v) + " " + f.Unit) }

func (f *figure) spread() string {
	if f.P10 == f.P90 {
		return ""
	}
	return table.Figure(f.P10) + " – " + table.Figure(f.P90)
}
