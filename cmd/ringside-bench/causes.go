// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// causeRow is one way to read one hash under one circumstance.
type causeRow struct {
	Payload   int     `json:"payload_bytes"` // what its owner means to store
	Layout    string  `json:"layout"`
	ValueSize int     `json:"value_size"`
	Fill      int     `json:"fill_percent"`
	Entries   int     `json:"entries"`
	Writers   int     `json:"writers"`
	Contender string  `json:"contender"`
	NSPerRow  float64 `json:"ns_per_row"`
	P10       float64 `json:"ns_per_row_p10"`
	P90       float64 `json:"ns_per_row_p90"`
	Rounds    int     `json:"rounds"`
}

const (
	layoutPacked = "packed"
	layoutPadded = "padded" // to whole cache lines
	cacheLine    = 64
)

// The levels of the factors. payloads end below a cache line's end, so that
// padding changes something.
func payloads() []int { return []int{8, 40, 200} }
func fills() []int    { return []int{1, 25, 100} }
func writers() []int  { return slices.Compact([]int{0, 1, runtime.NumCPU()}) }

func runCauses(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"Every combination of value size, layout, fill and writers, on a hash with 4 B keys and room for --entries. Those of one value size are measured interleaved.",
		"padded: the value is rounded up to whole cache lines of 64 bytes. (The kernel puts 48 bytes and the key in front of it, so this moves values, and does not align them.)",
		"fill: how many of the entries that there is room for are there. The cost of passing over the empty ones is in the cost of those that are there.",
		"writers: threads that run a program in the kernel, which adds to the first word of values at random keys without a pause. With as many of them as CPUs, the reader shares its own.",
		"raw-lookup is a bare BPF_MAP_LOOKUP_ELEM for every key, raw-batch a bare loop of BPF_MAP_LOOKUP_BATCH, ringside-* a scan with ringside's choice of engine into private memory.",
	)
	var rows []causeRow
	for _, payload := range payloads() {
		err := b.part(func(b *bench) error {
			more, err := b.measureCauses(ctx, payload)
			rows = append(rows, more...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.Rows = rows
	causeTables(r, rows)
	return r, nil
}

// measureCauses races all circumstances of one payload.
func (b *bench) measureCauses(ctx context.Context, payload int) ([]causeRow, error) {
	var rows []causeRow
	var list []interleave.Contender[pass]
	for _, row := range combinations(payload, b.entries) {
		reads, writer, err := b.cause(row)
		if err != nil {
			return nil, err
		}
		for _, n := range writers() {
			for _, c := range reads {
				row.Writers, row.Contender = n, c.name
				rows = append(rows, row)
				one := contender(c.name, c.read)
				one.Pass = disturbed(one.Pass, writer, n)
				list = append(list, one)
			}
		}
	}
	samples, err := interleave.Run(ctx, list, b.rounds(fmt.Sprintf("values of %d bytes", payload), len(payloads())))
	if err != nil {
		return nil, err
	}
	for i := range rows {
		took := stat.By(samples[i], pass.nsPerRow)
		rows[i].NSPerRow, rows[i].P10, rows[i].P90, rows[i].Rounds = took.Median, took.P10, took.P90, took.N
	}
	return rows, nil
}

// combinations are the maps of one payload.
func combinations(payload, room int) []causeRow {
	var all []causeRow
	for _, layout := range []string{layoutPacked, layoutPadded} {
		size := payload
		if layout == layoutPadded {
			size = (payload + cacheLine - 1) / cacheLine * cacheLine
		}
		for _, fill := range fills() {
			all = append(all, causeRow{Payload: payload, Layout: layout, ValueSize: size, Fill: fill, Entries: max(1, room*fill/100)})
		}
	}
	return all
}

// cause makes a map, and everybody who reads or writes it.
func (b *bench) cause(row causeRow) ([]*entrant, *lab.Writer, error) {
	m, pin, err := b.newMap(fmt.Sprintf("%d_%d", row.ValueSize, row.Fill), &ebpf.MapSpec{
		Type: ebpf.Hash, KeySize: keyBytes, ValueSize: uint32(row.ValueSize), MaxEntries: uint32(b.entries)})
	if err != nil {
		return nil, nil, err
	}
	zero := make([]byte, row.ValueSize)
	for key := range uint32(row.Entries) {
		if err := m.Put(key, zero); err != nil {
			return nil, nil, err
		}
	}
	w, err := lab.OpenWriter(m, lab.Count, 0, uint32(row.Entries))
	if err != nil {
		return nil, nil, err
	}
	b.later(w.Close)
	s, err := reader.Open(pin, reader.Options{})
	if err != nil {
		return nil, nil, err
	}
	b.later(s.Close)
	const most = 1 << 20
	return []*entrant{
		{name: byRawLookup, read: timed(newLookups(m, row.ValueSize, row.Entries, min(row.Entries, someKeys)).rawPass)},
		{name: byRawBatch, read: timed(newRawBatch(m, keyBytes, row.ValueSize, min(b.entries, 4096)).pass)},
		{name: byRingside + s.Info().Engine, read: (&source{Source: s}).scanInto(newPrivate(most, most))},
	}, w, nil
}

// disturbed makes a pass while threads write.
func disturbed(do func(context.Context, int) (pass, error), w *lab.Writer, threads int) func(context.Context, int) (pass, error) {
	if threads == 0 {
		return do
	}
	return func(ctx context.Context, reps int) (pass, error) {
		stop := w.Start(threads)
		p, err := do(ctx, reps)
		return p, errors.Join(err, stop())
	}
}

// causeTables makes a table for each way to read, with the writers side by side.
func causeTables(r *result, rows []causeRow) {
	columns := []table.Column{table.Text("value"), table.Text("layout"), table.Number("value B"), table.Number("fill")}
	for _, n := range writers() {
		columns = append(columns, table.Number(fmt.Sprintf("%d writers", n)))
	}
	var names []string
	for _, row := range rows {
		if !slices.Contains(names, row.Contender) {
			names = append(names, row.Contender)
		}
	}
	for _, name := range names {
		t := &table.Table{Title: name + ", ns a row", Columns: columns}
		var cells []string
		for _, row := range rows {
			if row.Contender != name {
				continue
			}
			if len(cells) == 0 {
				cells = []string{fmt.Sprintf("%d B", row.Payload), row.Layout, fmt.Sprint(row.ValueSize), fmt.Sprintf("%d %%", row.Fill)}
			}
			if cells = append(cells, table.Figure(row.NSPerRow)); len(cells) == len(columns) {
				t.Add(cells...)
				cells = nil
			}
		}
		r.tables = append(r.tables, t)
	}
}
