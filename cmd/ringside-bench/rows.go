// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"

	ringside "github.com/ringside-bpf/ringside/clients/go"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/shm"
)

// Contenders: how a consumer comes by its rows.
const (
	bySlice  = "slice"  // a plain loop over a Go slice of the same structs
	byLease  = "lease"  // View: in place, validated afterwards
	byCopies = "copies" // Batches: copied first
)

// What a consumer may pay for a row, in ns.
const (
	mostLease  = 2
	mostCopies = 5
)

// consumeRow is one contender.
type consumeRow struct {
	Contender string  `json:"contender"`
	BatchRows int     `json:"batch_rows"`
	NSPerRow  float64 `json:"ns_per_row"`
	P10       float64 `json:"ns_per_row_p10"`
	P90       float64 `json:"ns_per_row_p90"`
	OfSlice   float64 `json:"times_of_slice"`
	Rounds    int     `json:"rounds"`
}

func runRows(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"A scan's worth of rows (4 B key, 32 B value) is published into the ring, untimed, in batches as a scan makes them; then a consumer that attached over the socket takes them, timed.",
		"Everyone adds up a word of the key and two of the value of every row, typed. The slice holds the same rows as Go structs of 40 bytes; it is what a row costs when it is simply there.",
	)
	x, err := b.newConsumption(ctx)
	if err != nil {
		return nil, err
	}
	samples, err := interleave.Run(ctx, x.contenders(), b.rounds("rows", 1))
	if err != nil {
		return nil, err
	}
	t := &table.Table{Title: "What a typed row costs a consumer", Columns: []table.Column{table.Text("contender"),
		table.Number("ns/row"), table.Number("p10"), table.Number("p90"), table.Number("of slice")}}
	slice := stat.Each(samples[0], pass.nsPerRow)
	var rows []consumeRow
	for i, c := range x.contenders() {
		ns := stat.Each(samples[i], pass.nsPerRow)
		took := stat.Of(ns)
		row := consumeRow{c.Name, x.batch, took.Median, took.P10, took.P90, stat.Ratio(ns, slice).Median, took.N}
		rows = append(rows, row)
		t.Add(row.Contender, table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90), table.Figure(row.OfSlice)+times)
	}
	r.Rows, r.tables = rows, append(r.tables, t)
	r.Figures = append(r.Figures,
		atMost("a row in a lease", stat.By(samples[1], pass.nsPerRow), mostLease, nsRow),
		atMost("a row as a copy", stat.By(samples[2], pass.nsPerRow), mostCopies, nsRow))
	return r, nil
}

// consumption is a ring, who fills it, and who reads it.
type consumption struct {
	entries, batch int
	producer       *shm.Producer
	slice          []pair
	lease          *ringside.Subscription
	copies         *ringside.Subscription
	leaseRows      *ringside.Rows[uint32, value]
	copyRows       *ringside.Rows[uint32, value]
	sum            uint64 // keeps what was read from being optimised away
}

// pair is a row as a Go program would keep it.
type pair struct {
	key   uint32
	value value
}

func (b *bench) newConsumption(ctx context.Context) (*consumption, error) {
	const rowBytes, source = keyBytes + valueBytes, "rows"
	ring, err := b.newRing(b.entries * rowBytes)
	if err != nil {
		return nil, err
	}
	x := &consumption{entries: b.entries, slice: make([]pair, b.entries)}
	if x.producer, err = ring.AddSource(shm.SourceInfo{Name: source, KeySize: keyBytes, ValueSize: valueBytes}); err != nil {
		return nil, err
	}
	x.batch = min(2048, b.entries, x.producer.Largest()/rowBytes)
	for i := range x.slice {
		x.slice[i] = pair{uint32(i), value{uint64(i), uint64(i) * 3}}
	}
	for _, to := range []struct {
		sub  **ringside.Subscription
		rows **ringside.Rows[uint32, value]
	}{{&x.lease, &x.leaseRows}, {&x.copies, &x.copyRows}} {
		if *to.sub, err = attach(ctx, ring.socket); err != nil {
			return nil, err
		}
		b.later((*to.sub).Close)
		if *to.rows, err = ringside.RowsOf[uint32, value](*to.sub, source); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// publish puts all rows of the slice into the ring.
func (x *consumption) publish(ctx context.Context) error {
	for first := 0; first < x.entries; {
		n := min(x.batch, x.entries-first)
		at := (n*keyBytes + 63) &^ 63
		b, err := x.producer.Claim(ctx, at+n*valueBytes, at+n*valueBytes)
		if err != nil {
			return err
		}
		for i, p := range x.slice[first : first+n] {
			binary.LittleEndian.PutUint32(b[i*keyBytes:], p.key)
			for j, w := range p.value {
				binary.LittleEndian.PutUint64(b[at+i*valueBytes+j*8:], w)
			}
		}
		first += n
		c := shm.Content{Kind: shm.KindRows, Flags: shm.FlagKeyframe, Rows: uint32(n), Bytes: at + n*valueBytes,
			KeyStride: keyBytes, ValuesOffset: uint32(at), ValueStride: valueBytes}
		if first == x.entries {
			c.Flags |= shm.FlagLast
		}
		x.producer.Commit(c)
	}
	return nil
}

func (x *consumption) contenders() []interleave.Contender[pass] {
	return []interleave.Contender[pass]{
		contender(bySlice, x.timed(x.readSlice, x.readLease, x.readCopies)),
		contender(byLease, x.timed(x.readLease, x.readCopies)),
		contender(byCopies, x.timed(x.readCopies, x.readLease)),
	}
}

// timed publishes, for the slice as well, so that all find the same caches, and
// times read. The other consumers read later, so that the ring overtakes nobody.
func (x *consumption) timed(read func(context.Context) (int, error), others ...func(context.Context) (int, error)) once {
	return func(ctx context.Context, p *pass) error {
		if err := x.publish(ctx); err != nil {
			return err
		}
		start := processorTime()
		rows, err := read(ctx)
		p.took += processorTime() - start
		p.rows += rows
		if err == nil && rows != x.entries {
			err = errors.New("rows are missing")
		}
		for _, other := range others {
			if err == nil {
				_, err = other(ctx)
			}
		}
		return err
	}
}

func (x *consumption) readSlice(context.Context) (int, error) {
	sum := uint64(0)
	for i := range x.slice {
		p := &x.slice[i]
		sum += uint64(p.key) + p.value[0] + p.value[1]
	}
	x.sum += sum
	return len(x.slice), nil
}

func (x *consumption) readLease(ctx context.Context) (rows int, err error) {
	last := false
	read := func(b *ringside.Batch) {
		if b.Kind != ringside.KindRows {
			return // a loss, which shows in the number of rows
		}
		x.sum += total(x.leaseRows, b)
		rows += b.Rows
		last = b.Last
	}
	for !last {
		valid, err := x.lease.View(ctx, read)
		if err != nil {
			return rows, err
		}
		if !valid {
			return rows, errOvertaken
		}
	}
	return rows, nil
}

func (x *consumption) readCopies(ctx context.Context) (rows int, err error) {
	for b, err := range x.copies.Batches(ctx) {
		if err != nil {
			return rows, err
		}
		if b.Kind != ringside.KindRows {
			continue
		}
		x.sum += total(x.copyRows, b)
		if rows += b.Rows; b.Last {
			return rows, nil
		}
	}
	return rows, ctx.Err()
}

// total looks at three words of every row.
func total(rows *ringside.Rows[uint32, value], b *ringside.Batch) uint64 {
	sum := uint64(0)
	for k, v := range rows.In(b) {
		sum += uint64(*k) + v[0] + v[1]
	}
	return sum
}
