// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// expectation is what the design expects of the engine that ringside chooses,
// for 4 B keys and 32 B values, as speed against two contenders.
type expectation struct {
	name      string
	large     bool // at the large size
	hold      time.Duration
	ofIterate float64
	ofRaw     float64
}

func expectations() []expectation {
	return []expectation{
		{"hash", false, 0, 30, 3},
		{"lru_hash", false, 0, 30, 3},
		{"percpu_hash_sum", false, 0, 12, 1.8},
		{"array", false, 0, 90, 9},
		{"array", true, longHold, 90, 9},
		{"hash", true, longHold, 13, 2.7},
		{"hash", true, shortHold, 6, 1.3},
	}
}

// And of what they had to reach before.
const (
	mostOfRaw    = 1.2 // the batch engine, all the way to the hands
	mostOfMemcpy = 2   // the mmap engine, to the head
)

// figures holds what was measured on one map against the design.
func (x *race) figures() []figure {
	var all []figure
	for _, want := range expectations() {
		for i, c := range x.list {
			if c.chosen && want.name == x.trial.name && want.large == x.lean && want.hold == c.hold {
				all = append(all, x.against(want, i)...)
			}
		}
	}
	if i := x.index(byRingside + reader.EngineMmap); i >= 0 {
		head := stat.Each(x.samples[i], pass.headNS)
		all = append(all, atMost(x.called(i)+" to head, of memcpy", stat.Ratio(head, x.ns(x.index(byMemcpy))), mostOfMemcpy, times))
	}
	if i := x.index(byRingside + reader.EngineBatch); i >= 0 && x.trial.name == "hash" {
		all = append(all, atMost(x.called(i)+" to hands, of raw-batch", stat.Ratio(x.ns(i), x.ns(x.index(byRawBatch))), mostOfRaw, times))
	}
	return all
}

func (x *race) called(i int) string {
	return fmt.Sprintf("%s of %s: %s", x.trial.name, table.Count(int64(x.trial.entries)), x.list[i].label())
}

// against makes the figures of one expectation. The floor tells how much more
// there could be.
func (x *race) against(want expectation, i int) []figure {
	all := []figure{
		atLeast(x.called(i)+", faster than iterate", stat.Ratio(x.ns(x.index(byIterate)), x.ns(i)), want.ofIterate, times),
		atLeast(x.called(i)+", faster than raw-batch", stat.Ratio(x.ns(x.index(byRawBatch)), x.ns(i)), want.ofRaw, times),
	}
	floor := max(x.index(byFloorWalk), x.index(byMemcpy))
	for j, of := range []string{byIterate, byRawBatch} {
		best := stat.Ratio(x.ns(x.index(of)), x.ns(floor)).Median
		all[j].Floor = fmt.Sprintf("%s alone: %s ns, %s", x.list[floor].name, table.Figure(stat.Of(x.ns(floor)).Median), table.Figure(best)+times)
	}
	if want.hold == shortHold {
		all = append(all, atMost(x.called(i)+", longest hold", exactly(x.holds[i]/1e6), 1, "ms"))
	}
	return all
}

// allocFigure is about all maps: the worst of them counts.
func allocFigure(rows []mapRow) figure {
	worst := 0.0
	for _, r := range rows {
		if r.ours() {
			worst = max(worst, r.Allocs)
		}
	}
	return atMost("allocations a scan, of any map and engine, reader and consumer together", exactly(worst), 0, "")
}

// mapTables makes one table for each size of map, and one of the engines.
func mapTables(r *result, rows []mapRow) {
	columns := []table.Column{table.Text("map"), table.Text("contender"), table.Number("ns/row"), table.Number("p10"), table.Number("p90"),
		table.Number("to head"), table.Number("M rows/s"), table.Number("MB/s"), table.Number("longest hold"),
		table.Number("faster than iterate"), table.Number("of raw-batch"), table.Number("allocs/scan")}
	engines := &table.Table{Title: "What ringside chose, and its memory", Columns: []table.Column{table.Text("map"), table.Number("entries"),
		table.Text("engine"), table.Text("reason"), table.Number("map MB"), table.Number("ring MB"), table.Number("private MB"), table.Number("of the map")}}
	var t *table.Table
	for i, row := range rows {
		if i == 0 || larger(rows, i) {
			t = &table.Table{Title: fmt.Sprintf("Maps of %s entries, key 4 B (trie 8 B), value 32 B (per CPU: times the CPUs)", table.Count(int64(row.Entries))), Columns: columns}
			r.tables = append(r.tables, t)
		}
		t.Add(row.Map, row.label(), table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90),
			unlessZero(row.HeadNS, ""), table.Figure(row.RowsPerSecond/1e6), table.Figure(row.MBPerSecond), shortTime(row.HoldNS),
			unlessZero(row.OfIterate, times), unlessZero(row.OfRaw, times), table.Figure(row.Allocs))
		if row.Chosen {
			engines.Add(row.Map, table.Count(int64(row.Entries)), row.engine(), row.Reason, table.Figure(float64(row.MapBytes)/1e6),
				table.Figure(float64(row.RingBytes)/1e6), table.Figure(float64(row.ScratchBytes)/1e6), unlessZero(row.Memory, times))
		}
	}
	r.tables = append(r.tables, engines)
	r.chart = mapChart(rows)
}

// larger reports whether a row is the first of maps that are much larger.
func larger(rows []mapRow, i int) bool { return rows[i].Entries > 2*rows[i-1].Entries }

// label is the contender with what sets it apart from others of that name.
func (r mapRow) label() string {
	label := r.Contender
	if r.MaxHold > 0 {
		label += fmt.Sprintf(", max_hold %v", r.MaxHold)
	}
	if r.Chosen {
		label += " (chosen)"
	}
	return label
}

func (r mapRow) engine() string {
	e := strings.TrimPrefix(r.Contender, byRingside)
	if r.MaxHold > 0 {
		e += fmt.Sprintf(" within %v", r.MaxHold)
	}
	return e
}

// mapChart shows what one would use, and the floor.
func mapChart(rows []mapRow) *picture {
	p := &picture{title: "Nanoseconds a row, map to hands", note: "Shorter is better; each map has a scale of its own."}
	shown := []string{byIterate, byBatchLookup, byRawBatch, byMemcpy, byFloorWalk}
	for _, row := range rows {
		if !row.Chosen && !slices.Contains(shown, row.Contender) {
			continue
		}
		label := row.Contender
		if row.MaxHold > 0 {
			label = row.engine()
		}
		group := fmt.Sprintf("%s, %s entries", row.Map, table.Count(int64(row.Entries)))
		p.bar(group, chart.Bar{Label: label, Value: row.NSPerRow, Text: table.Figure(row.NSPerRow) + " ns", Ours: row.Chosen})
	}
	return p
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
