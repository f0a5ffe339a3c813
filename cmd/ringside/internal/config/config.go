// SPDX-License-Identifier: Apache-2.0

package config

import (
	"io/fs"
	"time"
)

// What holds where nothing else was said.
const (
	DefaultSocket  = "/run/ringside/ringside.sock"
	DefaultRing    = "main"
	DefaultEvery   = 100 * time.Millisecond
	DefaultMaxHold = 2 * time.Millisecond
	DefaultDuty    = 0.20
	DefaultStall   = 2 * time.Second
	// DefaultHistory is memory for what mode changes published.
	DefaultHistory       = 256 << 20
	DefaultKeyframeEvery = 100 // scans
	// What the number of workers follows: see package reader.
	DefaultGrowAbove   = 500 * time.Microsecond
	DefaultShrinkBelow = 200 * time.Microsecond
	// DefaultGroup may attach without being named, if the machine has it.
	DefaultGroup = "ringside"
)

// Config is everything the sidecar has to know. It is complete and checked:
// every map names a ring that is listed, and every default is filled in.
type Config struct {
	Socket Socket
	Reader Reader
	Rings  []Ring
	Maps   []Map
}

// Socket is where the sidecar listens.
type Socket struct {
	Path  string
	Group string       // owner group of the socket file; empty: see package acl
	Mode  *fs.FileMode // nil: see package acl
}

// Reader bounds what reading may cost.
type Reader struct {
	Duty         float64 // share of one CPU, 1 is all of it
	MaxHold      time.Duration
	WorkersMax   int           // 0: package reader's default
	GrowAbove    time.Duration // latency that makes workers more
	ShrinkBelow  time.Duration // latency that lets them be fewer; not above GrowAbove
	CPUs         []int         // ascending; empty: wherever the process may run
	KernelTiming bool
	ReadWhenIdle bool
	History      uint64 // bytes that all maps of mode changes may keep together
}

// Ring is one confidentiality domain: who may attach to it sees all of it.
type Ring struct {
	Name         string
	Bytes        uint64 // 0: made to fit its maps
	Lossless     bool   // claims wait for consumers, each up to StallTimeout
	StallTimeout time.Duration
	Allow        Allow
	Origin       string // where it was configured, for messages
}

// Allow lists who may attach beside root.
type Allow struct {
	UIDs   []uint32
	GIDs   []uint32
	Groups []string
}

// Map is one source, or a pattern for many.
type Map struct {
	Path        string // absolute; may be a pattern as in path.Match
	Name        string // empty: from the pin
	Ring        string
	Every       time.Duration
	Poll        bool   // of mode events: never sleep while somebody is attached
	Type        string // of mode events: of a record, "struct event"; empty: bytes
	BTF         string // where Type is described: a file, or prog:PIN
	Consistency string // "walked" or "locked"
	PerCPU      string // "all" or "sum", for maps that have a value for every CPU
	Mode        string // what is published: "full", "changes" or "events"
	// KeyframeEvery is how many scans of mode changes there are from one that
	// publishes all rows to the next.
	KeyframeEvery int
	Origin        string // where it was configured, for messages
}

// Modes of publishing.
const (
	Full    = "full"
	Changes = "changes"
	Events  = "events" // the records of a ringbuf
)

// What per-CPU maps give, as package reader has it.
const (
	AllCPUs = "all"
	SumCPUs = "sum"
)

// Consistencies, as package reader has them.
const (
	Walked = "walked"
	Locked = "locked"
)
