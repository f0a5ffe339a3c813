// SPDX-License-Identifier: Apache-2.0

package ringside

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ringside-bpf/ringside/shm"
)

// FuzzImage changes words of the golden images, wherever they are. Whatever an
// image says, a reader ends, in one of the ways that there are, and every byte
// that it hands out is the image's.
func FuzzImage(f *testing.F) {
	names, err := filepath.Glob("../testdata/*.ring")
	if err != nil {
		f.Fatal(err)
	}
	var images [][]byte
	for i, name := range names {
		image, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, image)
		f.Add(uint8(i), []byte(nil))
		f.Add(uint8(i), []byte{2, 12, 0, 1, 0, 0, 0, 2, 20, 0, 0, 0, 0, 0})    // rows of nothing
		f.Add(uint8(i), []byte{2, 20, 0, 0, 16, 0xff, 0xff})                   // value_size 4 GiB
		f.Add(uint8(i), []byte{4, 0, 0, 0, 6, 2, 0, 1, 128, 0, 1, 6, 0x40, 0}) // a short frame, head behind it
	}
	f.Fuzz(func(t *testing.T, which uint8, edits []byte) {
		image := edit(slices.Clone(images[int(which)%len(images)]), edits)
		ring, err := shm.ReadImage(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		readAll(t, ring, false)
		readAll(t, ring, true)
	})
}

// edit writes words into an image: seven bytes say in which part, where in it,
// how wide, and what. The header's checksum is made right: who can write a file
// can do that, too.
func edit(image, edits []byte) []byte {
	const page = 4096
	if len(image) < 2*page {
		return image
	}
	for ; len(edits) >= 7; edits = edits[7:] {
		parts := [5]uint64{
			0, page, binary.LittleEndian.Uint64(image[56:]), binary.LittleEndian.Uint64(image[72:]), binary.LittleEndian.Uint64(image[88:]),
		}
		at := parts[edits[0]%5] + uint64(binary.LittleEndian.Uint16(edits[1:]))&^3
		if at > uint64(len(image)-8) {
			continue
		}
		if value := int64(int16(binary.LittleEndian.Uint16(edits[5:]))); edits[3]%2 == 0 {
			binary.LittleEndian.PutUint32(image[at:], uint32(value)<<(edits[4]%32))
		} else {
			binary.LittleEndian.PutUint64(image[at:], uint64(value)<<(edits[4]%64))
		}
	}
	sum := fnv.New64a()
	sum.Write(image[:176])
	binary.LittleEndian.PutUint64(image[176:], sum.Sum64())
	return image
}

// readAll reads a ring by every way there is to look at it.
func readAll(t *testing.T, ring *shm.Ring, inPlace bool) {
	sub := openImage("image", ring, Options{Start: StartBeginning})
	defer sub.Close()
	looks := looksAt(sub)
	var apply func(*Batch)
	if table, err := RawTableOf(sub, "flows"); err == nil && !inPlace {
		apply = func(b *Batch) { table.Apply(b) }
	}
	sum := 0
	look := func(b *Batch) {
		for i := range b.Rows {
			if b.Kind == KindEvents {
				sum += touch(b.Event(i))
				continue
			}
			sum += touch(b.Key(i)) + touch(b.Value(i))
		}
		for _, l := range looks {
			sum += l(b)
		}
		if apply != nil {
			apply(b)
		}
		sub.Stats()
	}
	// No image has as many frames, and none is read twice.
	for range 1 << 16 {
		var err error
		if inPlace {
			_, err = sub.View(context.Background(), look)
		} else if err = io.EOF; sub.err == nil {
			for b, e := range sub.Batches(context.Background()) {
				if err = e; b != nil {
					look(b)
				}
				break
			}
		}
		switch {
		case err == nil, errors.Is(err, ErrLayout):
			sub.rehearse() // as often as may be
		case errors.Is(err, io.EOF), errors.Is(err, ErrCorrupt), errors.Is(err, ErrLapped):
			return
		default:
			t.Fatal(err)
		}
	}
	t.Fatal("reading does not end")
}

// looksAt are the typed views that the image's sources allow.
func looksAt(sub *Subscription) (looks []func(*Batch) int) {
	if rows, err := RowsOf[uint32, uint64](sub, "flows"); err == nil {
		looks = append(looks, func(b *Batch) (sum int) {
			for k, v := range rows.In(b) {
				sum += int(*k) + int(*v)
			}
			return sum
		})
	}
	if rows, err := PerCPURowsOf[uint32, uint64](sub, "flows"); err == nil {
		looks = append(looks, func(b *Batch) (sum int) {
			for k, v := range rows.In(b) {
				for cpu := range v.Len() {
					sum += int(*k) + int(*v.On(cpu))
				}
			}
			return sum
		})
	}
	if column, err := BytesOf(sub, "flows", "value"); err == nil {
		looks = append(looks, func(b *Batch) (sum int) {
			for v, i := column.In(b), 0; i < v.Len(); i++ {
				sum += touch(v.At(i))
			}
			return sum
		})
	}
	if events, err := EventsOf[uint64](sub, "log"); err == nil {
		looks = append(looks, func(b *Batch) (sum int) {
			for e, more := range events.In(b) {
				sum += int(*e) + touch(more)
			}
			return sum
		})
	}
	return looks
}

// touch reads every byte.
func touch(b []byte) (sum int) {
	for _, c := range b {
		sum += int(c)
	}
	return sum
}
