// SPDX-License-Identifier: Apache-2.0

package shm

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/bits"
	"strings"
	"testing"
)

// plainRead reads an image as docs/protocol.md says, line by line of its text
// and in its numbers, without any code of this package: what the two agree on
// is not one mistake made once. It prints what every client has to print.
func plainRead(b []byte) []string {
	le := binary.LittleEndian
	u32 := func(at uint64) uint64 { return uint64(le.Uint32(b[at:])) }
	u64 := func(at uint64) uint64 { return le.Uint64(b[at:]) }
	if !plainHeader(b) {
		return []string{plainEnd(0, 0, 0, 0, 0, "refused")}
	}
	catalogOff, records, heapBytes, dataOff, size := u64(56), u32(64), u64(80), u64(88), u64(96)
	largest, mask := u32(104), u64(96)-1
	hw, head, tail, last := u64(4096), u64(4096+128), u64(4096+256), u64(4096+384)
	counted := min(u64(4096+896), records)

	var cur, seq, rows, frames, got, lostF, lostR, laps uint64
	var lines []string
	resumed, problem, tries := false, "", 0
loop:
	for cur != head {
		if tries++; tries > 64 {
			problem = "lapped"
			break
		}
		if hw-cur > size {
			if tail <= cur || tail >= head || hw-tail > size {
				tail = last
			}
			cur, resumed = tail&^63, true
			continue
		}
		problem = "corrupt"
		at := dataOff + cur&mask
		length, kind, flags, source := u32(at), b[at+4], b[at+5], uint64(le.Uint16(b[at+6:]))
		n, hseq, hrows := u32(at+8), u64(at+32), u64(at+40)
		switch {
		case head-cur > size, length < 64, length%64 != 0, length > largest, cur&mask+length > size, length > head-cur:
			break loop
		case kind == 1:
			cur, problem = cur+length, ""
			continue
		case resumed && (hseq < seq || hrows < rows), !resumed && (hseq != seq || hrows != rows), source >= counted:
			break loop
		}
		record, frame := b[catalogOff+source*512:][:512], b[at:][:length]
		if !plainRecord(record, source, heapBytes) {
			break loop
		}
		cells, ok := plainRows(frame, kind, n, uint64(le.Uint32(record[12:])), uint64(le.Uint32(record[16:])))
		if !ok {
			break loop
		}
		problem, tries = "", 0
		if hseq > seq {
			lines = append(lines, fmt.Sprintf(`{"kind":"lost","frames":%d,"rows":%d,"exact":true}`, hseq-seq, hrows-rows))
		}
		lostF, lostR = lostF+hseq-seq, lostR+hrows-rows
		if resumed {
			laps++
		}
		seq, rows, resumed = hseq+1, hrows+n, false
		cur += length
		if kind < 2 || kind > 4 {
			continue
		}
		frames, got = frames+1, got+n
		name, _, _ := strings.Cut(string(record[64:192]), "\x00")
		lines = append(lines, fmt.Sprintf(`{"kind":"%s","source":"%s","seq":%d,"scan":%d,"first":%t,"last":%t,"keyframe":%t,"rows":[%s]}`,
			[]string{"rows", "deletes", "events"}[kind-2], name, hseq, le.Uint64(frame[48:]), flags&1 != 0, flags&2 != 0, flags&4 != 0, strings.Join(cells, ",")))
	}
	return append(lines, plainEnd(frames, got, lostF, lostR, laps, problem))
}

func plainEnd(frames, rows, lostFrames, lostRows, laps uint64, problem string) string {
	return fmt.Sprintf(`{"kind":"end","frames":%d,"rows":%d,"lost_frames":%d,"lost_rows":%d,"laps":%d,"error":"%s"}`,
		frames, rows, lostFrames, lostRows, laps, problem)
}

// plainHeader is section 2.1.
func plainHeader(b []byte) bool {
	if len(b) < 8192 || string(b[:8]) != "RINGSIDE" {
		return false
	}
	le := binary.LittleEndian
	u32 := func(at int) uint64 { return uint64(le.Uint32(b[at:])) }
	u64 := func(at int) uint64 { return le.Uint64(b[at:]) }
	sum := fnv.New64a()
	sum.Write(b[:176])
	catalog, heap, data, total, size := u64(56), u64(72), u64(88), u64(16), u64(96)
	return le.Uint16(b[8:]) == 1 && u64(176) == sum.Sum64() && total == uint64(len(b)) &&
		u32(12) == 4096 && u64(40) == 4096 && u64(48) == 4096 && u32(68) == 512 &&
		bits.OnesCount64(size) == 1 && size >= 4096 && size <= 1<<32 &&
		u32(104)%64 == 0 && u32(104) >= 64 && u32(104) <= size/8 &&
		catalog%4096 == 0 && heap%4096 == 0 && data%4096 == 0 &&
		8192 <= catalog && catalog <= heap && heap <= data && data <= total &&
		u32(64)*512 <= heap-catalog && u64(80) <= data-heap && size == total-data
}

// plainRecord is section 2.3.
func plainRecord(b []byte, number, heapBytes uint64) bool {
	u32 := func(at int) uint64 { return uint64(binary.LittleEndian.Uint32(b[at:])) }
	perCPU, cpus, valueSize := u32(28)&1 != 0, u32(24), u32(16)
	return u32(0) == number && u32(36) <= heapBytes && binary.LittleEndian.Uint64(b[40:]) <= heapBytes-u32(36) &&
		(!perCPU || cpus != 0 && valueSize%cpus == 0)
}

// plainRows is the extents check of section 3, and the rows as JSON.
func plainRows(frame []byte, kind byte, n, keySize, valueSize uint64) (cells []string, ok bool) {
	length := uint64(len(frame))
	u32 := func(at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(frame[at:])) }
	keys, keyStride, values, valueStride := u32(16), u32(20), u32(24), u32(28)
	column := func(off, stride, size uint64) bool {
		return n == 0 || off >= 64 && stride >= size && n <= length && off+(n-1)*stride+size <= length
	}
	text := func(at, size uint64) string { return `"` + hex.EncodeToString(frame[at:at+size]) + `"` }
	switch kind {
	case 2:
		if !column(keys, keyStride, keySize) || !column(values, valueStride, valueSize) {
			return nil, false
		}
		for i := range n {
			cells = append(cells, "["+text(keys+i*keyStride, keySize)+","+text(values+i*valueStride, valueSize)+"]")
		}
	case 3:
		if !column(keys, keyStride, keySize) {
			return nil, false
		}
		for i := range n {
			cells = append(cells, "["+text(keys+i*keyStride, keySize)+"]")
		}
	case 4:
		if keys < 64 || keyStride != 8 || keys+n*8 > length {
			return nil, false
		}
		for i := range n {
			at, size := u32(keys+i*8), u32(keys+i*8+4)
			if at < 64 || at+size > length {
				return nil, false
			}
			cells = append(cells, "["+text(at, size)+"]")
		}
	case 5:
		return nil, n == 0
	}
	return cells, true
}

// cursorRead prints the same with the cursor of this package.
func cursorRead(t *testing.T, image []byte) []string {
	t.Helper()
	e := end{Kind: "end"}
	ring, err := ReadImage(strings.NewReader(string(image)), int64(len(image)))
	if err != nil {
		e.Error = "refused"
		return []string{jsonLine(t, e)}
	}
	var lines []string
	c := NewCursor(ring, Position{}, StartOldest, AnySource)
	buf := make([]byte, ring.Geometry().LargestFrame)
	for {
		h, payload, lost, s := c.Next(buf)
		switch s {
		case Ready:
			if lost.Frames > 0 {
				lines = append(lines, fmt.Sprintf(`{"kind":"lost","frames":%d,"rows":%d,"exact":true}`, lost.Frames, lost.Rows))
			}
			if line := cursorLine(t, ring, &h, payload); line != "" {
				e.Frames, e.Rows = e.Frames+1, e.Rows+uint64(h.Rows)
				lines = append(lines, line)
			}
			continue
		case Corrupt:
			e.Error = "corrupt"
		case Lapped:
			e.Error = "lapped"
		}
		all := c.Loss()
		e.LostFrames, e.LostRows, e.Laps = all.Frames, all.Rows, all.Laps
		return append(lines, jsonLine(t, e))
	}
}

func cursorLine(t *testing.T, ring *Ring, h *Header, payload []byte) string {
	t.Helper()
	word := map[Kind]string{KindRows: "rows", KindDeletes: "deletes", KindEvents: "events"}[h.Kind]
	if word == "" {
		return ""
	}
	src, err := ring.Source(int(h.Source))
	if err != nil {
		t.Fatal(err)
	}
	line := struct {
		Kind     string     `json:"kind"`
		Source   string     `json:"source"`
		Seq      uint64     `json:"seq"`
		Scan     uint64     `json:"scan"`
		First    bool       `json:"first"`
		Last     bool       `json:"last"`
		Keyframe bool       `json:"keyframe"`
		Rows     [][]string `json:"rows"`
	}{word, src.Name, h.Seq, h.Scan, h.Flags&FlagFirst != 0, h.Flags&FlagLast != 0, h.Flags&FlagKeyframe != 0, [][]string{}}
	cell := func(off, stride, size uint32, i int) string {
		at := int(off) - HeaderBytes + i*int(stride)
		return hex.EncodeToString(payload[at : at+int(size)])
	}
	for i := range int(h.Rows) {
		switch h.Kind {
		case KindRows:
			line.Rows = append(line.Rows, []string{cell(h.KeysOffset, h.KeyStride, src.KeySize, i), cell(h.ValuesOffset, h.ValueStride, src.ValueSize, i)})
		case KindDeletes:
			line.Rows = append(line.Rows, []string{cell(h.KeysOffset, h.KeyStride, src.KeySize, i)})
		case KindEvents:
			event, _ := Event(h, payload, i)
			line.Rows = append(line.Rows, []string{hex.EncodeToString(event)})
		}
	}
	return jsonLine(t, line)
}
