// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
)

// Contenders: who brings the rows to many. Those that read a map by themselves
// are byRawBatch.
const (
	byRingGo   = "ringside-go" // consumers in Go
	byRingC    = "ringside-c"
	bySocketGo = "socket-go" // a Unix stream socket each
	bySocketC  = "socket-c"
	byShmipc   = "shmipc"
	byIceoryx  = "iceoryx"
)

// The paths that are compared.
const (
	pathWhole    = "whole"    // from the map
	pathDelivery = "delivery" // from rows that lie in memory
	pathSizes    = "sizes"    // the same, of scans that are smaller or larger
)

// What is expected of eight consumers.
const (
	figureConsumers   = 8
	cheaperThanBatch  = 15
	cheaperThanSocket = 8
)

// figureSize is how many rows a scan has of which the same is expected.
const figureSize = 4 * defaultEntries

// fannedSource is the name of what is published.
const fannedSource = "hash"

// fanoutRow is one contender with some consumers.
type fanoutRow struct {
	Path         string  `json:"path"`
	Contender    string  `json:"contender"`
	Consumers    int     `json:"consumers"`
	ScanRows     int     `json:"scan_rows,omitempty"`
	CPUPerRow    float64 `json:"cpu_ns_per_row"` // that was delivered; of all processes
	P10          float64 `json:"cpu_ns_per_row_p10"`
	P90          float64 `json:"cpu_ns_per_row_p90"`
	PublisherCPU float64 `json:"publisher_cpu_ns_per_row"` // its part of that
	Lost         float64 `json:"lost_percent"`             // of the rows that were published for all
	Cheaper      float64 `json:"times_cheaper_than_first"` // of the table: batch reading, or the socket
	Rounds       int     `json:"rounds"`
	// Of events: to each consumer, by the clock on the wall.
	RowsPerSecond float64 `json:"rows_per_second,omitempty"`
	RateP10       float64 `json:"rows_per_second_p10,omitempty"`
	RateP90       float64 `json:"rows_per_second_p90,omitempty"`
	Full          float64 `json:"ringbuf_full,omitempty"` // times in a pass that its program found no room
}

// fanPlan is what is varied, and how the rows come.
type fanPlan struct {
	consumers []int
	sizes     []int // rows of scans that are delivered to figureConsumers, too
	scans     int   // of a window, at most
	every     time.Duration
}

func fanoutAsDesigned(o options) fanPlan {
	p := fanPlan{consumers: []int{1, 2, 4, figureConsumers, 16, 64}, scans: 8, every: 20 * time.Millisecond}
	if o.large > 0 {
		p.sizes = []int{defaultEntries / 4, figureSize, o.large}
	}
	if o.short {
		p.consumers, p.scans = []int{1, figureConsumers}, 4
	}
	return p
}

// scansFor makes windows of many consumers shorter, which have as many rows.
func (p fanPlan) scansFor(consumers int) int {
	const most = 128
	return min(p.scans, max(2, most/consumers))
}

func runFanout(ctx context.Context, b *bench) (*result, error) {
	return b.fanout(ctx, fanoutAsDesigned(b.options))
}

func (b *bench) fanout(ctx context.Context, plan fanPlan) (*result, error) {
	r := b.result(
		fmt.Sprintf("Every consumer is a process of its own and looks at three words of every row (4 B key, 32 B value). A window has up to %d scans, %v apart; before each the consumers sleep. Counted is the processor time of all processes of a contender (publisher, consumers, and RouDi for iceoryx), all threads, in the kernel and outside of it, for each row that a consumer was given; rows that were lost on the way do not count, and neither does the publisher's waiting for the next scan. Waking more than four consumers of a ring is left to another thread and added to that.", plan.scans, plan.every),
		"Whole path: the rows are those of a hash. raw-batch consumers read it themselves, BPF_MAP_LOOKUP_BATCH with the fastest chunk, at the same cadence; for all others this process reads it once for each scan, with the engine that ringside chooses.",
		"Delivery alone: the rows lie in the publisher's memory, a frame at a time in scratch that all frames of a scan share, as in a sidecar, whose reader fills its scratch before every frame. They are the same bytes for everyone. A ring and an iceoryx topic take one copy for all; shmipc, which knows no one to many, and sockets take one for each consumer. Every consumer in C and C++ runs the same loop over every row. The floor is what cannot be done without, in C: one copy into memory that all map, one futex for all, and that loop; ringside, iceoryx and the floor make their copy past the caches of the processor (shm/nontemporal); nothing tells a row from one that was overwritten.",
		fmt.Sprintf("All are set up to be fast: a ring has a sidecar's size, four scans rounded up to a power of two, and is written from end to end; an iceoryx queue holds four scans, and its publisher takes the chunk that was freed last, which the caches may still have; sockets have a send buffer of %d MB, shmipc has slices of a frame's size and memory for four scans; iceoryx and shmipc notify once a scan, the former with the whole scan as one chunk. %s.", socketBytes>>20, shmipcModule),
	)
	r.Method = append(r.Method,
		fmt.Sprintf("Events, sustained: a program in the kernel submits %d records of 16 bytes to a ringbuf of %d MB, as fast as it can, on the last CPU, which is its own; it waits where there is no room, so that none is lost there. On the others one reader of cilium/ebpf's ringbuf package takes them in this process, or ringside does, and %d processes get all of them. The rate is that at which each of them is given events, from the first one submitted to the last one seen by the last of them; the program's own processor time is in no column. Lost is what the ring overtook.", b.entries*sustainedTimes, sustainedRingbuf>>20, figureConsumers),
		fmt.Sprintf("Events, drained: a ringbuf is filled with %d records while nobody reads, untimed; then it is emptied. On a machine with fewer CPUs than processes the rate by the clock is that of all of them together.", burstTimes*b.entries),
	)
	if len(plan.sizes) > 0 {
		r.Method = append(r.Method, fmt.Sprintf("By size: delivery alone to %d, of scans that are smaller or larger than those of %d rows. Waking and going to sleep again takes the same for any of them, and so weighs less the more rows there are; and all consumers of a processor find in its caches what the first of them fetched, as far as a scan fits there.", figureConsumers, b.entries))
	}
	n, err := b.buildNative(ctx)
	if err != nil {
		return nil, err
	}
	r.Method = append(r.Method, n.missing...)
	var rows []fanoutRow
	race := func(path string, consumers, size int) error {
		err := b.part(func(b *bench) error {
			b.entries = size
			f := &fan{bench: b, fanPlan: plan, native: n, n: consumers, path: path}
			more, figures, err := f.measure(ctx)
			rows = append(rows, more...)
			r.Figures = append(r.Figures, figures...)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s of %d rows, %d consumers: %w", path, size, consumers, err)
		}
		return nil
	}
	for _, path := range []string{pathWhole, pathDelivery} {
		for _, consumers := range plan.consumers {
			if err := race(path, consumers, b.entries); err != nil {
				return nil, err
			}
		}
	}
	for _, size := range plan.sizes {
		if err := race(pathSizes, figureConsumers, size); err != nil {
			return nil, err
		}
	}
	err = b.part(func(b *bench) error {
		more, figures, err := b.measureEvents(ctx, plan.shares())
		rows = append(rows, more...)
		r.Figures = append(r.Figures, figures...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", pathEvents, err)
	}
	r.Rows = rows
	fanoutTables(r, rows)
	return r, nil
}

// figureShares is how much more time is spent where figures are made.
const figureShares = 3

// shares is into how many parts the time goes: one for each number of consumers on
// each path and for each size, more for those of the figures, and one for events.
func (p fanPlan) shares() int {
	n := 2*(len(p.consumers)+figureShares-1) + len(p.sizes) + 1
	if slices.Contains(p.sizes, figureSize) {
		n += figureShares - 1
	}
	return n
}

// hasFigures tells whether something is expected of the contenders.
func (f *fan) hasFigures() bool {
	if f.path == pathSizes {
		return f.entries == figureSize
	}
	return f.n == figureConsumers
}

// measure races all contenders of a path with so many consumers.
func (f *fan) measure(ctx context.Context) ([]fanoutRow, []figure, error) {
	sides, err := f.sides(ctx)
	if err != nil {
		return nil, nil, err
	}
	var list []interleave.Contender[fanned]
	for _, s := range sides {
		list = append(list, interleave.Contender[fanned]{Name: s.name,
			Pass: func(ctx context.Context, _ int) (fanned, error) { return s.window(ctx, f.fanPlan) }})
	}
	o := f.rounds(fmt.Sprintf("%s of %d rows, %d consumers", f.path, f.entries, f.n), f.shares())
	if f.hasFigures() {
		o.For *= figureShares
	}
	o.PassFor = 0 // a window has a length of its own
	samples, err := interleave.Run(ctx, list, o)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]fanoutRow, len(sides))
	first := stat.Each(samples[0], fanned.nsPerRow)
	for i, s := range sides {
		ns := stat.Each(samples[i], fanned.nsPerRow)
		took := stat.Of(ns)
		rows[i] = fanoutRow{Path: f.path, Contender: s.name, Consumers: f.n, ScanRows: f.entries, CPUPerRow: took.Median, P10: took.P10, P90: took.P90,
			PublisherCPU: stat.By(samples[i], fanned.publisherNS).Median, Lost: lostPercent(samples[i]),
			Cheaper: stat.Ratio(first, ns).Median, Rounds: took.N}
	}
	if !f.hasFigures() {
		return rows, nil, nil
	}
	return rows, f.figures(sides, samples), nil
}

// lostPercent is over all windows: a median would hide a rare loss.
func lostPercent(windows []fanned) float64 {
	got, meant := 0, 0
	for _, w := range windows {
		got, meant = got+w.rows, meant+w.meant
	}
	return 100 * float64(meant-got) / float64(max(meant, 1))
}

// figures hold ringside, with consumers in C where there are any, against each of
// the others.
func (f *fan) figures(sides []*side, samples [][]fanned) []figure {
	of := map[string][]float64{}
	for i, s := range sides {
		of[s.name] = stat.Each(samples[i], fanned.nsPerRow)
	}
	ours := byRingGo
	if of[byRingC] != nil {
		ours = byRingC
	}
	var list []figure
	for _, e := range []struct {
		path, than string
		atLeast    float64
	}{
		{pathWhole, byRawBatch, cheaperThanBatch},
		{pathDelivery, f.native.socket(), cheaperThanSocket}, {pathDelivery, byShmipc, 1}, {pathDelivery, byIceoryx, 1},
		{pathSizes, f.native.socket(), cheaperThanSocket}, {pathSizes, byIceoryx, 1},
	} {
		if e.path == f.path && of[e.than] != nil {
			name := fmt.Sprintf("%d consumers, %s: %s is cheaper than %s", f.n, f.title(), ours, e.than)
			figure := atLeast(name, stat.Ratio(of[e.than], of[ours]), e.atLeast, times)
			if floor := of[byFloor]; floor != nil {
				figure.Floor = fmt.Sprintf("one copy, one futex: %s ×", table.Figure(stat.Ratio(of[e.than], floor).Median))
			}
			list = append(list, figure)
		}
	}
	return list
}

func pathTitle(path string) string {
	if path == pathWhole {
		return "whole path"
	}
	return "delivery alone"
}

func (f *fan) title() string {
	if f.path == pathSizes {
		return fmt.Sprintf("%s, scans of %d rows", pathTitle(f.path), f.entries)
	}
	return pathTitle(f.path)
}
