// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzGolden: whatever stands in the control page and the frames of an image, the
// cursor and the plain reader make the same of it.
func FuzzGolden(f *testing.F) {
	var images [][]byte
	for _, g := range goldens() {
		if slices.Contains([]string{"two-sources", "changes", "pads", "lapped-uneven", "lapped-into-pad"}, g.name) {
			images = append(images, g.make(newForge(f)))
		}
	}
	f.Add(uint8(0), uint16(0), uint64(5000), uint16(64), uint64(1)<<63)
	f.Add(uint8(3), uint16(256), uint64(64), uint16(4096+40), uint64(0))
	f.Fuzz(func(t *testing.T, which uint8, at uint16, value uint64, at2 uint16, value2 uint64) {
		b := bytes.Clone(images[int(which)%len(images)])
		put := func(at uint16, value uint64) {
			if place := int(at) % 8192 &^ 3; place < 4088 { // the control page, or else the data
				put64(b, 4096+place, value)
			} else {
				put64(b, forgedData+(place-4088)%4088, value)
			}
		}
		put(at, value)
		put(at2, value2)
		if want, got := plainRead(b), cursorRead(t, b); !slices.Equal(got, want) {
			t.Errorf("cursor:\n%q\nplain reader:\n%q", got, want)
		}
	})
}
