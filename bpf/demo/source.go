// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/bpf/rawtp"
)

// source is one part before it is loaded. Parts do not share an object, so that a kernel that refuses
// one of them still runs the others.
type source struct {
	name    string // of the part and of its map
	spec    func() (*ebpf.CollectionSpec, error)
	adapt   func(*ebpf.CollectionSpec) error // to this machine, before loading
	prepare func(*ebpf.Map) error            // the empty map, before anything counts
}

func sources() []source {
	return []source{
		{name: Syscalls, spec: loadSyscalls, adapt: boundPerCPU},
		{name: Processes, spec: loadProcesses},
		{name: SchedLatency, spec: loadSchedLatency, prepare: writeBucketBounds},
		{name: TCPStates, spec: loadTcpStates},
	}
}

// loaded is one running part.
type loaded struct {
	table *ebpf.Map
	coll  *ebpf.Collection // owns table
	links []*os.File
}

func (s source) load(ns pidNamespace) (*loaded, error) {
	spec, err := s.spec()
	if err != nil {
		return nil, err
	}
	if err := ns.set(spec); err != nil {
		return nil, err
	}
	if s.adapt != nil {
		if err := s.adapt(spec); err != nil {
			return nil, err
		}
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	l := &loaded{coll: coll, table: coll.Maps[s.name]}
	if s.prepare != nil {
		if err := s.prepare(l.table); err != nil {
			return nil, errors.Join(err, l.close())
		}
	}
	if err := l.attach(spec); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

// attach attaches each program to the raw tracepoint its section names.
func (l *loaded) attach(spec *ebpf.CollectionSpec) error {
	for _, name := range slices.Sorted(maps.Keys(spec.Programs)) {
		tracepoint := spec.Programs[name].AttachTo
		lnk, err := rawtp.Attach(tracepoint, l.coll.Programs[name])
		if err != nil {
			return err
		}
		l.links = append(l.links, lnk)
	}
	return nil
}

func (l *loaded) close() error {
	var errs []error
	for _, lnk := range l.links {
		errs = append(errs, lnk.Close())
	}
	l.coll.Close()
	return errors.Join(errs...)
}

const (
	perCPUBytesMax = 8 << 20
	entriesMin     = 4096
)

// boundPerCPU halves the map until the counts of all possible CPUs fit in perCPUBytesMax: every entry
// holds one for each, and whoever publishes the map needs room for a full scan.
func boundPerCPU(spec *ebpf.CollectionSpec) error {
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count possible CPUs: %w", err)
	}
	m := spec.Maps[Syscalls]
	m.MaxEntries = boundedEntries(m.MaxEntries, uint32(cpus)*m.ValueSize)
	return nil
}

func boundedEntries(entries, bytesEach uint32) uint32 {
	for entries > entriesMin && uint64(entries)*uint64(bytesEach) > perCPUBytesMax {
		entries /= 2
	}
	return entries
}

// writeBucketBounds makes the histogram's rows explain themselves.
func writeBucketBounds(m *ebpf.Map) error {
	for i := range m.MaxEntries() {
		bucket := LatencyBucket{}
		if i > 0 {
			bucket.FromNs = 1 << i
		}
		if err := m.Put(i, bucket); err != nil {
			return fmt.Errorf("write bounds of bucket %d: %w", i, err)
		}
	}
	return nil
}
