// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// What a table may take, in ns.
const (
	mostLookup = 50
	mostChange = 100
)

// tableRow is one thing that is done with a table.
type tableRow struct {
	Contender string  `json:"contender"`
	Entries   int     `json:"entries"`
	NS        float64 `json:"ns"` // for a lookup, a changed row, a row of a keyframe
	P10       float64 `json:"ns_p10"`
	P90       float64 `json:"ns_p90"`
	Rounds    int     `json:"rounds"`
}

const (
	byGet    = "lookup"
	byGoMap  = "lookup in a Go map"
	byArray  = "lookup in an array, by index"
	byFew    = "lookup, of 4,096 in cold caches"
	byChange = "change applied"
	byArrays = "change written to two arrays, by index"
	byFewer  = "change applied, of 64 in cold caches"
	byWhole  = "keyframe row applied"

	manyLookups, fewLookups = 1 << 20, 1 << 12 // in a pass
	manyChanges, fewChanges = 1000, 64         // in a scan
)

func runTables(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"A Table of the Go client is kept from a ring, 4 B keys and 32 B values. Looked up are keys in random order that are all there, a million of them in a row; making them up is in the figure, for Go's own map as well, which no second goroutine could read meanwhile.",
		"A change is a row of a scan in mode changes that brings a thousand new rows, at random keys: from the batch in the consumer's hands to a table that shows it. The table has two copies, and the scan after a keyframe brings the second one up to date as a whole; that is not in the figure of a change.",
		"Contenders take turns, each with memory of its own, so that each finds the caches full of the others' rows. What that costs who does little at a time is in the rows of few lookups and few changes. An array whose index is the key is the floor: it takes what the same accesses to rows of the same size take where nothing has to be found. A change is written to two of them, as a table has two copies.",
	)
	sizes := []int{4096, b.entries}
	if b.large > 0 {
		sizes = append(sizes, b.large)
	}
	var rows []tableRow
	for _, size := range sizes {
		err := b.part(func(b *bench) error {
			more, figures, err := b.measureTable(ctx, size, len(sizes))
			rows = append(rows, more...)
			if size != b.large {
				r.Figures = append(r.Figures, figures...)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.Rows = rows
	t := &table.Table{Title: "What a table takes, in ns", Columns: []table.Column{table.Text("what"), table.Number("entries"), table.Number("ns"), table.Number("p10"), table.Number("p90")}}
	for _, row := range rows {
		t.Add(row.Contender, table.Count(int64(row.Entries)), table.Figure(row.NS), table.Figure(row.P10), table.Figure(row.P90))
	}
	r.tables = append(r.tables, t)
	return r, nil
}

func (b *bench) measureTable(ctx context.Context, size, parts int) ([]tableRow, []figure, error) {
	k, err := b.newKept(ctx, size)
	if err != nil {
		return nil, nil, err
	}
	list := []interleave.Contender[pass]{
		contender(byGet, func(_ context.Context, p *pass) error { return k.get(p, manyLookups) }),
		contender(byGoMap, k.getFromMap), contender(byArray, k.getFromArray),
		contender(byChange, func(ctx context.Context, p *pass) error { return k.change(ctx, p, manyChanges) }),
		contender(byArrays, k.changeArrays),
		contender(byFew, func(_ context.Context, p *pass) error { return k.get(p, fewLookups) }),
		contender(byFewer, func(ctx context.Context, p *pass) error { return k.change(ctx, p, fewChanges) }),
		contender(byWhole, k.whole),
	}
	samples, err := interleave.Run(ctx, list, b.rounds(fmt.Sprintf("a table of %d", size), parts))
	if err != nil {
		return nil, nil, err
	}
	var rows []tableRow
	for i, c := range list {
		took := stat.By(samples[i], pass.nsPerRow)
		rows = append(rows, tableRow{c.Name, size, took.Median, took.P10, took.P90, took.N})
	}
	lookup := atMost(fmt.Sprintf("Table, a lookup among %d", size), stat.By(samples[0], pass.nsPerRow), mostLookup, "ns")
	lookup.Floor = fmt.Sprintf("an array: %s ns; Go's own map: %s ns", table.Figure(rows[2].NS), table.Figure(rows[1].NS))
	change := atMost(fmt.Sprintf("Table, a change of %d applied", size), stat.By(samples[3], pass.nsPerRow), mostChange, "ns")
	change.Floor = fmt.Sprintf("two arrays: %s ns", table.Figure(rows[4].NS))
	return rows, []figure{lookup, change}, nil
}

// kept is a table, and who publishes what it is kept from.
type kept struct {
	entries  int
	ring     *ring
	producer *shm.Producer
	sub      *ringside.Subscription
	table    *ringside.Table[uint32, value]
	plain    map[uint32]value
	flat     *flat
	scan     uint64
	behind   bool
	random   *rand.Rand
	sum      uint64
}

func (b *bench) newKept(ctx context.Context, entries int) (*kept, error) {
	ring, err := b.newRing(entries * (keyBytes + valueBytes))
	if err != nil {
		return nil, err
	}
	k := &kept{ring: ring, entries: entries, plain: make(map[uint32]value, entries), random: rand.New(rand.NewPCG(1, 2))}
	k.producer, err = ring.AddSource(shm.SourceInfo{Name: "table", KeySize: keyBytes, ValueSize: valueBytes, MapValueSize: valueBytes, MaxEntries: uint32(entries), Flags: shm.SourceChanges})
	if err != nil {
		return nil, err
	}
	if k.sub, err = attach(ctx, ring.socket); err != nil {
		return nil, err
	}
	b.later(k.sub.Close)
	if k.table, err = ringside.TableOf[uint32, value](k.sub, "table"); err != nil {
		return nil, err
	}
	k.flat = newFlat(entries, manyChanges)
	for i := range uint32(entries) {
		k.plain[i] = value{uint64(i)}
	}
	var p pass
	if err := k.whole(ctx, &p); err != nil {
		return nil, err
	}
	if n := k.table.Len(); n != entries {
		return nil, fmt.Errorf("the table holds %d rows of %d", n, entries)
	}
	return k, nil
}

func (k *kept) get(p *pass, lookups int) error {
	found, sum, x := 0, uint64(0), k.random.Uint32()
	start := processorTime()
	for range lookups {
		x = x*1664525 + 1013904223
		if v, ok := k.table.Get(uint32(uint64(x) * uint64(k.entries) >> 32)); ok {
			found++
			sum += v[0]
		}
	}
	return k.looked(p, start, lookups, found, sum)
}

func (k *kept) getFromMap(_ context.Context, p *pass) error {
	found, sum, x := 0, uint64(0), k.random.Uint32()
	start := processorTime()
	for range manyLookups {
		x = x*1664525 + 1013904223
		if v, ok := k.plain[uint32(uint64(x)*uint64(k.entries)>>32)]; ok {
			found++
			sum += v[0]
		}
	}
	return k.looked(p, start, manyLookups, found, sum)
}

// looked adds up a pass of lookups that began at start.
func (k *kept) looked(p *pass, start time.Duration, lookups, found int, sum uint64) error {
	p.took += processorTime() - start
	p.rows += lookups
	k.sum += sum // or the compiler could leave out the reading
	if found != lookups {
		return fmt.Errorf("%d of %d keys were found", found, lookups)
	}
	return nil
}

func (k *kept) change(ctx context.Context, p *pass, rows int) error {
	key := func(int) uint32 { return k.random.Uint32N(uint32(k.entries)) }
	if k.behind { // the copy that is not shown
		k.behind = false
		if err := k.publish(ctx, new(pass), rows, 0, key); err != nil {
			return err
		}
	}
	return k.publish(ctx, p, rows, 0, key)
}

func (k *kept) whole(ctx context.Context, p *pass) error {
	k.behind = true
	return k.publish(ctx, p, k.entries, shm.FlagKeyframe, func(i int) uint32 { return uint32(i) })
}

// publish publishes a scan of so many rows, untimed, a frame at a time, and
// applies each, timed.
func (k *kept) publish(ctx context.Context, p *pass, rows int, flags shm.Flags, key func(i int) uint32) error {
	const most = 2048
	k.scan++
	k.ring.Beat() // or the sidecar seems to hang
	for first := 0; first < rows; {
		n := min(most, rows-first, k.producer.Largest()/(keyBytes+valueBytes)-1)
		at := (n*keyBytes + 63) &^ 63
		frame, err := k.producer.Claim(ctx, at+n*valueBytes, at+n*valueBytes)
		if err != nil {
			return err
		}
		for i := range n {
			id := key(first + i)
			binary.LittleEndian.PutUint32(frame[i*keyBytes:], id)
			binary.LittleEndian.PutUint64(frame[at+i*valueBytes:], uint64(id))
			binary.LittleEndian.PutUint64(frame[at+i*valueBytes+8:], k.scan)
		}
		c := shm.Content{Kind: shm.KindRows, Flags: flags, Rows: uint32(n), Bytes: at + n*valueBytes, KeyStride: keyBytes,
			ValuesOffset: uint32(at), ValueStride: valueBytes, Scan: k.scan, TimeNS: monotonic.Now()}
		if first == 0 {
			c.Flags |= shm.FlagFirst
		}
		if first += n; first == rows {
			c.Flags |= shm.FlagLast
		}
		k.producer.Commit(c)
		if err := k.apply(ctx, p); err != nil {
			return err
		}
	}
	p.rows += rows
	if !k.table.Fresh() {
		return fmt.Errorf("a table that was given everything is not fresh: %+v", k.table.Status())
	}
	return nil
}

// apply takes one frame.
func (k *kept) apply(ctx context.Context, p *pass) error {
	for batch, err := range k.sub.Batches(ctx) {
		if err != nil {
			return err
		}
		start := processorTime()
		k.table.Apply(batch)
		p.took += processorTime() - start
		return nil
	}
	return ctx.Err()
}
