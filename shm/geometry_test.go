// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"errors"
	"testing"
)

func headerPage(t testing.TB, change func(page []byte)) ([]byte, uint64) {
	t.Helper()
	g, err := plan(64<<10, 8, 4096)
	if err != nil {
		t.Fatal(err)
	}
	g.Name, g.Epoch = "main", 7
	page := make([]byte, headerSize)
	g.encode(page)
	if change != nil {
		change(page)
		binary.LittleEndian.PutUint64(page[offChecksum:], headerChecksum(page))
	}
	return page, g.TotalBytes
}

func TestGeometryRoundTrip(t *testing.T) {
	page, size := headerPage(t, nil)
	g, err := decodeGeometry(page, size)
	if err != nil || g.Name != "main" || g.Epoch != 7 || g.DataBytes != 64<<10 || g.LargestFrame != 8<<10 {
		t.Fatalf("%+v %v", g, err)
	}
}

func TestGeometryRefusesLies(t *testing.T) {
	le := binary.LittleEndian
	put32 := func(off int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[off:], v) } }
	put64 := func(off int, v uint64) func([]byte) { return func(b []byte) { le.PutUint64(b[off:], v) } }
	for name, tc := range map[string]struct {
		change func([]byte)
		want   error
	}{
		"no magic":             {put64(offMagic, 0), ErrNotARing},
		"later major":          {func(b []byte) { le.PutUint16(b[offMajor:], ABIMajor+1) }, ErrVersion},
		"later minor":          {func(b []byte) { le.PutUint16(b[offMinor:], ABIMinor+9) }, nil},
		"another total":        {put64(offTotalBytes, 4096), ErrGeometry},
		"larger header":        {put32(offHeaderBytes, 8192), ErrGeometry},
		"control elsewhere":    {put64(offControl, 8192), ErrGeometry},
		"other record size":    {put32(offCatalogStep, 8), ErrGeometry},
		"data not a power":     {put64(offDataBytes, 65<<10), ErrGeometry},
		"data huge":            {put64(offDataBytes, 1<<63), ErrGeometry},
		"data zero":            {put64(offDataBytes, 0), ErrGeometry},
		"largest frame > 1/8":  {put32(offLargest, 16<<10), ErrGeometry},
		"largest frame zero":   {put32(offLargest, 0), ErrGeometry},
		"largest frame odd":    {put32(offLargest, 100), ErrGeometry},
		"catalog in control":   {put64(offCatalog, 4096), ErrGeometry},
		"catalog huge":         {put32(offCatalogCap, 1<<31), ErrGeometry},
		"heap before catalog":  {put64(offHeap, 4096), ErrGeometry},
		"heap over data":       {put64(offHeapBytes, 1<<40), ErrGeometry},
		"data unaligned":       {put64(offData, 12345), ErrGeometry},
		"data behind the end":  {put64(offData, 1<<40), ErrGeometry},
		"data wraps":           {put64(offData, 1<<64-4096), ErrGeometry},
		"data before the heap": {put64(offData, 8192), ErrGeometry},
	} {
		t.Run(name, func(t *testing.T) {
			page, size := headerPage(t, tc.change)
			if _, err := decodeGeometry(page, size); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	page, size := headerPage(t, nil)
	page[offName] ^= 1
	if _, err := decodeGeometry(page, size); !errors.Is(err, ErrGeometry) {
		t.Errorf("damaged header: %v", err)
	}
	if _, err := decodeGeometry(page[:100], size); !errors.Is(err, ErrNotARing) {
		t.Errorf("short header: %v", err)
	}
}

// FuzzGeometry: whatever a header page says, it is refused or every part of the
// ring lies inside the file.
func FuzzGeometry(f *testing.F) {
	page, size := headerPage(f, nil)
	f.Add(page[:offChecksum], size)
	f.Fuzz(func(t *testing.T, head []byte, size uint64) {
		page := make([]byte, headerSize)
		copy(page, head)
		binary.LittleEndian.PutUint64(page[offChecksum:], headerChecksum(page))
		g, err := decodeGeometry(page, size)
		if err != nil {
			return
		}
		if g.TotalBytes != size || g.DataOffset+g.DataBytes != size || g.HeapOffset+g.HeapBytes > g.DataOffset ||
			g.CatalogOffset+uint64(g.CatalogCap)*sourceBytes > g.HeapOffset || uint64(g.LargestFrame)*segments > g.DataBytes {
			t.Errorf("accepted %+v for %d bytes", g, size)
		}
	})
}
