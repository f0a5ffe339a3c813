// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// churnRow is how exact one way to read was while the map changed.
type churnRow struct {
	Map         string  `json:"map"`
	Contender   string  `json:"contender"`
	Consistency string  `json:"consistency,omitempty"` // of ringside: what it promises
	Scans       int     `json:"scans"`
	Aborted     int     `json:"aborted_scans"` // that ended with an error
	Rows        int     `json:"rows"`
	Missed      int     `json:"missed"`    // times that a key which nobody touched was not in a scan
	Repeated    int     `json:"repeated"`  // or was in it once more
	Discarded   int     `json:"discarded"` // rows left out because their element became another's
	Mixed       int     `json:"mixed"`     // rows with one key and another's value
	Torn        int     `json:"torn"`      // words that nobody ever wrote
	MissedPPM   float64 `json:"missed_per_million"`
	RepeatedPPM float64 `json:"repeated_per_million"`
	DiscardPPM  float64 `json:"discarded_per_million"`
	NSPerRow    float64 `json:"ns_per_row"`
}

func runChurn(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"A hash or LRU hash with 4 B keys and 32 B values. Nearly half of the keys it has room for are there and not touched. As many others are put in and taken out at random by a program in the kernel, without a pause, on as many threads as there are CPUs, while the map is read.",
		"Each value is made from its key, so every row tells whether it ever was: mixed is a row with one key's value behind another key, torn is a word that nobody wrote. Untouched keys must be in every scan once; missed and repeated are per million of those that should have been there, discarded per million rows.",
		"The speed is that of reading while all of this goes on, checks left out, on processors that are shared with the writers.",
		"Preallocated maps give the element that was taken out to the next key that is put in; in the other kind (BPF_F_NO_PREALLOC) it is freed first.",
	)
	hash, freed, lru := churnedMap{ebpf.Hash, 0, "hash, preallocated"}, churnedMap{ebpf.Hash, 1 /* BPF_F_NO_PREALLOC */, "hash, not preallocated"}, churnedMap{ebpf.LRUHash, 0, "LRU hash"}
	reads := []struct {
		engine string
		of     churnedMap
	}{
		{reader.EnginePump, hash}, {reader.EnginePump, freed}, {reader.EnginePump, lru}, {reader.EngineSweep, hash},
		{reader.EngineIter, hash}, {reader.EngineBatch, hash}, {reader.EngineBatch, lru}, {"", hash},
	}
	var rows []churnRow
	for _, c := range reads {
		err := b.part(func(b *bench) error {
			row, err := b.measureChurn(ctx, c.engine, c.of, b.lasts/time.Duration(len(reads)))
			if errors.Is(err, reader.ErrNoEngine) {
				return nil // not on this kernel
			}
			rows = append(rows, row)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	r.Rows = rows
	churnTable(r, rows)
	return r, nil
}

// churnedMap is a kind of map to be churned.
type churnedMap struct {
	typ   ebpf.MapType
	flags uint32
	name  string
}

// measureChurn reads with an engine of ringside, or with Map.Iterate if there
// is none.
func (b *bench) measureChurn(ctx context.Context, engine string, of churnedMap, lasts time.Duration) (churnRow, error) {
	row := churnRow{Map: of.name, Contender: byIterate}
	spec := &ebpf.MapSpec{Type: of.typ, Flags: of.flags, KeySize: keyBytes, ValueSize: lab.ValueBytes, MaxEntries: uint32(b.entries)}
	if of.typ == ebpf.LRUHash {
		spec.MaxEntries *= 4 // or it would throw out keys that nobody touches
	}
	m, pin, err := b.newMap("churn", spec)
	if err != nil {
		return row, err
	}
	steady := b.entries * 45 / 100
	for key := range uint32(steady) {
		if err := m.Put(key, lab.Value(key)); err != nil {
			return row, err
		}
	}
	o := newObserver(steady)
	read := func() error { return o.iterate(m) }
	if engine != "" {
		s, err := reader.Open(pin, reader.Options{Engine: engine, MaxHold: longHold})
		if err != nil {
			return row, err
		}
		b.later(s.Close)
		row.Contender, row.Consistency = byRingside+engine, string(s.Info().Consistency)
		if engine == reader.EngineBatch {
			row.Consistency = string(reader.Locked) // what asking for it gives
		}
		read = func() error { return o.scan(ctx, s) }
	}
	w, err := lab.OpenWriter(m, lab.Churn, uint32(steady), uint32(steady))
	if err != nil {
		return row, err
	}
	b.later(w.Close)
	b.progress("%s of %s", row.Contender, row.Map)
	stop := w.Start(runtime.NumCPU())
	err = o.watch(ctx, read, lasts)
	if err := errors.Join(err, stop()); err != nil {
		return row, err
	}
	o.fill(&row)
	return row, nil
}

// observer is a reader.Destination that looks at every row.
type observer struct {
	*private
	lent []byte
	seen []uint8 // how often each untouched key was, in this scan
	row  churnRow
	took time.Duration
	look time.Duration // of that: spent on checking
}

func newObserver(steady int) *observer {
	const most = 1 << 20
	return &observer{private: newPrivate(most, most), seen: make([]uint8, steady)}
}

func (o *observer) watch(ctx context.Context, read func() error, lasts time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const enoughAborted = 3 // some ways never get to the end
	for start := time.Now(); o.row.Scans == 0 && o.row.Aborted < enoughAborted || time.Since(start) < lasts; {
		if err := ctx.Err(); err != nil {
			return err
		}
		began := processorTime()
		err := read()
		o.took += processorTime() - began
		switch {
		case errors.Is(err, ebpf.ErrIterationAborted):
			o.row.Aborted++
		case err != nil:
			return err
		default:
			o.row.Scans++
			o.count()
		}
		clear(o.seen)
	}
	return nil
}

// count holds a scan that ended against the keys that must be in it.
func (o *observer) count() {
	for _, n := range o.seen {
		switch {
		case n == 0:
			o.row.Missed++
		case n > 1:
			o.row.Repeated += int(n) - 1
		}
	}
}

// scan is one by ringside.
func (o *observer) scan(ctx context.Context, s *reader.Source) error {
	stats, err := s.Scan(ctx, o)
	o.row.Rows += stats.Rows
	o.row.Discarded += stats.Discarded
	return err
}

// iterate is one by Map.Iterate.
func (o *observer) iterate(m *ebpf.Map) error {
	var key uint32
	var v [lab.ValueBytes]byte
	it := m.Iterate()
	for it.Next(&key, &v) {
		o.row.Rows++
		o.check(key, v[:])
	}
	return it.Err()
}

// Claim implements reader.Destination.
func (o *observer) Claim(ctx context.Context, least, most int) (buf []byte, err error) {
	o.lent, err = o.private.Claim(ctx, least, most)
	return o.lent, err
}

// Commit implements reader.Destination.
func (o *observer) Commit(f reader.Frame) {
	began := processorTime()
	if f.First { // the scan before it may have been broken off
		clear(o.seen)
	}
	for i := range f.Rows {
		key := binary.LittleEndian.Uint32(o.lent[f.Keys.Offset+i*f.Keys.Stride:])
		o.check(key, o.lent[f.Values.Offset+i*f.Values.Stride:][:lab.ValueBytes])
	}
	o.look += processorTime() - began
	o.private.Commit(f)
}

func (o *observer) check(key uint32, value []byte) {
	if int(key) < len(o.seen) {
		o.seen[key]++
	}
	mixed := false
	for w := range lab.ValueWords {
		word := binary.LittleEndian.Uint64(value[8*w:])
		if uint32(word>>32) != ^uint32(word) {
			o.row.Torn++
		}
		mixed = mixed || word != lab.Word(key, w)
	}
	if mixed {
		o.row.Mixed++
	}
}

// fill puts what was counted into a row of the document.
func (o *observer) fill(row *churnRow) {
	name, of, promise := row.Contender, row.Map, row.Consistency
	*row = o.row
	row.Contender, row.Map, row.Consistency = name, of, promise
	million := func(n, of int) float64 { return 1e6 * float64(n) / float64(max(of, 1)) }
	row.MissedPPM = million(row.Missed, row.Scans*len(o.seen))
	row.RepeatedPPM = million(row.Repeated, row.Scans*len(o.seen))
	row.DiscardPPM = million(row.Discarded, row.Rows)
	row.NSPerRow = perRow(o.took-o.look, row.Rows)
}

func churnTable(r *result, rows []churnRow) {
	t := &table.Table{Title: "Exactness under churn", Columns: []table.Column{table.Text("map"), table.Text("contender"), table.Text("promise"),
		table.Number("scans"), table.Number("M rows"), table.Number("missed/M"), table.Number("repeated/M"), table.Number("discarded/M"),
		table.Number("mixed rows"), table.Number("torn words"), table.Number("aborted scans"), table.Number("ns/row")}}
	mixed, inexact := 0, 0
	for _, row := range rows {
		t.Add(row.Map, row.Contender, row.Consistency, table.Count(int64(row.Scans)), table.Figure(float64(row.Rows)/1e6),
			table.Figure(row.MissedPPM), table.Figure(row.RepeatedPPM), table.Figure(row.DiscardPPM),
			table.Count(int64(row.Mixed)), table.Count(int64(row.Torn)), table.Count(int64(row.Aborted)), table.Figure(row.NSPerRow))
		if row.Consistency != "" {
			mixed += row.Mixed + row.Torn
		}
		if row.Consistency == string(reader.Locked) {
			inexact += row.Missed + row.Repeated
		}
	}
	r.tables = append(r.tables, t)
	r.Figures = append(r.Figures,
		atMost("under churn: mixed rows and torn words, all engines", exactly(float64(mixed)), 0, ""),
		atMost("under churn: untouched keys missed or repeated by locked scans", exactly(float64(inexact)), 0, ""))
}
