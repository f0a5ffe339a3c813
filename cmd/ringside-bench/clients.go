// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// What a row may cost, in ns, and what Python may take of numpy's own time.
const (
	mostNative     = 1 // C and Rust, in a lease
	mostGo         = 2
	mostOfNumpy    = 1.5
	leastPythonMPS = 50 // million rows a second, in a loop over batches
)

// clientRow is one client with one number of rows.
type clientRow struct {
	Contender string  `json:"contender"`
	Entries   int     `json:"entries"`
	Lease     float64 `json:"lease_ns_per_row"`
	LeaseP10  float64 `json:"lease_ns_per_row_p10"`
	LeaseP90  float64 `json:"lease_ns_per_row_p90"`
	Copies    float64 `json:"copies_ns_per_row"`
	Own       float64 `json:"own_memory_ns_per_row,omitempty"` // numpy on an array of its own
	Rounds    int     `json:"rounds"`
}

// consumed is what one run of a client says, in ns a row.
type consumed struct {
	Lease      float64 `json:"lease_ns_per_row"`
	Copies     float64 `json:"copies_ns_per_row"`
	Copy       float64 `json:"copy_ns_per_row"` // the same by another name
	Own        float64 `json:"numpy_ns_per_row"`
	OwnByFrame float64 `json:"numpy_by_frame_ns_per_row"`
	NumRows    uint64  `json:"rows"`
}

func (c consumed) lease() float64  { return c.Lease }
func (c consumed) copies() float64 { return max(c.Copies, c.Copy) }
func (c consumed) own() float64    { return c.Own }

const (
	cachedRows = 16384 // 600 kB, which stay in the caches
	byGo       = "Go"
	byC        = "C"
	byRust     = "Rust"
	byPython   = "Python"
)

func runClients(ctx context.Context, b *bench) (*result, error) {
	sizes := []int{min(cachedRows, b.entries)}
	if b.large > 0 {
		sizes = append(sizes, b.large)
	}
	return b.clients(ctx, sizes, languages())
}

func (b *bench) clients(ctx context.Context, sizes []int, all []language) (*result, error) {
	r := b.result(
		"Rows of 4 B key and 32 B value lie in a ring that nobody writes; a consumer attaches and reads all of them, again and again, in a lease and as copies. What it does with a row: Go, Rust and C look at the key and one word of the value; Python sums one column of every batch by numpy. Each program is its client's own benchmark, built for this run: clients/c/bench, clients/rust/examples/bench.rs, clients/python/bench. Go reports the median of its passes, the others the fastest.",
		fmt.Sprintf("%d rows stay in the processor's caches; what %d rows cost is what memory costs. Python, own memory: numpy sums the same column of an array of its own, of the same stride.", sizes[0], sizes[len(sizes)-1]),
	)
	dir, err := os.MkdirTemp("/var/tmp", "ringside-bench-")
	if err != nil {
		return nil, err
	}
	b.later(func() error { return os.RemoveAll(dir) })
	var here []language
	for _, l := range all {
		b.progress("building %s", l.name)
		if err := l.prepare(ctx, &l, dir); err != nil {
			r.Method = append(r.Method, fmt.Sprintf("Left out: %s (%v).", l.name, err))
			continue
		}
		here = append(here, l)
	}
	var rows []clientRow
	for _, size := range sizes {
		err := b.part(func(b *bench) error {
			more, figures, err := b.measureClients(ctx, size, here, len(sizes))
			rows = append(rows, more...)
			r.Figures = append(r.Figures, figures...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.Rows = rows
	t := &table.Table{Title: "What a row costs, in ns", Columns: []table.Column{table.Text("client"), table.Number("rows"), table.Number("in a lease"), table.Number("p10"), table.Number("p90"),
		table.Number("as copies"), table.Number("own memory"), table.Number("M rows/s, copies")}}
	for _, row := range rows {
		t.Add(row.Contender, table.Count(int64(row.Entries)), table.Figure(row.Lease), table.Figure(row.LeaseP10), table.Figure(row.LeaseP90),
			table.Figure(row.Copies), unlessZero(row.Own, ""), table.Figure(1e3/row.Copies))
	}
	r.tables = append(r.tables, t)
	return r, nil
}

func (b *bench) measureClients(ctx context.Context, size int, here []language, parts int) ([]clientRow, []figure, error) {
	socket, err := b.lieReady(ctx, size)
	if err != nil {
		return nil, nil, err
	}
	var list []interleave.Contender[consumed]
	for _, l := range here {
		list = append(list, interleave.Contender[consumed]{Name: l.name, Pass: func(ctx context.Context, _ int) (consumed, error) { return l.read(ctx, socket, size) }})
	}
	o := b.rounds(fmt.Sprintf("%d rows", size), parts)
	o.PassFor = 0 // programs that repeat themselves
	samples, err := interleave.Run(ctx, list, o)
	if err != nil {
		return nil, nil, err
	}
	var rows []clientRow
	var figures []figure
	for i, l := range here {
		lease := stat.By(samples[i], consumed.lease)
		copies := stat.By(samples[i], consumed.copies)
		rows = append(rows, clientRow{l.name, size, lease.Median, lease.P10, lease.P90, copies.Median, stat.By(samples[i], consumed.own).Median, lease.N})
		figures = append(figures, l.figures(size, samples[i])...)
	}
	return rows, figures, nil
}

// figures are what is expected of a client: of native ones where the row is in
// the cache, of Python where numpy has as far to go.
func (l language) figures(size int, samples []consumed) []figure {
	cached := size <= cachedRows
	what := fmt.Sprintf("%s, a row of %d in a lease", l.name, size)
	switch {
	case l.name == byPython && !cached:
		of := stat.Ratio(stat.Each(samples, consumed.lease), stat.Each(samples, consumed.own))
		rate := stat.By(samples, func(c consumed) float64 { return 1e3 / c.copies() })
		inLease := atMost("Python, numpy's sum in a lease, of its own memory", of, mostOfNumpy, times)
		byFrame := stat.By(samples, func(c consumed) float64 { return c.OwnByFrame / c.own() })
		inLease.Floor = fmt.Sprintf("numpy on own memory, in pieces as large as a frame: %s×", table.Figure(byFrame.Median))
		return []figure{inLease, atLeast("Python, a loop over batches", rate, leastPythonMPS, "M rows/s")}
	case l.name == byPython || !cached:
		return nil
	case l.name == byGo:
		return []figure{atMost(what, stat.By(samples, consumed.lease), mostGo, "ns")}
	}
	return []figure{atMost(what, stat.By(samples, consumed.lease), mostNative, "ns")}
}

// languages are the clients that there are, in the order in which they are shown.
func languages() []language {
	return []language{
		{name: byC, prepare: prepareC},
		{name: byRust, prepare: prepareRust},
		{name: byGo, prepare: prepareGo},
		{name: byPython, prepare: preparePython},
	}
}

// only are some of them.
func only(names ...string) []language {
	return slices.DeleteFunc(languages(), func(l language) bool { return !slices.Contains(names, l.name) })
}

// beside finds another client's folder beside that of C.
func beside(name string) (string, error) {
	c, err := clientInC()
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(filepath.Join(c, "..", name))
	if err != nil {
		return "", err
	}
	_, err = os.Stat(dir)
	return dir, err
}
