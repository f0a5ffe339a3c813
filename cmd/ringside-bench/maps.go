// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// subject is a type of map that is read.
type subject struct {
	name   string
	typ    ebpf.MapType
	flags  uint32
	perCPU bool
	trie   bool // its key begins with the length of a prefix
	sum    bool // ringside adds the CPUs up
}

func subjects() []subject {
	return []subject{
		{name: "hash", typ: ebpf.Hash},
		{name: "lru_hash", typ: ebpf.LRUHash},
		{name: "percpu_hash", typ: ebpf.PerCPUHash, perCPU: true},
		{name: "percpu_hash_sum", typ: ebpf.PerCPUHash, perCPU: true, sum: true},
		{name: "array", typ: ebpf.Array},
		{name: "mmapable_array", typ: ebpf.Array, flags: unix.BPF_F_MMAPABLE},
		{name: "percpu_array", typ: ebpf.PerCPUArray, perCPU: true},
		{name: "lpm_trie", typ: ebpf.LPMTrie, flags: unix.BPF_F_NO_PREALLOC, trie: true},
	}
}

func (s subject) mmapable() bool { return s.flags&unix.BPF_F_MMAPABLE != 0 }

// trieKey is a whole IPv4 address as a trie has it.
type trieKey struct {
	Prefix uint32
	Addr   [4]byte
}

const (
	keyBytes     = 4
	trieKeyBytes = 8
	valueBytes   = 32
)

// filled is a map with content.
type filled struct {
	subject
	*ebpf.Map
	pin                string
	entries            int    // that are there; an LRU may have thrown some out
	cpus               int    // possible CPUs, 1 if the map is not per CPU
	keySize, valueSize int    // of a row: all CPUs
	bytes              uint64 // that the kernel says the map takes; 0: it does not say
}

// fill creates the map and puts entries into it.
func (b *bench) fill(s subject) (*filled, error) {
	f := &filled{subject: s, cpus: 1, keySize: keyBytes}
	if s.trie {
		f.keySize = trieKeyBytes
	}
	if s.perCPU {
		var err error
		if f.cpus, err = ebpf.PossibleCPU(); err != nil {
			return nil, err
		}
	}
	f.valueSize = valueBytes * f.cpus
	var err error
	spec := &ebpf.MapSpec{Type: s.typ, KeySize: uint32(f.keySize), ValueSize: valueBytes, MaxEntries: uint32(b.entries), Flags: s.flags}
	if s.sum { // or nobody knows that its values are numbers
		spec.Key, spec.Value = &btf.Int{Name: "key", Size: keyBytes}, fourCounters()
	}
	f.Map, f.pin, err = b.newMap(s.name, spec)
	if err != nil {
		return nil, err
	}
	for i := range b.entries {
		if err := f.put(uint32(i)); err != nil {
			return nil, fmt.Errorf("fill %s: entry %d: %w", s.name, i, err)
		}
	}
	if info, err := f.Info(); err == nil {
		f.bytes, _ = info.Memlock()
	}
	return f, f.count(b.entries)
}

// fourCounters is what value is in C.
func fourCounters() btf.Type {
	counter, index := &btf.Int{Name: "__u64", Size: 8}, &btf.Int{Name: "__u32", Size: 4}
	words := &btf.Array{Index: index, Type: counter, Nelems: valueBytes / 8}
	return &btf.Struct{Name: "counters", Size: valueBytes, Members: []btf.Member{{Name: "words", Type: words}}}
}

func (f *filled) put(i uint32) error {
	v := value{uint64(i), ^uint64(i), 1, 2}
	switch {
	case f.perCPU:
		all := make([]value, f.cpus)
		for cpu := range all {
			all[cpu] = v
		}
		return f.Put(i, all)
	case f.trie:
		k := trieKey{Prefix: 32}
		binary.BigEndian.PutUint32(k.Addr[:], i)
		return f.Put(k, v)
	}
	return f.Put(i, v)
}

// count finds out how many entries there are.
func (f *filled) count(chunk int) error {
	raw := newRawBatch(f.Map, f.keySize, f.valueSize, chunk)
	var err error
	if f.entries, err = raw.pass(); err == nil && f.entries == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("count the entries of %s: %w", f.name, err)
	}
	return nil
}
