// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"fmt"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mapType is what ringside knows about one type of map.
type mapType struct {
	name   string // the kernel's word, as bpftool prints it
	refuse string // why its content cannot be read as rows; empty if it can
	perCPU bool
	array  bool // u32 indexes, all present
	hash   bool // batch lookups copy each bucket under its lock
	inner  bool // values are ids of other maps
}

const (
	refuseDevice  = "it holds redirect targets, not data"
	refuseSocket  = "it holds sockets, which have no bytes to show"
	refuseStorage = "its values hang on kernel objects, and the kernel cannot list them"
	refuseConsume = "reading an element takes it away from its owner"
)

// mapTypes by the kernel's number.
var mapTypes = [...]mapType{
	ebpf.Hash:                {name: "hash", hash: true},
	ebpf.Array:               {name: "array", array: true},
	ebpf.ProgramArray:        {name: "prog_array", refuse: "it holds programs to jump to, not data"},
	ebpf.PerfEventArray:      {name: "perf_event_array", refuse: "it holds perf event descriptors, and attaching to it would displace its owner"},
	ebpf.PerCPUHash:          {name: "percpu_hash", hash: true, perCPU: true},
	ebpf.PerCPUArray:         {name: "percpu_array", perCPU: true, array: true},
	ebpf.StackTrace:          {name: "stack_trace"},
	ebpf.CGroupArray:         {name: "cgroup_array", refuse: "it holds cgroups to test against, not data"},
	ebpf.LRUHash:             {name: "lru_hash", hash: true},
	ebpf.LRUCPUHash:          {name: "lru_percpu_hash", hash: true, perCPU: true},
	ebpf.LPMTrie:             {name: "lpm_trie"},
	ebpf.ArrayOfMaps:         {name: "array_of_maps", inner: true},
	ebpf.HashOfMaps:          {name: "hash_of_maps", hash: true, inner: true},
	ebpf.DevMap:              {name: "devmap", refuse: refuseDevice},
	ebpf.SockMap:             {name: "sockmap", refuse: refuseSocket},
	ebpf.CPUMap:              {name: "cpumap", refuse: refuseDevice},
	ebpf.XSKMap:              {name: "xskmap", refuse: refuseSocket},
	ebpf.SockHash:            {name: "sockhash", refuse: refuseSocket},
	ebpf.CGroupStorage:       {name: "cgroup_storage", refuse: refuseStorage},
	ebpf.ReusePortSockArray:  {name: "reuseport_sockarray", refuse: refuseSocket},
	ebpf.PerCPUCGroupStorage: {name: "percpu_cgroup_storage", refuse: refuseStorage},
	ebpf.Queue:               {name: "queue", refuse: refuseConsume},
	ebpf.Stack:               {name: "stack", refuse: refuseConsume},
	ebpf.SkStorage:           {name: "sk_storage", refuse: refuseStorage},
	ebpf.DevMapHash:          {name: "devmap_hash", refuse: refuseDevice},
	ebpf.StructOpsMap:        {name: "struct_ops", refuse: "it holds a kernel interface, not data"},
	ebpf.RingBuf:             {name: "ringbuf", refuse: "it is a stream with a single read position, not a table; mode: events takes its records, and makes ringside their only reader"},
	ebpf.InodeStorage:        {name: "inode_storage", refuse: refuseStorage},
	ebpf.TaskStorage:         {name: "task_storage", refuse: refuseStorage},
	ebpf.BloomFilter:         {name: "bloom_filter", refuse: "it answers whether a value may be in it, and cannot be listed"},
	ebpf.UserRingbuf:         {name: "user_ringbuf", refuse: "it is a stream from user space into a program, not a table"},
	ebpf.CgroupStorage:       {name: "cgrp_storage", refuse: refuseStorage},
	ebpf.Arena:               {name: "arena", refuse: "it is memory laid out by its program, without rows"},
}

// lookupType describes a type, also one newer than this program.
func lookupType(t ebpf.MapType) mapType {
	if int(t) < len(mapTypes) && mapTypes[t].name != "" {
		return mapTypes[t]
	}
	return mapType{name: fmt.Sprintf("type_%d", uint32(t)), refuse: "this version of ringside does not know the type"}
}

// named gives names to errors that the C library has none for.
func named(e unix.Errno) error {
	if e == enotsupp {
		// Wrapped, so that errors.Is finds the number.
		return fmt.Errorf("not supported for this map (ENOTSUPP, %w)", e)
	}
	return e
}
