// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/bits"
	"strings"
)

// Geometry is the header page of a ring: where every part lies. It is written
// once, before any descriptor leaves the publisher.
type Geometry struct {
	Name          string // of the ring, at most 63 bytes
	Epoch         uint64 // random; another epoch is another ring
	CreatedNS     uint64 // CLOCK_REALTIME
	TotalBytes    uint64 // size of the memfd
	CatalogOffset uint64
	CatalogCap    uint32 // records
	HeapOffset    uint64
	HeapBytes     uint64
	DataOffset    uint64
	DataBytes     uint64 // a power of two
	LargestFrame  uint32 // header included; at most an eighth of the data
	Lossless      bool
}

// plan lays out a ring with at least dataBytes of data.
func plan(dataBytes uint64, sources uint32, heapBytes uint64) (Geometry, error) {
	if dataBytes > maxDataBytes {
		return Geometry{}, fmt.Errorf("%d bytes of ring data: %w: at most %d", dataBytes, ErrTooLarge, uint64(maxDataBytes))
	}
	dataBytes = max(dataBytes, minDataBytes)
	g := Geometry{DataBytes: 1 << bits.Len64(dataBytes-1), CatalogCap: sources}
	g.CatalogOffset = headerSize + controlSize
	g.HeapOffset = g.CatalogOffset + alignPage(uint64(sources)*sourceBytes)
	g.HeapBytes = alignPage(heapBytes)
	g.DataOffset = g.HeapOffset + g.HeapBytes
	g.TotalBytes = g.DataOffset + g.DataBytes
	g.LargestFrame = uint32(g.DataBytes / segments)
	return g, nil
}

func (g *Geometry) encode(page []byte) {
	le := binary.LittleEndian
	le.PutUint64(page[offMagic:], Magic)
	le.PutUint16(page[offMajor:], ABIMajor)
	le.PutUint16(page[offMinor:], ABIMinor)
	le.PutUint32(page[offHeaderBytes:], headerSize)
	le.PutUint64(page[offTotalBytes:], g.TotalBytes)
	le.PutUint64(page[offEpoch:], g.Epoch)
	le.PutUint64(page[offCreated:], g.CreatedNS)
	le.PutUint64(page[offControl:], headerSize)
	le.PutUint64(page[offControlBytes:], controlSize)
	le.PutUint64(page[offCatalog:], g.CatalogOffset)
	le.PutUint32(page[offCatalogCap:], g.CatalogCap)
	le.PutUint32(page[offCatalogStep:], sourceBytes)
	le.PutUint64(page[offHeap:], g.HeapOffset)
	le.PutUint64(page[offHeapBytes:], g.HeapBytes)
	le.PutUint64(page[offData:], g.DataOffset)
	le.PutUint64(page[offDataBytes:], g.DataBytes)
	le.PutUint32(page[offLargest:], g.LargestFrame)
	if g.Lossless {
		page[offDelivery] = 1
	}
	copy(page[offName:offName+nameBytes-1], g.Name)
	le.PutUint64(page[offChecksum:], headerChecksum(page))
}

// headerChecksum guards against a header that was damaged on its way through a
// file. It proves nothing about who wrote it.
func headerChecksum(page []byte) uint64 {
	h := fnv.New64a()
	h.Write(page[:offChecksum]) // never fails, says hash.Hash
	return h.Sum64()
}

// decodeGeometry interprets a private copy of a header page and holds it
// against the size of the file it came from. Each way to be wrong is an error
// of its own: not a ring, a damaged one, one from the future, a lying one.
func decodeGeometry(page []byte, fileBytes uint64) (Geometry, error) {
	le := binary.LittleEndian
	if len(page) < headerSize || le.Uint64(page[offMagic:]) != Magic {
		return Geometry{}, fmt.Errorf("%w: no magic number at its start", ErrNotARing)
	}
	if major := le.Uint16(page[offMajor:]); major != ABIMajor {
		return Geometry{}, fmt.Errorf("%w: %d, this client knows %d: use a client of the sidecar's version", ErrVersion, major, ABIMajor)
	}
	if got, want := headerChecksum(page), le.Uint64(page[offChecksum:]); got != want {
		return Geometry{}, fmt.Errorf("%w: header checksum %#x, computed %#x", ErrGeometry, want, got)
	}
	g := Geometry{
		Name:          cString(page[offName : offName+nameBytes]),
		Epoch:         le.Uint64(page[offEpoch:]),
		CreatedNS:     le.Uint64(page[offCreated:]),
		TotalBytes:    le.Uint64(page[offTotalBytes:]),
		CatalogOffset: le.Uint64(page[offCatalog:]),
		CatalogCap:    le.Uint32(page[offCatalogCap:]),
		HeapOffset:    le.Uint64(page[offHeap:]),
		HeapBytes:     le.Uint64(page[offHeapBytes:]),
		DataOffset:    le.Uint64(page[offData:]),
		DataBytes:     le.Uint64(page[offDataBytes:]),
		LargestFrame:  le.Uint32(page[offLargest:]),
		Lossless:      page[offDelivery]&1 != 0,
	}
	if g.TotalBytes != fileBytes {
		return Geometry{}, fmt.Errorf("%w: header says %d bytes, the file has %d: it was cut, or not copied to its end", ErrGeometry, g.TotalBytes, fileBytes)
	}
	if le.Uint32(page[offHeaderBytes:]) != headerSize || le.Uint64(page[offControl:]) != headerSize ||
		le.Uint64(page[offControlBytes:]) != controlSize || le.Uint32(page[offCatalogStep:]) != sourceBytes {
		return Geometry{}, fmt.Errorf("%w: fixed parts are not where version %d has them", ErrGeometry, ABIMajor)
	}
	return g, g.validate()
}

// validate holds the parts against each other: in order, page-aligned, inside.
// Subtractions come after the comparison that keeps them from wrapping.
func (g *Geometry) validate() error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrGeometry}, args...)...)
	}
	switch {
	case g.DataBytes < minDataBytes || g.DataBytes > maxDataBytes || g.DataBytes&(g.DataBytes-1) != 0:
		return fail("data size %d is not a power of two between %d and %d", g.DataBytes, minDataBytes, uint64(maxDataBytes))
	case uint64(g.LargestFrame) > g.DataBytes/segments || g.LargestFrame < HeaderBytes || g.LargestFrame%frameAlign != 0:
		return fail("largest frame %d does not fit an eighth of %d", g.LargestFrame, g.DataBytes)
	case g.CatalogOffset%pageSize != 0 || g.HeapOffset%pageSize != 0 || g.DataOffset%pageSize != 0:
		return fail("parts are not page-aligned")
	case g.CatalogOffset < headerSize+controlSize || g.HeapOffset < g.CatalogOffset || g.DataOffset < g.HeapOffset || g.TotalBytes < g.DataOffset:
		return fail("parts overlap")
	case uint64(g.CatalogCap)*sourceBytes > g.HeapOffset-g.CatalogOffset:
		return fail("%d catalog records do not fit %d bytes", g.CatalogCap, g.HeapOffset-g.CatalogOffset)
	case g.HeapBytes > g.DataOffset-g.HeapOffset:
		return fail("schema heap of %d bytes reaches into the data", g.HeapBytes)
	case g.DataBytes != g.TotalBytes-g.DataOffset:
		return fail("data of %d bytes does not end the file", g.DataBytes)
	}
	return nil
}

// cString is the text before the first NUL.
func cString(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return s
}
