// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// Kind is what a writer does.
type Kind string

const (
	// Count adds to the first word of values that are there, in place.
	Count Kind = writerProgCount
	// Churn puts in and takes out keys, half and half. Values need ValueBytes.
	Churn Kind = writerProgChurn
	// Insert is Churn without overwriting keys that are there.
	Insert Kind = "insert"
	// Overwrite is Churn of keys that are there, without taking them out.
	Overwrite Kind = "overwrite"
)

// program is the one that does it, with flags for its updates.
func (k Kind) program() (name string, flags ebpf.MapUpdateFlags) {
	switch k {
	case Insert:
		return writerProgChurn, ebpf.UpdateNoExist
	case Overwrite:
		return writerProgChurn, ebpf.UpdateExist
	}
	return string(k), ebpf.UpdateAny
}

// Values that Churn puts in.
const (
	ValueWords = 4
	ValueBytes = 8 * ValueWords
)

// Value is the only one that Churn ever puts in for a key. A word's halves
// belong to each other, and to the key and the word's place.
func Value(key uint32) (v [ValueWords]uint64) {
	for w := range v {
		v[w] = Word(key, w)
	}
	return v
}

// Word is one of them.
func Word(key uint32, at int) uint64 {
	n := key + uint32(at)
	return uint64(n)<<32 | uint64(^n)
}

// Writer changes a map with keys of 4 bytes.
type Writer struct {
	coll    *ebpf.Collection
	program *ebpf.Program
}

// OpenWriter loads the program. Only the keys from first on, so many of them,
// are touched.
func OpenWriter(m *ebpf.Map, kind Kind, first, keys uint32) (*Writer, error) {
	spec, err := loadWriter()
	if err != nil {
		return nil, err
	}
	program, flags := kind.program()
	for name := range spec.Programs {
		if name != program { // it may not fit the map
			delete(spec.Programs, name)
		}
	}
	info, err := m.Info()
	if err != nil {
		return nil, err
	}
	target := spec.Maps[writerMapTarget]
	target.Type, target.Flags, target.MaxEntries = info.Type, info.Flags, info.MaxEntries
	target.ValueSize, target.Key, target.Value = info.ValueSize, nil, nil
	for name, value := range map[string]uint32{writerVarFirst: first, writerVarKeys: keys, writerVarFlags: uint32(flags)} {
		if err := spec.Variables[name].Set(value); err != nil {
			return nil, err
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{writerMapTarget: m}})
	if err != nil {
		return nil, fmt.Errorf("load a program that writes to a %s map: %w", info.Type, err)
	}
	return &Writer{coll, coll.Programs[program]}, nil
}

// Start lets so many threads write until stop is called, which returns when all
// of them have ended. It returns once each has written.
func (w *Writer) Start(threads int) (stop func() error) {
	var quit atomic.Bool
	var all, begun sync.WaitGroup
	errs := make(chan error, threads)
	begun.Add(threads)
	for range threads {
		all.Go(func() {
			err := run(w.program)
			begun.Done()
			for err == nil && !quit.Load() {
				err = run(w.program)
			}
			errs <- err
		})
	}
	begun.Wait()
	return func() error {
		quit.Store(true)
		all.Wait()
		for range threads {
			if err := <-errs; err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		return nil
	}
}

// Close frees the program.
func (w *Writer) Close() error {
	w.coll.Close()
	return nil
}
