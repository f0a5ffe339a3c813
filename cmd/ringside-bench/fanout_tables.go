// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// fanoutTables are one for each path and one by size; the chart shows where the
// figures of the paths are.
func fanoutTables(r *result, rows []fanoutRow) {
	r.chart = &picture{title: fmt.Sprintf("Processor time for a delivered row, ns, %d consumers", figureConsumers), note: "Shorter is better."}
	for _, path := range []string{pathWhole, pathDelivery} {
		first := ""
		var t *table.Table
		for _, row := range rows {
			if row.Path != path {
				continue
			}
			if t == nil {
				first = row.Contender
				t = &table.Table{Title: "Fan-out, " + pathTitle(path), Columns: []table.Column{table.Number("consumers"), table.Text("contender"),
					table.Number("CPU ns/delivered row"), table.Number("p10"), table.Number("p90"), table.Number("of that the publisher"),
					table.Number("lost"), table.Number("cheaper than " + first)}}
			}
			cheaper := ""
			if row.Contender != first {
				cheaper = table.Figure(row.Cheaper) + times
			}
			t.Add(table.Count(int64(row.Consumers)), row.Contender, table.Figure(row.CPUPerRow), table.Figure(row.P10), table.Figure(row.P90),
				table.Figure(row.PublisherCPU), fmt.Sprintf("%.2f %%", row.Lost), cheaper)
			if row.Consumers == figureConsumers {
				r.chart.bar(pathTitle(path), chart.Bar{Label: row.Contender, Value: row.CPUPerRow, Text: table.Figure(row.CPUPerRow) + " ns",
					Ours: row.Contender == byRingGo || row.Contender == byRingC})
			}
		}
		r.tables = append(r.tables, t)
	}
	if len(r.chart.groups) == 0 {
		r.chart = nil
	}
	sizesTable(r, rows)
	eventsTable(r, rows)
}

// sizesTable has its contenders' rows of delivery alone in it, too.
func sizesTable(r *result, rows []fanoutRow) {
	var list []fanoutRow
	there := map[string]bool{}
	for _, row := range rows {
		if row.Path == pathSizes {
			list = append(list, row)
			there[row.Contender] = true
		}
	}
	if list == nil {
		return
	}
	for _, row := range rows {
		if row.Path == pathDelivery && row.Consumers == figureConsumers && there[row.Contender] {
			list = append(list, row)
		}
	}
	slices.SortStableFunc(list, func(a, b fanoutRow) int { return a.ScanRows - b.ScanRows })
	t := &table.Table{Title: fmt.Sprintf("Fan-out, delivery alone to %d consumers, by size", figureConsumers), Columns: []table.Column{
		table.Number("rows a scan"), table.Text("contender"), table.Number("CPU ns/delivered row"), table.Number("p10"), table.Number("p90"),
		table.Number("of that the publisher"), table.Number("lost"), table.Number("cheaper than " + list[0].Contender)}}
	for _, row := range list {
		cheaper := ""
		if row.Contender != list[0].Contender {
			cheaper = table.Figure(row.Cheaper) + times
		}
		t.Add(table.Count(int64(row.ScanRows)), row.Contender, table.Figure(row.CPUPerRow), table.Figure(row.P10), table.Figure(row.P90),
			table.Figure(row.PublisherCPU), fmt.Sprintf("%.2f %%", row.Lost), cheaper)
	}
	r.tables = append(r.tables, t)
}

func eventsTable(r *result, rows []fanoutRow) {
	t := &table.Table{Title: "Fan-out of events", Columns: []table.Column{table.Text("ringbuf"), table.Number("consumers"), table.Text("contender"),
		table.Number("M events/s to each"), table.Number("p10"), table.Number("p90"), table.Number("CPU ns/delivered event"), table.Number("p10"), table.Number("p90"),
		table.Number("of that the publisher"), table.Number("lost"), table.Number("found full")}}
	million := func(rate float64) string { return table.Figure(rate / 1e6) }
	for _, row := range rows {
		ringbuf, full := "drained", ""
		switch row.Path {
		case pathSustained:
			ringbuf, full = "sustained", table.Count(int64(row.Full))
		case pathEvents:
		default:
			continue
		}
		t.Add(ringbuf, table.Count(int64(row.Consumers)), row.Contender, million(row.RowsPerSecond), million(row.RateP10), million(row.RateP90),
			table.Figure(row.CPUPerRow), table.Figure(row.P10), table.Figure(row.P90), unlessZero(row.PublisherCPU, ""), fmt.Sprintf("%.2f %%", row.Lost), full)
	}
	r.tables = append(r.tables, t)
}
