// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/delay"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// latencyRow is one contender.
type latencyRow struct {
	Contender string `json:"contender"`
	Waiting   string `json:"waiting"` // what the consumer does when there is nothing
	P50       int64  `json:"p50_ns"`
	P99       int64  `json:"p99_ns"`
	P999      int64  `json:"p999_ns"`
	Max       int64  `json:"max_ns"`
	Records   uint64 `json:"records"` // that the figures are made of
	Lost      uint64 `json:"lost"`
	DueP50    int64  `json:"from_due_p50_ns,omitempty"` // from the schedule, not from the record's submission
	DueP99    int64  `json:"from_due_p99_ns,omitempty"`
	DueMax    int64  `json:"from_due_max_ns,omitempty"`
	RingP50   int64  `json:"from_published_p50_ns,omitempty"` // that the ring and its consumer take of it
	RingP99   int64  `json:"from_published_p99_ns,omitempty"`
	Rounds    int    `json:"rounds"`
}

const micro = "us"

// latencyRows lays out what was seen.
func latencyRows(r *result, list []*route, samples [][]*seen) {
	rows := make([]latencyRow, len(list))
	for i, e := range list {
		var all seen
		for _, s := range samples[i] {
			all.merge(s)
		}
		rows[i] = e.row(&all)
		rows[i].Rounds = len(samples[i])
	}
	r.Rows = rows
	latencyTable(r, rows)
	latencyFigures(r, list, samples)
}

func (e *route) row(all *seen) latencyRow {
	of := e.measured(all)
	row := latencyRow{Contender: e.contender, Waiting: e.waiting, Records: of.Total(), Lost: all.Lost,
		P50: int64(of.Quantile(0.5)), P99: int64(of.Quantile(0.99)), P999: int64(of.Quantile(0.999)), Max: int64(of.Max())}
	if !e.published {
		row.DueP50, row.DueP99, row.DueMax = int64(all.Due.Quantile(0.5)), int64(all.Due.Quantile(0.99)), int64(all.Due.Max())
		row.RingP50, row.RingP99 = int64(all.Published.Quantile(0.5)), int64(all.Published.Quantile(0.99))
	}
	return row
}

// measured is what a route is judged by.
func (e *route) measured(s *seen) *delay.Histogram {
	if e.published {
		return &s.Published
	}
	return &s.Sent
}

func latencyTable(r *result, rows []latencyRow) {
	t := &table.Table{Title: "From an event to its consumer, in us", Columns: []table.Column{table.Text("contender"), table.Text("consumer"),
		table.Number("p50"), table.Number("p99"), table.Number("p99.9"), table.Number("max"), table.Number("p50 from due"), table.Number("p99"), table.Number("max"),
		table.Number("p50 from published"), table.Number("p99"), table.Number("samples"), table.Number("lost")}}
	r.chart = &picture{title: "From an event to its consumer, us", note: "Median and 99th percentile. Shorter is better."}
	us := func(ns int64) string { return unlessZero(float64(ns)/1e3, "") }
	for _, row := range rows {
		t.Add(row.Contender, row.Waiting, us(row.P50), us(row.P99), us(row.P999), us(row.Max), us(row.DueP50), us(row.DueP99), us(row.DueMax),
			us(row.RingP50), us(row.RingP99), table.Count(int64(row.Records)), table.Count(int64(row.Lost)))
	}
	for _, row := range rows {
		name := row.Contender + ", consumer " + row.Waiting
		for what, ns := range []int64{row.P50, row.P99} {
			label := [...]string{"p50", "p99"}[what]
			r.chart.bar(name, chart.Bar{Label: label, Value: float64(ns) / 1e3, Text: us(ns) + " us", Ours: row.Contender != byDirect})
		}
	}
	r.tables = append(r.tables, t)
}

func latencyFigures(r *result, list []*route, samples [][]*seen) {
	find := func(contender, waiting string) []*seen {
		for i, e := range list {
			if e.contender == contender && e.waiting == waiting {
				return samples[i]
			}
		}
		return nil
	}
	sent := func(s *seen) float64 { return float64(s.Sent.Quantile(0.5)) }
	published := func(s *seen) float64 { return float64(s.Published.Quantile(0.5)) / float64(time.Microsecond) }
	direct := stat.Each(find(byDirect, asleep), sent)
	if s := find(bySidecar, asleep); s != nil {
		r.Figures = append(r.Figures, atMost("event to consumer, all asleep, p50 of direct", stat.Ratio(stat.Each(s, sent), direct), mostAsleep, times))
	}
	if s := find(byPolling, asleep); s != nil {
		r.Figures = append(r.Figures, atMost("event to consumer, the sidecar polls, p50 of direct", stat.Ratio(stat.Each(s, sent), direct), mostPolling, times))
	}
	if s := find(bySidecar, awake); s != nil {
		busy := atMost("published to a busy consumer, p50", stat.By(s, published), mostBusy, micro)
		if floor := find(byFloor, awake); floor != nil {
			busy.Floor = fmt.Sprintf("a minimal pair in C: %s us", table.Figure(stat.By(floor, published).Median))
		}
		r.Figures = append(r.Figures, busy)
	}
}
