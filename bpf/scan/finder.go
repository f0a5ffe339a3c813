// SPDX-License-Identifier: Apache-2.0

package scan

import (
	"errors"
	"time"

	"github.com/cilium/ebpf"
)

// finderKeys is how many keys one run takes.
const finderKeys = 256

// Finder is a program that tells of single keys of a hash whether they are
// there. It is no lookup of bpf(2), so that nobody loses an event by it, and it
// does not mark the rows of an LRU map as used.
type Finder struct {
	pump      *Pump
	key       int
	keyStride int
	budget    time.Duration
}

// OpenFinder loads the program for a hash. No run stays longer in the kernel
// than budget, but that it answers for a few keys at least.
func OpenFinder(t Target, budget time.Duration) (*Finder, error) {
	program := scanProgFindKeys
	switch t.Type {
	case ebpf.Hash, ebpf.PerCPUHash:
	case ebpf.LRUHash, ebpf.LRUCPUHash:
		program = scanProgFindQuietly
	default:
		return nil, ErrShape
	}
	// One row more, which the program needs for itself.
	p, err := open(&t, program, t.KeyStride()+8, finderKeys+1)
	if err != nil {
		return nil, err
	}
	f := &Finder{pump: p, key: t.KeySize, keyStride: t.KeyStride(), budget: budget}
	if _, _, err := f.Find(nil, nil); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Find looks for the keys that lie in keys, one behind the other, and sets found
// for those that it comes to: how many, and how long it stayed in the kernel.
func (f *Finder) Find(keys []byte, found []bool) (int, time.Duration, error) {
	p, stride := f.pump, f.keyStride+8
	n := min(len(found), finderKeys)
	for i := range n {
		copy(p.rows[i*stride:], keys[i*f.key:][:f.key]) // zero behind it, since the start
	}
	p.control.Count, p.control.BudgetNs = uint64(n), uint64(f.budget)
	err := p.run()
	done := min(int(p.control.Position), n)
	if errors.Is(err, ErrLate) && done > 0 {
		err = nil
	}
	if err == nil && done == 0 && n > 0 {
		err = ErrOdd
	}
	if err != nil {
		return 0, p.hold(), err
	}
	for i := range done {
		found[i] = p.rows[i*stride+f.keyStride] != 0
	}
	return done, p.hold(), nil
}

// Close frees the program and its memory.
func (f *Finder) Close() error { return f.pump.Close() }
