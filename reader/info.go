// SPDX-License-Identifier: Apache-2.0

package reader

import (
	"time"

	"github.com/cilium/ebpf"

	"github.com/ringside-bpf/ringside/shm/schema"
)

// Consistency is what a source promises about maps that change while they are
// read.
type Consistency string

const (
	// Walked scans may miss or repeat a key under insert and delete churn.
	Walked Consistency = "walked"
	// Locked scans of hashes hold each bucket's lock while it is copied: no row
	// that never existed, no untouched key missed. Other tools' probes lose the
	// events that fire meanwhile.
	Locked Consistency = "locked"
)

// Engine names.
const (
	EngineMmap  = "mmap"
	EnginePump  = "pump"
	EngineSweep = "sweep"
	EngineIter  = "iter"
	EngineBatch = "batch"
	EngineWalk  = "walk"
)

// PinState is what was last seen under a source's path.
type PinState string

const (
	Pinned   PinState = "pinned"
	Unpinned PinState = "unpinned" // removed; the open map stays readable
	Replaced PinState = "replaced" // another map is there now
)

// Options for [Open]. The zero value is good.
type Options struct {
	Name        string        // default: the pin's base name
	Consistency Consistency   // default: Walked
	PerCPU      PerCPU        // default: All; the other needs a per-CPU map
	MaxHold     time.Duration // longest single stay in the kernel to aim for; default 2 ms
	Scratch     int           // most bytes of memory a pump may keep; default 64 MiB
	Engine      string        // use this engine or fail; for tests and measurements
	Lookups     bool          // make ready to look single keys up, for a Finisher
}

// Info describes an open source. Sizes are bytes.
type Info struct {
	Name, Pin    string
	PinState     PinState
	MapID        uint32
	MapName      string // as its loader called it; at most 15 characters
	Type         ebpf.MapType
	TypeName     string // the kernel's word: "percpu_hash"
	Flags        uint32
	MaxEntries   int
	KeySize      int
	ValueSize    int // of one row: per-CPU, every possible CPU's value rounded up to 8; summed, 8 an integer
	MapValueSize int // as the map was created
	CPUs         int // that a row has values of: the possible ones; 0 if it has a single value
	SummedCPUs   int // that are added up in each row; 0 if none are
	SpinLock     bool
	Frozen       bool // when it was opened; user space may not write it any more
	WordAtomic   bool // aligned 8-byte words are whole, larger values may be torn; without it whole values are

	Schema       *schema.Schema // nil: rows are bytes
	SchemaReason string         // why a side is missing

	Engine, EngineReason string
	Consistency          Consistency // what the engine keeps, not what was asked for

	Lookup string // how single keys are looked up, and why so; empty: they are not
}

// rows is how the map's own rows are laid out by an engine that packs them.
func (i *Info) rows() layout { return layout{key: i.KeySize, value: i.ValueSize} }

// RowBytes is the room one row takes in a frame of its own.
func (i *Info) RowBytes() int { return i.rows().bytes(1) }

// AlignedBytes is what a row takes in a frame of many where keys and values are
// aligned to 8 bytes, as most engines do it: a scan is not larger.
func (i *Info) AlignedBytes() int { return (i.KeySize+7)&^7 + (i.ValueSize+7)&^7 }

// ScanStats is one completed scan.
type ScanStats struct {
	Scan         uint64
	Rows, Frames int
	Bytes        int64 // frame payload
	Duration     time.Duration
	HoldMax      time.Duration // longest single call into the kernel; time in which the thread did not run is taken off at new maxima
	Discarded    int           // elements that were given to another key while they were copied
	ScratchBytes int           // private memory the engine keeps, beside the destination's
}
