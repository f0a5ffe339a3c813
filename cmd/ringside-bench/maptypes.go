// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/reader"
)

// Contenders by the names that the JSON document promises.
const (
	byIterate     = "iterate"
	byBatchLookup = "batchlookup"
	byRawBatch    = "raw-batch"
	byMemcpy      = "memcpy"
	byRingside    = "ringside-" // and the engine that ringside chose
)

// mapRow is one contender on one type of map.
type mapRow struct {
	Map           string  `json:"map"`
	Contender     string  `json:"contender"`
	Entries       int     `json:"entries"`
	KeySize       int     `json:"key_size"`
	ValueSize     int     `json:"value_size"` // of a row: all CPUs
	NSPerRow      float64 `json:"ns_per_row"`
	P10           float64 `json:"ns_per_row_p10"`
	P90           float64 `json:"ns_per_row_p90"`
	HeadNS        float64 `json:"head_ns_per_row,omitempty"` // ringside: until it was in the ring
	RowsPerSecond float64 `json:"rows_per_second"`
	MBPerSecond   float64 `json:"mb_per_second"`
	HoldNS        float64 `json:"hold_ns_max"`
	Allocs        float64 `json:"allocs_per_scan"`
	Rounds        int     `json:"rounds"`
	ChunkRows     int     `json:"chunk_rows,omitempty"` // of one call, where it was tuned
	// Compared round by round; 0: there is no such contender.
	OfIterate float64 `json:"times_faster_than_iterate,omitempty"`
	OfRaw     float64 `json:"times_of_raw_batch,omitempty"`
	OfMemcpy  float64 `json:"head_times_of_memcpy,omitempty"`
}

func runMaptypes(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		"All contenders of a map take one pass a round, in random order; a pass repeats its work for at least "+passFor.String()+".",
		measuredIn,
		"Ratios are medians of the ratios within a round.",
		"iterate (Map.Iterate), batchlookup (Map.BatchLookup, both of cilium/ebpf) and raw-batch (a bare loop of BPF_MAP_LOOKUP_BATCH) end with the rows in private memory that is reused; the two batch loops use whichever of several chunk sizes was fastest for them on this map.",
		"ringside-* is the whole path: a scan into the ring, then a consumer, attached over the socket, has looked at every row in a lease.",
		"Reader and consumer take turns on one thread of one process, so that ringside uses no second processor that the others do not have; 'to head' is the first half, until the rows can be read.",
		"memcpy copies the mapped values of the array into private memory, without keys.",
		"Longest hold is the longest single call into the kernel of a pass (of iterate: one step, two calls), the median of all passes: a thread that lost its processor inside a call would otherwise decide it. It is time on the wall.",
	)
	var rows []mapRow
	all := subjects()
	for _, s := range all {
		err := b.part(func(b *bench) error {
			measured, figures, err := b.measureMap(ctx, s, len(all))
			rows, r.Figures = append(rows, measured...), append(r.Figures, figures...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.Rows = rows
	r.Figures = append(r.Figures, allocFigure(rows))
	mapTables(r, rows)
	return r, nil
}

// bare is one read of a map into private memory.
type bare func() (rows int, hold time.Duration, err error)

// entrants are the contenders on one map, with what is known before the race.
type entrants struct {
	list   []interleave.Contender[pass]
	chunks map[string]int
	steps  bare // of iterate
	// Keys are positions in list.
	at map[string]int
}

func (e *entrants) add(name string, read once, chunk int) {
	e.at[name] = len(e.list)
	e.list = append(e.list, contender(name, read))
	e.chunks[name] = chunk
}

func (b *bench) measureMap(ctx context.Context, s subject, share int) ([]mapRow, []figure, error) {
	b.progress("%s: filling %d entries", s.name, b.entries)
	f, err := b.fill(s)
	if err != nil {
		return nil, nil, err
	}
	var e *entrants
	if s.trie {
		e, err = enter[trieKey](ctx, b, f)
	} else {
		e, err = enter[uint32](ctx, b, f)
	}
	if err != nil {
		return nil, nil, err
	}
	samples, err := interleave.Run(ctx, e.list, b.rounds(s.name, share))
	if err != nil {
		return nil, nil, err
	}
	hold, err := stepHold(e)
	if err != nil {
		return nil, nil, err
	}
	rows := f.rows(e, samples, hold)
	return rows, mapFigures(s, e, samples), nil
}

// stepHold is the longest step of Map.Iterate, the median of a few passes.
func stepHold(e *entrants) (float64, error) {
	var holds []float64
	for range minRounds {
		_, hold, err := e.steps()
		if err != nil {
			return 0, err
		}
		holds = append(holds, float64(hold))
	}
	return stat.Of(holds).Median, nil
}

// enter makes the contenders for a map with keys of type K.
func enter[K any](ctx context.Context, b *bench, f *filled) (*entrants, error) {
	e := &entrants{chunks: map[string]int{}, at: map[string]int{}}
	var walk bare
	if f.perCPU {
		all := make([]value, f.cpus)
		walk, e.steps = iterate[K](f.Map, &all)
	} else {
		walk, e.steps = iterate[K](f.Map, new(value))
	}
	e.add(byIterate, timed(walk), 0)
	loops := []struct {
		name string
		with func(chunk int) bare
	}{
		{byBatchLookup, func(chunk int) bare { return batchLookup[K](f.Map, chunk, f.cpus) }},
		{byRawBatch, func(chunk int) bare {
			return newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass
		}},
	}
	for _, l := range loops {
		chunk, err := tune(f.entries, l.with)
		if err != nil {
			return nil, err
		}
		e.add(l.name, timed(l.with(chunk)), chunk)
	}
	if f.mmapable() {
		read, err := copyArray(b, f)
		if err != nil {
			return nil, err
		}
		e.add(byMemcpy, timed(read), 0)
	}
	return e, enterRingside[K](ctx, b, f, e)
}

func enterRingside[K any](ctx context.Context, b *bench, f *filled, e *entrants) error {
	r, err := b.newRing(scanBytes(f.Map, f.keySize+f.valueSize))
	if err != nil {
		return err
	}
	s, err := b.publish(r, f.pin, reader.Options{})
	if err != nil {
		return err
	}
	h, err := newHands[K](ctx, b, r, f.name, f.perCPU)
	if err != nil {
		return err
	}
	e.add(byRingside+s.Info().Engine, s.whole(h), 0)
	return nil
}

// rows puts the samples of a map into the document.
func (f *filled) rows(e *entrants, samples [][]pass, stepHold float64) []mapRow {
	ns := make([][]float64, len(samples))
	for i := range samples {
		ns[i] = stat.Each(samples[i], pass.nsPerRow)
	}
	var rows []mapRow
	for i, c := range e.list {
		took := stat.Of(ns[i])
		row := mapRow{
			Map: f.name, Contender: c.Name, Entries: f.entries, KeySize: f.keySize, ValueSize: f.valueSize,
			NSPerRow: took.Median, P10: took.P10, P90: took.P90, HeadNS: stat.By(samples[i], pass.headNS).Median,
			RowsPerSecond: 1e9 / took.Median, MBPerSecond: 1e3 / took.Median * float64(f.keySize+f.valueSize),
			HoldNS: stat.By(samples[i], pass.holdNS).Median, Allocs: stat.By(samples[i], pass.allocs).Median,
			Rounds: took.N, ChunkRows: e.chunks[c.Name],
			OfIterate: stat.Ratio(ns[e.at[byIterate]], ns[i]).Median,
			OfRaw:     stat.Ratio(ns[i], ns[e.at[byRawBatch]]).Median,
		}
		if c.Name == byIterate {
			row.HoldNS = stepHold
		}
		if j, ok := e.at[byMemcpy]; ok && row.HeadNS > 0 {
			row.OfMemcpy = stat.Ratio(stat.Each(samples[i], pass.headNS), ns[j]).Median
		}
		rows = append(rows, row)
	}
	return rows
}
