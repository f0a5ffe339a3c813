// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// What the design expects of this stage, for 4 B keys and 32 B values.
const (
	mostOfRaw    = 1.2
	leastOfWalk  = 7
	mostOfMemcpy = 2
)

// mapFigures holds what was measured on one map against the design.
func mapFigures(s subject, e *entrants, samples [][]pass) []figure {
	ours := e.ours()
	ns := func(name string) []float64 { return stat.Each(samples[e.at[name]], pass.nsPerRow) }
	switch {
	case s.mmapable():
		head := stat.Each(samples[e.at[ours]], pass.headNS)
		return []figure{atMost(s.name+": "+ours+" to head, of memcpy", stat.Ratio(head, ns(byMemcpy)), mostOfMemcpy, times)}
	case s.name == "hash":
		return []figure{
			atMost("hash: "+ours+" to hands, of raw-batch", stat.Ratio(ns(ours), ns(byRawBatch)), mostOfRaw, times),
			atLeast("hash: "+ours+" to hands, faster than iterate", stat.Ratio(ns(byIterate), ns(ours)), leastOfWalk, times),
		}
	}
	return nil
}

// ours is the name under which ringside takes part.
func (e *entrants) ours() string {
	for name := range e.at {
		if strings.HasPrefix(name, byRingside) {
			return name
		}
	}
	return ""
}

// allocFigure is about all maps: the worst of them counts.
func allocFigure(rows []mapRow) figure {
	worst := 0.0
	for _, r := range rows {
		if strings.HasPrefix(r.Contender, byRingside) {
			worst = max(worst, r.Allocs)
		}
	}
	return atMost("allocations a scan, of any map, reader and consumer together", exactly(worst), 0, "")
}

func mapTables(r *result, rows []mapRow) {
	t := &table.Table{
		Title: fmt.Sprintf("Maps of %s entries, key 4 B (trie 8 B), value 32 B (per CPU: times the CPUs)", table.Count(int64(r.Entries))),
		Columns: []table.Column{table.Text("map"), table.Text("contender"), table.Number("ns/row"), table.Number("p10"), table.Number("p90"),
			table.Number("to head"), table.Number("M rows/s"), table.Number("MB/s"), table.Number("longest hold"),
			table.Number("faster than iterate"), table.Number("of raw-batch"), table.Number("allocs/scan")},
	}
	r.chart = &picture{title: "Nanoseconds a row, map to hands", note: "Shorter is better; each map has a scale of its own."}
	for i, row := range rows {
		if i == 0 || rows[i-1].Map != row.Map {
			r.chart.groups = append(r.chart.groups, chart.Group{Name: row.Map})
		}
		g := &r.chart.groups[len(r.chart.groups)-1]
		g.Bars = append(g.Bars, chart.Bar{Label: row.Contender, Value: row.NSPerRow, Text: table.Figure(row.NSPerRow) + " ns",
			Ours: strings.HasPrefix(row.Contender, byRingside)})
		t.Add(row.Map, row.Contender, table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90),
			unlessZero(row.HeadNS, ""), table.Figure(row.RowsPerSecond/1e6), table.Figure(row.MBPerSecond), shortTime(row.HoldNS),
			unlessZero(row.OfIterate, times), unlessZero(row.OfRaw, times), table.Figure(row.Allocs))
	}
	r.tables = append(r.tables, t)
}

// unlessZero leaves a cell empty where nothing was measured.
func unlessZero(v float64, unit string) string {
	if v == 0 {
		return ""
	}
	return table.Figure(v) + unit
}

// shortTime writes nanoseconds as microseconds; none at all as a dash.
func shortTime(ns float64) string {
	if ns == 0 {
		return "–"
	}
	return table.Figure(ns/float64(time.Microsecond)) + " µs"
}
