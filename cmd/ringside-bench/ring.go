// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/shm"
)

// Contenders of the experiment.
const (
	byRing         = "ring"            // claim and commit, nothing in between
	byPrivateScan  = "scan-private"    // a scan into one buffer that is used again and again
	byPrivateCycle = "scan-private-ml" // a scan through as much private memory as the ring has
	byRingScan     = "scan-ring"       // a scan into the ring
)

// mostAdded is what publishing may add to reading, in ns a row.
const mostAdded = 5

// ringRow is one contender.
type ringRow struct {
	Contender        string  `json:"contender"`
	Map              string  `json:"map,omitempty"`
	Producers        int     `json:"producers"`
	BatchRows        int     `json:"batch_rows,omitempty"`
	NSPerBatch       float64 `json:"ns_per_batch,omitempty"`
	BatchesPerSecond float64 `json:"batches_per_second,omitempty"` // of all producers
	NSPerRow         float64 `json:"ns_per_row"`
	P10              float64 `json:"ns_per_row_p10"`
	P90              float64 `json:"ns_per_row_p90"`
	Allocs           float64 `json:"allocs_per_scan"`
	Rounds           int     `json:"rounds"`
}

func runRing(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"claim + commit: the bytes of a batch are claimed in the ring and committed, without filling them, while one consumer is attached and awake.",
		fmt.Sprintf("Several producers: each hands on batches of %d rows as fast as it can, from a thread of its own; the time is that of all their threads, for a batch. The ring has a lock, which is held for a claim and for a commit. channel is a Go channel of descriptors of 64 bytes, cas-queue a bounded queue of them without a lock (Vyukov's), both with room for %d and a consumer that takes them out. The consumer's time is not in it. Neither keeps anything for a second reader, or reaches another process.", handedRows, handedSlots),
		"What publishing adds: the same reader scans the same map into the ring and into private memory, interleaved; the difference is taken round by round.",
		"The private memory is one buffer of the size of the largest frame, which stays in the processor's caches as no ring can; scan-private-ml goes through as much memory as the ring has, which tells what of the difference is memory and what is publishing.",
	)
	var rows []ringRow
	err := b.part(func(b *bench) (err error) {
		rows, err = b.measureClaims(ctx, 8)
		return err
	})
	if err == nil {
		err = b.part(func(b *bench) error {
			more, err := b.contest(ctx, 8)
			rows = append(rows, more...)
			return err
		})
	}
	for _, s := range subjects() {
		if err != nil {
			return nil, err
		}
		if s.name != "hash" && !s.mmapable() {
			continue
		}
		share := 4
		if !s.mmapable() {
			share = 2 // a few ns beside hundreds take many rounds to see
		}
		err = b.part(func(b *bench) error {
			more, added, err := b.measureAdded(ctx, s, share)
			rows, r.Figures = append(rows, more...), append(r.Figures, added)
			return err
		})
	}
	r.Rows = rows
	ringTables(r, rows)
	return r, err
}

// measureClaims is claim and commit alone.
func (b *bench) measureClaims(ctx context.Context, share int) ([]ringRow, error) {
	const rowBytes = keyBytes + valueBytes
	ring, err := b.newRing(b.entries * rowBytes)
	if err != nil {
		return nil, err
	}
	p, err := ring.AddSource(shm.SourceInfo{Name: "claims", KeySize: keyBytes, ValueSize: valueBytes})
	if err != nil {
		return nil, err
	}
	if _, _, err := ring.Publisher.Attach(shm.StartHead, shm.AnySource, 0); err != nil {
		return nil, err
	}
	batches := []int{1, 64, 1024}
	var list []interleave.Contender[pass]
	for _, rows := range batches {
		bytes := min(rows*rowBytes, p.Largest())
		content := shm.Content{Kind: shm.KindRows, Rows: uint32(bytes / rowBytes), Bytes: bytes,
			KeyStride: keyBytes, ValuesOffset: uint32(bytes / rowBytes * keyBytes), ValueStride: valueBytes}
		list = append(list, contender(fmt.Sprintf("%s, batches of %d rows", byRing, rows), func(ctx context.Context, d *pass) error {
			return claims(ctx, d, p, content)
		}))
	}
	samples, err := interleave.Run(ctx, list, b.rounds("claim and commit", share))
	if err != nil {
		return nil, err
	}
	var rows []ringRow
	for i, s := range samples {
		row := newRingRow(byRing, "", s)
		row.BatchRows, row.NSPerBatch = batches[i], row.NSPerRow*float64(batches[i])
		rows = append(rows, row)
	}
	return rows, nil
}

// claims publishes some batches; one would be lost in the clock's resolution.
func claims(ctx context.Context, d *pass, p *shm.Producer, content shm.Content) error {
	const batches = 4096
	start := processorTime()
	for range batches {
		if _, err := p.Claim(ctx, content.Bytes, content.Bytes); err != nil {
			return err
		}
		p.Commit(content)
	}
	d.took += processorTime() - start
	d.rows += batches * int(content.Rows)
	return nil
}

// measureAdded is a scan into private memory and the same into the ring.
func (b *bench) measureAdded(ctx context.Context, s subject, share int) ([]ringRow, figure, error) {
	f, err := b.fill(s)
	if err != nil {
		return nil, figure{}, err
	}
	ring, err := b.newRing(scanBytes(f.Map, f.keySize+f.valueSize))
	if err != nil {
		return nil, figure{}, err
	}
	src, err := b.publish(ring, f.pin, reader.Options{})
	if err != nil {
		return nil, figure{}, err
	}
	if _, _, err := ring.Publisher.Attach(shm.StartHead, shm.AnySource, 0); err != nil {
		return nil, figure{}, err
	}
	largest := src.into.Largest()
	names := []string{byPrivateScan, byPrivateCycle, byRingScan}
	list := []interleave.Contender[pass]{
		contender(names[0], src.scanInto(newPrivate(largest, largest))),
		contender(names[1], src.scanInto(newPrivate(int(ring.Geometry().DataBytes), largest))),
		contender(names[2], src.scanInto(src.into)),
	}
	samples, err := interleave.Run(ctx, list, b.rounds("scans of "+s.name, share))
	if err != nil {
		return nil, figure{}, err
	}
	var rows []ringRow
	for i, name := range names {
		rows = append(rows, newRingRow(name, s.name, samples[i]))
	}
	added := stat.Difference(stat.Each(samples[2], pass.nsPerRow), stat.Each(samples[0], pass.nsPerRow))
	return rows, atMost(s.name+": publishing adds", added, mostAdded, nsRow), nil
}

// scanInto is a scan without a consumer.
func (s *source) scanInto(dst reader.Destination) once {
	return func(ctx context.Context, p *pass) error {
		start := processorTime()
		stats, err := s.Scan(ctx, dst)
		p.took += processorTime() - start
		p.rows += stats.Rows
		return err
	}
}

func newRingRow(contender, of string, samples []pass) ringRow {
	took := stat.By(samples, pass.nsPerRow)
	return ringRow{Contender: contender, Map: of, Producers: 1, NSPerRow: took.Median, P10: took.P10, P90: took.P90,
		Allocs: stat.By(samples, pass.allocs).Median, Rounds: took.N}
}

func ringTables(r *result, rows []ringRow) {
	claims := &table.Table{Title: "Claim and commit, one producer",
		Columns: []table.Column{table.Text("contender"), table.Number("rows a batch"), table.Number("ns/batch"), table.Number("ns/row"), table.Number("p10"), table.Number("p90")}}
	scans := &table.Table{Title: "A scan into private memory and into the ring",
		Columns: []table.Column{table.Text("map"), table.Text("contender"), table.Number("ns/row"), table.Number("p10"), table.Number("p90"), table.Number("allocs/scan")}}
	contest := &table.Table{Title: fmt.Sprintf("Handing on batches of %d rows, several producers", handedRows),
		Columns: []table.Column{table.Number("producers"), table.Text("contender"), table.Number("CPU ns/batch"), table.Number("M batches/s")}}
	r.chart = &picture{title: "Processor time to hand on a batch, in nanoseconds", note: "Shorter is better; each number of producers has a scale of its own."}
	for _, row := range rows {
		if row.BatchesPerSecond > 0 {
			contest.Add(fmt.Sprint(row.Producers), row.Contender, table.Figure(row.NSPerBatch), table.Figure(row.BatchesPerSecond/1e6))
			r.chart.bar(fmt.Sprintf("%d producers", row.Producers), chart.Bar{Label: row.Contender, Value: row.NSPerBatch, Text: table.Figure(row.NSPerBatch) + " ns", Ours: row.Contender == byRing})
			continue
		}
		if row.Map == "" {
			claims.Add(row.Contender, table.Count(int64(row.BatchRows)), table.Figure(row.NSPerBatch), table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90))
			continue
		}
		scans.Add(row.Map, row.Contender, table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90), table.Figure(row.Allocs))
	}
	r.tables = append(r.tables, claims, contest, scans)
}
