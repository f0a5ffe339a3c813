// SPDX-License-Identifier: Apache-2.0

package nontemporal_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/ringside-bpf/ringside/shm/nontemporal"
)

// TestCopy: from everywhere to everywhere, and not a byte beside it.
func TestCopy(t *testing.T) {
	from, to, want := make([]byte, 1<<12), make([]byte, 1<<12), make([]byte, 1<<12)
	for i := range from {
		from[i] = byte(rand.Uint32())
	}
	for range 200_000 {
		a, b := rand.IntN(200), rand.IntN(200)
		n, m := rand.IntN(1000), rand.IntN(1000)
		clear(to)
		clear(want)
		k := copy(want[b:b+m], from[a:a+n])
		if got := nontemporal.Copy(to[b:b+m], from[a:a+n]); got != k || !bytes.Equal(to, want) {
			t.Fatalf("%d bytes from %d to %d bytes at %d: copied %d, or something else", n, a, m, b, got)
		}
	}
	if nontemporal.Copy(nil, from) != 0 || nontemporal.Copy(to, nil) != 0 {
		t.Error("something was copied from nowhere, or to nowhere")
	}
}

// BenchmarkCopy copies to where nobody looks: a ring of 16 MB, as it goes round.
func BenchmarkCopy(b *testing.B) {
	ring := make([]byte, 16<<20)
	for _, size := range []int{1 << 10, 1 << 12, 1 << 14, 1 << 17} {
		from := make([]byte, size)
		for name, by := range map[string]func(to, from []byte) int{"plain": func(to, from []byte) int { return copy(to, from) }, "nontemporal": nontemporal.Copy} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for at := 0; b.Loop(); at = (at + size) % len(ring) {
					by(ring[at:at+size], from)
				}
			})
		}
	}
}
