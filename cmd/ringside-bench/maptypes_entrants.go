// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/lab"
	"github.com/ringside-bpf/ringside/bpf/scan"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/stat"
	"github.com/ringside-bpf/ringside/reader"
)

// bare is one read of a map into private memory.
type bare func() (rows int, err error)

// entrant is one contender on one map, with what is known before the race.
type entrant struct {
	name   string
	read   once
	chunk  int           // rows a call, where it was tuned
	ours   *source       // nil: not ringside
	chosen bool          // by ringside itself
	hold   time.Duration // that it was told to keep; 0: its default
}

// label tells entrants of one name apart.
func (e *entrant) label() string {
	if e.hold == 0 {
		return e.name
	}
	return fmt.Sprintf("%s, max_hold %v", e.name, e.hold)
}

// entrants are the contenders on one map.
type entrants struct {
	list []*entrant
	ring *ring
}

func (e *entrants) add(one *entrant) { e.list = append(e.list, one) }

// index is the place of a contender, or -1.
func (e *entrants) index(name string) int {
	for i, c := range e.list {
		if c.name == name {
			return i
		}
	}
	return -1
}

func (e *entrants) contenders() []interleave.Contender[pass] {
	var all []interleave.Contender[pass]
	for _, c := range e.list {
		all = append(all, contender(c.label(), c.read))
	}
	return all
}

// watchHolds finds out how long the calls of each contender stay in the kernel.
func (e *entrants) watchHolds(ctx context.Context) (all []float64, err error) {
	const most = 9
	runtime.LockOSThread() // it is a thread that is watched
	defer runtime.UnlockOSThread()
	calls, err := lab.OpenCalls()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, calls.Close()) }()
	if err := calls.Attach(); err != nil {
		return nil, err
	}
	for _, c := range e.list {
		enough := 50 * time.Millisecond
		if c.ours != nil { // what is promised deserves a closer look
			enough = time.Second
		}
		var holds []float64
		for start := time.Now(); len(holds) == 0 || len(holds) < most && time.Since(start) < enough; {
			t, err := calls.Watch(func() error { return c.read(ctx, new(pass)) })
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.label(), err)
			}
			holds = append(holds, float64(t.Longest))
		}
		all = append(all, stat.Of(holds).Median)
	}
	return all, nil
}

// enter makes the contenders for a map with keys of type K.
func enter[K any](ctx context.Context, b *bench, t trial, f *filled) (*entrants, error) {
	e := &entrants{}
	walk := iterate[K](f.Map, new(value))
	if f.perCPU {
		all := make([]value, f.cpus)
		walk = iterate[K](f.Map, &all)
	}
	e.add(&entrant{name: byIterate, read: timed(walk)})
	loops := []struct {
		name string
		with func(chunk int) bare
	}{
		{byBatchLookup, func(chunk int) bare { return batchLookup[K](f.Map, chunk, f.cpus) }},
		{byRawBatch, func(chunk int) bare { return newRawBatch(f.Map, f.keySize, f.valueSize, chunk).pass }},
	}
	for _, l := range loops {
		chunk, err := tune(f.entries, l.with)
		if err != nil {
			return nil, err
		}
		e.add(&entrant{name: l.name, read: timed(l.with(chunk)), chunk: chunk})
	}
	if err := e.addFloor(b, f); err != nil {
		return nil, err
	}
	return e, enterRingside[K](ctx, b, t, f, e)
}

// addFloor adds what nobody can be faster than, nearly.
func (e *entrants) addFloor(b *bench, f *filled) error {
	name, read, err := byMemcpy, bare(nil), error(nil)
	switch {
	case f.mmapable():
		read, err = copyArray(b, f)
	case f.typ == ebpf.Array || f.typ == ebpf.PerCPUArray:
		read = copyPrivate(f)
	case f.trie:
		return nil // no program walks it
	default:
		name = byFloorWalk
		read, err = walkOnly(b, f)
	}
	if err == nil {
		e.add(&entrant{name: name, read: timed(read)})
	}
	return err
}

// walkOnly visits every element inside the kernel, and copies nothing.
func walkOnly(b *bench, f *filled) (bare, error) {
	t := scan.Target{FD: f.FD(), Type: f.typ, Flags: f.flags, KeySize: f.keySize, ValueSize: valueBytes, MaxEntries: int(f.MaxEntries())}
	if f.perCPU {
		t.CPUs = f.cpus
	}
	c, err := scan.OpenCounter(t)
	if err != nil {
		return nil, err
	}
	b.later(c.Close)
	return func() (int, error) {
		run, err := c.Count(time.Minute)
		return run.Rows, err
	}, nil
}

// plans are the ways in which ringside takes part: as it chooses, and with the
// engines that it could be forced to use.
func (t trial) plans() []reader.Options {
	var all []reader.Options
	for _, hold := range t.holds {
		all = append(all, reader.Options{MaxHold: hold})
	}
	if t.lean {
		all = append(all, reader.Options{Engine: reader.EngineIter, MaxHold: shortHold})
	} else {
		for _, engine := range []string{reader.EnginePump, reader.EngineIter, reader.EngineBatch} {
			all = append(all, reader.Options{Engine: engine})
		}
		if t.name == "hash" { // slow everywhere, and once will do to show it
			all = append(all, reader.Options{Engine: reader.EngineWalk})
		}
		all = append(all, reader.Options{Engine: reader.EngineSweep, MaxHold: longHold}) // it cannot stop half-way
	}
	for i := range all {
		all[i].Name = fmt.Sprintf("%s-%d", t.name, i)
		if t.sum {
			all[i].PerCPU = reader.Sum
		}
	}
	return all
}

func enterRingside[K any](ctx context.Context, b *bench, t trial, f *filled, e *entrants) (err error) {
	if e.ring, err = b.newRing(scanBytes(f.Map, f.keySize+f.valueSize)); err != nil {
		return err
	}
	chosen := map[string]bool{}
	for _, o := range t.plans() {
		s, err := b.publish(e.ring, f.pin, o)
		if o.Engine != "" && (errors.Is(err, reader.ErrNoEngine) || chosen[o.Engine]) {
			continue // not for this map, or there already
		}
		if err != nil {
			return err
		}
		one := &entrant{name: byRingside + s.Info().Engine, ours: s, chosen: o.Engine == "", hold: o.MaxHold}
		if one.chosen {
			chosen[s.Info().Engine] = true
		}
		e.add(one)
	}
	sub, err := attach(ctx, e.ring.socket)
	if err != nil {
		return err
	}
	b.later(sub.Close)
	for _, c := range e.list {
		if c.ours == nil {
			continue
		}
		h, err := newHands[K](sub, c.ours.Info().Name, f.perCPU && !t.sum)
		if err != nil {
			return err
		}
		c.read = c.ours.whole(h)
	}
	return nil
}
