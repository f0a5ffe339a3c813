// SPDX-License-Identifier: Apache-2.0

package handoff

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/ringside-bpf/ringside/shm"
	"github.com/ringside-bpf/ringside/shm/monotonic"
)

// Every row of these tests can be told to be right by itself: its key is its
// number among all rows of the ring, its value follows from the key.
const (
	keySize   = 8
	valueSize = 24
	rowStride = keySize + valueSize
)

func fillRows(b []byte, first uint64, rows int) {
	for i := range rows {
		row := b[i*rowStride : (i+1)*rowStride]
		for word := range uint64(4) {
			binary.LittleEndian.PutUint64(row[word*8:], rowWord(first+uint64(i), word))
		}
	}
}

func rowWord(row, word uint64) uint64 {
	if word == 0 {
		return row
	}
	return bits.RotateLeft64(row*0x9E3779B97F4A7C15+word, int(word)*7)
}

// checkRows says what is wrong with a frame, if anything is.
func checkRows(h shm.Header, payload []byte) error {
	for i := range uint64(h.Rows) {
		key := uint64(h.KeysOffset) - shm.HeaderBytes + i*uint64(h.KeyStride)
		value := uint64(h.ValuesOffset) - shm.HeaderBytes + i*uint64(h.ValueStride)
		row := h.RowsBefore + i
		if got := binary.LittleEndian.Uint64(payload[key:]); got != row {
			return fmt.Errorf("frame %d row %d: key %d, expected %d", h.Seq, i, got, row)
		}
		for word := range uint64(3) {
			if got := binary.LittleEndian.Uint64(payload[value+word*8:]); got != rowWord(row, word+1) {
				return fmt.Errorf("frame %d row %d: word %d of its value is torn", h.Seq, i, word)
			}
		}
	}
	return nil
}

// feed publishes rows of one source, as a whole scan each.
type feed struct {
	producer *shm.Producer
	scan     uint64
	rows     uint64
}

func newFeed(p *shm.Publisher) (*feed, error) {
	r, err := p.AddSource(shm.SourceInfo{Name: "flows", KeySize: keySize, ValueSize: valueSize})
	return &feed{producer: r}, err
}

func (f *feed) publish(ctx context.Context, rows int) error {
	b, err := f.producer.Claim(ctx, rows*rowStride, rows*rowStride)
	if err != nil {
		return err
	}
	fillRows(b, f.rows, rows)
	f.scan++
	f.producer.Commit(shm.Content{
		Kind: shm.KindRows, Flags: shm.FlagFirst | shm.FlagLast | shm.FlagKeyframe,
		Rows: uint32(rows), Bytes: rows * rowStride,
		KeyStride: rowStride, ValuesOffset: keySize, ValueStride: rowStride,
		Scan: f.scan, TimeNS: monotonic.Now(),
	})
	f.rows += uint64(rows)
	return nil
}
