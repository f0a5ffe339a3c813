// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// SourceFlags say what may be relied on in a source's rows.
type SourceFlags uint32

const (
	// SourcePerCPU: a value is one slot of ValueSize/CPUs bytes per possible CPU.
	SourcePerCPU SourceFlags = 1 << 0
	// SourceLockedScan: no row that never existed, no untouched key missed.
	SourceLockedScan SourceFlags = 1 << 1
	// SourceLockedValue: values are copied under their bpf_spin_lock and never
	// torn. Without it only aligned 8-byte words are untorn.
	SourceLockedValue SourceFlags = 1 << 2
	// SourceMapIDs: values are ids of inner maps.
	SourceMapIDs SourceFlags = 1 << 3
	// SourceEvents: frames are KindEvents; there are no keys and no scans.
	SourceEvents SourceFlags = 1 << 4
	// SourceChanges: a scan without FlagKeyframe holds only what changed.
	SourceChanges SourceFlags = 1 << 5
)

// SourceInfo is what the catalog says about a source. It never changes: a map
// that is replaced under its pin is a new source with a new number.
type SourceInfo struct {
	Number       uint16
	Name         string // at most 127 bytes
	MapID        uint32
	MapType      uint32 // enum bpf_map_type
	KeySize      uint32
	ValueSize    uint32 // of a row in the ring, all CPUs included
	MapValueSize uint32 // as the map declares it
	CPUs         uint32 // 0: not per CPU
	Flags        SourceFlags
	MaxEntries   uint32
	CreatedNS    uint64 // CLOCK_REALTIME
	Schema       []byte // JSON, package schema; empty: rows are bytes
}

// sourceState is the publisher's side of a catalog record.
type sourceState struct {
	number   uint16
	state    *atomic.Uint64
	keyframe *atomic.Uint64
	replaced *atomic.Uint64
	first    uint64 // start of the scan that is being published; guarded by mu
	whole    bool   // and it is whole so far
	seq      uint32 // SourceSeq that continues it
}

// AddSource appends a source to the catalog and gives its producer. The number
// in info is ignored.
func (p *Publisher) AddSource(info SourceInfo) (*Producer, error) {
	if len(info.Name) >= SourceNameBytes {
		return nil, fmt.Errorf("source name %q: %w: at most %d bytes, give it a shorter one", info.Name, ErrTooLarge, SourceNameBytes-1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.sources)
	if n >= int(p.geometry.CatalogCap) || n > math.MaxUint16 {
		return nil, fmt.Errorf("source %q: %w: it holds %d", info.Name, ErrCatalogFull, n)
	}
	at, err := p.addSchema(info.Schema)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", info.Name, err)
	}
	info.Number, info.CreatedNS = uint16(n), clock(unix.CLOCK_REALTIME)
	off := p.geometry.CatalogOffset + uint64(n)*sourceBytes
	info.encode(p.mem[off:off+sourceBytes], at)
	s := &sourceState{
		number:   info.Number,
		state:    p.mem.word(off + offSrcState),
		keyframe: p.mem.word(off + offSrcKeyframe),
		replaced: p.mem.word(off + offSrcSupersededBy),
	}
	s.keyframe.Store(NoKeyframe)
	s.state.Store(uint64(SourceActive))
	p.sources = append(p.sources, s)
	// The length is what publishes the record: a reader that loads it with
	// acquire sees the record and the schema whole.
	p.shared.catalogLen.Store(uint64(n + 1))
	return &Producer{p: p, source: s}, nil
}

// addSchema puts a schema into the heap, once however many sources share it.
func (p *Publisher) addSchema(text []byte) (uint64, error) {
	if len(text) == 0 {
		return 0, nil
	}
	if at, ok := p.schemas[string(text)]; ok {
		return at, nil
	}
	at := p.shared.heapLen.Load()
	if uint64(len(text)) > p.geometry.HeapBytes-at {
		return 0, fmt.Errorf("schema of %d bytes: %w: its heap has %d of %d left", len(text), ErrCatalogFull, p.geometry.HeapBytes-at, p.geometry.HeapBytes)
	}
	copy(p.mem[p.geometry.HeapOffset+at:], text)
	p.shared.heapLen.Store(at + (uint64(len(text))+7)&^7)
	p.schemas[string(text)] = at
	return at, nil
}

// Supersede says that another source has taken this one's name.
func (r *Producer) Supersede(by *Producer) {
	r.source.replaced.Store(uint64(by.source.number) + 1)
	r.source.state.Store(uint64(SourceSuperseded))
}

// Retire says that this source is not read any more.
func (r *Producer) Retire() { r.source.state.Store(uint64(SourceGone)) }

// NoKeyframe is a source's keyframe position before it has one.
const NoKeyframe = math.MaxUint64

// published follows the scans of a source as head passes its frames. The caller
// holds p.mu.
func (s *sourceState) published(h *Header, at uint64) {
	if h.Flags&FlagFirst != 0 {
		s.first, s.whole = at, h.Flags&FlagKeyframe != 0
	} else if h.SourceSeq != s.seq {
		s.whole = false
	}
	s.seq = h.SourceSeq + 1
	if h.Flags&FlagLast != 0 && s.whole {
		s.keyframe.Store(s.first)
		s.whole = false
	}
}

func (s *SourceInfo) encode(b []byte, schemaAt uint64) {
	le := binary.LittleEndian
	le.PutUint32(b[offSrcNumber:], uint32(s.Number))
	le.PutUint32(b[offSrcMapID:], s.MapID)
	le.PutUint32(b[offSrcMapType:], s.MapType)
	le.PutUint32(b[offSrcKeySize:], s.KeySize)
	le.PutUint32(b[offSrcValueSize:], s.ValueSize)
	le.PutUint32(b[offSrcMapValueSize:], s.MapValueSize)
	le.PutUint32(b[offSrcCPUs:], s.CPUs)
	le.PutUint32(b[offSrcFlags:], uint32(s.Flags))
	le.PutUint32(b[offSrcMaxEntries:], s.MaxEntries)
	le.PutUint32(b[offSrcSchemaLen:], uint32(len(s.Schema)))
	le.PutUint64(b[offSrcSchemaOff:], schemaAt)
	le.PutUint64(b[offSrcCreated:], s.CreatedNS)
	copy(b[offSrcName:offSrcName+SourceNameBytes-1], s.Name)
}

// decodeSource interprets a private copy of a catalog record and bounds what it
// says, so that no later arithmetic on it can leave a frame or the heap.
func decodeSource(b []byte, number int, g *Geometry) (info SourceInfo, schemaAt uint64, schemaLen uint32, err error) {
	le := binary.LittleEndian
	info = SourceInfo{
		Number:       uint16(number),
		Name:         cString(b[offSrcName : offSrcName+SourceNameBytes]),
		MapID:        le.Uint32(b[offSrcMapID:]),
		MapType:      le.Uint32(b[offSrcMapType:]),
		KeySize:      le.Uint32(b[offSrcKeySize:]),
		ValueSize:    le.Uint32(b[offSrcValueSize:]),
		MapValueSize: le.Uint32(b[offSrcMapValueSize:]),
		CPUs:         le.Uint32(b[offSrcCPUs:]),
		Flags:        SourceFlags(le.Uint32(b[offSrcFlags:])),
		MaxEntries:   le.Uint32(b[offSrcMaxEntries:]),
		CreatedNS:    le.Uint64(b[offSrcCreated:]),
	}
	schemaAt, schemaLen = le.Uint64(b[offSrcSchemaOff:]), le.Uint32(b[offSrcSchemaLen:])
	switch {
	case le.Uint32(b[offSrcNumber:]) != uint32(number):
		err = fmt.Errorf("%w: catalog record %d calls itself %d", ErrCorrupt, number, le.Uint32(b[offSrcNumber:]))
	case uint64(schemaLen) > g.HeapBytes || schemaAt > g.HeapBytes-uint64(schemaLen):
		err = fmt.Errorf("%w: schema of source %d lies outside the heap", ErrCorrupt, number)
	case info.Flags&SourcePerCPU != 0 && (info.CPUs == 0 || info.ValueSize%info.CPUs != 0):
		err = fmt.Errorf("%w: source %d has %d-byte values for %d CPUs", ErrCorrupt, number, info.ValueSize, info.CPUs)
	}
	return info, schemaAt, schemaLen, err
}
