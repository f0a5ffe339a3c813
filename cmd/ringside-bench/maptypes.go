// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
)

// Contenders by the names that the JSON document promises.
const (
	byIterate     = "iterate"
	byBatchLookup = "batchlookup"
	byRawBatch    = "raw-batch"
	byMemcpy      = "memcpy"     // floor of arrays
	byFloorWalk   = "floor-walk" // floor of hashes
	byRingside    = "ringside-"  // and the engine
)

// trial is one map at one size.
type trial struct {
	subject
	entries int
	holds   []time.Duration // what ringside is given as max_hold; 0 is its default
	lean    bool            // only the engines that holds lead to, and iter
	share   int             // of the time
}

const (
	longHold  = 100 * time.Millisecond
	shortHold = time.Millisecond
)

// trials are all maps at the usual size, and two at a large one.
func (o options) trials() []trial {
	var all []trial
	for _, s := range subjects() {
		all = append(all, trial{subject: s, entries: o.entries, holds: []time.Duration{0}, share: 1})
	}
	for _, s := range subjects() {
		if o.large > 0 && (s.name == "hash" || s.name == "array") {
			all = append(all, trial{subject: s, entries: o.large, holds: []time.Duration{longHold, shortHold}, lean: true, share: 2})
		}
	}
	return all
}

func runMaptypes(ctx context.Context, b *bench) (*result, error) {
	r := b.result(
		"All contenders of a map take one pass a round, in random order; a pass repeats its work for at least "+passFor.String()+".",
		measuredIn,
		"Ratios are medians of the ratios within a round.",
		"iterate (Map.Iterate), batchlookup (Map.BatchLookup, both of cilium/ebpf) and raw-batch (a bare loop of BPF_MAP_LOOKUP_BATCH) end with the rows in private memory that is reused; the two batch loops use whichever of several chunk sizes was fastest for them on this map.",
		"ringside-* is the whole path: a scan into the ring, then a consumer, attached over the socket, has looked at every row in a lease. The engine that ringside chooses by itself is marked; the others were forced.",
		"Reader and consumer take turns on one thread of one process, so that ringside uses no second processor that the others do not have; 'to head' is the first half, until the rows can be read.",
		"percpu_hash_sum is the per-CPU hash once more: ringside's engines add the CPUs' values up before they publish, the others deliver the value of every CPU and add nothing.",
		"Floors: floor-walk is a program that walks the map in the kernel and copies nothing; memcpy copies as many bytes as the array's values have (of the mmapable array, its own pages) into private memory. Neither delivers a key.",
		"Longest hold is the longest single call into the kernel of a read, by the kernel's clock from its entry to its exit, less the time in which somebody else had the processor; interrupts are in it. It is the median of some reads, made apart because watching slows system calls down.",
		"Memory: ring and private memory of the engine, as multiples of what the kernel says that the map takes. The ring is a sidecar's default size, four scans.",
	)
	return r, b.runTrials(ctx, r)
}

func (b *bench) runTrials(ctx context.Context, r *result) error {
	all := b.trials()
	shares := len(crowded)
	for _, t := range all {
		shares += t.share
	}
	var rows []mapRow
	for _, t := range all {
		err := b.part(func(b *bench) error {
			measured, err := b.measureMap(ctx, t, shares/t.share)
			if err != nil {
				return err
			}
			rows = append(rows, measured.rows()...)
			r.Figures = append(r.Figures, measured.figures()...)
			return nil
		})
		if err != nil {
			return err
		}
	}
	crowds, err := b.measureCrowds(ctx, shares)
	if err != nil {
		return err
	}
	r.Rows, r.Parallel = rows, crowds
	r.Figures = append(r.Figures, allocFigure(rows))
	mapTables(r, rows)
	crowdTable(r, crowds)
	return nil
}

// race is a map with its contenders and what they did.
type race struct {
	trial
	*filled
	*entrants
	samples [][]pass
	holds   []float64 // by contender
}

func (b *bench) measureMap(ctx context.Context, t trial, share int) (*race, error) {
	b.entries = t.entries
	b.progress("%s: filling %d entries", t.name, b.entries)
	f, err := b.fill(t.subject)
	if err != nil {
		return nil, err
	}
	x := &race{trial: t, filled: f}
	if t.trie {
		x.entrants, err = enter[trieKey](ctx, b, t, f)
	} else {
		x.entrants, err = enter[uint32](ctx, b, t, f)
	}
	if err != nil {
		return nil, err
	}
	if x.samples, err = interleave.Run(ctx, x.contenders(), b.rounds(fmt.Sprintf("%s of %d", t.name, t.entries), share)); err != nil {
		return nil, err
	}
	x.holds, err = x.watchHolds(ctx)
	return x, err
}
