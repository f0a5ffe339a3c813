// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/chart"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/table"
	"github.com/ringside-bpf/ringside/reader"
)

// Contenders: the same rows, one call each but for the last two.
const (
	byEmptyCall  = "empty-call"  // getppid, past the Go runtime: a call that does nothing
	byRawLookup  = "raw-lookup"  // BPF_MAP_LOOKUP_ELEM past the Go runtime
	bySysLookup  = "lookup"      // through it, as Go programs make system calls
	byMapLookup  = "Map.Lookup"  // with cilium/ebpf in front
	byPumpScan   = "pump"        // ringside's engine, into private memory
	partLibrary  = "library"     // more than a bare call
	partRuntime  = "Go runtime"  // Syscall, less RawSyscall
	partEntry    = "entry, exit" // outside of what the tracepoints enclose
	partInKernel = "kernel"      // between them
	partOutside  = "user space"  // all of the rest, where one call has many rows
)

// overheadRow is a part of what a row costs.
type overheadRow struct {
	Contender string  `json:"contender"`
	Part      string  `json:"part"` // "whole" is the sum of the others
	NSPerRow  float64 `json:"ns_per_row"`
	P10       float64 `json:"ns_per_row_p10"`
	P90       float64 `json:"ns_per_row_p90"`
	CallsARow float64 `json:"calls_per_row"`
}

const partWhole = "whole"

// someKeys is how many a pass of single lookups takes; the next goes on behind
// them, so that no pass finds the same ones in the caches.
const someKeys = 4096

func runOverhead(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		measuredIn,
		"A hash of 4 B keys and 32 B values is read into private memory: key by key (in the order of the keys, which is no order in memory), by raw batches, and by ringside's engine pump.",
		"kernel is the time between the tracepoints at a system call's entry and exit, less what they measure of a call that does nothing. It is taken in passes of its own, because tracepoints slow every call down. The other parts are what remains of such a pass, compared with the same of another contender within the round.",
		"entry, exit is what remains of unix.RawSyscall: what a call takes that does nothing (the switch to the kernel and back, with its mitigations), and what the same costs more after a lookup. Go runtime is what unix.Syscall takes on top, library what Map.Lookup of cilium/ebpf takes on top of that. user space is all of the rest where one call has many rows.",
	)
	f, err := b.fill(subjects()[0])
	if err != nil {
		return nil, err
	}
	reads, err := b.overheadReads(f)
	if err != nil {
		return nil, err
	}
	calls, err := lab.OpenCalls()
	if err != nil {
		return nil, err
	}
	b.later(calls.Close)
	var list []interleave.Contender[pass]
	for _, c := range reads {
		list = append(list, contender(c.name, c.read))
	}
	for _, c := range reads {
		list = append(list, fromInside(calls, contender(c.name+", watched", c.read)))
	}
	samples, err := interleave.Run(ctx, list, b.rounds("lookups", 1))
	if err != nil {
		return nil, err
	}
	rows := dissect(reads, samples[:len(reads)], samples[len(reads):])
	r.Rows = rows
	overheadTable(r, rows)
	return r, nil
}

// overheadReads are the contenders, in the order that dissect expects.
func (b *bench) overheadReads(f *filled) ([]*entrant, error) {
	all := newLookups(f.Map, f.valueSize, f.entries, min(f.entries, someKeys))
	chunk, err := tune(f.entries, func(chunk int) bare { return newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass })
	if err != nil {
		return nil, err
	}
	next := 0
	list := []*entrant{
		{name: byEmptyCall, read: timed(func() (int, error) {
			for range someKeys {
				unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0)
			}
			return someKeys, nil
		})},
		{name: byRawLookup, read: timed(all.rawPass)},
		{name: bySysLookup, read: timed(all.pass)},
		{name: byMapLookup, read: timed(func() (int, error) {
			var v value
			for range someKeys {
				if err := f.Lookup(uint32(next%f.entries), &v); err != nil {
					return 0, err
				}
				next++
			}
			return someKeys, nil
		})},
		{name: byRawBatch, read: timed(newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass)},
	}
	s, err := reader.Open(f.pin, reader.Options{Engine: reader.EnginePump})
	if errors.Is(err, reader.ErrNoEngine) {
		return list, nil // this kernel runs no such program
	}
	if err != nil {
		return nil, err
	}
	b.later(s.Close)
	const most = 1 << 20
	return append(list, &entrant{name: byPumpScan, read: (&source{Source: s}).scanInto(newPrivate(most, most))}), nil
}

// fromInside times a contender's calls from inside the kernel.
func fromInside(calls *lab.Calls, c interleave.Contender[pass]) interleave.Contender[pass] {
	do := c.Pass
	c.Pass = func(ctx context.Context, reps int) (p pass, err error) {
		runtime.LockOSThread() // it is a thread that is watched
		defer runtime.UnlockOSThread()
		if err := calls.Attach(); err != nil {
			return p, err
		}
		t, err := calls.Watch(func() (err error) {
			p, err = do(ctx, reps)
			return err
		})
		err = errors.Join(err, calls.Detach())
		p.kernel, p.whole, p.calls = t.Total, t.Whole, t.Calls
		return p, err
	}
	return c
}

// dissect takes the wholes apart. In watched are the same passes once more, as the
// kernel saw them: what is outside of it is compared there, within a pass, because
// the kernel's part is large and depends on the caches.
func dissect(reads []*entrant, samples, watched [][]pass) []overheadRow {
	whole, outside, kernel := make([][]float64, len(reads)), make([][]float64, len(reads)), make([][]float64, len(reads))
	nothing := stat.By(watched[0], pass.kernelNS).Median // what the tracepoints take, inside
	for i := range reads {
		whole[i] = stat.Each(samples[i], pass.nsPerRow)
		outside[i] = stat.Each(watched[i], pass.outsideNS)
		kernel[i] = stat.Each(watched[i], func(p pass) float64 { return max(0, p.kernelNS()-nothing*p.kernelCalls()) })
	}
	const raw, sys, library, batch = 1, 2, 3, 4 // as in overheadReads
	entry := stat.Difference(outside[raw], outside[0])
	empty := stat.Of(whole[0]).Median
	entry.P10, entry.Median, entry.P90 = entry.P10+empty, entry.Median+empty, entry.P90+empty
	var rows []overheadRow
	for i, c := range reads {
		calls := stat.By(watched[i], pass.kernelCalls).Median
		add := func(part string, s stat.Summary) {
			rows = append(rows, overheadRow{c.name, part, s.Median, s.P10, s.P90, calls})
		}
		add(partWhole, stat.Of(whole[i]))
		if i == library {
			add(partLibrary, stat.Difference(outside[library], outside[sys]))
		}
		if i == sys || i == library {
			add(partRuntime, stat.Difference(outside[sys], outside[raw]))
		}
		if i >= raw && i < batch {
			add(partEntry, entry)
		}
		if i >= batch {
			add(partOutside, stat.Of(outside[i]))
		}
		if i >= raw {
			add(partInKernel, stat.Of(kernel[i]))
		}
	}
	return rows
}

func overheadTable(r *result, rows []overheadRow) {
	t := &table.Table{Title: "Where the time of a row goes", Columns: []table.Column{table.Text("contender"), table.Text("part"),
		table.Number("ns/row"), table.Number("p10"), table.Number("p90"), table.Number("calls/row")}}
	r.chart = &picture{title: "Where the time of a row goes, in nanoseconds", note: "Shorter is better; each contender has a scale of its own."}
	for _, row := range rows {
		t.Add(row.Contender, row.Part, table.Figure(row.NSPerRow), table.Figure(row.P10), table.Figure(row.P90), table.Figure(row.CallsARow))
		r.chart.bar(row.Contender, chart.Bar{Label: row.Part, Value: row.NSPerRow, Text: table.Figure(row.NSPerRow) + " ns", Ours: row.Contender == byPumpScan})
	}
	r.tables = append(r.tables, t)
}
