// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// soakRow is one window.
type soakRow struct {
	Second     int    `json:"second"` // in which the window began
	P50        int64  `json:"p50_ns"`
	P99        int64  `json:"p99_ns"`
	P999       int64  `json:"p999_ns"`
	Max        int64  `json:"max_ns"`
	Scans      uint64 `json:"scans"` // delivered, to all readers
	Lost       uint64 `json:"lost_rows"`
	SidecarRSS int64  `json:"sidecar_rss_bytes"`
	ReaderRSS  int64  `json:"reader_rss_bytes"` // of one reader
}

// soakPlan is what is kept up.
type soakPlan struct {
	readers int
	every   time.Duration
	window  time.Duration // at least
}

const mostWindows = 60

func runSoak(ctx context.Context, b *bench) (*result, error) {
	path, err := sidecarBinary()
	if errors.Is(err, fs.ErrNotExist) {
		r := b.result(noSidecar)
		r.Rows = []soakRow{}
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	return b.soak(ctx, path, soakPlan{16, 10 * time.Millisecond, 2 * time.Second})
}

const noSidecar = "There is no bin/ringside: run `make build` first. Nothing was measured."

func (b *bench) soak(ctx context.Context, path string, plan soakPlan) (*result, error) {
	r := b.result(
		fmt.Sprintf("`ringside serve` scans a preallocated hash of %d entries every %v, with a duty of 100 %%; %d readers in processes of their own, asleep in between, take every frame. The time is that from the end of a scan to the reader who has its last batch, of all readers together.", b.entries, plan.every, plan.readers),
		"The run is cut into windows; drift compares the last with the first. `--for 1h` makes it as long as you like.",
	)
	f, err := b.fill(subjects()[0])
	if err != nil {
		return nil, err
	}
	s, err := b.serveConfig(ctx, path, sidecarName, fmt.Sprintf("version: 1\nreader: {duty: 100%%}\nrings: [{name: %s}]\nmaps: [{path: %s, ring: %s, every: %v}]\n", ringName, f.pin, ringName, plan.every), ringName)
	if err != nil {
		return nil, err
	}
	readers, err := b.startWatchers(ctx, s, plan.readers)
	if err != nil {
		return nil, err
	}
	window := max(plan.window, b.lasts/mostWindows)
	if err := wait(ctx, window/2); err != nil { // everybody settles down
		return nil, err
	}
	if _, err := seenBy(ctx, readers); err != nil {
		return nil, err
	}
	var rows []soakRow
	for start := time.Now(); len(rows) < 2 || time.Since(start) < b.lasts; {
		row := soakRow{Second: int(time.Since(start).Seconds())}
		if err := b.soakWindow(ctx, s, readers, window, &row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
		b.progress("second %d", row.Second)
	}
	r.Rows = rows
	soakTables(r, rows)
	return r, nil
}

func (b *bench) soakWindow(ctx context.Context, s *sidecar, readers []*child, window time.Duration, row *soakRow) error {
	if err := wait(ctx, window); err != nil {
		return err
	}
	all, err := seenBy(ctx, readers)
	if err != nil {
		return err
	}
	of := &all.Published
	row.P50, row.P99, row.P999, row.Max = int64(of.Quantile(0.5)), int64(of.Quantile(0.99)), int64(of.Quantile(0.999)), int64(of.Max())
	row.Scans, row.Lost = of.Total(), all.Lost
	if row.SidecarRSS, err = residentBytes(s.cmd.Process.Pid); err == nil {
		row.ReaderRSS, err = residentBytes(readers[0].cmd.Process.Pid)
	}
	return err
}

// startWatchers starts so many and lets them watch the ring of that sidecar.
func (b *bench) startWatchers(ctx context.Context, s *sidecar, n int) (list []*child, err error) {
	for range n {
		c, err := b.startSelf(ctx, watcherVerb, "--socket", s.socket, "--ring", ringName)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
		if _, err := c.tell(ctx, sayWatch); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// seenBy is what all of them have seen since they were last asked.
func seenBy(ctx context.Context, list []*child) (*seen, error) {
	var all seen
	for _, c := range list {
		s, err := c.seen(ctx)
		if err != nil {
			return nil, err
		}
		all.merge(s)
	}
	return &all, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// residentBytes is what a process holds of memory, shared memory included.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm holds %q", pid, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

func soakTables(r *result, rows []soakRow) {
	t := &table.Table{Title: "From the end of a scan to its readers, by window, in us", Columns: []table.Column{table.Number("second"), table.Number("p50"), table.Number("p99"),
		table.Number("p99.9"), table.Number("max"), table.Number("scans"), table.Number("rows lost"), table.Number("sidecar, MB"), table.Number("a reader, MB")}}
	us := func(ns int64) string { return table.Figure(float64(ns) / 1e3) }
	mb := func(bytes int64) string { return table.Figure(float64(bytes) / 1e6) }
	lost := uint64(0)
	for _, row := range rows {
		t.Add(table.Count(int64(row.Second)), us(row.P50), us(row.P99), us(row.P999), us(row.Max), table.Count(int64(row.Scans)), table.Count(int64(row.Lost)), mb(row.SidecarRSS), mb(row.ReaderRSS))
		lost += row.Lost
	}
	first, last := rows[0], rows[len(rows)-1]
	drift := &table.Table{Title: "Drift, the last window against the first", Columns: []table.Column{table.Text("what"), table.Number("first"), table.Number("last"), table.Number("last of first")}}
	for _, x := range []struct {
		what        string
		first, last int64
		text        func(int64) string
	}{
		{"p50, us", first.P50, last.P50, us}, {"p99, us", first.P99, last.P99, us},
		{"sidecar, MB", first.SidecarRSS, last.SidecarRSS, mb}, {"a reader, MB", first.ReaderRSS, last.ReaderRSS, mb},
	} {
		drift.Add(x.what, x.text(x.first), x.text(x.last), table.Figure(float64(x.last)/float64(max(x.first, 1)))+" "+times)
	}
	drift.Add("rows lost, all windows", "", table.Count(int64(lost)), "")
	r.tables = append(r.tables, t, drift)
}
