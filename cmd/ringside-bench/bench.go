// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"

	"github.com/ringside-bpf/ringside/bpf/demo"
	"github.com/ringside-bpf/ringside/cmd/ringside-bench/internal/interleave"
)

// homes is where experiments mount their bpffs. What a killed one left there is
// removed by the next.
const homes = "/run/ringside/bench"

// minRounds is the least from which a spread can be told; an experiment that is
// cut short does with fewer.
const (
	minRounds      = 5
	minShortRounds = 3
)

// passFor is how long one pass of a contender should be: long against what
// starting it costs, short against what disturbs a machine.
const passFor = 4 * time.Millisecond

// bench is what an experiment works with: its options, a place to pin maps, and
// what has to be undone in the end.
type bench struct {
	options
	name   string
	stderr io.Writer
	home   *demo.Home
	undo   []func() error
	told   *time.Time // when progress was last shown
}

func newBench(name string, o options, stderr io.Writer) (*bench, error) {
	if err := rlimit.RemoveMemlock(); err != nil { // before 5.11 maps are charged to it
		return nil, fmt.Errorf("lift RLIMIT_MEMLOCK: %w", err)
	}
	home, err := demo.Settle(homes)
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, name: name, stderr: stderr, home: home, told: new(time.Time)}
	b.later(home.Close)
	return b, nil
}

// part is a part of the experiment that cleans up after itself: maps and rings
// of all parts together would not fit into memory, nor into the caches.
func (b *bench) part(do func(*bench) error) error {
	p := *b
	p.undo = nil
	return errors.Join(do(&p), p.close())
}

// later undoes f when the experiment ends, last first.
func (b *bench) later(f func() error) { b.undo = append(b.undo, f) }

func (b *bench) close() error {
	var errs []error
	for i := len(b.undo) - 1; i >= 0; i-- {
		errs = append(errs, b.undo[i]())
	}
	return errors.Join(errs...)
}

// newMap creates a map and pins it.
func (b *bench) newMap(name string, spec *ebpf.MapSpec) (m *ebpf.Map, pin string, err error) {
	if m, err = ebpf.NewMap(spec); err != nil {
		return nil, "", fmt.Errorf("create a %s map of %d entries: %w", spec.Type, spec.MaxEntries, err)
	}
	b.later(m.Close)
	pin = filepath.Join(b.home.BPFFS(), name)
	if err := m.Pin(pin); err != nil {
		return nil, "", fmt.Errorf("pin %s: %w", pin, err)
	}
	b.later(m.Unpin)
	return m, pin, nil
}

// progress says on stderr what takes so long, once in a while.
func (b *bench) progress(format string, args ...any) {
	const pause = 2 * time.Second
	if time.Since(*b.told) < pause {
		return
	}
	*b.told = time.Now()
	fmt.Fprintf(b.stderr, b.name+": "+format+"\n", args...)
}

// rounds are the options of an interleaved run that takes a share of the time.
func (b *bench) rounds(what string, share int) interleave.Options {
	return interleave.Options{
		For: b.lasts / time.Duration(share), MinRounds: b.minRounds(), PassFor: b.pass,
		Progress: func(round int) { b.progress("%s, round %d", what, round) },
	}
}

func (b *bench) minRounds() int {
	if b.short {
		return minShortRounds
	}
	return minRounds
}
