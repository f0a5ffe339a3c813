// SPDX-License-Identifier: Apache-2.0

package changes

import (
	"encoding/binary"
	"testing"

	"github.com/ringside-bpf/ringside/reader"
)

// BenchmarkRun isolates comparing rows of 4 + 32 bytes that have not changed, as
// the pump leaves them.
func BenchmarkRun(b *testing.B) {
	const rows, frameRows, stride = 1 << 16, 3000, 40
	h := newHistory(4, 32, NewBudget(1<<30))
	h.begin()
	mem := make([]byte, rows*stride)
	for i := range rows {
		row := mem[i*stride:]
		binary.LittleEndian.PutUint32(row, uint32(i)*2654435761)
		binary.LittleEndian.PutUint64(row[8:], uint64(i))
		h.meet(row[:4], row[8:40])
	}
	f := &reader.Frame{Keys: reader.Column{Stride: stride}, Values: reader.Column{Offset: 8, Stride: stride}}
	for b.Loop() {
		h.begin()
		for i := 0; i < rows; i += frameRows {
			n := min(frameRows, rows-i)
			if got := h.run(mem[i*stride:], mem[i*stride+8:], f, n); got != n {
				b.Fatalf("%d of %d rows", got, n)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/rows, "ns/row")
}
