// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/ringside-bpf/ringside/reader"
)

// Code names a piece of advice for ever; docs/operations.md lists them.
type Code string

// The codes.
const (
	Sparse         Code = "sparse"
	ValueUnaligned Code = "value_unaligned"
	PerCPURows     Code = "percpu_rows"
	NotMmapable    Code = "not_mmapable"
	Huge           Code = "huge"
	Trie           Code = "trie"
)

// Advice is one thing that makes a map slow to read, and what its owner could
// change.
type Advice struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

const (
	// Below this share of used entries empty buckets cost more than rows do:
	// passing one takes some 2 ns, reading a row some 20 to 100.
	sparseFill = 0.1
	bucketNS   = 2
	// fewEntries is what a scan passes within microseconds, however sparse.
	fewEntries = 4096
	// wideRow is from when on copying the CPUs' values is most of a scan.
	wideRow = 256
	// hugeScan is a quarter of the largest ring that is made without being asked
	// for: a ring holds four scans.
	hugeScan = 64 << 20
)

// advise looks for all that makes a map slow.
func advise(i *reader.Info, c *Cost) []Advice {
	list := []Advice{}
	for _, rule := range []func(*reader.Info, *Cost) *Advice{sparse, unaligned, perCPU, notMmapable, huge, trie} {
		if a := rule(i, c); a != nil {
			list = append(list, *a)
		}
	}
	return list
}

func sparse(i *reader.Info, c *Cost) *Advice {
	if !hashed(i.Type) || !c.Complete || c.Fill >= sparseFill || i.MaxEntries < fewEntries {
		return nil
	}
	buckets := 1 << bits.Len(uint(i.MaxEntries-1))
	return &Advice{Sparse,
		fmt.Sprintf("%d of %d entries are used: every scan passes %d buckets, which takes about %v, to find %.1f%% of them in use",
			c.Rows, i.MaxEntries, buckets, (time.Duration(buckets) * bucketNS).Round(10*time.Microsecond), 100*c.Fill),
		fmt.Sprintf("create it with max_entries of %d, twice what it holds, or what it is to hold at most", max(2*c.Rows, 1024))}
}

// hashed types have buckets that may be empty.
func hashed(t ebpf.MapType) bool {
	switch t {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.HashOfMaps:
		return true
	}
	return false
}

func unaligned(i *reader.Info, _ *Cost) *Advice {
	if i.MapValueSize%8 == 0 || i.MapValueSize < 8 {
		return nil
	}
	return &Advice{ValueUnaligned,
		fmt.Sprintf("values of %d bytes are no multiple of 8: in rows that follow each other, 8-byte fields lie across words, are copied in pieces and may be torn", i.MapValueSize),
		fmt.Sprintf("pad the value to %d bytes, with its 8-byte fields first", (i.MapValueSize+7)&^7)}
}

func perCPU(i *reader.Info, c *Cost) *Advice {
	if i.CPUs < 2 || i.ValueSize < wideRow {
		return nil
	}
	return &Advice{PerCPURows,
		fmt.Sprintf("a row holds a value for each of %d possible CPUs: %d x %d = %d bytes, %s a scan of the full map",
			i.CPUs, i.CPUs, i.ValueSize/i.CPUs, i.ValueSize, size(c.FullBytes)),
		"read the sum of all CPUs where the version can (percpu: sum); keep what is not counted by CPU out of the value; if most possible CPUs do not exist, boot with possible_cpus="}
}

func notMmapable(i *reader.Info, _ *Cost) *Advice {
	if i.Type != ebpf.Array || i.Flags&unix.BPF_F_MMAPABLE != 0 || i.SpinLock {
		return nil
	}
	return &Advice{NotMmapable,
		"the array cannot be mapped, so that the kernel has to be asked for its rows",
		"create it with BPF_F_MMAPABLE (Linux 5.5): its pages are then copied without a system call"}
}

func huge(i *reader.Info, c *Cost) *Advice {
	if c.FullBytes < hugeScan {
		return nil
	}
	return &Advice{Huge,
		fmt.Sprintf("max_entries of %d with %d bytes each, keys and values aligned to 8, is %s a scan if it is ever full; a ring of four such scans is larger than is made without being told to", i.MaxEntries, i.AlignedBytes(), size(c.FullBytes)),
		"create it with fewer max_entries, or serve it with --ring-bytes for what it really reaches, and less often (--map PIN=1s)"}
}

func trie(i *reader.Info, _ *Cost) *Advice {
	if i.Type != ebpf.LPMTrie {
		return nil
	}
	return &Advice{Trie,
		"a trie has no order to be read in: the kernel walks down from its root again for every row, and starts over when the row it stood at is deleted",
		"keep the rows that are to be read in a hash beside it, or read it less often"}
}
