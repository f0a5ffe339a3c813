// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// disturbRow is what a tracing program lost beside one contender.
type disturbRow struct {
	Contender string `json:"contender"`
	Map       string `json:"map"`
	Chosen    bool   `json:"chosen,omitempty"` // by ringside; else the engine was forced
	Scans     int    `json:"scans"`
	Misses    uint64 `json:"recursion_misses"` // of the events
	Events    uint64 `json:"events"`           // on the thread that reads
	// Counted is the kernel's own number for the program, all threads of the
	// machine together.
	Counted uint64 `json:"recursion_misses_counted"`
}

// timerEvery is how often a timer interrupts the reader: often, so that little
// time tells much.
const timerEvery = 50 * time.Microsecond

func runDisturb(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		"Each contender reads at full duty, on one thread, for an equal share of the time. A timer (a perf event of its processor time) expires every "+timerEvery.String()+" while it runs; the events are its expiries and all others on that thread.",
		"One program counts them at the raw tracepoint hrtimer_expire_entry, where the kernel runs programs whatever else goes on. Another counts them at the tracepoint of the same name, attached through perf_event_open as tracing tools do; what it was not shown is missed. The kernel's own count of misses (recursion_misses, over all threads of the machine, so others' reading is in it) stands beside.",
		"Misses that are no contender's fault would show with every one of them, also with those that make no lookup.",
	)
	probe, err := lab.OpenProbe(filepath.Join(b.home.Dir(), "tracefs"))
	if err != nil {
		return nil, fmt.Errorf("the probes: %w", err)
	}
	b.later(probe.Close)
	reads, err := b.disturbers()
	if err != nil {
		return nil, err
	}
	var rows []disturbRow
	for _, d := range reads {
		b.progress("%s", d.Contender)
		row, err := d.watch(ctx, probe, b.lasts/time.Duration(len(reads)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.Contender, err)
		}
		rows = append(rows, row)
	}
	r.Rows = rows
	disturbTable(r, rows)
	return r, nil
}

// disturber is a contender before it has read.
type disturber struct {
	disturbRow
	read once
}

func (b *bench) disturbers() ([]disturber, error) {
	var all []disturber
	for _, s := range subjects() {
		if s.name != "hash" && s.name != "array" && !s.mmapable() {
			continue
		}
		f, err := b.fill(s)
		if err != nil {
			return nil, err
		}
		add := func(name string, chosen bool, read once) {
			all = append(all, disturber{disturbRow{Contender: name, Map: s.name, Chosen: chosen}, read})
		}
		engines := []string{""}
		if s.name == "hash" {
			add(byIterate, false, timed(iterate[uint32](f.Map, new(value))))
			add(byRawBatch, false, timed(newRawBatch(f.Map, f.keySize, f.valueSize, min(f.entries, 4096)).pass))
			engines = []string{"", reader.EngineSweep, reader.EngineIter, reader.EngineBatch, reader.EngineWalk}
		}
		for _, engine := range engines {
			src, err := reader.Open(f.pin, reader.Options{Engine: engine, MaxHold: longHold})
			if engine != "" && errors.Is(err, reader.ErrNoEngine) {
				continue
			}
			if err != nil {
				return nil, err
			}
			b.later(src.Close)
			const most = 1 << 20
			add(byRingside+src.Info().Engine, engine == "", (&source{Source: src}).scanInto(newPrivate(most, most)))
		}
	}
	return all, nil
}

// watch lets it read for a while, interrupted by a timer.
func (d disturber) watch(ctx context.Context, probe *lab.Probe, lasts time.Duration) (row disturbRow, err error) {
	runtime.LockOSThread() // it is a thread that is watched
	defer runtime.UnlockOSThread()
	row = d.disturbRow
	// The clock of a thread, which no one reads: its timer runs while the thread does.
	clock := &unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Sample: uint64(timerEvery)}
	timer, err := unix.PerfEventOpen(clock, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return row, fmt.Errorf("a timer that interrupts the reader: %w", err)
	}
	defer unix.Close(timer)
	events, err := probe.Watch(func() error {
		for start := time.Now(); row.Scans == 0 || time.Since(start) < lasts; row.Scans++ {
			if err := d.read(ctx, new(pass)); err != nil {
				return err
			}
		}
		return nil
	})
	row.Events, row.Misses, row.Counted = events.All, events.All-min(events.All, events.Shown), events.Misses
	return row, err
}

func disturbTable(r *result, rows []disturbRow) {
	t := &table.Table{Title: "Events that a tracing program was not shown", Columns: []table.Column{table.Text("map"), table.Text("contender"),
		table.Number("scans"), table.Number("events"), table.Number("missed"), table.Number("of them"), table.Number("by the kernel's count")}}
	r.chart = &picture{title: "Events that a tracing program was not shown, in percent", note: "Less is better. Each map has a scale of its own."}
	chosen, lookups := uint64(0), uint64(0)
	for _, row := range rows {
		name := row.Contender
		if row.Chosen {
			name += " (chosen)"
			chosen += row.Misses
		} else if row.Contender == byRawBatch || row.Contender == byIterate {
			lookups += row.Misses
		}
		share := 100 * float64(row.Misses) / float64(max(row.Events, 1))
		t.Add(row.Map, name, table.Count(int64(row.Scans)), table.Count(int64(row.Events)), table.Count(int64(row.Misses)), table.Figure(share)+" %", table.Count(int64(row.Counted)))
		r.chart.bar("map: "+row.Map, chart.Bar{Label: name, Value: share, Text: table.Figure(share) + " %", Ours: row.Chosen})
	}
	r.tables = append(r.tables, t)
	r.Figures = append(r.Figures,
		atMost("events that others lose beside the engines that ringside chooses", exactly(float64(chosen)), 0, ""),
		atLeast("events that they lose beside lookups and batches in the same run", exactly(float64(lookups)), 1, ""))
}
