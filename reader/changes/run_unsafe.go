// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"unsafe"

	"github.com/ringside-bpf/ringside/reader"
)

// run passes rows, one after the other, as long as each is where it should be
// and what it was. Nearly all of them are, so this is what a scan costs. It
// returns how many; about the one that stopped it, meet decides. It may stop
// early: bytes behind a value that are not zero are nobody's, and compared here.
//
// Slots mostly follow each other, and whether they do is foreseen by the
// processor: so the next row is compared before the chain has been read.
func (h *history) run(keys, values []byte, f *reader.Frame, rows int) (n int) {
	key, value := f.Keys.Stride, f.Values.Stride
	keyWords, valueWords := h.keyStride/8, (h.stride-h.keyStride)/8
	tight := key < h.keyStride // a column of keys of 4 bytes, or odd ones
	if tight && h.keySize != 4 || value < 8*valueWords ||
		len(values) < (rows-1)*value+8*valueWords || len(keys) < (rows-1)*key+min(h.keySize, h.keyStride) {
		return 0
	}
	if !tight && len(keys) < (rows-1)*key+h.keyStride {
		return 0
	}
	// SAFETY: n < rows, so that by the checks above the words of row n lie in
	// keys and values, or its 4 bytes in keys. A chunk's rows are as many as its
	// stamps, each of keyWords+valueWords words, and i is an index of stamp. No
	// place needs to be aligned: the machines we build for load words anywhere.
	k, v := unsafe.Pointer(unsafe.SliceData(keys)), unsafe.Pointer(unsafe.SliceData(values))
	age, slot := h.age, h.expect
	for n < rows && slot != none {
		c, i := h.at(slot)
		known := unsafe.Pointer(unsafe.SliceData(c.rows))
		for next := slot; n < rows && next == slot && i < len(c.stamp); i++ {
			row := unsafe.Add(known, i*h.stride)
			at := unsafe.Add(k, n*key)
			if tight {
				if *(*uint32)(row) != *(*uint32)(at) {
					goto end
				}
			} else if !sameWords(row, at, keyWords) {
				goto end
			}
			was := c.stamp[i]
			if was == 0 || !sameWords(unsafe.Add(row, h.keyStride), unsafe.Add(v, n*value), valueWords) {
				goto end // a key that is gone leaves its bytes behind
			}
			if was != age {
				c.stamp[i] = age
				h.met++
			}
			h.before, next = slot, c.next[i]
			n++
			if slot++; next != slot {
				slot = next
				break
			}
		}
	}
end:
	h.expect = slot
	return n
}

// sameWords compares without a branch a word: they are few, and mostly the same.
func sameWords(a, b unsafe.Pointer, words int) bool {
	differ := uint64(0)
	for i := range words {
		differ |= *(*uint64)(unsafe.Add(a, 8*i)) ^ *(*uint64)(unsafe.Add(b, 8*i))
	}
	return differ == 0
}
