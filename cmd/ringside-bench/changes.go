// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
	"github.com/ringside-bpf/ringside/reader/changes"
)

// changesRow is one mode of publishing one map of which so much changes.
type changesRow struct {
	Contender    string  `json:"contender"` // the mode
	Map          string  `json:"map"`
	Engine       string  `json:"engine"`
	Entries      int     `json:"entries"`
	Changed      float64 `json:"changed_percent"` // of the rows, from scan to scan
	NSPerRow     float64 `json:"ns_per_row"`
	P10          float64 `json:"ns_per_row_p10"`
	P90          float64 `json:"ns_per_row_p90"`
	BytesPerScan float64 `json:"bytes_per_scan"` // of the ring
	OfFull       float64 `json:"ns_of_full"`
	AllOfFull    float64 `json:"ns_of_full_all_scans"` // the mean, where ns_of_full is the median
	BytesOfFull  float64 `json:"bytes_of_full_percent"`
	HistoryBytes int64   `json:"history_bytes"`
	Rounds       int     `json:"rounds"`
}

const (
	modeFull    = "full"
	modeChanges = "changes"

	// What is expected where a thousandth of a large map changes.
	expectedShare = 0.1 // percent of the rows
	mostOfCPU     = 1.3
	mostOfBytes   = 1.0 // percent

	// apart are the keys that are written one after the other. It is a prime, so
	// that none is written twice.
	apart = 7_368_787
)

// shares of the rows that change from scan to scan, in percent.
func shares() []float64 { return []float64{0, expectedShare, 10, 100} }

func runChanges(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"The same map is scanned in mode full and in mode changes, interleaved, both by the engine that ringside chooses. Before each scan in mode changes so many values are written, at keys all over the map; writing them is not measured. Bytes are those that the ring's head has moved by.",
		"Mode changes puts its rows in order in some scans and not in others: beside the median, which such scans may miss, stands what all scans took together.",
		"No scan is a keyframe, which costs what a scan in full and the comparison cost together. history is what mode changes keeps to compare with.",
	)
	sizes := []int{b.entries}
	if b.large > 0 {
		sizes = append(sizes, b.large)
	}
	var rows []changesRow
	for _, s := range subjects() {
		if s.name != "hash" && s.name != "array" {
			continue
		}
		for _, entries := range sizes {
			for _, share := range shares() {
				err := b.part(func(b *bench) error {
					b.entries = entries
					more, expected, err := b.measureChanges(ctx, s, share, 2*len(sizes)*len(shares()))
					rows = append(rows, more...)
					if entries == b.large && s.name == "hash" && share == expectedShare {
						r.Figures = append(r.Figures, expected...)
					}
					return err
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	r.Rows = rows
	changesTable(r, rows)
	return r, nil
}

// measureChanges races the modes on one map.
func (b *bench) measureChanges(ctx context.Context, s subject, share float64, parts int) ([]changesRow, []figure, error) {
	c, err := b.newChanging(s, share)
	if err != nil {
		return nil, nil, err
	}
	list := []interleave.Contender[pass]{contender(modeFull, c.full), contender(modeChanges, c.changes)}
	samples, err := interleave.Run(ctx, list, b.rounds(fmt.Sprintf("%s of %d, %g %% changes", s.name, b.entries, share), parts))
	if err != nil {
		return nil, nil, err
	}
	cpu := stat.Ratio(stat.Each(samples[1], pass.nsPerRow), stat.Each(samples[0], pass.nsPerRow))
	bytes := stat.Ratio(stat.Each(samples[1], pass.bytesPerScan), stat.Each(samples[0], pass.bytesPerScan))
	rows := make([]changesRow, len(list))
	for i, s := range samples {
		took := stat.By(s, pass.nsPerRow)
		rows[i] = changesRow{
			Contender: list[i].Name, Map: c.name, Engine: c.source.Info().Engine, Entries: b.entries, Changed: share,
			NSPerRow: took.Median, P10: took.P10, P90: took.P90, BytesPerScan: stat.By(s, pass.bytesPerScan).Median,
			OfFull: 1, AllOfFull: 1, BytesOfFull: 100, Rounds: took.N,
		}
	}
	all := overall(samples[1]) / overall(samples[0])
	rows[1].AllOfFull = all
	rows[1].OfFull, rows[1].BytesOfFull, rows[1].HistoryBytes = cpu.Median, 100*bytes.Median, c.stage.Stats().HistoryBytes
	name := fmt.Sprintf("%s, %d entries, %g %% changed: changes of full", c.name, b.entries, share)
	percent := stat.Summary{N: bytes.N, P10: 100 * bytes.P10, Median: 100 * bytes.Median, P90: 100 * bytes.P90}
	return rows, []figure{
		atMost(name+", processor", cpu, mostOfCPU, times),
		atMost(name+", processor, all scans together", exactly(all), mostOfCPU, times),
		atMost(name+", ring bytes", percent, mostOfBytes, hundth),
	}, nil
}

// overall is what a row took in all passes.
func overall(samples []pass) float64 {
	var all pass
	for _, s := range samples {
		all.took += s.took
		all.rows += s.rows
	}
	return all.nsPerRow()
}

// changing is a map that is written between scans, and both ways into a ring.
type changing struct {
	*filled
	source *source
	stage  *changes.Stage
	ring   *ring
	writes int // before a scan
	round  uint64
	random *rand.Rand
	keys   []uint32
	values []value
}

func (b *bench) newChanging(s subject, share float64) (*changing, error) {
	f, err := b.fill(s)
	if err != nil {
		return nil, err
	}
	c := &changing{filled: f, writes: int(share / 100 * float64(f.entries)), random: rand.New(rand.NewPCG(1, 2))}
	c.keys, c.values = make([]uint32, c.writes), make([]value, c.writes)
	if c.ring, err = b.newRing(f.entries * (f.keySize + f.valueSize)); err != nil {
		return nil, err
	}
	if c.source, err = b.publish(c.ring, f.pin, reader.Options{MaxHold: longHold, Lookups: true}); err != nil {
		return nil, err
	}
	info := c.source.Info()
	into, err := c.ring.addSource(info)
	if err != nil {
		return nil, err
	}
	c.stage, err = changes.New(staged{into}, &info, changes.Options{KeyframeEvery: 1 << 30, Budget: changes.NewBudget(1 << 30)})
	if err == nil {
		b.later(c.stage.Close)
	}
	return c, err
}

// full scans into the ring.
func (c *changing) full(ctx context.Context, p *pass) error { return c.scan(ctx, p, c.source.into) }

// changes writes some rows, and publishes those.
func (c *changing) changes(ctx context.Context, p *pass) error {
	c.round++
	for i, first := 0, c.random.IntN(c.entries); i < len(c.keys); i++ {
		c.keys[i] = uint32((first + i*apart) % c.entries)
		c.values[i] = value{uint64(c.keys[i]), c.round}
	}
	if c.writes > 0 {
		if _, err := c.BatchUpdate(c.keys, c.values, nil); err != nil {
			return fmt.Errorf("change %d values: %w", c.writes, err)
		}
	}
	return c.scan(ctx, p, c.stage)
}

func (c *changing) scan(ctx context.Context, p *pass, dst reader.Destination) error {
	before := c.ring.Totals().Head
	start := processorTime()
	stats, err := c.source.Scan(ctx, dst)
	p.took += processorTime() - start
	p.rows += stats.Rows
	p.bytes += c.ring.Totals().Head - before
	return err
}

// staged is a changes.Sink that always leads to the same place.
type staged struct{ *published }

func (staged) Begin() (same bool) { return true }

func changesTable(r *result, rows []changesRow) {
	t := &table.Table{Title: "The modes side by side", Columns: []table.Column{
		table.Text("map"), table.Number("entries"), table.Text("engine"), table.Number("changed"), table.Text("mode"), table.Number("ns/row"), table.Text("p10 to p90"),
		table.Number("of full"), table.Number("all scans of full"), table.Number("ring bytes a scan"), table.Number("of full"), table.Number("history")}}
	for _, row := range rows {
		t.Add(row.Map, table.Count(int64(row.Entries)), row.Engine, fmt.Sprintf("%g %%", row.Changed), row.Contender,
			table.Figure(row.NSPerRow), table.Figure(row.P10)+" to "+table.Figure(row.P90), table.Figure(row.OfFull)+" ×", table.Figure(row.AllOfFull)+" ×",
			table.Count(int64(row.BytesPerScan)), table.Figure(row.BytesOfFull)+" %", table.Count(row.HistoryBytes))
	}
	r.tables = append(r.tables, t)
}
