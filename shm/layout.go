// SPDX-License-Identifier: Apache-2.0

package shm

// A ring is one memfd. All integers are little-endian; all 64-bit words that
// two processes share are aligned to 8 bytes and accessed whole.
//
//	0         4 KiB      8 KiB          catalog+heap       total
//	├─ header ─┼─ control ─┼─ catalog ─┼─ schema heap ─┼─ data ─┤
//	  once       publisher   append       append          frames
const (
	// Magic opens every ring: the bytes "RINGSIDE".
	Magic = 0x45444953474E4952

	// ABIMajor changes when an old client would misread a new ring.
	ABIMajor = 1
	// ABIMinor changes when something is added that an old client may ignore.
	ABIMinor = 1

	pageSize    = 4096
	headerSize  = pageSize
	controlSize = pageSize

	// HeaderBytes is the size of a frame's header.
	HeaderBytes = 64
	// frameAlign keeps every header in one cache line.
	frameAlign = 64

	// segments divides a ring into the eighths by which readers resume.
	segments = 8

	minDataBytes = 4096
	maxDataBytes = 1 << 32
)

// Offsets in the header page. Written once, before any descriptor leaves.
const (
	offMagic        = 0
	offMajor        = 8
	offMinor        = 10
	offHeaderBytes  = 12
	offTotalBytes   = 16
	offEpoch        = 24
	offCreated      = 32
	offControl      = 40
	offControlBytes = 48
	offCatalog      = 56
	offCatalogCap   = 64
	offCatalogStep  = 68
	offHeap         = 72
	offHeapBytes    = 80
	offData         = 88
	offDataBytes    = 96
	offLargest      = 104
	offDelivery     = 108
	offName         = 112 // nameBytes, NUL-padded
	offChecksum     = 176 // FNV-1a 64 over bytes [0, offChecksum)

	nameBytes = 64
)

// Offsets in the control page. Each word has a 128-byte line to itself, so that
// adjacent-line prefetch does not couple words that are written at different
// rates.
const (
	offHW          = 0
	offHead        = 128
	offTail        = 256
	offLast        = 384
	offHeartbeat   = 512
	offState       = 640
	offRealtime    = 768
	offCatalogLen  = 896
	offHeapLen     = 904
	controlUsedEnd = 912
)

// Offsets in a catalog record. The first half never changes once the record
// is counted in the catalog's length; the second half is the mutable line.
const (
	sourceBytes = 512

	offSrcNumber       = 0
	offSrcMapID        = 4
	offSrcMapType      = 8
	offSrcKeySize      = 12
	offSrcValueSize    = 16
	offSrcMapValueSize = 20
	offSrcCPUs         = 24
	offSrcFlags        = 28
	offSrcMaxEntries   = 32
	offSrcSchemaLen    = 36
	offSrcSchemaOff    = 40
	offSrcCreated      = 48
	offSrcName         = 64 // SourceNameBytes, NUL-padded

	offSrcState        = 256
	offSrcKeyframe     = 264
	offSrcSupersededBy = 272

	// SourceNameBytes is the room for a source's name in the catalog.
	SourceNameBytes = 128
)

// Offsets in a consumer's control page, the one page that a consumer writes.
const (
	consumerBytes = pageSize

	offConsCursor     = 0
	offConsSleep      = 128
	offConsNextSeq    = 256
	offConsNextRows   = 264
	offConsLostFrames = 272
	offConsLostRows   = 280
	offConsLaps       = 288
	offConsAsk        = 512
	offConsEvicted    = 640

	// askAll in the ask word wants a keyframe of every source; below it stands
	// the number of one source, plus 1.
	askAll = 0x10000
)

// State of a ring, in the control page.
type State uint64

const (
	// StateLive means that frames may still be added.
	StateLive State = 1
	// StateSuperseded means that no frame will be added; attach again, a new
	// ring has taken this one's name.
	StateSuperseded State = 2
	// StateEnded means that no frame will be added and the sidecar is going.
	StateEnded State = 3
)

func (s State) String() string {
	switch s {
	case StateLive:
		return "live"
	case StateSuperseded:
		return "superseded"
	case StateEnded:
		return "ended"
	}
	return "unknown"
}

// SourceState is the state of a source, in its catalog record.
type SourceState uint64

const (
	// SourceActive means that the source is being read.
	SourceActive SourceState = 1
	// SourceSuperseded means that its pin now names another map, which has a
	// source number of its own.
	SourceSuperseded SourceState = 2
	// SourceGone means that the source is not read any more.
	SourceGone SourceState = 3
)

// Kind says what the payload of a frame holds.
type Kind uint8

// Zero is no kind, so that memory never written cannot pass for a frame.
const (
	KindPad     Kind = 1 // nothing: room left at the wrap or given back
	KindRows    Kind = 2 // keys and values, as two strided columns
	KindDeletes Kind = 3 // keys only
	KindEvents  Kind = 4 // a table of places and lengths, and bytes
	KindMark    Kind = 5 // no rows: a remark about the source
)

// Flags of a frame.
type Flags uint8

const (
	// FlagFirst marks the first frame of a scan.
	FlagFirst Flags = 1 << 0
	// FlagLast marks the last frame of a scan; it may hold no row.
	FlagLast Flags = 1 << 1
	// FlagKeyframe marks every frame of a scan that is complete in itself.
	FlagKeyframe Flags = 1 << 2
)

// align64 rounds n up to a whole number of frame alignments.
func align64(n uint64) uint64 { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// alignPage rounds n up to a whole number of pages.
func alignPage(n uint64) uint64 { return (n + pageSize - 1) &^ (pageSize - 1) }
