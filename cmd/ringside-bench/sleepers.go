// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// mostPerSleepers is what 64 sleepers may add to the publisher's time, in %, where
// it reads by batch lookups.
const mostPerSleepers = 5

// sleeperRow is a number of sleeping readers at a cadence.
type sleeperRow struct {
	Contender string  `json:"contender"`
	Entries   int     `json:"entries"`
	Engine    string  `json:"engine"`
	EveryMS   int     `json:"every_ms"`
	Readers   int     `json:"readers"`
	CPUNS     float64 `json:"publisher_cpu_ns_per_row"`
	P10       float64 `json:"p10"`
	P90       float64 `json:"p90"`
	More      float64 `json:"more_than_without_percent"`
	MoreP10   float64 `json:"more_p10"`
	MoreP90   float64 `json:"more_p90"`
	WakeNS    float64 `json:"cpu_ns_per_wake,omitempty"` // of the small map: what a scan costs more, by sleeper
	Rounds    int     `json:"rounds"`
}

// window is what was measured while some readers slept.
type window struct {
	cpu         time.Duration // user and system, of this process
	rows, scans int
}

func (w window) nsPerRow() float64  { return perRow(w.cpu, w.rows) }
func (w window) nsPerScan() float64 { return perRow(w.cpu, w.scans) }

// sleepPlan is what is varied.
type sleepPlan struct {
	readers    []int // nobody first
	slow, fast time.Duration
}

func sleepersAsDesigned() sleepPlan {
	return sleepPlan{[]int{0, 1, 8, 64}, 100 * time.Millisecond, 10 * time.Millisecond}
}

// duty is a map and how often it is scanned.
type duty struct {
	source *source
	every  time.Duration
}

// smallEntries make a map so small that waking is nearly all that its scan costs.
const smallEntries = minEntries

func runSleepers(ctx context.Context, b *bench) (*result, error) {
	return b.sleepers(ctx, sleepersAsDesigned())
}

func (b *bench) sleepers(ctx context.Context, plan sleepPlan) (*result, error) {
	r := b.result(
		"This process scans a hash at a cadence and publishes it, with a heartbeat ten times a second, as a sidecar does; readers are processes of their own that sleep until a scan has ended, take its frames without looking at the rows, and sleep again.",
		"Counted is this process's own processor time, user and system (getrusage), so all that waking costs the publisher; what it costs the readers is theirs.",
		"Each round has a window for every number of readers, map and cadence, in random order; 'more' compares with nobody attached in the same round.",
		"A wake-up costs the same whatever the engine. What 64 of them may cost was fixed against a scan by batch lookups; the engine that is chosen by itself makes the scan so much shorter that the same wake-ups are a larger part of it.",
		fmt.Sprintf("The map of %d entries is there to tell what one wake-up costs: scanning it takes next to nothing.", smallEntries),
	)
	s, err := b.newSleep(ctx, plan)
	if err != nil {
		return nil, err
	}
	var list []interleave.Contender[window]
	for _, d := range s.duties {
		for _, n := range s.readers {
			list = append(list, interleave.Contender[window]{Name: fmt.Sprintf("%d readers of %s, every %v", n, d.source.Info().Name, d.every),
				Pass: func(ctx context.Context, _ int) (window, error) { return s.window(ctx, n, d) }})
		}
	}
	o := b.rounds("sleepers", 1)
	o.PassFor = 0 // a window has a length of its own
	samples, err := interleave.Run(ctx, list, o)
	if err != nil {
		return nil, err
	}
	rows := s.rows(samples)
	r.Rows = rows
	sleeperTables(r, rows, slices.Max(s.readers))
	return r, nil
}

// sleep is what is published, and the readers that can attach to its ring.
type sleep struct {
	sleepPlan
	ring   *ring
	duties []duty
	all    []*child
	lent   int // how many of them are attached
	lasts  time.Duration
}

func (b *bench) newSleep(ctx context.Context, plan sleepPlan) (*sleep, error) {
	s := &sleep{sleepPlan: plan}
	large, small := subjects()[0], subjects()[0]
	small.name += "_small"
	var err error
	if s.ring, err = b.newRing(b.entries * (keyBytes + valueBytes)); err != nil {
		return nil, err
	}
	byBatch := large
	byBatch.name += "_batch"
	for _, d := range []struct {
		of      subject
		entries int
		o       reader.Options
		every   time.Duration
	}{
		{byBatch, b.entries, reader.Options{Engine: reader.EngineBatch}, s.slow},
		{large, b.entries, reader.Options{}, s.slow},
		{small, smallEntries, reader.Options{}, s.fast},
	} {
		source, err := b.publishNew(s.ring, d.of, d.entries, d.o)
		if err != nil {
			return nil, err
		}
		s.duties = append(s.duties, duty{source, d.every})
	}
	// Many short windows tell more than a few long ones, because what disturbs
	// them lasts longer than they do. A window holds at least two scans.
	const rounds = 64
	s.lasts = max(2*s.slow+s.slow/2, min(time.Second, b.lasts/time.Duration(rounds*len(s.readers)*len(s.duties))))
	for range slices.Max(s.readers) {
		c, err := b.startChild(ctx, s.ring)
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, c)
	}
	return s, nil
}

// publishNew fills a map and gives it a place in the ring.
func (b *bench) publishNew(r *ring, s subject, entries int, o reader.Options) (*source, error) {
	own := *b
	own.entries, own.undo = entries, nil
	f, err := own.fill(s)
	b.undo = append(b.undo, own.undo...)
	if err != nil {
		return nil, err
	}
	return b.publish(r, f.pin, o)
}

// attach lets n readers be attached.
func (s *sleep) attach(ctx context.Context, n int) error {
	for ; s.lent < n; s.lent++ {
		if _, err := s.all[s.lent].tell(ctx, sayAttach); err != nil {
			return err
		}
	}
	for ; s.lent > n; s.lent-- {
		if _, err := s.all[s.lent-1].tell(ctx, sayDetach); err != nil {
			return err
		}
	}
	return nil
}

// window measures while n readers sleep between scans.
func (s *sleep) window(ctx context.Context, n int, d duty) (window, error) {
	if err := s.attach(ctx, n); err != nil {
		return window{}, err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	tick := time.NewTicker(d.every)
	defer tick.Stop()
	if _, err := d.source.Scan(ctx, d.source.into); err != nil { // they settle down
		return window{}, err
	}
	<-tick.C
	var w window
	start, before := time.Now(), ownCPU()
	for time.Since(start) < s.lasts {
		select {
		case <-beat.C:
			s.ring.Beat()
		case <-tick.C:
			stats, err := d.source.Scan(ctx, d.source.into)
			if err != nil {
				return w, err
			}
			w.rows += stats.Rows
			w.scans++
		case <-ctx.Done():
			return w, ctx.Err()
		}
	}
	w.cpu = ownCPU() - before
	return w, nil
}

// ownCPU is the processor time of this process so far.
func ownCPU() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail for RUSAGE_SELF
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (s *sleep) rows(samples [][]window) []sleeperRow {
	var rows []sleeperRow
	percent := func(ratio float64) float64 { return 100 * (ratio - 1) }
	for i, d := range s.duties {
		first := samples[i*len(s.readers)]
		for j, n := range s.readers {
			own := samples[i*len(s.readers)+j]
			took := stat.By(own, window.nsPerRow)
			more := stat.Ratio(stat.Each(own, window.nsPerRow), stat.Each(first, window.nsPerRow))
			row := sleeperRow{Contender: fmt.Sprintf("%d sleeping", n), Entries: d.source.Info().MaxEntries, Engine: d.source.Info().Engine, EveryMS: int(d.every.Milliseconds()),
				Readers: n, CPUNS: took.Median, P10: took.P10, P90: took.P90, Rounds: took.N}
			if n > 0 {
				row.More, row.MoreP10, row.MoreP90 = percent(more.Median), percent(more.P10), percent(more.P90)
			}
			if n > 0 && row.Entries == smallEntries {
				row.WakeNS = stat.Difference(stat.Each(own, window.nsPerScan), stat.Each(first, window.nsPerScan)).Median / float64(n)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func sleeperTables(r *result, rows []sleeperRow, most int) {
	if f, ok := wakeFigure(rows, most); ok {
		r.Figures = append(r.Figures, f)
	}
	t := &table.Table{Title: "Processor time of the publisher", Columns: []table.Column{table.Number("entries"), table.Text("engine"), table.Number("scan every"),
		table.Number("sleeping readers"), table.Number("CPU ns/row"), table.Number("p10"), table.Number("p90"),
		table.Number("more"), table.Number("p10"), table.Number("p90"), table.Number("ns a wake-up")}}
	r.chart = &picture{title: "Publisher's processor time, ns a row, by sleeping readers", note: "Shorter is better."}
	for _, row := range rows {
		every := fmt.Sprintf("%d ms", row.EveryMS)
		percent := func(v float64) string { return unlessZero(v, " "+hundth) }
		t.Add(table.Count(int64(row.Entries)), row.Engine, every, table.Count(int64(row.Readers)), table.Figure(row.CPUNS), table.Figure(row.P10), table.Figure(row.P90),
			percent(row.More), percent(row.MoreP10), percent(row.MoreP90), unlessZero(row.WakeNS, ""))
		if row.Entries == smallEntries && r.Entries != smallEntries {
			continue
		}
		if row.Readers == 0 {
			r.chart.groups = append(r.chart.groups, chart.Group{Name: row.Engine + ", a scan every " + every})
		}
		g := &r.chart.groups[len(r.chart.groups)-1]
		g.Bars = append(g.Bars, chart.Bar{Label: row.Contender, Value: row.CPUNS, Text: table.Figure(row.CPUNS) + " ns", Ours: row.Readers > 0})
		if row.Readers == most && row.Engine == reader.EngineBatch {
			more := stat.Summary{N: row.Rounds, P10: row.MoreP10, Median: row.More, P90: row.MoreP90}
			r.Figures = append(r.Figures, atMost(fmt.Sprintf("%d sleeping readers add to scans by batch lookups, every %s", row.Readers, every), more, mostPerSleepers, hundth))
		}
	}
	r.tables = append(r.tables, t)
}

// wakeFigure is the same by another way: what the wake-ups after a scan cost,
// told from the small map, against what the scan of the large one costs. It is
// steadier, but leaves out what the readers do to the publisher's caches.
func wakeFigure(rows []sleeperRow, most int) (figure, bool) {
	wakes, scan := 0.0, 0.0
	for _, row := range rows {
		if row.Readers == most && row.WakeNS != 0 {
			wakes = row.WakeNS * float64(most)
		}
		if row.Readers == 0 && row.Engine == reader.EngineBatch {
			scan = row.CPUNS * float64(row.Entries)
		}
	}
	if scan == 0 {
		return figure{}, false
	}
	return atMost(fmt.Sprintf("%d wake-ups, of what a scan by batch lookups takes", most), exactly(100*wakes/scan), mostPerSleepers, hundth), true
}
