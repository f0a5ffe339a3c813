// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// crowd is how many readers want the same map at once.
const crowd = 8

// crowded are the maps that are read so.
var crowded = [...]string{"hash", "percpu_hash", "array"} // never written to

// crowdRow is one contender with several readers.
type crowdRow struct {
	Map           string  `json:"map"`
	Contender     string  `json:"contender"`
	Readers       int     `json:"readers"`
	Entries       int     `json:"entries"`
	CPUPerRow     float64 `json:"cpu_ns_per_row"` // that was delivered, to any reader
	P10           float64 `json:"cpu_ns_per_row_p10"`
	P90           float64 `json:"cpu_ns_per_row_p90"`
	RowsPerSecond float64 `json:"rows_per_second"` // delivered, by the clock on the wall
	OfRaw         float64 `json:"times_cheaper_than_raw_batch,omitempty"`
	Rounds        int     `json:"rounds"`
}

// together is what one pass of a crowd measured.
type together struct {
	rows      int
	cpu, wall time.Duration
}

func (t together) nsPerRow() float64      { return perRow(t.cpu, t.rows) }
func (t together) rowsPerSecond() float64 { return float64(t.rows) / t.wall.Seconds() }

// measureCrowds lets several readers have each map.
func (b *bench) measureCrowds(ctx context.Context, share int) ([]crowdRow, error) {
	var rows []crowdRow
	for _, s := range subjects() {
		if !slices.Contains(crowded[:], s.name) {
			continue
		}
		err := b.part(func(b *bench) error {
			more, err := b.measureCrowd(ctx, s, share)
			rows = append(rows, more...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (b *bench) measureCrowd(ctx context.Context, s subject, share int) ([]crowdRow, error) {
	f, err := b.fill(s)
	if err != nil {
		return nil, err
	}
	chunk, err := tune(f.entries, func(chunk int) bare { return newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass })
	if err != nil {
		return nil, err
	}
	var walks, batches [crowd]bare
	for i := range crowd {
		walks[i] = iterate[uint32](f.Map, new(value))
		batches[i] = newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass
	}
	name, ours, err := b.oneForAll(ctx, f)
	if err != nil {
		return nil, err
	}
	list := []interleave.Contender[together]{{Name: byRawBatch, Pass: passTogether(nil, batches)}, {Name: name, Pass: ours}}
	if s.name == "hash" { // slow everywhere, and once will do to show it
		list = append(list, interleave.Contender[together]{Name: byIterate, Pass: passTogether(nil, walks)})
	}
	samples, err := interleave.Run(ctx, list, b.rounds(fmt.Sprintf("%s, %d readers", s.name, crowd), share))
	if err != nil {
		return nil, err
	}
	var rows []crowdRow
	raw := stat.Each(samples[0], together.nsPerRow)
	for i, c := range list {
		ns := stat.Each(samples[i], together.nsPerRow)
		took := stat.Of(ns)
		rows = append(rows, crowdRow{s.name, c.Name, crowd, f.entries, took.Median, took.P10, took.P90,
			stat.By(samples[i], together.rowsPerSecond).Median, stat.Ratio(raw, ns).Median, took.N})
	}
	return rows, nil
}

// oneForAll is ringside: one scan, which all consumers wait for.
func (b *bench) oneForAll(ctx context.Context, f *filled) (string, func(context.Context, int) (together, error), error) {
	r, err := b.newRing(scanBytes(f.Map, f.keySize+f.valueSize))
	if err != nil {
		return "", nil, err
	}
	s, err := b.publish(r, f.pin, reader.Options{})
	if err != nil {
		return "", nil, err
	}
	waiting, giveUp := context.WithCancel(ctx)
	b.later(func() error { giveUp(); return nil })
	var consumers [crowd]bare
	for i := range consumers {
		sub, err := attach(ctx, r.socket)
		if err != nil {
			return "", nil, err
		}
		b.later(sub.Close)
		h, err := newHands[uint32](sub, f.name, f.perCPU)
		if err != nil {
			return "", nil, err
		}
		consumers[i] = func() (int, error) { return h.scan(waiting) }
	}
	scan := func() error {
		_, err := s.Scan(ctx, s.into)
		if err != nil {
			giveUp() // or they would wait for the end of it
		}
		return err
	}
	return byRingside + s.Info().Engine, passTogether(scan, consumers), nil
}

// passTogether lets all readers read the map once, side by side, and waits for
// the last, as often as told. first runs beside them.
func passTogether(first func() error, readers [crowd]bare) func(context.Context, int) (together, error) {
	return func(_ context.Context, reps int) (together, error) {
		var all together
		start, cpu := time.Now(), processTime()
		for range reps {
			rows, err := readTogether(first, readers)
			if err != nil {
				return all, err
			}
			all.rows += rows
		}
		all.wall, all.cpu = time.Since(start), processTime()-cpu
		return all, nil
	}
}

func readTogether(first func() error, readers [crowd]bare) (rows int, err error) {
	type end struct {
		rows int
		err  error
	}
	ends := make(chan end, crowd)
	for _, read := range readers {
		go func() {
			n, err := read()
			ends <- end{n, err}
		}()
	}
	if first != nil {
		err = first()
	}
	for range readers {
		e := <-ends
		rows += e.rows
		err = errors.Join(err, e.err)
	}
	return rows, err
}

// processTime is what all threads of this process have used.
func processTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t) != nil {
		return 0 // cannot fail for one's own process
	}
	return time.Duration(t.Nano())
}

func crowdTable(r *result, rows []crowdRow) {
	r.Method = append(r.Method, fmt.Sprintf("%d readers at once: of iterate and raw-batch each reads the map for itself; of ringside one scan is published, and each consumer looks at all of it. Processor time is that of the whole process, garbage collection and waking included, for each row that a reader was given.", crowd))
	t := &table.Table{Title: fmt.Sprintf("%d readers of one map at once", crowd), Columns: []table.Column{table.Text("map"), table.Text("contender"),
		table.Number("CPU ns/delivered row"), table.Number("p10"), table.Number("p90"), table.Number("M rows/s delivered"), table.Number("cheaper than raw-batch")}}
	for _, row := range rows {
		t.Add(row.Map, row.Contender, table.Figure(row.CPUPerRow), table.Figure(row.P10), table.Figure(row.P90),
			table.Figure(row.RowsPerSecond/1e6), unlessZero(row.OfRaw, times))
	}
	r.tables = append(r.tables, t)
}
